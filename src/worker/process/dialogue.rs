//! The conversation with one shim: lines in both directions, until it says how the run ended or is gone.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::shim::wire::{Event, Order};

/// Longer than a shim on a busy machine needs to end.
const ENDING: Duration = Duration::from_secs(2);

/// An open conversation.
pub(super) struct Dialogue {
    lines: Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
}

impl Dialogue {
    /// Over a socket that does not block.
    pub(super) fn new(socket: StdStream) -> io::Result<Dialogue> {
        Ok(Dialogue::over(UnixStream::from_std(socket)?))
    }

    /// Over a socket that was just connected.
    pub(super) fn over(socket: UnixStream) -> Dialogue {
        let (read, out) = socket.into_split();
        Dialogue { lines: BufReader::new(read).lines(), out }
    }

    /// The next thing the shim tells; `None` once it is gone. Words that are not understood, of a newer shim, are passed over.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.lines.next_line().await.ok()??;
            if let Some(event) = Event::parse(&line) {
                return Some(event);
            }
        }
    }

    /// Waits for the shim's process to end, which it does right after its last word: the kernel closes its socket then. One that somebody stopped
    /// there is not waited for. It waits in its turn until we have read that word: we say so by saying no more.
    pub(super) async fn end(&mut self) {
        drop(self.out.shutdown().await);
        let silence = async { while self.next().await.is_some() {} };
        drop(tokio::time::timeout(ENDING, silence).await);
    }

    /// Tells the shim something. One that is gone is noticed by [`Dialogue::next`].
    pub(super) async fn tell(&mut self, order: Order) {
        drop(self.out.write_all(format!("{order}\n").as_bytes()).await);
    }
}
