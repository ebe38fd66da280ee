//! The processes of one run, read from the process table: who descends from its shim, who left the service, who does not die.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::os::Held;
use super::usage::{Process, processes};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod here;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod here;

/// What a process is doing, as far as its keeper must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It was stopped, by SIGSTOP or by a debugger.
    Stopped,
    /// It waits in the kernel and hears no signal; where, or empty where the system does not say.
    Waiting(String),
    /// Anything else.
    Living,
    /// It has ended, or is not there.
    Ended,
}

/// What a process is doing now: one small read.
pub fn doing(pid: u32) -> Doing {
    here::doing(pid)
}

/// Whether a debugger has stopped every thread of a process, as at a breakpoint.
pub fn is_held(pid: u32) -> bool {
    here::is_held(pid)
}

/// Where in the kernel a process waits, in one of its threads, and hears no signal; empty where the system does not say.
pub fn waits_in(pid: u32) -> Option<String> {
    here::waits_in(pid)
}

/// Its short name, for people.
pub fn name(pid: u32) -> Option<String> {
    here::name(pid)
}

/// Lets a stopped process go on, if it still is the one that started at `start_time`; whether it was stopped.
pub fn wake(pid: u32, start_time: u64) -> io::Result<bool> {
    if doing(pid) != Doing::Stopped {
        return Ok(false);
    }
    // Held first and looked at afterwards: a number that was given to somebody else meanwhile hits nobody.
    let held = Held::open(pid)?;
    if !super::os::start_time(pid).is_ok_and(|at| at == start_time) {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    held.signal(libc::SIGCONT)?;
    Ok(true)
}

/// `pid 812 (api) waits in the kernel (percpu_rwsem_wait); SIGKILL does not end it`
pub fn undying_words(left: &[Undying]) -> String {
    let named: Vec<String> = left.iter().take(3).map(ToString::to_string).collect();
    match left.len() {
        0 => "SIGKILL has not ended it".to_owned(),
        1 => format!("{}; SIGKILL does not end it", named.join(", ")),
        n if n > 3 => format!("{} and {} more; SIGKILL does not end them", named.join(", "), n - 3),
        _ => format!("{}; SIGKILL does not end them", named.join(", ")),
    }
}

/// The process table at one moment, with everybody's children.
#[derive(Debug, Default)]
pub struct Table {
    all: Vec<Process>,
    by_pid: HashMap<u32, usize>,
    children: HashMap<u32, Vec<usize>>,
}

/// A process that is still there although it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undying {
    /// Its pid.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// Where in the kernel it waits; `None` where the system does not say.
    pub waits_in: Option<String>,
}

/// A process that was seen at some time, enough to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pid: u32,
    start: u64,
}

impl Known {
    /// Kills it, if it is there; whether it was.
    fn kill(self) -> bool {
        let held = Held::open(self.pid);
        let same =
            || doing(self.pid) != Doing::Ended && super::os::start_time(self.pid).is_ok_and(|at| at == self.start);
        held.is_ok_and(|held| same() && held.signal(libc::SIGKILL).is_ok())
    }
}

/// Kills what is certainly left of a run whose shim was found dead at `died` (on the clock of `os::start_clock`): those who were seen under it, and the
/// session and the group of its leader. Needs no marker, so a process that cleared its environment is found too. How many there were.
pub fn end_remains(known: &[Known], leader: u32, died: u64) -> usize {
    let mut ended = known.iter().filter(|known| known.kill()).count();
    // Some fork while they are looked at.
    for _ in 0..100 {
        match Table::read().session_of(leader, died).into_iter().filter(|known| known.kill()).count() {
            0 => break,
            n => ended += n,
        }
    }
    ended
}

impl Table {
    /// Reads it. Takes some milliseconds: not for a thread that must answer.
    pub fn read() -> Table {
        Table::of(processes())
    }

