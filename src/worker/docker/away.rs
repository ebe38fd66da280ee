//! A run whose engine cannot be reached: it is called until it answers, and what the run is told meanwhile is remembered.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::job::Job;
use super::record::ContainerRecord;
use crate::docker::{Docker, Failure};
use crate::worker::{Signal, Trouble};

/// An engine that is away is called again after this, then after twice as long, …
const FIRST: Duration = Duration::from_millis(100);
/// … but at least so often.
const LONGEST: Duration = Duration::from_secs(5);
/// A stop waits so long for an engine that is away; then it is told that it cannot be done.
const PATIENCE: Duration = Duration::from_secs(2);

/// A run whose engine cannot be reached.
pub(super) struct Away<'a> {
    job: &'a Job,
    record: &'a ContainerRecord,
    /// What the run is told comes from there.
    pub(super) signals: mpsc::Receiver<Signal>,
    /// It was told to end: with this grace at the most.
    pub(super) told: Option<Duration>,
}

impl<'a> Away<'a> {
    pub(super) fn new(job: &'a Job, record: &'a ContainerRecord, signals: mpsc::Receiver<Signal>) -> Away<'a> {
        Away { job, record, signals, told: None }
    }

    /// Calls the engine until it answers, ever less often.
    pub(super) async fn call(&mut self, failure: Failure) -> Docker {
        let mut delay = FIRST;
        let mut since = self.told.map(|_| Instant::now());
        let mut undoable = false;
        let words = format!("the Docker engine cannot be reached, and nobody knows whether it runs: {failure}");
        self.job.trouble(Trouble::Unknown, Some(words)).await;
        loop {
            if let Ok(docker) = self.reach().await {
                if undoable {
                    self.job.trouble(Trouble::Unkillable, None).await;
                }
                self.job.trouble(Trouble::Unknown, None).await;
                return docker;
            }
            let until = Instant::now() + delay;
            while let Ok(Some(signal)) =
                timeout(until.saturating_duration_since(Instant::now()), self.signals.recv()).await
            {
                if self.heed(signal) {
                    since.get_or_insert_with(Instant::now);
                }
            }
            sleep(until.saturating_duration_since(Instant::now())).await;
            delay = (delay * 2).min(LONGEST);
            if !undoable && since.is_some_and(|since| since.elapsed() >= PATIENCE) {
                undoable = true;
                let words = format!(
                    "it cannot be stopped while the Docker engine cannot be reached; `docker stop {}` does it later",
                    self.record.name
                );
                self.job.trouble(Trouble::Unkillable, Some(words)).await;
            }
        }
    }

    /// An engine that is there and cannot say anything about the container is none yet.
    async fn reach(&self) -> Result<Docker, Failure> {
        let docker = Docker::at(&self.record.engine).await?;
        docker.inspect(&self.record.container).await?;
        Ok(docker)
    }

    /// Remembers what it was told; says whether that was to end.
    fn heed(&mut self, signal: Signal) -> bool {
        let grace = match signal {
            Signal::Stop { grace, .. } => grace.unwrap_or(self.job.spec.stop.grace),
            Signal::Kill => Duration::ZERO,
            // To nobody, as to a process that has ended.
            Signal::Send(_) => return false,
        };
        self.told = Some(self.told.map_or(grace, |told| told.min(grace)));
        true
    }
}
