//! The one thread of the index: it finds sources, reads what is new, asks blocks what the query and the search want, and reads back what is old.

mod back;
mod follow;
mod order;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed::{Feed, Sizes};
use super::hits::Hits;
use super::join::Asking;
use super::matching::{Asked, Matcher};
use super::rates::Ring;
use super::segment::Pool;
use super::store::{FOUND, Log, WANTED};
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
        let mut revision = self.asking().revision;
        while !self.shared.is_stopped() {
            let asking = self.asking();
            // Whoever has just asked for other lines waits for them; what is being written can wait for a moment.
            let new = std::mem::replace(&mut revision, asking.revision) != asking.revision;
            let worked = new && self.ask(WANTED, &asking)
                || self.first_looks(&asking)
                || self.follow(&asking)
                || self.ask(WANTED, &asking)
                || self.back(&asking)
                || self.ask(FOUND, &asking);
            let owed = self.tick();
            if self.shared.set_idle(!worked) || worked {
                self.tell();
            }
            self.wait(if worked {
                Duration::ZERO
            } else if owed {
                TICKS
            } else {
                BEAT
            });
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

    /// Makes the marks beside the scrollbar, if somebody shows them. True when they are to be made again soon.
    fn tick(&mut self) -> bool {
        let generation = self.shared.generation();
        let mut store = self.shared.store();
        if store.ticks.n == 0 || store.ticks.made_at == generation {
            return false;
        }
        if self.ticked_at.elapsed() < TICKS && !store.ticks.made.is_empty() {
            return true;
        }
        // Telling of the marks goes up by one.
        store.make_ticks(generation + 1);
        drop(store);
        self.ticked_at = Instant::now();
        self.tell();
        false
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

    fn tell(&self) {
        if self.shared.changed() {
            (self.wake)();
        }
    }
}
