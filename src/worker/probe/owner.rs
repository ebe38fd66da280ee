//! Proves that what answers on a port belongs to the run, and remembers the proof: the whole process table is looked at only when there is none.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::ask::Answer;
use crate::sys::family;
use crate::sys::listeners::{self, Claim, Ownership, Socket};
use crate::task::spec::Protocol;
use crate::worker::Holder;

/// A port held by a stranger is looked at anew this often, as that takes a look at every process.
const STRANGER: Duration = Duration::from_secs(1);

/// What is only shown, or asked again soon, may be this old: hundreds of instances that start together share one look at all processes.
const RECENT: Duration = Duration::from_millis(100);
/// A service that accepts on neither loopback address after so many tries may listen on another address of this machine only.
const ELSEWHERE: u32 = 8;
/// At most so many looks at a time: they wait for the same locks anyway.
static LOOKS: Semaphore = Semaphore::const_new(2);

/// How a connection went.
pub(super) enum Connected {
    Yes(TcpStream),
    /// One sentence.
    No(String),
    Foreign(Holder),
}

/// What is known about the sockets of one run.
pub(super) struct Owner {
    leader: u32,
    /// It runs below a debugger of ours, which holds it for good: only one that stands still is held.
    below_debugger: bool,
    claims: HashMap<(Protocol, SocketAddr), Claim>,
    stranger: Option<Stranger>,
    listener: Option<Claim>,
    /// The group, when it was last looked at as a whole.
    members: Vec<u32>,
    refusals: u32,
}

/// What was found out about a connection.
enum Proof {
    Ours,
    Foreign(Holder),
    /// Something answers, but nothing here listens: the kernel sends the port elsewhere, or it closed meanwhile.
    Nothing,
}

struct Stranger {
    target: SocketAddr,
    holder: Holder,
    claim: Option<Claim>,
    seen: Instant,
}

impl Stranger {
    fn is_still_there(&self, target: SocketAddr) -> bool {
        self.target == target && self.claim.map_or(self.seen.elapsed() < STRANGER, |c| c.holds())
    }
}

impl Owner {
    pub(super) fn new(leader: u32, below_debugger: bool) -> Owner {
        Owner {
            leader,
            below_debugger,
            claims: HashMap::new(),
            stranger: None,
            listener: None,
            members: vec![leader],
            refusals: 0,
        }
    }

