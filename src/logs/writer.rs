//! The one writer of an instance's segments: stamps, rotates, and on a full disk drops whole lines, counts them and says so.
//!
//! It allocates nothing while lines flow. Nothing here waits for the disk with fsync.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use super::clock::Pair;
use super::record::{self, HEADER, MAX_PAYLOAD, SEGMENT, STAMP, Stream};
use super::stamp::{micros, text as stamp};
use crate::sys::fd::{Pages, headroom, is_exhaustion, mono_ns, wall_us};
use crate::sys::folder::{Folder, Want};
use crate::sys::os;

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

/// The current segment.
#[derive(Debug, Default)]
struct Output {
    file: Option<File>,
    size: u64,
    /// Bytes that may be written before the file system is asked again.
    budget: u64,
}

/// Where records come from that carry times of their own, and can be had again: the log of a container.
#[derive(Clone, Debug)]
pub struct Origin {
    id: String,
    clock: fn() -> Pair,
}

impl Origin {
    /// `id` without spaces and short; marks carry it, so that whoever goes on knows which records came from there.
    pub fn new(id: &str) -> Origin {
        Origin::with_clock(id, now)
    }

    /// The same, by other clocks.
    pub fn with_clock(id: &str, clock: fn() -> Pair) -> Origin {
        Origin { id: id.chars().filter(char::is_ascii_graphic).take(ORIGIN).collect(), clock }
    }

    /// As marks carry it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The two clocks at this moment.
    pub fn now(&self) -> Pair {
        (self.clock)()
    }
}

impl Output {
    /// Appends bytes that are whole records; on failure only whole records stay in the file, and the error comes with their length.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let Some(file) = &mut self.file else { return Err((0, io::Error::from_raw_os_error(libc::ENOENT))) };
        let mut written = 0;
        let error = loop {
            if written == bytes.len() {
                self.size += written as u64;
                self.budget = self.budget.saturating_sub(written as u64);
                return Ok(());
            }
            match file.write(&bytes[written..]) {
                Ok(0) => break io::Error::from_raw_os_error(libc::ENOSPC),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        let whole = memchr::memrchr(b'\n', &bytes[..written]).map_or(0, |at| at + 1);
        self.size += whole as u64;
        if file.set_len(self.size).is_err() {
            // The torn record stays for now; opening the segment again completes it.
            self.file = None;
        }
        Err((whole, error))
    }
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

    /// Makes sure that there is a segment with room, under its own name, and room on the disk.
    fn ready_file(&mut self, more: u64) -> io::Result<()> {
        let unlinked = match &self.out.file {
            None => true,
            // Once a second is enough to notice that somebody removed the logs.
            Some(file) => mono_ns() >= self.marked_at + 1_000_000_000 && file.metadata()?.nlink() == 0,
        };
        if unlinked {
            self.reopen()?;
        }
        if self.out.size > 0 && self.out.size + more > self.segment_size() {
            self.begin_next(more)?;
        }
        if self.out.budget < more {
            self.ask_disk(more)?;
        }
        Ok(())
    }

    /// Keeps out of the last twentieth of the disk; our own oldest segments go first.
    fn ask_disk(&mut self, more: u64) -> io::Result<()> {
        loop {
            let Some(folder) = &self.folder else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
            match headroom(folder.fd().as_fd()) {
                None => self.out.budget = ASK_EVERY.max(more),
                Some(room) if room >= more => self.out.budget = room.min(ASK_EVERY.max(more)),
                Some(_) if self.oldest < self.number => {
                    self.remove_oldest();
                    continue;
                }
                Some(_) => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            }
            return Ok(());
        }
    }

    fn segment_size(&self) -> u64 {
        (self.place.keep / 4).clamp(64 * 1024, SEGMENT)
    }

    /// Finds the segments there are and goes on with the newest; completes a torn last record.
    fn reopen(&mut self) -> io::Result<()> {
        self.out.file = None;
        let folder = Folder::beneath(&self.place.dot, &self.place.folder).or_else(|error| {
            self.make_dot(error).and_then(|()| Folder::beneath(&self.place.dot, &self.place.folder))
        })?;
        let (mut first, mut last) = (u64::MAX, 0);
        let mut total = 0;
        folder.names(|name| {
            if let Some((name, number)) = name.to_str().and_then(|n| Some((n, record::segment_number(n)?))) {
                first = first.min(number);
                last = last.max(number);
                total += folder.size(name).unwrap_or(0);
            }
        })?;
        let (file, number) = match last {
            0 => (folder.file(&record::segment_name(1), Want::New)?, 1),
            last => (folder.file(&record::segment_name(last), Want::Append)?, last),
        };
        self.out.size = file.metadata()?.len();
        self.closed = total.saturating_sub(self.out.size);
        self.oldest = first.min(number);
        self.number = number;
        if self.out.size > 0 {
            let mut end = [0];
            file.read_exact_at(&mut end, self.out.size - 1)?;
            if end != *b"\n" && self.origin.is_some() {
                self.out.size = end_of_last_line(&file, self.out.size)?;
                file.set_len(self.out.size)?;
            } else if end != *b"\n" {
                (&file).write_all(b"\n")?;
                self.out.size += 1;
            }
        }
        self.out.file = Some(file);
        self.folder = Some(folder);
        self.trim();
        self.mark()
    }

    /// Somebody removed `.orchestra` itself: it is made again.
    fn make_dot(&self, error: io::Error) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        std::fs::DirBuilder::new().mode(0o700).create(&self.place.dot)
    }

