//! `build:`, `restart:`, `stop:`, `resources:`, `test:` and `watch:` of a service's section.

use std::time::Duration;

use super::spec::{
    ACCEPTANCE_KEYS, Acceptance, BUILD_KEYS, BuildConfig, Located, OnTestFailure, RESOURCE_KEYS, RESTART_KEYS,
    STOP_KEYS, ServiceConfig, TEST_KEYS, TestConfig, WATCH_KEYS, WatchConfig,
};
use crate::config::reader::Reader;
use crate::config::template::Template;
use crate::config::tree::{Node, Place, Value};
use crate::config::words;
use crate::task::restart::{RestartMode, RestartPolicy};
use crate::task::spec::StopSpec;

pub(super) fn build(node: &Node, reader: &mut Reader) -> BuildConfig {
    let mut out = BuildConfig::default();
    for entry in reader.known(node, "build", BUILD_KEYS) {
        let (key, node) = (format!("build.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "flags" => out.flags = flags(node, &key, reader),
            "tags" => out.tags = tags(node, &key, reader),
            "ldflags" => out.ldflags = ldflags(node, &key, reader),
            "env" => out.env = reader.variables(node, &key),
            "race" => out.race = reader.boolean(node, &key).unwrap_or(false),
            "debug" => out.debug = reader.boolean(node, &key).unwrap_or(false),
            "dwarf" => out.no_dwarf = !reader.boolean(node, &key).unwrap_or(true),
            "vet" => out.vet = reader.boolean(node, &key).unwrap_or(false),
            "before" => out.before = reader.commands(node, &key),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    out
}

fn ldflags(node: &Node, key: &str, reader: &mut Reader) -> Option<Template> {
    match &node.value {
        Value::List(_) => Some(Template::parse(&reader.texts(node, key).join(" "), Some(&node.place))),
        _ => reader.template(node, key),
    }
}

/// Flags of `go build` or `go test`; those that orchestra must set itself are refused.
fn flags(node: &Node, key: &str, reader: &mut Reader) -> Vec<String> {
    let flags: Vec<(String, &Place)> = match &node.value {
        Value::Scalar { text, .. } => match words::split(text) {
            Ok(words) => words.into_iter().map(|word| (word, &node.place)).collect(),
            Err(error) => {
                reader.error(&node.place, format!("`{key}`: {error}"));
                Vec::new()
            }
        },
        _ => reader.items(node, key).iter().filter_map(|item| Some((reader.text(item, key)?, &item.place))).collect(),
    };
    for (flag, place) in &flags {
        let name = flag.trim_start_matches('-').split('=').next().unwrap_or("");
        if flag.starts_with('-') && matches!(name, "o" | "C" | "json") {
            reader.error(place, format!("`{key}`: the flag `-{name}` is orchestra's own to set"));
        }
    }
    flags.into_iter().map(|(flag, _)| flag).collect()
}

fn tags(node: &Node, key: &str, reader: &mut Reader) -> Vec<String> {
    let texts = reader.texts(node, key);
    texts.iter().flat_map(|t| t.split([',', ' '])).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

const MODES: &[(&str, RestartMode)] = &[
    ("no", RestartMode::No),
    ("on-failure", RestartMode::OnFailure),
    ("always", RestartMode::Always),
    ("false", RestartMode::No),
];

/// Reads `restart:`.
pub fn restart(node: &Node, reader: &mut Reader) -> RestartPolicy {
    let mut out = RestartPolicy::default();
    if let Value::Scalar { .. } = node.value {
        out.mode = mode(node, "restart", reader);
        return out;
    }
    for entry in reader.known(node, "restart", RESTART_KEYS) {
        let (key, node) = (format!("restart.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "policy" => out.mode = mode(node, &key, reader),
            "delay" => out.delay = reader.duration(node, &key).unwrap_or(out.delay),
            "max_delay" => out.max_delay = reader.duration(node, &key).unwrap_or(out.max_delay),
            "window" => out.window = reader.duration(node, &key).unwrap_or(out.window),
            "limit" => {
                let limit = reader.integer(node, &key, 0, 1_000_000_000);
                out.limit = limit.and_then(|n| u32::try_from(n).ok()).unwrap_or(out.limit);
            }
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    if out.max_delay < out.delay {
        out.max_delay = out.delay;
    }
    out
}

fn mode(node: &Node, key: &str, reader: &mut Reader) -> RestartMode {
    // `false` is what YAML 1.1 makes of `no`; it is taken and not advertised.
    let shown = if matches!(&node.value, Value::Scalar { text, .. } if text == "false") { MODES } else { &MODES[..3] };
    reader.choice(node, key, shown).unwrap_or(RestartMode::OnFailure)
}

/// The signal and the time a service gets when nothing else is said.
pub fn default_stop() -> StopSpec {
    StopSpec { signal: libc::SIGTERM, grace: Duration::from_secs(10) }
}

pub(super) fn stop(node: &Node, reader: &mut Reader) -> StopSpec {
    let mut out = default_stop();
    for entry in reader.known(node, "stop", STOP_KEYS) {
        let (key, node) = (format!("stop.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "signal" => out.signal = reader.signal(node, &key).unwrap_or(out.signal),
            "grace" => out.grace = reader.duration(node, &key).unwrap_or(out.grace),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    out
}

pub(super) fn resources(config: &mut ServiceConfig, node: &Node, reader: &mut Reader) {
    for entry in reader.known(node, "resources", RESOURCE_KEYS) {
        let (key, node) = (format!("resources.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "cpu" => config.resources.cpu = reader.number(node, &key).unwrap_or(0.0),
            "memory" => config.resources.memory = reader.size(node, &key).unwrap_or(0),
            "disk" => config.resources.disk = reader.size(node, &key).unwrap_or(0),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
}

pub(super) fn test(node: &Node, reader: &mut Reader) -> TestConfig {
    let mut out = TestConfig::default();
    for entry in reader.known(node, "test", TEST_KEYS) {
        let (key, node) = (format!("test.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "flags" => out.flags = flags(node, &key, reader),
            "before_start" => out.before_start = reader.boolean(node, &key).unwrap_or(false),
            "acceptance" => out.acceptance = acceptance(node, reader),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    out
}

fn acceptance(node: &Node, reader: &mut Reader) -> Option<Acceptance> {
    let mut out = Acceptance {
        package: Located { value: "./acceptance".to_owned(), place: node.place.clone() },
        tags: Vec::new(),
    };
    for entry in reader.known(node, "test.acceptance", ACCEPTANCE_KEYS) {
        let (key, node) = (format!("test.acceptance.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "package" => out.package = Located { value: reader.word(node, &key)?, place: node.place.clone() },
            "tags" => out.tags = tags(node, &key, reader),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    Some(out)
}

pub(super) fn watch(node: &Node, reader: &mut Reader) -> WatchConfig {
    let mut out = WatchConfig::default();
    let choices = &[("keep", OnTestFailure::Keep), ("stop", OnTestFailure::Stop)];
    for entry in reader.known(node, "watch", WATCH_KEYS) {
        let (key, node) = (format!("watch.{}", entry.key), &entry.node);
        match entry.key.as_str() {
            "include" => out.include = globs(node, &key, reader),
            "exclude" => out.exclude = globs(node, &key, reader),
            "on_test_failure" => out.on_test_failure = reader.choice(node, &key, choices).unwrap_or_default(),
            other => reader.error(&entry.place, format!("unknown key `{other}`")),
        }
    }
    out
}

/// A list of globs.
pub fn globs(node: &Node, key: &str, reader: &mut Reader) -> Vec<String> {
    let items = reader.items(node, key);
    let mut out = Vec::new();
    for item in items {
        let Some(text) = reader.word(item, key) else { continue };
        match globset::Glob::new(&text) {
            Ok(_) => out.push(text),
            Err(error) => reader.error(&item.place, format!("`{key}`: not a glob: {}", error.kind())),
        }
    }
    out
}
