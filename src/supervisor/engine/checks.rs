//! What must be true of every order of the engine, and of all it holds after every event.

use std::time::Duration;

use super::tests::name;
use super::world::{BUILDS, FLEET, World};
use super::*;
use crate::supervisor::snapshot::{Settled, Shown};
use crate::task::restart::RestartPolicy;
use crate::task::spec::{Condition, Kind, Need};
use crate::task::state::Input;

/// The order of the contract, written down once more.
const WORDS: [&str; 11] = [
    "failed",
    "crashloop",
    "backoff",
    "stopping",
    "running",
    "starting",
    "building",
    "queued",
    "ready",
    "done",
    "idle",
];

impl World {
    /// An order, before it is obeyed.
    pub(super) fn check_order(&self, effect: &Effect) {
        match effect {
            Effect::Start { run, work } => {
                assert!(run.0 > self.newest_run, "run {run} after {}", self.newest_run);
                match work {
                    Work::Run { spec, artifact } => self.check_start(&spec.instance, spec, artifact.as_ref()),
                    Work::Build(batch) => self.check_build(batch),
                    Work::Test(task) => self.check_tests(task),
                }
            }
            Effect::Signal { run, signal } => {
                let live = self.live.get(run).unwrap_or_else(|| panic!("{signal:?} to {run}, which does not run"));
                match signal {
                    Signal::Stop { .. } => {
                        assert!(!live.told, "{run} is told to end twice");
                        self.check_stop(*run);
                    }
                    Signal::Kill if !matches!(live.work, Work::Run { .. }) => {
                        assert!(!live.killed, "{run} is ended twice")
                    }
                    Signal::Kill => {
                        assert!(live.told && !live.killed, "{run} is killed once, after it was told to end")
                    }
                    Signal::Send(_) => {}
                }
            }
            Effect::Arm { timer, .. } => assert!(!self.timers.contains_key(timer), "{timer:?} twice"),
            Effect::Say { service, message } => {
                assert!(self.engine.services.contains_key(service) && !message.is_empty());
            }
        }
    }

    fn check_start(&self, id: &InstanceId, spec: &crate::task::spec::RunSpec, artifact: Option<&Artifact>) {
        let double = self.copies().into_iter().any(|(_, other)| other == *id);
        assert!(!double, "two runs of {id}");
        let service = &self.engine.services[&id.service];
        let slot = &service.slots[&id.number];
        assert!(service.desired != Desired::Down && !slot.held && !slot.surplus, "{id} is started and not wanted");
        assert!(id.number <= self.scale[&id.service], "{id} is above the scale");
        assert_eq!(spec.instance, *id);
        if let Some(build) = &service.spec.build {
            assert!(artifact.is_some(), "{id} is started and was never built");
            assert_eq!(artifact, self.disk.get(&build.output), "{id} runs the newest good binary");
            assert!(!self.is_building(&build.output), "{id} is started while its binary is written");
            let code = artifact.map(|artifact| artifact.0.clone()).unwrap_or_default();
            let passed = self.passed.contains(&(id.service.clone(), code.clone()));
            let ran = self.ran.contains(&(id.clone(), code));
            assert!(service.spec.tests.is_none() || passed || ran, "{id} is started with code that never passed");
            assert!(!service.is_barred(), "{id} is started although its tests fail");
        }
        for need in &service.spec.needs {
            assert!(self.is_met(need, slot.restarts == 0), "{id} is started without {need:?}");
        }
    }

    fn check_build(&self, batch: &crate::task::outcome::BuildBatch) {
        assert!(!batch.members.is_empty());
        self.check_places();
        let mut outputs = std::collections::BTreeSet::new();
        for member in &batch.members {
            assert!(outputs.insert(&member.output) && !self.is_building(&member.output), "one output is written twice");
        }
    }

    fn check_places(&self) {
        let busy = self.builds().len() + self.tests().len();
        assert!(busy < BUILDS as usize, "more builds and tests at once than may be");
    }

    fn check_tests(&self, task: &crate::worker::TestTask) {
        self.check_places();
        let own = |live: &super::world::Live| matches!(&live.work, Work::Test(other) if other.service == task.service);
        assert!(!self.live.values().any(own), "two runs of the tests of {}", task.service);
        let service = &self.engine.services[&task.service];
        let build = &self.engine.builds[&service.spec.build.as_ref().unwrap().key];
        assert_eq!(build.state, TaskState::Done, "{} is tested and not built", task.service);
    }

    /// A build that was ended because of an edit is built again as long as somebody wants it.
    pub(super) fn check_followed(&self, key: &BuildKey) {
        let uses = |service: &&Service| service.spec.build.as_ref().is_some_and(|build| build.key == *key);
        let wanted = self.engine.services.values().filter(uses).any(|service| service.is_to_run());
        assert!(!wanted || self.engine.builds[key].is_pending(), "{key:?} was aborted, and nothing follows");
    }

