//! The engine against a fake worker and a stopped clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::scheduler::{Capability, epvm::Epvm};
use crate::supervisor::snapshot::{Reason, Settled, Shown};
use crate::task::environment::Environment;
use crate::task::restart::RestartPolicy;
use crate::task::spec::*;
use crate::worker::{Outcome, TestOutcome};

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::fold(text).unwrap()
}

pub(super) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

pub(super) fn run_spec(service: &str, number: u32, settings: &str) -> Arc<RunSpec> {
    let probe = Probe {
        target: ProbeTarget::Started,
        interval: None,
        timeout: Duration::ZERO,
        failures: 3,
        start_period: Duration::ZERO,
    };
    Arc::new(RunSpec {
        instance: InstanceId { service: name(service), number },
        argv: vec!["/bin/true".into()],
        dir: PathBuf::from("/"),
        env: Environment::default(),
        ports: Vec::new(),
        debugger: None,
        container: None,
        ready: probe,
        live: None,
        stop: StopSpec { signal: 15, grace: Duration::from_secs(10) },
        before: Vec::new(),
        after: Vec::new(),
        tty: false,
        resources: Resources::default(),
        caller: Caller { umask: 0o22, nofile: None },
        log_keep: 0,
        settings: Settings(settings.into()),
    })
}

/// `service("api", 2, &["db"])`: two copies, needs db ready, built from its own package.
pub(super) fn service(service: &str, scale: u32, needs: &[&str]) -> ServiceSpec {
    let build = BuildSpec {
        key: BuildKey(service.into()),
        service: name(service),
        dir: PathBuf::from(service),
        package: ".".into(),
        flags: Vec::new(),
        env: Vec::new(),
        vet: false,
        before: Vec::new(),
        output: PathBuf::from("bin").join(service),
        caller: Caller { umask: 0o22, nofile: None },
    };
    ServiceSpec {
        name: name(service),
        kind: Kind::Service,
        build: Some(build),
        needs: needs.iter().map(|need| Need { service: name(need), condition: Condition::Ready }).collect(),
        restart: RestartPolicy::default(),
        runs: (1..=scale).map(|number| run_spec(service, number, "s1")).collect(),
        tests: None,
    }
}

pub(super) fn job(text: &str) -> ServiceSpec {
    ServiceSpec { kind: Kind::Job, ..service(text, 1, &[]) }
}

pub(super) fn with_settings(mut spec: ServiceSpec, settings: &str) -> ServiceSpec {
    spec.runs = spec.runs.iter().map(|run| run_spec(spec.name.as_str(), run.instance.number, settings)).collect();
    spec
}

/// A world with one node whose worker does what the test says.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Moment,
    /// Runs a worker was given and whose end is not reported.
    pub(super) live: BTreeMap<RunId, Work>,
    pub(super) signals: Vec<(RunId, Signal)>,
    pub(super) timers: HashMap<TimerId, Duration>,
    pub(super) said: Vec<String>,
    /// What builds make: a failure where listed.
    pub(super) broken: BTreeSet<&'static str>,
    pub(super) version: u32,
    pub(super) shared_builds: usize,
}

