//! One run of an instance in a container, from its hooks to its end.

mod look;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::away::Away;
use super::begin::{self, Beginning, Begun};
use super::job::Job;
use super::record::ContainerRecord;
use super::state;
use super::watch::{Heard, Watch};
use super::{drained, logs, probe};
use crate::docker::{Class, Docker, Failure};
use crate::sys::fd::wall_us;
use crate::task::outcome::Outcome;
use crate::task::spec::{Limits, Protocol};
use crate::worker::{RunReport, Signal, StartFailure, Trouble};

/// Starts an instance and follows it to its end.
pub(super) async fn start(job: Job, mut signals: mpsc::Receiver<Signal>) {
    let beginning = Beginning { ground: &job.ground, run: job.run, spec: &job.spec, container: &job.container };
    let begun = tokio::select! {
        begun = beginning.run() => begun,
        () = super::told_to_end(&mut signals) => {
            job.undo().await;
            let message = "it was stopped before it was started".to_owned();
            Err(StartFailure { message, port: false, transient: false, absent: false })
        }
    };
    match begun {
        Err(failure) => job.report(RunReport::StartFailed(failure)).await,
        Ok(Begun { docker, record, facts }) => {
            let mut live = Live::new(job, docker, record, signals);
            live.tell_started(&facts).await;
            live.follow().await;
        }
    }
}

/// Takes over a run that an earlier supervisor began, and follows it to its end, which may have been while nobody looked.
pub(super) async fn adopt(job: Job, record: ContainerRecord, signals: mpsc::Receiver<Signal>) {
    if record.stopping {
        job.report(RunReport::Stopping).await;
    }
    let docker = match Docker::at(&record.engine).await {
        Ok(docker) => docker,
        Err(failure) => {
            job.report(RunReport::Started { pid: record.pid }).await;
            let mut lost = Away::new(&job, &record, signals);
            let found = lost.call(failure).await;
            let (signals, told) = (lost.signals, lost.told);
            Live { told, ..Live::new(job, found, record, signals) }.take_over().await;
            return;
        }
    };
    Live::new(job, docker, record, signals).take_over().await;
}

/// How to end a run.
type Ending = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// A run with a container.
struct Live {
    job: Job,
    docker: Docker,
    record: ContainerRecord,
    signals: mpsc::Receiver<Signal>,
    logs: Option<JoinHandle<()>>,
    probe: Option<JoinHandle<()>>,
    paused: bool,
    /// The call that ends it, which answers after its grace.
    ending: Option<Ending>,
    /// It was told to end: with this grace at the most.
    told: Option<Duration>,
    /// Its engine went away, and it was not seen to run since.
    unseen: bool,
}

impl Live {
    fn new(job: Job, docker: Docker, record: ContainerRecord, signals: mpsc::Receiver<Signal>) -> Live {
        let (logs, probe, ending, told) = (None, None, None, None);
        Live { job, docker, record, signals, logs, probe, paused: false, ending, told, unseen: false }
    }

    /// An adopted run: what is, is told as if it had just begun.
    async fn take_over(mut self) {
        let told = self.told.or_else(|| self.record.stopping.then(|| self.record.grace()));
        self.told = told;
        match self.docker.inspect(&self.record.container).await {
            Ok(Some(facts)) if state::of(&facts).running => {
                self.tell_started(&Arc::new(facts)).await;
                if let Some(grace) = told {
                    self.end(grace);
                }
                self.follow().await;
            }
            // What it wrote to its end is read in any case. Whoever told us to end it was late.
            Ok(Some(facts)) => {
                self.begin_logs();
                self.told = self.record.stopping.then(|| self.record.grace());
                let outcome = self.ended(state::of(&facts)).await;
                self.finish(outcome).await;
            }
            Ok(None) => {
                let outcome = self.removed().await;
                self.finish(outcome).await;
            }
            Err(_) => {
                self.job.report(RunReport::Started { pid: self.record.pid }).await;
                self.follow().await;
            }
        }
    }

    /// It runs: who it is, what it is held to and where it can be reached. Output and probes begin.
    async fn tell_started(&mut self, facts: &Arc<ContainerInspectResponse>) {
        let state = state::of(facts);
        self.job.report(RunReport::Started { pid: state.local_pid(&self.docker) }).await;
        let resources = &self.job.spec.resources;
        if resources.limit_anything() {
            let (memory, cpu) = (resources.memory_limit(), resources.cpu_limit());
            self.job.report(RunReport::Limits(Limits { memory, cpu, unenforced: None })).await;
        }
        let listening = self.job.container.published.iter().map(|port| {
            let protocol = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            format!("{}:{}/{protocol}", port.address, port.host)
        });
        self.job.report(RunReport::Listening(listening.collect())).await;
        self.paused = false;
        self.pause(state.paused).await;
        self.begin_logs();
        self.begin_probe(facts);
    }

