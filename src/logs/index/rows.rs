//! What a window shows.

use super::place::Position;
use crate::logs::level::Level;
use crate::logs::record::Stream;
use crate::logs::sources::{Channel, Source};

/// So much of a line is in a row.
pub const ROW: usize = 4096;

/// One line, or one fold, as it is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub position: Position,
    /// When its beginning was read, in microseconds since 1970, as the machine's clock stood.
    pub time: i64,
    /// Who wrote it.
    pub stream: Stream,
    /// What it belongs to.
    pub channel: Channel,
    /// Its level, or that of the line before it in its stream where it states none.
    pub level: Option<Level>,
    /// It states the level itself.
    pub stated: bool,
    /// The run that wrote it.
    pub run: u64,
    /// It goes on from the line before it in its stream, as a stack trace does.
    pub continues: bool,
    /// With [`super::Query::fold`]: how many lines go on from this one.
    pub n_folded: u32,
    /// Its bytes as they were written, the first [`ROW`] of them: not safe for a terminal before [`crate::logs::clean`].
    pub bytes: Vec<u8>,
    /// There are more bytes: [`super::Index::line`] has them.
    pub cut: bool,
    /// Its text cannot be read any more; it goes with the next beat.
    pub gone: bool,
}

/// A part of the lines that the query wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// In order.
    pub rows: Vec<Row>,
    /// The index in `rows` of the row at the anchor, or of the first after it; `rows.len()` when there is none in the window.
    pub anchor: usize,
    /// How many wanted lines there are before the first row.
    pub n_before: u64,
    /// How many wanted lines there are after the last row.
    pub n_after: u64,
    /// `n_before`, `n_after` and the totals count everything; false while something was not looked at yet and is estimated.
    pub exact: bool,
    /// All lines of all sources.
    pub n_lines: u64,
    /// There is nothing before the first row, for certain.
    pub at_top: bool,
    /// There is nothing after the last row.
    pub at_bottom: bool,
    /// What was asked for was not looked at yet: ask again when woken.
    pub pending: bool,
}

impl Window {
    /// How many lines the query wants; not exact unless [`Window::exact`].
    pub fn n_wanted(&self) -> u64 {
        self.n_before + self.rows.len() as u64 + self.n_after
    }
}

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The nearest hit in that direction.
    At(Position),
    /// There is none in that direction.
    Nothing,
    /// Still looking: ask again when woken.
    Looking,
}

/// How many lines of the query a search is found in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// So far.
    pub n: u64,
    /// Everything was looked at.
    pub complete: bool,
}

/// What one mark beside the scrollbar says of its part of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// A line there states an error or worse.
    pub error: bool,
    /// The search is found there.
    pub hit: bool,
}

/// One source and what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Which.
    pub source: Source,
    /// Lines that are known so far.
    pub n_lines: u64,
    /// Lines that were known and whose segments were removed since.
    pub n_gone: u64,
    /// Segments that were removed before they were read.
    pub n_dropped: u64,
    /// Lines of the files that are no records.
    pub n_skipped: u64,
    /// Bytes of its segments on disk.
    pub bytes: u64,
}

/// How much one source wrote in each of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Lines, oldest second first, the present one last.
    pub lines: Vec<u32>,
    /// Lines that state an error or worse.
    pub errors: Vec<u32>,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that were read once.
    pub scanned: u64,
    /// Bytes there are.
    pub bytes: u64,
    /// Lines the query was asked about.
    pub n_asked: u64,
    /// Lines known.
    pub n_lines: u64,
    /// Nothing is left to do but to wait for more.
    pub idle: bool,
}
