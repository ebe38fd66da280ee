//! Edits against the engine, with a fake worker and a stopped clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::tests::{World, id, job, name, service, with_settings};
use super::*;
use crate::supervisor::snapshot::{BuildOutcome, BuildState, Reason, ServiceView, Settled, Shown};
use crate::worker::Trouble;

fn files(list: &[&str]) -> BTreeSet<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

impl World {
    /// The sources of these builds are others now.
    fn edit(&mut self, builds: &[&str]) {
        let builds = builds.iter().map(|key| (BuildKey((*key).into()), files(&["lib/x.go"]))).collect();
        self.event(Event::Edited(Edit { builds, seen_us: 7, ..Edit::default() }));
    }

    /// A file that these services read is another now.
    fn touch(&mut self, services: &[&str]) {
        let restarts = services.iter().map(|service| (name(service), files(&["web/index.html"]))).collect();
        self.event(Event::Edited(Edit { restarts, seen_us: 7, ..Edit::default() }));
    }

    fn reconfigure(&mut self, specs: &[ServiceSpec]) {
        let because = files(&["api/service.yml"]);
        self.event(Event::Reconfigured { specs: specs.to_vec(), groups: BTreeMap::new(), because });
    }

    fn view(&self, service: &str) -> ServiceView {
        self.engine.snapshot().services.into_iter().find(|view| view.name == name(service)).unwrap()
    }

    fn builds(&self) -> Vec<RunId> {
        self.live.iter().filter(|(_, work)| matches!(work, Work::Build(_))).map(|(run, _)| *run).collect()
    }

    fn is_killed(&self, run: RunId) -> bool {
        self.signals.contains(&(run, Signal::Kill))
    }

    fn rerun(&self, service: &str) -> Rerun {
        self.engine.services[&name(service)].rerun.clone().unwrap()
    }

    /// A fleet of one service that runs.
    fn with(specs: &[ServiceSpec]) -> World {
        let mut world = World::new();
        world.start(specs);
        world.kind();
        world
    }
}

#[test]
fn a_save_builds_once_and_swaps_once() {
    let mut world = World::with(&[service("api", 1, &[]), service("web", 1, &[])]);
    let (api, web) = (world.run_of("api.1"), world.run_of("web.1"));
    world.version = 2;
    world.edit(&["api"]);
    assert_eq!(world.builds().len(), 1);
    assert_eq!(world.state("api.1"), Shown::Ready, "it serves while it is built");
    world.kind();
    assert_ne!(world.run_of("api.1"), api);
    assert_eq!(world.run_of("web.1"), web);
    assert_eq!(world.view("api").instances[0].last_exit.as_ref().unwrap().reason, Reason::Rerun);
    assert!(world.said.contains(&"lib/x.go was edited".to_owned()));
}

#[test]
fn a_save_that_yields_the_same_code_restarts_nothing() {
    let mut world = World::with(&[service("api", 2, &[])]);
    let before = world.live.clone().into_keys().collect::<Vec<_>>();
    world.edit(&["api"]);
    world.kind();
    assert_eq!(world.live.clone().into_keys().collect::<Vec<_>>(), before);
    assert_eq!(world.settled("api"), Settled::Met);
    assert_eq!(world.rerun("api").outcome, Some(BuildOutcome::Same));
}

#[test]
fn an_edit_during_a_build_ends_it_and_another_follows() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let old = world.run_of("api.1");
    world.version = 2;
    world.edit(&["api"]);
    let first = world.builds()[0];
    world.edit(&["api"]);
    world.edit(&["api"]);
    assert_eq!(world.signals, [(first, Signal::Kill)], "once, as a whole");
    assert_eq!(world.builds(), [first], "never two on one output");
    world.kind();
    assert_ne!(world.run_of("api.1"), old);
    assert_eq!(world.settled("api"), Settled::Met);
    assert!(!world.said.iter().any(|said| said.contains("failed")), "{:?}", world.said);
    let rerun = world.rerun("api");
    assert_eq!((rerun.aborted, rerun.outcome), (1, Some(BuildOutcome::Changed)));
    let stops = world.signals.iter().filter(|(_, signal)| matches!(signal, Signal::Stop { .. })).count();
    assert_eq!(stops, 1);
}