impl World {
    pub(super) fn new() -> World {
        let node = Node {
            name: "local".into(),
            capabilities: vec![Capability::Process, Capability::Build],
            capacity: Resources { cpu: 4.0, memory: 1 << 30, disk: 1 << 40 },
            promised: Resources::default(),
            n_tasks: 0,
            n_builds: 0,
            max_builds: 1,
        };
        World {
            engine: Engine::new(vec![node], Box::new(Epvm), 1),
            now: Moment { mono: Duration::from_secs(1000), wall_us: 0 },
            live: BTreeMap::new(),
            signals: Vec::new(),
            timers: HashMap::new(),
            said: Vec::new(),
            broken: BTreeSet::new(),
            version: 1,
            shared_builds: 0,
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        for effect in self.engine.handle(event, self.now) {
            match effect {
                Effect::Start { run, work } => {
                    if let Work::Run { spec, .. } = &work {
                        let double = self.instances().iter().any(|other| *other == spec.instance);
                        assert!(!double, "two runs of {}", spec.instance);
                    }
                    assert!(self.live.insert(run, work).is_none(), "run {run} twice");
                }
                Effect::Signal { run, signal } => self.signals.push((run, signal)),
                Effect::Arm { timer, after } => {
                    self.timers.insert(timer, self.now.mono + after);
                }
                Effect::Say { message, .. } => self.said.push(message),
            }
        }
    }

    pub(super) fn start(&mut self, specs: &[ServiceSpec]) {
        let groups = BTreeMap::new();
        self.event(Event::Start { specs: specs.to_vec(), groups, explicit: BTreeSet::new() });
    }

    pub(super) fn stop(&mut self, names: &[&str]) {
        let services = names.iter().map(|n| name(n)).collect();
        self.event(Event::Stop { services, only: BTreeSet::new(), grace: None });
    }

    pub(super) fn instances(&self) -> Vec<InstanceId> {
        let instance = |work: &Work| match work {
            Work::Run { spec, .. } => Some(spec.instance.clone()),
            Work::Build(_) | Work::Test(_) => None,
        };
        self.live.values().filter_map(instance).collect()
    }

    pub(super) fn live_names(&self) -> String {
        let mut names: Vec<String> = self.instances().iter().map(ToString::to_string).collect();
        names.sort();
        names.join(" ")
    }

    pub(super) fn run_of(&self, instance: &str) -> RunId {
        let is = |work: &Work| matches!(work, Work::Run { spec, .. } if spec.instance == id(instance));
        self.live
            .iter()
            .find(|(_, work)| is(work))
            .map(|(run, _)| *run)
            .unwrap_or_else(|| panic!("no run of {instance}"))
    }

    /// Finishes every test there is.
    pub(super) fn test_all(&mut self, error: Option<&str>) {
        let tests =
            |world: &World| world.live.iter().find(|(_, work)| matches!(work, Work::Test(_))).map(|(run, _)| *run);
        while let Some(run) = tests(self) {
            self.live.remove(&run);
            let killed = self.signals.contains(&(run, Signal::Kill));
            let error = if killed { Some("interrupted".into()) } else { error.map(str::to_owned) };
            let (passed, failed) = (2, usize::from(error.is_some()));
            self.event(Event::Report(run, RunReport::Tested(TestOutcome { passed, failed, error })));
        }
    }

    /// Finishes every build there is, and those that follow.
    pub(super) fn build_all(&mut self) {
        while let Some((run, batch)) = self.live.iter().find_map(|(run, work)| match work {
            Work::Build(batch) => Some((*run, batch.clone())),
            Work::Run { .. } | Work::Test(_) => None,
        }) {
            self.shared_builds += usize::from(batch.members.len() > 1);
            self.live.remove(&run);
            let fails = |key: &BuildKey| self.broken.iter().any(|broken| *broken == key.0);
            let any = batch.members.iter().any(|member| fails(&member.key));
            let killed = self.signals.contains(&(run, Signal::Kill));
            let result = |key: &BuildKey| {
                if killed {
                    Err(BuildFailure { error: "`go build` was ended by signal 9".into(), problems: Vec::new() })
                } else if any {
                    Err(BuildFailure { error: format!("{}/main.go:1:1: nonsense", key.0), problems: Vec::new() })
                } else {
                    Ok(Artifact(format!("{}-{}", key.0, self.version)))
                }
            };
            let results = batch.members.iter().map(|member| (member.key.clone(), result(&member.key))).collect();
            self.event(Event::Report(run, RunReport::Built(results)));
        }
    }

    pub(super) fn come_up(&mut self, instance: &str) {
        let run = self.run_of(instance);
        self.event(Event::Report(run, RunReport::Started { pid: run.0 as u32 }));
        self.event(Event::Report(run, RunReport::Ready(true)));
    }

    pub(super) fn exit(&mut self, instance: &str, code: i32) {
        let run = self.run_of(instance);
        self.live.remove(&run);
        self.event(Event::Report(
            run,
            RunReport::Exited(Outcome {
                code: Some(code),
                signal: None,
                oom: false,
                lost: false,
                killed: false,
                ended_us: None,
            }),
        ));
    }

    /// Everything that was signalled to stop ends; the rest comes up; until nothing changes.
    pub(super) fn kind(&mut self) {
        for _ in 0..1000 {
            self.build_all();
            let stopped: Vec<String> = self.stopping();
            if let Some(instance) = stopped.first() {
                self.exit(instance, 143);
                continue;
            }
            let next = self
                .instances()
                .into_iter()
                .find(|id| matches!(self.state(&id.to_string()), Shown::Starting | Shown::Running));
            match next {
                Some(id) => self.come_up(&id.to_string()),
                None => return,
            }
        }
        panic!("the world never came to rest");
    }

    pub(super) fn stopping(&self) -> Vec<String> {
        let told = |run: &RunId| {
            self.signals.iter().any(|(signalled, signal)| signalled == run && !matches!(signal, Signal::Send(_)))
        };
        let instance = |work: &Work| match work {
            Work::Run { spec, .. } => Some(spec.instance.to_string()),
            Work::Build(_) | Work::Test(_) => None,
        };
        self.live.iter().filter(|(run, _)| told(run)).filter_map(|(_, work)| instance(work)).collect()
    }

    pub(super) fn state(&self, instance: &str) -> Shown {
        let snapshot = self.engine.snapshot();
        let all = snapshot.services.iter().flat_map(|service| &service.instances);
        all.clone().find(|view| view.id == id(instance)).map_or(Shown::Idle, |view| view.state)
    }

    pub(super) fn settled(&self, service: &str) -> Settled {
        let snapshot = self.engine.snapshot();
        snapshot.services.iter().find(|view| view.name == name(service)).unwrap().settled.clone()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        let mut due: Vec<TimerId> =
            self.timers.iter().filter(|(_, at)| **at <= self.now.mono).map(|(timer, _)| *timer).collect();
        due.sort();
        for timer in due {
            self.timers.remove(&timer);
            self.event(Event::Timer(timer));
        }
    }
}

#[test]
fn builds_come_first_and_one_at_a_time() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[]), service("web", 1, &[])]);
    assert_eq!(world.live.len(), 1);
    assert_eq!(world.state("api.1"), Shown::Building);
    world.build_all();
    assert_eq!(world.live_names(), "api.1 web.1");
}

