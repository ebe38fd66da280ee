//! From what shall be built to `go build` command lines, and from their results to binaries in place.
//!
//! Packages with equal settings under one module or workspace share one `go build`, which is many times faster than one each. A shared build that fails
//! leaves every output as it was and says for none of its members alone who was at fault: whoever runs it builds each member alone then (cheap, what
//! compiled is cached), so that every failure is told to the right service and the others get their binaries.
//!
//! `go` writes into a staging folder of one build, never into an output; an output is replaced by one rename, and only by a binary whose bytes differ.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{buildid, gomod, problems};
use crate::error::{Context, PathError};
use crate::task::id::{Artifact, BuildKey};
use crate::task::outcome::{BuildBatch, BuildFailure, Outcome};
use crate::task::spec::BuildSpec;

/// A `go build` ready to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// `argv[0]` is absolute.
    pub argv: Vec<OsString>,
    /// Where it runs; paths in its output are relative to it.
    pub dir: PathBuf,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Groups what is to be built into as few `go build`s as give the same binaries. Equal keys are built once; the order of first appearance stays.
pub fn batches(specs: Vec<Arc<BuildSpec>>) -> Vec<BuildBatch> {
    let mut groups: Vec<Group> = Vec::new();
    let mut seen: Vec<BuildKey> = Vec::new();
    for spec in specs {
        if seen.contains(&spec.key) {
            continue;
        }
        seen.push(spec.key.clone());
        let place = Place::of(&spec);
        let fits = |g: &&mut Group| place.as_ref().is_some_and(|p| g.takes(p, &spec));
        match groups.iter_mut().find(fits) {
            Some(group) => group.add(place, spec),
            None => groups.push(Group::new(place, spec)),
        }
    }
    groups.into_iter().map(|g| BuildBatch { members: g.members }).collect()
}

/// The command line that builds `batch` into `staging`, an absolute path.
pub fn command_line(batch: &BuildBatch, staging: &Path) -> Result<CommandLine, BuildFailure> {
    let layout = Layout::of(batch, staging);
    let target = ["-o".into(), layout.target.clone()];
    go(batch, "build", &target, layout)
}

/// The command line that looks through the packages of a batch that was built into `staging`; `None` where nobody asked for it.
pub fn vet(batch: &BuildBatch, staging: &Path) -> Option<Result<CommandLine, BuildFailure>> {
    let asked = batch.members.first().is_some_and(|member| member.vet);
    asked.then(|| go(batch, "vet", &[], Layout::of(batch, staging)))
}

/// Flags that only `go build` understands.
fn is_for_builds_only(flag: &str) -> bool {
    flag.trim_start_matches('-').starts_with("cover")
}

fn go(batch: &BuildBatch, verb: &str, more: &[OsString], layout: Layout) -> Result<CommandLine, BuildFailure> {
    let Some(first) = batch.members.first() else { return Err(said("there is nothing to build".to_owned())) };
    let go = find_go(&first.env)?;
    let mut argv: Vec<OsString> = vec![go.into_os_string(), verb.into()];
    let knows = |flag: &&String| verb == "build" || !is_for_builds_only(flag);
    argv.extend(first.flags.iter().filter(knows).map(OsString::from));
    if !first.flags.iter().any(|f| f.contains("-buildvcs")) {
        argv.push("-buildvcs=false".into());
    }
    argv.extend(more.iter().cloned());
    argv.extend(layout.packages);
    let mut env = first.env.clone();
    // As a shell's `cd` does it: `go` then sees the folder by the name people use, also through symlinks.
    env.retain(|(k, _)| k != "PWD");
    env.push(("PWD".into(), layout.dir.clone().into_os_string()));
    Ok(CommandLine { argv, dir: layout.dir, env })
}

/// The folders in `bin` that builds write to begin with this.
pub const STAGING: &str = ".staging-";

/// Makes `staging` anew and links the present outputs into it under the names `go` will use, so that a binary which is up to date is not linked again.
/// `go` removes before it writes, so the running binary behind the link is never touched.
pub fn prepare(batch: &BuildBatch, staging: &Path) -> Result<(), PathError> {
    discard(staging)?;
    fs::create_dir_all(staging).context("create", staging)?;
    for (member, staged) in batch.members.iter().zip(Layout::of(batch, staging).binaries) {
        // `go` refuses to write over what it does not take for a binary, such as one that a full disk cut short.
        let is_file = fs::symlink_metadata(&member.output).is_ok_and(|m| m.is_file());
        let has_id = || File::open(&member.output).is_ok_and(|file| buildid::build_id(&file).is_some());
        if is_file && has_id() {
            // A file system without hard links only costs the link step.
            _ = fs::hard_link(&member.output, &staged);
        }
    }
    Ok(())
}

