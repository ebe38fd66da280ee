//! `ports:` `5432`, `5432:5432`, `127.0.0.1:5432:5432`, ranges, each with a protocol; or mappings. A port without one of this machine's gets a free one.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::spec::{At, PortConfig};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node, Value};
use crate::task::spec::Protocol;

/// So many ports may one entry stand for.
const MOST: usize = 1000;

/// Reads the whole list.
pub(super) fn ports(node: &Node, reader: &mut Reader) -> Vec<PortConfig> {
    let mut out: Vec<PortConfig> = Vec::new();
    if let Value::Map(_) = node.value {
        let problem = Problem::at(&node.place, "`ports` of a vendor is a list, not a mapping");
        reader.push(problem.hint("write `ports: [\"5432:5432\"]`: this machine's port, then the container's"));
        return out;
    }
    for item in reader.items(node, "ports") {
        let found = match &item.value {
            Value::Map(_) => long(item, reader),
            _ => reader.word(item, "ports").and_then(|text| told(short(&text, item), item, &text, reader)),
        };
        for port in found.unwrap_or_default() {
            let same = out.iter().any(|other| other.container == port.container && other.protocol == port.protocol);
            if same && port.host.is_none() {
                // The port has one already by which it is found.
                continue;
            }
            out.push(port);
        }
    }
    out
}

fn told(
    read: Result<Vec<PortConfig>, String>,
    node: &Node,
    text: &str,
    reader: &mut Reader,
) -> Option<Vec<PortConfig>> {
    match read {
        Ok(ports) => Some(ports),
        Err(message) => {
            let problem = Problem::at(&node.place, format!("`ports`: `{text}`: {message}"));
            reader.push(
                problem.hint(
                    "write \"5432:5432\" (this machine's port, then the container's), or \"5432\" for a free one",
                ),
            );
            None
        }
    }
}

/// What one entry says, its parts still text.
#[derive(Clone, Copy, Debug)]
struct Parts<'t> {
    address: Option<&'t str>,
    host: &'t str,
    container: &'t str,
    protocol: &'t str,
}

fn short(text: &str, node: &Node) -> Result<Vec<PortConfig>, String> {
    let text = text.trim();
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (before, container) = rest.rsplit_once(':').map_or((None, rest), |(before, port)| (Some(before), port));
    let (address, host) = match before {
        None => (None, ""),
        // An IPv6 address stands in brackets.
        Some(before) => match before.rsplit_once(':') {
            Some((address, host)) => (Some(address), host),
            None if before.contains('.') => return Err(format!("`{before}` is an address without a port")),
            None => (None, before),
        },
    };
    expand(Parts { address, host, container, protocol }, node)
}

/// The keys of the long form.
const LONG: &[&str] = &["target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"];

fn long(node: &Node, reader: &mut Reader) -> Option<Vec<PortConfig>> {
    let entries = reader.known(node, "ports", LONG);
    let mut text = |key: &str| {
        let entry: &&Entry = entries.iter().find(|entry| entry.key == key)?;
        reader.word(&entry.node, &format!("ports.{key}"))
    };
    let (target, published, address) = (text("target"), text("published"), text("host_ip"));
    let protocol = text("protocol");
    let Some(target) = target else {
        let problem = Problem::at(&node.place, "a port does not say which `target` it has");
        reader.push(problem.hint("`target` is the container's port, `published` this machine's"));
        return None;
    };
    let parts = Parts {
        address: address.as_deref(),
        host: published.as_deref().unwrap_or_default(),
        container: &target,
        protocol: protocol.as_deref().unwrap_or("tcp"),
    };
    let shown = published.as_ref().map_or_else(|| target.clone(), |host| format!("{host}:{target}"));
    told(expand(parts, node), node, &shown, reader)
}

/// Each port of a range.
fn expand(parts: Parts<'_>, node: &Node) -> Result<Vec<PortConfig>, String> {
    let protocol = match parts.protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => return Err(format!("`{other}` is not supported: `tcp` or `udp`")),
    };
    let address = parts.address.filter(|address| !address.is_empty()).map(address).transpose()?;
    let container = range(parts.container)?;
    let hosts: Vec<Option<u16>> = match parts.host {
        "" | "auto" | "0" => vec![None; container.len()],
        text => range(text)?.map(Some).collect(),
    };
    if container.len() > MOST {
        return Err(format!("these are more than {MOST} ports"));
    }
    if hosts.len() != container.len() {
        let (hosts, ports) = (hosts.len(), container.len());
        return Err(match ports {
            1 => "one port of a range is not chosen: write one, or leave it out for a free one".to_owned(),
            _ => format!("{hosts} of this machine do not fit {ports} of the container"),
        });
    }
    let port = |(container, host): (u16, Option<u16>)| PortConfig {
        address: address.clone(),
        host,
        container,
        protocol,
        at: At(node.place.clone()),
    };
    Ok(container.zip(hosts).map(port).collect())
}

fn address(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) if text == "localhost" => Ok(Ipv4Addr::LOCALHOST.to_string()),
        Err(_) => Err(format!("`{text}` is not an address of this machine")),
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.trim().parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a port from 1 to 65535")),
        Ok(port) => Ok(port),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last { Err(format!("`{text}` ends before it begins")) } else { Ok(first..=last) }
}
