//! Merges the sources around a cut, in both directions, and makes rows of what it finds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::place::{Anchor, Position, stream_of};
use super::query::level_of;
use super::rows::{ROW, Row, Window};
use super::store::{At, Cut, Log, Store};

/// A line among all sources.
pub(super) type Line = (usize, At);

impl Store {
    /// The cut of an anchor.
    pub(super) fn cut(&self, anchor: Anchor) -> Cut {
        match anchor {
            Anchor::Top => Cut { at: vec![At::FIRST; self.logs.len()] },
            Anchor::Bottom => self.cut_at_end(),
            Anchor::At(position) => self.cut_at(position),
        }
    }

    /// Up to `n` wanted lines after a cut, in order.
    pub(super) fn after(&self, cut: &Cut, n: usize) -> Vec<Line> {
        let revision = self.wanted();
        let mut heap = BinaryHeap::new();
        for (number, log) in self.selected() {
            heap.extend(log.next(cut.at[number], revision).map(|at| Reverse((log.key(at), number, at))));
        }
        let mut lines = Vec::with_capacity(n.min(4096));
        while lines.len() < n {
            let Some(Reverse((_, number, at))) = heap.pop() else { break };
            lines.push((number, at));
            let log = &self.logs[number];
            let next = log.next(At { line: at.line + 1, ..at }, revision);
            heap.extend(next.map(|at| Reverse((log.key(at), number, at))));
        }
        lines
    }

    /// Up to `n` wanted lines before a cut and not before `bottom`, in order.
    pub(super) fn before(&self, cut: &Cut, bottom: &Cut, n: usize) -> Vec<Line> {
        let revision = self.wanted();
        let mut heap = BinaryHeap::new();
        let previous = |number: usize, at: At| {
            let at = self.logs[number].previous(at, revision).filter(|found| *found >= bottom.at[number])?;
            Some((self.logs[number].key(at), number, at))
        };
        heap.extend(self.selected().filter_map(|(number, _)| previous(number, cut.at[number])));
        let mut lines = Vec::with_capacity(n.min(4096));
        while lines.len() < n {
            let Some((_, number, at)) = heap.pop() else { break };
            lines.push((number, at));
            heap.extend(previous(number, at));
        }
        lines.reverse();
        lines
    }

    /// The rows around an anchor, and what is known of all that is beside them.
    pub(super) fn window(&self, anchor: Anchor, before: usize, after: usize) -> Window {
        let frontier = self.frontier();
        let bottom = self.cut_at_key(frontier);
        let mut cut = self.cut(anchor);
        let below = cut.at.iter().zip(&bottom.at).any(|(at, bottom)| at < bottom);
        cut.raise(&bottom);
        let above = self.before(&cut, &bottom, before);
        let under = self.after(&cut, after);
        let (estimated, open) = self.estimate();
        let n_known_before = self.n_before(&cut).saturating_sub(self.n_before(&bottom)) - above.len() as u64;
        let n_known = self.n_before(&self.cut_at_end()).saturating_sub(self.n_before(&bottom));
        let hidden = self.n_before(&bottom);
        let n_rows = (above.len() + under.len()) as u64;
        let rows = above.iter().chain(&under).map(|line| self.row(*line)).collect();
        Window {
            rows,
            anchor: above.len(),
            n_before: estimated + hidden + n_known_before,
            n_after: n_known - n_known_before - n_rows,
            exact: !open,
            n_lines: self.logs.iter().map(|log| log.n_lines).sum(),
            at_top: n_known_before == 0 && !open,
            at_bottom: n_known == n_known_before + n_rows,
            pending: open && (below || above.len() < before),
        }
    }

    /// A row with its text.
    pub(super) fn row(&self, (number, at): Line) -> Row {
        let log = &self.logs[number];
        let block = &log.slots[at.block].block;
        let flags = block.flags(at.line);
        let text = log.files.row(block, at.line, ROW);
        let gone = text.is_err();
        let (time, bytes, cut) =
            text.map_or((block.key(at.line), Vec::new(), false), |text| (text.time, text.bytes, text.cut));
        Row {
            position: log.position(number, at),
            time,
            stream: stream_of(flags.stream()),
            channel: log.channel(flags.stream()),
            level: level_of(block.level(at.line)),
            stated: flags.stated(),
            run: block.run(at.line),
            continues: flags.continues(),
            n_folded: if self.query.fold { log.n_folded(at) } else { 0 },
            bytes,
            cut,
            gone,
        }
    }

