//! The log index: ten million lines of all services at the tip of a key, without their text in memory.
//!
//! One thread reads the segments once, newest first, and keeps for every line where it is, when it was, how bad it is (`block`); text is read from the
//! files again when it is shown or searched. Whoever shows lines sets a [`Query`] and asks for a [`Window`] at an [`Anchor`]; the answer comes from
//! memory and from at most as many small reads as it has rows. A [`Position`] stays valid whatever happens to the logs.
//!
//! Lines are ordered by their beginnings, not by their ends as `orchestra logs` prints them: so a prompt is there at once and never moves.
//!
//! From below: `segment` keeps files open, `fold` knows stack traces, `scan` makes a `block` of bytes, `feed` reads a source, `join` puts blocks
//! together, `text` reads lines again, `matching` asks blocks what a query wants (`hits`), `store` has it all, `window`, `seek` and `dumps` answer from
//! it, `work` is the thread.

mod block;
mod dumps;
mod export;
mod feed;
mod fold;
mod hits;
mod join;
#[cfg(test)]
mod life;
mod matching;
mod place;
mod query;
mod rates;
mod rows;
mod scan;
mod seek;
mod segment;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod ticks;
mod window;
mod work;

use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use dumps::{Dump, Looked};
pub use export::Lines;
pub use place::{Anchor, Direction, Position};
pub use query::{Channels, Levels, Pattern, Query};
pub use rows::{Found, Hits, Progress, ROW, Rates, Row, SourceInfo, Tick, Window};

use crate::error::{Context, PathError};
use crate::sys::fd::wall_us;
use feed::Sizes;
use store::{FOUND, Store, WANTED};
use ticks::Ticks;
use work::Worker;

/// Told that something changed; called by the index's thread, and not again before somebody asked something.
pub type Wake = Box<dyn Fn() + Send>;

/// The logs of a project, open for looking. Dropping it ends its thread.
pub struct Index {
    shared: Arc<Shared>,
    /// A byte here wakes the thread.
    call: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// What the handle and the thread have in common.
#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    generation: AtomicU64,
    /// The wake was called, and nobody has asked since.
    told: AtomicBool,
    stop: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("generation", &self.shared.generation).finish_non_exhaustive()
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether something else is wanted by now.
    fn is_outdated(&self, revision: [u32; 2]) -> bool {
        self.is_stopped() || self.store().revision != revision
    }

    /// Something changed. True when somebody has to be told.
    fn changed(&self) -> bool {
        self.generation.fetch_add(1, Ordering::AcqRel);
        !self.told.swap(true, Ordering::AcqRel)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether the thread has nothing to do; true when that is new.
    fn set_idle(&self, idle: bool) -> bool {
        let mut store = self.store();
        std::mem::replace(&mut store.idle, idle) != idle
    }

    fn set_trouble(&self, error: &dyn std::error::Error) {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error}{cause}"));
    }
}

impl Index {
    /// Opens the folder of all logs (`.orchestra/logs`), which need not be there yet, and begins to read in the background.
    pub fn open(logs: &Path, wake: Wake) -> Result<Index, PathError> {
        Index::open_sized(logs, wake, Sizes::default())
    }

