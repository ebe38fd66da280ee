//! One look at the machine's processes. Cheap questions come first: only a process of our user whose program lies where a stray's would is asked more.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::process::{GoProgram, GoRun, Kin, Marker, Process, Snapshot, SourceFolder};
use super::target::{self, Folder, Target};
use crate::services::gorun::{self, Runs};
use crate::services::{buildid, sources};
use crate::sys::home::Home;
use crate::sys::inspect::{self, FileId};
use crate::sys::{lock, os};
use crate::task::id::{InstanceId, ServiceName};

/// A line of ancestors is no longer.
const DEEPEST: usize = 64;
/// What makes a folder a thing of its own: what lies in it belongs to nothing above it.
const OWN: [&str; 4] = ["service.yml", "go.mod", ".git", "orchestra.yml"];

/// Which project looks, and for whom.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Its folders.
    pub home: Home,
    /// The command that asked.
    pub caller: Option<u32>,
}

/// Looks at every process, or at these. Targets that may be concerned learn the names of their package's files.
pub(super) fn look(targets: &mut [Target], ground: &Ground, only: Option<&[u32]>) -> Snapshot {
    let home = &ground.home;
    let mut snapshot = Snapshot {
        bin: home.bin(),
        dot: home.dot.clone(),
        cgroup: inspect::cgroup(std::process::id()).unwrap_or_default(),
        user: nix::unistd::geteuid().as_raw(),
        certain: inspect::CERTAIN,
        ..Snapshot::default()
    };
    for pid in [Some(std::process::id()), ground.caller].into_iter().flatten() {
        let above = lineage(pid, &mut snapshot.kin);
        snapshot.spared.extend(above);
    }
    let places = Places::of(targets, home);
    let pids = only.map_or_else(|| os::pids().unwrap_or_default(), <[u32]>::to_vec);
    for pid in pids {
        if let Some(process) = places.read(pid, home) {
            lineage(process.parent, &mut snapshot.kin);
            snapshot.processes.insert(pid, process);
        }
    }
    if !snapshot.processes.is_empty() {
        read_programs(targets, &mut snapshot);
    }
    snapshot
}

/// Where a program must lie to be looked at.
struct Places {
    folders: HashSet<PathBuf>,
    bin: PathBuf,
}

impl Places {
    fn of(targets: &[Target], home: &Home) -> Places {
        let folders = targets.iter().flat_map(|t| [Some(&t.folder), t.package.as_ref()]).flatten();
        Places { folders: folders.map(|folder| folder.path.clone()).collect(), bin: home.bin() }
    }

    fn has(&self, exe: &Path) -> bool {
        exe.file_name() == Some(OsStr::new("go"))
            || is_built_by_go_run(exe)
            || exe.starts_with(&self.bin)
            || exe.ancestors().skip(1).any(|folder| self.folders.contains(folder))
    }

    /// A process that may be a stray; `None` for all others, and for one that went away meanwhile.
    fn read(&self, pid: u32, home: &Home) -> Option<Process> {
        if !inspect::is_ours(pid) {
            return None;
        }
        let path = crate::sys::listeners::exe(pid)?;
        let shown = path.as_os_str().as_bytes();
        let path = Path::new(OsStr::from_bytes(shown.strip_suffix(b" (deleted)").unwrap_or(shown)));
        if !self.has(path) {
            return None;
        }
        let stat = inspect::stat(pid).ok()?;
        let status = inspect::status(pid).ok()?;
        let exe = inspect::exe(pid).ok()?;
        let cwd = inspect::working_dir(pid).ok().map(|(path, id)| Folder::known(path, id));
        let argv = inspect::argv(pid).ok()?;
        let is_go = exe.path.file_name() == Some(OsStr::new("go"));
        let go_run = is_go.then(|| go_run(&argv, cwd.as_ref()));
        let process = Process {
            pid,
            parent: stat.parent,
            start_time: stat.start_time,
            is_zombie: stat.is_zombie,
            users: status.users,
            shares_pids: inspect::shares_pids(pid).unwrap_or(false),
            shares_files: inspect::shares_files(pid).unwrap_or(false),
            tracer: status.tracer,
            within: within(&exe.path),
            exe,
            cwd,
            argv,
            marker: inspect::variable(pid, "ORCHESTRA_RUN").ok().map(|text| marker(text.as_deref(), home)),
            cgroup: inspect::cgroup(pid).ok(),
            go: None,
            go_run: go_run.flatten(),
        };
        // All of this was read of one and the same process, before it could become another program.
        let same = inspect::stat(pid).is_ok_and(|again| again.start_time == process.start_time)
            && inspect::exe(pid).is_ok_and(|again| again.file == process.exe.file);
        same.then_some(process)
    }
}

