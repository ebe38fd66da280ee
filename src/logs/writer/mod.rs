//! The one writer of an instance's segments: stamps, rotates, and on a full disk drops whole lines, counts them and says so.
//!
//! It allocates nothing while lines flow. Nothing here waits for the disk with fsync.

mod files;
mod output;
mod trouble;

use std::io::{self, Write};
use std::path::PathBuf;

pub use output::{Origin, now};
use output::{Output, boot};
use trouble::is_shortage;

use super::record::{self, HEADER, MAX_PAYLOAD, STAMP, Stream};
use super::stamp::{micros, text as stamp};
use crate::sys::fd::{Pages, mono_ns, wall_us};
use crate::sys::folder::Folder;

/// Room for records before they are written.
const BATCH: usize = 48 * 1024;
/// After a failed write the disk is left alone for so long, in nanoseconds.
const REST: u64 = 200_000_000;
/// So many bytes are written before the file system is asked again what it has left.
const ASK_EVERY: u64 = 1024 * 1024;
/// A record waits no longer for its write, in microseconds.
const LONGEST_WAIT: i64 = 1_000_000;
/// The longest name of an origin: enough of a container's id.
const ORIGIN: usize = 16;
/// The longest mark.
const MARK: usize = HEADER + 160;

/// Where a writer writes, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct Place {
    /// `.orchestra`, absolute.
    pub dot: PathBuf,
    /// The folder of the segments, relative to `dot`.
    pub folder: PathBuf,
    /// Bytes kept over all segments.
    pub keep: u64,
    /// The run that the records belong to.
    pub run: u64,
}

/// What became of the current line of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Its newest record on disk is a piece, so another one must end it.
    open: bool,
    /// The same, of its newest record in the batch.
    pending: Option<bool>,
    /// A piece of it was dropped, so the rest of it is dropped too.
    torn: bool,
    /// It is open on disk, and what would have ended it was dropped.
    cut: bool,
}

/// Appends records to the highest segment of a folder.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    /// Records carry times that are given, and come from there; `None`: they carry the time at which they were added.
    origin: Option<Origin>,
    folder: Option<Folder>,
    out: Output,
    number: u64,
    oldest: u64,
    /// Bytes in all segments but the current.
    closed: u64,
    batch: Pages,
    filled: usize,
    stamp: [u8; STAMP],
    boot: Option<u32>,
    marked_at: u64,
    lines: [Line; 3],
    dropped: u64,
    cause: i32,
    failed_at: u64,
}

impl Writer {
    /// Opens the newest segment of the folder, or begins the first. A full disk is no error: lines are dropped until it is mended.
    pub fn open(place: Place) -> io::Result<Writer> {
        Writer::begin(place, None)
    }

    /// Opens it for records that come with times of their own ([`Writer::tick_to`]) and can be had again: a torn last record is cut off, not ended.
    pub fn resume(place: Place, origin: Origin) -> io::Result<Writer> {
        Writer::begin(place, Some(origin))
    }

    fn begin(place: Place, origin: Option<Origin>) -> io::Result<Writer> {
        let mut writer = Writer {
            place,
            origin,
            folder: None,
            out: Output::default(),
            number: 0,
            oldest: 1,
            closed: 0,
            batch: Pages::new(BATCH)?,
            filled: 0,
            stamp: stamp(wall_us()),
            boot: boot(),
            marked_at: 0,
            lines: [Line::default(); 3],
            dropped: 0,
            cause: 0,
            failed_at: 0,
        };
        match writer.reopen() {
            Err(error) if !is_shortage(&error) => return Err(error),
            Err(error) => writer.note_failure(&error),
            Ok(()) => {}
        }
        Ok(writer)
    }

    /// The time that the following records carry is now.
    pub fn tick(&mut self) {
        self.stamp = stamp(wall_us());
    }

    /// The time that the following records carry is this.
    pub fn tick_to(&mut self, stamp: &[u8; STAMP]) {
        self.stamp = *stamp;
    }

    /// The run that the following records belong to.
    pub fn begin_run(&mut self, run: u64) {
        if run != self.place.run {
            self.flush();
            self.place.run = run;
            // What cannot be marked now is marked with the next write.
            self.marked_at = 0;
            if self.out.file.is_some()
                && self.failed_at == 0
                && let Err(error) = self.mark()
            {
                self.note_failure(&error);
            }
        }
    }

    /// The run that the next record belongs to.
    pub fn run(&self) -> u64 {
        self.place.run
    }

    /// True when the last write failed: what was added since then is not on disk.
    pub fn is_failing(&self) -> bool {
        self.failed_at != 0
    }

    /// Adds a record; it reaches the file with the next [`Writer::flush`] at the latest. `payload` has at most 16 KiB and no newline.
    pub fn append(&mut self, stream: Stream, full: bool, payload: &[u8]) {
        if let Some(line) = line_of(stream)
            && self.lines[line].torn
        {
            self.drop_record(line, full);
            return;
        }
        if self.filled + HEADER + payload.len() + 1 > BATCH {
            self.flush();
        }
        self.put(stream, full, payload);
    }

