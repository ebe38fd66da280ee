//! Services that run in containers, resolved: their builds, containers, variables and settings, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resolve_tests::{Fleet, name};
use crate::config::problem::Problem;
use crate::services::spec::RunIn;
use crate::task::container::{ContainerSpec, Network, Source};
use crate::task::id::InstanceId;
use crate::task::spec::{ProbeTarget, RunSpec};

use super::resolve::Overrides;

const SHOP: &str = r#"
name: shop
env: {DSN: "pg://${POSTGRES_ADDR}/${WEB_ADDR}"}
services:
  web: {command: [x], ports: {http: 9000}}
  api: {dir: ./api, run_in: docker, scale: 2, ports: {http: 8080, coap: 5683/udp}, args: [-l, ":${PORT}"], depends_on: [postgres]}
vendors:
  postgres: {image: "postgres:16", ports: ["15432:5432"]}
"#;

fn shop(yaml: &str) -> Fleet {
    let mut fleet = Fleet::new(&[("orchestra.yml", yaml), ("main.go", "package main"), ("api/notes.txt", "")]);
    fleet.caller.extend([("TOKEN".into(), "t".into()), ("PROXY".into(), "http://10.0.0.1:3128".into())]);
    fleet.caller.extend([("AGENT".into(), "unix:path=/run/x".into()), ("GOPATH".into(), "C:/go:/go".into())]);
    fleet
}

fn run(fleet: &Fleet, instance: usize) -> Arc<RunSpec> {
    fleet.one("api").runs[instance - 1].clone()
}

fn container(run: &RunSpec) -> Arc<ContainerSpec> {
    run.container.clone().unwrap()
}

fn var(run: &RunSpec, key: &str) -> Option<String> {
    run.env.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_str().unwrap().to_owned())
}

fn said(problems: Vec<Problem>) -> String {
    problems
        .iter()
        .map(|problem| format!("{} | {}\n", problem.message, problem.hint.clone().unwrap_or_default()))
        .collect()
}

#[test]
fn its_container_publishes_its_ports_and_sees_its_folder() {
    let fleet = shop(SHOP);
    let second = run(&fleet, 2);
    let made = container(&second);
    let folder = fleet.root.join("api");
    assert!(second.argv.is_empty());
    let program = made.program.as_ref().unwrap();
    assert_eq!(program.binary, fleet.root.join(".orchestra/bin/api"));
    assert_eq!(program.args, ["-l", ":8081"]);
    let published: Vec<_> =
        made.published.iter().map(|port| (port.address.as_str(), port.host, port.container)).collect();
    assert_eq!(published, [("127.0.0.1", 8081, 8081), ("127.0.0.1", 5684, 5684)]);
    assert_eq!(made.network, Network::Project { aliases: vec!["api.2".into()] });
    assert_eq!(container(&run(&fleet, 1)).network, Network::Project { aliases: vec!["api".into(), "api.1".into()] });
    let [mount] = made.mounts.as_slice() else { panic!("{:?}", made.mounts) };
    assert!(mount.read_only && mount.target == folder.to_str().unwrap());
    assert!(matches!(&mount.source, Source::Bind { path, create: false, .. } if *path == folder));
    assert_eq!(made.working_dir.as_deref(), folder.to_str());
    assert_eq!(made.stop_signal.as_deref(), Some("15"));
    assert_eq!(second.ready.target, ProbeTarget::Tcp(8081));
}

#[test]
fn it_finds_others_on_the_network_and_this_machine_by_its_gateway() {
    let fleet = shop(SHOP);
    let first = run(&fleet, 1);
    let is = |key: &str| var(&first, key).unwrap_or_default();
    assert_eq!([is("POSTGRES_HOST"), is("POSTGRES_PORT")], ["postgres", "5432"]);
    assert_eq!([is("WEB_ADDR"), is("API_ADDR")], ["host.docker.internal:9000", "api:8080"]);
    assert_eq!(is("DSN"), "pg://postgres:5432/host.docker.internal:9000");
    assert_eq!(is("ORCHESTRA_PEERS_HTTP"), "api.1:8080,api.2:8081");
    assert_eq!([is("PORT"), is("TOKEN"), is("PROXY")], ["8080", "t", "http://10.0.0.1:3128"]);
    for place in ["HOME", "PATH", "AGENT", "GOPATH"] {
        assert_eq!(var(&first, place), None, "{place} is a place of this machine");
    }
    // Its hooks run here, and whoever runs here finds it here.
    let made = container(&first);
    let hook = |key: &str| made.hook_env.iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
    assert_eq!([hook("POSTGRES_ADDR").unwrap(), hook("PATH").unwrap()], ["127.0.0.1:15432", "/bin"]);
    assert_eq!(fleet.var("web", "API_ADDR").as_deref(), Some("127.0.0.1:8080"));
    let project = fleet.load();
    let of = InstanceId { service: name("api"), number: 1 };
    let all = fleet.with(&[], |input| project.environment_here(input, &of)).unwrap();
    assert_eq!(all[std::ffi::OsStr::new("POSTGRES_ADDR")].value, "127.0.0.1:15432", "for `export` and for tests");
}

