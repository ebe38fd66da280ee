//! Whole files as the documentation shows them, and who may own them.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::Duration;

use super::Project;
use super::file::{Linger, Strays};
use super::load::{LoadOptions, load};
use crate::services::spec::{Program, RunIn};
use crate::task::id::ServiceName;
use crate::task::restart::RestartMode;
use crate::task::spec::Condition;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn loaded(root: &Path) -> Project {
    load(root, &LoadOptions::default())
        .unwrap_or_else(|all| panic!("{}", all.iter().map(|p| format!("{p}\n")).collect::<String>()))
}

const PROJECT: &str = r#"
name: shop                        # default: the folder's name
env: {LOG_LEVEL: debug}           # for every service
env_file: [.env]                  # default: .env where it exists
before: ["echo hi"]
after:  []
start: {env: {}, before: [], after: []}
discover: ["*"]
defaults: {restart: on-failure, stop: {grace: 10s}}
services: {web: {dir: ./web, command: [npm, run, dev]}}
include: [docker-compose.yml]
vendors:
  postgres:
    image: postgres:16
    ports: ["5432:5432"]
    environment: {POSTGRES_PASSWORD: dev}
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: {test: ["CMD", "pg_isready", "-h", "127.0.0.1"], interval: 1s}
    ready: {tcp: 5432}
commands: {migrate: [go, run, ./cmd/migrate]}
logs: {keep: 512MiB, total: 8GiB}
port_offset: 0
scheduler: epvm
strays: kill
linger: forever
"#;

const SERVICE: &str = r#"
name: api
description: Public API
labels: {team: payments}
package: .
dir: .
build: {flags: [], tags: [], ldflags: "", env: {}, race: false, debug: false, dwarf: true, vet: false, before: []}
args: ["-listen", ":${PORT}"]
env: {KEY: value}
env_file: []
scale: 1
ports: {http: 8080, metrics: auto, coap: 5683/udp}
depends_on: [postgres, auth]
ready: {http: /healthz}
live:  {http: /livez, failures: 3}
restart: on-failure
stop: {signal: SIGTERM, grace: 10s}
resources: {cpu: 0.5, memory: 256MiB, disk: 1GiB}
type: service
test: {flags: [], before_start: false, acceptance: {package: ./acceptance, tags: [acceptance]}}
watch: {include: [], exclude: [], on_test_failure: keep}
run_in: process
tty: false
enabled: true
before: []
after: []
"#;

#[test]
fn the_documented_files_load() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    write(root, "orchestra.yml", PROJECT);
    write(root, ".env", "A=1\n");
    write(root, "docker-compose.yml", "services: {redis: {image: redis}, built: {build: .}}\n");
    write(root, "web/package.json", "{}");
    write(root, "gateway/service.yml", SERVICE);
    write(root, "gateway/main.go", "package main\n");
    write(
        root,
        "auth/service.yml",
        "type: job\nrestart: {policy: always, delay: 1s, max_delay: 2s, limit: 0, window: 1m}\ncommand: sleep 1\n",
    );
    let project = loaded(root);
    let names = |names: Vec<&ServiceName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(names(project.services.keys().collect()), "api auth web");
    assert_eq!(names(project.vendors.keys().collect()), "postgres redis");
    assert_eq!(project.warnings.len(), 1, "only of the one that is built");
    assert_eq!(
        (project.name.as_str(), project.scheduler, project.strays, project.linger),
        ("shop", "epvm", Strays::Kill, Linger::Forever)
    );
    assert_eq!((project.logs.keep, project.logs.total), (512 << 20, 8 << 30));
    assert_eq!(project.commands[0].0, "migrate");
    let api = &project.services[&ServiceName::fold("api").unwrap()].config;
    assert_eq!(api.labels, [("team".to_owned(), "payments".to_owned())]);
    assert_eq!(
        api.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(),
        ["http", "metrics", "coap"],
        "the order of the file"
    );
    assert_eq!((api.resources.cpu, api.resources.memory, api.resources.disk), (0.5, 256 << 20, 1 << 30));
    assert_eq!((api.stop.signal, api.stop.grace), (15, Duration::from_secs(10)));
    assert_eq!((api.run_in, api.enabled, api.tty), (RunIn::Process, true, false));
    let auth = &project.services[&ServiceName::fold("auth").unwrap()].config;
    assert_eq!(
        (auth.restart.mode, auth.restart.limit, auth.restart.window),
        (RestartMode::Always, 0, Duration::from_secs(60))
    );
    assert!(matches!(&auth.program, Program::Command(words) if words.len() == 2));
}

#[test]
fn anchors_have_a_place_of_their_own() {
    let temp = tempfile::tempdir().unwrap();
    let text = "x-common: &common {restart: always, env: {A: '1'}}\nservices:\n  a: {<<: *common, command: [x]}\n  b: {<<: *common, command: [x], restart: no}\n";
    write(temp.path(), "orchestra.yml", text);
    let project = loaded(temp.path());
    let modes: Vec<_> = project.services.values().map(|service| service.config.restart.mode).collect();
    assert_eq!(modes, [RestartMode::Always, RestartMode::No]);
}

#[test]
fn empty_files_are_a_project() {
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), "orchestra.yml", "");
    assert!(loaded(temp.path()).services.is_empty());
    write(temp.path(), "api/service.yml", "\n# nothing yet\n");
    write(temp.path(), "api/main.go", "package main\n");
    write(temp.path(), "web/service.yml", "scale:\nenv:\nports:\ndepends_on: {api: }\nrestart: no\ncommand: 'x'\n");
    let project = loaded(temp.path());
    let web = &project.services[&ServiceName::fold("web").unwrap()].config;
    assert_eq!((web.scale, web.restart.mode, web.needs[0].condition), (1, RestartMode::No, None::<Condition>));
}

#[test]
fn another_file_can_be_the_projects() {
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), "orchestra.yml", "nonsense: 1\n");
    write(temp.path(), "dev.yml", "name: Dev Fleet\n");
    let options = LoadOptions { config: Some(temp.path().join("dev.yml")), trust: false };
    assert_eq!(load(temp.path(), &options).unwrap().name, "dev-fleet");
    let problems = load(temp.path(), &LoadOptions::default()).unwrap_err();
    assert_eq!(problems[0].message, "unknown key `nonsense`");
    let options = LoadOptions { config: Some(temp.path().join("gone.yml")), trust: false };
    assert!(load(temp.path(), &options).unwrap_err()[0].message.starts_with("cannot read the file"));
}

#[test]
fn files_of_others_are_refused_unless_trusted() {
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), "orchestra.yml", "");
    write(temp.path(), "api/service.yml", "command: [x]\n");
    let file = temp.path().join("api/service.yml");
    // Only root can give a file away; for everyone else the refusal is tested by whoever runs this as root.
    if fs::metadata(&file).unwrap().uid() != 0 || chown(&file, Some(12345), None).is_err() {
        return;
    }
    let problems = load(temp.path(), &LoadOptions::default()).unwrap_err();
    assert_eq!(
        problems[0].to_string().lines().next(),
        Some("api/service.yml:1:1: the file belongs to another user (uid 12345), who could run anything as you")
    );
    assert!(load(temp.path(), &LoadOptions { trust: true, config: None }).is_ok());
}
