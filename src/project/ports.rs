//! Free ports for `auto`, chosen once and kept in `.orchestra/state/ports.json`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Project;
use crate::config::values::{self, PortNumber};
use crate::error::PathError;
use crate::store::{self, Read};
use crate::task::id::{InstanceId, ServiceName};
use crate::task::spec::Protocol;

/// Gives ports to those that ask for any free one.
pub trait AutoPorts {
    /// The port of one instance: always the same for the same question.
    fn port(&mut self, service: &ServiceName, name: &str, instance: u32, protocol: Protocol) -> Result<u16, String>;
}

/// Where no kernel says what it gives to outgoing connections: what IANA recommends, and what macOS does.
const DEFAULT_EPHEMERAL: RangeInclusive<u16> = 49152..=65535;
/// Below this stand the numbers that people choose themselves.
const LOWEST: u16 = 20_000;

/// The choices of one project.
#[derive(Debug)]
pub struct PortBook {
    file: PathBuf,
    chosen: BTreeMap<String, u16>,
    declared: HashSet<u16>,
    candidates: Vec<u16>,
    seed: u64,
    changed: bool,
}

impl PortBook {
    /// Opens the book in a project's state folder. A file that cannot be understood counts as empty: the choices are made anew.
    pub fn open(state: &Path, project: &Project) -> Result<PortBook, PathError> {
        let file = state.join("ports.json");
        let chosen = match store::read(&file)? {
            Read::Value(chosen) => chosen,
            Read::Missing | Read::Corrupt(_) => BTreeMap::new(),
        };
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        let candidates = candidates(&range.and_then(|text| ephemeral(&text)).unwrap_or(DEFAULT_EPHEMERAL));
        let seed = super::settings::Hash::new().text(&project.root.to_string_lossy()).short();
        Ok(PortBook { file, chosen, declared: declared(project), candidates, seed, changed: false })
    }

    /// Takes over what a changed project declares.
    pub fn declare(&mut self, project: &Project) {
        self.declared = declared(project);
    }

    /// Drops the choices of one instance, whose port turned out to be held by somebody else: the next question chooses anew.
    pub fn forget(&mut self, instance: &InstanceId) {
        let start = format!("{instance}/");
        let before = self.chosen.len();
        self.chosen.retain(|key, _| !key.starts_with(&start));
        self.changed |= self.chosen.len() != before;
    }

    /// Writes new choices down, by rename.
    pub fn save(&mut self) -> Result<(), PathError> {
        if !self.changed {
            return Ok(());
        }
        store::replace(&self.file, &self.chosen)?;
        self.changed = false;
        Ok(())
    }
}

impl AutoPorts for PortBook {
    fn port(&mut self, service: &ServiceName, name: &str, instance: u32, protocol: Protocol) -> Result<u16, String> {
        let word = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let key = format!("{service}.{instance}/{name}/{word}");
        if let Some(port) = self.chosen.get(&key).filter(|port| !self.declared.contains(port)) {
            return Ok(*port);
        }
        let taken: HashSet<u16> = self.chosen.values().copied().collect();
        let start =
            (super::settings::Hash::new().text(&key).short() ^ self.seed) as usize % self.candidates.len().max(1);
        let (before, after) = self.candidates.split_at(start.min(self.candidates.len()));
        let free = |port: &&u16| !taken.contains(port) && !self.declared.contains(port) && is_free(**port, protocol);
        let Some(port) = after.iter().chain(before).find(free).copied() else {
            return Err("no port is free outside the range the system gives to connections".to_owned());
        };
        self.chosen.insert(key, port);
        self.changed = true;
        Ok(port)
    }
}

/// Every fixed number that somebody has, with room for further instances.
fn declared(project: &Project) -> HashSet<u16> {
    let mut out = HashSet::new();
    for service in project.services.values() {
        for port in &service.config.ports {
            let number = port.number.constant().and_then(|text| values::port(text.trim()).ok());
            if let Some((PortNumber::Fixed(number), _)) = number {
                let last = number.saturating_add(u16::try_from(service.config.scale.clamp(1, 1000)).unwrap_or(1) - 1);
                out.extend(number..=last);
            }
        }
    }
    out.extend(all_of_vendors(project));
    out
}

