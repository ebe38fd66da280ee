//! `volumes:` and `tmpfs:`, short and long.

use super::spec::{At, MountConfig, SourceConfig};
use super::values;
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node, Value};

const LONG: &[&str] = &["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];
const PROPAGATIONS: &[&str] = &["shared", "rshared", "slave", "rslave", "private", "rprivate"];

/// What a long form mounts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Volume,
    Bind,
    Tmpfs,
}

/// Reads `volumes:`.
pub(super) fn volumes(node: &Node, reader: &mut Reader) -> Vec<MountConfig> {
    let mut out: Vec<MountConfig> = Vec::new();
    for item in reader.items(node, "volumes") {
        let mount = match &item.value {
            Value::Map(_) => long(item, reader),
            _ => reader.word(item, "volumes").and_then(|text| short(&text, item, reader)),
        };
        let Some(mount) = mount else { continue };
        if out.iter().any(|other| other.target == mount.target) {
            reader.error(&item.place, format!("`volumes`: two are mounted at `{}`", mount.target));
        } else {
            out.push(mount);
        }
    }
    out
}

/// Reads `tmpfs:`: `/run`, or `/run:size=64m,mode=1777`.
pub(super) fn tmpfs(node: &Node, reader: &mut Reader) -> Vec<MountConfig> {
    let mut out = Vec::new();
    for item in reader.items(node, "tmpfs") {
        let Some(text) = reader.word(item, "tmpfs") else { continue };
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        let Some(target) = absolute(target, "tmpfs", item, reader) else { continue };
        let (mut size, mut mode, mut read_only, mut others) = (None, None, false, Vec::new());
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", bytes)) => match values::bytes(bytes) {
                    Ok(bytes) => size = Some(bytes),
                    Err(message) => reader.error(&item.place, format!("`tmpfs`: {message}")),
                },
                Some(("mode", bits)) => match u32::from_str_radix(bits, 8) {
                    Ok(bits) if bits <= 0o7777 => mode = Some(bits),
                    Ok(_) | Err(_) => {
                        reader.error(&item.place, format!("`tmpfs`: `{bits}` are no access bits: write `mode=1777`"))
                    }
                },
                None if option == "ro" => read_only = true,
                None if option == "rw" => {}
                Some(_) | None => others.push(option),
            }
        }
        let options = (!others.is_empty()).then(|| others.join(","));
        let source = SourceConfig::Tmpfs { size, mode, options };
        out.push(MountConfig { target, source, read_only, at: At(item.place.clone()) });
    }
    out
}

/// `[SOURCE:]TARGET[:OPTIONS]`: a source that begins with `.`, `/` or `~` is a path, any other one the name of a volume.
fn short(text: &str, node: &Node, reader: &mut Reader) -> Option<MountConfig> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => {
            reader.push(wrong(text, "it has more than three parts", node));
            return None;
        }
    };
    let target = absolute(target, "volumes", node, reader)?;
    let mut out = MountConfig { target, source: SourceConfig::Anonymous, read_only: false, at: At(node.place.clone()) };
    let (mut nocopy, mut propagation, mut relabel) = (false, None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => out.read_only = true,
            // What Docker Desktop once did with them it does by itself now.
            "rw" | "cached" | "delegated" | "consistent" => {}
            "nocopy" => nocopy = true,
            "z" => relabel = Some('z'),
            "Z" => relabel = Some('Z'),
            option if PROPAGATIONS.contains(&option) => propagation = Some(option.to_owned()),
            option => {
                reader.push(wrong(text, &format!("`{option}` is no option"), node));
                return None;
            }
        }
    }
    out.source = match source {
        None => SourceConfig::Anonymous,
        Some("") => {
            reader.push(wrong(text, "nothing stands before the `:`", node));
            return None;
        }
        Some(path) if path.starts_with(['.', '/', '~']) => {
            SourceConfig::Bind { path: path.to_owned(), create: true, propagation, relabel }
        }
        Some(name) => named(name, nocopy, node, reader)?,
    };
    Some(out)
}

fn wrong(text: &str, why: &str, node: &Node) -> Problem {
    let problem = Problem::at(&node.place, format!("`volumes`: `{text}`: {why}"));
    problem.hint("write \"name:/path\", \"./folder:/path\" or \"/path\", each with `:ro` where it is only read")
}

fn named(name: &str, nocopy: bool, node: &Node, reader: &mut Reader) -> Option<SourceConfig> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain) {
        return Some(SourceConfig::Named { key: name.to_owned(), nocopy });
    }
    let problem = Problem::at(&node.place, format!("`volumes`: `{name}` is not a name of a volume"));
    reader.push(problem.hint("names have letters, digits, `_`, `.` and `-`; a path begins with `./`, `/` or `~/`"));
    None
}

fn absolute(target: &str, key: &str, node: &Node, reader: &mut Reader) -> Option<String> {
    if target.starts_with('/') {
        return Some(target.to_owned());
    }
    let message = format!("`{key}`: `{target}` is not an absolute path in the container");
    reader.push(Problem::at(&node.place, message).hint("the path in the container stands last and begins with `/`"));
    None
}

