//! The index against a plain reading of the same folders: same lines, same order, whatever is asked and however the folders grow.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::feed::Sizes;
use super::{Anchor, Channels, Direction, Found, Index, Levels, Pattern, Position, Query, Row, fold};
use crate::logs::clean::{Colours, clean};
use crate::logs::clock::Anchors;
use crate::logs::level::{self, Level};
use crate::logs::lines::Line;
use crate::logs::merge::{Merge, Next, Records};
use crate::logs::reader::{Raw, Reader, span};
use crate::logs::record::{self, Stream};
use crate::logs::sources::{Channel, Selection, Source};
use crate::logs::testing::Folder;
use crate::logs::view;

/// For a machine that has much else to do.
const DEADLINE: Duration = Duration::from_secs(300);
/// Small enough that every block has neighbours.
pub(super) const SMALL: Sizes = Sizes { first: 700, first_least: 100, at_once: 900, part: 400, removed: 0 };

/// An index and what it calls.
pub(super) struct Opened {
    pub(super) index: Index,
    woken: Receiver<()>,
}

pub(super) fn open(logs: &Path, sizes: Sizes) -> Opened {
    let (tell, woken) = sync_channel(1);
    let wake = Box::new(move || {
        // One call waits already.
        tell.try_send(()).ok();
    });
    Opened { index: Index::open_sized(logs, wake, sizes).unwrap(), woken }
}

impl Opened {
    /// Waits for wakes until something holds.
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Index) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(&self.index) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?} {:?} {:?}",
                self.index.progress(),
                self.index.trouble(),
                self.index.sources()
            );
            self.woken.recv_timeout(Duration::from_secs(1)).ok();
        }
    }

    /// Waits until everything is known that was written.
    pub(super) fn settle(&self, n_lines: usize) {
        self.until("settle", |index| {
            let window = index.window(Anchor::Bottom, 0, 0);
            window.n_lines == n_lines as u64 && window.exact && index.progress().idle
        });
    }

    fn all(&self) -> Vec<Row> {
        let mut out = Vec::new();
        let mut anchor = Anchor::Top;
        loop {
            let window = self.index.window(anchor, 0, 7);
            assert!(window.at_bottom || window.rows.len() == 7);
            assert_eq!(window.n_before, out.len() as u64 - u64::from(!out.is_empty()));
            // The first is the last of the window before.
            out.extend(window.rows.into_iter().skip(usize::from(!out.is_empty())));
            if window.at_bottom {
                return out;
            }
            anchor = out.last().map_or(Anchor::Top, |row: &Row| Anchor::At(row.position));
        }
    }
}

/// A line as a plain reading has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    dir: String,
    channel: Channel,
    run: u64,
    text: Vec<u8>,
}

fn dir_name(source: &Source) -> String {
    format!("{}/{}", source.service, source.dir.file_name().unwrap().to_string_lossy())
}

/// Joins pieces where lines begin.
struct Begins {
    sources: Vec<Source>,
    lines: Vec<Plain>,
    /// The first pieces of the lines.
    firsts: Vec<Vec<u8>>,
    open: BTreeMap<(usize, u8), (u64, usize)>,
}

impl Records for Begins {
    fn record(&mut self, source: usize, raw: &Raw<'_>) -> Next {
        let slot = (source, raw.stream.byte());
        let open = self.open.remove(&slot).filter(|(run, _)| *run == raw.run);
        let at = open.map_or(self.lines.len(), |(_, at)| at);
        if at == self.lines.len() {
            let of = &self.sources[source];
            let channel = of.channel(raw.stream);
            self.firsts.push(raw.payload.to_vec());
            self.lines.push(Plain { dir: dir_name(of), channel, run: raw.run, text: Vec::new() });
        }
        self.lines[at].text.extend_from_slice(raw.payload);
        if !raw.full {
            self.open.insert(slot, (raw.run, at));
        }
        Next::Any
    }
}

/// All lines in the order of their beginnings, read with the readers that everything else is read with.
fn plainly(logs: &Path) -> Vec<Plain> {
    begins(logs).lines
}

