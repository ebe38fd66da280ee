//! What a set of changed paths reaches. Pure: what is on the disk was read before, into the graph and the changes.
//!
//! Two questions, in this order. [`stale`]: which listings no longer hold, so that `go` must be asked again. Then [`reach`], with the graph as it was and as
//! it is now: which services, builds and tests are reached. Nothing of it guesses: a new file counts when `go` says that it is part of something.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::embed;
use super::graph::{Graph, Role};
use super::listing::Listing;
use super::package::Package;
use crate::task::id::{BuildKey, ServiceName};

/// A file that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute.
    pub path: PathBuf,
    /// How.
    pub what: What,
}

/// How a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its bytes, and of a Go file nothing that `go list` reads (`head`).
    Content,
    /// Of a Go file also what `go list` reads.
    Head,
    /// It is new.
    Appeared,
    /// It is gone.
    Vanished,
}

/// What is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Services whose program may be another.
    pub services: BTreeSet<ServiceName>,
    /// Their builds, and the files because of which.
    pub builds: BTreeMap<BuildKey, BTreeSet<PathBuf>>,
    /// Local packages whose tests may end otherwise, where anybody wants to know, and the files because of which.
    pub tests: BTreeMap<String, BTreeSet<PathBuf>>,
    /// Of services whose tests are wanted: which of those packages are their own.
    pub tested: BTreeMap<ServiceName, BTreeSet<String>>,
}

/// The files by which modules are governed.
const MODULE_FILES: [&str; 4] = ["go.mod", "go.sum", "go.work", "go.work.sum"];
/// What a package can be made of beside Go.
const SOURCES: [&str; 19] = [
    "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx", "swig",
    "swigcxx",
];

/// The listings, by index, that must be asked for again before [`reach`] can answer.
pub fn stale(graph: &Graph, changes: &[Change]) -> BTreeSet<usize> {
    let is_stale =
        |(_, listing): &(usize, &Listing), at: usize| changes.iter().any(|change| outdates(graph, at, listing, change));
    let all = graph.listings.iter().enumerate();
    all.filter(|one| is_stale(one, one.0)).map(|(at, _)| at).collect()
}

fn outdates(graph: &Graph, at: usize, listing: &Listing, change: &Change) -> bool {
    if governed(listing, &change.path).is_some() {
        return true;
    }
    let is_part = graph.parts(&change.path).iter().any(|part| part.listing == at);
    match change.what {
        What::Content => false,
        What::Head => is_part,
        What::Appeared | What::Vanished => is_part || is_new_part(graph, at, listing, change),
    }
}

/// Whether a file that is part of nothing yet, or is no more, may be part of something once `go` is asked.
fn is_new_part(graph: &Graph, at: usize, listing: &Listing, change: &Change) -> bool {
    let (Some(dir), Some(name)) = (change.path.parent(), change.path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let of_listing = |dir: &Path| -> Vec<&Package> {
        let found = graph.packages_in(dir).iter().filter(|(listing, _)| *listing == at);
        found.filter_map(|(_, path)| listing.packages.get(path)).collect()
    };
    if is_source(name) && (!of_listing(dir).is_empty() || is_expected(listing, dir)) {
        return true;
    }
    dir.ancestors().any(|above| {
        let Some(below) = change.path.strip_prefix(above).ok().and_then(Path::to_str) else { return false };
        let patterns =
            of_listing(above).into_iter().flat_map(|package| package.embeds.iter().chain(&package.test_embeds));
        patterns
            .flat_map(|line| line.split_whitespace())
            .any(|pattern| embed::takes(pattern.trim_matches(['"', '`']), below))
    })
}

/// Whether a package may be made of files of this name.
pub fn is_source(name: &str) -> bool {
    !name.starts_with(['.', '_'])
        && name.rsplit_once('.').is_some_and(|(_, ext)| SOURCES.contains(&ext) || ext == "syso")
}

/// Whether modules are governed by files of this name.
pub fn is_module_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    MODULE_FILES.contains(&name) || path.ends_with("vendor/modules.txt")
}

