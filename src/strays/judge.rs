//! Who is a stray, by what proof, and what forbids ending it. Pure: facts in, verdicts out.
//!
//! Nothing is a stray without a positive proof that its executable is this very service of this very checkout. A working directory, a name, arguments
//! or a port alone prove nothing. One veto is enough to leave a proven stray alone and only say so.

use std::path::Path;

use super::process::{GoProgram, GoRun, Kin, Marker, Process, Snapshot};
use super::programs;
use super::target::{Folder, Target};
use super::veto::{self, Veto};

/// How a stray is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Its program lies in the service's folder and is the service's main package.
    InFolder,
    /// Its program is one that orchestra built for the service, and the copy it belonged to has ended.
    Remains,
    /// Its program was built by `go run` from the service's main package, for its folder.
    GoRunProgram,
    /// It is a `go run` of the service's main package.
    GoRun,
}

impl Rule {
    /// `P1` to `P4`.
    pub fn word(self) -> &'static str {
        match self {
            Rule::InFolder => "P1",
            Rule::Remains => "P2",
            Rule::GoRunProgram => "P3",
            Rule::GoRun => "P4",
        }
    }

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Rule::InFolder => "its program lies in the service's folder and is the service's main package",
            Rule::Remains => "its program was built by orchestra, and the copy it belonged to has ended",
            Rule::GoRunProgram => "its program was built by `go run` from the service's main package",
            Rule::GoRun => "it is a `go run` of the service's main package",
        }
    }
}

/// A stray.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Of which service.
    pub(super) service: String,
    /// Which process.
    pub(super) pid: u32,
    /// By what proof.
    pub(super) rule: Rule,
    /// What forbids ending it.
    pub(super) veto: Option<Veto>,
}

/// The toolchain's own main package.
pub(super) const TOOLCHAIN: &str = "cmd/go";
/// The import path of a package made of files named one by one.
const FILES: &str = "command-line-arguments";

/// Whether a program is the main package of a service.
#[derive(Debug, PartialEq)]
enum Main {
    Yes,
    No,
    /// It is one of the folder's programs, and nothing tells which.
    Unclear,
    /// It is the same package of another checkout.
    Elsewhere(std::path::PathBuf),
}

/// Every stray of these services, one verdict a process, by pid.
pub(super) fn judge(targets: &[Target], snapshot: &Snapshot) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for process in snapshot.processes.values() {
        // Services may share a package, and then a process is a stray of each: one verdict ends it.
        verdicts.extend(targets.iter().find_map(|target| verdict(process, target, snapshot)));
    }
    spare_partners(&mut verdicts, snapshot);
    verdicts
}

/// What one process is to one service.
pub(super) fn verdict(process: &Process, target: &Target, snapshot: &Snapshot) -> Option<Verdict> {
    if !may_be_a_stray(process, snapshot) {
        return None;
    }
    let (rule, main) = proof(process, target, snapshot)?;
    let veto = match main {
        Main::Yes => veto::of(process, target, snapshot),
        Main::Unclear => Some(Veto::Unclear),
        Main::Elsewhere(path) => Some(Veto::OtherCheckout(path)),
        Main::No => return None,
    };
    Some(Verdict { service: target.service.clone(), pid: process.pid, rule, veto })
}

/// What everybody must be of whom more is asked.
fn may_be_a_stray(process: &Process, snapshot: &Snapshot) -> bool {
    let is_ours = !process.users.is_empty() && process.users.iter().all(|user| *user == snapshot.user);
    let is_alive_with_us = matches!(process.marker, Some(Marker::Ours { live: true, .. }))
        || ancestors(process, snapshot).any(|(_, kin)| programs::is_shim(kin));
    is_ours
        && process.shares_pids
        && !process.is_zombie
        && process.pid > 1
        && !snapshot.spared.contains(&process.pid)
        && !is_alive_with_us
}

/// Everyone above a process, its parent first.
pub(super) fn ancestors<'a>(process: &Process, snapshot: &'a Snapshot) -> impl Iterator<Item = (u32, &'a Kin)> {
    let step = |pid: u32| snapshot.kin.get(&pid).map(|kin| (pid, kin));
    // The map may hold no circle, but what is read while parents die could.
    std::iter::successors(step(process.parent), move |(_, kin)| step(kin.parent)).take(64)
}

fn proof(process: &Process, target: &Target, snapshot: &Snapshot) -> Option<(Rule, Main)> {
    if let Some(run) = &process.go_run {
        let is_toolchain = process.go.as_ref().is_some_and(|go| go.path == TOOLCHAIN);
        return (is_toolchain && runs(run, target)).then_some((Rule::GoRun, Main::Yes));
    }
    let go = process.go.as_ref().filter(|go| !go.path.is_empty())?;
    let exe = &process.exe;
    if exe.path.starts_with(&snapshot.dot) {
        let remains =
            matches!(&process.marker, Some(Marker::Ours { service, live: false }) if *service == target.service);
        return (remains && exe.path.starts_with(&snapshot.bin)).then_some((Rule::Remains, Main::Yes));
    }
    let has_place = exe.is_there || exe.is_deleted;
    if super::look::is_built_by_go_run(&exe.path) {
        return run_by_go(process, go, target, snapshot);
    }
    if has_place && process.within.iter().any(|folder| target.has_folder(*folder)) {
        return Some((Rule::InFolder, main(go, target)));
    }
    None
}

