//! What a writer does where lines cannot be written: it drops whole ones, counts them, and says so as soon as it can.

use std::io::{self, Write};

use super::{Writer, line_of};
use crate::logs::record::{self, HEADER, Stream};
use crate::sys::fd::{is_exhaustion, mono_ns};

impl Writer {
    /// Ends lines that were cut off, and says how many were dropped.
    pub(super) fn confess(&mut self) -> io::Result<()> {
        let mut line = [0; 4 * HEADER + 96];
        let mut rest = &mut line[..];
        for stream in [Stream::Stdout, Stream::Stderr] {
            if line_of(stream).is_some_and(|at| self.lines[at].cut) {
                rest.write_all(&record::header(&self.stamp, stream, true))?;
                rest.write_all(b"\n")?;
            }
        }
        rest.write_all(&record::header(&self.stamp, Stream::Orchestra, true))?;
        writeln!(rest, "{} lines dropped: {:?}", self.dropped, nix::errno::Errno::from_raw(self.cause))?;
        let len = 4 * HEADER + 96 - rest.len();
        self.out.write(&line[..len]).map_err(|(_, error)| error)?;
        self.dropped = 0;
        self.failed_at = 0;
        for line in self.lines.iter_mut().filter(|line| line.cut) {
            (line.open, line.cut) = (false, false);
        }
        Ok(())
    }

    pub(super) fn note_failure(&mut self, error: &io::Error) {
        self.cause = error.raw_os_error().unwrap_or(libc::EIO);
        self.failed_at = mono_ns();
        self.out.budget = 0;
    }

    /// Drops the records of the batch from `kept` on, and counts the lines that end in them.
    pub(super) fn drop_batch(&mut self, kept: usize) {
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.batch[at..self.filled]).map(|n| at + n) {
            if let Some((stream, full)) = record::parse(&self.batch[at..end]).map(|r| (r.stream, r.full))
                && let Some(line) = line_of(stream)
            {
                if at < kept {
                    self.lines[line].open = !full;
                } else {
                    self.drop_record(line, full);
                }
            }
            at = end + 1;
        }
        for line in &mut self.lines {
            line.pending = None;
        }
        self.filled = 0;
    }

    pub(super) fn drop_record(&mut self, line: usize, full: bool) {
        self.lines[line].torn = !full;
        self.lines[line].cut |= self.lines[line].open;
        self.dropped += u64::from(full);
    }
}

/// What mends itself: no room, or a disk that fails.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    is_exhaustion(error) || matches!(error.raw_os_error(), Some(libc::EIO | libc::EROFS))
}
