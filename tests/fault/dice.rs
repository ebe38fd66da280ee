//! Randomness with a seed that is recorded: `ORCHESTRA_SEED`, else one that differs each time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers that one seed decides (splitmix64).
pub(crate) struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// Its seed is printed, so that a failed test says how to fail again.
    pub(crate) fn new() -> Dice {
        let given = std::env::var("ORCHESTRA_SEED").ok().map(|text| text.parse().unwrap());
        let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64);
        eprintln!("ORCHESTRA_SEED={seed}");
        Dice { seed, state: seed }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 to `n - 1`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Lets a random time below `most` pass: the moment of a fault.
    pub(crate) fn wait(&mut self, most: Duration) {
        std::thread::sleep(most.mul_f64((self.next() >> 11) as f64 / (1_u64 << 53) as f64));
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len())) }
    }
}
