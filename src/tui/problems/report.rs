//! What `orchestra test -o json` said, service by service. Pure.

use std::sync::Arc;

use serde_json::Value;

use super::group::{Group, Kind, Place, Problem};
use crate::tui::fleet::Tone;

/// Of the output of one test so many lines are kept.
const LINES: usize = 2000;

/// How tests of a service ended, or that they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// They run.
    pub running: bool,
    /// Package by package.
    pub packages: Vec<Package>,
    /// They could not be run, and why.
    pub error: Option<String>,
    /// Only tests that match were run.
    pub only: bool,
}

/// One package of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Relative to the project.
    pub dir: String,
    /// So many passed.
    pub passed: usize,
    /// So many skipped themselves.
    pub skipped: usize,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The result of an earlier run.
    pub cached: bool,
    /// What failed.
    pub failed: Vec<Problem>,
    /// What failed is what `go vet` found.
    pub vet: bool,
    /// Tests that were run to their ends.
    pub ran: Vec<String>,
}

impl Tests {
    /// So many passed.
    pub fn passed(&self) -> usize {
        self.packages.iter().map(|package| package.passed).sum()
    }

    /// So many failed.
    pub fn failed(&self) -> usize {
        self.packages.iter().map(|package| package.failed.len()).sum()
    }

    /// Takes a newer report; of some tests only, it changes what is known of these.
    pub(super) fn take(&mut self, newer: Tests, now: i64) {
        if newer.running {
            self.running = true;
            return;
        }
        let mut newer = newer;
        let all = newer.packages.iter_mut().flat_map(|package| &mut package.failed);
        all.for_each(|problem| problem.since = now);
        if !newer.only || newer.error.is_some() {
            *self = Tests { only: false, ..newer };
            return;
        }
        (self.running, self.error) = (false, None);
        for package in newer.packages {
            match self.packages.iter_mut().find(|known| known.dir == package.dir) {
                Some(known) => known.take(package),
                None if package.failed.is_empty() && package.ran.is_empty() => {}
                None => self.packages.push(package),
            }
        }
    }

    /// Forgets problems; true where nothing is left that could be shown.
    pub(super) fn dismiss(&mut self, ids: &[String]) -> bool {
        if ids.is_empty() {
            return true;
        }
        for package in &mut self.packages {
            package.failed.retain(|problem| !ids.contains(&problem.id));
        }
        self.failed() == 0 && self.passed() == 0
    }

    /// What names all failed tests; the inner `None` where something else failed, and so all are to be run.
    pub(super) fn failed_pattern(&self) -> Option<Option<String>> {
        let failed: Vec<&Problem> = self.packages.iter().flat_map(|package| &package.failed).collect();
        if failed.is_empty() && self.error.is_none() {
            return None;
        }
        let names: Option<std::collections::BTreeSet<&str>> = failed.into_iter().map(whole_test).collect();
        let names = names.filter(|names| !names.is_empty() && self.error.is_none());
        Some(names.map(|names| {
            let names: Vec<String> = names.into_iter().map(regex::escape).collect();
            format!("^({})$", names.join("|"))
        }))
    }

    pub(super) fn groups(&self, service: &str) -> Vec<Group> {
        let mut groups: Vec<Group> =
            self.packages.iter().filter(|package| !package.failed.is_empty()).map(|p| p.group(service)).collect();
        let plain = |what: &str, tone, title: &str| Group {
            tone,
            title: title.to_owned(),
            ..Group::new(Kind::Test, service, what)
        };
        if self.running {
            groups.insert(0, plain("running", Tone::Wait, "testing …"));
        }
        if let Some(error) = &self.error {
            groups.insert(0, plain("error", Tone::Bad, error));
        }
        let good: Vec<&Package> = self.packages.iter().filter(|package| package.failed.is_empty()).collect();
        let passed: usize = good.iter().map(|package| package.passed).sum();
        let skipped: usize = good.iter().map(|package| package.skipped).sum();
        if passed > 0 || !self.running && groups.is_empty() {
            let cached = !good.is_empty() && good.iter().all(|package| package.cached);
            let elapsed = good.iter().map(|package| package.elapsed_ms).sum();
            let title = counted(&[(0, "failed"), (passed, "passed"), (skipped, "skipped")]);
            let title = if title.is_empty() { "0 passed".to_owned() } else { title };
            let more = if cached { "(cached)".to_owned() } else { took(elapsed) };
            groups.push(Group { more, ..plain("passed", Tone::Good, &title) });
        }
        groups
    }
}

impl Package {
    /// Takes the results of those of its tests that were run again.
    fn take(&mut self, newer: Package) {
        let again = |problem: &Problem| problem.test.as_ref().is_none_or(|name| newer.ran.contains(name));
        let before = self.failed.len();
        // What was no test, but kept the tests from running, is over where some ran.
        if !newer.ran.is_empty() || !newer.failed.is_empty() {
            self.failed.retain(|problem| !again(problem));
        }
        let mended = (before - self.failed.len()).saturating_sub(newer.failed.len());
        self.passed += mended;
        self.failed.extend(newer.failed);
        self.vet = newer.vet;
        self.elapsed_ms = newer.elapsed_ms;
    }

