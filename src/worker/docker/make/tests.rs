//! Bodies as the engine gets them.

use std::sync::Arc;

use super::*;
use crate::task::container::Published;
use crate::task::environment::Environment;
use crate::task::id::{InstanceId, Settings};
use crate::task::spec::{Caller, Probe, ProbeTarget, Resources, StopSpec};

pub(in crate::worker::docker) fn spec(container: ContainerSpec) -> RunSpec {
    let target = ProbeTarget::Started;
    RunSpec {
        instance: InstanceId::parse("postgres.1").unwrap(),
        argv: Vec::new(),
        dir: "/".into(),
        env: Environment::from(vec![("PASSWORD".into(), "dev".into())]),
        ports: Vec::new(),
        debugger: None,
        ready: Probe {
            target,
            interval: None,
            timeout: Duration::from_secs(1),
            failures: 3,
            start_period: Duration::ZERO,
        },
        live: None,
        stop: StopSpec { signal: 15, grace: Duration::from_millis(2500) },
        before: Vec::new(),
        after: Vec::new(),
        tty: false,
        resources: Resources { cpu: 0.5, memory: 1 << 26, disk: 0 },
        container: Some(Arc::new(container)),
        caller: Caller { umask: 0o22, nofile: None },
        log_keep: 1 << 20,
        settings: Settings("abc".into()),
    }
}

fn made(container: ContainerSpec, handed_on: &[(String, String)]) -> ContainerCreateBody {
    let spec = spec(container.clone());
    let around = Around {
        root: Path::new("/src/shop"),
        run: RunId(7),
        network: Some("n1"),
        handed_on,
        api: (1, 41),
        image: None,
        is_here: true,
    };
    body(&spec, &container, &around)
}

fn volume(target: &str) -> Mount {
    let source = Source::Volume { name: "shop_pgdata".into(), key: "pgdata".into(), external: false, nocopy: false };
    Mount { target: target.into(), source, read_only: false }
}

#[test]
fn a_container_says_whose_it_is_and_what_it_is_held_to() {
    let published = Published { address: "127.0.0.1".into(), host: 15432, container: 5432, protocol: Protocol::Tcp };
    let labels = vec![("team".to_owned(), "db".to_owned()), (labels::ROOT.to_owned(), "/elsewhere".to_owned())];
    let container = ContainerSpec {
        project: "shop".into(),
        image: "postgres:16".into(),
        published: vec![published],
        labels,
        network: Network::Project { aliases: vec!["postgres".into(), "db".into()] },
        ..ContainerSpec::default()
    };
    let made = made(container, &[]);
    let label = |key: &str| made.labels.as_ref().unwrap().get(key).cloned();
    assert_eq!(label(labels::ROOT).as_deref(), Some("/src/shop"), "ours win");
    assert_eq!(label(labels::INSTANCE).as_deref(), Some("postgres.1"));
    assert_eq!((label(labels::SETTINGS).as_deref(), label("team").as_deref()), (Some("abc"), Some("db")));
    assert_eq!(made.env, Some(vec!["PASSWORD=dev".to_owned()]));
    assert_eq!(made.stop_timeout, Some(3), "a part of a second is a whole one");
    let host = made.host_config.unwrap();
    assert_eq!((host.memory, host.nano_cpus), (Some(1 << 26), Some(500_000_000)));
    assert_eq!(host.network_mode.as_deref(), Some("n1"));
    assert_eq!(host.restart_policy, None, "who starts it again is us");
    let binding = host.port_bindings.unwrap()["5432/tcp"].clone().unwrap();
    assert_eq!(binding, [PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some("15432".into()) }]);
    let endpoints = made.networking_config.unwrap().endpoints_config.unwrap();
    assert_eq!(endpoints["n1"].aliases, Some(vec!["postgres".to_owned(), "db".to_owned()]));
}