#[test]
fn builds_of_one_group_share_one_go_build_and_are_tried_alone_when_it_fails() {
    let mut world = World::new();
    world.broken.insert("web");
    let specs = vec![service("api", 1, &[]), service("web", 1, &[])];
    let groups = [("api", 7), ("web", 7)].map(|(key, group)| (BuildKey(key.into()), group)).into();
    world.event(Event::Start { specs, groups, explicit: BTreeSet::new() });
    world.build_all();
    assert_eq!(world.shared_builds, 1);
    assert_eq!(world.live_names(), "api.1");
    assert_eq!(world.settled("web"), Settled::Failed("its build failed: web/main.go:1:1: nonsense".into()));
}

#[test]
fn dependants_wait_until_ready() {
    let mut world = World::new();
    world.start(&[service("api", 1, &["db"]), service("db", 2, &[])]);
    world.build_all();
    assert_eq!(world.live_names(), "db.1 db.2");
    world.come_up("db.1");
    assert_eq!(world.live_names(), "db.1 db.2");
    world.come_up("db.2");
    assert_eq!(world.live_names(), "api.1 db.1 db.2");
    world.come_up("api.1");
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn those_behind_a_failed_one_are_blocked_by_name() {
    let mut world = World::new();
    world.broken.insert("db");
    world.start(&[service("web", 1, &["api"]), service("api", 1, &["db"]), service("db", 1, &[])]);
    world.build_all();
    assert_eq!(world.settled("api"), Settled::Blocked("it needs `db`, which failed".into()));
    assert_eq!(world.settled("web"), Settled::Blocked("it needs `api`, which cannot start either".into()));
}

#[test]
fn a_stop_goes_against_the_needs() {
    let mut world = World::new();
    world.start(&[service("web", 1, &["api"]), service("api", 1, &["db"]), service("db", 1, &[])]);
    world.kind();
    world.stop(&["web", "api", "db"]);
    assert_eq!(world.stopping(), ["web.1"]);
    world.exit("web.1", 143);
    assert_eq!(world.stopping(), ["api.1"]);
    world.exit("api.1", 1);
    world.exit("db.1", 0);
    assert!(world.engine.is_idle());
    let snapshot = world.engine.snapshot();
    assert!(snapshot.services.iter().all(|s| s.instances[0].last_exit.as_ref().unwrap().reason == Reason::Stopped));
}

fn vendor(text: &str, needs: &[&str]) -> ServiceSpec {
    ServiceSpec { kind: Kind::Vendor, build: None, ..service(text, 1, needs) }
}

#[test]
fn vendors_are_stopped_after_all_that_may_use_them() {
    let mut world = World::new();
    let proxy = vendor("proxy", &["api"]);
    world.start(&[
        service("api", 1, &[]),
        service("other", 1, &[]),
        vendor("db", &[]),
        vendor("cache", &["db"]),
        proxy,
    ]);
    world.kind();
    world.stop(&["db"]);
    assert_eq!(world.stopping(), ["db.1"], "alone it is stopped at once");
    world.exit("db.1", 0);
    world.start(&[vendor("db", &[])]);
    world.kind();
    world.stop(&["api", "other", "db", "cache", "proxy"]);
    assert_eq!(world.stopping(), ["other.1"], "nobody said that it uses a vendor, and it may all the same");
    world.exit("other.1", 0);
    let mut stopping = world.stopping();
    stopping.sort();
    assert_eq!(stopping, ["cache.1", "proxy.1"], "a vendor that needs a service goes before it");
    world.exit("proxy.1", 0);
    world.exit("cache.1", 0);
    let mut stopping = world.stopping();
    stopping.sort();
    assert_eq!(stopping, ["api.1", "db.1"]);
    world.exit("api.1", 0);
    world.exit("db.1", 0);
    assert!(world.engine.is_idle());
}

#[test]
fn the_limits_of_a_vendor_are_no_promise_of_the_machine() {
    let mut world = World::new();
    let mut nodes = world.engine.nodes.clone();
    nodes[0].capabilities.push(Capability::Container);
    world.engine = Engine::new(nodes, Box::new(Epvm), 1);
    let more_than_there_is = Resources { cpu: 64.0, memory: 1 << 50, disk: 0 };
    let with = |mut spec: ServiceSpec, container: bool| {
        let mut run = (*spec.runs[0]).clone();
        run.resources = more_than_there_is;
        run.container = container.then(Default::default);
        spec.runs = vec![Arc::new(run)];
        spec
    };
    world.start(&[with(vendor("db", &[]), true), with(ServiceSpec { build: None, ..service("api", 1, &[]) }, false)]);
    world.kind();
    assert_eq!(world.state("db.1"), Shown::Ready);
    assert_eq!(world.state("api.1"), Shown::Failed);
}

#[test]
fn an_unchanged_copy_is_kept_and_a_changed_one_replaced() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    let first = world.run_of("api.1");
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.run_of("api.1"), first);
    world.version = 2;
    world.start(&[service("api", 1, &[])]);
    assert_eq!(world.state("api.1"), Shown::Ready, "it serves while the new one is built");
    assert_eq!(world.settled("api"), Settled::Pending);
    world.kind();
    let second = world.run_of("api.1");
    assert_ne!(second, first);
    world.start(&[with_settings(service("api", 1, &[]), "s2")]);
    world.kind();
    assert_ne!(world.run_of("api.1"), second);
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn a_failed_build_leaves_the_old_copy_serving() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    let first = world.run_of("api.1");
    world.broken.insert("api");
    world.start(&[with_settings(service("api", 1, &[]), "s2")]);
    world.kind();
    assert_eq!(world.run_of("api.1"), first);
    assert_eq!(world.state("api.1"), Shown::Ready);
    assert_eq!(world.settled("api"), Settled::Failed("its build failed: api/main.go:1:1: nonsense".into()));
}

