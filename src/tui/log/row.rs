//! One line of the log as text in styles, and its time. Made only for lines that are on the screen.

use super::TimeForm;
use crate::logs::ansi::{self, Span, Style};
use crate::logs::index::Row;
use crate::tui::model::Model;
use crate::tui::view::time_of;

/// The text of a line.
#[derive(Clone, Debug, Default)]
pub struct Text {
    spans: Vec<Span<Style>>,
}

impl Text {
    /// Of a row; structured lines in one form where `pretty`.
    pub fn of(row: &Row, pretty: bool) -> Text {
        let mut text = Text { spans: ansi::spans(&row.bytes) };
        if pretty {
            text.prettify(row);
        }
        let plain = |text: String| Span { text, style: Style::default() };
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

    fn prettify(&mut self, _row: &Row) {}

    /// Without styles.
    pub fn plain(&self) -> String {
        ansi::text(&self.spans)
    }

    /// The part from this column on.
    pub fn cut(&self, from: usize, width: usize) -> Vec<Span<Style>> {
        ansi::cut(&self.spans, from, width)
    }

    /// In as many lines as it needs.
    pub fn wrapped(&self, width: usize) -> Vec<Vec<Span<Style>>> {
        ansi::wrap(&self.spans, width.max(1))
    }

    /// Columns.
    pub fn width(&self) -> usize {
        ansi::width(&self.spans)
    }
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
