//! One function for each thing that can be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::resolve::From;
use super::wanted::{desired_word, offset_of, remember_caller, remember_flags, remember_rerun, without_vendors};
use super::{Plan, Planner, contained, debugging};
use crate::config::problem::Problem;
use crate::config::suggest::nearest;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::project::select::{self, Selection, with_needs};
use crate::services::build;
use crate::store::intent::{DOWN, Intent};
use crate::strays::Hunt;
use crate::supervisor::engine::Event;
use crate::supervisor::{Request, StartFlags};
use crate::task::id::{BuildKey, InstanceId, ServiceName};
use crate::task::spec::ServiceSpec;

/// Its containers may be made anew of another image.
fn agree(spec: &mut ServiceSpec) {
    for run in &mut spec.runs {
        if let Some(container) = &mut Arc::make_mut(run).container {
            Arc::make_mut(container).replace = true;
        }
    }
}

impl Planner {
    pub(super) fn start(&mut self, request: &Request, flags: &StartFlags) -> Result<Plan> {
        let project = self.load_for(request)?;
        let profiles = project.profiles(&flags.profiles, &request.env);
        let selection = select::select_with(&project, &request.select, &profiles)?;
        let (chosen, is_named) = (selection.names, names_somebody(request));
        let reached = if flags.no_deps { chosen.clone() } else { with_needs(&project, &chosen) };
        let mut notes: Vec<String> = project.warnings.iter().map(Problem::in_one_line).collect();
        notes.extend(unknown_profiles(&project, &flags.profiles));
        notes.extend(contained::check(&project, &chosen, (flags.run_in, is_named))?);
        let reached = match flags.no_vendors {
            true => without_vendors(&project, reached, "", &mut notes),
            false => reached,
        };
        let mut wanted = self.intents.clone();
        let flags = StartFlags { port_offset: flags.port_offset.or_else(|| offset_of(&request.env)), ..flags.clone() };
        for name in &reached {
            let intent = wanted.entry(name.clone()).or_default();
            remember_caller(intent, request);
            intent.desired = desired_word(&project, name).to_owned();
            intent.whole |= request.select.is_empty();
            if chosen.contains(name) {
                remember_flags(intent, &flags, &project, (name, is_named));
            }
            intent.no_vendors = flags.no_vendors;
            intent.debug |= flags.debug.contains(name);
            intent.cover = flags.cover.get(name).cloned();
        }
        remember_rerun(&mut wanted, &project, (&chosen, &reached), flags.rerun);
        debugging::check(&project, &flags.debug, &reached)?;
        let mut specs = self.resolve(&project, &reached, &wanted, None)?;
        specs.iter_mut().filter(|spec| flags.replace.contains(&spec.name)).for_each(agree);
        notes.extend(debugging::prepare(&specs)?);
        notes.extend(contained::notes(&specs));
        let hunted = contained::processes(&specs);
        let explicit = if request.select.is_empty() { BTreeSet::new() } else { chosen };
        self.save(wanted)?;
        self.follow(&project, &specs, request.select.is_empty());
        let services: Vec<ServiceName> = specs.iter().map(|spec| spec.name.clone()).collect();
        let groups = groups(&specs);
        let events = vec![self.known(&project, &reached), Event::Start { specs, groups, explicit }];
        let hunt = self.hunt(&project, request, hunted);
        Ok(Plan { events, services, notes, hunt })
    }

    /// The strays of what a command starts as processes.
    fn hunt(&self, project: &Arc<Project>, request: &Request, services: Vec<ServiceName>) -> Option<Hunt> {
        (!services.is_empty()).then(|| self.hunts.asked(project, services, request.pid, &request.strays))
    }

    pub(super) fn restart(&mut self, request: &Request, replace: &BTreeSet<ServiceName>) -> Result<Plan> {
        let project = self.load_for(request)?;
        let selection = select::select(&project, &request.select)?;
        let mut names = selection.names.clone();
        let is_up = |name: &ServiceName| self.intents.get(name).is_some_and(|intent| intent.desired != DOWN);
        if request.select.is_empty() && names.iter().any(is_up) {
            names.retain(is_up);
        }
        if !names_somebody(request) {
            // New code is a reason to restart services, not the databases they use.
            names.retain(|name| !project.vendors.contains_key(name));
        }
        let mut notes = Vec::new();
        let mut wanted = self.intents.clone();
        for name in &names {
            let intent = wanted.entry(name.clone()).or_default();
            remember_caller(intent, request);
            intent.desired = desired_word(&project, name).to_owned();
        }
        let mut specs = self.resolve(&project, &names, &wanted, None)?;
        specs.iter_mut().filter(|spec| replace.contains(&spec.name)).for_each(agree);
        notes.extend(debugging::prepare(&specs)?);
        self.save(wanted)?;
        self.follow(&project, &specs, false);
        let services: Vec<ServiceName> = specs.iter().map(|spec| spec.name.clone()).collect();
        let groups = groups(&specs);
        let hunted = contained::processes(&specs);
        let events = vec![self.known(&project, &names), Event::Restart { specs, groups, only: copies(&selection) }];
        let hunt = self.hunt(&project, request, hunted);
        Ok(Plan { events, services, notes, hunt })
    }

