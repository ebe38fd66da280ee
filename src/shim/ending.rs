//! Ending a service's group: signal, grace, SIGKILL, until nobody is left who descends from it.
//!
//! The leader stays un-reaped all that time, so its pid, which is its group's number, cannot become somebody else's.

use super::limits::Bounds;
use crate::sys::child::{self, End};
use crate::sys::{family, os, sweep};

/// SIGKILL for so long in vain, and the service counts as unkillable …
const UNKILLABLE: u64 = 15_000_000_000;
/// … and after so long when one of its processes waits in the kernel: a large one takes its time to give its memory back.
const WAITS: u64 = 5_000_000_000;
/// Between two looks while a killed group empties, in case a signal of an end was missed.
const LOOK: u64 = 50_000_000;
/// So many descendants that are to be killed may multiply meanwhile.
const CROWD: usize = 8;
/// What a leader that ended by itself leaves behind has at most so long after SIGTERM.
const LEFT_BEHIND: u64 = 1_000_000_000;

/// Where the service is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Asked to end by a signal; SIGKILL at this time.
    Asked(i32, u64),
    /// Killed since this time.
    Killed(u64),
}

/// The service's processes, seen from their parent.
#[derive(Debug)]
pub(super) struct Group {
    leader: i32,
    phase: Phase,
    end: Option<End>,
    reaped: bool,
    /// Somebody asked for the end.
    pub(super) stopped: bool,
    /// SIGKILL came from here.
    pub(super) killed: bool,
    escaped: u32,
    told_unkillable: bool,
    /// When to sweep next.
    sweep: u64,
    bounds: Bounds,
    /// Orphans that came to us and were asked to end, like the group.
    asked: Vec<i32>,
}

impl Group {
    pub(super) fn new(leader: i32, bounds: Bounds) -> Group {
        Group {
            leader,
            phase: Phase::Running,
            end: None,
            reaped: false,
            stopped: false,
            killed: false,
            escaped: 0,
            told_unkillable: false,
            sweep: 0,
            bounds,
            asked: Vec::new(),
        }
    }

    pub(super) fn leader(&self) -> i32 {
        self.leader
    }

