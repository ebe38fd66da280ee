//! Tests that a new binary must pass before a copy runs it: when they run, and what their result decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Effect, Engine, Moment, Owner, Service, Slot};
use crate::scheduler::{self, Capability, Demand};
use crate::supervisor::snapshot::{Reason, TestsState, TestsView};
use crate::task::id::{Artifact, BuildKey, RunId, ServiceName};
use crate::task::outcome::{TestOutcome, TestTask};
use crate::task::spec::{Desired, Resources};
use crate::task::state::TaskState;
use crate::worker::{Signal, Work};

/// The tests of one service. Without a [`crate::task::spec::TestGate`] nothing of it is ever set.
#[derive(Default)]
pub struct Testing {
    /// The present run.
    run: Option<Trial>,
    /// Its run was ended because of an edit or a stop: what it says means nothing.
    aborted: bool,
    /// What the next run tests; it waits for the build and for a place.
    wanted: Option<Which>,
    /// The newest result.
    outcome: Option<TestOutcome>,
    /// The code that is the result of.
    code: Option<Artifact>,
}

/// One run of tests.
#[derive(Clone)]
struct Trial {
    run: RunId,
    which: Which,
    /// Of which code.
    code: Option<Artifact>,
}

/// Which tests.
#[derive(Clone, Debug, PartialEq)]
enum Which {
    /// Of these packages.
    Packages(BTreeSet<String>),
    /// All.
    All,
}

impl Which {
    fn and(self, other: Option<Which>) -> Which {
        match (self, other) {
            (mine, None) => mine,
            (Which::Packages(mut mine), Some(Which::Packages(more))) => {
                mine.extend(more);
                Which::Packages(mine)
            }
            (Which::All, _) | (_, Some(Which::All)) => Which::All,
        }
    }
}

/// Whether the newest binary may be run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Door<'a> {
    /// It may.
    Open,
    /// Its tests are still to end.
    Waits,
    /// They failed.
    Closed(&'a TestOutcome),
}

impl Service {
    /// Whether the newest binary of this service may be run, as far as its tests are concerned.
    pub(super) fn door(&self) -> Door<'_> {
        let testing = &self.testing;
        if self.spec.tests.is_none() || self.spec.build.is_none() {
            return Door::Open;
        }
        match &testing.outcome {
            _ if testing.run.is_some() || testing.wanted.is_some() => Door::Waits,
            Some(outcome) if outcome.error.is_some() => Door::Closed(outcome),
            Some(_) | None => Door::Open,
        }
    }

    /// Its code is not served while its tests fail.
    pub(super) fn is_barred(&self) -> bool {
        self.spec.tests.as_ref().is_some_and(|tests| tests.stop) && matches!(self.door(), Door::Closed(_))
    }
}

impl Testing {
    /// A test runs.
    pub(super) fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// All tests of this code are under way.
    fn tries(&self, artifact: &Artifact) -> bool {
        let all = |trial: &Trial| trial.which == Which::All && trial.code.as_ref() == Some(artifact);
        !self.aborted && self.run.as_ref().is_some_and(all)
    }

    /// For people.
    pub(super) fn view(&self) -> TestsView {
        let outcome = self.outcome.clone().unwrap_or_default();
        let state = match (&self.run, &self.wanted, &self.outcome) {
            (Some(_), _, _) => TestsState::Testing,
            (None, Some(_), _) => TestsState::Queued,
            (None, None, None) => TestsState::Idle,
            (None, None, Some(outcome)) if outcome.error.is_some() => TestsState::Failed,
            (None, None, Some(_)) => TestsState::Passed,
        };
        TestsView { state, passed: outcome.passed, failed: outcome.failed, error: outcome.error }
    }
}

impl Engine {
    /// A build ended well: whoever runs its binary has other code now, or has the same that was tested. Tests that failed may pass another time.
    pub(super) fn test_new_code(&mut self, key: &BuildKey, out: &mut Vec<Effect>) {
        let Some(artifact) = self.builds.get(key).and_then(|build| build.artifact.clone()) else { return };
        for name in self.those_built_by(key) {
            let Some(testing) = self.services.get(&name).map(|service| &service.testing) else { continue };
            let passed = testing.outcome.as_ref().is_none_or(|outcome| outcome.error.is_none());
            let known = passed && testing.code.as_ref() == Some(&artifact);
            if !known && !testing.tries(&artifact) {
                self.want_tests(&name, Which::All, out);
            }
        }
    }

    /// After a supervisor's death nobody knows what tests said. What every copy runs has passed; other code is asked again.
    pub(super) fn trust_what_runs(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        let Some(artifact) = build.and_then(|build| build.artifact.as_ref()) else { return };
        let runs_it = |slot: &Slot| slot.run.as_ref().is_some_and(|run| run.artifact.as_ref() == Some(artifact));
        if !service.slots.is_empty() && service.slots.values().all(runs_it) {
            service.testing.code = Some(artifact.clone());
        }
    }

    /// Tests of these packages may end otherwise now.
    pub(super) fn test_packages(&mut self, tests: BTreeMap<ServiceName, BTreeSet<String>>, out: &mut Vec<Effect>) {
        for (name, packages) in tests {
            if self.services.get(&name).is_some_and(Service::is_to_run) {
                self.want_tests(&name, Which::Packages(packages), out);
            }
        }
    }

