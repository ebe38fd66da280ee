//! What can be found out about containers, and done to them, while no supervisor runs. An engine is spoken with only where a record or somebody's
//! configuration says that something may run in it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::record::{self, ContainerRecord};
use super::{drained, logs, state};
use crate::docker::{Docker, Failure, Kept};
use crate::sys::fd::wall_us;
use crate::sys::home::Home;
use crate::sys::os;
use crate::task::environment::Environment;
use crate::task::id::{InstanceId, RunId};
use crate::task::outcome::Outcome;

/// All engines together may take so long to say what runs: one that hangs keeps nobody waiting for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any sensible grace.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of log kept of what is stopped without its configuration.
const KEEP: u64 = 512 * 1024 * 1024;

/// What a container whose end nobody has seen turned out to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// It runs, with this pid where this machine knows it by one.
    Runs(Option<u32>),
    /// It has ended.
    Ended(Outcome),
    /// It was removed.
    Gone,
    /// Its engine cannot be asked; why, one sentence.
    Unknown(String),
}

/// Looks at every container whose end nobody has seen.
pub async fn look(home: &Home) -> BTreeMap<InstanceId, Sight> {
    let boot = os::boot_id().unwrap_or_default();
    let mut asked = JoinSet::new();
    let mut out = BTreeMap::new();
    for record in record::all(home).0 {
        let Some(instance) = record.instance() else { continue };
        if record.may_run(&boot) {
            out.insert(instance.clone(), Sight::Unknown("the Docker engine does not answer".to_owned()));
            asked.spawn(async move { (instance, sight(&record).await) });
        }
    }
    let answers = async {
        while let Some(answer) = asked.join_next().await {
            // A look that broke has seen nothing.
            out.extend(answer);
        }
    };
    // Who did not answer by now is not known.
    drop(timeout(PATIENCE, answers).await);
    out
}

async fn sight(record: &ContainerRecord) -> Sight {
    let looked = async {
        let docker = Docker::at(&record.engine).await?;
        let facts = docker.inspect(&record.container).await?;
        Ok::<_, Failure>((docker, facts))
    };
    match looked.await {
        Ok((docker, Some(facts))) => {
            let state = state::of(&facts);
            match state.running {
                true => Sight::Runs(Some(state.local_pid(&docker)).filter(|pid| *pid > 0)),
                false => Sight::Ended(state.outcome(record.stopping)),
            }
        }
        Ok((_, None)) => Sight::Gone,
        Err(failure) => Sight::Unknown(failure.to_string()),
    }
}

/// The same for a supervisor that begins, and holds the project's lock: what an ended container wrote that nobody read goes into its log, and its end is
/// written down. What is left without an end runs, or nobody can know.
pub async fn settle(home: &Home) {
    let sights = look(home).await;
    let mut ends = JoinSet::new();
    for record in record::all(home).0 {
        match record.instance().and_then(|instance| sights.get(&instance)) {
            Some(Sight::Ended(outcome)) => _ = ends.spawn(close(home.clone(), record, outcome.clone())),
            Some(Sight::Gone) => _ = ends.spawn(close(home.clone(), record, Outcome::lost())),
            Some(Sight::Runs(_) | Sight::Unknown(_)) | None => {}
        }
    }
    while ends.join_next().await.is_some() {}
}

async fn close(home: Home, record: ContainerRecord, outcome: Outcome) {
    if let (Some(instance), Ok(docker), false) = (record.instance(), Docker::at(&record.engine).await, outcome.lost) {
        drained(logs::spawn(following(docker, &record, instance, &home))).await;
    }
    let at = outcome.ended_us.unwrap_or_else(wall_us);
    // Where nothing can be written the next supervisor asks the engine again.
    drop(record.ended(&outcome, at).save(&home));
}

fn following(docker: Docker, record: &ContainerRecord, instance: InstanceId, home: &Home) -> logs::Following {
    let (container, run, starts) = (record.container.clone(), RunId(record.run), record.starts.clone());
    logs::Following { docker, container, run, starts, instance, home: home.clone(), keep: KEEP }
}

