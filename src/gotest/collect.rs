//! Reads the events of `go test -json` into results. Pure: lines in, results out.
//!
//! The events come line by line from several packages at once, the tests of a package among each other, and with older settings of `go` the compiler's words
//! stand between them as plain text. A line that is no event is such text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::results::{Kept, PackageResult, State, TestResult};
use super::trace::{self, Ground};
use crate::services::problems;

/// One line of `go test -json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Event {
    action: String,
    package: String,
    test: String,
    elapsed: f64,
    output: String,
    import_path: String,
    failed_build: String,
}

/// What a line told.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Bytes of the log of tests: of a package, or of the compiler.
    Said {
        /// The package, where it is known.
        package: Option<String>,
        /// As it came, with its newline.
        text: String,
    },
    /// A test with all its parts has ended.
    Test {
        /// Its package.
        package: String,
        /// Itself and its parts.
        tests: Vec<TestResult>,
    },
    /// A package has ended.
    Package(Box<PackageResult>),
}

/// Whether the output of tests that passed is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    All,
    /// That of failed tests.
    Failed,
}

/// Reads the output of one `go test`.
#[derive(Debug)]
pub struct Collector {
    ground: Ground,
    keep: Keep,
    packages: BTreeMap<String, Package>,
    /// What the compiler said, by the package it was said about.
    builds: BTreeMap<String, Vec<String>>,
    /// About whom the plain text is that comes now.
    about: Option<String>,
    loose: Vec<String>,
}

/// A package while it runs.
#[derive(Debug, Default)]
struct Package {
    /// In the order in which they began.
    tests: Vec<Test>,
    by_name: BTreeMap<String, usize>,
    output: Kept,
    cached: bool,
    coverage: Option<f64>,
}

#[derive(Debug, Default)]
struct Test {
    name: String,
    ended: Option<State>,
    paused: bool,
    elapsed: f64,
    output: Kept,
    told: bool,
}

impl Collector {
    /// Begins. `ground` is where the packages are.
    pub fn new(ground: Ground, keep: Keep) -> Collector {
        let (packages, builds) = (BTreeMap::new(), BTreeMap::new());
        Collector { ground, keep, packages, builds, about: None, loose: Vec::new() }
    }

    /// Reads one line, with or without its newline.
    pub fn line(&mut self, line: &[u8]) -> Vec<News> {
        let is_event = line.starts_with(b"{\"");
        match is_event.then(|| serde_json::from_slice::<Event>(line)) {
            Some(Ok(event)) => self.event(event),
            Some(Err(_)) | None => self.text(&String::from_utf8_lossy(line)),
        }
    }

    /// What is left to tell when the process has ended: packages that never did. `why` says what became of them.
    pub fn end(&mut self, why: &str) -> Vec<News> {
        let open: Vec<String> = self.packages.keys().cloned().collect();
        let one = |path: String| self.ended(&path, State::NotRun, 0.0, "", Some(why));
        open.into_iter().map(one).collect()
    }

    /// Everything the compiler and `go` itself said that belongs to no package.
    pub fn loose(&self) -> Vec<String> {
        self.builds.values().flatten().chain(&self.loose).cloned().collect()
    }

    fn event(&mut self, event: Event) -> Vec<News> {
        match event.action.as_str() {
            "build-output" => {
                let text = event.output.trim_end_matches('\n').to_owned();
                self.builds.entry(event.import_path.clone()).or_default().push(text);
                vec![News::Said { package: Some(base(&event.import_path)), text: event.output }]
            }
            "build-fail" => Vec::new(),
            "output" => self.output(event),
            "start" => {
                self.packages.entry(event.package).or_default();
                Vec::new()
            }
            "pass" | "fail" | "skip" if event.test.is_empty() => {
                let state = match event.action.as_str() {
                    "pass" => State::Passed,
                    "fail" => State::Failed,
                    _ => State::NoTests,
                };
                vec![self.ended(&event.package, state, event.elapsed, &event.failed_build, None)]
            }
            action => {
                let package = self.packages.entry(event.package.clone()).or_default();
                let test = package.test(&event.test);
                match action {
                    "pass" => test.end(State::Passed, event.elapsed),
                    "fail" => test.end(State::Failed, event.elapsed),
                    "skip" => test.end(State::Skipped, event.elapsed),
                    "pause" => test.paused = true,
                    "cont" => test.paused = false,
                    // `run`, `bench`, and whatever a newer `go` invents.
                    _ => {}
                }
                self.told(&event.package, &event.test)
            }
        }
    }

