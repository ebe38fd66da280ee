//! From the tree of a section to [`VendorConfig`].

use std::path::Path;

use super::fill::{self, Filler, LAYERED};
use super::spec::{Dialect, FileKind, PortConfig, VendorConfig};
use super::{environment, files, health, keys, limits, lists, mounts, needs, networks, ports, values};
use crate::config::problem::{Problem, Severity};
use crate::config::reader::Reader;
use crate::config::template::Lookup;
use crate::config::tree::{Entry, Node, Place, Value};
use crate::services::{probes, sections};
use crate::task::container::{ContainerSpec, Network, Pull};
use crate::task::id::ServiceName;
use crate::task::restart::{RestartMode, RestartPolicy};
use crate::task::spec::{Kind, Resources};

/// Keys that must be known before anybody's variables are.
const EARLY: [&str; 5] = ["depends_on", "links", "profiles", "enabled", "type"];

/// Reads a section when the project is loaded: all of it that has no variables. `None` where it has no name or no image.
pub fn section(entry: &Entry, folder: &Path, dialect: Dialect, reader: &mut Reader) -> Option<VendorConfig> {
    let Some(name) = ServiceName::fold(&entry.key) else {
        reader.error(&entry.place, format!("`{}` has no letter or digit to make a name of", entry.key));
        return None;
    };
    if !matches!(entry.node.value, Value::Map(_) | Value::Null) {
        reader.map(&entry.node, &format!("vendors.{}", entry.key));
        return None;
    }
    let has_image = entry.node.get("image").is_some_and(|node| !node.is_null());
    let dollars = dialect.dollars();
    let is_open = |inner: &Entry| !LAYERED.contains(&inner.key.as_str()) && fill::has_variables(&inner.node, dollars);
    let mut closed = Vec::new();
    for inner in entry.node.entries() {
        let known = reader.problems.len();
        fill::mistakes(&inner.node, dollars, &mut reader.problems);
        if !is_open(inner) {
            closed.push(inner.clone());
        } else if !keys::is_read(&inner.key) {
            // What is said of it does not depend on its value.
            let nothing = Value::Scalar { text: "-".to_owned(), plain: true };
            closed.push(Entry { node: Node { place: inner.node.place.clone(), value: nothing }, ..inner.clone() });
        } else if EARLY.contains(&inner.key.as_str()) && reader.problems.len() == known {
            let message = format!("`{}` cannot have variables: it must be known before they are", inner.key);
            reader.push(Problem::at(&inner.node.place, message).hint("write the value out"));
        }
    }
    let node = Node { place: entry.node.place.clone(), value: Value::Map(closed) };
    let mut nothing = |_: &str| Ok(None);
    let node = Filler { dollars, lookup: &mut nothing, problems: Vec::new() }.section(&node);
    let config = read(name, &entry.place, &node, folder, dialect, reader);
    if !has_image {
        let problem = Problem::at(&entry.place, format!("the vendor `{}` has no `image`", entry.key));
        reader.push(problem.hint("give it the image to run, like `image: postgres:16`"));
        return None;
    }
    Some(config)
}

/// Reads the same section once more, with every variable in it; variables and probes are those that were read when it was loaded.
pub fn filled(
    config: &VendorConfig,
    tree: &Node,
    dialect: Dialect,
    lookup: &mut Lookup<'_>,
) -> Result<VendorConfig, Vec<Problem>> {
    let mut out = only(config, tree, dialect, lookup)?;
    if out.container.image.is_empty() {
        let place = tree.get("image").map_or(&config.place, |node| &node.place);
        let message = format!("the image of `{}` is empty: a variable in it is not set", config.name);
        return Err(vec![Problem::at(place, message)]);
    }
    out.env.clone_from(&config.env);
    out.env_files.clone_from(&config.env_files);
    (out.ready, out.live, out.needs) = (config.ready.clone(), config.live.clone(), config.needs.clone());
    if out.kind != config.kind {
        // It became a job since somebody waits for its end.
        (out.kind, out.restart) = (config.kind, config.restart.clone());
    }
    Ok(out)
}

/// Where it is reached, which must be known before all else is.
pub fn reach(
    config: &VendorConfig,
    tree: &Node,
    dialect: Dialect,
    lookup: &mut Lookup<'_>,
) -> Result<(Vec<PortConfig>, Network), Vec<Problem>> {
    let is_about = |entry: &&Entry| matches!(entry.key.as_str(), "ports" | "network_mode");
    let entries: Vec<Entry> = tree.entries().iter().filter(is_about).cloned().collect();
    let tree = Node { place: tree.place.clone(), value: Value::Map(entries) };
    let out = only(config, &tree, dialect, lookup)?;
    Ok((out.ports, out.container.network))
}

