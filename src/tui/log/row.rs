//! One line of the log as text in styles, and its time. Made only for lines that are on the screen.

use super::{Form, TimeForm};
use crate::logs::ansi::{self, Span, Style};
use crate::logs::escape::is_hidden;
use crate::logs::index::Row;
use crate::logs::shape::{self, Format, Ink};
use crate::tui::model::Model;
use crate::tui::view::time_of;

/// How a part of a line looks: as its service says, or by what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Look {
    /// Colours of the service's own.
    Own(Style),
    /// A part of a structured line.
    Ink(Ink),
}

/// The text of a line.
#[derive(Clone, Debug, Default)]
pub struct Text {
    spans: Vec<Span<Look>>,
}

impl Text {
    /// Of a row, in a form.
    pub fn of(row: &Row, form: Form) -> Text {
        let mut text = match form {
            Form::Raw => Text { spans: raw(&row.bytes) },
            Form::Written => Text { spans: looks(ansi::spans(&row.bytes), Look::Own) },
            Form::Pretty => Text { spans: pretty(row) },
        };
        let plain = |text: String| Span { text, style: Look::Own(Style::default()) };
        if row.gone {
            text.spans = vec![plain("(removed by the limits of `logs.keep`)".to_owned())];
        }
        if row.cut {
            text.spans.push(plain(" …".to_owned()));
        }
        if row.n_folded > 0 {
            text.spans.push(plain(format!("  ▸ {} more lines", row.n_folded)));
        }
        text
    }

    /// An opened line: its fields as a tree, or its text as it came.
    pub fn opened(bytes: &[u8], form: Form) -> Vec<Text> {
        let shape = shape::parse(bytes);
        match (form, shape.format) {
            (Form::Raw, _) => return vec![Text { spans: raw(bytes) }],
            (Form::Written, Format::Plain) => return vec![Text { spans: looks(ansi::spans(bytes), Look::Own) }],
            (Form::Pretty, Format::Plain) => {
                return vec![Text { spans: looks(starred(ansi::spans(bytes)), Look::Own) }];
            }
            (Form::Pretty | Form::Written, _) => {}
        }
        let indented = |row: shape::Row| {
            let indent = Span { text: "  ".repeat(row.depth), style: Look::Ink(Ink::Mark) };
            let spans = looks(row.spans, Look::Ink);
            Text { spans: std::iter::once(indent).filter(|span| !span.text.is_empty()).chain(spans).collect() }
        };
        shape::tree(&shape).into_iter().map(indented).collect()
    }

    /// The part from this column on.
    pub fn cut(&self, from: usize, width: usize) -> Vec<Span<Look>> {
        ansi::cut(&self.spans, from, width)
    }

    /// In as many lines as it needs.
    pub fn wrapped(&self, width: usize) -> Vec<Vec<Span<Look>>> {
        ansi::wrap(&self.spans, width.max(1))
    }

    /// Columns.
    pub fn width(&self) -> usize {
        ansi::width(&self.spans)
    }
}

/// Structured lines in one form, others with the colours of their own.
fn pretty(row: &Row) -> Vec<Span<Look>> {
    let shape = shape::parse(&row.bytes);
    match shape.format {
        _ if row.cut => looks(starred(ansi::spans(&row.bytes)), Look::Own),
        Format::Plain => looks(starred(ansi::spans(&row.bytes)), Look::Own),
        _ => looks(shape::one_line(&shape), Look::Ink),
    }
}

/// A line without what its names say is secret, as in structured lines: a screen is shared and filmed. `orchestra logs` writes lines as they came, since
/// what reads them there may need every byte; so do the other forms, copies and exports here, each of which somebody asked for.
fn starred(spans: Vec<Span<Style>>) -> Vec<Span<Style>> {
    let text = ansi::text(&spans);
    let safe = shape::without_secrets(&text);
    if safe == text {
        return spans;
    }
    // What is equal at both ends keeps its looks.
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        pairs.take_while(|(a, b)| a == b).map(|(char, _)| char.len_utf8()).sum()
    };
    let head = same(&mut text.chars().zip(safe.chars()));
    let tail = same(&mut text[head..].chars().rev().zip(safe[head..].chars().rev()));
    let middle = Span { text: safe[head..safe.len() - tail].to_owned(), style: Style::default() };
    let mut out = part(&spans, 0, head);
    out.push(middle);
    out.extend(part(&spans, text.len() - tail, text.len()));
    out.into_iter().filter(|span| !span.text.is_empty()).collect()
}

