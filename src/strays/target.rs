//! What is known of a service whose strays are looked for: where it lies, and how its program calls itself.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::project::Project;
use crate::project::check::{Package, package_folder};
use crate::services::spec::Program;
use crate::services::{gomod, packages};
use crate::sys::inspect::FileId;
use crate::task::id::ServiceName;
use crate::task::spec::Kind;

/// A folder, and what it is part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its path, symbolic links resolved.
    pub path: PathBuf,
    /// The folder itself; two checkouts never share it.
    pub id: FileId,
    /// The nearest folder at or above it with a `.git`: a checkout, or a worktree of one.
    pub checkout: Option<FileId>,
    /// The folder of the nearest `go.mod`, and the module's path.
    pub module: Option<(FileId, String)>,
    /// Every folder above it.
    pub above: Vec<FileId>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub service: String,
    /// The folder its paths are relative to.
    pub folder: Folder,
    /// The folder of its main package; `None` for `command:`, and for a package that lies nowhere here.
    pub package: Option<Folder>,
    /// The import path of that package.
    pub import_path: Option<String>,
    /// The files of that package.
    pub files: BTreeSet<String>,
    /// It runs to its end by itself.
    pub is_job: bool,
    /// How long its strays have between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// The targets of these services. A service whose folder is gone has no strays that could be proved.
pub fn targets<'a>(project: &Project, names: impl IntoIterator<Item = &'a ServiceName>) -> Vec<Target> {
    names.into_iter().filter_map(|name| of(project, name)).collect()
}

fn of(project: &Project, name: &ServiceName) -> Option<Target> {
    let config = &project.services.get(name)?.config;
    let mut target = Target {
        service: name.to_string(),
        folder: Folder::bare(&config.folder)?,
        is_job: config.kind == Kind::Job,
        grace: config.stop.grace,
        ..Target::default()
    };
    let Program::Go(package) = &config.program else { return Some(target) };
    match package_folder(&config.folder, &package.value) {
        Package::Folder(folder) if folder == config.folder => target.package = Some(target.folder.clone()),
        Package::Folder(folder) => target.package = Folder::bare(&folder),
        Package::Import(path) => {
            target.package = target.folder.of_module(&path).and_then(|folder| Folder::bare(&folder));
            target.import_path = Some(path);
        }
    }
    Some(target)
}

impl Folder {
    /// The folder at `path` without what it is part of, which takes many more looks.
    fn bare(path: &Path) -> Option<Folder> {
        let path = path.canonicalize().ok()?;
        let id = id(&path)?;
        Some(Folder { path, id, ..Folder::default() })
    }

    /// The folder at `path`; `None` where there is none.
    pub fn at(path: &Path) -> Option<Folder> {
        let path = path.canonicalize().ok()?;
        let id = id(&path)?;
        Some(Folder::known(path, id))
    }

    /// The folder at an absolute path without symbolic links.
    pub fn known(path: PathBuf, id: FileId) -> Folder {
        let mut folder = Folder { id, ..Folder::default() };
        for (i, at) in path.ancestors().enumerate() {
            let Some(here) = self::id(at) else { continue };
            if i > 0 {
                folder.above.push(here);
            }
            if folder.checkout.is_none() && std::fs::symlink_metadata(at.join(".git")).is_ok() {
                folder.checkout = Some(here);
            }
        }
        folder.module =
            gomod::module_of(&path).and_then(|module| Some((self::id(&module.root)?, module.directives.module?)));
        folder.path = path;
        folder
    }

    /// The import path of the package in this folder.
    pub fn import_path(&self) -> Option<String> {
        let (root, module) = self.module.as_ref()?;
        let depth = std::iter::once(&self.id).chain(&self.above).position(|id| id == root)?;
        let mut parts: Vec<&str> = self.path.iter().rev().take(depth).filter_map(|part| part.to_str()).collect();
        parts.push(module);
        parts.reverse();
        Some(parts.join("/"))
    }

    /// Where the package of this import path lies, if it belongs to the module of this folder.
    fn of_module(&self, import_path: &str) -> Option<PathBuf> {
        let module = gomod::module_of(&self.path)?;
        let rest = import_path.strip_prefix(module.directives.module.as_deref()?)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(module.root.join(rest.trim_start_matches('/')))
    }
}

/// Device and inode of what lies at a path.
pub(super) fn id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Device and inode of an open file.
pub(super) fn id_of(file: &std::fs::File) -> Option<FileId> {
    file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

impl Target {
    /// Reads what its folders are part of and the names of its package's files, which few looks need: a project may have hundreds of services.
    pub(super) fn complete(&mut self) {
        let whole = |folder: &mut Folder| *folder = Folder::known(std::mem::take(&mut folder.path), folder.id);
        whole(&mut self.folder);
        if let Some(package) = &mut self.package {
            whole(package);
            self.files = packages::main_files(&package.path);
            self.import_path = self.import_path.take().or_else(|| package.import_path());
        }
    }

    /// Whether this is its folder or its package's.
    pub(super) fn has_folder(&self, id: FileId) -> bool {
        self.folder.id == id || self.package.as_ref().is_some_and(|package| package.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_knows_its_module_and_checkout() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        };
        write("go.mod", "module ex.com/shop\n");
        write(".git/HEAD", "");
        write("cmd/api/main.go", "package main\n");
        // A worktree has a file of this name.
        write("trees/b/.git", "gitdir: elsewhere\n");
        write("trees/b/go.mod", "module ex.com/shop\n");
        let api = Folder::at(&root.join("cmd/api")).unwrap();
        assert_eq!(api.import_path().as_deref(), Some("ex.com/shop/cmd/api"));
        assert_eq!((api.checkout, api.above[1]), (id(&root), id(&root).unwrap()));
        let tree = Folder::at(&root.join("trees/b")).unwrap();
        assert_eq!(tree.import_path().as_deref(), Some("ex.com/shop"));
        assert_ne!(tree.checkout, api.checkout);
        assert_eq!(api.of_module("ex.com/shop/x/y"), Some(root.join("x/y")));
        assert_eq!(api.of_module("ex.com/shopping"), None);
    }
}
