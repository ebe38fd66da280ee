//! What is to be seen beside the scrollbar.

use super::rows::Tick;
use super::store::{FOUND, Log, Store};

/// The marks of all wanted lines, and for whom they were made.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// So many are wanted; 0 as long as nobody asked.
    pub(super) n: usize,
    /// Made at this generation.
    pub(super) made_at: u64,
    pub(super) made: Vec<Tick>,
}

impl Store {
    /// Makes the marks. Blocks are taken in the order of their first lines: where sources interleave, a mark is right to within a block.
    pub(super) fn make_ticks(&mut self, generation: u64) {
        let n = self.ticks.n;
        let mut blocks = Vec::new();
        for (number, log) in self.selected() {
            for at in 0..log.slots.len() {
                if let Some(hits) = log.wanted(at, self.wanted()).filter(|hits| hits.n > 0) {
                    blocks.push((log.slots[at].block.first_key(), number, at, u64::from(hits.n)));
                }
            }
        }
        blocks.sort_unstable();
        let total = blocks.iter().map(|block| block.3).sum::<u64>().max(1);
        let mut made = vec![Tick::default(); n];
        let mut before = 0;
        for (_, number, at, lines) in blocks {
            let bucket = |line: u64| ((before + line) * n as u64 / total) as usize;
            self.tick_block(&self.logs[number], at, &mut |line, tick: Tick| {
                let mark = &mut made[bucket(line)];
                mark.error |= tick.error;
                mark.hit |= tick.hit;
            });
            before += lines;
        }
        self.ticks.made_at = generation;
        self.ticks.made = made;
    }

    /// Tells of the wanted lines of a block that have something to mark, by their number among them.
    fn tick_block(&self, log: &Log, at: usize, mark: &mut dyn FnMut(u64, Tick)) {
        let slot = &log.slots[at];
        let block = &slot.block;
        let Some(wanted) = log.wanted(at, self.wanted()) else { return };
        let found = Some(&slot.hits[FOUND]).filter(|hits| hits.revision == self.revision[FOUND] && hits.n > 0);
        if block.n_errors() == 0 && found.is_none() {
            return;
        }
        let (mut line, mut n) = (0, 0);
        while let Some(next) = wanted.next(line) {
            let error = block.flags(next).stated() && block.level(next) >= 5;
            let hit = found.is_some_and(|hits| hits.has(next));
            if error || hit {
                mark(n, Tick { error, hit });
            }
            (line, n) = (next + 1, n + 1);
        }
    }
}
