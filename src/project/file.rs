//! `orchestra.yml`, typed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::template::{Dollars, Template};
use crate::config::tree::{Entry, Node, Place, Value};
use crate::services::spec::EnvFile;
use crate::services::{read, sections};
use crate::task::id::ServiceName;
use crate::vendors::compose;
use crate::vendors::spec::VolumeConfig;

/// Every key of the project's file that is not a command's section.
pub const KEYS: &[&str] = &[
    "name",
    "env",
    "environment",
    "env_file",
    "before",
    "after",
    "discover",
    "defaults",
    "services",
    "include",
    "vendors",
    "volumes",
    "commands",
    "logs",
    "port_offset",
    "scheduler",
    "strays",
    "linger",
];
/// Commands that may have a section of their own.
pub const COMMANDS: &[&str] = &[
    "init", "start", "stop", "restart", "build", "kill", "ps", "why", "logs", "scale", "test", "vendors", "export",
    "strays", "doctor", "run", "history", "result", "report", "nodes", "graph", "install",
];
/// Commands that change something: the project's own hooks run around them.
pub const CHANGING: &[&str] = &["start", "stop", "restart", "build", "test", "scale", "vendors", "run"];
/// What a command's section may say.
pub const SECTION_KEYS: &[&str] = &["env", "environment", "before", "after"];
/// What `logs:` may say beside that.
pub const LOG_KEYS: &[&str] = &["keep", "total"];
/// Keys that the orchestra.yml of 2015 knew.
pub const OLD_KEYS: &[&str] =
    &["env", "before", "after", "build", "export", "install", "logs", "ps", "restart", "start", "stop", "test"];
/// Schedulers by name.
pub const SCHEDULERS: &[(&str, &str)] = &[("epvm", "epvm"), ("round-robin", "round-robin"), ("greedy", "greedy")];

/// What to do about processes of our services that were started outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strays {
    /// Stop them.
    #[default]
    Kill,
    /// Ask; report where no terminal is there to ask.
    Ask,
    /// Only say so.
    Report,
}

/// How long processes outlive a dead supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger {
    /// Until they are taken over again.
    #[default]
    Forever,
    /// So long.
    For(Duration),
}

/// How much log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Per instance.
    pub keep: u64,
    /// Per project.
    pub total: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        LogLimits { keep: 512 << 20, total: 8 << 30 }
    }
}

/// Around a command.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Variables.
    pub env: Vec<(String, Template)>,
    /// Before it.
    pub before: Vec<Vec<String>>,
    /// After it.
    pub after: Vec<Vec<String>>,
}

/// The project's file; services and vendors are still trees.
#[derive(Clone, Debug, Default)]
pub struct ProjectFile {
    /// `name:`, folded.
    pub name: Option<ServiceName>,
    /// `env:`, `before:` and `after:` of the project.
    pub section: Section,
    /// `env_file:`, where given.
    pub env_files: Option<Vec<EnvFile>>,
    /// The same for each command.
    pub commands_sections: BTreeMap<String, Section>,
    /// Globs of folders.
    pub discover: Option<Vec<String>>,
    /// Below every service.
    pub defaults: Option<Node>,
    /// Services without a folder of their own.
    pub services: Vec<Entry>,
    /// Compose files.
    pub include: Vec<(PathBuf, Place)>,
    /// Third-party servers.
    pub vendors: Vec<Entry>,
    /// What is said of their volumes.
    pub volumes: BTreeMap<String, VolumeConfig>,
    /// `orchestra run NAME`.
    pub commands: Vec<(String, Vec<Template>)>,
    /// How much log is kept.
    pub logs: LogLimits,
    /// Added to every fixed host port.
    pub port_offset: i32,
    /// By name.
    pub scheduler: &'static str,
    /// What to do about strays.
    pub strays: Strays,
    /// How long processes outlive a dead supervisor.
    pub linger: Linger,
}

/// Every key the file may have.
pub fn all_keys() -> Vec<&'static str> {
    let mut keys = KEYS.to_vec();
    keys.extend(COMMANDS.iter().filter(|command| !KEYS.contains(command)));
    keys
}

/// Reads the whole file.
pub fn read(node: &Node, reader: &mut Reader) -> ProjectFile {
    let mut out = ProjectFile { scheduler: "epvm", ..ProjectFile::default() };
    for entry in reader.known(node, "the project's file", &all_keys()) {
        read_key(&mut out, entry, reader);
    }
    if let (Some(_), Some(second)) = (node.get("env"), node.entries().iter().find(|entry| entry.key == "environment")) {
        reader.error(&second.place, "`env` and `environment` are the same key: keep one of them");
    }
    out
}

