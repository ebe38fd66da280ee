//! Tests that decide whether a binary is run, against the engine with a fake worker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::tests::{World, job, name, service};
use super::*;
use crate::supervisor::snapshot::{Settled, Shown, TestsState};
use crate::task::spec::TestGate;

const WORDS: &str = "api/api_test.go:9: TestTotal: got 3";

fn tested(text: &str, scale: u32) -> ServiceSpec {
    let tests = TestGate { dir: PathBuf::from(text), flags: Vec::new(), acceptance: None, stop: false };
    ServiceSpec { tests: Some(tests), ..service(text, scale, &[]) }
}

fn strict(text: &str) -> ServiceSpec {
    let mut spec = tested(text, 1);
    spec.tests.as_mut().unwrap().stop = true;
    spec
}

impl World {
    /// New code of `api`, as a save makes it.
    fn save(&mut self, version: u32) {
        self.version = version;
        let builds = BTreeMap::from([(BuildKey("api".into()), BTreeSet::from([PathBuf::from("api/main.go")]))]);
        self.event(Event::Edited(Edit { builds, seen_us: 1, ..Edit::default() }));
    }

    /// An edit of tests of `api` alone.
    fn save_tests(&mut self, packages: &[&str]) {
        let packages = packages.iter().map(|package| (*package).to_owned()).collect();
        self.event(Event::Edited(Edit { tests: BTreeMap::from([(name("api"), packages)]), ..Edit::default() }));
    }

    fn tests(&self) -> Vec<(RunId, Option<BTreeSet<String>>)> {
        let of = |(run, work): (&RunId, &Work)| match work {
            Work::Test(task) => Some((*run, task.packages.clone())),
            Work::Run { .. } | Work::Build(_) => None,
        };
        self.live.iter().filter_map(of).collect()
    }

    fn api(&self) -> crate::supervisor::snapshot::ServiceView {
        self.engine.snapshot().services.into_iter().find(|view| view.name == name("api")).unwrap()
    }

    /// `api` runs code that passed.
    fn up(spec: ServiceSpec) -> World {
        let mut world = World::new();
        world.start(&[spec]);
        world.kind();
        world.test_all(None);
        world.kind();
        assert_eq!(world.settled("api"), Settled::Met);
        world
    }
}

#[test]
fn nothing_starts_before_its_tests_passed() {
    let mut world = World::new();
    world.start(&[tested("api", 1)]);
    assert!(world.tests().is_empty(), "the build comes first");
    world.build_all();
    assert_eq!((world.tests().len(), world.live_names()), (1, String::new()));
    assert_eq!((world.state("api.1"), world.settled("api")), (Shown::Queued, Settled::Pending));
    assert_eq!(world.api().tests.unwrap().state, TestsState::Testing);
    world.test_all(None);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
    assert_eq!(world.api().tests.unwrap().passed, 2);
    assert!(world.said.contains(&"tests passed: 2".to_owned()));
    world.start(&[tested("api", 1)]);
    world.build_all();
    assert!(world.tests().is_empty(), "the same code was tested");
}

#[test]
fn failing_tests_keep_it_from_starting_until_they_pass() {
    let mut world = World::new();
    world.start(&[tested("api", 1)]);
    world.build_all();
    world.test_all(Some(WORDS));
    assert_eq!(world.state("api.1"), Shown::Failed);
    assert_eq!(world.settled("api"), Settled::Failed(format!("its tests failed: {WORDS}")));
    world.save_tests(&["ex.com/api"]);
    assert_eq!(world.tests()[0].1, None, "what failed before is not forgotten");
    world.test_all(None);
    world.kind();
    assert_eq!((world.state("api.1"), world.settled("api")), (Shown::Ready, Settled::Met));
}

