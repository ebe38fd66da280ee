//! Whether the records of an origin that are on disk have come past the last time at which the clock was set back.
//!
//! Some engines tell only what is not older than they are asked for. Where the clock was set back while nobody read, what is read late ends with the old
//! clock's times, and what comes next carries lower ones: then it must be asked for more. Marks tell by how much the clock was set back and when at the
//! earliest; the records tell once they have followed.

use super::clock::{Pair, WITHIN, set_back};

/// Streams write side by side, so a line may come a little after one that is younger: so much older ones are asked for, too. Microseconds.
pub(super) const MARGIN: i64 = 2 * 1_000_000;

/// Goes through marks and records in their order.
#[derive(Debug, Default)]
pub(super) struct Past {
    last: Option<Pair>,
    /// The first mark is the last one.
    is_first: bool,
    /// The greatest time since the records were last seen to go back.
    highest: Option<i64>,
    doubt: Option<Doubt>,
}

/// The clock was set back, and the records do not show that they followed.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// The lowest time of what was written after that.
    lowest: i64,
    /// The greatest time of what was written before it.
    greatest: i64,
    /// By so much the records have not gone back yet.
    back: i64,
}

impl Past {
    /// A mark comes.
    pub(super) fn mark(&mut self, clocks: Pair) {
        self.is_first = self.last.is_none();
        let Some(last) = self.last.replace(clocks) else { return };
        let back = set_back(last, clocks);
        if back > 0 {
            self.add(last.wall.saturating_sub(back), clocks.wall.saturating_add(back), back);
        }
    }

    /// A record comes.
    pub(super) fn record(&mut self, time: i64) {
        let before = self.highest.map_or(0, |highest| highest.saturating_sub(time));
        let went_back = before > MARGIN;
        self.highest = Some(self.highest.filter(|_| !went_back).map_or(time, |highest| highest.max(time)));
        if let Some(doubt) = &mut self.doubt {
            if went_back {
                doubt.back = doubt.back.saturating_sub(before);
            }
            // Younger than anything could be that the old clock saw.
            let is_past = time > doubt.greatest.saturating_add(MARGIN) || went_back && doubt.back <= MARGIN;
            self.doubt = self.doubt.filter(|_| !is_past);
        }
        // Of what was before the first mark nobody knows by how much.
        if self.is_first && self.last.is_some_and(|mark| time > mark.wall.saturating_add(WITHIN)) {
            self.add(0, time, i64::MAX);
        }
    }

    fn add(&mut self, lowest: i64, greatest: i64, back: i64) {
        let old = self.doubt.unwrap_or(Doubt { lowest, greatest, back: 0 });
        self.doubt = Some(Doubt {
            lowest: lowest.min(old.lowest),
            greatest: greatest.max(old.greatest),
            back: back.saturating_add(old.back),
        });
    }

    /// From which time on records may come that are younger than those on disk; `None` where the newest of them tells. The clock may have been set back
    /// since the last mark, too.
    pub(super) fn lowest(&self, now: Pair) -> Option<i64> {
        let doubt = self.doubt?;
        Some(doubt.lowest.saturating_sub(self.last.map_or(0, |last| set_back(last, now))).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(wall: i64, steady: i64) -> Pair {
        Pair { wall: wall * SECOND, steady: steady * SECOND, boot: Some(1) }
    }

    fn lowest(past: &Past, now: Pair) -> Option<i64> {
        past.lowest(now).map(|time| time / SECOND)
    }

    #[test]
    fn what_is_read_late_does_not_hide_what_the_set_back_clock_saw() {
        let mut past = Past::default();
        past.mark(at(1000, 0));
        past.record(1000 * SECOND);
        assert_eq!(lowest(&past, at(1001, 1)), None);
        // Set back by 50 s while nobody read.
        past.mark(at(960, 10));
        past.record(1005 * SECOND);
        assert_eq!(lowest(&past, at(961, 11)), Some(950));
        assert_eq!(lowest(&past, at(931, 11)), Some(920), "and by 30 s more");
        // It was set back in two steps, of which one is seen.
        past.record(980 * SECOND);
        assert_eq!(lowest(&past, at(961, 11)), Some(950));
        past.record(956 * SECOND);
        assert_eq!(lowest(&past, at(961, 11)), None);
    }

    #[test]
    fn what_is_younger_than_the_old_clock_ever_was_is_past_it() {
        let mut past = Past::default();
        past.mark(at(1000, 0));
        past.mark(at(960, 10));
        past.record(999 * SECOND);
        assert!(past.lowest(at(961, 11)).is_some());
        past.record(1020 * SECOND);
        assert_eq!(past.lowest(at(1021, 71)), None);
    }

    #[test]
    fn what_is_younger_than_the_first_mark_may_be_followed_by_anything() {
        let mut past = Past::default();
        past.mark(at(960, 10));
        past.record(1005 * SECOND);
        assert_eq!(past.lowest(at(961, 11)), Some(0));
        past.mark(at(1010, 60));
        past.record(1010 * SECOND);
        assert_eq!(past.lowest(at(1011, 61)), None);
    }
}