#[test]
fn volumes_without_a_name_are_handed_on_unless_something_else_is_seen_there() {
    let old = |target: &str, name: &str| (target.to_owned(), name.repeat(64));
    let anonymous = Mount { target: "/cache/".into(), source: Source::Anonymous, read_only: false };
    let fresh = Mount { target: "/fresh".into(), source: Source::Anonymous, read_only: true };
    let container = ContainerSpec { mounts: vec![volume("/data"), anonymous, fresh], ..ContainerSpec::default() };
    let made = made(container, &[old("/data", "a"), old("/cache", "b"), old("/image", "c")]);
    let handed_on = made.labels.unwrap()[labels::HANDED].clone();
    assert_eq!(handed_on, format!("{},{}", "b".repeat(64), "c".repeat(64)), "so that they go with it");
    let mounts = made.host_config.unwrap().mounts.unwrap();
    let seen: Vec<_> = mounts.iter().map(|mount| (mount.target.as_deref().unwrap(), mount.source.clone())).collect();
    let handed = |name: &str| Some(name.repeat(64));
    assert_eq!(
        seen,
        [("/data", Some("shop_pgdata".to_owned())), ("/cache", handed("b")), ("/image", handed("c")), ("/fresh", None)]
    );
}

#[test]
fn folders_of_the_host_are_made_only_where_that_is_asked_for() {
    let bind = |target: &str, create, relabel| Mount {
        target: target.into(),
        source: Source::Bind { path: "/src/conf".into(), create, propagation: None, relabel },
        read_only: true,
    };
    let container = ContainerSpec {
        mounts: vec![bind("/a", true, None), bind("/b", false, None), bind("/c", false, Some('Z'))],
        ..ContainerSpec::default()
    };
    let host = made(container, &[]).host_config.unwrap();
    assert_eq!(host.binds, Some(vec!["/src/conf:/a:ro".to_owned(), "/src/conf:/c:ro,Z".to_owned()]));
    let mounts = host.mounts.unwrap();
    assert_eq!((mounts.len(), mounts[0].target.as_deref(), mounts[0].read_only), (1, Some("/b"), Some(true)));
}

#[test]
fn what_is_not_said_is_the_images() {
    let plain = made(ContainerSpec::default(), &[]);
    assert_eq!((plain.entrypoint, plain.cmd, plain.user, plain.healthcheck), (None, None, None, None));
    let cleared =
        ContainerSpec { entrypoint: Some(Vec::new()), command: Some(vec!["sh".into()]), ..ContainerSpec::default() };
    let made = made(cleared, &[]);
    assert_eq!((made.entrypoint, made.cmd), (Some(vec![String::new()]), Some(vec!["sh".to_owned()])));
}

#[test]
fn checks_are_said_as_the_engine_says_them() {
    let check = |test| HealthCheck {
        test,
        interval: None,
        timeout: Some(Duration::from_secs(2)),
        retries: Some(4),
        start_period: None,
        start_interval: Some(Duration::from_millis(100)),
    };
    let off = health(&check(HealthTest::Off), (1, 41)).unwrap();
    assert_eq!(off.test, Some(vec!["NONE".to_owned()]));
    let shell = health(&check(HealthTest::Shell("pg_isready".into())), (1, 44)).unwrap();
    assert_eq!(shell.test, Some(vec!["CMD-SHELL".to_owned(), "pg_isready".to_owned()]));
    assert_eq!((shell.retries, shell.timeout), (Some(4), Some(2_000_000_000)));
    assert_eq!(shell.start_interval, Some(100_000_000));
    let image = health(&check(HealthTest::Image), (1, 41)).unwrap();
    assert_eq!((image.test, image.interval, image.start_interval), (None, None, None), "older engines refuse it");
    let every = |millis| HealthCheck { interval: Some(Duration::from_millis(millis)), ..check(HealthTest::Image) };
    let told = |millis| health(&every(millis), (1, 41)).unwrap().interval;
    assert_eq!((told(200), told(3000)), (Some(1_000_000_000), Some(3_000_000_000)), "quicker ones are ours alone");
}

#[test]
fn names_of_volumes_that_nobody_gave_are_long_and_hexadecimal() {
    let seen = |typ: &str, name: &str| MountPoint {
        typ: Some(typ.into()),
        name: Some(name.into()),
        destination: Some("/data".into()),
        ..MountPoint::default()
    };
    let id = "0a".repeat(32);
    let all = [seen("volume", "shop_pgdata"), seen("volume", &id), seen("bind", &id)];
    assert_eq!(anonymous(&all), [("/data".to_owned(), id)]);
}
