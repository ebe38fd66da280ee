//! Which check a container has, and its rhythm.

use std::time::Duration;

use bollard::models::{ContainerConfig, HealthConfig};

use super::check::of;
use super::*;
use crate::task::container::{HealthCheck, HealthTest, Published};
use crate::task::spec::Protocol;

const SECOND: i64 = 1_000_000_000;

fn probe(target: ProbeTarget) -> Probe {
    Probe { target, interval: None, timeout: Duration::from_secs(30), failures: 3, start_period: Duration::ZERO }
}

fn facts(test: Option<&[&str]>, exposed: &[&str]) -> ContainerInspectResponse {
    let healthcheck = test.map(|test| HealthConfig {
        test: Some(test.iter().map(|word| (*word).to_owned()).collect()),
        interval: Some(7 * SECOND),
        timeout: Some(2 * SECOND),
        retries: Some(9),
        start_period: Some(0),
        start_interval: None,
    });
    let exposed_ports = Some(exposed.iter().map(|port| (*port).to_owned()).collect());
    let config = ContainerConfig { healthcheck, exposed_ports, ..ContainerConfig::default() };
    ContainerInspectResponse { config: Some(config), ..ContainerInspectResponse::default() }
}

fn section(test: HealthTest) -> HealthCheck {
    let interval = Some(Duration::from_secs(1));
    HealthCheck {
        test,
        interval,
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: Some(Duration::from_millis(500)),
    }
}

fn published(container: u16, protocol: Protocol) -> Published {
    Published { address: "127.0.0.1".into(), host: 40_000 + container % 1000, container, protocol }
}

fn inside(argv: &[&str], words: &str) -> Check {
    Check::Inside { argv: argv.iter().map(|word| (*word).to_owned()).collect(), words: words.to_owned() }
}

#[test]
fn a_test_is_run_as_compose_runs_it() {
    let check = |test: &[&str]| of(&probe(ProbeTarget::Health), None, &facts(Some(test), &[]), &[]).check;
    assert_eq!(
        check(&["CMD", "pg_isready", "-h", "127.0.0.1"]),
        inside(&["pg_isready", "-h", "127.0.0.1"], "pg_isready -h 127.0.0.1")
    );
    assert_eq!(check(&["CMD-SHELL", "a || b"]), inside(&["/bin/sh", "-c", "a || b"], "a || b"));
    let mut own_shell = facts(Some(&["CMD-SHELL", "a"]), &[]);
    own_shell.config.as_mut().unwrap().shell = Some(vec!["/bin/bash".into(), "-ec".into()]);
    let got = of(&probe(ProbeTarget::Health), None, &own_shell, &[]).check;
    assert_eq!(got, inside(&["/bin/bash", "-ec", "a"], "a"));
    for off in [&["NONE"][..], &["CMD"], &[]] {
        assert_eq!(check(off), Check::Up, "{off:?}");
    }
}

#[test]
fn without_a_test_a_port_or_a_second() {
    let check =
        |exposed: &[&str], all: &[Published]| of(&probe(ProbeTarget::Health), None, &facts(None, exposed), all).check;
    let both = [published(53, Protocol::Udp), published(8222, Protocol::Tcp), published(4222, Protocol::Tcp)];
    assert_eq!(check(&["1/tcp"], &both), Check::Ports(vec![8222]), "the first of the file");
    assert_eq!(check(&["6222/tcp", "53/udp", "4222/tcp"], &both[..1]), Check::Ports(vec![4222, 6222]));
    assert_eq!(check(&["53/udp"], &[]), Check::Up);
}

#[test]
fn the_rhythm_of_the_image_counts_where_the_section_says_none() {
    let image = facts(Some(&["CMD", "a"]), &[]);
    let got = of(&probe(ProbeTarget::Health), None, &image, &[]);
    let ours = Probe {
        interval: Some(Duration::from_secs(7)),
        timeout: Duration::from_secs(2),
        failures: 9,
        ..probe(ProbeTarget::Health)
    };
    assert_eq!((got.probe, got.hurry), (ours.clone(), None));
    let got = of(&probe(ProbeTarget::Health), Some(&section(HealthTest::Image)), &image, &[]);
    let hurry = Some(Duration::from_millis(500));
    assert_eq!((got.probe, got.hurry), (Probe { interval: Some(Duration::from_secs(1)), ..ours }, hurry));
    // The engine was told a rhythm of ours beside a test of the section's.
    let got = of(&probe(ProbeTarget::Health), Some(&section(HealthTest::Shell("a".into()))), &image, &[]);
    let own = Probe { interval: Some(Duration::from_secs(1)), ..probe(ProbeTarget::Health) };
    assert_eq!((got.probe, got.hurry), (own, hurry));
    let other = probe(ProbeTarget::Tcp(5432));
    assert_eq!(of(&other, Some(&section(HealthTest::Image)), &image, &[]).probe, other, "`ready:` instead");
}
