//! Lists and mappings of small things: labels, hosts, kernel parameters, limits of a user, devices.

use super::values;
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Value};
use crate::config::words;

/// Pairs: a mapping, or a list of `KEY=value`. A key without a value has an empty one.
pub(super) fn pairs(node: &Node, key: &str, reader: &mut Reader) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    if let Value::Map(entries) = &node.value {
        for entry in entries {
            let value = match entry.node.is_null() {
                true => Some(String::new()),
                false => reader.text(&entry.node, &format!("{key}.{}", entry.key)),
            };
            out.extend(value.map(|value| (entry.key.clone(), value)));
        }
        return out;
    }
    for item in reader.items(node, key) {
        let Some(text) = reader.word(item, key) else { continue };
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        out.retain(|(known, _)| known != name);
        out.push((name.to_owned(), value.to_owned()));
    }
    out
}

/// Labels of the user; those that begin as ours do are not theirs to set.
pub(super) fn labels(node: &Node, reader: &mut Reader) -> Vec<(String, String)> {
    let out = pairs(node, "labels", reader);
    if let Some((key, _)) = out.iter().find(|(key, _)| key.starts_with("orchestra.")) {
        reader.push(
            Problem::at(&node.place, format!("`labels`: `{key}` is orchestra's own to set")).hint("call it otherwise"),
        );
    }
    out
}

/// `name:address`, `name=address`, or a mapping of both.
pub(super) fn extra_hosts(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut out = Vec::new();
    if let Value::Map(entries) = &node.value {
        for entry in entries {
            let addresses = reader.texts(&entry.node, &format!("extra_hosts.{}", entry.key));
            out.extend(addresses.iter().map(|address| format!("{}:{}", entry.key, bare(address))));
        }
        return out;
    }
    for item in reader.items(node, "extra_hosts") {
        let Some(text) = reader.word(item, "extra_hosts") else { continue };
        match text.split_once(['=', ':']) {
            Some((name, address)) if !name.is_empty() && !address.is_empty() => {
                out.push(format!("{}:{}", name.trim(), bare(address)))
            }
            Some(_) | None => {
                let problem = Problem::at(&item.place, format!("`extra_hosts`: `{text}` names no address"));
                reader.push(problem.hint("write \"name:10.0.0.7\", or \"host.docker.internal:host-gateway\""));
            }
        }
    }
    out
}

fn bare(address: &str) -> &str {
    let address = address.trim();
    address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address)
}

/// Name, soft and hard: one number for both, or `{soft, hard}`; -1 is unlimited.
pub(super) fn ulimits(node: &Node, reader: &mut Reader) -> Vec<(String, i64, i64)> {
    let mut out = Vec::new();
    for entry in reader.map(node, "ulimits") {
        let key = format!("ulimits.{}", entry.key);
        let mut number = |node: &Node, key: &str| reader.integer(node, key, -1, i64::MAX);
        if let Value::Map(_) = entry.node.value {
            let of = |name: &str| entry.node.get(name).filter(|node| !node.is_null());
            let soft = of("soft").and_then(|node| number(node, &format!("{key}.soft")));
            let hard = of("hard").and_then(|node| number(node, &format!("{key}.hard")));
            if let Some(limit) = soft.or(hard) {
                out.push((entry.key.clone(), soft.unwrap_or(limit), hard.unwrap_or(limit)));
            } else {
                reader.error(&entry.node.place, format!("`{key}` needs `soft` and `hard`"));
            }
            reader.known(&entry.node, &key, &["soft", "hard"]);
        } else if let Some(limit) = number(&entry.node, &key) {
            out.push((entry.key.clone(), limit, limit));
        }
    }
    out
}

/// `/dev/x:/dev/y:rwm`, or mappings.
pub(super) fn devices(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut out = Vec::new();
    for item in reader.items(node, "devices") {
        let Value::Map(_) = item.value else {
            out.extend(reader.word(item, "devices"));
            continue;
        };
        let entries = reader.known(item, "devices", &["source", "target", "permissions"]);
        let mut text = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            reader.word(&entry.node, &format!("devices.{key}"))
        };
        let (source, target, rights) = (text("source"), text("target"), text("permissions"));
        match source {
            Some(source) => {
                let target = target.unwrap_or_else(|| source.clone());
                out.push(format!("{source}:{target}:{}", rights.as_deref().unwrap_or("rwm")));
            }
            None => reader.error(&item.place, "a device does not say which `source` it has"),
        }
    }
    out
}

/// A program with its arguments: a list, or a text that is split as a shell would do it. An empty one clears the image's.
pub(super) fn command(node: &Node, key: &str, reader: &mut Reader) -> Option<Vec<String>> {
    let Value::Scalar { text, .. } = &node.value else { return Some(reader.texts(node, key)) };
    let split = |text: &str| words::split(text).map_err(|error| error.to_string());
    let words = values::parsed(node, key, reader, split)?;
    if let Some(operator) = words::shell_operator(&words) {
        let message = format!("`{operator}` is an ordinary word here: no shell runs `{key}`");
        let problem = Problem::at(&node.place, message).hint("for a shell write [sh, -c, \"…\"]");
        reader.push(problem.warning());
    }
    Some(words).filter(|words| !words.is_empty() || text.trim().is_empty())
}
