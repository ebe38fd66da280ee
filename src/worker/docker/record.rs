//! What is left on disk of a run in a container: enough for another supervisor to take it over, and for `ps` and `stop` without one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::PathError;
use crate::store::{self, Read};
use crate::sys::home::Home;
use crate::task::id::InstanceId;
use crate::task::outcome::Outcome;

/// The file in the folder of an instance.
const NAME: &str = "container.json";
/// So many starts of a container are remembered: who is further behind has long lost the engine's log of it.
const STARTS: usize = 16;

/// The newest run of one copy, in a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// `postgres.1`.
    pub slot: String,
    /// The number of the run.
    pub run: u64,
    /// Where its engine is, as it was found: `unix:///var/run/docker.sock`.
    pub engine: String,
    /// The engine's id of the container.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// Its image, as it was named.
    pub image: String,
    /// Its first process as this machine knows it; 0 where it runs on another one, virtual ones included.
    pub pid: u32,
    /// When it was started, in the engine's words: another value is another start.
    pub started_at: String,
    /// The same, microseconds since 1970.
    pub started_us: i64,
    /// Earlier starts of the same container, oldest first: what it wrote then may be read late, and belongs to the run of that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<StartRecord>,
    /// This machine's boot in which it was started.
    pub boot_id: String,
    /// Equal settings: it may be kept.
    pub settings: String,
    /// How long until SIGKILL.
    pub grace_ms: u64,
    /// It was told to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
    /// How it ended; nothing while it runs, or where nobody saw the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndRecord>,
}

/// One start of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// The number of its run.
    pub run: u64,
    /// Microseconds since 1970.
    pub started_us: i64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// The exit code.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// The kernel's out-of-memory killer.
    pub oom: bool,
    /// Nobody knows how: the container was gone.
    #[serde(default)]
    pub lost: bool,
    /// It was asked to.
    pub stopped: bool,
    /// It was asked to, and did not until SIGKILL came.
    pub killed: bool,
    /// Microseconds since 1970.
    pub ended_us: i64,
}

impl ContainerRecord {
    /// Which copy of which service.
    pub fn instance(&self) -> Option<InstanceId> {
        InstanceId::parse(&self.slot)
    }

    /// How long until SIGKILL.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// Nobody has seen its end, and this machine was not started anew since: it may run.
    pub fn may_run(&self, boot_id: &str) -> bool {
        self.end.is_none() && self.boot_id == boot_id
    }

    /// The same, knowing the starts that the one before it knew, and that one itself, where it is of the same container.
    pub(super) fn after(mut self, before: Option<&ContainerRecord>) -> ContainerRecord {
        if let Some(before) = before.filter(|before| before.container == self.container) {
            self.starts.clone_from(&before.starts);
            self.starts.push(StartRecord { run: before.run, started_us: before.started_us });
            self.starts.dedup();
            self.starts.drain(..self.starts.len().saturating_sub(STARTS));
        }
        self
    }

    /// The same run, ended.
    pub(super) fn ended(&self, outcome: &Outcome, ended_us: i64) -> ContainerRecord {
        let Outcome { code, signal, oom, lost, killed, .. } = outcome.clone();
        let end = EndRecord { code, signal, oom, lost, stopped: self.stopping, killed, ended_us };
        ContainerRecord { end: Some(end), ..self.clone() }
    }

    /// Writes it where the next supervisor looks.
    pub(super) fn save(&self, home: &Home) -> Result<(), PathError> {
        let Some(instance) = self.instance() else { return Ok(()) };
        let folder = home.instance_run(&instance);
        crate::sys::folder::Folder::beneath(&home.dot, folder.strip_prefix(&home.dot).unwrap_or(&folder))
            .map_err(|source| PathError { action: "create", path: folder.clone(), source })?;
        store::replace(&folder.join(NAME), self)
    }
}

/// The record of one copy, where there is one that can be read.
pub fn of(home: &Home, instance: &InstanceId) -> Option<ContainerRecord> {
    read(&home.instance_run(instance), &mut Vec::new())
}

/// Every record of the project, by slot; those that cannot be understood are set aside, and named by their new names.
pub fn all(home: &Home) -> (Vec<ContainerRecord>, Vec<PathBuf>) {
    let (mut found, mut aside) = (Vec::new(), Vec::new());
    for service in folders(&home.dot.join("run")) {
        for folder in folders(&service) {
            found.extend(read(&folder, &mut aside));
        }
    }
    found.sort_by(|a: &ContainerRecord, b| a.slot.cmp(&b.slot));
    (found, aside)
}

/// A record stands in the folder of its own copy; anything else there was put there by somebody.
fn read(folder: &Path, aside: &mut Vec<PathBuf>) -> Option<ContainerRecord> {
    let name = |path: Option<&Path>| Some(path?.file_name()?.to_str()?.to_owned());
    let slot = format!("{}.{}", name(folder.parent())?, name(Some(folder))?);
    match store::read::<ContainerRecord>(&folder.join(NAME)) {
        Ok(Read::Value(record)) => Some(record).filter(|record| record.slot == slot && record.instance().is_some()),
        Ok(Read::Corrupt(path)) => {
            aside.push(path);
            None
        }
        // What cannot be read now is no reason to stop: the container is found by its labels when it is started again.
        Ok(Read::Missing) | Err(_) => None,
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn record(slot: &str) -> ContainerRecord {
        ContainerRecord {
            slot: slot.into(),
            run: 7,
            boot_id: "b".into(),
            container: "c0ffee".into(),
            ..ContainerRecord::default()
        }
    }

    #[test]
    fn records_come_back_and_nonsense_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(dir.path()).unwrap();
        std::fs::create_dir(&home.dot).unwrap();
        for slot in ["redis.1", "postgres.2", "postgres.1"] {
            record(slot).save(&home).unwrap();
        }
        let path = home.dot.join("run/postgres/1/container.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(home.dot.join("run/redis/1/container.json"), "{").unwrap();
        std::fs::copy(&path, home.dot.join("run/postgres/2/container.json")).unwrap();
        let (found, aside) = all(&home);
        assert_eq!(found, [record("postgres.1")]);
        assert_eq!(aside.len(), 1);
        assert!(aside[0].file_name().unwrap().to_str().unwrap().starts_with("container.json.corrupt-"), "{aside:?}");
    }

    #[test]
    fn starts_of_one_container_are_remembered_and_not_without_end() {
        let start = |run: u64, container: &str| ContainerRecord {
            run,
            started_us: run as i64 * 10,
            container: container.into(),
            ..record("redis.1")
        };
        let second = start(2, "a").after(Some(&start(1, "a")));
        assert_eq!(second.starts, [StartRecord { run: 1, started_us: 10 }]);
        let anew = start(2, "a").after(Some(&second));
        assert_eq!(anew.starts.iter().map(|start| start.run).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(start(3, "b").after(Some(&anew)).starts, [], "another container has another log");
        let long = (3..100).fold(anew, |before, run| start(run, "a").after(Some(&before)));
        assert_eq!((long.starts.len(), long.starts.last().map(|start| start.run)), (STARTS, Some(98)));
    }

    #[test]
    fn what_may_run_is_of_this_boot_and_has_no_end() {
        let one = record("redis.1");
        assert!(one.may_run("b"));
        assert!(!one.may_run("another"));
        let outcome = Outcome { code: Some(1), ..Outcome::lost() };
        let ended = ContainerRecord { stopping: true, ..one }.ended(&outcome, 42);
        assert!(!ended.may_run("b"));
        assert!(ended.end.is_some_and(|end| end.stopped && end.ended_us == 42));
    }
}
