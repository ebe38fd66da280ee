//! A line as a service wrote it → text with looks, for whoever draws cells. Nothing here knows a terminal or a theme.
//!
//! Colours and other looks (SGR) are kept; every other sequence is taken away as `escape` says, a tab becomes blanks up to the next eighth column,
//! of a line that was overwritten with `\r` the last version stays, and what is no UTF-8 becomes U+FFFD. A look ends with its line.

mod flow;
mod sgr;
mod style;

pub use flow::{cut, width, wrap};
pub use style::{Color, Effect, Effects, Style};

use super::escape::{Piece, Pieces};

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// Text of one look. Holds no control character and no tab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span<S> {
    /// What is shown; never empty.
    pub text: String,
    /// How: a [`Style`] here, elsewhere what the text means.
    pub style: S,
}

/// Reads one line, without its newline. The text is at most eight times as long as `line`.
pub fn spans(line: &[u8]) -> Vec<Span<Style>> {
    let mut out = Builder::default();
    for piece in Pieces::new(line) {
        match piece {
            Piece::Ascii(text) => out.push(text),
            Piece::Wide(char) => out.push(char.encode_utf8(&mut [0; 4])),
            Piece::Tab => out.tab(),
            Piece::Return => out.overwritten = true,
            // What a terminal would have moved to another place stays apart.
            Piece::Break => out.push(" "),
            Piece::Invalid => out.push("\u{fffd}"),
            Piece::Sgr(look) => sgr::apply(look, &mut out.style),
            Piece::Hidden => {}
        }
    }
    out.spans
}

/// The text of spans, one after the other.
pub fn text<S>(spans: &[Span<S>]) -> String {
    spans.iter().map(|span| span.text.as_str()).collect()
}

/// Spans as they grow.
#[derive(Debug, Default)]
struct Builder {
    spans: Vec<Span<Style>>,
    style: Style,
    /// A `\r` was read: the next text begins the line anew. At the end of a line it hides nothing.
    overwritten: bool,
    /// The column of `measured`, so that each byte is measured once.
    column: usize,
    /// A span and a place in its text.
    measured: (usize, usize),
}

impl Builder {
    fn push(&mut self, text: &str) {
        if std::mem::take(&mut self.overwritten) {
            self.spans.clear();
            (self.column, self.measured) = (0, (0, 0));
        }
        match self.spans.last_mut() {
            Some(last) if last.style == self.style => last.text.push_str(text),
            _ => self.spans.push(Span { text: text.to_owned(), style: self.style }),
        }
    }

    fn tab(&mut self) {
        if self.overwritten {
            self.push("");
        }
        let (first, from) = self.measured;
        for (at, span) in self.spans.iter().enumerate().skip(first) {
            self.column += flow::columns(if at == first { &span.text[from..] } else { &span.text });
        }
        let blanks = TAB - self.column % TAB;
        self.push(&"        "[..blanks]);
        self.column += blanks;
        let last = self.spans.len() - 1;
        self.measured = (last, self.spans[last].text.len());
    }
}

#[cfg(test)]
mod tests;
