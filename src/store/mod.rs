//! What must outlive the supervisor: what is wanted of each service, one small JSON file per service, replaced by rename and readable by anyone who
//! owns it; and the last state of everything, so that `ps` and `why` answer without a supervisor.

pub mod good;
pub mod intent;
pub mod last;
pub mod tested;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context as _, PathError};
use crate::sys::folder::Folder;

/// Replaces a file as a whole: written beside it, owner-only, then renamed. A crash leaves the old file or the new one, and no link is followed.
pub fn replace(path: &Path, value: &impl Serialize) -> Result<(), PathError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::from).context("write", path)?;
    text.push(b'\n');
    let (folder, name) = open(path).context("open", path)?;
    folder.write_atomically(name, &text).context("write", path)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove", path),
        _ => Ok(()),
    }
}

/// The folder a file is in, made where it is missing and never a link, and the file's name.
fn open(path: &Path) -> io::Result<(Folder, &str)> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = path.file_name().and_then(OsStr::to_str).ok_or_else(wrong)?;
    let folder = path.parent().ok_or_else(wrong)?;
    let (Some(above), Some(last)) = (folder.parent(), folder.file_name()) else { return Err(wrong()) };
    let folder = Folder::beneath(above, Path::new(last))?;
    Ok((folder, name))
}

/// What became of reading a file.
#[derive(Debug)]
pub enum Read<T> {
    /// It holds this.
    Value(T),
    /// There is none.
    Missing,
    /// It could not be understood and was set aside under this name (its own, where nothing can be renamed).
    Corrupt(PathBuf),
}

/// The start of the machine in which the state was last used.
pub fn last_boot(state: &Path) -> Result<Read<String>, PathError> {
    read(&state.join("boot.json"))
}

/// Writes down that the state is used in this start of the machine.
pub fn remember_boot(state: &Path, boot_id: &str) -> Result<(), PathError> {
    replace(&state.join("boot.json"), &boot_id)
}

/// The largest state file that is read: a file grown by accident must not fill the memory.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads a file. One that cannot be understood is set aside as `NAME.corrupt-<nanoseconds>`, never deleted and never a reason to stop.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Read<T>, PathError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error).context("read", path),
    };
    let mut parsed = None;
    if meta.is_file() && meta.len() <= MAX_FILE {
        match fs::read(path) {
            Ok(bytes) => parsed = serde_json::from_slice(&bytes).ok(),
            // Somebody took our right away; what else fails (no descriptor left, a broken disk) says nothing about the file.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error).context("read", path),
        }
    }
    Ok(parsed.map_or_else(|| Read::Corrupt(set_aside(path)), Read::Value))
}

/// Moves a file out of the way and says where it is now.
fn set_aside(path: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_nanos()).unwrap_or_default();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".corrupt-{now}"));
    let aside = path.with_file_name(name);
    // On a file system that is read-only it stays where it is, and is passed over again by the next reader.
    if fs::rename(path, &aside).is_ok() { aside } else { path.to_owned() }
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
    fn the_start_of_the_machine_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(last_boot(dir.path()).unwrap(), Read::Missing));
        remember_boot(dir.path(), "a").unwrap();
        assert!(matches!(last_boot(dir.path()).unwrap(), Read::Value(boot) if boot == "a"));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_or_of_its_folder_reaches_no_victim() {
        let dir = tempfile::tempdir().unwrap();
        let (state, victim) = (dir.path().join(".orchestra/state"), dir.path().join("victim"));
        fs::create_dir_all(&victim).unwrap();
        fs::write(victim.join("a.json"), "precious").unwrap();
        fs::create_dir_all(&state).unwrap();
        std::os::unix::fs::symlink(victim.join("a.json"), state.join("a.json")).unwrap();
        replace(&state.join("a.json"), &1).unwrap();
        assert!(!state.join("a.json").is_symlink());
        fs::remove_dir_all(&state).unwrap();
        std::os::unix::fs::symlink(&victim, &state).unwrap();
        replace(&state.join("a.json"), &1).unwrap_err();
        assert_eq!(fs::read_to_string(victim.join("a.json")).unwrap(), "precious");
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
