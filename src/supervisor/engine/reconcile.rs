//! One look at everything: the orders that bring what is closer to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::Run;
use super::testing::{Door, closed_words};
use super::{Build, Effect, Engine, Gate, Moment, Owner, Service, Slot};
use crate::scheduler::{self, Capability, Demand};
use crate::supervisor::snapshot::Reason;
use crate::task::id::{Artifact, InstanceId, ServiceName, Settings};
use crate::task::spec::{Condition, Desired, Kind, Need, Resources};
use crate::task::state::{Input, TaskState};
use crate::worker::{Trouble, Work};

impl Engine {
    /// Looks at every build and every slot once.
    pub(super) fn reconcile(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.count_promises();
        self.open_gates(now);
        self.launch_builds(now, out);
        self.launch_tests(now, out);
        self.mark_changed(now);
        self.replace_marked(now, out);
        self.end_unwanted(now, out);
        self.end_barred(now, out);
        self.start_waiting(now, out);
    }

    /// What the nodes were promised, counted anew: 500 additions are cheaper than a number that drifts.
    fn count_promises(&mut self) {
        let Some(node) = self.nodes.first_mut() else { return };
        node.promised = Resources::default();
        node.n_tasks = 0;
        for slot in self.services.values().flat_map(|service| service.slots.values()).filter(|slot| slot.run.is_some())
        {
            let asked = slot.launch.promised();
            node.promised.cpu += asked.cpu;
            node.promised.memory += asked.memory;
            node.promised.disk += asked.disk;
            node.n_tasks += 1;
        }
        node.n_builds =
            self.runs.values().filter(|owner| matches!(owner, Owner::Builds(_) | Owner::Tests(_))).count() as u32;
    }

    /// Restarts whose builds are all done: every copy of theirs is to be replaced. One failed build drops the whole restart.
    fn open_gates(&mut self, now: Moment) {
        for gate in std::mem::take(&mut self.gates) {
            match self.is_passable(&gate) {
                None => self.gates.push(gate),
                Some(true) => gate.instances.iter().for_each(|id| self.force(id, now)),
                Some(false) => {}
            }
        }
    }

    /// Whether everything is built and tested that a restart waits for; `None` while some of it is still to come.
    fn is_passable(&self, gate: &Gate) -> Option<bool> {
        let names: BTreeSet<&ServiceName> = gate.instances.iter().map(|id| &id.service).collect();
        let services: Vec<&Service> = names.into_iter().filter_map(|name| self.services.get(name)).collect();
        let builds: Vec<&Build> =
            services.iter().filter_map(|service| self.builds.get(&service.spec.build.as_ref()?.key)).collect();
        if builds.iter().any(|build| build.is_pending()) {
            return None;
        }
        if builds.iter().any(|build| build.state != TaskState::Done) {
            return Some(false);
        }
        let waits = services.iter().any(|service| service.door() == Door::Waits);
        if waits { None } else { Some(services.iter().all(|service| service.door() == Door::Open)) }
    }

    fn force(&mut self, id: &InstanceId, now: Moment) {
        let Some(service) = self.services.get_mut(&id.service) else { return };
        if service.desired == Desired::Down {
            service.desired = if service.spec.kind == Kind::Job { Desired::Once } else { Desired::Up };
            // Who asks for one copy of a stopped service gets that copy; each one asked for is released below.
            service.slots.values_mut().for_each(|slot| slot.held = true);
        }
        let target = service.spec.runs.get(id.index() as usize).cloned();
        let Some(slot) = service.slots.get_mut(&id.number).filter(|slot| !slot.surplus) else { return };
        slot.pardon();
        if let (None | Some(TaskState::Stopping), Some(target)) = (slot.run.as_ref().map(|_| slot.state), target) {
            slot.launch = target;
        }
        if slot.state == TaskState::Stopping {
            slot.expect_again();
        } else if slot.run.is_some() {
            slot.check = false;
            slot.replace = Some(Reason::Stopped);
        } else {
            slot.step(Input::Want, now);
        }
    }

    /// Copies that a `start` wanted compared, once their build is done. A failed build leaves them serving.
    fn mark_changed(&mut self, now: Moment) {
        for service in self.services.values_mut() {
            let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
            // Code whose tests fail may be mended by an edit of its tests alone, so that the copies stay marked.
            if build.is_some_and(|build| build.is_pending()) || service.door() != Door::Open {
                continue;
            }
            let failed = build.is_some_and(|build| build.state == TaskState::Failed);
            let artifact = build.and_then(|build| build.artifact.as_ref());
            let is_job = service.spec.kind == Kind::Job;
            for slot in service.slots.values_mut().filter(|slot| slot.check) {
                slot.check = false;
                let Some(target) = service.spec.runs.get(slot.id.index() as usize) else { continue };
                let Some(run) = &slot.run else {
                    // It ended meanwhile, or had ended for good.
                    if !failed {
                        slot.launch = target.clone();
                        if !is_job && slot.would_differ(artifact) {
                            slot.renew(now);
                        }
                    }
                    continue;
                };
                let changed = run.settings != target.settings || (build.is_some() && run.artifact.as_ref() != artifact);
                if changed && !failed {
                    slot.replace = Some(Reason::Rerun);
                } else if !changed && !slot.forced && slot.replace == Some(Reason::Rerun) {
                    // What it was to make room for was taken back.
                    slot.replace = None;
                } else if slot.launch.settings != run.settings && run.settings == target.settings {
                    // Taken over from an earlier supervisor, and by now wanted as it runs.
                    slot.launch = target.clone();
                }
            }
        }
    }