/// Removes from `bin` what builds of a supervisor that died have left half done. Nobody may be building there.
pub fn sweep(bin: &Path) {
    // Whatever cannot be listed or removed lies there a while longer and harms nothing.
    for entry in fs::read_dir(bin).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(STAGING.as_bytes()) {
            _ = discard(&entry.path());
        }
    }
}

/// Puts what was built in place and says what became of each member. `output` is all that `go` said, `root` the project, for the paths in it. A failed
/// batch of several gives each member the same failure: build them alone to know whose it is. Removes `staging`.
pub fn finish(
    batch: &BuildBatch,
    staging: &Path,
    outcome: &Outcome,
    output: &[u8],
    root: &Path,
) -> Vec<(BuildKey, Result<Artifact, BuildFailure>)> {
    let layout = Layout::of(batch, staging);
    let failure = if outcome.code == Some(0) { None } else { Some(failed(outcome, output, &layout.dir, root)) };
    let place = |(member, staged): (&Arc<BuildSpec>, PathBuf)| {
        let result = match &failure {
            Some(failure) => Err(failure.clone()),
            None => install(member, &staged, root),
        };
        (member.key.clone(), result)
    };
    let results = batch.members.iter().zip(layout.binaries).map(place).collect();
    // What cannot be removed now is removed by the next `prepare`.
    _ = discard(staging);
    results
}

/// The absolute path of `go` in the `PATH` of `env`.
pub fn find_go(env: &[(OsString, OsString)]) -> Result<PathBuf, BuildFailure> {
    let path = gomod::lookup(env, "PATH").unwrap_or_default();
    let found = std::env::split_paths(path).filter(|d| d.is_absolute()).map(|d| d.join("go")).find(|p| runs(p));
    found.ok_or_else(|| {
        let usual = ["/usr/local/go/bin", "/usr/lib/go/bin", "/opt/homebrew/bin", "/snap/bin"];
        said(match usual.into_iter().find(|d| runs(&Path::new(d).join("go"))) {
            Some(dir) => format!("`go` is not in PATH, but in {dir}: type `export PATH=\"$PATH:{dir}\"` and start again"),
            None => "`go` is not in PATH: install Go from https://go.dev/dl/ (or `apt install golang-go`, `brew install go`)".to_owned(),
        })
    })
}

fn runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The folder of the module or workspace from which `go` answers about this package and others of equal settings at once; `None` where it must be asked
/// from the package's own folder.
pub fn shared_root(spec: &BuildSpec) -> Option<PathBuf> {
    Place::of(spec).map(|place| place.root)
}

/// Where a package stands within the module or workspace it can be built from together with others.
struct Place {
    /// The folder `go build` runs in.
    root: PathBuf,
    /// The base name `go` gives the binary.
    name: String,
}

impl Place {
    /// `None`: it must be built alone, from its own folder.
    fn of(spec: &BuildSpec) -> Option<Place> {
        let plain = spec.package == "." && spec.before.is_empty();
        if !plain || gomod::lookup(&spec.env, "GO111MODULE").is_some_and(|v| v == "off") || reads_paths(spec) {
            return None;
        }
        let module = gomod::module_of(&spec.dir)?;
        let inside = spec.dir.strip_prefix(&module.root).ok()?.to_str()?;
        let root = match gomod::workspace_of(&spec.dir, &spec.env) {
            Some(work) if module.root.starts_with(&work) => work,
            Some(_) | None => module.root.clone(),
        };
        let below = spec.dir.strip_prefix(&root).ok()?;
        let unusual = below.to_str()?.contains(['@', '*']) || below.to_str()?.contains("...");
        let straight = fs::canonicalize(&root).ok()?.join(below) == fs::canonicalize(&spec.dir).ok()?;
        let import_path = format!("{}/{inside}", module.directives.module?);
        let name = gomod::binary_name(&import_path)?.to_owned();
        if unusual || !straight { None } else { Some(Place { root, name }) }
    }
}

