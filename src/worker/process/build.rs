//! One `go build` under a shim of its own, which dies with the supervisor: a half build is nobody's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::dialogue::Dialogue;
use super::hooks::Hooks;
use super::run::relative;
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

/// What keeps a build from starting may pass: it is tried again, so soon at first, and at least so often.
const AGAIN: Duration = Duration::from_millis(200);
const AT_LEAST: Duration = Duration::from_secs(5);

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
pub(super) async fn start(ground: Arc<Ground>, run: RunId, batch: BuildBatch, mut signals: mpsc::Receiver<Signal>) {
    let results = match persist(&ground, run, &batch, &mut signals).await {
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
    signals: &mut mpsc::Receiver<Signal>,
) -> Result<Done, BuildFailure> {
    let mut pause = AGAIN;
    loop {
        let words = match build(ground, run, batch, signals).await {
            Ok(done) => return Ok(done),
            Err(Setback::Final(failure)) => return Err(failure),
            Err(Setback::Passing(words)) => words,
        };
        ground.report(run, RunReport::Waiting(Some(words.clone()))).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(AT_LEAST),
            Some(Signal::Stop { .. } | Signal::Kill) = signals.recv() => return Err(failed(words)),
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

async fn build(
    ground: &Arc<Ground>,
    run: RunId,
    batch: &BuildBatch,
    signals: &mut mpsc::Receiver<Signal>,
) -> Result<Done, Setback> {
    let first = batch.members.first().ok_or_else(|| failed("there is nothing to build".to_owned()))?;
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
        })?;
    }
    let staging = home.bin().join(format!("{}{run}", build::STAGING));
    let line = build::command_line(batch, &staging)?;
    let (prepared, into) = (batch.clone(), staging.clone());
    let prepare = move || build::prepare(&prepared, &into).map_err(std::io::Error::other);
    ground.beside(prepare).await.map_err(|error| failed(error.to_string()))?;
    let (outcome, output) = carry_out(ground, run, first, line, signals).await?;
    let vet = if outcome.code == Some(0) { build::vet(batch, &staging) } else { None };
    let (outcome, output) = match vet {
        Some(line) => carry_out(ground, run, first, line?, signals).await?,
        None => (outcome, output),
    };
    Ok((staging, outcome, output))
}

/// Runs one command of a build to its end: how that was, and all that was said since the build began.
async fn carry_out(
    ground: &Arc<Ground>,
    run: RunId,
    first: &BuildSpec,
    line: CommandLine,
    signals: &mut mpsc::Receiver<Signal>,
) -> Result<(Outcome, Vec<u8>), Setback> {
    let spec = shim_spec(ground, run, first, line);
    let shim = ground.spawn(spec).await;
    let shim = shim.map_err(|error| spawn::failure("cannot start the build", &error))?;
    let mut dialogue = Dialogue::new(shim.socket).map_err(|error| failed(error.to_string()))?;
    let outcome = listen(&mut dialogue, signals).await;
    dialogue.end().await;
    let outcome = outcome?;
    let logs = ground.home.service_logs(&first.service, "build");
    let output = output::of_run(&logs, run, MOST).unwrap_or_default();
    if let Some(words) = ran_out(&output).filter(|_| outcome.code.is_some_and(|code| code != 0)) {
        return Err(Setback::Passing(words));
    }
    Ok((outcome, output))
}

/// Waits for the end; a signal ends it early.
async fn listen(dialogue: &mut Dialogue, signals: &mut mpsc::Receiver<Signal>) -> Result<Outcome, Setback> {
    loop {
        let event = tokio::select! {
            event = dialogue.next() => event,
            Some(signal) = signals.recv() => {
                dialogue.tell(order(signal)).await;
                continue;
            }
        };
        match event {
            Some(Event::Exited { code, signal, oom, killed }) => {
                return Ok(Outcome { code, signal, oom, lost: false, killed });
            }
            Some(Event::Failed { message, transient }) => {
                return Err(StartFailure { message, port: false, transient }.into());
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
