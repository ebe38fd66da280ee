//! Linux: asks the kernel for listening sockets by netlink, as `ss` does. Reading `/proc/net/tcp` walks the table of all connections, which costs
//! milliseconds on a machine with much memory; this costs microseconds.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};

use super::Socket;
use crate::task::spec::Protocol;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ANSWER: usize = 72;

/// All listening sockets of this network namespace; an error where the kernel has no such interface.
pub(super) fn listening(protocol: Protocol) -> io::Result<Vec<Socket>> {
    let netlink = open()?;
    let mut out = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(&netlink, family as u8, protocol, &mut out)?;
    }
    Ok(out)
}

fn open() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)
}

fn dump(netlink: &OwnedFd, family: u8, protocol: Protocol, out: &mut Vec<Socket>) -> io::Result<()> {
    const DONE: u16 = 3;
    const ERROR: u16 = 2;
    let request = request(family, protocol);
    sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..n];
        while let Some(len) = number(rest, 0).map(|l| l as usize).filter(|l| *l >= HEADER && *l <= rest.len()) {
            let (message, after) = rest.split_at(len);
            match u16::from_ne_bytes([message[4], message[5]]) {
                DONE => return Ok(()),
                ERROR => return Err(refusal(message)),
                SOCK_DIAG_BY_FAMILY => out.extend(answer(&message[HEADER..], protocol)),
                _ => {}
            }
            rest = after.get(len.next_multiple_of(4) - len..).unwrap_or_default();
        }
        if n == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
}

/// `nlmsghdr` and `inet_diag_req_v2`.
fn request(family: u8, protocol: Protocol) -> [u8; REQUEST] {
    const REQUEST_DUMP: u16 = 0x301;
    let (protocol, states) = match protocol {
        Protocol::Tcp => (libc::IPPROTO_TCP as u8, 1_u32 << 10),
        // An unconnected UDP socket is in the state that TCP calls closed.
        Protocol::Udp => (libc::IPPROTO_UDP as u8, 1_u32 << 7),
    };
    let mut out = [0; REQUEST];
    out[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    out[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    out[HEADER] = family;
    out[HEADER + 1] = protocol;
    out[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    out
}

/// `inet_diag_msg`.
fn answer(message: &[u8], protocol: Protocol) -> Option<Socket> {
    let message = message.get(..ANSWER)?;
    let port = u16::from_be_bytes([message[4], message[5]]);
    let bytes = &message[8..24];
    let ip = match i32::from(message[0]) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[..4]).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(Socket { protocol, address: SocketAddr::new(ip, port), id: u64::from(number(message, 68)?) })
}

fn refusal(message: &[u8]) -> io::Error {
    let code = number(message, HEADER).map_or(libc::EIO, |n| -(n as i32));
    io::Error::from_raw_os_error(code)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
