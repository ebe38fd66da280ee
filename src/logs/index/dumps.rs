//! What Go's runtime said when programs ended badly, found by what is known of lines anyway: a block in which no line is of the worst level is passed
//! over at once, so that ordinary lines cost nothing. And the newest words of one source, whatever is shown of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Index;
use super::block::Block;
use super::store::{At, Log, Store};
use super::text::Files;
use crate::logs::sources::{Channel, Folder};
use crate::logs::trace::{goroutine, is_dump};
use crate::task::id::ServiceName;

/// The code of the worst level.
const FATAL: u8 = 6;
/// Of more in one source at a time only the newest are read; the others are counted.
const MOST: usize = 32;
/// So many lines of one are read.
const LINES: usize = 256;
/// So much of each line.
const WIDTH: usize = 2048;
/// So far the line is looked for that a stack goes on from.
const REACH: usize = 64;
/// A message has so many lines more at most.
const ASTRAY: usize = 8;

/// How far every source was looked through, for [`Index::dumps`].
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// By number: the place of the first line that was looked at, and the place behind the last.
    sources: Vec<Option<[(u32, u64); 2]>>,
}

/// A panic or its like: the line that begins it, and what goes on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Whose.
    pub service: ServiceName,
    /// The number of the instance.
    pub instance: u32,
    /// The run that ended with it, or did not.
    pub run: u64,
    /// When it began, in microseconds since 1970.
    pub time: i64,
    /// Its lines as they were written, each up to some length.
    pub lines: Vec<Vec<u8>>,
    /// So many more of this source that were not read.
    pub n_passed_over: u64,
}

/// Where one is to be read.
struct Found {
    service: ServiceName,
    instance: u32,
    time: i64,
    n_passed_over: u64,
    place: Words,
}

/// Lines of one source, and the files they are read from.
struct Words {
    files: Files,
    lines: Vec<(Arc<Block>, usize)>,
}

impl Words {
    fn read(&self) -> Vec<Vec<u8>> {
        let read = |(block, line): &(Arc<Block>, usize)| self.files.row(block, *line, WIDTH).ok();
        self.lines.iter().filter_map(read).map(|text| text.bytes).collect()
    }
}

impl Index {
    /// Panics of instances that began since `since` (microseconds since 1970) and were not looked at before. What is younger than `until` is left for
    /// the next look: its last lines may be still to come.
    pub fn dumps(&self, looked: &mut Looked, since: i64, until: i64) -> Vec<Dump> {
        let found = self.shared.store().dumps(looked, since, until);
        // The files are read without holding anybody up.
        let read = |found: Found| {
            let lines = found.place.read();
            let run = found.place.lines.first().map_or(0, |(block, line)| block.run(*line));
            let (service, instance, time) = (found.service, found.instance, found.time);
            Dump { service, instance, run, time, lines, n_passed_over: found.n_passed_over }
        };
        found.into_iter().map(read).filter(|dump| dump.lines.first().is_some_and(|line| is_word(line))).collect()
    }

    /// The last lines, `most` at most, of the newest run of one folder of a service: of its builds, of an instance. Orchestra's own words are left out.
    pub fn last_words(&self, service: &ServiceName, folder: Folder, most: usize) -> Vec<Vec<u8>> {
        let words = self.shared.store().last_words(service, folder, most);
        words.map_or_else(Vec::new, |words| words.read())
    }
}

/// Whether a line may begin what is looked for.
fn is_word(line: &[u8]) -> bool {
    is_dump(line) || memchr::memmem::find(line, b"http: panic serving ").is_some()
}

impl Store {
    fn dumps(&self, looked: &mut Looked, since: i64, until: i64) -> Vec<Found> {
        looked.sources.resize(self.logs.len(), None);
        let mut out = Vec::new();
        for (log, span) in self.logs.iter().zip(&mut looked.sources) {
            let Folder::Instance(instance) = log.source.folder else { continue };
            let heads = log.heads(span, since, until);
            let n_passed_over = heads.len().saturating_sub(MOST);
            for (n, at) in heads.into_iter().skip(n_passed_over).enumerate() {
                out.push(Found {
                    service: log.source.service.clone(),
                    instance,
                    time: log.key(at),
                    n_passed_over: if n == 0 { n_passed_over as u64 } else { 0 },
                    place: log.words_from(at),
                });
            }
        }
        out
    }

    fn last_words(&self, service: &ServiceName, folder: Folder, most: usize) -> Option<Words> {
        let log = self.logs.iter().find(|log| log.source.service == *service && log.source.folder == folder)?;
        let run = log.slots.back()?.block.end.run;
        let mut lines = Vec::new();
        'all: for slot in log.slots.iter().rev() {
            for line in (0..slot.block.n_lines()).rev() {
                if slot.block.run(line) != run || lines.len() >= most {
                    break 'all;
                }
                if log.channel(slot.block.flags(line).stream()) != Channel::Orchestra {
                    lines.push((Arc::clone(&slot.block), line));
                }
            }
        }
        lines.reverse();
        Some(Words { files: log.files.clone(), lines })
    }
}

