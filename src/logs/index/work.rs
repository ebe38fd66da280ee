//! The one thread of the index: it finds sources, reads what is new, asks blocks what the query and the search want, and reads back what is old.

use std::collections::{BTreeMap, BinaryHeap};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{Feed, Sizes};
use super::hits::Hits;
use super::join::{Asking, LAYERS};
use super::matching::{Asked, Matcher};
use super::place::Direction;
use super::rates::Ring;
use super::segment::Pool;
use super::store::{FOUND, Log, Slot, Store, WANTED};
use super::text::Files;
use super::{Shared, Wake};
use crate::error::{Context, PathError};
use crate::logs::clock::Anchors;
use crate::logs::reader;
use crate::logs::sources::{Selection, Source};
use crate::logs::writer;
use crate::sys::dir_watch::{Change, DirWatch};

/// Even without a word of the system everything is looked at so often.
const BEAT: Duration = Duration::from_secs(2);
/// What is written is looked at no more often: so a flood is read in large parts.
const ROUND: Duration = Duration::from_millis(12);
/// Marks beside the scrollbar are made no more often.
const TICKS: Duration = Duration::from_millis(400);
/// So long something is worked at before something else has its turn.
const SLICE: Duration = Duration::from_millis(6);
/// What only the thread knows.
pub(super) struct Worker {
    logs: PathBuf,
    shared: Arc<Shared>,
    wake: Wake,
    sizes: Sizes,
    call: UnixStream,
    watch: DirWatch,
    feeds: Vec<Feed>,
    /// The numbers of the sources by folder.
    numbers: BTreeMap<PathBuf, usize>,
    parents: Vec<PathBuf>,
    anchors: Arc<Anchors>,
    pool: Arc<Pool>,
    matcher: Matcher,
    /// Sources that may have more.
    changed: Vec<bool>,
    read_at: Option<Instant>,
    beat_at: Instant,
    ticked_at: Instant,
}

impl Worker {
    pub(super) fn new(
        logs: &Path,
        shared: Arc<Shared>,
        wake: Wake,
        call: UnixStream,
        sizes: Sizes,
    ) -> Result<Worker, PathError> {
        Ok(Worker {
            logs: logs.to_owned(),
            shared,
            wake,
            sizes,
            call,
            watch: DirWatch::new().context("watch", logs)?,
            feeds: Vec::new(),
            numbers: BTreeMap::new(),
            parents: Vec::new(),
            anchors: Arc::default(),
            pool: Arc::default(),
            matcher: Matcher::default(),
            changed: Vec::new(),
            read_at: None,
            beat_at: Instant::now(),
            ticked_at: Instant::now(),
        })
    }

    /// Works until the handle is dropped.
    pub(super) fn run(mut self) {
        self.anchor();
        self.attempt(Worker::discover);
        while !self.shared.is_stopped() {
            let asking = self.asking();
            let worked = self.first_looks(&asking)
                || self.follow(&asking)
                || self.ask(WANTED, &asking)
                || self.back(&asking)
                || self.ask(FOUND, &asking);
            self.tick();
            if self.shared.set_idle(!worked) || worked {
                self.tell();
            }
            self.wait(if worked { Duration::ZERO } else { BEAT });
        }
    }

    /// Does what may fail, and keeps the reason for whoever wants to know.
    fn attempt(&mut self, work: impl FnOnce(&mut Worker) -> Result<(), PathError>) {
        if let Err(error) = work(self) {
            self.shared.set_trouble(&error);
        }
    }

    /// The differences of clocks that all keys are written in, of the marks there are.
    fn anchor(&mut self) {
        let sources = Selection::default().find(&self.logs).unwrap_or_default();
        let spans = sources.iter().filter_map(|source| reader::span(&source.dir, None, None).ok());
        let marks = spans.flat_map(|(start, _)| start.marks);
        self.anchors = Arc::new(Anchors::new(marks.chain([writer::now()])));
    }

    fn asking(&self) -> Asking {
        let store = self.shared.store();
        Asking { query: Arc::clone(&store.query), search: store.search.clone(), revision: store.revision }
    }

