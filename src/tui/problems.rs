//! What compilers said, and how tests ended, as lists one can go through. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use super::fleet::Tone;
use super::model::{List, Pane};
use crate::api::wire::Service;
use serde_json::Value;

/// A place in a file of the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Relative to the project.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Tells it from others.
    pub id: String,
    /// Whose.
    pub service: String,
    /// How bad.
    pub tone: Tone,
    /// Where, where that is known.
    pub place: Option<Place>,
    /// What.
    pub text: String,
}

/// How tests of a service ended, or that they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    /// They run.
    pub running: bool,
    /// So many passed.
    pub passed: usize,
    /// What failed: name, place and first words.
    pub failed: Vec<Problem>,
    /// They could not be run, and why.
    pub error: Option<String>,
}

/// Both lists.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    builds: Vec<Problem>,
    tests: BTreeMap<String, Tests>,
    dismissed: BTreeSet<String>,
    problems: List,
    results: List,
    /// Everything, or only what fails.
    pub all: bool,
}

impl Problems {
    /// Takes what the newest builds said.
    pub fn update(&mut self, services: &[Service]) {
        self.builds = services.iter().flat_map(of_build).collect();
        // What was mended and comes again is new.
        let ids: BTreeSet<&str> = self.builds.iter().map(|problem| problem.id.as_str()).collect();
        self.dismissed.retain(|id| ids.contains(id.as_str()));
        self.settle();
    }

    /// Takes how tests of a service go.
    pub fn tested(&mut self, service: &str, tests: Tests) {
        self.tests.insert(service.to_owned(), tests);
        self.settle();
    }

    /// What a pane lists.
    pub fn rows(&self, pane: Pane) -> Vec<Problem> {
        match pane {
            Pane::Tests => self.tests.iter().flat_map(|(service, tests)| of_tests(service, tests, self.all)).collect(),
            _ => self.builds.iter().filter(|problem| !self.dismissed.contains(&problem.id)).cloned().collect(),
        }
    }

    /// The cursor of a pane.
    pub fn list(&self, pane: Pane) -> &List {
        if pane == Pane::Tests { &self.results } else { &self.problems }
    }

    /// The same, to change it.
    pub fn list_mut(&mut self, pane: Pane) -> &mut List {
        if pane == Pane::Tests { &mut self.results } else { &mut self.problems }
    }

    /// Moves the cursor of a pane.
    pub fn go(&mut self, pane: Pane, to: impl Fn(usize, usize) -> usize) {
        let rows = self.rows(pane);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let list = if pane == Pane::Tests { &mut self.results } else { &mut self.problems };
        list.go(to(list.at, ids.len()), &ids);
    }

    /// What the cursor of a pane is on.
    pub fn selected(&self, pane: Pane) -> Option<Problem> {
        self.rows(pane).into_iter().nth(self.list(pane).at)
    }

    /// Hides the problem below the cursor until it happens again.
    pub fn dismiss(&mut self, pane: Pane) {
        match (pane, self.selected(pane)) {
            (_, None) => {}
            (Pane::Tests, Some(row)) => drop(self.tests.remove(&row.service)),
            (_, Some(row)) => drop(self.dismissed.insert(row.id)),
        }
        self.settle();
    }

    fn settle(&mut self) {
        for pane in [Pane::Problems, Pane::Tests] {
            let rows = self.rows(pane);
            let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
            let list = if pane == Pane::Tests { &mut self.results } else { &mut self.problems };
            list.settle(&ids);
        }
    }
}

/// What `orchestra test -o json` said about a service.
pub fn read_tests(report: &Value, service: &str) -> Tests {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap_or(1)).unwrap_or(1);
    let mut tests = Tests::default();
    let mine = |package: &Value| list(package, "services").iter().any(|name| name == service);
    for package in list(report, "packages").iter().filter(|package| mine(package)) {
        tests.passed += usize::try_from(package["passed"].as_u64().unwrap_or(0)).unwrap_or(0);
        for problem in list(package, "problems") {
            let place = text(&problem["file"]).map(|file| Place {
                file,
                line: number(&problem["line"]),
                column: number(&problem["column"]),
            });
            tests.failed.push(failure(service, place, text(&problem["message"]).unwrap_or_default()));
        }
        for test in list(package, "tests").iter().filter(|test| test["state"] == "failed") {
            let place = text(&test["file"]).map(|file| Place { file, line: number(&test["line"]), column: 1 });
            let name = text(&test["name"]).unwrap_or_default();
            let message = text(&test["message"]).map_or_else(String::new, |message| format!(": {message}"));
            tests.failed.push(failure(service, place, format!("{name}{message}")));
        }
        let told = list(package, "problems").len()
            + list(package, "tests").iter().filter(|test| test["state"] == "failed").count();
        if let Some(error) = text(&package["error"]).filter(|_| told == 0) {
            tests.failed.push(failure(service, None, error));
        }
    }
    if tests.failed.is_empty() && list(report, "packages").is_empty() {
        tests.error = text(&report["error"]["message"]);
    }
    tests
}

