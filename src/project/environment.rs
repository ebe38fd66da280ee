//! What an instance finds in its environment, and who put it there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use super::ports::AutoPorts;
use super::resolve::{CallerEnv, ResolveInput};
use super::{Project, Service};
use crate::config::env::{self, Layer, Layers, Origin, Raw, Variable};
use crate::config::problem::Problem;
use crate::config::values::{self, PortNumber};
use crate::services::neighbours::port_key;
use crate::task::environment::{Environment, Pair};
use crate::task::id::ServiceName;
use crate::task::spec::{Port, Protocol};

/// A port as the service declares it, its number known but for the instance.
#[derive(Clone, Debug)]
pub struct BasePort {
    /// Its name.
    pub name: String,
    /// The number of instance 1, or any.
    pub number: PortNumber,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it is given.
    pub place: crate::config::tree::Place,
}

/// The layers that many instances share, made once per request.
#[derive(Debug)]
pub struct Shared {
    project_file: Layer,
    project: Layer,
    callers: Vec<OfCaller>,
    here: Found,
    inside: Found,
    color: Layer,
}

/// Where something runs: addresses differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// On this machine.
    #[default]
    Here,
    /// In a container on the project's network.
    Inside,
}

/// Addresses of services and vendors, by whose they are.
pub type Addresses = BTreeMap<ServiceName, Vec<(OsString, OsString)>>;

/// The addresses of everything with a port, seen from one side.
#[derive(Debug, Default)]
struct Found {
    by_name: Addresses,
    layer: Layer,
    /// The same, sorted by the name of the variable: one list for every instance.
    sorted: Arc<Vec<Pair>>,
}

impl Found {
    fn new(by_name: Addresses) -> Found {
        let sorted: BTreeMap<OsString, OsString> = by_name.values().flatten().cloned().collect();
        let layer = by_name.values().flat_map(|pairs| env::exact(pairs)).collect();
        Found { by_name, layer, sorted: Arc::new(sorted.into_iter().collect()) }
    }
}

/// The layers of one caller.
#[derive(Debug)]
struct OfCaller {
    who: Arc<CallerEnv>,
    env: Layer,
    command: Layer,
}

/// The layers of one service.
#[derive(Debug)]
pub struct OfService {
    file: Layer,
    own: Layer,
    line: Layer,
}

impl Shared {
    /// The layers that do not depend on the service.
    pub fn new(project: &Project, input: &ResolveInput<'_>) -> Shared {
        let mut callers: Vec<OfCaller> = Vec::new();
        for who in input.callers.values().chain([&input.default_caller]) {
            if !callers.iter().any(|known| Arc::ptr_eq(&known.who, who)) {
                let command = project.sections.get(&who.command).map(|section| layer(&section.env)).unwrap_or_default();
                callers.push(OfCaller { who: who.clone(), env: env::exact(&who.env), command });
            }
        }
        let one = |key: &str| (OsString::from(key), Raw::Exact("1".into()));
        Shared {
            project_file: layer(&project.file_env),
            project: layer(&project.section.env),
            callers,
            here: Found::default(),
            inside: Found::default(),
            color: [one("CLICOLOR_FORCE"), one("FORCE_COLOR")].into(),
        }
    }

    /// Tells the addresses of everything with a port: as this machine finds it, and as a container does.
    pub fn publish(&mut self, here: Addresses, inside: Addresses) {
        (self.here, self.inside) = (Found::new(here), Found::new(inside));
    }

    fn found(&self, side: Side) -> &Found {
        match side {
            Side::Here => &self.here,
            Side::Inside => &self.inside,
        }
    }

    /// How one is found.
    pub fn addresses(&self, of: &ServiceName, side: Side) -> Option<&Vec<(OsString, OsString)>> {
        self.found(side).by_name.get(of)
    }

    /// The whole environment: an instance's own variables and the addresses among them. In a big project there are thousands of addresses, which is
    /// why they do not go through the layers once per instance, and are not copied for each.
    pub fn with_addresses(&self, own: BTreeMap<OsString, Variable>, side: Side) -> Environment {
        let own = own.into_iter().map(|(key, variable)| (key, variable.value)).collect();
        Environment::new(own, self.found(side).sorted.clone())
    }

    /// The layers of the project alone, as `export` and the hooks of commands see them.
    pub fn of_project(&self, caller: &Arc<CallerEnv>) -> Layers<'_> {
        self.seen_from(Side::Here, caller)
    }

    fn seen_from(&self, side: Side, caller: &Arc<CallerEnv>) -> Layers<'_> {
        let mut layers = Layers::default();
        let caller = self.callers.iter().find(|known| Arc::ptr_eq(&known.who, caller));
        if let Some(caller) = caller {
            layers.push(Origin::Caller, &caller.env);
        }
        layers.push(Origin::Found, &self.found(side).layer);
        layers.push(Origin::ProjectFile, &self.project_file);
        layers.push(Origin::Project, &self.project);
        if let Some(caller) = caller {
            layers.push(Origin::Command, &caller.command);
        }
        layers
    }

    /// All layers of a service, as one side sees it, but what orchestra sets for the instance.
    pub fn of_service<'a>(
        &'a self,
        service: &Service,
        own: &'a OfService,
        (caller, side): (&Arc<CallerEnv>, Side),
    ) -> Layers<'a> {
        let mut layers = self.seen_from(side, caller);
        if service.config.color {
            layers.insert_below(Origin::Found, Origin::Color, &self.color);
        }
        layers.push(Origin::ServiceFile, &own.file);
        layers.push(Origin::Service, &own.own);
        layers.push(Origin::Line, &own.line);
        layers
    }
}

