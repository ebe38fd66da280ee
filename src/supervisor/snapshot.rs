//! The state of everything at one moment, as the engine shows it: plain values, cheap to share.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::task::id::{InstanceId, RunId, ServiceName};
use crate::task::spec::{Desired, Kind, Limits, Port};
use crate::worker::Problem;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Grows with every change.
    pub seq: u64,
    /// By name.
    pub services: Vec<ServiceView>,
    /// What whoever waits for a request should read, oldest first; only the newest are kept.
    pub notes: Vec<Note>,
    /// The number of the newest watch that is armed; later ones may be on their way.
    pub armed: u64,
    /// Why the newest configuration is not taken over, line by line, the first of them a sentence; `None` where it is.
    pub config_trouble: Option<Arc<Vec<String>>>,
    /// What watching suffers from, one sentence.
    pub watch_trouble: Option<String>,
}

/// Something about a service that a person should read at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// 1, 2, …: whoever has read it knows it again.
    pub number: u64,
    /// Of the snapshot it came with.
    pub seq: u64,
    /// About whom.
    pub service: ServiceName,
    /// One sentence.
    pub message: String,
}

/// What `ps` shows of an instance: the task states, and `building` for a copy that waits for its first build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It failed and stays so.
    Failed,
    /// It failed too often and rests.
    Crashloop,
    /// It waits for its next start.
    Backoff,
    /// It was told to end.
    Stopping,
    /// Up, not or no longer ready.
    Running,
    /// A worker was told to start it.
    Starting,
    /// It waits for its first build.
    Building,
    /// It waits.
    Queued,
    /// Ready.
    Ready,
    /// Ran to completion.
    Done,
    /// Not wanted.
    Idle,
}

impl Shown {
    /// In the order in which a service takes its state from its instances: the first of these that one has.
    pub const ORDER: [Shown; 11] = [
        Shown::Failed,
        Shown::Crashloop,
        Shown::Backoff,
        Shown::Stopping,
        Shown::Running,
        Shown::Starting,
        Shown::Building,
        Shown::Queued,
        Shown::Ready,
        Shown::Done,
        Shown::Idle,
    ];

    /// The word in `ps`.
    pub fn word(self) -> &'static str {
        match self {
            Shown::Failed => "failed",
            Shown::Crashloop => "crashloop",
            Shown::Backoff => "backoff",
            Shown::Stopping => "stopping",
            Shown::Running => "running",
            Shown::Starting => "starting",
            Shown::Building => "building",
            Shown::Queued => "queued",
            Shown::Ready => "ready",
            Shown::Done => "done",
            Shown::Idle => "idle",
        }
    }
}

/// Whether what is wanted and what is have met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Still on its way.
    Pending,
    /// Wanted and actual have met.
    Met,
    /// It failed, is in a crash loop, or its new build failed; one sentence.
    Failed(String),
    /// Nothing is wrong with it: what should run it (a container engine) cannot be reached, and it is tried again until it can; one sentence.
    Absent(String),
    /// It waits for one that failed; one sentence.
    Blocked(String),
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// Service, vendor or job.
    pub kind: Kind,
    /// What is wanted.
    pub desired: Desired,
    /// How many copies are wanted.
    pub scale: u32,
    /// The newest build, where something is built.
    pub build: Option<BuildView>,
    /// Every copy, by number; those being removed included.
    pub instances: Vec<InstanceView>,
    /// Whether wanted and actual have met.
    pub settled: Settled,
    /// What it waits for or suffers from, one sentence.
    pub reason: Option<String>,
    /// It is watched: a save builds and swaps it.
    pub rerun: bool,
    /// Where its tests are that decide whether its newest binary is run; `None` where tests are off.
    pub tests: Option<TestsView>,
}

impl ServiceView {
    /// The first state of [`Shown::ORDER`] that an instance has.
    pub fn state(&self) -> Shown {
        Shown::ORDER.into_iter().find(|s| self.instances.iter().any(|i| i.state == *s)).unwrap_or(Shown::Idle)
    }
}

/// Where the tests of a service are.
#[derive(Clone, Debug, PartialEq)]
pub struct TestsView {
    /// What they do now.
    pub state: TestsState,
    /// Of the newest run: tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// The first failure, one line.
    pub error: Option<String>,
}

/// What tests do, or came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestsState {
    /// They never ran.
    Idle,
    /// They wait for the build or for a place.
    Queued,
    /// They run.
    Testing,
    /// They passed.
    Passed,
    /// They failed.
    Failed,
}

impl TestsState {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            TestsState::Idle => "idle",
            TestsState::Queued => "queued",
            TestsState::Testing => "testing",
            TestsState::Passed => "passed",
            TestsState::Failed => "failed",
        }
    }
}

