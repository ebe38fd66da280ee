//! Services that do not want to end, and those that leave somebody behind.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::oracle::{Oracle, no_orphan, no_zombie};
use super::proc::{is_there, pid_in, send, state};
use super::report;
use crate::support::{Fleet, eventually};

const ROUNDS: usize = if cfg!(feature = "faults") { 20 } else { 3 };

/// A service that is a shell script.
fn script(fleet: &Fleet, name: &str, script: &str, yaml: &str) {
    let command = serde_json::to_string(&["sh", "-c", script]).unwrap();
    fleet.write(&format!("{name}/service.yml"), format!("command: {command}\n{yaml}\n"));
}

/// Milliseconds until a stop said that a service has ended, by the supervisor's clock.
fn stopped_after(lines: &[Value], service: &str) -> u64 {
    let ended = |line: &&Value| line["service"] == service && line["state"] == "idle";
    let line = lines.iter().find(ended).unwrap_or_else(|| panic!("`{service}` never ended: {lines:?}"));
    line["elapsed_ms"].as_u64().unwrap()
}

#[test]
fn ignores_sigterm() {
    let fleet = Fleet::new();
    script(&fleet, "deaf", "trap '' TERM; while :; do sleep 0.05; done", "stop: {grace: 500ms}");
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        fleet.orchestra(&["start"]).ok();
        let stop = fleet.orchestra(&["stop", "-o", "json"]).ok().json_lines();
        took.push(stopped_after(&stop, "deaf"));
        assert_eq!(fleet.processes(), []);
        let exit = fleet.instance("deaf.1")["last_exit"].clone();
        assert_eq!((&exit["signal"], &exit["reason"], &exit["killed"]), (&9.into(), &"stopped".into(), &true.into()));
    }
    fleet.orchestra(&["start"]).ok();
    let stop = fleet.orchestra(&["stop"]).ok();
    let line = stop.stderr.lines().find(|line| line.contains("stopped")).unwrap();
    assert!(line.contains("killed after the grace of 500ms"), "{}", stop.stderr);
    let (first, last) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    assert!((500..3000).contains(first), "{took:?}");
    report::record(
        20,
        format!("grace 500 ms: SIGKILL after {first} to {last} ms in {ROUNDS} stops, each told as killed"),
    );
}

#[test]
fn leader_exits_and_a_child_of_its_group_does_not() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-child"], "stop: {grace: 500ms}");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let child: i32 = eventually("the child", || fleet.lines(&["api"]).first()?.strip_prefix("child ")?.parse().ok());
    let lines = fleet.orchestra(&["stop", "api", "-o", "json"]).ok().json_lines();
    assert!(!is_there(child));
    let exit = fleet.instance("api.1")["last_exit"].clone();
    assert_eq!((&exit["code"], &exit["killed"]), (&0.into(), &true.into()));
    oracle.holds(&fleet);
    report::record(
        21,
        format!(
            "leader gone at once with code 0; stop returned after {} ms, group empty",
            stopped_after(&lines, "api")
        ),
    );
}

#[test]
fn daemons() {
    let fleet = Fleet::new();
    // Silent ones: one that keeps its environment, one that lets go of everything it can let go of.
    script(&fleet, "one", "setsid sh -c 'sleep 1000 & echo $! > ../one.pid'; exec sleep 2000", "");
    let naked = "cd /; exec setsid env -i sh -c 'sleep 1000 >&- 2>&- & echo $! > $0; exit' \"$OLDPWD/../two.pid\"";
    script(&fleet, "two", &format!("({naked}) & wait; exec sleep 2000"), "");
    fleet.toy("rest", &[], "");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let pids = [pid_in(&fleet, "one.pid"), pid_in(&fleet, "two.pid")];
    for id in ["one.1", "two.1"] {
        eventually("it is shown", || (fleet.instance(id)["trouble"] == "escaped").then_some(()));
    }
    let began = Instant::now();
    let named = |pid: i32| fleet.orchestra(&["why", "one"]).ok().stdout.contains(&format!("pid {pid} (sleep)"));
    eventually("it is named", || named(pids[0]).then_some(()));
    let named_after = began.elapsed();
    let stop = fleet.orchestra(&["stop", "one", "two"]).ok();
    assert!(pids.iter().all(|pid| !is_there(*pid)));
    assert!(stop.took < Duration::from_secs(8), "they obey SIGTERM, so no grace is waited for: {:?}", stop.took);
    oracle.holds(&fleet);
    report::record(
        22,
        format!(
            "silent daemons, with and without environment and streams: `escaped` at the first look, named in `why` {} ms \
             later, ended within {} ms",
            named_after.as_millis(),
            stop.took.as_millis()
        ),
    );
}

