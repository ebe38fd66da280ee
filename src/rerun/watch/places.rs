//! Which folders are watched, and which files in them matter. Worked out anew whenever it is known anew what services are made of.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Watched;
use super::globs::Globs;
use super::names::is_temporary;
use crate::rerun::embed;
use crate::rerun::graph::Graph;
use crate::rerun::listing::Listing;
use crate::rerun::reach;
use crate::services::gomod;

/// What is of interest.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Folders that are watched, there or not, with those above them up to the project or a module.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// Folders of packages, and those in which one is expected.
    packages: HashSet<PathBuf>,
    /// Folders of services: a package may appear anywhere below, and its tests count.
    trees: Vec<PathBuf>,
    /// What `//go:embed` lines of the packages in a folder say.
    embeds: HashMap<PathBuf, BTreeSet<String>>,
    /// Folders of packages with tests: those read `testdata`.
    tested: HashSet<PathBuf>,
    /// Links that lead to packages, and what they led to.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Files that decide about modules, by other names than the usual.
    module_files: BTreeSet<PathBuf>,
    config: BTreeSet<PathBuf>,
    discover: BTreeSet<PathBuf>,
    globs: Vec<Globs>,
}

/// A service's file, wherever one may appear.
const SERVICE_FILE: &str = "service.yml";

impl Places {
    /// All of them.
    pub(super) fn new(graph: &Graph, watched: &Watched, project: &Path) -> Places {
        let mut out = Places {
            config: watched.config.clone(),
            discover: watched.discover.clone(),
            globs: watched.services.iter().filter_map(Globs::of).collect(),
            ..Places::default()
        };
        for listing in &graph.listings {
            out.listing(listing, project);
        }
        let mut dirs = graph.folders();
        dirs.extend(out.config.iter().filter_map(|file| file.parent()).map(Path::to_owned));
        dirs.extend(out.discover.iter().cloned());
        dirs.extend(out.packages.iter().filter(|dir| !out.links.iter().any(|(link, _)| link == *dir)).cloned());
        dirs.extend(out.links.iter().filter_map(|(link, _)| link.parent()).map(Path::to_owned));
        dirs.extend(out.globs.iter().flat_map(Globs::roots).map(Path::to_owned));
        let mut anchors: BTreeSet<&Path> = modules(graph).collect();
        anchors.insert(project);
        for dir in &dirs {
            let within = |dir: &Path| anchors.iter().any(|anchor| dir.starts_with(anchor));
            out.dirs.extend(dir.ancestors().take_while(|above| within(above)).map(Path::to_owned));
        }
        out.dirs.extend(dirs);
        out
    }

    fn listing(&mut self, listing: &Listing, project: &Path) {
        let query = &listing.query;
        let mut add = |dir: &Path| {
            self.packages.insert(dir.to_owned());
            self.packages.insert(listing.real_of(dir).to_owned());
        };
        query.roots.iter().for_each(|root| add(&root.dir));
        for package in listing.packages.values().filter(|package| package.is_watched()) {
            add(&package.dir);
        }
        self.packages.extend(expected(listing));
        for package in listing.packages.values().filter(|package| package.is_watched()) {
            for dir in [package.dir.as_path(), listing.real_of(&package.dir)] {
                let patterns =
                    package.embeds.iter().chain(&package.test_embeds).flat_map(|line| line.split_whitespace());
                let patterns: Vec<String> = patterns.map(|one| one.trim_matches(['"', '`']).to_owned()).collect();
                if !patterns.is_empty() {
                    self.embeds.entry(dir.to_owned()).or_default().extend(patterns);
                }
                if query.with_tests && package.is_local() && package.has_tests() {
                    self.tested.insert(dir.to_owned());
                }
            }
        }
        let folders = query.roots.iter().filter_map(|root| root.tests_below.as_deref());
        let trees: BTreeSet<PathBuf> =
            folders.flat_map(|dir| [dir, listing.real_of(dir)]).map(Path::to_owned).collect();
        self.trees.extend(trees);
        self.links.extend(listing.real.iter().map(|(link, real)| (link.clone(), real.clone())));
        self.module_files.extend(query.module_files());
        // A workspace may come to be in any folder above.
        self.dirs.extend(query.dir.ancestors().take_while(|dir| dir.starts_with(project)).map(Path::to_owned));
    }

