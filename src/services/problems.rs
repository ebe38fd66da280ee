//! What `go build` said → the places it named, and one line for people. The compiler's own words are kept.

use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::task::outcome::{BuildFailure, Problem};

/// More places than this help nobody.
const MOST: usize = 200;

/// Reads the output of a failed `go build`, `go vet` or `go list` that ran in `dir`; paths become relative to `root`, the project. `None` when there is
/// nothing in it that a person could use.
pub fn parse(output: &[u8], dir: &Path, root: &Path) -> Option<BuildFailure> {
    let text = String::from_utf8_lossy(output);
    let mut problems: Vec<Problem> = Vec::new();
    let mut loose: Vec<String> = Vec::new();
    let mut note = None;
    let mut goes_on = GoesOn::Nothing;
    for line in unwrap_json(&text) {
        let line = line.trim_end();
        if line.starts_with("note: ") {
            note = Some(line.to_owned());
        } else if line.starts_with(['\t', ' ']) {
            go_on(goes_on, line.trim(), &mut problems, &mut loose);
        } else if is_noise(line) {
            goes_on = GoesOn::Nothing;
        } else if let Some(problem) = place(line, dir, root) {
            goes_on = if problem.message.ends_with(':') { GoesOn::Problem } else { GoesOn::Nothing };
            if problems.len() < MOST && !problems.contains(&problem) {
                problems.push(problem);
            }
        } else {
            goes_on = if line.starts_with("package ") || line.ends_with(':') { GoesOn::Loose } else { GoesOn::Nothing };
            loose.push(line.to_owned());
        }
    }
    let mut error = match (problems.first(), loose.into_iter().next(), &note) {
        (Some(problem), _, _) => line_of(problem),
        (None, Some(line), _) => line,
        (None, None, Some(note)) => note.clone(),
        (None, None, None) => return None,
    };
    if let Some(note) = note.filter(|n| *n != error) {
        error = format!("{error} ({note})");
    }
    Some(BuildFailure { error, problems })
}

/// A problem in one line: `api/main.go:9:25: too many return values`; a number that is not known is left out.
pub fn line_of(problem: &Problem) -> String {
    let file = problem.file.display();
    match (problem.line, problem.column) {
        (0, _) => format!("{file}: {}", problem.message),
        (line, 0) => format!("{file}:{line}: {}", problem.message),
        (line, column) => format!("{file}:{line}:{column}: {}", problem.message),
    }
}

/// What an indented line belongs to.
#[derive(Clone, Copy)]
enum GoesOn {
    /// A detail that only the log keeps (`have (number)`).
    Nothing,
    /// The last place, whose message ended in a colon (`…; to add it:`).
    Problem,
    /// The last line without a place (`package a` and its `imports b`).
    Loose,
}

fn go_on(what: GoesOn, line: &str, problems: &mut [Problem], loose: &mut [String]) {
    let target = match what {
        GoesOn::Nothing => None,
        GoesOn::Problem => problems.last_mut().map(|p| &mut p.message),
        GoesOn::Loose => loose.last_mut(),
    };
    if let Some(target) = target {
        target.push(' ');
        target.push_str(line);
    }
}

/// `go build -json` may come from a user's `GOFLAGS`: its lines hold the same words.
fn unwrap_json(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut inner = String::new();
    for line in text.lines() {
        let json = if line.starts_with("{\"") { serde_json::from_str::<serde_json::Value>(line).ok() } else { None };
        match json {
            Some(value) => inner.push_str(value.get("Output").and_then(|o| o.as_str()).unwrap_or_default()),
            None => {
                out.extend(std::mem::take(&mut inner).lines().map(str::to_owned));
                out.push(line.to_owned());
            }
        }
    }
    out.extend(inner.lines().map(str::to_owned));
    out
}

/// Headers, progress, and lines that only announce the next one.
fn is_noise(line: &str) -> bool {
    const STARTS: [&str; 8] = [
        "# ",
        "go: downloading ",
        "go: finding ",
        "go: extracting ",
        "go: found ",
        "go: added ",
        "go: upgraded ",
        "go: errors parsing ",
    ];
    line.trim().is_empty() || STARTS.iter().any(|s| line.starts_with(s))
}

fn place(line: &str, dir: &Path, root: &Path) -> Option<Problem> {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(?:vet: |go: )?([^\t]+?):(\d+):(?:(\d+):)?\s*(.+)$").ok());
    let found = PLACE.as_ref()?.captures(line)?;
    let path = Path::new(found.get(1)?.as_str());
    path.extension()?;
    let number = |i| found.get(i).and_then(|m| m.as_str().parse().ok()).unwrap_or(0);
    Some(Problem {
        file: in_project(path, dir, root),
        line: number(2),
        column: number(3),
        message: found.get(4)?.as_str().to_owned(),
    })
}

