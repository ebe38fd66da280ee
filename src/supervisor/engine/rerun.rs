//! What became of the newest edit of each service, phase by phase, for `why`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Engine, Moment};
use crate::supervisor::snapshot::{BuildOutcome, Rerun};
use crate::task::id::{BuildKey, ServiceName};

/// So many files are named.
const FILES: usize = 20;

impl Engine {
    /// A newer edit follows on one whose build has not ended: both are the reason for what comes.
    pub(super) fn begin_rerun(&mut self, name: &ServiceName, files: BTreeSet<PathBuf>, seen_us: i64) {
        let Some(service) = self.services.get_mut(name) else { return };
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        let earlier = service.rerun.take().filter(|rerun| rerun.is_open() && build.is_some_and(|b| b.is_pending()));
        let aborts = build.is_some_and(|build| build.aborted);
        let mut rerun = match earlier {
            Some(earlier) => {
                let aborted = earlier.aborted + u32::from(aborts && earlier.build_us.is_some());
                Rerun { files: earlier.files, more: earlier.more, aborted, ..Rerun::default() }
            }
            None => Rerun { aborted: u32::from(aborts), ..Rerun::default() },
        };
        for file in files {
            if rerun.files.len() < FILES {
                rerun.files.insert(file);
            } else if !rerun.files.contains(&file) {
                rerun.more += 1;
            }
        }
        rerun.seen_us = seen_us;
        service.rerun = Some(rerun);
    }

    /// These builds begin.
    pub(super) fn building(&mut self, keys: &[BuildKey], now: Moment) {
        for key in keys {
            self.of_build(key, |rerun| rerun.build_us = rerun.build_us.or(Some(now.wall_us)));
        }
    }

    /// This build ended, and none follows at once.
    pub(super) fn build_ended(&mut self, key: &BuildKey, outcome: BuildOutcome, now: Moment) {
        self.of_build(key, |rerun| {
            rerun.built_us = Some(now.wall_us);
            rerun.outcome = Some(outcome);
        });
    }

    /// Notes something about the newest edit of a service, where there was one.
    pub(super) fn of_service(&mut self, name: &ServiceName, change: impl FnOnce(&mut Rerun)) {
        if let Some(rerun) = self.services.get_mut(name).and_then(|service| service.rerun.as_mut()) {
            change(rerun);
        }
    }

    fn of_build(&mut self, key: &BuildKey, mut change: impl FnMut(&mut Rerun)) {
        let built = self
            .services
            .values_mut()
            .filter(|service| service.spec.build.as_ref().is_some_and(|build| build.key == *key));
        built.filter_map(|service| service.rerun.as_mut()).filter(|rerun| rerun.is_open()).for_each(&mut change);
    }
}

impl Rerun {
    /// Its build has not ended.
    fn is_open(&self) -> bool {
        self.built_us.is_none()
    }

    /// An old copy was told to end.
    pub(super) fn tells(&mut self, now: Moment) {
        self.told_us = self.told_us.or(Some(now.wall_us));
    }

    /// An old copy is gone.
    pub(super) fn loses(&mut self, now: Moment) {
        if self.told_us.is_some() {
            self.gone_us = self.gone_us.or(Some(now.wall_us));
        }
    }

    /// A copy was started with what is new.
    pub(super) fn starts(&mut self, now: Moment) {
        self.started_us = self.started_us.or(Some(now.wall_us));
    }

    /// A copy of those is ready.
    pub(super) fn readies(&mut self, now: Moment) {
        self.ready_us = Some(now.wall_us);
    }
}
