//! Tests of what is a problem, for how long, and what is shown of it.

use serde_json::json;

use super::*;
use crate::api::wire::{self, Exit, WhyTests};
use crate::tui::testing::service;

const SECOND: i64 = 1_000_000;

fn broken(messages: &[&str]) -> Service {
    let problem =
        |message: &&str| wire::Problem { file: "a.go".into(), line: 3, column: 4, message: (*message).into() };
    let problems = messages.iter().map(problem).collect();
    let build = wire::Build { state: "failed".into(), id: None, error: Some("exit 1".into()), problems };
    Service { build: Some(build), ..service("api", &["ready"]) }
}

fn texts(problems: &Problems, listed: Listed) -> Vec<String> {
    let text = |row: &Row| row.problem().map_or_else(|| row.group.title.clone(), |item| item.text.clone());
    problems.rows(listed).iter().map(text).collect()
}

/// What a service and its groups are, one by one: kind, tone, over or not.
fn kinds(problems: &Problems) -> Vec<(Kind, bool)> {
    let rows = problems.rows(Listed::Whole);
    rows.iter().filter(|row| row.item.is_none()).map(|row| (row.group.kind, row.group.past)).collect()
}

fn death(key: &str, time: i64) -> Death {
    Death { service: "api".into(), key: key.into(), time, n: 1, message: format!("boom {key}"), ..Death::default() }
}

fn at(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).unwrap().to_string()
}

fn started(mut service: Service, us: i64) -> Service {
    service.instances.iter_mut().for_each(|instance| instance.started_at = Some(at(us)));
    service
}

fn looping(restarts: u32, us: i64) -> Service {
    let mut service = service("api", &["crashloop"]);
    let exit = Exit { code: Some(2), signal: None, reason: "exit".into(), killed: false, ran_ms: None, at: at(us) };
    service.instances[0].last_exit = Some(exit);
    service.instances[0].restarts = restarts;
    service
}

#[test]
fn what_is_dismissed_comes_back_when_it_happens_again() {
    let mut problems = Problems::default();
    problems.update(&[broken(&["x", "y"])], 0);
    problems.dismiss(Listed::Problems);
    assert_eq!(texts(&problems, Listed::Problems), ["y"]);
    problems.update(&[broken(&["x", "y"])], 0);
    assert_eq!(texts(&problems, Listed::Problems), ["y"]);
    problems.update(&[service("api", &["ready"])], 0);
    assert!(texts(&problems, Listed::Problems).is_empty());
    problems.update(&[broken(&["x"])], 0);
    assert_eq!(texts(&problems, Listed::Problems), ["x"]);
    problems.update(&[broken(&[])], 0);
    assert_eq!(texts(&problems, Listed::Problems), ["exit 1"]);
}

#[test]
fn a_failed_build_beside_a_running_copy_says_so_and_since_when() {
    let mut problems = Problems::default();
    problems.update(&[broken(&["x", "y"])], 5);
    problems.update(&[broken(&["x", "y"])], 9);
    let row = problems.rows(Listed::Whole).remove(0);
    assert_eq!((row.group.title.as_str(), row.group.more.as_str()), ("2 errors", "old copy kept"));
    assert_eq!(row.group.items[1].since, 5);
    assert_eq!(row.copied(), "api build: a.go:3:4: x\napi build: a.go:3:4: y\n");
    problems.update(&[broken(&["z"])], 11);
    assert_eq!(problems.rows(Listed::Whole)[1].problem().unwrap().since, 11);
}

#[test]
fn groups_fold_and_steps_pass_over_their_lines() {
    let mut problems = Problems::default();
    problems.update(&[broken(&["x", "y"]), Service { name: "web".into(), ..broken(&["z"]) }], 0);
    assert_eq!(texts(&problems, Listed::Whole), ["2 errors", "x", "y", "1 error", "z"]);
    let mut on = |forward| {
        problems.step(Listed::Whole, forward);
        texts(&problems, Listed::Whole)[problems.list(Listed::Whole).at].clone()
    };
    assert_eq!([on(true), on(true), on(true), on(true), on(false), on(false)], ["x", "y", "z", "z", "y", "x"]);
    problems.fold();
    assert_eq!(texts(&problems, Listed::Whole), ["2 errors", "1 error", "z"]);
    assert_eq!(problems.list(Listed::Whole).at, 0);
    problems.fold();
    assert_eq!(texts(&problems, Listed::Whole).len(), 5);
    problems.turn(true);
    problems.turn(true);
    assert_eq!((problems.tab, texts(&problems, Listed::Whole).len()), (Tab::Tests, 0));
}

