//! Which lines of a block are wanted, a bit for each; nothing is kept where it is all of them or none.

use super::block::Block;
use super::place::STREAMS;

/// The lines of one block that were asked about, and those that are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    /// For which query.
    pub(super) revision: u32,
    /// The first so many lines were asked about.
    pub(super) done: u32,
    /// So many are wanted.
    pub(super) n: u32,
    /// Empty where `n` is 0 or `done`.
    bits: Vec<u64>,
    /// With folds: a line is wanted that goes on from one before the block, by stream.
    pub(super) orphans: [bool; STREAMS],
    /// With folds: the last line of a stream that others may go on from is taken out, with what goes on from it.
    pub(super) barred: [bool; STREAMS],
}

impl Hits {
    /// From bits of the first `done` lines.
    pub(super) fn new(revision: u32, done: usize, mut bits: Vec<u64>) -> Hits {
        let n = bits.iter().map(|word| word.count_ones()).sum();
        let done = done as u32;
        if n == 0 || n == done {
            bits = Vec::new();
        } else {
            bits.shrink_to_fit();
        }
        Hits { revision, done, n, bits, ..Hits::default() }
    }

    /// Whether a line is wanted.
    pub(super) fn has(&self, line: usize) -> bool {
        if self.bits.is_empty() { line < self.n as usize } else { get(&self.bits, line) }
    }

