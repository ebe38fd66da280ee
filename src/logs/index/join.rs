//! Puts blocks of a source together: what came before a block may change what is known of it.

use std::sync::Arc;

use super::block::{self, Block, Join, State};
use super::hits::Hits;
use super::matching::{Asked, Matcher};
use super::query::{Pattern, Query};
use super::scan::scan;
use super::store::{FOUND, Log, Slot, WANTED};
use crate::logs::clock::Anchors;

/// What blocks are asked, and with what.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) query: Arc<Query>,
    pub(super) search: Option<Arc<Pattern>>,
    pub(super) revision: [u32; 2],
}

impl Asking {
    /// Whether the query can be answered without reading the text.
    pub(super) fn is_quick(&self) -> bool {
        self.query.include.is_empty() && self.query.exclude.is_empty()
    }

    /// Asks one block.
    pub(super) fn ask(&self, layer: usize, asked: Asked<'_>, known: &Hits, matcher: &mut Matcher) -> Hits {
        let revision = self.revision[layer];
        match (layer, &self.search) {
            (WANTED, _) => matcher.wanted(&self.query, revision, asked, known),
            (_, Some(pattern)) => matcher.found(pattern, self.query.fold, revision, asked, known),
            _ => Hits::new(revision, asked.block.n_lines(), Vec::new()),
        }
    }
}

impl Log {
    /// Adds blocks that come before all there are.
    pub(super) fn push_front(&mut self, blocks: Vec<Block>, anchors: &Anchors, asking: &Asking, matcher: &mut Matcher) {
        let n = blocks.len();
        for block in blocks.into_iter().rev() {
            self.n_lines += block.n_lines() as u64;
            self.ring.count(&block, 0);
            self.slots.push_front(Slot::new(block));
        }
        if asking.is_quick() {
            (0..n).for_each(|at| self.ask_again(at, asking, matcher));
        }
        self.join_from(n, anchors, asking, matcher);
    }

    /// Adds blocks that come after all there are; the first may be the last there was, grown. They were asked.
    pub(super) fn push_back(&mut self, slots: Vec<Slot>, asking: &Asking) {
        for slot in slots {
            let old = self.slots.back().filter(|last| {
                (last.block.segment.seq, last.block.offset) == (slot.block.segment.seq, slot.block.offset)
            });
            let known = old.map(|last| last.block.n_lines());
            self.n_lines += (slot.block.n_lines() - known.unwrap_or(0)) as u64;
            self.ring.count(&slot.block, known.unwrap_or(0));
            match self.slots.back_mut() {
                Some(last) if known.is_some() => *last = slot,
                _ => self.slots.push_back(slot),
            }
            let at = self.slots.len() - 1;
            (0..2).for_each(|layer| self.settle(at, layer, asking));
        }
    }

    /// The blocks from `at` on follow others than was believed, until one does not change.
    pub(super) fn join_from(&mut self, mut at: usize, anchors: &Anchors, asking: &Asking, matcher: &mut Matcher) {
        while at < self.slots.len() {
            let (before, floor) = match at.checked_sub(1) {
                Some(before) => (self.slots[before].block.end.clone(), self.slots[before].block.last_key()),
                None => (State::default(), i64::MIN),
            };
            let slot = &mut self.slots[at];
            let raised = floor > slot.block.floor.max(slot.block.base)
                || (slot.block.n_lines() == 0 && floor > slot.block.last_key());
            if raised {
                Arc::make_mut(&mut slot.block).floor = floor;
            }
            let joined = block::join(&before, &mut slot.block);
            match joined {
                Join::Same if !raised => return,
                Join::Same => {}
                Join::Taken => self.ask_again(at, asking, matcher),
                Join::Parse => {
                    let n = self.parse(at, before, floor, anchors);
                    (at..at + n).for_each(|at| self.ask_again(at, asking, matcher));
                    at += n.saturating_sub(1);
                }
            }
            at += 1;
        }
    }

