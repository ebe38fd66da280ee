//! How often a terminal can be written to: as often as frames are made, unless it reads slowly, as over a poor link. Pure.
//!
//! Nobody tells what a link has in it; but when it takes no more, how fast it takes the rest is seen. From then on less is written than it takes, so that what is
//! in it gets less, and a key is answered as soon as the link can. The estimate grows slowly, and is forgotten once it is no limit.

use std::time::{Duration, Instant};

/// What a pseudo-terminal holds, in bytes, when it takes no more. What is behind it may hold much more.
const HELD: f64 = 64.0 * 1024.0;
/// Data frames use so much of what the link takes.
const SHARE: f64 = 0.8;
/// A link is thought to be so many times faster after [`GROWTH`] without a sign of the contrary.
const TIMES: f64 = 2.0;
const GROWTH: Duration = Duration::from_secs(200);
/// A faster link, in bytes a second, is no limit.
const FAST: f64 = 1_000_000.0;
/// No link is waited for longer than this.
const LONGEST: Duration = Duration::from_secs(10);

/// What one write was like.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When it was done.
    pub at: Instant,
    /// All of it.
    pub bytes: usize,
    /// The terminal took no more in between: so many bytes went after that, and it took so long.
    pub blocked: Option<(usize, Duration)>,
}

/// What is known of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bytes a second, once it has been seen to be slow.
    link: Option<f64>,
    /// When it should have sent everything.
    free: Instant,
    /// The size of the last write.
    bytes: f64,
    last: Instant,
    /// What was written since a moment at which it took everything at once, as far as that is known.
    sent: f64,
    since: Instant,
}

impl Pace {
    /// Nothing is known.
    pub fn new(now: Instant) -> Pace {
        Pace { link: None, free: now, bytes: 0.0, last: now, sent: 0.0, since: now }
    }

    /// Learns from a write.
    pub fn wrote(&mut self, written: Written) {
        let now = written.at;
        self.bytes = written.bytes as f64;
        if now > self.free + Duration::from_secs(1) && now > self.last + Duration::from_secs(1) {
            (self.sent, self.since) = (0.0, now);
        }
        self.sent += self.bytes;
        match (written.blocked, self.link) {
            (Some((bytes, took)), before) => {
                let seen = (bytes as f64 / took.as_secs_f64().max(1e-3)).max(100.0);
                let link = before.map_or(seen, |before| seen.min(before.midpoint(seen)));
                let held = (self.sent - link * now.duration_since(self.since).as_secs_f64()).max(HELD);
                self.link = Some(link);
                self.free = now + Duration::from_secs_f64(held / link).min(LONGEST);
            }
            (None, Some(link)) => {
                self.free = self.free.max(now) + Duration::from_secs_f64(self.bytes / link).min(LONGEST);
                let passed = now.duration_since(self.last).as_secs_f64() / GROWTH.as_secs_f64();
                self.link = Some(link * TIMES.powf(passed)).filter(|link| *link < FAST);
            }
            (None, None) => self.free = now,
        }
        self.last = now;
    }

    /// When a key may be answered: once what was written before should be on the screen, or at once.
    pub fn answer_at(&self) -> Instant {
        match self.link {
            Some(_) => self.free,
            None => self.last,
        }
    }

    /// When the next frame that no key asked for may be written; `least`: not earlier than that.
    pub fn frame_at(&self, least: Instant) -> Instant {
        match self.link {
            Some(link) => {
                least.max(self.free).max(self.last + Duration::from_secs_f64(self.bytes / link / SHARE).min(LONGEST))
            }
            None => least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Duration = Duration::from_millis(33);

    /// A link that takes so much a second and holds so much; what frames of this size come to.
    struct Link {
        rate: f64,
        room: f64,
        held: f64,
        at: Instant,
    }

    impl Link {
        fn drain(&mut self, now: Instant) {
            self.held = (self.held - self.rate * now.saturating_duration_since(self.at).as_secs_f64()).max(0.0);
            self.at = self.at.max(now);
        }

        /// Writes, waiting as long as it must.
        fn write(&mut self, now: Instant, bytes: f64) -> Written {
            self.drain(now);
            self.held += bytes;
            let over = self.held - self.room;
            if over <= 0.0 {
                return Written { at: now, bytes: bytes as usize, blocked: None };
            }
            let took = Duration::from_secs_f64(over / self.rate);
            self.drain(now + took);
            Written { at: now + took, bytes: bytes as usize, blocked: Some((over as usize, took)) }
        }
    }

    /// Frames for a while: how many there were in the last half of it, and how long what was in the link took to go at most then.
    fn run(rate: f64, room: f64, bytes: f64, seconds: u64) -> (usize, f64) {
        let begin = Instant::now();
        let (mut now, half) = (begin, begin + Duration::from_secs(seconds / 2));
        let mut link = Link { rate, room, held: 0.0, at: now };
        let mut pace = Pace::new(now);
        let (mut frames, mut lag) = (0, 0_f64);
        while now < begin + Duration::from_secs(seconds) {
            let written = link.write(now, bytes);
            if now > half {
                (frames, lag) = (frames + 1, lag.max(link.held / rate));
            }
            pace.wrote(written);
            now = pace.frame_at(written.at + FRAME);
        }
        (frames, lag)
    }

    #[test]
    fn a_fast_terminal_gets_every_frame() {
        let (frames, _) = run(50e6, 65536.0, 5000.0, 10);
        assert!((150..=153).contains(&frames), "{frames}");
    }

    #[test]
    fn a_slow_one_gets_fewer_and_has_none_waiting() {
        let (frames, lag) = run(20_000.0, 65536.0, 4000.0, 60);
        // Four a second, and a key waits for one of them at most.
        assert!((100..=150).contains(&frames) && lag < 0.25, "{frames} frames, {lag} s behind");
    }

    proptest! {
        #[test]
        fn waiting_ends(writes in prop::collection::vec((0_usize..1_000_000, prop::option::of((0_usize..100_000, 0_u64..100_000)), 0_u64..100_000), 1..50)) {
            let mut now = Instant::now();
            let mut pace = Pace::new(now);
            for (bytes, blocked, passed) in writes {
                now += Duration::from_millis(passed);
                let blocked = blocked.map(|(bytes, took)| (bytes, Duration::from_millis(took)));
                pace.wrote(Written { at: now, bytes, blocked });
                prop_assert!(pace.answer_at() <= now + 60 * LONGEST);
                prop_assert!(pace.frame_at(now) <= now + 60 * LONGEST);
            }
        }
    }
}
