//! The pure engine: facts in, orders out. No tokio, no clock, no file system; time is an argument.
//!
//! It holds what is wanted and what is, for every service and every build, and after each event looks at all of it once and gives the orders that
//! bring the two together. Every decision can so be tested without a process.

mod builds;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod counted;
#[cfg(test)]
mod edit_tests;
mod edits;
mod ends;
#[cfg(test)]
mod random;
mod reconcile;
mod requests;
mod rerun;
mod settle;
mod slot;
mod testing;
#[cfg(test)]
mod testing_tests;
#[cfg(test)]
mod tests;
mod view;
#[cfg(test)]
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Happening;
use super::snapshot::{ExitView, Note, Rerun};
use crate::scheduler::{Node, Scheduler};
use crate::task::id::{Artifact, BuildKey, InstanceId, RunId, ServiceName, Settings};
use crate::task::spec::{BuildSpec, Desired, RunSpec, ServiceSpec};
use crate::task::state::TaskState;
use crate::worker::{BuildFailure, RunReport, Signal, Work};
pub use slot::Slot;
use testing::Testing;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Since any fixed moment, on a clock that only goes forward.
    pub mono: Duration,
    /// Microseconds since 1970.
    pub wall_us: i64,
}

/// Which timer; never reused, so a stale one misses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// A run that outlived an earlier supervisor.
#[derive(Clone, Debug, PartialEq)]
pub struct Adoption {
    /// Its id, from its record.
    pub run: RunId,
    /// Which copy it is.
    pub instance: InstanceId,
    /// What it would be started with now, or just enough to watch it where that is not known.
    pub launch: Arc<RunSpec>,
    /// The leader of its group, where that is known; its shim says it again.
    pub pid: Option<u32>,
    /// What it was started with.
    pub settings: Settings,
    /// What its binary was made of.
    pub artifact: Option<Artifact>,
    /// When it was started, microseconds since 1970.
    pub started_us: i64,
}

/// What a supervisor finds that follows on one that died.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// Every service that was wanted, or of which something runs.
    pub services: Vec<(ServiceSpec, Desired)>,
    /// Binaries that are there already.
    pub artifacts: BTreeMap<BuildKey, Artifact>,
    /// Runs that are alive.
    pub adoptions: Vec<Adoption>,
    /// Copies that had ended for good: `Done`, `Failed` or `Crashloop`.
    pub ended: Vec<(InstanceId, TaskState)>,
    /// What is remembered of each service, those that are not wanted too.
    pub past: BTreeMap<ServiceName, Past>,
}

