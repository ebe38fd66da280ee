//! One `go build` under a shim of its own, which dies with the supervisor: a half build is nobody's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::dialogue::Dialogue;
use super::fetches::Fetches;
use super::hooks::Hooks;
use super::run::{relative, told_to_end};
use super::{Ground, build_slot, spawn};
use crate::logs::output;
use crate::services::build::{self, CommandLine};
use crate::shim::spec::{Linger, ShimSpec};
use crate::shim::wire::{Event, Order};
use crate::task::id::RunId;
use crate::task::outcome::{BuildBatch, BuildFailure, Outcome};
use crate::task::spec::{BuildSpec, Resources};
use crate::worker::{RunReport, Signal, StartFailure};

/// Of a build's output so much is kept, and read for messages.
const KEEP: u64 = 20 * 1024 * 1024;
const MOST: usize = 1024 * 1024;
/// A build that is told to end gets so long.
const GRACE_MS: u64 = 2000;

/// So often it is looked whether a build that goes on is fetching something: it may take minutes in which nothing else is said.
const LOOK: Duration = Duration::from_millis(500);

/// What keeps a build from starting may pass: it is tried again, so soon at first, and at least so often.
const AGAIN: Duration = Duration::from_millis(200);
const AT_LEAST: Duration = Duration::from_secs(5);

/// What the supervisor orders of one build.
struct Orders {
    signals: mpsc::Receiver<Signal>,
    /// It was told to end.
    ended: bool,
}

impl Orders {
    /// Waits until it is told to end; no time where it was before.
    async fn end(&mut self) {
        if !self.ended {
            told_to_end(&mut self.signals).await;
            self.ended = true;
        }
    }

    /// Whether it was told to end by now.
    fn is_ended(&mut self) -> bool {
        while let Ok(signal) = self.signals.try_recv() {
            self.ended |= ends(signal);
        }
        self.ended
    }

    /// The next signal; waits for ever once there are none.
    async fn next(&mut self) -> Signal {
        match self.signals.recv().await {
            Some(signal) => {
                self.ended |= ends(signal);
                signal
            }
            None => std::future::pending().await,
        }
    }
}

fn ends(signal: Signal) -> bool {
    matches!(signal, Signal::Stop { .. } | Signal::Kill)
}

/// Why there is no result.
enum Setback {
    /// Trying again may help; one sentence.
    Passing(String),
    /// It would fail the same way again.
    Final(BuildFailure),
}

impl From<BuildFailure> for Setback {
    fn from(failure: BuildFailure) -> Setback {
        Setback::Final(failure)
    }
}

impl From<StartFailure> for Setback {
    fn from(failure: StartFailure) -> Setback {
        if failure.transient { Setback::Passing(failure.message) } else { failed(failure.message).into() }
    }
}

/// Builds and reports what became of each member.
pub(super) async fn start(ground: Arc<Ground>, run: RunId, batch: BuildBatch, signals: mpsc::Receiver<Signal>) {
    let mut orders = Orders { signals, ended: false };
    let results = match persist(&ground, run, &batch, &mut orders).await {
        Ok((staging, outcome, output)) => {
            let (batch, root) = (batch.clone(), ground.home.root.clone());
            let finish = move || Ok(build::finish(&batch, &staging, &outcome, &output, &root));
            ground.beside(finish).await.map_err(|error| failed(format!("cannot finish the build: {error}")))
        }
        Err(failure) => Err(failure),
    };
    let all =
        |failure: BuildFailure| batch.members.iter().map(|member| (member.key.clone(), Err(failure.clone()))).collect();
    ground.report(run, RunReport::Built(results.unwrap_or_else(all))).await;
}

type Done = (PathBuf, Outcome, Vec<u8>);

/// Tries until it was possible to try, or somebody ends it. Nobody saves a file to make room for processes, so nobody would ask again.
async fn persist(
    ground: &Arc<Ground>,
    run: RunId,
    batch: &BuildBatch,
    orders: &mut Orders,
) -> Result<Done, BuildFailure> {
    let mut pause = AGAIN;
    loop {
        let words = match build(ground, run, batch, orders).await {
            Ok(done) => return Ok(done),
            Err(Setback::Final(failure)) => return Err(failure),
            Err(Setback::Passing(words)) => words,
        };
        // Whoever ends a build wants no other attempt at it.
        if orders.is_ended() {
            return Err(failed(words));
        }
        ground.report(run, RunReport::Waiting(Some(words.clone()))).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(AT_LEAST),
            () = orders.end() => return Err(failed(words)),
        }
    }
}

