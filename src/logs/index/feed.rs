//! Reads the segments of one source: backwards from its end to its beginning, and forwards what is written from then on.

use std::path::Path;
use std::sync::Arc;

use memchr::memmem;

use super::block::{Block, State};
use super::fold::Fold;
use super::scan::{Scanned, scan};
use super::segment::{Pool, Segment};
use crate::error::{Context, PathError};
use crate::logs::clock::Anchors;
use crate::logs::record::{self, STAMP};
use crate::logs::segments::{self, Mark};
use crate::logs::sources::Source;
use crate::logs::stamp;

/// How much is read at a time, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// The first look at all sources together.
    pub(super) first: u64,
    /// The first look at one source, at least.
    pub(super) first_least: u64,
    /// A closed segment up to this size is read at once, from its first mark on.
    pub(super) at_once: u64,
    /// Others are read in parts of this size.
    pub(super) part: u64,
    /// So much of removed segments is kept readable, for whoever is just reading them.
    pub(super) removed: u64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        const MIB: u64 = 1024 * 1024;
        Sizes { first: 4 * MIB, first_least: 32 * 1024, at_once: 16 * MIB, part: MIB, removed: 64 * MIB }
    }
}

/// A line that is longer is no record: a part may begin in the middle of it.
const LONGEST: u64 = 8 * 1024 * 1024;
/// So much of what was written since is read at a time.
const MORE: u64 = 1024 * 1024;

/// Where a source is being read.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) source: Source,
    sizes: Sizes,
    dir: Arc<Path>,
    /// Segments that were not begun, the newest last, with their place in the order.
    left: Vec<(u64, u32)>,
    /// The segment that is read backwards, and how much of it is left.
    part: Option<(Arc<Segment>, u64)>,
    /// The newest segment, and how far it was read.
    tail: Option<(Arc<Segment>, u64)>,
    /// The next segment exists: the newest does not grow any more.
    closing: bool,
    next_seq: u32,
    /// The last mark before the part that was read last.
    mark: Option<(u32, u64, Mark)>,
    /// Segments that were removed before they were read.
    pub(super) n_dropped: u64,
}

/// Lines that were read, and what they take of the disk.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) scanned: Scanned,
    pub(super) bytes: u64,
}

impl Feed {
    /// Of the segments there are. The second: all of their bytes.
    pub(super) fn new(source: &Source, sizes: Sizes) -> Result<(Feed, u64), PathError> {
        let numbers = segments::list(&source.dir)?;
        let path = |number: &u64| source.dir.join(record::segment_name(*number));
        let bytes =
            numbers.iter().filter_map(|number| path(number).symlink_metadata().ok()).map(|meta| meta.len()).sum();
        let next_seq = numbers.len() as u32;
        let feed = Feed {
            source: source.clone(),
            sizes,
            dir: source.dir.as_path().into(),
            left: numbers.into_iter().zip(0..).collect(),
            part: None,
            tail: None,
            closing: false,
            next_seq,
            mark: None,
            n_dropped: 0,
        };
        Ok((feed, bytes))
    }

    /// Everything that was there at the beginning was read.
    pub(super) fn is_complete(&self) -> bool {
        self.left.is_empty() && self.part.as_ref().is_none_or(|(_, to)| *to == 0)
    }

    /// Nothing was read yet.
    pub(super) fn is_new(&self) -> bool {
        self.tail.is_none() && !self.left.is_empty()
    }

    /// Reads the part before what was read; `first` bytes of it, not 0, where nothing was. `None` at the beginning.
    pub(super) fn back(&mut self, first: u64, anchors: &Anchors, pool: &Pool) -> Result<Option<Part>, PathError> {
        loop {
            if let Some((segment, to)) = self.part.clone().filter(|(_, to)| *to > 0) {
                return self.part_before(&segment, to, first, anchors, pool).map(Some);
            }
            let Some((number, seq)) = self.left.pop() else { return Ok(None) };
            let Some(segment) = Segment::open(&self.dir, number, seq, pool)? else {
                self.n_dropped += 1;
                continue;
            };
            let len = segment.len(pool).context("read", &self.dir)?;
            self.part = Some((Arc::clone(&segment), len));
            if self.tail.is_none() {
                self.tail = Some((segment, len));
            }
        }
    }

