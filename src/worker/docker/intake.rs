//! Takes the frames of one container into its log: each record once, in order, under the run that it belongs to. Knows no engine.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bollard::container::LogOutput;
use memchr::memmem;

use super::frames::{Piece, Splitter};
use super::record::StartRecord;
use crate::error::{Context as _, PathError};
use crate::logs::cursor::{Cursor, There};
use crate::logs::record::{STAMP, Stream};
use crate::logs::segments;
use crate::logs::writer::{Origin, Place, Writer};

/// Streams pass each other by less, in microseconds.
const PASSING: i64 = 2_000_000;
/// Between the last line there is and the first that came.
const GAP: &[u8] =
    b"the engine's log of its container no longer reaches back to the line before: some lines may be missing here";

/// Why no more is taken. What was not written is there to be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The log cannot be written to.
    Stuck,
    /// A stream went back in time: the clock was set back, or the engine repeats itself, as some do when they begin another file.
    Repeats,
}

/// Why it cannot begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error("{0}")]
    Unreadable(#[from] PathError),
    #[error("{0}")]
    Unwritable(#[from] io::Error),
}

/// A log that is gone on with.
#[derive(Debug)]
pub(super) struct Intake {
    dir: PathBuf,
    splitter: Splitter,
    log: Log,
    stop: Option<Stop>,
    /// The newest time that came.
    newest: i64,
}

/// Where pieces go that are not there yet.
#[derive(Debug)]
struct Log {
    writer: Writer,
    cursor: Cursor,
    run: u64,
    /// When the container was started, and for which run, oldest first: what it wrote in between belongs to that run.
    starts: Vec<StartRecord>,
    /// The run of what came before these.
    earlier: u64,
    /// So many starts were before what comes now.
    begun: usize,
    /// The run in which the last line of each stream was left open.
    open: [Option<u64>; 2],
    /// The time of the last record of each stream that was new.
    last: [i64; 2],
}

impl Intake {
    /// Finds out what is there, and opens the log. Of the starts of the container, oldest first, the last one is that of the run.
    pub(super) fn open(place: Place, origin: Origin, starts: Vec<StartRecord>) -> Result<Intake, Closed> {
        let run = place.run;
        let dir = place.dot.join(&place.folder);
        let cursor = Cursor::read(&dir, &origin, run)?;
        let writer = Writer::resume(place, origin)?;
        let oldest = starts.first().map_or(run, |start| start.run);
        let earlier = cursor.earlier().unwrap_or(run).min(oldest);
        let stop = writer.is_failing().then_some(Stop::Stuck);
        let log = Log { writer, cursor, run, starts, earlier, begun: 0, open: [None; 2], last: [i64::MIN; 2] };
        Ok(Intake { dir, splitter: Splitter::default(), log, stop, newest: i64::MIN })
    }

    /// From when on the engine is to be asked, in whole seconds since 1970.
    pub(super) fn since(&self) -> Option<i64> {
        self.log.cursor.since()
    }

    /// Takes one frame. What has no time of its own gets `now`, in microseconds since 1970.
    pub(super) fn take(&mut self, frame: &LogOutput, now: i64) -> Result<(), Stop> {
        let Intake { splitter, log, stop, newest, .. } = self;
        splitter.split(frame, now, &mut |piece| {
            // Nothing may come after what was not written.
            if stop.is_none() {
                *newest = piece.time.max(*newest);
                *stop = log.take(&piece);
            }
        });
        self.stop.map_or(Ok(()), Err)
    }

    /// Writes what was taken.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        self.stop = self.log.flush().or(self.stop);
        self.stop.map_or(Ok(()), Err)
    }

    /// The newest time that came; microseconds since 1970.
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// Says something in the log, unless this run's log says it already.
    pub(super) fn say_once(&mut self, words: &str) -> Result<(), Closed> {
        let Log { writer, run, .. } = &mut self.log;
        if !is_said(&self.dir, *run, words)? {
            writer.begin_run(*run);
            writer.tick();
            writer.append(Stream::Orchestra, true, words.as_bytes());
            writer.flush();
        }
        Ok(())
    }

    /// Gives memory back; for a container that has fallen silent.
    pub(super) fn release(&mut self) {
        self.log.writer.release();
    }
}

impl Log {
    /// Writes a piece, unless it is there.
    fn take(&mut self, piece: &Piece<'_>) -> Option<Stop> {
        let ended = piece.cuts.map(|cut| self.cursor.look(piece.stream, cut.time, true, b""));
        let there = self.cursor.look(piece.stream, piece.time, piece.full, piece.payload);
        let stream = usize::from(piece.stream == Stream::Stderr);
        if there == There::No {
            let [own, other] = [self.last[stream], self.last[1 - stream]];
            if piece.time < own.max(other.saturating_sub(PASSING)) {
                return Some(Stop::Repeats);
            }
            self.last[stream] = piece.time;
        }
        let run = self.run_of(there, piece.time);
        let open = &mut self.open[stream];
        let was_open = std::mem::replace(open, (!piece.full).then_some(run));
        // Readers end a line where another run begins; within one it must be ended here.
        if let Some(cut) = piece.cuts
            && ended == Some(There::No)
            && was_open == Some(run)
        {
            self.put(piece.stream, run, &cut.stamp, true, b"");
        }
        if there == There::No {
            self.put(piece.stream, run, piece.stamp, piece.full, piece.payload);
        }
        self.stuck()
    }

    fn flush(&mut self) -> Option<Stop> {
        self.writer.flush();
        self.stuck()
    }

    fn stuck(&self) -> Option<Stop> {
        self.writer.is_failing().then_some(Stop::Stuck)
    }

    /// A clock may be set back: once a run has begun, nothing that is new belongs to an earlier one.
    fn run_of(&mut self, there: There, time: i64) -> u64 {
        let begun = match there {
            There::Yes { run } => self.starts.iter().position(|start| start.run == run),
            There::No | There::Dropped => self.starts.iter().rposition(|start| start.started_us <= time),
        };
        self.begun = self.begun.max(begun.map_or(0, |at| at + 1));
        match there {
            There::Yes { run } => run,
            There::No | There::Dropped => {
                self.begun.checked_sub(1).and_then(|at| self.starts.get(at)).map_or(self.earlier, |start| start.run)
            }
        }
    }

    fn put(&mut self, stream: Stream, run: u64, stamp: &[u8; STAMP], full: bool, payload: &[u8]) {
        self.writer.begin_run(run);
        self.writer.tick_to(stamp);
        if self.cursor.has_gap() {
            self.writer.append(Stream::Orchestra, true, GAP);
        }
        self.writer.append(stream, full, payload);
    }
}

/// Whether these words stand in what the run wrote, as far as that is in the newest segment.
fn is_said(dir: &Path, run: u64, words: &str) -> Result<bool, PathError> {
    let Some(newest) = segments::list(dir)?.pop() else { return Ok(false) };
    let Some(mut file) = segments::open(dir, newest)? else { return Ok(false) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).context("read", dir)?;
    let begin = memmem::find(&bytes, format!("run={run} ").as_bytes());
    Ok(begin.is_some_and(|begin| memmem::find(&bytes[begin..], words.as_bytes()).is_some()))
}

#[cfg(test)]
mod tests;
