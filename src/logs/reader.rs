//! Reads the records of one folder forwards, over all its segments, as far as they are written; and goes on when more is written.
//!
//! A last line without its newline is no record until it is completed. What cannot be read as a record is skipped and counted; so are segments that
//! were removed before they could be read.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::{Anchors, Clock, Pair};
use super::record::{self, HEADER, MAX_PAYLOAD, STAMP, Stream};
use super::segments;
use super::stamp::Stamps;
use crate::error::{Context, PathError};

/// The smallest useful buffer: room for some of the longest records.
pub const MIN_BUFFER: usize = 4 * MAX_PAYLOAD;

/// Where to begin.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The first segment; 0 is the oldest there is.
    pub segment: u64,
    /// The first byte in it; must be the beginning of a line.
    pub offset: u64,
    /// The run that writes there.
    pub run: u64,
    /// The mark before it.
    pub mark: Option<Pair>,
    /// Marks that follow, as far as they are easily found: the first of each segment, and the newest.
    pub marks: Vec<Pair>,
}

/// One record as it lies in the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Orders it among all sources.
    pub key: i64,
    /// The stamp in microseconds since 1970.
    pub time: i64,
    /// The stamp as it is written.
    pub stamp: &'a [u8; STAMP],
    /// Who wrote it.
    pub stream: Stream,
    /// False for a piece of a longer line.
    pub full: bool,
    /// The bytes.
    pub payload: &'a [u8],
    /// The run that wrote it.
    pub run: u64,
    /// True when the payload is known to be printable ASCII and tabs.
    pub plain: bool,
}

/// Reads one folder.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    number: u64,
    start_offset: u64,
    /// The last segment wanted; follows for ever without one.
    last: Option<u64>,
    file: Option<File>,
    /// The next segment exists, so the present one does not grow any more.
    closing: bool,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    plain: bool,
    /// In the middle of something longer than the buffer, which cannot be a record.
    oversized: bool,
    run: u64,
    clock: Clock,
    anchors: Arc<Anchors>,
    stamps: Stamps,
    present: Present,
    /// Lines that are no records.
    pub n_skipped: u64,
    /// Segments that were removed before they were read.
    pub n_dropped: u64,
}

/// The record the reader stands on, as places in its buffer.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    key: i64,
    time: i64,
    stream: Option<Stream>,
    full: bool,
    from: usize,
    to: usize,
}

impl Reader {
    /// A reader of `dir` from `start` on, up to and with segment `last` where one is given.
    pub fn new(dir: &Path, start: Start, last: Option<u64>, buffer: usize) -> Reader {
        Reader::anchored(dir, start, last, buffer, Arc::default())
    }

    /// The same, whose keys agree with those of all readers that have these anchors.
    pub fn anchored(dir: &Path, start: Start, last: Option<u64>, buffer: usize, anchors: Arc<Anchors>) -> Reader {
        let mut clock = Clock::default();
        if let Some(mark) = start.mark {
            clock.mark(mark, &anchors);
        }
        Reader {
            dir: dir.to_owned(),
            number: start.segment,
            start_offset: start.offset,
            last,
            file: None,
            closing: false,
            buffer: vec![0; buffer.max(MIN_BUFFER)].into_boxed_slice(),
            at: 0,
            end: 0,
            plain: true,
            oversized: false,
            run: start.run,
            clock,
            anchors,
            stamps: Stamps::default(),
            present: Present::default(),
            n_skipped: 0,
            n_dropped: 0,
        }
    }