    fn part_before(
        &mut self,
        segment: &Arc<Segment>,
        to: u64,
        first: u64,
        anchors: &Anchors,
        pool: &Pool,
    ) -> Result<Part, PathError> {
        let newest = self.tail.as_ref().is_some_and(|(tail, _)| tail.seq == segment.seq);
        // The very first part ends where the newest segment ends, which may be in the middle of a record.
        let at_end = first > 0;
        let mut size = match (at_end, newest) {
            (true, _) => first,
            (_, false) if to <= self.sizes.at_once => to,
            _ => self.sizes.part,
        };
        let mut bytes = Vec::new();
        let (begin, from) = loop {
            let from = to.saturating_sub(size);
            // With the byte before: where it is a newline the part begins with a record.
            let read_from = from.saturating_sub(1);
            bytes.resize((to - read_from) as usize, 0);
            let len = segment.read_at(pool, read_from, &mut bytes).context("read", &self.dir)?;
            bytes.truncate(len);
            let begin = if from == 0 { Some(0) } else { memchr::memchr(b'\n', &bytes).map(|at| at + 1) };
            match begin {
                Some(begin) if from == 0 || begin < bytes.len() => break (begin, read_from),
                _ if size >= LONGEST => break (0, read_from),
                _ => size *= 2,
            }
        };
        let offset = from + begin as u64;
        let state = self.state_at(segment, offset, anchors, pool)?;
        let block = Block::new(Arc::clone(segment), offset, state, i64::MIN);
        let mut scanned = scan(&self.source, anchors, block, &bytes[begin..]);
        let rest = bytes.len() - begin - scanned.len;
        if at_end {
            self.tail = Some((Arc::clone(segment), offset + scanned.len as u64));
        } else if rest > 0 {
            scanned.n_skipped += 1;
            // Blocks lie one at the other's end.
            if let Some(last) = scanned.blocks.last_mut() {
                last.len += rest as u64;
            }
        }
        self.part = Some((Arc::clone(segment), offset));
        Ok(Part { bytes: to - offset, scanned })
    }

    /// What is known of the state at a place without having read all before it: the run and the clocks, not what the streams were in.
    fn state_at(
        &mut self,
        segment: &Arc<Segment>,
        offset: u64,
        anchors: &Anchors,
        pool: &Pool,
    ) -> Result<State, PathError> {
        let mut state = State::default();
        let at_beginning = offset == 0 && self.left.is_empty();
        if !at_beginning {
            state.streams.iter_mut().for_each(|stream| stream.fold = Fold::Plain);
        }
        let mut mark = self.mark.filter(|(seq, at, _)| *seq == segment.seq && *at < offset);
        if mark.is_none() {
            let found = last_mark(segment, offset, pool).context("read", &self.dir)?;
            mark = found.map(|(at, mark)| (segment.seq, at, mark));
        }
        // At the beginning of a segment that of the one before holds: whether its first mark is that of another run is told by this.
        for (number, _) in self.left.iter().rev() {
            if mark.is_some() {
                break;
            }
            let Some(mut file) = segments::open(&self.dir, *number)? else { continue };
            let len = file.metadata().context("read", &self.dir)?.len();
            let found = segments::mark_before(&mut file, len).context("read", &self.dir)?;
            mark = found.map(|mark| (u32::MAX, 0, mark));
        }
        self.mark = mark;
        if let Some((_, _, mark)) = mark {
            state.run = mark.run;
            mark.clocks.into_iter().for_each(|clocks| state.clock.mark(clocks, anchors));
        }
        Ok(state)
    }

    /// Passes over the rest of a segment that cannot be read.
    pub(super) fn pass(&mut self) {
        self.part = None;
    }

