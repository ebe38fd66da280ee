//! What people ask for, written down as what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::slot::Run;
use super::testing::Testing;
use super::{Adoption, Build, Effect, Engine, Gate, Moment, Owner, Resume, Service, Slot};
use crate::supervisor::snapshot::Reason;
use crate::task::id::{Artifact, BuildKey, InstanceId, RunId, ServiceName, Settings};
use crate::task::spec::{BuildSpec, Desired, Kind, ServiceSpec};
use crate::task::state::{Input, TaskState};
use crate::worker::Signal;

impl Engine {
    /// `start`: these shall be up.
    pub(super) fn want(
        &mut self,
        specs: Vec<ServiceSpec>,
        groups: BTreeMap<BuildKey, u64>,
        explicit: &BTreeSet<ServiceName>,
    ) {
        for spec in specs {
            self.want_build(spec.build.as_ref(), &groups);
            let named = explicit.contains(&spec.name);
            let is_job = spec.kind == Kind::Job;
            let service = self.take_spec(spec);
            // A job that is done stays so while its fleet is up.
            let again = named || !is_job || service.desired == Desired::Down;
            service.desired = if is_job { Desired::Once } else { Desired::Up };
            for slot in service.slots.values_mut().filter(|slot| !slot.surplus) {
                slot.want(again);
            }
        }
        self.forget_builds();
    }

    /// `restart`: replace them once everything is built.
    pub(super) fn restart(
        &mut self,
        specs: Vec<ServiceSpec>,
        groups: BTreeMap<BuildKey, u64>,
        only: &BTreeSet<InstanceId>,
    ) {
        let mut gate = Gate { instances: BTreeSet::new() };
        for spec in specs {
            self.want_build(spec.build.as_ref(), &groups);
            let chosen = |id: &InstanceId| only.is_empty() || only.contains(id);
            gate.instances.extend(spec.runs.iter().map(|run| run.instance.clone()).filter(|id| chosen(id)));
            self.take_spec(spec);
        }
        // Who asks for the same and more once again is answered once.
        self.gates.retain(|earlier| !earlier.instances.is_subset(&gate.instances));
        self.gates.push(gate);
        self.forget_builds();
    }

    /// `build`: nothing else changes.
    pub(super) fn build_only(&mut self, specs: Vec<ServiceSpec>, groups: BTreeMap<BuildKey, u64>) {
        for spec in specs {
            self.want_build(spec.build.as_ref(), &groups);
            self.take_spec(spec);
        }
        self.forget_builds();
    }

    /// `scale`: copies are added or removed; those that stay are not touched.
    pub(super) fn rescale(&mut self, specs: Vec<ServiceSpec>) {
        for spec in specs {
            let runs = spec.runs.len();
            let is_built = |build: &BuildSpec| {
                self.builds.get(&build.key).is_some_and(|build| build.is_pending() || build.state == TaskState::Done)
            };
            if !spec.build.as_ref().is_some_and(is_built) {
                self.want_build(spec.build.as_ref(), &BTreeMap::new());
            }
            let service = self.take_spec(spec);
            service.desired = match (runs, service.spec.kind) {
                (0, _) => Desired::Down,
                (_, Kind::Job) => Desired::Once,
                (_, Kind::Service | Kind::Vendor) => Desired::Up,
            };
            for slot in service.slots.values_mut().filter(|slot| !slot.surplus && slot.state == TaskState::Idle) {
                slot.want(false);
            }
        }
        self.forget_builds();
    }

    /// `stop`: dependants first, which [`Engine::reconcile`] sees to.
    pub(super) fn stop(
        &mut self,
        services: &BTreeSet<ServiceName>,
        only: &BTreeSet<InstanceId>,
        grace: Option<Duration>,
        out: &mut Vec<Effect>,
    ) {
        let mut were_up = Vec::new();
        for name in services {
            let Some(service) = self.services.get_mut(name) else { continue };
            were_up.extend((service.desired != Desired::Down).then(|| name.clone()));
            let named: Vec<u32> = only.iter().filter(|id| id.service == *name).map(|id| id.number).collect();
            if named.is_empty() {
                service.desired = Desired::Down;
            }
            for slot in service.slots.values_mut().filter(|slot| named.is_empty() || named.contains(&slot.id.number)) {
                slot.held = !named.is_empty();
                slot.check = false;
                slot.replace = None;
                slot.grace = grace;
                hasten(slot, grace, out);
            }
        }
        let copy_stops = |id: &InstanceId| {
            services.contains(&id.service)
                && (only.contains(id) || !only.iter().any(|other| other.service == id.service))
        };
        for gate in &mut self.gates {
            gate.instances.retain(|id| !copy_stops(id));
        }
        self.gates.retain(|gate| !gate.instances.is_empty());
        for name in services {
            let is_left = |service: &Service| service.is_to_run() || self.is_gated(service);
            if !self.services.get(name).is_some_and(is_left) {
                self.drop_tests(name, out);
            }
        }
        self.unqueue_builds(services);
        self.abort_builds(&were_up, out);
    }

