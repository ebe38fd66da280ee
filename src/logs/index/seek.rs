//! Finds lines by what is known of them: the next error, the next hit of the search.

use std::sync::Arc;

use super::block::Block;
use super::place::{Anchor, Direction, Position};
use super::query::Levels;
use super::rows::{Found, Hits};
use super::store::{At, Cut, FOUND, Log, Store};
use super::text::Files;

/// What a walk through one source came to.
enum Step {
    At(At),
    /// A block that was not asked.
    Unasked(usize),
    End,
}

impl Log {
    /// The nearest wanted line from `at` on, or before it, in a block worth a look, that is `good`. `None` for a block that cannot tell yet.
    fn walk(
        &self,
        at: At,
        direction: Direction,
        revision: u32,
        worth: impl Fn(usize) -> Option<bool>,
        good: impl Fn(At) -> bool,
    ) -> Step {
        let mut at = at;
        loop {
            let next = match direction {
                Direction::Forward => (at.block < self.slots.len()).then_some(at.block),
                Direction::Backward if at.line > 0 && at.block < self.slots.len() => Some(at.block),
                Direction::Backward => at.block.checked_sub(1),
            };
            let Some(block) = next else { return Step::End };
            let mut line = if block == at.block { at.line } else { self.slots[block].block.n_lines() };
            match (worth(block), self.wanted(block, revision)) {
                (None, _) => return Step::Unasked(block),
                (Some(true), Some(hits)) => loop {
                    let found = match direction {
                        Direction::Forward => hits.next(line),
                        Direction::Backward => hits.previous(line),
                    };
                    let Some(found) = found else { break };
                    if good(At { block, line: found }) {
                        return Step::At(At { block, line: found });
                    }
                    line = if direction == Direction::Forward { found + 1 } else { found };
                },
                _ => {}
            }
            at = match direction {
                Direction::Forward => At { block: block + 1, line: 0 },
                Direction::Backward => At { block, line: 0 },
            };
        }
    }
}

impl Store {
    /// Where to go on from an anchor, without the anchor's own line.
    pub(super) fn beyond(&self, from: Anchor, direction: Direction) -> Cut {
        let mut cut = self.cut(from);
        if let (Anchor::At(position), Direction::Forward) = (from, direction)
            && let Some(at) = cut.at.get_mut(position.source as usize)
            && let Some(log) = self.logs.get(position.source as usize)
            && log.is_at(*at, position)
        {
            at.line += 1;
        }
        cut
    }

    /// The nearer of two lines.
    fn nearer(&self, best: Option<(usize, At)>, number: usize, at: At, direction: Direction) -> Option<(usize, At)> {
        let rank = |(number, at): (usize, At)| (self.logs[number].key(at), number);
        let Some(old) = best else { return Some((number, at)) };
        let is_nearer = match direction {
            Direction::Forward => rank((number, at)) < rank(old),
            Direction::Backward => rank((number, at)) > rank(old),
        };
        Some(if is_nearer { (number, at) } else { old })
    }

    /// The nearest wanted line that states one of these levels.
    pub(super) fn next_level(&self, from: Anchor, levels: Levels, direction: Direction) -> Option<Position> {
        let cut = self.beyond(from, direction);
        let mut best = None;
        for (number, log) in self.selected() {
            let block = |at: usize| &log.slots[at].block;
            let worth =
                |at: usize| Some((1..7).any(|level| levels.has(level) && block(at).n_stated[usize::from(level)] > 0));
            let good = |at: At| block(at.block).flags(at.line).stated() && levels.has(block(at.block).level(at.line));
            if let Step::At(at) = log.walk(cut.at[number], direction, self.wanted(), worth, good) {
                best = self.nearer(best, number, at, direction);
            }
        }
        best.map(|(number, at)| self.logs[number].position(number, at))
    }

