//! What is kept of the lines: seven bytes for each, and some for every 64 KiB of them.

use std::sync::Arc;

use super::fold::Fold;
use super::place::STREAMS;
use super::segment::Segment;
use crate::logs::clock::Clock;

/// Lines of a block begin in its first so many bytes.
pub(super) const BLOCK: u64 = 64 * 1024;

const LEVEL: u8 = 0b111;
const BEFORE: u8 = 1 << 3;
const STREAM: u32 = 4;
const CONTINUES: u8 = 1 << 6;
const STATED: u8 = 1 << 7;

/// What is known of a line: level, stream, whether it states the level itself, whether it goes on from the line before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// `level` is a code of [`super::query::code`]; `before`: no line of the block says it, so it is what the block begins with.
    pub(super) fn new(level: u8, stream: usize, stated: bool, continues: bool, before: bool) -> Flags {
        let bits = [(stated, STATED), (continues, CONTINUES), (before, BEFORE)];
        let bits = bits.iter().filter(|(on, _)| *on).fold(0, |all, (_, bit)| all | bit);
        Flags(level & LEVEL | (stream as u8) << STREAM | bits)
    }

    /// 0, 1 or 2.
    pub(super) fn stream(self) -> usize {
        usize::from(self.0 >> STREAM & 0b11)
    }

    pub(super) fn continues(self) -> bool {
        self.0 & CONTINUES != 0
    }

    pub(super) fn stated(self) -> bool {
        self.0 & STATED != 0
    }
}

/// What is known of a stream between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamState {
    /// The run whose line is not ended.
    pub(super) open: Option<u64>,
    /// The newest level that a line stated, as a code.
    pub(super) level: u8,
    /// What its newest line was.
    pub(super) fold: Fold,
}

/// All that parsing goes on with.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) run: u64,
    pub(super) clock: Clock,
    pub(super) streams: [StreamState; STREAMS],
}

/// What a block has of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touch {
    /// A record, or the end of a run: what was before does not reach through the block.
    pub(super) records: bool,
    /// A line that states its level.
    pub(super) levels: bool,
    /// Its first line goes on from one before the block.
    pub(super) orphans: bool,
    /// Its last line that does not go on from another.
    pub(super) head: Option<u32>,
}

/// Some lines of one segment, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) segment: Arc<Segment>,
    /// The first byte.
    pub(super) offset: u64,
    /// All bytes; those after the last line's first record are pieces, marks and garbage.
    pub(super) len: u64,
    /// The key before the first line.
    pub(super) base: i64,
    /// The key of the last line.
    pub(super) top: i64,
    /// Keys are not below that of the line before the block.
    pub(super) floor: i64,
    /// Where lines begin, from `offset` on.
    pub(super) at: Vec<u16>,
    /// Keys of lines, from `base` on.
    pub(super) delta: Vec<u32>,
    flags: Vec<Flags>,
    /// From which line on which run writes.
    pub(super) runs: Vec<(u32, u64)>,
    /// Where the first record of the last line ends, from `offset` on.
    pub(super) text: u32,
    /// Parsing begins with this; what came before the block may have been a guess.
    pub(super) start: State,
    pub(super) end: State,
    pub(super) touch: [Touch; STREAMS],
    /// How many lines state each level.
    pub(super) n_stated: [u32; 7],
}

impl Block {
    /// Without lines yet.
    pub(super) fn new(segment: Arc<Segment>, offset: u64, state: State, base: i64) -> Block {
        let run = state.run;
        Block {
            segment,
            offset,
            len: 0,
            base,
            top: base,
            floor: i64::MIN,
            at: Vec::new(),
            delta: Vec::new(),
            flags: Vec::new(),
            runs: vec![(0, run)],
            text: 0,
            start: state.clone(),
            end: state,
            touch: [Touch::default(); STREAMS],
            n_stated: [0; 7],
        }
    }

    /// Whether a line at this offset with this key has its place in this block.
    pub(super) fn takes(&self, offset: u64, key: i64) -> bool {
        let near = offset - self.offset < BLOCK;
        if self.at.is_empty() {
            return near;
        }
        near && key.checked_sub(self.base).is_some_and(|delta| (0..=i64::from(u32::MAX)).contains(&delta))
    }

