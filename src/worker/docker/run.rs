//! One run of an instance in a container, from its hooks to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::begin::{self, Beginning, Begun};
use super::own::Made;
use super::record::ContainerRecord;
use super::state::{self, State};
use super::watch::{Heard, Watch};
use super::{Ground, drained, logs, probe};
use crate::docker::{Class, Docker, Failure, Volumes};
use crate::sys::fd::wall_us;
use crate::task::container::ContainerSpec;
use crate::task::id::RunId;
use crate::task::outcome::Outcome;
use crate::task::spec::{Limits, Protocol, RunSpec};
use crate::worker::{RunReport, Signal, StartFailure, Trouble};

/// An engine that is away is called again after this, then after twice as long, …
const FIRST: Duration = Duration::from_millis(100);
/// … but at least so often.
const LONGEST: Duration = Duration::from_secs(5);
/// A stop waits so long for an engine that is away; then it is told that it cannot be done.
const PATIENCE: Duration = Duration::from_secs(2);
/// Whoever removes a container kills it first: its end is looked at once more after this.
const REMOVAL: Duration = Duration::from_millis(300);

/// What a run is, whatever happens to it.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) ground: Arc<Ground>,
    pub(super) run: RunId,
    pub(super) spec: Arc<RunSpec>,
    pub(super) container: Arc<ContainerSpec>,
    /// What its binary is made of, where that is ours.
    pub(super) artifact: Option<String>,
}

impl Job {
    /// The image of ours that it runs.
    fn made(&self) -> Option<Made<'_>> {
        let program = self.container.program.as_ref()?;
        Some(Made { service: &self.spec.instance.service, container: &self.container, program })
    }

    /// The image of the binary as it is now, where that is newer: whoever makes room for it shall not be away while it is made.
    async fn prepare(&self, docker: &Docker) {
        if let Some(made) = self.made() {
            // Where it cannot be made, whoever starts says so.
            drop(made.ensure(&self.ground, docker, self.run).await);
        }
    }

    /// A container of ours that has ended is of no more use, and its image is not where a newer one is there.
    async fn clean(&self, docker: &Docker, container: &str) {
        let Some(made) = self.made() else { return };
        let cleaned = async {
            docker.remove_container(container, Volumes::Remove).await?;
            made.sweep(&self.ground, docker).await
        };
        if let Err(failure) = cleaned.await {
            // The next start finds it by its labels, and replaces it.
            self.note(format!("something of it is left in the engine: {failure}")).await;
        }
    }

    pub(super) async fn report(&self, report: RunReport) {
        self.ground.report(self.run, report).await;
    }

    async fn note(&self, words: impl std::fmt::Display) {
        self.report(RunReport::Note(format!("{}: {words}", self.spec.instance))).await;
    }

    async fn trouble(&self, trouble: Trouble, words: Option<String>) {
        self.report(RunReport::Trouble(trouble, words)).await;
    }
}

/// Starts an instance and follows it to its end.
pub(super) async fn start(job: Job, mut signals: mpsc::Receiver<Signal>) {
    let Job { ground, run, spec, container, artifact } = &job;
    let beginning = Beginning { ground, run: *run, spec, container, artifact: artifact.as_deref() };
    let begun = tokio::select! {
        begun = beginning.run() => begun,
        () = super::told_to_end(&mut signals) => {
            undo(&job).await;
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

/// A beginning that was given up may have started its container a moment ago, or found one that ran.
async fn undo(job: &Job) {
    let Ok(docker) = Docker::connect(&job.container.hook_env).await else { return };
    let all = docker.containers(&job.ground.home.root).await.unwrap_or_default();
    for one in all.iter().filter(|one| one.running && one.instance.as_ref() == Some(&job.spec.instance)) {
        if let Err(failure) = docker.stop(&one.id, job.spec.stop.grace).await {
            job.note(format!("the container `{}` may still run: {failure}", one.name)).await;
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
            let Job { ground, run, spec, .. } = &self.job;
            self.logs = Some(logs::spawn(ground.following(&self.docker, &self.record.container, *run, spec)));
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

    /// What became of it; `None` where it runs on.
    async fn look(&mut self) -> Option<Outcome> {
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
            // An engine that ends at once what waits for it must not keep us busy.
            sleep(FIRST).await;
        } else {
            self.started_anew(&facts).await;
        }
        self.pause(state.paused).await;
        None
    }

    async fn ended(&mut self, state: State) -> Outcome {
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

    async fn removed(&mut self) -> Outcome {
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
        let (settings, artifact) = (self.record.settings.clone(), self.record.artifact.clone());
        self.record = ContainerRecord { stopping: self.record.stopping, settings, artifact, ..now };
        self.save().await;
        self.tell_started(facts).await;
    }

    /// Nothing can be asked: that is told, and the engine is called until it answers.
    async fn away(&mut self, failure: Failure) {
        let signals = std::mem::replace(&mut self.signals, mpsc::channel(1).1);
        let mut away = Away { told: self.told, ..Away::new(&self.job, &self.record, signals) };
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

    async fn obey(&mut self, signal: Signal) {
        match signal {
            // There is no debugger in it that we know of: who spares one makes room for newer code.
            Signal::Stop { grace, spare } => {
                let grace = grace.unwrap_or(self.job.spec.stop.grace);
                self.record.stopping = true;
                self.save().await;
                self.end_probe();
                match spare {
                    true => self.make_room(grace),
                    false => self.end(grace),
                }
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
        self.end_after(grace, None);
    }

    /// The same for newer code, once the image of that is there.
    fn make_room(&mut self, grace: Duration) {
        self.end_after(grace, Some(self.job.clone()));
    }

    fn end_after(&mut self, grace: Duration, prepared: Option<Job>) {
        let hastens = self.told.is_none_or(|told| grace < told) || self.ending.is_none();
        if !hastens {
            return;
        }
        self.told = Some(grace);
        let (docker, container, paused) = (self.docker.clone(), self.record.container.clone(), self.paused);
        self.ending = Some(Box::pin(async move {
            if let Some(job) = prepared {
                job.prepare(&docker).await;
            }
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
        if !outcome.lost {
            self.job.clean(&self.docker, &self.record.container).await;
        }
        let Job { ground, run, spec, container, artifact: _ } = &self.job;
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

/// A run whose engine cannot be reached.
struct Away<'a> {
    job: &'a Job,
    record: &'a ContainerRecord,
    signals: mpsc::Receiver<Signal>,
    told: Option<Duration>,
}

impl<'a> Away<'a> {
    fn new(job: &'a Job, record: &'a ContainerRecord, signals: mpsc::Receiver<Signal>) -> Away<'a> {
        Away { job, record, signals, told: None }
    }

    /// Calls the engine until it answers, ever less often.
    async fn call(&mut self, failure: Failure) -> Docker {
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

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
