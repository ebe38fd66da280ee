//! `orchestra scale`

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCompleter;

use super::args::pair;
use super::context::{Context, check};
use super::{build, complete, hooks, request};
use crate::api::convert::Ask;
use crate::error::Error;

/// Adds or removes instances at once. The number is kept until `scale S=file`, or until `scale:` in the file is edited; 0 stops the service.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra scale api=3           three instances\n  orchestra scale api=file web=0  what the file says; none"
)]
pub(super) struct Args {
    /// A service and how many instances, or `file` for what its file says
    #[arg(value_name = "S=N", required = true, value_parser = number, add = ArgValueCompleter::new(complete::scales))]
    scale: Vec<(String, Option<u32>)>,
}

fn number(text: &str) -> Result<(String, Option<u32>), String> {
    match pair(text) {
        Ok((name, word)) if word == "file" => Ok((name, None)),
        Ok((name, number)) => match number.parse() {
            Ok(number) => Ok((name, Some(number))),
            Err(_) => Err(format!("`{number}` is neither a number of instances nor `file`")),
        },
        Err(_) => Err("write it as SERVICE=N".to_owned()),
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    let names: Vec<String> = args.scale.iter().map(|(name, _)| name.clone()).collect();
    check(&project, &names)?;
    let mut asked = request::of(context, &place, names);
    asked.scale = args.scale.iter().cloned().collect::<BTreeMap<_, _>>();
    asked.caller.engine_arch = request::engine_arch(context, &place, &project, None);
    hooks::around(&context.output, &place, Some(&project), "scale", || {
        context.wait(build::once(context, &place, Ask::Scale, &asked))
    })
}
