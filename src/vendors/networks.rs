//! `networks:` and `network_mode:` of a vendor, as far as the project's one network serves.

use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Value};
use crate::task::container::Network;

/// What a network's entry may say, and what of it means something on one network.
const KEYS: &[&str] = &[
    "aliases",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "driver_opts",
    "gw_priority",
    "interface_name",
    "priority",
];

/// The further names by which others find it.
pub(super) fn networks(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut aliases = Vec::new();
    let Value::Map(entries) = &node.value else {
        // All of them are the project's one network.
        reader.texts(node, "networks");
        return aliases;
    };
    for entry in entries {
        let key = format!("networks.{}", entry.key);
        for inner in reader.known(&entry.node, &key, KEYS) {
            let path = format!("{key}.{}", inner.key);
            match inner.key.as_str() {
                "aliases" => aliases.extend(reader.texts(&inner.node, &path)),
                "priority" | "gw_priority" | "interface_name" => {
                    let message = format!("`{path}` is not taken: a project has one network");
                    reader.push(Problem::at(&inner.place, message).warning());
                }
                _ => {
                    let problem = Problem::at(&inner.place, format!("`{path}` is not supported"));
                    reader.push(problem.hint("vendors find each other by name; give it an alias: `aliases: [db]`"));
                }
            }
        }
    }
    aliases
}

/// `host`, `none`, or the project's own.
pub(super) fn mode(node: &Node, reader: &mut Reader) -> Option<Network> {
    let text = reader.word(node, "network_mode")?;
    match text.as_str() {
        "host" => Some(Network::Host),
        "none" => Some(Network::None),
        "bridge" | "default" => None,
        _ => {
            let problem = Problem::at(&node.place, format!("`network_mode: {text}` is not supported"));
            reader.push(
                problem.hint(
                    "vendors share the project's network and find each other by name; `host` and `none` are taken",
                ),
            );
            None
        }
    }
}