/// `…/go-build123/b001/exe/api`, or `…/ab/ab…64 digits…-d/api` of Go's cache.
pub(super) fn is_built_by_go_run(exe: &Path) -> bool {
    let part = |n: usize| exe.iter().rev().nth(n).map(OsStr::as_bytes).unwrap_or_default();
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_hex = |text: &[u8]| text.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let temporary = part(1) == b"exe"
        && part(2).strip_prefix(b"b").is_some_and(is_number)
        && part(3).strip_prefix(b"go-build").is_some_and(is_number);
    let hash = part(1).strip_suffix(b"-d").unwrap_or_default();
    let cached = hash.len() == 64 && is_hex(hash) && part(2).len() == 2 && hash.starts_with(part(2));
    temporary || cached
}

/// Everyone from `pid` upward, itself included.
fn lineage(pid: u32, kin: &mut BTreeMap<u32, Kin>) -> Vec<u32> {
    let mut line = Vec::new();
    let mut at = pid;
    while at != 0 && line.len() < DEEPEST && !line.contains(&at) {
        line.push(at);
        if let Some(known) = kin.get(&at) {
            at = known.parent;
            continue;
        }
        let Ok(stat) = inspect::stat(at) else { break };
        let exe = crate::sys::listeners::exe(at);
        let argv = inspect::argv(at).unwrap_or_default();
        kin.insert(at, Kin { parent: stat.parent, exe, argv, has_terminal: stat.has_terminal });
        at = stat.parent;
    }
    line
}

/// The folders a file lies in, up to the first that is a thing of its own.
fn within(exe: &Path) -> Vec<FileId> {
    let mut out = Vec::new();
    for folder in exe.ancestors().skip(1) {
        let Some(id) = target::id(folder) else { continue };
        out.push(id);
        if OWN.iter().any(|name| std::fs::symlink_metadata(folder.join(name)).is_ok()) {
            break;
        }
    }
    out
}

/// `<device>-<inode>/<service>/<number>/<uuid>`
fn marker(text: Option<&OsStr>, home: &Home) -> Marker {
    let Some(text) = text else { return Marker::None };
    let parts: Option<Vec<&str>> = text.to_str().map(|text| text.split('/').collect());
    let Some([project, service, number, _uuid]) = parts.as_deref() else { return Marker::Unknown };
    let is_project = project.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && project.contains('-');
    let Some(service) = ServiceName::fold(service).filter(|_| is_project) else { return Marker::Unknown };
    let slot = format!("{service}.{number}");
    if *number != "build" && InstanceId::parse(&slot).is_none() {
        return Marker::Unknown;
    }
    let user = home.runtime.parent().unwrap_or(&home.runtime);
    let theirs = Home { runtime: user.join(project), ..home.clone() };
    // What cannot be told counts as alive.
    let live = lock::is_held(&theirs.shim_file(&slot, ".lock")).unwrap_or(true);
    match theirs.runtime == home.runtime {
        true => Marker::Ours { service: service.to_string(), live },
        false => Marker::Other { live },
    }
}

/// What a `go` runs; `None` where it does not run anything.
fn go_run(argv: &[std::ffi::OsString], cwd: Option<&Folder>) -> Option<GoRun> {
    let is_run = argv.iter().skip(1).any(|word| word == "run");
    if !is_run {
        return None;
    }
    let (Some(runs), Some(cwd)) = (gorun::parse(argv), cwd) else { return Some(GoRun::Unknown) };
    let run = match runs {
        Runs::Package(name) => {
            let bytes = name.as_bytes();
            match bytes.starts_with(b".") || bytes.starts_with(b"/") {
                true => target::id(&cwd.path.join(&name)).map(GoRun::Folder),
                false => name.to_str().map(|path| GoRun::Import {
                    path: path.to_owned(),
                    module: cwd.module.as_ref().map(|(root, _)| *root),
                }),
            }
        }
        Runs::Files(files) => files_of(&files, cwd),
    };
    Some(run.unwrap_or(GoRun::Unknown))
}

fn files_of(files: &[std::ffi::OsString], cwd: &Folder) -> Option<GoRun> {
    let mut folders = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in files {
        let path = cwd.path.join(file);
        folders.insert(target::id(path.parent()?)?);
        names.insert(path.file_name()?.to_str()?.to_owned());
    }
    match folders.into_iter().collect::<Vec<_>>()[..] {
        [folder] => Some(GoRun::Files { folder, files: names }),
        _ => None,
    }
}

