//! How much is written in a second.

use super::block::Block;
use super::rows::Rates;

/// So many seconds are remembered.
pub(super) const SECONDS: usize = 60;

/// Lines and errors of the last seconds of one source.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// The newest second that is remembered, since 1970.
    newest: i64,
    counts: [(u32, u32); SECONDS],
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { newest: i64::MIN, counts: [(0, 0); SECONDS] }
    }
}

impl Ring {
    /// Counts the lines of a block from `from` on.
    pub(super) fn count(&mut self, block: &Block, from: usize) {
        let n = block.n_lines();
        if from >= n || block.last_key().div_euclid(1_000_000) <= self.newest.saturating_sub(SECONDS as i64) {
            return;
        }
        let mut line = from;
        while line < n {
            let second = block.key(line).div_euclid(1_000_000);
            let end = block.line_at_key((second + 1) * 1_000_000).max(line + 1);
            let is_error = |line: &usize| block.flags(*line).stated() && block.level(*line) >= 5;
            let errors = if block.n_errors() > 0 { (line..end).filter(is_error).count() } else { 0 };
            self.add(second, (end - line) as u32, errors as u32);
            line = end;
        }
    }

    fn add(&mut self, second: i64, lines: u32, errors: u32) {
        if second > self.newest {
            let passed = second.saturating_sub(self.newest).min(SECONDS as i64);
            (0..passed).for_each(|back| self.counts[slot(second - back)] = (0, 0));
            self.newest = second;
        }
        if second > self.newest.saturating_sub(SECONDS as i64) {
            let (all, bad) = &mut self.counts[slot(second)];
            *all = all.saturating_add(lines);
            *bad = bad.saturating_add(errors);
        }
    }

    /// What was counted in the seconds up to and with `now`.
    pub(super) fn rates(&self, now: i64) -> Rates {
        let known = |second: i64| second <= self.newest && second > self.newest.saturating_sub(SECONDS as i64);
        let of = |second: i64| if known(second) { self.counts[slot(second)] } else { (0, 0) };
        let seconds = (0..SECONDS as i64).rev().map(|back| of(now - back));
        let (lines, errors) = seconds.unzip();
        Rates { lines, errors }
    }
}

fn slot(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_pass() {
        let mut ring = Ring::default();
        ring.add(1000, 5, 1);
        ring.add(998, 2, 0);
        ring.add(1000, 1, 0);
        ring.add(900, 7, 7);
        let rates = ring.rates(1001);
        assert_eq!((&rates.lines[56..], rates.lines.len()), (&[2_u32, 0, 6, 0][..], SECONDS));
        assert_eq!((rates.errors[58], rates.errors[56]), (1, 0));
        ring.add(1050, 3, 3);
        assert_eq!(ring.rates(1050).lines[9..12], [6, 0, 0]);
        ring.add(5000, 1, 0);
        assert_eq!(ring.rates(5000).lines.iter().sum::<u32>(), 1);
        assert_eq!(ring.rates(9000).lines.iter().sum::<u32>(), 0);
    }
}