#[test]
fn the_words_of_a_failed_build_stay_until_the_next_result() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.broken.insert("api");
    world.edit(&["api"]);
    world.kind();
    let words = Some("api/main.go:1:1: nonsense".to_owned());
    world.edit(&["api"]);
    world.edit(&["api"]);
    let run = world.builds()[0];
    assert!(world.is_killed(run));
    let build = world.view("api").build.unwrap();
    assert_eq!((build.state, build.error), (BuildState::Building, words.clone()));
    world.live.remove(&run);
    let failure = BuildFailure { error: "signal: killed".into(), problems: Vec::new() };
    world.event(Event::Report(run, RunReport::Built(vec![(BuildKey("api".into()), Err(failure))])));
    assert_eq!(world.view("api").build.unwrap().error, words);
    world.broken.clear();
    world.kind();
    assert_eq!(world.view("api").build.unwrap().error, None);
}

#[test]
fn members_of_an_aborted_batch_that_were_not_reached_are_built_again() {
    let mut world = World::new();
    let specs = vec![service("api", 1, &[]), service("web", 1, &[])];
    let groups = [("api", 7), ("web", 7)].map(|(key, group)| (BuildKey(key.into()), group)).into();
    world.event(Event::Start { specs, groups, explicit: BTreeSet::new() });
    world.edit(&["api"]);
    assert!(world.is_killed(world.builds()[0]));
    world.kind();
    assert_eq!(world.live_names(), "api.1 web.1");
    assert_eq!(world.shared_builds, 2, "together again");
}

#[test]
fn a_build_that_ends_well_although_it_was_told_to_end_is_followed_by_another() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let old = world.run_of("api.1");
    world.edit(&["api"]);
    world.edit(&["api"]);
    let run = world.builds()[0];
    world.live.remove(&run);
    let made = Artifact("api-half".into());
    world.event(Event::Report(run, RunReport::Built(vec![(BuildKey("api".into()), Ok(made))])));
    assert_eq!(world.stopping(), [""; 0], "what it made is of yesterday");
    world.kind();
    assert_eq!(world.run_of("api.1"), old, "the newest code is that which runs");
}

#[test]
fn a_stop_waits_for_no_build_that_nobody_else_waits_for() {
    let both = [service("api", 1, &[]), service("web", 1, &[])];
    let groups = || BTreeMap::from(["api", "web"].map(|key| (BuildKey(key.into()), 7)));
    let mut world = World::new();
    world.event(Event::Start { specs: both.to_vec(), groups: groups(), explicit: BTreeSet::new() });
    let run = world.builds()[0];
    world.stop(&["api"]);
    assert!(!world.is_killed(run), "web waits for it");
    world.stop(&["web"]);
    assert!(world.is_killed(run));
    world.kind();
    assert!(world.engine.is_idle());
    assert_eq!(world.view("web").build.unwrap().error, None, "it did not fail");
    // Who asks for a build alone gets it.
    world.event(Event::Build { specs: both.to_vec(), groups: groups() });
    let run = world.builds()[0];
    world.stop(&["api", "web"]);
    assert!(!world.is_killed(run));
}

#[test]
fn a_stop_during_an_aborted_build_builds_nothing_more() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.edit(&["api"]);
    world.edit(&["api"]);
    world.stop(&["api"]);
    world.kind();
    assert!(world.engine.is_idle());
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
}

#[test]
fn a_failed_build_leaves_it_serving_and_taking_it_back_restarts_nothing() {
    let mut world = World::with(&[service("api", 2, &[])]);
    let before = world.run_of("api.1");
    world.broken.insert("api");
    world.edit(&["api"]);
    world.kind();
    assert_eq!((world.run_of("api.1"), world.state("api.1")), (before, Shown::Ready));
    assert_eq!(world.settled("api"), Settled::Failed("its build failed: api/main.go:1:1: nonsense".into()));
    world.broken.clear();
    world.edit(&["api"]);
    world.kind();
    assert_eq!((world.run_of("api.1"), world.settled("api")), (before, Settled::Met));
    assert_eq!(world.view("api").build.unwrap().error, None);
}

#[test]
fn a_first_build_that_failed_starts_once_it_is_mended() {
    let mut world = World::new();
    world.broken.insert("api");
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Failed);
    assert!(!world.engine.is_idle(), "it waits for the edit that mends it");
    world.broken.clear();
    world.edit(&["api"]);
    world.kind();
    assert_eq!((world.state("api.1"), world.settled("api")), (Shown::Ready, Settled::Met));
}