fn read_key(out: &mut ProjectFile, entry: &Entry, reader: &mut Reader) {
    let (key, node) = (entry.key.as_str(), &entry.node);
    match key {
        "name" => out.name = name(node, reader),
        "env" | "environment" => out.section.env = reader.variables(node, key),
        "env_file" => out.env_files = Some(read::env_files(node, reader)),
        "before" => out.section.before = reader.commands(node, key),
        "after" => out.section.after = reader.commands(node, key),
        "discover" => out.discover = Some(sections::globs(node, key, reader)),
        "defaults" => out.defaults = defaults(node, reader),
        "services" => out.services = reader.map(node, key).to_vec(),
        "include" => {
            let items = reader.items(node, key).iter();
            out.include = items.filter_map(|item| Some((reader.word(item, key)?.into(), item.place.clone()))).collect();
        }
        "vendors" => vendors(out, node, reader),
        "volumes" => out.volumes = compose::volumes(node, Dollars::Ours, reader),
        "commands" => out.commands = commands(node, reader),
        "logs" => logs(out, node, reader),
        "port_offset" => {
            let offset = reader.integer(node, key, -65535, 65535);
            out.port_offset = offset.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
        }
        "scheduler" => out.scheduler = reader.choice(node, key, SCHEDULERS).unwrap_or("epvm"),
        "strays" if !matches!(node.value, Value::Map(_)) => {
            let choices = &[("kill", Strays::Kill), ("ask", Strays::Ask), ("report", Strays::Report)];
            out.strays = reader.choice(node, key, choices).unwrap_or_default();
        }
        "linger" => out.linger = linger(node, reader),
        command => {
            let section = section(node, command, SECTION_KEYS, reader).0;
            out.commands_sections.insert(command.to_owned(), section);
        }
    }
}

fn name(node: &Node, reader: &mut Reader) -> Option<ServiceName> {
    let text = reader.word(node, "name")?;
    let name = ServiceName::fold(&text);
    if name.is_none() {
        reader.error(&node.place, format!("`{text}` has no letter or digit to make a name of"));
    }
    name
}

fn defaults(node: &Node, reader: &mut Reader) -> Option<Node> {
    let known = reader.known(node, "defaults", crate::services::spec::KEYS);
    if let Some(entry) = known.iter().find(|entry| entry.key == "name") {
        reader.push(Problem::at(&entry.place, "`name` in `defaults` would name every service alike").hint("remove it"));
    }
    let kept = known.into_iter().filter(|entry| entry.key != "name").cloned().collect();
    Some(Node { place: node.place.clone(), value: Value::Map(kept) })
}

/// A command's section, and the entries that are not part of every section.
fn section<'n>(node: &'n Node, command: &str, known: &[&str], reader: &mut Reader) -> (Section, Vec<&'n Entry>) {
    let (mut out, mut more) = (Section::default(), Vec::new());
    for entry in reader.known(node, command, known) {
        let path = format!("{command}.{}", entry.key);
        match entry.key.as_str() {
            "env" | "environment" => out.env = reader.variables(&entry.node, &path),
            "before" => out.before = reader.commands(&entry.node, &path),
            "after" => out.after = reader.commands(&entry.node, &path),
            _ => more.push(entry),
        }
    }
    (out, more)
}

fn logs(out: &mut ProjectFile, node: &Node, reader: &mut Reader) {
    let known: Vec<&str> = SECTION_KEYS.iter().chain(LOG_KEYS).copied().collect();
    let (section, more) = section(node, "logs", &known, reader);
    for entry in more {
        match entry.key.as_str() {
            "keep" => out.logs.keep = reader.size(&entry.node, "logs.keep").unwrap_or(out.logs.keep),
            _ => out.logs.total = reader.size(&entry.node, "logs.total").unwrap_or(out.logs.total),
        }
    }
    for (key, bytes) in [("keep", out.logs.keep), ("total", out.logs.total)] {
        if let Some(node) = node.get(key).filter(|_| bytes == 0) {
            reader.error(&node.place, format!("`logs.{key}` must be more than nothing"));
        }
    }
    out.commands_sections.insert("logs".to_owned(), section);
}

/// Vendors, and the hooks of the command of that name: no vendor is a list.
fn vendors(out: &mut ProjectFile, node: &Node, reader: &mut Reader) {
    let mut section = Section::default();
    for entry in reader.map(node, "vendors") {
        let hook = matches!(entry.node.value, Value::List(_) | Value::Scalar { .. });
        match entry.key.as_str() {
            "before" if hook => section.before = reader.commands(&entry.node, "vendors.before"),
            "after" if hook => section.after = reader.commands(&entry.node, "vendors.after"),
            "env" if entry.node.get("image").is_none() => section.env = reader.variables(&entry.node, "vendors.env"),
            _ => out.vendors.push(entry.clone()),
        }
    }
    out.commands_sections.insert("vendors".to_owned(), section);
}

fn commands(node: &Node, reader: &mut Reader) -> Vec<(String, Vec<Template>)> {
    let mut out = Vec::new();
    for entry in reader.map(node, "commands") {
        if let Some(words) = reader.command(&entry.node, &format!("commands.{}", entry.key)) {
            let words = words.iter().map(|word| Template::parse(word, Some(&entry.node.place)));
            out.push((entry.key.clone(), words.collect()));
        }
    }
    out
}

fn linger(node: &Node, reader: &mut Reader) -> Linger {
    match &node.value {
        Value::Scalar { text, .. } if text == "forever" => Linger::Forever,
        _ => reader.duration(node, "linger").map_or(Linger::Forever, Linger::For),
    }
}
