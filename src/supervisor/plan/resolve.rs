//! From the project and what is wanted of it to complete specs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use super::Planner;
use crate::config::problem::{self, Problem};
use crate::error::{Error, Result};
use crate::project::load::LoadOptions;
use crate::project::ports::PortBook;
use crate::project::resolve::{CallerEnv, Overrides, ResolveInput};
use crate::project::{Project, export, load};
use crate::services::spec::RunIn;
use crate::store::intent::{self, DOWN, Intent};
use crate::supervisor::engine::Event;
use crate::task::id::{InstanceId, ServiceName};
use crate::task::spec::{Caller, ServiceSpec};

/// Whom the environment and the limits come from.
pub(super) struct From<'a> {
    pub(super) env: &'a [(OsString, OsString)],
    pub(super) caller: &'a Caller,
    /// The command whose section of the project's file holds.
    pub(super) command: &'a str,
    /// The architecture of its Docker engine.
    pub(super) engine_arch: Option<&'a str>,
}

impl Planner {
    /// Resolves services with what is wanted of them. `from` replaces the kept callers (a build takes the newest one's environment).
    pub(super) fn resolve(
        &self,
        project: &Project,
        names: &BTreeSet<ServiceName>,
        wanted: &BTreeMap<ServiceName, Intent>,
        from: Option<&From<'_>>,
    ) -> Result<Vec<ServiceSpec>> {
        let (specs, problems) = self.try_resolve(project, names, wanted, from)?;
        if problems.is_empty() { Ok(specs) } else { Err(problem::error(problems)) }
    }

    fn try_resolve(
        &self,
        project: &Project,
        names: &BTreeSet<ServiceName>,
        wanted: &BTreeMap<ServiceName, Intent>,
        from: Option<&From<'_>>,
    ) -> Result<(Vec<ServiceSpec>, Vec<Problem>)> {
        let mut ports = PortBook::open(&self.home.state(), project)?;
        let names: Vec<ServiceName> = names.iter().cloned().collect();
        let resolved = project.resolve(&mut self.input(project, &names, wanted, from, &mut ports));
        let mut specs = match resolved {
            Ok(specs) => specs,
            Err(problems) => return Ok((Vec::new(), problems)),
        };
        ports.save()?;
        for spec in &mut specs {
            let Some(intent) = wanted.get(&spec.name) else { continue };
            // A vendor that is left out is not waited for.
            let is_left_out = |name: &ServiceName| intent.no_vendors && project.vendors.contains_key(name);
            spec.needs.retain(|need| !intent.no_deps && !is_left_out(&need.service));
        }
        Ok((specs, Vec::new()))
    }

