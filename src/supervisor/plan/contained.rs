//! Services that shall run in containers: what a person should know about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::project::Project;
use crate::services::spec::{Program, RunIn};
use crate::task::id::ServiceName;
use crate::task::spec::ServiceSpec;

/// What `--in docker` cannot reach: an error where it was named, else one sentence each.
pub(super) fn check(
    project: &Project,
    chosen: &BTreeSet<ServiceName>,
    (run_in, is_named): (Option<RunIn>, bool),
) -> Result<Vec<String>> {
    if run_in != Some(RunIn::Docker) {
        return Ok(Vec::new());
    }
    let is_command = |name: &&ServiceName| {
        project.services.get(*name).is_some_and(|service| matches!(service.config.program, Program::Command(_)))
    };
    let commands: Vec<&ServiceName> = chosen.iter().filter(is_command).collect();
    match commands.as_slice() {
        [name, ..] if is_named => Err(Error::usage(format!(
            "`--in docker` runs Go programs that orchestra builds, and `{name}` is a `command:`"
        ))
        .hint("leave it out, or give it a section of `vendors:` with an image that holds the program")),
        names => Ok(names.iter().map(|name| format!("`{name}` is a `command:` and stays a process")).collect()),
    }
}

/// Services in containers that depend on processes of this machine: on Linux a process is found from there only where it listens on more than 127.0.0.1.
pub(super) fn notes(specs: &[ServiceSpec]) -> Vec<String> {
    if std::env::consts::OS != "linux" {
        return Vec::new();
    }
    let is_inside = |spec: &&ServiceSpec| spec.runs.iter().any(|run| is_own(run));
    let ports: BTreeMap<&ServiceName, u16> = specs
        .iter()
        .filter_map(|spec| {
            let run = spec.runs.first().filter(|run| run.container.is_none())?;
            Some((&spec.name, run.ports.first()?.number))
        })
        .collect();
    let of = |spec: &ServiceSpec| {
        let name = spec.name.clone();
        let needs = spec.needs.iter().filter_map(|need| Some((&need.service, *ports.get(&need.service)?)));
        let words = needs.map(move |(other, port)| {
            format!("`{name}` finds `{other}` on this machine only if that listens on all addresses (`:{port}`): `{name}` runs in a container")
        });
        words.collect::<Vec<_>>()
    };
    specs.iter().filter(is_inside).flat_map(of).collect()
}

/// Those that run as processes: only of these something can run astray.
pub(super) fn processes(specs: &[ServiceSpec]) -> Vec<ServiceName> {
    let is_process = |spec: &&ServiceSpec| spec.runs.iter().all(|run| run.container.is_none());
    specs.iter().filter(is_process).map(|spec| spec.name.clone()).collect()
}

fn is_own(run: &crate::task::spec::RunSpec) -> bool {
    run.container.as_ref().is_some_and(|container| container.program.is_some())
}
