//! Builds: which of them share one `go build`, when one may begin, and what its end means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Build, Effect, Engine, Moment, Owner};
use crate::scheduler::{self, Capability, Demand};
use crate::supervisor::snapshot::BuildOutcome;
use crate::task::id::{Artifact, BuildKey, RunId, ServiceName};
use crate::task::spec::{BuildSpec, Resources};
use crate::task::state::{Input, TaskState};
use crate::worker::{BuildBatch, BuildFailure, Signal, Work};

impl Build {
    /// The only place where a build's state changes.
    pub(super) fn step(&mut self, input: Input) {
        if let Ok(state) = self.state.next(input) {
            self.state = state;
        }
    }

    /// Asked for, with the newest caller's environment.
    pub(super) fn want(&mut self, spec: &BuildSpec) {
        if *self.spec != *spec {
            self.spec = Arc::new(spec.clone());
        }
        self.alone = false;
        if self.state.has_run() {
            self.again = true;
        } else {
            self.step(Input::Want);
        }
    }

    /// With which others it may share the next `go build`.
    fn shared_group(&self) -> Option<u64> {
        self.group.filter(|_| !self.alone)
    }

    /// Waits or runs: what depends on it has to wait.
    pub(super) fn is_pending(&self) -> bool {
        self.state == TaskState::Queued || self.state.has_run()
    }
}

impl Engine {
    /// The sources of this build are others now: it begins anew, at once. Where it runs, its run is ended as a whole; the others of a shared run begin
    /// anew with it.
    pub(super) fn build_anew(&mut self, key: &BuildKey, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(key) else { return };
        build.alone = false;
        let Some(run) = build.run else { return build.step(Input::Want) };
        let Some(Owner::Builds(keys)) = self.runs.get(&run) else { return };
        let mut told = false;
        for key in keys {
            let Some(build) = self.builds.get_mut(key) else { continue };
            build.again = true;
            told |= std::mem::replace(&mut build.aborted, true);
        }
        if !told {
            out.push(Effect::Signal { run, signal: Signal::Kill });
        }
    }

    /// Ends builds that run for services which were up and are stopped: whoever stops them does not wait for a compiler. One that somebody else waits for,
    /// or that was asked for by itself, goes on.
    pub(super) fn abort_builds(&mut self, stopped: &[ServiceName], out: &mut Vec<Effect>) {
        let built_for = |name: &ServiceName| Some(self.services.get(name)?.spec.build.as_ref()?.key.clone());
        let keys: BTreeSet<BuildKey> = stopped.iter().filter_map(built_for).collect();
        let runs: BTreeSet<RunId> = keys.iter().filter_map(|key| self.builds.get(key)?.run).collect();
        for run in runs {
            let Some(Owner::Builds(members)) = self.runs.get(&run) else { continue };
            if !members.iter().all(|key| self.those_built_by(key).is_empty()) {
                continue;
            }
            let mut told = false;
            for key in members {
                told |= self.builds.get_mut(key).is_some_and(|build| std::mem::replace(&mut build.aborted, true));
            }
            if !told {
                out.push(Effect::Signal { run, signal: Signal::Kill });
            }
        }
    }

    /// Begins as many builds as there are places for.
    pub(super) fn launch_builds(&mut self, now: Moment, out: &mut Vec<Effect>) {
        while let Some(keys) = self.next_batch() {
            let demand = Demand { capability: Capability::Build, resources: Resources::default() };
            let Ok(node) = scheduler::place(self.scheduler.as_mut(), &demand, &self.nodes) else { return };
            self.nodes[node].n_builds += 1;
            let run = self.new_run();
            let mut members = Vec::new();
            for key in &keys {
                if let Some(build) = self.builds.get_mut(key) {
                    build.step(Input::Launch);
                    build.run = Some(run);
                    members.push(build.spec.clone());
                }
            }
            self.say_builds(&members, now, out);
            self.building(&keys, now);
            self.runs.insert(run, Owner::Builds(keys));
            out.push(Effect::Start { run, work: Work::Build(BuildBatch { members }) });
        }
    }

    fn say_builds(&mut self, members: &[Arc<BuildSpec>], now: Moment, out: &mut Vec<Effect>) {
        for member in members {
            let message = match members.len() {
                1 => "building".to_owned(),
                n => format!("building, together with {} others", n - 1),
            };
            self.say(&member.service.clone(), message, now, out);
        }
    }

