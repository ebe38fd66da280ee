//! Random events against the engine, in worlds that are slow, fail and die.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::tests::name;
use super::world::{FLEET, World};
use super::*;
use crate::worker::{Outcome, StartFailure, Trouble};

/// So many random lives; the long suite takes more.
const LIVES: u32 = if cfg!(feature = "faults") { 4_000 } else { 200 };
/// So many events in one life that never ends.
const EVENTS: usize = if cfg!(feature = "faults") { 300_000 } else { 10_000 };

#[derive(Clone, Debug)]
enum Step {
    Start(u8, u8, u8),
    Stop(u8, bool),
    StopCopy(u8, u32),
    Restart(u8, u8, u8),
    RestartCopy(u8, u32),
    Build(u8, u8),
    Scale(u8, u32),
    Signal(u8, u32),
    Break(u8),
    EndBuild(u8, u8),
    EndTests(u8, u8),
    Fail(u8),
    Edit(u8, bool),
    Touch(u8),
    EditTests(u8),
    Configure(u8, u8, u8),
    Watch(u8),
    Report(u8, What),
    Stale(u8, What),
    Pass(u64),
    Die(u16),
}

/// What a worker says of a run.
#[derive(Clone, Debug)]
enum What {
    Up,
    Ready(bool),
    Dead,
    Exit(u8),
    StartFailed(bool, bool),
    Rest(u8),
    Spared,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Up),
        1 => any::<bool>().prop_map(What::Ready),
        1 => Just(What::Dead),
        4 => (0..5u8).prop_map(What::Exit),
        1 => any::<(bool, bool)>().prop_map(|(port, transient)| What::StartFailed(port, transient)),
        1 => (0..7u8).prop_map(What::Rest),
        1 => Just(What::Spared),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let bits = 0..64u8;
    prop_oneof![
        3 => (bits.clone(), 0..2u8, 0..2u8).prop_map(|(b, s, k)| Step::Start(b, s, k)),
        1 => (bits.clone(), any::<bool>()).prop_map(|(b, now)| Step::Stop(b, now)),
        1 => (0..6u8, 1..4u32).prop_map(|(s, n)| Step::StopCopy(s, n)),
        2 => (bits.clone(), 0..2u8, 0..2u8).prop_map(|(b, s, k)| Step::Restart(b, s, k)),
        1 => (0..6u8, 1..4u32).prop_map(|(s, n)| Step::RestartCopy(s, n)),
        1 => (bits.clone(), 0..2u8).prop_map(|(b, k)| Step::Build(b, k)),
        1 => (0..6u8, 0..4u32).prop_map(|(s, n)| Step::Scale(s, n)),
        1 => (0..6u8, 1..3u32).prop_map(|(s, n)| Step::Signal(s, n)),
        1 => bits.clone().prop_map(Step::Break),
        1 => bits.clone().prop_map(Step::Fail),
        4 => (bits.clone(), any::<bool>()).prop_map(|(b, other)| Step::Edit(b, other)),
        1 => bits.clone().prop_map(Step::Touch),
        1 => bits.clone().prop_map(Step::EditTests),
        1 => (bits.clone(), 0..2u8, 0..2u8).prop_map(|(b, s, k)| Step::Configure(b, s, k)),
        1 => bits.prop_map(Step::Watch),
        4 => (0..2u8, 0..8u8).prop_map(|(n, how)| Step::EndTests(n, how)),
        6 => (0..3u8, 0..8u8).prop_map(|(n, how)| Step::EndBuild(n, how)),
        16 => (0..12u8, what()).prop_map(|(n, what)| Step::Report(n, what)),
        1 => (0..20u8, what()).prop_map(|(n, what)| Step::Stale(n, what)),
        3 => (1..20_000u64).prop_map(Step::Pass),
        1 => any::<u16>().prop_map(Step::Die),
    ]
}

/// Builds that may share one `go build`.
fn groups(specs: &[ServiceSpec]) -> BTreeMap<BuildKey, u64> {
    let shared = specs.iter().filter(|spec| ["api", "worker", "db"].contains(&spec.name.as_str()));
    shared.filter_map(|spec| Some((spec.build.as_ref()?.key.clone(), 1))).collect()
}