    /// `kill`: a signal, nothing more.
    pub(super) fn kill(&mut self, instances: &BTreeSet<InstanceId>, signal: i32, out: &mut Vec<Effect>) {
        for id in instances {
            if let Some(run) = self.slot(id).and_then(|slot| slot.run.as_ref()) {
                out.push(Effect::Signal { run: run.id, signal: Signal::Send(signal) });
            }
        }
    }

    /// After a supervisor's death: what was wanted is wanted still, what runs is taken over, what had ended for good stays so.
    pub(super) fn resume(&mut self, resume: Resume, out: &mut Vec<Effect>) {
        self.past = resume.past;
        let mut names = Vec::new();
        for (spec, desired) in resume.services {
            names.push(spec.name.clone());
            self.want_found_build(spec.build.as_ref(), &resume.artifacts);
            self.take_spec(spec).desired = desired;
        }
        // What only runs on to be ended needs no binary.
        self.unqueue_builds(&names.iter().cloned().collect());
        for adoption in resume.adoptions {
            self.adopt(adoption);
        }
        for (id, state) in resume.ended {
            self.restore_end(&id, state, out);
        }
        for name in names {
            let Some(service) = self.services.get_mut(&name).filter(|service| service.desired != Desired::Down) else {
                continue;
            };
            for slot in service.slots.values_mut().filter(|slot| !slot.surplus && slot.state == TaskState::Idle) {
                slot.step(Input::Want, Moment::default());
            }
            self.trust_what_runs(&name);
        }
    }

    /// A copy that had ended for good before the supervisor died is not started again.
    fn restore_end(&mut self, id: &InstanceId, state: TaskState, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id).filter(|slot| slot.state == TaskState::Idle) else { return };
        let inputs: &[Input] = match state {
            TaskState::Done => &[Input::Want, Input::Launch, Input::EndedDone],
            TaskState::Failed => &[Input::Want, Input::EndedFailed],
            TaskState::Crashloop => &[Input::Want, Input::Launch, Input::EndedCrashloop],
            TaskState::Idle
            | TaskState::Queued
            | TaskState::Starting
            | TaskState::Running
            | TaskState::Ready
            | TaskState::Stopping
            | TaskState::Backoff => &[],
        };
        for input in inputs {
            slot.step(*input, Moment::default());
        }
        if state == TaskState::Crashloop {
            self.rest(id, out);
        }
    }

    /// A build whose binary is there already counts as done; else it is wanted.
    fn want_found_build(&mut self, spec: Option<&BuildSpec>, found: &BTreeMap<BuildKey, Artifact>) {
        let Some(spec) = spec else { return };
        self.want_build(Some(spec), &BTreeMap::new());
        if let (Some(artifact), Some(build)) = (found.get(&spec.key), self.builds.get_mut(&spec.key)) {
            build.artifact = Some(artifact.clone());
            build.step(Input::Launch);
            build.step(Input::EndedDone);
        }
    }

    /// Services of the project that nobody asked for yet, or any more.
    pub(super) fn know(&mut self, specs: Vec<ServiceSpec>) {
        let is_live = |service: &Service| {
            service.desired != Desired::Down || service.slots.values().any(|slot| slot.run.is_some())
        };
        for spec in specs {
            if !self.services.get(&spec.name).is_some_and(is_live) {
                self.take_spec(spec);
            }
        }
        self.forget_builds();
    }

    /// A run that outlived an earlier supervisor goes on in its slot. One whose slot has a run already is not taken.
    pub(super) fn adopt(&mut self, adoption: Adoption) {
        self.next_run = self.next_run.max(adoption.run.0 + 1);
        let Some(service) = self.services.get_mut(&adoption.instance.service) else { return };
        let surplus = adoption.instance.number as usize > service.spec.runs.len();
        let slot = service.slots.entry(adoption.instance.number).or_insert_with(|| Slot::new(adoption.launch.clone()));
        if slot.run.is_some() {
            return;
        }
        slot.surplus = surplus;
        slot.step(Input::Want, Moment::default());
        slot.step(Input::Launch, Moment::default());
        slot.started_us = Some(adoption.started_us);
        slot.last_run = Some(adoption.run);
        slot.run = Some(Run { pid: adoption.pid, ..Run::new(adoption.run, adoption.settings, adoption.artifact) });
        self.runs.insert(adoption.run, Owner::Slot(adoption.instance));
    }

    /// Writes down a newer spec: slots are made for new copies and marked where there are too many.
    pub(super) fn take_spec(&mut self, spec: ServiceSpec) -> &mut Service {
        let past = self.past.remove(&spec.name).unwrap_or_default();
        let service = self.services.entry(spec.name.clone()).or_insert_with(|| Service {
            spec: spec.clone(),
            desired: Desired::Down,
            slots: BTreeMap::new(),
            happenings: past.happenings.into(),
            rerun: None,
            testing: Testing::default(),
        });
        for run in &spec.runs {
            let slot = service.slots.entry(run.instance.number).or_insert_with(|| Slot::new(run.clone()));
            slot.surplus = false;
            // A copy that is about to end is not kept, so what follows it begins with what is wanted now.
            if slot.run.is_none() || slot.state == TaskState::Stopping {
                slot.launch = run.clone();
            }
            if let Some((restarts, exits)) = past.copies.get(&run.instance.number) {
                slot.restarts = *restarts;
                slot.exits.clone_from(exits);
            }
        }
        for slot in service.slots.values_mut() {
            slot.surplus = slot.id.number as usize > spec.runs.len();
        }
        service.spec = spec;
        service
    }

    pub(super) fn want_build(&mut self, spec: Option<&BuildSpec>, groups: &BTreeMap<BuildKey, u64>) {
        let Some(spec) = spec else { return };
        let build = self.builds.entry(spec.key.clone()).or_insert_with(|| Build {
            spec: Arc::new(spec.clone()),
            state: TaskState::Idle,
            run: None,
            group: None,
            alone: false,
            again: false,
            aborted: false,
            artifact: None,
            failure: None,
        });
        build.group = groups.get(&spec.key).copied();
        build.want(spec);
    }

    /// Builds of settings nobody has any more.
    pub(super) fn forget_builds(&mut self) {
        let used: BTreeSet<&BuildKey> =
            self.services.values().filter_map(|service| service.spec.build.as_ref()).map(|build| &build.key).collect();
        self.builds.retain(|key, build| build.run.is_some() || used.contains(key));
    }

    /// Builds of these services that wait and that nobody wants any more.
    fn unqueue_builds(&mut self, stopped: &BTreeSet<ServiceName>) {
        let key = |service: &Service| service.spec.build.as_ref().map(|build| build.key.clone());
        let wanted: BTreeSet<BuildKey> = self
            .services
            .values()
            .filter(|service| service.desired != Desired::Down || self.is_gated(service))
            .filter_map(key)
            .collect();
        for key in stopped.iter().filter_map(|name| key(self.services.get(name)?)).filter(|key| !wanted.contains(key)) {
            let Some(build) = self.builds.get_mut(&key) else { continue };
            build.again = false;
            if build.state == TaskState::Queued {
                build.step(Input::Forget);
            }
        }
    }
}

