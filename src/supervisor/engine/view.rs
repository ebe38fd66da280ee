//! The engine's state as plain values for `ps` and `why`.

use super::slot::Run;
use super::{Engine, Owner, Service, Slot};
use crate::supervisor::Explanation;
use crate::supervisor::snapshot::{
    BuildState, BuildView, InstanceView, ServiceView, Settled, Shown, Snapshot, TestsState,
};
use crate::task::id::ServiceName;
use crate::task::spec::Desired;
use crate::task::state::TaskState;

impl Engine {
    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let mut settled = self.settle_all();
        let view = |(name, service)| {
            let settled = settled.remove(name).unwrap_or(Settled::Pending);
            self.service_view(service, settled)
        };
        let services = self.services.iter().map(view).collect();
        let notes = self.notes.iter().cloned().collect();
        Snapshot { seq: self.seq, services, notes, watch_trouble: self.watch_trouble.clone(), ..Snapshot::default() }
    }

    fn service_view(&self, service: &Service, settled: Settled) -> ServiceView {
        ServiceView {
            name: service.spec.name.clone(),
            kind: service.spec.kind,
            desired: service.desired,
            scale: service.spec.runs.len() as u32,
            build: self.build_view(service),
            instances: service.slots.values().map(|slot| self.instance_view(service, slot)).collect(),
            reason: self.reason(service, &settled),
            settled,
            rerun: service.desired != Desired::Down && self.watched.contains(&service.spec.name),
            tests: service.spec.tests.as_ref().map(|_| service.testing.view()),
        }
    }

    fn build_view(&self, service: &Service) -> Option<BuildView> {
        let spec = service.spec.build.as_ref()?;
        let Some(build) = self.builds.get(&spec.key) else {
            return Some(BuildView { state: BuildState::Idle, artifact: None, error: None, problems: Vec::new() });
        };
        let state = match build.state {
            TaskState::Queued => BuildState::Queued,
            TaskState::Starting | TaskState::Running | TaskState::Ready | TaskState::Stopping => BuildState::Building,
            TaskState::Done => BuildState::Ok,
            TaskState::Failed | TaskState::Crashloop | TaskState::Backoff => BuildState::Failed,
            TaskState::Idle => BuildState::Idle,
        };
        Some(BuildView {
            state,
            artifact: build.artifact.as_ref().map(|artifact| artifact.0.clone()),
            error: build.failure.as_ref().map(|failure| failure.error.clone()),
            problems: build.failure.as_ref().map(|failure| failure.problems.clone()).unwrap_or_default(),
        })
    }

    fn instance_view(&self, service: &Service, slot: &Slot) -> InstanceView {
        let run = slot.run.as_ref();
        InstanceView {
            id: slot.id.clone(),
            state: self.shown(service, slot),
            run: slot.last_run,
            pid: run.and_then(|run| run.pid),
            contained: slot.launch.container.is_some(),
            ports: slot.launch.ports.clone(),
            listening: run.map(|run| run.listening.clone()).unwrap_or_default(),
            restarts: slot.restarts,
            started_us: slot.started_us,
            // A slot in which nothing happened yet has the beginning of all clocks.
            since_us: Some(slot.since.wall_us).filter(|us| *us > 0),
            ready_us: run.and_then(Run::came_up),
            last_exit: slot.exits.last().cloned(),
            healthy: run.and_then(|run| run.healthy),
            trouble: run.and_then(|run| run.troubles.keys().next()).map(|trouble| trouble.word()),
            limits: run.and_then(|run| run.limits.clone()),
        }
    }

    fn shown(&self, service: &Service, slot: &Slot) -> Shown {
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        match slot.state {
            TaskState::Queued if build.is_some_and(|build| build.is_pending()) => Shown::Building,
            TaskState::Idle => Shown::Idle,
            TaskState::Queued => Shown::Queued,
            TaskState::Starting => Shown::Starting,
            TaskState::Running => Shown::Running,
            TaskState::Ready => Shown::Ready,
            TaskState::Stopping => Shown::Stopping,
            TaskState::Backoff => Shown::Backoff,
            TaskState::Crashloop => Shown::Crashloop,
            TaskState::Done => Shown::Done,
            TaskState::Failed => Shown::Failed,
        }
    }

    /// What is done for it, or waits to be done, before its copies are its own affair.
    fn work_reasons(&self, service: &Service) -> Vec<String> {
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        let busy = self.runs.values().filter(|owner| !matches!(owner, Owner::Slot(_))).count();
        let queue = match busy {
            1 => "one other build or test runs".to_owned(),
            n => format!("{n} other builds and tests run"),
        };
        let building = build.and_then(|build| match build.state {
            TaskState::Queued => Some(format!("its build waits for a place: {queue}")),
            _ if build.aborted => {
                Some("its build is being ended, since something was edited, and begins anew".to_owned())
            }
            _ if build.is_pending() => Some("it is being built".to_owned()),
            _ => None,
        });
        let testing = match service.testing.view().state {
            TestsState::Testing => Some("its tests run".to_owned()),
            TestsState::Queued if building.is_none() => Some(format!("its tests wait for a place: {queue}")),
            TestsState::Queued | TestsState::Idle | TestsState::Passed | TestsState::Failed => None,
        };
        building.into_iter().chain(testing).collect()
    }

    /// Why a service is as it is. The environment is filled in by whoever knows which part of it files set.
    pub fn explain(&self, name: &ServiceName) -> Option<Explanation> {
        let service = self.services.get(name)?;
        let settled = self.settle_all().remove(name)?;
        let view = self.service_view(service, settled);
        let of_copies =
            service.slots.values().filter_map(|slot| self.slot_reason(service, slot).map(|why| sentence(slot, &why)));
        let debuggers = service.slots.values().filter_map(debugger);
        let reasons = self.work_reasons(service).into_iter().chain(of_copies).chain(debuggers).collect();
        let needs = service.spec.needs.iter().map(|need| {
            let state =
                self.services.get(&need.service).map(|other| self.service_view(other, Settled::Pending).state());
            let word = state.map_or("unknown", |state| state.word()).to_owned();
            (need.service.clone(), super::settle::condition_word(need), word, self.is_met(need, true))
        });
        Some(Explanation {
            summary: summary(&view),
            reasons,
            needs: needs.collect(),
            exits: service
                .slots
                .values()
                .flat_map(|slot| slot.exits.iter().map(|exit| (slot.id.clone(), exit.clone())))
                .collect(),
            events: service.happenings.iter().cloned().collect(),
            holders: service.slots.values().filter_map(|slot| slot.run.as_ref()?.holder.clone()).collect(),
            rerun: service.rerun.clone(),
            env: Vec::new(),
            service: view,
        })
    }
}

/// Where a copy that runs below a debugger can be reached.
fn debugger(slot: &Slot) -> Option<String> {
    let port = slot.launch.debugger.filter(|_| slot.run.is_some())?;
    Some(format!("{} runs below a debugger: `dlv connect 127.0.0.1:{port}`", slot.id))
}

fn sentence(slot: &Slot, why: &str) -> String {
    let id = slot.id.to_string();
    if why.starts_with(&id) { why.to_owned() } else { format!("{id}: {why}") }
}

fn summary(view: &ServiceView) -> String {
    let ready = view.instances.iter().filter(|instance| instance.state == Shown::Ready).count();
    let state = view.state().word();
    match (&view.reason, view.scale) {
        (Some(reason), _) => format!("`{}` is {state}: {reason}", view.name),
        (None, 0 | 1) => format!("`{}` is {state}", view.name),
        (None, scale) => format!("`{}` is {state}: {ready} of {scale} copies are ready", view.name),
    }
}