#[test]
fn its_build_is_for_linux_and_the_engines_machine_without_cgo() {
    let build = |yaml: &str| {
        let env = shop(yaml).one("api").build.unwrap().env;
        let of =
            |key: &str| env.iter().rfind(|(name, _)| name == key).map(|(_, value)| value.to_str().unwrap().to_owned());
        [of("GOOS"), of("GOARCH"), of("CGO_ENABLED")].map(Option::unwrap_or_default)
    };
    assert_eq!(build(SHOP), ["linux", "riscv64", "0"]);
    let with = |more: &str| SHOP.replace("scale: 2,", &format!("scale: 2, {more},"));
    assert_eq!(build(&with("env: {CGO_ENABLED: '1'}")), ["linux", "riscv64", "1"]);
    assert_eq!(build(&with("build: {env: {GOARCH: arm, CGO_ENABLED: '1'}}")), ["linux", "arm", "1"]);
    assert_eq!(build(&SHOP.replace("run_in: docker", "run_in: process")), ["", "", ""]);
    let mut fleet = shop(SHOP);
    fleet.caller.push(("CGO_ENABLED".into(), "1".into()));
    let env: BTreeMap<_, _> = fleet.one("api").build.unwrap().env.into_iter().collect();
    assert_eq!(env[std::ffi::OsStr::new("CGO_ENABLED")], "0", "a shell's own wish is about this machine");
    // Tests run on this machine, for this machine.
    let project = fleet.load();
    let tests = fleet.with(&[name("api")], |input| project.tests(input)).unwrap();
    assert!(!tests[0].wanted.build.env.iter().any(|(key, _)| key == "GOOS" || key == "GOARCH"));
}

#[test]
fn settings_tell_a_container_from_a_process_and_stay_while_others_change() {
    let settings = |fleet: &Fleet| run(fleet, 1).settings.clone();
    let mut fleet = shop(SHOP);
    let in_docker = settings(&fleet);
    fleet.overrides.insert(name("api"), Overrides { run_in: Some(RunIn::Process), ..Overrides::default() });
    assert_ne!(settings(&fleet), in_docker);
    assert!(run(&fleet, 1).container.is_none());
    fleet.overrides.clear();
    fleet.caller.push(("OTHER".into(), "shell".into()));
    assert_eq!(settings(&fleet), in_docker, "another caller is no reason to replace it");
    fleet.write("orchestra.yml", &SHOP.replace("-l,", "-m,")).unwrap();
    assert_ne!(settings(&fleet), in_docker);
}

#[test]
fn what_an_empty_image_cannot_do_is_refused_with_what_to_type() {
    let with = |more: &str| shop(&SHOP.replace("scale: 2,", &format!("scale: 2, {more},")));
    let refused = |fleet: Fleet| said(fleet.try_specs(&["api"]).unwrap_err());
    let race = refused(with("build: {race: true}"));
    assert!(race.contains("race detector") && race.contains("orchestra start api --race --in process"), "{race}");
    let debug = refused(with("build: {debug: true}"));
    assert!(debug.contains("no debugger") && debug.contains("--debug api --in process"), "{debug}");
    let notify = refused(with("ready: {notify: true}"));
    assert!(notify.contains("nobody hears `notify`"), "{notify}");
    let mut fleet = shop(SHOP);
    fleet
        .overrides
        .insert(name("api"), Overrides { debug: true, run_in: Some(RunIn::Process), ..Overrides::default() });
    assert!(fleet.one("api").runs[0].debugger.is_some());
    // What is no Go program stays a process, whatever is said.
    fleet.overrides.insert(name("web"), Overrides { run_in: Some(RunIn::Docker), ..Overrides::default() });
    assert!(fleet.one("web").runs[0].container.is_none());
}