fn only(
    config: &VendorConfig,
    tree: &Node,
    dialect: Dialect,
    lookup: &mut Lookup<'_>,
) -> Result<VendorConfig, Vec<Problem>> {
    let mut filler = Filler { dollars: dialect.dollars(), lookup, problems: Vec::new() };
    let node = filler.section(tree);
    let mut reader = Reader { problems: filler.problems, ..Reader::default() };
    let out = read(config.name.clone(), &config.place, &node, &config.folder, dialect, &mut reader);
    // Warnings were told when it was loaded.
    reader.problems.retain(|problem| problem.severity == Severity::Error);
    if reader.problems.is_empty() { Ok(out) } else { Err(reader.problems) }
}

fn read(
    name: ServiceName,
    place: &Place,
    node: &Node,
    folder: &Path,
    dialect: Dialect,
    reader: &mut Reader,
) -> VendorConfig {
    let mut config = empty(name, place, folder);
    let entries = keys::known(node, &format!("vendors.{}", config.name), reader);
    for entry in &entries {
        if !of_container(&mut config.container, &entry.key, &entry.node, reader) {
            read_key(&mut config, entry, dialect, reader);
        }
    }
    // What `depends_on` says of somebody counts more than a link.
    if let Some(entry) = entries.iter().find(|entry| entry.key == "links") {
        needs::links(&mut config, &entry.node, reader);
    }
    if config.kind == Kind::Job && !entries.iter().any(|entry| matches!(entry.key.as_str(), "restart" | "deploy")) {
        // It runs once: trying again by itself is something to ask for.
        config.restart.mode = RestartMode::No;
    }
    refuse_pairs(&config, &entries, reader);
    config
}

const KINDS: &[(&str, Kind)] = &[("vendor", Kind::Vendor), ("job", Kind::Job), ("service", Kind::Vendor)];

fn empty(name: ServiceName, place: &Place, folder: &Path) -> VendorConfig {
    VendorConfig {
        name,
        place: place.clone(),
        folder: folder.to_owned(),
        kind: Kind::Vendor,
        container: ContainerSpec::default(),
        env: Vec::new(),
        env_files: Vec::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        files: Vec::new(),
        needs: Vec::new(),
        optional: Vec::new(),
        ready: None,
        live: None,
        restart: RestartPolicy::default(),
        stop: sections::default_stop(),
        resources: Resources::default(),
        tty: false,
        enabled: true,
        profiles: Vec::new(),
        before: Vec::new(),
        after: Vec::new(),
    }
}

fn read_key(config: &mut VendorConfig, entry: &Entry, dialect: Dialect, reader: &mut Reader) {
    let (key, node) = (entry.key.as_str(), &entry.node);
    match key {
        "depends_on" => needs::depends_on(config, node, dialect, reader),
        "environment" | "env" => config.env = environment::variables(node, key, dialect, reader),
        "env_file" => config.env_files = environment::env_files(node, dialect, reader),
        "profiles" => config.profiles = reader.texts(node, key),
        "enabled" => config.enabled &= reader.boolean(node, key).unwrap_or(true),
        "type" => config.kind = reader.choice(node, key, KINDS).unwrap_or(Kind::Vendor),
        "ports" => config.ports = ports::ports(node, reader),
        "volumes" => config.mounts.extend(mounts::volumes(node, reader)),
        "tmpfs" => config.mounts.extend(mounts::tmpfs(node, reader)),
        "secrets" => config.files.extend(files::used(node, FileKind::Secret, reader)),
        "configs" => config.files.extend(files::used(node, FileKind::Config, reader)),
        "ready" => config.ready = probe(node, key, reader),
        "live" => config.live = probe(node, key, reader),
        "restart" => config.restart = limits::restart(node, reader),
        "stop_signal" => {
            config.container.stop_signal = values::parsed(node, key, reader, values::signal);
            let number =
                config.container.stop_signal.as_deref().and_then(|name| crate::config::values::signal(name).ok());
            config.stop.signal = number.unwrap_or(config.stop.signal);
        }
        "stop_grace_period" => config.stop.grace = reader.duration(node, key).unwrap_or(config.stop.grace),
        "mem_limit" => limits::memory(config, node, key, reader),
        "cpus" => limits::cpus(config, node, key, reader),
        "pids_limit" => limits::pids(config, node, key, reader),
        "deploy" => limits::deploy(config, node, reader),
        "scale" => limits::copies(config, node, key, reader),
        "tty" => config.tty = reader.boolean(node, key).unwrap_or(false),
        "before" => config.before = reader.commands(node, key),
        "after" => config.after = reader.commands(node, key),
        "networks" => {
            let more = networks::networks(node, reader);
            if let Network::Project { aliases } = &mut config.container.network {
                aliases.extend(more);
            }
        }
        "network_mode" => config.container.network = networks::mode(node, reader).unwrap_or_default(),
        // Whatever it listens on is reached from the project's network.
        "expose" => drop(reader.texts(node, key)),
        "links" => {}
        "container_name" => {
            let message =
                format!("`container_name` is not taken: containers are named after the project and `{}`", config.name);
            reader.push(Problem::at(&entry.place, message).hint("others find it by the name of its section").warning());
        }
        "logging" => {
            let message = "`logging` is not taken: the output is kept in the project's logs";
            reader.push(
                Problem::at(&entry.place, message)
                    .hint("`orchestra logs` shows it, `logs: {keep: …}` bounds it")
                    .warning(),
            );
        }
        other => reader.error(&entry.place, format!("unknown key `{other}`")),
    }
}

