//! Finds the file that a log means by a short name: zap writes `charge/charge.go`, a program built with `-trimpath` `example.com/shop/charge/charge.go`,
//! and Go's `log` only `charge.go`.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Larger projects are looked through so far; it is done when somebody presses a key.
const MOST: usize = 100_000;
/// No folder with code of one's own is deeper.
const DEEPEST: usize = 24;
/// Folders with code of others, or none.
const OTHERS: [&str; 3] = ["vendor", "node_modules", "testdata"];

/// The file below `project` that shares most of its last folders with `file`; of several the one below `near`, the folder of the service that wrote the
/// line, then the least deep. `None` where none has its name, or where `file` names the way from the root.
///
/// Reads folders, hidden ones and those of other people's code left out; follows no links.
pub fn seek(project: &Path, near: &Path, file: &Path) -> Option<PathBuf> {
    if file.is_absolute() {
        return None;
    }
    let wanted: Vec<Component<'_>> = file.components().rev().collect();
    let Some(Component::Normal(name)) = wanted.first() else { return None };
    let rank = |path: &Path| {
        let shared = path.components().rev().zip(&wanted).take_while(|(a, b)| a == *b).count();
        (shared, path.starts_with(near), usize::MAX - path.components().count())
    };
    let mut best: Option<PathBuf> = None;
    let (mut folders, mut n_seen) = (vec![(project.to_owned(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        // A folder that cannot be read holds nothing that could be opened.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            n_seen += 1;
            if n_seen > MOST {
                return best;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let own = entry.file_name();
            if kind.is_dir() {
                let hidden = own.as_encoded_bytes().starts_with(b".");
                if !hidden && depth < DEEPEST && OTHERS.iter().all(|other| own != *other) {
                    folders.push((entry.path(), depth + 1));
                }
            } else if kind.is_file() && own == **name {
                let path = entry.path();
                let is_better = |best: &PathBuf| (rank(&path), best.as_path()) > (rank(best), path.as_path());
                if best.as_ref().is_none_or(is_better) {
                    best = Some(path);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let files = [
            "main.go",
            "api/main.go",
            "api/charge/charge.go",
            "internal/charge/charge.go",
            "internal/repo/pg.go",
            "vendor/x/only.go",
            ".git/only.go",
        ];
        for file in files {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("api/loop")).unwrap();
        let found = |near: &str, file: &str| {
            let path = seek(root, &root.join(near), Path::new(file))?;
            Some(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())
        };
        let cases = [
            ("api", "charge/charge.go", Some("api/charge/charge.go")),
            ("internal", "charge/charge.go", Some("internal/charge/charge.go")),
            ("api", "internal/charge/charge.go", Some("internal/charge/charge.go")),
            ("api", "example.com/shop/internal/repo/pg.go", Some("internal/repo/pg.go")),
            ("api", "pg.go", Some("internal/repo/pg.go")),
            ("api", "main.go", Some("api/main.go")),
            ("other", "main.go", Some("main.go")),
            ("other", "charge.go", Some("api/charge/charge.go")),
            ("api", "only.go", None),
            ("api", "none.go", None),
            ("api", "", None),
            ("api", "..", None),
            ("api", "/etc/passwd", None),
        ];
        for (near, file, expected) in cases {
            assert_eq!(found(near, file).as_deref(), expected, "{file} near {near}");
        }
    }
}