#[test]
fn a_restart_whose_build_fails_stops_nothing() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[]), service("web", 1, &[])]);
    world.kind();
    let before = (world.run_of("api.1"), world.run_of("web.1"));
    world.broken.insert("web");
    let specs = vec![service("api", 1, &[]), service("web", 1, &[])];
    world.event(Event::Restart { specs: specs.clone(), groups: BTreeMap::new(), only: BTreeSet::new() });
    world.kind();
    assert_eq!((world.run_of("api.1"), world.run_of("web.1")), before);
    world.broken.clear();
    world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::new() });
    world.kind();
    assert_ne!(world.run_of("api.1"), before.0);
    assert_ne!(world.run_of("web.1"), before.1);
}

#[test]
fn a_stop_is_met_whatever_became_of_the_build() {
    let mut world = World::new();
    world.broken.insert("api");
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Failed);
    world.stop(&["api"]);
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn copies_are_replaced_one_after_another() {
    let mut world = World::new();
    world.start(&[service("api", 3, &[])]);
    world.kind();
    let specs = vec![service("api", 3, &[])];
    world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::new() });
    world.build_all();
    for number in 1..=3 {
        let instance = format!("api.{number}");
        assert_eq!(world.stopping(), std::slice::from_ref(&instance));
        world.exit(&instance, 0);
        assert_eq!(world.stopping(), [""; 0]);
        world.come_up(&instance);
    }
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn a_restart_of_one_copy_touches_no_other() {
    let mut world = World::new();
    world.start(&[service("api", 2, &[])]);
    world.kind();
    let kept = world.run_of("api.1");
    let only = BTreeSet::from([id("api.2")]);
    world.event(Event::Restart { specs: vec![service("api", 2, &[])], groups: BTreeMap::new(), only });
    world.build_all();
    assert_eq!(world.stopping(), ["api.2"]);
    world.kind();
    assert_eq!(world.run_of("api.1"), kept);
}

