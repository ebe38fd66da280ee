//! `--attach`: stays in front of what was started. Ctrl-C stops it, a second one at once, a third ends this program; a lost terminal leaves it.

use super::change::{self, Ended};
use super::context::{Context, Place};
use super::progress::Show;
use super::signals::{Came, Signals};
use super::{answers, show};
use crate::api::client::{self, Client};
use crate::api::convert::Ask;
use crate::api::wire::{Progress, Request};
use crate::error::{Error, Kind};
use tokio::time::{Duration, sleep};

/// Between two looks for a supervisor that went away.
const PAUSE: Duration = Duration::from_millis(200);

/// Stays until everything selected has ended, or until a signal says otherwise.
pub(super) async fn run(
    context: &Context,
    place: &Place,
    asked: &Request,
    logs: bool,
    signals: &mut Signals,
) -> Result<(), Error> {
    // It outlives the wait, so that what services write while they stop is shown too.
    let mut following = std::pin::pin!(follow(context, place, asked, logs));
    let came = tokio::select! {
        gone = watch(context, place) => return gone,
        followed = &mut following => return followed,
        came = signals.next() => came,
    };
    match came {
        // What it started runs on.
        Came::Hangup => Ok(()),
        Came::Interrupt | Came::Terminate => end(context, place, asked, signals).await,
    }
}

/// Stops what was selected: gently, after another Ctrl-C at once, after a third not any more.
pub(super) async fn end(context: &Context, place: &Place, asked: &Request, signals: &mut Signals) -> Result<(), Error> {
    let everything = asked.select.is_empty();
    let output = context.output.still();
    for grace in [None, Some(0)] {
        let request = Request {
            timeout_ms: grace,
            ..Request { start: Default::default(), scale: Default::default(), ..asked.clone() }
        };
        output.say(match grace {
            None => "stopping; Ctrl-C again to kill",
            Some(_) => "killing; Ctrl-C again to leave",
        });
        let pid = answers::to_stop(&output, &place.home).await?.map(|client| client.peer.pid);
        let Some(pid) = pid else { break };
        match change::follow(&output, &place.home, Ask::Stop, &request, signals).await? {
            Ended::Over(done) => {
                done?;
                if everything {
                    client::wait_gone(&place.home, pid).await?;
                }
                break;
            }
            Ended::Interrupted(Came::Interrupt | Came::Terminate) => {}
            // The stop goes on without us.
            Ended::Interrupted(Came::Hangup) => break,
        }
    }
    Err(change::interrupted("interrupted"))
}

/// Tells every change of state, and what else there is to read, until the supervisor ends, which it does when nothing runs any more.
async fn watch(context: &Context, place: &Place) -> Result<(), Error> {
    let mut show = Show::events(context.output.clone());
    loop {
        let client = match client::existing(&place.home).await {
            // One that was stopped may go on.
            Err(error) if error.kind == Kind::Silent => {
                sleep(PAUSE).await;
                continue;
            }
            found => found?,
        };
        let Some(client) = client else {
            if !answers::anything_lives(&context.output, &place.home).await {
                return Ok(());
            }
            // A shim is bringing a supervisor back.
            sleep(PAUSE).await;
            continue;
        };
        // A stream that breaks is begun again: a new supervisor may have taken over.
        if let Err(error) = tell(client, &mut show).await {
            if error.kind != Kind::Unreachable {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}

async fn tell(client: Client, show: &mut Show) -> Result<(), Error> {
    let mut lines = client.events(&[]).await?;
    while let Some(line) = lines.next().await? {
        if matches!(line, Progress::State { .. } | Progress::Note { .. }) {
            show.line(&line)?;
        }
    }
    Ok(())
}

async fn follow(context: &Context, place: &Place, asked: &Request, logs: bool) -> Result<(), Error> {
    if logs { show::follow(context, place, &asked.select).await } else { std::future::pending().await }
}