/// Whether a package in this folder is asked for, or imported by somebody and not found so far.
fn is_expected(listing: &Listing, dir: &Path) -> bool {
    let is_root =
        |dir: &Path| listing.query.roots.iter().any(|root| root.dir == dir || listing.real_of(&root.dir) == dir);
    let tested = || listing.query.roots.iter().filter_map(|root| root.tests_below.as_ref());
    if is_root(dir) || tested().any(|folder| dir.starts_with(folder) || dir.starts_with(listing.real_of(folder))) {
        return true;
    }
    let missing: BTreeSet<&str> = missing(listing);
    let modules = listing.packages.values().filter_map(|package| package.module.as_ref());
    let place = |module: &super::package::Module| {
        let below = dir.strip_prefix(&module.dir).ok().filter(|_| !module.dir.as_os_str().is_empty())?.to_str()?;
        Some(if below.is_empty() { module.path.clone() } else { format!("{}/{below}", module.path) })
    };
    let has_module = listing.packages.values().any(|package| package.module.is_some());
    let by_module = modules.filter_map(place).any(|path| missing.contains(path.as_str()));
    // Without modules, or where the nearest module is not among those known, the end of the path is all there is to go by.
    let last = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    by_module || (!has_module && missing.iter().any(|path| path.rsplit('/').next() == Some(last)))
}

/// Import paths that lead to nothing. Those of Go itself are among them: they are not listed.
pub fn missing(listing: &Listing) -> BTreeSet<&str> {
    let listed = listing.packages.values();
    let imported = listed.clone().flat_map(|package| package.imports.iter().chain(&package.test_imports));
    let unknown =
        imported.filter(|path| listing.packages.get(*path).is_none_or(|package| package.dir.as_os_str().is_empty()));
    // Go's own are not listed and have no dot in their first element; an import of ours may not have one either, which only costs a question.
    let empty = listed.filter(|package| package.dir.as_os_str().is_empty()).map(|package| &package.path);
    unknown.chain(empty).map(String::as_str).collect()
}

/// The folder that a module file governs, where it is one that matters to this listing.
fn governed<'a>(listing: &Listing, path: &'a Path) -> Option<&'a Path> {
    let (dir, name) = (path.parent()?, path.file_name()?.to_str()?);
    let dir = match name {
        "modules.txt" if dir.ends_with("vendor") => dir.parent()?,
        _ if MODULE_FILES.contains(&name) => dir,
        _ if listing.query.module_files().iter().any(|file| file == path) => return Some(dir),
        _ => return None,
    };
    let concerns = |of: &Path| of.starts_with(dir) || listing.real_of(of).starts_with(dir);
    // A workspace or a vendor folder is the affair of whoever asks from below it; a module's file that of all who use the module.
    let packages =
        listing.packages.values().filter(|package| matches!(name, "go.mod" | "go.sum") && package.is_local());
    (concerns(&listing.query.dir) || packages.into_iter().any(|package| concerns(&package.dir))).then_some(dir)
}

/// What `changes` reach. `after` is `before` with the [`stale`] listings asked for again; without any the same graph stands for both.
pub fn reach(before: &Graph, after: &Graph, changes: &[Change]) -> Reach {
    let mut out = Reach::default();
    for (at, listing) in after.listings.iter().enumerate() {
        let touched = Touched::of(before, after, at, listing, changes);
        if touched.code.is_empty() && touched.tests.is_empty() {
            continue;
        }
        let code = touched.spread(listing);
        for root in &listing.query.roots {
            let because = listing.root_package(root).and_then(|package| code.get(package.path.as_str()));
            if let Some(because) = because {
                out.services.insert(root.service.clone());
                out.builds.entry(root.build.clone()).or_default().extend(because.iter().map(|path| path.to_path_buf()));
            }
        }
        if !listing.query.with_tests {
            continue;
        }
        for package in listing.packages.values().filter(|package| package.is_local() && package.has_tests()) {
            let parts = package.test_imports.iter().chain([&package.path]);
            let mut because: BTreeSet<&Path> =
                parts.filter_map(|path| code.get(path.as_str())).flatten().copied().collect();
            because.extend(touched.tests.get(&package.path).into_iter().flatten().map(PathBuf::as_path));
            if !because.is_empty() {
                out.tests.entry(package.path.clone()).or_default().extend(because.into_iter().map(Path::to_owned));
            }
        }
        for root in &listing.query.roots {
            let own = listing.tested(root).into_iter().filter(|path| out.tests.contains_key(*path));
            let own: BTreeSet<String> = own.map(str::to_owned).collect();
            if !own.is_empty() {
                out.tested.entry(root.service.clone()).or_default().extend(own);
            }
        }
    }
    out
}

