//! Splits what a service wrote into text and what commands a terminal. The one place that knows where a sequence ends; `clean` and `ansi` build on it.

/// A longer sequence was never ended: what it holds is text again, so that nothing is hidden.
pub const LONGEST: usize = 4096;
/// No honest colour is longer.
const LONGEST_SGR: usize = 64;

/// What stands next in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Printable ASCII.
    Ascii(&'a str),
    /// A character beyond ASCII that may be shown.
    Wide(char),
    /// A tab.
    Tab,
    /// A carriage return.
    Return,
    /// Another character that would have gone to another place: newline, vertical tab, form feed.
    Break,
    /// Bytes that are no UTF-8.
    Invalid,
    /// A colour or another look: the parameters between `ESC [` and `m`, digits, `;` and `:`.
    Sgr(&'a [u8]),
    /// Nothing that may be shown: a control character, a command to the terminal, a character that turns the direction of text.
    Hidden,
}

/// The pieces of a line, in order; together they are the whole line.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the next end of a command is, as far as it was looked for: so a line full of beginnings is searched once.
    next_end: Option<End>,
}

/// What the last search for the end of a command found.
#[derive(Clone, Copy, Debug)]
struct End {
    searched_from: usize,
    /// The first byte of the end, and the one behind it.
    found: Option<(usize, usize)>,
}

