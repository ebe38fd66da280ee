//! Which source files an executable was compiled from: Go's table of functions names every file, with its whole path unless `-trimpath` hid it.
//!
//! It tells apart what names cannot: `main.go` of one folder from `main.go` of another, a copy of this checkout from one of the next.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::elf::Elf;

/// So much is read at a time.
const CHUNK: usize = 1 << 20;
/// No path is longer.
const LONGEST: usize = 4096;
/// A file name that ends here.
const END: &[u8] = b".go\0";

/// Go source files by their folders, as the compiler named them.
pub type Sources = BTreeMap<PathBuf, BTreeSet<String>>;

/// The source files of an executable that lie in an absolute folder; empty where none is named.
pub fn of(file: &File) -> Sources {
    let mut found = Sources::new();
    for (offset, size) in pieces(file) {
        // What cannot be read names nothing.
        read(file, offset, size, &mut found).unwrap_or(());
    }
    found
}

/// The table of functions, or the whole file where its place is not told.
fn pieces(file: &File) -> Vec<(u64, u64)> {
    let sections = Elf::read(file).and_then(|elf| elf.sections(file).ok()).unwrap_or_default();
    let tables: Vec<(u64, u64)> = sections
        .iter()
        .filter(|section| section.name.ends_with(".gopclntab"))
        .map(|section| (section.offset, section.size))
        .collect();
    if tables.is_empty() { vec![(0, file.metadata().map_or(0, |meta| meta.len()))] } else { tables }
}

fn read(file: &File, offset: u64, size: u64, found: &mut Sources) -> std::io::Result<()> {
    let mut buffer = vec![0; LONGEST + CHUNK];
    // Each chunk follows the last bytes of the one before, so that a path across the border is seen whole.
    let mut kept = 0;
    let mut at = 0;
    while at < size {
        let most = CHUNK.min(usize::try_from(size - at).unwrap_or(CHUNK));
        let n = file.read_at(&mut buffer[kept..kept + most], offset + at)?;
        if n == 0 {
            break;
        }
        let filled = kept + n;
        collect(&buffer[..filled], found);
        let keep = filled.min(LONGEST);
        buffer.copy_within(filled - keep..filled, 0);
        (kept, at) = (keep, at + n as u64);
    }
    Ok(())
}

fn collect(bytes: &[u8], found: &mut Sources) {
    for end in memmem::find_iter(bytes, END) {
        let path_end = end + END.len() - 1;
        // A string of this table begins after the end of the one before it.
        let Some(begin) = memchr::memrchr(0, &bytes[..end]).map(|at| at + 1) else { continue };
        let path = Path::new(OsStr::from_bytes(&bytes[begin..path_end]));
        if path.is_absolute()
            && let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
        {
            found.entry(folder.to_owned()).or_default().insert(name.to_owned());
        } else if path == Path::new("_testmain.go") {
            found.entry(PathBuf::new()).or_default().insert("_testmain.go".to_owned());
        }
    }
}

/// Whether these are the sources of a test's binary, which is no program of its own.
pub fn are_of_a_test(sources: &Sources) -> bool {
    sources.values().flatten().any(|name| name == "_testmain.go" || name.ends_with("_test.go"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn go(dir: &Path, args: &[&str]) {
        let out = Command::new("go").args(args).current_dir(dir).env("GOFLAGS", "-buildvcs=false").output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    #[test]
    fn the_files_a_program_was_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::write(root.join("go.mod"), "module ex.com/sources\ngo 1.21\n").unwrap();
        fs::create_dir(root.join("lib")).unwrap();
        fs::write(root.join("lib/lib.go"), "package lib\n//go:noinline\nfunc F() { println(2) }\n").unwrap();
        fs::write(root.join("main.go"), "package main\nimport \"ex.com/sources/lib\"\nfunc main() { lib.F() }\n")
            .unwrap();
        fs::write(root.join("main_test.go"), "package main\nimport \"testing\"\nfunc TestX(*testing.T) {}\n").unwrap();
        go(&root, &["build", "-o", "plain"]);
        go(&root, &["build", "-ldflags=-s -w", "-o", "stripped"]);
        go(&root, &["build", "-trimpath", "-o", "trimmed"]);
        go(&root, &["test", "-c", "-o", "tests"]);
        let of = |name: &str| of(&File::open(root.join(name)).unwrap());
        for name in ["plain", "stripped"] {
            let found = of(name);
            assert_eq!(found[&root], BTreeSet::from(["main.go".to_owned()]), "{name}");
            assert_eq!(found[&root.join("lib")], BTreeSet::from(["lib.go".to_owned()]), "{name}");
            assert!(!are_of_a_test(&found));
        }
        assert!(!of("trimmed").contains_key(&root));
        assert!(are_of_a_test(&of("tests")));
    }

    #[test]
    fn a_path_across_two_chunks_is_seen() {
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = vec![0; CHUNK - 10];
        bytes.extend(b"/a/folder/of/ours/main.go\0");
        bytes.extend(vec![0; CHUNK]);
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        assert_eq!(of(&file), Sources::from([("/a/folder/of/ours".into(), BTreeSet::from(["main.go".to_owned()]))]));
    }
}
