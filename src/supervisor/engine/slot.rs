//! One place for one copy of a service: what is wanted of it, what is, and what became of its runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Moment, TimerId};
use crate::supervisor::snapshot::{ExitView, Reason};
use crate::task::id::{Artifact, InstanceId, RunId, Settings};
use crate::task::restart::Failure;
use crate::task::spec::{Limits, RunSpec};
use crate::task::state::{Input, TaskState};
use crate::worker::Trouble;

/// The present run of a slot.
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it was started with.
    pub settings: Settings,
    /// What its binary was made of.
    pub artifact: Option<Artifact>,
    /// The leader of its group, once it has one.
    pub pid: Option<u32>,
    /// Since when it is ready.
    pub ready_since: Option<Moment>,
    /// When it was ready for the first time.
    pub first_ready: Option<Moment>,
    /// It was ready at some time: what waits for it may go on.
    pub was_ready: bool,
    /// The newest word of its probe.
    pub healthy: Option<bool>,
    /// What its group listens on.
    pub listening: Vec<String>,
    /// What it is held to, and whether it is.
    pub limits: Option<Limits>,
    /// What it suffers from, each in one sentence; the gravest first.
    pub troubles: BTreeMap<Trouble, String>,
    /// What its readiness probe last said while it did not say yes.
    pub waiting: Option<String>,
    /// Who else listens on a port it is asked on.
    pub holder: Option<String>,
    /// Why it was told to end.
    pub ending: Option<Reason>,
    /// It was told to end at once.
    pub killed: bool,
    /// When a worker was given it; long ago for one that outlived an earlier supervisor.
    pub began: Moment,
}

impl Run {
    /// When it was ready for the first time, where it still is and its start was seen: microseconds since 1970.
    pub fn came_up(&self) -> Option<i64> {
        let seen = self.began != Moment::default();
        self.first_ready.filter(|_| seen && self.ready_since.is_some()).map(|moment| moment.wall_us)
    }

    /// SIGKILL does not end it, so nobody waits for its end.
    pub fn is_unkillable(&self) -> bool {
        self.troubles.contains_key(&Trouble::Unkillable)
    }
}

/// One place for one copy.
pub struct Slot {
    /// Which copy.
    pub id: InstanceId,
    /// Where it is; written by [`Slot::step`] alone.
    pub state: TaskState,
    /// Since when it is there.
    pub since: Moment,
    /// What its next run is started with. Kept when a request keeps the running copy, so that an automatic restart gets what that copy had.
    pub launch: Arc<RunSpec>,
    /// The present run.
    pub run: Option<Run>,
    /// Its number is above the scale: it goes once it has ended.
    pub surplus: bool,
    /// Ended by name although its service is up.
    pub held: bool,
    /// Compare the running copy with what is wanted once the build is done, and replace it when they differ.
    pub check: bool,
    /// Replace the running copy, changed or not.
    pub replace: Option<Reason>,
    /// It is replaced although its code and settings may be the same: a file that it reads was edited.
    pub forced: bool,
    /// It served until it was told to make room: it is started again even where a still newer build failed.
    pub owed: bool,
    /// Its next or present run is what became of the newest edit, and was not ready yet.
    pub renewed: bool,
    /// It failed because the tests of its code did.
    pub barred: bool,
    /// What its newest run that ended was: its settings and its code.
    pub ran: Option<(Settings, Option<Artifact>)>,
    /// The code of the newest run that was ready and lasted.
    pub good: Option<Artifact>,
    /// Grace to use instead of the configured one when it is ended.
    pub grace: Option<Duration>,
    /// Failures that count, oldest first.
    pub failures: Vec<Failure>,
    /// Ends in a row that did not count, because something it depends on was not ready.
    pub uncounted: u32,
    /// It was in a crash loop and has one try.
    pub on_trial: bool,
    /// Starts again since it was last asked for.
    pub restarts: u32,
    /// Why it cannot start, or failed; one sentence.
    pub trouble: Option<String>,
    /// Its newest start failed since what should run it cannot be reached.
    pub absent: bool,
    /// Why the limits of the newest run that has some are not enforced, as it was told.
    pub unenforced: Option<String>,
    /// When the present or last run was started, microseconds since 1970.
    pub started_us: Option<i64>,
    /// The newest run's id.
    pub last_run: Option<RunId>,
    /// The newest ends, newest last.
    pub exits: Vec<ExitView>,
    /// The timer of a backoff or a crash loop.
    pub timer: Option<TimerId>,
}

/// How many ends are kept for `why`.
const EXITS: usize = 10;

impl Slot {
    /// A slot in which nothing ran yet.
    pub fn new(launch: Arc<RunSpec>) -> Slot {
        Slot {
            id: launch.instance.clone(),
            state: TaskState::Idle,
            since: Moment::default(),
            launch,
            run: None,
            surplus: false,
            held: false,
            check: false,
            replace: None,
            forced: false,
            owed: false,
            renewed: false,
            barred: false,
            ran: None,
            good: None,
            grace: None,
            failures: Vec::new(),
            uncounted: 0,
            on_trial: false,
            restarts: 0,
            trouble: None,
            absent: false,
            unenforced: None,
            started_us: None,
            last_run: None,
            exits: Vec::new(),
            timer: None,
        }
    }

    /// The only place where a slot's state changes. An input the table does not know changes nothing: the caller's view was stale.
    pub fn step(&mut self, input: Input, now: Moment) -> bool {
        match self.state.next(input) {
            Ok(state) => {
                if state != self.state {
                    self.since = now;
                }
                self.state = state;
                true
            }
            Err(_) => false,
        }
    }

    /// Forgets past failures: what it runs, or is run with, may be another thing now.
    pub fn forgive(&mut self) {
        self.failures.clear();
        self.uncounted = 0;
        self.on_trial = false;
        self.trouble = None;
        self.absent = false;
        self.timer = None;
        self.barred = false;
    }

    /// Forgets past failures: a person asked anew.
    pub fn pardon(&mut self) {
        self.forgive();
        self.restarts = 0;
        self.owed = false;
        self.held = false;
        self.grace = None;
    }

    /// Keeps an end for `why` and `ps`.
    pub fn remember(&mut self, exit: ExitView) {
        if self.exits.len() == EXITS {
            self.exits.remove(0);
        }
        self.exits.push(exit);
    }
}