    /// Rotates. Where there is no inode or descriptor for another segment the current one grows instead, as far as all of them together may.
    fn begin_next(&mut self, more: u64) -> io::Result<()> {
        loop {
            match self.rotate() {
                Err(error) if is_exhaustion(&error) => {
                    if self.closed + self.out.size + more <= self.place.keep {
                        return Ok(());
                    } else if self.oldest == self.number {
                        return Err(error);
                    }
                    self.remove_oldest();
                }
                done => return done,
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
        let next = match folder.file(&record::segment_name(self.number + 1), Want::New) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.reopen(),
            other => other?,
        };
        self.closed += self.out.size;
        self.number += 1;
        self.out.size = 0;
        self.out.file = Some(next);
        self.trim();
        self.mark()
    }

    /// Removes the oldest segments beyond what is kept.
    fn trim(&mut self) {
        while self.closed + self.segment_size() > self.place.keep.max(self.segment_size()) && self.oldest < self.number
        {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        let name = record::segment_name(self.oldest);
        if let Some(folder) = &self.folder {
            let size = folder.size(&name).unwrap_or(0);
            // One that cannot be removed is not counted again; the next run tries once more.
            drop(folder.remove(&name));
            self.closed = self.closed.saturating_sub(size);
        }
        self.oldest += 1;
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
            write!(rest, " wall={} from={}", clocks.wall, origin.id)?;
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

    /// Ends lines that were cut off, and says how many were dropped.
    fn confess(&mut self) -> io::Result<()> {
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

    fn note_failure(&mut self, error: &io::Error) {
        self.cause = error.raw_os_error().unwrap_or(libc::EIO);
        self.failed_at = mono_ns();
        self.out.budget = 0;
    }

    /// Drops the records of the batch from `kept` on, and counts the lines that end in them.
    fn drop_batch(&mut self, kept: usize) {
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

    fn drop_record(&mut self, line: usize, full: bool) {
        self.lines[line].torn = !full;
        self.lines[line].cut |= self.lines[line].open;
        self.dropped += u64::from(full);
    }
}

/// Where the last line that is whole ends.
fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 2 * MAX_PAYLOAD];
    let mut to = len;
    while to > 0 {
        let from = to.saturating_sub(buffer.len() as u64);
        let part = &mut buffer[..(to - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// The beginning of what tells this start of the machine from others.
fn boot() -> Option<u32> {
    u32::from_str_radix(os::boot_id().ok()?.get(..8)?, 16).ok()
}

/// The two clocks at this moment.
pub fn now() -> Pair {
    // Nanoseconds to microseconds: always within i64.
    Pair { wall: wall_us(), steady: (mono_ns() / 1000) as i64, boot: boot() }
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

/// What mends itself: no room, or a disk that fails.
fn is_shortage(error: &io::Error) -> bool {
    is_exhaustion(error) || matches!(error.raw_os_error(), Some(libc::EIO | libc::EROFS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::segments;
    use std::path::Path;

    fn place(dir: &Path, keep: u64, run: u64) -> Place {
        Place { dot: dir.to_owned(), folder: PathBuf::from("logs/api/1"), keep, run }
    }

    fn all(dir: &Path) -> Vec<u8> {
        let mut names: Vec<_> = std::fs::read_dir(dir.join("logs/api/1")).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        names.into_iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
    }

    fn payloads(bytes: &[u8]) -> Vec<String> {
        let lines = bytes.split(|b| *b == b'\n').filter_map(record::parse);
        lines.filter(|r| r.stream != Stream::Mark).map(|r| String::from_utf8_lossy(r.payload).into_owned()).collect()
    }

    #[test]
    fn begins_with_a_mark_and_goes_on_in_the_newest_segment() {
        let dir = tempfile::tempdir().unwrap();
        for run in [1, 2] {
            let mut writer = Writer::open(place(dir.path(), SEGMENT, run)).unwrap();
            writer.append(Stream::Stdout, true, format!("line {run}").as_bytes());
            writer.flush();
        }
        let bytes = all(dir.path());
        assert_eq!(payloads(&bytes), ["line 1", "line 2"]);
        let marks = bytes.split(|b| *b == b'\n').filter_map(record::parse).filter(|r| r.stream == Stream::Mark);
        let marks: Vec<_> = marks.map(|r| String::from_utf8_lossy(&r.payload[..6]).into_owned()).collect();
        assert_eq!(marks, ["run=1 ", "run=2 "]);
    }

    #[test]
    fn a_mark_pairs_both_clocks_for_one_moment() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(place(dir.path(), SEGMENT, 1)).unwrap();
        let difference = |pair: Pair| pair.wall - pair.steady;
        writer.stamp = stamp(wall_us() - 400_000);
        writer.mark().unwrap();
        let bytes = all(dir.path());
        let mut marks = bytes.rsplit(|b| *b == b'\n').filter_map(record::parse).filter(|r| r.stream == Stream::Mark);
        let last = marks.next().unwrap();
        let clocks = segments::mark(micros(last.stamp).unwrap(), last.payload).unwrap().clocks.unwrap();
        let off = difference(clocks) - difference(now());
        assert!(off.abs() < 200_000, "{off}");
    }

    #[test]
    fn a_torn_last_record_is_ended_never_glued() {
        let dir = tempfile::tempdir().unwrap();
        drop(Writer::open(place(dir.path(), SEGMENT, 1)).unwrap());
        let path = dir.path().join("logs/api/1/0000000001.log");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"2026-01-02T03:04:05.678901Z o F to");
        std::fs::write(&path, &bytes).unwrap();
        let mut writer = Writer::open(place(dir.path(), SEGMENT, 2)).unwrap();
        writer.append(Stream::Stdout, true, b"next");
        writer.flush();
        assert_eq!(payloads(&all(dir.path())), ["to", "next"]);
    }

    #[test]
    fn rotates_at_record_ends_and_keeps_what_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let keep = 4 * 64 * 1024;
        let mut writer = Writer::open(place(dir.path(), keep, 1)).unwrap();
        for n in 0..20_000 {
            writer.append(Stream::Stdout, true, format!("L{n:010}").as_bytes());
        }
        writer.flush();
        let bytes = all(dir.path());
        assert!(bytes.len() as u64 <= keep + 64 * 1024, "{}", bytes.len());
        let numbers: Vec<u64> = payloads(&bytes).iter().map(|l| l[1..].parse().unwrap()).collect();
        assert_eq!(numbers.last(), Some(&19_999));
        assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1));
        assert!(numbers.len() > 3000);
    }

    #[test]
    fn removed_logs_are_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let dot = dir.path().join("dot");
        std::fs::create_dir(&dot).unwrap();
        let mut writer = Writer::open(place(&dot, SEGMENT, 1)).unwrap();
        std::fs::remove_dir_all(&dot).unwrap();
        writer.marked_at = 0;
        writer.append(Stream::Stdout, true, b"again");
        writer.flush();
        assert_eq!(payloads(&all(&dot)), ["again"]);
    }

    #[test]
    fn dropped_lines_are_counted_and_confessed() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(place(dir.path(), SEGMENT, 1)).unwrap();
        writer.append(Stream::Stdout, false, b"begin ");
        writer.flush();
        writer.note_failure(&io::Error::from_raw_os_error(libc::ENOSPC));
        for n in 0..7 {
            writer.append(Stream::Stdout, true, format!("lost {n}").as_bytes());
            writer.append(Stream::Stderr, false, b"lost piece");
            writer.flush();
            writer.append(Stream::Stderr, true, b"lost end");
        }
        writer.flush();
        assert_eq!(writer.dropped(), 14);
        writer.failed_at = 1;
        writer.append(Stream::Stdout, true, b"back");
        writer.flush();
        assert_eq!(payloads(&all(dir.path())), ["begin ", "", "14 lines dropped: ENOSPC", "back"]);
        assert!(!writer.is_behind());
    }
}