    /// Connects to a port of this machine, by IPv4 or else IPv6, and proves whose it is.
    pub(super) async fn connect_local(&mut self, port: u16) -> Connected {
        let first = self.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
        match first {
            Connected::No(reason) => match self.connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
                Connected::No(_) => match self.elsewhere(port) {
                    Some(address) => self.connect(address).await,
                    None => Connected::No(reason),
                },
                other => other,
            },
            other => other,
        }
    }

    /// Where else the run listens on a port, looked for now and then.
    fn elsewhere(&mut self, port: u16) -> Option<SocketAddr> {
        self.refusals += 1;
        if self.refusals < ELSEWHERE || !self.refusals.is_power_of_two() && !self.refusals.is_multiple_of(ELSEWHERE) {
            return None;
        }
        let here = listeners::of_pids(&self.members, RECENT).into_iter().map(|(socket, _)| socket);
        let matches = |s: &Socket| s.protocol == Protocol::Tcp && s.address.port() == port;
        here.filter(matches).map(|s| s.address).find(|a| !a.ip().is_unspecified())
    }

    /// Connects to an address and proves whose it is.
    pub(super) async fn connect(&mut self, target: SocketAddr) -> Connected {
        match open(target).await {
            Ok(stream) => match self.prove(Protocol::Tcp, target).await {
                Proof::Ours => Connected::Yes(stream),
                Proof::Foreign(holder) => Connected::Foreign(holder),
                Proof::Nothing => Connected::No(format!(
                    "port {} answers, but no process of this service listens there",
                    target.port()
                )),
            },
            Err(reason) => Connected::No(reason),
        }
    }

    /// Whether a UDP port is bound by the run.
    pub(super) async fn bound(&mut self, port: u16) -> Answer {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let leader = self.leader;
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let found = off_thread(move || match listeners::ownership(leader, Protocol::Udp, target) {
            Ownership::Nobody => listeners::ownership(leader, Protocol::Udp, six),
            other => other,
        });
        match found.await {
            Some(Ownership::Ours(_) | Ownership::Unknown) => Answer::Yes,
            Some(Ownership::Foreign(socket)) => Answer::Foreign(self.stranger(target, socket).await),
            Some(Ownership::Nobody) | None => Answer::No(format!("UDP port {port} is not bound")),
        }
    }

    async fn prove(&mut self, protocol: Protocol, target: SocketAddr) -> Proof {
        let key = (protocol, target);
        if self.claims.get(&key).is_some_and(Claim::holds) {
            return Proof::Ours;
        }
        self.claims.remove(&key);
        if let Some(stranger) = self.stranger.as_ref().filter(|s| s.is_still_there(target)) {
            return Proof::Foreign(stranger.holder.clone());
        }
        match listeners::ownership(self.leader, protocol, target) {
            Ownership::Ours(claim) => {
                self.stranger = None;
                self.claims.insert(key, claim);
                Proof::Ours
            }
            Ownership::Unknown => Proof::Ours,
            Ownership::Nobody => Proof::Nothing,
            Ownership::Foreign(socket) => Proof::Foreign(self.stranger(target, socket).await),
        }
    }

    async fn stranger(&mut self, target: SocketAddr, socket: Socket) -> Holder {
        let found = off_thread(move || listeners::holder(&socket)).await.flatten();
        let holder = Holder {
            port: target.port(),
            pid: found.as_ref().map(|f| f.claim.pid),
            exe: found.as_ref().and_then(|f| f.exe.clone()),
        };
        let claim = found.map(|f| f.claim);
        self.stranger = Some(Stranger { target, holder: holder.clone(), claim, seen: Instant::now() });
        holder
    }

    /// Whether the group listens anywhere. UDP on a port the kernel gave is a client's socket, not a listener.
    pub(super) async fn any_listener(&mut self) -> bool {
        if self.listener.is_some_and(|c| c.holds()) {
            return true;
        }
        let leader = self.leader;
        let quick = listeners::of_pids(&[leader], RECENT);
        let found =
            if quick.is_empty() { off_thread(move || listeners::of_group(leader, RECENT)).await } else { Some(quick) };
        let (first, last) = listeners::ephemeral_ports();
        let serves = |s: &Socket| s.protocol == Protocol::Tcp || !(first..=last).contains(&s.address.port());
        self.listener = found.unwrap_or_default().into_iter().find(|(s, _)| serves(s)).map(|(_, claim)| claim);
        self.listener.is_some()
    }

    /// Whether [`Owner::any_listener`] found one.
    pub(super) fn has_listener(&self) -> bool {
        self.listener.is_some()
    }

    /// What the group listens on, in words; a process that joined it since is found.
    pub(super) async fn listening(&mut self) -> Vec<String> {
        let leader = self.leader;
        let mut members = off_thread(move || listeners::members(leader, RECENT)).await.unwrap_or_default();
        if !members.contains(&leader) {
            members.push(leader);
        }
        self.members = members;
        self.listening_of_known()
    }

    /// What the processes that were found last listen on, in words.
    pub(super) fn listening_of_known(&self) -> Vec<String> {
        let found = listeners::of_pids(&self.members, RECENT);
        let mut out: Vec<String> = found.into_iter().map(|(socket, _)| socket.to_string()).collect();
        out.dedup();
        out
    }

    /// Whether a debugger holds the leader or a process that listens for the run.
    pub(super) async fn is_debugged(&self) -> bool {
        if self.below_debugger {
            return self.stands_still().await;
        }
        let listening = self.claims.values().map(|c| c.pid).chain(self.listener.map(|c| c.pid));
        std::iter::once(self.leader).chain(listening).any(|pid| listeners::tracer(pid).is_some())
    }

    /// Whether a debugger has stopped a process of the run, as at a breakpoint.
    async fn stands_still(&self) -> bool {
        let leader = self.leader;
        let is_held = |pid: &u32| listeners::tracer(*pid).is_some() && family::is_held(*pid);
        let look = move || listeners::members(leader, RECENT).iter().any(is_held);
        off_thread(look).await.unwrap_or(false)
    }
}

/// A connection the kernel made with itself, as it can on a port of its own range, is none.
async fn open(target: SocketAddr) -> Result<TcpStream, String> {
    let place = match target.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => format!("port {}", target.port()),
        _ => target.to_string(),
    };
    match TcpStream::connect(target).await {
        Ok(stream) if stream.local_addr().is_ok_and(|local| local == target) => Err(format!("{place} does not accept")),
        Ok(stream) => Ok(stream),
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Err(format!("{place} does not accept")),
        Err(e) => Err(format!("{place} cannot be reached: {e}")),
    }
}

/// Looking at every process takes milliseconds, in which the supervisor must not stand still.
async fn off_thread<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = LOOKS.acquire().await.ok()?;
    spawn_blocking(look).await.ok()
}