#[test]
fn old_code_serves_while_the_new_fails_its_tests() {
    let mut world = World::up(tested("api", 2));
    let old = (world.run_of("api.1"), world.run_of("api.2"));
    world.save(2);
    world.build_all();
    assert_eq!(world.stopping(), [""; 0], "built, not tested");
    world.test_all(Some(WORDS));
    assert_eq!((world.run_of("api.1"), world.run_of("api.2")), old);
    assert_eq!(world.api().reason.unwrap(), format!("its tests failed: {WORDS}"));
    world.save_tests(&["ex.com/api"]);
    world.test_all(None);
    world.kind();
    assert!(world.run_of("api.1") != old.0 && world.run_of("api.2") != old.1, "the tests were wrong");
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn taking_failing_code_back_restarts_nothing() {
    let mut world = World::up(tested("api", 1));
    let old = world.run_of("api.1");
    world.save(2);
    world.build_all();
    world.test_all(Some(WORDS));
    world.save(1);
    world.build_all();
    world.test_all(None);
    world.kind();
    assert_eq!((world.run_of("api.1"), world.settled("api")), (old, Settled::Met));
}

#[test]
fn failing_tests_end_what_runs_where_that_is_wanted() {
    let mut world = World::up(strict("api"));
    world.save(2);
    world.build_all();
    world.test_all(Some(WORDS));
    assert_eq!(world.stopping(), ["api.1"]);
    world.exit("api.1", 143);
    assert_eq!(world.state("api.1"), Shown::Failed);
    assert_eq!(world.settled("api"), Settled::Failed(format!("its tests failed: {WORDS}")));
    world.save(3);
    world.build_all();
    world.test_all(None);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
}

#[test]
fn an_edit_of_tests_runs_those_and_nothing_else() {
    let mut world = World::up(tested("api", 1));
    let old = world.run_of("api.1");
    world.save_tests(&["ex.com/api"]);
    assert_eq!(world.tests()[0].1, Some(BTreeSet::from(["ex.com/api".to_owned()])));
    assert_eq!(world.live.len(), 2, "no build");
    world.save_tests(&["ex.com/lib"]);
    let first = world.tests()[0].0;
    assert!(world.signals.contains(&(first, Signal::Kill)));
    world.live.remove(&first);
    let aborted = crate::worker::TestOutcome { error: Some("interrupted".into()), ..Default::default() };
    world.event(Event::Report(first, RunReport::Tested(aborted)));
    let both = BTreeSet::from(["ex.com/api".to_owned(), "ex.com/lib".to_owned()]);
    assert_eq!(world.tests()[0].1, Some(both), "what was ended is asked again");
    assert!(!world.said.iter().any(|said| said.contains("failed")), "{:?}", world.said);
    world.test_all(None);
    world.kind();
    assert_eq!(world.run_of("api.1"), old);
    let mut off = World::new();
    off.start(&[service("api", 1, &[])]);
    off.kind();
    off.save_tests(&["ex.com/api"]);
    assert!(off.tests().is_empty(), "where tests are off");
}

#[test]
fn an_edit_during_the_tests_ends_them_and_builds() {
    let mut world = World::up(tested("api", 1));
    let old = world.run_of("api.1");
    world.save(2);
    world.build_all();
    let tests = world.tests()[0].0;
    world.save(3);
    assert!(world.signals.contains(&(tests, Signal::Kill)));
    world.test_all(None);
    assert_eq!(world.run_of("api.1"), old, "what passed was not the newest");
    world.build_all();
    assert_eq!(world.tests().len(), 1);
    world.test_all(None);
    world.kind();
    let run = world.run_of("api.1");
    assert!(matches!(&world.live[&run], Work::Run { artifact: Some(made), .. } if made.0 == "api-3"));
    assert_eq!(world.engine.services[&name("api")].rerun.clone().unwrap().tested_us, Some(0));
}

#[test]
fn a_stop_ends_tests_and_forgets_them() {
    let mut world = World::up(tested("api", 1));
    world.save(2);
    world.build_all();
    let tests = world.tests()[0].0;
    world.stop(&["api"]);
    assert!(world.signals.contains(&(tests, Signal::Kill)));
    assert_eq!(world.settled("api"), Settled::Pending, "they are not gone yet");
    world.kind();
    world.test_all(None);
    assert!(world.engine.is_idle() && world.tests().is_empty());
    world.start(&[tested("api", 1)]);
    world.build_all();
    assert_eq!(world.tests().len(), 1, "that code was never tested");
}

#[test]
fn a_restart_waits_for_the_tests_and_a_failed_one_stops_nothing() {
    let mut world = World::up(tested("api", 1));
    let old = world.run_of("api.1");
    for (version, error) in [(2, Some(WORDS)), (3, None)] {
        world.version = version;
        let specs = vec![tested("api", 1)];
        world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::new() });
        world.build_all();
        assert_eq!((world.settled("api"), world.stopping().len()), (Settled::Pending, 0));
        world.test_all(error);
        world.kind();
        assert_eq!(world.run_of("api.1") == old, error.is_some());
    }
}

#[test]
fn a_copy_of_tested_code_is_started_again_whatever_its_newest_tests_say() {
    let mut world = World::up(tested("api", 1));
    world.save_tests(&["ex.com/api"]);
    world.pass(std::time::Duration::from_secs(6));
    world.exit("api.1", 1);
    assert_eq!(world.live_names(), "api.1", "while they run");
    world.come_up("api.1");
    world.test_all(Some(WORDS));
    world.pass(std::time::Duration::from_secs(6));
    world.exit("api.1", 1);
    assert_eq!(world.live_names(), "api.1", "it is what ran before");
    world.come_up("api.1");
    world.save(2);
    world.build_all();
    world.test_all(Some(WORDS));
    world.pass(std::time::Duration::from_secs(6));
    world.exit("api.1", 1);
    assert_eq!(world.state("api.1"), Shown::Failed, "the code that passed is gone");
}

#[test]
fn tests_take_the_places_of_builds() {
    let mut world = World::new();
    world.start(&[tested("api", 1), service("web", 1, &[]), job("migrate")]);
    let busy = |world: &World| world.live.values().filter(|work| !matches!(work, Work::Run { .. })).count();
    assert_eq!(busy(&world), 1);
    world.build_all();
    assert_eq!((busy(&world), world.tests().len()), (1, 1));
}
