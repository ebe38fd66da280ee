//! What an edit means: which builds begin anew, which copies are looked at again or replaced, and what a person is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Edit, Effect, Engine, Moment, Service, Slot};
use crate::supervisor::snapshot::Reason;
use crate::task::id::{BuildKey, ServiceName};
use crate::task::spec::{BuildSpec, Desired, Kind, ServiceSpec};
use crate::task::state::{Input, TaskState};

impl Engine {
    /// Files were edited: what they reach is built at once, whatever was being built of it is worth nothing any more, and what rests after failures
    /// gets a new chance.
    pub(super) fn edited(&mut self, edit: Edit, now: Moment, out: &mut Vec<Effect>) {
        let mut because: BTreeMap<ServiceName, BTreeSet<PathBuf>> = BTreeMap::new();
        for (key, files) in edit.builds {
            let reached = self.those_built_by(&key);
            if reached.is_empty() {
                continue;
            }
            self.build_anew(&key, out);
            for name in reached {
                self.abort_tests(&name, out);
                self.look_again(&name, now);
                because.entry(name).or_default().extend(files.iter().cloned());
            }
        }
        for (name, files) in edit.restarts {
            if self.services.get(&name).is_some_and(Service::is_to_run) {
                self.replace_all(&name, now);
                because.entry(name).or_default().extend(files);
            }
        }
        self.test_packages(edit.tests, out);
        // A build that is only made sure of is nobody's edit.
        for (name, files) in because.into_iter().filter(|(_, files)| !files.is_empty()) {
            self.say(&name, edited_words(&files), now, out);
            self.begin_rerun(&name, files, edit.seen_us);
        }
    }

    /// The configuration was edited: every service takes over what it says now. Only what differs is built, only copies that differ are replaced.
    pub(super) fn reconfigure(
        &mut self,
        specs: Vec<ServiceSpec>,
        groups: BTreeMap<BuildKey, u64>,
        because: &BTreeSet<PathBuf>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        for spec in specs {
            let name = spec.name.clone();
            if spec.build.as_ref().is_some_and(|build| self.differs(build)) {
                self.want_build(spec.build.as_ref(), &groups);
            }
            let service = self.take_spec(spec);
            let desired = match (service.spec.runs.len(), service.spec.kind) {
                (0, _) => Desired::Down,
                (_, Kind::Job) => Desired::Once,
                (_, Kind::Service | Kind::Vendor) => Desired::Up,
            };
            let begins = std::mem::replace(&mut service.desired, desired) == Desired::Down;
            for slot in service.slots.values_mut().filter(|slot| !slot.surplus) {
                slot.held &= !begins;
            }
            self.look_again(&name, now);
            // What only others notice is no edit of this one.
            if !because.is_empty() {
                self.say(&name, edited_words(because), now, out);
                self.begin_rerun(&name, because.clone(), now.wall_us);
            }
        }
        self.forget_builds();
    }

    /// Who is built and swapped at each save.
    pub(super) fn watching(&mut self, services: BTreeSet<ServiceName>, trouble: Option<String>) {
        self.watched = services;
        self.watch_trouble = trouble;
    }

    /// A save may start it: it is wanted, watched and no job.
    pub(super) fn awaits_edits(&self, service: &Service) -> bool {
        service.is_to_run() && service.spec.kind != Kind::Job && self.watched.contains(&service.spec.name)
    }

    /// Never built, or built with other settings.
    fn differs(&self, spec: &BuildSpec) -> bool {
        self.builds
            .get(&spec.key)
            .is_none_or(|build| build.state == TaskState::Idle || build.spec.output != spec.output)
    }

    /// The services that run the binary of this build, as far as they are wanted.
    pub(super) fn those_built_by(&self, key: &BuildKey) -> Vec<ServiceName> {
        let runs_it = |service: &&Service| service.spec.build.as_ref().is_some_and(|build| build.key == *key);
        let wanted = |service: &&Service| service.is_to_run() || self.is_gated(service);
        self.services.values().filter(runs_it).filter(wanted).map(|service| service.spec.name.clone()).collect()
    }