fn report() -> serde_json::Value {
    json!({"packages": [
        {"services": ["api", "web"], "dir": "pkg", "passed": 2, "problems": [], "error": null, "elapsed_ms": 3400, "tests": [
            {"name": "TestA", "state": "passed"},
            {"name": "TestB", "state": "failed"},
            {"name": "TestB/part one", "state": "failed", "file": "pkg/b_test.go", "line": 7, "message": "got 1", "elapsed_ms": 20,
             "output": ["    b_test.go:7: \u{1b}[31mgot 1", "more"]}]},
        {"services": ["web"], "dir": "w", "passed": 1, "problems": [{"file": "w.go", "line": 1, "column": 2, "message": "undefined: x"}], "tests": []},
    ]})
}

#[test]
fn a_report_is_read_per_service() {
    let api = read_tests(&report(), "api");
    assert_eq!((api.passed(), api.failed()), (2, 1));
    let failed = &api.packages[0].failed[0];
    assert_eq!(failed.place.as_ref().map(Place::to_string).as_deref(), Some("pkg/b_test.go:7"));
    assert_eq!((failed.text.as_str(), failed.more.as_str()), ("TestB/part one: got 1", "20ms"));
    assert_eq!(failed.raw.to_vec(), ["    b_test.go:7: got 1", "more"]);
    assert_eq!(pattern_of(failed.test.as_deref().unwrap()), "^TestB$/^part one$");
    assert_eq!(read_tests(&report(), "web").failed(), 2);
    let broken = json!({"packages": [], "error": {"message": "no go here"}});
    assert_eq!(read_tests(&broken, "api").error.as_deref(), Some("no go here"));
}

#[test]
fn tests_show_what_failed_and_one_run_again_changes_only_itself() {
    let mut problems = Problems::default();
    problems.tested("api", Tests { running: true, ..Tests::default() }, 0);
    assert_eq!(texts(&problems, Listed::Tests), ["testing …"]);
    problems.tested("api", read_tests(&report(), "api"), 0);
    assert_eq!(texts(&problems, Listed::Tests), ["TestB/part one: got 1"]);
    assert_eq!(texts(&problems, Listed::Whole)[0], "pkg  1 failed 2 passed");
    assert_eq!(problems.failed_tests(), [("api".to_owned(), Some("^(TestB)$".to_owned()))]);
    let again = |state: &str| {
        let again = json!({"packages": [{"services": ["api"], "dir": "pkg", "passed": 0, "tests": [
            {"name": "TestB", "state": state}, {"name": "TestB/part one", "state": state, "message": "got 2"}]}]});
        Tests { only: true, ..read_tests(&again, "api") }
    };
    // What was there is shown while it runs.
    problems.tested("api", Tests { running: true, ..Tests::default() }, 0);
    assert_eq!(texts(&problems, Listed::Tests), ["testing …", "TestB/part one: got 1"]);
    problems.tested("api", again("failed"), 0);
    assert_eq!(texts(&problems, Listed::Tests), ["TestB/part one: got 2"]);
    problems.tested("api", again("passed"), 0);
    assert_eq!(texts(&problems, Listed::Tests), ["3 passed"]);
    problems.all = false;
    assert!(texts(&problems, Listed::Tests).is_empty());
}

#[test]
fn findings_of_vet_are_no_failed_tests() {
    let vet = json!({"packages": [{"services": ["api"], "dir": "pkg", "vet": true, "tests": [],
        "problems": [{"file": "pkg/a.go", "line": 5, "column": 27, "message": "fmt.Printf format %d has arg"}]}]});
    let mut problems = Problems::default();
    problems.tested("api", read_tests(&vet, "api"), 0);
    assert_eq!(kinds(&problems), [(Kind::Lint, false)]);
    assert_eq!((problems.count(Tab::Lint), problems.count(Tab::Tests)), (1, 0));
    assert_eq!(texts(&problems, Listed::Problems), ["fmt.Printf format %d has arg"]);
    problems.dismiss(Listed::Problems);
    assert_eq!(kinds(&problems), []);
}

#[test]
fn the_same_panic_is_one_and_is_over_once_the_service_is_up_for_a_while() {
    let mut problems = Problems::default();
    let failing = [service("api", &["backoff"])];
    problems.died(
        vec![death("a", 10 * SECOND), death("b", 11 * SECOND), death("a", 12 * SECOND)],
        &failing,
        13 * SECOND,
    );
    let times: Vec<_> = problems.rows(Listed::Problems).iter().map(|row| row.group.times).collect();
    assert_eq!(times, [Some((2, 12 * SECOND)), Some((1, 11 * SECOND))]);
    let ready = [started(service("api", &["ready"]), 20 * SECOND)];
    problems.update(&ready, 49 * SECOND);
    assert_eq!(kinds(&problems), [(Kind::Panic, false); 2]);
    problems.update(&ready, 50 * SECOND);
    assert_eq!(kinds(&problems), [(Kind::Panic, true); 2]);
    assert_eq!(problems.count(Tab::Panics), 0);
    problems.died(vec![death("b", 60 * SECOND)], &failing, 60 * SECOND);
    assert_eq!(kinds(&problems), [(Kind::Panic, false), (Kind::Panic, false)]);
    problems.dismiss(Listed::Problems);
    problems.dismiss(Listed::Problems);
    assert_eq!(kinds(&problems), []);
    problems.died(vec![death("b", 70 * SECOND)], &failing, 70 * SECOND);
    assert_eq!(problems.rows(Listed::Problems)[0].group.times, Some((1, 70 * SECOND)));
}

