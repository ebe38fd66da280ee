//! A world for random events: workers that may be slow, fail and die, a clock, a disk with binaries; it knows independently of the engine what runs.
//! Every order of the engine is checked when it is given (`checks.rs`), and everything it holds after each event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::tests::{name, service, with_settings};
use super::*;
use crate::scheduler::{Capability, epvm::Epvm};
use crate::task::restart::{RestartMode, RestartPolicy};
use crate::task::spec::*;
use crate::worker::{Outcome, StartFailure, TestOutcome, Trouble};

/// Builds at once.
pub(super) const BUILDS: u32 = 2;
/// The whole fleet, by the numbers that steps use.
pub(super) const FLEET: [&str; 6] = ["db", "cache", "migrate", "api", "worker", "web"];

/// What a worker was told to do and has not reported the end of.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) work: Work,
    pub(super) started: bool,
    pub(super) ready: bool,
    pub(super) was_ready: bool,
    pub(super) ready_since: Option<Duration>,
    /// The engine told it to end.
    pub(super) told: bool,
    pub(super) killed: bool,
    /// Its liveness probe failed.
    pub(super) dead: bool,
    /// SIGKILL does not end it.
    pub(super) undying: bool,
    /// It may be spared when it is told to end.
    pub(super) spare: bool,
    /// Of a build: the source as it was when it began.
    pub(super) source: BTreeMap<PathBuf, u32>,
    /// An earlier engine told it to end.
    pub(super) leaving: bool,
}

/// Failures of one copy that count.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// All of them: when, and how long it had been ready.
    pub(super) all: Vec<(Duration, Duration)>,
    /// Those since somebody last asked for its service.
    pub(super) since: Vec<(Duration, Duration)>,
    /// It was in a crash loop at some time: one more failure is enough.
    pub(super) tried: bool,
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Moment,
    pub(super) live: BTreeMap<RunId, Live>,
    pub(super) gone: Vec<RunId>,
    pub(super) timers: BTreeMap<TimerId, Duration>,
    /// The newest good binary of each output.
    pub(super) disk: BTreeMap<PathBuf, Artifact>,
    pub(super) broken: BTreeSet<PathBuf>,
    pub(super) failures: BTreeMap<InstanceId, Failures>,
    pub(super) scale: BTreeMap<ServiceName, u32>,
    pub(super) newest_run: u64,
    /// How often what each output is built of was edited.
    pub(super) source: BTreeMap<PathBuf, u32>,
    /// Whose tests fail.
    pub(super) failing: BTreeSet<ServiceName>,
    /// Code that passed its tests at some time, and code that a copy ran.
    pub(super) passed: BTreeSet<(ServiceName, String)>,
    pub(super) ran: BTreeSet<(InstanceId, String)>,
}

fn engine(next_run: u64) -> Engine {
    let node = Node {
        name: "local".into(),
        capabilities: vec![Capability::Process, Capability::Build],
        capacity: Resources { cpu: 4.0, memory: 1 << 30, disk: 1 << 40 },
        promised: Resources::default(),
        n_tasks: 0,
        n_builds: 0,
        max_builds: BUILDS,
    };
    Engine::new(vec![node], Box::new(Epvm), next_run)
}

impl World {
    pub(super) fn new() -> World {
        let mut world = World {
            engine: engine(1),
            now: Moment { mono: Duration::from_secs(1000), wall_us: 0 },
            live: BTreeMap::new(),
            gone: Vec::new(),
            timers: BTreeMap::new(),
            disk: BTreeMap::new(),
            broken: BTreeSet::new(),
            failures: BTreeMap::new(),
            scale: FLEET.iter().map(|n| (name(n), if matches!(*n, "api" | "worker") { 2 } else { 1 })).collect(),
            newest_run: 0,
            source: BTreeMap::new(),
            failing: BTreeSet::new(),
            passed: BTreeSet::new(),
            ran: BTreeSet::new(),
        };
        world.event(Event::Known { specs: world.specs(u8::MAX, 0, 0) });
        world
    }

