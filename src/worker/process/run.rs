//! One run of an instance, from its hooks to its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Interval;

use super::Ground;
use super::dialogue::Dialogue;
use super::hooks::Hooks;
use super::keeper::Keeper;
use super::reach::reach;
use super::spawn::{self, Shim};
use crate::shim::client;
use crate::shim::record::InstanceRecord;
use crate::shim::spec::{Linger, ShimSpec};
use crate::shim::wire::{Event, Order};
use crate::sys::process::{self, Identity};
use crate::sys::{family, listeners, os};
use crate::task::environment::Environment;
use crate::task::id::{Artifact, InstanceId, RunId};
use crate::task::spec::{ProbeTarget, RunSpec};
use crate::worker::probe::{self, ProbeContext};
use crate::worker::{Outcome, RunReport, Signal, StartFailure, Trouble, ports};

/// `after` commands get so long.
const AFTER: Duration = Duration::from_secs(5);
/// A shim that just died may leave a child for so long before it counts as gone.
const PATIENCE: Duration = Duration::from_millis(1000);
/// So often it is looked whether a debugger still holds what was to make room.
const LOOKS: Duration = Duration::from_millis(250);
/// A list of all processes may be so old.
const RECENT: Duration = Duration::from_millis(20);

/// Starts an instance and follows it to its end.
pub(super) async fn start(
    ground: Arc<Ground>,
    run: RunId,
    spec: Arc<RunSpec>,
    artifact: Option<Artifact>,
    mut signals: mpsc::Receiver<Signal>,
) {
    let prepared = tokio::select! {
        prepared = prepare(&ground, run, &spec, artifact) => prepared,
        () = told_to_end(&mut signals) => Err(StartFailure { message: "it was stopped before it was started".to_owned(), port: false, transient: false, absent: false }),
    };
    // A shim that is being made cannot be taken back: it is told to end once it is there, like any other.
    let begun = match prepared {
        Ok((shim, identity)) => begin(&ground, shim, identity).await,
        Err(failure) => Err(failure),
    };
    match begun {
        Err(failure) => ground.report(run, RunReport::StartFailed(failure)).await,
        Ok((shim, identity)) => match Dialogue::new(shim.socket) {
            Ok(dialogue) => {
                let keeper = Keeper::new(shim.pid, shim.start_time, ground.heart.feel());
                Live::new(ground, run, spec, identity, dialogue, signals, keeper).follow().await
            }
            Err(error) => {
                ground.report(run, RunReport::StartFailed(spawn::failure("cannot speak with its shim", &error))).await
            }
        },
    }
}

/// Takes over an instance whose shim is alive, and follows it to its end.
pub(super) async fn adopt(
    ground: Arc<Ground>,
    record: InstanceRecord,
    spec: Arc<RunSpec>,
    signals: mpsc::Receiver<Signal>,
) {
    let run = RunId(record.run);
    let identity = record.identity();
    match call(&ground, &record).await {
        Some((dialogue, shim)) => {
            let keeper = Keeper::new(shim, os::start_time(shim).ok(), ground.heart.feel());
            let live = Live::new(ground, run, spec, identity, dialogue, signals, keeper);
            Live { uuid: Some(record.uuid), ..live }.follow().await;
        }
        None => super::silent::follow(ground, record, spec, signals).await,
    }
}

/// Calls the shim of a run. What it greets with is heard as it comes: one that is stopped says nothing until it goes on.
async fn call(ground: &Ground, record: &InstanceRecord) -> Option<(Dialogue, u32)> {
    let socket = reach(ground, &record.slot).await?;
    // The kernel knows who listens there, also while that shim is stopped; a record on disk is only a hint.
    let peer = socket.peer_cred().ok().and_then(|peer| peer.pid());
    let shim = peer.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(record.shim);
    let mut dialogue = Dialogue::over(socket);
    dialogue.tell(Order::Supervisor).await;
    Some((dialogue, shim))
}