    /// Once a test that is no part has ended, it is told with its parts.
    fn told(&mut self, path: &str, name: &str) -> Vec<News> {
        let keep = self.keep;
        let Some(package) = self.packages.get_mut(path).filter(|_| keep == Keep::All && !name.contains('/')) else {
            return Vec::new();
        };
        let is_over =
            package.by_name.get(name).is_some_and(|at| package.tests[*at].ended.is_some() && !package.tests[*at].told);
        if !is_over {
            return Vec::new();
        }
        let prefix = format!("{name}/");
        let mut tests = Vec::new();
        for test in package.tests.iter_mut().filter(|test| test.name == name || test.name.starts_with(&prefix)) {
            test.told = true;
            tests.push(test.result(&self.ground, path, keep));
        }
        vec![News::Test { package: path.to_owned(), tests }]
    }

    fn output(&mut self, event: Event) -> Vec<News> {
        let package = self.packages.entry(event.package.clone()).or_default();
        if event.test.is_empty() {
            package.own_output(&event.output);
        } else if !is_heading(&event.output) {
            package.test(&event.test).output.add(&event.output);
        }
        vec![News::Said { package: Some(event.package), text: event.output }]
    }

    /// What `go` printed beside events: `# package` and the compiler's words about it.
    fn text(&mut self, text: &str) -> Vec<News> {
        let line = text.trim_end_matches(['\n', '\r']);
        if let Some(about) = line.strip_prefix("# ") {
            // `go vet` says `# pkg` and then `# [pkg]`.
            self.about = Some(about.trim_matches(['[', ']']).to_owned()).filter(|name| !name.is_empty());
        }
        match &self.about {
            Some(about) => self.builds.entry(about.clone()).or_default().push(line.to_owned()),
            None => self.loose.push(line.to_owned()),
        }
        vec![News::Said { package: self.about.as_deref().map(base), text: format!("{line}\n") }]
    }

    fn ended(&mut self, path: &str, state: State, elapsed: f64, failed_build: &str, why: Option<&str>) -> News {
        let package = self.packages.remove(path).unwrap_or_default();
        let is_build = !failed_build.is_empty() || package.said("[build failed]") || package.said("[setup failed]");
        let (coverage, cached) = (package.coverage, package.cached);
        let output = trace::cut(package.output.lines(), &self.ground, path);
        let tests: Vec<TestResult> =
            package.tests.iter().map(|test| test.result(&self.ground, path, self.keep)).collect();
        let mut out =
            PackageResult { path: path.to_owned(), state, cached, coverage, tests, ..PackageResult::default() };
        out.elapsed = seconds(elapsed);
        match state {
            State::Failed if is_build => self.blame_build(&mut out, failed_build),
            State::Failed => {
                let has_failed = out.tests.iter().any(|test| test.state == State::Failed);
                out.error = (!has_failed).then(|| silent_failure(&out, &output));
                // What is printed beside failed tests may be what broke them: a server's log, a panic of another goroutine.
                out.output = output;
            }
            State::NotRun => {
                out.error = why.map(str::to_owned);
                out.output = output;
            }
            State::Passed | State::Skipped | State::NoTests => {
                // With coverage a package without tests ends like one that passed.
                let is_empty =
                    out.tests.is_empty() && coverage.is_some_and(|percent| percent == 0.0) && output.is_empty();
                out.state = if is_empty { State::NoTests } else { state };
                out.output = if self.keep == Keep::All { output } else { Vec::new() };
            }
        }
        News::Package(Box::new(out))
    }

    /// The compiler's words about a package that could not be built, or about the one it needs.
    fn blame_build(&self, out: &mut PackageResult, failed_build: &str) {
        let of_test = format!("[{}.test]", out.path);
        let is_its = |about: &String| *about == failed_build || base(about) == out.path || about.contains(&of_test);
        let mut said: Vec<String> =
            self.builds.iter().filter(|(about, _)| is_its(about)).flat_map(|(_, lines)| lines.clone()).collect();
        if said.is_empty() {
            said = self.loose();
        }
        out.vet = said.iter().any(|line| line.starts_with("# ["));
        let parsed = problems::parse(said.join("\n").as_bytes(), self.ground.dir(), self.ground.project());
        (out.error, out.problems) = match parsed {
            Some(failure) => (Some(failure.error), failure.problems),
            None => (Some("its tests could not be built".to_owned()), Vec::new()),
        };
        let told = said.into_iter().filter(|line| !line.starts_with("# "));
        out.output = told.map(|line| self.ground.relative(&line)).collect();
    }
}

