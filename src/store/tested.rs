//! How the newest tests of a service ended, for `ps`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Read, read, replace};
use crate::error::{Context as _, PathError};
use crate::task::id::ServiceName;

/// One run of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTest {
    /// `passed`, `failed` or `not-run`.
    pub state: String,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that skipped themselves.
    pub skipped: usize,
    /// When they ended: microseconds since 1970.
    pub at_us: i64,
    /// The number of the run, in the log.
    pub run: u64,
}

fn path(state: &Path, service: &ServiceName) -> PathBuf {
    state.join("tests").join(format!("{service}.json"))
}

/// Writes it.
pub fn save(state: &Path, service: &ServiceName, last: &LastTest) -> Result<(), PathError> {
    let folder = state.join("tests");
    fs::create_dir_all(&folder).context("create", &folder)?;
    replace(&path(state, service), last)
}

/// Reads it; `None` where there is none or it cannot be understood.
pub fn load(state: &Path, service: &ServiceName) -> Option<LastTest> {
    match read(&path(state, service)) {
        Ok(Read::Value(last)) => Some(last),
        Ok(Read::Missing | Read::Corrupt(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_for_each_service() {
        let dir = tempfile::tempdir().unwrap();
        let name = |name: &str| ServiceName::fold(name).unwrap();
        let last = LastTest { state: "failed".into(), passed: 2, failed: 1, run: 7, ..LastTest::default() };
        save(dir.path(), &name("api"), &last).unwrap();
        assert_eq!((load(dir.path(), &name("api")), load(dir.path(), &name("web"))), (Some(last), None));
        fs::write(dir.path().join("tests/api.json"), "{").unwrap();
        assert_eq!(load(dir.path(), &name("api")), None);
    }
}