fn begins(logs: &Path) -> Begins {
    let sources = Selection::default().find(logs).unwrap();
    let starts: Vec<_> = sources.iter().map(|source| span(&source.dir, None, None).unwrap()).collect();
    let anchors = Arc::new(Anchors::new(starts.iter().flat_map(|(start, _)| start.marks.clone())));
    let mut merge = Merge::default();
    for (source, (start, last)) in sources.iter().zip(starts) {
        merge.add(Reader::anchored(&source.dir, start, last, 0, Arc::clone(&anchors)));
    }
    let mut begins = Begins { sources, lines: Vec::new(), firsts: Vec::new(), open: BTreeMap::new() };
    assert!(merge.pump(&mut begins).unwrap().is_continue());
    begins
}

/// The same through `view::read`, in the order of the lines' ends.
fn viewed(logs: &Path) -> Vec<Plain> {
    let sources = Selection::default().find(logs).unwrap();
    let mut out = Vec::new();
    let mut sink = |line: &Line<'_>| {
        let dir = dir_name(&sources[line.source]);
        out.push(Plain { dir, channel: line.channel, run: line.run, text: line.payload.to_vec() });
        ControlFlow::Continue(())
    };
    assert!(view::read(logs, view::Query::default(), &mut sink).unwrap().is_continue());
    out
}

fn shown(index: &Index, rows: &[Row]) -> Vec<Plain> {
    let sources = index.sources();
    let of = |row: &Row| {
        let source = &sources[row.position.source as usize].source;
        let text = index.line(row.position).unwrap();
        // Of pieces that lie far apart a row shows the first ones, and says that there is more.
        assert!(text.starts_with(&row.bytes), "{:?} of {text:?}", row.bytes);
        assert!(row.cut || row.bytes.len() == text.len(), "{:?} of {text:?}", row.bytes);
        Plain { dir: dir_name(source), channel: row.channel, run: row.run, text }
    };
    rows.iter().map(of).collect()
}

/// One thing that is written.
#[derive(Clone, Debug)]
struct Step {
    folder: usize,
    kind: u8,
    stream: Stream,
    passed: i64,
}

fn steps(pieces: bool) -> impl Strategy<Value = Vec<Step>> {
    let kinds = if pieces { 0_u8..20 } else { 0..16 };
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr), Just(Stream::Orchestra)];
    let step = (0_usize..4, kinds, stream, prop_oneof![Just(0), 0_i64..3000])
        .prop_map(|(folder, kind, stream, passed)| Step { folder, kind, stream, passed });
    prop::collection::vec(step, 0..160)
}

/// Folders that grow step by step.
struct Fleet {
    dir: tempfile::TempDir,
    folders: Vec<Folder>,
    runs: Vec<u64>,
    now: i64,
    /// By how much the clock stands wrong.
    wrong: i64,
    n: usize,
}

impl Fleet {
    fn new() -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let folders = ["api/1", "api/2", "api/build", "web/orchestra"].map(|name| Folder::at(dir.path(), name));
        let mut fleet = Fleet { dir, folders: folders.into(), runs: vec![1; 4], now: 1_000_000_000, wrong: 0, n: 0 };
        (0..4).for_each(|folder| fleet.mark(folder));
        fleet
    }

    fn mark(&mut self, folder: usize) {
        self.folders[folder].mark(self.now + self.wrong, self.runs[folder], self.now);
    }

    fn write(&mut self, step: &Step) {
        self.now += step.passed;
        self.n += 1;
        let (at, n) = (self.now + self.wrong, self.n);
        let folder = &mut self.folders[step.folder];
        let mut line = |text: &str| {
            folder.line(at, step.stream, text);
        };
        match step.kind {
            0 | 1 => line(&format!("plain {n}")),
            2 => line(&format!("level=ERROR msg={n}")),
            3 => line(&format!("level=INFO msg={n} and a longer text, so that blocks fill {}", "x".repeat(n % 90))),
            4 => line(&format!("\tmain.go:{n} +0x1d")),
            5 => line("panic: oh"),
            6 => line("goroutine 7 [running]:"),
            7 => line("main.handle(0x1)"),
            8 => line(&format!("\x1b[31mWRN\x1b[0m coloured \x1b[1m{n}\x1b[0m\r")),
            9 => line(""),
            10 => {
                folder.bytes(b"no record\n\n");
            }
            11 => {
                folder.rotate();
                self.mark(step.folder);
            }
            12 => {
                self.runs[step.folder] += 1;
                self.mark(step.folder);
            }
            13 => self.mark(step.folder),
            14 => line(&format!("2026-01-02T03:04:05.000Z\tWARN\tmain.go:43\t{n}")),
            15 => line(&format!("bad \u{fffd} \u{202e} {n}")),
            16 | 17 => {
                folder.record(at, step.stream, false, format!("level=DEBUG begin {n} ").as_bytes());
            }
            18 => {
                let piece = ["p ".as_bytes(), &vec![b'p'; record::MAX_PAYLOAD - 2]].concat();
                folder.record(at, step.stream, false, &piece);
            }
            _ => {
                folder.record(at, step.stream, true, format!("end {n}").as_bytes());
            }
        }
    }
}