    /// Whether this folder is watched when it is there.
    pub(super) fn wants_dir(&self, dir: &Path) -> bool {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_service = || dir.parent().is_some_and(|above| self.discover.contains(above)) && !is_skipped(name);
        self.dirs.contains(dir)
            || is_service()
            || self.in_tree(dir)
            || self.is_testdata(dir)
            || self.embeds_any(dir, embed::leads)
            || self.globs.iter().any(|globs| globs.leads(dir) && globs.roots().iter().any(|root| dir.starts_with(root)))
    }

    /// Whether an edit of this file can matter, were it there or not.
    pub(super) fn wants_file(&self, file: &Path) -> bool {
        let (Some(dir), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
            return false;
        };
        if self.is_config(file) || (reach::is_module_file(file) && self.dirs.contains(dir)) {
            return true;
        }
        if self.module_files.contains(file) {
            return true;
        }
        !is_temporary(name)
            && ((reach::is_source(name) && (self.packages.contains(dir) || self.in_tree(dir)))
                || self.is_testdata(file)
                || self.embeds_any(file, embed::takes)
                || self.globs.iter().any(|globs| globs.takes(file)))
    }

    /// Whether it is a file of the configuration, or could be one.
    pub(super) fn is_config(&self, file: &Path) -> bool {
        let may_be = || {
            let dir = file.parent().filter(|_| file.file_name().is_some_and(|name| name == SERVICE_FILE));
            dir.is_some_and(|dir| {
                self.discover.contains(dir) || dir.parent().is_some_and(|above| self.discover.contains(above))
            })
        };
        self.config.contains(file) || may_be()
    }

    /// Services that this file restarts without a build, so far as globs say.
    pub(super) fn globs(&self) -> &[Globs] {
        &self.globs
    }

    /// Whether `go list ./...` in one of the services' folders looks here.
    fn in_tree(&self, dir: &Path) -> bool {
        self.trees.iter().any(|tree| {
            dir.strip_prefix(tree).is_ok_and(|below| {
                below.components().all(|part| part.as_os_str().to_str().is_some_and(|name| !is_skipped(name)))
            })
        })
    }

    fn is_testdata(&self, path: &Path) -> bool {
        let folder = path.ancestors().find(|dir| dir.ends_with("testdata"));
        folder.and_then(Path::parent).is_some_and(|dir| self.tested.contains(dir))
    }

    fn embeds_any(&self, path: &Path, is_it: impl Fn(&str, &str) -> bool) -> bool {
        if self.embeds.is_empty() {
            return false;
        }
        path.ancestors().skip(1).any(|above| {
            let patterns = self.embeds.get(above);
            let below = || path.strip_prefix(above).ok().and_then(Path::to_str);
            patterns.is_some_and(|all| below().is_some_and(|below| all.iter().any(|pattern| is_it(pattern, below))))
        })
    }
}

/// Names that nobody means, and `go` does not look into.
fn is_skipped(name: &str) -> bool {
    name.starts_with(['.', '_']) || ["vendor", "node_modules", "testdata"].contains(&name)
}

/// Folders of modules of ours, and those `go` runs in.
fn modules(graph: &Graph) -> impl Iterator<Item = &Path> {
    graph.listings.iter().flat_map(|listing| {
        let packages = listing.packages.values().filter(|package| package.is_local());
        let dirs = packages.filter_map(|package| package.module.as_ref()).map(|module| module.dir.as_path());
        dirs.filter(|dir| !dir.as_os_str().is_empty()).chain([listing.query.dir.as_path()])
    })
}

/// Where packages would be that are imported and not there.
fn expected(listing: &Listing) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let modules: BTreeSet<(&str, &Path)> = listing
        .packages
        .values()
        .filter(|package| package.is_local())
        .filter_map(|package| package.module.as_ref())
        .map(|module| (module.path.as_str(), module.dir.as_path()))
        .collect();
    let gopath = gomod::lookup(&listing.query.env, "GOPATH").filter(|_| modules.is_empty());
    let sources: Vec<PathBuf> = gopath.into_iter().flat_map(std::env::split_paths).map(|dir| dir.join("src")).collect();
    for path in reach::missing(listing).into_iter().filter(|path| !path.contains("..") && !path.starts_with(['/', '.']))
    {
        for (module, dir) in &modules {
            let below = path.strip_prefix(module).and_then(|rest| rest.strip_prefix('/'));
            out.extend(below.map(|below| dir.join(below)));
        }
        // One without a dot in front is Go's own, or of a kind that costs a folder or two to wait for.
        out.extend(sources.iter().filter(|_| path.contains('.')).map(|dir| dir.join(path)));
    }
    out
}
