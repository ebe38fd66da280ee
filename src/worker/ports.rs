//! Looks whether the declared ports are free before a run is started, and waits a little for one that is just being given up: a start into a held
//! port would crash-loop and never say why.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, setsockopt, socket, sockopt};
use tokio::time::Instant;

use super::{StartFailure, projects};
use crate::strays::{Fate, Finding};
use crate::sys::{inspect, listeners};
use crate::task::spec::{Port, Protocol};

/// A port still held after so long fails the start.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of a holder's arguments so much is told.
const SHOWN: usize = 200;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// The first port that somebody holds now.
pub fn first_held(ports: &[Port]) -> Option<&Port> {
    ports.iter().find(|port| is_held(port))
}

/// Waits until every port is free, for a short time; then names the holder of the first that is not, and what was found out about it in a search for
/// strays.
pub async fn wait_until_free(ports: &[Port], strays: &[Finding]) -> Result<(), StartFailure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let Some(held) = first_held(ports) else { return Ok(()) };
        if Instant::now() >= until {
            return Err(StartFailure {
                message: held_words(held, strays),
                port: true,
                transient: false,
                absent: false,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a program could not listen on the port on this machine's own addresses. What cannot be found out counts as free: the program itself will
/// say what is wrong.
fn is_held(port: &Port) -> bool {
    let v4 = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.number));
    let v6 = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port.number, 0, 0));
    [v4, v6].into_iter().any(|address| try_bind(address, port.protocol) == Err(Errno::EADDRINUSE))
}

/// Binds and lets go at once, without ever listening: nobody can connect meanwhile.
fn try_bind(address: SocketAddr, protocol: Protocol) -> Result<(), Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let probe = socket(family, kind, SockFlag::empty(), None)?;
    if protocol == Protocol::Tcp {
        // As Go's net package does: connections in TIME_WAIT hold no port.
        setsockopt(&probe, sockopt::ReuseAddr, &true)?;
    }
    match address {
        SocketAddr::V4(v4) => bind(probe.as_raw_fd(), &SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => bind(probe.as_raw_fd(), &SockaddrIn6::from(v6)),
    }
}

/// `port 8080 (http) is held by pid 71 (/usr/bin/python3): python3 -m http.server 8080`
fn held_words(port: &Port, strays: &[Finding]) -> String {
    let holder = listeners::on_port(port.protocol, port.number).iter().find_map(listeners::holder);
    let mut words = format!("port {} ({}) is held by ", port.number, port.name);
    let Some(holder) = holder else {
        words.push_str("a process that cannot be seen from here");
        return words;
    };
    let pid = holder.claim.pid;
    words.push_str(&format!("pid {pid}"));
    if let Some(exe) = &holder.exe {
        words.push_str(&format!(" ({})", exe.display()));
    }
    let argv = inspect::argv(pid).unwrap_or_default();
    if !argv.is_empty() {
        let argv: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
        let line = argv.join(" ");
        words
            .push_str(&format!(": {}", line.get(..line.floor_char_boundary(SHOWN)).unwrap_or_default().escape_debug()));
    }
    if let Some(other) = projects::of(pid) {
        words.push_str(&format!(
            "; it is {} of the orchestra project in {}. `orchestra start --port-offset 100` gives this one ports of its own",
            other.copy,
            other.root.as_ref().map_or_else(|| "an unknown folder".to_owned(), |root| format!("`{}`", root.display())),
        ));
    } else if let Some(Finding { stray, fate: Fate::Left(why) }) = strays.iter().find(|found| found.stray.pid == pid) {
        words.push_str(&format!(
            "; it is a stray of `{}` (rule {}), left alone: {why}",
            stray.service,
            stray.rule.word()
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn port(number: u16, protocol: Protocol) -> Port {
        Port { name: "http".into(), number, protocol }
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_port_is_named_with_its_holder() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let number = listener.local_addr().unwrap().port();
            let failure = wait_until_free(&[port(number, Protocol::Tcp)], &[]).await.unwrap_err();
            assert!(failure.port);
            let start = format!("port {number} (http) is held by pid {} (", std::process::id());
            assert!(failure.message.starts_with(&start), "{}", failure.message);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn udp_and_tcp_on_one_number_are_two_ports() {
        // Some other program may hold the number for TCP: then another is tried.
        let free_for_tcp = |udp: &UdpSocket| TcpListener::bind(udp.local_addr().unwrap()).is_ok();
        let mut sockets = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap());
        let udp = sockets.find(free_for_tcp).unwrap();
        let number = udp.local_addr().unwrap().port();
        assert!(wait_until_free(&[port(number, Protocol::Tcp)], &[]).await.is_ok());
        assert!(wait_until_free(&[port(number, Protocol::Udp)], &[]).await.is_err());
    }
}
