//! Edits of the configuration while services run with rerun on: what is good is taken over at once, what is not leaves the last good one in force.
//!
//! Only services with rerun on are restarted, stopped and started for an edit; the others keep what they were started with until somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::Planner;
use super::requests::groups;
use super::wanted::desired_word;
use crate::error::{Error, Result};
use crate::project::select::{enabled, with_needs};
use crate::project::{Project, discover};
use crate::store::intent::Intent;
use crate::supervisor::engine::Event;
use crate::task::id::ServiceName;
use crate::task::spec::ServiceSpec;

type Names = BTreeSet<ServiceName>;

/// How the fleet differs from what its files now say.
#[derive(Default)]
struct Difference {
    /// What is wanted by now.
    wanted: BTreeMap<ServiceName, Intent>,
    /// Services whose files are gone: they are wanted still, and start when they are back.
    gone: Names,
    /// `enabled: false` by now.
    dismissed: Names,
    /// To be started, and why.
    woken: BTreeMap<ServiceName, String>,
}

impl Planner {
    /// Takes over an edited configuration. An empty `because` only looks whether there is something to take over.
    pub(in crate::supervisor) fn reload(&mut self, because: &BTreeSet<PathBuf>) -> Vec<Event> {
        if self.reruns().is_empty() {
            return Vec::new();
        }
        match self.try_reload(because) {
            Ok(events) => {
                self.broken = None;
                events
            }
            Err(error) => {
                self.broken = Some(Arc::new(lines(error)));
                Vec::new()
            }
        }
    }

    /// Why the newest configuration is not taken over, line by line; `None` where it is.
    pub(in crate::supervisor) fn config_trouble(&self) -> Option<&Arc<Vec<String>>> {
        self.broken.as_ref()
    }

    /// Whether the files know a service no more.
    pub(in crate::supervisor) fn is_gone(&self, name: &ServiceName) -> bool {
        self.project.as_ref().is_some_and(|project| !project.contains(name))
    }

    fn try_reload(&mut self, because: &BTreeSet<PathBuf>) -> Result<Vec<Event>> {
        let config = self.intents.values().find(|intent| intent.is_wanted()).and_then(|intent| intent.config.clone());
        let config = self.project.as_ref().map(|project| project.config.clone()).or(config);
        let trust = self.intents.values().any(|intent| intent.trust);
        let project = self.read(config.as_deref(), trust)?;
        let before = self.followed.clone().unwrap_or_else(|| project.clone());
        let Difference { wanted, gone, dismissed, woken } = self.difference(&before, &project);
        let is_followed = |(_, intent): &(&ServiceName, &Intent)| intent.rerun && intent.is_wanted();
        let followed = wanted.iter().filter(is_followed).map(|(name, _)| name.clone());
        let names: Names = followed.filter(|name| project.contains(name)).collect();
        let specs = self.resolve(&project, &names, &wanted, None)?;
        let is_new = |name: &ServiceName| woken.contains_key(name) || !self.specs.contains_key(name);
        let (new, old): (Vec<_>, Vec<_>) = specs.iter().cloned().partition(|spec| is_new(&spec.name));
        let changed = old.into_iter().filter(|spec| self.specs.get(&spec.name) != Some(spec));
        let is_other = |spec: &ServiceSpec| self.specs.get(&spec.name).is_none_or(|before| differs(before, spec));
        let (changed, noticed): (Vec<_>, Vec<_>) = changed.partition(is_other);

        self.adopt(&project);
        self.save(wanted)?;
        self.specs.retain(|name, _| names.contains(name));
        self.followed = Some(project.clone());
        self.follow(&project, &specs, true);
        let stopped: Names = gone.iter().filter(|name| self.told.contains(*name)).chain(&dismissed).cloned().collect();
        let mut events = vec![self.known_anew(&project, &before)];
        let why = |name: &ServiceName| match gone.contains(name) {
            true => "stopped: its files are gone; it starts again when they are back".to_owned(),
            false => "stopped: it is `enabled: false` now".to_owned(),
        };
        // Once: whoever is gone stays so through any number of edits.
        let news = stopped.iter().filter(|name| dismissed.contains(*name) || before.contains(name));
        let mut said: Vec<(ServiceName, String)> = news.map(|name| (name.clone(), why(name))).collect();
        said.extend(new.iter().map(|spec| {
            let back = || "started: its files are back".to_owned();
            (spec.name.clone(), woken.get(&spec.name).cloned().unwrap_or_else(back))
        }));
        if !stopped.is_empty() {
            events.push(Event::Stop { services: stopped, only: BTreeSet::new(), grace: None });
        }
        for (specs, because) in [(changed, because.clone()), (noticed, BTreeSet::new())] {
            if !specs.is_empty() {
                events.push(Event::Reconfigured { groups: groups(&specs), specs, because });
            }
        }
        if !new.is_empty() {
            events.push(Event::Start { groups: groups(&new), specs: new, explicit: BTreeSet::new() });
        }
        if !said.is_empty() {
            events.push(Event::Told { said });
        }
        Ok(events)
    }

