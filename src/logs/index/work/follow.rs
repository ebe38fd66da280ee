//! Reads what is written, and forgets what was removed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Instant;

use super::{ROUND, SLICE, Worker};
use crate::logs::index::block::Block;
use crate::logs::index::join::{Asking, LAYERS};
use crate::logs::index::matching::Asked;
use crate::logs::index::store::{Slot, WANTED};

impl Worker {
    /// Reads what was written since.
    pub(super) fn follow(&mut self, asking: &Asking) -> bool {
        if self.read_at.is_some_and(|at| at.elapsed() < ROUND) {
            return false;
        }
        let begin = Instant::now();
        let mut worked = false;
        for number in 0..self.feeds.len() {
            if self.shared.is_outdated(asking.revision) {
                break;
            }
            if self.feeds[number].is_new() || !std::mem::take(&mut self.changed[number]) {
                continue;
            }
            while self.read_more(number, asking) {
                worked = true;
                if begin.elapsed() > 4 * SLICE || self.shared.is_outdated(asking.revision) {
                    self.changed[number] = true;
                    break;
                }
            }
        }
        self.read_at = worked.then(Instant::now);
        worked
    }

    /// Reads one part more of a source. False when there is none.
    fn read_more(&mut self, number: usize, asking: &Asking) -> bool {
        let (last, files, selected, known) = {
            let store = self.shared.store();
            let log = &store.logs[number];
            let last = log.slots.back();
            let known = last.map(|slot| slot.hits.clone()).unwrap_or_default();
            (last.map(|slot| Arc::clone(&slot.block)), log.files.clone(), log.selected, known)
        };
        let feed = &mut self.feeds[number];
        let part = match feed.more(last.as_deref(), &self.anchors, &self.pool) {
            Ok(Some(part)) => part,
            Ok(None) => return false,
            Err(error) => {
                self.shared.set_trouble(&error);
                return false;
            }
        };
        let mut known =
            Some(known).filter(|_| last.as_ref().is_some_and(|last| is_same(last, &part.scanned.blocks[0])));
        let goes_on = known.is_some();
        let grown = part.scanned.grown;
        let source = &feed.source;
        let mut slots = Vec::new();
        let mut all = files.clone();
        for block in part.scanned.blocks {
            all.know(&block.segment);
            let mut slot = Slot::new(block);
            let mut known = known.take().unwrap_or_default();
            if grown.contains(&true) {
                known = Default::default();
            }
            for layer in LAYERS.into_iter().filter(|layer| selected && (*layer == WANTED || asking.search.is_some())) {
                let asked = Asked { source, files: &all, block: &slot.block };
                slot.hits[layer] = asking.ask(layer, asked, &known[layer], &mut self.matcher);
            }
            slots.push(slot);
        }
        let mut store = self.shared.store();
        let log = &mut store.logs[number];
        log.files.segments = all.segments;
        log.n_dropped = feed.n_dropped;
        log.n_skipped += part.scanned.n_skipped;
        log.bytes += part.bytes;
        log.scanned += part.bytes;
        let below = log.slots.len() - usize::from(goes_on);
        log.push_back(slots, asking);
        for stream in (0..grown.len()).filter(|stream| grown[*stream]) {
            log.regrow(stream, below, asking, &mut self.matcher);
        }
        true
    }

    /// Forgets segments that were removed, the oldest first, beyond what is kept of them.
    pub(super) fn forget_removed(&mut self, asking: &Asking) {
        let mut removed = BinaryHeap::new();
        let segments: Vec<_> = self.shared.store().logs.iter().map(|log| Arc::clone(&log.files.segments)).collect();
        for (number, segments) in segments.iter().enumerate() {
            for segment in segments.iter() {
                if segment.is_removed() || !segment.is_linked() {
                    segment.set_removed();
                    let len = if segment.is_open() { segment.len(&self.pool).unwrap_or(u64::MAX) } else { u64::MAX };
                    removed.push((Reverse(number), segment.seq, len));
                }
            }
        }
        let (mut kept, mut gone) = (0_u64, BTreeMap::<usize, Vec<u32>>::new());
        // Newest of each source first.
        while let Some((Reverse(number), seq, len)) = removed.pop() {
            kept = kept.saturating_add(len);
            let reading = self.feeds[number].newest().is_some_and(|newest| newest.seq == seq);
            if kept > self.sizes.removed && !reading {
                gone.entry(number).or_default().push(seq);
            }
        }
        let n_gone = gone.len();
        for (number, gone) in gone {
            let mut store = self.shared.store();
            let log = &mut store.logs[number];
            log.forget(|seq| gone.contains(&seq), &self.anchors, asking, &mut self.matcher);
        }
        if n_gone > 0 {
            self.tell();
        }
    }
}

fn is_same(one: &Block, other: &Block) -> bool {
    (one.segment.seq, one.offset) == (other.segment.seq, other.offset)
}
