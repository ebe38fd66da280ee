//! Ending a service's group: signal, grace, SIGKILL, until nobody is left who descends from it.
//!
//! The leader stays un-reaped all that time, so its pid, which is its group's number, cannot become somebody else's.

use super::limits::Bounds;
use crate::sys::child::{self, End};
use crate::sys::{os, sweep};

/// SIGKILL for so long in vain, and the service counts as unkillable.
const UNKILLABLE: u64 = 15_000_000_000;
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
    /// Asked to end; SIGKILL at this time.
    Asked(u64),
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
            Phase::Asked(until) => until.min(now.saturating_add(grace)),
            Phase::Killed(_) => return,
        };
        self.phase = Phase::Asked(until);
        self.signal_all(signal);
        // A stopped process could not die of the signal.
        self.signal_all(libc::SIGCONT);
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
                self.signal_all(libc::SIGTERM);
                self.signal_all(libc::SIGCONT);
                self.phase = Phase::Asked(now + LEFT_BEHIND);
            }
        }
        match self.phase {
            Phase::Asked(until) if now >= until => self.start_killing(now),
            Phase::Killed(_) if self.end.is_some() => self.kill_all(now),
            Phase::Running | Phase::Asked(_) | Phase::Killed(_) => {}
        }
        None
    }

    /// When to look again although no child has ended.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        match self.phase {
            Phase::Running => None,
            Phase::Asked(until) => Some(until),
            Phase::Killed(_) => Some(now + LOOK),
        }
    }

    /// True once, when SIGKILL has had no effect for too long.
    pub(super) fn became_unkillable(&mut self, now: u64) -> bool {
        let late = matches!(self.phase, Phase::Killed(since) if now >= since + UNKILLABLE);
        late && !std::mem::replace(&mut self.told_unkillable, true)
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
