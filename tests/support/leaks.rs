//! Which processes of a test are still there: those that have its folder in their environment, working directory, program or command line.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process of the test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) command: String,
}

/// Every process that carries `dir`, which no other test has.
pub(crate) fn processes(dir: &Path) -> Vec<Process> {
    let dir = dir.to_str().unwrap();
    if Path::new("/proc/self/environ").exists() { from_proc(dir) } else { from_ps(dir) }
}

/// Waits as long as `patience` for the last ones to go; kills those that stay, each by its pid, and returns them.
pub(crate) fn sweep(dir: &Path, patience: Duration) -> Vec<Process> {
    let began = Instant::now();
    while !processes(dir).is_empty() && began.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = processes(dir);
    // A shim that is gone cannot bring its supervisor back, so one more look finds those that came meanwhile.
    for round in 0..20 {
        let now = processes(dir);
        if now.is_empty() {
            break;
        }
        for process in now {
            // It may have ended since: then there is nothing to kill.
            let _gone = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10 * (round + 1)));
    }
    left
}

fn from_proc(dir: &str) -> Vec<Process> {
    let me = std::process::id() as i32;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let proc = entry.path();
        if pid == me || is_zombie(&proc) {
            continue;
        }
        let cmdline = fs::read(proc.join("cmdline")).unwrap_or_default();
        let environ = fs::read(proc.join("environ")).unwrap_or_default();
        let link = |name| fs::read_link(proc.join(name)).unwrap_or_default().to_string_lossy().into_owned();
        if has(&environ, dir) || has(&cmdline, dir) || link("cwd").contains(dir) || link("exe").contains(dir) {
            let command = String::from_utf8_lossy(&cmdline).replace('\0', " ").trim_end().to_owned();
            found.push(Process { pid, command });
        }
    }
    found
}

fn is_zombie(proc: &Path) -> bool {
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn has(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// Where there is no /proc: `ps` with environments.
fn from_ps(dir: &str) -> Vec<Process> {
    let output = std::process::Command::new("ps").args(["-axEww", "-o", "pid=,command="]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains(dir))
        .filter_map(|line| {
            let (pid, command) = line.trim().split_once(' ')?;
            Some(Process { pid: pid.parse().ok()?, command: command.to_owned() })
        })
        .collect()
}
