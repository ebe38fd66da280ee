//! Whoever starts a fleet gets all of its descriptors back.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::report;
use crate::support::output::Running;
use crate::support::{Fleet, eventually};

/// `sh -c script` in the fleet's folder, with the program as `$0`.
fn shell(fleet: &Fleet, script: &str) -> Command {
    let plain = fleet.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(plain.get_program()).current_dir(fleet.root()).env_clear();
    command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

/// Descriptors of the fleet's processes that are neither files of its own nor anonymous.
fn foreign(fleet: &Fleet) -> Vec<String> {
    let mut found = Vec::new();
    for process in fleet.processes() {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", process.pid)) else { continue };
        for fd in open.flatten() {
            let target = fs::read_link(fd.path()).unwrap_or_default().to_string_lossy().into_owned();
            if target.contains("/dev/pts/") || target.contains("outside") {
                found.push(format!("{}: {target}", process.command));
            }
        }
    }
    found
}

#[test]
fn are_given_back() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-child"], "before: [[\"true\"]]\nready: {exec: [\"true\"]}\nstop: {grace: 100ms}");
    let mut took = Vec::new();
    // A reader that waits for the end of its pipe hangs as long as anybody holds it; so does whoever waits for this test's own pipes.
    let ways = [
        "\"$0\" start 2>&1 | cat",
        "x=$(\"$0\" start 2>&1); echo \"$x\"",
        "exec \"$0\" start 3>&1 4>&2 5>&1 6>&1 7>&1 8>&1 9>&1",
        "exec \"$0\" restart 3>outside 4>>outside 5<outside 9>&2",
    ];
    for way in ways {
        let done = Running::start(shell(&fleet, way)).wait(Duration::from_secs(60)).ok();
        took.push(done.took);
        assert_eq!(foreign(&fleet), [] as [String; 0], "{way}");
    }
    fleet.orchestra(&["stop"]).ok();

    // A terminal that is closed takes nobody along.
    let on_terminal = "script -qec '\"'\"$0\"'\" start' /dev/null";
    if Command::new("script").arg("--version").output().is_ok_and(|out| out.status.success()) {
        Running::start(shell(&fleet, on_terminal)).wait(Duration::from_secs(60)).ok();
        eventually("it is ready", || (fleet.instance("api.1")["state"] == "ready").then_some(()));
        assert_eq!(foreign(&fleet), [] as [String; 0]);
    }
    let longest = took.iter().max().unwrap();
    report::record(
        41,
        format!(
            "pipe, `$(…)`, descriptors 3 to 9, a closing terminal: none is held; the longest took {} ms",
            longest.as_millis()
        ),
    );
}