    /// Writes what was added, in one write, after a mark where one is due.
    pub fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        if self.failed_at != 0 && mono_ns() < self.failed_at + REST {
            self.drop_batch(0);
            return;
        }
        match self.write_batch() {
            Ok(()) => self.failed_at = 0,
            Err((written, error)) => {
                self.note_failure(&error);
                self.drop_batch(written);
            }
        }
        self.filled = 0;
    }

    /// The stream has ended. A last line without a newline is a line, and one of which something was dropped is a dropped line.
    pub fn end(&mut self, stream: Stream) {
        self.flush();
        if let Some(line) = line_of(stream)
            && std::mem::take(&mut self.lines[line].torn)
        {
            self.dropped += 1;
        }
    }

    /// True when lines were dropped and this has not been said yet: [`Writer::recover`] should be tried now and then.
    pub fn is_behind(&self) -> bool {
        self.dropped > 0
    }

    /// Says how many lines were dropped, if it can be written by now.
    pub fn recover(&mut self) {
        if self.filled == 0 && self.dropped > 0 {
            self.tick();
            if let Err(error) = self.ready_file(256).and_then(|()| self.confess()) {
                self.note_failure(&error);
            }
        }
    }

    /// Lines dropped since this was last said in the log.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives the memory of the batch back; for a service that has fallen silent.
    pub fn release(&mut self) {
        if self.filled == 0 {
            self.batch.release();
        }
    }

    fn put(&mut self, stream: Stream, full: bool, payload: &[u8]) {
        let head = record::header(&self.stamp, stream, full);
        let at = self.filled;
        let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
        self.batch[at..at + HEADER].copy_from_slice(&head);
        self.batch[at + HEADER..at + HEADER + payload.len()].copy_from_slice(payload);
        self.batch[at + HEADER + payload.len()] = b'\n';
        self.filled = at + HEADER + payload.len() + 1;
        if let Some(line) = line_of(stream) {
            self.lines[line].pending = Some(!full);
        }
    }

    /// On failure: how many bytes of the batch are whole records in the file.
    fn write_batch(&mut self) -> Result<(), (usize, io::Error)> {
        self.ready_file(self.filled as u64).map_err(|error| (0, error))?;
        if self.dropped > 0 {
            self.confess().map_err(|error| (0, error))?;
        }
        let now = mono_ns();
        if now >= self.marked_at + 1_000_000_000 {
            self.mark().map_err(|error| (0, error))?;
        }
        self.out.write(&self.batch[..self.filled])?;
        for line in &mut self.lines {
            line.open = line.pending.take().unwrap_or(line.open);
        }
        Ok(())
    }

    /// Writes which run this is, and pairs the two clocks.
    fn mark(&mut self) -> io::Result<()> {
        let now = mono_ns();
        let mut line = [0; MARK];
        line[..HEADER].copy_from_slice(&record::header(&self.mark_stamp(), Stream::Mark, true));
        let mut rest = &mut line[HEADER..];
        let clocks = self.origin.as_ref().map(Origin::now);
        let steady = clocks.map_or_else(|| self.steady_at_stamp(now), |clocks| clocks.steady as u64 * 1000);
        write!(rest, "run={} mono={steady}", self.place.run)?;
        if let Some(boot) = clocks.map_or(self.boot, |clocks| clocks.boot) {
            write!(rest, " boot={boot:08x}")?;
        }
        if let (Some(origin), Some(clocks)) = (&self.origin, clocks) {
            write!(rest, " wall={} from={}", clocks.wall, origin.id())?;
        }
        rest.write_all(b"\n")?;
        let len = MARK - rest.len();
        self.out.write(&line[..len]).map_err(|(_, error)| error)?;
        self.marked_at = now;
        Ok(())
    }

    /// What the steady clock said at the moment of the stamp, in nanoseconds: a mark pairs both clocks for one moment, however long its records waited.
    fn steady_at_stamp(&self, now: u64) -> u64 {
        let waited = micros(&self.stamp).map_or(0, |at| wall_us().saturating_sub(at));
        // What is longer is no wait: the clock was set.
        if (0..=LONGEST_WAIT).contains(&waited) { now.saturating_sub(waited as u64 * 1000) } else { now }
    }

    /// A mark is not younger than the records that follow it: segments are found by it. Those with given times may be old.
    fn mark_stamp(&self) -> [u8; STAMP] {
        let first = self.batch[..self.filled].first_chunk::<STAMP>();
        first.filter(|_| self.origin.is_some()).copied().unwrap_or(self.stamp)
    }
}
/// The index of a stream whose lines are counted.
fn line_of(stream: Stream) -> Option<usize> {
    match stream {
        Stream::Stdout => Some(0),
        Stream::Stderr => Some(1),
        Stream::Orchestra => Some(2),
        Stream::Mark => None,
    }
}

#[cfg(test)]
mod tests;