    fn begin_logs(&mut self) {
        if self.logs.as_ref().is_none_or(JoinHandle::is_finished) {
            let Job { ground, spec, .. } = &self.job;
            self.logs = Some(logs::spawn(ground.following(&self.docker, &self.record, spec)));
        }
    }

    fn begin_probe(&mut self, facts: &Arc<ContainerInspectResponse>) {
        self.end_probe();
        let Job { ground, run, spec, .. } = &self.job;
        let asked = probe::Asked {
            docker: self.docker.clone(),
            run: *run,
            spec: spec.clone(),
            facts: facts.clone(),
            home: ground.home.clone(),
        };
        self.probe = Some(probe::spawn(asked, ground.sink.clone()));
    }

    fn end_probe(&mut self) {
        if let Some(probe) = self.probe.take() {
            probe.abort();
        }
    }

    async fn follow(mut self) {
        let outcome = loop {
            let mut watch = Watch::begin(&self.docker, &self.record.container);
            if let Some(outcome) = self.listen(&mut watch).await {
                break outcome;
            }
        };
        self.finish(outcome).await;
    }

    /// Listens until there is reason to listen anew (`None`), or it has ended.
    async fn listen(&mut self, watch: &mut Watch) -> Option<Outcome> {
        loop {
            let heard = tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => {
                    self.obey(signal).await;
                    continue;
                }
                ended = over(&mut self.ending) => {
                    self.ending = None;
                    if let Err(failure) = ended {
                        self.not_ended(failure).await;
                    }
                    continue;
                }
                heard = watch.next() => heard,
            };
            match heard {
                Heard::Paused => self.pause(true).await,
                Heard::GoesOn => self.pause(false).await,
                Heard::Over | Heard::Silence => return self.look().await,
            }
        }
    }

    async fn pause(&mut self, paused: bool) {
        if paused == self.paused {
            return;
        }
        self.paused = paused;
        let name = &self.record.name;
        let words = paused.then(|| format!("its container is paused; `docker unpause {name}` lets it go on"));
        self.job.trouble(Trouble::Stuck, words).await;
    }

    async fn obey(&mut self, signal: Signal) {
        match signal {
            // There is no debugger in it that we know of.
            Signal::Stop { grace, spare: _ } => {
                let grace = grace.unwrap_or(self.job.spec.stop.grace);
                self.record.stopping = true;
                self.save().await;
                self.end_probe();
                self.end(grace);
            }
            Signal::Kill => {
                self.end_probe();
                self.end(Duration::ZERO);
            }
            Signal::Send(signal) => {
                if let Err(failure) = self.docker.kill(&self.record.container, signal).await {
                    self.job.note(format!("signal {signal} was not sent: {failure}")).await;
                }
            }
        }
    }

    /// Begins to end it; a shorter grace than before hastens.
    fn end(&mut self, grace: Duration) {
        let hastens = self.told.is_none_or(|told| grace < told) || self.ending.is_none();
        if !hastens {
            return;
        }
        self.told = Some(grace);
        let (docker, container, paused) = (self.docker.clone(), self.record.container.clone(), self.paused);
        self.ending = Some(Box::pin(async move {
            if paused {
                // It hears nothing while it is paused; one that is not any more is fine.
                drop(docker.unpause(&container).await);
            }
            match grace {
                Duration::ZERO => docker.kill(&container, libc::SIGKILL).await,
                grace => docker.stop(&container, grace).await,
            }
        }));
    }

    /// The engine did not end it. Where it is gone, or the engine is, the listening finds out.
    async fn not_ended(&mut self, failure: Failure) {
        let heard_otherwise = failure.class == Class::Gone || failure.class.is_unreachable();
        // Killed at the very moment at which it ended by itself.
        let has_ended = failure.message.contains("is not running");
        if !heard_otherwise && !has_ended {
            let words = format!("the Docker engine cannot end its container `{}`: {failure}", self.record.name);
            self.job.trouble(Trouble::Unkillable, Some(words)).await;
        }
    }

    async fn save(&mut self) {
        let (record, home) = (self.record.clone(), self.job.ground.home.clone());
        let saved = tokio::task::spawn_blocking(move || record.save(&home)).await;
        if let Ok(Err(error)) = saved {
            self.job.note(format!("{error}: {}", error.source)).await;
        }
    }

    /// Its output is read to its end, then everybody hears of it.
    async fn finish(mut self, outcome: Outcome) {
        self.end_probe();
        if let Some(logs) = self.logs.take() {
            drained(logs).await;
        }
        let at = outcome.ended_us.unwrap_or_else(wall_us);
        self.record = self.record.ended(&outcome, at);
        self.save().await;
        let Job { ground, run, spec, container } = &self.job;
        begin::hooks(ground, *run, spec, container).after(&spec.after).await;
        self.job.report(RunReport::Exited(outcome)).await;
    }
}

async fn over(ending: &mut Option<Ending>) -> Result<(), Failure> {
    match ending {
        Some(ending) => ending.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