    /// Each copy is compared with what is wanted once that is built, and what rests is started again.
    fn look_again(&mut self, name: &ServiceName, now: Moment) {
        let Some(service) = self.services.get_mut(name).filter(|service| service.desired != Desired::Down) else {
            return;
        };
        let is_job = service.spec.kind == Kind::Job;
        for slot in service.slots.values_mut().filter(|slot| !slot.held && !slot.surplus) {
            match slot.state {
                TaskState::Starting | TaskState::Running | TaskState::Ready => slot.check = true,
                // What ran to its end by itself is run again where it would do something else now. A job has done its work.
                TaskState::Done => slot.check = !is_job,
                TaskState::Idle
                | TaskState::Queued
                | TaskState::Failed
                | TaskState::Crashloop
                | TaskState::Backoff
                | TaskState::Stopping => slot.revive(now),
            }
        }
    }

    /// Each copy is replaced, and what rests is started again.
    fn replace_all(&mut self, name: &ServiceName, now: Moment) {
        let Some(service) = self.services.get_mut(name) else { return };
        let is_job = service.spec.kind == Kind::Job;
        for slot in service.slots.values_mut().filter(|slot| !slot.held && !slot.surplus) {
            match slot.state {
                // One that has only just begun may have read the file before it was edited.
                TaskState::Starting | TaskState::Running | TaskState::Ready => {
                    slot.replace.get_or_insert(Reason::Rerun);
                    slot.forced = true;
                }
                TaskState::Done if is_job => {}
                TaskState::Done => slot.renew(now),
                TaskState::Idle
                | TaskState::Queued
                | TaskState::Failed
                | TaskState::Crashloop
                | TaskState::Backoff
                | TaskState::Stopping => slot.revive(now),
            }
        }
    }
}

impl Service {
    /// Wanted, and not only in part that somebody ended by name.
    pub(super) fn is_to_run(&self) -> bool {
        self.desired != Desired::Down && self.slots.values().any(|slot| !slot.held && !slot.surplus)
    }
}

impl Slot {
    /// An edit ends every rest. A copy that was to be started again anyway is so even if what is built now fails.
    fn revive(&mut self, now: Moment) {
        if self.state == TaskState::Stopping {
            // Its end may still be a failure, but the first one.
            self.failures.clear();
            self.on_trial = false;
            return;
        }
        let owed = self.owed || matches!(self.state, TaskState::Backoff | TaskState::Queued) && self.restarts > 0;
        self.restarts = if owed { self.restarts } else { 0 };
        self.renew(now);
    }

    /// It shall run, because of an edit.
    pub(super) fn renew(&mut self, now: Moment) {
        self.forgive();
        self.renewed = true;
        self.step(Input::Want, now);
    }
}

/// `api/main.go was edited`, `api/main.go, lib/x.go and 3 more files were edited`
fn edited_words(files: &BTreeSet<PathBuf>) -> String {
    let shown = |file: &PathBuf| file.display().to_string();
    let names: Vec<String> = files.iter().take(2).map(shown).collect();
    match (names.as_slice(), files.len()) {
        ([], _) => "something it is made of was edited".to_owned(),
        ([one], _) => format!("{one} was edited"),
        ([one, two, ..], 2) => format!("{one} and {two} were edited"),
        ([one, two, ..], n) => {
            let more = n - 2;
            format!("{one}, {two} and {more} more {} were edited", if more == 1 { "file" } else { "files" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_words() {
        let words = |files: &[&str]| edited_words(&files.iter().map(PathBuf::from).collect());
        assert_eq!(words(&["a.go"]), "a.go was edited");
        assert_eq!(words(&["a.go", "b.go"]), "a.go and b.go were edited");
        assert_eq!(words(&["a.go", "b.go", "c.go"]), "a.go, b.go and 1 more file were edited");
        assert_eq!(words(&["a.go", "b.go", "c.go", "d.go"]), "a.go, b.go and 2 more files were edited");
    }
}
