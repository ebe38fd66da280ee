//! What must outlive the supervisor: what is wanted of each service, one small JSON file per service, replaced by rename and readable by anyone who
//! owns it; and the last state of everything, so that `ps` and `why` answer without a supervisor.

pub mod intent;
pub mod last;
pub mod tested;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context as _, PathError};

/// Replaces a file as a whole: written beside it, owner-only, then renamed. A crash leaves the old file or the new one.
pub fn replace(path: &Path, value: &impl Serialize) -> Result<(), PathError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from).context("write", path)?;
    text.push(b'\n');
    let staged = path.with_extension("json.new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(&text)
    };
    write().context("write", &staged)?;
    fs::rename(&staged, path).context("rename", path)
}

/// What became of reading a file.
#[derive(Debug)]
pub enum Read<T> {
    /// It holds this.
    Value(T),
    /// There is none.
    Missing,
    /// It could not be understood and was set aside under this name.
    Corrupt(PathBuf),
}

/// Whether the state was last used in this boot of the machine; from now on it is. After a new start of the machine nothing of what ran is left.
pub fn is_of_boot(state: &Path, boot_id: &str) -> Result<bool, PathError> {
    let path = state.join("boot.json");
    let same = match read::<String>(&path)? {
        // Nothing is written without need: on a full disk a supervisor must be able to take over.
        Read::Value(last) if last == boot_id => return Ok(true),
        Read::Value(_) => false,
        Read::Missing => true,
        Read::Corrupt(_) => false,
    };
    replace(&path, &boot_id)?;
    Ok(same)
}

/// The largest state file that is read: a file grown by accident must not fill the memory.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads a file. One that cannot be understood is set aside as `NAME.corrupt-<nanoseconds>`, never deleted and never a reason to stop.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Read<T>, PathError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error).context("read", path),
    };
    let parsed = if meta.is_file() && meta.len() <= MAX_FILE {
        let bytes = fs::read(path).context("read", path)?;
        serde_json::from_slice(&bytes).ok()
    } else {
        None
    };
    match parsed {
        Some(value) => Ok(Read::Value(value)),
        None => set_aside(path).map(Read::Corrupt),
    }
}

fn set_aside(path: &Path) -> Result<PathBuf, PathError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_nanos()).unwrap_or_default();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".corrupt-{now}"));
    let aside = path.with_file_name(name);
    fs::rename(path, &aside).context("rename", path)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        replace(&path, &vec![1, 2]).unwrap();
        replace(&path, &vec![3]).unwrap();
        assert!(matches!(read::<Vec<i32>>(&path).unwrap(), Read::Value(v) if v == [3]));
        assert!(matches!(read::<Vec<i32>>(&dir.path().join("b.json")).unwrap(), Read::Missing));
    }

    #[test]
    fn a_new_start_of_the_machine_is_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        let answers: Vec<bool> =
            ["a", "a", "b", "b"].iter().map(|boot| is_of_boot(dir.path(), boot).unwrap()).collect();
        assert_eq!(answers, [true, true, false, true]);
        fs::create_dir(dir.path().join("boot.json.new")).unwrap();
        assert!(is_of_boot(dir.path(), "b").unwrap(), "where nothing can be written");
    }

    #[test]
    fn nonsense_is_set_aside_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let good = serde_json::to_vec(&vec!["text"; 5]).unwrap();
        let path = dir.path().join("a.json");
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(matches!(read::<Vec<String>>(&path).unwrap(), Read::Corrupt(_)), "cut at {cut}");
        }
        fs::create_dir(&path).unwrap();
        assert!(matches!(read::<Vec<String>>(&path).unwrap(), Read::Corrupt(_)));
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(read::<Vec<String>>(&path).unwrap(), Read::Corrupt(_)));
        assert!(!path.exists());
    }
}