fn apply(world: &mut World, step: Step) {
    let copy = |which: u8, number| InstanceId { service: name(FLEET[which as usize]), number };
    match step {
        Step::Start(bits, settings, key) => start(world, bits, settings, key),
        Step::Restart(bits, settings, key) => restart(world, bits, settings, key, BTreeSet::new()),
        Step::RestartCopy(which, number) => restart(world, 1 << which, 0, 0, BTreeSet::from([copy(which, number)])),
        Step::Build(bits, key) => {
            let specs = world.specs(bits, 0, key);
            world.event(Event::Build { groups: groups(&specs), specs });
        }
        Step::Stop(bits, now) => {
            let services = world.specs(bits, 0, 0).into_iter().map(|spec| spec.name).collect();
            world.event(Event::Stop { services, only: BTreeSet::new(), grace: now.then_some(Duration::ZERO) });
        }
        Step::StopCopy(which, number) => {
            let id = copy(which, number);
            let services = BTreeSet::from([id.service.clone()]);
            world.event(Event::Stop { services, only: BTreeSet::from([id]), grace: None });
        }
        Step::Scale(which, n) => {
            world.scale.insert(name(FLEET[which as usize]), n);
            let specs = world.specs(1 << which, 0, 0);
            world.event(Event::Scale { specs });
        }
        Step::Signal(which, number) => {
            world.event(Event::Kill { instances: BTreeSet::from([copy(which, number)]), signal: 10 })
        }
        Step::Break(bits) => {
            let builds = world.specs(bits, 0, 0).into_iter().filter_map(|spec| spec.build);
            world.broken = builds.map(|build| build.output).collect();
        }
        Step::Fail(bits) => world.failing = names(world, bits),
        Step::Edit(bits, other) => world.edit(bits, other),
        Step::Touch(bits) => {
            let restarts = names(world, bits).into_iter().map(|name| (name, BTreeSet::from(["x.html".into()])));
            world.event(Event::Edited(Edit { restarts: restarts.collect(), ..Edit::default() }));
        }
        Step::EditTests(bits) => {
            let tests = names(world, bits).into_iter().map(|name| (name, BTreeSet::from(["ex.com/x".to_owned()])));
            world.event(Event::Edited(Edit { tests: tests.collect(), ..Edit::default() }));
        }
        Step::Configure(bits, settings, key) => {
            let specs = world.specs(bits, settings, key);
            let because = BTreeSet::from(["service.yml".into()]);
            world.event(Event::Reconfigured { groups: groups(&specs), specs, because });
        }
        Step::Watch(bits) => {
            let services = names(world, bits);
            world.event(Event::Watching { services, trouble: None });
        }
        Step::EndTests(nth, how) => {
            if let Some(run) = world.tests().get(nth as usize) {
                world.end_tests(*run, how);
            }
        }
        Step::EndBuild(nth, how) => {
            if let Some(run) = world.builds().get(nth as usize) {
                world.end_build(*run, how);
            }
        }
        Step::Report(nth, what) => {
            if let Some((run, _)) = world.copies().get(nth as usize) {
                report(world, *run, &what);
            }
        }
        Step::Stale(nth, what) => {
            if let Some(run) = world.gone.get(nth as usize).copied() {
                world.event(Event::Report(run, said(&what, run)));
            }
        }
        Step::Pass(ms) => world.pass(Duration::from_millis(ms)),
        Step::Die(alive) => world.die(alive),
    }
}

fn names(world: &World, bits: u8) -> BTreeSet<ServiceName> {
    world.specs(bits, 0, 0).into_iter().map(|spec| spec.name).collect()
}

fn start(world: &mut World, bits: u8, settings: u8, key: u8) {
    let specs = world.specs(bits, settings, key);
    world.event(Event::Start { groups: groups(&specs), specs, explicit: BTreeSet::new() });
}

fn restart(world: &mut World, bits: u8, settings: u8, key: u8, only: BTreeSet<InstanceId>) {
    let specs = world.specs(bits, settings, key);
    world.event(Event::Restart { groups: groups(&specs), specs, only });
}

/// One report in an order a worker may give them.
fn report(world: &mut World, run: RunId, what: &What) {
    let live = world.live[&run].clone();
    match what {
        What::Up if !live.started => {
            world.report(run, said(what, run));
            if live.leaving {
                world.report(run, RunReport::Stopping);
            }
        }
        What::Up => world.report(run, RunReport::Ready(true)),
        What::Ready(_) | What::Dead | What::Rest(_) if live.started => world.report(run, said(what, run)),
        What::Spared if live.told && live.spare => world.report(run, RunReport::Spared),
        What::StartFailed(..) if !live.started && !live.leaving => world.report(run, said(what, run)),
        // What an earlier supervisor told to end says so before it is gone.
        What::Exit(_) if live.leaving && !live.told => {}
        What::Exit(_) => world.report(run, said(what, run)),
        What::Ready(_) | What::Dead | What::Rest(_) | What::StartFailed(..) | What::Spared => {}
    }
}