    fn group(&self, service: &str) -> Group {
        let counts = counted(&[(self.failed.len(), "failed"), (self.passed, "passed"), (self.skipped, "skipped")]);
        let (kind, tone, counts) = match self.vet {
            true if self.failed.len() == 1 => (Kind::Lint, Tone::Wait, "1 finding".to_owned()),
            true => (Kind::Lint, Tone::Wait, format!("{} findings", self.failed.len())),
            false => (Kind::Test, Tone::Bad, counts),
        };
        let items = self.failed.iter().map(|problem| Problem { tone, ..problem.clone() }).collect();
        let title = if self.dir == "." { counts } else { format!("{}  {counts}", self.dir) };
        Group { tone, title, more: took(self.elapsed_ms), items, ..Group::new(kind, service, &self.dir) }
    }
}

/// `TestX` of `TestX/part`.
fn whole_test(problem: &Problem) -> Option<&str> {
    problem.test.as_ref().map(|name| name.split('/').next().unwrap_or_default())
}

fn counted(counts: &[(usize, &str)]) -> String {
    let some = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    some.collect::<Vec<_>>().join(" ")
}

fn took(ms: u64) -> String {
    match ms {
        0 => String::new(),
        ms => crate::text::time(std::time::Duration::from_millis(ms)),
    }
}

/// What `go test -run` is told for one test or one of its parts.
pub fn pattern_of(test: &str) -> String {
    test.split('/').map(|part| format!("^{}$", regex::escape(part))).collect::<Vec<_>>().join("/")
}

/// What `orchestra test -o json` said about a service.
pub fn read_tests(report: &Value, service: &str) -> Tests {
    let mine = |package: &&Value| list(package, "services").iter().any(|name| name == service);
    let mut tests = Tests::default();
    for package in list(report, "packages").iter().filter(mine) {
        tests.packages.push(read_package(package, service));
    }
    if tests.failed() == 0 && list(report, "packages").is_empty() {
        tests.error = text(&report["error"]["message"]);
    }
    tests
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or(0)).unwrap_or(0)
}

fn read_package(from: &Value, service: &str) -> Package {
    let count = |key: &str| usize::try_from(from[key].as_u64().unwrap_or(0)).unwrap_or(0);
    let mut package = Package {
        dir: text(&from["dir"]).unwrap_or_else(|| ".".to_owned()),
        passed: count("passed"),
        skipped: count("skipped"),
        elapsed_ms: from["elapsed_ms"].as_u64().unwrap_or(0),
        cached: from["cached"].as_bool().unwrap_or(false),
        vet: from["vet"].as_bool().unwrap_or(false),
        ..Package::default()
    };
    let output = lines(from);
    for problem in list(from, "problems") {
        let place = text(&problem["file"]).map(|file| Place {
            file,
            line: number(&problem["line"]),
            column: number(&problem["column"]),
        });
        let text = text(&problem["message"]).unwrap_or_default();
        package.failed.push(Problem { raw: Arc::clone(&output), ..failure(service, place, text) });
    }
    let tests = list(from, "tests");
    let is = |test: &&Value, state: &str| test["state"] == state;
    let names = |state: &'static str| tests.iter().filter(move |test| is(test, state)).filter_map(|t| text(&t["name"]));
    package.ran = names("passed").chain(names("failed")).collect();
    // A test that failed because a part of it did is told by that part.
    let failed: Vec<String> = names("failed").collect();
    let is_told = |name: &str| !failed.iter().any(|other| other.starts_with(&format!("{name}/")));
    for test in tests.iter().filter(|test| is(test, "failed")) {
        let name = text(&test["name"]).unwrap_or_default();
        if is_told(&name) {
            package.failed.push(read_test(test, name, service));
        }
    }
    if let Some(error) = text(&from["error"]).filter(|_| package.failed.is_empty()) {
        package.failed.push(Problem { raw: output, ..failure(service, None, error) });
    }
    package
}

fn read_test(test: &Value, name: String, service: &str) -> Problem {
    let place = text(&test["file"]).map(|file| Place { file, line: number(&test["line"]), column: 0 });
    let message = text(&test["message"]).map_or_else(String::new, |message| format!(": {message}"));
    Problem {
        more: took(test["elapsed_ms"].as_u64().unwrap_or(0)),
        raw: lines(test),
        test: Some(name.clone()),
        ..failure(service, place, format!("{name}{message}"))
    }
}

fn lines(of: &Value) -> Arc<[String]> {
    let clean = |line: &Value| crate::logs::ansi::text(&crate::logs::ansi::spans(line.as_str()?.as_bytes())).into();
    list(of, "output").iter().filter_map(clean).take(LINES).collect()
}

fn failure(service: &str, place: Option<Place>, text: String) -> Problem {
    let at = place.as_ref().map_or_else(String::new, Place::to_string);
    Problem::new(format!("{service} {at} {text}"), place, text)
}
