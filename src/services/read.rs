//! From the tree of a service's section to [`ServiceConfig`].

use std::path::{Path, PathBuf};

use super::spec::{
    BuildConfig, EnvFile, KEYS, Located, MAX_SCALE, Program, RunIn, ServiceConfig, TestConfig, WatchConfig,
};
use super::{neighbours, probes, sections};
use crate::config::problem::Problem;
use crate::config::reader::Reader;
use crate::config::template::Template;
use crate::config::tree::{Entry, Node, Place, Value};
use crate::config::words;
use crate::task::id::ServiceName;
use crate::task::restart::{RestartMode, RestartPolicy};
use crate::task::spec::Kind;

/// Reads one section. `name` is the service's name unless the section gives one; `place` stands for the section as a whole.
pub fn service(
    node: &Node,
    name: Option<ServiceName>,
    place: &Place,
    folder: &Path,
    reader: &mut Reader,
) -> Option<ServiceConfig> {
    let entries = reader.known(node, "service", KEYS);
    let name = section_name(&entries, name, place, reader)?;
    let mut config = empty(name, place, folder);
    for entry in &entries {
        read_key(&mut config, entry, reader);
    }
    refuse_pairs(&entries, reader);
    if config.kind == Kind::Job && !entries.iter().any(|entry| entry.key == "restart") {
        // It runs once: trying again by itself is something to ask for.
        config.restart.mode = RestartMode::No;
    }
    Some(config)
}

fn empty(name: ServiceName, place: &Place, folder: &Path) -> ServiceConfig {
    let here = |value: &str| Located { value: value.to_owned(), place: place.clone() };
    ServiceConfig {
        name,
        place: place.clone(),
        folder: folder.to_owned(),
        description: None,
        labels: Vec::new(),
        program: Program::Go(here(".")),
        dir: here("."),
        build: BuildConfig::default(),
        args: Vec::new(),
        env: Vec::new(),
        env_files: Vec::new(),
        scale: 1,
        ports: Vec::new(),
        needs: Vec::new(),
        ready: None,
        live: None,
        restart: RestartPolicy::default(),
        stop: sections::default_stop(),
        resources: Default::default(),
        kind: Kind::Service,
        test: TestConfig::default(),
        watch: WatchConfig::default(),
        run_in: RunIn::Process,
        tty: false,
        color: false,
        enabled: true,
        before: Vec::new(),
        after: Vec::new(),
    }
}

fn section_name(
    entries: &[&Entry],
    name: Option<ServiceName>,
    place: &Place,
    reader: &mut Reader,
) -> Option<ServiceName> {
    let Some(entry) = entries.iter().find(|entry| entry.key == "name") else {
        if name.is_none() {
            reader.error(place, "no name can be made of the folder's name: give the service a `name:`");
        }
        return name;
    };
    // With a wrong name the rest is read under the other one, to find what else is wrong.
    let Some(text) = reader.word(&entry.node, "name") else { return name };
    match ServiceName::fold(&text) {
        Some(folded) => Some(folded),
        None => {
            reader.error(&entry.node.place, format!("`{text}` has no letter or digit to make a name of"));
            name
        }
    }
}

fn read_key(config: &mut ServiceConfig, entry: &Entry, reader: &mut Reader) {
    let (key, node) = (entry.key.as_str(), &entry.node);
    match key {
        "name" => config.place = entry.place.clone(),
        "description" => config.description = reader.text(node, key),
        "labels" => config.labels = labels(node, reader),
        "package" => located(&mut config.program, reader.word(node, key), &node.place),
        "command" => config.program = command(node, reader).map_or(config.program.clone(), Program::Command),
        "dir" => config.dir = reader.word(node, key).map_or(config.dir.clone(), |v| at(v, node)),
        "build" => config.build = sections::build(node, reader),
        "args" => config.args = arguments(node, key, reader),
        "env" | "environment" => config.env = reader.variables(node, key),
        "env_file" => config.env_files = env_files(node, reader),
        "scale" => config.scale = scale(node, reader).unwrap_or(1),
        "ports" => config.ports = neighbours::ports(node, reader),
        "port" => config.ports = neighbours::port("http", node, key, reader).into_iter().collect(),
        "depends_on" => config.needs = neighbours::needs(node, reader),
        "ready" => config.ready = probes::probe(node, key, reader),
        "live" => config.live = probes::probe(node, key, reader),
        "restart" => config.restart = sections::restart(node, reader),
        "stop" => config.stop = sections::stop(node, reader),
        "resources" => sections::resources(config, node, reader),
        "type" => config.kind = reader.choice(node, key, KINDS).unwrap_or(Kind::Service),
        "test" => config.test = sections::test(node, reader),
        "watch" => config.watch = sections::watch(node, reader),
        "run_in" => config.run_in = reader.choice(node, key, RUN_IN).unwrap_or_default(),
        "tty" => config.tty = reader.boolean(node, key).unwrap_or(false),
        "color" => config.color = reader.boolean(node, key).unwrap_or(false),
        "enabled" => config.enabled = reader.boolean(node, key).unwrap_or(true),
        "before" => config.before = reader.commands(node, key),
        "after" => config.after = reader.commands(node, key),
        "gorun" => {
            let problem =
                Problem::at(&entry.place, "`gorun` does nothing any more: services are built and run as binaries");
            reader.push(problem.hint("remove the line").warning());
        }
        other => reader.error(&entry.place, format!("unknown key `{other}`")),
    }
}

