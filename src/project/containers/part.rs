//! What is known of a vendor before its container is: its ports on this machine and where its variables come from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::config::env::{self, Layer, Layers, Origin, Raw, Variable};
use crate::config::problem::Problem;
use crate::config::template::Template;
use crate::project::clashes::Claim;
use crate::project::environment::{self, LOCAL, Shared};
use crate::project::ports::AutoPorts;
use crate::project::resolve::{CallerEnv, Overrides, ResolveInput};
use crate::project::vendors::Vendor;
use crate::task::container::{Network, Published};
use crate::task::id::ServiceName;
use crate::task::spec::Port;
use crate::vendors::read;
use crate::vendors::spec::{Dialect, PortConfig};

/// What is known of one vendor before its container is.
pub(in crate::project) struct VendorPart<'a> {
    pub(in crate::project) vendor: &'a Vendor,
    pub(in crate::project) wanted: bool,
    pub(super) caller: Arc<CallerEnv>,
    layers: OfVendor,
    /// The ports of this machine, in the order of the file.
    pub(in crate::project) ports: Vec<Port>,
    pub(super) published: Vec<Published>,
    declared: Vec<PortConfig>,
    network: Network,
}

/// The layers of one vendor.
struct OfVendor {
    /// The `.env` beside its Compose file.
    beside: Layer,
    /// The caller's, which beats that.
    caller: Layer,
    file: Layer,
    own: Layer,
    line: Layer,
}

impl OfVendor {
    fn new(vendor: &Vendor, caller: &CallerEnv, line: &[(OsString, OsString)]) -> OfVendor {
        let template = |(key, value): (&str, &Template)| (key.into(), Raw::Template(value.clone()));
        let own = vendor.config.env.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_ref()?)));
        let file = |pairs: &[(String, Template)]| -> Layer {
            pairs.iter().map(|(key, value)| template((key.as_str(), value))).collect()
        };
        OfVendor {
            beside: file(&vendor.head.dotenv),
            caller: env::exact(&caller.env),
            file: file(&vendor.file_env),
            own: own.map(template).collect(),
            line: env::exact(line),
        }
    }
}

impl VendorPart<'_> {
    /// What the variables of whoever starts it mean, its own environment not counted.
    pub(super) fn outer<'s>(&'s self, shared: &'s Shared) -> Layers<'s> {
        outer(self.vendor.dialect, &self.layers, shared, &self.caller)
    }

    /// What the variables of its section mean.
    pub(super) fn inner<'s>(&'s self, shared: &'s Shared, own: &'s Layer) -> Layers<'s> {
        let mut layers = self.outer(shared);
        if self.vendor.dialect == Dialect::Project {
            layers.push(Origin::ServiceFile, &self.layers.file);
            layers.push(Origin::Service, &self.layers.own);
            layers.push(Origin::Line, &self.layers.line);
            layers.push(Origin::Orchestra, own);
        }
        layers
    }

    /// What its container finds in its environment.
    pub(in crate::project) fn variables(&self, shared: &Shared) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let (own, outer) = (&self.layers, self.outer(shared));
        let mut all = self.outer(shared);
        all.push(Origin::ServiceFile, &own.file);
        if self.vendor.dialect == Dialect::Project {
            all.push(Origin::Service, &own.own);
        }
        let (mut out, mut problems) = (BTreeMap::new(), Vec::new());
        let mut set = |key: &str, origin: Origin, value: Result<Option<Vec<u8>>, Problem>| match value {
            Ok(Some(value)) => drop(out.insert(key.into(), Variable { origin, value: environment::os(value) })),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        };
        for (key, _) in self.vendor.file_env.iter().filter(|(key, _)| !own.own.contains_key(OsStr::new(key))) {
            set(key, Origin::ServiceFile, all.get(key));
        }
        for (key, value) in &self.vendor.config.env {
            let value = match (value, self.vendor.dialect) {
                (None, _) => outer.get(key),
                // Of a Compose file no variable sees another one of the same container.
                (Some(value), Dialect::Compose) => outer.fill(value).map(Some),
                (Some(_), Dialect::Project) => all.get(key),
            };
            set(key, Origin::Service, value);
        }
        for (key, value) in &own.line {
            if let Raw::Exact(value) = value {
                out.insert(key.clone(), Variable { origin: Origin::Line, value: value.clone() });
            }
        }
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// The address under which this machine's services find it.
    pub(in crate::project) fn host(&self) -> &str {
        let main = environment::main_port(&self.ports).map(|port| port.number);
        let published = self.published.iter().find(|published| Some(published.host) == main);
        match published.map_or(LOCAL, |published| published.address.as_str()) {
            "0.0.0.0" => LOCAL,
            "::" => "::1",
            address => address,
        }
    }

    /// The address under which containers of services find it, and its ports there.
    pub(in crate::project) fn inside(&self) -> (&str, Vec<Port>) {
        let own = |(port, declared): (&Port, &PortConfig)| Port { number: declared.container, ..port.clone() };
        match self.network {
            Network::Project { .. } => {
                (self.vendor.config.name.as_str(), self.ports.iter().zip(&self.declared).map(own).collect())
            }
            Network::Host | Network::None => (environment::GATEWAY, self.ports.clone()),
        }
    }

    pub(in crate::project) fn claims(&self) -> Vec<Claim> {
        let of = |(port, declared): (&Port, &PortConfig)| Claim {
            service: self.vendor.config.name.clone(),
            instance: 0,
            port: port.name.clone(),
            number: u32::from(port.number),
            protocol: port.protocol,
            place: declared.at.0.clone(),
        };
        self.ports.iter().zip(&self.declared).map(of).collect()
    }
}

