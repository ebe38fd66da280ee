//! Which folders hold a service: those that the globs of `discover:` reach and that have a `service.yml`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::config::problem::Problem;

/// A service's file.
pub const FILE: &str = "service.yml";
/// Folders that `**` goes into, at most.
const MAX_DEPTH: usize = 8;

/// Folders with a `service.yml`, relative to the root, by name.
#[derive(Debug, Default)]
pub struct Found {
    /// The folders.
    pub folders: BTreeSet<PathBuf>,
    /// Those that would be among them with a `service.yml`.
    pub others: BTreeSet<PathBuf>,
    /// The folders that were looked into: where one of those may appear or vanish.
    pub looked: BTreeSet<PathBuf>,
    /// Folders that could not be read.
    pub problems: Vec<Problem>,
}

/// Looks where the globs point. A glob's `*` does not match names that nobody means: hidden ones, `vendor`, `node_modules`, `testdata`.
pub fn folders(root: &Path, globs: &[String]) -> Found {
    let mut found = Found::default();
    for glob in globs {
        let parts: Vec<&str> = glob.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        walk(root, Path::new(""), &parts, 0, &mut found);
    }
    found
}

fn walk(root: &Path, at: &Path, parts: &[&str], depth: usize, found: &mut Found) {
    let Some((part, rest)) = parts.split_first() else {
        if root.join(at).join(FILE).symlink_metadata().is_ok() {
            found.folders.insert(at.to_owned());
        } else {
            found.others.insert(at.to_owned());
        }
        return;
    };
    found.looked.insert(at.to_owned());
    if *part == "**" {
        walk(root, at, rest, depth, found);
        if depth < MAX_DEPTH {
            // Links are not followed here: two that point upward would make a walk without end.
            let real = |name: &PathBuf| !root.join(at).join(name).is_symlink();
            for name in subfolders(root, at, None, found).into_iter().filter(real) {
                walk(root, &at.join(name), parts, depth + 1, found);
            }
        }
    } else if let Some(matcher) = wildcard(part) {
        for name in subfolders(root, at, Some(&matcher), found) {
            walk(root, &at.join(name), rest, depth, found);
        }
    } else if root.join(at).join(part).is_dir() {
        walk(root, &at.join(part), rest, depth, found);
    }
}

/// The matcher of one part of a glob; `None` for a plain name.
fn wildcard(part: &str) -> Option<GlobMatcher> {
    let special = part.contains(['*', '?', '[', '{']);
    // Globs were checked when the file was read; one that is none matches nothing but its own name.
    GlobBuilder::new(part).literal_separator(true).build().ok().filter(|_| special).map(|glob| glob.compile_matcher())
}

fn subfolders(root: &Path, at: &Path, matcher: Option<&GlobMatcher>, found: &mut Found) -> Vec<PathBuf> {
    let entries = match fs::read_dir(root.join(at)) {
        Ok(entries) => entries,
        Err(error) => {
            let shown = if at.as_os_str().is_empty() { Path::new(".") } else { at };
            found.problems.push(Problem::about(shown, format!("cannot look into the folder: {error}")));
            return Vec::new();
        }
    };
    let mut names: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| !is_skipped(name) && matcher.is_none_or(|matcher| matcher.is_match(name)))
        .filter(|name| root.join(at).join(name).is_dir())
        .collect();
    names.sort();
    names
}

fn is_skipped(name: &Path) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(['.', '_']) || matches!(name.as_ref(), "vendor" | "node_modules" | "testdata")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_deep_and_what_globs_add() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let all = [
            "web",
            "api",
            "api/deep",
            "cmd/a",
            "cmd/b",
            "vendor",
            "node_modules",
            "testdata",
            "_old",
            ".git",
            "empty",
            "x y",
        ];
        for folder in all {
            fs::create_dir_all(root.join(folder)).unwrap();
            if folder != "empty" {
                fs::write(root.join(folder).join(FILE), "").unwrap();
            }
        }
        std::os::unix::fs::symlink(root.join("cmd/a"), root.join("linked")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("dangling")).unwrap();
        let names = |globs: &[&str]| {
            let globs: Vec<String> = globs.iter().map(|g| (*g).to_owned()).collect();
            let found = folders(root, &globs);
            assert!(found.problems.is_empty());
            found.folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&["*"]), "api linked web x y");
        assert_eq!(names(&["*", "cmd/*"]), "api cmd/a cmd/b linked web x y");
        assert_eq!(names(&["cmd/[a]", "vendor", "none/*"]), "cmd/a vendor");
        assert_eq!(names(&["api/**"]), "api api/deep");
        std::os::unix::fs::symlink(root, root.join("cmd/up")).unwrap();
        assert_eq!(names(&["cmd/**"]), "cmd/a cmd/b");
        let globs = ["*", "cmd/*", "tools/x"].map(str::to_owned);
        let found = folders(root, &globs);
        let list = |paths: &BTreeSet<PathBuf>| paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
        assert_eq!(list(&found.looked), ["", "cmd"], "`tools` may appear in the project's own folder");
        assert_eq!(list(&found.others), ["cmd", "cmd/up", "empty"]);
    }
}
