//! `orchestra stop`

use std::time::Duration;

use super::args::Select;
use super::change::{self, Ended};
use super::context::{Context, Place, check_started};
use super::signals::{Came, Signals};
use super::{answers, hooks, request};
use crate::api::client;
use crate::api::convert::Ask;
use crate::api::launch::Launcher;
use crate::api::lock;
use crate::api::wire::Request;
use crate::config::values;
use crate::error::Error;

/// Stops services in reverse order: first the signal, after the grace SIGKILL, to the whole process group. Without a selection everything stops,
/// the supervisor last. Works without a supervisor, too.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra stop             everything\n  orchestra stop api         exactly this one\n  \
    orchestra stop --timeout 0 kill at once\n\nCtrl-C says what goes on, a second one kills what is left, a third one leaves."
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
        check_started(&place, project, &args.select.all())?;
    }
    let mut asked = request::of(context, &place, args.select.all());
    asked.timeout_ms = args.timeout.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    hooks::around(&context.output, &place, project.as_ref(), "stop", || {
        context.wait(end(context, &place, &asked, args.timeout))
    })
}

/// What Ctrl-C says and does, in this order; a third one leaves.
const WARNING: &str = "still stopping; Ctrl-C again to kill what is left";
const KILLING: &str = "killing what is left; Ctrl-C again to leave";

fn left() -> Error {
    change::interrupted("stopped waiting; the stop goes on").hint("orchestra ps")
}

/// Straight over the shims' sockets.
async fn without_supervisor(
    context: &Context,
    place: &Place,
    grace: Option<Duration>,
    signals: &mut Signals,
) -> Result<(), Error> {
    let mut stopped = std::pin::pin!(answers::stop_all(&context.output, &place.home, grace));
    for words in [WARNING, KILLING] {
        tokio::select! {
            done = &mut stopped => return done,
            came = signals.next() => match came {
                Came::Interrupt => context.output.say(words),
                Came::Terminate | Came::Hangup => return Err(left()),
            }
        }
    }
    let mut killed = std::pin::pin!(answers::stop_all(&context.output, &place.home, Some(Duration::ZERO)));
    tokio::select! {
        done = &mut killed => done,
        _ = signals.next() => Err(left()),
    }
}

async fn end(context: &Context, place: &Place, asked: &Request, grace: Option<Duration>) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let pid = match answers::to_stop(&context.output, &place.home).await? {
        // An older one, or one of a folder that was moved, is replaced first: who does the work is who must be gone in the end.
        Some(_) => Some(client::ensure(&place.home, &Launcher::ourselves()?).await?.peer.pid),
        None => None,
    };
    if pid.is_none() && !answers::anything_lives(&context.output, &place.home).await {
        context.output.note("note", "nothing is running");
        return Ok(());
    }
    // A part is stopped by a supervisor, which knows the order and keeps what is wanted: one is started that takes over.
    if pid.is_none() && asked.select.is_empty() {
        without_supervisor(context, place, grace, &mut signals).await?;
        // A shim may have brought a supervisor back meanwhile: it goes, too.
        if !lock::is_held(&place.home)? {
            return Ok(());
        }
    }
    let mut by = None;
    let warned = (Some(WARNING), &mut by);
    let mut ended = change::follow_warned(&context.output, &place.home, Ask::Stop, asked, &mut signals, warned).await?;
    if matches!(ended, Ended::Interrupted(Came::Interrupt)) {
        let at_once = Request { timeout_ms: Some(0), ..asked.clone() };
        context.output.say(KILLING);
        let unwarned = (None, &mut by);
        ended =
            change::follow_warned(&context.output, &place.home, Ask::Stop, &at_once, &mut signals, unwarned).await?;
    }
    match ended {
        Ended::Over(done) => done?,
        Ended::Interrupted(_) => return Err(left()),
    }
    match by.filter(|_| asked.select.is_empty()) {
        Some(pid) => client::wait_gone(&place.home, pid).await,
        None => Ok(()),
    }
}
