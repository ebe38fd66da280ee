//! All listings together, with an index from paths to what they are part of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::listing::Listing;
use super::package::Package;
use crate::task::id::ServiceName;

/// What a file is to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its build reads it.
    Compiled,
    /// Only its tests read it.
    Test,
    /// For other systems or tags.
    Ignored,
}

/// Where a path belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which listing.
    pub listing: usize,
    /// The package's import path.
    pub package: String,
    /// As what.
    pub role: Role,
}

/// Packages by their folder: the listing and the import path.
type ByFolder = HashMap<PathBuf, Vec<(usize, String)>>;

/// What all services are made of.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The answers.
    pub listings: Vec<Listing>,
    files: HashMap<PathBuf, Vec<Part>>,
    /// Folders of packages, by the path `go` says and by the real one.
    dirs: ByFolder,
}

impl Graph {
    /// Puts listings together.
    pub fn new(listings: Vec<Listing>) -> Graph {
        let mut out = Graph { listings, ..Graph::default() };
        let (mut files, mut dirs) = (HashMap::<PathBuf, Vec<Part>>::new(), ByFolder::new());
        for (listing, all) in out.listings.iter().enumerate() {
            for package in all.packages.values().filter(|package| package.is_watched()) {
                for dir in both(all, &package.dir) {
                    dirs.entry(dir).or_default().push((listing, package.path.clone()));
                }
                let roles = [
                    (&package.ignored, Role::Ignored),
                    (&package.tests, Role::Test),
                    (&package.compiled, Role::Compiled),
                ];
                for (file, role) in
                    roles.into_iter().flat_map(|(files, role)| files.iter().map(move |file| (file, role)))
                {
                    for path in both(all, &package.dir.join(file)) {
                        files.entry(path).or_default().push(Part { listing, package: package.path.clone(), role });
                    }
                }
            }
        }
        (out.files, out.dirs) = (files, dirs);
        out
    }

    /// What a file is part of.
    pub fn parts(&self, file: &Path) -> &[Part] {
        self.files.get(file).map_or(&[], Vec::as_slice)
    }

    /// The packages whose folder this is: listing and import path.
    pub fn packages_in(&self, dir: &Path) -> &[(usize, String)] {
        self.dirs.get(dir).map_or(&[], Vec::as_slice)
    }

    /// One package.
    pub fn package(&self, listing: usize, path: &str) -> Option<&Package> {
        self.listings.get(listing)?.packages.get(path)
    }

    /// Every folder in which an edit can matter: of packages, of what they embed, and of modules; each at its real path.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let mut out: BTreeSet<PathBuf> =
            self.files.keys().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        out.extend(self.dirs.keys().cloned());
        for listing in &self.listings {
            out.insert(listing.query.dir.clone());
            out.extend(listing.query.module_files().iter().filter_map(|file| file.parent()).map(Path::to_owned));
            let modules =
                listing.packages.values().filter(|package| package.is_local()).filter_map(|p| p.module.as_ref());
            out.extend(modules.map(|module| module.dir.clone()).filter(|dir| !dir.as_os_str().is_empty()));
            out.extend(
                listing
                    .query
                    .roots
                    .iter()
                    .flat_map(|root| [Some(&root.dir), root.tests_below.as_ref()])
                    .flatten()
                    .cloned(),
            );
        }
        out.retain(|dir| !self.listings.iter().any(|listing| listing.real.contains_key(dir)));
        out
    }

    /// Every file that is part of something, at its real path: what a watch that must poll looks at.
    pub fn files(&self) -> BTreeSet<&Path> {
        let is_real = |path: &&Path| !self.listings.iter().any(|listing| listing.real.contains_key(*path));
        self.files.keys().map(PathBuf::as_path).filter(is_real).collect()
    }

    /// The local packages whose tests are a service's own, by import path.
    pub fn tested(&self, service: &ServiceName) -> BTreeMap<&str, &Package> {
        let mut out = BTreeMap::new();
        for listing in &self.listings {
            for root in listing.query.roots.iter().filter(|root| root.service == *service) {
                let packages = listing.tested(root).into_iter();
                out.extend(
                    packages.filter_map(|path| listing.packages.get_key_value(path)).map(|(p, all)| (p.as_str(), all)),
                );
            }
        }
        out
    }
}

/// A path as `go` says it, and the real one where it is another.
fn both(listing: &Listing, path: &Path) -> Vec<PathBuf> {
    let real = listing.real_of(path);
    if real == path { vec![path.to_owned()] } else { vec![path.to_owned(), real.to_owned()] }
}