    /// Tells marked copies to end: one at a time where there are several and they serve.
    fn replace_marked(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for service in self.services.values_mut() {
            let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
            // While it is built anew, and when that failed, what serves goes on serving.
            if build.is_some_and(|build| build.state != TaskState::Done) || service.door() != Door::Open {
                continue;
            }
            let marked: Vec<u32> = service
                .slots
                .values()
                .filter(|slot| slot.replace.is_some() && !slot.is_spared())
                .map(|slot| slot.id.number)
                .collect();
            for number in marked {
                let alone = service.slots.values().all(|other| other.id.number == number || other.serves());
                let Some(target) = service.spec.runs.get(number as usize - 1).cloned() else { continue };
                let Some(slot) = service.slots.get_mut(&number) else { continue };
                if slot.run.is_none() || slot.state == TaskState::Stopping {
                    slot.launch = target;
                    slot.replace = None;
                    slot.forced = false;
                } else if alone || slot.state != TaskState::Ready {
                    slot.launch = target;
                    if let Some(reason) = slot.replace.take() {
                        // What follows is something else, and has failed at nothing.
                        slot.failures.clear();
                        slot.on_trial = false;
                        slot.owed = true;
                        slot.terminate(reason, now, out);
                        slot.renewed = reason == Reason::Rerun;
                        if let Some(rerun) = service.rerun.as_mut().filter(|_| reason == Reason::Rerun) {
                            rerun.tells(now);
                        }
                    }
                }
            }
        }
    }

    /// Ends what is not wanted, dependants before what they depend on, and vendors last: a service may use one without saying so.
    fn end_unwanted(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let is_down =
            |service: &&Service| service.desired == Desired::Down && service.slots.values().any(Slot::is_to_be_awaited);
        let needed: BTreeSet<ServiceName> = self
            .services
            .values()
            .filter(is_down)
            .flat_map(|service| service.spec.needs.iter().map(|need| need.service.clone()))
            .collect();
        let outlasts = self.outlasts_vendors();
        for (name, service) in &mut self.services {
            let down = service.desired == Desired::Down;
            let held_up = down && (needed.contains(name) || outlasts && service.spec.kind == Kind::Vendor);
            for slot in service.slots.values_mut().filter(|slot| down || slot.held || slot.surplus) {
                if slot.run.is_none() {
                    slot.step(Input::Forget, now);
                } else if !held_up && slot.state != TaskState::Stopping {
                    slot.terminate(Reason::Stopped, now, out);
                } else if let Some(run) = &mut slot.run {
                    // It was to be replaced or had failed its probe; now it is to end for good.
                    run.ending = run.ending.map(|_| Reason::Stopped);
                }
            }
            service.slots.retain(|_, slot| !slot.surplus || slot.run.is_some());
        }
    }

