//! What forbids ending a proven stray.

use std::fmt;
use std::path::PathBuf;

use super::judge::{ancestors, is_elsewhere, name_of};
use super::process::{Marker, Process, Snapshot};
use super::programs::{self, Above};
use super::target::Target;

/// Why a stray is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Veto {
    /// A debugger holds it.
    Traced(u32),
    /// It was built for a debugger.
    DebugBinary,
    /// It is the binary of tests.
    Test,
    /// What started it holds it, or would start it again.
    Above(Above, u32, String),
    /// It is a job: it ends by itself, and half a migration is worse than a whole one.
    Job,
    /// It was built from, lies or stands in another checkout.
    OtherCheckout(PathBuf),
    /// It belongs to another orchestra project; its copy is alive or not.
    OtherProject {
        /// The lock is held.
        live: bool,
    },
    /// It carries an identity of no known form.
    StrangeMarker,
    /// It runs in a container.
    Container,
    /// systemd runs it.
    Unit(String),
    /// Its paths have another meaning than ours.
    OtherFiles,
    /// Something about it may not be read.
    Hidden(&'static str),
    /// Its program was built without the paths of its sources, so that it may be another program of the folder.
    Unclear,
    /// The `go run` it belongs to, or the program of that, is left alone.
    Partner(u32),
    /// This system gives no way to be sure whom a signal meets.
    Uncertain,
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Veto::Traced(0) => write!(f, "a debugger holds it"),
            Veto::Traced(pid) => write!(f, "a debugger (pid {pid}) holds it"),
            Veto::DebugBinary => write!(f, "it was built for a debugger"),
            Veto::Test => write!(f, "it is a test"),
            Veto::Job => write!(f, "it is a job, which ends by itself"),
            Veto::Above(Above::Debugger, pid, name) => write!(f, "the debugger `{name}` (pid {pid}) started it"),
            Veto::Above(Above::Watcher, pid, name) => {
                write!(f, "`{name}` (pid {pid}) would start it again: end that first")
            }
            Veto::Above(Above::Ide, pid, name) => write!(f, "`{name}` (pid {pid}) started it: stop it there"),
            Veto::Above(Above::Orchestra, pid, name) => write!(f, "`{name}` (pid {pid}) started it"),
            Veto::OtherCheckout(path) => write!(f, "it belongs to another checkout ({})", path.display()),
            Veto::OtherProject { live: true } => write!(f, "another orchestra project runs it"),
            Veto::OtherProject { live: false } => write!(f, "another orchestra project started it"),
            Veto::StrangeMarker => write!(f, "its ORCHESTRA_RUN has no known form"),
            Veto::Container => write!(f, "it runs in a container"),
            Veto::Unit(name) => write!(f, "systemd runs it as {name}"),
            Veto::OtherFiles => write!(f, "it sees other files than we do (a sandbox or a container)"),
            Veto::Hidden(what) => write!(f, "its {what} may not be read"),
            Veto::Unclear => write!(
                f,
                "it was built with -trimpath from single files, so nothing tells which program of the folder it is"
            ),
            Veto::Partner(pid) => write!(f, "it belongs to pid {pid}, which is left alone"),
            Veto::Uncertain => write!(f, "this system gives no way to be sure whom a signal meets"),
        }
    }
}

/// The first thing that forbids ending a process that is proven to be a stray.
pub(super) fn of(process: &Process, target: &Target, snapshot: &Snapshot) -> Option<Veto> {
    if let Some(tracer) = process.tracer {
        return Some(Veto::Traced(tracer));
    }
    let name = name_of(&process.exe.path);
    if name.starts_with("__debug_bin") {
        return Some(Veto::DebugBinary);
    }
    if target.is_job {
        return Some(Veto::Job);
    }
    if is_test(process) {
        return Some(Veto::Test);
    }
    above(process, snapshot)
        .or_else(|| marked(process))
        .or_else(|| elsewhere(process, target))
        .or_else(|| contained(process, snapshot))
        .or_else(|| (!snapshot.certain).then_some(Veto::Uncertain))
}

fn is_test(process: &Process) -> bool {
    let is_flag = |word: &std::ffi::OsString| {
        let word = word.as_encoded_bytes();
        word.starts_with(b"-test.") || word.starts_with(b"--test.")
    };
    name_of(&process.exe.path).ends_with(".test")
        || process.go.as_ref().is_some_and(|go| go.is_test)
        || process.argv.iter().skip(1).any(is_flag)
}

/// A shell that a person types into stands for the person: what an IDE's terminal started, a person started. A debugger or a watcher above it holds
/// or repeats what happens below all the same.
fn above(process: &Process, snapshot: &Snapshot) -> Option<Veto> {
    let mut by_hand = false;
    for (pid, kin) in ancestors(process, snapshot) {
        if programs::is_interactive_shell(kin) {
            by_hand = true;
        }
        match programs::above(kin) {
            Some((Above::Ide, _)) if by_hand => {}
            Some((what, name)) => return Some(Veto::Above(what, pid, name)),
            None => {}
        }
    }
    None
}

fn marked(process: &Process) -> Option<Veto> {
    match &process.marker {
        Some(Marker::None | Marker::Ours { .. }) => None,
        Some(Marker::Other { live }) => Some(Veto::OtherProject { live: *live }),
        Some(Marker::Unknown) => Some(Veto::StrangeMarker),
        None => Some(Veto::Hidden("environment")),
    }
}

fn elsewhere(process: &Process, target: &Target) -> Option<Veto> {
    let Some(cwd) = &process.cwd else { return Some(Veto::Hidden("working directory")) };
    is_elsewhere(cwd, target).then(|| Veto::OtherCheckout(cwd.path.clone()))
}

fn contained(process: &Process, snapshot: &Snapshot) -> Option<Veto> {
    if !process.shares_files {
        return Some(Veto::OtherFiles);
    }
    let Some(cgroup) = &process.cgroup else { return Some(Veto::Hidden("control group")) };
    if *cgroup == snapshot.cgroup {
        return None;
    }
    for line in cgroup.lines().filter(|line| !snapshot.cgroup.lines().any(|ours| ours == *line)) {
        let path = line.splitn(3, ':').nth(2).unwrap_or_default();
        if programs::is_container(path) {
            return Some(Veto::Container);
        }
        if let Some(unit) = programs::service_unit(path) {
            return Some(Veto::Unit(unit.to_owned()));
        }
    }
    None
}
