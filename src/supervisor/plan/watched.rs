//! What is to be watched: of each service with rerun on what it is built from, and the files that configure all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::Planner;
use crate::project::{Project, check};
use crate::rerun::list::Wanted;
use crate::rerun::watch::{Watched, WatchedService};
use crate::task::id::{BuildKey, ServiceName};
use crate::task::spec::ServiceSpec;

impl Planner {
    /// The services that are built and swapped at each save: those whose files are gone just now, too.
    pub(in crate::supervisor) fn reruns(&self) -> BTreeSet<ServiceName> {
        let on = self.intents.iter().filter(|(_, intent)| intent.rerun && intent.is_wanted());
        on.map(|(name, _)| name.clone()).collect()
    }

    /// What shall be watched from now on, where that is something else than before. Files written after `since` count as edited.
    pub(in crate::supervisor) fn watched(&mut self, since: SystemTime) -> Option<Watched> {
        let before = (self.watched.number, self.watched.since);
        let next = Watched { number: before.0, since: before.1, ..self.to_watch() };
        if next == self.watched {
            return None;
        }
        self.watched = Watched { number: before.0 + 1, since: Some(since), ..next };
        Some(self.watched.clone())
    }

    /// The number of the newest that was said to be watched.
    pub(in crate::supervisor) fn watch_number(&self) -> u64 {
        self.watched.number
    }

    /// What is built for them.
    pub(in crate::supervisor) fn rerun_builds(&self) -> BTreeSet<BuildKey> {
        self.specs.values().filter_map(|spec| spec.build.as_ref()).map(|build| build.key.clone()).collect()
    }

    fn to_watch(&self) -> Watched {
        let (reruns, Some(project)) = (self.reruns(), &self.project) else { return Watched::default() };
        if reruns.is_empty() {
            return Watched::default();
        }
        let services = reruns.iter().filter_map(|name| self.watched_service(project, name)).collect();
        let config = project.watch.iter().cloned().collect();
        Watched { services, config, discover: project.discover.clone(), ..Watched::default() }
    }

    fn watched_service(&self, project: &Project, name: &ServiceName) -> Option<WatchedService> {
        let config = &project.services.get(name)?.config;
        let dir = check::plain(&config.folder);
        let spec = self.specs.get(name);
        let tests_below = spec.and_then(|spec| spec.tests.as_ref()).map(|tests| tests.dir.clone());
        let build = spec.and_then(|spec| spec.build.clone());
        let wanted = build.map(|build| Wanted { service: name.clone(), build, tests_below });
        let (include, exclude) = (config.watch.include.clone(), config.watch.exclude.clone());
        Some(WatchedService { name: name.clone(), dir, wanted, include, exclude })
    }

    /// Remembers what the engine is told of services with rerun on; from the first of them on, and after a start of `everything`, the fleet is in line
    /// with this project.
    pub(super) fn follow(&mut self, project: &Arc<Project>, specs: &[ServiceSpec], everything: bool) {
        let reruns = self.reruns();
        self.specs.retain(|name, _| reruns.contains(name));
        self.specs.extend(specs.iter().filter(|spec| reruns.contains(&spec.name)).map(|s| (s.name.clone(), s.clone())));
        if reruns.is_empty() {
            (self.followed, self.broken) = (None, None);
        } else if everything || self.followed.is_none() {
            self.followed = Some(project.clone());
        }
    }
}
