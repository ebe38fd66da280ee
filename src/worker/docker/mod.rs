//! The docker worker: runs instances as containers of a Docker engine.
//!
//! One task per run listens to the engine. A container is known by its labels, never by its name, and outlives everything here: what an earlier
//! supervisor began is taken over, and what ended meanwhile is found with its code and its time.

pub mod alone;
mod away;
mod begin;
mod existing;
mod frames;
mod image;
mod intake;
mod job;
mod logs;
mod make;
mod ports;
mod probe;
pub mod record;
mod run;
mod state;
mod stores;
pub mod usage;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use self::record::ContainerRecord;
use super::process::told_to_end;
use super::{RunReport, Signal, Sink, StartFailure, Work, Worker};
use crate::docker::Docker;
use crate::sys::home::Home;
use crate::task::id::RunId;
use crate::task::spec::RunSpec;

/// Signals for one run may wait in so great a number; further ones are dropped, as the kernel drops a pending signal's double.
const SIGNALS: usize = 16;
/// `after` commands get so long.
const AFTER: Duration = Duration::from_secs(5);
/// Output that is still on its way when a container has ended gets so long to arrive.
const DRAIN: Duration = Duration::from_secs(10);

/// What every run needs to know.
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) sink: Sink,
    /// Networks and volumes are shared: one copy at a time looks for them and makes them.
    making: Mutex<()>,
}

impl Ground {
    /// Tells the supervisor. It may be gone, and then there is nobody to tell.
    async fn report(&self, run: RunId, report: RunReport) {
        drop(self.sink.send((run, report)).await);
    }

    fn following(&self, docker: &Docker, record: &ContainerRecord, spec: &RunSpec) -> logs::Following {
        logs::Following {
            docker: docker.clone(),
            container: record.container.clone(),
            run: RunId(record.run),
            starts: record.starts.clone(),
            instance: spec.instance.clone(),
            home: self.home.clone(),
            keep: spec.log_keep,
        }
    }
}

/// Waits until output has arrived, within reason: an engine that keeps silent must not keep a run from ending.
async fn drained(mut logs: JoinHandle<()>) {
    if tokio::time::timeout(DRAIN, &mut logs).await.is_err() {
        logs.abort();
    }
}

/// Executes runs as containers.
pub struct DockerWorker {
    ground: Arc<Ground>,
    runs: HashMap<RunId, mpsc::Sender<Signal>>,
}

impl DockerWorker {
    /// A worker for one project that reports to `sink`. The engine is spoken with only once something shall run in it.
    pub fn new(home: Home, sink: Sink) -> DockerWorker {
        DockerWorker { ground: Arc::new(Ground { home, sink, making: Mutex::new(()) }), runs: HashMap::new() }
    }

    /// Takes over a run whose end nobody has seen.
    pub fn adopt(&mut self, record: &ContainerRecord, spec: Arc<RunSpec>) {
        let run = RunId(record.run);
        let signals = self.enlist(run);
        let container = spec.container.clone().unwrap_or_default();
        let job = job::Job { ground: self.ground.clone(), run, spec, container };
        tokio::spawn(run::adopt(job, record.clone(), signals));
    }

    fn enlist(&mut self, run: RunId) -> mpsc::Receiver<Signal> {
        self.runs.retain(|_, signals| !signals.is_closed());
        let (sender, signals) = mpsc::channel(SIGNALS);
        self.runs.insert(run, sender);
        signals
    }
}

impl Worker for DockerWorker {
    fn start(&mut self, run: RunId, work: Work) {
        let signals = self.enlist(run);
        let ground = self.ground.clone();
        match work {
            Work::Run { spec, .. } if spec.container.is_some() => {
                let container = spec.container.clone().unwrap_or_default();
                tokio::spawn(run::start(job::Job { ground, run, spec, container }, signals));
            }
            Work::Run { .. } | Work::Build(_) | Work::Test(_) => {
                let message = "this does not run in a container".to_owned();
                let failure = StartFailure { message, port: false, transient: false, absent: false };
                tokio::spawn(async move { ground.report(run, RunReport::StartFailed(failure)).await });
            }
        }
    }

    fn signal(&mut self, run: RunId, signal: Signal) {
        if let Some(signals) = self.runs.get(&run) {
            // Closed: it has ended. Full: so many signals wait already that one more changes nothing.
            _ = signals.try_send(signal);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.runs.values().all(mpsc::Sender::is_closed)
    }
}
