//! A group of processes that exists: joining it, ending all in it, removing it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::limit::{is_unified, write};
use crate::sys::{os, sweep};

/// What is killed is gone after milliseconds; a process in the kernel may take for ever.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// A group: one folder, or under version 1 one for each controller, all with the same processes.
#[derive(Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
    oom_kills: u64,
}

impl Group {
    pub(super) fn new(folders: Vec<PathBuf>) -> Group {
        let mut group = Group { folders, oom_kills: 0 };
        group.oom_kills = group.count_oom_kills().unwrap_or(0);
        group
    }

    /// Its folders, for whoever has to remove it when its maker cannot.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Descriptors to which a process writes `0` in order to join.
    pub fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |folder: &PathBuf| Ok(fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs"))?.into());
        self.folders.iter().map(open).collect()
    }

    /// How many of its processes the kernel has killed for want of memory since it was made; `None` where its memory is not counted.
    pub fn oom_kills(&self) -> Option<u64> {
        self.count_oom_kills().map(|count| count.saturating_sub(self.oom_kills))
    }

    fn count_oom_kills(&self) -> Option<u64> {
        let count = |folder: &PathBuf| {
            let files = ["memory.events", "memory.oom_control"];
            let text = files.iter().find_map(|file| fs::read_to_string(folder.join(file)).ok())?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        };
        self.folders.iter().find_map(count)
    }

    /// SIGKILL to everybody in it, whatever session, parent or name they gave themselves.
    pub fn kill(&self) {
        self.folders.iter().for_each(|folder| kill_all(folder));
    }

    /// Ends who is left in it and removes it; false when somebody is there after a second of killing.
    pub fn remove(&self) -> bool {
        self.folders.iter().all(|folder| remove(folder))
    }
}

/// Ends and removes what a dead shim left: folders of its record, which count only where they are cgroups and have the name it would have used.
pub fn clear(folders: &[PathBuf], name: &str) {
    for folder in folders.iter().filter(|folder| folder.file_name().is_some_and(|last| last == name)) {
        if os::is_cgroup(folder) {
            remove(folder);
        }
    }
}

/// An empty folder of our own: whatever was left of an earlier one is ended first.
pub(super) fn fresh(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove(folder);
            match fs::create_dir(folder) {
                // Somebody in it cannot be killed; the new limits are as good for him.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made,
            }
        }
        made => made,
    }
}

fn remove(folder: &Path) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        match remove_tree(folder) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(_) if Instant::now() >= until => return false,
            Err(_) => {
                kill_all(folder);
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// A service may have made groups below its own.
fn remove_tree(folder: &Path) -> io::Result<()> {
    if let Err(error) = fs::remove_dir(folder) {
        if error.kind() == io::ErrorKind::NotFound {
            return Ok(());
        }
        children(folder).iter().for_each(|child| drop(remove_tree(child)));
        return fs::remove_dir(folder);
    }
    Ok(())
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

fn kill_all(folder: &Path) {
    if is_unified(folder) && write(&folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    sweep::end_all(|| members(folder));
    children(folder).iter().for_each(|child| kill_all(child));
}

fn members(folder: &Path) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid > 0).collect()
}
