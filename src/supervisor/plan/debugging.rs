//! Services that shall run below a debugger: whether they can, and where it can be reached.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::project::Project;
use crate::services::dlv;
use crate::services::spec::Program;
use crate::task::id::ServiceName;
use crate::task::spec::ServiceSpec;

/// Whether everything `--debug` names is reached by the command and is a program that a debugger of Go can run.
pub(super) fn check(project: &Project, named: &BTreeSet<ServiceName>, reached: &BTreeSet<ServiceName>) -> Result<()> {
    for name in named {
        match project.services.get(name).map(|service| &service.config.program) {
            Some(Program::Go(_)) if reached.contains(name) => {}
            Some(Program::Go(_)) => {
                let message = format!("`--debug {name}`: this command does not start `{name}`");
                return Err(
                    Error::usage(message).hint(format!("select it, too: `orchestra start {name} --debug {name}`"))
                );
            }
            Some(Program::Command(_)) => {
                let message = format!("`--debug {name}`: `{name}` runs a program that orchestra does not build");
                return Err(Error::usage(message).hint("only Go services without `command:` run below a debugger"));
            }
            None => {
                return Err(Error::usage(format!("`--debug {name}`: `{name}` is no service of this project"))
                    .hint("`orchestra ps` shows them"));
            }
        }
    }
    Ok(())
}

/// Where the debuggers of these services will listen, one sentence each; an error where there is no debugger to run them.
pub(super) fn prepare(specs: &[ServiceSpec]) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let runs = specs.iter().flat_map(|spec| &spec.runs);
    for (run, port) in runs.filter_map(|run| Some((run, run.debugger?))) {
        if dlv::is_missing(&run.argv) {
            let service = &run.instance.service;
            let message = format!(
                "`{service}` shall run below a debugger, and `dlv` is neither in PATH nor where Go installs it"
            );
            return Err(Error::failed(message).hint(format!("install it: `{}`", dlv::INSTALL)));
        }
        notes.push(format!("`{}` runs below a debugger: `dlv connect 127.0.0.1:{port}`", run.instance));
    }
    Ok(notes)
}
