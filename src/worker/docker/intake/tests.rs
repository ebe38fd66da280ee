//! Random output of a container whose follower is killed at random: every line exactly once, in order, under its run.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::logs::clock::Pair;
use crate::logs::lines::Line;
use crate::logs::sources::Channel;
use crate::logs::view::{self, Query};
use crate::logs::{segments, stamp};

const CUT: usize = 16 * 1024;
const BEGIN: i64 = 1_767_323_045_678_901_234;
const SECOND: i64 = 1_000_000_000;

thread_local! {
    static CLOCKS: Cell<Pair> = const { Cell::new(Pair { wall: 0, steady: 0, boot: None }) };
}

/// How engines understand `since`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Since {
    /// Whatever is not older (to 20.10).
    Each,
    /// All from the first on that is not older (later ones).
    First,
}

#[derive(Clone, Debug)]
enum Step {
    /// A line of so many bytes, so many nanoseconds after the last.
    Write { stderr: bool, len: usize, after: i64 },
    /// The wall clock is set back by so many milliseconds.
    SetBack(i64),
    /// So many frames arrive.
    Deliver(usize),
    /// All that has arrived is written.
    Flush,
    /// The follower dies, perhaps in the middle of a write, and another begins.
    Kill { torn: Option<usize> },
    /// The container is ended in the middle of a line, and started again.
    Restart { drained: bool, unfinished: bool },
    /// Another container takes its place.
    Replace,
}

struct Entry {
    stderr: bool,
    ns: i64,
    text: Vec<u8>,
    newline: bool,
}

struct Container {
    id: usize,
    log: Vec<Entry>,
}

/// What is sent to a follower that is connected.
struct Session {
    intake: Intake,
    since: i64,
    passing: bool,
    queue: VecDeque<usize>,
}

struct World {
    dir: TempDir,
    style: Since,
    ns: i64,
    written: u64,
    container: Container,
    run: u64,
    started: i64,
    starts: Vec<StartRecord>,
    session: Option<Session>,
    expected: [Vec<(u64, String)>; 2],
    jumped: bool,
}

impl World {
    fn new(style: Since) -> World {
        let dir = tempfile::tempdir().unwrap();
        CLOCKS.set(Pair { wall: BEGIN / 1000, steady: 0, boot: Some(7) });
        let mut world = World {
            dir,
            style,
            ns: BEGIN,
            written: 0,
            container: Container { id: 1, log: Vec::new() },
            run: 1,
            started: BEGIN / 1000,
            starts: vec![StartRecord { run: 1, started_us: BEGIN / 1000 }],
            session: None,
            expected: Default::default(),
            jumped: false,
        };
        world.connect();
        world
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("logs/db/1")
    }

    fn connect(&mut self) {
        let place =
            Place { dot: self.dir.path().to_owned(), folder: "logs/db/1".into(), keep: 64 << 20, run: self.run };
        let origin = Origin::with_clock(&format!("container{}", self.container.id), || CLOCKS.get());
        let intake = Intake::open(place, origin, self.starts.clone()).unwrap();
        let since = intake.since().unwrap_or(0);
        let mut session = Session { intake, since, passing: false, queue: VecDeque::new() };
        for at in 0..self.container.log.len() {
            session.offer(at, &self.container.log[at], self.style);
        }
        self.session = Some(session);
    }

    fn write(&mut self, stderr: bool, len: usize, after: i64, newline: bool) {
        // Streams pass each other, starts do not.
        self.ns = (self.ns + after).max(if self.jumped { i64::MIN } else { self.started * 1000 });
        self.pass(after);
        self.written += 1;
        // Few different lines, so that equal ones with equal times come.
        let text: Vec<u8> = if len < 4 { vec![b'a'; len] } else { format!("{:<len$}", self.written).into_bytes() };
        self.expected[usize::from(stderr)].push((self.run, short(&text)));
        let mut rest = &text[..];
        loop {
            let (part, more) = rest.split_at(rest.len().min(CUT));
            let last = more.is_empty() && (part.len() < CUT || newline);
            self.entry(Entry { stderr, ns: self.ns, text: part.to_vec(), newline: last && newline });
            rest = more;
            if last {
                break;
            }
        }
        // A last line of exactly as much as is cut would have another frame; the next line begins anew all the same.
    }

