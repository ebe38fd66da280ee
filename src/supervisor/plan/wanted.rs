//! What a request changes about what is wanted, before it is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use crate::project::Project;
use crate::project::select::with_needs;
use crate::store::intent::{self, Intent};
use crate::supervisor::{Request, StartFlags, Verb};
use crate::task::id::ServiceName;

pub(super) fn remember_caller(intent: &mut Intent, request: &Request) {
    intent.env = intent::pairs(&request.env);
    intent.umask = request.caller.umask;
    intent.nofile = request.caller.nofile;
    intent.command = word(&request.verb).to_owned();
    if request.engine_arch.is_some() {
        intent.engine_arch.clone_from(&request.engine_arch);
    }
    intent.config.clone_from(&request.config);
    intent.trust = request.trust;
    intent.held = false;
}

fn word(verb: &Verb) -> &'static str {
    match verb {
        Verb::Start(_) => "start",
        Verb::Stop { .. } => "stop",
        Verb::Restart { .. } => "restart",
        Verb::Build => "build",
        Verb::Scale(_) => "scale",
        Verb::Kill(_) => "kill",
    }
}

/// Flags add to those of earlier starts; they end with `stop`. A variable of the command line is one of a vendor only where that is `named`: nobody
/// wants a database made anew for `-e LOG_LEVEL=debug`.
pub(super) fn remember_flags(
    intent: &mut Intent,
    flags: &StartFlags,
    project: &Project,
    (name, named): (&ServiceName, bool),
) {
    if !flags.env.is_empty() && (named || !project.vendors.contains_key(name)) {
        let mut env = intent::unpairs(&intent.extra_env);
        env.retain(|(key, _)| !flags.env.iter().any(|(new, _)| new == key));
        env.extend(flags.env.iter().cloned());
        intent.extra_env = intent::pairs(&env);
    }
    intent.race |= flags.race;
    intent.test |= flags.test;
    if let Some(run_in) = flags.run_in.filter(|_| !project.vendors.contains_key(name)) {
        intent.run_in = Some(run_in.word().to_owned());
    }
    intent.no_deps = flags.no_deps;
    intent.port_offset = flags.port_offset.or(intent.port_offset);
    if let Some(scale) = flags.scale.get(name) {
        intent.scale = Some(*scale);
        intent.scale_in_file = project.scale(name);
    }
}

/// Turns rerun on for what was selected and what it depends on; off again for what was selected, and for what only that depends on.
pub(super) fn remember_rerun(
    wanted: &mut BTreeMap<ServiceName, Intent>,
    project: &Project,
    (chosen, reached): (&BTreeSet<ServiceName>, &BTreeSet<ServiceName>),
    rerun: Option<bool>,
) {
    let Some(on) = rerun else { return };
    let others = wanted.iter().filter(|(name, intent)| intent.rerun && intent.is_wanted() && !reached.contains(*name));
    let others: BTreeSet<ServiceName> = others.map(|(name, _)| name.clone()).collect();
    let needed = with_needs(project, &others);
    for name in reached.iter().filter(|name| on || chosen.contains(*name) || !needed.contains(*name)) {
        if let Some(intent) = wanted.get_mut(name) {
            intent.rerun = on;
        }
    }
}

pub(super) fn desired_word(project: &Project, name: &ServiceName) -> &'static str {
    match project.kind(name) {
        Some(crate::task::spec::Kind::Job) => "once",
        Some(_) | None => "up",
    }
}

/// Leaves vendors out, and says so.
pub(super) fn without_vendors(
    project: &Project,
    names: BTreeSet<ServiceName>,
    why: &str,
    notes: &mut Vec<String>,
) -> BTreeSet<ServiceName> {
    let (vendors, services): (BTreeSet<_>, BTreeSet<_>) =
        names.into_iter().partition(|name| project.vendors.contains_key(name));
    notes.extend(vendors.iter().map(|vendor| format!("vendor `{vendor}` is left out{why}")));
    services
}

/// `ORCHESTRA_PORT_OFFSET` of a caller.
pub(super) fn offset_of(env: &[(OsString, OsString)]) -> Option<i32> {
    let (_, value) = env.iter().find(|(key, _)| key == OsStr::new("ORCHESTRA_PORT_OFFSET"))?;
    value.to_str()?.trim().parse().ok()
}
