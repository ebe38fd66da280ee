//! What tests came to.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use crate::task::outcome::Problem;

/// How a test or a package of tests ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// All went well.
    Passed,
    /// It failed.
    Failed,
    /// It skipped itself.
    Skipped,
    /// A package without tests.
    NoTests,
    /// It did not come to its end, because another test took the program with it or it was interrupted.
    #[default]
    NotRun,
}

impl State {
    /// The word in JSON; never renamed.
    pub fn word(self) -> &'static str {
        match self {
            State::Passed => "passed",
            State::Failed => "failed",
            State::Skipped => "skipped",
            State::NoTests => "no-tests",
            State::NotRun => "not-run",
        }
    }
}

/// One test, example or fuzz test, or one of their parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestResult {
    /// `TestX`, `TestX/part`.
    pub name: String,
    /// How it ended.
    pub state: State,
    /// It never said how it ended.
    pub unfinished: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// Where it failed, relative to the project: file and line.
    pub place: Option<(PathBuf, u32)>,
    /// The first line of what went wrong.
    pub message: String,
    /// What it printed, without go's own headings, stacks cut.
    pub output: Vec<String>,
}

/// One package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackageResult {
    /// Its import path.
    pub path: String,
    /// How it ended.
    pub state: State,
    /// The result of an earlier run, which `go` knows to hold still.
    pub cached: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// Percent of its statements.
    pub coverage: Option<f64>,
    /// Its tests in the order in which they began.
    pub tests: Vec<TestResult>,
    /// Why it failed, where it is no test that did.
    pub error: Option<String>,
    /// The places the compiler named, or `go vet`.
    pub problems: Vec<Problem>,
    /// It was `go vet` that found them: the package can be built.
    pub vet: bool,
    /// What it printed outside of any test.
    pub output: Vec<String>,
}

/// How many of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That passed.
    pub passed: usize,
    /// That failed; a package that failed without a failed test counts as one.
    pub failed: usize,
    /// That skipped themselves.
    pub skipped: usize,
}

impl PackageResult {
    /// The tests that count: a test with parts is its parts, unless it failed by itself.
    pub fn counted(&self) -> impl Iterator<Item = &TestResult> {
        let parts = |test: &TestResult| {
            let prefix = format!("{}/", test.name);
            self.tests.iter().filter(move |other| other.name.starts_with(&prefix))
        };
        self.tests.iter().filter(move |test| {
            let mut below = parts(test).peekable();
            let is_leaf = below.peek().is_none();
            is_leaf || (test.state == State::Failed && !below.any(|part| part.state == State::Failed))
        })
    }

    /// Somebody stopped it: what failed because of that has not failed.
    pub fn stopped(&mut self) {
        self.state = State::NotRun;
        self.error = Some("interrupted".to_owned());
        for test in self.tests.iter_mut().filter(|test| test.unfinished) {
            test.state = State::NotRun;
        }
    }

    /// How many tests passed, failed and were skipped.
    pub fn counts(&self) -> Counts {
        let mut out = Counts::default();
        for test in self.counted() {
            match test.state {
                State::Passed => out.passed += 1,
                State::Failed => out.failed += 1,
                State::Skipped => out.skipped += 1,
                State::NoTests | State::NotRun => {}
            }
        }
        if self.state == State::Failed && out.failed == 0 {
            out.failed = 1;
        }
        out
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Of so many lines the first and the last are kept.
const ENDS: usize = 500;
/// A line is cut after so many bytes.
const WIDEST: usize = 4096;

/// The lines of one test: of very many only the first and the last, so that a test that prints without end costs no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    first: Vec<String>,
    last: VecDeque<String>,
    dropped: usize,
    /// The newest line has no end yet.
    open: bool,
}

impl Kept {
    /// Adds a piece of output, which may begin or end within a line.
    pub(super) fn add(&mut self, piece: &str) {
        for part in piece.split_inclusive('\n') {
            let is_whole = part.ends_with('\n');
            let text = part.trim_end_matches('\n');
            match self.last.back_mut().or(self.first.last_mut()).filter(|_| self.open) {
                Some(line) => push_within(line, text),
                None => self.begin(text),
            }
            self.open = !is_whole;
        }
    }

    fn begin(&mut self, text: &str) {
        let mut line = String::new();
        push_within(&mut line, text);
        if self.first.len() < ENDS {
            self.first.push(line);
            return;
        }
        self.last.push_back(line);
        if self.last.len() > ENDS {
            self.last.pop_front();
            self.dropped += 1;
        }
    }

    /// The lines, with a word about those left out.
    pub(super) fn lines(self) -> Vec<String> {
        let mut out = self.first;
        if self.dropped > 0 {
            out.push(format!("... {} lines left out; `orchestra logs` has them ...", self.dropped));
        }
        out.extend(self.last);
        out
    }
}

fn push_within(line: &mut String, text: &str) {
    let room = WIDEST.saturating_sub(line.len());
    let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    line.push_str(&text[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, state: State) -> TestResult {
        TestResult { name: name.to_owned(), state, ..TestResult::default() }
    }

    #[test]
    fn a_test_with_parts_counts_as_its_parts() {
        let tests = vec![
            test("A", State::Passed),
            test("B", State::Failed),
            test("B/x", State::Failed),
            test("B/y", State::Skipped),
            test("C", State::Failed),
            test("C/x", State::Passed),
            test("BB", State::NotRun),
        ];
        let package = PackageResult { tests, state: State::Failed, ..PackageResult::default() };
        assert_eq!(package.counts(), Counts { passed: 2, failed: 2, skipped: 1 });
        let silent = PackageResult { state: State::Failed, ..PackageResult::default() };
        assert_eq!(silent.counts().failed, 1);
    }

    #[test]
    fn endless_output_keeps_its_ends() {
        let mut kept = Kept::default();
        for n in 0..5000 {
            kept.add(&format!("line {n}\n"));
        }
        kept.add("no ");
        kept.add("end");
        let lines = kept.lines();
        assert_eq!(lines.len(), 2 * ENDS + 1);
        assert_eq!((lines[0].as_str(), lines[2 * ENDS].as_str()), ("line 0", "no end"));
        assert_eq!(lines[ENDS], "... 4001 lines left out; `orchestra logs` has them ...");
        let mut wide = Kept::default();
        wide.add(&"ü".repeat(10_000));
        wide.add("more\nnext\n");
        assert_eq!(wide.lines().iter().map(String::len).collect::<Vec<_>>(), [WIDEST, 4]);
    }
}
