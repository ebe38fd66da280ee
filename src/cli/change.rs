//! Asks the supervisor for a change and stays until it is over.

use tokio::time::{Duration, sleep};

use super::last_words;
use super::output::Output;
use super::progress::Show;
use super::signals::{Came, Signals};
use crate::api::client::{self, Lines};
use crate::api::convert::{self, Ask};
use crate::api::launch::Launcher;
use crate::api::wire::{Progress, Request};
use crate::error::{Error, Kind};
use crate::sys::home::Home;

/// A supervisor that is going away is asked this often before its going is an error.
const ATTEMPTS: usize = 5;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// With success or with this error, which has been shown already where output is JSON.
    Over(Result<(), Error>),
    /// Ctrl-C, or a lost terminal: the waiting ended, the request did not.
    Interrupted(Came),
}

/// Asks and shows what happens, starting a supervisor where none runs.
pub(super) async fn follow(
    output: &Output,
    home: &Home,
    ask: Ask,
    request: &Request,
    signals: &mut Signals,
) -> Result<Ended, Error> {
    follow_warned(output, home, ask, request, signals, None).await
}

/// The same, but the first Ctrl-C only says this.
pub(super) async fn follow_warned(
    output: &Output,
    home: &Home,
    ask: Ask,
    request: &Request,
    signals: &mut Signals,
    mut warning: Option<&str>,
) -> Result<Ended, Error> {
    let launcher = Launcher::ourselves()?;
    let mut show = Show::new(ask, output.clone());
    let mut attempt = 0;
    let began = jiff::Timestamp::now().as_microsecond();
    loop {
        attempt += 1;
        let asked = async { client::ensure(home, &launcher).await?.ask(ask, request).await };
        let ended = tokio::select! {
            lines = asked => match lines {
                Ok(lines) => stay(lines, &mut show, signals, &mut warning).await,
                Err(error) => Err(error),
            },
            came = signals.next() => return Ok(Ended::Interrupted(came)),
        };
        match ended {
            // It ended between our request and its answer, or was killed: all these requests may be made twice but `kill`.
            Err(error) if error.kind == Kind::Unreachable && attempt < ATTEMPTS && ask != Ask::Kill => {
                sleep(Duration::from_millis(20)).await;
            }
            Ok(Ended::Over(Err(mut error))) => {
                show.finish();
                error.details.extend(last_words::of(home, &show.failed(), began));
                return Ok(Ended::Over(Err(error)));
            }
            ended => {
                show.finish();
                return ended;
            }
        }
    }
}

/// Shows an answer until it ends.
async fn stay(
    mut lines: Lines,
    show: &mut Show,
    signals: &mut Signals,
    warning: &mut Option<&str>,
) -> Result<Ended, Error> {
    loop {
        let line = tokio::select! {
            line = lines.next() => line?,
            came = signals.next() => match warning.take_if(|_| came == Came::Interrupt) {
                Some(words) => {
                    show.tell(words);
                    continue;
                }
                None => return Ok(Ended::Interrupted(came)),
            },
        };
        match line {
            Some(Progress::End { error: Some(failure) }) if failure.kind == Kind::Unreachable.word() => {
                return Err(convert::error(failure));
            }
            Some(line) => {
                show.line(&line)?;
                if let Progress::End { error } = line {
                    return Ok(Ended::Over(error.map_or(Ok(()), |failure| Err(convert::error(failure)))));
                }
            }
            None => {
                return Err(
                    Error::new(Kind::Unreachable, "the supervisor went away while it answered").hint("orchestra ps")
                );
            }
        }
    }
}

/// The error of a command that was interrupted.
pub(super) fn interrupted(message: &str) -> Error {
    Error::new(Kind::Interrupted, message)
}