#[test]
fn a_settled_copy_restarts_at_once_and_a_quick_one_after_a_delay() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    world.pass(Duration::from_secs(6));
    world.exit("api.1", 2);
    assert_eq!(world.live_names(), "api.1", "at once");
    world.come_up("api.1");
    world.exit("api.1", 2);
    assert_eq!(world.state("api.1"), Shown::Backoff);
    world.pass(Duration::from_millis(300));
    assert_eq!(world.live_names(), "api.1");
}

#[test]
fn eight_quick_failures_are_a_crash_loop_with_one_try_a_minute() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.build_all();
    for n in 1..=8 {
        world.exit("api.1", 1);
        if n < 8 {
            assert_eq!(world.state("api.1"), Shown::Backoff, "after {n}");
            world.pass(Duration::from_secs(8));
        }
    }
    assert_eq!(world.state("api.1"), Shown::Crashloop);
    assert_eq!(world.settled("api"), Settled::Failed("api.1 is in a crash loop: exited with code 1".into()));
    world.pass(Duration::from_secs(60));
    world.exit("api.1", 1);
    assert_eq!(world.state("api.1"), Shown::Crashloop, "one try");
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready, "a person asked");
}

#[test]
fn ends_while_a_dependency_is_not_ready_do_not_count() {
    let mut world = World::new();
    world.start(&[service("api", 1, &["db"]), service("db", 1, &[])]);
    world.kind();
    let db = world.run_of("db.1");
    world.event(Event::Report(db, RunReport::Ready(false)));
    for _ in 0..20 {
        world.exit("api.1", 1);
        assert_eq!(world.state("api.1"), Shown::Backoff);
        world.pass(Duration::from_secs(31));
    }
    world.event(Event::Report(db, RunReport::Ready(true)));
    world.come_up("api.1");
    assert_eq!(world.state("api.1"), Shown::Ready);
}

#[test]
fn a_crash_loop_tries_again_when_its_dependency_is_ready_again() {
    let mut world = World::new();
    world.start(&[service("api", 1, &["db"]), service("db", 1, &[])]);
    world.kind();
    for _ in 0..8 {
        world.exit("api.1", 1);
        world.pass(Duration::from_secs(7));
    }
    assert_eq!(world.state("api.1"), Shown::Crashloop);
    let db = world.run_of("db.1");
    world.event(Event::Report(db, RunReport::Ready(false)));
    world.event(Event::Report(db, RunReport::Ready(true)));
    assert_eq!(world.state("api.1"), Shown::Starting);
}