/// The line in which Go says that it could not make a process or a thread.
fn ran_out(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find(|line| {
        let no_process = line.contains("fork/exec ")
            && ["resource temporarily unavailable", "cannot allocate memory"].iter().any(|why| line.ends_with(why));
        no_process || line.starts_with("runtime: failed to create new OS thread")
    })?;
    Some(format!("`go build` cannot go on: {}", line.trim()))
}

fn failed(error: String) -> BuildFailure {
    BuildFailure { error, problems: Vec::new() }
}

async fn build(ground: &Arc<Ground>, run: RunId, batch: &BuildBatch, orders: &mut Orders) -> Result<Done, Setback> {
    tokio::select! {
        done = prepare(ground, run, batch) => done?,
        () = orders.end() => return Err(interrupted()),
    }
    let staging = ground.home.bin().join(format!("{}{run}", build::STAGING));
    let line = build::command_line(batch, &staging)?;
    let (prepared, into) = (batch.clone(), staging.clone());
    let prepare = move || build::prepare(&prepared, &into).map_err(std::io::Error::other);
    ground.beside(prepare).await.map_err(|error| failed(error.to_string()))?;
    match compile(ground, run, batch, (line, &staging), orders).await {
        Ok((outcome, output)) => Ok((staging, outcome, output)),
        Err(setback) => {
            // An edit ended it: what it had made so far is nobody's.
            ground.beside(move || build::discard(&staging).map_err(std::io::Error::other)).await.unwrap_or(());
            Err(setback)
        }
    }
}

/// `go build`, and `go vet` after it where that is asked for.
async fn compile(
    ground: &Arc<Ground>,
    run: RunId,
    batch: &BuildBatch,
    (line, staging): (CommandLine, &Path),
    orders: &mut Orders,
) -> Result<(Outcome, Vec<u8>), Setback> {
    let first = batch.members.first().ok_or_else(|| failed("there is nothing to build".to_owned()))?;
    let built = carry_out(ground, run, first, line, orders).await?;
    let vet = if built.0.code == Some(0) { build::vet(batch, staging) } else { None };
    match vet {
        Some(line) => carry_out(ground, run, first, line?, orders).await,
        None => Ok(built),
    }
}

/// Runs the commands before the build of each member.
async fn prepare(ground: &Ground, run: RunId, batch: &BuildBatch) -> Result<(), Setback> {
    let home = &ground.home;
    for member in &batch.members {
        let logs = relative(&home.service_logs(&member.service, "build"), &home.dot);
        let env = member.env.iter().cloned().collect();
        let nofile = member.caller.nofile;
        let hooks = Hooks { dir: &member.dir, env: &env, nofile, dot: &home.dot, logs, keep: KEEP, run: run.0 };
        hooks.run(&member.before, None).await.map_err(|failure| StartFailure {
            message: format!("before: {}", failure.message),
            port: false,
            transient: failure.transient,
            absent: false,
        })?;
    }
    Ok(())
}

fn interrupted() -> Setback {
    failed("the build was interrupted".to_owned()).into()
}