    /// Adds a line it [`takes`](Block::takes).
    pub(super) fn push(&mut self, offset: u64, len: usize, key: i64, flags: Flags) {
        if self.at.is_empty() {
            self.base = key;
        }
        let index = self.at.len() as u32;
        let at = (offset - self.offset) as u16;
        self.at.push(at);
        self.delta.push((key - self.base) as u32);
        self.flags.push(flags);
        self.top = key;
        self.text = u32::from(at) + len as u32;
        let touch = &mut self.touch[flags.stream()];
        if !flags.continues() {
            touch.head = Some(index);
        } else if touch.head.is_none() {
            touch.orphans = true;
        }
        if flags.stated() {
            touch.levels = true;
            self.n_stated[usize::from(flags.0 & LEVEL)] += 1;
        }
    }

    /// Another run writes from here on.
    pub(super) fn set_run(&mut self, run: u64) {
        let at = self.at.len() as u32;
        match self.runs.last_mut() {
            Some(last) if last.0 == at => last.1 = run,
            _ => self.runs.push((at, run)),
        }
    }

    /// Gives back room that nothing will be added to.
    pub(super) fn seal(&mut self) {
        self.at.shrink_to_fit();
        self.delta.shrink_to_fit();
        self.flags.shrink_to_fit();
        self.runs.shrink_to_fit();
    }

    pub(super) fn n_lines(&self) -> usize {
        self.at.len()
    }

    /// The key of a line.
    pub(super) fn key(&self, line: usize) -> i64 {
        self.floor.max(self.base + i64::from(self.delta[line]))
    }

    /// The key of the last line, or of what is before the block.
    pub(super) fn last_key(&self) -> i64 {
        self.floor.max(self.top)
    }

    /// The key of the first line.
    pub(super) fn first_key(&self) -> i64 {
        self.floor.max(self.base)
    }

    /// Where the first line begins in the segment whose key is not below this one.
    pub(super) fn line_at_key(&self, key: i64) -> usize {
        if key <= self.floor {
            return 0;
        }
        let delta = key.saturating_sub(self.base);
        self.delta.partition_point(|line| i64::from(*line) < delta)
    }

    /// The first line that begins at this offset of the segment or after it.
    pub(super) fn line_at_offset(&self, offset: u64) -> usize {
        self.at.partition_point(|at| self.offset + u64::from(*at) < offset)
    }

    pub(super) fn flags(&self, line: usize) -> Flags {
        self.flags[line]
    }

    /// The level of a line as a code.
    pub(super) fn level(&self, line: usize) -> u8 {
        let flags = self.flags[line];
        if flags.0 & BEFORE != 0 { self.start.streams[flags.stream()].level } else { flags.0 & LEVEL }
    }

    /// The run that wrote a line.
    pub(super) fn run(&self, line: usize) -> u64 {
        let after = self.runs.partition_point(|(from, _)| *from as usize <= line);
        self.runs[after.saturating_sub(1)].1
    }

    /// Whether a line that states an error or worse is in it.
    pub(super) fn n_errors(&self) -> u32 {
        self.n_stated[5] + self.n_stated[6]
    }
}

/// What the state before a block means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// It was known.
    Same,
    /// Taken over: levels, or what only passes through; lines are as they were.
    Taken,
    /// Lines begin elsewhere, or go on from others: it must be parsed again.
    Parse,
}

/// Tells a block what its source was in before it.
pub(super) fn join(before: &State, block: &mut Arc<Block>) -> Join {
    let mut join = Join::Same;
    for stream in 0..STREAMS {
        let (now, had, touch) = (before.streams[stream], block.start.streams[stream], block.touch[stream]);
        if now == had {
            continue;
        }
        if touch.records && (now.open != had.open || now.fold != had.fold) {
            return Join::Parse;
        }
        join = Join::Taken;
    }
    if join == Join::Taken {
        let block = Arc::make_mut(block);
        for stream in 0..STREAMS {
            let now = before.streams[stream];
            block.start.streams[stream] = now;
            let touch = block.touch[stream];
            let end = &mut block.end.streams[stream];
            if !touch.levels {
                end.level = now.level;
            }
            if !touch.records {
                (end.open, end.fold) = (now.open, now.fold);
            }
        }
    }
    join
}
