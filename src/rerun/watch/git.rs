//! Whether `git` is at work on a tree: while it is, files of two states lie side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A lock that is older holds nothing up: somebody forgot it, or `git` asks a person something.
const OLDEST: Duration = Duration::from_secs(10);

/// Whether the work tree that `file` lies in is locked.
pub(super) fn is_at_work(file: &Path, now: SystemTime) -> bool {
    let Some(lock) = folder(file).map(|folder| folder.join("index.lock")) else { return false };
    let Ok(since) = fs::symlink_metadata(lock).and_then(|meta| meta.modified()) else { return false };
    // From the future: clocks of two machines.
    now.duration_since(since).is_ok_and(|age| age < OLDEST) || since > now && since < now + OLDEST
}

/// Where `git` keeps what it knows of the work tree: `.git`, or the folder that a file of this name points to.
fn folder(file: &Path) -> Option<PathBuf> {
    let (top, found) = file.ancestors().skip(1).find_map(|dir| {
        let git = dir.join(".git");
        fs::symlink_metadata(&git).ok().map(|meta| (dir, (git, meta.is_file())))
    })?;
    match found {
        (git, false) => Some(git),
        (git, true) => {
            let text = fs::read_to_string(git).ok()?;
            Some(top.join(text.lines().find_map(|line| line.strip_prefix("gitdir:"))?.trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_found_for_trees_and_second_trees() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let now = SystemTime::now();
        fs::create_dir_all(root.join("tree/.git/worktrees/two")).unwrap();
        fs::create_dir_all(root.join("tree/a/b")).unwrap();
        fs::create_dir_all(root.join("two/a")).unwrap();
        fs::write(root.join("two/.git"), "gitdir: ../tree/.git/worktrees/two\n").unwrap();
        let (one, two) = (root.join("tree/a/b/x.go"), root.join("two/a/x.go"));
        assert!(!is_at_work(&one, now) && !is_at_work(&two, now));
        fs::write(root.join("tree/.git/index.lock"), "").unwrap();
        assert!(is_at_work(&one, now) && !is_at_work(&two, now));
        assert!(!is_at_work(&one, now + Duration::from_secs(11)), "forgotten");
        fs::write(root.join("tree/.git/worktrees/two/index.lock"), "").unwrap();
        assert!(is_at_work(&two, now));
        assert!(!is_at_work(Path::new("/x.go"), now));
    }
}
