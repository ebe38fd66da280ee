//! A supervisor that is stopped by a signal: nobody waits for it who need not, and it goes on where it was.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::oracle::{self, Oracle};
use super::report;
use crate::support::{Fleet, eventually};

fn stopped(window: Duration, pace: &str) {
    let fleet = Fleet::new();
    fleet.toy("flood", &["-flood", "-pace", pace], "");
    fleet.toy("quiet", &["-say", "here"], "");
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids, pid) = (Oracle::before(&fleet), fleet.pids(), fleet.supervisor());
    let lines_in_window = || {
        let from = number(&fleet);
        std::thread::sleep(window);
        number(&fleet) - from
    };
    let before = lines_in_window();
    send(pid, Signal::SIGSTOP);
    let meanwhile = lines_in_window();
    // A machine that is busy elsewhere slows both, but what is blocked writes a pipe's worth and no more.
    assert!(meanwhile > before / 4, "{meanwhile} lines while it was stopped, {before} before");
    let answered = commands_meanwhile(&fleet, pid);
    send(pid, Signal::SIGCONT);
    eventually("it to answer again", || fleet.ps()["supervisor"].get("trouble").is_none().then_some(()));
    assert_eq!((fleet.supervisor(), fleet.pids()), (pid, pids));
    oracle.holds(&fleet);
    send(pid, Signal::SIGSTOP);
    let stop = fleet.orchestra(&["stop"]).ok();
    assert!(stop.stderr.contains(&format!("the supervisor (pid {pid}) was stopped by a signal")), "{}", stop.stderr);
    let lines = oracle::no_line_lost(&fleet, "flood");
    report::record(
        7,
        format!(
            "stopped for {} s in a flood: {meanwhile} lines meanwhile, {before} before, {lines} in all, 0 lost; `ps` answered from files after {} ms; same pids after SIGCONT; `stop` wakes it",
            window.as_secs(),
            answered.as_millis()
        ),
    );
}

/// What people type while it is stopped; how long the answer of `ps` took.
fn commands_meanwhile(fleet: &Fleet, pid: i32) -> Duration {
    let hint = format!("kill -CONT {pid}");
    let ps = fleet.orchestra(&["ps"]).ok();
    assert!(ps.stdout.contains("quiet") && ps.stdout.contains(&hint), "{}", ps.stdout);
    let json = fleet.ps();
    assert_eq!((&json["supervisor"]["running"], &json["supervisor"]["pid"]), (&true.into(), &pid.into()));
    assert!(json["supervisor"]["trouble"].as_str().unwrap().contains(&hint));
    assert!(fleet.orchestra(&["why", "quiet"]).ok().stdout.contains(&hint));
    assert!(fleet.orchestra(&["logs", "quiet"]).ok().stdout.contains("here"));
    for command in [&["start"][..], &["scale", "quiet=2"], &["kill", "-s", "HUP", "quiet"], &["restart", "quiet"]] {
        let output = fleet.orchestra(command).exits(3);
        assert!(output.stderr.contains(&hint), "{command:?}: {}", output.stderr);
    }
    ps.took
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The newest number of the flood.
fn number(fleet: &Fleet) -> u64 {
    let lines = fleet.orchestra(&["logs", "flood", "-n", "100", "--raw"]).ok().stdout;
    lines.lines().rev().find_map(|line| line.strip_prefix('L')?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_stopped_supervisor_holds_nobody_up() {
    stopped(Duration::from_secs(2), "40ms");
}

#[cfg(feature = "faults")]
#[test]
fn a_supervisor_stopped_for_long_holds_nobody_up() {
    stopped(Duration::from_secs(60), "200ms");
}