/// The packages of one listing that changed, and the files because of which.
#[derive(Default)]
struct Touched {
    code: BTreeMap<String, BTreeSet<PathBuf>>,
    tests: BTreeMap<String, BTreeSet<PathBuf>>,
}

impl Touched {
    fn of(before: &Graph, after: &Graph, at: usize, listing: &Listing, changes: &[Change]) -> Touched {
        let mut out = Touched::default();
        for change in changes {
            let parts =
                before.parts(&change.path).iter().chain(after.parts(&change.path)).filter(|part| part.listing == at);
            for part in parts {
                match part.role {
                    Role::Compiled => out.code.entry(part.package.clone()).or_default().insert(change.path.clone()),
                    Role::Test => out.tests.entry(part.package.clone()).or_default().insert(change.path.clone()),
                    Role::Ignored => false,
                };
            }
            out.module(listing, change);
            out.testdata(after, at, change);
        }
        if !std::ptr::eq(before, after) {
            out.differences(before.listings.get(at), listing, changes);
        }
        out
    }

    /// A module file may give any package below it other dependencies.
    fn module(&mut self, listing: &Listing, change: &Change) {
        let Some(dir) = governed(listing, &change.path) else { return };
        let nearest = |package: &Package| match change.path.file_name().and_then(|name| name.to_str()) {
            Some("go.mod" | "go.sum") => {
                package.module.as_ref().is_none_or(|module| listing.real_of(&module.dir) == dir || module.dir == dir)
            }
            _ => true,
        };
        for package in listing.packages.values().filter(|package| package.is_local() && nearest(package)) {
            if package.dir.starts_with(dir) || listing.real_of(&package.dir).starts_with(dir) {
                self.code.entry(package.path.clone()).or_default().insert(change.path.clone());
            }
        }
    }

    /// Tests read what lies in `testdata`.
    fn testdata(&mut self, after: &Graph, at: usize, change: &Change) {
        let above = change.path.ancestors().skip(1).find(|dir| dir.ends_with("testdata")).and_then(Path::parent);
        let packages = above.map(|dir| after.packages_in(dir)).unwrap_or_default();
        for (_, package) in packages.iter().filter(|(listing, _)| *listing == at) {
            self.tests.entry(package.clone()).or_default().insert(change.path.clone());
        }
    }

    /// What `go` now says otherwise, whatever file made it do so.
    fn differences(&mut self, before: Option<&Listing>, after: &Listing, changes: &[Change]) {
        let Some(before) = before else { return };
        for (path, package) in after.packages.iter().filter(|(_, package)| package.is_watched()) {
            let known = before.packages.get(path);
            let near = || {
                let near = changes.iter().map(|change| &change.path).filter(|path| path.starts_with(&package.dir));
                let near: BTreeSet<PathBuf> = near.cloned().collect();
                if near.is_empty() { changes.iter().map(|change| change.path.clone()).collect() } else { near }
            };
            if known.is_none_or(|known| !known.same_code(package)) {
                self.code.entry(path.clone()).or_insert_with(near);
            } else if known.is_some_and(|known| !known.same_tests(package)) {
                self.tests.entry(path.clone()).or_insert_with(near);
            }
        }
    }

    /// For each package the files because of which its code may be another: its own, and those of all it imports.
    fn spread<'a>(&'a self, listing: &'a Listing) -> HashMap<&'a str, BTreeSet<&'a Path>> {
        let mut importers: HashMap<&str, Vec<&str>> = HashMap::new();
        for package in listing.packages.values() {
            for import in &package.imports {
                importers.entry(import).or_default().push(&package.path);
            }
        }
        let mut out: HashMap<&str, BTreeSet<&Path>> = HashMap::new();
        for (path, files) in self.code.iter().filter(|(path, _)| listing.packages.contains_key(*path)) {
            let (mut next, mut known) = (vec![path.as_str()], HashSet::new());
            while let Some(path) = next.pop() {
                if known.insert(path) {
                    out.entry(path).or_default().extend(files.iter().map(PathBuf::as_path));
                    next.extend(importers.get(path).into_iter().flatten().copied());
                }
            }
        }
        out
    }
}
