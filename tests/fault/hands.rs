//! What several rows do to a fleet, and what they need of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

/// Kills a process at once and waits until it is gone or a zombie of somebody else.
#[track_caller]
pub(crate) fn kill_at_once(pid: i32) {
    // It may have ended by itself a moment ago.
    let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
    eventually(&format!("{pid} to be gone"), || (!runs(pid)).then_some(()));
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !matches!(rest.trim_start().chars().next(), None | Some('Z' | 'X')))
}

/// The shim of an instance: the parent of its leader.
#[track_caller]
pub(crate) fn shim_of(leader: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{leader}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Kills the supervisor and every shim, so that only files are left.
#[track_caller]
pub(crate) fn kill_everything(fleet: &Fleet) {
    let shims: Vec<i32> = fleet.pids().iter().map(|(_, leader)| shim_of(*leader as i32)).collect();
    kill_at_once(fleet.supervisor());
    shims.into_iter().for_each(kill_at_once);
    eventually("nothing to be left", || fleet.processes().is_empty().then_some(()));
}

/// Runs a shell script as the only user of namespaces of its own (`-m`: mounts; `-pf --mount-proc`: processes). `Err` where the machine does not allow
/// them, with its words.
pub(crate) fn unshared(fleet: &Fleet, flags: &[&str], script: &str) -> Result<Output, String> {
    let tried = Command::new("unshare").args(flags).args(["--", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => return Err(format!("unshare: {error}")),
    }
    let mut command = Command::new("unshare");
    let program = fleet.command(&[]);
    command.args(flags).args(["--", "bash", "-c", script]).current_dir(fleet.root()).env_clear();
    command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("ORCHESTRA", env!("CARGO_BIN_EXE_orchestra"));
    Ok(command.output().unwrap())
}

/// Panics unless the script exited with 0; its output.
#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n--- stdout\n{out}\n--- stderr\n{err}", output.status);
    out.into_owned()
}

/// A test that needs root says so where it is not.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Every name beneath a folder, itself not.
pub(crate) fn names(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(names(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

/// Every file beneath a folder with its content; of what is no file its name alone.
pub(crate) fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| {
        let is_file = path.symlink_metadata().unwrap().is_file();
        let bytes = if is_file { fs::read(&path).unwrap() } else { Vec::new() };
        (path, bytes)
    };
    names(folder).into_iter().map(read).collect()
}