impl Slot {
    /// Wants a run, or the running copy checked against what is wanted.
    fn want(&mut self, again: bool) {
        self.grace = None;
        match self.state {
            TaskState::Done if !again => {}
            TaskState::Idle | TaskState::Done | TaskState::Failed | TaskState::Crashloop | TaskState::Backoff => {
                self.pardon();
                self.step(Input::Want, self.since);
            }
            TaskState::Queued => self.pardon(),
            TaskState::Starting | TaskState::Running | TaskState::Ready => {
                self.held = false;
                self.check = true;
            }
            // Its end is under way; being wanted, it is started again after it.
            TaskState::Stopping => self.expect_again(),
        }
    }

    /// A copy that is already ending shall be followed by another one, whatever it was told to end for.
    pub(super) fn expect_again(&mut self) {
        self.held = false;
        self.failures.clear();
        self.on_trial = false;
        if let Some(run) = &mut self.run {
            run.ending = Some(Reason::Stopped);
        }
    }
}

/// A second stop with no grace left ends a copy that is already stopping at once.
fn hasten(slot: &mut Slot, grace: Option<Duration>, out: &mut Vec<Effect>) {
    if slot.state != TaskState::Stopping || grace != Some(Duration::ZERO) {
        return;
    }
    if let Some(run) = slot.run.as_mut().filter(|run| !run.killed) {
        run.killed = true;
        out.push(Effect::Signal { run: run.id, signal: Signal::Kill });
    }
}

impl Run {
    /// A run that a worker was just told of.
    pub fn new(id: RunId, settings: Settings, artifact: Option<Artifact>) -> Run {
        Run {
            id,
            settings,
            artifact,
            pid: None,
            ready_since: None,
            first_ready: None,
            was_ready: false,
            healthy: None,
            listening: Vec::new(),
            limits: None,
            troubles: BTreeMap::new(),
            waiting: None,
            holder: None,
            ending: None,
            killed: false,
            began: Moment::default(),
        }
    }
}