    pub(super) fn build(&mut self, request: &Request) -> Result<Plan> {
        let project = self.load_for(request)?;
        let selection = select::select(&project, &request.select)?;
        let mut notes = Vec::new();
        let names = without_vendors(&project, selection.names, ": it runs an image and is not built", &mut notes);
        if !names_somebody(request) {
            notes.clear();
        }
        let engine_arch = request.engine_arch.as_deref();
        let from = From { env: &request.env, caller: &request.caller, command: "build", engine_arch };
        let specs = self.resolve(&project, &names, &self.intents.clone(), Some(&from))?;
        self.follow(&project, &specs, false);
        let services = specs.iter().filter(|spec| spec.build.is_some()).map(|spec| spec.name.clone()).collect();
        let groups = groups(&specs);
        let events = vec![self.known(&project, &names), Event::Build { specs, groups }];
        Ok(Plan { events, services, notes, hunt: None })
    }

    pub(super) fn scale(&mut self, request: &Request, numbers: &BTreeMap<ServiceName, Option<u32>>) -> Result<Plan> {
        let project = self.load_for(request)?;
        let mut wanted = self.intents.clone();
        let names: BTreeSet<ServiceName> = numbers.keys().cloned().collect();
        let mut woken = BTreeSet::new();
        for (name, number) in numbers {
            let Some(service) = project.services.get(name) else {
                select::select(&project, &[name.to_string()])?;
                return Err(Error::usage(format!("`{name}` is a vendor, and a vendor has one copy"))
                    .hint("give each further copy a section and ports of its own in `vendors:`"));
            };
            let copies = number.unwrap_or(service.config.scale);
            if copies > 0 {
                woken.extend(wake(&project, request, &mut wanted, name));
            }
            let intent = wanted.entry(name.clone()).or_default();
            intent.scale = *number;
            intent.scale_in_file = number.map(|_| service.config.scale);
            if copies == 0 {
                intent.desired = DOWN.to_owned();
            }
        }
        let mut notes = Vec::new();
        for name in with_needs(&project, &woken).iter().filter(|name| !names.contains(*name)) {
            woken.extend(wake(&project, request, &mut wanted, name));
        }
        let awake = names.difference(&woken).cloned().collect();
        let scaled = self.resolve(&project, &awake, &wanted, None)?;
        let started = self.resolve(&project, &woken, &wanted, None)?;
        notes.extend(debugging::prepare(&started)?);
        self.save(wanted)?;
        self.follow(&project, &scaled, false);
        self.follow(&project, &started, false);
        let services = scaled.iter().chain(&started).map(|spec| spec.name.clone()).collect();
        let hunt = self.hunt(&project, request, contained::processes(&started));
        let groups = groups(&started);
        let known = self.known(&project, &names);
        let start = Event::Start { specs: started, groups, explicit: BTreeSet::new() };
        Ok(Plan { events: vec![known, Event::Scale { specs: scaled }, start], services, notes, hunt })
    }

    pub(super) fn stop(&mut self, request: &Request, grace: Option<Duration>) -> Result<Plan> {
        let selection = self.select_known(&request.select)?;
        let only = copies(&selection);
        let services = selection.names.clone();
        let mut wanted = self.intents.clone();
        for name in services.iter().filter(|name| !only.iter().any(|id| id.service == **name)) {
            if let Some(intent) = wanted.get_mut(name) {
                *intent = intent.stopped();
            }
            self.specs.remove(name);
        }
        // Who is stopped by name stays so, whatever becomes of its files; a stop of everything ends this, too.
        for (name, intent) in &mut wanted {
            intent.held = !selection.everything && (intent.held || services.contains(name) && !intent.is_wanted());
        }
        let mut notes = if request.select.is_empty() { Vec::new() } else { self.left_behind(&services, &wanted) };
        // A disk that cannot be written to must not keep anything running.
        if let Err(error) = self.save(wanted.clone()) {
            self.intents = wanted;
            let why = error.causes.first().map_or(String::new(), |cause| format!(": {cause}"));
            notes.push(format!("{error}{why}; a later supervisor may take for wanted what is stopped now"));
        }
        let names = services.iter().cloned().collect();
        Ok(Plan { events: vec![Event::Stop { services, only, grace }], services: names, notes, hunt: None })
    }