const KINDS: &[(&str, Kind)] = &[("service", Kind::Service), ("job", Kind::Job)];
const RUN_IN: &[(&str, RunIn)] = &[("process", RunIn::Process), ("docker", RunIn::Docker)];
/// Keys that say the same thing twice.
fn refuse_pairs(entries: &[&Entry], reader: &mut Reader) {
    let pairs = [("command", "package"), ("ports", "port"), ("env", "environment")];
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let (Some(_), Some(build)) = (find("command"), find("build")) {
        reader
            .push(Problem::at(&build.place, "`build` does nothing beside `command`: no Go binary is built").warning());
    }
    for (one, other) in pairs {
        if let (Some(one), Some(other)) = (find(one), find(other)) {
            let (first, second) = if one.place.line <= other.place.line { (one, other) } else { (other, one) };
            let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
            let hint = format!("`{}` is in line {}: keep one of them", first.key, first.place.line);
            reader.push(Problem::at(&second.place, message).hint(hint));
        }
    }
}

fn at(value: String, node: &Node) -> Located<String> {
    Located { value, place: node.place.clone() }
}

fn located(program: &mut Program, package: Option<String>, place: &Place) {
    if let Some(value) = package {
        *program = Program::Go(Located { value, place: place.clone() });
    }
}

fn labels(node: &Node, reader: &mut Reader) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for entry in reader.map(node, "labels") {
        let value = reader.text(&entry.node, &format!("labels.{}", entry.key));
        out.extend(value.map(|value| (entry.key.clone(), value)));
    }
    out
}

/// A list of words with variables; a text is split like a command.
fn arguments(node: &Node, key: &str, reader: &mut Reader) -> Vec<Template> {
    match &node.value {
        Value::Scalar { text, .. } => match words::split(text) {
            Ok(words) => words.iter().map(|word| Template::parse(word, Some(&node.place))).collect(),
            Err(error) => {
                reader.error(&node.place, format!("`{key}`: {error}"));
                Vec::new()
            }
        },
        _ => reader.items(node, key).iter().filter_map(|item| reader_template(item, key, reader)).collect(),
    }
}

fn reader_template(node: &Node, key: &str, reader: &mut Reader) -> Option<Template> {
    reader.template(node, key)
}

fn command(node: &Node, reader: &mut Reader) -> Option<Vec<Template>> {
    let words = reader.command(node, "command")?;
    let places: Vec<&Place> = match &node.value {
        Value::List(items) => items.iter().map(|item| &item.place).collect(),
        _ => vec![&node.place; words.len()],
    };
    Some(words.iter().zip(places).map(|(word, place)| Template::parse(word, Some(place))).collect())
}

fn scale(node: &Node, reader: &mut Reader) -> Option<u32> {
    reader.integer(node, "scale", 0, i64::from(MAX_SCALE)).and_then(|n| u32::try_from(n).ok())
}

/// Reads `env_file:`, of a service or of the project.
pub fn env_files(node: &Node, reader: &mut Reader) -> Vec<EnvFile> {
    let list = match &node.value {
        Value::Map(_) => std::slice::from_ref(node),
        _ => reader.items(node, "env_file"),
    };
    let mut out = Vec::new();
    for item in list {
        let (mut path, mut required) = (None, true);
        if let Value::Map(_) = &item.value {
            for entry in reader.known(item, "env_file", &["path", "required"]) {
                match entry.key.as_str() {
                    "path" => path = reader.word(&entry.node, "env_file.path"),
                    _ => required = reader.boolean(&entry.node, "env_file.required").unwrap_or(true),
                }
            }
        } else {
            path = reader.word(item, "env_file");
        }
        out.extend(path.map(|path| EnvFile { path: PathBuf::from(path), required, place: item.place.clone() }));
    }
    out
}
