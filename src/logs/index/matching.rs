//! Asks the lines of a block what the query wants to know.

use std::io;

use super::block::Block;
use super::hits::{self, Hits};
use super::place::stream_of;
use super::query::{Channels, Levels, Pattern, Query};
use super::text::{Files, Texts};
use crate::logs::sources::Source;

/// An expression that so often reaches beyond a line is asked line by line: each time it may reach to the end of the block.
const CROSSING: u32 = 8;

/// Asks blocks; keeps its room.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    texts: Texts,
    found: Vec<u64>,
}

/// The block that is asked, and its surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) source: &'a Source,
    pub(super) files: &'a Files,
    pub(super) block: &'a Block,
}

impl Matcher {
    /// Which lines the query wants, going on from what is known of the first of them. A block whose text is gone has none that a text is looked for in.
    pub(super) fn wanted(&mut self, query: &Query, revision: u32, asked: Asked<'_>, known: &Hits) -> Hits {
        let n = asked.block.n_lines();
        let known_lines = if known.revision == revision && !query.fold { known.done as usize } else { 0 };
        let mut bits = if known_lines > 0 { known.to_bits(n) } else { vec![0; n.div_ceil(64)] };
        let mut out = Vec::new();
        let any = unread(query, asked, known_lines, &mut bits);
        // A line that is taken out takes out what goes on from it, even if that is in the next block.
        let bars = query.fold && !query.exclude.is_empty();
        let texts = bars || any && !(query.include.is_empty() && query.exclude.is_empty());
        if texts && self.read(query, asked, known_lines, &mut bits, &mut out).is_err() {
            (known_lines..n).for_each(|line| hits::clear(&mut bits, line));
        }
        if query.fold { hits::folded(revision, asked.block, &bits, &out) } else { Hits::new(revision, n, bits) }
    }

    /// Which lines a text is found in; with folds, in any line of them.
    pub(super) fn found(
        &mut self,
        pattern: &Pattern,
        fold: bool,
        revision: u32,
        asked: Asked<'_>,
        known: &Hits,
    ) -> Hits {
        let n = asked.block.n_lines();
        let from = if known.revision == revision && !fold { known.done as usize } else { 0 };
        let mut bits = if from > 0 { known.to_bits(n) } else { vec![0; n.div_ceil(64)] };
        if self.texts.fill(asked.files, asked.block, from).is_ok() {
            self.find(pattern);
            for at in 0..n - from {
                if hits::get(&self.found, at) {
                    hits::set(&mut bits, from + at);
                }
            }
        }
        if fold { hits::folded(revision, asked.block, &bits, &[]) } else { Hits::new(revision, n, bits) }
    }

    fn read(
        &mut self,
        query: &Query,
        asked: Asked<'_>,
        from: usize,
        bits: &mut [u64],
        out: &mut Vec<u64>,
    ) -> io::Result<()> {
        self.texts.fill(asked.files, asked.block, from)?;
        let n = asked.block.n_lines();
        let patterns = query.include.iter().map(|pattern| (pattern, true));
        for (pattern, wanted) in patterns.chain(query.exclude.iter().map(|pattern| (pattern, false))) {
            self.find(pattern);
            for at in 0..n - from {
                if hits::get(&self.found, at) != wanted {
                    hits::clear(bits, from + at);
                }
            }
            if !wanted && query.fold {
                out.resize(n.div_ceil(64), 0);
                // Folds are always asked as a whole block.
                out.iter_mut().zip(&self.found).for_each(|(out, found)| *out |= found);
            }
        }
        Ok(())
    }

    /// In which of the texts at hand a pattern is found.
    fn find(&mut self, pattern: &Pattern) {
        let texts = &self.texts;
        self.found.clear();
        self.found.resize(texts.ends.len().div_ceil(64), 0);
        let n = texts.ends.len();
        let (mut from, mut at, mut n_crossing) = (0, 0, 0);
        if let Some(lines) = &pattern.lines {
            while at < n && n_crossing < CROSSING {
                // The leftmost match: no line before its beginning has one.
                let Some(found) = lines.find_at(&texts.bytes, from) else { return };
                at += texts.ends[at..].partition_point(|end| *end as usize <= found.start());
                let Some(end) = texts.ends.get(at).map(|end| *end as usize) else { return };
                let within = found.end() < end;
                n_crossing += u32::from(!within);
                if within || pattern.line.is_match(texts.get(at)) {
                    hits::set(&mut self.found, at);
                }
                (from, at) = (end, at + 1);
            }
        }
        for at in at..n {
            if pattern.line.is_match(texts.get(at)) {
                hits::set(&mut self.found, at);
            }
        }
    }
}

/// What can be asked without the text. True when any of the new lines is still wanted.
fn unread(query: &Query, asked: Asked<'_>, from: usize, bits: &mut [u64]) -> bool {
    let Asked { source, block, .. } = asked;
    let n = block.n_lines();
    let since = query.since.map_or(0, |since| block.line_at_key(since));
    let until = query.until.map_or(n, |until| block.line_at_key(until.saturating_add(1)));
    let (levels, channels) = (query.levels, query.channels);
    let channel = |stream| channels.contains(source.channel(stream_of(stream)));
    let channel = [channel(0), channel(1), channel(2)];
    let any_level = levels == Levels::ALL;
    let any_channel = channels == Channels::ALL;
    let mut any = false;
    for line in from.max(since)..until.min(n) {
        let wanted = (any_level || levels.has(block.level(line)))
            && (any_channel || channel[block.flags(line).stream()])
            && (query.runs.is_empty() || query.runs.contains(&block.run(line)));
        if wanted {
            hits::set(bits, line);
            any = true;
        }
    }
    any
}