/// What an earlier supervisor remembered of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// What happened, oldest first.
    pub happenings: Vec<Happening>,
    /// Of each copy: how often it was started again, and its newest ends, newest last.
    pub copies: BTreeMap<u32, (u32, Vec<ExitView>)>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Converge these services, which shall be up: build, keep what is unchanged, replace what changed, start the rest.
    Start {
        /// Resolved, dependencies included.
        specs: Vec<ServiceSpec>,
        /// Builds with the same number may share one `go build`.
        groups: BTreeMap<BuildKey, u64>,
        /// Named by the caller: a job among them runs again although it is done.
        explicit: BTreeSet<ServiceName>,
    },
    /// Build, and only if every build succeeds, replace every copy of these services (or these copies).
    Restart {
        /// Resolved.
        specs: Vec<ServiceSpec>,
        /// Builds with the same number may share one `go build`.
        groups: BTreeMap<BuildKey, u64>,
        /// Only these copies, where the caller named copies.
        only: BTreeSet<InstanceId>,
    },
    /// Build and change nothing else.
    Build {
        /// Resolved.
        specs: Vec<ServiceSpec>,
        /// Builds with the same number may share one `go build`.
        groups: BTreeMap<BuildKey, u64>,
    },
    /// Take over the new number of copies of these services; the copies that stay are not touched.
    Scale {
        /// Resolved with the new number.
        specs: Vec<ServiceSpec>,
    },
    /// End these services, dependants first.
    Stop {
        /// Which.
        services: BTreeSet<ServiceName>,
        /// Only these copies, where the caller named copies.
        only: BTreeSet<InstanceId>,
        /// Instead of the configured grace.
        grace: Option<Duration>,
    },
    /// A signal to the groups of these copies.
    Kill {
        /// Which.
        instances: BTreeSet<InstanceId>,
        /// By number.
        signal: i32,
    },
    /// These services exist (for `ps` and `why`) and are not wanted; said once for every service of the project.
    Known {
        /// Resolved.
        specs: Vec<ServiceSpec>,
    },
    /// This supervisor follows on one that died.
    Resume(Resume),
    /// The strays of these services are looked for: none of their copies is started meanwhile.
    Hunt {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// That is over.
    Hunted {
        /// Whose strays were looked for.
        services: Vec<ServiceName>,
        /// What was done about each stray, one sentence.
        said: Vec<(ServiceName, String)>,
    },
    /// Files were edited.
    Edited(Edit),
    /// The configuration was edited: these services, which are wanted, have other settings now; those that are gone are told by a [`Event::Stop`].
    Reconfigured {
        /// Resolved; only those that differ from what the engine was last told.
        specs: Vec<ServiceSpec>,
        /// Builds with the same number may share one `go build`.
        groups: BTreeMap<BuildKey, u64>,
        /// The files because of which, relative to the project; nothing is said where there are none.
        because: BTreeSet<PathBuf>,
    },
    /// Which services are built and swapped at each save, and what watching suffers from.
    Watching {
        /// Those.
        services: BTreeSet<ServiceName>,
        /// One sentence.
        trouble: Option<String>,
    },
    /// Something that whoever waits, `why` and the service's log should say.
    Told {
        /// About whom, and one sentence each.
        said: Vec<(ServiceName, String)>,
    },
    /// A worker reports.
    Report(RunId, RunReport),
    /// A timer that was armed is due.
    Timer(TimerId),
}

/// What edits reached, and the files because of which, relative to the project where they lie inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// Binaries that may be others now.
    pub builds: BTreeMap<BuildKey, BTreeSet<PathBuf>>,
    /// Services that are restarted without a build.
    pub restarts: BTreeMap<ServiceName, BTreeSet<PathBuf>>,
    /// Of services whose tests are wanted: packages, by import path, whose tests may end otherwise.
    pub tests: BTreeMap<ServiceName, BTreeSet<String>>,
    /// When the first of the edits was seen, microseconds since 1970.
    pub seen_us: i64,
}

/// What shall be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Give this to a worker.
    Start {
        /// As this run.
        run: RunId,
        /// What to do.
        work: Work,
    },
    /// Signal a run.
    Signal {
        /// Which.
        run: RunId,
        /// What for.
        signal: Signal,
    },
    /// Come back after this long.
    Arm {
        /// With this timer.
        timer: TimerId,
        /// After this long.
        after: Duration,
    },
    /// Say this about a service, in its log and in `why`.
    Say {
        /// About whom.
        service: ServiceName,
        /// One sentence.
        message: String,
    },
}

/// One service: what is wanted of it and its copies.
pub struct Service {
    /// The newest resolved settings.
    pub spec: ServiceSpec,
    /// What is wanted.
    pub desired: Desired,
    /// Its copies by number; more than the scale while some are being removed.
    pub slots: BTreeMap<u32, Slot>,
    /// What happened, newest last.
    pub happenings: VecDeque<Happening>,
    /// What became of the newest edit that reached it.
    pub rerun: Option<Rerun>,
    /// Its tests, where they decide whether its newest binary is run.
    pub testing: Testing,
}

