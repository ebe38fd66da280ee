//! Reads what is old, newest first.

use std::sync::Arc;
use std::time::Instant;

use super::{SLICE, Worker};
use crate::logs::index::join::Asking;
use crate::logs::index::segment::Segment;
use crate::logs::index::store::Log;

impl Worker {
    /// The ends of all sources, before anything else.
    pub(super) fn first_looks(&mut self, asking: &Asking) -> bool {
        let new: Vec<usize> = (0..self.feeds.len()).filter(|number| self.feeds[*number].is_new()).collect();
        let size =
            (self.sizes.first / new.len().max(1) as u64).clamp(self.sizes.first_least, 8 * self.sizes.first_least);
        new.iter().for_each(|number| self.read_back(*number, size, asking));
        !new.is_empty()
    }

    /// Reads one part of what is old: of the source that is known the least far back, because nothing older can be shown before.
    pub(super) fn back(&mut self, asking: &Asking) -> bool {
        let begin = Instant::now();
        let mut worked = false;
        while begin.elapsed() < SLICE {
            let next = {
                let store = self.shared.store();
                let open = store.logs.iter().enumerate().filter(|(_, log)| !log.complete);
                open.max_by_key(|(_, log)| (log.selected, log.known_from())).map(|(number, _)| number)
            };
            let Some(number) = next else { break };
            self.read_back(number, 0, asking);
            worked = true;
        }
        worked
    }

    fn read_back(&mut self, number: usize, first: u64, asking: &Asking) {
        let part = self.feeds[number].back(first, &self.anchors, &self.pool);
        if part.is_err() {
            // What cannot be read is not there; the rest can be.
            self.feeds[number].pass();
        }
        let complete = self.feeds[number].is_complete();
        let mut store = self.shared.store();
        let log = &mut store.logs[number];
        log.n_dropped = self.feeds[number].n_dropped;
        match part {
            Ok(Some(part)) => {
                log.n_skipped += part.scanned.n_skipped;
                log.scanned += part.bytes;
                let blocks: Vec<_> = part.scanned.blocks.into_iter().filter(|block| block.len > 0).collect();
                log.know(blocks.iter().map(|block| &block.segment));
                log.push_front(blocks, &self.anchors, asking, &mut self.matcher);
                log.complete = complete;
            }
            Ok(None) => log.complete = true,
            Err(error) => {
                log.complete = complete;
                self.shared.set_trouble(&error);
            }
        }
        if log.complete {
            log.scanned = log.bytes.min(log.scanned);
            log.join_from(0, &self.anchors, asking, &mut self.matcher);
        }
    }
}

impl Log {
    /// Takes note of segments.
    fn know<'a>(&mut self, segments: impl Iterator<Item = &'a Arc<Segment>>) {
        segments.for_each(|segment| self.files.know(segment));
    }
}
