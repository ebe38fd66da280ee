//! How the newest tests of a service ended, for `ps`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Read, read, replace};
use crate::error::PathError;
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
    use std::fs;
    use std::os::unix::fs::symlink;

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

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), dir.path().join("tests")).unwrap();
        let error = save(dir.path(), &ServiceName::fold("api").unwrap(), &LastTest::default()).unwrap_err();
        assert!(error.to_string().contains("tests"), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
