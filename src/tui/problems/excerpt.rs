//! The lines around a place in a file, as text that can be drawn. Reads what it is given, and no more than is shown.

use std::io::{self, BufRead, Read};

use super::group::Place;
use crate::logs::ansi;
use crate::text;

/// Lines above and below the place.
const AROUND: u32 = 20;
/// Of a line so many bytes are kept.
const WIDTH: usize = 2048;
/// Of a file so many bytes are read to come to the place.
const DEPTH: u64 = 16 * 1024 * 1024;
/// A tab is as wide as Go's own tools suggest.
const TAB: &str = "    ";

/// What is shown beside the list of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The place in the file.
    Excerpt(&'a Excerpt),
    /// What a build printed.
    Output(&'a [String]),
    /// What is with the problem itself.
    Printed,
    /// Why there is nothing.
    Nothing(&'a str),
}

/// Lines of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The number of the first line.
    pub first: u32,
    /// Text without tabs and control characters.
    pub lines: Vec<String>,
    /// Which of them it is about; `None` where the file has no such line.
    pub at: Option<usize>,
    /// Columns of that line before the place, and how wide what it names is; `None` where the column is not known or far away.
    pub mark: Option<(usize, usize)>,
    /// When the file was changed last, in microseconds since 1970.
    pub modified: i64,
}

impl Excerpt {
    /// Reads the lines around a place. The error says what kept from it.
    pub fn read(place: &Place, file: impl Read, modified: i64) -> Result<Excerpt, String> {
        let mut reader = io::BufReader::new(file.take(DEPTH));
        let first = place.line.saturating_sub(AROUND).max(1);
        let mut out = Excerpt { first, modified, ..Excerpt::default() };
        let mut recent = std::collections::VecDeque::new();
        for number in 1..=place.line.saturating_add(AROUND) {
            let Some(line) = one_line(&mut reader).map_err(|error| error.to_string())? else { break };
            if line.contains(&0) {
                return Err("it is no text".to_owned());
            }
            if number == place.line {
                out.mark = mark(&line, place.column);
            }
            recent.push_back((number, line));
            if number < first {
                // The end of a file that is shorter than it was is shown.
                while recent.len() > AROUND as usize {
                    recent.pop_front();
                }
            } else {
                while recent.front().is_some_and(|(number, _)| *number < first) {
                    recent.pop_front();
                }
            }
        }
        out.first = recent.front().map_or(1, |(number, _)| *number);
        out.at = recent.iter().position(|(number, _)| *number == place.line);
        out.lines = recent.into_iter().map(|(_, line)| shown(&line)).collect();
        Ok(out)
    }
}

/// The next line, its beginning where it is very long; `None` at the end.
fn one_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let more = reader.fill_buf()?;
        if more.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = memchr::memchr(b'\n', more);
        let taken = &more[..end.unwrap_or(more.len())];
        line.extend_from_slice(&taken[..taken.len().min(WIDTH.saturating_sub(line.len()))]);
        let n = end.map_or(more.len(), |end| end + 1);
        reader.consume(n);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// Where the place is among the columns that are shown.
fn mark(line: &[u8], column: u32) -> Option<(usize, usize)> {
    let at = usize::try_from(column).ok()?.checked_sub(1)?;
    let (before, named) = line.split_at_checked(at)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let end = named.iter().position(|byte| !is_name(byte)).unwrap_or(named.len());
    let width = |bytes: &[u8]| text::width(&shown(bytes));
    Some((width(before), width(&named[..end]).max(1)))
}

fn shown(line: &[u8]) -> String {
    let mut text = Vec::with_capacity(line.len());
    for (n, part) in line.split(|byte| *byte == b'\t').enumerate() {
        if n > 0 {
            text.extend_from_slice(TAB.as_bytes());
        }
        text.extend_from_slice(part);
    }
    ansi::text(&ansi::spans(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], line: u32, column: u32) -> Result<Excerpt, String> {
        Excerpt::read(&Place { file: "a.go".into(), line, column }, text, 7)
    }

    #[test]
    fn the_place_is_marked_below_its_name() {
        let found = read(b"package main\n\tvar x = \x1b[31m1\n\tr\xc3\xa9po := newRepo(cfg)\n", 3, 11).unwrap();
        assert_eq!(found.lines, ["package main", "    var x = 1", "    répo := newRepo(cfg)"]);
        assert_eq!((found.first, found.at, found.mark, found.modified), (1, Some(2), Some((12, 7)), 7));
        assert_eq!(read(b"\tx\n", 1, 0).unwrap().mark, None);
        assert_eq!(read(b"\tx\n", 1, 9).unwrap().mark, None);
        assert_eq!(read(b"\tx)\n", 1, 3).unwrap().mark, Some((5, 1)));
    }

    #[test]
    fn a_part_of_a_long_file_and_the_end_of_one_that_got_shorter() {
        let text: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
        let found = read(text.as_bytes(), 500, 1).unwrap();
        assert_eq!((found.first, found.lines.len(), found.at), (480, 41, Some(20)));
        assert_eq!(found.lines[20], "line 500");
        let found = read(text.as_bytes(), 5000, 1).unwrap();
        assert_eq!((found.at, found.mark, found.lines.last().map(String::as_str)), (None, None, Some("line 1000")));
        assert_eq!(read(b"", 3, 1).unwrap().lines, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_text_and_what_is_very_long_stays_small() {
        assert_eq!(read(b"a\nb\0c\n", 2, 1), Err("it is no text".to_owned()));
        let mut text = vec![b'x'; 1_000_000];
        text.extend_from_slice(b"\nnext");
        let found = read(&text, 2, 1).unwrap();
        assert_eq!((found.lines[0].len(), found.lines[1].as_str()), (WIDTH, "next"));
        assert_eq!(read(&text, 1, 900_000).unwrap().mark, None);
    }
}
