//! What is read: the merged, joined, filtered lines of a selection of sources; at once, and on as more is written.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::Anchors;
use super::filter::Filter;
use super::last;
use super::lines::{Line, Lines, Sink};
use super::merge::Merge;
use super::reader::{self, MIN_BUFFER, Reader, Start};
use super::record::STAMP;
use super::sources::{Channel, Selection, Source};
use super::writer;
use crate::error::PathError;

/// All readers together take so much memory, as long as each has the least it needs.
const BUFFERS: usize = 32 * 1024 * 1024;
const LARGEST_BUFFER: usize = 256 * 1024;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which sources.
    pub selection: Selection,
    /// Which lines.
    pub filter: Filter,
    /// Only the last so many lines.
    pub last: Option<usize>,
    /// More will be asked for later.
    pub follow: bool,
}

/// Lines of one source that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub source: Source,
    /// Lines that are no records.
    pub n_skipped: u64,
    /// Segments that were removed before they were read.
    pub n_dropped: u64,
}

/// Sources being read.
#[derive(Debug)]
pub struct View {
    logs: PathBuf,
    query: Query,
    merge: Merge,
    lines: Lines,
    anchors: Arc<Anchors>,
}

/// Reads everything that is asked for, as it is at this moment. `Break` when the taker stopped.
pub fn read(logs: &Path, query: Query, sink: &mut impl Sink) -> Result<ControlFlow<()>, PathError> {
    let mut view = View::open(logs, query)?;
    if view.history(sink)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    Ok(view.finish(sink))
}

impl View {
    /// Opens the sources below the folder of all logs.
    pub fn open(logs: &Path, query: Query) -> Result<View, PathError> {
        let sources = query.selection.find(logs)?;
        let buffer = (BUFFERS / sources.len().max(1)).clamp(MIN_BUFFER, LARGEST_BUFFER);
        let begin = |source: &Source| match query.last {
            Some(n) => Ok((last::start_of_last(source, n, &query.filter)?, None)),
            None => reader::span(&source.dir, query.filter.since, query.filter.until),
        };
        let starts = sources.iter().map(begin).collect::<Result<Vec<_>, PathError>>()?;
        let marks = starts.iter().flat_map(|(start, _)| &start.marks).copied();
        let anchors = Arc::new(Anchors::new(marks.chain([writer::now()])));
        let mut merge = Merge::default();
        for (source, (start, last)) in sources.iter().zip(starts) {
            let last = last.filter(|_| !query.follow);
            merge.add(Reader::anchored(&source.dir, start, last, buffer, Arc::clone(&anchors)));
        }
        let lines = Lines::new(sources, query.filter.clone());
        Ok(View { logs: logs.to_owned(), query, merge, lines, anchors })
    }

    /// The sources by number, as lines name them.
    pub fn sources(&self) -> &[Source] {
        self.lines.sources()
    }

    /// The folder of all logs.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// What was asked for.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Hands out what there is already: all of it, or the last lines.
    pub fn history(&mut self, sink: &mut impl Sink) -> Result<ControlFlow<()>, PathError> {
        let Some(n) = self.query.last else { return self.merge.pump(&mut self.lines.feeding(sink)) };
        let mut ring = Ring { lines: VecDeque::new(), n, whole: 0 };
        let mut flow = self.merge.pump(&mut self.lines.feeding(&mut ring))?;
        if flow.is_continue() && !self.query.follow {
            flow = self.lines.finish(&mut ring);
        }
        debug_assert!(flow.is_continue());
        for kept in &ring.lines {
            if sink.line(&kept.line()).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands out lines that never ended.
    pub fn finish(&mut self, sink: &mut impl Sink) -> ControlFlow<()> {
        self.lines.finish(sink)
    }

    /// Hands out what was written since, by the sources of these numbers.
    pub fn more(&mut self, numbers: &[usize], sink: &mut impl Sink) -> Result<ControlFlow<()>, PathError> {
        let flow = self.merge.pump_some(numbers.iter().copied(), &mut self.lines.feeding(sink))?;
        if flow.is_break() { Ok(flow) } else { Ok(self.lines.show_open(sink)) }
    }

    /// Adds sources that appeared since; their numbers follow those there were.
    pub fn rescan(&mut self) -> Result<(), PathError> {
        for source in self.query.selection.find(&self.logs)? {
            if !self.lines.sources().contains(&source) {
                let anchors = Arc::clone(&self.anchors);
                self.merge.add(Reader::anchored(&source.dir, Start::default(), None, MIN_BUFFER, anchors));
                self.lines.add(source);
            }
        }
        Ok(())
    }

    /// The folders in which sources may appear.
    pub fn parents(&self) -> Result<Vec<PathBuf>, PathError> {
        self.query.selection.parents(&self.logs)
    }

    /// What could not be read so far.
    pub fn gaps(&self) -> Vec<Gap> {
        let pairs = self.lines.sources().iter().zip(self.merge.readers());
        let gaps = pairs.map(|(source, reader)| Gap {
            source: source.clone(),
            n_skipped: reader.n_skipped,
            n_dropped: reader.n_dropped,
        });
        gaps.filter(|gap| gap.n_skipped + gap.n_dropped > 0).collect()
    }
}

/// Keeps the last lines.
struct Ring {
    lines: VecDeque<Kept>,
    n: usize,
    /// Lines that begin in the ring.
    whole: usize,
}

struct Kept {
    source: usize,
    channel: Channel,
    run: u64,
    time: i64,
    stamp: [u8; STAMP],
    payload: Vec<u8>,
    plain: bool,
    first: bool,
    last: bool,
    newline: bool,
}

impl Kept {
    fn line(&self) -> Line<'_> {
        let Kept { source, channel, run, time, plain, first, last, newline, .. } = *self;
        Line { source, channel, run, time, stamp: &self.stamp, payload: &self.payload, plain, first, last, newline }
    }
}

impl Sink for Ring {
    fn line(&mut self, line: &Line<'_>) -> ControlFlow<()> {
        let mut payload = Vec::new();
        if line.first {
            self.whole += 1;
        }
        while self.whole > self.n {
            let Some(oldest) = self.lines.pop_front() else { break };
            // Parts of a line go with its beginning.
            if self.lines.front().is_none_or(|next| next.first) {
                self.whole -= 1;
            }
            payload = oldest.payload;
            payload.clear();
        }
        if self.n == 0 {
            return ControlFlow::Continue(());
        }
        payload.extend_from_slice(line.payload);
        let Line { source, channel, run, time, plain, first, last, newline, .. } = *line;
        let kept = Kept { source, channel, run, time, stamp: *line.stamp, payload, plain, first, last, newline };
        self.lines.push_back(kept);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder;

    fn fleet() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut api = Folder::at(dir.path(), "api/1");
        let mut web = Folder::at(dir.path(), "web/1");
        api.mark(0, 1, 0);
        web.mark(0, 2, 0);
        for n in 0..100 {
            api.line(n * 10, Stream::Stdout, &format!("a{n}"));
            web.line(n * 10 + 5, Stream::Stderr, &format!("w{n}"));
        }
        web.record(2000, Stream::Stdout, false, b"open");
        dir
    }

