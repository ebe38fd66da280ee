//! Finds folders that hold a Go `main` package, without running `go`: from the package clauses and build constraints of the files in them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How deep a project is searched.
const DEEPEST: usize = 6;
/// A package clause stands within this much of a file; a longer licence is a mistake.
const HEAD: u64 = 1 << 16;

/// A folder with a `main` package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MainPackage {
    /// Relative to the folder that was searched; empty for that folder itself.
    pub dir: PathBuf,
}

impl MainPackage {
    /// How many folders below the one that was searched: 1 is where services are looked for.
    pub fn depth(&self) -> usize {
        self.dir.components().count()
    }
}

/// All folders at and below `root` that hold a `main` package for this machine, by name. Skips what Go and discovery skip; links are followed one level
/// deep, as discovery does.
pub fn find(root: &Path) -> io::Result<Vec<MainPackage>> {
    let mut out = Vec::new();
    walk(root, Path::new(""), 0, &mut out)?;
    out.sort();
    Ok(out)
}

/// The names of the files of the `main` package in a folder: what `go build` compiles there on this machine. Empty where there is no such package.
pub fn main_files(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_main = |name: &String| {
        let skipped = name.starts_with(['.', '_']);
        !skipped
            && is_source(name)
            && head(&dir.join(name)).is_ok_and(|text| is_built(&text) && package(&text) == Some("main"))
    };
    names.filter(is_main).collect()
}

/// Whether names of this kind are never looked into.
pub fn is_skipped(name: &str) -> bool {
    name.starts_with(['.', '_']) || ["vendor", "node_modules", "testdata"].contains(&name)
}

fn walk(root: &Path, at: &Path, depth: usize, out: &mut Vec<MainPackage>) -> io::Result<()> {
    let mut is_main = false;
    let mut below = Vec::new();
    for entry in fs::read_dir(root.join(at))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|n| !is_skipped(n)) else { continue };
        let kind = entry.file_type()?;
        let follows = kind.is_symlink() && depth == 0 && entry.path().is_dir();
        if kind.is_dir() || follows {
            below.push(at.join(name));
        } else if !is_main && is_source(name) {
            // A file that cannot be read says nothing; `go build` will.
            is_main = head(&entry.path()).is_ok_and(|text| is_built(&text) && package(&text) == Some("main"));
        }
    }
    if is_main {
        out.push(MainPackage { dir: at.to_owned() });
    }
    if depth < DEEPEST {
        for dir in below {
            match walk(root, &dir, depth + 1, out) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
    }
    Ok(())
}

fn head(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a file by this name is built here: `x_test.go` never is, `x_windows.go` and `x_linux_arm64.go` only there.
fn is_source(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".go") else { return false };
    if stem.ends_with("_test") {
        return false;
    }
    let mut parts = stem.rsplit('_');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next());
    // Without an underscore before it, `linux.go` is a name like any other.
    let Some(before) = before else { return true };
    let has_more = parts.next().is_some();
    if ARCHES.contains(&last) {
        return last == goarch() && (!has_more || !SYSTEMS.contains(&before) || before == system());
    }
    !SYSTEMS.contains(&last) || last == system()
}

const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];
const ARCHES: [&str; 16] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "sparc64", "wasm", "zos",
];

/// `GOOS` of this machine.
fn system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// `GOARCH` of this machine.
pub fn goarch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// What is built for another machine, such as that of a container engine, is tested on this one.
pub fn for_this_machine(env: &mut Vec<(OsString, OsString)>) {
    let is_other = |(key, value): &(OsString, OsString)| {
        key == "GOOS" && value != OsStr::new(system()) || key == "GOARCH" && value != OsStr::new(goarch())
    };
    if env.iter().any(is_other) {
        env.retain(|(key, _)| key != "GOOS" && key != "GOARCH");
    }
}

/// Whether the build constraint before the package clause lets the file in.
fn is_built(text: &str) -> bool {
    let mut old = true;
    for line in comments(text) {
        if let Some(expression) = line.strip_prefix("//go:build ") {
            return Expression::new(expression).holds();
        }
        // Before Go 1.17: lines are all needed, words of a line any, commas all, `!` not.
        if let Some(options) = line.strip_prefix("// +build ") {
            let holds = |term: &str| term.strip_prefix('!').map_or_else(|| is_set(term), |t| !is_set(t));
            old &= options.split_whitespace().any(|option| option.split(',').all(holds));
        }
    }
    old
}

/// Comment lines before the package clause.
fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).take_while(|line| !line.starts_with("package ")).filter(|line| line.starts_with("//"))
}

