//! Everything that is known, and the questions it can answer without reading a file.

use std::collections::VecDeque;
use std::sync::Arc;

use super::block::Block;
use super::hits::Hits;
use super::place::{Direction, Position};
use super::query::{Pattern, Query};
use super::rates::Ring;
use super::text::Files;
use super::ticks::Ticks;
use crate::logs::sources::{Channel, Source};

/// The layer of the query, and that of the search.
pub(super) const WANTED: usize = 0;
pub(super) const FOUND: usize = 1;

/// A block and what was asked of it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) block: Arc<Block>,
    /// By layer; of another revision: not asked.
    pub(super) hits: [Hits; 2],
}

impl Slot {
    pub(super) fn new(block: Block) -> Slot {
        Slot { block: Arc::new(block), hits: [Hits::default(), Hits::default()] }
    }
}

/// One source.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) source: Source,
    /// In the order of the files.
    pub(super) slots: VecDeque<Slot>,
    pub(super) files: Files,
    /// Whether the query wants any of it.
    pub(super) selected: bool,
    /// It was read back to its beginning.
    pub(super) complete: bool,
    pub(super) n_lines: u64,
    pub(super) n_gone: u64,
    /// Segments that were removed before they were read.
    pub(super) n_dropped: u64,
    pub(super) n_skipped: u64,
    /// Bytes of all segments, and those that were read once.
    pub(super) bytes: u64,
    pub(super) scanned: u64,
    pub(super) ring: Ring,
}

/// A line of a source: the number of its block and its own in it. Either may be one beyond the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) block: usize,
    pub(super) line: usize,
}

impl At {
    pub(super) const FIRST: At = At { block: 0, line: 0 };
}

/// Where each source is cut, and how far down everything is known.
pub(super) struct Cut {
    /// By number of the source.
    pub(super) at: Vec<At>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) logs: Vec<Log>,
    pub(super) query: Arc<Query>,
    pub(super) search: Option<Arc<Pattern>>,
    /// By layer; never 0.
    pub(super) revision: [u32; 2],
    /// From where and which way a hit of the search is wanted first.
    pub(super) hunt: Option<(i64, Direction)>,
    pub(super) ticks: Ticks,
    /// The thread waits for more.
    pub(super) idle: bool,
}

impl Log {
    /// What the query wants of a block, as far as it was asked.
    pub(super) fn wanted(&self, block: usize, revision: u32) -> Option<&Hits> {
        let hits = &self.slots[block].hits[WANTED];
        (hits.revision == revision).then_some(hits)
    }

    /// The end.
    pub(super) fn end(&self) -> At {
        At { block: self.slots.len(), line: 0 }
    }

    /// The first line whose key is not below this one.
    pub(super) fn at_key(&self, key: i64) -> At {
        let block = self.slots.partition_point(|slot| slot.block.last_key() < key);
        let line = self.slots.get(block).map_or(0, |slot| slot.block.line_at_key(key));
        At { block, line }
    }

    /// The first line that does not begin before this place in the files.
    pub(super) fn at_offset(&self, segment: u32, offset: u64) -> At {
        let after = self.slots.partition_point(|slot| (slot.block.segment.seq, slot.block.offset) <= (segment, offset));
        let Some(block) = after.checked_sub(1) else { return At::FIRST };
        let found = &self.slots[block].block;
        let line = if found.segment.seq < segment { found.n_lines() } else { found.line_at_offset(offset) };
        if line == found.n_lines() { At { block: after, line: 0 } } else { At { block, line } }
    }

    /// The first wanted line from there on.
    pub(super) fn next(&self, at: At, revision: u32) -> Option<At> {
        let mut line = at.line;
        for block in at.block..self.slots.len() {
            if let Some(line) = self.wanted(block, revision).and_then(|hits| hits.next(line)) {
                return Some(At { block, line });
            }
            line = 0;
        }
        None
    }

    /// The last wanted line before that place.
    pub(super) fn previous(&self, at: At, revision: u32) -> Option<At> {
        if let Some(slot) = self.slots.get(at.block)
            && let Some(line) =
                self.wanted(at.block, revision).and_then(|hits| hits.previous(at.line.min(slot.block.n_lines())))
        {
            return Some(At { block: at.block, line });
        }
        (0..at.block.min(self.slots.len())).rev().find_map(|block| {
            let line = self.wanted(block, revision)?.previous(usize::MAX)?;
            Some(At { block, line })
        })
    }

    /// How many wanted lines there are before that place.
    pub(super) fn n_before(&self, at: At, revision: u32) -> u64 {
        let whole: u64 = (0..at.block.min(self.slots.len()))
            .filter_map(|block| self.wanted(block, revision))
            .map(|hits| u64::from(hits.n))
            .sum();
        let rest = if at.line > 0 && at.block < self.slots.len() { self.wanted(at.block, revision) } else { None };
        whole + rest.map_or(0, |hits| u64::from(hits.before(at.line)))
    }

    /// The key of a line.
    pub(super) fn key(&self, at: At) -> i64 {
        self.slots[at.block].block.key(at.line)
    }