    fn of(all: Vec<Process>) -> Table {
        let by_pid = all.iter().enumerate().map(|(at, process)| (process.pid, at)).collect();
        let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, process) in all.iter().enumerate() {
            children.entry(process.parent).or_default().push(at);
        }
        Table { all, by_pid, children }
    }

    /// Every process.
    pub fn processes(&self) -> &[Process] {
        &self.all
    }

    /// The processes below another one, however deep.
    pub fn below(&self, ancestor: u32) -> Vec<u32> {
        self.descendants(ancestor).into_iter().filter(|process| !process.zombie).map(|process| process.pid).collect()
    }

    /// The shim of the service that `leader` leads: its parent.
    pub fn shim_of(&self, leader: u32) -> Option<u32> {
        self.by_pid.get(&leader).map(|at| self.all[*at].parent)
    }

    /// Processes that run under `shim` and that a signal to the group of `leader` may not reach for good: those in a session of their own, and those
    /// that have lost their parent and lead a group of their own. A shell that gives its jobs groups has let nobody escape.
    pub fn escaped(&self, shim: u32, leader: u32) -> Vec<u32> {
        let away = |process: &&Process| {
            let own_session = process.session != leader;
            let own_group = process.parent == shim && process.group != leader;
            !process.zombie && process.pid != leader && (own_session || own_group)
        };
        self.descendants(shim).into_iter().filter(away).map(|process| process.pid).collect()
    }

    /// Everybody below `ancestor`. A table is no snapshot, so a loop in it must not be one here.
    fn descendants(&self, ancestor: u32) -> Vec<&Process> {
        let mut found: Vec<usize> = self.children.get(&ancestor).cloned().unwrap_or_default();
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            let children = self.children.get(&self.all[at].pid).into_iter().flatten();
            let new: Vec<usize> = children.copied().filter(|child| !found.contains(child)).collect();
            found.extend(new);
        }
        found.into_iter().map(|at| &self.all[at]).collect()
    }

    /// Everybody under `shim` who can be known again: in the first second a number that was given away at once might have the same start.
    pub fn known(&self, shim: u32) -> Vec<Known> {
        let old = |process: &&Process| process.start > 0 && process.age >= Duration::from_secs(1);
        let known = |process: &Process| Known { pid: process.pid, start: process.start };
        self.descendants(shim).into_iter().filter(old).map(known).collect()
    }

    /// The session and the group of a leader that lived until `died`, the moment at which its shim was found dead. Whoever was in it then and still is
    /// keeps its number from being given to anybody else.
    fn session_of(&self, leader: u32, died: u64) -> Vec<Known> {
        let member = |process: &&Process| process.session == leader || process.group == leader;
        let all: Vec<&Process> = self.all.iter().filter(member).collect();
        match all.iter().any(|process| !process.zombie && process.start > 0 && process.start <= died) {
            true => all.iter().map(|process| Known { pid: process.pid, start: process.start }).collect(),
            false => Vec::new(),
        }
    }

    /// What is left of a service that was killed, the processes that wait in the kernel first.
    pub fn undying(&self, shim: u32) -> Vec<Undying> {
        let mut left: Vec<Undying> = self
            .descendants(shim)
            .into_iter()
            // A leader that is a zombie while one of its threads waits in the kernel is not reaped.
            .filter(|process| !process.zombie || here::n_threads(process.pid) > 1)
            .map(|process| Undying {
                pid: process.pid,
                name: here::name(process.pid).unwrap_or_default(),
                waits_in: here::waits_in(process.pid),
            })
            .collect();
        left.sort_by_key(|process| process.waits_in.is_none());
        left
    }
}

impl std::fmt::Display for Undying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.name)?;
        match &self.waits_in {
            Some(place) if place.is_empty() => write!(f, " waits in the kernel"),
            Some(place) => write!(f, " waits in the kernel ({place})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_of_a_dead_leader_is_known_by_those_who_were_in_it() {
        let young = |pid| Process { start: 300, ..process(pid, 1, 20, 20) };
        let table = Table::of(vec![process(21, 1, 20, 20), young(22), process(30, 1, 30, 30)]);
        let pids = |died| table.session_of(20, died).iter().map(|known| known.pid).collect::<Vec<_>>();
        assert_eq!(pids(200), [21, 22]);
        // Nobody of them was there: the number belongs to somebody else by now.
        assert_eq!(pids(50), [] as [u32; 0]);
        assert_eq!(Table::of(vec![young(22)]).session_of(20, 200), []);
    }

    #[test]
    fn who_is_known_is_killed_and_nobody_else() {
        let spawn = || std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let (mut one, mut other) = (spawn(), spawn());
        let start = |child: &std::process::Child| super::super::os::start_time(child.id()).unwrap();
        assert!(!Known { pid: other.id(), start: start(&other) + 1 }.kill());
        assert!(Known { pid: one.id(), start: start(&one) }.kill());
        one.wait().unwrap();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    fn process(pid: u32, parent: u32, group: u32, session: u32) -> Process {
        let (cpu, age) = (Duration::ZERO, Duration::from_secs(5));
        Process { pid, parent, group, session, zombie: false, start: 100, cpu, age, memory: 0 }
    }

    #[test]
    fn who_has_escaped() {
        let table = Table::of(vec![
            process(10, 1, 10, 10),
            process(20, 10, 20, 20),
            // Of the group; a job of a shell; a session of its own; and what runs in that.
            process(21, 20, 20, 20),
            process(22, 20, 22, 20),
            process(23, 20, 23, 23),
            process(24, 23, 23, 23),
            // Orphans: one of the group, a former job, a daemon, one that has ended.
            process(25, 10, 20, 20),
            process(26, 10, 22, 20),
            process(27, 10, 27, 27),
            Process { zombie: true, ..process(28, 10, 28, 28) },
            // A stranger.
            process(30, 1, 30, 30),
        ]);
        assert_eq!(table.shim_of(20), Some(10));
        let mut escaped = table.escaped(10, 20);
        escaped.sort_unstable();
        assert_eq!(escaped, [23, 24, 26, 27]);
        assert_eq!(table.escaped(1000, 20), [] as [u32; 0]);
    }

    #[test]
    fn a_loop_in_the_table_is_none_here() {
        let table = Table::of(vec![process(2, 3, 2, 2), process(3, 2, 3, 3)]);
        assert_eq!(table.descendants(2).len(), 2);
    }
}