/// One build, shared by every service with an equal key.
pub struct Build {
    /// What is built.
    pub spec: Arc<BuildSpec>,
    /// `Idle Queued Starting Running Done Failed`.
    pub state: TaskState,
    /// The run it is part of.
    pub run: Option<RunId>,
    /// May share one `go build` with others of the same number.
    pub group: Option<u64>,
    /// A shared one failed: the next is for it alone.
    pub alone: bool,
    /// Asked for again while it ran: the sources may have changed since.
    pub again: bool,
    /// Its run was ended because of an edit: what it says of a failure means nothing.
    pub aborted: bool,
    /// The newest good binary.
    pub artifact: Option<Artifact>,
    /// Why the newest build failed.
    pub failure: Option<BuildFailure>,
}

/// A restart that waits for the builds of its services: these copies are replaced together or not at all.
struct Gate {
    instances: BTreeSet<InstanceId>,
}

/// What a run belongs to.
enum Owner {
    Slot(InstanceId),
    Builds(Vec<BuildKey>),
    Tests(ServiceName),
}

/// Holds everything that is wanted and everything that is.
pub struct Engine {
    pub(crate) services: BTreeMap<ServiceName, Service>,
    pub(crate) builds: BTreeMap<BuildKey, Build>,
    runs: HashMap<RunId, Owner>,
    timers: HashMap<TimerId, InstanceId>,
    gates: Vec<Gate>,
    /// Hunts for strays that are under way, by service.
    hunts: BTreeMap<ServiceName, u32>,
    /// Services that are built and swapped at each save.
    watched: BTreeSet<ServiceName>,
    /// What watching suffers from.
    watch_trouble: Option<String>,
    /// What whoever waits for a request should read, newest last.
    notes: VecDeque<Note>,
    n_notes: u64,
    /// Of services that were not told yet.
    past: BTreeMap<ServiceName, Past>,
    nodes: Vec<Node>,
    scheduler: Box<dyn Scheduler + Send>,
    next_run: u64,
    next_timer: u64,
    seq: u64,
}

/// How many happenings of a service are kept for `why`.
const HAPPENINGS: usize = 50;
/// How many notes are kept for whoever waits for a request: more than a command is likely to cause between two looks.
const NOTES: usize = 200;

impl Engine {
    /// An engine that knows no service yet. Runs are numbered from `next_run`.
    pub fn new(nodes: Vec<Node>, scheduler: Box<dyn Scheduler + Send>, next_run: u64) -> Engine {
        Engine {
            services: BTreeMap::new(),
            builds: BTreeMap::new(),
            runs: HashMap::new(),
            timers: HashMap::new(),
            gates: Vec::new(),
            hunts: BTreeMap::new(),
            watched: BTreeSet::new(),
            watch_trouble: None,
            notes: VecDeque::new(),
            n_notes: 0,
            past: BTreeMap::new(),
            nodes,
            scheduler,
            next_run: next_run.max(1),
            next_timer: 1,
            seq: 0,
        }
    }

