//! Sections as people write them, and what is said of those that cannot be taken.

use std::fmt::Write;
use std::path::Path;

use super::read;
use super::spec::{Dialect, VendorConfig};
use crate::config::reader::Reader;
use crate::config::tree::{Entry, Node, Place, Source};
use crate::config::yaml;

fn tree(text: &str) -> Node {
    let parsed = yaml::parse(&Source::new("x.yml", text));
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed.node.unwrap()
}

pub(super) fn entry(text: &str) -> Entry {
    let node = tree(text);
    let place = Place { line: 1, column: 1, ..node.place.clone() };
    Entry { key: "db".to_owned(), place, node }
}

fn loaded(dialect: Dialect, text: &str) -> (Option<VendorConfig>, String) {
    let mut reader = Reader::default();
    let config = read::section(&entry(text), Path::new("/shop"), dialect, &mut reader);
    let mut said = String::new();
    for problem in &reader.problems {
        let word = if problem.severity == crate::config::problem::Severity::Warning { "warning: " } else { "" };
        let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" | {hint}"));
        writeln!(said, "{}:{}: {word}{}{hint}", problem.line, problem.column, problem.message).unwrap();
    }
    (config, said)
}

/// A section without a fault.
fn config(text: &str) -> VendorConfig {
    let (config, said) = loaded(Dialect::Project, text);
    assert_eq!(said, "", "{text}");
    config.unwrap()
}

/// What is said of one line beside the image.
fn said(text: &str) -> String {
    loaded(Dialect::Project, &format!("image: x\n{text}")).1.trim_end().to_owned()
}