    fn input<'a>(
        &'a self,
        project: &Project,
        names: &'a [ServiceName],
        wanted: &BTreeMap<ServiceName, Intent>,
        from: Option<&From<'_>>,
        auto_ports: &'a mut PortBook,
    ) -> ResolveInput<'a> {
        ResolveInput {
            home: &self.home,
            services: names,
            callers: callers(wanted, from),
            default_caller: Arc::new(caller_of(None, from)),
            overrides: wanted.iter().map(|(name, intent)| (name.clone(), overrides(project, name, intent))).collect(),
            port_offset: wanted.values().find_map(|intent| intent.port_offset),
            auto_ports,
        }
    }

    /// What files and orchestra set in the environment of a service's first copy, secrets masked; nothing where it cannot be said.
    pub(in crate::supervisor) fn visible_env(&self, service: &ServiceName) -> Vec<export::Shown> {
        let Some(project) = &self.project else { return Vec::new() };
        let Ok(mut ports) = PortBook::open(&self.home.state(), project) else { return Vec::new() };
        let names = [service.clone()];
        let first = InstanceId { service: service.clone(), number: 1 };
        let mut input = self.input(project, &names, &self.intents, None, &mut ports);
        project.environment(&mut input, &first).map(|variables| export::shown(&variables)).unwrap_or_default()
    }

    /// The same for a supervisor that begins; nothing where the configuration cannot be read.
    pub(in crate::supervisor) fn known_rest(&mut self, but: &BTreeSet<ServiceName>) -> Option<Event> {
        let project = self.project.clone()?;
        Some(self.known(&project, but))
    }

    /// The rest of the project, for `ps`: said once for each service. One that cannot be resolved without its caller is left out until it is
    /// asked for.
    pub(in crate::supervisor) fn known(&mut self, project: &Project, but: &BTreeSet<ServiceName>) -> Event {
        self.told.extend(but.iter().cloned());
        let names: BTreeSet<ServiceName> = project.names().filter(|name| !self.told.contains(*name)).cloned().collect();
        let all = self.try_resolve(project, &names, &self.intents, None);
        let specs = match all {
            Ok((specs, problems)) if problems.is_empty() => specs,
            Ok(_) | Err(_) => {
                let one = |name: &ServiceName| {
                    self.try_resolve(project, &BTreeSet::from([name.clone()]), &self.intents, None).ok()
                };
                names.iter().filter_map(one).flat_map(|(specs, _)| specs).collect()
            }
        };
        self.told.extend(specs.iter().map(|spec| spec.name.clone()));
        Event::Known { specs }
    }

    /// For a supervisor that begins: what was wanted or runs, as far as the configuration still says how.
    pub(in crate::supervisor) fn resume_specs(
        &mut self,
        live: &BTreeSet<ServiceName>,
    ) -> (Vec<ServiceSpec>, Vec<Error>) {
        let config = self.intents.values().find_map(|intent| intent.config.clone());
        let mut complaints = Vec::new();
        // A mistake in one file must not take the others' policies away.
        let (project, sound) = match self.load(config.as_deref(), true) {
            Ok(project) => {
                let all = project.names().cloned().collect();
                (project, all)
            }
            Err(error) if self.kept.is_some() => {
                complaints.push(error.detail("the last good configuration serves what runs"));
                let project = Arc::new(load::load_kept(&self.home.root, &self.kept.clone().unwrap_or_default()));
                self.project = Some(project.clone());
                let all = project.names().cloned().collect();
                (project, all)
            }
            Err(error) => {
                complaints.push(error);
                let options = LoadOptions { config, trust: true };
                let (project, sound) = load::load_sound(&self.home.root, &options);
                (Arc::new(project), sound)
            }
        };
        let wanted = self.intents.clone();
        let up = wanted.iter().filter(|(_, intent)| intent.desired != DOWN).map(|(name, _)| name.clone());
        let names: BTreeSet<ServiceName> = up.chain(live.iter().cloned()).filter(|name| sound.contains(name)).collect();
        // All at once is much quicker, and their environments share what they can.
        let specs = self.resolve(&project, &names, &wanted, None).unwrap_or_else(|_| {
            let mut specs = Vec::new();
            for name in names {
                match self.resolve(&project, &BTreeSet::from([name]), &wanted, None) {
                    Ok(resolved) => specs.extend(resolved),
                    Err(error) => complaints.push(error),
                }
            }
            specs
        });
        // What was edited while no supervisor ran differs from what the fleet was started by.
        let kept = self.kept.as_ref().map(|kept| Arc::new(load::load_kept(&self.home.root, kept)));
        self.follow(&kept.unwrap_or(project), &specs, true);
        (specs, complaints)
    }
}

fn overrides(project: &Project, name: &ServiceName, intent: &Intent) -> Overrides {
    let in_file = project.scale(name);
    Overrides {
        scale: intent.scale.filter(|_| intent.scale_in_file == in_file),
        env: intent::unpairs(&intent.extra_env),
        race: intent.race,
        test: intent.test,
        debug: intent.debug,
        run_in: intent.run_in.as_deref().and_then(RunIn::parse),
        cover: intent.cover.clone(),
        port_offset: intent.port_offset,
    }
}

/// Who started each service last. Those with one caller share it: a fleet has hundreds of services and few callers.
fn callers(wanted: &BTreeMap<ServiceName, Intent>, from: Option<&From<'_>>) -> BTreeMap<ServiceName, Arc<CallerEnv>> {
    let mut known: Vec<(&Intent, Arc<CallerEnv>)> = Vec::new();
    let mut out = BTreeMap::new();
    for (name, intent) in wanted {
        let same = known.iter().find(|(other, _)| from.is_some() || other.has_same_caller(intent));
        let caller = same.map(|(_, caller)| caller.clone()).unwrap_or_else(|| {
            let caller = Arc::new(caller_of(Some(intent), from));
            known.push((intent, caller.clone()));
            caller
        });
        out.insert(name.clone(), caller);
    }
    out
}

/// Whoever started a service last, or whoever asks now.
fn caller_of(intent: Option<&Intent>, from: Option<&From<'_>>) -> CallerEnv {
    match (from, intent) {
        (Some(from), _) => {
            let known = intent.and_then(|intent| intent.engine_arch.clone());
            CallerEnv {
                env: from.env.to_vec(),
                caller: from.caller.clone(),
                command: from.command.to_owned(),
                engine_arch: from.engine_arch.map(ToOwned::to_owned).or(known),
            }
        }
        (None, Some(intent)) => {
            let caller = Caller { umask: intent.umask, nofile: intent.nofile };
            let (command, engine_arch) = (intent.command.clone(), intent.engine_arch.clone());
            CallerEnv { env: intent::unpairs(&intent.env), caller, command, engine_arch }
        }
        (None, None) => {
            let caller = Caller { umask: 0o22, nofile: None };
            CallerEnv { env: Vec::new(), caller, command: "start".to_owned(), engine_arch: None }
        }
    }
}