#[test]
fn a_job_runs_once_per_start_of_a_stopped_fleet() {
    let mut world = World::new();
    let fleet = [
        job("migrate"),
        ServiceSpec {
            needs: vec![Need { service: name("migrate"), condition: Condition::Ready }],
            ..service("api", 1, &[])
        },
    ];
    world.start(&fleet);
    world.build_all();
    assert_eq!(world.live_names(), "migrate.1");
    world.exit("migrate.1", 0);
    assert_eq!(world.live_names(), "api.1");
    world.kind();
    world.start(&fleet);
    world.build_all();
    assert_eq!(world.live_names(), "api.1", "not again");
    world.stop(&["api", "migrate"]);
    world.kind();
    world.start(&fleet);
    world.build_all();
    assert_eq!(world.live_names(), "migrate.1", "again");
}

#[test]
fn a_port_that_is_held_is_no_crash_loop() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.build_all();
    let run = world.run_of("api.1");
    world.live.remove(&run);
    let failure = crate::worker::StartFailure {
        message: "port 80 is held by pid 7".into(),
        port: true,
        transient: false,
        absent: false,
    };
    world.event(Event::Report(run, RunReport::StartFailed(failure)));
    assert_eq!(world.state("api.1"), Shown::Failed);
    assert!(world.timers.is_empty());
    assert_eq!(world.settled("api"), Settled::Failed("api.1: port 80 is held by pid 7".into()));
}

#[test]
fn scale_adds_and_removes_without_touching_the_rest() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    let first = world.run_of("api.1");
    world.event(Event::Scale { specs: vec![service("api", 3, &[])] });
    world.kind();
    assert_eq!(world.live_names(), "api.1 api.2 api.3");
    world.event(Event::Scale { specs: vec![service("api", 1, &[])] });
    world.kind();
    assert_eq!(world.live_names(), "api.1");
    assert_eq!(world.run_of("api.1"), first);
    world.event(Event::Scale { specs: vec![service("api", 0, &[])] });
    world.kind();
    assert_eq!(world.live_names(), "");
    assert!(world.engine.is_idle());
}

#[test]
fn a_start_during_a_stop_wins() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    world.stop(&["api"]);
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn a_resumed_fleet_keeps_what_runs_and_starts_what_died() {
    let mut world = World::new();
    let adoption = Adoption {
        run: RunId(41),
        instance: id("api.1"),
        launch: run_spec("api", 1, "s1"),
        pid: Some(812),
        settings: Settings("s1".into()),
        artifact: Some(Artifact("api-1".into())),
        started_us: 5,
    };
    world.live.insert(RunId(41), Work::Run { spec: run_spec("api", 1, "s1"), artifact: None });
    let exit = ExitView { code: None, signal: Some(9), reason: Reason::Signal, killed: false, ran_us: None, at_us: 4 };
    let past = Past {
        happenings: vec![Happening { at_us: 4, message: "api.1 was ended by signal 9".into() }],
        copies: [(1, (3, vec![exit.clone()]))].into(),
    };
    let found = |key: &str| (BuildKey(key.into()), Artifact(format!("{key}-1")));
    world.event(Event::Resume(Resume {
        services: vec![(service("api", 2, &[]), Desired::Up), (job("migrate"), Desired::Once)],
        artifacts: [found("api"), found("migrate")].into(),
        adoptions: vec![adoption],
        ended: vec![(id("migrate.1"), TaskState::Done)],
        past: [(name("api"), past)].into(),
    }));
    let view = world.engine.snapshot().services[0].instances[0].clone();
    assert_eq!(view.pid, Some(812), "who runs is known before its shim answers");
    assert_eq!((view.restarts, view.last_exit), (3, Some(exit.clone())), "what was counted goes on");
    let why = world.engine.explain(&name("api")).unwrap();
    assert_eq!(why.exits, [(id("api.1"), exit)]);
    assert_eq!(why.events[0].message, "api.1 was ended by signal 9");
    assert_eq!(world.live_names(), "api.1 api.2", "the job is not run again, nothing is built");
    world.kind();
    assert_eq!(world.run_of("api.1"), RunId(41));
    assert!(world.run_of("api.2").0 > 41, "run numbers go on");
    world.start(&[service("api", 2, &[]), job("migrate")]);
    world.kind();
    assert_eq!(world.run_of("api.1"), RunId(41), "unchanged, so kept");
}

