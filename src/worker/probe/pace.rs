//! When the next probe is due, and what a row of answers means. Pure: no clock.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(10);
const SLOWEST: Duration = Duration::from_millis(250);
const STEADY: Duration = Duration::from_secs(5);

/// Quick while a start is awaited, then steady: as configured, else every five seconds.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    configured: Option<Duration>,
    hurry: Option<Duration>,
    next: Duration,
}

impl Pace {
    /// `hurry` is the pace while a start is awaited, where somebody said one.
    pub(super) fn new(configured: Option<Duration>, hurry: Option<Duration>) -> Pace {
        Pace { configured, hurry, next: FIRST }
    }

    /// How long until the next probe; `settled` says whether the start is over.
    pub(super) fn next(&mut self, settled: bool) -> Duration {
        let quick = self.next;
        self.next = (self.next * 2).min(SLOWEST);
        let steady = self.configured.unwrap_or(STEADY).max(Duration::from_millis(1));
        match self.hurry {
            _ if settled => steady,
            Some(hurry) => hurry.max(FIRST),
            // A long interval is meant for a service that is up; nobody wants to wait for it at a start.
            None => quick.min(steady),
        }
    }
}

/// What the answers so far mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The last answer was yes.
    Good,
    /// Enough failures in a row.
    Bad,
    /// Neither.
    Open,
}

/// Counts failures in a row.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    limit: u32,
    failures: u32,
    was_good: bool,
}

impl Tally {
    pub(super) fn new(limit: u32) -> Tally {
        Tally { limit: limit.max(1), failures: 0, was_good: false }
    }

    /// Whether there ever was a yes.
    pub(super) fn was_good(&self) -> bool {
        self.was_good
    }

    /// Takes one answer.
    pub(super) fn count(&mut self, yes: bool) -> Verdict {
        self.was_good |= yes;
        self.failures = if yes { 0 } else { self.failures.saturating_add(1) };
        match self.failures {
            0 => Verdict::Good,
            n if n >= self.limit => Verdict::Bad,
            _ => Verdict::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_then_steady() {
        let mut pace = Pace::new(None, None);
        let ms: Vec<u128> = (0..8).map(|_| pace.next(false).as_millis()).collect();
        assert_eq!(ms, [10, 20, 40, 80, 160, 250, 250, 250]);
        assert_eq!(pace.next(true), STEADY);
        let mut pace = Pace::new(Some(Duration::from_secs(2)), None);
        assert_eq!([pace.next(false), pace.next(false), pace.next(true)].map(|d| d.as_millis()), [10, 20, 2000]);
        let mut pace = Pace::new(Some(Duration::from_millis(15)), None);
        assert_eq!([pace.next(false), pace.next(false), pace.next(true)].map(|d| d.as_millis()), [10, 15, 15]);
        let mut pace = Pace::new(Some(Duration::from_secs(2)), Some(Duration::from_millis(700)));
        assert_eq!([pace.next(false), pace.next(false), pace.next(true)].map(|d| d.as_millis()), [700, 700, 2000]);
    }

    #[test]
    fn failures_in_a_row() {
        let mut tally = Tally::new(3);
        let verdicts: Vec<Verdict> = [false, false, true, false, false, false].map(|a| tally.count(a)).to_vec();
        assert_eq!(verdicts, [Verdict::Open, Verdict::Open, Verdict::Good, Verdict::Open, Verdict::Open, Verdict::Bad]);
        assert!(tally.was_good());
        assert_eq!(Tally::new(0).count(false), Verdict::Bad);
    }
}
