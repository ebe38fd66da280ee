//! `orchestra export`

use std::io::IsTerminal;

use clap::ValueEnum;
use clap_complete::engine::ArgValueCompleter;

use super::context::Context;
use super::{complete, hooks};
use crate::error::Error;
use crate::project::export::Quoting;
use crate::project::{export, select};
use crate::task::id::InstanceId;

/// Prints `export KEY='value'` lines that every shell takes: what the project sets, or what instance 1 of a service gets.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  eval \"$(orchestra export)\"          the project's variables\n  \
    eval \"$(orchestra export api)\"      what api gets, PORT included")]
pub(super) struct Args {
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "env")]
    format: Form,
    /// A service; without one, the project
    #[arg(value_name = "SEL", add = ArgValueCompleter::new(complete::selectors))]
    select: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines for a shell.
    Env,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let Form::Env = args.format;
    let place = context.place()?;
    let project = context.load(&place)?;
    let of = match args.select.as_slice() {
        [] => None,
        selectors => {
            let chosen = select::select(&project, selectors)?;
            let mut names = chosen.names.into_iter();
            match (names.next(), names.next()) {
                (Some(service), None) => {
                    let number = chosen.instances.get(&service).and_then(|n| n.first().copied()).unwrap_or(1);
                    Some(InstanceId { service, number })
                }
                _ => return Err(Error::usage("`export` takes one service").hint("orchestra export NAME")),
            }
        }
    };
    hooks::around(&context.output, &place, Some(&project), "export", || {
        let variables = hooks::with_input(&place, &project, "export", &[], |input| match &of {
            None => project.own_environment(input),
            Some(instance) => project.environment_here(input, instance),
        })?;
        if context.output.is_json() {
            let set = variables.iter().filter(|(_, v)| v.origin != crate::config::env::Origin::Caller);
            let map: serde_json::Map<String, serde_json::Value> = set
                .map(|(key, v)| (key.to_string_lossy().into_owned(), v.value.to_string_lossy().into_owned().into()))
                .collect();
            return context.output.json(&map);
        }
        let terminal = std::io::stdout().is_terminal();
        let (lines, skipped) = export::lines(&variables, if terminal { Quoting::Visible } else { Quoting::Exact });
        for name in skipped {
            context.output.note("warning", &format!("`{name}` is left out: no shell takes such a name"));
        }
        context.output.print(lines)
    })
}
