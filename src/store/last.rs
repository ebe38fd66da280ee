//! The last state of everything, for `ps` and `why` when no supervisor runs, and for a supervisor that follows on one that died.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Read, read, replace};
use crate::error::PathError;

/// One service as it last was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastService {
    /// Its name.
    pub name: String,
    /// The newest build's content.
    #[serde(default)]
    pub artifact: Option<String>,
    /// Why the newest build failed.
    #[serde(default)]
    pub build_error: Option<String>,
    /// Where: file, line, column, message.
    #[serde(default)]
    pub problems: Vec<(PathBuf, u32, u32, String)>,
    /// What it waited for or suffered from.
    #[serde(default)]
    pub reason: Option<String>,
    /// Its copies.
    pub instances: Vec<LastInstance>,
    /// What happened: microseconds since 1970, and one sentence.
    #[serde(default)]
    pub happenings: Vec<(i64, String)>,
}

/// One copy as it last was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastInstance {
    /// 1, 2, …
    pub number: u32,
    /// Its state's word.
    pub state: String,
    /// Starts again.
    #[serde(default)]
    pub restarts: u32,
    /// Microseconds since 1970.
    #[serde(default)]
    pub started_us: Option<i64>,
    /// The newest ends, newest last.
    #[serde(default)]
    pub exits: Vec<LastExit>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastExit {
    /// The exit code, where it exited.
    pub code: Option<i32>,
    /// The signal, where one ended it.
    pub signal: Option<i32>,
    /// The reason's word.
    pub reason: String,
    /// SIGKILL had to end it or a part of it.
    #[serde(default)]
    pub killed: bool,
    /// How long it ran, in microseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_us: Option<i64>,
    /// Microseconds since 1970.
    pub at_us: i64,
}

fn path(state: &Path) -> PathBuf {
    state.join("last.json")
}

/// Writes the state of everything.
pub fn save(state: &Path, services: &[LastService]) -> Result<(), PathError> {
    replace(&path(state), &services)
}

/// When it was written last, on the wall clock of its file system.
pub fn saved_at(state: &Path) -> Option<SystemTime> {
    std::fs::metadata(path(state)).and_then(|meta| meta.modified()).ok()
}

/// Reads it; nothing where there is none, and the new name of one that cannot be understood.
pub fn load(state: &Path) -> Result<(Vec<LastService>, Option<PathBuf>), PathError> {
    Ok(match read(&path(state))? {
        Read::Value(services) => (services, None),
        Read::Missing => (Vec::new(), None),
        Read::Corrupt(aside) => (Vec::new(), Some(aside)),
    })
}
