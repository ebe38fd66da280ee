//! One line of the log as text in styles, and its time. Made only for lines that are on the screen.

use super::TimeForm;
use crate::logs::ansi::{self, Span, Style};
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
    /// Of a row; structured lines in one form where `pretty`.
    pub fn of(row: &Row, pretty: bool) -> Text {
        let shape = pretty.then(|| shape::parse(&row.bytes)).filter(|shape| shape.format != Format::Plain && !row.cut);
        let mut text = match shape {
            Some(shape) => Text { spans: looks(shape::one_line(&shape), Look::Ink) },
            None => Text { spans: looks(ansi::spans(&row.bytes), Look::Own) },
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
    pub fn opened(bytes: &[u8]) -> Vec<Text> {
        let shape = shape::parse(bytes);
        if shape.format == Format::Plain {
            return vec![Text { spans: looks(ansi::spans(bytes), Look::Own) }];
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