/// Hooks and ports; then what a shim needs to know, and what is known of the run already, by which what it leaves behind can be found.
async fn prepare(
    ground: &Ground,
    run: RunId,
    spec: &RunSpec,
    artifact: Option<Artifact>,
) -> Result<(ShimSpec, Identity), StartFailure> {
    let hooks = hooks(ground, run, spec);
    hooks.run(&spec.before, None).await.map_err(|failure| StartFailure {
        message: format!("before: {}", failure.message),
        port: false,
        transient: failure.transient,
        absent: false,
    })?;
    free_ports(ground, run, spec).await?;
    let Some(name) = spec.argv.first() else {
        return Err(StartFailure {
            message: "its configuration cannot be read, so it is not started again".to_owned(),
            port: false,
            transient: false,
            absent: false,
        });
    };
    let program = spawn::look_up(name, &spec.env, &spec.dir)?;
    if !spec.dir.is_dir() {
        return Err(StartFailure {
            message: format!("its folder `{}` does not exist", spec.dir.display()),
            port: false,
            transient: false,
            absent: false,
        });
    }
    let shim_spec = shim_spec(ground, run, spec, artifact, program);
    let marker = format!("ORCHESTRA_RUN={}", shim_spec.marker);
    let exe = process::inode(&shim_spec.program).unwrap_or((0, 0));
    let identity = Identity { boot_id: os::boot_id().unwrap_or_default(), exe, marker, ..Identity::default() };
    Ok((shim_spec, identity))
}

async fn begin(ground: &Arc<Ground>, spec: ShimSpec, identity: Identity) -> Result<(Shim, Identity), StartFailure> {
    let shim = ground.spawn(spec).await;
    shim.map(|shim| (shim, identity)).map_err(|error| spawn::failure("cannot start its shim", &error))
}

/// Waits for the ports. One that is held may be held by a stray of the service.
async fn free_ports(ground: &Ground, run: RunId, spec: &RunSpec) -> Result<(), StartFailure> {
    if ports::first_held(&spec.ports).is_none() {
        return Ok(());
    }
    let findings = ground.hunt(&spec.instance.service).await;
    for finding in &findings {
        ground.report(run, RunReport::Note(finding.stray.words(&finding.fate))).await;
    }
    ports::wait_until_free(&spec.ports, &findings).await
}

fn hooks<'a>(ground: &'a Ground, run: RunId, spec: &'a RunSpec) -> Hooks<'a> {
    Hooks {
        dir: &spec.dir,
        env: &spec.env,
        nofile: spec.caller.nofile,
        dot: &ground.home.dot,
        logs: relative(&ground.home.instance_logs(&spec.instance), &ground.home.dot),
        keep: spec.log_keep,
        run: run.0,
    }
}

pub(super) fn relative(path: &Path, base: &Path) -> PathBuf {
    path.strip_prefix(base).unwrap_or(path).to_owned()
}

/// As a shell's `cd` does it, `PWD` names the folder: programs that trust it then see the folder by the name people use.
fn in_folder(env: &Environment, dir: &Path) -> Environment {
    let mut env = env.clone();
    env.remove("OLDPWD");
    env.push(("PWD".into(), dir.into()));
    env
}

fn shim_spec(ground: &Ground, run: RunId, spec: &RunSpec, artifact: Option<Artifact>, program: PathBuf) -> ShimSpec {
    let home = &ground.home;
    let slot = spec.instance.to_string();
    let uuid = uuid::Uuid::new_v4().simple().to_string();
    let marker = format!("{}/{}/{}/{uuid}", ground.project, spec.instance.service, spec.instance.number);
    let own = spec.debugger.and_then(|_| os::own_program().ok());
    let notified =
        [Some(&spec.ready), spec.live.as_ref()].into_iter().flatten().any(|probe| probe.target == ProbeTarget::Notify);
    ShimSpec {
        uuid,
        run: run.0,
        revive: (ground.linger != Linger::Seconds(0)).then(|| home.root.clone()),
        api: home.supervisor_socket(),
        dot: home.dot.clone(),
        logs: relative(&home.instance_logs(&spec.instance), &home.dot),
        records: relative(&home.instance_run(&spec.instance), &home.dot),
        lock: home.shim_file(&slot, ".lock"),
        socket: home.shim_file(&slot, ".sock"),
        notify: notified.then(|| home.shim_file(&slot, ".notify")),
        argv: if own.is_some() { below_debugger(&program, spec) } else { spec.argv.clone() },
        program: own.unwrap_or(program),
        env: in_folder(&spec.env, &spec.dir),
        marker,
        dir: spec.dir.clone(),
        umask: spec.caller.umask,
        nofile: spec.caller.nofile,
        resources: spec.resources,
        tty: spec.tty,
        log_keep: spec.log_keep,
        settings: spec.settings.0.clone(),
        artifact: artifact.map(|artifact| artifact.0),
        stop_signal: spec.stop.signal,
        grace_ms: spec.stop.grace.as_millis() as u64,
        linger: ground.linger,
        slot,
    }
}