impl OfService {
    /// The layers of one service.
    pub fn new(service: &Service, line: &[(OsString, OsString)]) -> OfService {
        OfService { file: layer(&service.file_env), own: layer(&service.config.env), line: env::exact(line) }
    }
}

fn layer(pairs: &[(String, crate::config::template::Template)]) -> Layer {
    env::templates(pairs.iter().map(|(key, value)| (key.as_str(), value)))
}

/// Reads the ports of a service; their numbers may name variables of its files and its caller, not of orchestra.
pub fn base_ports(service: &Service, layers: &Layers<'_>) -> Result<Vec<BasePort>, Vec<Problem>> {
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    for port in &service.config.ports {
        let text = match layers.fill_text(&port.number) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match values::port(text.trim()) {
            Ok((number, protocol)) => {
                out.push(BasePort { name: port.name.clone(), number, protocol, place: port.place.clone() })
            }
            Err(message) => problems.push(Problem::at(&port.place, format!("`ports.{}`: {message}", port.name))),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

/// The ports of one instance: each fixed one is the first's plus the index.
pub fn instance_ports(
    service: &ServiceName,
    instance: u32,
    base: &[BasePort],
    offset: i32,
    auto: &mut dyn AutoPorts,
) -> Result<Vec<Port>, Problem> {
    let mut out = Vec::new();
    for port in base {
        let number = match port.number {
            PortNumber::Auto => auto
                .port(service, &port.name, instance, port.protocol)
                .map_err(|message| Problem::at(&port.place, format!("`{service}.{instance}`: {message}")))?,
            PortNumber::Fixed(first) => {
                let number = i64::from(first) + i64::from(offset) + i64::from(instance) - 1;
                u16::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
                    let message = format!("`{service}.{instance}` would listen on port {number}, which does not exist");
                    Problem::at(&port.place, message)
                        .hint("each further instance takes the next number, and the port offset is added")
                })?
            }
        };
        out.push(Port { name: port.name.clone(), number, protocol: port.protocol });
    }
    Ok(out)
}

/// The port that `PORT` names: the one called `http`, else the first.
pub fn main_port(ports: &[Port]) -> Option<&Port> {
    ports.iter().find(|port| port.name == "http").or(ports.first())
}

/// Where services of this machine listen.
pub const LOCAL: &str = "127.0.0.1";

/// The variables by which others find a service: of its instance 1, or a vendor.
pub fn addresses(name: &ServiceName, host: &str, ports: &[Port]) -> Vec<(OsString, OsString)> {
    let Some(main) = main_port(ports) else { return Vec::new() };
    let key = name.env_key();
    let address = match host.contains(':') {
        true => format!("[{host}]:{}", main.number),
        false => format!("{host}:{}", main.number),
    };
    let mut out = vec![
        (format!("{key}_HOST"), host.to_owned()),
        (format!("{key}_PORT"), main.number.to_string()),
        (format!("{key}_ADDR"), address),
    ];
    out.extend(ports.iter().map(|port| (format!("{key}_PORT_{}", port_key(&port.name)), port.number.to_string())));
    out.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// How the containers of services find this machine.
pub const GATEWAY: &str = "host.docker.internal";

/// How an instance that runs in a container is found on the project's network. No service can be called so.
pub fn alias(service: &ServiceName, number: u32) -> String {
    format!("{service}.{number}")
}

/// What orchestra sets for one instance. `all` are the ports of every instance, by number from 1.
pub fn own(project: &Project, service: &ServiceName, instance: u32, all: &[Vec<Port>], side: Side) -> Layer {
    let index = instance.max(1) - 1;
    let ports = all.get(index as usize).map(Vec::as_slice).unwrap_or_default();
    let mut pairs = vec![
        ("ORCHESTRA_PROJECT".to_owned(), project.name.clone()),
        ("ORCHESTRA_SERVICE".to_owned(), service.to_string()),
        ("ORCHESTRA_INSTANCE".to_owned(), instance.to_string()),
        ("ORCHESTRA_INDEX".to_owned(), index.to_string()),
        ("ORCHESTRA_SCALE".to_owned(), all.len().to_string()),
    ];
    pairs.extend(main_port(ports).map(|port| ("PORT".to_owned(), port.number.to_string())));
    for (index, port) in ports.iter().enumerate() {
        let key = port_key(&port.name);
        let host = |number: u32| match side {
            Side::Here => LOCAL.to_owned(),
            Side::Inside => alias(service, number),
        };
        let peers = all.iter().zip(1..);
        let peers: Vec<String> =
            peers.filter_map(|(ports, n)| Some(format!("{}:{}", host(n), ports.get(index)?.number))).collect();
        pairs.push((format!("PORT_{key}"), port.number.to_string()));
        pairs.push((format!("{PEERS}{key}"), peers.join(",")));
    }
    pairs.into_iter().map(|(key, value)| (OsString::from(key), Raw::Exact(value.into()))).collect()
}

/// The beginning of the variables that list all instances.
pub const PEERS: &str = "ORCHESTRA_PEERS_";

/// Whether a variable changes although nothing that concerns this instance did.
pub fn is_about_others(key: &OsStr) -> bool {
    key.to_str().is_some_and(|key| key == "ORCHESTRA_SCALE" || key.starts_with(PEERS))
}

/// Bytes as a text of the system.
pub fn os(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}