fn long(node: &Node, reader: &mut Reader) -> Option<MountConfig> {
    let entries = reader.known(node, "volumes", LONG);
    let find = |key: &str| entries.iter().find(|entry| entry.key == key).copied();
    let kinds = &[("volume", Type::Volume), ("bind", Type::Bind), ("tmpfs", Type::Tmpfs)];
    let kind = match find("type") {
        Some(entry) => reader.choice(&entry.node, "volumes.type", kinds)?,
        None => {
            let problem = Problem::at(&node.place, "a mount does not say which `type` it is");
            reader.push(problem.hint("`type` is `volume`, `bind` or `tmpfs`"));
            return None;
        }
    };
    let Some(target) = find("target") else {
        reader.error(&node.place, "a mount does not say which `target` it has");
        return None;
    };
    let text = reader.word(&target.node, "volumes.target")?;
    let target = absolute(&text, "volumes.target", &target.node, reader)?;
    let source = match find("source") {
        Some(entry) => Some((reader.word(&entry.node, "volumes.source")?, &entry.node)),
        None => None,
    };
    let read_only = find("read_only").and_then(|entry| reader.boolean(&entry.node, "volumes.read_only"));
    for (key, other) in [("bind", Type::Bind), ("volume", Type::Volume), ("tmpfs", Type::Tmpfs)] {
        if let Some(entry) = find(key).filter(|_| kind != other) {
            reader.error(&entry.place, format!("`volumes.{key}` does not belong to this `type`"));
        }
    }
    let source = match kind {
        Type::Bind => bind(source, find("bind"), node, reader)?,
        Type::Volume => volume(source, find("volume"), reader)?,
        Type::Tmpfs => memory(find("tmpfs"), reader),
    };
    Some(MountConfig { target, source, read_only: read_only.unwrap_or(false), at: At(node.place.clone()) })
}

fn bind(
    source: Option<(String, &Node)>,
    options: Option<&Entry>,
    node: &Node,
    reader: &mut Reader,
) -> Option<SourceConfig> {
    let Some((path, _)) = source else {
        reader.error(&node.place, "a `bind` mount does not say which `source` it has");
        return None;
    };
    let (mut create, mut propagation, mut relabel) = (false, None, None);
    let keys = &["create_host_path", "propagation", "selinux", "recursive"];
    for entry in options.map(|entry| reader.known(&entry.node, "volumes.bind", keys)).unwrap_or_default() {
        let (key, node) = (format!("volumes.bind.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "create_host_path" => create = reader.boolean(node, &key).unwrap_or(false),
            "propagation" => {
                let all: Vec<(&str, &str)> = PROPAGATIONS.iter().map(|word| (*word, *word)).collect();
                propagation = reader.choice(node, &key, &all).map(str::to_owned);
            }
            "selinux" => relabel = reader.choice(node, &key, &[("z", 'z'), ("Z", 'Z')]),
            _ => reader.error(&entry.place, format!("`{key}` is not supported")),
        }
    }
    Some(SourceConfig::Bind { path, create, propagation, relabel })
}

fn volume(source: Option<(String, &Node)>, options: Option<&Entry>, reader: &mut Reader) -> Option<SourceConfig> {
    let mut nocopy = false;
    let keys = &["nocopy", "subpath", "labels"];
    for entry in options.map(|entry| reader.known(&entry.node, "volumes.volume", keys)).unwrap_or_default() {
        match entry.key.as_str() {
            "nocopy" => nocopy = reader.boolean(&entry.node, "volumes.volume.nocopy").unwrap_or(false),
            key => reader.error(&entry.place, format!("`volumes.volume.{key}` is not supported")),
        }
    }
    match source {
        Some((name, node)) => named(&name, nocopy, node, reader),
        None => Some(SourceConfig::Anonymous),
    }
}

fn memory(options: Option<&Entry>, reader: &mut Reader) -> SourceConfig {
    let (mut size, mut mode) = (None, None);
    for entry in options.map(|entry| reader.known(&entry.node, "volumes.tmpfs", &["size", "mode"])).unwrap_or_default()
    {
        match entry.key.as_str() {
            "size" => size = values::size(&entry.node, "volumes.tmpfs.size", reader),
            _ => mode = values::parsed(&entry.node, "volumes.tmpfs.mode", reader, bits),
        }
    }
    SourceConfig::Tmpfs { size, mode, options: None }
}

/// Access bits: octal where they begin with 0, as YAML has it, else a number.
fn bits(text: &str) -> Result<u32, String> {
    let octal = text.strip_prefix("0o").or(text.strip_prefix('0').filter(|rest| !rest.is_empty()));
    let bits = match octal {
        Some(digits) => u32::from_str_radix(digits, 8),
        None => text.parse(),
    };
    bits.ok().filter(|bits| *bits <= 0o7777).ok_or_else(|| format!("`{text}` are no access bits: write `01777`"))
}
