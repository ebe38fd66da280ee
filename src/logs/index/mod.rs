//! The log index: ten million lines of all services at the tip of a key, without their text in memory.
//!
//! One thread reads the segments once, newest first, and keeps for every line where it is, when it was, how bad it is (`block`); text is read from the
//! files again when it is shown or searched. Whoever shows lines sets a [`Query`] and asks for a [`Window`] at an [`Anchor`]; the answer comes from
//! memory and from at most as many small reads as it has rows. A [`Position`] stays valid whatever happens to the logs.
//!
//! Lines are ordered by their beginnings, not by their ends as `orchestra logs` prints them: so a prompt is there at once and never moves.

mod place;
mod query;
mod rows;

use std::path::Path;

pub use place::{Anchor, Direction, Position};
pub use query::{Channels, Levels, Pattern, Query};
pub use rows::{Found, Hits, Progress, ROW, Rates, Row, SourceInfo, Tick, Window};

use crate::error::PathError;

/// Told that something changed; called by the index's thread, never twice before somebody looked.
pub type Wake = Box<dyn Fn() + Send>;

/// The logs of a project, open for looking. Dropping it ends its thread.
#[derive(Debug)]
pub struct Index {}

impl Index {
    /// Opens the folder of all logs (`.orchestra/logs`), which need not be there yet, and begins to read in the background.
    pub fn open(logs: &Path, wake: Wake) -> Result<Index, PathError> {
        drop((logs, wake));
        Ok(Index {})
    }

    /// Goes up whenever an answer may be another than before.
    pub fn generation(&self) -> u64 {
        0
    }

    /// What the background work could not do, if anything; it tries again.
    pub fn trouble(&self) -> Option<String> {
        None
    }

    /// The sources by number. A source never changes its number.
    pub fn sources(&self) -> Vec<SourceInfo> {
        Vec::new()
    }

    /// How far the work is.
    pub fn progress(&self) -> Progress {
        Progress::default()
    }

    /// Shows other lines from now on. What was asked about the lines before is dropped at once.
    pub fn set_query(&self, query: Query) {
        drop(query);
    }

    /// The rows around an anchor: up to `before` of them before it, and `after` from it on (the anchor's own is the first of these).
    pub fn window(&self, anchor: Anchor, before: usize, after: usize) -> Window {
        let (_, _, _) = (anchor, before, after);
        Window::default()
    }

    /// The wanted line with this number, from 0 on; the last when there are fewer.
    pub fn nth(&self, n: u64) -> Option<Position> {
        let _ = n;
        None
    }

    /// The first wanted line at or after this moment, in microseconds since 1970; the last when there is none.
    pub fn at_time(&self, time: i64) -> Option<Position> {
        let _ = time;
        None
    }

    /// The wanted line at a part of all, 0.0 the first, 1.0 the last.
    pub fn at_fraction(&self, part: f64) -> Option<Position> {
        let _ = part;
        None
    }

    /// The nearest wanted line after or before `from` that states one of these levels.
    pub fn next_level(&self, from: Anchor, levels: Levels, direction: Direction) -> Option<Position> {
        let _ = (from, levels, direction);
        None
    }

    /// Looks for a text in the wanted lines from now on, or for none.
    pub fn set_search(&self, pattern: Option<Pattern>) {
        drop(pattern);
    }

    /// The nearest hit of the search after or before `from`.
    pub fn next_hit(&self, from: Anchor, direction: Direction) -> Found {
        let _ = (from, direction);
        Found::Nothing
    }

    /// How many lines the search is found in.
    pub fn hits(&self) -> Hits {
        Hits::default()
    }

    /// All bytes of a line, up to [`crate::logs::lines::JOINED`]; `None` when it is gone.
    pub fn line(&self, position: Position) -> Option<Vec<u8>> {
        let _ = position;
        None
    }

    /// For each of `n` equal parts of the wanted lines what is to be seen there. It is counted in the background: empty until then, and at most some
    /// hundred milliseconds old.
    pub fn ticks(&self, n: usize) -> Vec<Tick> {
        let _ = n;
        Vec::new()
    }

    /// What each source wrote in the last 60 seconds, by number.
    pub fn rates(&self) -> Vec<Rates> {
        Vec::new()
    }
}
