//! `orchestra kill`

use clap_complete::engine::ArgValueCompleter;

use super::context::{Context, check_started};
use super::{answers, build, complete, request};
use crate::api::client;
use crate::api::convert::Ask;
use crate::config::values;
use crate::error::{Error, Kind};

/// Sends a signal to the process group of every selected instance, and nothing more: what ends is started again as its policy says.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra kill -s QUIT api     a dump of all goroutines in its log\n  orchestra kill -s HUP web.2"
)]
pub(super) struct Args {
    /// The signal, by name or number
    #[arg(short = 's', long, value_name = "SIG", default_value = "KILL", value_parser = values::signal)]
    signal: i32,
    /// Services: name, instance (api.2), glob, label=value
    #[arg(value_name = "SEL", required = true, add = ArgValueCompleter::new(complete::selectors))]
    select: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    if let Some(project) = context.load_or_say(&place) {
        check_started(&place, &project, &args.select)?;
    }
    let mut asked = request::of(context, &place, args.select.clone());
    asked.signal = Some(args.signal);
    context.wait(async {
        // A supervisor that was started for this would have nobody to signal.
        if client::existing(&place.home).await?.is_none()
            && !answers::anything_lives(&context.output, &place.home).await
        {
            return Err(
                Error::new(Kind::Failed, "nothing is running, so there is nothing to signal").hint("orchestra ps")
            );
        }
        build::once(context, &place, Ask::Kill, &asked).await
    })
}