    /// What it is held to.
    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopped
    }

    /// Begins to end it. A second, shorter grace hastens the first.
    pub(super) fn ask(&mut self, signal: i32, grace: u64, now: u64) {
        self.stopped = true;
        // A service that starves its machine must not starve those who end it.
        os::hurry();
        let until = match self.phase {
            Phase::Running => now.saturating_add(grace),
            Phase::Asked(_, until) => until.min(now.saturating_add(grace)),
            Phase::Killed(_) => return,
        };
        self.begin_asking(signal, until);
    }

    fn begin_asking(&mut self, signal: i32, until: u64) {
        self.phase = Phase::Asked(signal, until);
        self.signal(signal);
        // A stopped process could not die of the signal.
        self.signal(libc::SIGCONT);
        self.asked.clear();
        self.ask_orphans(signal);
    }

    /// Asks those whom the group's signal did not reach, each once: some come to us only when their parent has ended.
    fn ask_orphans(&mut self, signal: i32) {
        let (leader, reaped, asked) = (self.leader, self.reaped, &mut self.asked);
        each_other(leader, &mut |pid| {
            if (reaped || !in_group(pid, leader)) && !asked.contains(&pid) {
                asked.push(pid);
                child::signal_child(pid, signal);
                child::signal_child(pid, libc::SIGCONT);
            }
        });
    }

    /// Ends it now.
    pub(super) fn kill(&mut self, now: u64) {
        self.stopped = true;
        self.start_killing(now);
    }

    fn start_killing(&mut self, now: u64) {
        if !matches!(self.phase, Phase::Killed(_)) {
            os::hurry();
            self.phase = Phase::Killed(now);
        }
        self.killed = true;
        self.kill_all(now);
    }

    /// SIGKILL to the group, which none of it can outrun, to whoever is in the service's control group, and to those who left both: together where
    /// they are many, since a crowd that is killed one by one forks meanwhile.
    fn kill_all(&mut self, now: u64) {
        self.signal(libc::SIGKILL);
        self.bounds.kill();
        let mut others = 0;
        each_other(self.leader, &mut |_| others += 1);
        if others < CROWD {
            self.signal_all(libc::SIGKILL);
        } else if now >= self.sweep {
            self.sweep = now + LOOK;
            sweep::end_descendants();
        }
    }

    /// A signal for the group only.
    pub(super) fn signal(&self, signal: i32) {
        if !self.reaped {
            child::signal_group(self.leader, signal);
        }
    }

    fn signal_all(&self, signal: i32) {
        self.signal(signal);
        each_other(self.leader, &mut |pid| {
            if !in_group(pid, self.leader) || self.reaped {
                child::signal_child(pid, signal);
            }
        });
    }

    /// Looks at what became of the group. `Some` once nobody is left.
    pub(super) fn look(&mut self, now: u64) -> Option<End> {
        if self.end.is_none() {
            self.end = child::peek_end(self.leader);
        }
        let others = self.reap_others();
        if let Some(end) = self.end {
            if others == 0 {
                if !self.reaped {
                    child::reap(self.leader);
                    self.reaped = true;
                }
                if !child::have_children() {
                    return Some(end);
                }
            }
            if self.phase == Phase::Running {
                self.begin_asking(libc::SIGTERM, now + LEFT_BEHIND);
            }
        }
        match self.phase {
            Phase::Asked(_, until) if now >= until => self.start_killing(now),
            Phase::Asked(signal, _) => self.ask_orphans(signal),
            // Again and again: some fork faster than they are found, and a traced process stops once more on its way out.
            Phase::Killed(_) => self.kill_all(now),
            Phase::Running => {}
        }
        None
    }

    /// When to look again although no child has ended.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        match self.phase {
            Phase::Running => None,
            Phase::Asked(_, until) => Some(until),
            Phase::Killed(_) => Some(now + LOOK),
        }
    }

    /// True once, when SIGKILL has had no effect for too long.
    pub(super) fn became_unkillable(&mut self, now: u64) -> bool {
        let Phase::Killed(since) = self.phase else { return false };
        let late = now >= since + UNKILLABLE || now >= since + WAITS && self.waits_in_kernel();
        late && !std::mem::replace(&mut self.told_unkillable, true)
    }

    /// SIGKILL has had no effect, and somebody was told.
    pub(super) fn is_unkillable(&self) -> bool {
        self.told_unkillable
    }

    fn waits_in_kernel(&self) -> bool {
        let waits = |pid: i32| family::waits_in(pid as u32).is_some();
        let mut found = self.end.is_none() && waits(self.leader);
        each_other(self.leader, &mut |pid| found = found || waits(pid));
        found
    }

    /// How many descendants have left the group, when that has changed.
    pub(super) fn newly_escaped(&mut self) -> Option<u32> {
        let mut n = 0;
        each_other(self.leader, &mut |pid| n += u32::from(!in_group(pid, self.leader)));
        if n == std::mem::replace(&mut self.escaped, n) { None } else { Some(n) }
    }

    pub(super) fn escaped(&self) -> u32 {
        self.escaped
    }

    /// Reaps orphans that came to us and ended; says how many live.
    fn reap_others(&self) -> usize {
        let mut living = 0;
        each_other(self.leader, &mut |pid| living += usize::from(!child::reap_if_ended(pid)));
        living
    }
}

fn each_other(leader: i32, each: &mut dyn FnMut(i32)) {
    let listed = os::each_child(leader, &mut |pid| {
        if pid != leader {
            each(pid);
        }
    });
    // Without the list the group's own signals and the marker sweep have to do.
    drop(listed);
}

fn in_group(pid: i32, leader: i32) -> bool {
    nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).is_ok_and(|group| group.as_raw() == leader)
}