    /// Pure but for what is kept: who comes, who goes, and what was said on the command line and is overtaken by a file.
    fn difference(&self, before: &Project, now: &Project) -> Difference {
        let mut out = Difference { wanted: self.intents.clone(), ..Difference::default() };
        let reruns = self.reruns();
        for (name, intent) in &mut out.wanted {
            let in_file = now.scale(name);
            if intent.scale.is_some() && in_file.is_some() && intent.scale_in_file != in_file {
                (intent.scale, intent.scale_in_file) = (None, None);
            }
            if intent.is_wanted() && in_file.is_some() {
                intent.desired = desired_word(now, name).to_owned();
            }
        }
        out.gone = reruns.iter().filter(|name| !now.contains(name)).cloned().collect();
        let whole = reruns.iter().filter_map(|name| self.intents.get(name)).find(|intent| intent.whole).cloned();
        let (was_enabled, is_enabled) = (enabled(before, &[]), enabled(now, &[]));
        if let Some(donor) = &whole {
            for name in is_enabled.difference(&was_enabled) {
                let is_held = self.intents.get(name).is_some_and(|intent| intent.held || intent.is_wanted());
                if !is_held {
                    let path = now.place(name).map(|place| place.source.path.clone());
                    let what = path.unwrap_or_else(|| PathBuf::from(discover::FILE));
                    out.wake(now, name, donor, format!("started: {} says so", what.display()));
                }
            }
        }
        for name in was_enabled.difference(&is_enabled).filter(|name| now.contains(name)) {
            if out.wanted.get(name).is_some_and(|intent| intent.whole && intent.rerun && intent.is_wanted()) {
                out.dismissed.insert(name.clone());
            }
        }
        let up = |name: &ServiceName| reruns.contains(name) && !out.dismissed.contains(name);
        let needing: Vec<(ServiceName, Intent)> =
            self.intents.iter().filter(|(name, intent)| up(name) && !intent.no_deps).map(clone).collect();
        let needed = with_needs(now, &needing.iter().map(|(name, _)| name.clone()).collect());
        out.dismissed.retain(|name| !needed.contains(name));
        for name in out.dismissed.clone() {
            out.wanted.entry(name).and_modify(|intent| *intent = intent.stopped());
        }
        for (who, donor) in &needing {
            let of = |project: &Project| with_needs(project, &Names::from([who.clone()]));
            for name in of(now).difference(&of(before)).filter(|name| *name != who) {
                if !out.wanted.get(name).is_some_and(Intent::is_wanted) {
                    out.wake(now, name, donor, format!("started: `{who}` depends on it now"));
                }
            }
        }
        out
    }

    /// The services that nobody wants, as they are now; said anew only where anything was edited.
    fn known_anew(&mut self, project: &Arc<Project>, before: &Arc<Project>) -> Event {
        let asleep = |name: &ServiceName| !self.intents.get(name).is_some_and(Intent::is_wanted);
        if project.good != before.good {
            self.told.retain(|name| !asleep(name));
        }
        let awake = project.names().filter(|name| !asleep(name)).cloned().collect();
        self.known(project, &awake)
    }
}

impl Difference {
    /// Wants a service by the flags and the environment of another one.
    fn wake(&mut self, project: &Project, name: &ServiceName, donor: &Intent, why: String) {
        if !project.contains(name) {
            return;
        }
        let (scale, scale_in_file) = self.wanted.get(name).map_or((None, None), |old| (old.scale, old.scale_in_file));
        let desired = desired_word(project, name).to_owned();
        let intent = Intent { service: None, desired, scale, scale_in_file, held: false, ..donor.clone() };
        self.wanted.insert(name.clone(), intent);
        self.woken.insert(name.clone(), why);
    }
}

fn clone((name, intent): (&ServiceName, &Intent)) -> (ServiceName, Intent) {
    (name.clone(), intent.clone())
}

/// Whether anything of a service is another, and not only what it could find out about others.
fn differs(before: &ServiceSpec, now: &ServiceSpec) -> bool {
    let build = |spec: &ServiceSpec| spec.build.as_ref().map(|build| (build.key.clone(), build.output.clone()));
    let rest = |spec: &ServiceSpec| (spec.kind, spec.needs.clone(), spec.restart.clone(), spec.tests.clone());
    let runs = |spec: &ServiceSpec| {
        spec.runs.iter().map(|run| (run.settings.clone(), run.resources, run.log_keep)).collect::<Vec<_>>()
    };
    build(before) != build(now) || rest(before) != rest(now) || runs(before) != runs(now)
}

/// For people: a sentence, then each problem as it would be printed.
fn lines(error: Error) -> Vec<String> {
    let mut out = vec![format!("{}; the last good configuration stays in force", error.message)];
    out.extend(error.details);
    out.extend(error.causes.into_iter().map(|cause| format!("caused by: {cause}")));
    out.extend(error.hints.into_iter().map(|hint| format!("hint: {hint}")));
    out
}