    /// The folder it reads.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The record the last successful [`advance`](Reader::advance) came to.
    #[inline]
    pub fn raw(&self) -> Option<Raw<'_>> {
        let Present { key, time, stream, full, from, to } = self.present;
        let stamp = self.buffer[from..to].first_chunk::<STAMP>()?;
        let payload = &self.buffer[from + HEADER..to];
        Some(Raw { key, time, stamp, stream: stream?, full, payload, run: self.run, plain: self.plain })
    }

    /// The key of the present record.
    #[inline]
    pub fn key(&self) -> i64 {
        self.present.key
    }

    /// Goes to the next record. False when nothing more is written yet.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, PathError> {
        loop {
            let rest = &self.buffer[self.at..self.end];
            let Some(len) = memchr::memchr(b'\n', rest) else {
                if self.fill()? {
                    continue;
                }
                return Ok(false);
            };
            let from = self.at;
            self.at += len + 1;
            if self.oversized {
                self.oversized = false;
                continue;
            }
            if self.take(from, from + len) {
                return Ok(true);
            }
        }
    }

    /// Reads one line; true when it is a record to show.
    #[inline]
    fn take(&mut self, from: usize, to: usize) -> bool {
        let line = &self.buffer[from..to];
        let (Some(found), Some(stamp)) = (record::parse(line), line.first_chunk::<STAMP>()) else {
            self.n_skipped += 1;
            return false;
        };
        let Some(time) = self.stamps.micros(stamp) else {
            self.n_skipped += 1;
            return false;
        };
        if found.stream == Stream::Mark {
            self.mark(time, from + HEADER, to);
            return false;
        }
        let (stream, full) = (Some(found.stream), found.full);
        self.present = Present { key: self.clock.key(time), time, stream, full, from, to };
        true
    }

    #[cold]
    fn mark(&mut self, wall: i64, from: usize, to: usize) {
        let Some(mark) = segments::mark(wall, &self.buffer[from..to]) else {
            self.n_skipped += 1;
            return;
        };
        self.run = mark.run;
        if let Some(clocks) = mark.clocks {
            self.clock.mark(clocks, &self.anchors);
        }
    }

    /// Reads more bytes. False when there are none yet.
    fn fill(&mut self) -> Result<bool, PathError> {
        if self.at > 0 {
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
            self.present.stream = None;
        }
        if self.end == self.buffer.len() {
            self.n_skipped += u64::from(!self.oversized);
            self.oversized = true;
            self.end = 0;
        }
        loop {
            if self.file.is_none() && !self.open_first()? {
                return Ok(false);
            }
            let n = self.read()?;
            if n > 0 {
                self.end += n;
                self.plain = is_plain(&self.buffer[..self.end]);
                return Ok(true);
            }
            if self.closing {
                self.leave()?;
            } else if self.last.is_some_and(|last| self.number >= last) || !self.goes_on()? {
                return Ok(false);
            } else {
                // Whoever made the next segment had finished this one: one more read sees all of it.
                self.closing = true;
            }
        }
    }

    fn read(&mut self) -> Result<usize, PathError> {
        let Some(file) = &mut self.file else { return Ok(0) };
        loop {
            match file.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.context("read", &self.dir.join(record::segment_name(self.number))),
            }
        }
    }

    /// Opens the segment to begin with, or the next one there is.
    fn open_first(&mut self) -> Result<bool, PathError> {
        loop {
            if self.number > 0
                && let Some(mut file) = segments::open(&self.dir, self.number)?
            {
                if self.start_offset > 0 {
                    file.seek(SeekFrom::Start(self.start_offset)).context("read", &self.dir)?;
                    self.start_offset = 0;
                }
                self.file = Some(file);
                return Ok(true);
            }
            let all = segments::list(&self.dir)?;
            let Some(next) = all.into_iter().find(|n| *n > self.number) else { return Ok(false) };
            if self.number > 0 {
                self.n_dropped += next - self.number;
            }
            (self.number, self.start_offset) = (next, 0);
        }
    }

    /// Whether a later segment exists.
    fn goes_on(&mut self) -> Result<bool, PathError> {
        if self.dir.join(record::segment_name(self.number + 1)).symlink_metadata().is_ok() {
            return Ok(true);
        }
        // The oldest go first: as long as this one has a name, none after it is missing.
        let linked = self.file.as_ref().and_then(|file| file.metadata().ok()).is_none_or(|meta| meta.nlink() > 0);
        if linked {
            return Ok(false);
        }
        let all = segments::list(&self.dir)?;
        if all.last().is_some_and(|newest| *newest <= self.number) {
            // The folder was removed and made again: its segments begin anew.
            self.number = 0;
        }
        Ok(!all.is_empty())
    }

    /// Goes to the next segment.
    fn leave(&mut self) -> Result<(), PathError> {
        if self.end > 0 || self.oversized {
            self.n_skipped += u64::from(!self.oversized);
            self.oversized = false;
            self.end = 0;
        }
        self.closing = false;
        self.file = None;
        let next = segments::list(&self.dir)?.into_iter().find(|n| *n > self.number);
        if let Some(next) = next {
            self.n_dropped += if self.number > 0 { next - self.number - 1 } else { 0 };
            self.number = next;
        }
        Ok(())
    }
}

