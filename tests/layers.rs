//! Reads the sources and fails where the house is no longer as drawn in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The one table of layers; a module imports from its own layer and those below it.
const LAYERS: [&[&str]; 8] = [
    &["error", "task"],
    &["config", "scheduler", "sys"],
    &["docker", "gotest", "logs", "rerun", "services", "shim", "store", "vendors"],
    &["project", "strays", "worker"],
    &["supervisor"],
    &["api"],
    &["text", "tui"],
    &["cli"],
];

/// Files that know no runtime, clock, file system or format: time and facts are their arguments.
const PURE: [&str; 3] = ["src/task/", "src/scheduler/", "src/supervisor/engine"];

/// One source file.
struct Source {
    /// `src/task/id.rs`
    path: String,
    text: String,
    /// Without comments and without the tests at its end; as many lines as `text`.
    code: String,
}

impl Source {
    /// `task` for `src/task/id.rs`; `None` for `src/lib.rs` and `src/main.rs`.
    fn module(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?;
        let name = inner.split('/').next()?.trim_end_matches(".rs");
        (name != "lib" && name != "main").then_some(name)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src"), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        Source { path, code: code(&text), text }
    };
    let mut sources: Vec<Source> = paths.into_iter().map(read).collect();
    let tests = test_files(&sources);
    for source in sources.iter_mut().filter(|s| tests.contains(&s.path)) {
        source.code.clear();
    }
    sources
}

/// Files that hold tests only: those a `mod` under `#[cfg(test)]` names.
fn test_files(sources: &[Source]) -> BTreeSet<String> {
    let declared =
        Regex::new(r"#\[cfg\(test\)\]\n(?:#\[[^\n]*\]\n)*(?:pub\((?:crate|super)\) )?mod ([a-z_]+);").unwrap();
    let mut found = BTreeSet::new();
    for source in sources {
        let dir = match source.path.strip_suffix("/mod.rs") {
            Some(dir) => dir,
            None => source.path.trim_end_matches(".rs"),
        };
        for name in declared.captures_iter(&source.text) {
            found.insert(format!("{dir}/{}.rs", &name[1]));
        }
    }
    found
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
    into.sort();
}

/// The lines up to the tests, comments and the content of one-line strings blanked.
fn code(text: &str) -> String {
    let tests = Regex::new(r"#\[cfg\(test\)\]\n(#\[[^\n]*\]\n)*(pub\(crate\) )?mod [a-z_]+ \{").unwrap();
    let text = tests.split(text).next().unwrap_or_default();
    let string = Regex::new(r#""(\\.|[^"\\\n])*""#).unwrap();
    let text = string.replace_all(text, "\"\"");
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// Every top-level module a file names: `crate::x::…`, and each `x` of `crate::{x::…, y}`.
fn imports(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let group = Regex::new(r"\bcrate::\{").unwrap();
    let mut found: BTreeSet<String> = single.captures_iter(code).map(|c| c[1].to_owned()).collect();
    for start in group.find_iter(code) {
        let mut depth = 1;
        let mut word = String::new();
        let mut first = true;
        for c in code[start.end()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if first && (c.is_ascii_lowercase() || c == '_') {
                word.push(c);
            } else if !word.is_empty() {
                found.insert(std::mem::take(&mut word));
                first = false;
            }
            if c == ',' && depth == 1 {
                first = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// Every line of the code of `sources` that matches, as `path:line: text`.
fn hits<'a>(sources: impl Iterator<Item = &'a Source>, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let in_file = |source: &'a Source| {
        let lines = source.code.lines().enumerate();
        let found: Vec<String> = lines
            .filter(|(_, line)| pattern.is_match(line))
            .map(|(i, line)| format!("{}:{}: {}", source.path, i + 1, line.trim()))
            .collect();
        found
    };
    sources.flat_map(in_file).collect()
}

#[track_caller]
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn imports_go_downward_only() {
    let mut upward = Vec::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        let Some(own) = layer(module) else {
            panic!("`{module}` has no layer: give it one in tests/layers.rs and ARCHITECTURE.md")
        };
        for other in imports(&source.code) {
            let Some(theirs) = layer(&other) else { continue };
            if theirs > own {
                upward.push(format!("{}: L{own} {module} names L{theirs} {other}", source.path));
            }
        }
    }
    none(&upward, "upward imports");
}

#[test]
fn no_two_modules_import_each_other() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        let Some(module) = source.module() else { continue };
        graph.entry(module.to_owned()).or_default().extend(imports(&source.code).into_iter().filter(|o| o != module));
    }
    // Modules with nothing left below them are taken away until none is left, or a cycle is.
    while let Some(free) = graph.iter().find(|(_, needs)| !needs.iter().any(|n| graph.contains_key(n))) {
        let free = free.0.clone();
        graph.remove(&free);
    }
    assert!(graph.is_empty(), "a cycle among the modules: {graph:#?}");
}

#[test]
fn groups_of_imports_are_read_too() {
    let code = "use crate::{api::wire, error::{Error, task}, logs};\nuse crate::sys::home;";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["api", "error", "logs", "sys"]);
}

#[test]
fn no_glob_imports() {
    none(&hits(sources().iter(), r"^\s*(pub )?use .*::\*|^\s*.*::\*[,}]"), "glob imports");
}

#[test]
fn names_are_passed_on_by_a_mod_rs_only() {
    let all = sources();
    let others = all.iter().filter(|s| !s.path.ends_with("/mod.rs"));
    none(&hits(others, r"^\s*pub(\([a-z]+\))? use "), "`pub use` outside a mod.rs");
}

#[test]
fn the_system_is_met_in_sys_only() {
    let all = sources();
    let others = || all.iter().filter(|s| !s.path.starts_with("src/sys/"));
    none(&hits(others(), r"\bunsafe\s*(\{|fn\b|impl\b|extern\b)"), "`unsafe` outside src/sys");
    none(&hits(others(), r"\btarget_os\b"), "`cfg(target_os)` outside src/sys");
}

#[test]
fn only_cli_prints() {
    let all = sources();
    let others = all.iter().filter(|s| !s.path.starts_with("src/cli/"));
    none(&hits(others, r"\b(e?print(ln)?|dbg)!"), "printing outside src/cli");
}

#[test]
fn decisions_know_no_runtime_clock_file_or_format() {
    let all = sources();
    let pure = || all.iter().filter(|s| PURE.iter().any(|p| s.path.starts_with(p)));
    assert!(pure().count() > 0);
    let impure = r"\btokio\b|\bstd::fs\b|\bfs::|\bInstant\b|\bSystemTime\b|\bserde|\bstd::(net|env|process|thread)\b";
    none(&hits(pure(), impure), "a pure file names the world");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources().into_iter().filter(|s| !s.text.starts_with("//! ")).map(|s| s.path).collect();
    none(&silent, "files that do not begin with `//! `");
}

#[test]
fn every_test_file_is_run() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(root().join("tests")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(module) = name.strip_suffix(".rs").filter(|m| *m != "main") else { continue };
        if !main.lines().any(|line| line == format!("mod {module};")) {
            forgotten.push(name);
        }
    }
    none(&forgotten, "files of tests/ that tests/main.rs does not name");
}
