//! What one look found out about the processes that may be strays: plain facts, for [`super::judge`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::target::Folder;
use crate::sys::inspect::{Exe, FileId};

/// Everything one look found.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// Those whose program may be one of ours, by pid.
    pub(super) processes: BTreeMap<u32, Process>,
    /// Those above them, up to the first of all.
    pub(super) kin: BTreeMap<u32, Kin>,
    /// We, whoever asked us, and everyone above: a tool does not end those it runs under.
    pub(super) spared: BTreeSet<u32>,
    /// `.orchestra/bin`.
    pub(super) bin: PathBuf,
    /// `.orchestra`.
    pub(super) dot: PathBuf,
    /// Our own control groups.
    pub(super) cgroup: String,
    /// Our user.
    pub(super) user: u32,
    /// The system can hold a process, so that a signal meets whom it is meant for.
    pub(super) certain: bool,
}

/// A process as its descendants see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kin {
    /// Its parent.
    pub(super) parent: u32,
    /// Its program; `None` where it may not be seen.
    pub(super) exe: Option<PathBuf>,
    /// Its arguments.
    pub(super) argv: Vec<OsString>,
    /// It has a controlling terminal.
    pub(super) has_terminal: bool,
}

/// A process whose program may be one of ours. What could not be read is `None`, and whoever needs it for a proof has none.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Its pid.
    pub(super) pid: u32,
    /// Its parent.
    pub(super) parent: u32,
    /// When it started, in the system's unit.
    pub(super) start_time: u64,
    /// It has ended.
    pub(super) is_zombie: bool,
    /// Its users: real, effective, saved, file system.
    pub(super) users: Vec<u32>,
    /// Its pids mean what ours mean.
    pub(super) shares_pids: bool,
    /// Its paths mean what ours mean.
    pub(super) shares_files: bool,
    /// The debugger that holds it.
    pub(super) tracer: Option<u32>,
    /// Its program.
    pub(super) exe: Exe,
    /// The folders its program lies in, innermost first, up to the first that is a service, a module, a checkout or a project of its own.
    pub(super) within: Vec<FileId>,
    /// Its working directory.
    pub(super) cwd: Option<Folder>,
    /// Its arguments.
    pub(super) argv: Vec<OsString>,
    /// Whose identity it carries; `None` where that could not be read.
    pub(super) marker: Option<Marker>,
    /// Its control groups.
    pub(super) cgroup: Option<String>,
    /// What its program says of itself; `None`: it is no Go program.
    pub(super) go: Option<GoProgram>,
    /// What it runs, where it is `go run`.
    pub(super) go_run: Option<GoRun>,
}

/// The identity orchestra gives to what it runs, which children inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// None: orchestra did not start it.
    None,
    /// Of this project.
    Ours {
        /// The service.
        service: String,
        /// The lock of its copy is held: something lives there.
        live: bool,
    },
    /// Of another project.
    Other {
        /// The lock of its copy is held.
        live: bool,
    },
    /// Of no form that is known.
    Unknown,
}

/// A Go program by what the linker wrote into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GoProgram {
    /// The import path of its main package, or `command-line-arguments`.
    pub(super) path: String,
    /// Paths of source files were cut (`-trimpath`).
    pub(super) is_trimmed: bool,
    /// It is the binary of tests.
    pub(super) is_test: bool,
    /// Folders it was compiled from, of those that hold a file with a name that a target's package has too.
    pub(super) sources: Vec<SourceFolder>,
}

/// One folder a program was compiled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFolder {
    /// Its path as the compiler named it.
    pub(super) path: PathBuf,
    /// The folder there now; `None`: there is none any more.
    pub(super) id: Option<FileId>,
    /// The import path of that folder.
    pub(super) import_path: Option<String>,
    /// The files it was compiled from.
    pub(super) files: BTreeSet<String>,
}

/// What a `go run` runs, its paths looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GoRun {
    /// The package in this folder.
    Folder(FileId),
    /// This package, as the module in this folder names it.
    Import {
        /// The import path, with its version where one was typed.
        path: String,
        /// The folder of the module `go` stands in.
        module: Option<FileId>,
    },
    /// These files, all of one folder.
    Files {
        /// Their folder.
        folder: FileId,
        /// Their names.
        files: BTreeSet<String>,
    },
    /// Nothing that could be understood.
    Unknown,
}
