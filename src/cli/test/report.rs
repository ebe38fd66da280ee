//! All results together, and what of them programs read with `-o json`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::jobs::Outcome;
use super::measure::Measured;
use crate::api::{convert, wire};
use crate::cli::change;
use crate::error::Error;
use crate::gotest::cover::Statements;
use crate::gotest::junit::Suite;
use crate::gotest::plan::{Kind, Tested};
use crate::gotest::results::{Counts, PackageResult, State};
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// Everything that is to be told.
pub(super) struct Report<'a> {
    project: &'a str,
    /// The services that were selected.
    names: &'a [ServiceName],
    /// Packages with their results: unit tests first, in the order of services and packages.
    pub(super) rows: Vec<(Kind, Tested, &'a PackageResult)>,
    /// Statements by service, where coverage was measured.
    pub(super) covered: BTreeMap<ServiceName, Statements>,
    /// From the beginning to the end.
    pub(super) elapsed: Duration,
    interrupted: bool,
    /// Of the running services.
    pub(super) measured: Option<&'a Measured>,
}

impl<'a> Report<'a> {
    /// Puts together what was planned and what it came to.
    pub(super) fn new(
        project: &'a str,
        names: &'a [ServiceName],
        tested: &BTreeMap<(Kind, String), Tested>,
        outcomes: &'a [Outcome],
        statements: &BTreeMap<String, Statements>,
        elapsed: Duration,
        interrupted: bool,
    ) -> Report<'a> {
        let row = |outcome: &'a Outcome| {
            let result = &outcome.result;
            Some((outcome.kind, tested.get(&(outcome.kind, result.path.clone()))?.clone(), result))
        };
        let mut rows: Vec<_> = outcomes.iter().filter_map(row).collect();
        rows.sort_by_key(|(kind, tested, result)| {
            (
                *kind,
                tested.owner.is_none() && tested.services.len() > 1,
                tested.owner.clone().or(tested.services.first().cloned()),
                result.path.clone(),
            )
        });
        let mut covered: BTreeMap<ServiceName, Statements> = BTreeMap::new();
        for (_, tested, result) in rows.iter().filter(|(kind, ..)| *kind == Kind::Unit) {
            for (service, statements) in
                tested.services.iter().filter_map(|service| Some((service, statements.get(&result.path)?)))
            {
                *covered.entry(service.clone()).or_default() += *statements;
            }
        }
        Report { project, names, rows, covered, elapsed, interrupted, measured: None }
    }

    /// With what the tests of the fleet reached.
    pub(super) fn with(self, measured: Option<&'a Measured>) -> Report<'a> {
        Report { measured, ..self }
    }

    /// All tests.
    pub(super) fn counts(&self) -> Counts {
        self.sum(|_| true)
    }

    fn sum(&self, wanted: impl Fn(&Tested) -> bool) -> Counts {
        let mut out = Counts::default();
        self.rows.iter().filter(|(_, tested, _)| wanted(tested)).for_each(|(.., result)| out += result.counts());
        out
    }

    /// How the tests of one service ended, shared packages among them.
    pub(super) fn of_service(&self, service: &ServiceName) -> (State, Counts) {
        let states: BTreeSet<&str> = self
            .rows
            .iter()
            .filter(|(_, tested, _)| tested.services.contains(service))
            .map(|(.., result)| result.state.word())
            .collect();
        let has = |state: State| states.contains(state.word());
        let order = [State::Failed, State::NotRun, State::Passed];
        let state = order.into_iter().find(|state| has(*state)).unwrap_or(State::NoTests);
        (state, self.sum(|tested| tested.services.contains(service)))
    }

    /// For JUnit.
    pub(super) fn suites(&self) -> Vec<Suite<'_>> {
        let suite = |(_, tested, result): &(Kind, Tested, &'a PackageResult)| Suite {
            services: tested.services.iter().map(ToString::to_string).collect(),
            result,
        };
        self.rows.iter().map(suite).collect()
    }

    /// What the command fails with.
    pub(super) fn error(&self) -> Option<Error> {
        let of = |state: State| -> Vec<&(Kind, Tested, &PackageResult)> {
            self.rows.iter().filter(|(.., result)| result.state == state).collect()
        };
        if self.interrupted {
            let left: Vec<String> = of(State::NotRun).iter().map(|(.., result)| format!("`{}`", result.path)).collect();
            let what =
                if left.is_empty() { String::new() } else { format!("; not run to the end: {}", left.join(", ")) };
            // Without a hint it would not be printed: whoever typed Ctrl-C knows about it, but not what was left.
            return Some(change::interrupted(&format!("interrupted{what}")).hint("orchestra test"));
        }
        let failed = of(State::Failed);
        let services: BTreeSet<String> =
            failed.iter().flat_map(|(_, tested, _)| tested.services.iter().map(|name| format!("`{name}`"))).collect();
        let count = self.counts().failed;
        let noun = if count == 1 { "test" } else { "tests" };
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        (!failed.is_empty()).then(|| Error::failed(format!("{count} {noun} failed, of {services}")))
    }
}

