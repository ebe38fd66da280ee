//! A run whose shim lives and cannot be called: somebody removed its socket, or the record is all that is left of it. It is watched by its lock, and
//! ended through the signals that a shim obeys.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Ground;
use super::run::end_remains;
use crate::shim::record::InstanceRecord;
use crate::shim::{client, survey};
use crate::task::id::RunId;
use crate::task::spec::RunSpec;
use crate::worker::probe::{self, ProbeContext};
use crate::worker::{Outcome, RunReport, Signal, Trouble};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Follows it to its end.
pub(super) async fn follow(
    ground: Arc<Ground>,
    record: InstanceRecord,
    spec: Arc<RunSpec>,
    mut signals: mpsc::Receiver<Signal>,
) {
    let (run, instance) = (RunId(record.run), spec.instance.clone());
    let mut probe = None;
    if lives(&ground, &record).await {
        ground.report(run, RunReport::Started { pid: record.pid }).await;
        let words = "the socket of its shim is gone, so it is watched from outside".to_owned();
        ground.report(run, RunReport::Trouble(Trouble::Unknown, Some(words))).await;
        let log_dir = ground.home.instance_logs(&spec.instance);
        let context = ProbeContext { run, spec, pid: record.pid, log_dir, notify: None };
        probe = Some(probe::spawn(context, ground.sink.clone()));
    }
    while lives(&ground, &record).await {
        tokio::select! {
            Some(signal) = signals.recv() => pass_on(&record, signal),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    if let Some(probe) = probe {
        probe.abort();
    }
    let outcome = match survey::exit_of(&ground.home, &record) {
        Some(exit) => Outcome {
            code: exit.code,
            signal: exit.signal,
            oom: exit.oom,
            lost: false,
            killed: exit.killed,
            ended_us: None,
        },
        None => {
            end_remains(&ground, run, &instance, &record.identity()).await;
            Outcome::lost()
        }
    };
    ground.report(run, RunReport::Exited(outcome)).await;
}

async fn lives(ground: &Arc<Ground>, record: &InstanceRecord) -> bool {
    let (home, record) = (ground.home.clone(), record.clone());
    // A look that broke is no proof of an end.
    tokio::task::spawn_blocking(move || survey::lives(&home, &record)).await.unwrap_or(true)
}

/// SIGTERM makes the shim end its service with the grace it was given; a dead leader makes it end the rest.
fn pass_on(record: &InstanceRecord, signal: Signal) {
    let sent = match signal {
        Signal::Stop { .. } => client::hold_shim(record).map(|shim| shim.signal(libc::SIGTERM)),
        Signal::Kill => record.identity().hold().map(|leader| leader.signal(libc::SIGKILL)),
        Signal::Send(signal) => record.identity().hold().map(|leader| leader.signal(signal)),
    };
    // Who is gone already needs no signal, and the next look finds out.
    drop(sent);
}