/// What is known of a line without an index: level, whether it states it, whether it goes on.
struct Known {
    plain: Plain,
    level: Option<Level>,
    stated: bool,
    continues: bool,
    /// The line it goes on from, or itself.
    head: usize,
    text: Vec<u8>,
}

fn knowing(Begins { lines, firsts, .. }: Begins, streams: &[Stream]) -> Vec<Known> {
    let mut states = BTreeMap::new();
    let mut out = Vec::new();
    for (at, ((plain, first), stream)) in lines.into_iter().zip(firsts).zip(streams).enumerate() {
        let (level, before, run, head) =
            states.entry((plain.dir.clone(), stream.byte())).or_insert((None, fold::Fold::Nothing, 0, at));
        if *run != plain.run {
            (*before, *run) = (fold::Fold::Nothing, plain.run);
        }
        let said = if plain.channel == Channel::Orchestra { None } else { level::detect(&first) };
        *level = said.or(*level);
        let (continues, next) = fold::classify(&first, *before, said.is_some());
        *before = next;
        if !continues {
            *head = at;
        }
        let mut text = Vec::new();
        clean(&plain.text, Colours::Remove, &mut text);
        out.push(Known { level: *level, stated: said.is_some(), continues, head: *head, text, plain });
    }
    out
}

/// The lines that a query wants, by number.
fn wanted(known: &[Known], query: &Query) -> Vec<usize> {
    let found = |patterns: &[Pattern], text: &[u8]| patterns.iter().map(|p| p.line.is_match(text)).collect::<Vec<_>>();
    let bars = |line: &Known| found(&query.exclude, &line.text).contains(&true);
    let wants = |line: &Known| {
        query.levels.contains(line.level)
            && query.channels.contains(line.plain.channel)
            && (query.runs.is_empty() || query.runs.contains(&line.plain.run))
            && !found(&query.include, &line.text).contains(&false)
            && !bars(line)
    };
    if !query.fold {
        return (0..known.len()).filter(|at| wants(&known[*at])).collect();
    }
    let lines = known.iter().filter(|line| wants(line) && !bars(&known[line.head]));
    let mut heads: Vec<usize> = lines.map(|line| line.head).collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn queries() -> impl Strategy<Value = Query> {
    let pattern = |text: &'static str| Pattern::regex(text, true).unwrap();
    let patterns = prop::sample::select(vec![
        "MSG=",
        "^plain",
        "[05]$",
        "go:\\d",
        "",
        "^$",
        "WRN c",
        "p[^q]*\\d",
        "\\Ap",
        "e\\s*n",
    ]);
    let some = move || prop::collection::vec(patterns.clone().prop_map(pattern), 0..2);
    let levels =
        prop::sample::select(vec![Levels::ALL, Levels::ERRORS, Levels::at_least(Level::Info), Levels::NONE.with(None)]);
    let channels = prop::sample::select(vec![Channels::ALL, Channels::ALL.without(Channel::Stdout)]);
    let runs = prop::sample::select(vec![vec![], vec![2], vec![1, 3]]);
    (levels, channels, some(), some(), runs, any::<bool>()).prop_map(
        |(levels, channels, include, exclude, runs, fold)| Query {
            levels,
            channels,
            include,
            exclude,
            runs,
            fold,
            ..Query::default()
        },
    )
}

fn streams(rows: &[Row]) -> Vec<Stream> {
    rows.iter().map(|row| row.stream).collect()
}

/// Asks for windows everywhere and compares them with the rows they must have.
fn check_windows(opened: &Opened, rows: &[Row], sizes: &[(usize, usize, usize)]) {
    for (n, before, after) in sizes {
        let n = n % rows.len().max(1);
        let Some(row) = rows.get(n) else { continue };
        assert_eq!(opened.index.nth(n as u64), Some(row.position));
        let window = opened.index.window(Anchor::At(row.position), *before, *after);
        let (from, to) = (n.saturating_sub(*before), (n + after).min(rows.len()));
        assert_eq!(window.rows, &rows[from..to]);
        assert_eq!((window.n_before, window.anchor), (from as u64, n - from));
        assert_eq!(window.n_wanted(), rows.len() as u64);
        assert_eq!((window.at_top, window.at_bottom, window.pending), (from == 0, to == rows.len(), false));
        let bottom = opened.index.window(Anchor::Bottom, *before, 3);
        assert_eq!(bottom.rows, &rows[rows.len().saturating_sub(*before)..]);
        assert_eq!(
            opened.index.at_time(row.position.key),
            rows.iter().find(|r| r.position.key >= row.position.key).map(|r| r.position)
        );
    }
}

/// Asks where runs begin, from every row.
fn check_runs(opened: &Opened, rows: &[Row]) {
    let same = |a: &Row, b: &Row| a.position.source == b.position.source;
    for (at, row) in rows.iter().enumerate() {
        let after = rows[at..].iter().find(|other| same(other, row) && other.run != row.run);
        assert_eq!(opened.index.run(row.position, Direction::Forward), after.map(|row| row.position));
        let mut before = rows[..at].iter().rev().filter(|other| same(other, row)).peekable();
        let of = before.peek().map(|other| other.run);
        let first = before.take_while(|other| Some(other.run) == of).last();
        assert_eq!(opened.index.run(row.position, Direction::Backward), first.map(|row| row.position));
    }
}

fn check_search(opened: &Opened, rows: &[Row], pattern: &Pattern, hits: &[bool]) {
    opened.index.set_search(Some(pattern.clone()));
    opened.until("search", |index| index.hits().complete);
    assert_eq!(opened.index.hits().n, hits.iter().filter(|hit| **hit).count() as u64);
    let next = |at: usize| (at + 1..rows.len()).find(|at| hits[*at]);
    let previous = |at: usize| (0..at).rev().find(|at| hits[*at]);
    for (at, row) in rows.iter().enumerate() {
        let found = |at: Option<usize>| at.map_or(Found::Nothing, |at| Found::At(rows[at].position));
        assert_eq!(opened.index.next_hit(Anchor::At(row.position), Direction::Forward), found(next(at)));
        assert_eq!(opened.index.next_hit(Anchor::At(row.position), Direction::Backward), found(previous(at)));
        let errors = |row: &&Row| row.stated && row.level >= Some(Level::Error);
        let error = rows[at + 1..].iter().find(errors).map(|row| row.position);
        assert_eq!(opened.index.next_level(Anchor::At(row.position), Levels::ERRORS, Direction::Forward), error);
        let error = rows[..at].iter().rfind(errors).map(|row| row.position);
        assert_eq!(opened.index.next_level(Anchor::At(row.position), Levels::ERRORS, Direction::Backward), error);
    }
}

/// Sets the clock of all services.
fn set_clock(fleet: &mut Fleet, wrong: i64) {
    fleet.wrong = wrong;
    (0..4).for_each(|folder| fleet.mark(folder));
}

fn place(position: Position) -> (u32, u32, u64) {
    (position.source, position.segment, position.offset)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn without_pieces_it_is_what_view_reads(steps in steps(false), small in any::<bool>()) {
        let mut fleet = Fleet::new();
        steps.iter().for_each(|step| fleet.write(step));
        let expected = viewed(fleet.dir.path());
        let opened = open(fleet.dir.path(), if small { SMALL } else { Sizes::default() });
        opened.settle(expected.len());
        let rows = opened.all();
        prop_assert_eq!(shown(&opened.index, &rows), expected);
    }

    #[test]
    fn a_clock_that_is_set_spoils_nothing(
        parts in prop::collection::vec((steps(true), -9_000_000_000_i64..9_000_000_000), 1..4),
        small in any::<bool>(),
    ) {
        let mut fleet = Fleet::new();
        for (steps, wrong) in &parts {
            steps.iter().for_each(|step| fleet.write(step));
            set_clock(&mut fleet, *wrong);
        }
        let expected = plainly(fleet.dir.path());
        let opened = open(fleet.dir.path(), if small { SMALL } else { Sizes::default() });
        opened.settle(expected.len());
        let rows = opened.all();
        prop_assert!(rows.is_sorted_by_key(|row| (row.position.key, place(row.position))));
        prop_assert_eq!(shown(&opened.index, &rows), expected);
    }

    #[test]
    fn it_is_what_a_plain_reading_has(
        steps in steps(true),
        cut in 0_usize..160,
        queries in prop::collection::vec(queries(), 1..4),
        sizes in prop::collection::vec((0_usize..200, 0_usize..9, 0_usize..9), 4),
        small in any::<bool>(),
    ) {
        let mut fleet = Fleet::new();
        let cut = cut.min(steps.len());
        steps[..cut].iter().for_each(|step| fleet.write(step));
        let opened = open(fleet.dir.path(), if small { SMALL } else { Sizes::default() });
        opened.settle(plainly(fleet.dir.path()).len());
        let first = opened.all();
        for (n, step) in steps[cut..].iter().enumerate() {
            fleet.write(step);
            if n % 50 == 0 {
                opened.settle(plainly(fleet.dir.path()).len());
            }
        }
        let expected = plainly(fleet.dir.path());
        opened.settle(expected.len());
        let mut sorted = viewed(fleet.dir.path());
        sorted.sort_by(|a, b| a.text.cmp(&b.text));
        let mut again = expected.clone();
        again.sort_by(|a, b| a.text.cmp(&b.text));
        prop_assert_eq!(sorted.len(), again.len());
        let rows = opened.all();
        prop_assert_eq!(shown(&opened.index, &rows), expected.clone());
        check_windows(&opened, &rows, &sizes);
        check_runs(&opened, &rows);
        for row in &first {
            let window = opened.index.window(Anchor::At(row.position), 0, 1);
            prop_assert_eq!(place(window.rows[0].position), place(row.position));
        }
        let known = knowing(begins(fleet.dir.path()), &streams(&rows));
        for (row, known) in rows.iter().zip(&known) {
            prop_assert_eq!((row.level, row.stated, row.continues), (known.level, known.stated, known.continues));
        }
        for query in queries {
            let numbers = wanted(&known, &query);
            opened.index.set_query(query.clone());
            opened.settle(known.len());
            let found = opened.all();
            let places: Vec<_> = found.iter().map(|row| place(row.position)).collect();
            let expected: Vec<_> = numbers.iter().map(|at| place(rows[*at].position)).collect();
            prop_assert_eq!(&places, &expected, "{:?}", query);
            check_windows(&opened, &found, &sizes);
            check_runs(&opened, &found);
            if query.fold {
                for (row, number) in found.iter().zip(&numbers) {
                    let n = known.iter().filter(|line| line.head == *number && line.continues).count();
                    prop_assert_eq!(row.n_folded as usize, n);
                }
            }
            let pattern = Pattern::regex("[37]|panic", false).unwrap();
            let hit = |number: &usize| {
                let found = |line: &Known| pattern.line.is_match(&line.text);
                let folded = known.iter().any(|line| line.head == *number && found(line));
                found(&known[*number]) || (query.fold && folded)
            };
            check_search(&opened, &found, &pattern, &numbers.iter().map(hit).collect::<Vec<_>>());
        }
    }
}
