//! One output stream of the service: cut into lines and pieces, byte for byte.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::logs::record::{MAX_PAYLOAD, Stream};
use crate::logs::writer::Writer;
use crate::sys::fd::{self, Pages, mono_ns};
use crate::sys::os;

/// One read takes so much; at least two pieces.
const ROOM: usize = 32 * 1024;
/// An unfinished line is written as a piece after so long.
const PROMPT: u64 = 100_000_000;
/// After so many full reads in a row the pipe grows …
const FULL_READS: u32 = 8;
/// … to this size, and shrinks to the other when the service falls silent.
const LARGE_PIPE: i32 = 1024 * 1024;
const SMALL_PIPE: i32 = 64 * 1024;

/// A stream that is read.
#[derive(Debug)]
pub(super) struct Output {
    fd: OwnedFd,
    stream: Stream,
    room: Pages,
    filled: usize,
    /// When the unfinished line in `room` began.
    since: u64,
    /// A piece of the current line was written already.
    continued: bool,
    full_reads: u32,
    large: bool,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Some,
    Nothing,
    Ended,
}

impl Output {
    pub(super) fn new(fd: OwnedFd, stream: Stream) -> io::Result<Output> {
        fd::set_nonblocking(&fd)?;
        let room = Pages::new(ROOM)?;
        Ok(Output { fd, stream, room, filled: 0, since: 0, continued: false, full_reads: 0, large: false })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Reads once and hands whole lines to the log.
    pub(super) fn read(&mut self, log: &mut Writer) -> Read {
        let before = self.filled;
        match fd::read(self.fd.as_fd(), &mut self.room[before..]) {
            Ok(0) => Read::Ended,
            Ok(n) => {
                self.adapt_pipe(n == ROOM - before);
                if before == 0 {
                    self.since = mono_ns();
                }
                self.filled += n;
                self.cut(log);
                Read::Some
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            // EIO is how a pseudo-terminal says that nobody has it open any more.
            Err(_) => Read::Ended,
        }
    }

    /// When the unfinished line is due, on the monotonic clock.
    pub(super) fn due(&self) -> Option<u64> {
        if self.filled == 0 { None } else { Some(self.since + PROMPT) }
    }

    /// Writes the unfinished line as a piece.
    pub(super) fn flush(&mut self, log: &mut Writer) {
        log.append(self.stream, false, &self.room[..self.filled]);
        self.continued = true;
        self.filled = 0;
    }

    /// Writes the last line, which has no newline: it stays a piece, so that a reader knows, and the next run begins another.
    pub(super) fn finish(&mut self, log: &mut Writer) {
        if self.filled > 0 {
            log.append(self.stream, false, &self.room[..self.filled]);
        }
        log.end(self.stream);
        self.filled = 0;
        self.continued = false;
    }

    /// Gives memory back; for a service that has fallen silent.
    pub(super) fn release(&mut self) {
        if self.filled == 0 {
            self.room.release();
        }
        if self.large {
            // Refused while it holds more than that; then the next silence does it.
            self.large = os::resize_pipe(self.fd.as_fd(), SMALL_PIPE).is_err();
        }
    }

    fn cut(&mut self, log: &mut Writer) {
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.room[at..self.filled]).map(|n| at + n) {
            at = self.pieces(log, at, end);
            log.append(self.stream, true, &self.room[at..end]);
            self.continued = false;
            at = end + 1;
        }
        at = self.pieces(log, at, self.filled);
        if at > 0 {
            self.room.copy_within(at..self.filled, 0);
            self.filled -= at;
            self.since = mono_ns();
        }
    }

    /// Writes pieces of the line from `at` to `end` until what is left fits into one record.
    fn pieces(&mut self, log: &mut Writer, mut at: usize, end: usize) -> usize {
        while end - at > MAX_PAYLOAD {
            log.append(self.stream, false, &self.room[at..at + MAX_PAYLOAD]);
            self.continued = true;
            at += MAX_PAYLOAD;
        }
        at
    }

    /// A flood costs less through a large pipe. The budget of the user may refuse it, which is as good.
    fn adapt_pipe(&mut self, full: bool) {
        self.full_reads = if full { self.full_reads + 1 } else { 0 };
        if self.full_reads == FULL_READS && !self.large {
            self.large = os::resize_pipe(self.fd.as_fd(), LARGE_PIPE).is_ok();
        }
    }
}

impl AsRawFd for Output {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}