/// Whether there is nothing but printable ASCII, tabs and newlines.
#[inline]
pub fn is_plain(bytes: &[u8]) -> bool {
    // No early end within a block: so the compiler makes vectors of it.
    bytes.chunks(512).all(|block| block.iter().fold(0, |odd, byte| odd | strange(*byte)) == 0)
}

#[inline]
fn strange(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') & u8::from(byte != b'\t') & u8::from(byte != b'\n')
}

/// Where reading all that is kept between two moments begins, and the last segment it needs.
pub fn span(dir: &Path, since: Option<i64>, until: Option<i64>) -> Result<(Start, Option<u64>), PathError> {
    let all = segments::list(dir)?;
    // A segment whose beginning is torn has no moment, and is as old as those around it allow.
    let heads = all.iter().map(|number| segments::head(dir, *number)).collect::<Result<Vec<_>, PathError>>()?;
    let newest_before = |moment: i64| {
        let known = |head: &Option<segments::Head>| head.as_ref().is_some_and(|head| head.wall <= moment);
        heads.iter().rposition(known)
    };
    let first = since.and_then(newest_before).unwrap_or(0);
    let last = until.map(|until| {
        let known = newest_before(until).unwrap_or(first);
        known + heads.iter().skip(known + 1).take_while(|head| head.is_none()).count()
    });
    let last = last.and_then(|at| all.get(at).copied());
    let segment = all.get(first).copied().unwrap_or(0);
    let mut marks: Vec<_> = heads.iter().skip(first).filter_map(|head| head.as_ref()?.mark?.clocks).collect();
    marks.extend(segments::newest_mark(dir, &all)?.and_then(|mark| mark.clocks));
    Ok((Start { segment, marks, ..Start::default() }, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::Folder;

    fn lines(reader: &mut Reader) -> Vec<String> {
        let mut out = Vec::new();
        while reader.advance().unwrap() {
            out.push(String::from_utf8_lossy(reader.raw().unwrap().payload).into_owned());
        }
        out
    }

    #[test]
    fn a_segment_with_a_torn_beginning_is_read() {
        let mut folder = Folder::new();
        folder.bytes(b"2026-01-02T03:04:05.67\n").line(2, Stream::Stdout, "a").rotate();
        folder.mark(5, 1, 5).line(5, Stream::Stdout, "b").rotate();
        folder.bytes(b"torn\n").line(6, Stream::Stdout, "c").rotate().mark(9, 1, 9).line(9, Stream::Stdout, "d");
        let read = |since, until| {
            let (start, last) = span(folder.dir(), since, until).unwrap();
            lines(&mut Reader::new(folder.dir(), start, last, 0)).concat()
        };
        assert_eq!(read(None, None), "abcd");
        assert_eq!(read(Some(5), None), "bcd");
        assert_eq!(read(Some(9), None), "d");
        assert_eq!(read(None, Some(6)), "abc");
        assert_eq!(read(None, Some(1)), "a");
    }

    fn reader(folder: &Folder) -> Reader {
        Reader::new(folder.dir(), Start::default(), None, 0)
    }

    #[test]
    fn follows_over_rotation() {
        let mut folder = Folder::new();
        folder.mark(1, 1, 1).line(1, Stream::Stdout, "a").line(2, Stream::Stderr, "b");
        let mut reader = reader(&folder);
        assert_eq!(lines(&mut reader), ["a", "b"]);
        folder.line(3, Stream::Stdout, "c").rotate().mark(4, 2, 4).line(4, Stream::Stdout, "d");
        assert_eq!(lines(&mut reader), ["c", "d"]);
        assert_eq!(reader.raw().map(|raw| raw.run), None);
        folder.rotate().line(5, Stream::Stdout, "e");
        assert!(reader.advance().unwrap());
        assert_eq!(reader.raw().unwrap().run, 2);
        assert_eq!((reader.n_skipped, reader.n_dropped), (0, 0));
    }

    #[test]
    fn a_torn_line_waits_for_its_end() {
        let mut folder = Folder::new();
        folder.bytes(b"1970-01-01T00:00:00.000001Z o F hal");
        let mut reader = reader(&folder);
        assert!(lines(&mut reader).is_empty());
        folder.bytes(b"lo\n");
        assert_eq!(lines(&mut reader), ["hallo"]);
    }

    #[test]
    fn garbage_is_skipped_and_counted() {
        let mut folder = Folder::new();
        folder.bytes(b"garbage\n\n").line(1, Stream::Stdout, "a").bytes(&vec![0; 300_000]).bytes(b"\n");
        folder.line(2, Stream::Stdout, "b").bytes(b"1970-01-01T00:00:00.0000").rotate().line(3, Stream::Stdout, "c");
        let mut reader = reader(&folder);
        assert_eq!(lines(&mut reader), ["a", "b", "c"]);
        assert_eq!(reader.n_skipped, 4);
    }

    #[test]
    fn what_was_removed_before_it_was_read_is_counted() {
        let mut folder = Folder::new();
        folder.line(1, Stream::Stdout, "a");
        let mut reader = reader(&folder);
        assert_eq!(lines(&mut reader), ["a"]);
        folder.rotate().line(2, Stream::Stdout, "b").rotate().line(3, Stream::Stdout, "c").rotate().line(
            4,
            Stream::Stdout,
            "d",
        );
        for number in 1..=2 {
            std::fs::remove_file(folder.dir().join(record::segment_name(number))).unwrap();
        }
        assert_eq!(lines(&mut reader), ["c", "d"]);
        assert_eq!(reader.n_dropped, 1);
    }

    #[test]
    fn a_folder_made_again_is_read_from_its_beginning() {
        let mut folder = Folder::new();
        folder.line(1, Stream::Stdout, "a").rotate().line(2, Stream::Stdout, "b");
        let mut reader = reader(&folder);
        assert_eq!(lines(&mut reader), ["a", "b"]);
        folder.wipe();
        assert!(lines(&mut reader).is_empty());
        folder.line(3, Stream::Stdout, "c");
        assert_eq!(lines(&mut reader), ["c"]);
        assert_eq!(reader.n_dropped, 0);
    }

    #[test]
    fn times_choose_segments() {
        let mut folder = Folder::new();
        for n in 1..=5 {
            folder.mark(n * 100, 1, n * 100).line(n * 100, Stream::Stdout, &n.to_string()).rotate();
        }
        let (start, last) = span(folder.dir(), Some(250), Some(450)).unwrap();
        assert_eq!((start.segment, last), (2, Some(4)));
        assert_eq!(lines(&mut Reader::new(folder.dir(), start, last, 0)), ["2", "3", "4"]);
        let (start, last) = span(folder.dir(), None, Some(50)).unwrap();
        assert_eq!((start.segment, last), (1, Some(1)));
    }

    #[test]
    fn plain_is_printable_ascii() {
        assert!(is_plain(b"some\ttext\n~ "));
        for odd in [0, 7, 13, 27, 0x7f, 0x80, 0xff] {
            let mut text = vec![b'x'; 700];
            text[600] = odd;
            assert!(!is_plain(&text), "{odd}");
        }
    }
}