    /// Whether something that vendors make room for is still to end: a service or a job that no vendor needs. One that a vendor needs waits for that
    /// vendor, which must not wait for it in turn.
    fn outlasts_vendors(&self) -> bool {
        let of_vendors = self.services.values().filter(|service| service.spec.kind == Kind::Vendor);
        let mut waiting: Vec<&ServiceName> = of_vendors.map(|service| &service.spec.name).collect();
        let mut served = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if served.insert(name) {
                let needs = self.services.get(name).map(|service| service.spec.needs.as_slice()).unwrap_or_default();
                waiting.extend(needs.iter().map(|need| &need.service));
            }
        }
        let is_ending =
            |service: &Service| service.desired == Desired::Down && service.slots.values().any(Slot::is_to_be_awaited);
        self.services.iter().any(|(name, service)| !served.contains(name) && is_ending(service))
    }

    /// Starts what is wanted, built, and has what it needs.
    fn start_waiting(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let waiting: Vec<InstanceId> = self
            .services
            .values()
            .filter(|service| service.desired != Desired::Down)
            .flat_map(|service| service.slots.values())
            .filter(|slot| slot.state == TaskState::Queued && slot.run.is_none())
            .map(|slot| slot.id.clone())
            .collect();
        for id in waiting {
            self.start_one(&id, now, out);
        }
    }

    fn start_one(&mut self, id: &InstanceId, now: Moment, out: &mut Vec<Effect>) {
        let Some(service) = self.services.get(&id.service) else { return };
        let Some(slot) = service.slots.get(&id.number) else { return };
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        if build.is_some_and(|build| build.is_pending()) {
            return;
        }
        if self.hunts.contains_key(&id.service) {
            return;
        }
        // What served beside a newer build that failed and then ended by itself is started again as it was.
        let served = (slot.restarts > 0 || slot.owed) && build.is_some_and(|build| build.artifact.is_some());
        if let Some(failure) = build.and_then(|build| build.failure.as_ref()).filter(|_| !served) {
            let trouble = format!("its build failed: {}", failure.error);
            self.give_up(id, trouble, now);
            return;
        }
        let goes_on = slot.goes_on_with(build.and_then(|build| build.artifact.as_ref()));
        match service.door() {
            Door::Open => {}
            Door::Waits if goes_on => {}
            Door::Closed(_) if goes_on && !service.is_barred() => {}
            Door::Waits => return,
            Door::Closed(outcome) => {
                let trouble = closed_words(outcome);
                self.give_up(id, trouble, now);
                self.slot(id).into_iter().for_each(|slot| slot.barred = true);
                return;
            }
        }
        let strict = slot.restarts == 0;
        if !service.spec.needs.iter().all(|need| self.is_met(need, strict)) {
            return;
        }
        let artifact = build.and_then(|build| build.artifact.clone());
        let capability = if slot.launch.container.is_some() { Capability::Container } else { Capability::Process };
        let demand = Demand { capability, resources: slot.launch.promised() };
        match scheduler::place(self.scheduler.as_mut(), &demand, &self.nodes) {
            Ok(node) => {
                self.nodes[node].promised.cpu += demand.resources.cpu;
                self.nodes[node].promised.memory += demand.resources.memory;
                self.nodes[node].promised.disk += demand.resources.disk;
                self.nodes[node].n_tasks += 1;
            }
            Err(refusals) => {
                let words: Vec<String> = refusals.iter().map(|(node, unfit)| format!("{node}: {unfit}")).collect();
                self.give_up(id, format!("no node can take it: {}", words.join(", ")), now);
                return;
            }
        }
        let run = self.new_run();
        self.runs.insert(run, Owner::Slot(id.clone()));
        if let Some(slot) = self.slot(id) {
            slot.step(Input::Launch, now);
            slot.started_us = Some(now.wall_us);
            slot.last_run = Some(run);
            slot.owed = false;
            slot.forced = false;
            slot.run = Some(Run { began: now, ..Run::new(run, slot.launch.settings.clone(), artifact.clone()) });
            out.push(Effect::Start { run, work: Work::Run { spec: slot.launch.clone(), artifact } });
            if slot.renewed {
                self.of_service(&id.service, |rerun| rerun.starts(now));
            }
        }
    }

    fn give_up(&mut self, id: &InstanceId, trouble: String, now: Moment) {
        if let Some(slot) = self.slot(id) {
            slot.step(Input::EndedFailed, now);
            slot.trouble = Some(trouble);
        }
    }

    /// Whether what `need` asks for holds. When a copy is started again by its policy (not `strict`), a dependency that was ready in its present
    /// run is enough: a passing failure of one probe shall not keep the whole fleet down.
    pub(super) fn is_met(&self, need: &Need, strict: bool) -> bool {
        let Some(other) = self.services.get(&need.service) else { return true };
        let completed = |slot: &Slot| slot.state == TaskState::Done;
        let holds = |slot: &Slot| match need.condition {
            Condition::Completed => completed(slot),
            Condition::Ready if other.spec.kind == Kind::Job => completed(slot),
            Condition::Started => slot.run.as_ref().is_some_and(|run| run.pid.is_some()) || completed(slot),
            Condition::Ready if strict => slot.state == TaskState::Ready,
            Condition::Ready => slot.run.as_ref().is_some_and(|run| run.was_ready && run.ending.is_none()),
        };
        let mut slots = other.slots.values().filter(|slot| !slot.surplus && !slot.held).peekable();
        slots.peek().is_some() && slots.all(holds)
    }

    /// Services by what they need, for those who ask who depends on a service.
    pub fn dependants(&self) -> BTreeMap<&ServiceName, Vec<&ServiceName>> {
        let mut out: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
        for service in self.services.values() {
            for need in &service.spec.needs {
                out.entry(&need.service).or_default().push(&service.spec.name);
            }
        }
        out
    }
}

impl Slot {
    /// It has a run that will end. What SIGKILL does not end holds up nobody.
    pub(super) fn is_to_be_awaited(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.is_unkillable())
    }

    /// A debugger holds it: newer code waits until that has gone. Who asks for a restart by hand means it.
    pub(super) fn is_spared(&self) -> bool {
        let held = self.run.as_ref().is_some_and(|run| run.troubles.contains_key(&Trouble::Debugged));
        held && self.replace == Some(Reason::Rerun)
    }

    /// It ended for good, and its code or its settings are others now.
    fn would_differ(&self, artifact: Option<&Artifact>) -> bool {
        let same = |(settings, code): &(Settings, Option<Artifact>)| {
            *settings == self.launch.settings && code.as_ref() == artifact
        };
        self.state == TaskState::Done && !self.ran.as_ref().is_some_and(same)
    }

    /// Nobody has to wait for it when another copy is to be replaced.
    pub(super) fn serves(&self) -> bool {
        self.state == TaskState::Ready
            || self.surplus
            || self.held
            || matches!(self.state, TaskState::Idle | TaskState::Done)
    }
}