/// `ex.com/a` for `ex.com/a [ex.com/a.test]`.
fn base(import_path: &str) -> String {
    import_path.split(' ').next().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

fn seconds(elapsed: f64) -> Duration {
    Duration::try_from_secs_f64(elapsed).unwrap_or_default()
}

/// Why a package failed in which no test did.
fn silent_failure(package: &PackageResult, output: &[String]) -> String {
    let said = |start: &str| output.iter().find(|line| line.starts_with(start)).cloned();
    if let Some(line) = said("panic: ").or(said("fatal error: ")).or(said("signal: ")) {
        return line;
    }
    let unfinished = package.tests.iter().any(|test| test.state == State::NotRun);
    match package.tests.is_empty() {
        true => "the test program exited with an error before any test ran".to_owned(),
        false if unfinished => "the test program ended in the middle of its tests".to_owned(),
        false => "no test failed, but the test program exited with an error".to_owned(),
    }
}

impl Package {
    fn test(&mut self, name: &str) -> &mut Test {
        let next = self.tests.len();
        let at = *self.by_name.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.tests.push(Test { name: name.to_owned(), ..Test::default() });
        }
        &mut self.tests[at]
    }

    /// Of what is printed outside of tests go's own summary is read, and the rest kept.
    fn own_output(&mut self, text: &str) {
        let line = text.trim_end();
        if line.starts_with("ok  \t") || line.starts_with("FAIL\t") || line.starts_with("?   \t") {
            self.cached |= line.split('\t').any(|part| part == "(cached)");
            if line.ends_with("failed]") {
                self.output.add(text);
            }
        }
        if let Some(percent) = line.rsplit_once("coverage: ").and_then(|(_, rest)| rest.split_once('%')) {
            self.coverage = percent.0.parse().ok().or(self.coverage);
            return;
        }
        let is_summary = ["PASS", "FAIL", "testing: warning: no tests to run"].contains(&line)
            || line.starts_with("ok  \t")
            || line.starts_with("FAIL\t")
            || line.starts_with("?   \t")
            || line.starts_with("exit status ");
        if !is_summary {
            self.output.add(text);
        }
    }

    fn said(&self, words: &str) -> bool {
        self.output.clone().lines().iter().any(|line| line.ends_with(words))
    }
}

/// `=== RUN   TestX` and its like, which `-v` prints around the words of tests, and the line that a test ends with.
fn is_heading(line: &str) -> bool {
    let line = line.trim_start();
    let headings =
        ["=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- PASS: ", "--- FAIL: ", "--- SKIP: ", "--- BENCH: "];
    headings.iter().any(|heading| line.starts_with(heading))
}

impl Test {
    fn end(&mut self, state: State, elapsed: f64) {
        (self.ended, self.elapsed) = (Some(state), elapsed);
    }

    fn result(&self, ground: &Ground, package: &str, keep: Keep) -> TestResult {
        let lines = self.output.clone().lines();
        // One that never ended took the program with it, or was taken along while it waited for its turn.
        let state = match self.ended {
            Some(state) => state,
            None if self.paused => State::NotRun,
            None => State::Failed,
        };
        let (name, elapsed, unfinished) = (self.name.clone(), seconds(self.elapsed), self.ended.is_none());
        let mut out = TestResult { name, state, elapsed, unfinished, ..TestResult::default() };
        if state == State::Passed && keep == Keep::Failed {
            return out;
        }
        out.output = trace::cut(lines, ground, package);
        if state == State::Failed || state == State::Skipped {
            let found = trace::place(&out.output);
            out.place = found.as_ref().map(|(file, line, _)| (PathBuf::from(file), *line));
            out.message = found.map(|(_, _, message)| message).unwrap_or_default();
        }
        if out.message.is_empty() && self.ended.is_none() && state == State::Failed {
            out.message = "did not end".to_owned();
        }
        out
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