fn is_set(tag: &str) -> bool {
    let is_unix = system() != "windows" && system() != "plan9";
    tag == system()
        || tag == goarch()
        || tag == "gc"
        || tag == "cgo"
        || (tag == "unix" && is_unix)
        || tag.starts_with("go1.")
}

/// A `//go:build` expression: `||`, `&&`, `!`, parentheses, tags.
struct Expression<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Expression<'a> {
        let mut tokens = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let len = match rest.as_bytes() {
                [b'&', b'&', ..] | [b'|', b'|', ..] => 2,
                [b'(' | b')' | b'!', ..] => 1,
                _ => rest.find(|c: char| " \t()!&|".contains(c)).unwrap_or(rest.len()).max(1),
            };
            // A stray character beyond ASCII is no operator; the slice stays on a border because `find` gives one.
            let Some((token, after)) = rest.split_at_checked(len) else { break };
            tokens.push(token);
            rest = after.trim_start();
        }
        Expression { tokens, at: 0 }
    }

    fn holds(mut self) -> bool {
        self.any()
    }

    fn takes(&mut self, token: &str) -> bool {
        let is = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.takes("||") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.takes("&&") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        let mut is_not = false;
        while self.takes("!") {
            is_not = !is_not;
        }
        let holds = if self.takes("(") {
            let inner = self.any();
            self.takes(")");
            inner
        } else {
            let tag = self.tokens.get(self.at).copied().unwrap_or_default();
            self.at += 1;
            is_set(tag)
        };
        holds != is_not
    }
}

/// The name in the package clause.
fn package(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("//") {
            rest = after.split_once('\n')?.1;
        } else if let Some(after) = rest.strip_prefix("/*") {
            rest = after.split_once("*/")?.1;
        } else {
            let name = rest.strip_prefix("package")?.strip_prefix([' ', '\t'])?.trim_start();
            return name.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn package_clauses() {
        assert_eq!(package("// x\n/* package a\n*/ package main // y\n"), Some("main"));
        assert_eq!(package("\u{feff}package main;import \"x\""), Some("main"));
        assert_eq!(package("func main() {}"), None);
        assert_eq!(package("/* open"), None);
    }

    #[test]
    fn constraints() {
        let foreign = if system() == "linux" { "windows" } else { "linux" };
        for (line, built) in [
            ("//go:build ignore", false),
            ("//go:build !ignore", true),
            (&*format!("//go:build {} && ({} || gc)", system(), foreign), true),
            (&*format!("//go:build {foreign}||!unix"), false),
            ("//go:build go1.18 && !(integration||e2e)", true),
            ("// +build ignore", false),
            (&*format!("// +build {foreign},gc {}", system()), true),
            ("//go:build (((", false),
            ("//go:build ü", false),
            ("// just words", true),
        ] {
            assert_eq!(is_built(&format!("{line}\n\npackage main\n")), built, "{line}");
        }
        assert!(is_built("package main\n//go:build ignore\n"));
    }

    #[test]
    fn file_names() {
        let foreign = if system() == "linux" { "windows" } else { "linux" };
        assert!(is_source("main.go") && is_source("linux.go") && is_source("my_service.go"));
        assert!(!is_source("main_test.go") && !is_source("main.rs") && !is_source(&format!("x_{foreign}.go")));
        assert!(is_source(&format!("x_{}_{}.go", system(), goarch())) && !is_source("x_linux_mips.go"));
    }

    #[test]
    fn finds_folders_and_skips_what_is_no_service() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let main = "package main\n";
        for path in [
            "main.go",
            "api/main.go",
            "cmd/tool/main.go",
            "vendor/x/main.go",
            "testdata/m.go",
            "_old/m.go",
            ".git/m.go",
        ] {
            write(path, main);
        }
        write("gen/gen.go", "//go:build ignore\n\npackage main\n");
        write("gen/lib.go", "package gen\n");
        write("lib/main_test.go", main);
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("m.go"), main).unwrap();
        symlink(other.path(), dir.path().join("linked")).unwrap();
        symlink(dir.path(), dir.path().join("api/loop")).unwrap();
        let found: Vec<_> = find(dir.path()).unwrap().into_iter().map(|p| p.dir.display().to_string()).collect();
        assert_eq!(found, ["", "api", "cmd/tool", "linked"]);
        write("api/util.go", main);
        write("api/gen.go", "//go:build ignore\n\npackage main\n");
        write("api/main_test.go", main);
        let files: Vec<String> = main_files(&dir.path().join("api")).into_iter().collect();
        assert_eq!(files, ["main.go", "util.go"]);
        assert!(main_files(&dir.path().join("gen")).is_empty());
    }
}