#[test]
fn what_is_not_wanted_is_not_built() {
    let mut world = World::with(&[service("api", 1, &[]), service("web", 2, &[])]);
    world.stop(&["api"]);
    let only = BTreeSet::from([id("web.1")]);
    world.event(Event::Stop { services: BTreeSet::from([name("web")]), only, grace: None });
    world.kind();
    world.version = 2;
    world.edit(&["api", "web"]);
    assert_eq!(world.builds().len(), 1);
    world.kind();
    assert_eq!(world.live_names(), "web.2", "what was ended by name stays so");
    assert_eq!(world.view("api").build.unwrap().state, BuildState::Ok);
}

#[test]
fn a_job_that_is_done_is_built_and_not_run_again() {
    let mut world = World::new();
    world.start(&[job("migrate")]);
    world.build_all();
    world.exit("migrate.1", 0);
    world.version = 2;
    world.edit(&["migrate"]);
    assert_eq!(world.builds().len(), 1);
    world.kind();
    assert_eq!((world.state("migrate.1"), world.live_names()), (Shown::Done, String::new()));
    let mut failed = World::new();
    failed.start(&[job("migrate")]);
    failed.build_all();
    failed.exit("migrate.1", 1);
    failed.edit(&["migrate"]);
    failed.build_all();
    assert_eq!(failed.live_names(), "migrate.1", "one that failed is tried again");
}

#[test]
fn a_service_that_ended_well_runs_again_when_its_code_is_other_code() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.event(Event::Watching { services: BTreeSet::from([name("api")]), trouble: None });
    world.exit("api.1", 0);
    assert_eq!(world.state("api.1"), Shown::Done);
    assert!(!world.engine.is_idle(), "a save may start it");
    world.edit(&["api"]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Done, "the same code");
    world.version = 2;
    world.edit(&["api"]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
    world.stop(&["api"]);
    world.kind();
    assert!(world.engine.is_idle());
}

#[test]
fn an_edit_ends_backoff_and_crash_loop_at_once() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.exit("api.1", 1);
    assert_eq!(world.state("api.1"), Shown::Backoff);
    world.version = 2;
    world.edit(&["api"]);
    assert_eq!(world.state("api.1"), Shown::Building);
    world.build_all();
    assert_eq!(world.live_names(), "api.1");
    for _ in 0..8 {
        world.exit("api.1", 1);
        world.pass(Duration::from_secs(7));
    }
    assert_eq!(world.state("api.1"), Shown::Crashloop);
    world.edit(&["api"]);
    world.kind();
    assert_eq!((world.state("api.1"), world.settled("api")), (Shown::Ready, Settled::Met));
    world.exit("api.1", 1);
    assert_eq!(world.state("api.1"), Shown::Backoff, "it begins to count anew");
}

#[test]
fn an_edit_during_the_grace_means_one_start_of_the_newest() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.version = 2;
    world.edit(&["api"]);
    world.build_all();
    assert_eq!(world.stopping(), ["api.1"]);
    world.version = 3;
    world.edit(&["api"]);
    world.exit("api.1", 143);
    assert_eq!(world.live_names(), "", "what was built is not the newest");
    world.build_all();
    let run = world.run_of("api.1");
    assert!(matches!(&world.live[&run], Work::Run { artifact: Some(made), .. } if made.0 == "api-3"));
    world.kind();
    assert_eq!(world.run_of("api.1"), run);
}

#[test]
fn one_that_made_room_comes_back_although_a_newer_build_failed() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.version = 2;
    world.edit(&["api"]);
    world.build_all();
    world.broken.insert("api");
    world.edit(&["api"]);
    world.exit("api.1", 143);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
    let run = world.run_of("api.1");
    assert!(matches!(&world.live[&run], Work::Run { artifact: Some(made), .. } if made.0 == "api-2"));
}