    /// The first build that waits and whose output nobody is writing, with all that may share its `go build`.
    fn next_batch(&self) -> Option<Vec<BuildKey>> {
        let waits = |build: &Build| build.state == TaskState::Queued && !self.is_being_written(build);
        let (first, build) = self.builds.iter().find(|(_, build)| waits(build))?;
        let Some(group) = build.shared_group() else { return Some(vec![first.clone()]) };
        let mut outputs: BTreeMap<&std::path::Path, &BuildKey> = BTreeMap::new();
        for (key, build) in self.builds.iter().filter(|(_, build)| build.shared_group() == Some(group) && waits(build))
        {
            outputs.entry(&build.spec.output).or_insert(key);
        }
        Some(outputs.into_values().cloned().collect())
    }

    fn is_being_written(&self, build: &Build) -> bool {
        self.builds.values().any(|other| other.state.has_run() && other.spec.output == build.spec.output)
    }

    /// A build ended, well or badly, member by member.
    pub(super) fn built(
        &mut self,
        run: RunId,
        results: Vec<(BuildKey, Result<Artifact, BuildFailure>)>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(Owner::Builds(keys)) = self.runs.remove(&run) else { return };
        let mut results: BTreeMap<BuildKey, _> = results.into_iter().collect();
        let shared = keys.len() > 1;
        for key in keys {
            let result = results.remove(&key).unwrap_or_else(|| {
                Err(BuildFailure { error: "the build ended without a result".to_owned(), problems: Vec::new() })
            });
            self.built_one(&key, result, shared, now, out);
        }
        self.forget_builds();
    }

    fn built_one(
        &mut self,
        key: &BuildKey,
        result: Result<Artifact, BuildFailure>,
        shared: bool,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let still_wanted = !self.those_built_by(key).is_empty();
        let Some(build) = self.builds.get_mut(key) else { return };
        build.run = None;
        let aborted = std::mem::take(&mut build.aborted);
        // A stop may have taken the wish back, and somebody may have had it anew since.
        let again = std::mem::take(&mut build.again) || aborted && still_wanted;
        let (message, outcome) = match result {
            Ok(artifact) => {
                let same = build.artifact.as_ref() == Some(&artifact);
                build.artifact = Some(artifact);
                build.failure = None;
                build.step(if again { Input::EndedAgain } else { Input::EndedDone });
                match same {
                    true => ("built: the same code as before".to_owned(), BuildOutcome::Same),
                    false => ("built".to_owned(), BuildOutcome::Changed),
                }
            }
            // It failed because it was told to end, and whoever wanted it may have gone meanwhile. What an earlier one failed of still stands.
            Err(_) if aborted => {
                return build.step(if again { Input::EndedAgain } else { Input::EndedUnwanted });
            }
            // One member's mistake can fail the others of a shared `go build`: each is tried alone, so that each gets its own words.
            Err(_) if shared => {
                build.alone = true;
                return build.step(Input::EndedAgain);
            }
            Err(failure) => {
                let message = format!("build failed: {}", failure.error);
                build.failure = Some(failure);
                build.step(if again { Input::EndedAgain } else { Input::EndedFailed });
                (message, BuildOutcome::Failed)
            }
        };
        let ended = !build.is_pending();
        let service = build.spec.service.clone();
        self.say(&service, message, now, out);
        if ended {
            self.build_ended(key, outcome, now);
            if outcome != BuildOutcome::Failed {
                self.test_new_code(key, out);
            }
        }
    }

    /// A build that cannot be started now is tried again by its worker; a person is told why it takes so long, once.
    pub(super) fn build_waits(&mut self, run: RunId, words: &str, now: Moment, out: &mut Vec<Effect>) {
        let Some(Owner::Builds(keys)) = self.runs.get(&run) else { return };
        let services: Vec<_> = keys.iter().filter_map(|key| Some(self.builds.get(key)?.spec.service.clone())).collect();
        let message = format!("the build waits, and is tried again: {words}");
        for service in services {
            let newest = self.services.get(&service).and_then(|service| service.happenings.back());
            if newest.is_none_or(|newest| newest.message != message) {
                self.say(&service, message.clone(), now, out);
            }
        }
    }

    /// Something about a build that a person should read at once; said of the one whose log has its words.
    pub(super) fn build_notes(&mut self, run: RunId, message: String, now: Moment, out: &mut Vec<Effect>) {
        let Some(Owner::Builds(keys)) = self.runs.get(&run) else { return };
        let first = keys.first().and_then(|key| self.builds.get(key)).map(|build| build.spec.service.clone());
        if let Some(service) = first {
            self.note(&service, message, now, out);
        }
    }

    /// A build that never ran, or whose run was lost.
    pub(super) fn build_lost(&mut self, run: RunId, error: &str, now: Moment, out: &mut Vec<Effect>) {
        let Some(Owner::Builds(keys)) = self.runs.get(&run) else { return };
        let failure =
            |key: &BuildKey| (key.clone(), Err(BuildFailure { error: error.to_owned(), problems: Vec::new() }));
        let results = keys.iter().map(failure).collect();
        self.built(run, results, now, out);
    }
}