    /// So many nanoseconds go by.
    fn pass(&mut self, ns: i64) {
        let clocks = CLOCKS.get();
        CLOCKS.set(Pair { steady: clocks.steady + ns.max(0) / 1000, ..clocks });
        self.tell_time();
    }

    fn tell_time(&self) {
        CLOCKS.set(Pair { wall: self.ns / 1000, ..CLOCKS.get() });
    }

    fn entry(&mut self, entry: Entry) {
        let at = self.container.log.len();
        if let Some(session) = &mut self.session {
            session.offer(at, &entry, self.style);
        }
        self.container.log.push(entry);
    }

    fn deliver(&mut self, n: usize) {
        for _ in 0..n {
            let Some(session) = &mut self.session else { return };
            let Some(at) = session.queue.pop_front() else { return };
            match session.intake.take(&frame(&self.container.log[at]), 0) {
                Ok(()) => {}
                Err(Stop::Stuck) => panic!("the disk is full"),
                Err(Stop::Repeats) => {
                    // Nothing of it is lost: it comes again.
                    assert_eq!(session.intake.flush(), Err(Stop::Repeats));
                    self.kill(None);
                }
            }
        }
    }

    /// The engine loses its way, and tells the last lines once more.
    fn repeat(&mut self, n: usize) {
        let Some(session) = &mut self.session else { return };
        let next = session.queue.front().copied().unwrap_or(self.container.log.len());
        // Lines of one moment cannot be told apart.
        let is_older = |at: &usize| self.container.log[*at].ns / 1000 < self.container.log[next - 1].ns / 1000;
        let first = next.saturating_sub(n);
        if first < next && is_older(&first) {
            (first..next).rev().for_each(|at| session.queue.push_front(at));
        }
    }

    fn flush(&mut self) {
        if let Some(session) = &mut self.session {
            session.intake.flush().unwrap();
        }
    }

    fn kill(&mut self, torn: Option<usize>) {
        self.session = None;
        if let Some(len) = torn {
            let newest = *segments::list(&self.folder()).unwrap().last().unwrap();
            let path = self.folder().join(crate::logs::record::segment_name(newest));
            let record = b"2026-01-02T03:04:05.678901Z o F 17 and some more of it";
            OpenOptions::new().append(true).open(path).unwrap().write_all(&record[..len.min(record.len())]).unwrap();
        }
        self.connect();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { stderr, len, after } => self.write(stderr, len, after, true),
            Step::SetBack(ms) => {
                self.ns -= ms * 1_000_000;
                self.jumped = true;
                // A follower notices it, and asks anew.
                self.tell_time();
                self.flush();
                self.kill(None);
            }
            Step::Deliver(n) => self.deliver(n),
            Step::Flush => self.flush(),
            Step::Kill { torn } => self.kill(torn),
            Step::Restart { drained, unfinished } => {
                if unfinished {
                    self.write(false, 7, 1000, false);
                }
                if drained {
                    self.deliver(usize::MAX);
                }
                self.flush();
                self.run += 1;
                self.ns = (self.ns / 1000 + 1000) * 1000;
                self.started = self.ns / 1000;
                self.starts.push(StartRecord { run: self.run, started_us: self.started });
                self.kill(None);
            }
            Step::Replace => {
                self.deliver(usize::MAX);
                self.flush();
                self.container = Container { id: self.container.id + 1, log: Vec::new() };
                self.run += 1;
                self.ns = (self.ns / 1000 + 1000) * 1000;
                self.started = self.ns / 1000;
                self.starts = vec![StartRecord { run: self.run, started_us: self.started }];
                self.kill(None);
            }
        }
    }

    fn seen(&self) -> [Vec<(u64, String)>; 2] {
        let mut seen: [Vec<(u64, String)>; 2] = Default::default();
        let mut sink = |line: &Line<'_>| {
            assert!(line.first && line.last);
            let stream = usize::from(line.channel == Channel::Stderr);
            assert!(line.channel.is_program(), "{}", String::from_utf8_lossy(line.payload));
            seen[stream].push((line.run, short(line.payload)));
            ControlFlow::Continue(())
        };
        assert!(view::read(&self.dir.path().join("logs"), Query::default(), &mut sink).unwrap().is_continue());
        seen
    }
}