/// `orchestra test -o json`: names are frozen.
#[derive(Debug, Serialize)]
pub(super) struct Wire {
    project: String,
    /// Nothing failed, and all was run.
    ok: bool,
    interrupted: bool,
    passed: usize,
    failed: usize,
    skipped: usize,
    elapsed_ms: u64,
    /// Percent of the statements of all services that ran while the fleet was tested, and their profile; left out where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptance_coverage: Option<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptance_profile: Option<String>,
    services: Vec<WireService>,
    packages: Vec<WirePackage>,
    error: Option<wire::Failure>,
}

#[derive(Debug, Serialize)]
struct WireService {
    name: String,
    /// `passed failed no-tests not-run`
    state: &'static str,
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Percent of the statements of its packages; null without `--cover`.
    coverage: Option<f64>,
    /// Percent of the statements it is made of that ran while the fleet was tested; left out where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptance_coverage: Option<Option<f64>>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_measured: Option<String>,
}

#[derive(Debug, Serialize)]
struct WirePackage {
    path: String,
    /// Relative to the project.
    dir: String,
    /// `unit` or `acceptance`.
    kind: &'static str,
    services: Vec<String>,
    state: &'static str,
    cached: bool,
    passed: usize,
    failed: usize,
    skipped: usize,
    elapsed_ms: u64,
    coverage: Option<f64>,
    /// Why it failed, where no test did.
    error: Option<String>,
    problems: Vec<wire::Problem>,
    /// `go vet` found them, and nothing was run because of them; left out where that is not so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    vet: bool,
    output: Vec<String>,
    tests: Vec<WireTest>,
}

#[derive(Debug, Serialize)]
struct WireTest {
    name: String,
    /// `passed failed skipped not-run`
    state: &'static str,
    elapsed_ms: u64,
    file: Option<String>,
    line: Option<u32>,
    message: Option<String>,
    output: Vec<String>,
}

/// The report as programs read it.
pub(super) fn wire(report: &Report<'_>, error: Option<&Error>, home: &Home) -> Wire {
    let counts = report.counts();
    Wire {
        project: report.project.to_owned(),
        ok: error.is_none(),
        interrupted: report.interrupted,
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        elapsed_ms: millis(report.elapsed),
        acceptance_coverage: report.measured.map(|measured| measured.total.percent().map(rounded)),
        acceptance_profile: report.measured.and_then(|measured| {
            measured.profile.as_ref().map(|file| home.relative(file).to_string_lossy().into_owned())
        }),
        services: report.names.iter().map(|name| service(report, name)).collect(),
        packages: report.rows.iter().map(|row| package(row, home)).collect(),
        error: error.map(convert::failure),
    }
}

fn service(report: &Report<'_>, name: &ServiceName) -> WireService {
    let (state, counts) = report.of_service(name);
    let measured = report.measured.and_then(|measured| measured.services.get(name));
    WireService {
        name: name.to_string(),
        state: state.word(),
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        coverage: report.covered.get(name).and_then(|statements| statements.percent()).map(rounded),
        acceptance_coverage: measured.map(|found| found.as_ref().ok().and_then(|found| found.percent()).map(rounded)),
        not_measured: measured.and_then(|found| found.as_ref().err().cloned()),
    }
}

fn package((kind, tested, result): &(Kind, Tested, &PackageResult), home: &Home) -> WirePackage {
    let counts = result.counts();
    let problem = |problem: &crate::task::outcome::Problem| wire::Problem {
        file: problem.file.to_string_lossy().into_owned(),
        line: problem.line,
        column: problem.column,
        message: problem.message.clone(),
    };
    let test = |test: &crate::gotest::results::TestResult| WireTest {
        name: test.name.clone(),
        state: test.state.word(),
        elapsed_ms: millis(test.elapsed),
        file: test.place.as_ref().map(|(file, _)| file.to_string_lossy().into_owned()),
        line: test.place.as_ref().map(|(_, line)| *line),
        message: Some(test.message.clone()).filter(|message| !message.is_empty()),
        output: test.output.clone(),
    };
    let dir = home.relative(&tested.dir).to_string_lossy().into_owned();
    WirePackage {
        path: result.path.clone(),
        dir: if dir.is_empty() { ".".to_owned() } else { dir },
        kind: match kind {
            Kind::Unit => "unit",
            Kind::Acceptance => "acceptance",
        },
        services: tested.services.iter().map(ToString::to_string).collect(),
        state: result.state.word(),
        cached: result.cached,
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        elapsed_ms: millis(result.elapsed),
        coverage: result.coverage,
        error: result.error.clone(),
        problems: result.problems.iter().map(problem).collect(),
        vet: result.vet,
        output: result.output.clone(),
        tests: result.tests.iter().map(test).collect(),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}