/// A path the compiler printed, as a person in the project says it.
fn in_project(path: &Path, dir: &Path, root: &Path) -> PathBuf {
    let whole = normal(&dir.join(path));
    match whole.strip_prefix(root) {
        Ok(inside) => inside.to_owned(),
        Err(_) => whole,
    }
}

fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // At the root `pop` does nothing, which is what `/..` means.
            Component::ParentDir => _ = out.pop(),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &str, output: &str) -> (String, Vec<String>) {
        let got = parse(output.as_bytes(), Path::new(dir), Path::new("/p")).unwrap();
        (got.error, got.problems.iter().map(line_of).collect())
    }

    #[test]
    fn places_are_relative_to_the_project_and_keep_their_order() {
        let (error, problems) = read(
            "/p/api",
            "# ex.com/api\n./main.go:9:25: too many return values\n\thave (number)\n\twant ()\n../lib/l.go:1:2: undefined: x\nmain.go:12: old style\n",
        );
        assert_eq!(error, "api/main.go:9:25: too many return values");
        assert_eq!(
            problems,
            ["api/main.go:9:25: too many return values", "lib/l.go:1:2: undefined: x", "api/main.go:12: old style"]
        );
    }

    #[test]
    fn words_without_a_place() {
        let cases = [
            (
                "go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)\n",
                "go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)",
            ),
            ("# runtime/cgo\ncgo: C compiler \"nocc\" not found: exec\n", "cgo: C compiler \"nocc\" not found: exec"),
            (
                "# ex.com/b/m\nex.com/b/m.main: relocation target nothere not defined\n",
                "ex.com/b/m.main: relocation target nothere not defined",
            ),
            (
                "package ex.com/b/m\n\timports ex.com/b/x from main.go\n\timports ex.com/b/m from x.go: import cycle not allowed\n",
                "package ex.com/b/m imports ex.com/b/x from main.go imports ex.com/b/m from x.go: import cycle not allowed",
            ),
            (
                "flag provided but not defined: -nosuch\nusage: go build [-o output]\n",
                "flag provided but not defined: -nosuch",
            ),
        ];
        for (output, error) in cases {
            assert_eq!(read("/p", output), (error.to_owned(), vec![]));
        }
    }

    #[test]
    fn go_errors_with_a_place() {
        let (error, _) =
            read("/p/api", "go: downloading x v1\ngo: errors parsing go.mod:\ngo.mod:3: unknown directive: bad\n");
        assert_eq!(error, "api/go.mod:3: unknown directive: bad");
        let (error, _) =
            read("/p", "m/main.go:3:8: no required module provides package a.b/c; to add it:\n\tgo get a.b/c\n");
        assert_eq!(error, "m/main.go:3:8: no required module provides package a.b/c; to add it: go get a.b/c");
        let (error, _) = read("/p", "vet: ./main.go:5:2: x\n");
        assert_eq!(error, "main.go:5:2: x");
        let (error, _) = read("/p", "main.go:3:12: pattern missing.txt: no matching files found\n");
        assert_eq!(error, "main.go:3:12: pattern missing.txt: no matching files found");
    }

    #[test]
    fn a_newer_module_is_said_beside_the_error() {
        let (error, _) = read("/p", "# m\n./main.go:5:2: undefined: min\nnote: module requires Go 1.99\n");
        assert_eq!(error, "main.go:5:2: undefined: min (note: module requires Go 1.99)");
    }

    #[test]
    fn json_output_holds_the_same_words() {
        let line = r##"{"ImportPath":"a","Action":"build-output","Output":"# a\n"}
{"ImportPath":"a","Action":"build-output","Output":"m.go:1:2: sp"}
{"ImportPath":"a","Action":"build-output","Output":"lit\n"}
{"ImportPath":"a","Action":"build-fail"}"##;
        assert_eq!(read("/p", line).1, ["m.go:1:2: split"]);
    }

    #[test]
    fn silence_and_foreign_paths() {
        assert_eq!(parse(b"\n# x\n", Path::new("/p"), Path::new("/p")), None);
        assert_eq!(read("/p", "/usr/local/go/src/a b/x.go:1:2: m: 3").1, ["/usr/local/go/src/a b/x.go:1:2: m: 3"]);
    }
}
