//! Orders the records of all sources by a clock that never jumps.
//!
//! Marks pair the wall clock with a steady one; the difference of the two is constant within a boot until somebody sets the wall clock. So every
//! record has a steady moment: its stamp less the difference its last mark shows. Keys are these moments, moved by one difference per boot that all
//! sources share ([`Anchors`]): whoever reads from different marks on comes to the same keys. Nothing is moved where the clock was never set.

use std::collections::BTreeMap;

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
    /// Which boot; `None` where the machine does not tell.
    pub boot: Option<u32>,
}

impl Pair {
    fn difference(self) -> i64 {
        self.wall.saturating_sub(self.steady)
    }
}

/// How far the wall clock was set back from `then` to `now`, in microseconds, as far as that can be known.
pub(crate) fn set_back(then: Pair, now: Pair) -> i64 {
    let back = match then.boot.zip(now.boot) {
        Some((then_boot, now_boot)) if then_boot == now_boot => then.difference().saturating_sub(now.difference()),
        Some(_) | None => then.wall.saturating_sub(now.wall),
    };
    if back > NOISE { back } else { 0 }
}

/// For each boot the difference of its clocks that keys are written in: the latest that any mark of any source shows.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    latest: BTreeMap<u32, Pair>,
}

impl Anchors {
    /// Of marks that are known beforehand, of all sources, and of this moment's.
    pub fn new(marks: impl IntoIterator<Item = Pair>) -> Anchors {
        let mut latest = BTreeMap::<u32, Pair>::new();
        for mark in marks {
            let Some(boot) = mark.boot else { continue };
            let kept = latest.entry(boot).or_insert(mark);
            if kept.steady < mark.steady {
                *kept = mark;
            }
        }
        Anchors { latest }
    }

    /// By how much stamps after this mark are moved.
    fn shift(&self, mark: Pair) -> i64 {
        let anchor = mark.boot.and_then(|boot| self.latest.get(&boot));
        let shift = anchor.map_or(0, |anchor| anchor.difference().saturating_sub(mark.difference()));
        if shift.abs() <= NOISE { 0 } else { shift }
    }
}

/// Turns stamps of one source, in the order of the file, into keys that never decrease within a boot.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    boot: Option<u32>,
    shift: i64,
    newest: Option<i64>,
    /// No record before the next mark is later: one that seems to be has seen the clock set forward.
    latest: Option<i64>,
}

impl Clock {
    /// Takes note of a mark.
    pub fn mark(&mut self, mark: Pair, anchors: &Anchors) {
        if self.boot != mark.boot {
            // What came before is of another time, however the clocks stood.
            (self.boot, self.newest) = (mark.boot, None);
        }
        self.shift = anchors.shift(mark);
        let end = mark.wall.saturating_add(self.shift).saturating_add(WITHIN);
        self.latest = mark.boot.map(|_| end);
    }

    /// The key by which a record with this stamp is ordered among all sources.
    #[inline]
    pub fn key(&mut self, wall: i64) -> i64 {
        let key = wall.saturating_add(self.shift);
        let key = self.latest.map_or(key, |latest| latest.min(key));
        // Records between a jump and the next mark.
        let key = self.newest.map_or(key, |newest| newest.max(key));
        self.newest = Some(key);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const SECOND: i64 = 1_000_000;

    fn pair(wall: i64, steady: i64, boot: u32) -> Pair {
        Pair { wall, steady, boot: Some(boot) }
    }

    /// The keys of one record right after each mark.
    fn keys(marks: &[Pair], anchors: &Anchors) -> Vec<i64> {
        let mut clock = Clock::default();
        let mut key = |mark: &Pair| {
            clock.mark(*mark, anchors);
            clock.key(mark.wall)
        };
        marks.iter().map(&mut key).collect()
    }

    #[test]
    fn an_honest_clock_changes_nothing() {
        let marks = [pair(100 * HOUR, HOUR, 7), pair(101 * HOUR, 2 * HOUR + 300, 7)];
        assert_eq!(keys(&marks, &Anchors::new(marks)), [100 * HOUR, 101 * HOUR]);
    }

    #[test]
    fn jumps_keep_the_order_and_the_newest_stamps() {
        let walls = [100 * HOUR, 900 * HOUR, 100 * HOUR + 2 * SECOND, 40 * HOUR, 70 * HOUR];
        let marks = walls.iter().zip(0..).map(|(wall, n)| pair(*wall, HOUR + n * SECOND, 7)).collect::<Vec<_>>();
        let keys = keys(&marks, &Anchors::new(marks.clone()));
        assert_eq!(keys, (0..5).map(|n| 70 * HOUR - (4 - n) * SECOND).collect::<Vec<_>>());
    }

    #[test]
    fn sources_that_begin_at_different_marks_agree() {
        let walls = [100 * HOUR, 99 * HOUR, 101 * HOUR, 98 * HOUR, 98 * HOUR + SECOND];
        let marks = walls.iter().zip(0..).map(|(wall, n)| pair(*wall, HOUR + n * SECOND, 7)).collect::<Vec<_>>();
        for begin in 0..marks.len() {
            let anchors = Anchors::new([&marks[..1], &marks[begin..]].concat().into_iter().chain([marks[4]]));
            assert_eq!(keys(&marks[begin..], &anchors), keys(&marks, &anchors)[begin..], "{begin}");
        }
    }

    #[test]
    fn a_jump_that_no_mark_shows_yet_spoils_nothing_after_it() {
        let marks = [pair(100 * HOUR, HOUR, 7), pair(100 * HOUR + 2 * SECOND, HOUR + 2 * SECOND, 7)];
        let anchors = Anchors::new(marks);
        let mut clock = Clock::default();
        clock.mark(marks[0], &anchors);
        assert_eq!(clock.key(99 * HOUR), 99 * HOUR);
        assert_eq!(clock.key(300 * HOUR), 100 * HOUR + WITHIN);
        assert_eq!(clock.key(100 * HOUR + SECOND), 100 * HOUR + WITHIN);
        clock.mark(marks[1], &anchors);
        assert_eq!(clock.key(marks[1].wall), marks[1].wall);
    }

    #[test]
    fn a_boot_begins_anew_and_has_a_difference_of_its_own() {
        let marks = [pair(100 * HOUR, 50 * HOUR, 7), pair(90 * HOUR, 51 * HOUR, 7), pair(92 * HOUR, HOUR, 8)];
        assert_eq!(keys(&marks, &Anchors::new(marks)), [89 * HOUR, 90 * HOUR, 92 * HOUR]);
    }

    #[test]
    fn without_a_boot_stamps_are_believed_and_the_order_of_the_source_kept() {
        let of = |wall, steady| Pair { wall, steady, boot: None };
        let marks = [of(100 * HOUR, HOUR), of(99 * HOUR, HOUR + SECOND), of(101 * HOUR, HOUR + 2 * SECOND)];
        assert_eq!(keys(&marks, &Anchors::new(marks)), [100 * HOUR, 100 * HOUR, 101 * HOUR]);
    }
}
