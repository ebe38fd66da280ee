//! Which blocks are asked next.

use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::logs::index::block::Block;
use crate::logs::index::place::Direction;
use crate::logs::index::store::{FOUND, Log, Store};
use crate::logs::index::text::Files;

/// A block to ask: the number of its source, its own, and what it is read from.
pub(super) type ToAsk = (usize, usize, Arc<Block>, Files);

impl Store {
    /// Some blocks that the search was not asked about, the nearest first to where a hit is wanted.
    pub(super) fn hunted(&self, revision: u32, n: usize) -> Vec<ToAsk> {
        let Some((key, direction)) = self.hunt else { return Vec::new() };
        let mut near = Vec::new();
        for (number, log) in self.selected() {
            let from = log.at_key(key).block;
            let unasked = |at: &usize| log.slots[*at].hits[FOUND].revision != revision;
            let blocks: Vec<usize> = match direction {
                Direction::Forward => (from..log.slots.len()).filter(unasked).take(n).collect(),
                Direction::Backward => (0..(from + 1).min(log.slots.len())).rev().filter(unasked).take(n).collect(),
            };
            near.extend(blocks.into_iter().map(|at| (log.slots[at].block.first_key().abs_diff(key), number, at)));
        }
        near.sort_unstable();
        near.truncate(n);
        let block = |(_, number, at): (u64, usize, usize)| {
            let log = &self.logs[number];
            (number, at, Arc::clone(&log.slots[at].block), log.files.clone())
        };
        near.into_iter().map(block).collect()
    }

    /// Some blocks that a layer was not asked about, the newest of all sources first.
    pub(super) fn unasked(&self, layer: usize, revision: u32, n: usize) -> Vec<ToAsk> {
        let before = |number: usize, at: usize| {
            let log: &Log = &self.logs[number];
            let at = (0..at).rev().find(|at| log.slots[*at].hits[layer].revision != revision)?;
            Some((log.slots[at].block.last_key(), number, at))
        };
        let mut heap: BinaryHeap<_> =
            self.selected().filter_map(|(number, log)| before(number, log.slots.len())).collect();
        let mut out = Vec::new();
        while out.len() < n {
            let Some((_, number, at)) = heap.pop() else { break };
            let log = &self.logs[number];
            out.push((number, at, Arc::clone(&log.slots[at].block), log.files.clone()));
            heap.extend(before(number, at));
        }
        out
    }
}
