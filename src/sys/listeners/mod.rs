//! Which process listens on which address: the proof that an answer on a port comes from the instance that was asked.
//!
//! A proof is a descriptor of a process that holds the listening socket. Once found it is checked again with one system call, so that probes need not
//! look through the whole process table each time.

#[cfg(target_os = "linux")]
mod diag;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
use macos as os;

use crate::task::spec::Protocol;

pub use os::{ephemeral_ports, exe, tracer};

/// What is looked at now, not what was known before.
pub const NOW: Duration = Duration::ZERO;

/// One listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket {
    /// TCP that accepts, or UDP that is bound.
    pub protocol: Protocol,
    /// Where it listens; an unspecified address means all.
    pub address: SocketAddr,
    /// The kernel's number for it; two sockets never have the same one at a time.
    pub id: u64,
}

impl Socket {
    /// Whether a connection to `target` can reach it, and how exactly it was meant: an exact address wins over a wildcard.
    fn reach(&self, protocol: Protocol, target: SocketAddr) -> Option<bool> {
        let at_port = self.protocol == protocol && self.address.port() == target.port();
        let ip = match self.address.ip() {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        let wildcard = ip.is_unspecified() && (ip.is_ipv6() || target.is_ipv4());
        if at_port && (ip == target.ip() || wildcard) { Some(ip == target.ip()) } else { None }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}/{protocol}", self.address)
    }
}

/// A process holds a socket by this descriptor: a proof that can be checked again cheaply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The process.
    pub pid: u32,
    /// Its descriptor.
    pub fd: i32,
    /// The socket's number.
    pub id: u64,
}

impl Claim {
    /// Whether the process still holds the socket by that descriptor.
    pub fn holds(&self) -> bool {
        os::socket_at(self.pid, self.fd) == Some(self.id)
    }
}

/// Whose a listening port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// A process of the group holds it.
    Ours(Claim),
    /// It is held, but by nobody of the group.
    Foreign(Socket),
    /// Nothing can be proved: the group's descriptors may not be read (a program with capabilities), or the system does not show listeners.
    Unknown,
    /// Nobody listens there.
    Nobody,
}

/// Another process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// It holds the socket so.
    pub claim: Claim,
    /// Its program, where we may see it.
    pub exe: Option<PathBuf>,
}

/// A process with its group and session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    group: u32,
    session: u32,
}

static TCP: Cache<Socket> = Cache::new();
static UDP: Cache<Socket> = Cache::new();
static PROCESSES: Cache<Process> = Cache::new();

/// The newest reading of something that costs milliseconds to read: hundreds of instances that become ready together share it.
struct Cache<T>(Mutex<Option<(Instant, Arc<Vec<T>>)>>);

impl<T> Cache<T> {
    const fn new() -> Cache<T> {
        Cache(Mutex::new(None))
    }

    fn at_most(&self, age: Duration, read: impl FnOnce() -> Vec<T>) -> Arc<Vec<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref() {
            Some((read, found)) if read.elapsed() < age => found.clone(),
            Some(_) | None => {
                let begun = Instant::now();
                let found = Arc::new(read());
                *kept = Some((begun, found.clone()));
                found
            }
        }
    }
}

fn table(protocol: Protocol, age: Duration) -> Arc<Vec<Socket>> {
    let cache = match protocol {
        Protocol::Tcp => &TCP,
        Protocol::Udp => &UDP,
    };
    cache.at_most(age, || os::table(protocol))
}

/// Everything anybody here listens on with this port number.
pub fn on_port(protocol: Protocol, port: u16) -> Vec<Socket> {
    table(protocol, NOW).iter().filter(|socket| socket.address.port() == port).copied().collect()
}

/// The processes whose group or session is led by `leader`, as they were at most `age` ago.
pub fn members(leader: u32, age: Duration) -> Vec<u32> {
    let all = PROCESSES.at_most(age, os::groups);
    all.iter().filter(|p| p.group == leader || p.session == leader).map(|p| p.pid).collect()
}

/// Whether what answers on `target` belongs to the process group or session of `leader`.
pub fn ownership(leader: u32, protocol: Protocol, target: SocketAddr) -> Ownership {
    // A socket that an old table lists and a process of ours holds is proof all the same: a listening socket never changes its address. Only what is
    // not found there needs a new look.
    let known = reaching(&table(protocol, Duration::MAX), protocol, target);
    if let Ok(Some(claim)) = claim_in(&known, leader) {
        return Ownership::Ours(claim);
    }
    let table = table(protocol, NOW);
    let sockets = reaching(&table, protocol, target);
    let Some(first) = sockets.first() else {
        // Not one listener on the whole machine: this is a sandbox that does not show them.
        return if table.is_empty() { Ownership::Unknown } else { Ownership::Nobody };
    };
    let mut hidden = false;
    let mut claim = |pid| {
        let found = claim_in(&sockets, pid);
        hidden |= found.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
        found.ok().flatten()
    };
    if let Some(claim) = claim(leader).or_else(|| members(leader, NOW).into_iter().find_map(&mut claim)) {
        return Ownership::Ours(claim);
    }
    if hidden { Ownership::Unknown } else { Ownership::Foreign(*first) }
}

/// The sockets a connection to `target` could reach; those bound to the exact address alone, where there are any.
fn reaching(table: &[Socket], protocol: Protocol, target: SocketAddr) -> Vec<Socket> {
    let found: Vec<(Socket, bool)> = table.iter().filter_map(|s| Some((*s, s.reach(protocol, target)?))).collect();
    let any_exact = found.iter().any(|(_, exact)| *exact);
    found.into_iter().filter(|(_, exact)| *exact || !any_exact).map(|(s, _)| s).collect()
}