    /// Reads on from where the newest segment was read to, at most a mebibyte; goes to the next segment at its end. `last` is the newest block.
    /// `None` when nothing whole is there.
    pub(super) fn more(
        &mut self,
        last: Option<&Block>,
        anchors: &Anchors,
        pool: &Pool,
    ) -> Result<Option<Part>, PathError> {
        let mut bytes = Vec::new();
        loop {
            if self.tail.is_none() && !self.begin(pool)? {
                return Ok(None);
            }
            let Some((segment, offset)) = self.tail.clone() else { return Ok(None) };
            let len = segment.len(pool).context("read", &self.dir)?;
            bytes.resize(len.saturating_sub(offset).min(MORE) as usize, 0);
            let len = segment.read_at(pool, offset, &mut bytes).context("read", &self.dir)?;
            bytes.truncate(len);
            if memchr::memrchr(b'\n', &bytes).is_some() {
                let block = match last {
                    Some(last) if last.segment.seq == segment.seq && last.offset + last.len == offset => last.clone(),
                    Some(last) => Block::new(Arc::clone(&segment), offset, last.end.clone(), last.last_key()),
                    None => Block::new(Arc::clone(&segment), offset, State::default(), i64::MIN),
                };
                let scanned = scan(&self.source, anchors, block, &bytes);
                self.tail = Some((segment, offset + scanned.len as u64));
                return Ok(Some(Part { bytes: scanned.len as u64, scanned }));
            }
            if len as u64 == MORE {
                // No record is that long.
                self.tail = Some((segment, offset + len as u64));
            } else if self.closing {
                if !self.leave(&segment, pool)? {
                    return Ok(None);
                }
            } else if self.goes_on(&segment)? {
                // Whoever made the next segment had finished this one: one more read sees all of it.
                self.closing = true;
            } else {
                return Ok(None);
            }
        }
    }

    /// Begins with the first segment that appears.
    fn begin(&mut self, pool: &Pool) -> Result<bool, PathError> {
        let Some(first) = segments::list(&self.dir)?.first().copied() else { return Ok(false) };
        self.open_next(first, pool)
    }

    fn open_next(&mut self, number: u64, pool: &Pool) -> Result<bool, PathError> {
        let Some(segment) = Segment::open(&self.dir, number, self.next_seq, pool)? else { return Ok(false) };
        self.next_seq += 1;
        self.tail = Some((segment, 0));
        self.closing = false;
        Ok(true)
    }

    /// Whether a later segment than this one exists.
    fn goes_on(&self, segment: &Segment) -> Result<bool, PathError> {
        let next = self.dir.join(record::segment_name(segment.number + 1));
        // The oldest go first: as long as this one has its name, none after it is missing.
        Ok(next.symlink_metadata().is_ok() || (!segment.is_linked() && !segments::list(&self.dir)?.is_empty()))
    }

    /// Goes to the segment after this one; to the first where the folder was removed and made again.
    fn leave(&mut self, segment: &Segment, pool: &Pool) -> Result<bool, PathError> {
        let numbers = segments::list(&self.dir)?;
        let next = numbers.iter().find(|number| **number > segment.number).copied();
        let Some(next) = next.or_else(|| numbers.first().filter(|_| !segment.is_linked()).copied()) else {
            self.closing = false;
            return Ok(false);
        };
        self.n_dropped += next.saturating_sub(segment.number + 1);
        self.open_next(next, pool)
    }

    /// The newest segment, which is read from.
    pub(super) fn newest(&self) -> Option<&Arc<Segment>> {
        self.tail.as_ref().map(|(segment, _)| segment)
    }
}

/// The last mark that begins before `end`, and where.
fn last_mark(segment: &Arc<Segment>, end: u64, pool: &Pool) -> std::io::Result<Option<(u64, Mark)>> {
    const STEP: u64 = 256 * 1024;
    const MARK: &[u8] = b"Z m F run=";
    /// Enough for any mark.
    const LONGEST: u64 = 256;
    let mut buffer = Vec::new();
    let mut to = end;
    while to > 0 {
        let from = to.saturating_sub(STEP);
        buffer.resize((to - from + LONGEST) as usize, 0);
        let len = segment.read_at(pool, from, &mut buffer)?;
        let bytes = &buffer[..len];
        let at_line = |at: usize| if at == 0 { from == 0 } else { bytes[at - 1] == b'\n' };
        // Forwards through the part: that is many times faster than backwards.
        let found = memmem::find_iter(bytes, MARK).filter_map(|at| {
            let begin = (at + 1).checked_sub(STAMP)?;
            let line = &bytes[begin..begin + memchr::memchr(b'\n', &bytes[begin..])?];
            let read = record::parse(line).filter(|_| at_line(begin) && from + (begin as u64) < end)?;
            Some((from + begin as u64, segments::mark(stamp::micros(read.stamp)?, read.payload)?))
        });
        if let Some(last) = found.last() {
            return Ok(Some(last));
        }
        // A mark may begin before this part and end in it.
        to = from;
    }
    Ok(None)
}