impl Session {
    fn offer(&mut self, at: usize, entry: &Entry, style: Since) {
        let new = entry.ns >= self.since * SECOND;
        self.passing |= new && style == Since::First;
        if new || self.passing {
            self.queue.push_back(at);
        }
    }
}

fn short(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.len() > 4 { format!("{} <{}>", text.trim_end(), text.len()) } else { text.into_owned() }
}

fn frame(entry: &Entry) -> LogOutput {
    let stamp = stamp::text(entry.ns.div_euclid(1000));
    let mut message = stamp[..26].to_vec();
    message.extend_from_slice(format!("{:03}Z ", entry.ns.rem_euclid(1000)).as_bytes());
    message.extend_from_slice(&entry.text);
    if entry.newline {
        message.push(b'\n');
    }
    let message = message.into();
    if entry.stderr { LogOutput::StdErr { message } } else { LogOutput::StdOut { message } }
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![6 => 0_usize..4, 6 => 4_usize..60, 1 => CUT - 1..CUT + 2, 1 => 2 * CUT..3 * CUT];
    let after = prop_oneof![4 => 0_i64..900, 4 => 0_i64..1_000_000, 2 => 0_i64..4 * SECOND, 1 => -400_000_i64..0];
    prop_oneof![
        20 => (any::<bool>(), len, after).prop_map(|(stderr, len, after)| Step::Write { stderr, len, after }),
        1 => (1_i64..100_000).prop_map(Step::SetBack),
        8 => (0_usize..20).prop_map(Step::Deliver),
        4 => Just(Step::Flush),
        3 => prop::option::of(1_usize..60).prop_map(|torn| Step::Kill { torn }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(drained, unfinished)| Step::Restart { drained, unfinished }),
        1 => Just(Step::Replace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_line_once_and_in_order(
        steps in prop::collection::vec(step(), 1..120),
        style in prop_oneof![Just(Since::Each), Just(Since::First)],
    ) {
        let mut world = World::new(style);
        for step in &steps {
            world.step(step);
        }
        world.deliver(usize::MAX);
        world.flush();
        let (mut seen, mut expected) = (world.seen(), world.expected.clone());
        if world.jumped {
            // Which run a line belongs to is told by its time.
            seen.iter_mut().chain(&mut expected).flatten().for_each(|line| line.0 = 0);
        }
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn what_the_engine_tells_twice_is_taken_once() {
    let mut world = World::new(Since::Each);
    for n in 0..20 {
        world.step(&Step::Write { stderr: n % 7 == 3, len: 10, after: 1_000_000 });
    }
    world.deliver(12);
    world.repeat(9);
    world.deliver(3);
    world.repeat(3);
    world.deliver(usize::MAX);
    world.flush();
    assert_eq!(world.seen(), world.expected);
}

#[test]
fn what_the_engine_forgot_is_said() {
    let mut world = World::new(Since::Each);
    let line = Step::Write { stderr: false, len: 10, after: 1_000_000 };
    (0..10).for_each(|_| world.step(&line));
    world.deliver(4);
    world.flush();
    world.container.log.drain(..7);
    world.kill(None);
    world.deliver(usize::MAX);
    world.flush();
    let newest = world.folder().join(crate::logs::record::segment_name(1));
    let text = std::fs::read_to_string(newest).unwrap();
    assert_eq!(text.matches(std::str::from_utf8(GAP).unwrap()).count(), 1, "{text}");
}