#[test]
fn new_code_that_does_not_come_up_stops_the_roll() {
    let mut world = World::with(&[service("api", 3, &[])]);
    world.pass(Duration::from_secs(10));
    let kept = (world.run_of("api.2"), world.run_of("api.3"));
    world.version = 2;
    world.edit(&["api"]);
    world.build_all();
    assert_eq!(world.stopping(), ["api.1"]);
    world.exit("api.1", 143);
    assert_eq!(world.view("api").reason, Some("api.2 is replaced once api.1 is ready".into()));
    for _ in 0..8 {
        world.exit("api.1", 2);
        world.pass(Duration::from_secs(7));
    }
    assert_eq!((world.run_of("api.2"), world.run_of("api.3")), kept);
    let words = "api.1 is in a crash loop: exited with code 2 (the new build crashes); the copies that are ready keep the \
                 code they have";
    assert_eq!(world.settled("api"), Settled::Failed(words.into()));
    world.version = 1;
    world.edit(&["api"]);
    world.kind();
    assert_eq!((world.run_of("api.2"), world.run_of("api.3")), kept, "what they have is the newest again");
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn only_new_code_that_never_stood_is_said_to_crash() {
    let mut world = World::with(&[service("api", 1, &[])]);
    world.pass(Duration::from_secs(10));
    world.exit("api.1", 2);
    world.come_up("api.1");
    world.version = 2;
    world.edit(&["api"]);
    world.build_all();
    world.exit("api.1", 143);
    world.come_up("api.1");
    world.pass(Duration::from_millis(900));
    world.exit("api.1", 2);
    assert_eq!(
        world.view("api").reason.unwrap(),
        "api.1 exited with code 2 (the new build crashes) and is started again soon"
    );
    world.pass(Duration::from_secs(1));
    world.come_up("api.1");
    world.pass(Duration::from_secs(6));
    world.exit("api.1", 2);
    world.come_up("api.1");
    world.exit("api.1", 2);
    assert_eq!(
        world.view("api").reason.unwrap(),
        "api.1 exited with code 2 and is started again soon",
        "by now it stood"
    );
    assert_eq!(world.said.iter().filter(|said| said.contains("new build")).count(), 1);
}

#[test]
fn a_debugger_holds_up_newer_code_and_says_so() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let run = world.run_of("api.1");
    world.event(Event::Report(run, RunReport::Trouble(Trouble::Debugged, Some("a debugger holds it".into()))));
    world.version = 2;
    world.edit(&["api"]);
    world.kind();
    assert_eq!(world.run_of("api.1"), run);
    let words = "api.1 keeps the code it has: a debugger holds it";
    assert_eq!(world.settled("api"), Settled::Blocked(words.into()));
    assert_eq!(world.view("api").reason.unwrap(), words);
    world.event(Event::Report(run, RunReport::Trouble(Trouble::Debugged, None)));
    world.kind();
    assert_ne!(world.run_of("api.1"), run);
    let run = world.run_of("api.1");
    world.event(Event::Report(run, RunReport::Trouble(Trouble::Debugged, Some("a debugger holds it".into()))));
    let specs = vec![service("api", 1, &[])];
    world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::new() });
    world.kind();
    assert_ne!(world.run_of("api.1"), run, "who restarts by hand means it");
}

#[test]
fn what_a_worker_spares_goes_on_until_the_debugger_is_gone() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let run = world.run_of("api.1");
    world.version = 2;
    world.edit(&["api"]);
    world.build_all();
    let told = |world: &World, spare| world.signals.contains(&(run, Signal::Stop { grace: None, spare }));
    assert!(told(&world, true));
    world.event(Event::Report(run, RunReport::Spared));
    assert_eq!(world.state("api.1"), Shown::Ready);
    assert_eq!(world.settled("api"), Settled::Blocked("api.1 keeps the code it has: a debugger holds it".into()));
    world.signals.clear();
    world.event(Event::Report(run, RunReport::Trouble(Trouble::Debugged, None)));
    assert!(told(&world, true), "as soon as it has gone");
    world.event(Event::Report(run, RunReport::Spared));
    world.signals.clear();
    world.version = 1;
    world.edit(&["api"]);
    world.kind();
    world.event(Event::Report(run, RunReport::Trouble(Trouble::Debugged, None)));
    assert_eq!((world.run_of("api.1"), world.settled("api")), (run, Settled::Met), "taken back meanwhile");
    world.touch(&["api"]);
    world.stop(&["api"]);
    assert!(told(&world, true) && !told(&world, false));
    world.event(Event::Report(run, RunReport::Spared));
    assert!(told(&world, false), "a stop is a stop");
    world.kind();
    assert!(world.engine.is_idle());
}