    /// Parses a block again; it may become several. Says how many.
    fn parse(&mut self, at: usize, before: State, floor: i64, anchors: &Anchors) -> usize {
        let old = Arc::clone(&self.slots[at].block);
        let mut bytes = vec![0; old.len as usize];
        let Ok(len) = old.segment.read_at(&self.files.pool, old.offset, &mut bytes) else { return 1 };
        let mut state = old.start.clone();
        state.streams = before.streams;
        let block = Block::new(Arc::clone(&old.segment), old.offset, state, floor);
        let mut blocks = scan(&self.source, anchors, block, &bytes[..len]).blocks;
        if let Some(last) = blocks.last_mut() {
            // Garbage at its end stays its own.
            last.len = old.offset + old.len - last.offset;
        }
        let n = blocks.len();
        self.n_lines -= old.n_lines() as u64;
        self.slots.remove(at);
        for block in blocks.into_iter().rev() {
            self.n_lines += block.n_lines() as u64;
            self.slots.insert(at, Slot::new(block));
        }
        n
    }

    /// Asks a block anew what it may be asked already.
    pub(super) fn ask_again(&mut self, at: usize, asking: &Asking, matcher: &mut Matcher) {
        if !self.selected {
            return;
        }
        let slot = &self.slots[at];
        let asked = Asked { source: &self.source, files: &self.files, block: &slot.block };
        let hits = asking.ask(WANTED, asked, &Hits::default(), matcher);
        self.slots[at].hits = [hits, Hits::default()];
        self.settle(at, WANTED, asking);
    }

    /// A fold may begin in one block and be wanted because of a line in another: tells them of each other.
    pub(super) fn settle(&mut self, at: usize, layer: usize, asking: &Asking) {
        if !asking.query.fold {
            return;
        }
        let revision = asking.revision[layer];
        for stream in 0..super::place::STREAMS {
            let hits = &self.slots[at].hits[layer];
            if hits.revision == revision && hits.orphans[stream] {
                self.want_head_before(at, layer, stream, revision);
            }
            if self.slots[at].block.touch[stream].head.is_some() && self.has_orphans_after(at, layer, stream, revision)
            {
                self.want_head(at, layer, stream);
            }
        }
    }

    fn want_head_before(&mut self, at: usize, layer: usize, stream: usize, revision: u32) {
        let heads = (0..at).rev().find(|at| self.slots[*at].block.touch[stream].head.is_some());
        if let Some(before) = heads.filter(|at| self.slots[*at].hits[layer].revision == revision) {
            self.want_head(before, layer, stream);
        }
    }

    fn has_orphans_after(&self, at: usize, layer: usize, stream: usize, revision: u32) -> bool {
        for slot in self.slots.range(at + 1..) {
            let touch = slot.block.touch[stream];
            let hits = &slot.hits[layer];
            if touch.orphans && hits.revision == revision && hits.orphans[stream] {
                return true;
            }
            if touch.head.is_some() {
                return false;
            }
        }
        false
    }

    fn want_head(&mut self, at: usize, layer: usize, stream: usize) {
        let slot = &mut self.slots[at];
        if let Some(head) = slot.block.touch[stream].head
            && !slot.hits[layer].barred[stream]
        {
            slot.hits[layer].set(head as usize);
        }
    }

    /// Forgets what lies in segments that are gone.
    pub(super) fn forget(
        &mut self,
        gone: impl Fn(u32) -> bool,
        anchors: &Anchors,
        asking: &Asking,
        matcher: &mut Matcher,
    ) {
        let before = self.slots.len();
        let (mut n_lines, mut n_bytes) = (0, 0);
        self.slots.retain(|slot| {
            let keep = !gone(slot.block.segment.seq);
            if !keep {
                n_lines += slot.block.n_lines() as u64;
                n_bytes += slot.block.len;
            }
            keep
        });
        self.n_lines -= n_lines;
        self.n_gone += n_lines;
        self.bytes = self.bytes.saturating_sub(n_bytes);
        self.scanned = self.scanned.saturating_sub(n_bytes);
        let segments = self.files.segments.iter().filter(|segment| !gone(segment.seq)).cloned().collect();
        self.files.segments = Arc::new(segments);
        if before != self.slots.len() && self.complete {
            self.join_from(0, anchors, asking, matcher);
        }
    }

    /// A piece was added to lines that began before the newest block: they are asked again.
    pub(super) fn regrow(&mut self, stream: usize, below: usize, asking: &Asking, matcher: &mut Matcher) {
        let has_line = |at: &usize| {
            let touch = self.slots[*at].block.touch[stream];
            touch.head.is_some() || touch.orphans
        };
        if let Some(at) = (0..below.min(self.slots.len())).rev().find(has_line)
            && !asking.is_quick()
        {
            self.ask_again(at, asking, matcher);
        }
    }
}

/// Names of layers for whoever goes through both.
pub(super) const LAYERS: [usize; 2] = [WANTED, FOUND];
