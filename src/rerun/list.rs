//! Asks `go list` what packages are made of: one question for all that share module or workspace, environment and flags.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::package::{FIELDS, Package, Raw};
use crate::services::build::{self, CommandLine};
use crate::services::gomod;
use crate::task::id::{BuildKey, ServiceName};
use crate::task::outcome::BuildFailure;
use crate::task::spec::BuildSpec;

/// A service whose parts are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name.
    pub service: ServiceName,
    /// What is built for it.
    pub build: BuildSpec,
    /// Its own folder, where its tests are; `None` where tests are of no interest.
    pub tests_below: Option<PathBuf>,
}

/// One question for `go list`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Where `go` runs.
    pub dir: PathBuf,
    /// What is asked for.
    pub patterns: Vec<OsString>,
    /// Flags of the build.
    pub flags: Vec<String>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// What tests import is asked for, too.
    pub with_tests: bool,
    /// Whose packages these are.
    pub roots: Vec<Root>,
}

/// One of the packages that were asked for, as the beginning of what a service is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Root {
    /// Whose.
    pub service: ServiceName,
    /// Its build.
    pub build: BuildKey,
    /// The folder of the package; for an import path the folder it is looked up from.
    pub dir: PathBuf,
    /// The import path, where it is not the folder that says which package.
    pub import: Option<String>,
    /// Its own folder, where tests are wanted.
    pub tests_below: Option<PathBuf>,
}

/// Groups what is wanted into as few questions as have the same answers.
pub fn queries(wanted: &[Wanted]) -> Vec<Query> {
    let mut out: Vec<Query> = Vec::new();
    for one in wanted {
        let spec = &one.build;
        let shared = build::shared_root(spec);
        let dir = shared.clone().unwrap_or_else(|| spec.dir.clone());
        let fits = |query: &&mut Query| {
            shared.is_some() && query.dir == dir && query.flags == spec.flags && build::same_env(&query.env, &spec.env)
        };
        let query = match out.iter_mut().find(fits) {
            Some(query) => query,
            None => {
                let (flags, env) = (list_flags(&spec.flags), spec.env.clone());
                out.push(Query { dir, patterns: Vec::new(), flags, env, with_tests: false, roots: Vec::new() });
                let Some(last) = out.last_mut() else { continue };
                last
            }
        };
        query.add(one);
    }
    out
}

/// Of a build's flags all but those that `go list` does not know.
fn list_flags(flags: &[String]) -> Vec<String> {
    flags.iter().filter(|flag| !matches!(flag.trim_start_matches('-'), "i" | "v" | "x" | "n" | "a")).cloned().collect()
}

impl Query {
    fn add(&mut self, wanted: &Wanted) {
        let spec = &wanted.build;
        let import = (spec.package != ".").then(|| spec.package.clone());
        let package = match &import {
            Some(path) => OsString::from(path),
            None => below(&self.dir, &spec.dir),
        };
        let tests = wanted.tests_below.clone().filter(|folder| is_same_module(folder, spec));
        let mut patterns = vec![package];
        patterns.extend(tests.as_ref().map(|folder| {
            let mut all = below(&self.dir, folder);
            all.push("/...");
            all
        }));
        for pattern in patterns {
            if !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
        self.with_tests |= tests.is_some();
        let (service, build, dir) = (wanted.service.clone(), spec.key.clone(), spec.dir.clone());
        self.roots.push(Root { service, build, dir, import, tests_below: tests });
    }

    /// The command line that asks.
    pub fn command_line(&self) -> Result<CommandLine, BuildFailure> {
        let go = build::find_go(&self.env)?;
        let mut argv: Vec<OsString> = vec![go.into_os_string(), "list".into(), "-e".into(), "-deps".into()];
        argv.extend(self.with_tests.then(|| "-test".into()));
        argv.push(format!("-json={FIELDS}").into());
        argv.extend(self.flags.iter().map(OsString::from));
        argv.push("--".into());
        argv.extend(self.patterns.iter().cloned());
        Ok(CommandLine { argv, dir: self.dir.clone(), env: at(&self.env, &self.dir) })
    }

    /// Files beside the usual ones that decide about modules: `-modfile`.
    pub fn module_files(&self) -> Vec<PathBuf> {
        let from_env = gomod::lookup(&self.env, "GOFLAGS").and_then(OsStr::to_str).unwrap_or_default();
        let flags = self.flags.iter().map(String::as_str).chain(from_env.split_whitespace());
        let files = flags.filter_map(|flag| flag.trim_start_matches('-').strip_prefix("modfile="));
        let mut out: Vec<PathBuf> = files.map(|file| self.dir.join(file)).collect();
        out.extend(out.clone().into_iter().map(|file| file.with_extension("sum")));
        let named = gomod::lookup(&self.env, "GOWORK").filter(|value| *value != "off" && !value.is_empty());
        out.extend(named.map(PathBuf::from));
        out
    }
}

/// An environment for a program that runs in `dir`: `go` then says paths by the name people use, also through symbolic links.
pub fn at(env: &[(OsString, OsString)], dir: &Path) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = env.iter().filter(|(key, _)| key != "PWD").cloned().collect();
    env.push(("PWD".into(), dir.as_os_str().to_owned()));
    env
}

/// Without a module of its own there may be a folder with a `service.yml` and no Go, the package elsewhere.
fn is_same_module(folder: &Path, spec: &BuildSpec) -> bool {
    let module = |dir: &Path| gomod::module_of(dir).map(|module| module.root);
    folder == spec.dir || module(folder) == module(&spec.dir)
}

/// A folder as `go` wants it: relative to the one it runs in, and with `./` in front.
fn below(dir: &Path, folder: &Path) -> OsString {
    match folder.strip_prefix(dir) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".into(),
        Ok(rest) => {
            let mut out = OsString::from("./");
            out.push(rest);
            out
        }
        Err(_) => folder.as_os_str().to_owned(),
    }
}

/// Reads what `go list` printed, package by package. What comes before a broken end is kept.
pub fn parse(output: impl Read) -> Vec<Package> {
    let mut plain: Vec<Package> = Vec::new();
    let mut variants: Vec<Package> = Vec::new();
    for raw in serde_json::Deserializer::from_reader(std::io::BufReader::new(output)).into_iter::<Raw>() {
        let Ok(raw) = raw else { break };
        let is_variant = raw.is_variant();
        let Some(package) = raw.package() else { continue };
        if is_variant { variants.push(package) } else { plain.push(package) }
    }
    for variant in variants {
        if !plain.iter().any(|known| known.path == variant.path) {
            plain.push(variant);
        }
    }
    plain
}