/// Flags whose meaning depends on the folder `go` runs in.
fn reads_paths(spec: &BuildSpec) -> bool {
    const PATHS: [&str; 8] = ["-C", "-modfile", "-overlay", "-pkgdir", "-pgo", "-o", "-toolexec", "-extldflags"];
    let from_env = gomod::lookup(&spec.env, "GOFLAGS").unwrap_or_default().to_string_lossy().into_owned();
    spec.flags.iter().map(String::as_str).chain(from_env.split_whitespace()).any(|flag| {
        let flag = flag.strip_prefix('-').filter(|f| f.starts_with('-')).unwrap_or(flag);
        PATHS.iter().any(|p| flag.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    })
}

struct Group {
    root: Option<PathBuf>,
    names: Vec<String>,
    members: Vec<Arc<BuildSpec>>,
}

impl Group {
    fn new(place: Option<Place>, spec: Arc<BuildSpec>) -> Group {
        let (root, name) = place.map_or((None, None), |p| (Some(p.root), Some(p.name)));
        Group { root, names: name.into_iter().collect(), members: vec![spec] }
    }

    fn takes(&self, place: &Place, spec: &BuildSpec) -> bool {
        let same = |other: &BuildSpec| {
            other.flags == spec.flags
                && other.vet == spec.vet
                && other.caller == spec.caller
                && same_env(&other.env, &spec.env)
        };
        self.root.as_ref() == Some(&place.root)
            && !self.names.contains(&place.name)
            && self.members.iter().all(|m| m.output != spec.output)
            && self.members.first().is_some_and(|m| same(m))
    }

    fn add(&mut self, place: Option<Place>, spec: Arc<BuildSpec>) {
        self.names.extend(place.map(|p| p.name));
        self.members.push(spec);
    }
}

/// Equal in what `go`, and the C compiler and version control below it, look at. What else a service's own environment holds is no matter of its
/// build, and must not cost it the company of the others.
pub fn same_env(a: &[(OsString, OsString)], b: &[(OsString, OsString)]) -> bool {
    let of = |env: &[(OsString, OsString)]| {
        let mut kept: Vec<_> = env.iter().filter(|(key, _)| matters(key)).cloned().collect();
        kept.sort();
        kept
    };
    a == b || of(a) == of(b)
}

fn matters(key: &OsStr) -> bool {
    const STARTS: [&str; 8] = ["GO", "CGO_", "PKG_CONFIG", "GIT_", "SSH_", "CCACHE_", "SDK", "XDG_"];
    const ENDS: [&str; 5] = ["_INCLUDE_PATH", "LIBRARY_PATH", "_PROXY", "_proxy", "FLAGS"];
    const NAMES: [&str; 16] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "CC",
        "CXX",
        "FC",
        "AR",
        "LD",
        "CPATH",
        "NETRC",
        "USER",
        "LANG",
        "LC_ALL",
        "NO_COLOR",
        "SOURCE_DATE_EPOCH",
        "DEVELOPER_DIR",
    ];
    let Some(key) = key.to_str() else { return false };
    NAMES.contains(&key) || STARTS.iter().any(|s| key.starts_with(s)) || ENDS.iter().any(|e| key.ends_with(e))
}

/// Where `go build` runs, what it is told, and where each binary will lie.
struct Layout {
    dir: PathBuf,
    target: OsString,
    packages: Vec<OsString>,
    binaries: Vec<PathBuf>,
}

impl Layout {
    /// The same for the same batch, so that `prepare`, `command_line` and `finish` agree.
    fn of(batch: &BuildBatch, staging: &Path) -> Layout {
        let places: Option<Vec<Place>> = match batch.members.as_slice() {
            [_] => None,
            several => several.iter().map(|m| Place::of(m)).collect(),
        };
        match places {
            Some(places) => Layout::shared(batch, staging, places),
            None => Layout::alone(batch, staging),
        }
    }

    fn shared(batch: &BuildBatch, staging: &Path, places: Vec<Place>) -> Layout {
        let dir = places.first().map(|p| p.root.clone()).unwrap_or_default();
        let package = |m: &Arc<BuildSpec>| {
            let mut path = OsString::from("./");
            path.push(m.dir.strip_prefix(&dir).unwrap_or(&m.dir));
            path
        };
        let packages = batch.members.iter().map(package).collect();
        let mut target = staging.as_os_str().to_owned();
        target.push("/");
        Layout { packages, target, binaries: places.into_iter().map(|p| staging.join(p.name)).collect(), dir }
    }

