//! Every (instance, port, protocol) that somebody wants, and who wants the same.

use std::collections::{BTreeMap, HashMap};

use super::{Project, Service};
use crate::config::problem::Problem;
use crate::config::tree::Place;
use crate::config::values::{self, PortNumber};
use crate::task::id::ServiceName;
use crate::task::spec::Protocol;

/// One port that one instance wants.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub service: ServiceName,
    /// Which instance; 0 for a vendor.
    pub instance: u32,
    /// The name of the port.
    pub port: String,
    /// The number; too high ones are kept for the message.
    pub number: u32,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it is given.
    pub place: Place,
}

impl Claim {
    fn who(&self) -> String {
        if self.instance == 0 { format!("{}", self.service) } else { format!("{}.{}", self.service, self.instance) }
    }
}

pub(super) fn constant_claims(service: &Service) -> Vec<Claim> {
    let config = &service.config;
    let mut out = Vec::new();
    for port in &config.ports {
        let constant = port.number.constant().and_then(|text| values::port(text.trim()).ok());
        let Some((PortNumber::Fixed(number), protocol)) = constant else { continue };
        out.extend((0..config.scale).map(|index| Claim {
            service: config.name.clone(),
            instance: index + 1,
            port: port.name.clone(),
            number: u32::from(number) + index,
            protocol,
            place: port.place.clone(),
        }));
    }
    out
}

/// The ports of this machine that vendors ask for by number.
pub fn vendor_claims(project: &Project) -> Vec<Claim> {
    let vendors = project.vendors.values().filter(|vendor| vendor.config.is_enabled(&[]));
    let ports = vendors.flat_map(|vendor| vendor.config.ports.iter().map(move |port| (vendor, port)));
    let claims = ports.filter_map(|(vendor, port)| {
        Some(Claim {
            service: vendor.config.name.clone(),
            instance: 0,
            port: port.name(),
            number: u32::from(port.host?),
            protocol: port.protocol,
            place: port.at.0.clone(),
        })
    });
    claims.collect()
}

/// Ports that two want; of two services only the first clash is told.
pub fn clashes(claims: &[Claim]) -> Vec<Problem> {
    let mut taken: HashMap<(u32, Protocol), &Claim> = HashMap::new();
    let mut told = BTreeMap::new();
    for claim in claims {
        let Some(first) = taken.get(&(claim.number, claim.protocol)) else {
            taken.insert((claim.number, claim.protocol), claim);
            continue;
        };
        let key = (first.service.clone(), first.port.clone(), claim.service.clone(), claim.port.clone());
        told.entry(key).or_insert_with(|| clash(first, claim));
    }
    told.into_values().collect()
}

fn clash(first: &Claim, second: &Claim) -> Problem {
    let protocol = match first.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    };
    let message = match first.service == second.service && first.instance == second.instance {
        true => format!(
            "`{}` wants port {}{protocol} twice: as `{}` and as `{}`",
            first.who(),
            first.number,
            first.port,
            second.port
        ),
        false => format!("port {}{protocol} is wanted by `{}` and by `{}`", first.number, first.who(), second.who()),
    };
    let hint = format!("the first is given at {}; use another number, or `auto`", first.place);
    Problem::at(&second.place, message).hint(hint)
}

/// The problem of an instance whose port would lie above the last one.
pub fn too_high(claim: &Claim) -> Problem {
    let message = format!("`{}` would listen on port {}, which does not exist", claim.who(), claim.number);
    Problem::at(&claim.place, message).hint("each further instance takes the next number: begin lower, or use `auto`")
}
