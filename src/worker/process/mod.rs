//! The process worker: runs instances and builds on this machine, each under a shim, and tests.
//!
//! One small task per run speaks with its shim over a socket; nothing here holds a service's pipe. Starting a shim may block for a moment, so it
//! happens on a few threads beside the reactor.

mod beat;
mod build;
mod dialogue;
mod fetches;
pub(super) mod hooks;
mod keeper;
mod reach;
mod run;
mod silent;
mod spawn;
mod test;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

pub(super) use self::run::told_to_end;
use super::{RunReport, Signal, Sink, Work, Worker};
use crate::shim::record::InstanceRecord;
use crate::shim::spec::{Linger, ShimSpec};
use crate::strays::{Finding, Hunts};
use crate::sys::home::Home;
use crate::task::id::{RunId, ServiceName};
use crate::task::spec::RunSpec;

/// The command that runs `dlv`, and a service below it.
pub const DEBUGGER: &str = "__debugger";

/// Signals for one run may wait in so great a number; further ones are dropped, as the kernel drops a pending signal's double.
const SIGNALS: usize = 16;
/// Shims started at the same time.
const SPAWNERS: usize = 4;

/// What every run needs to know.
pub(super) struct Ground {
    pub(super) home: Home,
    pub(super) sink: Sink,
    /// `<dev>-<inode>` of the project's root: the first part of a marker.
    pub(super) project: String,
    /// How long services outlive a dead supervisor.
    pub(super) linger: Linger,
    spawner: spawn::Spawner,
    spawners: Semaphore,
    heart: beat::Heart,
    pub(super) hunts: Arc<Hunts>,
}

impl Ground {
    /// Tells the supervisor. It may be gone, and then there is nobody to tell.
    pub(super) async fn report(&self, run: RunId, report: RunReport) {
        drop(self.sink.send((run, report)).await);
    }

    /// Starts a shim.
    async fn spawn(self: &Arc<Ground>, spec: ShimSpec) -> std::io::Result<spawn::Shim> {
        let ground = self.clone();
        self.beside(move || ground.spawner.spawn(&spec)).await
    }

    /// Looks for the strays of a service, one of which may hold a port of it, and deals with them.
    pub(super) async fn hunt(&self, service: &ServiceName) -> Vec<Finding> {
        let Some(hunt) = self.hunts.of(service) else { return Vec::new() };
        // A hunt that broke has found nothing; the port's holder is told all the same.
        tokio::task::spawn_blocking(move || hunt.run()).await.unwrap_or_default()
    }

    /// Runs something that blocks for a moment on a thread beside the reactor, a few at a time.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let _place = self.spawners.acquire().await.map_err(std::io::Error::other)?;
        tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
    }
}

/// Executes tasks as processes of this machine.
pub struct ProcessWorker {
    ground: Arc<Ground>,
    runs: HashMap<RunId, mpsc::Sender<Signal>>,
}

impl ProcessWorker {
    /// A worker for one project that reports to `sink`.
    pub fn new(home: Home, sink: Sink, linger: Linger, hunts: Arc<Hunts>) -> std::io::Result<ProcessWorker> {
        let project = home.runtime.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let spawner = spawn::Spawner::new(crate::sys::os::own_program()?);
        let (spawners, heart) = (Semaphore::new(SPAWNERS), beat::Heart::start());
        let ground = Ground { home, sink, project, linger, spawner, spawners, heart, hunts };
        Ok(ProcessWorker { ground: Arc::new(ground), runs: HashMap::new() })
    }

    /// Takes over a run whose shim is alive.
    pub fn adopt(&mut self, record: &InstanceRecord, spec: Arc<RunSpec>) {
        let signals = self.enlist(RunId(record.run));
        tokio::spawn(run::adopt(self.ground.clone(), record.clone(), spec, signals));
    }

    fn enlist(&mut self, run: RunId) -> mpsc::Receiver<Signal> {
        self.runs.retain(|_, signals| !signals.is_closed());
        let (sender, signals) = mpsc::channel(SIGNALS);
        self.runs.insert(run, sender);
        signals
    }
}

impl Worker for ProcessWorker {
    fn start(&mut self, run: RunId, work: Work) {
        let signals = self.enlist(run);
        match work {
            Work::Run { spec, artifact } => tokio::spawn(run::start(self.ground.clone(), run, spec, artifact, signals)),
            Work::Build(batch) => tokio::spawn(build::start(self.ground.clone(), run, batch, signals)),
            Work::Test(task) => tokio::spawn(test::start(self.ground.clone(), run, task, signals)),
        };
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

/// The slot of a service's builds.
pub(super) fn build_slot(service: &ServiceName) -> String {
    format!("{service}.build")
}
