//! The docker worker: runs instances as containers of a Docker engine.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::{RunReport, Signal, Sink, StartFailure, Work, Worker};
use crate::sys::home::Home;
use crate::task::id::RunId;

/// Signals for one run may wait in so great a number; further ones are dropped, as the kernel drops a pending signal's double.
const SIGNALS: usize = 16;

/// Executes runs as containers.
pub struct DockerWorker {
    home: Home,
    sink: Sink,
    runs: HashMap<RunId, mpsc::Sender<Signal>>,
}

impl DockerWorker {
    /// A worker for one project that reports to `sink`. The engine is spoken with only once something shall run in it.
    pub fn new(home: Home, sink: Sink) -> DockerWorker {
        DockerWorker { home, sink, runs: HashMap::new() }
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
        let _signals = self.enlist(run);
        let (sink, home) = (self.sink.clone(), self.home.clone());
        tokio::spawn(async move {
            let message = format!("skeleton: {} {work:?}", home.root.display());
            drop(
                sink.send((run, RunReport::StartFailed(StartFailure { message, port: false, transient: false }))).await,
            );
        });
    }

    fn signal(&mut self, run: RunId, signal: Signal) {
        if let Some(signals) = self.runs.get(&run) {
            // Closed: it has ended. Full: so many signals wait already that one more changes nothing.
            _ = signals.try_send(signal);
        }
    }
}
