//! Ending processes that multiply while they are being ended.
//!
//! Whoever kills one by one makes room for the next fork. So all are stopped first: a process with a signal on its way cannot fork any more, and one that
//! is stopped gives up no place. Only when a look finds nobody new are they killed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::os::{self, Held};

/// Processes with a whole machine at their disposal may not be outrun; the caller comes again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends every process that descends from us over parents that live, once no new one is found; returns how many were killed.
pub fn end_descendants() -> usize {
    let until = Instant::now() + PATIENCE;
    let mut family = Family::default();
    loop {
        let known = family.held.len();
        // First those that are found soon: a crowd leaves us little time to run, and each that is stopped gives us more.
        family.stop_branches();
        family.stop_the_rest();
        if family.held.len() == known || Instant::now() >= until {
            return family.held.into_values().filter(|process| process.signal(libc::SIGKILL).is_ok()).count();
        }
    }
}

/// Descendants of ours, each held and stopped.
#[derive(Default)]
struct Family {
    held: HashMap<u32, Held>,
}

impl Family {
    /// Whether a number is ours or that of one of these. Asked after something was read about that number, it was read about that process.
    fn has(&self, pid: u32) -> bool {
        pid == std::process::id() || self.held.get(&pid).is_some_and(|process| process.signal(0).is_ok())
    }

    /// Branch by branch, from us on. Children of other threads than the first are left to [`Family::stop_the_rest`].
    fn stop_branches(&mut self) {
        let (mut parents, mut seen) = (vec![std::process::id()], HashSet::new());
        while let Some(parent) = parents.pop() {
            let listed = children(parent);
            self.stop_children(parent, &listed);
            parents.extend(listed.into_iter().filter(|pid| self.held.contains_key(pid) && seen.insert(*pid)));
        }
    }

    fn stop_children(&mut self, parent: u32, listed: &[u32]) {
        let new = listed.iter().filter(|pid| !self.held.contains_key(pid));
        let new: Vec<(u32, Held)> = new.filter_map(|pid| Some((*pid, Held::open(*pid).ok()?))).collect();
        if new.is_empty() {
            return;
        }
        // A child that is named again after it was held is the one that is held.
        let again = children(parent);
        let ours = self.has(parent);
        for (pid, held) in new.into_iter().filter(|(pid, _)| ours && again.contains(pid)) {
            self.stop(pid, held);
        }
    }

    /// Every process of the machine is asked for its parent.
    fn stop_the_rest(&mut self) {
        let is_child = |family: &Family, pid| os::parent(pid).is_some_and(|parent| family.has(parent));
        let mut pids = os::pids().unwrap_or_default();
        // Parents are nearly always older, so one look finds whole branches.
        pids.sort_unstable();
        for pid in pids {
            if !self.held.contains_key(&pid)
                && is_child(self, pid)
                && let Ok(held) = Held::open(pid)
                && is_child(self, pid)
            {
                self.stop(pid, held);
            }
        }
    }

    fn stop(&mut self, pid: u32, held: Held) {
        if held.signal(libc::SIGSTOP).is_ok() {
            self.held.insert(pid, held);
        }
    }
}

fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    // Where the system does not list them, the look at all processes finds them.
    drop(os::each_child_of(parent, &mut |pid| found.push(pid as u32)));
    found
}

/// A process that was found, and whether it was found again after it was held, and stopped.
struct Found {
    held: Held,
    stopped: bool,
}

/// Ends every process that `list` names, once it names nobody new; returns how many were killed. Each is held first and signalled only when a later
/// list names it still, so a pid that has become a stranger's meanwhile is left alone.
pub fn end_all(list: impl Fn() -> Vec<u32>) -> usize {
    let until = Instant::now() + PATIENCE;
    let mut found: HashMap<u32, Found> = HashMap::new();
    while stop_and_hold(&mut found, &list()) > 0 && Instant::now() < until {}
    let stopped = found.into_values().filter(|process| process.stopped);
    stopped.filter(|process| process.held.signal(libc::SIGKILL).is_ok()).count()
}

/// Stops those that were held before, holds those that are new; how many are.
fn stop_and_hold(found: &mut HashMap<u32, Found>, there: &[u32]) -> usize {
    let mut n_new = 0;
    for pid in there {
        match found.entry(*pid) {
            Entry::Occupied(mut known) if !known.get().stopped => {
                if known.get().held.signal(libc::SIGSTOP).is_ok() {
                    known.get_mut().stopped = true;
                } else {
                    // It has ended, and its number is another's.
                    known.remove();
                    n_new += 1;
                }
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                // One that cannot be held has ended, or there are more than we may have open: the caller's next time finds those.
                if let Ok(held) = Held::open(*pid) {
                    place.insert(Found { held, stopped: false });
                    n_new += 1;
                }
            }
        }
    }
    n_new
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    #[test]
    fn those_listed_end_and_no_others() {
        let sleep = || Command::new("sleep").arg("1000").spawn().unwrap();
        let (mut ours, mut innocent) = ([sleep(), sleep()], sleep());
        let pids = ours.each_ref().map(std::process::Child::id).to_vec();
        assert_eq!(end_all(|| pids.clone()), 2);
        for child in &mut ours {
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        assert!(innocent.try_wait().unwrap().is_none());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }

    #[test]
    fn one_that_is_listed_once_only_is_left_alone() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let (pid, asked) = (child.id(), std::cell::Cell::new(0));
        let list = || if asked.replace(asked.get() + 1) == 0 { vec![pid] } else { Vec::new() };
        assert_eq!(end_all(list), 0);
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
