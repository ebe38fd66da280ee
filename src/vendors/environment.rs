//! `environment:` and `env_file:` of a vendor.

use super::spec::{Dialect, VendorEnvFile};
use crate::config::reader::Reader;
use crate::config::template::Template;
use crate::config::tree::{Node, Place, Value};

/// Variables: a mapping, or a list of `KEY=value`. One without a value is that of whoever starts the vendor.
pub(super) fn variables(
    node: &Node,
    key: &str,
    dialect: Dialect,
    reader: &mut Reader,
) -> Vec<(String, Option<Template>)> {
    let template = |text: &str, place: &Place| Template::parse_with(dialect.dollars(), text, Some(place));
    let mut out: Vec<(String, Option<Template>)> = Vec::new();
    let mut add = |name: &str, value: Option<Template>, place: &Place, reader: &mut Reader| {
        if name.is_empty() || name.contains(['=', '\0', ' ', '\t', '\n']) {
            reader.error(place, format!("`{name}` is not a name of a variable"));
            return;
        }
        out.retain(|(known, _)| known != name);
        out.push((name.to_owned(), value));
    };
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let value = match entry.node.is_null() {
                    true => None,
                    false => match reader.text(&entry.node, &format!("{key}.{}", entry.key)) {
                        Some(text) => Some(template(&text, &entry.node.place)),
                        None => continue,
                    },
                };
                add(&entry.key, value, &entry.place, reader);
            }
        }
        Value::List(items) => {
            for item in items {
                let Some(text) = reader.text(item, key) else { continue };
                let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(k, v)| (k, Some(v)));
                add(name, value.map(|value| template(value, &item.place)), &item.place, reader);
            }
        }
        Value::Null => {}
        Value::Scalar { .. } => {
            let message =
                format!("`{key}` must be a mapping (`KEY: value`) or a list of `KEY=value`, not {}", node.kind());
            reader.error(&node.place, message);
        }
    }
    out
}

/// `env_file:` in every form of Compose.
pub(super) fn env_files(node: &Node, dialect: Dialect, reader: &mut Reader) -> Vec<VendorEnvFile> {
    let list = match &node.value {
        Value::Map(_) => std::slice::from_ref(node),
        _ => reader.items(node, "env_file"),
    };
    let mut out = Vec::new();
    for item in list {
        let (mut path, mut required, mut raw) = (None, true, false);
        if let Value::Map(_) = &item.value {
            for entry in reader.known(item, "env_file", &["path", "required", "format"]) {
                match entry.key.as_str() {
                    "path" => path = reader.word(&entry.node, "env_file.path"),
                    "required" => required = reader.boolean(&entry.node, "env_file.required").unwrap_or(true),
                    _ => raw = reader.choice(&entry.node, "env_file.format", &[("raw", true)]).unwrap_or(false),
                }
            }
        } else {
            path = reader.word(item, "env_file");
        }
        let Some(path) = path else { continue };
        let path = Template::parse_with(dialect.dollars(), &path, Some(&item.place));
        out.push(VendorEnvFile { path, required, raw, place: item.place.clone() });
    }
    out
}
