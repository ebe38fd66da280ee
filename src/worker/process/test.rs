//! Runs the tests of one service: what there is to test, by `go list`; `go test`; its words in the stream `test` of the service's log; the result for
//! `ps` and for whoever waits for it.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Ground;
use super::run::told_to_end;
use crate::error::PathError;
use crate::gotest::collect::{Keep, News};
use crate::gotest::job::{self, Errand, Told};
use crate::gotest::log::TestLog;
use crate::gotest::plan::{self, AcceptanceSpec, Job, Options, Plan, TestSpec};
use crate::gotest::results::{Counts, PackageResult, State, TestResult};
use crate::rerun::graph::Graph;
use crate::rerun::list::{Wanted, queries};
use crate::services::run::Stop;
use crate::services::{packages, problems};
use crate::store::tested::{self, LastTest};
use crate::sys::machine::machine;
use crate::task::id::RunId;
use crate::task::outcome::{BuildFailure, TestOutcome, TestTask};
use crate::worker::{RunReport, Signal};

/// Tests and reports what it came to.
pub(super) async fn start(ground: Arc<Ground>, run: RunId, task: TestTask, mut signals: mpsc::Receiver<Signal>) {
    let (stop, stopped) = watch::channel(Stop::No);
    let work = test(&ground, run, &task, stopped);
    let mut work = std::pin::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            // Nobody waits for tests that clean up: they are ended as a whole, and what they found out is of no interest.
            () = told_to_end(&mut signals) => drop(stop.send_replace(Stop::Kill)),
        }
    };
    ground.report(run, RunReport::Tested(outcome)).await;
}

/// What was tested, and where it is written down.
async fn test(ground: &Arc<Ground>, run: RunId, task: &TestTask, stopped: watch::Receiver<Stop>) -> TestOutcome {
    let number = tested::load(&ground.home.state(), &task.service).map_or(1, |last| last.run + 1);
    let results = match plan(ground, task, &stopped).await {
        Ok(plan) => {
            let unlisted = plan.unlisted.into_iter().map(|(_, failure)| failed(failure));
            let mut results: Vec<PackageResult> = unlisted.collect();
            results.extend(carry_out(ground, task, number, plan.jobs, &stopped).await);
            results
        }
        Err(failure) => vec![failed(failure)],
    };
    let mut counts = Counts::default();
    results.iter().for_each(|result| counts += result.counts());
    let outcome = TestOutcome { passed: counts.passed, failed: counts.failed, error: first_failure(&results) };
    let is_whole = *stopped.borrow() == Stop::No && !results.is_empty();
    if let Some(error) = is_whole.then(|| remember(ground, task, number, counts, &outcome)).and_then(Result::err) {
        // For `ps` only: whoever waits for the result hears it all the same.
        ground.report(run, RunReport::Note(error.to_string())).await;
    }
    outcome
}

fn remember(
    ground: &Ground,
    task: &TestTask,
    run: u64,
    counts: Counts,
    outcome: &TestOutcome,
) -> Result<(), PathError> {
    let state = if outcome.error.is_some() { State::Failed } else { State::Passed };
    let Counts { passed, failed, skipped } = counts;
    let at_us = jiff::Timestamp::now().as_microsecond();
    let last = LastTest { state: state.word().to_owned(), passed, failed, skipped, at_us, run };
    tested::save(&ground.home.state(), &task.service, &last)
}

/// What there is to test, of what is asked for.
async fn plan(ground: &Arc<Ground>, task: &TestTask, stopped: &watch::Receiver<Stop>) -> Result<Plan, BuildFailure> {
    let mut build = (*task.build).clone();
    // Only a copy that runs has a port.
    build.env.retain(|(key, _)| key != "PORT");
    packages::for_this_machine(&mut build.env);
    let (service, tests_below) = (task.service.clone(), Some(task.gate.dir.clone()));
    let acceptance = task.gate.acceptance.clone().map(|dir| AcceptanceSpec { dir, tags: Vec::new() });
    let wanted = Wanted { service, build, tests_below };
    let root = &ground.home.root;
    let mut listings = Vec::new();
    for query in queries(std::slice::from_ref(&wanted)) {
        listings.push(job::list(query, root, stopped).await?);
    }
    let (spec, project) = (TestSpec { wanted, flags: task.gate.flags.clone(), acceptance }, root.clone());
    // The graph looks at folders.
    let planned = ground.beside(move || Ok(plan::unit(&[spec], &Graph::new(listings), &project))).await;
    let mut plan = planned.map_err(|error| failure(format!("cannot plan the tests: {error}")))?;
    if let Some(packages) = &task.packages {
        plan.jobs.iter_mut().for_each(|job| job.packages.retain(|(path, _)| packages.contains(path)));
    }
    plan.jobs.retain(|job| !job.packages.is_empty());
    Ok(plan)
}