    /// Those that go on although something they need is stopped.
    fn left_behind(&self, stopped: &BTreeSet<ServiceName>, wanted: &BTreeMap<ServiceName, Intent>) -> Vec<String> {
        let Some(project) = &self.project else { return Vec::new() };
        let up = |name: &ServiceName| wanted.get(name).is_some_and(|intent| intent.desired != DOWN);
        let mut notes = Vec::new();
        for name in project.names().filter(|name| up(name)) {
            for need in project.needs(name).iter().filter(|need| stopped.contains(&need.service)) {
                notes.push(format!("`{name}` depends on `{}` and keeps running", need.service));
            }
        }
        notes
    }

    pub(super) fn kill(&mut self, request: &Request, signal: i32) -> Result<Plan> {
        let selection = self.select_known(&request.select)?;
        let named = copies(&selection);
        let mut instances: BTreeSet<InstanceId> = named.clone();
        for name in selection.names.iter().filter(|name| !named.iter().any(|id| id.service == **name)) {
            // More copies than can be: those that are not there are passed over.
            instances.extend(
                (1..=crate::services::spec::MAX_SCALE).map(|number| InstanceId { service: name.clone(), number }),
            );
        }
        let services = selection.names.into_iter().collect();
        Ok(Plan { events: vec![Event::Kill { instances, signal }], services, notes: Vec::new(), hunt: None })
    }

    /// Selects for commands that must work while the configuration is broken: the last good one serves.
    fn select_known(&mut self, selectors: &[String]) -> Result<Selection> {
        let config = self.project.as_ref().map(|project| project.config.clone());
        let fresh = self.load(config.as_deref(), true);
        match (fresh, self.project.clone()) {
            (_, Some(project)) => {
                let mut selection = match select::select(&project, selectors) {
                    Ok(selection) => selection,
                    // What was started goes by its name, also when its files have gone.
                    Err(error) => self.select_wanted(selectors).ok_or(error)?,
                };
                if selectors.is_empty() {
                    selection.names.extend(self.intents.keys().chain(project.names()).cloned());
                }
                Ok(selection)
            }
            (Err(_), None) if selectors.is_empty() => Ok(of(self.intents.keys().cloned())),
            (Err(error), None) => self.select_wanted(selectors).ok_or(error),
            (Ok(_), None) => Ok(Selection::default()),
        }
    }

    /// By names alone, where each is one of what was started at some time.
    fn select_wanted(&self, selectors: &[String]) -> Option<Selection> {
        let names: Option<Vec<ServiceName>> = selectors.iter().map(|text| ServiceName::fold(text)).collect();
        names.filter(|names| names.iter().all(|name| self.intents.contains_key(name))).map(of)
    }
}

/// Somebody is named, and not only all but some.
fn names_somebody(request: &Request) -> bool {
    request.select.iter().any(|selector| !selector.starts_with('~'))
}

/// Profiles that no vendor has: most likely a slip of the pen.
fn unknown_profiles(project: &Project, asked: &[String]) -> Vec<String> {
    let known: BTreeSet<&String> = project.vendors.values().flat_map(|vendor| &vendor.config.profiles).collect();
    let unknown = asked.iter().filter(|profile| *profile != "*" && !known.contains(profile));
    let hint = |profile: &String| match nearest(profile, known.iter().map(|known| known.as_str())) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    unknown.map(|profile| format!("no vendor has the profile `{profile}`{}", hint(profile))).collect()
}

/// Wants a service that is not wanted yet, for this caller; its name where it was asleep.
fn wake(
    project: &Project,
    request: &Request,
    wanted: &mut BTreeMap<ServiceName, Intent>,
    name: &ServiceName,
) -> Option<ServiceName> {
    let intent = wanted.entry(name.clone()).or_default();
    if !intent.desired.is_empty() && intent.desired != DOWN {
        return None;
    }
    remember_caller(intent, request);
    intent.desired = desired_word(project, name).to_owned();
    Some(name.clone())
}

/// The copies that were named one by one.
fn copies(selection: &Selection) -> BTreeSet<InstanceId> {
    let of = |(service, numbers): (&ServiceName, &BTreeSet<u32>)| {
        let service = service.clone();
        numbers.iter().map(move |number| InstanceId { service: service.clone(), number: *number }).collect::<Vec<_>>()
    };
    selection.instances.iter().flat_map(of).collect()
}

fn of(names: impl IntoIterator<Item = ServiceName>) -> Selection {
    Selection { names: names.into_iter().collect(), ..Selection::default() }
}

/// Builds that may share one `go build` get the same number.
pub(super) fn groups(specs: &[ServiceSpec]) -> BTreeMap<BuildKey, u64> {
    let builds = specs.iter().filter_map(|spec| spec.build.clone()).map(Arc::new).collect();
    let mut out = BTreeMap::new();
    for (number, batch) in build::batches(builds).into_iter().enumerate() {
        if batch.members.len() > 1 {
            out.extend(batch.members.iter().map(|member| (member.key.clone(), number as u64)));
        }
    }
    out
}