#[test]
fn a_failed_liveness_probe_restarts_also_what_then_exits_with_0() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    let run = world.run_of("api.1");
    world.event(Event::Report(run, RunReport::Dead("answered 503".into())));
    assert_eq!(world.state("api.1"), Shown::Stopping);
    world.exit("api.1", 0);
    assert_eq!(world.state("api.1"), Shown::Backoff);
    world.pass(Duration::from_millis(200));
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
}

#[test]
fn what_served_beside_a_failed_build_is_started_again_as_it_was() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    world.broken.insert("api");
    world.start(&[service("api", 1, &[])]);
    world.kind();
    assert!(matches!(world.settled("api"), Settled::Failed(_)));
    world.exit("api.1", 2);
    world.pass(Duration::from_secs(1));
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready);
}

#[test]
fn stale_timers_and_reports_miss() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.build_all();
    let run = world.run_of("api.1");
    world.exit("api.1", 1);
    world.stop(&["api"]);
    world.pass(Duration::from_secs(100));
    world.event(Event::Report(run, RunReport::Ready(true)));
    assert_eq!(world.state("api.1"), Shown::Idle);
    assert!(world.engine.is_idle());
}

#[test]
fn a_start_during_a_stop_brings_the_settings_it_came_with() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    world.stop(&["api"]);
    world.start(&[with_settings(service("api", 1, &[]), "s2")]);
    world.kind();
    let run = world.run_of("api.1");
    assert!(matches!(&world.live[&run], Work::Run { spec, .. } if spec.settings.0 == "s2"));
}

#[test]
fn a_scale_builds_what_was_never_built() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[]), service("web", 1, &[])]);
    world.stop(&["web"]);
    world.event(Event::Scale { specs: vec![service("web", 2, &[])] });
    world.kind();
    assert_eq!(world.live_names(), "api.1 web.1 web.2");
    assert!(world.live.values().all(|work| matches!(work, Work::Run { artifact: Some(_), .. })));
}

#[test]
fn a_stop_of_one_does_not_cut_short_the_restart_of_the_others() {
    let mut world = World::new();
    let fleet = [service("api", 1, &[]), service("web", 1, &[])];
    world.start(&fleet);
    world.kind();
    let before = world.run_of("api.1");
    world.event(Event::Restart { specs: fleet.to_vec(), groups: BTreeMap::new(), only: BTreeSet::new() });
    world.stop(&["web"]);
    world.kind();
    assert_eq!(world.live_names(), "api.1");
    assert_ne!(world.run_of("api.1"), before);
}

#[test]
fn a_restart_waits_for_the_build_of_a_later_start_too() {
    let mut world = World::new();
    world.start(&[service("api", 1, &[])]);
    world.kind();
    let before = world.run_of("api.1");
    let specs = vec![service("api", 1, &[])];
    world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::new() });
    let mut edited = service("api", 1, &[]);
    edited.build.as_mut().unwrap().key = BuildKey("edited".into());
    world.broken.insert("edited");
    world.start(&[edited]);
    world.kind();
    assert_eq!(world.run_of("api.1"), before, "its new build failed, so it serves");
}

#[test]
fn a_stop_of_another_leaves_a_waiting_build_in_its_place() {
    let mut world = World::new();
    let specs = vec![service("api", 1, &[]), service("web", 1, &[])];
    world.event(Event::Build { specs, groups: BTreeMap::new() });
    world.stop(&["api"]);
    assert_eq!(world.settled("web"), Settled::Pending);
    world.build_all();
    assert_eq!(world.engine.builds[&BuildKey("web".into())].state, TaskState::Done);
}

#[test]
fn what_an_earlier_supervisor_was_ending_is_followed_by_another() {
    let mut world = World::new();
    let adoption = |instance: &str| Adoption {
        run: RunId(41),
        instance: id(instance),
        launch: run_spec("api", 1, "s1"),
        pid: Some(812),
        settings: Settings("s1".into()),
        artifact: Some(Artifact("api-1".into())),
        started_us: 5,
    };
    world.live.insert(RunId(41), Work::Run { spec: run_spec("api", 1, "s1"), artifact: None });
    world.event(Event::Resume(Resume {
        services: vec![(service("api", 1, &[]), Desired::Up)],
        artifacts: [(BuildKey("api".into()), Artifact("api-1".into()))].into(),
        adoptions: vec![adoption("api.1")],
        ..Resume::default()
    }));
    world.event(Event::Report(RunId(41), RunReport::Started { pid: 41 }));
    world.event(Event::Report(RunId(41), RunReport::Stopping));
    assert_eq!(world.state("api.1"), Shown::Stopping);
    world.exit("api.1", 0);
    world.kind();
    assert_eq!(world.state("api.1"), Shown::Ready, "it was to be replaced, not to end");
}