/// Runs one command of a build to its end: how that was, and all that was said since the build began.
async fn carry_out(
    ground: &Arc<Ground>,
    run: RunId,
    first: &BuildSpec,
    line: CommandLine,
    orders: &mut Orders,
) -> Result<(Outcome, Vec<u8>), Setback> {
    if orders.is_ended() {
        return Err(interrupted());
    }
    let spec = shim_spec(ground, run, first, line);
    let shim = ground.spawn(spec).await;
    let shim = shim.map_err(|error| spawn::failure("cannot start the build", &error))?;
    let mut dialogue = Dialogue::new(shim.socket).map_err(|error| failed(error.to_string()))?;
    let logs = ground.home.service_logs(&first.service, "build");
    let outcome = {
        let listen = listen(&mut dialogue, orders);
        let mut listen = std::pin::pin!(listen);
        let mut fetches = Fetches::default();
        loop {
            tokio::select! {
                outcome = &mut listen => break outcome,
                () = tokio::time::sleep(LOOK) => {
                    let said = said_so_far(&logs, run).await;
                    if let Some(words) = fetches.news(&said) {
                        ground.report(run, RunReport::Note(words)).await;
                    }
                }
            }
        }
    };
    dialogue.end().await;
    let outcome = outcome?;
    let output = output::of_run(&logs, run, MOST).unwrap_or_default();
    if let Some(words) = ran_out(&output).filter(|_| outcome.code.is_some_and(|code| code != 0)) {
        return Err(Setback::Passing(words));
    }
    Ok((outcome, output))
}

/// What a build has said by now.
async fn said_so_far(logs: &Path, run: RunId) -> Vec<u8> {
    let logs = logs.to_owned();
    // What cannot be read now is read when the build has ended.
    tokio::task::spawn_blocking(move || output::of_run(&logs, run, MOST))
        .await
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Waits for the end; a signal ends it early.
async fn listen(dialogue: &mut Dialogue, orders: &mut Orders) -> Result<Outcome, Setback> {
    loop {
        let event = tokio::select! {
            event = dialogue.next() => event,
            signal = orders.next() => {
                dialogue.tell(order(signal)).await;
                continue;
            }
        };
        match event {
            Some(Event::Exited { code, signal, oom, killed }) => {
                return Ok(Outcome { code, signal, oom, lost: false, killed, ended_us: None });
            }
            Some(Event::Failed { message, transient }) => {
                return Err(StartFailure { message, port: false, transient, absent: false }.into());
            }
            Some(_) => {}
            None => return Err(failed("the build was interrupted: its shim died".to_owned()).into()),
        }
    }
}

fn order(signal: Signal) -> Order {
    match signal {
        Signal::Stop { .. } => Order::Stop { signal: libc::SIGTERM, grace_ms: GRACE_MS },
        Signal::Kill => Order::Kill,
        Signal::Send(signal) => Order::Signal(signal),
    }
}

fn shim_spec(ground: &Ground, run: RunId, first: &BuildSpec, line: CommandLine) -> ShimSpec {
    let home = &ground.home;
    let (service, caller) = (first.service.clone(), first.caller.clone());
    let slot = build_slot(&service);
    let uuid = uuid::Uuid::new_v4().simple().to_string();
    ShimSpec {
        marker: format!("{}/{service}/build/{uuid}", ground.project),
        uuid,
        run: run.0,
        revive: None,
        api: home.supervisor_socket(),
        dot: home.dot.clone(),
        logs: relative(&home.service_logs(&service, "build"), &home.dot),
        records: PathBuf::from("run").join(service.as_str()).join("build"),
        lock: home.shim_file(&slot, ".lock"),
        socket: home.shim_file(&slot, ".sock"),
        notify: None,
        program: PathBuf::from(line.argv.first().cloned().unwrap_or_default()),
        argv: line.argv,
        env: line.env.into(),
        dir: line.dir,
        umask: caller.umask,
        nofile: caller.nofile,
        resources: Resources::default(),
        tty: false,
        log_keep: KEEP,
        settings: String::new(),
        artifact: None,
        stop_signal: libc::SIGTERM,
        grace_ms: GRACE_MS,
        linger: Linger::Seconds(0),
        slot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_processes_is_told_from_mistakes() {
        let passes = [
            "# example.com/a\nfork/exec /go/pkg/tool/linux_amd64/compile: resource temporarily unavailable\n",
            "runtime: failed to create new OS thread (have 5 already; errno=11)\nruntime: may need to increase max user processes",
            "go: fork/exec /usr/bin/git: cannot allocate memory",
        ];
        for output in passes {
            assert!(ran_out(output.as_bytes()).is_some(), "{output}");
        }
        for output in ["", "main.go:3:2: undefined: fork/exec", "a.go:1:1: \"resource temporarily unavailable\" unused"]
        {
            assert_eq!(ran_out(output.as_bytes()), None, "{output}");
        }
    }
}
