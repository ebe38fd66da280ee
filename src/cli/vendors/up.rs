//! `orchestra vendors up`: a start of vendors, and of what they depend on.

use std::time::Duration;

use super::super::context::Context;
use super::super::start::{Stay, converge};
use super::super::{hooks, request};
use super::{Chosen, tags};
use crate::api::convert::Ask;
use crate::config::values;
use crate::error::Error;

/// Starts vendors, with what they depend on, and waits until they are ready. A container is kept while its settings and its image are the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    chosen: Chosen,
    /// How long to wait until they are ready
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::duration)]
    timeout: Duration,
    /// Start vendors of this profile, too; may be given again
    #[arg(long, value_name = "P")]
    profile: Vec<String>,
    /// Make vendors anew whose image tag has changed, without asking
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    if super::is_without(context, &project) {
        return Ok(());
    }
    let names = args.chosen.enabled(&project, &args.profile)?;
    let mut asked = request::of(context, &place, names.iter().map(ToString::to_string).collect());
    asked.timeout_ms = Some(u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX));
    hooks::around(&context.output, &place, Some(&project), "vendors", || {
        asked.start.replace = tags::agreed(context, &place, &project, &names, args.yes)?;
        context.wait(converge(context, &place, Ask::Start, &asked, Stay { attach: false, logs: false }))
    })
}
