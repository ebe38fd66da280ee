//! What `ready: health` comes down to for one container, and its rhythm. Pure.
//!
//! The engine has put together the test of the section and that of the image when it made the container; when it is run, and what a failure means, is
//! decided here: a start is awaited at a quick pace, whatever the interval.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, HealthConfig};

use crate::task::container::{HealthCheck, HealthTest, Published};
use crate::task::spec::{Probe, ProbeTarget, Protocol};

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// This program in the container must exit 0.
    Inside {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What a person wrote.
        words: String,
    },
    /// One of these ports of the container must accept.
    Ports(Vec<u16>),
    /// It must have been up for a second.
    Up,
}

/// A check and its rhythm.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Health {
    /// What is asked where the target is the container's health.
    pub(super) check: Check,
    /// The probe, with what the image says where the section says nothing.
    pub(super) probe: Probe,
    /// The pace while a start is awaited.
    pub(super) hurry: Option<Duration>,
}

impl Health {
    fn unchanged(probe: &Probe) -> Health {
        Health { check: Check::Up, probe: probe.clone(), hurry: None }
    }
}

/// What `probe` comes down to.
pub(super) fn of(
    probe: &Probe,
    section: Option<&HealthCheck>,
    facts: &ContainerInspectResponse,
    published: &[Published],
) -> Health {
    if !matches!(probe.target, ProbeTarget::Health | ProbeTarget::Listener) {
        return Health::unchanged(probe);
    }
    let config = facts.config.clone().unwrap_or_default();
    let merged = config.healthcheck.unwrap_or_default();
    let shell = config.shell.filter(|shell| !shell.is_empty());
    let Some(check) = inside(&merged, shell.as_deref()) else {
        let ports = ports(published, config.exposed_ports.as_deref().unwrap_or_default());
        let check = if ports.is_empty() { Check::Up } else { Check::Ports(ports) };
        return Health { check, ..Health::unchanged(probe) };
    };
    let own = section.filter(|section| !matches!(section.test, HealthTest::Image));
    let of_section = |time: fn(&HealthCheck) -> Option<Duration>| section.and_then(time);
    // Where the test is the section's, the engine was told a rhythm that nobody wrote.
    let of_image = |nanos: Option<i64>| nanos.filter(|_| own.is_none()).and_then(duration);
    let probe = Probe {
        target: probe.target.clone(),
        interval: of_section(|section| section.interval).or_else(|| of_image(merged.interval)),
        timeout: of_section(|section| section.timeout).or_else(|| of_image(merged.timeout)).unwrap_or(probe.timeout),
        failures: section
            .and_then(|section| section.retries)
            .or_else(|| merged.retries.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0 && own.is_none()))
            .unwrap_or(probe.failures),
        start_period: of_section(|section| section.start_period)
            .or_else(|| of_image(merged.start_period))
            .unwrap_or(probe.start_period),
    };
    let hurry = of_section(|section| section.start_interval).or_else(|| of_image(merged.start_interval));
    Health { check, probe, hurry }
}

/// The test, where there is one.
fn inside(merged: &HealthConfig, shell: Option<&[String]>) -> Option<Check> {
    let (kind, rest) = merged.test.as_deref()?.split_first()?;
    match (kind.as_str(), rest) {
        ("CMD", [_, ..]) => Some(Check::Inside { argv: rest.to_vec(), words: rest.join(" ") }),
        ("CMD-SHELL", [line, ..]) => {
            let usual = ["/bin/sh".to_owned(), "-c".to_owned()];
            let argv = shell.unwrap_or(&usual).iter().chain([line]).cloned().collect();
            Some(Check::Inside { argv, words: line.clone() })
        }
        _ => None,
    }
}

/// The first port that the section publishes; else those that the image names, of which one must accept: not every image listens on all of them.
fn ports(published: &[Published], exposed: &[String]) -> Vec<u16> {
    if let Some(first) = published.iter().find(|port| port.protocol == Protocol::Tcp) {
        return vec![first.container];
    }
    let mut ports: Vec<u16> = exposed.iter().filter_map(|port| port.strip_suffix("/tcp")?.parse().ok()).collect();
    ports.sort_unstable();
    ports
}

/// Nanoseconds; 0 says nothing.
fn duration(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}