    /// One service as its files say now: `settings` and `key` are what a caller's environment and an edit change.
    pub(super) fn spec(&self, which: usize, settings: u8, key: u8) -> ServiceSpec {
        let text = FLEET[which];
        let need = |on: &str, condition| Need { service: name(on), condition };
        let mut spec = service(text, self.scale[&name(text)], &[]);
        match text {
            "cache" => spec.restart = RestartPolicy { mode: RestartMode::Always, limit: 3, ..spec.restart },
            "migrate" => (spec.kind, spec.needs) = (Kind::Job, vec![need("db", Condition::Ready)]),
            "api" => spec.needs = vec![need("db", Condition::Ready), need("migrate", Condition::Completed)],
            "worker" => {
                spec.restart.mode = RestartMode::No;
                spec.needs = vec![need("cache", Condition::Started)];
            }
            // A proxy in a container: the one that needs a service.
            "web" => (spec.kind, spec.build, spec.needs) = (Kind::Vendor, None, vec![need("api", Condition::Ready)]),
            _ => {}
        }
        if matches!(text, "cache" | "worker" | "migrate") {
            let stop = text == "worker";
            spec.tests = Some(TestGate { dir: text.into(), flags: Vec::new(), acceptance: None, stop });
        }
        if let Some(build) = &mut spec.build {
            build.key = BuildKey(format!("{text}-{key}"));
        }
        with_settings(spec, &format!("s{settings}"))
    }

    pub(super) fn specs(&self, bits: u8, settings: u8, key: u8) -> Vec<ServiceSpec> {
        (0..FLEET.len()).filter(|n| bits & (1 << n) != 0).map(|n| self.spec(n, settings, key)).collect()
    }

    /// Feeds one event, obeys its orders, and checks everything.
    pub(super) fn event(&mut self, event: Event) {
        let asked: Vec<ServiceName> = match &event {
            Event::Start { specs, .. } | Event::Restart { specs, .. } | Event::Scale { specs } => {
                specs.iter().map(|spec| spec.name.clone()).collect()
            }
            Event::Stop { services, .. } => services.iter().cloned().collect(),
            Event::Reconfigured { specs, .. } => specs.iter().map(|spec| spec.name.clone()).collect(),
            // What was asked for may take effect when a build ends; an edit ends every rest.
            Event::Edited(_) | Event::Resume(_) | Event::Report(_, RunReport::Built(_) | RunReport::Tested(_)) => {
                FLEET.iter().map(|n| name(n)).collect()
            }
            Event::Build { .. }
            | Event::Kill { .. }
            | Event::Watching { .. }
            | Event::Told { .. }
            | Event::Known { .. }
            | Event::Hunt { .. }
            | Event::Hunted { .. }
            | Event::Report(..)
            | Event::Timer(_) => Vec::new(),
        };
        for (id, failures) in &mut self.failures {
            if asked.contains(&id.service) {
                failures.since.clear();
            }
        }
        let seq = self.engine.seq();
        let effects = self.engine.handle(event, self.now);
        assert!(self.engine.seq() > seq, "seq grows");
        for effect in effects {
            self.check_order(&effect);
            self.obey(effect);
        }
        let again = self.engine.handle(Event::Timer(TimerId(u64::MAX)), self.now);
        assert!(again.is_empty(), "a second look found more to do: {again:?}");
        self.check();
    }

    fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::Start { run, work } => {
                self.newest_run = run.0;
                if let Work::Run { spec, artifact: Some(code) } = &work {
                    self.ran.insert((spec.instance.clone(), code.0.clone()));
                }
                let live = Live {
                    work,
                    started: false,
                    ready: false,
                    was_ready: false,
                    ready_since: None,
                    told: false,
                    killed: false,
                    dead: false,
                    undying: false,
                    spare: false,
                    source: self.source.clone(),
                    leaving: false,
                };
                self.live.insert(run, live);
            }
            Effect::Signal { run, signal } => {
                if let Some(live) = self.live.get_mut(&run) {
                    if let (Work::Run { spec, .. }, Signal::Stop { .. }, false) = (&live.work, signal, live.dead) {
                        // What follows a wanted stop begins anew.
                        self.failures.entry(spec.instance.clone()).or_default().since.clear();
                    }
                    live.told |= matches!(signal, Signal::Stop { .. });
                    live.spare = matches!(signal, Signal::Stop { spare: true, .. });
                    live.killed |= signal == Signal::Kill;
                }
            }
            Effect::Arm { timer, after } => {
                self.timers.insert(timer, self.now.mono + after);
            }
            Effect::Say { .. } => {}
        }
    }

    /// The copies that run, by run.
    pub(super) fn copies(&self) -> Vec<(RunId, InstanceId)> {
        let of = |(run, live): (&RunId, &Live)| match &live.work {
            Work::Run { spec, .. } => Some((*run, spec.instance.clone())),
            Work::Build(_) | Work::Test(_) => None,
        };
        self.live.iter().filter_map(of).collect()
    }

    pub(super) fn builds(&self) -> Vec<RunId> {
        self.live.iter().filter(|(_, live)| matches!(live.work, Work::Build(_))).map(|(run, _)| *run).collect()
    }

    pub(super) fn report(&mut self, run: RunId, report: RunReport) {
        let now = self.now.mono;
        let live = self.live.get_mut(&run).unwrap();
        let copy = match &live.work {
            Work::Run { spec, .. } => Some(spec.instance.clone()),
            Work::Build(_) | Work::Test(_) => None,
        };
        match &report {
            RunReport::Started { .. } => live.started = true,
            RunReport::Ready(ready) => {
                live.ready_since = if *ready { live.ready_since.or(Some(now)) } else { None };
                live.ready = *ready;
                live.was_ready |= *ready;
            }
            RunReport::Trouble(Trouble::Unkillable, words) => live.undying = words.is_some(),
            RunReport::Dead(_) => live.dead |= !live.told,
            RunReport::Stopping => live.told = true,
            RunReport::Spared => (live.told, live.spare) = (false, false),
            RunReport::Exited(_) | RunReport::StartFailed(_) | RunReport::Built(_) | RunReport::Tested(_) => {
                let ended = self.live.remove(&run).unwrap();
                if let Some(id) = &copy {
                    self.count_failure(id, &ended, &report);
                }
                self.gone.push(run);
                if self.gone.len() > 20 {
                    self.gone.remove(0);
                }
            }
            RunReport::Waiting(_)
            | RunReport::Holder(_)
            | RunReport::Listening(_)
            | RunReport::Limits(_)
            | RunReport::Note(_)
            | RunReport::Trouble(..) => {}
        }
        let ended = copy.filter(|_| matches!(report, RunReport::Exited(_)));
        let armed = self.timers.last_key_value().map(|(timer, _)| timer.0);
        self.event(Event::Report(run, report));
        if let Some(id) = ended {
            self.check_policy(&id, armed);
        }
    }

    fn count_failure(&mut self, id: &InstanceId, ended: &Live, report: &RunReport) {
        let counts = match report {
            RunReport::Exited(outcome) => (outcome.code != Some(0) || ended.dead) && !self.lacks(&id.service),
            RunReport::StartFailed(failure) => failure.transient,
            _ => false,
        };
        let asked_to_end = ended.told && !ended.dead;
        if !counts || asked_to_end || !self.engine.is_wanted(id) {
            return;
        }
        let ready_for = ended.ready_since.map_or(Duration::ZERO, |since| self.now.mono - since);
        let failures = self.failures.entry(id.clone()).or_default();
        for list in [&mut failures.all, &mut failures.since] {
            list.push((self.now.mono, ready_for));
            list.truncate(1000);
        }
    }

    /// A build ends: well, badly, or without a result.
    pub(super) fn end_build(&mut self, run: RunId, how: u8) {
        let Some(Live { work: Work::Build(batch), killed, source, .. }) = self.live.get(&run).cloned() else { return };
        let failure = |text: &str| BuildFailure { error: text.into(), problems: Vec::new() };
        let fails = batch.members.iter().any(|member| self.broken.contains(&member.output));
        let report = match how {
            0 => RunReport::StartFailed(StartFailure {
                message: "no go".into(),
                port: false,
                transient: true,
                absent: false,
            }),
            1 => RunReport::Exited(Outcome {
                code: None,
                signal: None,
                oom: false,
                lost: true,
                killed: false,
                ended_us: None,
            }),
            // Not every member is named.
            2 => RunReport::Built(Vec::new()),
            // One that was told to end may have ended well by then.
            _ if fails || (killed && how != 4) => {
                RunReport::Built(batch.members.iter().map(|m| (m.key.clone(), Err(failure("nonsense")))).collect())
            }
            _ => {
                let made = |m: &BuildSpec| {
                    Artifact(format!("{}-{}", m.key.0, source.get(&m.output).copied().unwrap_or_default()))
                };
                self.disk.extend(batch.members.iter().map(|m| (m.output.clone(), made(m))));
                RunReport::Built(batch.members.iter().map(|m| (m.key.clone(), Ok(made(m)))).collect())
            }
        };
        self.report(run, report);
        if killed {
            batch.members.iter().for_each(|member| self.check_followed(&member.key));
        }
    }

    /// Tests end: well, badly, or without a result.
    pub(super) fn end_tests(&mut self, run: RunId, how: u8) {
        let Some(Live { work: Work::Test(task), killed, .. }) = self.live.get(&run).cloned() else { return };
        let fails = killed || self.failing.contains(&task.service);
        let report = match how {
            0 => RunReport::StartFailed(StartFailure {
                message: "no go".into(),
                port: false,
                transient: true,
                absent: false,
            }),
            _ if fails => {
                RunReport::Tested(TestOutcome { error: Some("a_test.go:1: TestA".into()), ..TestOutcome::default() })
            }
            _ => {
                let code = self.disk.get(&task.build.output).map(|code| code.0.clone()).unwrap_or_default();
                self.passed.insert((task.service.clone(), code));
                RunReport::Tested(TestOutcome { passed: 1, ..TestOutcome::default() })
            }
        };
        self.report(run, report);
    }

    /// The tests that run.
    pub(super) fn tests(&self) -> Vec<RunId> {
        self.live.iter().filter(|(_, live)| matches!(live.work, Work::Test(_))).map(|(run, _)| *run).collect()
    }

    /// Files of these services are edited, and say something else then where `other`.
    pub(super) fn edit(&mut self, bits: u8, other: bool) {
        let specs = self.specs(bits, 0, 0);
        for build in specs.iter().filter_map(|spec| spec.build.as_ref()) {
            *self.source.entry(build.output.clone()).or_default() += u32::from(other);
        }
        let names: BTreeSet<ServiceName> = specs.into_iter().map(|spec| spec.name).collect();
        let keys = self.engine.services.values().filter(|service| names.contains(&service.spec.name));
        let keys = keys.filter_map(|service| Some(service.spec.build.as_ref()?.key.clone()));
        let builds = keys.map(|key| (key, BTreeSet::from([PathBuf::from("x.go")]))).collect();
        self.event(Event::Edited(Edit { builds, ..Edit::default() }));
    }

    /// Lets time pass, a timer after the other.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some((timer, at)) = self.timers.iter().map(|(timer, at)| (*timer, *at)).min_by_key(|(_, at)| *at) {
            if at > until {
                break;
            }
            self.now.mono = self.now.mono.max(at);
            self.timers.remove(&timer);
            let others = self.resting().into_iter().filter(|(_, own)| *own != Some(timer)).collect::<Vec<_>>();
            self.event(Event::Timer(timer));
            let resting = self.resting();
            assert!(others.iter().all(|other| resting.contains(other)), "a stale {timer:?} ended a rest: {others:?}");
        }
        self.now.mono = until;
    }

    /// The copies that wait for a timer, and for which.
    fn resting(&self) -> Vec<(InstanceId, Option<TimerId>)> {
        let slots = self.engine.services.values().flat_map(|service| service.slots.values());
        let rests = |slot: &&Slot| matches!(slot.state, TaskState::Backoff | TaskState::Crashloop);
        slots.filter(rests).map(|slot| (slot.id.clone(), slot.timer)).collect()
    }

    /// The supervisor dies, some copies with it; builds die always. Another one follows.
    pub(super) fn die(&mut self, alive: u16) {
        let wanted: Vec<(ServiceSpec, Desired)> =
            self.engine.services.values().map(|service| (service.spec.clone(), service.desired)).collect();
        let ended = self.engine.services.values().flat_map(|service| service.slots.values());
        let ended = ended
            .filter(|slot| matches!(slot.state, TaskState::Done | TaskState::Failed | TaskState::Crashloop))
            .map(|slot| (slot.id.clone(), slot.state))
            .collect();
        let mut adoptions = Vec::new();
        let mut nth = 0;
        self.live.retain(|run, live| {
            let Work::Run { spec, artifact } = &live.work else { return false };
            nth += 1;
            if alive & (1 << (nth % 16)) == 0 {
                return false;
            }
            adoptions.push(Adoption {
                run: *run,
                instance: spec.instance.clone(),
                launch: spec.clone(),
                pid: None,
                settings: spec.settings.clone(),
                artifact: artifact.clone(),
                started_us: 0,
            });
            live.leaving |= live.told;
            (live.started, live.ready, live.was_ready, live.told) = (false, false, false, false);
            (live.ready_since, live.killed, live.dead, live.undying) = (None, false, false, false);
            true
        });
        // What is in `bin` is found, whatever settings it was built with.
        let built = |(spec, _): &(ServiceSpec, Desired)| {
            let build = spec.build.as_ref()?;
            Some((build.key.clone(), self.disk.get(&build.output)?.clone()))
        };
        let artifacts = wanted.iter().filter_map(built).collect();
        self.timers.clear();
        self.engine = engine(self.newest_run + 1);
        self.event(Event::Resume(Resume { services: wanted, artifacts, adoptions, ended, past: BTreeMap::new() }));
    }

    /// From now on everything goes well: builds succeed, what was told to end ends, the rest comes up.
    pub(super) fn be_kind(&mut self) {
        self.broken.clear();
        self.failing.clear();
        for _ in 0..2000 {
            if let Some(run) = self.builds().first() {
                self.end_build(*run, 3);
                continue;
            }
            if let Some(run) = self.tests().first() {
                self.end_tests(*run, 3);
                continue;
            }
            if !self.help_one() && !self.wait_for_one() {
                return;
            }
        }
        panic!("the world never came to rest");
    }

    fn help_one(&mut self) -> bool {
        for (run, id) in self.copies() {
            let live = &self.live[&run];
            let report = if !live.started && !live.told {
                RunReport::Started { pid: run.0 as u32 }
            } else if live.leaving && !live.told {
                RunReport::Stopping
            } else if live.told || id.service == name("migrate") {
                RunReport::Exited(Outcome {
                    code: Some(0),
                    signal: None,
                    oom: false,
                    lost: false,
                    killed: false,
                    ended_us: None,
                })
            } else if !live.ready {
                RunReport::Ready(true)
            } else if self.is_debugged(&id) {
                RunReport::Trouble(Trouble::Debugged, None)
            } else {
                continue;
            };
            self.report(run, report);
            return true;
        }
        false
    }

    /// In a kind world every debugger goes at some time; until then a copy keeps the code it has.
    fn is_debugged(&self, id: &InstanceId) -> bool {
        let slot = self.engine.services.get(&id.service).and_then(|service| service.slots.get(&id.number));
        let run = slot.and_then(|slot| slot.run.as_ref());
        run.is_some_and(|run| run.troubles.contains_key(&Trouble::Debugged))
    }

    fn wait_for_one(&mut self) -> bool {
        let rests = |slot: &Slot| matches!(slot.state, TaskState::Backoff | TaskState::Crashloop);
        let any = self.engine.services.values().flat_map(|service| service.slots.values()).any(rests);
        if any && !self.timers.is_empty() {
            self.pass(Duration::from_secs(1));
        }
        any && !self.timers.is_empty()
    }
}
