//! From bytes of a segment to blocks.

use std::sync::Arc;

use super::block::{Block, Flags};
use super::fold::{self, Fold};
use super::place::stream_index;
use super::query::code;
use crate::logs::clock::Anchors;
use crate::logs::level;
use crate::logs::reader::MIN_BUFFER;
use crate::logs::record::{self, Record, STAMP, Stream};
use crate::logs::segments;
use crate::logs::sources::Channel;
use crate::logs::sources::Source;
use crate::logs::stamp::Stamps;

/// What one pass came to.
#[derive(Debug)]
pub(super) struct Scanned {
    /// In order; the first may be the one that was gone on with.
    pub(super) blocks: Vec<Block>,
    /// Bytes up to and with the last newline.
    pub(super) len: usize,
    /// Lines that are no records.
    pub(super) n_skipped: u64,
    /// Where lines begin whose next piece came in this pass, but which do not begin in it: a piece may change what matches them.
    pub(super) grown: [bool; super::place::STREAMS],
}

/// Parses whole records that lie one after the other in a segment, and goes on with `block`.
pub(super) fn scan(source: &Source, anchors: &Anchors, block: Block, bytes: &[u8]) -> Scanned {
    let last = block.last_key();
    let offset = block.offset + block.len;
    let mut scan = Scan {
        source,
        anchors,
        stamps: Stamps::default(),
        last,
        done: Vec::new(),
        block,
        n_skipped: 0,
        grown: [false; 3],
    };
    let mut at = 0;
    while let Some(len) = memchr::memchr(b'\n', &bytes[at..]) {
        scan.line(offset + at as u64, &bytes[at..at + len]);
        at += len + 1;
        scan.block.len = offset + at as u64 - scan.block.offset;
    }
    scan.done.push(scan.block);
    Scanned { blocks: scan.done, len: at, n_skipped: scan.n_skipped, grown: scan.grown }
}

struct Scan<'a> {
    source: &'a Source,
    anchors: &'a Anchors,
    stamps: Stamps,
    /// The key of the line before.
    last: i64,
    done: Vec<Block>,
    block: Block,
    n_skipped: u64,
    grown: [bool; 3],
}

impl Scan<'_> {
    #[inline]
    fn line(&mut self, offset: u64, line: &[u8]) {
        let parsed = if line.len() > MIN_BUFFER { None } else { record::parse(line) };
        let time = line.first_chunk::<STAMP>().and_then(|stamp| self.stamps.micros(stamp));
        let (Some(found), Some(time)) = (parsed, time) else {
            self.n_skipped += 1;
            return;
        };
        if found.stream == Stream::Mark {
            self.mark(time, found.payload);
            return;
        }
        let index = stream_index(found.stream);
        let run = self.block.end.run;
        // Boots may begin with a clock that was set back: the order of the file stands.
        let key = self.block.end.clock.key(time).max(self.last);
        self.last = key;
        let begins = self.block.end.streams[index].open != Some(run);
        if begins && !self.block.takes(offset, key) {
            self.cut(offset, key);
        }
        self.block.end.streams[index].open = (!found.full).then_some(run);
        if begins {
            self.begin(offset, line.len() + 1, key, index, &found);
        } else {
            self.grown[index] = true;
        }
        self.block.touch[index].records = true;
    }

    /// A line begins with this record.
    #[inline]
    fn begin(&mut self, offset: u64, len: usize, key: i64, index: usize, found: &Record<'_>) {
        let ours = self.source.channel(found.stream) == Channel::Orchestra;
        let said = if ours { None } else { level::detect(found.payload) };
        let stream = &mut self.block.end.streams[index];
        let (continues, fold) = fold::classify(found.payload, stream.fold, said.is_some());
        stream.fold = fold;
        if said.is_some() {
            stream.level = code(said);
        }
        let before = said.is_none() && !self.block.touch[index].levels;
        let flags = Flags::new(stream.level, index, said.is_some(), continues, before);
        self.block.push(offset, len, key, flags);
    }

    /// The next block begins here, with the state before this record.
    fn cut(&mut self, offset: u64, key: i64) {
        self.block.len = offset - self.block.offset;
        let next = Block::new(Arc::clone(&self.block.segment), offset, self.block.end.clone(), key);
        let mut done = std::mem::replace(&mut self.block, next);
        done.seal();
        self.done.push(done);
    }

    #[cold]
    fn mark(&mut self, wall: i64, payload: &[u8]) {
        let Some(mark) = segments::mark(wall, payload) else {
            self.n_skipped += 1;
            return;
        };
        let block = &mut self.block;
        if block.end.run != mark.run {
            block.end.run = mark.run;
            block.set_run(mark.run);
            for (stream, touch) in block.end.streams.iter_mut().zip(&mut block.touch) {
                // What another run writes goes on from nothing.
                stream.fold = Fold::Nothing;
                touch.records = true;
            }
        }
        if let Some(clocks) = mark.clocks {
            block.end.clock.mark(clocks, self.anchors);
        }
    }
}