fn ports(list: &str) -> String {
    let config = config(&format!("image: x\nports: {list}"));
    let word = |port: &super::spec::PortConfig| {
        let address = port.address.as_ref().map_or(String::new(), |address| format!("{address} "));
        format!("{address}{}>{}", port.host.map_or("auto".to_owned(), |host| host.to_string()), port.name())
    };
    config.ports.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[test]
fn ports_in_every_form() {
    for (text, expected) in [
        ("[5432]", "auto>5432"),
        ("5432", "auto>5432"),
        ("['5432:5432', '53:53/udp']", "5432>5432, 53>53/udp"),
        ("['auto:5432', '0:80', ':81']", "auto>5432, auto>80, auto>81"),
        ("['127.0.0.1:5433:5432']", "127.0.0.1 5433>5432"),
        ("['127.0.0.1::5432', '0.0.0.0:80:80']", "127.0.0.1 auto>5432, 0.0.0.0 80>80"),
        ("['[::1]:5433:5432', '::1:5434:5433', 'localhost:1:2']", "::1 5433>5432, ::1 5434>5433, 127.0.0.1 1>2"),
        ("['9090-9092:8080-8082', '3000-3001']", "9090>8080, 9091>8081, 9092>8082, auto>3000, auto>3001"),
        ("['8000:80', '9000:80', '80']", "8000>80, 9000>80"),
        (
            "[{target: 80, published: '8080', host_ip: 0.0.0.0, protocol: tcp, mode: host, name: web}]",
            "0.0.0.0 8080>80",
        ),
        ("[{target: 80}, {target: 53, protocol: udp}]", "auto>80, auto>53/udp"),
    ] {
        assert_eq!(ports(text), expected, "{text}");
    }
    for (text, expected) in [
        ("ports: ['x:80']", "2:9: `ports`: `x:80`: `x` is not a port from 1 to 65535"),
        ("ports: ['80:0']", "2:9: `ports`: `80:0`: `0` is not a port from 1 to 65535"),
        ("ports: ['70000:80']", "2:9: `ports`: `70000:80`: `70000` is not a port from 1 to 65535"),
        ("ports: ['80/sctp']", "2:9: `ports`: `80/sctp`: `sctp` is not supported: `tcp` or `udp`"),
        (
            "ports: ['8000-8010:80']",
            "2:9: `ports`: `8000-8010:80`: one port of a range is not chosen: write one, or leave it out for a free one",
        ),
        ("ports: ['1-2:1-3']", "2:9: `ports`: `1-2:1-3`: 2 of this machine do not fit 3 of the container"),
        ("ports: ['9-1']", "2:9: `ports`: `9-1`: `9-1` ends before it begins"),
        ("ports: ['127.0.0.1:80']", "2:9: `ports`: `127.0.0.1:80`: `127.0.0.1` is an address without a port"),
        (
            "ports: ['host.example:1:80']",
            "2:9: `ports`: `host.example:1:80`: `host.example` is not an address of this machine",
        ),
        ("ports: [{published: 80}]", "2:9: a port does not say which `target` it has"),
        ("ports: {http: 80}", "2:8: `ports` of a vendor is a list, not a mapping"),
    ] {
        let said = said(text);
        assert_eq!(said.split(" | ").next().unwrap(), expected, "{said}");
        assert!(said.contains(" | "), "{said} has no hint");
    }
}

fn mounts(list: &str) -> String {
    let config = config(&format!("image: x\nvolumes: {list}"));
    let word = |mount: &super::spec::MountConfig| {
        let read_only = if mount.read_only { " ro" } else { "" };
        format!("{}={:?}{read_only}", mount.target, mount.source)
    };
    config.mounts.iter().map(word).collect::<Vec<_>>().join("\n")
}

#[test]
fn volumes_in_every_form() {
    let bind = |path: &str, create: bool| {
        format!("Bind {{ path: {path:?}, create: {create}, propagation: None, relabel: None }}")
    };
    for (text, expected) in [
        ("['data:/d']", "/d=Named { key: \"data\", nocopy: false }".to_owned()),
        ("['data:/d:ro,nocopy']", "/d=Named { key: \"data\", nocopy: true } ro".to_owned()),
        ("['/d']", "/d=Anonymous".to_owned()),
        ("['./a:/d']", format!("/d={}", bind("./a", true))),
        ("['~/a:/d:ro', '/x:/e:cached']", format!("/d={} ro\n/e={}", bind("~/a", true), bind("/x", true))),
        (
            "['/x:/d:Z,rshared']",
            "/d=Bind { path: \"/x\", create: true, propagation: Some(\"rshared\"), relabel: Some('Z') }".to_owned(),
        ),
        ("[{type: bind, source: ./a, target: /d}]", format!("/d={}", bind("./a", false))),
        (
            "[{type: bind, source: ./a, target: /d, read_only: true, bind: {create_host_path: true}}]",
            format!("/d={} ro", bind("./a", true)),
        ),
        (
            "[{type: volume, source: data, target: /d, volume: {nocopy: true}}]",
            "/d=Named { key: \"data\", nocopy: true }".to_owned(),
        ),
        ("[{type: volume, target: /d}]", "/d=Anonymous".to_owned()),
        (
            "[{type: tmpfs, target: /d, tmpfs: {size: 64m, mode: 01777}}]",
            "/d=Tmpfs { size: Some(67108864), mode: Some(1023), options: None }".to_owned(),
        ),
    ] {
        assert_eq!(mounts(text), expected, "{text}");
    }
    let tmpfs = config("image: x\ntmpfs: [/run, '/tmp:size=1g,mode=755,uid=70,noexec,ro']").mounts;
    let sources: Vec<_> = tmpfs.iter().map(|mount| format!("{:?} {}", mount.source, mount.read_only)).collect();
    assert_eq!(sources[0], "Tmpfs { size: None, mode: None, options: None } false");
    assert_eq!(sources[1], "Tmpfs { size: Some(1073741824), mode: Some(493), options: Some(\"uid=70,noexec\") } true");
    for (text, expected) in [
        ("volumes: [data]", "2:11: `volumes`: `data` is not an absolute path in the container"),
        ("volumes: ['a:b']", "2:11: `volumes`: `b` is not an absolute path in the container"),
        ("volumes: ['a:/b:c:d']", "2:11: `volumes`: `a:/b:c:d`: it has more than three parts"),
        ("volumes: ['a:/b:fast']", "2:11: `volumes`: `a:/b:fast`: `fast` is no option"),
        ("volumes: [':/b']", "2:11: `volumes`: `:/b`: nothing stands before the `:`"),
        ("volumes: ['a b:/b']", "2:11: `volumes`: `a b` is not a name of a volume"),
        ("volumes: ['a:/b', 'c:/b']", "2:19: `volumes`: two are mounted at `/b`"),
        ("volumes: [{source: a, target: /b}]", "2:11: a mount does not say which `type` it is"),
        ("volumes: [{type: bind, target: /b}]", "2:11: a `bind` mount does not say which `source` it has"),
        (
            "volumes: [{type: npipe, source: a, target: /b}]",
            "2:18: `volumes.type` must be one of `volume`, `bind`, `tmpfs`, not `npipe`",
        ),
        (
            "volumes: [{type: volume, source: a, target: /b, volume: {subpath: c}}]",
            "2:58: `volumes.volume.subpath` is not supported",
        ),
        (
            "volumes: [{type: volume, source: a, target: /b, bind: {selinux: z}}]",
            "2:49: `volumes.bind` does not belong to this `type`",
        ),
        ("tmpfs: ['/x:mode=9']", "2:9: `tmpfs`: `9` are no access bits: write `mode=1777`"),
    ] {
        let said = said(text);
        assert_eq!(said.split(" | ").next().unwrap(), expected, "{said}");
    }
}

#[test]
fn health_checks_in_every_form() {
    let check =
        |text: &str| format!("{:?}", config(&format!("image: x\nhealthcheck: {text}")).container.check.unwrap().test);
    assert_eq!(check("{test: [CMD, a, b]}"), "Exec([\"a\", \"b\"])");
    assert_eq!(check("{test: [CMD-SHELL, 'a | b']}"), "Shell(\"a | b\")");
    assert_eq!(check("{test: 'a | b'}"), "Shell(\"a | b\")");
    assert_eq!(check("{test: [NONE]}"), "Off");
    assert_eq!(check("{disable: true, test: [CMD, a]}"), "Off");
    assert_eq!(check("{interval: 2s}"), "Image", "the image's own in another rhythm");
    let all = config(
        "image: x\nhealthcheck: {test: a, interval: 1s, timeout: 2s, retries: 4, start_period: 1m, start_interval: 500ms}",
    );
    let check = all.container.check.unwrap();
    let times =
        [check.interval, check.timeout, check.start_period, check.start_interval].map(|time| time.unwrap().as_millis());
    assert_eq!((times, check.retries), ([1000, 2000, 60_000, 500], Some(4)));
    for wrong in
        ["{test: [a, b]}", "{test: [CMD]}", "{test: [CMD-SHELL, a, b]}", "{retires: 3}", "{interval: 5}", "text"]
    {
        assert_ne!(said(&format!("healthcheck: {wrong}")), "", "{wrong}");
    }
}

#[test]
fn every_other_key_reaches_the_container() {
    let config = config(
        "image: x\nplatform: linux/amd64\npull_policy: always\ncommand: redis-server --appendonly yes\nentrypoint: []\nuser: 1000\n\
         working_dir: /w\nhostname: h\ndomainname: d\nextra_hosts: ['a:1.2.3.4', 'b=[::1]', 'host.docker.internal:host-gateway']\n\
         dns: 1.1.1.1\nlabels: [a=b, c]\ninit: true\nprivileged: true\nread_only: true\nstdin_open: true\ncap_add: [A]\ncap_drop: [B]\n\
         security_opt: ['seccomp=unconfined']\ngroup_add: [1, g]\ndevices: [/dev/x, {source: /dev/y}]\nsysctls: {net.core.somaxconn: 1024}\n\
         ulimits: {nofile: 20000, nproc: {soft: 1, hard: -1}}\nshm_size: 64m\npids_limit: 100\nmemswap_limit: -1\nstop_signal: sigint\n\
         tty: true\nexpose: [80]\nnetworks: {back: {aliases: [q]}}\nrestart: 'no'\nlive: {tcp: 1}\nbefore: ['echo hi']\nlinks: [other]\n",
    );
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let is = &config.container;
    assert_eq!(is.command, Some(words(&["redis-server", "--appendonly", "yes"])));
    assert_eq!(is.entrypoint, Some(Vec::new()), "an empty one clears the image's");
    assert_eq!(is.extra_hosts, words(&["a:1.2.3.4", "b:::1", "host.docker.internal:host-gateway"]));
    assert_eq!((is.user.as_deref(), is.dns.as_slice()), (Some("1000"), words(&["1.1.1.1"]).as_slice()));
    assert_eq!(is.labels, [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
    assert_eq!(is.devices, words(&["/dev/x", "/dev/y:/dev/y:rwm"]));
    assert_eq!(is.ulimits, [("nofile".to_owned(), 20000, 20000), ("nproc".to_owned(), 1, -1)]);
    assert_eq!((is.shm_size, is.pids_limit, is.memory_swap), (Some(64 << 20), Some(100), Some(-1)));
    assert_eq!((is.init, is.privileged, is.read_only, is.stdin_open, config.tty), (Some(true), true, true, true, true));
    assert_eq!((is.stop_signal.as_deref(), config.stop.signal), (Some("SIGINT"), 2));
    assert_eq!(is.network, crate::task::container::Network::Project { aliases: words(&["q"]) });
    assert_eq!((is.pull, is.platform.as_deref()), (crate::task::container::Pull::Always, Some("linux/amd64")));
    assert_eq!(config.needs[0].service.as_str(), "other");
    assert!(config.live.is_some() && config.before.len() == 1);
}

#[test]
fn limits_and_restarts_of_both_worlds() {
    let deploy = config(
        "image: x\ndeploy: {resources: {limits: {cpus: '0.5', memory: 256M, pids: 7}}, restart_policy: {condition: any, delay: 2s, max_attempts: 3}}\n",
    );
    assert_eq!((deploy.resources.cpu, deploy.resources.memory, deploy.container.pids_limit), (0.5, 256 << 20, Some(7)));
    assert_eq!((deploy.restart.limit, deploy.restart.delay.as_secs()), (4, 2));
    let restart = |word: &str| format!("{:?}", config(&format!("image: x\nrestart: {word}")).restart.mode);
    let words = ["'no'", "no", "always", "unless-stopped", "on-failure", "on-failure:3", "{policy: always, delay: 1s}"];
    assert_eq!(words.map(restart), ["No", "No", "Always", "Always", "OnFailure", "OnFailure", "Always"]);
    assert_eq!(
        said("restart: allways"),
        "2:10: `restart` must be one of `no`, `on-failure`, `on-failure:3`, `always`, `unless-stopped`, not `allways`"
    );
    assert_eq!(
        said("scale: 2"),
        "2:8: `scale: 2`: a vendor has one copy | give each further copy a section and ports of its own"
    );
    assert_eq!(
        said("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}"),
        "3:39: `deploy.resources.limits.memory` and another key limit the memory differently"
    );
    assert!(!config("image: x\ndeploy: {replicas: 0}").enabled);
}

#[test]
fn what_is_not_taken_is_named_with_its_place() {
    for (text, expected) in [
        (
            "container_name: me",
            "2:1: warning: `container_name` is not taken: containers are named after the project and `db` | others find it by the name of its section",
        ),
        (
            "logging: {driver: '${D}'}",
            "2:1: warning: `logging` is not taken: the output is kept in the project's logs | `orchestra logs` shows it, `logs: {keep: …}` bounds it",
        ),
        ("runtime: '${R}'", "2:1: `runtime` is not supported | set the engine's default runtime"),
        ("cpuset: '0'", "2:1: warning: `cpuset` is not taken: it may run on every core"),
        ("deploy: {mode: global}", "2:10: warning: `deploy.mode` is not taken: it is for a swarm"),
        (
            "deploy: {resources: {reservations: {memory: 1g}}}",
            "2:22: warning: `deploy.resources.reservations` are not taken: nothing is reserved",
        ),
        (
            "pull_policy: daily",
            "2:14: warning: `pull_policy: daily` is taken as `missing` | `orchestra vendors pull` fetches newer images",
        ),
        (
            "build: .",
            "2:1: `build` is not supported | a vendor runs an image: build it and name it with `image`, or make it a service of this project",
        ),
        (
            "extends: {service: x}",
            "2:1: `extends` is not supported | write the keys out, or share them with a YAML anchor (`&name`, `<<: *name`)",
        ),
        (
            "network_mode: service:x",
            "2:15: `network_mode: service:x` is not supported | vendors share the project's network and find each other by name; `host` and `none` are taken",
        ),
        (
            "networks: {a: {ipv4_address: 10.0.0.1}}",
            "2:16: `networks.a.ipv4_address` is not supported | vendors find each other by name; give it an alias: `aliases: [db]`",
        ),
        ("enviroment: {A: b}", "2:1: unknown key `enviroment` | did you mean environment?"),
        ("zzz: 1", "2:1: unknown key `zzz` | `orchestra schema service` and `orchestra schema project` list every key"),
        ("x-anything: {a: b}", ""),
        ("labels: {orchestra.run: x}", "2:9: `labels`: `orchestra.run` is orchestra's own to set | call it otherwise"),
        (
            "ready: {notify: true}",
            "2:9: `ready.notify` is not for containers: they cannot reach the socket | ask with `http`, `tcp`, `exec` or `log`",
        ),
        (
            "depends_on: {a: {condition: service_helthy}}",
            "2:29: `depends_on.a.condition` must be one of `service_started`, `service_healthy`, `service_completed_successfully`, `started`, `ready`, `completed`, not `service_helthy` | did you mean service_healthy?",
        ),
        (
            "depends_on: {a: {restart: true}}",
            "2:18: warning: `depends_on.a.restart` is not taken: `db` goes on when `a` is restarted",
        ),
        (
            "profiles: ['${P}']",
            "2:11: `profiles` cannot have variables: it must be known before they are | write the value out",
        ),
        (
            "command: 'a && b'",
            "2:10: warning: `&&` is an ordinary word here: no shell runs `command` | for a shell write [sh, -c, \"…\"]",
        ),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn variables_are_left_for_whoever_starts_it() {
    let text = "image: 'x:${V:-1}'\nports: ['${P}:80']\nmem_limit: ${M}\ncommand: [a, '$HOME', '$$x', '${V}']\nhealthcheck: {test: 'f $$X ${V}'}\n\
                user: ${NOBODY}\ninit: ${YES}\nready: {log: 'a$', interval: 1s}\nenvironment: {A: '${V}'}\n";
    let (config, said) = loaded(Dialect::Project, text);
    assert_eq!(said, "");
    let config = config.unwrap();
    assert!(config.ports.is_empty() && config.container.image.is_empty(), "nothing is guessed");
    let mut lookup = |name: &str| {
        Ok(match name {
            "V" => Some(b"2".to_vec()),
            "P" => Some(b"8080".to_vec()),
            "M" => Some(b"64m".to_vec()),
            "YES" => Some(b"true".to_vec()),
            _ => None,
        })
    };
    let filled = read::filled(&config, &tree(text), Dialect::Project, &mut lookup).unwrap();
    let is = &filled.container;
    assert_eq!((is.image.as_str(), filled.ports[0].host, filled.resources.memory), ("x:2", Some(8080), 64 << 20));
    assert_eq!(is.command.as_ref().unwrap()[1..], ["$HOME", "$x", "2"]);
    assert_eq!(format!("{:?}", is.check.as_ref().unwrap().test), "Shell(\"f $X 2\")");
    assert_eq!((is.user.as_deref(), is.init), (None, Some(true)), "an empty one counts as absent");
    let compose = |text: &str| loaded(Dialect::Compose, text).1;
    assert_eq!(
        compose("image: x\ncommand: 'echo $(pwd)'"),
        "2:10: `$(pwd)` begins no variable | write `$$` for a dollar sign, `${NAME}` for a variable\n"
    );
    let (config, _) = loaded(Dialect::Compose, "image: x\nports: ['$P:80', '${Q:?say a port}:81']\n");
    let tree = tree("image: x\nports: ['$P:80', '${Q:?say a port}:81']\n");
    let problems = read::filled(&config.unwrap(), &tree, Dialect::Compose, &mut lookup).unwrap_err();
    assert_eq!(problems[0].message, "`Q` is not set: say a port");
}
