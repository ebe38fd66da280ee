//! `stop`: in reverse order, whole groups, with and without a supervisor, and nothing is left.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

#[test]
fn returns_when_everything_is_gone() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-child"], "scale: 2");
    fleet.toy("worker", &[], "");
    fleet.orchestra(&["start"]).ok();
    assert!(fleet.processes().len() >= 8, "supervisor, shims, services, children: {:#?}", fleet.processes());
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    let api = fleet.service("api");
    assert_eq!([&api["state"], &api["desired"]], ["idle", "down"]);
    assert_eq!(api["instances"][0]["last_exit"]["reason"], "stopped");
}

#[test]
fn stopping_nothing_is_no_error() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["stop"]).ok();
}

#[test]
fn what_could_not_be_built_is_no_reason_for_a_stop_to_fail() {
    let fleet = Fleet::new();
    fleet.go_service("broken", "package main\n\nfunc main() { nonsense }\n");
    fleet.toy("api", &[], "");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("undefined: nonsense"), "{}", start.stderr);
    fleet.orchestra(&["stop"]).ok();
    let restart = fleet.orchestra(&["restart", "broken"]).exits(1);
    assert!(restart.stderr.contains("undefined: nonsense"), "{}", restart.stderr);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn goes_in_reverse_order() {
    let fleet = Fleet::new();
    fleet.toy("db", &["-ending", "bye\n"], "");
    fleet.toy("api", &["-ending", "bye\n", "-term-in", "300ms"], "depends_on: [db]");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    let logs = fleet.orchestra(&["logs", "-o", "json", "--grep", "bye"]).ok().json_lines();
    let order: Vec<_> = logs.iter().map(|l| l["service"].as_str().unwrap()).collect();
    assert_eq!(order, ["api", "db"]);
}

#[test]
fn one_of_many_names_who_depends_on_it() {
    let fleet = Fleet::new();
    fleet.toy("db", &[], "");
    fleet.toy("api", &[], "depends_on: [db]");
    fleet.orchestra(&["start"]).ok();
    let api = fleet.pid("api.1");
    let stop = fleet.orchestra(&["stop", "db"]).ok();
    assert!(stop.stderr.contains("api"), "{}", stop.stderr);
    assert_eq!(fleet.service("db")["state"], "idle");
    assert_eq!(fleet.pid("api.1"), api);
}

#[test]
fn one_that_ignores_the_signal_is_killed_after_its_grace() {
    let fleet = Fleet::new();
    fleet.toy("deaf", &["-ignore-term"], "stop: {grace: 400ms}");
    fleet.orchestra(&["start"]).ok();
    let stop = fleet.orchestra(&["stop"]).ok();
    assert!((Duration::from_millis(400)..Duration::from_secs(8)).contains(&stop.took), "{:?}", stop.took);
    assert_eq!(fleet.processes(), []);
    assert_eq!(fleet.instance("deaf.1")["last_exit"]["signal"], 9);
}

#[test]
fn the_timeout_replaces_the_grace() {
    let fleet = Fleet::new();
    fleet.toy("deaf", &["-ignore-term"], "stop: {grace: 1h}");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop", "--timeout", "200ms"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_wanted_stop_is_no_failure_whatever_the_code() {
    let fleet = Fleet::new();
    fleet.toy("one", &["-term-code", "1"], "");
    fleet.toy("usual", &["-term-code", "143"], "");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    for (id, code) in [("one.1", 1), ("usual.1", 143)] {
        let exit = fleet.instance(id)["last_exit"].clone();
        assert_eq!(exit["reason"], "stopped", "{exit}");
        assert_eq!(exit["code"], code);
    }
}

#[test]
fn what_a_service_writes_while_stopping_is_in_its_log() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-term-in", "200ms", "-ending", "last words"], "");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.lines(&[]), ["last words"]);
}

#[test]
fn a_child_that_left_the_group_goes_too() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-escape"], "");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn works_without_a_supervisor() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "scale: 2");
    fleet.orchestra(&["start"]).ok();
    kill(Pid::from_raw(fleet.supervisor()), Signal::SIGKILL).unwrap();
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn sigterm_to_the_supervisor_is_a_stop() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-ending", "bye"], "");
    fleet.orchestra(&["start"]).ok();
    kill(Pid::from_raw(fleet.supervisor()), Signal::SIGTERM).unwrap();
    eventually("everything to be gone", || fleet.processes().is_empty().then_some(()));
    assert_eq!(fleet.lines(&[]), ["bye"]);
}
