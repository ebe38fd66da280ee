//! Where a line is: a place that stays valid while logs grow, filters change and segments are removed.

use crate::logs::record::Stream;

/// The place of one line. It orders lines as they are shown: by key, then by source, then as they lie in the files.
///
/// It may be kept for ever. A line that is filtered out or gone is answered with the nearest that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Orders lines of all sources: microseconds since 1970, the clock's jumps taken out ([`crate::logs::clock`]).
    pub key: i64,
    /// The number of the source ([`super::Index::sources`]).
    pub source: u32,
    /// Which segment of the source, in the order in which they were written; never used again for another file.
    pub segment: u32,
    /// The first byte of the line in that segment.
    pub offset: u64,
}

/// What a window is asked to lie at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Before the first line.
    Top,
    /// After the last line: what follows the log.
    Bottom,
    /// At this line, or at the first one after it that is shown.
    At(Position),
}

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To newer lines.
    Forward,
    /// To older lines.
    Backward,
}

/// The streams whose lines are told apart.
pub(super) const STREAMS: usize = 3;

/// The number of a stream; marks have no lines and share the last.
pub(super) fn stream_index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
        Stream::Orchestra | Stream::Mark => 2,
    }
}

/// The stream with this number.
pub(super) fn stream_of(index: usize) -> Stream {
    [Stream::Stdout, Stream::Stderr, Stream::Orchestra][index.min(STREAMS - 1)]
}
