//! Faults of the supervisor itself.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::oracle::{self, Oracle};
use super::report;
use crate::support::{Fleet, eventually};

#[test]
fn killed_in_a_flood() {
    let fleet = Fleet::new();
    for n in 1..=4 {
        fleet.toy(&format!("flood{n}"), &["-flood"], "");
    }
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids, old) = (Oracle::before(&fleet), fleet.pids(), fleet.supervisor());
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    let began = Instant::now();
    eventually("another supervisor", || fleet.ps()["supervisor"]["pid"].as_i64().filter(|pid| *pid != i64::from(old)));
    let back = began.elapsed();
    assert_eq!(fleet.pids(), pids);
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    let lines: usize = (1..=4).map(|n| oracle::no_line_lost(&fleet, &format!("flood{n}"))).sum();
    report::record(
        3,
        format!(
            "4 floods, {lines} lines: 0 lost, 0 doubled; same pids; a supervisor again after {} ms",
            back.as_millis()
        ),
    );
}
