//! How often a terminal can be written to: as often as frames are made, unless it reads slowly, as over a poor link. Pure.
//!
//! Nobody tells what a link has in it. But while it is full most of the time, what goes through is what it can. From then on less is written, so that what is in it
//! gets less, and a key is answered as soon as the link can. The estimate grows slowly; when the link is full again, it is made anew. A terminal that is busy for a
//! moment is not slow.

use std::time::{Duration, Instant};

/// What a pseudo-terminal has in it, in bytes, when it takes no more. What is behind it may hold much more.
const HELD: f64 = 16.0 * 1024.0;
/// Data frames use so much of what the link takes.
const SHARE: f64 = 0.8;
/// A link is thought to be so many times faster after [`GROWTH`] without a sign of the contrary.
const TIMES: f64 = 2.0;
const GROWTH: Duration = Duration::from_secs(200);
/// A faster link, in bytes a second, is no limit.
const FAST: f64 = 200_000.0;
/// No link is waited for longer than this.
const LONGEST: Duration = Duration::from_secs(10);
/// It is looked at for so long at least, because a terminal takes more in steps, and at most.
const MEASURED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What one write was like.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When it was done.
    pub at: Instant,
    /// All of it.
    pub bytes: usize,
    /// So long the terminal took no more, if there was such a time.
    pub blocked: Option<Duration>,
}

/// What is known of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    link: Link,
    /// When it should have sent everything.
    free: Instant,
    /// The size of the last write.
    bytes: f64,
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// It takes what there is.
    Fast,
    /// It was full at this moment, took so many bytes since, and was waited for so long.
    Full(Instant, f64, Duration),
    /// It takes so many bytes a second.
    Slow(f64),
}

impl Pace {
    /// Nothing is known.
    pub fn new(now: Instant) -> Pace {
        Pace { link: Link::Fast, free: now, bytes: 0.0, last: now }
    }

    /// Learns from a write.
    pub fn wrote(&mut self, written: Written) {
        let now = written.at;
        self.bytes = written.bytes as f64;
        self.free = self.free.max(now);
        self.link = match (self.link, written.blocked) {
            (Link::Fast, None) => Link::Fast,
            (Link::Fast | Link::Slow(_), Some(_)) => {
                self.free = now;
                Link::Full(now, 0.0, Duration::ZERO)
            }
            (Link::Full(since, sent, waited), blocked) => {
                let (sent, waited) = (sent + self.bytes, waited + blocked.unwrap_or_default());
                self.full(now, since, sent, waited)
            }
            (Link::Slow(link), None) => {
                self.free += Duration::from_secs_f64(self.bytes / link).min(LONGEST);
                let passed = now.duration_since(self.last).as_secs_f64() / GROWTH.as_secs_f64();
                limit(link * TIMES.powf(passed))
            }
        };
        self.last = now;
    }

    /// It was full a while ago.
    fn full(&mut self, now: Instant, since: Instant, sent: f64, waited: Duration) -> Link {
        let passed = now.duration_since(since);
        if passed >= MEASURED.0 && waited * 2 >= passed {
            let link = (sent / passed.as_secs_f64()).max(100.0);
            self.free = now + Duration::from_secs_f64(HELD / link).min(LONGEST);
            return limit(link);
        }
        if passed > MEASURED.1 { Link::Fast } else { Link::Full(since, sent, waited) }
    }

    /// When a key may be answered: once what was written before should be on the screen, or at once.
    pub fn answer_at(&self) -> Instant {
        match self.link {
            Link::Slow(_) => self.free,
            Link::Fast | Link::Full(..) => self.last,
        }
    }

    /// When the next frame that no key asked for may be written; `least`: not earlier than that.
    pub fn frame_at(&self, least: Instant) -> Instant {
        match self.link {
            Link::Slow(link) => {
                let share = Duration::from_secs_f64(self.bytes / link / SHARE).min(LONGEST);
                least.max(self.free).max(self.last + share)
            }
            Link::Fast | Link::Full(..) => least,
        }
    }
}

