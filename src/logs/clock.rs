//! Keeps the order of one source when the wall clock is set back.
//!
//! Marks pair the wall clock with a clock that never jumps; the difference of the two is constant until somebody sets the clock. A jump forward
//! keeps every order as it is. After a jump back two stretches of real time share the same stamps: there the older stretch is moved back by the
//! jump, so that the newest stamps stay as they are written. A new boot begins anew.

use std::collections::VecDeque;

/// Smaller differences are noise of reading two clocks one after the other.
const NOISE: i64 = 20_000;
/// A mark is written before any record that comes a second after the last one; no record is further from its mark than this.
pub(super) const WITHIN: i64 = 1_100_000;

/// One mark: wall clock and steady clock, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Since 1970, as the machine believed.
    pub wall: i64,
    /// Since any fixed moment of this boot.
    pub steady: i64,
    /// Which boot; `None` in logs of a time when it was not written.
    pub boot: Option<u32>,
}

/// How far the wall clock was set back from `then` to `now`, in microseconds, as far as that can be known.
pub(crate) fn set_back(then: Pair, now: Pair) -> i64 {
    let offset = |pair: Pair| pair.wall.saturating_sub(pair.steady);
    let back = match then.boot.zip(now.boot) {
        Some((then_boot, now_boot)) if then_boot == now_boot => offset(then).saturating_sub(offset(now)),
        Some(_) | None => then.wall.saturating_sub(now.wall),
    };
    if back > NOISE { back } else { 0 }
}

/// What happened to the wall clock between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    None,
    Back(i64),
    Forward(i64),
    Boot,
}

fn between(last: Pair, next: Pair) -> Jump {
    let old = last.wall.saturating_sub(last.steady);
    let new = next.wall.saturating_sub(next.steady);
    let by = new.saturating_sub(old);
    let same = last.boot.zip(next.boot).map(|(last, next)| last == next);
    match by {
        _ if same == Some(false) => Jump::Boot,
        _ if by.abs() <= NOISE => Jump::None,
        _ if by < 0 => Jump::Back(-by),
        // The steady clock began after the last mark was written: another boot, or a jump further than this one is long.
        _ if same.is_none() && new >= last.wall => Jump::Boot,
        _ => Jump::Forward(by),
    }
}

/// Turns stamps of one source, in the order of the file, into keys that never decrease within a boot.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: Option<Pair>,
    /// How far the clock has been set back since this boot's first mark, less what was set forward again.
    level: i64,
    /// What `level` will be at the end of this boot, as far as known beforehand; then of the next ones.
    finally: VecDeque<i64>,
    newest: Option<i64>,
    /// No record before the next mark can have a later key: while the clock is known to be set back, one that seems to has seen it set forward.
    latest: Option<i64>,
}

impl Clock {
    /// A clock for a source whose marks are known beforehand, at least one per segment.
    pub fn foreseeing(marks: impl IntoIterator<Item = Pair>) -> Clock {
        let mut probe = Clock::default();
        let mut levels = VecDeque::new();
        for mark in marks {
            let before = probe.level;
            if probe.apply(mark) == Jump::Boot {
                levels.push_back(before);
            }
        }
        levels.push_back(probe.level);
        Clock { finally: levels, ..Clock::default() }
    }

    /// Takes note of a mark.
    pub fn mark(&mut self, mark: Pair) {
        if self.apply(mark) == Jump::Boot {
            self.newest = None;
            if self.finally.len() > 1 {
                self.finally.pop_front();
            } else {
                self.finally.clear();
            }
        }
        self.latest = Some(mark.wall.saturating_add(self.shift()).saturating_add(WITHIN)).filter(|_| self.level > 0);
    }

    fn shift(&self) -> i64 {
        self.level - self.finally.front().copied().unwrap_or(0)
    }

    /// The key by which a record with this stamp is ordered among all sources.
    #[inline]
    pub fn key(&mut self, wall: i64) -> i64 {
        let key = wall.saturating_add(self.shift());
        let key = self.latest.map_or(key, |latest| latest.min(key));
        // Records between a jump and the next mark.
        let key = self.newest.map_or(key, |newest| newest.max(key));
        self.newest = Some(key);
        key
    }

