//! What the system tells about a process that is not ours: who it is, what it executes, where it stands, who watches it.
//!
//! Every function reads one thing, and fails where that thing may not be seen: whoever judges a process by it must not guess.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

use std::path::PathBuf;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
use macos as os;

pub use os::{
    CERTAIN, argv, cgroup, exe, is_ours, open_exe, shares_files, shares_pids, stat, status, variable, working_dir,
};

/// Device and inode: the same file or folder whatever it is called.
pub type FileId = (u64, u64);

/// What changes from one moment to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// It has ended and waits for its parent.
    pub is_zombie: bool,
    /// Its parent; another one once that has ended.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// It has a controlling terminal.
    pub has_terminal: bool,
    /// When it started, in the system's unit.
    pub start_time: u64,
}

/// Whom it belongs to and who holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Real, effective, saved and file system user.
    pub users: Vec<u32>,
    /// The debugger that holds it; 0 stands for one that cannot be seen.
    pub tracer: Option<u32>,
}

/// The file a process executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exe {
    /// Where it lies, or lay.
    pub path: PathBuf,
    /// The file itself.
    pub file: FileId,
    /// Its name is gone: it was removed, or replaced by a newer build.
    pub is_deleted: bool,
    /// Its name leads to that very file, seen from here.
    pub is_there: bool,
}
