//! The text of lines, read from the segments again.

use std::io;
use std::sync::Arc;

use super::block::Block;
use super::segment::{Pool, Segment};
use crate::logs::clean::{self, Colours};
use crate::logs::lines::JOINED;
use crate::logs::reader::is_plain;
use crate::logs::record::{self, HEADER, MAX_PAYLOAD, STAMP, Stream};
use crate::logs::segments;
use crate::logs::stamp;

/// The longest record with its newline.
const RECORD: usize = HEADER + MAX_PAYLOAD + 1;
/// So far the end of a line is looked for: it may have been left open while other streams went on.
const REACH: u64 = 8 * 1024 * 1024;

/// What text is read from.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) pool: Arc<Pool>,
    /// Of one source, in order.
    pub(super) segments: Arc<Vec<Arc<Segment>>>,
}

/// A line, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// When its first record was read.
    pub(super) time: i64,
    pub(super) bytes: Vec<u8>,
    /// There is more of it than `bytes`.
    pub(super) cut: bool,
}

impl Files {
    /// Takes note of a segment.
    pub(super) fn know(&mut self, segment: &Arc<Segment>) {
        let at = self.segments.partition_point(|known| known.seq < segment.seq);
        if self.segments.get(at).is_none_or(|known| known.seq != segment.seq) {
            Arc::make_mut(&mut self.segments).insert(at, Arc::clone(segment));
        }
    }

    /// The first `limit` bytes of a line; its end is looked for within `reach` bytes.
    fn read(&self, block: &Block, line: usize, limit: usize, reach: u64) -> io::Result<Text> {
        let (segment, offset) = (&block.segment, block.offset + u64::from(block.at[line]));
        let mut buffer = vec![0; RECORD.min(HEADER + limit + 1)];
        let len = segment.read_at(&self.pool, offset, &mut buffer)?;
        let bytes = &buffer[..len];
        let end = memchr::memchr(b'\n', bytes);
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let first = record::parse(&bytes[..end.unwrap_or(len)]).ok_or_else(gone)?;
        let time = stamp::micros(first.stamp).ok_or_else(gone)?;
        let ends = end.is_some();
        if first.full || !ends || first.payload.len() >= limit {
            let shown = first.payload.len().min(limit);
            let cut = !ends || !first.full || shown < first.payload.len();
            return Ok(Text { time, bytes: first.payload[..shown].to_vec(), cut });
        }
        let mut text = Text { time, bytes: Vec::new(), cut: true };
        let pieces = Pieces { stream: first.stream, run: block.run(line), limit, text: &mut text };
        self.join(segment, offset, reach, pieces)?;
        Ok(text)
    }

    /// Puts the pieces of a line together.
    fn join(&self, segment: &Arc<Segment>, offset: u64, reach: u64, mut pieces: Pieces<'_>) -> io::Result<()> {
        let mut buffer = vec![0; 4 * RECORD];
        let (mut segment, mut offset, mut read) = (Arc::clone(segment), offset, 0);
        while read < reach {
            let len = segment.read_at(&self.pool, offset, &mut buffer)?;
            let whole = memchr::memrchr(b'\n', &buffer[..len]).map_or(0, |end| end + 1);
            for line in buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
                if pieces.take(&line[..line.len() - 1]) {
                    return Ok(());
                }
            }
            let skipped = if whole == 0 && len == buffer.len() { len } else { whole };
            (offset, read) = (offset + skipped as u64, read + skipped as u64);
            if skipped == 0 {
                let after = self.segments.partition_point(|other| other.seq <= segment.seq);
                let Some(next) = self.segments.get(after) else { return Ok(()) };
                (segment, offset) = (Arc::clone(next), 0);
            }
        }
        Ok(())
    }

    /// The beginning of a line for a row.
    pub(super) fn row(&self, block: &Block, line: usize, limit: usize) -> io::Result<Text> {
        self.read(block, line, limit, 4 * RECORD as u64)
    }

    /// All of a line, up to 1 MiB.
    pub(super) fn whole(&self, block: &Block, line: usize) -> io::Result<Text> {
        self.read(block, line, JOINED, REACH)
    }
}

/// The pieces of one line among other records.
struct Pieces<'a> {
    stream: Stream,
    run: u64,
    limit: usize,
    text: &'a mut Text,
}

impl Pieces<'_> {
    /// Takes the next line of the segment. True when nothing more belongs to the line, or enough is there.
    fn take(&mut self, line: &[u8]) -> bool {
        let Some(found) = record::parse(line) else { return false };
        if found.stream == Stream::Mark {
            // Another run ends the line.
            let other = segments::mark(0, found.payload).is_some_and(|mark| mark.run != self.run);
            self.text.cut &= !other;
            return other;
        }
        if found.stream != self.stream {
            return false;
        }
        let room = self.limit.saturating_sub(self.text.bytes.len());
        self.text.bytes.extend_from_slice(&found.payload[..found.payload.len().min(room)]);
        if found.full {
            self.text.cut = found.payload.len() > room;
        }
        found.full || self.text.bytes.len() >= self.limit
    }
}

/// The shown texts of some lines of a block, one after the other, each with a newline.
#[derive(Debug, Default)]
pub(super) struct Texts {
    raw: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    /// Where each ends, after its newline.
    pub(super) ends: Vec<u32>,
}

impl Texts {
    /// Reads those of the lines from `from` on.
    pub(super) fn fill(&mut self, files: &Files, block: &Block, from: usize) -> io::Result<()> {
        self.bytes.clear();
        self.ends.clear();
        let Some(first) = block.at.get(from) else { return Ok(()) };
        self.raw.resize(block.text as usize - usize::from(*first), 0);
        let len = block.segment.read_at(&files.pool, block.offset + u64::from(*first), &mut self.raw)?;
        if len < self.raw.len() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let plain = is_plain(&self.raw);
        for line in from..block.n_lines() {
            let raw = &self.raw[usize::from(block.at[line] - first)..];
            let raw = &raw[..memchr::memchr(b'\n', raw).unwrap_or(raw.len())];
            let whole = raw.get(STAMP + 3) != Some(&b'P');
            let payload = raw.get(HEADER..).unwrap_or_default();
            if !whole {
                let text = files.whole(block, line)?;
                clean::clean(&text.bytes, Colours::Remove, &mut self.bytes);
            } else if plain {
                self.bytes.extend_from_slice(payload);
            } else {
                clean::clean(payload, Colours::Remove, &mut self.bytes);
            }
            self.bytes.push(b'\n');
            self.ends.push(self.bytes.len() as u32);
        }
        Ok(())
    }

    /// One of them, without its newline.
    pub(super) fn get(&self, at: usize) -> &[u8] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[from..self.ends[at] as usize - 1]
    }
}
