//! Faults of the parent of one service, and what shims do when the supervisor is gone.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::oracle::{self, Oracle};
use super::proc::{is_there, send, shim_of, state};
use super::report;
use crate::support::{Fleet, eventually};

/// How many numbered lines the toy says it has written.
fn progress(fleet: &Fleet, file: &str) -> usize {
    fs::read_to_string(fleet.path(file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn trouble(fleet: &Fleet, id: &str) -> Option<String> {
    fleet.instance(id)["trouble"].as_str().map(ToOwned::to_owned)
}

/// Waits for a supervisor with another pid; how long it took.
#[track_caller]
fn another_supervisor(fleet: &Fleet, old: i32) -> Duration {
    let began = Instant::now();
    eventually("another supervisor", || fleet.ps()["supervisor"]["pid"].as_i64().filter(|pid| *pid != i64::from(old)));
    began.elapsed()
}

#[test]
fn killed_in_a_flood() {
    let fleet = Fleet::new();
    fleet.toy("flood", &["-flood", "-progress", "../progress"], "");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    eventually("a flood", || (progress(&fleet, "progress") > 10_000).then_some(()));
    let (pid, shim) = (fleet.pid("flood.1"), shim_of(&fleet, "flood.1"));
    send(shim, Signal::SIGKILL);
    let began = Instant::now();
    while is_there(pid) {
        assert!(began.elapsed() < Duration::from_secs(5), "the service outlives its shim");
        std::thread::sleep(Duration::from_millis(1));
    }
    let gone = began.elapsed();
    // Only this run: the next begins anew.
    let wrote = progress(&fleet, "progress");
    eventually("a new copy", || {
        fleet.pids().iter().any(|(id, p)| id == "flood.1" && *p != i64::from(pid)).then_some(())
    });
    let flood = fleet.until("flood.1", "ready");
    assert_eq!((&flood["last_exit"]["reason"], &flood["restarts"]), (&"lost".into(), &1.into()));
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();

    let logs = fleet.orchestra(&["logs", "flood", "-o", "json"]).ok().json_lines();
    let first = logs.iter().filter_map(|line| line["run"].as_u64().filter(|run| *run > 0)).min().unwrap();
    let of_first = |line: &&serde_json::Value| line["run"].as_u64() == Some(first) && line["stream"] == "stdout";
    let kept: Vec<&str> = logs.iter().filter(of_first).filter_map(|line| line["line"].as_str()).collect();
    for (i, line) in kept.iter().enumerate() {
        assert_eq!(*line, format!("L{:09}", i + 1));
    }
    let mark =
        |line: &serde_json::Value| line["line"].as_str().is_some_and(|text| text.starts_with("tail may be lost"));
    assert_eq!(logs.iter().filter(|line| mark(line)).count(), 1);
    // Eleven bytes a line; the pipe holds 1 MiB at the most.
    let lost = wrote.saturating_sub(kept.len());
    assert!(lost < 100_000, "{lost}");
    report::record(
        6,
        format!(
            "service gone after {} ms, `lost`, started again; of {wrote} lines at most {lost} lost, none in the middle; marked in the log",
            gone.as_millis()
        ),
    );
}

#[test]
fn stopped() {
    let fleet = Fleet::new();
    fleet.toy("flood", &["-flood", "-progress", "../flood-progress"], "");
    fleet.toy("quiet", &["-tick", "20ms", "-progress", "../quiet-progress"], "");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let shims = [shim_of(&fleet, "flood.1"), shim_of(&fleet, "quiet.1")];
    shims.iter().for_each(|shim| send(*shim, Signal::SIGSTOP));
    let began = Instant::now();
    eventually("who asks is told", || (trouble(&fleet, "quiet.1").as_deref() == Some("stuck")).then_some(()));
    let asked = began.elapsed();
    let words = format!("its shim (pid {}) is stopped", shims[1]);
    eventually("it is noticed", || fleet.orchestra(&["why", "quiet"]).ok().stdout.contains(&words).then_some(()));
    let noticed = began.elapsed();
    let (before, floods) = (progress(&fleet, "quiet-progress"), progress(&fleet, "flood-progress"));
    eventually("the quiet one runs on", || (progress(&fleet, "quiet-progress") > before + 20).then_some(()));
    let flood = fleet.pid("flood.1");
    let blocked = progress(&fleet, "flood-progress") - floods;
    assert!(state(flood).is_some());
    shims.iter().for_each(|shim| send(*shim, Signal::SIGCONT));
    eventually("it is well again", || trouble(&fleet, "quiet.1").is_none().then_some(()));
    eventually("the flood flows", || (progress(&fleet, "flood-progress") > floods + blocked + 5000).then_some(()));
    oracle.holds(&fleet);

    // A stop wakes them: a stopped shim would not hear it.
    shims.iter().for_each(|shim| send(*shim, Signal::SIGSTOP));
    let stop = fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    let lines = oracle::no_line_lost(&fleet, "flood");
    report::record(
        8,
        format!(
            "`ps` says stuck after {} ms, `why` after {} ms; a full pipe blocks, a quiet service runs on; after CONT 0 of \
             {lines} lines lost; a stop wakes it and ends it in {} ms",
            asked.as_millis(),
            noticed.as_millis(),
            stop.took.as_millis()
        ),
    );
}

#[test]
fn stopped_without_a_supervisor() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    send(shim_of(&fleet, "api.1"), Signal::SIGSTOP);
    send(fleet.supervisor(), Signal::SIGKILL);
    let stop = fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    report::record(8, format!("without a supervisor: stop wakes it and ends it in {} ms", stop.took.as_millis()));
}

#[test]
fn a_stopped_one_is_taken_over() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (pid, shim, old) = (fleet.pid("api.1"), shim_of(&fleet, "api.1"), fleet.supervisor());
    send(shim, Signal::SIGSTOP);
    send(old, Signal::SIGKILL);
    another_supervisor(&fleet, old);
    let stuck = format!("its shim (pid {shim}) is stopped");
    eventually("it is noticed", || fleet.orchestra(&["why", "api"]).ok().stdout.contains(&stuck).then_some(()));
    send(shim, Signal::SIGCONT);
    fleet.until("api.1", "ready");
    assert_eq!(fleet.pid("api.1"), pid);
    send(shim, Signal::SIGSTOP);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn brings_a_supervisor_back() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("many", &["-listen", "none"], "scale: 20");
    fleet.orchestra(&["start"]).ok();
    let pids = fleet.pids();
    let (pid, old) = (fleet.pid("api.1"), fleet.supervisor());
    send(old, Signal::SIGKILL);
    let back = another_supervisor(&fleet, old);
    assert!(back < Duration::from_secs(10), "{back:?}");
    let supervisors = || fleet.processes().iter().filter(|process| process.command.contains("__supervisor")).count();
    eventually("one of them wins", || (supervisors() == 1).then_some(()));
    let oracle = Oracle::before(&fleet);
    oracle.holds(&fleet);
    assert_eq!(fleet.pids(), pids);
    send(pid, Signal::SIGKILL);
    eventually("a new copy", || fleet.pids().iter().any(|(id, p)| id == "api.1" && *p != i64::from(pid)).then_some(()));
    fleet.until("api.1", "ready");
    assert_eq!(fleet.instance("api.1")["last_exit"]["signal"], 9);
    report::record(
        42,
        format!(
            "21 shims: one supervisor after {} ms, same pids; a killed service was started again",
            back.as_millis()
        ),
    );
}

#[test]
fn dies_with_the_supervisor() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-child"], "");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (pid, shim, old) = (fleet.pid("api.1"), shim_of(&fleet, "api.1"), fleet.supervisor());
    send(old, Signal::SIGKILL);
    send(shim, Signal::SIGKILL);
    let back = another_supervisor(&fleet, old);
    eventually("a new copy", || fleet.pids().iter().any(|(id, p)| id == "api.1" && *p != i64::from(pid)).then_some(()));
    fleet.until("api.1", "ready");
    let why = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json();
    assert_eq!(why["exits"][0]["reason"], "lost", "{why}");
    Oracle::before(&fleet).holds(&fleet);
    report::record(
        42,
        format!("shim and supervisor killed together: back after {} ms, `why` says lost, one copy", back.as_millis()),
    );
}