    /// A copy that is wanted is told to end only for a good reason.
    fn check_stop(&self, run: RunId) {
        let live = &self.live[&run];
        let Work::Run { spec, .. } = &live.work else { panic!("a build is told to end gently") };
        let service = &self.engine.services[&spec.instance.service];
        if !self.engine.is_wanted(&spec.instance) {
            let depends = |other: &Service| other.spec.needs.iter().any(|need| need.service == spec.instance.service);
            let first = self.engine.services.values().filter(|other| other.desired == Desired::Down && depends(other));
            let slot = &service.slots[&spec.instance.number];
            let alone = slot.held || slot.surplus;
            let runs = |other: &Service| {
                self.copies().iter().any(|(run, id)| id.service == other.spec.name && !self.live[run].undying)
            };
            assert!(alone || !first.into_iter().any(runs), "{} is ended before those that need it", spec.instance);
            return;
        }
        let build = service.spec.build.as_ref().map(|build| &self.engine.builds[&build.key]);
        let good = build.is_none_or(|build| build.state == TaskState::Done);
        assert!(
            live.dead || good || service.is_barred(),
            "{} is replaced and its build is {:?}",
            spec.instance,
            build.unwrap().state
        );
    }

    fn is_building(&self, output: &std::path::Path) -> bool {
        self.live.values().any(|live| match &live.work {
            Work::Build(batch) => batch.members.iter().any(|member| member.output == output),
            Work::Run { .. } | Work::Test(_) => false,
        })
    }

    /// The need, judged by what runs and not by what the engine thinks.
    fn is_met(&self, need: &Need, strict: bool) -> bool {
        let other = &self.engine.services[&need.service];
        let mut numbers = (1..=self.scale[&need.service]).filter(|n| !other.slots[n].held).peekable();
        numbers.peek().is_some()
            && numbers.all(|number| {
                let id = InstanceId { service: need.service.clone(), number };
                let run = self.copies().into_iter().find(|(_, other)| *other == id).map(|(run, _)| &self.live[&run]);
                let done = other.slots[&number].state == TaskState::Done;
                match need.condition {
                    Condition::Completed => done,
                    Condition::Ready if other.spec.kind == Kind::Job => done,
                    Condition::Started => done || run.is_some_and(|run| run.started),
                    Condition::Ready if strict => run.is_some_and(|run| run.ready && !run.told),
                    Condition::Ready => run.is_some_and(|run| run.was_ready && !run.told),
                }
            })
    }

    /// Something it needs ready is not.
    pub(super) fn lacks(&self, service: &ServiceName) -> bool {
        let needs = &self.engine.services[service].spec.needs;
        needs.iter().any(|need| need.condition == Condition::Ready && !self.is_met(need, true))
    }

    /// What became of a copy that just ended follows its policy; `armed` is the newest timer before.
    pub(super) fn check_policy(&mut self, id: &InstanceId, armed: Option<u64>) {
        let service = &self.engine.services[&id.service];
        let Some(slot) = service.slots.get(&id.number) else { return };
        let policy = service.spec.restart.clone();
        let failures = self.failures.entry(id.clone()).or_default();
        let recent = |list: &[(Duration, Duration)]| {
            list.iter().filter(|(at, _)| *at + policy.window >= self.now.mono).count() as u32
        };
        let newest = failures.since.last().filter(|(at, _)| *at == self.now.mono).copied();
        if slot.state == TaskState::Crashloop {
            assert!(recent(&failures.all) >= policy.limit || failures.tried, "{id} is in a crash loop too early");
            failures.tried = true;
        } else if newest.is_some() && slot.state == TaskState::Backoff {
            assert!(recent(&failures.since) < policy.limit, "{id} should be in a crash loop");
        }
        let Some((_, ready_for)) = newest.filter(|_| slot.state == TaskState::Backoff) else { return };
        assert!(ready_for < Duration::from_secs(5), "{id} had settled and is not started again at once");
        let (timer, at) = self.timers.last_key_value().unwrap();
        assert!(Some(timer.0) > armed, "{id} waits for nothing");
        let quick = |list: &[(Duration, Duration)]| {
            list.iter().rev().take_while(|(_, ready)| *ready < Duration::from_secs(10)).count() as u32
        };
        let after = *at - self.now.mono;
        let (least, most) = (delay(&policy, quick(&failures.since)), delay(&policy, quick(&failures.all)));
        assert!(
            after >= least.mul_f64(0.79) && after <= most.mul_f64(1.21),
            "{id} waits {after:?}: {least:?} to {most:?}"
        );
    }

    /// Everything the engine holds agrees with what is.
    pub(super) fn check(&self) {
        let engine = &self.engine;
        for (run, live) in &self.live {
            match &live.work {
                Work::Run { spec, .. } => {
                    assert_eq!(engine.instance_of(*run), Some(&spec.instance), "{run} runs and is forgotten");
                }
                Work::Build(batch) => {
                    for member in &batch.members {
                        assert_eq!(engine.builds[&member.key].run, Some(*run), "a build is forgotten");
                    }
                }
                Work::Test(_) => {}
            }
        }
        assert_eq!(engine.runs.len(), self.live.len(), "a run that ended is remembered");
        assert!(engine.timers.keys().all(|timer| self.timers.contains_key(timer)), "a timer that came is remembered");
        engine.services.values().flat_map(|service| service.slots.values()).for_each(|slot| self.check_slot(slot));
        self.check_bounds();
        self.check_shown();
        let queued = engine.builds.values().any(|build| build.state == TaskState::Queued);
        let over =
            |service: &Service| service.desired == Desired::Down || service.is_over() && !engine.awaits_edits(service);
        assert_eq!(engine.is_idle(), self.live.is_empty() && !queued && engine.services.values().all(over));
    }