#[test]
fn a_crash_loop_is_told_with_its_last_words_unless_a_panic_says_why() {
    let mut problems = Problems::default();
    problems.update(&[looping(4, 10 * SECOND)], 11 * SECOND);
    assert_eq!(problems.wishes(false), [ProblemCmd::Words("api.1".into())]);
    assert_eq!(problems.wishes(false), []);
    let words = vec!["listening".to_owned(), "cannot bind :80".to_owned(), " ".to_owned()];
    problems.answered(ProblemMsg::Words("api.1".into(), words), &[looping(4, 10 * SECOND)], 0);
    assert_eq!(texts(&problems, Listed::Whole), ["crashed 5 times: exit 2", "cannot bind :80"]);
    problems.update(&[looping(5, 20 * SECOND)], 21 * SECOND);
    assert_eq!(problems.wishes(false), [ProblemCmd::Words("api.1".into())]);
    problems.dismiss(Listed::Problems);
    problems.update(&[looping(5, 20 * SECOND)], 22 * SECOND);
    assert_eq!(kinds(&problems), []);
    problems.update(&[looping(6, 30 * SECOND)], 31 * SECOND);
    assert_eq!(kinds(&problems), [(Kind::Crash, false)]);
    problems.died(vec![death("a", 29 * SECOND)], &[looping(6, 30 * SECOND)], 31 * SECOND);
    assert_eq!(kinds(&problems), [(Kind::Panic, false)]);
    // One is not told again as the other.
    problems.dismiss(Listed::Problems);
    problems.update(&[looping(6, 30 * SECOND)], 32 * SECOND);
    assert_eq!(kinds(&problems), []);
}

#[test]
fn a_gate_is_a_problem_only_where_tests_keep_something_from_running() {
    let mut problems = Problems::default();
    let failed = |at: &str| Service { test: Some(json!({"state": "failed", "at": at})), ..service("api", &["ready"]) };
    problems.update(&[failed("1")], 0);
    assert_eq!(problems.wishes(false), [ProblemCmd::Gate("api".into())]);
    problems.answered(ProblemMsg::Gate("api".into(), None), &[], 0);
    assert_eq!(kinds(&problems), []);
    problems.update(&[failed("1")], 0);
    assert_eq!(problems.wishes(false), []);
    problems.update(&[failed("2")], 0);
    assert_eq!(problems.wishes(false), [ProblemCmd::Gate("api".into())]);
    let error = Some("api/main_test.go:7: TestAnswer: got v1".to_owned());
    let told = WhyTests { state: "failed".into(), passed: 0, failed: 1, error };
    problems.answered(ProblemMsg::Gate("api".into(), Some(told)), &[], 0);
    let row = problems.rows(Listed::Tests).remove(0);
    assert_eq!((row.group.kind, row.group.more.as_str()), (Kind::Gate, "old copy kept"));
    let item = row.problem().unwrap();
    assert_eq!((item.text.as_str(), item.test.as_deref()), ("TestAnswer: got v1", Some("TestAnswer")));
    problems.dismiss(Listed::Tests);
    problems.update(&[failed("2")], 0);
    assert_eq!(kinds(&problems), []);
    let passed = Service { test: Some(json!({"state": "passed", "at": "3"})), ..service("api", &["ready"]) };
    problems.update(&[passed], 0);
    problems.update(&[failed("4")], 0);
    assert_eq!(problems.wishes(false), [ProblemCmd::Gate("api".into())]);
}

#[test]
fn the_place_that_is_shown_is_read_once_and_again_when_it_may_have_changed() {
    let mut problems = Problems::default();
    problems.update(&[broken(&["x"])], 0);
    let place = Place { file: "a.go".into(), line: 3, column: 4 };
    assert_eq!(problems.wishes(true), [ProblemCmd::Excerpt(place.clone())]);
    assert_eq!(problems.wishes(true), []);
    problems.refresh(SECOND);
    assert_eq!(problems.wishes(true), []);
    problems.refresh(2 * SECOND);
    assert_eq!(problems.wishes(true), [ProblemCmd::Excerpt(place.clone())]);
    problems.answered(ProblemMsg::Excerpt(place, Err("there is no file `a.go`".into())), &[], 0);
    let row = problems.selected(Listed::Whole).unwrap();
    assert_eq!(problems.source(&row), Source::Nothing("there is no file `a.go`"));
    problems.raw = true;
    assert_eq!(problems.wishes(true), [ProblemCmd::Output("api".into())]);
    problems.answered(ProblemMsg::Output("api".into(), vec!["# api".into()]), &[], 0);
    assert_eq!(problems.source(&row), Source::Output(&["# api".to_owned()]));
    assert_eq!(problems.wishes(false), []);
}