/// The keys that are one field of the container; false for any other.
fn of_container(out: &mut ContainerSpec, key: &str, node: &Node, reader: &mut Reader) -> bool {
    match key {
        "image" => out.image = reader.word(node, key).unwrap_or_default(),
        "platform" => out.platform = reader.word(node, key),
        "pull_policy" => out.pull = pull(node, reader),
        "command" => out.command = lists::command(node, key, reader),
        "entrypoint" => out.entrypoint = lists::command(node, key, reader),
        "user" => out.user = reader.word(node, key),
        "working_dir" => out.working_dir = reader.word(node, key),
        "hostname" => out.hostname = reader.word(node, key),
        "domainname" => out.domainname = reader.word(node, key),
        "extra_hosts" => out.extra_hosts = lists::extra_hosts(node, reader),
        "dns" => out.dns = reader.texts(node, key),
        "labels" => out.labels = lists::labels(node, reader),
        "healthcheck" => out.check = health::check(node, reader),
        "init" => out.init = reader.boolean(node, key),
        "privileged" => out.privileged = reader.boolean(node, key).unwrap_or(false),
        "read_only" => out.read_only = reader.boolean(node, key).unwrap_or(false),
        "stdin_open" => out.stdin_open = reader.boolean(node, key).unwrap_or(false),
        "cap_add" => out.cap_add = reader.texts(node, key),
        "cap_drop" => out.cap_drop = reader.texts(node, key),
        "security_opt" => out.security_opt = reader.texts(node, key),
        "group_add" => out.group_add = reader.texts(node, key),
        "devices" => out.devices = lists::devices(node, reader),
        "sysctls" => out.sysctls = lists::pairs(node, key, reader),
        "ulimits" => out.ulimits = lists::ulimits(node, reader),
        "shm_size" => out.shm_size = values::size(node, key, reader),
        "memswap_limit" => out.memory_swap = limits::memory_swap(node, reader),
        _ => return false,
    }
    true
}

fn pull(node: &Node, reader: &mut Reader) -> Pull {
    let choices = &[
        ("missing", Pull::Missing),
        ("always", Pull::Always),
        ("never", Pull::Never),
        ("if_not_present", Pull::Missing),
    ];
    match &node.value {
        Value::Scalar { text, .. } if ["daily", "weekly"].contains(&text.as_str()) || text.starts_with("every_") => {
            let problem = Problem::at(&node.place, format!("`pull_policy: {text}` is taken as `missing`"));
            reader.push(problem.hint("`orchestra vendors pull` fetches newer images").warning());
            Pull::Missing
        }
        _ => reader.choice(node, "pull_policy", choices).unwrap_or_default(),
    }
}

fn probe(node: &Node, key: &str, reader: &mut Reader) -> Option<crate::services::spec::ProbeConfig> {
    if let Some(notify) = node.entries().iter().find(|entry| entry.key == "notify") {
        let problem =
            Problem::at(&notify.place, format!("`{key}.notify` is not for containers: they cannot reach the socket"));
        reader.push(problem.hint("ask with `http`, `tcp`, `exec` or `log`"));
        return None;
    }
    probes::probe(node, key, reader)
}

/// Keys that say the same thing twice, or against each other.
fn refuse_pairs(config: &VendorConfig, entries: &[&Entry], reader: &mut Reader) {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    if let (Some(_), Some(second)) = (find("environment"), find("env")) {
        reader.error(&second.place, "`env` and `environment` are the same key: keep one of them");
    }
    if let (Some(mode), Some(_)) = (find("network_mode"), find("networks")) {
        reader.error(&mode.place, "`network_mode` and `networks` exclude each other");
    }
    if let (Network::None, Some(ports)) = (&config.container.network, find("ports")) {
        reader.error(&ports.place, "`ports` cannot be published with `network_mode: none`");
    }
}