impl<'a> Pieces<'a> {
    /// Begins with a line.
    pub fn new(bytes: &'a [u8]) -> Pieces<'a> {
        Pieces { bytes, at: 0, next_end: None }
    }

    fn ascii(&self) -> (usize, Piece<'a>) {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take_while(|byte| matches!(byte, b' '..=b'~')).count();
        (len, std::str::from_utf8(&rest[..len]).map_or(Piece::Invalid, Piece::Ascii))
    }

    fn escape(&mut self) -> (usize, Piece<'a>) {
        let rest = &self.bytes[self.at..];
        match rest.get(1) {
            Some(b'[') => {
                let (len, sgr) = control_sequence(&rest[2..]);
                (2 + len, sgr.map_or(Piece::Hidden, Piece::Sgr))
            }
            Some(b']' | b'P' | b'X' | b'^' | b'_') => (2 + self.command(self.at + 2), Piece::Hidden),
            Some(0x20..=0x2f) => {
                let len = rest[1..].iter().take(LONGEST).take_while(|b| matches!(b, 0x20..=0x2f)).count();
                let last = usize::from(matches!(rest.get(1 + len), Some(0x30..=0x7e)));
                (1 + len + last, Piece::Hidden)
            }
            Some(0x30..=0x7e) => (2, Piece::Hidden),
            _ => (1, Piece::Hidden),
        }
    }

    /// The length of the content of a command that begins at `from`, with its end; 0 without one: then its text is shown as text.
    fn command(&mut self, from: usize) -> usize {
        match self.end_behind(from) {
            Some(end) if end - from <= LONGEST => end - from,
            _ => 0,
        }
    }

    fn end_behind(&mut self, from: usize) -> Option<usize> {
        if let Some(End { searched_from, found }) = self.next_end
            && searched_from <= from
            && found.is_none_or(|(start, _)| start >= from)
        {
            return found.map(|(_, end)| end);
        }
        let bytes = self.bytes;
        let found =
            memchr::memchr3_iter(0x07, 0x1b, 0x9c, &bytes[from..]).map(|at| from + at).find_map(|at| match bytes[at] {
                0x07 => Some((at, at + 1)),
                0x1b => (bytes.get(at + 1) == Some(&b'\\')).then_some((at, at + 2)),
                _ => (at > from && bytes[at - 1] == 0xc2).then(|| (at - 1, at + 1)),
            });
        self.next_end = Some(End { searched_from: from, found });
        found.map(|(_, end)| end)
    }

    /// One character beyond ASCII, or one stretch of what is none.
    fn wide(&mut self) -> (usize, Piece<'a>) {
        let rest = &self.bytes[self.at..];
        let Some(chunk) = rest[..rest.len().min(4)].utf8_chunks().next() else { return (1, Piece::Invalid) };
        let Some(char) = chunk.valid().chars().next() else { return (chunk.invalid().len().max(1), Piece::Invalid) };
        let len = char.len_utf8();
        match char {
            '\u{9b}' => (len + control_sequence(&rest[len..]).0, Piece::Hidden),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => (len + self.command(self.at + len), Piece::Hidden),
            _ if is_hidden(char) => (len, Piece::Hidden),
            _ => (len, Piece::Wide(char)),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (len, piece) = match self.bytes.get(self.at)? {
            b' '..=b'~' => self.ascii(),
            b'\t' => (1, Piece::Tab),
            b'\r' => (1, Piece::Return),
            b'\n' | 0x0b | 0x0c => (1, Piece::Break),
            0x1b => self.escape(),
            0..=0x1f | 0x7f => (1, Piece::Hidden),
            _ => self.wide(),
        };
        self.at += len;
        Some(piece)
    }
}

/// The length of what follows `ESC [`, and its parameters where it is a colour.
fn control_sequence(bytes: &[u8]) -> (usize, Option<&[u8]>) {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let parameters = bytes.iter().take_while(|b| matches!(b, 0x30..=0x3f)).count();
    let between = bytes[parameters..].iter().take_while(|b| matches!(b, 0x20..=0x2f)).count();
    let len = parameters + between;
    match bytes.get(len) {
        Some(b'm') if between == 0 => {
            let inner = &bytes[..parameters];
            let is_sgr = len < LONGEST_SGR && inner.iter().all(|b| matches!(b, b'0'..=b'9' | b';' | b':'));
            (len + 1, is_sgr.then_some(inner))
        }
        Some(0x40..=0x7e) => (len + 1, None),
        _ => (len, None),
    }
}

/// C1 controls, line separators and what turns the direction of text.
pub fn is_hidden(char: char) -> bool {
    matches!(char, '\u{80}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = String::new();
        for piece in Pieces::new(bytes) {
            match piece {
                Piece::Ascii(text) => out.push_str(text),
                Piece::Wide(char) => out.push(char),
                Piece::Tab => out.push('\t'),
                Piece::Return | Piece::Break => out.push(' '),
                Piece::Invalid => out.push('\u{fffd}'),
                Piece::Sgr(_) | Piece::Hidden => {}
            }
        }
        out
    }

    #[test]
    fn a_command_longer_than_the_limit_is_text() {
        let command = |n: usize| format!("a\x1b]0;{}\x07b", "x".repeat(n)).into_bytes();
        assert_eq!(text(&command(LONGEST - 3)), "ab");
        assert_eq!(text(&command(LONGEST - 2)), format!("a0;{}b", "x".repeat(LONGEST - 2)));
        let digits = [b"\x1b[".as_slice(), &[b'1'; LONGEST + 3]].concat();
        assert_eq!(text(&digits), "111");
    }

    #[test]
    fn beginnings_without_an_end_are_searched_once() {
        let pieces = |bytes: &[u8]| {
            let mut pieces = Pieces::new(bytes);
            let mut searches = 0;
            let mut last = None;
            while pieces.next().is_some() {
                let from = pieces.next_end.map(|end| end.searched_from);
                searches += usize::from(from != last);
                last = from;
            }
            searches
        };
        assert_eq!(pieces(&b"\x1b]".repeat(1000)), 1);
        assert_eq!(pieces(&[b"\x1b]".repeat(9000), b"\x07".to_vec()].concat()), 1);
    }

    proptest! {
        #[test]
        fn a_known_end_is_the_one_a_search_finds(bytes in prop::collection::vec(prop::sample::select(b"\x1b]P\\\x07\xc2\x9c\x9dx".to_vec()), 0..60)) {
            let mut pieces = Pieces::new(&bytes);
            for from in 0..=bytes.len() {
                let fresh = Pieces::new(&bytes).end_behind(from);
                prop_assert_eq!(pieces.end_behind(from), fresh);
            }
        }
    }
}
