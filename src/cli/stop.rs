//! `orchestra stop`

use std::time::Duration;

use super::args::Select;
use super::change::{self, Ended};
use super::context::{Context, Place, check};
use super::signals::Signals;
use super::{answers, hooks, request};
use crate::api::client;
use crate::api::convert::Ask;
use crate::api::launch::Launcher;
use crate::api::wire::Request;
use crate::config::values;
use crate::error::Error;

/// Stops services in reverse order: first the signal, after the grace SIGKILL, to the whole process group. Without a selection everything stops,
/// the supervisor last. Works without a supervisor, too.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra stop             everything\n  orchestra stop api         exactly this one\n  \
    orchestra stop --timeout 0 kill at once"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    /// The grace until SIGKILL, instead of the configured one
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    if let Some(project) = &project {
        check(project, &args.select.all())?;
    }
    let mut asked = request::of(context, &place, args.select.all());
    asked.timeout_ms = args.timeout.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    hooks::around(&context.output, &place, project.as_ref(), "stop", || {
        context.wait(end(context, &place, &asked, args.timeout))
    })
}

async fn end(context: &Context, place: &Place, asked: &Request, grace: Option<Duration>) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let pid = match client::existing(&place.home).await? {
        // An older one, or one of a folder that was moved, is replaced first: who does the work is who must be gone in the end.
        Some(_) => Some(client::ensure(&place.home, &Launcher::ourselves()?).await?.peer.pid),
        None => None,
    };
    if pid.is_none() && !answers::anything_lives(&context.output, &place.home) {
        context.output.note("note", "nothing is running");
        return Ok(());
    }
    // A part is stopped by a supervisor, which knows the order and keeps what is wanted: one is started that takes over.
    if pid.is_none() && asked.select.is_empty() {
        return answers::stop_all(&context.output, &place.home, grace).await;
    }
    match change::follow(&context.output, &place.home, Ask::Stop, asked, &mut signals).await? {
        Ended::Over(done) => done?,
        Ended::Interrupted(_) => {
            return Err(change::interrupted("stopped waiting; the stop goes on").hint("orchestra ps"));
        }
    }
    match pid.filter(|_| asked.select.is_empty()) {
        Some(pid) => client::wait_gone(&place.home, pid).await,
        None => Ok(()),
    }
}
