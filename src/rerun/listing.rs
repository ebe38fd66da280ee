//! The answer to one question, kept usable while code is broken: what a package was made of when it last could be read stays until it can be read again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::list::{self, Query, Root};
use super::package::Package;
use crate::services::problems;
use crate::task::outcome::BuildFailure;

/// What `go list` said, as its process ended.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its standard output.
    pub output: &'a [u8],
    /// Its standard error.
    pub errors: &'a [u8],
    /// It exited with 0.
    pub is_whole: bool,
}

/// The packages of one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The question.
    pub query: Query,
    /// By import path; none of Go's own.
    pub packages: BTreeMap<String, Package>,
    /// Why the newest answer is of no use, where it is not: the packages are those of the one before.
    pub failure: Option<BuildFailure>,
    /// Files and folders whose real path is another than the one `go` says.
    pub real: BTreeMap<PathBuf, PathBuf>,
}

impl Listing {
    /// Reads an answer. `last` is the one before to the same question, `project` the folder that paths in messages are relative to.
    pub fn read(query: Query, answer: Answer<'_>, last: Option<&Listing>, project: &Path) -> Listing {
        let listed = list::parse(answer.output);
        let dir = query.dir.clone();
        let mut out = Listing { query, packages: BTreeMap::new(), failure: None, real: BTreeMap::new() };
        let is_useless = !answer.is_whole && listed.iter().all(|package| package.dir.as_os_str().is_empty());
        if is_useless {
            let unknown =
                || BuildFailure { error: "`go list` failed and said nothing".to_owned(), problems: Vec::new() };
            out.failure = Some(problems::parse(answer.errors, &dir, project).unwrap_or_else(unknown));
            out.packages = last.map(|last| last.packages.clone()).unwrap_or_default();
        } else {
            out.packages = listed.into_iter().map(|package| (package.path.clone(), package)).collect();
            if let Some(last) = last {
                out.keep_good(last);
            }
        }
        out.real = real_paths(out.packages.values());
        out
    }

    /// What a wrong package imported and was made of before counts on, with all it leads to.
    fn keep_good(&mut self, last: &Listing) {
        for package in self.packages.values_mut().filter(|package| package.error.is_some()) {
            let Some(before) = last.packages.get(&package.path) else { continue };
            package.compiled.extend(before.compiled.iter().filter(|file| package.dir.join(file).exists()).cloned());
            package.tests.extend(before.tests.iter().filter(|file| package.dir.join(file).exists()).cloned());
            package.imports.extend(before.imports.iter().cloned());
            package.test_imports.extend(before.test_imports.iter().cloned());
            package.embeds.extend(before.embeds.iter().cloned());
            if package.dir.as_os_str().is_empty() {
                package.dir.clone_from(&before.dir);
                package.module.clone_from(&before.module);
            }
        }
        let mut missing: Vec<String> = self.unknown_imports();
        while let Some(path) = missing.pop() {
            if let Some(before) = last.packages.get(&path).filter(|_| !self.packages.contains_key(&path)) {
                missing.extend(before.imports.iter().cloned());
                self.packages.insert(path, Package { matched: false, ..before.clone() });
            }
        }
    }

    fn unknown_imports(&self) -> Vec<String> {
        let all = self.packages.values().flat_map(|package| package.imports.iter().chain(&package.test_imports));
        all.filter(|path| !self.packages.contains_key(*path)).cloned().collect()
    }

    /// The question that also brings what the tests of imported local packages are made of: `go list -test` tells it only of packages that are asked
    /// for. `None` where nothing is missing.
    pub fn wider(&self) -> Option<Query> {
        let mut query = self.query.clone();
        let imported =
            self.packages.values().filter(|package| query.with_tests && package.is_local() && !package.matched);
        let more = imported.filter(|package| package.has_tests()).map(|package| OsString::from(&package.path));
        let more: Vec<OsString> = more.filter(|path| !self.query.patterns.contains(path)).collect();
        if more.is_empty() || self.failure.is_some() {
            return None;
        }
        query.patterns.extend(more);
        Some(query)
    }

    /// The package a service is built from; `None` while there is none.
    pub fn root_package(&self, root: &Root) -> Option<&Package> {
        if let Some(import) = &root.import {
            return self.packages.get(import);
        }
        let is_it =
            |package: &&Package| package.dir == root.dir || self.real_of(&package.dir) == self.real_of(&root.dir);
        self.packages.values().filter(|package| package.matched).find(is_it)
    }

    /// The packages whose tests are a service's own: those in its folder, and every local one that any of them imports.
    pub fn tested(&self, root: &Root) -> BTreeSet<&str> {
        let Some(folder) = &root.tests_below else { return BTreeSet::new() };
        let own = self.packages.values().filter(|package| package.matched && package.dir.starts_with(folder));
        let own = own.chain(self.root_package(root));
        let all = own.flat_map(|package| self.closure(&package.path));
        let is_some = |package: &Package| package.is_local() && !package.is_empty();
        all.filter(|path| self.packages.get(*path).is_some_and(is_some)).collect()
    }

    /// The package and all it imports, directly or not.
    pub fn closure<'a>(&'a self, path: &'a str) -> BTreeSet<&'a str> {
        let mut out = BTreeSet::new();
        let mut next = vec![path];
        while let Some(path) = next.pop() {
            if let Some((path, package)) = self.packages.get_key_value(path)
                && out.insert(path.as_str())
            {
                next.extend(package.imports.iter().map(String::as_str));
            }
        }
        out
    }

    /// The real path, where it is another.
    pub fn real_of<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.real.get(path).map_or(path, PathBuf::as_path)
    }
}

/// Of folders and files reached through symbolic links: edits are seen at the real path.
fn real_paths<'a>(packages: impl Iterator<Item = &'a Package>) -> BTreeMap<PathBuf, PathBuf> {
    let mut out = BTreeMap::new();
    for package in packages.filter(|package| package.is_watched()) {
        let dir = &package.dir;
        let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
        if real != *dir {
            out.insert(dir.clone(), real.clone());
        }
        for file in package.compiled.iter().chain(&package.tests).chain(&package.ignored) {
            let path = dir.join(file);
            let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
            let target = if is_link { fs::canonicalize(&path).ok() } else { Some(real.join(file)) };
            out.extend(target.filter(|target| *target != path).map(|target| (path, target)));
        }
    }
    out
}
