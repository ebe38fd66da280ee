//! `depends_on:` and `links:` of a vendor.

use super::spec::{Dialect, VendorConfig};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Node, Place, Value};
use crate::services::spec::NeedConfig;
use crate::task::id::ServiceName;
use crate::task::spec::Condition;

const CONDITIONS: &[(&str, Condition)] = &[
    ("service_started", Condition::Started),
    ("service_healthy", Condition::Ready),
    ("service_completed_successfully", Condition::Completed),
    ("started", Condition::Started),
    ("ready", Condition::Ready),
    ("completed", Condition::Completed),
];

pub(super) fn depends_on(config: &mut VendorConfig, node: &Node, dialect: Dialect, reader: &mut Reader) {
    // A list of Compose's waits for the start alone; of ours until each is ready.
    let default = match dialect {
        Dialect::Compose => Some(Condition::Started),
        Dialect::Project => None,
    };
    let Value::Map(entries) = &node.value else {
        for item in reader.items(node, "depends_on") {
            if let Some(name) = reader.word(item, "depends_on") {
                add(config, &name, default, &item.place, reader);
            }
        }
        return;
    };
    for entry in entries {
        let key = format!("depends_on.{}", entry.key);
        let mut condition = default;
        if let Value::Scalar { .. } = &entry.node.value {
            condition = reader.choice(&entry.node, &key, CONDITIONS).or(condition);
        } else {
            for inner in reader.known(&entry.node, &key, &["condition", "required", "restart"]) {
                let (key, node) = (format!("{key}.{}", inner.key), &inner.node);
                match inner.key.as_str() {
                    "condition" => condition = reader.choice(node, &key, CONDITIONS).or(condition),
                    "required" => {
                        let optional = reader.boolean(node, &key) == Some(false);
                        config.optional.extend(ServiceName::fold(&entry.key).filter(|_| optional));
                    }
                    _ if reader.boolean(node, &key) == Some(true) => {
                        let message = format!(
                            "`{key}` is not taken: `{}` goes on when `{}` is restarted",
                            config.name, entry.key
                        );
                        reader.push(Problem::at(&inner.place, message).warning());
                    }
                    _ => {}
                }
            }
        }
        add(config, &entry.key, condition, &entry.place, reader);
    }
}

/// On one network everybody is found by name: what is left of a link is that the other one is started before.
pub(super) fn links(config: &mut VendorConfig, node: &Node, reader: &mut Reader) {
    for item in reader.items(node, "links") {
        let Some(text) = reader.word(item, "links") else { continue };
        let (name, alias) = text.split_once(':').map_or((text.as_str(), None), |(name, alias)| (name, Some(alias)));
        if alias.is_some_and(|alias| alias != name) {
            let problem = Problem::at(&item.place, format!("`links`: another name for `{name}` is not supported"));
            reader.push(problem.hint(format!(
                "give `{name}` the alias: `networks: {{default: {{aliases: [{}]}}}}`",
                alias.unwrap_or_default()
            )));
            continue;
        }
        let named = ServiceName::fold(name);
        if !config.needs.iter().any(|need| Some(&need.service) == named.as_ref()) {
            add(config, name, Some(Condition::Started), &item.place, reader);
        }
    }
}

fn add(config: &mut VendorConfig, name: &str, condition: Option<Condition>, place: &Place, reader: &mut Reader) {
    match ServiceName::fold(name) {
        Some(service) if config.needs.iter().any(|need| need.service == service) => {
            reader.error(place, format!("`{service}` is named twice in `depends_on`"));
        }
        Some(service) => config.needs.push(NeedConfig { service, condition, place: place.clone() }),
        None => reader.error(place, format!("`{name}` is not a name of a service")),
    }
}