#[test]
fn closed_streams() {
    let fleet = Fleet::new();
    script(&fleet, "mute", "exec 1>&- 2>&-; while [ ! -e ../go ]; do sleep 0.02; done; exit 7", "restart: no");
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let mute = fleet.instance("mute.1");
    assert_eq!((&mute["state"], &mute["last_exit"]), (&"ready".into(), &Value::Null));
    oracle.holds(&fleet);
    fleet.write("go", "");
    let mute = fleet.until("mute.1", "failed");
    assert_eq!(mute["last_exit"]["code"], 7);
    report::record(23, "ready for as long as it ran; then code 7, from the wait and not from the pipe");
}

#[test]
fn a_grandchild_holds_the_pipe() {
    let fleet = Fleet::new();
    let at = |file: &str| format!("date +%s%3N > ../{file}.at; exit 1");
    script(&fleet, "polite", &format!("sleep 1000 & {}", at("polite")), "restart: no");
    let deaf = "(trap '' TERM; echo x; exec sleep 1000) & read x < ../fifo; ";
    script(&fleet, "deaf", &format!("{deaf}{}", at("deaf")), "restart: no");
    fleet.write("rest/service.yml", "command: [sleep, \"1000\"]\n");
    nix::unistd::mkfifo(&fleet.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let start = fleet.background(&["start", "--timeout", "2s"]);
    eventually("the child is deaf", || (fleet.lines(&["deaf"]) == ["x"]).then_some(()));
    fleet.write("fifo", "x\n");
    start.wait(Duration::from_secs(60)).exits(1);
    let seen = |name: &str| {
        let exit = fleet.until(&format!("{name}.1"), "failed")["last_exit"].clone();
        assert_eq!(exit["code"], 1);
        let at: jiff::Timestamp = exit["at"].as_str().unwrap().parse().unwrap();
        let left: i64 = std::fs::read_to_string(fleet.path(&format!("{name}.at"))).unwrap().trim().parse().unwrap();
        at.as_millisecond() - left
    };
    let (polite, deaf) = (seen("polite"), seen("deaf"));
    assert!(polite < 2000 && deaf < 4000, "{polite} ms, {deaf} ms");
    no_orphan(&fleet);
    report::record(
        24,
        format!(
            "exit seen after {polite} ms; after {deaf} ms where the grandchild ignores SIGTERM and is killed after 1 s"
        ),
    );
}

#[test]
fn nobody_is_left_unreaped() {
    let fleet = Fleet::new();
    fleet.go_service("built", "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n");
    let probe = "ready: {exec: [sh, -c, 'sleep 0.01 & exit 0'], interval: 20ms}\nlive: {exec: [sleep, \"5\"], timeout: 20ms, interval: 20ms, failures: 1000}";
    fleet.toy("probed", &[], probe);
    fleet.toy("hooked", &["-exit-in", "100ms"], "before: [[sh, -c, 'sleep 0.01 & exit 0']]\nafter: [[sh, -c, 'sleep 0.01 & exit 1']]\nrestart: {policy: always, delay: 10ms}");
    fleet.orchestra(&["start", "--timeout", "10s"]);
    eventually("some restarts", || (fleet.instance("hooked.1")["restarts"].as_u64()? > 5).then_some(()));
    no_zombie(&fleet);
    fleet.orchestra(&["stop", "hooked"]).ok();
    let oracle = Oracle::before(&fleet);
    fleet.orchestra(&["restart", "built"]).ok();
    oracle.holds(&fleet);
}

#[test]
fn a_stopped_service() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-term-code", "5"], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    send(pid, Signal::SIGSTOP);
    eventually("it is stopped", || (state(pid) == Some('T')).then_some(()));
    let lines = fleet.orchestra(&["stop", "-o", "json"]).ok().json_lines();
    let exit = fleet.instance("api.1")["last_exit"].clone();
    assert_eq!((&exit["code"], &exit["killed"]), (&5.into(), &Value::Null));
    assert_eq!(fleet.processes(), []);
    report::record(25, format!("ended by itself with its own code {} ms after the stop", stopped_after(&lines, "api")));
}
