//! Single processes as the kernel shows them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

/// Sends one process a signal.
#[track_caller]
pub(crate) fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Its state's letter; `None` once it is gone. A zombie is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    fields(pid).and_then(|fields| fields.first()?.chars().next()).filter(|state| !"ZX".contains(*state))
}

pub(crate) fn is_there(pid: i32) -> bool {
    state(pid).is_some()
}

/// The shim of an instance: the parent of its leader.
#[track_caller]
pub(crate) fn shim_of(fleet: &Fleet, id: &str) -> i32 {
    let leader = fleet.pid(id);
    let parent = fields(leader).and_then(|fields| fields.get(1)?.parse().ok());
    parent.unwrap_or_else(|| panic!("{id} (pid {leader}) is gone"))
}

/// The children of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: &i32| fields(*pid).and_then(|fields| fields.get(1)?.parse::<i32>().ok());
    pids.filter(|child| parent(child) == Some(pid)).collect()
}

/// The pid that a script of the test writes into a file of the project.
#[track_caller]
pub(crate) fn pid_in(fleet: &Fleet, file: &str) -> i32 {
    eventually(file, || fs::read_to_string(fleet.path(file)).ok()?.trim().parse().ok())
}

/// What follows the name in `/proc/PID/stat`: state, parent, …
fn fields(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit(')').next()?.split_whitespace().map(ToOwned::to_owned).collect())
}
