//! All wanted lines, one after the other, for whoever writes them to a file.

use std::collections::VecDeque;

use super::Index;
use super::place::{Anchor, Direction};
use super::rows::Row;
use super::store::Store;

/// So many are taken at a time.
const BATCH: usize = 512;

/// Goes through the wanted lines from some place on. Ends where the lines end at the moment when it comes there; takes the query as it is then.
#[derive(Debug)]
pub struct Lines<'a> {
    index: &'a Index,
    from: Anchor,
    rows: VecDeque<Row>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(index: &'a Index, from: Anchor, first: Option<Row>) -> Lines<'a> {
        Lines { index, from, rows: first.into_iter().collect() }
    }
}

impl Iterator for Lines<'_> {
    type Item = Row;

    /// The next line, with all its bytes up to [`crate::logs::lines::JOINED`].
    fn next(&mut self) -> Option<Row> {
        if self.rows.is_empty() {
            self.rows = self.index.asked().rows_beyond(self.from, BATCH).into();
        }
        let mut row = self.rows.pop_front()?;
        self.from = Anchor::At(row.position);
        if row.cut
            && let Some(bytes) = self.index.line(row.position)
        {
            row.cut = bytes.len() >= crate::logs::lines::JOINED;
            row.bytes = bytes;
        }
        Some(row)
    }
}

impl Store {
    /// Up to `n` rows after the line at an anchor.
    fn rows_beyond(&self, from: Anchor, n: usize) -> Vec<Row> {
        let mut cut = self.beyond(from, Direction::Forward);
        cut.raise(&self.cut_at_key(self.frontier()));
        self.after(&cut, n).into_iter().map(|line| self.row(line)).collect()
    }
}
