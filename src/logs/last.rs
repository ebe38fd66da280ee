//! Where the last N wanted lines of one folder begin, found backwards so that a short look at a long log reads little.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::ControlFlow;

use super::filter::Filter;
use super::lines::{Line, Lines};
use super::merge::Records;
use super::reader::{Raw, Start};
use super::record::{self, HEADER, STAMP, Stream};
use super::segments;
use super::sources::Source;
use super::stamp;
use crate::error::{Context, PathError};

const FIRST_BLOCK: u64 = 32 * 1024;
const LARGEST_BLOCK: u64 = 4 * 1024 * 1024;

/// A place from which on there are at least `n` wanted lines, or the beginning of all there is.
pub fn start_of_last(source: &Source, n: usize, filter: &Filter) -> Result<Start, PathError> {
    let dir = &source.dir;
    let numbers = segments::list(dir)?;
    // Lines whose level only an earlier line knows are not counted: too few counted is one more block, too many would lose lines.
    let filter = Filter { known_level_only: true, ..filter.clone() };
    let mut search = Search { source, filter, n_missing: n, block: Vec::new(), size: FIRST_BLOCK };
    let mut found = Start { segment: numbers.first().copied().unwrap_or(0), ..Start::default() };
    for number in numbers.iter().rev() {
        let Some(mut file) = segments::open(dir, *number)? else { break };
        let path = dir.join(record::segment_name(*number));
        if let Some(offset) = search.segment(&mut file).context("read", &path)? {
            let mark = segments::mark_before(&mut file, offset).context("read", &path)?;
            let (run, mark) = (mark.map_or(0, |mark| mark.run), mark.and_then(|mark| mark.clocks));
            found = Start { segment: *number, offset, run, mark, marks: mark.into_iter().collect() };
            for later in numbers.iter().filter(|later| *later > number) {
                found.marks.extend(segments::head(dir, *later)?.and_then(|head| head.mark?.clocks));
            }
            found.marks.extend(segments::newest_mark(dir, &numbers)?.and_then(|mark| mark.clocks));
            break;
        }
    }
    Ok(found)
}

struct Search<'a> {
    source: &'a Source,
    filter: Filter,
    n_missing: usize,
    block: Vec<u8>,
    size: u64,
}

