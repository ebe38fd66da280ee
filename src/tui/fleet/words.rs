//! How a service is, in words that have room in a list.

use super::Tone;
use crate::api::wire::{Exit, Instance, Service};

pub(super) fn tone(service: &Service, state: &str) -> Tone {
    match Tone::of(state) {
        // It failed to be built and nothing else runs.
        Tone::Off if has_failed_build(service) && service.desired != "down" => Tone::Bad,
        tone => tone,
    }
}

fn has_failed_build(service: &Service) -> bool {
    service.build.as_ref().is_some_and(|build| build.state == "failed")
}

/// The state of a copy, in a word or two that have room in a list.
pub(super) fn word(service: &Service, instance: &Instance) -> String {
    match (&instance.trouble, &*instance.state, &instance.last_exit) {
        (Some(trouble), ..) => trouble.clone(),
        // That it is tried again the glyph says.
        (None, "failed" | "backoff", Some(exit)) if !has_failed_build(service) || instance.state == "backoff" => {
            ended(exit)
        }
        (None, state, _) => plain(service, state),
    }
}

pub(super) fn plain(service: &Service, state: &str) -> String {
    let build = service.build.as_ref().map(|build| &*build.state);
    match (state, build) {
        ("ready" | "running", Some("failed")) => "old bin".to_owned(),
        ("ready" | "running", Some("building")) => "rebuilding".to_owned(),
        ("idle" | "failed", Some("failed")) => "build err".to_owned(),
        ("idle", _) => "off".to_owned(),
        (state, _) => state.to_owned(),
    }
}

/// `exit 2`, `signal 9`, `oom`, `port`, …
fn ended(exit: &Exit) -> String {
    match (&*exit.reason, exit.code, exit.signal) {
        ("exit", Some(code), _) => format!("exit {code}"),
        ("signal", _, Some(signal)) => format!("signal {signal}"),
        (reason, _, _) => reason.to_owned(),
    }
}

pub(super) fn since(instance: &Instance) -> Option<String> {
    instance.started_at.clone().filter(|_| instance.is_up())
}

pub(super) fn port(instance: &Instance) -> Option<u16> {
    instance.ports.get("http").or_else(|| instance.ports.values().next()).copied()
}

/// `ok`, `fail`, `wait` before the first word of a probe, or nothing.
pub(super) fn health(instance: &Instance) -> String {
    match (&*instance.health, &*instance.state) {
        ("ok", _) => "ok",
        ("failing", _) => "fail",
        (_, "starting") => "wait",
        _ => "",
    }
    .to_owned()
}