/// `dlv` runs under a command of ours, which sees to it that the instance ends as the service does.
fn below_debugger(dlv: &Path, spec: &RunSpec) -> Vec<OsString> {
    let words = ["orchestra".into(), super::DEBUGGER.into(), dlv.into()];
    words.into_iter().chain(spec.argv.iter().skip(1).cloned()).collect()
}

/// Waits for a signal that ends; others have nobody to go to yet.
pub(in crate::worker) async fn told_to_end(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Stop { .. } | Signal::Kill) => return,
            Some(Signal::Send(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// A run with a shim.
struct Live {
    ground: Arc<Ground>,
    run: RunId,
    spec: Arc<RunSpec>,
    /// For the day its shim is dead.
    identity: Identity,
    /// Of a run that was taken over: its shim must say the same.
    uuid: Option<String>,
    dialogue: Dialogue,
    signals: mpsc::Receiver<Signal>,
    probe: Option<JoinHandle<()>>,
    notify: Option<watch::Sender<bool>>,
    keeper: Keeper,
    /// It was asked to end.
    asked: bool,
    /// It was to make room, and a debugger held it: looked at until that has gone.
    held: Option<Interval>,
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

impl Live {
    fn new(
        ground: Arc<Ground>,
        run: RunId,
        spec: Arc<RunSpec>,
        identity: Identity,
        dialogue: Dialogue,
        signals: mpsc::Receiver<Signal>,
        keeper: Keeper,
    ) -> Live {
        let (uuid, probe, notify, asked, held) = (None, None, None, false, None);
        Live { ground, run, spec, identity, uuid, dialogue, signals, probe, notify, keeper, asked, held }
    }

    async fn follow(mut self) {
        let end = loop {
            let event = tokio::select! {
                biased;
                event = self.dialogue.next() => event,
                Some(signal) = self.signals.recv() => {
                    self.pass_on(signal).await;
                    continue;
                }
                () = tick(&mut self.held) => {
                    self.look_for_debugger().await;
                    continue;
                }
                news = self.keeper.watch() => {
                    self.report_all(news).await;
                    continue;
                }
            };
            match event {
                Some(event) => {
                    if let Some(end) = self.hear(event).await {
                        break end;
                    }
                }
                None => break self.lost().await,
            }
        };
        self.finish(end).await;
    }

    async fn pass_on(&mut self, signal: Signal) {
        let order = match signal {
            Signal::Stop { spare: true, .. } if self.is_held().await => {
                self.held = Some(tokio::time::interval(LOOKS));
                return self.ground.report(self.run, RunReport::Spared).await;
            }
            Signal::Stop { grace, .. } => {
                let grace = grace.unwrap_or(self.spec.stop.grace);
                Order::Stop { signal: self.spec.stop.signal, grace_ms: grace.as_millis() as u64 }
            }
            Signal::Kill => Order::Kill,
            Signal::Send(signal) => Order::Signal(signal),
        };
        if !matches!(order, Order::Signal(_)) {
            let news = self.keeper.tell();
            self.report_all(news).await;
        }
        self.dialogue.tell(order).await;
    }

    /// Whether a debugger holds a process of its group.
    async fn is_held(&self) -> bool {
        let leader = self.identity.pid;
        if leader == 0 {
            return false;
        }
        // Below a debugger of ours it is always traced: held is what stands still.
        let own = self.spec.debugger.is_some();
        let is_traced = move |pid: u32| listeners::tracer(pid).is_some() && (!own || family::is_held(pid));
        // Looking at all processes takes a moment. A look that broke has seen nothing.
        let look = move || is_traced(leader) || listeners::members(leader, RECENT).into_iter().any(is_traced);
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    async fn look_for_debugger(&mut self) {
        if !self.is_held().await {
            self.held = None;
            self.ground.report(self.run, RunReport::Trouble(Trouble::Debugged, None)).await;
        }
    }

    async fn report_all(&self, news: impl IntoIterator<Item = RunReport>) {
        for report in news {
            self.ground.report(self.run, report).await;
        }
    }

    /// Passes on what the shim tells; an end is returned.
    async fn hear(&mut self, event: Event) -> Option<RunReport> {
        let report = match event {
            Event::Exited { code, signal, oom, killed } => {
                return Some(RunReport::Exited(Outcome { code, signal, oom, lost: false, killed, ended_us: None }));
            }
            Event::Failed { transient, message } => {
                return Some(RunReport::StartFailed(StartFailure { message, port: false, transient, absent: false }));
            }
            Event::Started(pid) => {
                if self.identity.pid != pid {
                    self.identity = Identity::of(pid, &self.identity.marker);
                }
                self.ground.report(self.run, RunReport::Started { pid }).await;
                self.keeper.lead_by(pid);
                self.begin_probe(pid);
                return None;
            }
            Event::Ready => {
                if let Some(notify) = &self.notify {
                    notify.send_replace(true);
                }
                return None;
            }
            Event::Limits(limits) => RunReport::Limits(limits),
            Event::Escaped(_) => self.keeper.look_for_escaped().await?,
            Event::Unkillable => self.keeper.name_undying().await,
            Event::Stopping => {
                self.asked = true;
                self.end_probe();
                let heard = self.keeper.heard();
                self.report_all(heard).await;
                RunReport::Stopping
            }
            // The shim that was found has ended since, and this is not our run.
            Event::Hello { uuid, .. } if self.uuid.as_ref().is_some_and(|ours| *ours != uuid) => {
                return Some(RunReport::Exited(Outcome::lost()));
            }
            Event::Hello { .. } | Event::Described { .. } | Event::Status(_) | Event::Error(_) => return None,
        };
        self.ground.report(self.run, report).await;
        None
    }

    fn begin_probe(&mut self, pid: u32) {
        if self.probe.is_some() {
            return;
        }
        let (notify, notified) = watch::channel(false);
        self.notify = Some(notify);
        let context = ProbeContext {
            run: self.run,
            spec: self.spec.clone(),
            pid,
            log_dir: self.ground.home.instance_logs(&self.spec.instance),
            notify: Some(notified),
        };
        self.probe = Some(probe::spawn(context, self.ground.sink.clone()));
    }

    fn end_probe(&mut self) {
        if let Some(probe) = self.probe.take() {
            probe.abort();
        }
    }

    /// The shim is gone without a word. Its child dies with it where the system sees to that; elsewhere it is ended here.
    async fn lost(&mut self) -> RunReport {
        self.keeper.end_remains().await;
        end_remains(&self.ground, self.run, &self.spec.instance, &self.identity).await;
        RunReport::Exited(Outcome::lost())
    }

    async fn finish(mut self, end: RunReport) {
        self.end_probe();
        if !self.asked && self.spec.after.is_empty() {
            // Whoever waits for a stop is told when nothing is left of it. What ended by itself is to be there again: its shim's last word says that its
            // place is free.
            self.ground.report(self.run, end).await;
            return self.dialogue.end().await;
        }
        self.dialogue.end().await;
        if matches!(end, RunReport::Exited(_)) && !self.spec.after.is_empty() {
            let hooks = hooks(&self.ground, self.run, &self.spec);
            // An `after` that fails changes nothing about a run that has ended; its words are in the log.
            drop(hooks.run(&self.spec.after, Some(AFTER)).await);
        }
        self.ground.report(self.run, end).await;
    }
}

/// Kills what a dead shim left behind and is certainly the service, until nothing is left; then in its control group, whoever is there. Says what it
/// spared.
pub(super) async fn end_remains(ground: &Arc<Ground>, run: RunId, instance: &InstanceId, identity: &Identity) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let identity = identity.clone();
        let looked = tokio::task::spawn_blocking(move || identity.signal_remains(libc::SIGKILL)).await;
        let remains = looked.unwrap_or_default();
        if remains.signalled == 0 || tokio::time::Instant::now() >= until {
            for spared in remains.spared {
                ground.report(run, RunReport::Note(spared.words(&instance.to_string()))).await;
            }
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (ground, folder) = (ground.clone(), ground.home.instance_run(instance));
    // The next run of this slot does it otherwise.
    drop(tokio::task::spawn_blocking(move || client::clear_groups(&ground.home, &folder)).await);
}