impl Search<'_> {
    /// Goes backwards through one segment; the place where enough is found.
    fn segment(&mut self, file: &mut File) -> std::io::Result<Option<u64>> {
        let mut to = file.metadata()?.len();
        while to > 0 {
            if self.n_missing == 0 {
                return Ok(Some(to));
            }
            let mut from = to.saturating_sub(self.size);
            self.size = (self.size * 4).min(LARGEST_BLOCK);
            self.block.resize((to - from) as usize, 0);
            file.seek(SeekFrom::Start(from))?;
            let len = segments::read_full(file, &mut self.block)?;
            self.block.truncate(len);
            let mut skip = 0;
            if from > 0 {
                // The line that was cut belongs to the block before.
                let Some(end) = memchr::memchr(b'\n', &self.block) else {
                    self.size = self.size.max((to - from) * 2);
                    if to - from >= 2 * LARGEST_BLOCK {
                        to = from;
                    }
                    continue;
                };
                skip = end + 1;
                from += skip as u64;
            }
            let (n, too_old) = self.count(skip);
            self.n_missing = self.n_missing.saturating_sub(n);
            if self.n_missing == 0 || too_old {
                return Ok(Some(from));
            }
            if from == to {
                // One line fills the block.
                self.size = self.size.max(LARGEST_BLOCK / 2);
                from = to.saturating_sub(self.size);
            }
            to = from;
        }
        Ok(if self.n_missing == 0 { Some(0) } else { None })
    }

    /// How many wanted lines end in the block for certain, and whether it reaches back beyond `since`.
    fn count(&self, skip: usize) -> (usize, bool) {
        let mut lines = Lines::new(vec![self.source.clone()], self.filter.clone());
        let mut n = 0;
        let mut sink = |line: &Line<'_>| {
            n += usize::from(line.last);
            ControlFlow::Continue(())
        };
        let mut too_old = false;
        // The first end of a line in each stream may belong to pieces before this block.
        let mut certain = [false; 3];
        let block = &self.block[skip..];
        let end = memchr::memrchr(b'\n', block).map_or(0, |end| end + 1);
        for line in block[..end].split(|byte| *byte == b'\n') {
            let (Some(found), Some(stamp)) = (record::parse(line), line.first_chunk::<STAMP>()) else { continue };
            let Some(time) = stamp::micros(stamp) else { continue };
            too_old |= self.filter.since.is_some_and(|since| time < since);
            let certain = match found.stream {
                Stream::Stdout => &mut certain[0],
                Stream::Stderr => &mut certain[1],
                Stream::Orchestra => &mut certain[2],
                Stream::Mark => continue,
            };
            if !*certain {
                *certain = found.full;
                continue;
            }
            let payload = &line[HEADER..];
            let Some(stamp) = found.stamp.first_chunk::<STAMP>() else { continue };
            let (stream, full) = (found.stream, found.full);
            let raw = Raw { key: time, time, stamp, stream, full, payload, run: 0, plain: false };
            lines.feeding(&mut sink).record(0, &raw);
        }
        (n, too_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::reader::Reader;
    use crate::logs::sources::Folder as Kind;
    use crate::logs::testing::Folder;
    use crate::task::id::ServiceName;

    fn source(folder: &Folder) -> Source {
        let service = ServiceName::fold("api").unwrap();
        Source { service, folder: Kind::Instance(1), dir: folder.dir().to_owned() }
    }

    fn count(folder: &Folder, start: Start) -> (usize, u64) {
        let mut reader = Reader::new(folder.dir(), start, None, 0);
        let (mut n, mut run) = (0, 0);
        while reader.advance().unwrap() {
            n += 1;
            run = reader.raw().unwrap().run;
        }
        assert_eq!(reader.n_skipped, 0);
        (n, run)
    }

    #[test]
    fn reads_little_and_knows_the_run() {
        let mut folder = Folder::new();
        for segment in 0..3 {
            let mut bytes = Vec::new();
            for n in 0..5000 {
                let at = segment * 10_000 + n;
                let stream = if n == 0 { Stream::Mark } else { Stream::Stdout };
                bytes.extend(record::header(&stamp::text(at), stream, true));
                bytes.extend(
                    if n == 0 { format!("run={} mono=1\n", segment + 7) } else { format!("line {at}\n") }.bytes(),
                );
            }
            folder.bytes(&bytes).rotate();
        }
        for n in [1, 10, 1000, 4000, 6000, 12_000, 20_000] {
            let start = start_of_last(&source(&folder), n, &Filter::default()).unwrap();
            let (found, run) = count(&folder, start);
            assert!(found >= n.min(3 * 4999), "{n}: {found}");
            assert_eq!(run, 9);
            assert!(n > 1000 || found < 4500, "{n}: {found}");
        }
    }

    #[test]
    fn only_wanted_lines_count() {
        let mut folder = Folder::new();
        folder.mark(0, 3, 0);
        for n in 0..20_000 {
            folder_line(&mut folder, n);
        }
        let grep = vec![regex::bytes::Regex::new("rare").unwrap()];
        let filter = Filter { grep, ..Filter::default() };
        let start = start_of_last(&source(&folder), 2, &filter).unwrap();
        let mut reader = Reader::new(folder.dir(), start, None, 0);
        let mut n = 0;
        while reader.advance().unwrap() {
            let raw = reader.raw().unwrap();
            n += usize::from(raw.payload.starts_with(b"rare"));
            assert_eq!(raw.run, 3);
        }
        assert!(n >= 2, "{n}");
    }

    fn folder_line(folder: &mut Folder, n: i64) {
        if n % 500 == 0 {
            let texts = (0..500).map(|m| {
                let text = if n % 5000 == 0 && m == 7 { "rare" } else { "usual" };
                let mut line = record::header(&stamp::text(n + m), Stream::Stdout, true).to_vec();
                line.extend_from_slice(format!("{text} {n}\n").as_bytes());
                line
            });
            folder.bytes(&texts.collect::<Vec<_>>().concat());
        }
    }

    #[test]
    fn an_empty_folder_has_no_lines() {
        let folder = Folder::new();
        let start = start_of_last(&source(&folder), 5, &Filter::default()).unwrap();
        assert_eq!(count(&folder, start).0, 0);
    }
}
