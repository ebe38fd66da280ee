//! `secrets:` and `configs:` that are files: each is seen in the container, read-only.

use std::collections::BTreeMap;

use super::spec::{At, FileConfig, FileKind};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::template::{Dollars, Template};
use crate::config::tree::{Node, Value};

impl FileKind {
    /// The key at the head of a file and in a section.
    pub fn key(self) -> &'static str {
        match self {
            FileKind::Secret => "secrets",
            FileKind::Config => "configs",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            FileKind::Secret => "/run/secrets/",
            FileKind::Config => "/",
        }
    }
}

/// Those of a section.
pub(super) fn used(node: &Node, kind: FileKind, reader: &mut Reader) -> Vec<FileConfig> {
    let (mut out, key) = (Vec::new(), kind.key());
    for item in reader.items(node, key) {
        let (mut name, mut target) = (None, None);
        if let Value::Map(_) = item.value {
            for entry in reader.known(item, key, &["source", "target", "uid", "gid", "mode"]) {
                let path = format!("{key}.{}", entry.key);
                match entry.key.as_str() {
                    "source" => name = reader.word(&entry.node, &path),
                    "target" => target = reader.word(&entry.node, &path),
                    _ => {
                        let message = format!("`{path}` is not taken: the file keeps its owner and its rights");
                        reader.push(Problem::at(&entry.place, message).warning());
                    }
                }
            }
            if name.is_none() {
                reader.error(&item.place, format!("`{key}`: an entry does not say which `source` it has"));
            }
        } else {
            name = reader.word(item, key);
        }
        let Some(name) = name else { continue };
        let target = target.unwrap_or_else(|| name.clone());
        let target = if target.starts_with('/') { target } else { format!("{}{target}", kind.folder()) };
        out.push(FileConfig { kind, name, target, at: At(item.place.clone()) });
    }
    out
}

/// Those of a file's head, with their paths; `None` for one that is no file.
pub(super) fn declared(
    node: &Node,
    kind: FileKind,
    reader: &mut Reader,
) -> BTreeMap<(FileKind, String), Option<Template>> {
    let mut out = BTreeMap::new();
    for entry in reader.map(node, kind.key()) {
        let path = format!("{}.{}", kind.key(), entry.key);
        let known = &["file", "external", "name", "environment", "content", "labels", "driver", "template_driver"];
        let mut file = None;
        for inner in reader.known(&entry.node, &path, known).into_iter().filter(|inner| inner.key == "file") {
            let text = reader.word(&inner.node, &format!("{path}.file"));
            file = text.map(|text| Template::parse_with(Dollars::Compose, &text, Some(&inner.node.place)));
        }
        out.insert((kind, entry.key.clone()), file);
    }
    out
}
