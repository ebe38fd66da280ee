//! Linux: `/proc/net` lists the sockets, the links in `/proc/PID/fd` say who holds them.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Process, Socket, diag};
use crate::task::spec::Protocol;

/// All listening sockets of this network namespace.
pub(super) fn table(protocol: Protocol) -> Vec<Socket> {
    diag::listening(protocol).unwrap_or_else(|_| read_table(protocol))
}

/// The slow way, for kernels and sandboxes without the netlink interface.
fn read_table(protocol: Protocol) -> Vec<Socket> {
    let (paths, wanted): (_, &[u8]) = match protocol {
        Protocol::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], b"0A"),
        // Unconnected.
        Protocol::Udp => (["/proc/net/udp", "/proc/net/udp6"], b"07"),
    };
    let mut out = Vec::new();
    for path in paths {
        // A kernel without IPv6 has no such file, and so no such socket.
        let Ok(file) = fs::File::open(path) else { continue };
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::with_capacity(256);
        // TCP lists the listening sockets first, so the thousands of connections behind them need not be read.
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            match parse(&line, protocol) {
                Some((state, socket)) if state == wanted => out.push(socket),
                Some(_) if protocol == Protocol::Tcp => break,
                // The heading.
                Some(_) | None => {}
            }
            line.clear();
        }
    }
    out
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn parse(line: &[u8], protocol: Protocol) -> Option<(&[u8], Socket)> {
    let mut fields = line.split(|b| *b == b' ').filter(|f| !f.is_empty());
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let id = text(fields.nth(5)?)?.parse().ok()?;
    let colon = local.iter().position(|b| *b == b':')?;
    let port = u16::from_str_radix(text(&local[colon + 1..])?, 16).ok()?;
    Some((state, Socket { protocol, address: SocketAddr::new(ip(&local[..colon])?, port), id }))
}

/// Words of 32 bits in the machine's byte order, in hexadecimal.
fn ip(hex: &[u8]) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text(hex.get(at..at + 8)?)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (i, part) in bytes.chunks_mut(4).enumerate() {
                part.copy_from_slice(&word(i * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The sockets a process holds: descriptor and number.
pub(super) fn sockets_of(pid: u32) -> io::Result<Vec<(i32, u64)>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|n| n.parse().ok()) else { continue };
        if let Some(id) = socket_at(pid, fd) {
            out.push((fd, id));
        }
    }
    Ok(out)
}

/// The number of the socket at a descriptor of a process.
pub(super) fn socket_at(pid: u32, fd: i32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    let link = link.as_os_str().as_bytes();
    text(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)?.parse().ok()
}

/// All processes.
pub(super) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// All processes with their groups and sessions.
pub(super) fn groups() -> Vec<Process> {
    pids().into_iter().filter_map(process).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from the last `)`: state, parent, group, session.
    let after = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = text(stat.get(after + 2..)?)?.split(' ');
    let group = fields.nth(2)?.parse().ok()?;
    Some(Process { pid, group, session: fields.next()?.parse().ok()? })
}

/// The program of a process, where we may see it; one that was replaced since ends in ` (deleted)`.
pub fn exe(pid: u32) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid.to_string()).join("exe")).ok()
}

/// The debugger that holds a process.
pub fn tracer(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid != 0)
}

/// The first and last port the kernel gives to outgoing connections.
pub fn ephemeral_ports() -> (u16, u16) {
    let usual = (32768, 60999);
    let Ok(text) = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else { return usual };
    let mut numbers = text.split_whitespace().filter_map(|n| n.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) => (first, last),
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_see_the_same() {
        let tcp = std::net::TcpListener::bind("[::1]:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for (protocol, address) in [(Protocol::Tcp, tcp.local_addr()), (Protocol::Udp, udp.local_addr())] {
            let find = |table: Vec<Socket>| {
                table.into_iter().find(|s| Some(s.address) == address.as_ref().ok().copied()).unwrap()
            };
            assert_eq!(find(diag::listening(protocol).unwrap()), find(read_table(protocol)));
        }
    }

    #[test]
    fn lines_of_the_kernel() {
        let line = b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 123456 1 0 100 0 0 10 0\n";
        let (state, socket) = parse(line, Protocol::Tcp).unwrap();
        assert_eq!((state, socket.address.to_string().as_str(), socket.id), (&b"0A"[..], "127.0.0.1:8080", 123456));
        let six =
            b"  1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7 1";
        assert_eq!(parse(six, Protocol::Tcp).unwrap().1.address.to_string(), "[::1]:80");
        assert_eq!(parse(b"  sl  local_address rem_address   st", Protocol::Tcp), None);
        assert_eq!(parse(b"", Protocol::Udp), None);
    }
}
