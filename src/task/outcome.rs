//! How things end: a run, a build, and the places a compiler named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::id::ServiceName;
use super::spec::{BuildSpec, TestGate};

/// One `go build` that makes one or several binaries: equal folder of work, flags and environment, different base names.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildBatch {
    /// What is built; never empty. The first one's log takes the output.
    pub members: Vec<Arc<BuildSpec>>,
}

/// One run of a service's tests, in the environment and with the tags and flags of its build.
#[derive(Clone, Debug, PartialEq)]
pub struct TestTask {
    /// Whose.
    pub service: ServiceName,
    /// Its build.
    pub build: Arc<BuildSpec>,
    /// Its tests.
    pub gate: TestGate,
    /// Only those of these packages, by import path; `None` for all.
    pub packages: Option<BTreeSet<String>>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestOutcome {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed; a package that failed without a failed test counts as one.
    pub failed: usize,
    /// One line about the first failure, `api/api_test.go:9: TestTotal: got 3, want 4`, or about what kept them from running. `None`: all passed.
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code, where it exited.
    pub code: Option<i32>,
    /// The signal, where one ended it.
    pub signal: Option<i32>,
    /// The kernel's out-of-memory killer did it.
    pub oom: bool,
    /// The shim died first, or the container was gone, so the code is not known; where one is, it ended well and not by itself: its engine was restarted.
    pub lost: bool,
    /// It was told to end, and it or a part of it did not until SIGKILL came.
    pub killed: bool,
    /// When, microseconds since 1970, where that was not just now: nobody was there to see it.
    pub ended_us: Option<i64>,
}

impl Outcome {
    /// Of a run whose shim died.
    pub fn lost() -> Outcome {
        Outcome { code: None, signal: None, oom: false, lost: true, killed: false, ended_us: None }
    }
}

/// What `go build` said about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Relative to the project where it lies inside.
    pub file: PathBuf,
    /// From 1; 0 where unknown.
    pub line: u32,
    /// From 1; 0 where unknown.
    pub column: u32,
    /// The compiler's own words.
    pub message: String,
}

/// Why a build failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFailure {
    /// One line: `api/main.go:9:25: too many return values`.
    pub error: String,
    /// Every place the compiler named.
    pub problems: Vec<Problem>,
}