    /// Watches folders and finds sources until a look finds nothing new.
    fn discover(&mut self) -> Result<(), PathError> {
        let everything = Selection::default();
        loop {
            let mut more = false;
            self.parents = everything.parents(&self.logs)?;
            for parent in self.parents.clone() {
                more |= self.watched(&parent);
            }
            for source in everything.find(&self.logs)? {
                more |= self.watched(&source.dir);
                if !self.numbers.contains_key(&source.dir) {
                    let dir = source.dir.clone();
                    self.attempt(|worker| worker.add(source));
                    more |= self.numbers.contains_key(&dir);
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Watches a folder; true when it was not watched before. One that cannot be watched is looked at with every beat.
    fn watched(&mut self, dir: &Path) -> bool {
        let added = self.watch.add(dir).context("watch", dir);
        added.unwrap_or_else(|error| {
            self.shared.set_trouble(&error);
            false
        })
    }

    fn add(&mut self, source: Source) -> Result<(), PathError> {
        let (feed, bytes) = Feed::new(&source, self.sizes)?;
        let files = Files { pool: Arc::clone(&self.pool), segments: Arc::default() };
        self.numbers.insert(source.dir.clone(), self.feeds.len());
        self.changed.push(true);
        let complete = feed.is_complete();
        self.feeds.push(feed);
        let mut store = self.shared.store();
        let selected = store.query.selection.takes(&source);
        store.logs.push(Log {
            source,
            slots: Default::default(),
            files,
            selected,
            complete,
            n_lines: 0,
            n_gone: 0,
            n_dropped: 0,
            n_skipped: 0,
            bytes,
            scanned: 0,
            ring: Ring::default(),
        });
        Ok(())
    }

    /// The ends of all sources, before anything else.
    fn first_looks(&mut self, asking: &Asking) -> bool {
        let new: Vec<usize> = (0..self.feeds.len()).filter(|number| self.feeds[*number].is_new()).collect();
        let size =
            (self.sizes.first / new.len().max(1) as u64).clamp(self.sizes.first_least, 8 * self.sizes.first_least);
        new.iter().for_each(|number| self.read_back(*number, size, asking));
        !new.is_empty()
    }

    /// Reads one part of what is old: of the source that is known the least far back, because nothing older can be shown before.
    fn back(&mut self, asking: &Asking) -> bool {
        let begin = Instant::now();
        let mut worked = false;
        while begin.elapsed() < SLICE {
            let next = {
                let store = self.shared.store();
                let open = store.logs.iter().enumerate().filter(|(_, log)| !log.complete);
                open.max_by_key(|(_, log)| (log.selected, log.known_from())).map(|(number, _)| number)
            };
            let Some(number) = next else { break };
            self.read_back(number, 0, asking);
            worked = true;
        }
        worked
    }

    fn read_back(&mut self, number: usize, first: u64, asking: &Asking) {
        let part = self.feeds[number].back(first, &self.anchors, &self.pool);
        if part.is_err() {
            // What cannot be read is not there; the rest can be.
            self.feeds[number].pass();
        }
        let complete = self.feeds[number].is_complete();
        let mut store = self.shared.store();
        let log = &mut store.logs[number];
        log.n_dropped = self.feeds[number].n_dropped;
        match part {
            Ok(Some(part)) => {
                log.n_skipped += part.scanned.n_skipped;
                log.scanned += part.bytes;
                let blocks: Vec<_> = part.scanned.blocks.into_iter().filter(|block| block.len > 0).collect();
                log.know(blocks.iter().map(|block| &block.segment));
                log.push_front(blocks, &self.anchors, asking, &mut self.matcher);
                log.complete = complete;
            }
            Ok(None) => log.complete = true,
            Err(error) => {
                log.complete = complete;
                self.shared.set_trouble(&error);
            }
        }
        if log.complete {
            log.scanned = log.bytes.min(log.scanned);
            log.join_from(0, &self.anchors, asking, &mut self.matcher);
        }
    }

    /// Reads what was written since.
    fn follow(&mut self, asking: &Asking) -> bool {
        if self.read_at.is_some_and(|at| at.elapsed() < ROUND) {
            return false;
        }
        let begin = Instant::now();
        let mut worked = false;
        for number in 0..self.feeds.len() {
            if self.feeds[number].is_new() || !std::mem::take(&mut self.changed[number]) {
                continue;
            }
            while self.read_more(number, asking) {
                worked = true;
                if begin.elapsed() > 4 * SLICE {
                    self.changed[number] = true;
                    break;
                }
            }
        }
        self.read_at = worked.then(Instant::now);
        worked
    }

    /// Reads one part more of a source. False when there is none.
    fn read_more(&mut self, number: usize, asking: &Asking) -> bool {
        let (last, files, selected, known) = {
            let store = self.shared.store();
            let log = &store.logs[number];
            let last = log.slots.back();
            let known = last.map(|slot| slot.hits.clone()).unwrap_or_default();
            (last.map(|slot| Arc::clone(&slot.block)), log.files.clone(), log.selected, known)
        };
        let feed = &mut self.feeds[number];
        let part = match feed.more(last.as_deref(), &self.anchors, &self.pool) {
            Ok(Some(part)) => part,
            Ok(None) => return false,
            Err(error) => {
                self.shared.set_trouble(&error);
                return false;
            }
        };
        let mut known =
            Some(known).filter(|_| last.as_ref().is_some_and(|last| is_same(last, &part.scanned.blocks[0])));
        let goes_on = known.is_some();
        let grown = part.scanned.grown;
        let source = &feed.source;
        let mut slots = Vec::new();
        let mut all = files.clone();
        for block in part.scanned.blocks {
            all.know(&block.segment);
            let mut slot = Slot::new(block);
            let mut known = known.take().unwrap_or_default();
            if grown.contains(&true) {
                known = Default::default();
            }
            for layer in LAYERS.into_iter().filter(|layer| selected && (*layer == WANTED || asking.search.is_some())) {
                let asked = Asked { source, files: &all, block: &slot.block };
                slot.hits[layer] = asking.ask(layer, asked, &known[layer], &mut self.matcher);
            }
            slots.push(slot);
        }
        let mut store = self.shared.store();
        let log = &mut store.logs[number];
        log.files.segments = all.segments;
        log.n_dropped = feed.n_dropped;
        log.n_skipped += part.scanned.n_skipped;
        log.bytes += part.bytes;
        log.scanned += part.bytes;
        let below = log.slots.len() - usize::from(goes_on);
        log.push_back(slots, asking);
        for stream in (0..grown.len()).filter(|stream| grown[*stream]) {
            log.regrow(stream, below, asking, &mut self.matcher);
        }
        true
    }

    /// Asks blocks that were not asked yet, newest first.
    fn ask(&mut self, layer: usize, asking: &Asking) -> bool {
        if layer == FOUND && asking.search.is_none() {
            return false;
        }
        let begin = Instant::now();
        let mut worked = false;
        while begin.elapsed() < SLICE && !self.shared.is_outdated(asking.revision) {
            let batch = {
                let store = self.shared.store();
                let hunted = if layer == FOUND { store.hunted(asking.revision[layer], 64) } else { Vec::new() };
                if hunted.is_empty() { store.unasked(layer, asking.revision[layer], 64) } else { hunted }
            };
            if batch.is_empty() {
                return worked;
            }
            let mut asked = Vec::with_capacity(batch.len());
            for (number, at, block, files) in batch {
                let source = &self.feeds[number].source;
                let hits = asking.ask(
                    layer,
                    Asked { source, files: &files, block: &block },
                    &Hits::default(),
                    &mut self.matcher,
                );
                asked.push((number, at, hits));
                if begin.elapsed() > SLICE {
                    break;
                }
            }
            let mut store = self.shared.store();
            for (number, at, hits) in asked {
                let log = &mut store.logs[number];
                log.slots[at].hits[layer] = hits;
                log.settle(at, layer, asking);
            }
            worked = true;
        }
        worked
    }

    /// Makes the marks beside the scrollbar, if somebody shows them.
    fn tick(&mut self) {
        let generation = self.shared.generation();
        let mut store = self.shared.store();
        if store.ticks.n == 0
            || store.ticks.made_at == generation
            || self.ticked_at.elapsed() < TICKS && !store.ticks.made.is_empty()
        {
            return;
        }
        // Telling of the marks goes up by one.
        store.make_ticks(generation + 1);
        drop(store);
        self.ticked_at = Instant::now();
        self.tell();
    }

    /// Waits for changes, calls and the beat.
    fn wait(&mut self, at_most: Duration) {
        let until_round = self.read_at.map_or(Duration::ZERO, |at| ROUND.saturating_sub(at.elapsed()));
        let is_idle = !at_most.is_zero() && !self.changed.contains(&true);
        let at_most = if is_idle { at_most } else { at_most.min(until_round) };
        let change = match self.watch.wait_or_call(at_most, self.call.as_fd()) {
            Ok(change) => change,
            Err(error) => {
                // Looking often does as well.
                self.shared.set_trouble(&error);
                std::thread::sleep(at_most.min(Duration::from_millis(40)));
                Change::Unknown
            }
        };
        let mut bytes = [0; 64];
        while matches!(self.call.read(&mut bytes), Ok(n) if n == bytes.len()) {}
        match change {
            Change::Some(dirs) => {
                let found = dirs.iter().any(|dir| self.parents.contains(dir));
                dirs.iter().filter_map(|dir| self.numbers.get(dir)).for_each(|number| self.changed[*number] = true);
                if found {
                    self.look();
                }
            }
            Change::Unknown if is_idle => self.look(),
            Change::Unknown | Change::Closed => {}
        }
        if self.beat_at.elapsed() >= BEAT {
            self.look();
        }
    }

    /// Looks at everything: new sources, removed segments, more to read.
    fn look(&mut self) {
        self.beat_at = Instant::now();
        self.attempt(Worker::discover);
        self.changed.iter_mut().for_each(|changed| *changed = true);
        let asking = self.asking();
        self.forget_removed(&asking);
    }

    /// Forgets segments that were removed, the oldest first, beyond what is kept of them.
    fn forget_removed(&mut self, asking: &Asking) {
        let mut removed = BinaryHeap::new();
        let segments: Vec<_> = self.shared.store().logs.iter().map(|log| Arc::clone(&log.files.segments)).collect();
        for (number, segments) in segments.iter().enumerate() {
            for segment in segments.iter() {
                if segment.is_removed() || !segment.is_linked() {
                    segment.set_removed();
                    let len = if segment.is_open() { segment.len(&self.pool).unwrap_or(u64::MAX) } else { u64::MAX };
                    removed.push((std::cmp::Reverse(number), segment.seq, len));
                }
            }
        }
        let (mut kept, mut gone) = (0_u64, BTreeMap::<usize, Vec<u32>>::new());
        // Newest of each source first.
        while let Some((std::cmp::Reverse(number), seq, len)) = removed.pop() {
            kept = kept.saturating_add(len);
            let reading = self.feeds[number].newest().is_some_and(|newest| newest.seq == seq);
            if kept > self.sizes.removed && !reading {
                gone.entry(number).or_default().push(seq);
            }
        }
        let n_gone = gone.len();
        for (number, gone) in gone {
            let mut store = self.shared.store();
            let log = &mut store.logs[number];
            log.forget(|seq| gone.contains(&seq), &self.anchors, asking, &mut self.matcher);
        }
        if n_gone > 0 {
            self.tell();
        }
    }

    fn tell(&self) {
        if self.shared.changed() {
            (self.wake)();
        }
    }
}

fn is_same(one: &super::block::Block, other: &super::block::Block) -> bool {
    (one.segment.seq, one.offset) == (other.segment.seq, other.offset)
}

impl Log {
    /// Takes note of segments.
    fn know<'a>(&mut self, segments: impl Iterator<Item = &'a Arc<super::segment::Segment>>) {
        segments.for_each(|segment| self.files.know(segment));
    }
}

/// A block to ask: the number of its source, its own, and what it is read from.
type ToAsk = (usize, usize, Arc<super::block::Block>, Files);

impl Store {
    /// Some blocks that the search was not asked about, the nearest first to where a hit is wanted.
    fn hunted(&self, revision: u32, n: usize) -> Vec<ToAsk> {
        let Some((key, direction)) = self.hunt else { return Vec::new() };
        let mut near = Vec::new();
        for (number, log) in self.selected() {
            let from = log.at_key(key).block;
            let unasked = |at: &usize| log.slots[*at].hits[FOUND].revision != revision;
            let blocks: Vec<usize> = match direction {
                Direction::Forward => (from..log.slots.len()).filter(unasked).take(n).collect(),
                Direction::Backward => (0..(from + 1).min(log.slots.len())).rev().filter(unasked).take(n).collect(),
            };
            near.extend(blocks.into_iter().map(|at| (log.slots[at].block.first_key().abs_diff(key), number, at)));
        }
        near.sort_unstable();
        near.truncate(n);
        let block = |(_, number, at): (u64, usize, usize)| {
            let log = &self.logs[number];
            (number, at, Arc::clone(&log.slots[at].block), log.files.clone())
        };
        near.into_iter().map(block).collect()
    }

    /// Some blocks that a layer was not asked about, the newest of all sources first.
    fn unasked(&self, layer: usize, revision: u32, n: usize) -> Vec<ToAsk> {
        let before = |number: usize, at: usize| {
            let log: &Log = &self.logs[number];
            let at = (0..at).rev().find(|at| log.slots[*at].hits[layer].revision != revision)?;
            Some((log.slots[at].block.last_key(), number, at))
        };
        let mut heap: BinaryHeap<_> =
            self.selected().filter_map(|(number, log)| before(number, log.slots.len())).collect();
        let mut out = Vec::new();
        while out.len() < n {
            let Some((_, number, at)) = heap.pop() else { break };
            let log = &self.logs[number];
            out.push((number, at, Arc::clone(&log.slots[at].block), log.files.clone()));
            heap.extend(before(number, at));
        }
        out
    }
}
