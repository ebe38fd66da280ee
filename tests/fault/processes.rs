//! Too few processes for us, too many of a service.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::oracle::Oracle;
use super::{proc, report};
use crate::support::cgroups::Group;
use crate::support::{Fleet, eventually};

/// Row 18: a supervisor that can make no process.
#[test]
fn no_process_can_be_made() {
    let group = match Group::of_processes("none", 1000) {
        Ok(group) => group,
        Err(why) => return report::record(18, format!("not possible here: {why}")),
    };
    let fleet = Fleet::new();
    for name in ["victim", "other"] {
        fleet.toy(
            name,
            &[],
            "live: {exec: [\"true\"], interval: 100ms, failures: 2}\nrestart: {policy: always, delay: 200ms}",
        );
    }
    fleet.toy("hooked", &[], "before: [[\"true\"]]");
    fleet.orchestra(&["start"]).ok();
    let (oracle, other) = (Oracle::before(&fleet), fleet.pid("other.1"));
    take_supervisor(&group, &fleet);
    // A probe's process comes and goes; its place must not be left to another one.
    let look = |_| {
        std::thread::sleep(Duration::from_millis(10));
        group.count()
    };
    group.limit((0..50).map(look).min());
    for name in ["victim.1", "hooked.1"] {
        proc::send(fleet.pid(name), Signal::SIGKILL);
    }
    for name in ["victim.1", "hooked.1"] {
        eventually("two tries", || {
            let instance = fleet.instance(name);
            (instance["last_exit"]["reason"] == "start-failed" && instance["restarts"].as_i64() >= Some(3))
                .then_some(())
        });
    }
    let words = |service| fleet.orchestra(&["why", service]).ok().stdout;
    let (victim, hooked) = (words("victim"), words("hooked"));
    assert!(victim.contains("cannot start its shim: resource temporarily unavailable"), "{victim}");
    assert!(hooked.contains("before: `true`: resource temporarily unavailable"), "{hooked}");
    // A probe that could not be asked has not failed.
    let calm = fleet.instance("other.1");
    assert_eq!(
        (calm["pid"].as_i64(), &calm["state"], &calm["restarts"]),
        (Some(other.into()), &"ready".into(), &0.into())
    );
    group.limit(None);
    let back = fleet.until("victim.1", "ready");
    fleet.until("hooked.1", "ready");
    assert_eq!(fleet.pid("other.1"), other);
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    let tries = back["restarts"].as_i64().unwrap();
    report::record(
        18,
        format!(
            "EAGAIN for the supervisor: {tries} tries, then ready by itself; the other copy kept its pid, and its exec probe that could not be asked did not count"
        ),
    );
}

/// The supervisor with the process that makes its shims.
fn take_supervisor(group: &Group, fleet: &Fleet) {
    let pid = fleet.supervisor();
    group.take(pid);
    proc::children(pid).into_iter().for_each(|child| group.take(child));
}

/// Row 18: the shim is there, and its child cannot be.
#[test]
fn a_shim_cannot_make_its_child() {
    let group = match Group::of_processes("child", 1000) {
        Ok(group) => group,
        Err(why) => return report::record(18, format!("not possible here: {why}")),
    };
    let fleet = Fleet::new();
    fleet.toy("victim", &[], "restart: {policy: always, delay: 200ms}");
    fleet.orchestra(&["start"]).ok();
    take_supervisor(&group, &fleet);
    group.limit(Some(group.count() + 1));
    proc::send(fleet.pid("victim.1"), Signal::SIGKILL);
    eventually("two tries", || (fleet.instance("victim.1")["restarts"].as_i64() >= Some(3)).then_some(()));
    let why = fleet.orchestra(&["why", "victim"]).ok().stdout;
    assert!(why.contains("could not start: cannot make a process: resource temporarily unavailable"), "{why}");
    group.limit(None);
    fleet.until("victim.1", "ready");
    fleet.orchestra(&["stop"]).ok();
    report::record(18, "EAGAIN for a shim's child: `cannot make a process`, tried again, ready by itself");
}

/// Row 18: a build waits for room and goes on by itself.
#[test]
fn a_build_waits_for_room() {
    let group = match Group::of_processes("build", 1000) {
        Ok(group) => group,
        Err(why) => return report::record(18, format!("not possible here: {why}")),
    };
    let fleet = Fleet::new();
    fleet.toy("first", &[], "");
    fleet.go_service("built", "package main\n\nfunc main() { select {} }\n");
    fleet.write("built/main.go", "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n");
    fleet.orchestra(&["start", "first"]).ok();
    take_supervisor(&group, &fleet);
    group.limit(Some(group.count()));
    let start = fleet.background(&["start", "built"]);
    let why = eventually("the build to wait", || {
        let why = fleet.orchestra(&["why", "built"]).ok().stdout;
        why.contains("the build waits").then_some(why)
    });
    assert!(why.contains("cannot start the build: resource temporarily unavailable"), "{why}");
    assert_eq!(fleet.service("built")["build"]["state"], "building");
    group.limit(None);
    start.wait(Duration::from_secs(120)).ok();
    assert_eq!(fleet.instance("built.1")["state"], "ready");
    fleet.orchestra(&["stop"]).ok();
    report::record(18, "EAGAIN for a build: it waits, says why, and goes on once there is room");
}

/// Row 19, with and without sessions of their own, with and without a group of ours.
#[test]
fn a_fork_bomb_is_emptied() {
    let variants: &[(&[&str], &str)] = match cfg!(feature = "faults") {
        true => &[
            (&[], ""),
            (&[], "resources: {memory: 512MiB}"),
            (&["-escape"], ""),
            (&["-escape"], "resources: {memory: 512MiB}"),
        ],
        false => &[(&["-escape"], ""), (&["-escape"], "resources: {memory: 512MiB}")],
    };
    let most = if cfg!(feature = "faults") { 200 } else { 60 };
    let mut measured = Vec::new();
    for (n, (flags, resources)) in variants.iter().enumerate() {
        let group = match Group::of_processes(&format!("bomb{n}"), most) {
            Ok(group) => group,
            Err(why) => return report::record(19, format!("not possible here: {why}")),
        };
        let ms = explode(&group, flags, resources);
        // The promise, where nothing else runs; elsewhere the bomb and other tests share the machine with whoever answers.
        assert!(!cfg!(feature = "faults") || ms <= 2000, "{flags:?} {resources}: {ms} ms");
        let words =
            format!("{} {}", if flags.is_empty() { "in its group" } else { "each in a session of its own" }, resources);
        let said = format!("a bomb of {most} processes, {}: grace 1 s, empty {ms} ms after the request", words.trim());
        measured.push(said);
    }
    report::record(19, measured.join("; "));
}

/// How long a stop took, by the clock of whoever was asked.
fn explode(group: &Group, flags: &[&str], resources: &str) -> u64 {
    let fleet = Fleet::new();
    let path = group.path().to_str().unwrap();
    fleet.toy("bomb", &[flags, &["-bomb", path]].concat(), &format!("stop: {{grace: 1s}}\n{resources}"));
    fleet.orchestra(&["start"]).ok();
    let procs = || fs::read_to_string(group.path().join("cgroup.procs")).unwrap().lines().count();
    eventually("it to explode", || (procs() >= 50).then_some(()));
    let stop = fleet.orchestra(&["stop", "-o", "json"]).ok();
    assert_eq!(procs(), 0, "nothing is left");
    let ms = stop.json_lines().iter().filter_map(|line| line["elapsed_ms"].as_u64()).max();
    ms.unwrap_or_else(|| panic!("no time: {}", stop.stdout))
}
