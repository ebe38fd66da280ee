//! The files of a group that hold its limits.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::{Obstacle, Wanted};

/// The kernel deals out CPU time once in so many microseconds …
const PERIOD: u64 = 100_000;
/// … and no less than so many; for less the period is longer, at most so long.
const LEAST: u64 = 1000;
const LONGEST: u64 = 1_000_000;

/// Writes the limits of these controllers into the files of `folder`.
pub(super) fn set(folder: &Path, controllers: &[&str], wanted: &Wanted) -> Result<(), Obstacle> {
    let unified = is_unified(folder);
    if let Some(bytes) = wanted.memory.filter(|_| controllers.contains(&"memory")) {
        memory(folder, unified, bytes).map_err(|error| Obstacle::at("limit the memory of", folder, &error))?;
    }
    if let Some(cores) = wanted.cpu.filter(|_| controllers.contains(&"cpu")) {
        cpu(folder, unified, cores).map_err(|error| Obstacle::at("limit the CPU time of", folder, &error))?;
    }
    Ok(())
}

/// Swap counts as memory: who has used up the limit is told so at once, and not made slow first. When the kernel ends one process of a group of
/// version 2 it ends them all: half a service is worse than one that is started again.
fn memory(folder: &Path, unified: bool, bytes: u64) -> io::Result<()> {
    if unified {
        write(&folder.join("memory.max"), &bytes.to_string())?;
        optional(write(&folder.join("memory.swap.max"), "0"))?;
        optional(write(&folder.join("memory.oom.group"), "1"))
    } else {
        write(&folder.join("memory.limit_in_bytes"), &bytes.to_string())?;
        optional(write(&folder.join("memory.memsw.limit_in_bytes"), &bytes.to_string()))
    }
}

fn cpu(folder: &Path, unified: bool, cores: f64) -> io::Result<()> {
    let (quota, period) = share(cores);
    if unified {
        write(&folder.join("cpu.max"), &format!("{quota} {period}"))
    } else {
        write(&folder.join("cpu.cfs_period_us"), &period.to_string())?;
        write(&folder.join("cpu.cfs_quota_us"), &quota.to_string())
    }
}

/// Microseconds of CPU time in each period, and the period.
fn share(cores: f64) -> (u64, u64) {
    let quota = |period: u64| (cores * period as f64).round() as u64;
    match quota(PERIOD) {
        enough if enough >= LEAST => (enough, PERIOD),
        _ => (quota(LONGEST).max(LEAST), LONGEST),
    }
}

/// A kernel without swap accounting, or an older one, lacks the file.
fn optional(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Version 2 says in every group which controllers it may use.
pub(super) fn is_unified(folder: &Path) -> bool {
    folder.join("cgroup.controllers").exists()
}

/// Writes a whole value at once, as the kernel wants it, into a file that is there.
pub(super) fn write(file: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_cores() {
        assert_eq!(share(0.5), (50_000, 100_000));
        assert_eq!(share(2.0), (200_000, 100_000));
        assert_eq!(share(0.01), (1000, 100_000));
        assert_eq!(share(0.005), (5000, 1_000_000));
        assert_eq!(share(0.000_1), (1000, 1_000_000));
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| fs::write(dir.path().join(file), "").unwrap());
        dir
    }

    #[test]
    fn files_of_version_2() {
        let files = ["cgroup.controllers", "memory.max", "memory.oom.group", "cpu.max"];
        let dir = folder(&files);
        let wanted = Wanted { memory: Some(1 << 20), cpu: Some(0.2) };
        set(dir.path(), &["memory", "cpu"], &wanted).unwrap();
        let read = |file| fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(["memory.max", "memory.oom.group", "cpu.max"].map(read), ["1048576", "1", "20000 100000"]);
        assert!(!dir.path().join("memory.swap.max").exists());
    }

    #[test]
    fn files_of_version_1_and_none_where_the_controller_is_another() {
        let dir = folder(&["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]);
        let wanted = Wanted { memory: Some(4096), cpu: Some(1.0) };
        set(dir.path(), &["memory"], &wanted).unwrap();
        let read = |file| fs::read_to_string(dir.path().join(file)).unwrap();
        assert_eq!(["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"].map(read), ["4096", "4096"]);
        assert!(set(dir.path(), &["cpu"], &wanted).is_err());
    }
}
