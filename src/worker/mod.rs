//! What executes tasks. A worker answers by reports, so a slow one cannot hold up the supervisor.

pub mod docker;
#[cfg(test)]
pub mod fake;
pub mod ports;
pub mod probe;
pub mod process;
mod projects;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use crate::task::outcome::{BuildBatch, BuildFailure, Outcome, Problem, TestOutcome, TestTask};

use crate::task::id::{Artifact, BuildKey, RunId};
use crate::task::spec::{Limits, RunSpec};

/// What a worker is asked to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// Run one instance of a service. The artifact of its binary is kept in its record, for adoption.
    Run {
        /// What to run.
        spec: Arc<RunSpec>,
        /// What its binary is made of; `None` for `command:`.
        artifact: Option<Artifact>,
    },
    /// Build.
    Build(BuildBatch),
    /// Test.
    Test(TestTask),
}

/// Why a run could not be started: `before` failed, the program is missing, the port is held, the fork failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// One sentence.
    pub message: String,
    /// Another process holds a port (reason `port`).
    pub port: bool,
    /// Trying again may help (EAGAIN, ENOMEM); else it fails the same way each time.
    pub transient: bool,
    /// Nothing is wrong with it: what should run it (a container engine) cannot be reached. It is tried again until it can.
    pub absent: bool,
}

/// Something a person should see about a run that goes on; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// SIGKILL does not end it.
    Unkillable,
    /// Its shim is stopped or waits in the kernel: nobody reads its output, nobody hears its end. Or its container is paused.
    Stuck,
    /// Its shim lives and cannot be spoken with, or its container engine cannot.
    Unknown,
    /// A process of it has left its group or session.
    Escaped,
    /// A debugger holds it.
    Debugged,
}

impl Trouble {
    /// The word in `ps`.
    pub fn word(self) -> &'static str {
        match self {
            Trouble::Unkillable => "unkillable",
            Trouble::Stuck => "stuck",
            Trouble::Unknown => "unknown",
            Trouble::Escaped => "escaped",
            Trouble::Debugged => "debugged",
        }
    }
}

/// A process that is not ours and listens on a port that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The port.
    pub port: u16,
    /// Its pid, where we may see it.
    pub pid: Option<u32>,
    /// Its program, where we may see it.
    pub exe: Option<PathBuf>,
}

/// Facts about a run, in this order; exactly one of them is an end (`Exited`, `Built`, `Tested`, `StartFailed`).
#[derive(Clone, Debug, PartialEq)]
pub enum RunReport {
    /// It has a process.
    Started {
        /// The leader of its group; 0 where this machine knows it by no pid: an engine's machine is another one.
        pid: u32,
    },
    /// Readiness changed.
    Ready(bool),
    /// What the readiness probe last said while it does not say yes, one sentence; `None` once it does. Sent when it changes.
    Waiting(Option<String>),
    /// Another process listens on a port this run is asked on; `None` once it is gone.
    Holder(Option<Holder>),
    /// The liveness probe failed often enough: it shall be restarted.
    Dead(String),
    /// What it is held to, and whether it is; only where `resources` say something.
    Limits(Limits),
    /// What its group listens on, `127.0.0.1:8080/tcp`, whenever that changes.
    Listening(Vec<String>),
    /// It is being ended: by this supervisor's order, or by that of an earlier one or of somebody else.
    Stopping,
    /// What it suffers from, in one sentence; `None` when that is over. Each trouble is told by itself.
    Trouble(Trouble, Option<String>),
    /// It was to make room and goes on, since a debugger holds it. That it is held no longer is told as the end of [`Trouble::Debugged`].
    Spared,
    /// Something about its service that whoever asked for it should read, one sentence.
    Note(String),
    /// It ended and its group is empty.
    Exited(Outcome),
    /// A build ended: what became of each member.
    Built(Vec<(BuildKey, Result<Artifact, BuildFailure>)>),
    /// Tests ended.
    Tested(TestOutcome),
    /// It never ran.
    StartFailed(StartFailure),
}

/// Where reports go. Bounded; a full channel makes the worker's own task wait, never the service.
pub type Sink = mpsc::Sender<(RunId, RunReport)>;

/// What a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Begin to end it: its stop signal to the group, SIGKILL after its grace.
    Stop {
        /// Instead of the configured grace.
        grace: Option<Duration>,
        /// Not while a debugger holds it: then it goes on, which is reported as [`RunReport::Spared`].
        spare: bool,
    },
    /// End it now.
    Kill,
    /// Send this signal to the group, nothing more.
    Send(i32),
}

/// Executes tasks on one node.
pub trait Worker: Send {
    /// Begins `work` as `run` and returns at once; facts come back as reports to the sink the worker was made with.
    fn start(&mut self, run: RunId, work: Work);
    /// Signals a run. One that is not known has ended, and its end is reported already.
    fn signal(&mut self, run: RunId, signal: Signal);
    /// Whether nothing of what it ran is left, not even of runs whose end it has reported.
    fn is_at_rest(&self) -> bool;
}

/// The workers of this machine: each run goes to the one that can execute it.
pub struct Workers {
    /// Processes, builds, tests.
    pub processes: process::ProcessWorker,
    /// Containers.
    pub containers: docker::DockerWorker,
}

impl Worker for Workers {
    fn start(&mut self, run: RunId, work: Work) {
        match &work {
            Work::Run { spec, .. } if spec.container.is_some() => self.containers.start(run, work),
            Work::Run { .. } | Work::Build(_) | Work::Test(_) => self.processes.start(run, work),
        }
    }

    fn signal(&mut self, run: RunId, signal: Signal) {
        // Run numbers are never used twice, and a worker passes over those it does not know.
        self.processes.signal(run, signal);
        self.containers.signal(run, signal);
    }

    fn is_at_rest(&self) -> bool {
        self.processes.is_at_rest() && self.containers.is_at_rest()
    }
}