/// P3: where it stands, or what a `go run` above it says, ties it to the folder.
fn run_by_go(process: &Process, go: &GoProgram, target: &Target, snapshot: &Snapshot) -> Option<(Rule, Main)> {
    let parent = snapshot.processes.get(&process.parent).and_then(|parent| parent.go_run.as_ref());
    let main = main(go, target);
    let main = match parent {
        // What `go run` was told to run is known: where the program stands says nothing more.
        Some(run) if !runs(run, target) => return None,
        Some(_) if main == Main::Unclear => Main::Yes,
        Some(_) => main,
        None if process.cwd.as_ref().is_some_and(|cwd| target.has_folder(cwd.id)) => main,
        None => return None,
    };
    Some((Rule::GoRunProgram, main))
}

/// Whether a `go run` runs the main package of a service.
fn runs(run: &GoRun, target: &Target) -> bool {
    let Some(package) = &target.package else { return false };
    match run {
        GoRun::Folder(folder) => *folder == package.id,
        GoRun::Import { path, module } => {
            let ours = package.module.as_ref().map(|(root, _)| root);
            target.import_path.as_ref() == Some(path) && ours.is_some() && module.as_ref() == ours
        }
        // A generator beside the service is another program.
        GoRun::Files { folder, files } => *folder == package.id && !files.is_empty() && files.is_subset(&target.files),
        GoRun::Unknown => false,
    }
}

/// Whether a program is the main package of a service, by its own words.
fn main(go: &GoProgram, target: &Target) -> Main {
    let Some(package) = &target.package else { return Main::No };
    if go.is_test && go.path != FILES && target.import_path.as_deref() != Some(&go.path) {
        return Main::No;
    }
    let here: Vec<_> = go.sources.iter().filter(|source| source.id == Some(package.id)).collect();
    if go.path == FILES {
        let files = || here.iter().flat_map(|source| &source.files);
        return match (files().next(), go.is_trimmed) {
            (Some(_), _) if files().all(|name| target.files.contains(name)) => Main::Yes,
            (None, true) => Main::Unclear,
            (Some(_) | None, _) => Main::No,
        };
    }
    if target.import_path.as_deref() != Some(go.path.as_str()) {
        return Main::No;
    }
    let same_elsewhere = |source: &&super::process::SourceFolder| {
        source.id.is_some() && source.id != Some(package.id) && source.import_path.as_deref() == Some(go.path.as_str())
    };
    match go.sources.iter().find(same_elsewhere) {
        Some(other) if here.is_empty() => Main::Elsewhere(other.path.clone()),
        Some(_) | None => Main::Yes,
    }
}

/// A `go run` and what it started live and end together: where one is left alone, so is the other.
fn spare_partners(verdicts: &mut [Verdict], snapshot: &Snapshot) {
    let parent_of = |pid: u32| snapshot.processes.get(&pid).map(|process| process.parent);
    let spared: Vec<u32> = verdicts.iter().filter(|v| v.veto.is_some()).map(|v| v.pid).collect();
    // A program of a `go run` that is no proven stray keeps its `go run`, too.
    let proven: Vec<u32> = verdicts.iter().map(|v| v.pid).collect();
    let unproven: Vec<(u32, u32)> = snapshot
        .processes
        .values()
        .filter(|process| super::look::is_built_by_go_run(&process.exe.path) && !process.is_zombie)
        .filter(|process| !proven.contains(&process.pid))
        .map(|process| (process.pid, process.parent))
        .collect();
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.veto.is_none()) {
        let partner = match verdict.rule {
            Rule::GoRun => {
                let child = spared.iter().find(|pid| parent_of(**pid) == Some(verdict.pid)).copied();
                child.or_else(|| unproven.iter().find(|(_, parent)| *parent == verdict.pid).map(|(pid, _)| *pid))
            }
            Rule::GoRunProgram => parent_of(verdict.pid).filter(|parent| spared.contains(parent)),
            Rule::InFolder | Rule::Remains => None,
        };
        verdict.veto = partner.map(Veto::Partner);
    }
}

/// Whether a process stands in another checkout than the service's.
pub(super) fn is_elsewhere(cwd: &Folder, target: &Target) -> bool {
    let ours = target.package.as_ref().unwrap_or(&target.folder);
    if ours.id == cwd.id || target.folder.id == cwd.id || ours.above.contains(&cwd.id) {
        return false;
    }
    let other_checkout = match (cwd.checkout, ours.checkout) {
        // A checkout around ours, the home folder's for instance, is no other one.
        (Some(theirs), Some(our)) => theirs != our && !ours.above.contains(&theirs),
        (Some(_) | None, _) => false,
    };
    let other_module = match (&cwd.module, &ours.module) {
        (Some((root, path)), Some((our_root, our_path))) => path == our_path && root != our_root,
        (Some(_) | None, _) => false,
    };
    other_checkout || other_module
}

/// The name of a program's file.
pub(super) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