    /// What is under way is worth nothing any more; what failed before is asked again as a whole, since `go` remembers the rest.
    fn want_tests(&mut self, name: &ServiceName, which: Which, out: &mut Vec<Effect>) {
        let Some(service) = self.services.get_mut(name) else { return };
        if service.spec.tests.is_none() || service.spec.build.is_none() {
            return;
        }
        let testing = &mut service.testing;
        let failed = testing.outcome.as_ref().is_some_and(|outcome| outcome.error.is_some());
        let which = if failed || testing.outcome.is_none() { Which::All } else { which };
        testing.wanted = Some(which.and(testing.wanted.take()));
        self.abort_tests(name, out);
    }

    /// Ends tests that run; what they were to tell is asked again.
    pub(super) fn abort_tests(&mut self, name: &ServiceName, out: &mut Vec<Effect>) {
        let Some(testing) = self.services.get_mut(name).map(|service| &mut service.testing) else { return };
        let Some(Trial { run, which, .. }) = testing.run.clone() else { return };
        testing.wanted = Some(which.and(testing.wanted.take()));
        if !std::mem::replace(&mut testing.aborted, true) {
            out.push(Effect::Signal { run, signal: Signal::Kill });
        }
    }

    /// Nobody wants to know any more.
    pub(super) fn drop_tests(&mut self, name: &ServiceName, out: &mut Vec<Effect>) {
        self.abort_tests(name, out);
        if let Some(service) = self.services.get_mut(name) {
            service.testing.wanted = None;
        }
    }

    /// Begins as many runs of tests as there are places for. They take the places of builds.
    pub(super) fn launch_tests(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.want_untested(out);
        while let Some((name, task, which)) = self.next_tests() {
            let demand = Demand { capability: Capability::Build, resources: Resources::default() };
            let Ok(node) = scheduler::place(self.scheduler.as_mut(), &demand, &self.nodes) else { return };
            self.nodes[node].n_builds += 1;
            let run = self.new_run();
            self.runs.insert(run, Owner::Tests(name.clone()));
            if let Some(service) = self.services.get_mut(&name) {
                service.testing.wanted = None;
                let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
                let code = build.and_then(|build| build.artifact.clone());
                service.testing.run = Some(Trial { run, which, code });
            }
            self.say(&name, "testing".to_owned(), now, out);
            out.push(Effect::Start { run, work: Work::Test(task) });
        }
    }

    /// Code that is there and of which nothing is known: somebody only built it, or its tests were turned on just now.
    fn want_untested(&mut self, out: &mut Vec<Effect>) {
        let is_unknown = |service: &&Service| {
            let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
            let idle = service.testing.run.is_none() && service.testing.wanted.is_none();
            let unknown = build.is_some_and(|b| b.state == TaskState::Done && b.artifact != service.testing.code);
            service.spec.tests.is_some() && idle && unknown && (service.is_to_run() || self.is_gated(service))
        };
        let names: Vec<ServiceName> =
            self.services.values().filter(is_unknown).map(|service| service.spec.name.clone()).collect();
        for name in names {
            self.want_tests(&name, Which::All, out);
        }
    }

    /// The first service whose tests are wanted and whose code is there.
    fn next_tests(&self) -> Option<(ServiceName, TestTask, Which)> {
        self.services.values().find_map(|service| {
            let which = service.testing.wanted.clone().filter(|_| service.testing.run.is_none())?;
            let build = self.builds.get(&service.spec.build.as_ref()?.key)?;
            if build.state != TaskState::Done || !(service.is_to_run() || self.is_gated(service)) {
                return None;
            }
            let packages = match &which {
                Which::All => None,
                Which::Packages(packages) => Some(packages.clone()),
            };
            let (name, gate) = (service.spec.name.clone(), service.spec.tests.clone()?);
            let build = service.spec.build.clone().map(Arc::new)?;
            Some((name.clone(), TestTask { service: name, build, gate, packages }, which))
        })
    }

    /// Tests ended.
    pub(super) fn tested(&mut self, run: RunId, outcome: TestOutcome, now: Moment, out: &mut Vec<Effect>) {
        let Some(Owner::Tests(name)) = self.runs.remove(&run) else { return };
        let Some(service) = self.services.get_mut(&name) else { return };
        let code = service.testing.run.take().and_then(|trial| trial.code);
        if std::mem::take(&mut service.testing.aborted) {
            return;
        }
        service.testing.code = code;
        let message = match &outcome.error {
            Some(error) => format!("tests failed: {error}"),
            None if outcome.passed == 1 => "its test passed".to_owned(),
            None => format!("tests passed: {}", outcome.passed),
        };
        let passed = outcome.error.is_none();
        service.testing.outcome = Some(outcome);
        for slot in service.slots.values_mut().filter(|slot| passed && slot.barred) {
            slot.renew(now);
        }
        self.say(&name, message, now, out);
        self.of_service(&name, |rerun| rerun.tested_us = Some(now.wall_us));
    }

    /// Copies of code whose tests fail are ended where that is asked for.
    pub(super) fn end_barred(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for service in self.services.values_mut().filter(|service| service.desired != Desired::Down) {
            if service.is_barred() {
                for slot in service.slots.values_mut() {
                    slot.terminate(Reason::Stopped, now, out);
                }
            }
        }
    }
}

impl Slot {
    /// It ran this very code before and is only started again.
    pub(super) fn goes_on_with(&self, artifact: Option<&Artifact>) -> bool {
        let same = self.ran.as_ref().is_some_and(|(_, code)| code.as_ref() == artifact);
        same && (self.restarts > 0 || self.owed)
    }
}

/// Why code is not run.
pub(super) fn closed_words(outcome: &TestOutcome) -> String {
    format!("its tests failed: {}", outcome.error.as_deref().unwrap_or("one of them"))
}