impl Log {
    /// The lines that begin a dump among those not looked at yet, in order.
    fn heads(&self, span: &mut Option<[(u32, u64); 2]>, since: i64, until: i64) -> BTreeSet<At> {
        let [first, next] =
            span.map_or([At::FIRST, At::FIRST], |places| places.map(|(seq, at)| self.at_offset(seq, at)));
        let mut heads = BTreeSet::new();
        let (Some(oldest), Some(newest)) = (self.slots.front(), self.slots.back()) else { return heads };
        let mut end = (newest.block.segment.seq, newest.block.offset + newest.block.len);
        if span.is_some() {
            self.heads_between(At::FIRST, first, since, i64::MAX, &mut heads);
        }
        if let Some(young) = self.heads_between(next, self.end(), since, until, &mut heads) {
            let block = &self.slots[young.block].block;
            end = (block.segment.seq, block.offset + u64::from(block.at[young.line]));
        }
        *span = Some([(oldest.block.segment.seq, oldest.block.offset), end]);
        heads
    }

    /// Stops at the first that is younger than `until`, and says where.
    fn heads_between(&self, from: At, to: At, since: i64, until: i64, heads: &mut BTreeSet<At>) -> Option<At> {
        for at in from.block..self.slots.len().min(to.block + 1) {
            let block = &self.slots[at].block;
            if block.n_stated[usize::from(FATAL)] == 0 || block.last_key() < since {
                continue;
            }
            let begin = if at == from.block { from.line } else { 0 };
            let end = if at == to.block { to.line } else { block.n_lines() };
            for line in begin..end {
                let flags = block.flags(line);
                if !flags.stated() || block.level(line) != FATAL || block.key(line) < since {
                    continue;
                }
                let Some(head) = self.head(At { block: at, line }) else { continue };
                if self.key(head) > until {
                    return Some(head);
                }
                heads.insert(head);
            }
        }
        None
    }

    /// The line that this one goes on from: itself, or one before it in its stream.
    fn head(&self, from: At) -> Option<At> {
        let stream = self.slots[from.block].block.flags(from.line).stream();
        let mut left = REACH;
        for at in (0..=from.block).rev() {
            let block = &self.slots[at].block;
            let end = if at == from.block { from.line + 1 } else { block.n_lines() };
            for line in (0..end).rev().filter(|line| block.flags(*line).stream() == stream) {
                if !block.flags(line).continues() {
                    return Some(At { block: at, line });
                }
                left = left.checked_sub(1)?;
            }
        }
        None
    }

    /// A line and those that go on from it. A message of several lines may stand between it and its stack.
    fn words_from(&self, head: At) -> Words {
        let stream = self.slots[head.block].block.flags(head.line).stream();
        let run = self.slots[head.block].block.run(head.line);
        let mut lines: Vec<(Arc<Block>, usize)> = Vec::new();
        let (mut goes_on, mut n_astray) = (false, 0);
        'all: for at in head.block..self.slots.len() {
            let block = &self.slots[at].block;
            let begin = if at == head.block { head.line } else { 0 };
            for line in (begin..block.n_lines()).filter(|line| block.flags(*line).stream() == stream) {
                let flags = block.flags(line);
                if !lines.is_empty() {
                    goes_on |= flags.continues();
                    let is_other = !flags.continues() && (goes_on || flags.stated() || n_astray == ASTRAY);
                    if is_other || lines.len() >= LINES || block.run(line) != run {
                        break 'all;
                    }
                    n_astray += usize::from(!goes_on);
                }
                lines.push((Arc::clone(block), line));
            }
        }
        let mut words = Words { files: self.files.clone(), lines };
        if n_astray > 0 && !words.is_stack(1 + n_astray) {
            words.lines.truncate(1);
        }
        words
    }
}