/// What the programs say of themselves.
fn read_programs(targets: &mut [Target], snapshot: &mut Snapshot) {
    for target in targets.iter_mut() {
        if snapshot.processes.values().any(|process| may_concern(target, process)) {
            target.complete();
        }
    }
    let names: BTreeSet<&str> = targets.iter().flat_map(|target| &target.files).map(String::as_str).collect();
    let mut known: BTreeMap<FileId, Option<GoProgram>> = BTreeMap::new();
    for process in snapshot.processes.values_mut() {
        let program = known.entry(process.exe.file).or_insert_with(|| program(process.pid, process.exe.file, &names));
        process.go.clone_from(program);
    }
}

fn may_concern(target: &Target, process: &Process) -> bool {
    let near = process.within.iter().chain(process.cwd.as_ref().map(|cwd| &cwd.id)).any(|id| target.has_folder(*id));
    near || match &process.go_run {
        Some(GoRun::Folder(folder) | GoRun::Files { folder, .. }) => target.has_folder(*folder),
        Some(GoRun::Import { .. }) => true,
        Some(GoRun::Unknown) | None => false,
    }
}

fn program(pid: u32, id: FileId, names: &BTreeSet<&str>) -> Option<GoProgram> {
    let file = inspect::open_exe(pid).ok()?;
    if target::id_of(&file) != Some(id) {
        return None;
    }
    let info = buildid::build_info(&file)?;
    let is_trimmed = info.settings.iter().any(|(key, value)| key == "-trimpath" && value == "true");
    // The toolchain itself is asked for nothing more.
    if info.path == super::judge::TOOLCHAIN {
        return Some(GoProgram { path: info.path, is_trimmed, ..GoProgram::default() });
    }
    let (is_test, sources) = read_sources(&file, names);
    Some(GoProgram { path: info.path, is_trimmed, is_test, sources })
}

fn read_sources(file: &File, names: &BTreeSet<&str>) -> (bool, Vec<SourceFolder>) {
    let all = sources::of(file);
    let is_test = sources::are_of_a_test(&all);
    let of_interest = all.into_iter().filter(|(_, files)| files.iter().any(|name| names.contains(name.as_str())));
    let folder = |(path, files): (PathBuf, BTreeSet<String>)| {
        let here = Folder::at(&path);
        let (id, import_path) = here.map_or((None, None), |here| (Some(here.id), here.import_path()));
        SourceFolder { path, id, import_path, files }
    };
    (is_test, of_interest.map(folder).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_go_run_puts_programs() {
        let hash = "4d86c18f5225813a1ce9a67a249fa7f8cfb014219463646d59d3fc50ea0a952d";
        for path in ["/tmp/go-build253312419/b001/exe/api".to_owned(), format!("/root/.cache/go-build/4d/{hash}-d/api")]
        {
            assert!(is_built_by_go_run(Path::new(&path)), "{path}");
        }
        for path in [
            "/tmp/go-build1/b001/api".to_owned(),
            "/tmp/go-build1/b001/vet/api".to_owned(),
            "/tmp/go-buildx/b001/exe/api".to_owned(),
            "/tmp/go-build/b001/exe/api".to_owned(),
            format!("/c/4e/{hash}-d/api"),
            format!("/c/4d/{hash}/api"),
            "/api".to_owned(),
        ] {
            assert!(!is_built_by_go_run(Path::new(&path)), "{path}");
        }
    }

    #[test]
    fn a_marker_of_no_known_form_is_nobodys() {
        let home = Home { root: "/p".into(), dot: "/p/.orchestra".into(), runtime: "/nowhere/1-2".into() };
        let read = |text: &str| marker(Some(OsStr::new(text)), &home);
        assert_eq!(marker(None, &home), Marker::None);
        assert_eq!(read("1-2/api/1/u"), Marker::Ours { service: "api".into(), live: false });
        assert_eq!(read("1-2/api/build/u"), Marker::Ours { service: "api".into(), live: false });
        assert_eq!(read("1-3/api/1/u"), Marker::Other { live: false });
        for text in ["", "1-2/api/1", "1-2/api/../u", "../1-2/api/1/u", "..-/api/1/u", "1-2//1/u", "1-2/api/0/u"] {
            assert_eq!(read(text), Marker::Unknown, "{text}");
        }
    }

    #[test]
    fn a_thing_of_its_own_ends_the_way_up() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("api/bin/nested/bin")).unwrap();
        std::fs::write(root.join("api/service.yml"), "").unwrap();
        std::fs::write(root.join("api/bin/nested/go.mod"), "").unwrap();
        let id = |path: &str| target::id(&root.join(path)).unwrap();
        assert_eq!(within(&root.join("api/bin/api")), [id("api/bin"), id("api")]);
        assert_eq!(within(&root.join("api/bin/nested/bin/api")), [id("api/bin/nested/bin"), id("api/bin/nested")]);
    }
}