/// One `go test` after the other: this run has the place of one build.
async fn carry_out(
    ground: &Ground,
    task: &TestTask,
    number: u64,
    jobs: Vec<Job>,
    stopped: &watch::Receiver<Stop>,
) -> Vec<PackageResult> {
    let cores = usize::try_from(machine().cores).unwrap_or(1);
    let options = Options { cover: None, parallel: (cores / 2).max(1) };
    let mut log = TestLog::open(&ground.home, &task.service, number);
    let mut results = Vec::new();
    for (at, job) in jobs.into_iter().enumerate() {
        // When it is full the tests wait for us.
        let (tell, mut told) = mpsc::channel(256);
        let errand = Errand { job, options: options.clone(), number: at, keep: Keep::Failed, at };
        let hear = async {
            while let Some((_, told)) = told.recv().await {
                match (told, &mut log) {
                    (Told::News(News::Package(result)), _) => results.push(*result),
                    (Told::News(News::Said { text, .. }), Some(log)) => log.say(&text),
                    (Told::Done, Some(log)) => log.flush(),
                    (Told::News(News::Said { .. } | News::Test { .. }) | Told::Done, _) => {}
                }
            }
        };
        tokio::join!(errand.run(stopped.clone(), tell), hear);
    }
    results
}

/// `api/api_test.go:9: TestTotal: got 3, want 4`
fn first_failure(results: &[PackageResult]) -> Option<String> {
    let mut bad: Vec<&PackageResult> =
        results.iter().filter(|result| matches!(result.state, State::Failed | State::NotRun)).collect();
    bad.sort_by(|a, b| a.path.cmp(&b.path));
    let result = bad.first()?;
    let of_test = result.counted().find(|test| test.state == State::Failed).map(test_words);
    let of_compiler = || result.problems.first().map(problems::line_of);
    let of_package = || result.error.as_ref().map(|error| in_package(&result.path, error));
    of_test.or_else(of_compiler).or_else(of_package).or_else(|| Some(in_package(&result.path, "it failed")))
}

fn test_words(test: &TestResult) -> String {
    let place = test.place.as_ref().map_or_else(String::new, |(file, line)| format!("{}:{line}: ", file.display()));
    let message = if test.message.is_empty() { String::new() } else { format!(": {}", test.message) };
    format!("{place}{}{message}", test.name)
}

fn in_package(path: &str, words: &str) -> String {
    if path.is_empty() { words.to_owned() } else { format!("{path}: {words}") }
}

fn failure(error: String) -> BuildFailure {
    BuildFailure { error, problems: Vec::new() }
}

/// What could not even be listed has failed as a whole.
fn failed(failure: BuildFailure) -> PackageResult {
    let BuildFailure { error, problems } = failure;
    PackageResult { state: State::Failed, error: Some(error), problems, ..PackageResult::default() }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_first_failure_has_a_place() {
        let test = |name: &str, state, line, message: &str| TestResult {
            name: name.into(),
            state,
            place: line,
            message: message.into(),
            ..TestResult::default()
        };
        let at = Some((PathBuf::from("api/a_test.go"), 9));
        let package = |path: &str, tests, error: Option<&str>| PackageResult {
            path: path.into(),
            state: State::Failed,
            tests,
            error: error.map(str::to_owned),
            ..PackageResult::default()
        };
        let tests = vec![
            test("TestA", State::Passed, None, ""),
            test("TestB", State::Failed, at, "got 3"),
            test("TestC", State::Failed, None, ""),
        ];
        let failed = package("ex.com/a", tests, None);
        let passed = PackageResult { path: "ex.com/0".into(), state: State::Passed, ..PackageResult::default() };
        let unset = package("ex.com/b", Vec::new(), Some("panic"));
        assert_eq!(first_failure(&[unset.clone(), failed, passed.clone()]).unwrap(), "api/a_test.go:9: TestB: got 3");
        assert_eq!(first_failure(&[unset]).unwrap(), "ex.com/b: panic");
        assert_eq!(first_failure(&[passed]), None);
    }
}
