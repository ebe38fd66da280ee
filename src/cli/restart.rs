//! `orchestra restart`

use std::collections::BTreeSet;

use super::args::Select;
use super::context::{Context, check};
use super::start::{self, Stay};
use super::vendors::tags;
use super::{hooks, request, strays};
use crate::api::convert::Ask;
use crate::error::Error;
use crate::project::select::select;

/// Builds first; if that fails nothing is stopped. Scaled services are replaced one instance after another. The environment is this caller's.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra restart api      build api and replace its instances\n  orchestra restart api.2    replace this one only"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    /// Make vendors anew whose image tag has changed, without asking
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    stay: Stay,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    check(&project, &args.select.all())?;
    let mut asked = request::of(context, &place, args.select.all());
    asked.caller.engine_arch = request::engine_arch(context, &place, &project, None);
    asked.strays = strays::ask(context, &place, &project, &asked.select)?;
    let vendors = match asked.select.is_empty() {
        // Only those that are named are touched.
        true => BTreeSet::new(),
        false => select(&project, &asked.select)?.names,
    };
    hooks::around(&context.output, &place, Some(&project), "restart", || {
        asked.start.replace = tags::agreed(context, &place, &project, &vendors, args.yes)?;
        context.wait(start::converge(context, &place, Ask::Restart, &asked, args.stay))
    })
}