impl Words {
    /// Whether the stack of a goroutine begins with this line.
    fn is_stack(&self, at: usize) -> bool {
        let read = self.lines.get(at).and_then(|(block, line)| self.files.row(block, *line, WIDTH).ok());
        read.is_some_and(|text| goroutine(&text.bytes).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::index::feed::Sizes;
    use crate::logs::index::tests::{SMALL, open};
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder as Segments;

    const PANIC: [&str; 6] = [
        "panic: assignment to entry in nil map",
        "",
        "goroutine 1 [running]:",
        "main.main()",
        "\t/x/main.go:7 +0xf4",
        "exit status 2",
    ];

    fn texts(dump: &Dump) -> Vec<&str> {
        dump.lines.iter().map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn panics_are_found_once_among_ordinary_lines_and_with_all_they_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut api = Segments::at(dir.path(), "api/1");
        api.mark(10, 1, 10);
        let mut n_lines = 0;
        for round in 0..3 {
            for n in 0..40 {
                api.line(100 + round, Stream::Stdout, &format!("level=info msg=line n={n}"));
                n_lines += 1;
            }
            PANIC.iter().for_each(|line| {
                api.line(200 + round, Stream::Stderr, line);
            });
            n_lines += PANIC.len();
        }
        Segments::at(dir.path(), "api/test").mark(1, 1, 1).line(200, Stream::Stdout, "panic: of a test");
        n_lines += 1;
        for sizes in [SMALL, Sizes::default()] {
            let opened = open(dir.path(), sizes);
            opened.settle(n_lines);
            let mut looked = Looked::default();
            let found = opened.index.dumps(&mut looked, 0, i64::MAX);
            assert_eq!(found.len(), 3, "{found:?}");
            assert!(found.iter().all(|dump| texts(dump) == PANIC && dump.instance == 1 && dump.run == 1));
            assert_eq!(opened.index.dumps(&mut looked, 0, i64::MAX), []);
            // Another is found alone, and only what is not too young.
            assert_eq!(opened.index.dumps(&mut Looked::default(), 201, i64::MAX).len(), 2);
        }
        let opened = open(dir.path(), Sizes::default());
        opened.settle(n_lines);
        let mut looked = Looked::default();
        assert_eq!(opened.index.dumps(&mut looked, 0, 200).len(), 1);
        PANIC.iter().for_each(|line| {
            api.line(300, Stream::Stderr, line);
        });
        opened.settle(n_lines + PANIC.len());
        let found = opened.index.dumps(&mut looked, 0, 300);
        assert_eq!(found.iter().map(|dump| dump.time).collect::<Vec<_>>(), [201, 202, 300]);
    }

    #[test]
    fn what_was_read_back_later_is_looked_at_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut api = Segments::at(dir.path(), "api/1");
        api.mark(1, 1, 1);
        let mut n = 0;
        for round in 0..30 {
            PANIC.iter().for_each(|line| {
                api.line(10 + round, Stream::Stderr, line);
            });
            (0..20).for_each(|_| {
                api.line(10 + round, Stream::Stdout, "some words of every day");
            });
            n += PANIC.len() + 20;
        }
        let opened = open(dir.path(), SMALL);
        let looked = std::cell::RefCell::new(Looked::default());
        let found = std::cell::Cell::new(0);
        opened.until("all panics", |index| {
            let more = index.dumps(&mut looked.borrow_mut(), 0, i64::MAX);
            found.set(found.get() + more.iter().map(|dump| 1 + dump.n_passed_over).sum::<u64>());
            found.get() >= 30
        });
        opened.settle(n);
        assert_eq!(opened.index.dumps(&mut looked.borrow_mut(), 0, i64::MAX), []);
        assert_eq!(found.get(), 30);
    }

    #[test]
    fn a_message_of_several_lines_has_its_stack_and_others_words_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut api = Segments::at(dir.path(), "api/1");
        api.mark(1, 1, 1);
        let said = [
            "panic: first",
            "second",
            "",
            "goroutine 1 [running]:",
            "main.main()",
            "\t/x/main.go:7 +0xf4",
            "serving again",
            "2026/01/02 03:04:05 http: panic serving 127.0.0.1:5: boom",
            "goroutine 7 [running]:",
            "net/http.(*conn).serve.func1()",
            "\t/go/src/net/http/server.go:1 +0x1",
            "level=fatal msg=\"cannot listen\"",
        ];
        said.iter().for_each(|line| {
            api.line(5, Stream::Stderr, line);
        });
        let opened = open(dir.path(), Sizes::default());
        opened.settle(said.len());
        let found = opened.index.dumps(&mut Looked::default(), 0, i64::MAX);
        let texts: Vec<Vec<&str>> = found.iter().map(texts).collect();
        assert!(texts.contains(&said[..6].to_vec()), "{texts:?}");
        assert!(texts.contains(&said[7..11].to_vec()), "{texts:?}");
        assert!(!texts.iter().any(|lines| lines[0].contains("cannot listen")), "{texts:?}");
    }

    #[test]
    fn the_newest_run_has_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let mut build = Segments::at(dir.path(), "api/build");
        build.mark(1, 1, 1).line(1, Stream::Stderr, "old").mark(2, 2, 2);
        build.line(3, Stream::Stderr, "# x").line(3, Stream::Stderr, "./a.go:1:2: no").line(
            3,
            Stream::Orchestra,
            "own",
        );
        let opened = open(dir.path(), Sizes::default());
        opened.settle(4);
        let api = ServiceName::fold("api").unwrap();
        let words = |most| opened.index.last_words(&api, Folder::Build, most);
        assert_eq!(words(9), [b"# x".to_vec(), b"./a.go:1:2: no".to_vec()]);
        assert_eq!(words(1), [b"./a.go:1:2: no".to_vec()]);
        build.mark(4, 3, 4);
        opened.until("a run without words", |index| index.last_words(&api, Folder::Build, 9).is_empty());
        assert!(opened.index.last_words(&api, Folder::Instance(1), 9).is_empty());
    }
}