    fn texts(logs: &Path, query: Query) -> Vec<String> {
        let mut out = Vec::new();
        let mut sink = |line: &Line<'_>| {
            out.push(String::from_utf8_lossy(line.payload).into_owned());
            ControlFlow::Continue(())
        };
        assert!(read(logs, query, &mut sink).unwrap().is_continue());
        out
    }

    #[test]
    fn reads_all_or_the_last() {
        let dir = fleet();
        let all = texts(dir.path(), Query::default());
        assert_eq!(all.len(), 201);
        assert_eq!(&all[..3], ["a0", "w0", "a1"]);
        for n in [0, 1, 5, 200, 201, 500] {
            let last = texts(dir.path(), Query { last: Some(n), ..Query::default() });
            assert_eq!(last, all[201 - n.min(201)..], "{n}");
        }
    }

    #[test]
    fn the_last_are_the_last_however_the_clock_was_set() {
        const HOUR: i64 = 3_600_000_000;
        let dir = tempfile::tempdir().unwrap();
        let (mut api, mut web) = (Folder::at(dir.path(), "api/1"), Folder::at(dir.path(), "web/1"));
        // The rare lines of one source reach back to its first mark, the many of the other do not.
        for (step, hour) in (0..).zip([50, 80, 20, 90, 60, 60]) {
            let (wall, steady) = (hour * HOUR + step * 5_000_000, HOUR + step * 5_000_000);
            api.mark(wall, 1, steady).line(wall + 1, Stream::Stdout, &format!("api {step}"));
            web.mark(wall, 1, steady);
            for n in 0..1000 {
                web.line(wall + 2 + n, Stream::Stdout, &format!("web {step} {n:0100}"));
            }
        }
        let all = texts(dir.path(), Query::default());
        let steps: Vec<_> = all.iter().filter_map(|text| text.split(' ').nth(1)).collect();
        assert!(steps.is_sorted(), "{steps:?}");
        for n in [10, 500, 1500, 4000] {
            let last = texts(dir.path(), Query { last: Some(n), ..Query::default() });
            assert_eq!(last, all[all.len() - n..], "{n}");
        }
    }

    #[test]
    fn filters_come_before_the_last() {
        let dir = fleet();
        let grep = vec![regex::bytes::Regex::new("^a.*7").unwrap()];
        let filter = Filter { grep, ..Filter::default() };
        let query = Query { last: Some(3), filter, ..Query::default() };
        assert_eq!(texts(dir.path(), query), ["a79", "a87", "a97"]);
    }

    #[test]
    fn time_spans() {
        let dir = fleet();
        let filter = Filter { since: Some(100), until: Some(115), ..Filter::default() };
        assert_eq!(texts(dir.path(), Query { filter, ..Query::default() }), ["a10", "w10", "a11", "w11"]);
    }

    #[test]
    fn sources_that_appear_are_read_from_their_beginning() {
        let dir = fleet();
        let mut out = Vec::new();
        let mut sink = |line: &Line<'_>| {
            out.push(String::from_utf8_lossy(line.payload).into_owned());
            ControlFlow::Continue(())
        };
        let mut view = View::open(dir.path(), Query { last: Some(1), follow: true, ..Query::default() }).unwrap();
        assert!(view.history(&mut sink).unwrap().is_continue());
        Folder::at(dir.path(), "job/1").line(1, Stream::Stdout, "new");
        view.rescan().unwrap();
        assert!(view.more(&[0, 1, 2], &mut sink).unwrap().is_continue());
        assert_eq!(out, ["w99", "new", "open"]);
    }
}