#[test]
fn files_that_are_only_read_restart_without_a_build() {
    let mut world = World::with(&[service("web", 2, &[])]);
    let before = (world.run_of("web.1"), world.run_of("web.2"));
    world.touch(&["web"]);
    assert_eq!((world.builds(), world.stopping()), (vec![], vec!["web.1".to_owned()]));
    world.exit("web.1", 143);
    assert_eq!(world.stopping(), [""; 0], "one after another");
    world.kind();
    let after = (world.run_of("web.1"), world.run_of("web.2"));
    assert!(before.0 != after.0 && before.1 != after.1);
    assert_eq!(world.view("web").instances[1].last_exit.as_ref().unwrap().reason, Reason::Rerun);
    world.touch(&["web"]);
    world.kind();
    assert!(world.run_of("web.1") != after.0 && world.run_of("web.2") != after.1, "each time");
}

#[test]
fn new_settings_replace_without_a_build() {
    let mut world = World::with(&[service("api", 2, &[]), service("web", 1, &["api"])]);
    let (api, web) = (world.run_of("api.2"), world.run_of("web.1"));
    world.reconfigure(&[with_settings(service("api", 2, &[]), "s2")]);
    assert_eq!(world.builds(), []);
    world.kind();
    assert_ne!(world.run_of("api.2"), api);
    assert_eq!(world.run_of("web.1"), web);
    assert!(world.said.contains(&"api/service.yml was edited".to_owned()));
    let kept = world.run_of("api.2");
    world.reconfigure(&[with_settings(service("api", 2, &["web"]), "s2")]);
    world.kind();
    assert_eq!(world.run_of("api.2"), kept, "whom it needs is asked at its next start");
}

#[test]
fn another_way_to_build_is_built() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let first = world.run_of("api.1");
    let mut spec = service("api", 1, &[]);
    spec.build.as_mut().unwrap().key = BuildKey("api-race".into());
    world.reconfigure(std::slice::from_ref(&spec));
    assert_eq!(world.builds().len(), 1);
    world.kind();
    assert_ne!(world.run_of("api.1"), first);
}

#[test]
fn services_and_copies_come_and_go_with_the_file() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let first = world.run_of("api.1");
    world.reconfigure(&[job("migrate")]);
    world.build_all();
    world.exit("migrate.1", 0);
    world.reconfigure(&[service("api", 3, &[]), service("web", 1, &["api"])]);
    world.kind();
    assert_eq!(world.live_names(), "api.1 api.2 api.3 web.1");
    assert_eq!(world.run_of("api.1"), first);
    world.reconfigure(&[service("api", 1, &[]), with_settings(job("migrate"), "s2")]);
    world.kind();
    assert_eq!((world.live_names(), world.run_of("api.1")), ("api.1 web.1".to_owned(), first));
    world.reconfigure(&[service("api", 0, &[])]);
    world.kind();
    assert_eq!(world.live_names(), "web.1");
}

#[test]
fn each_phase_has_its_moment() {
    let mut world = World::with(&[service("api", 1, &[])]);
    let at = |world: &mut World, us: i64| world.now.wall_us = us;
    world.version = 2;
    at(&mut world, 10);
    world.edit(&["api"]);
    at(&mut world, 20);
    world.build_all();
    at(&mut world, 30);
    world.exit("api.1", 143);
    at(&mut world, 40);
    world.come_up("api.1");
    at(&mut world, 50);
    world.exit("api.1", 1);
    world.pass(Duration::from_secs(1));
    world.come_up("api.1");
    let expected = Rerun {
        files: files(&["lib/x.go"]),
        seen_us: 7,
        build_us: Some(10),
        built_us: Some(20),
        outcome: Some(BuildOutcome::Changed),
        told_us: Some(20),
        gone_us: Some(30),
        started_us: Some(30),
        ready_us: Some(40),
        ..Rerun::default()
    };
    assert_eq!(world.rerun("api"), expected);
}

#[test]
fn it_is_said_who_is_watched() {
    let mut world = World::with(&[service("api", 1, &[]), service("web", 1, &[])]);
    let trouble = Some("the limit of watches is reached".to_owned());
    world.event(Event::Watching { services: BTreeSet::from([name("api")]), trouble: trouble.clone() });
    assert!(world.view("api").rerun && !world.view("web").rerun);
    assert_eq!(world.engine.snapshot().watch_trouble, trouble);
    world.stop(&["api", "web"]);
    world.kind();
    assert!(!world.view("api").rerun && world.engine.is_idle());
}