#[test]
fn what_runs_of_a_service_without_copies_is_taken_over_and_ended() {
    let mut world = World::new();
    world.live.insert(RunId(41), Work::Run { spec: run_spec("api", 1, "s1"), artifact: None });
    world.event(Event::Resume(Resume {
        services: vec![(service("api", 0, &[]), Desired::Down)],
        adoptions: vec![Adoption {
            run: RunId(41),
            instance: id("api.1"),
            launch: run_spec("api", 1, "s1"),
            pid: None,
            settings: Settings("s1".into()),
            artifact: None,
            started_us: 5,
        }],
        ..Resume::default()
    }));
    assert_eq!(world.stopping(), ["api.1"]);
    world.kind();
    assert!(world.engine.is_idle());
}

#[test]
fn one_copy_of_a_stopped_service_is_one_copy() {
    let mut world = World::new();
    let specs = vec![service("api", 2, &[])];
    world.event(Event::Restart { specs, groups: BTreeMap::new(), only: BTreeSet::from([id("api.2")]) });
    world.kind();
    assert_eq!(world.live_names(), "api.2");
    assert_eq!(world.settled("api"), Settled::Met);
}

#[test]
fn nothing_is_started_while_its_strays_are_looked_for() {
    let mut world = World::new();
    world.event(Event::Hunt { services: vec![name("api")] });
    world.start(&[service("api", 2, &[]), service("web", 1, &[])]);
    world.build_all();
    assert_eq!(world.live_names(), "web.1");
    // A second command asked, too: the first hunt's end is not enough.
    world.event(Event::Hunt { services: vec![name("api")] });
    world.event(Event::Hunted { services: vec![name("api")], said: Vec::new() });
    assert_eq!(world.live_names(), "web.1");
    let said = vec![(name("api"), "ended a stray".to_owned()), (name("gone"), "ended another".to_owned())];
    world.event(Event::Hunted { services: vec![name("api")], said });
    assert_eq!(world.live_names(), "api.1 api.2 web.1");
    assert!(world.said.iter().any(|words| words == "ended a stray"));
    let snapshot = world.engine.snapshot();
    let notes: Vec<_> = snapshot.notes.iter().map(|note| (note.number, note.seq, note.message.as_str())).collect();
    assert_eq!(notes, [(1, snapshot.seq, "ended a stray"), (2, snapshot.seq, "ended another")]);
    let happened = world.engine.explain(&name("api")).unwrap().events;
    assert!(happened.iter().any(|happening| happening.message == "ended a stray"));
}

#[test]
fn a_hunt_holds_up_whoever_waits_and_no_stop() {
    let mut world = World::new();
    let settled = |world: &World| world.engine.snapshot().services[0].settled.clone();
    world.start(&[service("api", 1, &[])]);
    world.build_all();
    let run = world.run_of("api.1");
    world.event(Event::Report(run, RunReport::Started { pid: 7 }));
    world.event(Event::Report(run, RunReport::Ready(true)));
    assert_eq!(settled(&world), Settled::Met);
    // A copy that is up is not touched, but the command stays to say what was found.
    world.event(Event::Hunt { services: vec![name("api")] });
    assert_eq!((settled(&world), world.live_names()), (Settled::Pending, "api.1".to_owned()));
    world.event(Event::Report(run, RunReport::Note("a word".into())));
    assert_eq!(world.engine.snapshot().notes.len(), 1);
    world.stop(&["api"]);
    world.live.remove(&run);
    let outcome = Outcome { code: Some(0), signal: None, oom: false, lost: false, killed: false, ended_us: None };
    world.event(Event::Report(run, RunReport::Exited(outcome)));
    assert_eq!(settled(&world), Settled::Met);
    for _ in 0..2 {
        world.event(Event::Hunted { services: vec![name("api")], said: Vec::new() });
    }
    assert_eq!(world.live_names(), "");
}