fn failure(service: &str, place: Option<Place>, text: String) -> Problem {
    let at = place.as_ref().map_or_else(String::new, Place::to_string);
    Problem { id: format!("{service} {at} {text}"), service: service.to_owned(), tone: Tone::Bad, place, text }
}

fn of_build(service: &Service) -> Vec<Problem> {
    let Some(build) = service.build.as_ref().filter(|build| build.state == "failed") else { return Vec::new() };
    let named = build.problems.iter().map(|problem| {
        let place = Place { file: problem.file.clone(), line: problem.line, column: problem.column };
        Problem {
            id: format!("{} {place} {}", service.name, problem.message),
            service: service.name.clone(),
            tone: Tone::Bad,
            place: Some(place),
            text: problem.message.clone(),
        }
    });
    let named: Vec<Problem> = named.collect();
    match (&build.error, named.is_empty()) {
        // The linker, a missing module: nothing that has a place.
        (Some(error), true) => vec![plain(&service.name, Tone::Bad, error.clone())],
        _ => named,
    }
}

fn plain(service: &str, tone: Tone, text: String) -> Problem {
    Problem { id: format!("{service} {text}"), service: service.to_owned(), tone, place: None, text }
}

fn of_tests(service: &str, tests: &Tests, all: bool) -> Vec<Problem> {
    let mut rows = tests.failed.clone();
    match (&tests.error, tests.running) {
        (_, true) => rows.insert(0, plain(service, Tone::Wait, "testing …".to_owned())),
        (Some(error), false) => rows.insert(0, plain(service, Tone::Bad, error.clone())),
        (None, false) if all || rows.is_empty() => {
            rows.push(plain(service, Tone::Good, format!("{} passed", tests.passed)));
        }
        (None, false) => {}
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire;
    use crate::tui::testing::service;

    fn broken(messages: &[&str]) -> Service {
        let problem =
            |message: &&str| wire::Problem { file: "a.go".into(), line: 3, column: 4, message: (*message).into() };
        let problems = messages.iter().map(problem).collect();
        let build = wire::Build { state: "failed".into(), id: None, error: Some("exit 1".into()), problems };
        Service { build: Some(build), ..service("api", &["ready"]) }
    }

    fn texts(problems: &Problems, pane: Pane) -> Vec<String> {
        problems.rows(pane).into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn what_is_dismissed_comes_back_when_it_happens_again() {
        let mut problems = Problems::default();
        problems.update(&[broken(&["x", "y"])]);
        problems.dismiss(Pane::Problems);
        assert_eq!(texts(&problems, Pane::Problems), ["y"]);
        problems.update(&[broken(&["x", "y"])]);
        assert_eq!(texts(&problems, Pane::Problems), ["y"]);
        problems.update(&[service("api", &["ready"])]);
        assert!(texts(&problems, Pane::Problems).is_empty());
        problems.update(&[broken(&["x"])]);
        assert_eq!(texts(&problems, Pane::Problems), ["x"]);
        problems.update(&[broken(&[])]);
        assert_eq!(texts(&problems, Pane::Problems), ["exit 1"]);
    }

    #[test]
    fn a_report_is_read_per_service() {
        let report = serde_json::json!({"packages": [
            {"services": ["api", "web"], "passed": 2, "problems": [], "error": null, "tests": [
                {"name": "TestA", "state": "passed"},
                {"name": "TestB", "state": "failed", "file": "pkg/b_test.go", "line": 7, "message": "got 1"}]},
            {"services": ["web"], "passed": 1, "problems": [{"file": "w.go", "line": 1, "column": 2, "message": "undefined: x"}], "tests": []},
        ]});
        let api = read_tests(&report, "api");
        assert_eq!((api.passed, api.failed.len()), (2, 1));
        assert_eq!(api.failed[0].place.as_ref().map(Place::to_string).as_deref(), Some("pkg/b_test.go:7:1"));
        assert_eq!(api.failed[0].text, "TestB: got 1");
        assert_eq!(read_tests(&report, "web").failed.len(), 2);
        let broken = serde_json::json!({"packages": [], "error": {"message": "no go here"}});
        assert_eq!(read_tests(&broken, "api").error.as_deref(), Some("no go here"));
    }

    #[test]
    fn tests_show_what_failed() {
        let mut problems = Problems::default();
        problems.tested("api", Tests { running: true, ..Tests::default() });
        assert_eq!(texts(&problems, Pane::Tests), ["testing …"]);
        let failed = plain("api", Tone::Bad, "TestX: got 1".into());
        problems.tested("api", Tests { passed: 3, failed: vec![failed], ..Tests::default() });
        assert_eq!(texts(&problems, Pane::Tests), ["TestX: got 1"]);
        problems.all = true;
        assert_eq!(texts(&problems, Pane::Tests), ["TestX: got 1", "3 passed"]);
    }
}
