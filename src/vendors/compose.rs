//! A Compose file as a whole: which of its services become vendors, and what its head says of volumes and networks.

use std::collections::BTreeMap;

use super::files;
use super::spec::{FileKind, VolumeConfig};
use crate::config::problem::Problem;
use crate::config::reader::{Reader, unknown_key};
use crate::config::suggest::nearest;
use crate::config::template::{Dollars, Template};
use crate::config::tree::{Entry, Node, Place, Value};
use crate::task::id::ServiceName;

/// What was found in one file.
#[derive(Clone, Debug, Default)]
pub struct ComposeFile {
    /// Services that run an image.
    pub services: Vec<Entry>,
    /// Services that are built, and so are no vendors, with where that is said.
    pub left_out: Vec<(ServiceName, Place)>,
    /// Volumes that its head describes.
    pub volumes: BTreeMap<String, VolumeConfig>,
    /// Secrets and configurations, with the paths of those that are files.
    pub files: BTreeMap<(FileKind, String), Option<Template>>,
    /// Further files, relative to this one.
    pub include: Vec<(String, Place)>,
}

/// Keys of a file's head.
pub const KEYS: &[&str] =
    &["services", "volumes", "networks", "secrets", "configs", "include", "name", "version", "models"];

/// Reads a whole file.
pub fn file(node: &Node, reader: &mut Reader) -> ComposeFile {
    let mut out = ComposeFile::default();
    if node.get("services").is_none() && node.get("include").is_none() {
        reader.push(Problem::at(&node.place, "the Compose file has no `services`"));
    }
    for entry in reader.map(node, "the Compose file") {
        let known = KEYS.contains(&entry.key.as_str());
        match entry.key.as_str() {
            _ if known && entry.node.is_null() => {}
            "services" => services(&mut out, &entry.node, reader),
            "volumes" => out.volumes = volumes(&entry.node, Dollars::Compose, reader),
            "include" => out.include = includes(&entry.node, reader),
            "name" => {
                let message = "`name` is not taken: containers and volumes are named after this project";
                reader.push(Problem::at(&entry.place, message).warning());
            }
            "secrets" => out.files.extend(files::declared(&entry.node, FileKind::Secret, reader)),
            "configs" => out.files.extend(files::declared(&entry.node, FileKind::Config, reader)),
            // Whoever uses a model is told where it is used.
            "networks" | "version" | "models" => {}
            key if key.starts_with("x-") => {}
            _ => reader.push(unknown_key(entry, KEYS)),
        }
    }
    networks(node, &out.services, reader);
    out
}

fn services(out: &mut ComposeFile, node: &Node, reader: &mut Reader) {
    for entry in reader.map(node, "services") {
        match entry.node.entries().iter().find(|inner| inner.key == "build" && !inner.node.is_null()) {
            Some(built) => {
                out.left_out.extend(ServiceName::fold(&entry.key).map(|name| (name, built.place.clone())));
            }
            None => out.services.push(entry.clone()),
        }
    }
}

/// Keys of a volume.
const VOLUME_KEYS: &[&str] = &["name", "external", "driver", "driver_opts", "labels"];

/// Reads `volumes:` of a file's head.
pub fn volumes(node: &Node, dollars: Dollars, reader: &mut Reader) -> BTreeMap<String, VolumeConfig> {
    let mut out = BTreeMap::new();
    for entry in reader.map(node, "volumes") {
        out.insert(entry.key.clone(), volume(entry, dollars, reader));
    }
    out
}

fn volume(entry: &Entry, dollars: Dollars, reader: &mut Reader) -> VolumeConfig {
    let mut out = VolumeConfig::default();
    let path = format!("volumes.{}", entry.key);
    for inner in reader.known(&entry.node, &path, VOLUME_KEYS) {
        let (key, node) = (format!("{path}.{}", inner.key), &inner.node);
        match inner.key.as_str() {
            "name" => {
                let name = reader.word(node, &key);
                out.name = name.map(|name| Template::parse_with(dollars, &name, Some(&node.place)));
            }
            // The form of old files gives the name here.
            "external" if matches!(node.value, Value::Map(_)) => {
                out.external = true;
                let name = node.get("name").and_then(|name| reader.word(name, &key));
                out.name = name.map(|name| Template::parse_with(dollars, &name, Some(&node.place))).or(out.name);
            }
            "external" => out.external = reader.boolean(node, &key).unwrap_or(false),
            "driver" if matches!(&node.value, Value::Scalar { text, .. } if text == "local") => {}
            "labels" => {
                let message = format!("`{key}` is not taken: volumes have orchestra's own labels");
                reader.push(Problem::at(&inner.place, message).warning());
            }
            _ => {
                let problem = Problem::at(&inner.place, format!("`{key}` is not supported"));
                reader
                    .push(problem.hint("make the volume yourself (`docker volume create …`) and say `external: true`"));
            }
        }
    }
    out
}

