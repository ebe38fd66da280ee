//! What must be true after every fault, whatever it was: no orphan, no zombie, no leaked handle or thread, `ps` equals reality, and every numbered
//! line is in the log once.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::support::wait::PATIENCE;
use crate::support::{Fleet, eventually};

/// The supervisor as it was before the fault.
pub(crate) struct Oracle {
    fds: usize,
    threads: usize,
}

/// A process that carries the identity marker of this fleet.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(crate) pid: i32,
    /// `api.1`
    pub(crate) slot: String,
    /// It leads its session, as the shim's own child does.
    pub(crate) leads: bool,
}

impl Oracle {
    /// Remembers what the supervisor holds while all is well.
    #[track_caller]
    pub(crate) fn before(fleet: &Fleet) -> Oracle {
        let pid = fleet.supervisor();
        // What comes and goes, a probe or an answer, is there in one look and not in the next.
        let most = |what| {
            let look = |_| {
                std::thread::sleep(Duration::from_millis(20));
                count(pid, what)
            };
            (0..10).map(look).max().unwrap_or_default()
        };
        Oracle { fds: most("fd"), threads: most("task") }
    }

    /// Waits until everything is as it must be, with a supervisor running; panics with what is not.
    #[track_caller]
    pub(crate) fn holds(&self, fleet: &Fleet) {
        eventually("ps to equal reality", || (differences(fleet).is_empty()).then_some(()));
        let pid = fleet.supervisor();
        // A connection that is just closing, or a thread that rests before it ends, goes by itself.
        eventually("no handle to be leaked", || (count(pid, "fd") <= self.fds).then_some(()));
        eventually("no thread to be leaked", || (count(pid, "task") <= self.threads).then_some(()));
        no_orphan(fleet);
        no_zombie(fleet);
    }
}

/// Every process that carries this fleet's marker is held by a shim that lives.
#[track_caller]
pub(crate) fn no_orphan(fleet: &Fleet) {
    let orphans = || marked(fleet).into_iter().filter(|process| !is_held(fleet, &process.slot)).collect::<Vec<_>>();
    eventually("no orphan to be left", || orphans().is_empty().then_some(()));
}

/// No process of the fleet has a child that has ended and is not reaped.
#[track_caller]
pub(crate) fn no_zombie(fleet: &Fleet) {
    let zombies = || {
        let ours: Vec<i32> = fleet.processes().iter().map(|process| process.pid).collect();
        let ended = |(_, stat): &(i32, Stat)| stat.state == 'Z' && ours.contains(&stat.parent);
        all().into_iter().filter(ended).map(|(pid, stat)| (name(pid), name(stat.parent))).collect::<Vec<_>>()
    };
    let began = Instant::now();
    while !zombies().is_empty() {
        assert!(began.elapsed() < PATIENCE, "zombies and their parents: {:?}", zombies());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// The numbered lines of one flooding service are 1, 2, 3, … without a gap, as many as it says it wrote; how many.
#[track_caller]
pub(crate) fn no_line_lost(fleet: &Fleet, service: &str) -> usize {
    let lines = fleet.lines(&[service]);
    let wrote: usize = lines.iter().filter_map(|line| line.strip_prefix("wrote ")?.parse::<usize>().ok()).sum();
    let numbers: Vec<&String> = lines.iter().filter(|line| line.starts_with('L')).collect();
    assert_eq!(numbers.len(), wrote, "lines kept and lines written by `{service}`");
    for (i, line) in numbers.iter().enumerate() {
        assert_eq!(**line, format!("L{:09}", i + 1));
    }
    wrote
}

/// Every process of the fleet's services.
pub(crate) fn marked(fleet: &Fleet) -> Vec<Marked> {
    let mut found = Vec::new();
    for process in fleet.processes() {
        let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        let marker = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"ORCHESTRA_RUN="));
        // project/service/number/uuid
        let Some(marker) = marker.map(String::from_utf8_lossy) else { continue };
        let parts: Vec<&str> = marker.rsplit('/').collect();
        let [_, number, service, ..] = parts[..] else { continue };
        let leads = stat(process.pid).is_some_and(|stat| stat.session == process.pid && stat.state != 'Z');
        found.push(Marked { pid: process.pid, slot: format!("{service}.{number}"), leads });
    }
    found
}

/// Whether a shim holds the lock of a slot.
pub(crate) fn is_held(fleet: &Fleet, slot: &str) -> bool {
    let Ok(file) = fs::File::open(fleet.runtime().join(format!("{slot}.lock"))) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

/// What `ps` says and what is, where they differ.
fn differences(fleet: &Fleet) -> Vec<String> {
    let said: BTreeMap<String, i64> = fleet.pids().into_iter().collect();
    let mut real: BTreeMap<String, i64> = BTreeMap::new();
    let mut differ = Vec::new();
    for process in marked(fleet).into_iter().filter(|process| process.leads && !process.slot.ends_with(".build")) {
        if said.get(&process.slot) == Some(&i64::from(process.pid)) {
            real.insert(process.slot, i64::from(process.pid));
        } else if stat(process.pid).is_some_and(|stat| is_shim(stat.parent)) {
            differ.push(format!("{process:?} runs and ps says {:?}", said.get(&process.slot)));
        }
    }
    differ
        .extend(said.iter().filter(|(slot, _)| !real.contains_key(*slot)).map(|gone| format!("{gone:?} is not there")));
    differ
}

fn is_shim(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "orchestra-shim")
}

fn count(pid: i32, what: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count)
}

struct Stat {
    state: char,
    parent: i32,
    session: i32,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = text.rsplit(')').next()?.split_whitespace();
    let state = rest.next()?.chars().next()?;
    let mut number = || rest.next()?.parse::<i32>().ok();
    let (parent, _group, session) = (number()?, number()?, number()?);
    Some(Stat { state, parent, session })
}

fn all() -> Vec<(i32, Stat)> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}