    /// Where another run of the line's source begins.
    pub(super) fn run(&self, of: Position, direction: Direction) -> Option<Position> {
        let number = of.source as usize;
        let log = self.logs.get(number)?;
        let at = log.at_offset(of.segment, of.offset);
        let revision = self.wanted();
        let run = |at: At| log.slots[at.block].block.run(at.line);
        let is_other = |at: usize, own: u64| log.slots[at].block.runs.iter().any(|(_, run)| *run != own);
        let found = match direction {
            Direction::Forward => {
                let own = run(log.next(at, revision)?);
                log.walk(at, direction, revision, |block| Some(is_other(block, own)), |at| run(at) != own)
            }
            Direction::Backward => {
                let own = run(log.previous(at, revision)?);
                match log.walk(at, direction, revision, |block| Some(is_other(block, own)), |at| run(at) != own) {
                    Step::At(other) => {
                        log.next(At { line: other.line + 1, ..other }, revision).map_or(Step::End, Step::At)
                    }
                    Step::Unasked(_) | Step::End => log.next(At::FIRST, revision).map_or(Step::End, Step::At),
                }
            }
        };
        match found {
            Step::At(at) => Some(log.position(number, at)),
            Step::Unasked(_) | Step::End => None,
        }
    }

    /// The nearest hit of the search among wanted lines. Where some blocks between were not asked yet, they are the next to be.
    pub(super) fn next_hit(&mut self, from: Anchor, direction: Direction) -> Found {
        if self.search.is_none() {
            return Found::Nothing;
        }
        let cut = self.beyond(from, direction);
        let revision = self.revision[FOUND];
        let (mut best, mut unasked) = (None, None);
        for (number, log) in self.selected() {
            let hits = |at: usize| Some(&log.slots[at].hits[FOUND]).filter(|hits| hits.revision == revision);
            let is_asked = |at: usize| log.wanted(at, self.wanted()).is_some();
            let worth = |at: usize| hits(at).filter(|_| is_asked(at)).map(|hits| hits.n > 0);
            let good = |at: At| hits(at.block).is_some_and(|hits| hits.has(at.line));
            match log.walk(cut.at[number], direction, self.wanted(), worth, good) {
                Step::At(at) => best = self.nearer(best, number, at, direction),
                Step::Unasked(block) => unasked = Some(log.nearest_key(block, direction)).max_by(unasked, direction),
                Step::End if direction == Direction::Backward && !log.complete => {
                    unasked = Some(log.known_from()).max_by(unasked, direction);
                }
                Step::End => {}
            }
        }
        let Some(key) = unasked else {
            return best.map_or(Found::Nothing, |(number, at)| Found::At(self.logs[number].position(number, at)));
        };
        match best {
            Some((number, at)) if !direction.is_nearer(key, self.logs[number].key(at)) => {
                Found::At(self.logs[number].position(number, at))
            }
            _ => {
                self.hunt = Some((key, direction));
                Found::Looking
            }
        }
    }

    /// How many wanted lines have a hit.
    pub(super) fn n_hits(&self) -> Hits {
        let (wanted, found) = (self.wanted(), self.revision[FOUND]);
        let mut out = Hits { n: 0, complete: true };
        if self.search.is_none() {
            return out;
        }
        for (_, log) in self.selected() {
            out.complete &= log.complete;
            for slot in &log.slots {
                let [of_query, of_search] = &slot.hits;
                if of_query.revision == wanted && of_search.revision == found {
                    out.n += u64::from(of_query.in_both(of_search));
                } else {
                    out.complete = false;
                }
            }
        }
        out
    }

    /// Where a line can be read.
    pub(super) fn line(&self, position: Position) -> Option<(Arc<Block>, usize, Files)> {
        let log = self.logs.get(position.source as usize)?;
        let at = log.at_offset(position.segment, position.offset);
        let block = &log.slots.get(at.block)?.block;
        log.is_at(at, position).then(|| (Arc::clone(block), at.line, log.files.clone()))
    }
}

impl Log {
    /// The key of a block's side that is reached first.
    fn nearest_key(&self, block: usize, direction: Direction) -> i64 {
        let block = &self.slots[block].block;
        if direction == Direction::Forward { block.first_key() } else { block.last_key() }
    }
}

impl Direction {
    /// Whether a key is reached before another, or may be with it.
    fn is_nearer(self, key: i64, other: i64) -> bool {
        if self == Direction::Forward { key <= other } else { key >= other }
    }
}

/// Of keys, that which is reached first.
trait MaxBy {
    fn max_by(self, other: Option<i64>, direction: Direction) -> Option<i64>;
}

impl MaxBy for Option<i64> {
    fn max_by(self, other: Option<i64>, direction: Direction) -> Option<i64> {
        let both = self.zip(other).map(|(one, two)| if direction.is_nearer(one, two) { one } else { two });
        both.or(self).or(other)
    }
}