    fn alone(batch: &BuildBatch, staging: &Path) -> Layout {
        let member = batch.members.first();
        let name = member.and_then(|m| m.output.file_name()).unwrap_or(OsStr::new("binary"));
        let binary = staging.join(name);
        Layout {
            dir: member.map(|m| m.dir.clone()).unwrap_or_default(),
            target: binary.clone().into_os_string(),
            packages: member.map(|m| OsString::from(&m.package)).into_iter().collect(),
            // A shared batch whose folder changed under us: only its first binary is made, the others are told so.
            binaries: batch
                .members
                .iter()
                .enumerate()
                .map(|(i, _)| if i == 0 { binary.clone() } else { staging.join("-") })
                .collect(),
        }
    }
}

/// Moves one binary into place where it differs from what is there.
fn install(spec: &BuildSpec, staged: &Path, root: &Path) -> Result<Artifact, BuildFailure> {
    let in_words = |e: PathError| said(format!("{e}: {}", e.source));
    let package = spec.dir.strip_prefix(root).unwrap_or(&spec.dir).display().to_string();
    if !is_program(staged) {
        let what = if package.is_empty() { ".".to_owned() } else { package };
        return Err(said(format!(
            "`{what}` made no program: its package is not `main`, or its folder changed during the build"
        )));
    }
    let artifact = buildid::artifact(staged).map_err(in_words)?;
    if !same_bytes(staged, &spec.output) {
        replace(staged, &spec.output).map_err(in_words)?;
    }
    Ok(artifact)
}

/// `go build -o file` of a package that is not `main` writes an archive and succeeds.
fn is_program(path: &Path) -> bool {
    let mut magic = [0; 8];
    let read = File::open(path).and_then(|mut f| f.read_exact(&mut magic));
    read.is_ok() && &magic != b"!<arch>\n" && runs(path)
}

/// Whether both are the same file, or hold the same bytes.
fn same_bytes(a: &Path, b: &Path) -> bool {
    let (Ok(ma), Ok(mb)) = (fs::metadata(a), fs::symlink_metadata(b)) else { return false };
    if !mb.is_file() || ma.len() != mb.len() || mb.permissions().mode() & 0o100 == 0 {
        return false;
    }
    (ma.dev(), ma.ino()) == (mb.dev(), mb.ino()) || matches!(compare(a, b), Ok(true))
}

fn compare(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        if b.read_exact(&mut right[..n]).is_err() || left[..n] != right[..n] {
            return Ok(false);
        }
    }
}

/// By rename; over the border of a file system through a copy beside the target.
fn replace(staged: &Path, output: &Path) -> Result<(), PathError> {
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent).context("create", parent)?;
    }
    match fs::rename(staged, output) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            let mut beside = output.as_os_str().to_owned();
            beside.push(format!(".new-{}", std::process::id()));
            let beside = PathBuf::from(beside);
            fs::copy(staged, &beside).context("copy", staged)?;
            fs::rename(&beside, output).context("replace", output)
        }
        other => other.context("replace", output),
    }
}

/// Removes what a build left behind.
pub fn discard(staging: &Path) -> Result<(), PathError> {
    match fs::remove_dir_all(staging) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).context("remove", staging),
        _ => Ok(()),
    }
}

fn failed(outcome: &Outcome, output: &[u8], dir: &Path, root: &Path) -> BuildFailure {
    let ended = match (outcome.code, outcome.signal) {
        _ if outcome.oom => Some("`go build` was killed: out of memory".to_owned()),
        (_, Some(signal)) => Some(format!("`go build` was ended by signal {signal}")),
        (None, None) => Some("`go build` was lost before it ended".to_owned()),
        (Some(_), None) => None,
    };
    match (ended, problems::parse(output, dir, root)) {
        (Some(ended), found) => BuildFailure { error: ended, problems: found.map(|f| f.problems).unwrap_or_default() },
        (None, Some(found)) => found,
        (None, None) => {
            said(format!("`go build` failed with code {} and said nothing", outcome.code.unwrap_or_default()))
        }
    }
}

fn said(error: String) -> BuildFailure {
    BuildFailure { error, problems: Vec::new() }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
