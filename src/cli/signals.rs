//! Ctrl-C, SIGTERM and a lost terminal, as values that a command waits for.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Context, Error};

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The terminal is gone.
    Hangup,
}

/// Signals from now on; none is lost between two calls of `next`.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes over the signals: from here they no longer end the process.
    pub(super) fn new() -> Result<Signals, Error> {
        let take = |kind| signal(kind).context("wait for", Path::new("signals"));
        Ok(Signals {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hangup: take(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Came {
        tokio::select! {
            _ = self.interrupt.recv() => Came::Interrupt,
            _ = self.terminate.recv() => Came::Terminate,
            _ = self.hangup.recv() => Came::Hangup,
        }
    }
}