/// The bytes of spans from one place to another, both between characters.
fn part(spans: &[Span<Style>], from: usize, to: usize) -> Vec<Span<Style>> {
    let mut at = 0;
    let cut = |span: &Span<Style>| {
        let len = span.text.len();
        let (first, last) = (from.saturating_sub(at).min(len), to.saturating_sub(at).min(len));
        at += len;
        Span { text: span.text[first..last.max(first)].to_owned(), style: span.style }
    };
    spans.iter().map(cut).collect()
}

/// Every byte so that it can be seen: `\x1b[31m`, `\t`, `\xff`, `\u{202e}`; a backslash is two. Nothing of it reaches the terminal as anything but text.
fn raw(bytes: &[u8]) -> Vec<Span<Look>> {
    let mut spans: Vec<Span<Look>> = Vec::new();
    let mut push = |text: &str, ink: Ink| match spans.last_mut() {
        Some(last) if last.style == Look::Ink(ink) => last.text.push_str(text),
        _ => spans.push(Span { text: text.to_owned(), style: Look::Ink(ink) }),
    };
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' | '\t' | '\r' => push(&char.escape_default().to_string(), Ink::Mark),
                char if char.is_ascii_control() => push(&format!("\\x{:02x}", u32::from(char)), Ink::Mark),
                char if char.is_control() || is_hidden(char) => push(&char.escape_unicode().to_string(), Ink::Mark),
                char => push(char.encode_utf8(&mut [0; 4]), Ink::Message),
            }
        }
        for byte in chunk.invalid() {
            push(&format!("\\x{byte:02x}"), Ink::Mark);
        }
    }
    spans
}

fn looks<S>(spans: Vec<Span<S>>, look: impl Fn(S) -> Look) -> Vec<Span<Look>> {
    spans.into_iter().map(|span| Span { text: span.text, style: look(span.style) }).collect()
}

/// Columns that a time takes, with the blank after it.
pub fn time_width(form: TimeForm) -> u16 {
    match form {
        TimeForm::Seconds => 9,
        TimeForm::Millis => 13,
        TimeForm::Delta => 10,
        TimeForm::Date => 24,
        TimeForm::Off => 0,
    }
}

/// The time of a line, after a line of time `before`.
pub fn time(model: &Model, at: i64, before: Option<i64>) -> String {
    match model.log.time {
        TimeForm::Seconds => time_of(model, at, "%H:%M:%S"),
        TimeForm::Millis => time_of(model, at, "%H:%M:%S%.3f"),
        TimeForm::Date => time_of(model, at, "%Y-%m-%d %H:%M:%S%.3f"),
        TimeForm::Off => String::new(),
        TimeForm::Delta => {
            let micros = before.map_or(0, |before| at.saturating_sub(before));
            let seconds = micros as f64 / 1e6;
            match seconds.abs() {
                0.0..100.0 => format!("{seconds:+8.3}s"),
                100.0..100_000.0 => format!("{seconds:+8.0}s"),
                _ => format!("{:+8.0}h", seconds / 3600.0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(spans: &[Span<Look>]) -> String {
        ansi::text(spans)
    }

    #[test]
    fn raw_bytes_are_spelled_out() {
        let bytes = b"\x1b[31mred\x1b[0m\t\\n \xff\xc3\xbc \xe2\x80\xae\x07\r\xc2\x9b";
        assert_eq!(text(&raw(bytes)), "\\x1b[31mred\\x1b[0m\\t\\\\n \\xff\u{fc} \\u{202e}\\x07\\r\\u{9b}");
    }

    #[test]
    fn plain_lines_hide_what_their_names_say_is_secret_and_keep_their_looks() {
        let spans = ansi::spans(b"\x1b[32mlogin\x1b[0m user=bob password=hunter2 from \x1b[31m10.0.0.1\x1b[0m");
        let safe = starred(spans.clone());
        assert_eq!(ansi::text(&safe), "login user=bob password=******** from 10.0.0.1");
        assert_eq!(
            (safe[0].style, safe.last().map(|span| span.style)),
            (spans[0].style, spans.last().map(|s| s.style))
        );
        let two = starred(ansi::spans("t=1 token=äa \x1b[1mpostgres://u:geheim@h/db\x1b[0m".as_bytes()));
        assert_eq!(ansi::text(&two), "t=1 token=******** postgres://u:********@h/db");
        let none = ansi::spans(b"\x1b[32mnothing\x1b[0m to hide");
        assert_eq!(starred(none.clone()), none);
    }
}