fn said(what: &What, run: RunId) -> RunReport {
    let outcome = |code, signal, lost| {
        RunReport::Exited(Outcome { code, signal, oom: false, lost, killed: false, ended_us: None })
    };
    match what {
        What::Up => RunReport::Started { pid: run.0 as u32 },
        What::Ready(ready) => RunReport::Ready(*ready),
        What::Dead => RunReport::Dead("no answer".into()),
        What::Exit(0) => outcome(Some(0), None, false),
        What::Exit(1) => outcome(None, None, true),
        What::Exit(2) => outcome(None, Some(9), false),
        What::Exit(code) => outcome(Some(i32::from(*code)), None, false),
        What::StartFailed(port, transient) => RunReport::StartFailed(StartFailure {
            message: "no".into(),
            port: *port,
            transient: *transient,
            absent: false,
        }),
        What::Rest(0) => RunReport::Listening(vec!["127.0.0.1:80/tcp".into()]),
        What::Rest(1) => RunReport::Trouble(Trouble::Unkillable, Some("pid 7".into())),
        What::Rest(2) => RunReport::Trouble(Trouble::Unkillable, None),
        What::Spared => RunReport::Spared,
        What::Rest(4) => RunReport::Trouble(Trouble::Debugged, Some("dlv".into())),
        What::Rest(5) => RunReport::Trouble(Trouble::Debugged, None),
        What::Rest(3) => RunReport::Waiting(Some("refused".into())),
        What::Rest(_) => RunReport::Holder(None),
    }
}

/// The seed of this run: `ORCHESTRA_SEED`, else one that differs each time.
fn runner(cases: u32) -> (TestRunner, u64) {
    let fresh = || u64::from(std::process::id()) << 32 | u64::from(rand_of_the_hasher());
    let seed = std::env::var("ORCHESTRA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(fresh);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() };
    (TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)), seed)
}

fn rand_of_the_hasher() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

/// How a life ends: everything is asked for once more, by `start` or by `restart`, in a kind world, and then stopped.
fn ends_well(world: &mut World, by_restart: bool, settings: u8) {
    for which in FLEET {
        world.scale.entry(name(which)).and_modify(|scale| *scale = (*scale).max(1));
    }
    world.broken.clear();
    if by_restart {
        restart(world, u8::MAX, settings, 0, BTreeSet::new());
    } else {
        start(world, u8::MAX, settings, 0);
    }
    world.be_kind();
    world.check_met(settings);
    edits_end_well(world, settings);
    let services = FLEET.iter().map(|n| name(n)).collect();
    world.event(Event::Stop { services, only: BTreeSet::new(), grace: None });
    world.be_kind();
    assert!(world.engine.is_idle() && world.live.is_empty());
    world.pass(Duration::from_secs(3600));
    assert!(world.live.is_empty() && world.engine.timers.is_empty() && world.engine.gates.is_empty());
}

/// A fleet that is up: an edit that changes nothing restarts nothing, and of several in a row the newest is what runs in the end.
fn edits_end_well(world: &mut World, settings: u8) {
    let before: Vec<RunId> = world.live.keys().copied().collect();
    world.edit(u8::MAX, false);
    world.be_kind();
    assert_eq!(
        world.live.keys().copied().collect::<Vec<_>>(),
        before,
        "an edit that changed nothing restarted something"
    );
    world.edit(u8::MAX, true);
    world.edit(1, true);
    if let Some(run) = world.builds().first() {
        world.end_build(*run, 3);
    }
    world.edit(u8::MAX, true);
    world.be_kind();
    world.check_met(settings);
}

/// Whatever happened, what is asked for in a kind world comes, and a stop ends. What must hold at every moment is asserted on the way.
#[test]
fn wanted_and_actual_meet_when_the_world_is_kind() {
    let (mut runner, seed) = runner(LIVES);
    let life = (prop::collection::vec(step(), 0..80), any::<bool>(), 0..2u8);
    let result = runner.run(&life, |(steps, by_restart, settings)| {
        let mut world = World::new();
        steps.into_iter().for_each(|step| apply(&mut world, step));
        ends_well(&mut world, by_restart, settings);
        Ok(())
    });
    assert!(result.is_ok(), "ORCHESTRA_SEED={seed}: {}", result.unwrap_err());
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// One engine through very many events: nothing it holds grows, and it can still do its work.
#[test]
fn an_engine_does_not_age() {
    let (mut runner, seed) = runner(1);
    let step = step();
    let mut world = World::new();
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..EVENTS {
            let step = step.new_tree(&mut runner).unwrap().current();
            if !matches!(step, Step::Die(_)) {
                apply(&mut world, step);
            }
        }
        ends_well(&mut world, false, 1);
    }));
    assert!(lived.is_ok(), "ORCHESTRA_SEED={seed}: {}", words(lived.unwrap_err().as_ref()));
}