    /// Takes in one event and gives the orders that follow from it.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut out = Vec::new();
        self.take_in(event, now, &mut out);
        self.reconcile(now, &mut out);
        self.seq += 1;
        out
    }

    fn take_in(&mut self, event: Event, now: Moment, out: &mut Vec<Effect>) {
        match event {
            Event::Start { specs, groups, explicit } => self.want(specs, groups, &explicit),
            Event::Restart { specs, groups, only } => self.restart(specs, groups, &only),
            Event::Build { specs, groups } => self.build_only(specs, groups),
            Event::Scale { specs } => self.rescale(specs),
            Event::Stop { services, only, grace } => self.stop(&services, &only, grace, out),
            Event::Kill { instances, signal } => self.kill(&instances, signal, out),
            Event::Known { specs } => self.know(specs),
            Event::Resume(resume) => self.resume(resume, out),
            Event::Hunt { services } => self.hunt(services),
            Event::Hunted { services, said } => self.hunted(&services, said, now, out),
            Event::Edited(edit) => self.edited(edit, now, out),
            Event::Reconfigured { specs, groups, because } => self.reconfigure(specs, groups, &because, now, out),
            Event::Watching { services, trouble } => self.watching(services, trouble),
            Event::Told { said } => said.into_iter().for_each(|(service, words)| self.note(&service, words, now, out)),
            Event::Report(run, report) => self.report(run, report, now, out),
            Event::Timer(timer) => self.timer(timer, now),
        }
    }

    /// Grows with every event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Nothing runs, nothing is wanted, nothing is being built.
    pub fn is_idle(&self) -> bool {
        self.runs.is_empty()
            && self.services.values().all(|s| s.desired == Desired::Down || s.is_over() && !self.awaits_edits(s))
            && self.builds.values().all(|b| b.state != TaskState::Queued)
    }

    /// Nothing of a service runs, waits, or is to be started again: a `stop` changes nothing about it.
    pub fn is_at_rest(&self, name: &ServiceName) -> bool {
        self.services.get(name).is_none_or(|service| {
            let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
            service.is_over() && !build.is_some_and(|build| build.is_pending()) && !service.testing.is_running()
        })
    }

    /// The instance a run belongs to; `None` for a build, for tests or an unknown run.
    pub fn instance_of(&self, run: RunId) -> Option<&InstanceId> {
        match self.runs.get(&run) {
            Some(Owner::Slot(instance)) => Some(instance),
            Some(Owner::Builds(_) | Owner::Tests(_)) | None => None,
        }
    }

    fn new_run(&mut self) -> RunId {
        let run = RunId(self.next_run);
        self.next_run += 1;
        run
    }

    fn slot(&mut self, instance: &InstanceId) -> Option<&mut Slot> {
        self.services.get_mut(&instance.service)?.slots.get_mut(&instance.number)
    }

    fn say(&mut self, service: &ServiceName, message: String, now: Moment, out: &mut Vec<Effect>) {
        if let Some(entry) = self.services.get_mut(service) {
            if entry.happenings.len() == HAPPENINGS {
                entry.happenings.pop_front();
            }
            entry.happenings.push_back(Happening { at_us: now.wall_us, message: message.clone() });
        }
        out.push(Effect::Say { service: service.clone(), message });
    }

    /// Says something that whoever waits for a request about the service should read, too.
    fn note(&mut self, service: &ServiceName, message: String, now: Moment, out: &mut Vec<Effect>) {
        if self.notes.len() == NOTES {
            self.notes.pop_front();
        }
        self.n_notes += 1;
        let note = Note { number: self.n_notes, seq: self.seq + 1, service: service.clone(), message: message.clone() };
        self.notes.push_back(note);
        self.say(service, message, now, out);
    }

    fn hunt(&mut self, services: Vec<ServiceName>) {
        for service in services {
            *self.hunts.entry(service).or_default() += 1;
        }
    }

    fn hunted(
        &mut self,
        services: &[ServiceName],
        said: Vec<(ServiceName, String)>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        for (service, message) in said {
            self.note(&service, message, now, out);
        }
        for service in services {
            let left = self.hunts.get(service).map_or(0, |n| n.saturating_sub(1));
            match left {
                0 => drop(self.hunts.remove(service)),
                left => drop(self.hunts.insert(service.clone(), left)),
            }
        }
    }

    fn arm(&mut self, instance: &InstanceId, after: Duration, out: &mut Vec<Effect>) -> TimerId {
        let timer = TimerId(self.next_timer);
        self.next_timer += 1;
        self.timers.insert(timer, instance.clone());
        out.push(Effect::Arm { timer, after });
        timer
    }
}

impl Service {
    /// A job that ran, or a service that ended well: nothing more will happen by itself.
    fn is_over(&self) -> bool {
        self.slots.values().all(|slot| matches!(slot.state, TaskState::Done | TaskState::Idle))
    }
}