    fn apply(&mut self, mark: Pair) -> Jump {
        let jump = self.last.map_or(Jump::None, |last| between(last, mark));
        self.last = Some(mark);
        match jump {
            Jump::None => {}
            Jump::Back(by) => self.level = self.level.saturating_add(by),
            Jump::Forward(by) => self.level = self.level.saturating_sub(by).max(0),
            Jump::Boot => self.level = 0,
        }
        jump
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const SECOND: i64 = 1_000_000;

    fn pair(wall: i64, steady: i64) -> Pair {
        Pair { wall, steady, boot: None }
    }

    #[test]
    fn a_jump_further_than_the_boot_is_long_is_no_boot() {
        let of = |wall, steady, boot| Pair { boot: Some(boot), ..pair(wall, steady) };
        let marks = [
            of(100 * HOUR, HOUR, 7),
            of(900 * HOUR, HOUR + SECOND, 7),
            of(100 * HOUR + 2 * SECOND, HOUR + 2 * SECOND, 7),
        ];
        let mut clock = Clock::foreseeing(marks);
        let keys: Vec<i64> = marks
            .iter()
            .map(|mark| {
                clock.mark(*mark);
                clock.key(mark.wall)
            })
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys[2], marks[2].wall);
        clock.mark(of(100 * HOUR + 3 * SECOND, 2 * HOUR, 8));
        assert_eq!(clock.key(100 * HOUR + 3 * SECOND), 100 * HOUR + 3 * SECOND);
    }

    #[test]
    fn an_honest_clock_changes_nothing() {
        let mut clock = Clock::default();
        clock.mark(pair(100 * HOUR, HOUR));
        assert_eq!(clock.key(100 * HOUR + 5), 100 * HOUR + 5);
        clock.mark(pair(101 * HOUR, 2 * HOUR + 300));
        assert_eq!(clock.key(101 * HOUR), 101 * HOUR);
    }

    #[test]
    fn a_jump_back_moves_what_was_before_it() {
        let marks = [pair(100 * HOUR, HOUR), pair(99 * HOUR + SECOND, HOUR + SECOND)];
        let mut clock = Clock::foreseeing(marks);
        clock.mark(marks[0]);
        assert_eq!(clock.key(100 * HOUR), 99 * HOUR);
        clock.mark(marks[1]);
        assert_eq!(clock.key(99 * HOUR + SECOND), 99 * HOUR + SECOND);
    }

    #[test]
    fn a_jump_back_that_was_not_foreseen_keeps_the_order() {
        let mut clock = Clock::default();
        clock.mark(pair(100 * HOUR, HOUR));
        assert_eq!(clock.key(100 * HOUR), 100 * HOUR);
        assert_eq!(clock.key(99 * HOUR), 100 * HOUR);
        clock.mark(pair(99 * HOUR + SECOND, HOUR + SECOND));
        assert_eq!(clock.key(99 * HOUR + SECOND), 100 * HOUR + SECOND);
        clock.mark(pair(100 * HOUR + 2 * SECOND, HOUR + 2 * SECOND));
        assert_eq!(clock.key(100 * HOUR + 2 * SECOND), 100 * HOUR + 2 * SECOND);
    }

    #[test]
    fn what_sees_a_jump_forward_before_its_mark_is_not_put_off() {
        let of = |wall, steady| Pair { boot: Some(7), ..pair(wall, steady) };
        let mut clock = Clock::default();
        clock.mark(of(100 * HOUR, HOUR));
        clock.mark(of(98 * HOUR + SECOND, HOUR + SECOND));
        clock.mark(of(98 * HOUR + 2 * SECOND, HOUR + 2 * SECOND));
        assert_eq!(clock.key(98 * HOUR + 2 * SECOND), 100 * HOUR + 2 * SECOND);
        assert_eq!(clock.key(100 * HOUR + 2 * SECOND + 5), 100 * HOUR + 2 * SECOND + WITHIN);
        clock.mark(of(100 * HOUR + 3 * SECOND, HOUR + 3 * SECOND));
        assert_eq!(clock.key(100 * HOUR + 4 * SECOND), 100 * HOUR + 4 * SECOND);
    }

    #[test]
    fn a_boot_begins_anew() {
        let mut clock = Clock::default();
        clock.mark(pair(100 * HOUR, 50 * HOUR));
        clock.mark(pair(90 * HOUR, 51 * HOUR));
        assert_eq!(clock.key(90 * HOUR), 101 * HOUR);
        clock.mark(pair(92 * HOUR, HOUR));
        assert_eq!(clock.key(92 * HOUR), 92 * HOUR);
    }
}
