//! `stop`: in reverse order, whole groups, with and without a supervisor, and nothing is left.

use std::fs;
use std::io::Write;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fault::proc::state;
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
fn what_runs_goes_by_its_name_although_its_folder_is_gone() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "hello"], "");
    fleet.toy("old", &["-say", "so long"], "");
    fleet.orchestra(&["start"]).ok();
    let pids = fleet.pids();
    fs::rename(fleet.path("old"), fleet.root().with_file_name("old")).unwrap();
    let why = fleet.orchestra(&["why", "old"]).ok();
    assert!(why.stdout.starts_with("`old` is ready"), "{why:?}");
    assert!(fleet.orchestra(&["logs", "old"]).ok().stdout.contains("so long"));
    assert!(fleet.orchestra(&["stop", "odl"]).code != Some(0), "nobody was ever called so");
    fleet.orchestra(&["stop", "old"]).ok();
    let left = fleet.pids();
    assert!(pids.len() == 2 && left.len() == 1 && left.iter().all(|one| pids.contains(one)), "{pids:?} {left:?}");
}

#[test]
fn nothing_is_left_of_copies_that_are_just_being_started() {
    let fleet = Fleet::new();
    for i in 0..4 {
        let policy = "restart: {policy: always, delay: 1ms, max_delay: 1ms, limit: 0}";
        fleet.write(&format!("loop{i}/service.yml"), format!("command: [sh, -c, 'exit 1']\n{policy}\n"));
    }
    for _ in 0..12 {
        let start = fleet.orchestra(&["start", "--timeout", "200ms"]);
        assert!(matches!(start.code, Some(0 | 1)), "{start:?}");
        fleet.orchestra(&["stop"]).ok();
        assert_eq!(fleet.processes(), []);
    }
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
    fleet.toy("deaf", &["-ignore-term", "-say", "up"], "ready: {log: up}\nstop: {grace: 400ms}");
    fleet.orchestra(&["start"]).ok();
    let stop = fleet.orchestra(&["stop"]).ok();
    assert!((Duration::from_millis(400)..Duration::from_secs(8)).contains(&stop.took), "{:?}", stop.took);
    assert_eq!(fleet.processes(), []);
    assert_eq!(fleet.instance("deaf.1")["last_exit"]["signal"], 9);
}

#[test]
fn the_timeout_replaces_the_grace() {
    let fleet = Fleet::new();
    fleet.toy("deaf", &["-ignore-term", "-say", "up"], "ready: {log: up}\nstop: {grace: 1h}");
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
fn what_was_idle_is_not_said_to_have_stopped() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("spare", &[], "enabled: false");
    fleet.orchestra(&["start"]).ok();
    let named = fleet.orchestra(&["stop", "spare"]).ok();
    assert_eq!(named.stderr.trim(), "note: `spare` was not running");
    let all = fleet.orchestra(&["stop"]).ok();
    assert!(all.stderr.contains("api") && !all.stderr.contains("spare"), "{}", all.stderr);
}

#[test]
fn ctrl_c_says_what_goes_on_and_a_second_one_kills() {
    let fleet = Fleet::new();
    fleet.toy("deaf", &["-ignore-term", "-say", "up"], "ready: {log: up}\nstop: {grace: 1h}");
    for supervised in [true, false] {
        fleet.orchestra(&["start"]).ok();
        if !supervised {
            kill(Pid::from_raw(fleet.supervisor()), Signal::SIGKILL).unwrap();
        }
        let stop = fleet.background(&["stop"]);
        let log = || fleet.orchestra(&["logs", "deaf"]).ok().stdout;
        eventually("the stop has begun", || {
            (log().matches("not now").count() > usize::from(!supervised)).then_some(())
        });
        stop.signal(Signal::SIGINT);
        eventually("it says what goes on", || {
            stop.said().contains("still stopping; Ctrl-C again to kill").then_some(())
        });
        stop.signal(Signal::SIGINT);
        stop.wait(Duration::from_secs(60)).ok();
        assert_eq!(fleet.processes(), []);
    }
}

#[test]
fn a_terminals_job_control_does_not_reach_services() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "20ms"], "");
    let plain = fleet.command(&[]);
    // A shell with job control between the terminal and us, as people have it.
    let front = format!("set -m\n'{}' start --attach\nread go\nfg\n", plain.get_program().to_str().unwrap());
    fleet.write("front.sh", front);
    let mut script = std::process::Command::new("script");
    script.args(["-qc", "sh front.sh", "/dev/null"]);
    script.current_dir(fleet.root()).env_clear();
    script.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("SHELL", "/bin/sh");
    let pipe = std::process::Stdio::piped;
    let Ok(mut terminal) = script.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn() else { return };
    fleet.until("api.1", "ready");
    let keys = terminal.stdin.as_mut().unwrap();
    let stopped = || {
        keys.write_all(&[0x1a]).unwrap();
        let attached = fleet.processes().into_iter().filter(|process| process.command.ends_with("start --attach"));
        attached.map(|process| process.pid).find(|pid| state(*pid) == Some('T'))
    };
    let pid = eventually("Ctrl-Z stops what is in front", stopped);
    let ticks = || fleet.lines(&["api"]).len();
    let before = ticks();
    eventually("the service runs on", || (ticks() > before + 20).then_some(()));
    let keys = terminal.stdin.as_mut().unwrap();
    keys.write_all(b"\n").unwrap();
    eventually("it goes on", || (state(pid) != Some('T')).then_some(()));
    keys.write_all(&[0x03]).unwrap();
    eventually("Ctrl-C stops it", || (fleet.instance("api.1")["state"] == "idle").then_some(()));
    terminal.wait().unwrap();
}

#[test]
fn a_goroutine_dump_stays_in_the_log() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "restart: no");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["kill", "-s", "QUIT", "api"]).ok();
    let api = fleet.until("api.1", "failed");
    assert_eq!(api["last_exit"]["code"], 2);
    let lines = fleet.lines(&["api"]);
    assert!(lines.iter().any(|line| line.starts_with("SIGQUIT: quit")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("goroutine ")), "{lines:#?}");
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
