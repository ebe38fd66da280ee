//! A probe that waits for a line of output: reads the run's records on from where it last stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use regex::bytes::Regex;

use super::ask::Answer;
use crate::logs::record::{self, Stream};
use crate::task::id::RunId;

/// Read at once; then other tasks get their turn.
const CHUNK: usize = 1 << 18;
/// Of a longer line only this much is matched.
const LONGEST: usize = 1 << 20;

/// Follows the log of one instance.
pub(in crate::worker) struct LogWatch {
    dir: PathBuf,
    mark: Vec<u8>,
    pattern: Option<Regex>,
    place: Option<Place>,
    /// Whether the records being read are this run's.
    ours: bool,
    lines: [Vec<u8>; 2],
}

/// Where reading goes on.
struct Place {
    segment: u64,
    file: File,
    offset: u64,
}

impl LogWatch {
    pub(in crate::worker) fn new(dir: PathBuf, run: RunId) -> LogWatch {
        LogWatch {
            dir,
            mark: format!("run={run}").into_bytes(),
            pattern: None,
            place: None,
            ours: false,
            lines: [Vec::new(), Vec::new()],
        }
    }

    /// Whether a line that came since the last time, or since the run began, matches.
    pub(in crate::worker) async fn ask(&mut self, pattern: &str) -> Answer {
        if self.pattern.is_none() {
            match Regex::new(pattern) {
                Ok(regex) => self.pattern = Some(regex),
                Err(e) => return Answer::No(format!("`{pattern}` is no regular expression: {e}")),
            }
        }
        loop {
            match self.advance() {
                Ok(Step::Matched) => return Answer::Yes,
                Ok(Step::More) => tokio::task::yield_now().await,
                Ok(Step::End) => return Answer::No(format!("no line of its output matches `{pattern}` yet")),
                Err(e) => return Answer::No(format!("its log in `{}` cannot be read: {e}", self.dir.display())),
            }
        }
    }

    fn advance(&mut self) -> io::Result<Step> {
        if self.place.is_none() {
            self.place = self.begin()?;
        }
        let Some(place) = &mut self.place else { return Ok(Step::End) };
        // Asked before reading: a segment that has a successor never grows, so its end is final.
        let next = place.segment + 1;
        let closed = self.dir.join(record::segment_name(next)).exists();
        let mut buffer = vec![0; CHUNK];
        let n = place.file.read_at(&mut buffer, place.offset)?;
        let whole = memchr::memrchr(b'\n', &buffer[..n]).map_or(0, |i| i + 1);
        place.offset += whole as u64;
        if whole == 0 {
            if !closed {
                return Ok(Step::End);
            }
            self.place = self.open(next)?;
            return Ok(Step::More);
        }
        let matched = buffer[..whole].split(|b| *b == b'\n').any(|line| self.take(line));
        Ok(if matched { Step::Matched } else { Step::More })
    }

    /// The segment in which the run begins: the newest that does not start with the run's own mark, or the oldest there is.
    fn begin(&mut self) -> io::Result<Option<Place>> {
        let mut segments = BTreeMap::new();
        let entries = match fs::read_dir(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(record::segment_number) {
                segments.insert(number, entry.path());
            }
        }
        let mut first = segments.keys().next().copied();
        for (number, path) in segments.iter().rev() {
            let mut line = Vec::new();
            BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
            if !self.is_own_mark(line.strip_suffix(b"\n").unwrap_or(&line)).unwrap_or(false) {
                first = Some(*number);
                break;
            }
        }
        first.map_or(Ok(None), |number| self.open(number))
    }

    fn open(&self, segment: u64) -> io::Result<Option<Place>> {
        match File::open(self.dir.join(record::segment_name(segment))) {
            Ok(file) => Ok(Some(Place { segment, file, offset: 0 })),
            // Rotated away meanwhile: begin anew with what is left.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// `None` when it is no mark.
    fn is_own_mark(&self, line: &[u8]) -> Option<bool> {
        let record = record::parse(line).filter(|r| r.stream == Stream::Mark)?;
        Some(record.payload.split(|b| *b == b' ').any(|word| word == self.mark))
    }

    /// Takes one record; true when a line of the run matches. A piece is matched with what came before it, so that a prompt without a newline counts.
    fn take(&mut self, line: &[u8]) -> bool {
        if let Some(own) = self.is_own_mark(line) {
            if own != self.ours {
                self.lines.iter_mut().for_each(Vec::clear);
            }
            self.ours = own;
            return false;
        }
        let Some(record) = record::parse(line).filter(|_| self.ours) else { return false };
        let line = match record.stream {
            Stream::Stdout => &mut self.lines[0],
            Stream::Stderr => &mut self.lines[1],
            Stream::Orchestra | Stream::Mark => return false,
        };
        let room = LONGEST.saturating_sub(line.len()).min(record.payload.len());
        line.extend_from_slice(&record.payload[..room]);
        let matched = self.pattern.as_ref().is_some_and(|p| p.is_match(line));
        if record.full {
            line.clear();
        }
        matched
    }
}

enum Step {
    Matched,
    More,
    End,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn add(file: &mut File, stream: Stream, full: bool, payload: &str) {
        file.write_all(&record::header(b"2026-01-02T03:04:05.678901Z", stream, full)).unwrap();
        file.write_all(payload.as_bytes()).unwrap();
        file.write_all(b"\n").unwrap();
    }

    #[tokio::test]
    async fn only_lines_of_this_run_over_pieces_and_segments() {
        let dir = tempfile::tempdir().unwrap();
        let segment = |n| File::create(dir.path().join(record::segment_name(n))).unwrap();
        let mut watch = LogWatch::new(dir.path().to_owned(), RunId(17));
        assert!(matches!(watch.ask("ready").await, Answer::No(_)), "no log yet");
        let mut one = segment(1);
        add(&mut one, Stream::Mark, true, "run=1 mono=5");
        add(&mut one, Stream::Stdout, true, "ready");
        add(&mut one, Stream::Mark, true, "run=17 mono=5");
        add(&mut one, Stream::Orchestra, true, "ready");
        add(&mut one, Stream::Stdout, true, "re");
        assert!(matches!(watch.ask("ready").await, Answer::No(_)));
        add(&mut one, Stream::Stdout, false, "now re");
        let mut two = segment(2);
        add(&mut two, Stream::Mark, true, "run=17 mono=6");
        add(&mut two, Stream::Stderr, true, "ady");
        assert!(matches!(watch.ask("ready").await, Answer::No(_)));
        two.write_all(b"2026-01-02T03:04:05.678901Z o F ady").unwrap();
        assert!(matches!(watch.ask("ready").await, Answer::No(_)), "torn");
        two.write_all(b"!\n").unwrap();
        assert_eq!(watch.ask("ready").await, Answer::Yes);
        let mut adopted = LogWatch::new(dir.path().to_owned(), RunId(17));
        assert_eq!(adopted.ask("^now ready!$").await, Answer::Yes, "from the beginning of the run");
        assert!(matches!(LogWatch::new(dir.path().to_owned(), RunId(2)).ask("ready").await, Answer::No(_)));
        assert!(
            matches!(adopted_bad(dir.path().to_owned()).await, Answer::No(text) if text.contains("no regular expression"))
        );
    }

    async fn adopted_bad(dir: PathBuf) -> Answer {
        LogWatch::new(dir, RunId(1)).ask("(").await
    }
}
