//! `ports:` and `depends_on:` of a service's section, and the names by which services find each other.

use super::spec::{NeedConfig, PortConfig};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Place, Value};
use crate::config::{suggest, values};
use crate::task::id::ServiceName;
use crate::task::spec::Condition;

const CONDITIONS: &[(&str, Condition)] =
    &[("started", Condition::Started), ("ready", Condition::Ready), ("completed", Condition::Completed)];

pub(super) fn ports(node: &Node, reader: &mut Reader) -> Vec<PortConfig> {
    let mut out: Vec<PortConfig> = Vec::new();
    if let Value::List(_) | Value::Scalar { .. } = node.value {
        let problem = Problem::at(
            &node.place,
            format!(
                "`ports` gives each port a name, and is no {}",
                if matches!(node.value, Value::List(_)) { "list" } else { "single value" }
            ),
        );
        reader.push(problem.hint("write `ports: {http: 8080}`, or `port: 8080` for a single one"));
        return out;
    }
    for entry in reader.map(node, "ports") {
        let key = &entry.key;
        if !key.starts_with(|c: char| c.is_ascii_alphabetic())
            || !key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        {
            let hint = "names begin with a letter and have letters, digits, `-` and `_`";
            reader.push(Problem::at(&entry.place, format!("`{key}` is not a name of a port")).hint(hint));
            continue;
        }
        if let Some(same) = out.iter().find(|port| port_key(&port.name) == port_key(key)) {
            let message = format!("the ports `{}` and `{key}` would both be `PORT_{}`", same.name, port_key(key));
            reader.error(&entry.place, message);
            continue;
        }
        out.extend(port(key, &entry.node, &format!("ports.{key}"), reader));
    }
    out
}

/// A port's name as part of a variable's name.
pub fn port_key(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '/'], "_")
}

pub(super) fn port(name: &str, node: &Node, key: &str, reader: &mut Reader) -> Option<PortConfig> {
    let number = reader.template(node, key)?;
    if let Some(text) = number.constant()
        && let Err(message) = values::port(text.trim())
    {
        reader.error(&node.place, format!("`{key}`: {message}"));
        return None;
    }
    Some(PortConfig { name: name.to_owned(), number, place: node.place.clone() })
}

pub(super) fn needs(node: &Node, reader: &mut Reader) -> Vec<NeedConfig> {
    let mut out: Vec<NeedConfig> = Vec::new();
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let key = format!("depends_on.{}", entry.key);
                let mut condition = None;
                match &entry.node.value {
                    Value::Scalar { .. } => condition = self::condition(&entry.node, &key, reader),
                    _ => {
                        for inner in reader.known(&entry.node, &key, &["condition"]) {
                            condition = self::condition(&inner.node, &format!("{key}.condition"), reader);
                        }
                    }
                }
                add_need(&mut out, &entry.key, condition, &entry.place, reader);
            }
        }
        _ => {
            for item in reader.items(node, "depends_on") {
                if let Some(name) = reader.word(item, "depends_on") {
                    add_need(&mut out, &name, None, &item.place, reader);
                }
            }
        }
    }
    out
}

/// One of our words; for Compose's the matching one of ours is named.
fn condition(node: &Node, key: &str, reader: &mut Reader) -> Option<Condition> {
    let ours = match &node.value {
        Value::Scalar { text, .. } if text == "service_started" => "started",
        Value::Scalar { text, .. } if text == "service_healthy" || text == "healthy" => "ready",
        Value::Scalar { text, .. } if text == "service_completed_successfully" => "completed",
        _ => return reader.choice(node, key, CONDITIONS),
    };
    let problem = Problem::at(
        &node.place,
        format!("`{key}` must be one of `started`, `ready`, `completed`, not {}", node.kind()),
    );
    reader.push(problem.hint(format!("here that is `{ours}`")));
    None
}

fn add_need(out: &mut Vec<NeedConfig>, name: &str, condition: Option<Condition>, place: &Place, reader: &mut Reader) {
    match ServiceName::fold(name) {
        Some(service) if out.iter().any(|need| need.service == service) => {
            reader.error(place, format!("`{service}` is named twice in `depends_on`"));
        }
        Some(service) => out.push(NeedConfig { service, condition, place: place.clone() }),
        None => reader.error(place, format!("`{name}` is not a name of a service")),
    }
}

/// The nearest of some service names.
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a ServiceName>) -> Option<&'a str> {
    suggest::nearest(name, known.into_iter().map(ServiceName::as_str))
}
