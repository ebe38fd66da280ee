//! `watch.include` and `watch.exclude` of one service.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::WatchedService;
use super::names::is_temporary;
use crate::task::id::ServiceName;

/// The globs of one service.
#[derive(Debug)]
pub(super) struct Globs {
    /// Whose.
    pub(super) service: ServiceName,
    dir: PathBuf,
    include: Vec<Include>,
    exclude: GlobSet,
}

/// One pattern: what is plain in front, and the rest.
#[derive(Debug)]
struct Include {
    root: PathBuf,
    rest: Option<GlobSet>,
    /// How many folders deep it reaches; `None`: `**`, or a folder is named.
    depth: Option<usize>,
}

impl Globs {
    /// Those of a service; `None` without any. A glob that is none was refused when the file was read, and matches nothing here.
    pub(super) fn of(service: &WatchedService) -> Option<Globs> {
        let include: Vec<Include> = service.include.iter().map(|glob| Include::new(&service.dir, glob)).collect();
        let exclude = set(service.exclude.iter().map(|glob| glob.trim_start_matches("./")));
        (!include.is_empty()).then(|| Globs {
            service: service.name.clone(),
            dir: service.dir.clone(),
            include,
            exclude,
        })
    }

    /// Whether the file is one of those.
    pub(super) fn takes(&self, file: &Path) -> bool {
        let is_temporary = file.file_name().and_then(|name| name.to_str()).is_some_and(is_temporary);
        !is_temporary && !self.excludes(file) && self.include.iter().any(|include| include.takes(file))
    }

    /// Whether files below this folder may be.
    pub(super) fn leads(&self, dir: &Path) -> bool {
        !self.excludes(dir) && self.include.iter().any(|include| include.leads(dir))
    }

    /// Where the patterns begin.
    pub(super) fn roots(&self) -> BTreeSet<&Path> {
        let both = |include: &'_ Include| include.rest.is_none();
        let parents = self.include.iter().filter(|one| both(one)).filter_map(|one| one.root.parent());
        self.include.iter().map(|one| one.root.as_path()).chain(parents).collect()
    }

    fn excludes(&self, path: &Path) -> bool {
        path.strip_prefix(&self.dir).is_ok_and(|below| self.exclude.is_match(below))
    }
}

impl Include {
    fn new(dir: &Path, glob: &str) -> Include {
        let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
        let parts: Vec<&str> = glob.split('/').collect();
        let plain = parts.iter().take_while(|part| is_plain(part)).count();
        let root = normal(&dir.join(parts[..plain].join("/")));
        let root =
            if glob.starts_with('/') { normal(Path::new(&format!("/{}", parts[..plain].join("/")))) } else { root };
        let rest = parts[plain..].join("/");
        let depth = (!rest.contains("**")).then_some(parts.len() - plain);
        Include { root, rest: (!rest.is_empty()).then(|| set([rest.as_str()].into_iter())), depth }
    }

    fn takes(&self, file: &Path) -> bool {
        let Ok(below) = file.strip_prefix(&self.root) else { return false };
        match &self.rest {
            None => !is_unmeant(below),
            Some(rest) => rest.is_match(below) && !below.parent().is_some_and(is_unmeant),
        }
    }

    /// A pattern may name a folder, whose files are meant then: below its last part everything is led to.
    fn leads(&self, dir: &Path) -> bool {
        let Ok(below) = dir.strip_prefix(&self.root) else { return self.root.starts_with(dir) };
        let deep = below.components().count();
        let is_within = match (&self.rest, self.depth) {
            (Some(rest), Some(depth)) => deep < depth || rest.is_match(below),
            _ => true,
        };
        is_within && !is_unmeant(below)
    }
}

/// Folders that nobody means with a `*` or by naming one above them.
fn is_unmeant(below: &Path) -> bool {
    below.components().any(|part| match part.as_os_str().to_str() {
        Some(name) => name == "node_modules" || name == ".git" || name == ".orchestra",
        None => false,
    })
}

/// Each glob, and all below what it matches.
fn set<'a>(globs: impl Iterator<Item = &'a str>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let glob = glob.trim_end_matches('/');
        for glob in [glob.to_owned(), format!("{glob}/**")] {
            let glob: Result<Glob, _> = GlobBuilder::new(&glob).literal_separator(true).build();
            if let Ok(glob) = glob {
                builder.add(glob);
            }
        }
    }
    builder.build().unwrap_or_default()
}

/// Without `.` and `..`, by the words alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(include: &[&str], exclude: &[&str]) -> Globs {
        let own = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        let (include, exclude) = (own(include), own(exclude));
        let name = ServiceName::fold("api").unwrap();
        Globs::of(&WatchedService { name, dir: "/p/api".into(), wanted: None, include, exclude }).unwrap()
    }

    #[test]
    fn globs_are_relative_to_the_service() {
        let all =
            globs(&["*.toml", "templates", "../shared/**/*.json", "/etc/api.conf", "./a/*/x"], &["gen", "*.tmp.toml"]);
        let taken =
            ["a.toml", "templates/x/y.html", "../shared/a/b.json", "../shared/b.json", "/etc/api.conf", "a/b/x"];
        for path in taken {
            assert!(all.takes(&normal(&Path::new("/p/api").join(path))), "{path}");
        }
        let others = [
            "a/b.toml",
            "a.tmp.toml",
            "../shared/a.txt",
            "/etc/api.confs",
            "a/b/y",
            "templates/node_modules/a.js",
            "b.toml~",
        ];
        for path in others {
            assert!(!all.takes(&normal(&Path::new("/p/api").join(path))), "{path}");
        }
    }

    #[test]
    fn only_folders_that_lead_somewhere_are_looked_into() {
        let all = globs(&["templates", "../shared/**/*.json", "a/*/x"], &["templates/gen"]);
        for dir in ["templates", "templates/a/b", "../shared", "../shared/x/y", "a", "a/b", "a/b/x", ".", ".."] {
            assert!(all.leads(&normal(&Path::new("/p/api").join(dir))), "{dir}");
        }
        for dir in ["b", "templates/gen", "templates/gen/x", "a/b/c", "../shared/node_modules", "../other"] {
            assert!(!all.leads(&normal(&Path::new("/p/api").join(dir))), "{dir}");
        }
        let roots: Vec<&Path> = all.roots().into_iter().collect();
        assert_eq!(roots, ["/p/api", "/p/api/a", "/p/api/templates", "/p/shared"].map(Path::new));
    }
}
