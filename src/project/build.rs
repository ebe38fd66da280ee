//! What builds a service's binary, and which services share a build.
//!
//! Two services share one where package folder, flags, hooks and those variables are equal that matter to `go`. The binary is named after the first of
//! them by name, whatever is selected, so that a name always means the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::check::{Package, package_folder};
use super::settings::Hash;
use crate::config::env::{Layers, Origin, Variable};
use crate::config::problem::Problem;
use crate::services::dlv;
use crate::services::spec::{Program, ServiceConfig};
use crate::store::intent::Cover;
use crate::task::id::{BuildKey, ServiceName};

/// A build with all but its output's name.
#[derive(Clone, Debug)]
pub struct Build {
    /// Equal keys share it.
    pub key: BuildKey,
    /// Where `go build` runs.
    pub dir: PathBuf,
    /// `.` or an import path.
    pub package: String,
    /// All flags.
    pub flags: Vec<String>,
    /// `go vet` after it.
    pub vet: bool,
    /// Over the service's environment.
    env: BTreeMap<OsString, OsString>,
}

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be run, where the service runs.
    Run,
    /// To be tested, on this machine.
    Test,
}

/// What the command line adds to a build.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The race detector.
    pub race: bool,
    /// For a debugger, whatever the file says.
    pub debug: bool,
    /// Counting of statements.
    pub cover: Option<Cover>,
}

/// The build of a service; `None` where it runs another program. With an architecture it is one for a container of that: Linux, and without cgo unless
/// some file says otherwise, since an empty image has no C library.
pub fn of(
    config: &ServiceConfig,
    layers: &Layers<'_>,
    extra: &Extra,
    arch: Option<String>,
) -> Result<Option<Build>, Vec<Problem>> {
    let Program::Go(package) = &config.program else { return Ok(None) };
    let mut problems = Vec::new();
    let ldflags = match config.build.ldflags.as_ref().map(|template| layers.fill_text(template)) {
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
        Some(Ok(text)) => Some(text),
        None => None,
    };
    let mut env = BTreeMap::new();
    for (key, template) in &config.build.env {
        match layers.fill(template) {
            Ok(value) => drop(env.insert(OsString::from(key), super::environment::os(value))),
            Err(problem) => problems.push(problem),
        }
    }
    let relevant = match layers.some(&|_, key| matters_to_go(key)) {
        Ok(relevant) => relevant,
        Err(more) => {
            problems.extend(more);
            BTreeMap::new()
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    if let Some(arch) = arch {
        let in_files = |variable: &Variable| !matches!(variable.origin, Origin::Caller | Origin::Found);
        env.insert("GOOS".into(), "linux".into());
        env.entry("GOARCH".into()).or_insert_with(|| arch.into());
        if !relevant.get(OsStr::new("CGO_ENABLED")).is_some_and(in_files) {
            env.entry("CGO_ENABLED".into()).or_insert_with(|| "0".into());
        }
    }
    let (dir, package) = match package_folder(&config.folder, &package.value) {
        Package::Folder(folder) => (folder, ".".to_owned()),
        Package::Import(path) => (config.folder.clone(), path),
    };
    let flags = flags(config, ldflags.as_deref(), extra);
    let key = key(config, (&dir, &package), &flags, &relevant, &env);
    Ok(Some(Build { key, dir, package, flags, vet: config.build.vet, env }))
}

fn flags(config: &ServiceConfig, ldflags: Option<&str>, extra: &Extra) -> Vec<String> {
    let build = &config.build;
    let debug = build.debug || extra.debug;
    let mut out = vec!["-buildvcs=false".to_owned()];
    if !build.tags.is_empty() {
        out.push(format!("-tags={}", build.tags.join(",")));
    }
    // `go` takes the last `-ldflags` only, so that both wishes are one flag.
    let no_dwarf = build.no_dwarf.then_some("-w");
    let ldflags: Vec<&str> =
        ldflags.into_iter().map(str::trim).chain(no_dwarf).filter(|text| !text.is_empty()).collect();
    let ldflags = if debug { dlv::link_flags(&ldflags.join(" ")) } else { ldflags.join(" ") };
    if !ldflags.is_empty() {
        out.push(format!("-ldflags={ldflags}"));
    }
    if build.race || extra.race {
        out.push("-race".to_owned());
    }
    match debug {
        true => out.extend(dlv::build_flags(&build.flags)),
        false => out.extend(build.flags.iter().cloned()),
    }
    if let Some(cover) = &extra.cover {
        out.extend(["-cover", "-covermode=atomic"].map(str::to_owned));
        out.push(format!("-coverpkg={}", cover.packages.join(",")));
    }
    out
}

/// Variables that change what `go build` makes or where it finds things.
fn matters_to_go(key: &OsStr) -> bool {
    let Some(key) = key.to_str() else { return false };
    let go = key.starts_with("GO") && !key.starts_with("GOOGLE");
    go || key.starts_with("CGO_")
        || key.starts_with("PKG_CONFIG")
        || ["CC", "CXX", "FC", "AR", "PATH", "HOME"].contains(&key)
}

fn key(
    config: &ServiceConfig,
    (dir, package): (&PathBuf, &str),
    flags: &[String],
    relevant: &BTreeMap<OsString, Variable>,
    env: &BTreeMap<OsString, OsString>,
) -> BuildKey {
    // Two names of one folder are one package.
    let real = dir.canonicalize().unwrap_or_else(|_| dir.clone());
    let mut all: BTreeMap<&OsString, &OsString> =
        relevant.iter().map(|(key, variable)| (key, &variable.value)).collect();
    all.extend(env);
    let hash = Hash::new()
        .os(real.as_os_str())
        .text(package)
        .each(flags, |hash, flag| hash.text(flag))
        .each(all, |hash, (key, value)| hash.os(key).os(value))
        .each(&config.build.before, |hash, command| hash.each(command, |hash, word| hash.text(word)));
    // Who has none keeps the key of earlier binaries.
    let hash = if config.build.vet { hash.text("vet") } else { hash };
    BuildKey(hash.hex())
}

/// For each key the service that the binary is named after.
pub fn names(builds: &BTreeMap<ServiceName, Build>) -> BTreeMap<BuildKey, ServiceName> {
    let mut out = BTreeMap::new();
    for (name, build) in builds {
        out.entry(build.key.clone()).or_insert_with(|| name.clone());
    }
    out
}

impl Build {
    /// The whole environment of the build: the service's without addresses and what names the instance, and `build.env` over it.
    pub fn env(&self, layers: &Layers<'_>) -> Result<Vec<(OsString, OsString)>, Vec<Problem>> {
        let shared = layers.some(&|origin, _| !matches!(origin, Origin::Color | Origin::Found | Origin::Orchestra))?;
        let mut out: BTreeMap<OsString, OsString> =
            shared.into_iter().map(|(key, variable)| (key, variable.value)).collect();
        out.extend(self.env.clone());
        Ok(out.into_iter().collect())
    }
}

/// The names of services whose builds are one.
pub fn sharing(builds: &BTreeMap<ServiceName, Build>, key: &BuildKey) -> BTreeSet<ServiceName> {
    builds.iter().filter(|(_, build)| build.key == *key).map(|(name, _)| name.clone()).collect()
}