/// What became of the newest edit that reached a service. Moments are microseconds since 1970; one that has not come, or never will, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rerun {
    /// The files because of which, relative to the project where they lie inside; only the first ones of very many.
    pub files: BTreeSet<PathBuf>,
    /// So many more.
    pub more: usize,
    /// When the newest edit was seen.
    pub seen_us: i64,
    /// How many builds were ended because a newer edit came.
    pub aborted: u32,
    /// The build began.
    pub build_us: Option<i64>,
    /// It ended.
    pub built_us: Option<i64>,
    /// It made other code than before, or failed; `None` while there is no build, or it has not ended.
    pub outcome: Option<BuildOutcome>,
    /// Tests that gate the swap ended.
    pub tested_us: Option<i64>,
    /// The first old copy was told to end.
    pub told_us: Option<i64>,
    /// It was gone.
    pub gone_us: Option<i64>,
    /// The first new copy was started.
    pub started_us: Option<i64>,
    /// A new copy was ready; with several, the newest that was.
    pub ready_us: Option<i64>,
}

/// What the build of a rerun came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildOutcome {
    /// Other code than before.
    Changed,
    /// The same code: nothing is restarted for it.
    Same,
    /// It failed.
    Failed,
}

impl BuildOutcome {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            BuildOutcome::Changed => "changed",
            BuildOutcome::Same => "same",
            BuildOutcome::Failed => "failed",
        }
    }
}

/// Where a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// Never asked for.
    Idle,
    /// Waits for a place.
    Queued,
    /// Runs.
    Building,
    /// Succeeded.
    Ok,
    /// Failed; an older binary may still serve.
    Failed,
}

impl BuildState {
    /// The word in `ps`.
    pub fn word(self) -> &'static str {
        match self {
            BuildState::Idle => "idle",
            BuildState::Queued => "queued",
            BuildState::Building => "building",
            BuildState::Ok => "ok",
            BuildState::Failed => "failed",
        }
    }
}

/// The newest build of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildView {
    /// Where it is.
    pub state: BuildState,
    /// The content of the newest good binary.
    pub artifact: Option<String>,
    /// One line.
    pub error: Option<String>,
    /// Every place the compiler named.
    pub problems: Vec<Problem>,
}

/// One copy.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// Which.
    pub id: InstanceId,
    /// Its state in `ps`.
    pub state: Shown,
    /// The newest run.
    pub run: Option<RunId>,
    /// The leader of its group.
    pub pid: Option<u32>,
    /// It runs in a container.
    pub contained: bool,
    /// Its ports.
    pub ports: Vec<Port>,
    /// What its group listens on.
    pub listening: Vec<String>,
    /// Starts again since it was last asked for.
    pub restarts: u32,
    /// Microseconds since 1970, of the present or last run.
    pub started_us: Option<i64>,
    /// Since when it is in its state, microseconds since 1970; `None` where nobody saw it.
    pub since_us: Option<i64>,
    /// When the present run became ready for the first time, where it is so and its start was seen, too.
    pub ready_us: Option<i64>,
    /// The newest end.
    pub last_exit: Option<ExitView>,
    /// The probe's last word; `None` before the first.
    pub healthy: Option<bool>,
    /// `stuck unkillable escaped unknown debugged`
    pub trouble: Option<&'static str>,
    /// What the present run is held to, where `resources` say something.
    pub limits: Option<Limits>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// By itself, with a code.
    Exit,
    /// By a signal nobody here sent.
    Signal,
    /// By the kernel, out of memory.
    Oom,
    /// It was asked to.
    Stopped,
    /// Replaced by a newer build or newer settings.
    Rerun,
    /// The liveness probe failed.
    FailedProbe,
    /// Its shim died.
    Lost,
    /// It never ran.
    StartFailed,
    /// Another process held its port.
    Port,
}

impl Reason {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Exit => "exit",
            Reason::Signal => "signal",
            Reason::Oom => "oom",
            Reason::Stopped => "stopped",
            Reason::Rerun => "rerun",
            Reason::FailedProbe => "failed-probe",
            Reason::Lost => "lost",
            Reason::StartFailed => "start-failed",
            Reason::Port => "port",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitView {
    /// The exit code, where it exited.
    pub code: Option<i32>,
    /// The signal, where one ended it.
    pub signal: Option<i32>,
    /// Why.
    pub reason: Reason,
    /// It was told to end, and it or a part of it did not until SIGKILL came.
    pub killed: bool,
    /// How long it ran, in microseconds; `None` where it never ran, and where nobody knows.
    pub ran_us: Option<i64>,
    /// Microseconds since 1970.
    pub at_us: i64,
}
