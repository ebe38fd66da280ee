//! One `go build` under a shim of its own, which dies with the supervisor: a half build is nobody's.

use std::path::PathBuf;
use std::sync::Arc;

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
use crate::task::spec::BuildSpec;
use crate::worker::{RunReport, Signal};

/// Of a build's output so much is kept, and read for messages.
const KEEP: u64 = 20 * 1024 * 1024;
const MOST: usize = 1024 * 1024;
/// A build that is told to end gets so long.
const GRACE_MS: u64 = 2000;

/// Builds and reports what became of each member.
pub(super) async fn start(ground: Arc<Ground>, run: RunId, batch: BuildBatch, mut signals: mpsc::Receiver<Signal>) {
    let results = match build(&ground, run, &batch, &mut signals).await {
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

fn failed(error: String) -> BuildFailure {
    BuildFailure { error, problems: Vec::new() }
}

async fn build(
    ground: &Arc<Ground>,
    run: RunId,
    batch: &BuildBatch,
    signals: &mut mpsc::Receiver<Signal>,
) -> Result<(PathBuf, Outcome, Vec<u8>), BuildFailure> {
    let first = batch.members.first().ok_or_else(|| failed("there is nothing to build".to_owned()))?;
    let home = &ground.home;
    let logs = home.service_logs(&first.service, "build");
    for member in &batch.members {
        let logs = relative(&home.service_logs(&member.service, "build"), &home.dot);
        let env = member.env.iter().cloned().collect();
        let hooks = Hooks { dir: &member.dir, env: &env, dot: &home.dot, logs, keep: KEEP, run: run.0 };
        hooks.run(&member.before, None).await.map_err(|message| failed(format!("before: {message}")))?;
    }
    let staging = home.bin().join(format!(".staging-{run}"));
    let line = build::command_line(batch, &staging)?;
    let (prepared, into) = (batch.clone(), staging.clone());
    let prepare = move || build::prepare(&prepared, &into).map_err(std::io::Error::other);
    ground.beside(prepare).await.map_err(|error| failed(error.to_string()))?;
    let spec = shim_spec(ground, run, first, line);
    let shim = ground.spawn(spec).await;
    let shim = shim.map_err(|error| failed(spawn::failure("cannot start the build", &error).message))?;
    let mut dialogue = Dialogue::new(shim.socket).map_err(|error| failed(error.to_string()))?;
    let outcome = listen(&mut dialogue, signals).await;
    dialogue.end().await;
    let outcome = outcome?;
    let output = output::of_run(&logs, run, MOST).unwrap_or_default();
    Ok((staging, outcome, output))
}

/// Waits for the end; a signal ends it early.
async fn listen(dialogue: &mut Dialogue, signals: &mut mpsc::Receiver<Signal>) -> Result<Outcome, BuildFailure> {
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
            Some(Event::Failed { message, .. }) => return Err(failed(message)),
            Some(_) => {}
            None => return Err(failed("the build was interrupted: its shim died".to_owned())),
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