/// Containers of the project that run, and engines that could not be asked about them.
#[derive(Debug, Default)]
pub struct Running {
    found: Vec<(Docker, Kept)>,
    /// One sentence each.
    pub unknown: Vec<String>,
}

impl Running {
    /// Nothing runs, as far as anybody knows.
    pub fn is_nothing(&self) -> bool {
        self.found.is_empty() && self.unknown.is_empty()
    }
}

/// Finds them by their labels: with the engines of records, and with that of `env` where one is given (the project has vendors, and its records may be
/// lost). An engine that is not there matters only where a record says that something may run in it.
pub async fn running(home: &Home, env: Option<&Environment>) -> Running {
    let boot = os::boot_id().unwrap_or_default();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in record::all(home).0.into_iter().filter(|record| record.may_run(&boot)) {
        places.entry(record.engine).or_default().push(record.name);
    }
    let mut out = Running::default();
    let mut engines = Vec::new();
    for (place, names) in &places {
        match Docker::at(place).await {
            Ok(docker) => engines.push(docker),
            Err(failure) => out.unknown.push(format!("{}: {failure}", names.join(", "))),
        }
    }
    if let Some(env) = env
        && let Ok(docker) = Docker::connect(env).await
        && !places.contains_key(&docker.address())
    {
        engines.push(docker);
    }
    for docker in engines {
        match docker.containers(&home.root).await {
            Ok(all) => out.found.extend(all.into_iter().filter(|one| one.running).map(|one| (docker.clone(), one))),
            Err(failure) => out.unknown.push(failure.to_string()),
        }
    }
    out
}

/// Ends them, all at once, each with its own grace or with this one; says what is still there. What they write meanwhile is in their logs.
pub async fn stop_all(home: &Home, running: Running, grace: Option<Duration>) -> Vec<String> {
    let mut left = running.unknown;
    let mut stops = JoinSet::new();
    for (docker, one) in running.found {
        let home = home.clone();
        stops.spawn(async move {
            let name = one.name.clone();
            stop(&home, &docker, &one, grace).await.map_err(|failure| format!("{name}: {failure}"))
        });
    }
    while let Some(stopped) = stops.join_next().await {
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(words)) => left.push(words),
            Err(error) => left.push(format!("a stop broke: {error}")),
        }
    }
    left.sort();
    left
}

async fn stop(home: &Home, docker: &Docker, one: &Kept, grace: Option<Duration>) -> Result<(), Failure> {
    let Some(facts) = docker.inspect(&one.id).await? else { return Ok(()) };
    let record = one.instance.as_ref().and_then(|instance| record::of(home, instance));
    let record = record.filter(|record| record.container == one.id && record.end.is_none());
    let logs = record
        .as_ref()
        .zip(one.instance.clone())
        .map(|(record, instance)| logs::spawn(following(docker.clone(), record, instance, home)));
    if state::of(&facts).paused {
        docker.unpause(&one.id).await?;
    }
    let own = facts.config.and_then(|config| config.stop_timeout).and_then(|seconds| u64::try_from(seconds).ok());
    let own = own.map_or(Duration::from_secs(10), Duration::from_secs);
    match grace.unwrap_or(own).min(LONGEST) {
        Duration::ZERO => docker.kill(&one.id, libc::SIGKILL).await?,
        grace => docker.stop(&one.id, grace).await?,
    }
    if let Some(logs) = logs {
        drained(logs).await;
    }
    let Some(record) = record else { return Ok(()) };
    let ended = docker.inspect(&one.id).await?.map(|facts| state::of(&facts).outcome(true)).unwrap_or(Outcome::lost());
    let at = ended.ended_us.unwrap_or_else(wall_us);
    // A disk that cannot be written to keeps nothing running: the next supervisor asks the engine.
    drop(ContainerRecord { stopping: true, ..record }.ended(&ended, at).save(home));
    Ok(())
}
