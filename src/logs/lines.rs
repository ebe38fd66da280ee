//! From records to lines: pieces are joined again, and only the lines somebody asked for go on.
//!
//! A line is joined up to 1 MiB. What is longer goes on in parts, so that memory stays bounded however long a line gets; so does, while following,
//! the beginning of a line whose end was not written yet.

use std::ops::ControlFlow;

use super::filter::{Filter, LineState};
use super::merge::{Next, Records};
use super::reader::Raw;
use super::record::{STAMP, Stream};
use super::sources::{Channel, Source};

/// The longest line that is joined.
pub const JOINED: usize = 1024 * 1024;

/// A line, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The number of the source.
    pub source: usize,
    /// What it belongs to.
    pub channel: Channel,
    /// The run that wrote it.
    pub run: u64,
    /// Microseconds since 1970.
    pub time: i64,
    /// The same as text.
    pub stamp: &'a [u8; STAMP],
    /// The bytes.
    pub payload: &'a [u8],
    /// True when the bytes are known to be printable ASCII and tabs.
    pub plain: bool,
    /// The line begins here.
    pub first: bool,
    /// The line ends here.
    pub last: bool,
    /// The service itself ended it; false where it died in the middle of a line.
    pub newline: bool,
}

/// Takes lines.
pub trait Sink {
    /// Takes one; `Break` wants no more.
    fn line(&mut self, line: &Line<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(&Line<'_>) -> ControlFlow<()>> Sink for F {
    fn line(&mut self, line: &Line<'_>) -> ControlFlow<()> {
        self(line)
    }
}

const STREAMS: usize = 3;

/// A line of one stream whose end has not come yet.
#[derive(Debug, Default)]
struct Open {
    active: bool,
    /// Its beginning has gone on already.
    begun: bool,
    run: u64,
    time: i64,
    stamp: Option<[u8; STAMP]>,
    bytes: Vec<u8>,
}

/// Joins and filters. Kept over all calls of `Merge::pump`.
#[derive(Debug)]
pub struct Lines {
    sources: Vec<Source>,
    open: Vec<Open>,
    state: Vec<LineState>,
    n_open: usize,
    filter: Filter,
}

impl Lines {
    /// For these sources, by number.
    pub fn new(sources: Vec<Source>, filter: Filter) -> Lines {
        let mut lines = Lines { sources: Vec::new(), open: Vec::new(), state: Vec::new(), n_open: 0, filter };
        sources.into_iter().for_each(|source| lines.add(source));
        lines
    }

    /// Adds a source.
    pub fn add(&mut self, source: Source) {
        self.sources.push(source);
        self.open.resize_with(self.sources.len() * STREAMS, Open::default);
        self.state.resize_with(self.sources.len() * STREAMS, LineState::default);
    }

    /// The sources by number.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What takes the records and hands the lines to `sink`.
    pub fn feeding<'a, S: Sink>(&'a mut self, sink: &'a mut S) -> Feed<'a, S> {
        Feed { lines: self, sink }
    }

    fn pass(&mut self, line: &Line<'_>, slot: usize, sink: &mut impl Sink) -> ControlFlow<()> {
        if self.filter.is_open() || self.filter.wants(line, &mut self.state[slot]) {
            return sink.line(line);
        }
        ControlFlow::Continue(())
    }

    /// Hands out the beginnings of lines whose ends are not written yet: whoever waits sees a prompt.
    pub fn show_open(&mut self, sink: &mut impl Sink) -> ControlFlow<()> {
        self.hand_out_open(false, sink)
    }

    /// Hands out lines that never ended, as lines.
    pub fn finish(&mut self, sink: &mut impl Sink) -> ControlFlow<()> {
        self.hand_out_open(true, sink)
    }

    fn hand_out_open(&mut self, last: bool, sink: &mut impl Sink) -> ControlFlow<()> {
        for slot in 0..self.open.len() {
            if self.n_open == 0 {
                break;
            }
            if self.open[slot].active && (last || !self.open[slot].bytes.is_empty()) {
                self.hand_out(slot, last, false, sink)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Hands out what is there of an open line.
    fn hand_out(&mut self, slot: usize, last: bool, newline: bool, sink: &mut impl Sink) -> ControlFlow<()> {
        let open = &mut self.open[slot];
        let bytes = std::mem::take(&mut open.bytes);
        let (first, run, time) = (!open.begun, open.run, open.time);
        let stamp = open.stamp.unwrap_or([b' '; STAMP]);
        open.begun = true;
        if last {
            open.active = false;
            self.n_open -= 1;
        }
        let source = slot / STREAMS;
        let channel = self.sources[source].channel(stream_of(slot));
        let line =
            Line { source, channel, run, time, stamp: &stamp, payload: &bytes, plain: false, first, last, newline };
        let flow = self.pass(&line, slot, sink);
        // The room is used again.
        self.open[slot].bytes = bytes;
        self.open[slot].bytes.clear();
        flow
    }

    #[cold]
    fn piece(&mut self, slot: usize, raw: &Raw<'_>, sink: &mut impl Sink) -> ControlFlow<()> {
        if self.open[slot].active && self.open[slot].run != raw.run {
            self.hand_out(slot, true, false, sink)?;
        }
        let open = &mut self.open[slot];
        if !open.active {
            (open.active, open.begun, open.run) = (true, false, raw.run);
            self.n_open += 1;
        }
        (open.time, open.stamp) = (raw.time, Some(*raw.stamp));
        open.bytes.extend_from_slice(raw.payload);
        if raw.full || open.begun || open.bytes.len() >= JOINED {
            self.hand_out(slot, raw.full, raw.full, sink)?;
        }
        ControlFlow::Continue(())
    }
}

/// Lines and where they go.
#[derive(Debug)]
pub struct Feed<'a, S> {
    lines: &'a mut Lines,
    sink: &'a mut S,
}

impl<S: Sink> Records for Feed<'_, S> {
    #[inline]
    fn record(&mut self, source: usize, raw: &Raw<'_>) -> Next {
        let slot = source * STREAMS + index(raw.stream);
        let lines = &mut *self.lines;
        if raw.full && (lines.n_open == 0 || !lines.open[slot].active) {
            let channel = lines.sources[source].channel(raw.stream);
            let Raw { time, stamp, payload, run, plain, .. } = *raw;
            let line =
                Line { source, channel, run, time, stamp, payload, plain, first: true, last: true, newline: true };
            return if lines.pass(&line, slot, self.sink).is_break() { Next::Stop } else { Next::Any };
        }
        if lines.piece(slot, raw, self.sink).is_break() {
            return Next::Stop;
        }
        if lines.open[slot].active && lines.open[slot].begun { Next::Same } else { Next::Any }
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
        Stream::Orchestra | Stream::Mark => 2,
    }
}

fn stream_of(slot: usize) -> Stream {
    [Stream::Stdout, Stream::Stderr, Stream::Orchestra][slot % STREAMS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::sources::Folder;
    use crate::task::id::ServiceName;

    fn lines() -> Lines {
        let service = ServiceName::fold("api").unwrap();
        Lines::new(vec![Source { service, folder: Folder::Instance(1), dir: "x".into() }], Filter::default())
    }

    fn raw(stream: Stream, full: bool, payload: &[u8], run: u64) -> Raw<'_> {
        Raw { key: 1, time: 1, stamp: b"1970-01-01T00:00:00.000001Z", stream, full, payload, run, plain: false }
    }

    fn shown(out: &mut Vec<String>) -> impl FnMut(&Line<'_>) -> ControlFlow<()> {
        |line| {
            let text = String::from_utf8_lossy(line.payload);
            let text = if text.len() > 20 { format!("<{}>", text.len()) } else { text.into_owned() };
            let mark = |on, what: &'static str| if on { what } else { "" };
            out.push(format!(
                "{}{text}{}{}",
                mark(!line.first, "…"),
                mark(!line.last, "…"),
                mark(line.last && !line.newline, "!")
            ));
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn pieces_are_joined_per_stream() {
        let (mut lines, mut out) = (lines(), Vec::new());
        let mut sink = shown(&mut out);
        let mut feed = lines.feeding(&mut sink);
        for (stream, full, text) in [
            (Stream::Stdout, false, "a"),
            (Stream::Stderr, false, "x"),
            (Stream::Stdout, true, "b"),
            (Stream::Stdout, true, "c"),
            (Stream::Stderr, true, "y"),
        ] {
            assert_eq!(feed.record(0, &raw(stream, full, text.as_bytes(), 1)), Next::Any);
        }
        drop(sink);
        assert_eq!(out, ["ab", "c", "xy"]);
    }

    #[test]
    fn a_line_its_run_did_not_end_is_a_line() {
        let (mut lines, mut out) = (lines(), Vec::new());
        let mut sink = shown(&mut out);
        let mut feed = lines.feeding(&mut sink);
        feed.record(0, &raw(Stream::Stdout, false, b"dies", 1));
        feed.record(0, &raw(Stream::Stdout, true, b"next", 2));
        feed.record(0, &raw(Stream::Stdout, false, b"prompt", 2));
        assert!(lines.show_open(&mut sink).is_continue());
        assert!(lines.show_open(&mut sink).is_continue());
        lines.feeding(&mut sink).record(0, &raw(Stream::Stdout, true, b" answer", 2));
        lines.feeding(&mut sink).record(0, &raw(Stream::Stderr, false, b"end", 2));
        assert!(lines.finish(&mut sink).is_continue());
        drop(sink);
        assert_eq!(out, ["dies!", "next", "prompt…", "… answer", "end!"]);
    }

    #[test]
    fn long_lines_go_on_in_parts() {
        let (mut lines, mut out) = (lines(), Vec::new());
        let mut sink = shown(&mut out);
        let mut feed = lines.feeding(&mut sink);
        let piece = vec![b'x'; 16 * 1024];
        for n in 1..=66 {
            let next = feed.record(0, &raw(Stream::Stdout, false, &piece, 1));
            assert_eq!(next, if n < 64 { Next::Any } else { Next::Same });
        }
        assert_eq!(feed.record(0, &raw(Stream::Stdout, true, b"end", 1)), Next::Any);
        drop(sink);
        assert_eq!(out, ["<1048576>…", "…<16384>…", "…<16384>…", "…end"]);
    }
}
