//! What `go.mod` and `go.work` say, as far as it is needed before `go` runs: which files govern a folder, the module's path, the Go version asked for.
//!
//! Only simple directives are read; everything else is `go`'s business.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The directives of one `go.mod` or `go.work` that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `module example.com/api`
    pub module: Option<String>,
    /// `go 1.24.0`
    pub go: Option<String>,
    /// `toolchain go1.25.1`
    pub toolchain: Option<String>,
}

/// A module that governs a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The folder of its `go.mod`.
    pub root: PathBuf,
    /// What it says.
    pub directives: Directives,
}

/// Reads the directives of a `go.mod` or `go.work`.
pub fn parse(text: &str) -> Directives {
    let mut out = Directives::default();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line == ")" {
            block = None;
            continue;
        }
        let (word, rest) = match &block {
            Some(word) => (word.clone(), line),
            None => {
                let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                (word.to_owned(), rest.trim())
            }
        };
        if rest == "(" {
            block = Some(word);
            continue;
        }
        let value = rest.trim_matches(['"', '`']).to_owned();
        match word.as_str() {
            _ if value.is_empty() => {}
            "module" => out.module = Some(value),
            "go" => out.go = Some(value),
            "toolchain" => out.toolchain = Some(value),
            _ => {}
        }
    }
    out
}

/// The module that governs `dir`: the nearest `go.mod` at or above it.
pub fn module_of(dir: &Path) -> Option<Module> {
    let root = nearest(dir, "go.mod")?;
    let text = fs::read_to_string(root.join("go.mod")).ok()?;
    Some(Module { root, directives: parse(&text) })
}

/// The folder of the `go.work` that governs `dir`, by the rules of `GOWORK`: `off` is none, a path is that file, else the nearest at or above.
pub fn workspace_of(dir: &Path, env: &[(OsString, OsString)]) -> Option<PathBuf> {
    match lookup(env, "GOWORK") {
        Some(value) if value == "off" => None,
        Some(value) if !value.is_empty() => Path::new(value).parent().map(Path::to_owned),
        _ => nearest(dir, "go.work"),
    }
}

/// A variable of an environment in which each key stands once.
pub fn lookup<'a>(env: &'a [(OsString, OsString)], key: &str) -> Option<&'a OsStr> {
    env.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_os_str())
}

/// The name `go build -o folder/` gives the binary of a package: the last element of its import path, the one before it for `…/v2`.
pub fn binary_name(import_path: &str) -> Option<&str> {
    let mut parts = import_path.rsplit('/').filter(|p| !p.is_empty());
    let last = parts.next()?;
    if is_version(last) { Some(parts.next().unwrap_or(last)) } else { Some(last) }
}

fn is_version(element: &str) -> bool {
    let Some(digits) = element.strip_prefix('v') else { return false };
    !digits.is_empty() && !digits.starts_with('0') && digits != "1" && digits.bytes().all(|b| b.is_ascii_digit())
}

fn nearest(dir: &Path, name: &str) -> Option<PathBuf> {
    dir.ancestors().find(|d| d.join(name).is_file()).map(Path::to_owned)
}

/// Compares Go versions as `go` does for whole releases: `1.24` < `1.24.3` < `1.25`. Words after the numbers (`rc1`) are taken as just before the release.
pub fn older(a: &str, b: &str) -> bool {
    key(a) < key(b)
}

fn key(version: &str) -> (Vec<u32>, bool) {
    let version = version.trim_start_matches("go");
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers: Vec<u32> = version[..end].split('.').filter_map(|n| n.parse().ok()).collect();
    numbers.resize(3, 0);
    let rest = &version[end..];
    (numbers, !rest.starts_with("rc") && !rest.starts_with("beta"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_directives_in_every_form() {
        let text = "// c\nmodule \"ex.com/a\" // x\n\ngo 1.24.1\ntoolchain go1.25.0\nrequire (\n\tx.y/z v1.0.0\n)\n";
        let got = parse(text);
        assert_eq!(got.module.as_deref(), Some("ex.com/a"));
        assert_eq!((got.go.as_deref(), got.toolchain.as_deref()), (Some("1.24.1"), Some("go1.25.0")));
        assert_eq!(parse("module (\n\tex.com/b\n)\n").module.as_deref(), Some("ex.com/b"));
        assert_eq!(parse(""), Directives::default());
    }

    #[test]
    fn names_binaries_as_go_does() {
        assert_eq!(binary_name("ex.com/a/api"), Some("api"));
        assert_eq!(binary_name("ex.com/a/v2"), Some("a"));
        assert_eq!(binary_name("ex.com/a/v1"), Some("v1"));
        assert_eq!(binary_name("gopkg.in/yaml.v3"), Some("yaml.v3"));
        assert_eq!(binary_name("v2"), Some("v2"));
    }

    #[test]
    fn versions_have_an_order() {
        assert!(older("1.24", "1.24.3") && older("go1.9", "1.10") && older("1.25rc1", "1.25"));
        assert!(!older("go1.26.8", "1.26.8") && !older("1.26", "1.26.0"));
    }
}
