//! What became of a container: whether it runs, was started anew, has ended, was removed, or cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Live;
use crate::docker::Failure;
use crate::task::outcome::Outcome;
use crate::worker::RunReport;
use crate::worker::docker::away::Away;
use crate::worker::docker::begin;
use crate::worker::docker::record::ContainerRecord;
use crate::worker::docker::state::{self, State};

/// An engine that ends at once what waits for it must not keep us busy.
const BREATH: Duration = Duration::from_millis(100);
/// Whoever removes a container kills it first: its end is looked at once more after this.
const REMOVAL: Duration = Duration::from_millis(300);

impl Live {
    /// What became of it; `None` where it runs on.
    pub(super) async fn look(&mut self) -> Option<Outcome> {
        match self.docker.inspect(&self.record.container).await {
            Ok(Some(facts)) => self.judge(Arc::new(facts)).await,
            Ok(None) => Some(self.removed().await),
            Err(failure) => {
                self.away(failure).await;
                None
            }
        }
    }

    async fn judge(&mut self, facts: Arc<ContainerInspectResponse>) -> Option<Outcome> {
        let state = state::of(&facts);
        if !state.running {
            return Some(self.ended(state).await);
        }
        self.unseen = false;
        if state.started_at == self.record.started_at {
            sleep(BREATH).await;
        } else {
            self.started_anew(&facts).await;
        }
        self.pause(state.paused).await;
        None
    }

    pub(super) async fn ended(&mut self, state: State) -> Outcome {
        let mut outcome = state.outcome(self.told.is_some());
        // An engine ends what it finds running when it begins again: however well that went, it was no end of its own.
        outcome.lost = self.unseen && self.told.is_none() && outcome.code == Some(0);
        if self.told.is_none() && outcome.signal == Some(libc::SIGKILL) {
            sleep(REMOVAL).await;
            if let Ok(None) = self.docker.inspect(&self.record.container).await {
                return self.removed().await;
            }
        }
        if state.oom && !outcome.oom {
            self.job.note("the kernel killed a process in it: out of memory").await;
        }
        outcome
    }

    pub(super) async fn removed(&mut self) -> Outcome {
        if self.told.is_none() {
            self.job.note(format!("somebody removed its container `{}`", self.record.name)).await;
        }
        Outcome::lost()
    }

    /// `docker restart`: the same container, another start. It goes on as the same run, and is asked anew whether it is ready.
    async fn started_anew(&mut self, facts: &Arc<ContainerInspectResponse>) {
        self.job.note(format!("somebody started its container `{}` anew", self.record.name)).await;
        self.job.report(RunReport::Ready(false)).await;
        let now = begin::describe(&self.docker, self.job.run, &self.job.spec, &self.job.container, facts);
        let now = ContainerRecord { stopping: self.record.stopping, settings: self.record.settings.clone(), ..now };
        self.record = now.after(Some(&self.record));
        self.save().await;
        self.tell_started(facts).await;
    }

    /// Nothing can be asked: that is told, and the engine is called until it answers.
    async fn away(&mut self, failure: Failure) {
        let signals = std::mem::replace(&mut self.signals, mpsc::channel(1).1);
        let mut away = Away::new(&self.job, &self.record, signals);
        away.told = self.told;
        self.docker = away.call(failure).await;
        self.unseen = true;
        let told = away.told;
        self.signals = away.signals;
        self.ending = None;
        // What was told to end while the engine was away, or when it went, is told so again.
        if let Some(grace) = told {
            self.end(grace);
        }
        self.begin_logs();
    }
}
