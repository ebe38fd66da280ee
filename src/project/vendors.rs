//! Third-party servers as far as their neighbours need them: names, images and ports. What runs them reads the rest of the tree.

use std::path::PathBuf;

use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::template::Template;
use crate::config::tree::{Entry, Node, Place, Value};
use crate::config::values::{self, PortNumber};
use crate::task::id::ServiceName;
use crate::task::spec::Protocol;

/// One vendor.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its name, folded.
    pub name: ServiceName,
    /// Where it is named.
    pub place: Place,
    /// The container's image.
    pub image: Template,
    /// Ports that are published, in the order of the file.
    pub ports: Vec<VendorPort>,
    /// The whole section.
    pub tree: Node,
    /// The folder that its relative paths mean.
    pub folder: PathBuf,
}

/// A published port.
#[derive(Clone, Debug)]
pub struct VendorPort {
    /// In the container.
    pub container: String,
    /// On the host: a number, or any free one. With variables it is a template.
    pub host: Template,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it stands.
    pub place: Place,
}

/// Reads one section of `vendors:`, or a service of a Compose file.
pub fn vendor(entry: &Entry, folder: PathBuf, reader: &mut Reader) -> Option<Vendor> {
    let Some(name) = ServiceName::fold(&entry.key) else {
        reader.error(&entry.place, format!("`{}` has no letter or digit to make a name of", entry.key));
        return None;
    };
    reader.map(&entry.node, &format!("vendors.{}", entry.key));
    let Some(image) = entry.node.get("image").filter(|node| !node.is_null()) else {
        let problem = Problem::at(&entry.place, format!("the vendor `{}` has no `image`", entry.key));
        reader.push(problem.hint("give it the image to run, like `image: postgres:16`"));
        return None;
    };
    let image = reader.template(image, &format!("vendors.{}.image", entry.key))?;
    let mut ports = Vec::new();
    if let Some(node) = entry.node.get("ports") {
        let key = format!("vendors.{}.ports", entry.key);
        ports.extend(reader.items(node, &key).iter().filter_map(|item| port(item, &key, reader)));
    }
    Some(Vendor { name, place: entry.place.clone(), image, ports, tree: entry.node.clone(), folder })
}

/// The services of a Compose file that have an image and no build.
pub fn of_compose(node: &Node, folder: &std::path::Path, reader: &mut Reader) -> Vec<Vendor> {
    let Some(services) = node.get("services") else {
        reader.push(Problem::at(&node.place, "the Compose file has no `services`"));
        return Vec::new();
    };
    let images = reader
        .map(services, "services")
        .iter()
        .filter(|e| e.node.get("image").is_some() && e.node.get("build").is_none());
    images.filter_map(|entry| vendor(entry, folder.to_owned(), reader)).collect()
}

/// `5432`, `5432:5432`, `127.0.0.1:5432:5432`, each with `/udp`, or a mapping with `target` and `published`.
fn port(node: &Node, key: &str, reader: &mut Reader) -> Option<VendorPort> {
    if let Value::Map(_) = node.value {
        let text = |name: &str, reader: &mut Reader| node.get(name).and_then(|node| reader.text(node, key));
        let container = text("target", reader)?;
        let host = text("published", reader).unwrap_or_else(|| "auto".to_owned());
        let udp = text("protocol", reader).is_some_and(|protocol| protocol == "udp");
        return Some(finish(node, container, &host, udp));
    }
    let text = reader.word(node, key)?;
    let (rest, udp) = match text.rsplit_once('/') {
        Some((rest, "udp")) => (rest, true),
        Some((rest, "tcp")) => (rest, false),
        _ => (text.as_str(), false),
    };
    let (host, container) = split_last_colon(rest);
    let host = host.map_or("auto", |host| split_last_colon(host).1);
    let plain = |text: &str| text.contains("${") || text == "auto" || values::port(text).is_ok() || text.contains('-');
    if !plain(host) || !plain(container) {
        let problem = Problem::at(&node.place, format!("`{key}`: `{text}` is not a port"));
        reader.push(problem.hint("write \"5432:5432\": the host's, then the container's"));
        return None;
    }
    Some(finish(node, container.to_owned(), if host.is_empty() { "auto" } else { host }, udp))
}

fn finish(node: &Node, container: String, host: &str, udp: bool) -> VendorPort {
    let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
    VendorPort { container, host: Template::parse(host, Some(&node.place)), protocol, place: node.place.clone() }
}

/// Splits at the last `:` that is not inside `${…}`.
fn split_last_colon(text: &str) -> (Option<&str>, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            '}' => depth += 1,
            '{' => depth -= 1,
            ':' if depth == 0 => return (Some(&text[..at]), &text[at + 1..]),
            _ => {}
        }
    }
    (None, text)
}

/// A host port as text, read; ranges and the like are left to what runs the vendor.
pub fn host_number(text: &str) -> Option<PortNumber> {
    values::port(text).ok().map(|(number, _)| number)
}