/// The layers of whoever starts it and of the project, or of the `.env` beside its Compose file.
fn outer<'s>(dialect: Dialect, own: &'s OfVendor, shared: &'s Shared, caller: &Arc<CallerEnv>) -> Layers<'s> {
    match dialect {
        Dialect::Project => shared.of_project(caller),
        Dialect::Compose => {
            let mut layers = Layers::default();
            layers.push(Origin::ProjectFile, &own.beside);
            layers.push(Origin::Caller, &own.caller);
            layers
        }
    }
}

/// What must be known of a vendor before others find it.
pub(in crate::project) fn part<'a>(
    vendor: &'a Vendor,
    wanted: bool,
    shared: &Shared,
    offset: i32,
    input: &mut ResolveInput<'_>,
) -> Result<VendorPart<'a>, Vec<Problem>> {
    let name = &vendor.config.name;
    let none = Overrides::default();
    let overrides = input.overrides.get(name).unwrap_or(&none);
    let caller = input.callers.get(name).unwrap_or(&input.default_caller).clone();
    let layers = OfVendor::new(vendor, &caller, &overrides.env);
    let offset = overrides.port_offset.unwrap_or(offset);
    let (declared, network) = {
        let outer = outer(vendor.dialect, &layers, shared, &caller);
        read::reach(&vendor.config, &vendor.tree, vendor.dialect, &mut |key| outer.get(key))?
    };
    let (mut ports, mut published) = (Vec::new(), Vec::new());
    for port in &declared {
        // On this machine's own network nothing is published: it listens where it listens.
        let number = match network {
            Network::Host => port.container,
            Network::Project { .. } | Network::None => {
                host_port(name, port, offset, input.auto_ports).map_err(|problem| vec![problem])?
            }
        };
        ports.push(Port { name: port.name(), number, protocol: port.protocol });
        let address = port.address.clone().unwrap_or_else(|| LOCAL.to_owned());
        published.push(Published { address, host: number, container: port.container, protocol: port.protocol });
    }
    if network == Network::Host {
        published.clear();
    }
    Ok(VendorPart { vendor, wanted, caller, layers, ports, published, declared, network })
}

fn host_port(name: &ServiceName, port: &PortConfig, offset: i32, auto: &mut dyn AutoPorts) -> Result<u16, Problem> {
    let Some(fixed) = port.host else {
        return auto
            .port(name, &port.name(), 1, port.protocol)
            .map_err(|message| Problem::at(&port.at.0, format!("`{name}`: {message}")));
    };
    let number = i32::from(fixed) + offset;
    u16::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        let message = format!("`{name}` would be published on port {number}, which does not exist");
        Problem::at(&port.at.0, message).hint("the port offset is added to the port in the file")
    })
}
