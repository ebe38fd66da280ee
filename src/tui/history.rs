//! CPU and memory of copies over the last minutes: one sample a second, a bounded number of them, and the bars that charts make of it. Pure.

use std::collections::VecDeque;

/// So many seconds are kept for each copy: more than the five minutes a chart shows, so that each bar may stand for whole seconds.
pub const SECONDS: usize = 600;

/// One look at a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Percent of one core.
    pub cpu: f64,
    /// Bytes.
    pub memory: u64,
}

/// Eight bytes for a second: five hundred copies need no more than 2.4 MB.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// Percent of one core; not a number where nothing ran or nobody looked.
    cpu: f32,
    /// KiB, up to 4 TiB.
    memory: u32,
}

/// An answer may be late: so many seconds in which nobody looked are filled with what was seen after them.
const LATE: i64 = 10;

const NOTHING: Packed = Packed { cpu: f32::NAN, memory: 0 };

/// The last minutes of one copy.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// One for each second up to `newest`.
    samples: VecDeque<Packed>,
    /// Since 1970.
    newest: i64,
}

impl History {
    /// Keeps what was seen in a second. A second time it replaces what was seen before.
    pub fn add(&mut self, second: i64, sample: Option<Sample>) {
        let packed = sample.map_or(NOTHING, |sample| Packed {
            cpu: sample.cpu as f32,
            memory: u32::try_from(sample.memory >> 10).unwrap_or(u32::MAX),
        });
        let passed = second.saturating_sub(self.newest);
        match passed {
            // A clock that was set back begins anew.
            _ if self.samples.is_empty() || passed < 0 => self.samples.clear(),
            0 => drop(self.samples.pop_back()),
            1.. => {
                let missed = usize::try_from(passed - 1).unwrap_or(SECONDS).min(SECONDS);
                let between = if passed <= LATE { packed } else { NOTHING };
                self.samples.extend(std::iter::repeat_n(between, missed));
            }
            ..0 => {}
        }
        self.newest = second;
        self.samples.push_back(packed);
        while self.samples.len() > SECONDS {
            self.samples.pop_front();
        }
    }

    /// The last seconds up to and with `now`, oldest first: always so many, `None` for what nobody saw.
    pub fn seconds(&self, now: i64, n: usize) -> Vec<Option<Sample>> {
        let first = now.saturating_sub(n as i64).saturating_add(1);
        let at = |second: i64| {
            let back = usize::try_from(self.newest.checked_sub(second)?).ok()?;
            let packed = self.samples.get(self.samples.len().checked_sub(back + 1)?)?;
            let sample = Sample { cpu: f64::from(packed.cpu), memory: u64::from(packed.memory) << 10 };
            (!packed.cpu.is_nan()).then_some(sample)
        };
        (0..n as i64).map(|n| at(first.saturating_add(n))).collect()
    }
}

/// Seconds put together to bars, each the highest of its seconds; `None` where there is none. Which seconds share a bar does not depend on `now`, the
/// newest second, so that a bar moves as a whole and never changes its height on its way.
pub fn bars(seconds: &[Option<f64>], now: i64, per: usize, columns: usize) -> Vec<Option<f64>> {
    let per = per.max(1);
    let first = now.saturating_sub(seconds.len() as i64).saturating_add(1);
    let newest = now.div_euclid(per as i64);
    let mut bars: Vec<Option<f64>> = vec![None; columns];
    for (at, value) in seconds.iter().enumerate() {
        let Some(value) = value else { continue };
        let back = newest - first.saturating_add(at as i64).div_euclid(per as i64);
        let bar = usize::try_from(back).ok().and_then(|back| columns.checked_sub(back + 1));
        if let Some(bar) = bar.and_then(|bar| bars.get_mut(bar)) {
            *bar = Some(bar.map_or(*value, |highest| highest.max(*value)));
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(cpu: f64) -> Option<Sample> {
        Some(Sample { cpu, memory: 4096 })
    }

    #[test]
    fn a_late_answer_leaves_no_gap_and_a_long_absence_does() {
        let mut history = History::default();
        history.add(100, sample(1.0));
        history.add(100, sample(2.0));
        history.add(103, sample(3.0));
        history.add(104, None);
        let cpu = |history: &History, now, n| -> Vec<Option<f64>> {
            history.seconds(now, n).iter().map(|sample| sample.map(|sample| sample.cpu)).collect()
        };
        assert_eq!(cpu(&history, 104, 6), [None, Some(2.0), Some(3.0), Some(3.0), Some(3.0), None]);
        assert_eq!(cpu(&history, 106, 4), [Some(3.0), None, None, None]);
        assert_eq!(history.seconds(103, 1)[0].unwrap().memory, 4096);
        assert_eq!(cpu(&history, i64::MIN, 2), [None, None]);
        history.add(120, sample(5.0));
        assert_eq!(cpu(&history, 120, 3), [None, None, Some(5.0)]);
        assert_eq!(cpu(&history, 104, 2), [Some(3.0), None]);
    }

    #[test]
    fn memory_is_bounded_and_clocks_may_jump() {
        let mut history = History::default();
        for second in 0..2 * SECONDS as i64 {
            history.add(second, sample(second as f64));
        }
        assert_eq!(history.samples.len(), SECONDS);
        assert_eq!(history.seconds(1199, 1)[0], sample(1199.0));
        history.add(i64::MAX, sample(1.0));
        assert_eq!(history.samples.len(), SECONDS);
        history.add(5, sample(7.0));
        assert_eq!((history.samples.len(), history.seconds(5, 1)[0]), (1, sample(7.0)));
    }

    proptest! {
        /// However time goes on, what a whole bar shows stays as it is.
        #[test]
        fn bars_move_as_a_whole(values in prop::collection::vec(0.0..9.0_f64, 60), per in 1_usize..9, now in 1000_i64..2000) {
            let all = |now: i64| -> Vec<Option<f64>> {
                (0..60).map(|n| values.get(usize::try_from(now - 59 + n).unwrap() % 60).copied()).collect()
            };
            let (before, after) = (bars(&all(now), now, per, 6), bars(&all(now + 1), now + 1, per, 6));
            let moved = usize::from((now + 1) % per as i64 == 0);
            // The newest is not over, and the oldest loses seconds.
            for at in 1..5 - moved {
                prop_assert_eq!(after[at], before[at + moved], "{:?} {:?}", before, after);
            }
        }
    }
}