    /// The known wanted line with this number among all, known or not.
    pub(super) fn nth(&self, n: u64) -> Option<Position> {
        let bottom = self.cut_at_key(self.frontier());
        let hidden = self.n_before(&bottom) + self.estimate().0;
        self.select(&bottom, n.saturating_sub(hidden))
    }

    /// How many wanted lines there are, as far as that is known.
    pub(super) fn n_wanted(&self) -> u64 {
        self.n_before(&self.cut_at_end()) + self.estimate().0
    }

    /// The wanted line that `n` known ones from `bottom` on are before, or the last.
    fn select(&self, bottom: &Cut, n: u64) -> Option<Position> {
        let revision = self.wanted();
        let counts = self.counts();
        let n_before = |cut: &Cut| -> u64 {
            counts.iter().map(|(number, blocks)| self.logs[*number].n_counted(cut.at[*number], blocks, revision)).sum()
        };
        let (n_hidden, n_all) = (n_before(bottom), n_before(&self.cut_at_end()));
        let n = n_hidden + n.min(n_all.checked_sub(n_hidden + 1)?);
        let firsts = self.selected().filter_map(|(_, log)| log.slots.front().map(|slot| slot.block.first_key()));
        let lasts = self.selected().filter_map(|(_, log)| log.slots.back().map(|slot| slot.block.last_key()));
        // The greatest key with at most `n` wanted lines before it.
        let (mut low, mut high) = (firsts.min()?, lasts.max()?);
        while low < high {
            let middle = low + high.saturating_sub(low) / 2 + 1;
            if n_before(&self.cut_at_key(middle)) <= n { low = middle } else { high = middle - 1 }
        }
        let mut left = n - n_before(&self.cut_at_key(low));
        for (number, blocks) in &counts {
            let log = &self.logs[*number];
            let (from, to) = (log.at_key(low), log.at_key(low.saturating_add(1)));
            let before = log.n_counted(from, blocks, revision);
            let here = log.n_counted(to, blocks, revision) - before;
            if left < here {
                return log.select(before + left, blocks, revision).map(|at| log.position(*number, at));
            }
            left -= here;
        }
        None
    }

    /// For each selected source how many wanted lines there are before each block, and after the last.
    fn counts(&self) -> Vec<(usize, Vec<u64>)> {
        let revision = self.wanted();
        let of = |(number, log): (usize, &Log)| {
            let mut sum = 0;
            let mut blocks = Vec::with_capacity(log.slots.len() + 1);
            for block in 0..log.slots.len() {
                blocks.push(sum);
                sum += log.wanted(block, revision).map_or(0, |hits| u64::from(hits.n));
            }
            blocks.push(sum);
            (number, blocks)
        };
        self.selected().map(of).collect()
    }

    /// The first wanted line whose key is not below this one, or the last of all.
    pub(super) fn at_time(&self, time: i64) -> Option<Position> {
        let cut = self.cut_at_key(time.max(self.frontier()));
        let after = self.after(&cut, 1);
        let none = Cut { at: vec![At::FIRST; self.logs.len()] };
        let line = after.first().copied().or_else(|| self.before(&cut, &none, 1).first().copied());
        line.map(|(number, at)| self.logs[number].position(number, at))
    }
}

impl Cut {
    /// Moves it up to another where it is below.
    pub(super) fn raise(&mut self, bottom: &Cut) {
        for (at, bottom) in self.at.iter_mut().zip(&bottom.at) {
            *at = (*at).max(*bottom);
        }
    }
}

impl Log {
    /// How many wanted lines there are before a place, where those before each block are counted.
    fn n_counted(&self, at: At, blocks: &[u64], revision: u32) -> u64 {
        let rest = if at.line > 0 && at.block < self.slots.len() { self.wanted(at.block, revision) } else { None };
        blocks[at.block.min(self.slots.len())] + rest.map_or(0, |hits| u64::from(hits.before(at.line)))
    }

    /// The wanted line that so many wanted ones of this source are before.
    fn select(&self, n: u64, blocks: &[u64], revision: u32) -> Option<At> {
        let block = blocks.partition_point(|before| *before <= n).checked_sub(1)?;
        let hits = self.slots.get(block).and_then(|_| self.wanted(block, revision))?;
        hits.select((n - blocks[block]) as u32).map(|line| At { block, line })
    }
}