    /// The first wanted line from `line` on.
    pub(super) fn next(&self, line: usize) -> Option<usize> {
        if self.bits.is_empty() {
            return (line < self.n as usize).then_some(line);
        }
        let mut at = line / 64;
        let mut word = self.bits.get(at)? & (u64::MAX << (line % 64));
        while word == 0 {
            at += 1;
            word = *self.bits.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }

    /// The last wanted line before `line`.
    pub(super) fn previous(&self, line: usize) -> Option<usize> {
        let line = line.min(self.done as usize);
        if self.bits.is_empty() {
            return (line.min(self.n as usize)).checked_sub(1);
        }
        let last = line.checked_sub(1)?;
        let mut at = last / 64;
        let mut word = self.bits[at] & (u64::MAX >> (63 - last % 64));
        while word == 0 {
            at = at.checked_sub(1)?;
            word = self.bits[at];
        }
        Some(at * 64 + 63 - word.leading_zeros() as usize)
    }

    /// How many wanted lines there are before `line`.
    pub(super) fn before(&self, line: usize) -> u32 {
        let line = line.min(self.done as usize);
        if self.bits.is_empty() {
            return (line as u32).min(self.n);
        }
        let whole: u32 = self.bits[..line / 64].iter().map(|word| word.count_ones()).sum();
        let rest = self.bits.get(line / 64).map_or(0, |word| (word & !(u64::MAX << (line % 64))).count_ones());
        whole + rest
    }

    /// The wanted line that so many wanted ones are before.
    pub(super) fn select(&self, mut n: u32) -> Option<usize> {
        if n >= self.n {
            return None;
        }
        if self.bits.is_empty() {
            return Some(n as usize);
        }
        for (at, word) in self.bits.iter().enumerate() {
            let ones = word.count_ones();
            if n < ones {
                let mut word = *word;
                for _ in 0..n {
                    word &= word - 1;
                }
                return Some(at * 64 + word.trailing_zeros() as usize);
            }
            n -= ones;
        }
        None
    }

    /// Wants one more line. True when it was not wanted before.
    pub(super) fn set(&mut self, line: usize) -> bool {
        if self.has(line) || line >= self.done as usize {
            return false;
        }
        if self.bits.is_empty() {
            self.bits = vec![0; (self.done as usize).div_ceil(64)];
        }
        set(&mut self.bits, line);
        self.n += 1;
        if self.n == self.done {
            self.bits = Vec::new();
        }
        true
    }

    /// The bits of the first `len` lines, to go on with.
    pub(super) fn to_bits(&self, len: usize) -> Vec<u64> {
        let mut bits = vec![0; len.div_ceil(64)];
        if !self.bits.is_empty() {
            bits[..self.bits.len()].copy_from_slice(&self.bits);
        } else {
            (0..self.n as usize).for_each(|line| set(&mut bits, line));
        }
        bits
    }

    /// How many lines both want.
    pub(super) fn in_both(&self, other: &Hits) -> u32 {
        match (self.bits.is_empty(), other.bits.is_empty()) {
            (true, _) if self.n == 0 => 0,
            (_, true) if other.n == 0 => 0,
            (true, _) => other.before(self.n as usize),
            (_, true) => self.before(other.n as usize),
            _ => self.bits.iter().zip(&other.bits).map(|(one, two)| (one & two).count_ones()).sum(),
        }
    }
}

/// Whether a bit is set.
pub(super) fn get(bits: &[u64], at: usize) -> bool {
    bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

/// Sets a bit.
pub(super) fn set(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

/// Clears a bit.
pub(super) fn clear(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word &= !(1 << (at % 64));
    }
}

/// From wanted lines to wanted folds: a fold is wanted where any of its lines is. `out`: lines that take their fold out where they begin it.
pub(super) fn folded(revision: u32, block: &Block, wanted: &[u64], out: &[u64]) -> Hits {
    let mut bits = vec![0; wanted.len()];
    let mut head = [None; STREAMS];
    let (mut orphans, mut barred) = ([false; STREAMS], [false; STREAMS]);
    for line in 0..block.n_lines() {
        let flags = block.flags(line);
        let stream = flags.stream();
        if !flags.continues() {
            head[stream] = Some(line);
            barred[stream] = get(out, line);
        }
        if get(wanted, line) && !barred[stream] {
            match head[stream] {
                Some(head) => set(&mut bits, head),
                None => orphans[stream] = true,
            }
        }
    }
    Hits { orphans, barred, ..Hits::new(revision, block.n_lines(), bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_count_as_a_list_does(wanted in prop::collection::vec(any::<bool>(), 0..200), other in prop::collection::vec(any::<bool>(), 200), all in any::<bool>()) {
            let wanted: Vec<bool> = wanted.into_iter().map(|on| on || all).collect();
            let of = |list: &[bool]| {
                let mut bits = vec![0; list.len().div_ceil(64)];
                list.iter().enumerate().filter(|(_, on)| **on).for_each(|(at, _)| set(&mut bits, at));
                Hits::new(1, list.len(), bits)
            };
            let hits = of(&wanted);
            let ones: Vec<usize> = (0..wanted.len()).filter(|at| wanted[*at]).collect();
            prop_assert_eq!(hits.n as usize, ones.len());
            prop_assert_eq!(&Hits::new(1, wanted.len(), hits.to_bits(wanted.len())).to_bits(200), &hits.to_bits(200));
            for at in 0..=wanted.len() {
                prop_assert_eq!(hits.before(at) as usize, ones.iter().filter(|one| **one < at).count());
                prop_assert_eq!(hits.next(at), ones.iter().copied().find(|one| *one >= at));
                prop_assert_eq!(hits.previous(at), ones.iter().copied().rfind(|one| *one < at));
                prop_assert_eq!(hits.select(at as u32), ones.get(at).copied());
                prop_assert_eq!(hits.has(at), ones.contains(&at));
                let mut more = hits.clone();
                prop_assert_eq!(more.set(at), at < wanted.len() && !wanted[at]);
                prop_assert_eq!(more.has(at), at < wanted.len());
                prop_assert_eq!(more.n as usize, (0..wanted.len()).filter(|at| more.has(*at)).count());
            }
            let other = &other[..wanted.len()];
            let both = ones.iter().filter(|one| other[**one]).count();
            prop_assert_eq!(hits.in_both(&of(other)) as usize, both);
        }
    }
}
