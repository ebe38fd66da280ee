//! Fleets for tests.

use std::collections::BTreeMap;

use crate::api::wire::{Instance, Ps, Service, Supervisor};

/// An answer of `ps`.
pub(super) fn ps(services: Vec<Service>) -> Ps {
    let supervisor = Supervisor { running: true, pid: Some(7), ..Supervisor::default() };
    Ps { project: "shop".into(), root: "/shop".into(), supervisor, services }
}

/// A service with copies in these states.
pub(super) fn service(name: &str, states: &[&str]) -> Service {
    const ORDER: [&str; 11] = [
        "failed",
        "crashloop",
        "backoff",
        "stopping",
        "running",
        "starting",
        "building",
        "queued",
        "ready",
        "done",
        "idle",
    ];
    let instances: Vec<Instance> =
        states.iter().enumerate().map(|(at, state)| instance(&format!("{name}.{}", at + 1), state, 1.5)).collect();
    let state = ORDER.into_iter().find(|state| states.contains(state)).unwrap_or("idle");
    Service {
        name: name.into(),
        kind: "service".into(),
        desired: if state == "idle" { "down" } else { "up" }.into(),
        scale: u32::try_from(states.len()).unwrap(),
        state: state.into(),
        build: None,
        test: None,
        rerun: false,
        instances,
    }
}

/// A copy in a state.
pub(super) fn instance(id: &str, state: &str, cpu: f64) -> Instance {
    let runs = matches!(state, "ready" | "running" | "starting" | "stopping");
    Instance {
        id: id.into(),
        state: state.into(),
        trouble: None,
        pid: runs.then_some(100),
        worker: "process".into(),
        node: "local".into(),
        ports: BTreeMap::from([("http".into(), 8080)]),
        listening: Vec::new(),
        restarts: 0,
        started_at: runs.then(|| "2026-01-02T03:04:05.678Z".into()),
        last_exit: None,
        health: if state == "ready" { "ok" } else { "unknown" }.into(),
        cpu_percent: runs.then_some(cpu),
        memory_bytes: runs.then_some(12 << 20),
        since: None,
        ready_at: None,
        limits: None,
    }
}