    fn open_sized(logs: &Path, wake: Wake, sizes: Sizes) -> Result<Index, PathError> {
        let (call, called) = UnixStream::pair().context("watch", logs)?;
        call.set_nonblocking(true).context("watch", logs)?;
        called.set_nonblocking(true).context("watch", logs)?;
        let store = Store { revision: [1, 1], ..Store::default() };
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            generation: AtomicU64::new(1),
            told: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            trouble: Mutex::new(None),
        });
        let worker = Worker::new(logs, Arc::clone(&shared), wake, called, sizes)?;
        let thread = std::thread::Builder::new().name("log index".to_owned()).spawn(move || worker.run());
        Ok(Index { shared, call, thread: Some(thread.context("watch", logs)?) })
    }

    /// Goes up whenever an answer may be another than before.
    pub fn generation(&self) -> u64 {
        self.shared.told.store(false, Ordering::Release);
        self.shared.generation.load(Ordering::Acquire)
    }

    /// What the background work could not do last, if anything; it tries again.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sources by number. A source never changes its number.
    pub fn sources(&self) -> Vec<SourceInfo> {
        let store = self.asked();
        let of = |log: &store::Log| SourceInfo {
            source: log.source.clone(),
            n_lines: log.n_lines,
            n_gone: log.n_gone,
            n_dropped: log.n_dropped,
            n_skipped: log.n_skipped,
            bytes: log.bytes,
        };
        store.logs.iter().map(of).collect()
    }

    /// How far the work is.
    pub fn progress(&self) -> Progress {
        let store = self.asked();
        let mut out = Progress { idle: store.idle, ..Progress::default() };
        let revision = store.wanted();
        for log in &store.logs {
            out.scanned += log.scanned;
            out.bytes += log.bytes;
            out.n_lines += log.n_lines;
            let asked = (0..log.slots.len()).filter_map(|block| log.wanted(block, revision));
            out.n_asked += asked.map(|hits| u64::from(hits.done)).sum::<u64>();
        }
        out
    }

    /// Shows other lines from now on. What was asked about the lines before is dropped at once.
    pub fn set_query(&self, query: Query) {
        let mut store = self.asked();
        for log in &mut store.logs {
            log.selected = query.selection.takes(&log.source);
        }
        if query.fold != store.query.fold {
            store.revision[FOUND] += 1;
        }
        store.query = Arc::new(query);
        store.revision[WANTED] += 1;
        drop(store);
        self.call();
    }

    /// The rows around an anchor: up to `before` of them before it, and `after` from it on (the anchor's own is the first of these).
    pub fn window(&self, anchor: Anchor, before: usize, after: usize) -> Window {
        self.asked().window(anchor, before, after)
    }

    /// The wanted line with this number, from 0 on; the last when there are fewer.
    pub fn nth(&self, n: u64) -> Option<Position> {
        self.asked().nth(n)
    }

    /// The first wanted line at or after this moment, in microseconds since 1970; the last when there is none.
    pub fn at_time(&self, time: i64) -> Option<Position> {
        self.asked().at_time(time)
    }

    /// The wanted line at a part of all, 0.0 the first, 1.0 the last.
    pub fn at_fraction(&self, part: f64) -> Option<Position> {
        let store = self.asked();
        let last = store.n_wanted().saturating_sub(1) as f64;
        store.nth((last * part.clamp(0.0, 1.0)).round() as u64)
    }

    /// The nearest wanted line after or before `from` that states one of these levels.
    pub fn next_level(&self, from: Anchor, levels: Levels, direction: Direction) -> Option<Position> {
        self.asked().next_level(from, levels, direction)
    }

    /// Where the run after that of a line begins among the wanted lines of its source; backward, where the line's own run begins, and from there the run
    /// before it.
    pub fn run(&self, of: Position, direction: Direction) -> Option<Position> {
        self.asked().run(of, direction)
    }

    /// Looks for a text in the wanted lines from now on, or for none.
    pub fn set_search(&self, pattern: Option<Pattern>) {
        let mut store = self.asked();
        store.search = pattern.map(Arc::new);
        store.revision[FOUND] += 1;
        store.hunt = None;
        drop(store);
        self.call();
    }

    /// The nearest hit of the search after or before `from`.
    pub fn next_hit(&self, from: Anchor, direction: Direction) -> Found {
        let found = self.asked().next_hit(from, direction);
        if found == Found::Looking {
            self.call();
        }
        found
    }

    /// How many wanted lines the search is found in.
    pub fn hits(&self) -> Hits {
        self.asked().n_hits()
    }

    /// All bytes of a line, up to [`crate::logs::lines::JOINED`]; `None` when it is gone.
    pub fn line(&self, position: Position) -> Option<Vec<u8>> {
        let (block, line, files) = self.asked().line(position)?;
        // The files are read without holding anybody up.
        files.whole(&block, line).ok().map(|text| text.bytes)
    }

    /// All wanted lines from an anchor on, read bit by bit, for writing them to a file.
    pub fn lines(&self, from: Anchor) -> Lines<'_> {
        // The anchor's own line is the first of them.
        let first = if let Anchor::At(_) = from { self.window(from, 0, 1).rows.pop() } else { None };
        let from = first.as_ref().map_or(from, |row| Anchor::At(row.position));
        Lines::new(self, from, first)
    }

    /// For each of `n` equal parts of the wanted lines what is to be seen there. It is counted in the background: empty until that is done, and at most
    /// some hundred milliseconds old.
    pub fn ticks(&self, n: usize) -> Vec<Tick> {
        let mut store = self.asked();
        if store.ticks.n != n {
            store.ticks = Ticks { n, ..Ticks::default() };
            drop(store);
            self.call();
            return Vec::new();
        }
        store.ticks.made.clone()
    }

    /// What each source wrote in the last 60 seconds, by number.
    pub fn rates(&self) -> Vec<Rates> {
        let now = wall_us().div_euclid(1_000_000);
        self.asked().logs.iter().map(|log| log.ring.rates(now)).collect()
    }

    /// The store, for a question: whoever asks has seen what there was to tell.
    fn asked(&self) -> MutexGuard<'_, Store> {
        self.shared.told.store(false, Ordering::Release);
        self.shared.store()
    }

    /// Wakes the thread.
    fn call(&self) {
        // A full pipe has calls enough in it.
        drop((&self.call).write(b"!"));
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.call();
        if let Some(thread) = self.thread.take() {
            // It has nobody to tell that it panicked.
            drop(thread.join());
        }
    }
}