    /// The place of a line of source `number`.
    pub(super) fn position(&self, number: usize, at: At) -> Position {
        let block = &self.slots[at.block].block;
        let offset = block.offset + u64::from(block.at[at.line]);
        Position { key: block.key(at.line), source: number as u32, segment: block.segment.seq, offset }
    }

    /// Whether this line lies where a position says.
    pub(super) fn is_at(&self, at: At, position: Position) -> bool {
        self.slots.get(at.block).is_some_and(|slot| {
            let block = &slot.block;
            let offset = block.at.get(at.line).map(|line| block.offset + u64::from(*line));
            block.segment.seq == position.segment && offset == Some(position.offset)
        })
    }

    /// Keys below this one may be those of lines not read yet.
    pub(super) fn known_from(&self) -> i64 {
        let first = || self.slots.iter().find(|slot| slot.block.n_lines() > 0);
        if self.complete { i64::MIN } else { first().map_or(i64::MAX, |slot| slot.block.first_key()) }
    }

    /// Keys up to this one may be those of lines not asked yet.
    fn asked_from(&self, revision: u32) -> i64 {
        let unasked = (0..self.slots.len()).rev().find(|block| self.wanted(*block, revision).is_none());
        unasked.map_or(i64::MIN, |block| self.slots[block].block.last_key().saturating_add(1))
    }

    /// How many lines go on from a line.
    pub(super) fn n_folded(&self, at: At) -> u32 {
        let first = &self.slots[at.block].block;
        let stream = first.flags(at.line).stream();
        let mut n = 0;
        let mut from = at.line + 1;
        for slot in self.slots.range(at.block..) {
            let (block, touch) = (&slot.block, slot.block.touch[stream]);
            // Blocks in which the stream has nothing are passed over at once.
            if from > 0 || touch.orphans || touch.head.is_some() {
                for line in from..block.n_lines() {
                    let flags = block.flags(line);
                    if flags.stream() == stream {
                        if !flags.continues() {
                            return n;
                        }
                        n += 1;
                    }
                }
            }
            from = 0;
        }
        n
    }

    /// What a stream of this source is.
    pub(super) fn channel(&self, stream: usize) -> Channel {
        self.source.channel(super::place::stream_of(stream))
    }
}

impl Store {
    /// The revision of the query.
    pub(super) fn wanted(&self) -> u32 {
        self.revision[WANTED]
    }

    /// The sources the query wants something of, with their numbers.
    pub(super) fn selected(&self) -> impl Iterator<Item = (usize, &Log)> {
        self.logs.iter().enumerate().filter(|(_, log)| log.selected)
    }

    /// Lines with lower keys are not shown yet: some among them are not known, or were not asked.
    pub(super) fn frontier(&self) -> i64 {
        let revision = self.wanted();
        self.selected().map(|(_, log)| log.known_from().max(log.asked_from(revision))).max().unwrap_or(i64::MIN)
    }

    /// Cuts every source at a key: lines of this key are after the cut.
    pub(super) fn cut_at_key(&self, key: i64) -> Cut {
        Cut { at: self.logs.iter().map(|log| log.at_key(key)).collect() }
    }

    /// Cuts every source at a position: its line, and all that come after it, are after the cut.
    pub(super) fn cut_at(&self, position: Position) -> Cut {
        let own = position.source as usize;
        let here = self.logs.get(own).map(|log| log.at_offset(position.segment, position.offset));
        // Its key may have been a guess when it was asked for.
        let found = here.filter(|at| self.logs[own].is_at(*at, position));
        let key = found.map_or(position.key, |at| self.logs[own].key(at));
        let cut = |(number, log): (usize, &Log)| match here {
            Some(at) if number == own => at,
            // Of equal keys the lower number comes first.
            _ => log.at_key(if number < own { key.saturating_add(1) } else { key }),
        };
        Cut { at: self.logs.iter().enumerate().map(cut).collect() }
    }

    /// Cuts every source at its end.
    pub(super) fn cut_at_end(&self) -> Cut {
        Cut { at: self.logs.iter().map(Log::end).collect() }
    }

    /// How many wanted lines there are before a cut.
    pub(super) fn n_before(&self, cut: &Cut) -> u64 {
        let revision = self.wanted();
        self.selected().map(|(number, log)| log.n_before(cut.at[number], revision)).sum()
    }

    /// About how many wanted lines there are that are not known yet or were not asked, and whether there may be any.
    pub(super) fn estimate(&self) -> (u64, bool) {
        let revision = self.wanted();
        let (mut wanted, mut asked, mut unknown, mut open) = (0_u64, 0_u64, 0_f64, false);
        for (_, log) in self.selected() {
            open |= !log.complete;
            let left = log.bytes.saturating_sub(log.scanned);
            if !log.complete && log.scanned > 0 {
                unknown += left as f64 / log.scanned as f64 * log.n_lines as f64;
            }
            for (block, slot) in log.slots.iter().enumerate() {
                match log.wanted(block, revision) {
                    Some(hits) => {
                        wanted += u64::from(hits.n);
                        asked += u64::from(hits.done);
                    }
                    None => {
                        unknown += slot.block.n_lines() as f64;
                        open = true;
                    }
                }
            }
        }
        let part = if asked > 0 { wanted as f64 / asked as f64 } else { 0.0 };
        ((unknown * part) as u64, open)
    }
}