/// Those of vendors that are not started by themselves, too.
fn all_of_vendors(project: &Project) -> impl Iterator<Item = u16> {
    project.vendors.values().flat_map(|vendor| &vendor.config.ports).filter_map(|port| port.host)
}

/// Reads two numbers with blanks between them.
fn ephemeral(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace();
    Some(words.next()?.parse().ok()?..=words.next()?.parse().ok()?)
}

fn candidates(ephemeral: &RangeInclusive<u16>) -> Vec<u16> {
    let outside: Vec<u16> = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).collect();
    if outside.is_empty() { (1024..LOWEST).filter(|port| !ephemeral.contains(port)).collect() } else { outside }
}

/// Nobody listens there, on either loopback address.
fn is_free(port: u16, protocol: Protocol) -> bool {
    let addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    addresses.iter().all(|address| {
        let bound = match protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        };
        match bound {
            // Some systems let a socket be bound beside one that has the port on all addresses.
            Ok(()) => {
                protocol == Protocol::Udp || TcpStream::connect_timeout(address, Duration::from_millis(50)).is_err()
            }
            // A machine without IPv6 has no holder there.
            Err(error) => error.kind() == ErrorKind::AddrNotAvailable || error.kind() == ErrorKind::Unsupported,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::load::{LoadOptions, load};

    fn project(root: &Path, ports: &str) -> Project {
        fs::create_dir_all(root.join("api")).unwrap();
        fs::write(root.join("orchestra.yml"), "").unwrap();
        fs::write(root.join("api/main.go"), "package main").unwrap();
        fs::write(root.join("api/service.yml"), format!("ports: {ports}")).unwrap();
        load(root, &LoadOptions::default()).unwrap()
    }

    #[test]
    fn a_choice_is_kept_and_never_one_that_is_taken_or_declared() {
        let temp = tempfile::tempdir().unwrap();
        let project = project(temp.path(), "{http: auto}");
        let state = temp.path().join("state");
        let api = ServiceName::fold("api").unwrap();
        let mut book = PortBook::open(&state, &project).unwrap();
        let first = book.port(&api, "http", 1, Protocol::Tcp).unwrap();
        let second = book.port(&api, "http", 2, Protocol::Tcp).unwrap();
        assert_ne!(first, second);
        assert!(first >= LOWEST && !(32768..=60999).contains(&first) || first > 1024);
        book.save().unwrap();
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first));
        let mut again = PortBook::open(&state, &project).unwrap();
        assert_eq!(again.port(&api, "http", 1, Protocol::Tcp).unwrap(), first, "its own instance may hold it");

        again.forget(&InstanceId { service: api.clone(), number: 2 });
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, second)).unwrap();
        assert_ne!(
            again.port(&api, "http", 2, Protocol::Tcp).unwrap(),
            second,
            "a forgotten one that is held is not chosen again"
        );

        let declaring = super::tests::project(temp.path(), &format!("{{http: auto, other: {first}}}"));
        again.declare(&declaring);
        assert_ne!(again.port(&api, "http", 1, Protocol::Tcp).unwrap(), first);
    }

    #[test]
    fn a_new_choice_avoids_ports_in_use() {
        let temp = tempfile::tempdir().unwrap();
        let project = project(temp.path(), "{http: auto}");
        let api = ServiceName::fold("api").unwrap();
        let choose = || PortBook::open(temp.path(), &project).unwrap().port(&api, "x", 1, Protocol::Tcp).unwrap();
        let first = choose();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert_ne!(choose(), first);
        drop(held);
    }

    #[test]
    fn the_range_of_connections_is_avoided() {
        assert_eq!(ephemeral("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(candidates(&(32768..=60999)).len(), (32768 - 20000) + (65536 - 61000));
        assert!(candidates(&(1024..=65535)).is_empty());
        assert_eq!(candidates(&(20000..=65535)).len(), 20000 - 1024);
    }

    #[test]
    fn a_broken_book_is_begun_anew() {
        let temp = tempfile::tempdir().unwrap();
        let project = project(temp.path(), "{http: auto}");
        fs::write(temp.path().join("ports.json"), "{\"api").unwrap();
        assert!(PortBook::open(temp.path(), &project).is_ok());
    }
}