fn limit(link: f64) -> Link {
    if link < FAST { Link::Slow(link) } else { Link::Fast }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Duration = Duration::from_millis(33);

    /// A link that takes so much a second and holds so much; once full it takes more only when some of that is gone.
    struct Wire {
        rate: f64,
        room: f64,
        held: f64,
        at: Instant,
    }

    impl Wire {
        fn drain(&mut self, now: Instant) {
            self.held = (self.held - self.rate * now.saturating_duration_since(self.at).as_secs_f64()).max(0.0);
            self.at = self.at.max(now);
        }

        /// Writes, waiting as long as it must.
        fn write(&mut self, now: Instant, bytes: f64) -> Written {
            self.drain(now);
            let over = self.held + bytes - self.room;
            let blocked = (over > 0.0).then(|| Duration::from_secs_f64((over + 4000.0) / self.rate));
            let at = now + blocked.unwrap_or_default();
            self.drain(at);
            self.held += bytes;
            Written { at, bytes: bytes as usize, blocked }
        }
    }

    /// Frames for a while: how many there were in the last half of it, and how long what was in the link took to go: usually, and at most.
    fn run(rate: f64, bytes: f64, seconds: u64) -> (usize, f64, f64) {
        let begin = Instant::now();
        let (mut now, half) = (begin, begin + Duration::from_secs(seconds / 2));
        let mut wire = Wire { rate, room: 16384.0, held: 0.0, at: now };
        let mut pace = Pace::new(now);
        let mut lags = Vec::new();
        while now < begin + Duration::from_secs(seconds) {
            let written = wire.write(now, bytes);
            if now > half {
                lags.push(wire.held / rate);
            }
            pace.wrote(written);
            now = pace.frame_at(written.at + FRAME);
        }
        lags.sort_by(f64::total_cmp);
        (lags.len(), lags[lags.len() / 2], lags[lags.len() - 1])
    }

    #[test]
    fn a_fast_terminal_gets_every_frame() {
        let (frames, _, most) = run(50e6, 5000.0, 10);
        assert!((150..=153).contains(&frames) && most < 0.001, "{frames} frames, {most} s behind");
    }

    #[test]
    fn a_slow_one_gets_fewer_and_has_few_waiting() {
        for (rate, bytes) in [(20_000.0, 4000.0), (20_000.0, 6000.0), (50_000.0, 5000.0), (3_000.0, 2000.0)] {
            let (frames, usual, most) = run(rate, bytes, 600);
            // What the link takes, but for what is left free; and in it is one frame, or, at times, what it holds.
            let share = frames as f64 * bytes / 300.0 / rate;
            let what = format!("{rate} B/s: {frames} frames, {share:.2} of it, {usual:.2} s behind, at most {most:.2}");
            assert!((0.7..1.0).contains(&share), "{what}");
            assert!(usual < 1.5 * bytes / rate && most < 1.5 * 16384.0 / rate, "{what}");
        }
    }

    #[test]
    fn a_busy_terminal_is_not_slow() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        // Every second it takes nothing for a moment.
        for n in 0..300 {
            let at = begin + n * FRAME;
            let blocked = (n % 30 == 0).then_some(Duration::from_millis(200));
            pace.wrote(Written { at, bytes: 500, blocked });
            assert_eq!((pace.answer_at(), pace.frame_at(at + FRAME)), (at, at + FRAME));
        }
    }

    proptest! {
        #[test]
        fn waiting_ends(writes in prop::collection::vec((0_usize..1_000_000, prop::option::of(0_u64..100_000), 0_u64..100_000), 1..50)) {
            let mut now = Instant::now();
            let mut pace = Pace::new(now);
            for (bytes, blocked, passed) in writes {
                now += Duration::from_millis(passed);
                pace.wrote(Written { at: now, bytes, blocked: blocked.map(Duration::from_millis) });
                prop_assert!(pace.answer_at() <= now + 60 * LONGEST);
                prop_assert!(pace.frame_at(now) <= now + 60 * LONGEST);
            }
        }
    }
}