    fn check_slot(&self, slot: &Slot) {
        let run = slot.run.as_ref().map(|run| run.id);
        assert_eq!(run.is_some(), slot.state.has_run(), "{} is {:?} with run {run:?}", slot.id, slot.state);
        if let Some(run) = run {
            assert_eq!(self.live[&run].told, slot.state == TaskState::Stopping, "{} is {:?}", slot.id, slot.state);
        }
        if matches!(slot.state, TaskState::Backoff | TaskState::Crashloop) {
            let timer = slot.timer.unwrap_or_else(|| panic!("{} rests for ever", slot.id));
            assert!(self.timers.contains_key(&timer), "{} waits for a timer that never comes", slot.id);
        }
        // A run that nothing can end would make a stop that never ends.
        assert!(!slot.state.has_run() || slot.state.next(Input::EndedUnwanted).is_ok());
    }

    /// Nothing grows with the number of events.
    fn check_bounds(&self) {
        let engine = &self.engine;
        assert_eq!(engine.services.len(), FLEET.len());
        assert!(
            engine.builds.len() <= FLEET.len() + self.builds().len() * FLEET.len(),
            "{} builds",
            engine.builds.len()
        );
        assert!(engine.gates.len() <= 64, "{} gates", engine.gates.len());
        assert!(engine.past.is_empty());
        for service in engine.services.values() {
            let running = self.copies().iter().filter(|(_, id)| id.service == service.spec.name).count();
            assert!(service.slots.len() <= self.scale[&service.spec.name] as usize + running);
            assert!(service.happenings.len() <= 50);
            for slot in service.slots.values() {
                assert!(slot.exits.len() <= 10 && slot.failures.len() <= 64);
            }
        }
    }

    /// What people see is what is.
    fn check_shown(&self) {
        let snapshot = self.engine.snapshot();
        assert_eq!(snapshot.seq, self.engine.seq());
        for view in &snapshot.services {
            let word =
                WORDS.into_iter().find(|w| view.instances.iter().any(|i| i.state.word() == *w)).unwrap_or("idle");
            assert_eq!(view.state().word(), word);
            for instance in &view.instances {
                let live =
                    self.copies().into_iter().find(|(_, id)| *id == instance.id).map(|(run, _)| &self.live[&run]);
                let up = matches!(instance.state, Shown::Starting | Shown::Running | Shown::Ready | Shown::Stopping);
                assert_eq!(live.is_some(), up, "{} is shown as {:?}", instance.id, instance.state);
                let ready = live.is_some_and(|live| live.started && live.ready && !live.told);
                assert_eq!(ready, instance.state == Shown::Ready, "{}: {:?}", instance.id, instance.state);
            }
            let waits = view.settled == Settled::Pending;
            assert!(
                !waits || !self.live.is_empty() || !self.timers.is_empty(),
                "{} waits for nothing: {view:#?}",
                view.name
            );
            if view.settled == Settled::Met && view.desired != Desired::Down {
                let up = |i: &crate::supervisor::snapshot::InstanceView| {
                    matches!(i.state, Shown::Ready | Shown::Done)
                        || self.engine.services[&view.name].slots[&i.id.number].held
                };
                assert!(view.instances.iter().all(up), "{} is not met", view.name);
            }
        }
    }

    /// Every copy of the whole fleet runs, once, with these settings and the newest code.
    pub(super) fn check_met(&self, settings: u8) {
        let snapshot = self.engine.snapshot();
        for view in &snapshot.services {
            assert_eq!(view.settled, Settled::Met, "{}: {view:#?}", view.name);
        }
        let mut running = 0;
        for live in self.live.values() {
            let Work::Run { spec, artifact } = &live.work else { panic!("a build is left") };
            assert_eq!(spec.settings.0, format!("s{settings}"), "{} has old settings", spec.instance);
            let build = self.engine.services[&spec.instance.service].spec.build.as_ref();
            assert_eq!(artifact.as_ref(), build.and_then(|build| self.disk.get(&build.output)), "{}", spec.instance);
            let newest = build.map(|build| self.source.get(&build.output).copied().unwrap_or_default().to_string());
            let code = artifact.as_ref().and_then(|code| Some(code.0.rsplit_once('-')?.1.to_owned()));
            assert_eq!(code, newest, "{} runs code of yesterday", spec.instance);
            running += 1;
        }
        let wanted: u32 = self.scale.iter().filter(|(n, _)| **n != name("migrate")).map(|(_, scale)| scale).sum();
        assert_eq!(running, wanted);
    }
}

fn delay(policy: &RestartPolicy, quick: u32) -> Duration {
    policy.delay.saturating_mul(1 << quick.saturating_sub(1).min(20)).min(policy.max_delay)
}