fn claim_in(sockets: &[Socket], pid: u32) -> io::Result<Option<Claim>> {
    if sockets.is_empty() {
        return Ok(None);
    }
    let held = os::sockets_of(pid)?;
    Ok(held.into_iter().find(|(_, id)| sockets.iter().any(|s| s.id == *id)).map(|(fd, id)| Claim { pid, fd, id }))
}

/// Everything the process group or session of `leader` listens on, sorted, with proofs, as it was at most `age` ago.
pub fn of_group(leader: u32, age: Duration) -> Vec<(Socket, Claim)> {
    let mut pids = members(leader, age);
    if !pids.contains(&leader) {
        pids.push(leader);
    }
    of_pids(&pids, age)
}

/// Everything these processes listen on, sorted, as it was at most `age` ago.
pub fn of_pids(pids: &[u32], age: Duration) -> Vec<(Socket, Claim)> {
    let tables = [table(Protocol::Tcp, age), table(Protocol::Udp, age)];
    let mut out: Vec<(Socket, Claim)> = Vec::new();
    for pid in pids {
        // A process that ended meanwhile listens on nothing.
        for (fd, id) in os::sockets_of(*pid).unwrap_or_default() {
            let is_new = out.iter().all(|(s, _)| s.id != id);
            if is_new && let Some(socket) = tables.iter().flat_map(|t| t.iter()).find(|s| s.id == id) {
                out.push((*socket, Claim { pid: *pid, fd, id }));
            }
        }
    }
    out.sort_by_key(|(socket, _)| *socket);
    out
}

/// Everything anybody here listens on, now.
pub fn all() -> Vec<Socket> {
    [Protocol::Tcp, Protocol::Udp].into_iter().flat_map(|protocol| table(protocol, NOW).to_vec()).collect()
}

/// Who holds a socket, where we may see it. Looks through all processes.
pub fn holder(socket: &Socket) -> Option<Holder> {
    os::pids().into_iter().find_map(|pid| {
        let (fd, id) = os::sockets_of(pid).ok()?.into_iter().find(|(_, id)| *id == socket.id)?;
        Some(Holder { claim: Claim { pid, fd, id }, exe: exe(pid) })
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::process::{Command, Stdio};

    use super::*;

    fn me() -> u32 {
        std::process::id()
    }

    #[test]
    fn finds_what_this_process_listens_on() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::]:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = of_pids(&[me()], NOW);
        let has = |protocol, address: SocketAddr| {
            here.iter().any(|(s, c)| s.protocol == protocol && s.address == address && c.holds())
        };
        assert!(has(Protocol::Tcp, tcp.local_addr().unwrap()));
        assert!(has(Protocol::Tcp, six.local_addr().unwrap()));
        assert!(has(Protocol::Udp, udp.local_addr().unwrap()));
        let shown: Vec<String> = here.iter().map(|(s, _)| s.to_string()).collect();
        assert!(shown.contains(&format!("{}/tcp", tcp.local_addr().unwrap())), "{shown:?}");
    }

    #[test]
    fn a_claim_ends_with_its_socket() {
        let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
        let target = SocketAddr::from(([127, 0, 0, 1], tcp.local_addr().unwrap().port()));
        let Ownership::Ours(claim) = ownership(me(), Protocol::Tcp, target) else { panic!("not ours") };
        assert!(claim.holds());
        drop(tcp);
        assert!(!claim.holds());
        assert_eq!(ownership(me(), Protocol::Tcp, target), Ownership::Nobody);
    }

    #[test]
    fn an_exact_address_wins_over_a_wildcard() {
        let at = |text: &str, id| Socket { protocol: Protocol::Tcp, address: text.parse().unwrap(), id };
        let table = [
            at("0.0.0.0:80", 1),
            at("127.0.0.1:80", 2),
            at("[::]:80", 3),
            at("[::ffff:127.0.0.1]:81", 4),
            at("10.0.0.1:82", 5),
        ];
        let ids = |target: &str| {
            reaching(&table, Protocol::Tcp, target.parse().unwrap()).iter().map(|s| s.id).collect::<Vec<_>>()
        };
        assert_eq!(ids("127.0.0.1:80"), [2]);
        assert_eq!(ids("127.0.0.2:80"), [1, 3]);
        assert_eq!(ids("[::1]:80"), [3]);
        assert_eq!(ids("127.0.0.1:81"), [4]);
        assert!(ids("127.0.0.1:82").is_empty());
    }

    #[test]
    fn a_foreign_port_is_told_with_its_holder() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = tcp.local_addr().unwrap();
        let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        // The child is in our group but leads none, so as a leader it has nobody.
        let found = ownership(other.id(), Protocol::Tcp, target);
        other.kill().unwrap();
        other.wait().unwrap();
        let Ownership::Foreign(socket) = found else { panic!("{found:?}") };
        let holder = holder(&socket).unwrap();
        assert_eq!((holder.claim.pid, holder.exe), (me(), std::env::current_exe().ok()));
    }

    #[test]
    fn members_are_those_of_the_group() {
        use std::os::unix::process::CommandExt;
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(leader.stdout.as_mut().unwrap(), &mut [0; 1]).unwrap();
        let found = members(leader.id(), NOW);
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader.id() as i32), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        leader.wait().unwrap();
        assert!(found.contains(&leader.id()) && found.len() == 2, "{found:?}");
        assert_eq!(tracer(me()), None);
    }
}