fn includes(node: &Node, reader: &mut Reader) -> Vec<(String, Place)> {
    let mut out = Vec::new();
    let list = match &node.value {
        Value::Map(_) => std::slice::from_ref(node),
        _ => reader.items(node, "include"),
    };
    for item in list {
        let Value::Map(_) = item.value else {
            out.extend(reader.word(item, "include").map(|path| (path, item.place.clone())));
            continue;
        };
        for inner in reader.known(item, "include", &["path", "env_file", "project_directory"]) {
            if inner.key == "path" {
                out.extend(
                    reader.texts(&inner.node, "include.path").into_iter().map(|path| (path, inner.node.place.clone())),
                );
            } else {
                let problem = Problem::at(&inner.place, format!("`include.{}` is not supported", inner.key));
                reader.push(
                    problem.hint("paths are relative to the included file, variables come from the `.env` beside it"),
                );
            }
        }
    }
    out
}

/// Keys of a network.
const NETWORK_KEYS: &[&str] = &[
    "name",
    "external",
    "driver",
    "driver_opts",
    "labels",
    "attachable",
    "enable_ipv4",
    "enable_ipv6",
    "internal",
    "ipam",
];

/// All networks are the project's one network: what that cannot be is told.
fn networks(node: &Node, services: &[Entry], reader: &mut Reader) {
    let declared = node.get("networks").map(|node| reader.map(node, "networks")).unwrap_or_default();
    for network in declared {
        let path = format!("networks.{}", network.key);
        for inner in reader.known(&network.node, &path, NETWORK_KEYS) {
            network_key(network, inner, &path, reader);
        }
    }
    let is_known = |name: &str| name == "default" || declared.iter().any(|network| network.key == name);
    for service in services {
        let Some(node) = service.node.get("networks") else { continue };
        let named: Vec<(&str, &Place)> = match &node.value {
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.as_str(), &entry.place)).collect(),
            Value::List(items) => items.iter().filter_map(text).collect(),
            Value::Null | Value::Scalar { .. } => Vec::new(),
        };
        for (name, place) in named.into_iter().filter(|(name, _)| !is_known(name)) {
            let problem = Problem::at(
                place,
                format!("`{}` names the network `{name}`, which `networks` does not have", service.key),
            );
            let near = nearest(name, declared.iter().map(|network| network.key.as_str()));
            reader.push(match near {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint(format!("add `{name}:` to `networks`")),
            });
        }
    }
}

fn text(node: &Node) -> Option<(&str, &Place)> {
    match &node.value {
        Value::Scalar { text, .. } => Some((text.as_str(), &node.place)),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn network_key(network: &Entry, inner: &Entry, path: &str, reader: &mut Reader) {
    let says = |word: &str| matches!(&inner.node.value, Value::Scalar { text, .. } if text == word);
    match inner.key.as_str() {
        "driver" if says("bridge") || says("default") => {}
        "external" if says("false") => {}
        "external" => {
            let problem = Problem::at(
                &inner.place,
                format!("the network `{}` is made elsewhere, which is not supported", network.key),
            );
            reader.push(problem.hint("a project has one network of its own: reach the others by ports they publish, as `host.docker.internal`"));
        }
        "driver" => {
            let problem = Problem::at(&inner.place, format!("`{path}.driver` is not supported"));
            reader.push(problem.hint("a project has one network, which is a bridge"));
        }
        key => {
            let message = format!("`{path}.{key}` is not taken: a project has one network of its own");
            reader.push(Problem::at(&inner.place, message).warning());
        }
    }
}
