//! The last configuration that was good: the texts of all its files, so that a supervisor which follows on one that died knows every policy of what
//! runs although somebody has broken, moved or removed a file meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Read, read, remove, replace};
use crate::error::PathError;

/// Files and folders of a configuration. Paths inside the project are relative to its root, so that it may be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The project's file.
    pub config: PathBuf,
    /// Every file that was read, with its text.
    pub files: BTreeMap<PathBuf, String>,
    /// The folders that held a service.
    pub folders: BTreeSet<PathBuf>,
}

impl Good {
    /// The text of a file as it was; `None` where there was none.
    pub fn text(&self, path: &Path, root: &Path) -> Option<&str> {
        self.files.get(path.strip_prefix(root).unwrap_or(path)).map(String::as_str)
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("config.json")
}

/// Keeps a configuration. Owner-only: env files hold secrets.
pub fn save(state: &Path, good: &Good) -> Result<(), PathError> {
    replace(&path(state), good)
}

/// The kept configuration, where there is one; and where it could not be understood, its new name.
pub fn load(state: &Path) -> Result<(Option<Good>, Option<PathBuf>), PathError> {
    Ok(match read(&path(state))? {
        Read::Value(good) => (Some(good), None),
        Read::Missing => (None, None),
        Read::Corrupt(aside) => (None, Some(aside)),
    })
}

/// Whether one is kept.
pub fn is_kept(state: &Path) -> bool {
    path(state).is_file()
}

/// Forgets it: nothing runs by it any more.
pub fn forget(state: &Path) -> Result<(), PathError> {
    remove(&path(state))
}
