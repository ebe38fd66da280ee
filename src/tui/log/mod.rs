//! The log pane: which lines, from where on, and how they look. Pure: the index answers, the loop asks it.

mod filters;
mod moves;
pub mod row;

use std::collections::BTreeMap;

pub use filters::{Filters, least_after, level_word, pattern};

use super::log::row::{Look, Text};
use crate::logs::ansi::Span;
use crate::logs::index::{Anchor, Direction, Hits, Position, Progress, Row, SourceInfo, Tick, Window};

/// How the time of a line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeForm {
    /// `14:02:10`
    #[default]
    Seconds,
    /// `14:02:10.131`
    Millis,
    /// `+0.012s` since the line above.
    Delta,
    /// `2026-11-21 14:02:10.131`
    Date,
    /// Not at all.
    Off,
}

impl TimeForm {
    /// The next one.
    pub fn next(self) -> TimeForm {
        match self {
            TimeForm::Seconds => TimeForm::Millis,
            TimeForm::Millis => TimeForm::Delta,
            TimeForm::Delta => TimeForm::Date,
            TimeForm::Date => TimeForm::Off,
            TimeForm::Off => TimeForm::Seconds,
        }
    }

    /// As the title names it.
    pub fn word(self) -> &'static str {
        match self {
            TimeForm::Seconds => "s",
            TimeForm::Millis => "ms",
            TimeForm::Delta => "delta",
            TimeForm::Date => "date",
            TimeForm::Off => "off",
        }
    }
}

/// How the text of a line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Structured lines in one form, secrets as stars.
    #[default]
    Pretty,
    /// As the service meant it to look.
    Written,
    /// Byte by byte: what would command a terminal, and what is no text, is spelled out.
    Raw,
}

impl Form {
    /// As the title names it, where it has to.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Form::Pretty => None,
            Form::Written => Some("as written"),
            Form::Raw => Some("raw"),
        }
    }
}

/// What the index is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum LogCmd {
    /// Show what the filters say now.
    Query,
    /// Look for what the search says now, from here on.
    Search(Anchor, Direction),
    /// The next line of a level that needs a look.
    Error(Anchor, Direction),
    /// The lines between two, as text, into the clipboard.
    Copy(Position, Position),
    /// All lines that are shown, into this file.
    Export(String),
    /// The whole of one line, for opening it.
    Open(Position),
    /// The line at this moment, in microseconds since 1970.
    Time(i64),
    /// The wanted line of this number, from 0 on.
    Number(u64),
    /// What lies at a row of the bar: the error or hit that is drawn there, else the first of its lines.
    Bar {
        /// From 0 on.
        row: u16,
        /// So many rows has the bar.
        rows: u16,
    },
    /// Where the next run of the line's service begins, or this one, or the one before.
    Run(Position, Direction),
    /// Hide all lines there are.
    Clear,
}

/// A key that waits for the letter of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// To set it.
    Set,
    /// To go there.
    Go,
}

/// A marked line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub position: Position,
    /// Its time, in microseconds since 1970.
    pub time: i64,
    /// How it begins.
    pub text: String,
}

/// What is drawn beside the lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// By row.
    pub ticks: Vec<Tick>,
    /// Marks, and how far in the log they are, from 0.0 to 1.0.
    pub marks: Vec<(char, f64)>,
}

/// What a service wrote in each second of the last minute, the present one last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Whose.
    pub service: String,
    /// Lines.
    pub lines: Vec<u32>,
    /// Lines that state an error.
    pub errors: Vec<u32>,
}

/// Whether a run begins or ends with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEdge {
    /// It begins.
    First,
    /// It ends.
    Last,
    /// Neither.
    Within,
}

/// One line, whole, as it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Which.
    pub row: Row,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// The first line of it that is shown.
    pub scroll: usize,
}

/// A source as lines name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The service: its colour.
    pub service: String,
    /// `api`, or `api-2`.
    pub label: String,
}

/// Everything about the pane.
#[derive(Clone, Debug)]
pub struct LogPane {
    /// It stays at the newest line.
    pub follow: bool,
    /// The first row that is shown, where it does not follow.
    pub top: Anchor,
    /// So many rows are shown above `top`, after a jump.
    pub lead: usize,
    /// The line keys are about; the newest where there is none.
    pub cursor: Option<Position>,
    /// The other end of what is selected.
    pub other: Option<Position>,
    /// Long lines go on in the next row.
    pub wrap: bool,
    /// Columns that are left out at the left, without wrapping.
    pub sideways: usize,
    /// How times are shown.
    pub time: TimeForm,
    /// How lines are shown.
    pub form: Form,
    /// Which lines are shown.
    pub filters: Filters,
    /// What is marked.
    pub search: Option<String>,
    /// The search waits for the index.
    pub seeking: Option<(Anchor, Direction)>,
    /// Marked lines.
    pub marks: BTreeMap<char, Mark>,
    /// Waits for a letter.
    pub letter: Option<Letter>,
    /// The line that is open.
    pub opened: Option<Opened>,
    /// What the index answered.
    pub window: Window,
    /// The sources by number.
    pub names: Vec<Name>,
    /// How far the index is.
    pub progress: Progress,
    /// How often the search is found.
    pub hits: Hits,
    /// Lines a second, of all sources.
    pub rate: u32,
    /// What each service wrote, by name; those that wrote nothing in the last minute are not in it.
    pub rates: Vec<Rate>,
    /// What is drawn beside the lines.
    pub bar: Bar,
    /// Lines in the last whole second of each source, by number.
    pub now: Vec<u32>,
    /// What cannot be read, and why.
    pub trouble: Option<String>,
    /// Columns and rows of lines, without the title.
    pub size: (u16, u16),
}

impl Default for LogPane {
    fn default() -> LogPane {
        LogPane {
            follow: true,
            top: Anchor::Bottom,
            lead: 0,
            cursor: None,
            other: None,
            wrap: false,
            sideways: 0,
            time: TimeForm::Seconds,
            form: Form::Pretty,
            filters: Filters::default(),
            search: None,
            seeking: None,
            marks: BTreeMap::new(),
            letter: None,
            opened: None,
            window: Window::default(),
            names: Vec::new(),
            progress: Progress::default(),
            hits: Hits::default(),
            rate: 0,
            rates: Vec::new(),
            bar: Bar::default(),
            now: Vec::new(),
            trouble: None,
            size: (0, 0),
        }
    }
}

/// The rows of the window that are on the screen: which, and how many lines of it each takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Index in the window, and lines; the last may be cut by the screen, the first of a followed page too.
    pub rows: Vec<(usize, usize)>,
    /// Lines of the first row that are above the screen.
    pub skip: usize,
}

impl LogPane {
    /// What to ask the index for: enough for a page up and a page down.
    pub fn wanted(&self) -> (Anchor, usize, usize) {
        let page = usize::from(self.size.1).max(1);
        match self.follow {
            true => (Anchor::Bottom, 2 * page, 0),
            false => (self.top, page, 2 * page),
        }
    }

    /// Takes the sources as the index numbers them.
    pub fn name(&mut self, sources: &[SourceInfo]) {
        let copies = |service| {
            let of = |info: &&SourceInfo| info.source.service == service && info.source.instance().is_some();
            sources.iter().filter(of).count()
        };
        let name = |info: &SourceInfo| {
            let service = info.source.service.to_string();
            let label = match info.source.instance() {
                Some(number) if copies(info.source.service.clone()) > 1 => format!("{service}-{number}"),
                Some(_) | None => service.clone(),
            };
            Name { service, label }
        };
        if self.names.len() != sources.len() {
            self.names = sources.iter().map(name).collect();
        }
    }

    /// The widest label there is room for.
    pub fn label_width(&self) -> u16 {
        let widest = self.names.iter().map(|name| crate::text::width(&name.label)).max().unwrap_or(0);
        u16::try_from(widest).unwrap_or(u16::MAX).min(16)
    }

    /// Columns for the text of a line: what time and label leave.
    pub fn text_width(&self) -> usize {
        usize::from(self.size.0.saturating_sub(self.label_width() + 3 + row::time_width(self.time)))
    }

    /// Lines that a row takes.
    fn height(&self, row: &Row) -> usize {
        if self.wrap { self.lines(row).len() } else { 1 }
    }

    /// The lines of the screen that a row is drawn in; at least one.
    pub fn lines(&self, row: &Row) -> Vec<Vec<Span<Look>>> {
        let text = Text::of(row, self.form);
        match self.wrap {
            true => text.wrapped(self.text_width()),
            false => vec![text.cut(self.sideways, self.text_width())],
        }
    }

    /// What is on the screen, line by line from the top: which row of the window, and which of its lines.
    pub fn screen(&self) -> Vec<(usize, usize)> {
        let page = self.page();
        let lines = page.rows.iter().flat_map(|(at, height)| (0..*height).map(|n| (*at, n)));
        lines.skip(page.skip).take(usize::from(self.size.1)).collect()
    }

    /// Whether a run begins or ends with a row, as far as the window shows it. What is not followed by another run goes on.
    pub fn run_edge(&self, at: usize) -> RunEdge {
        let rows = &self.window.rows;
        let Some(row) = rows.get(at) else { return RunEdge::Within };
        let other = |row: &&Row| row.position.source == rows[at].position.source;
        let (before, after) = (rows[..at].iter().rev().find(other), rows[at + 1..].iter().find(other));
        match (before, after) {
            (Some(before), _) if before.run != row.run => RunEdge::First,
            (_, Some(after)) if after.run != row.run => RunEdge::Last,
            _ => RunEdge::Within,
        }
    }

    /// What is on the screen.
    pub fn page(&self) -> Page {
        let room = usize::from(self.size.1);
        let rows = &self.window.rows;
        let mut page = Page::default();
        let mut used = 0;
        if self.follow {
            for (at, row) in rows.iter().enumerate().rev() {
                if used >= room {
                    break;
                }
                let height = self.height(row);
                page.rows.insert(0, (at, height));
                used += height;
            }
            page.skip = used.saturating_sub(room);
            return page;
        }
        for (at, row) in rows.iter().enumerate().skip(self.window.anchor) {
            if used >= room {
                break;
            }
            let height = self.height(row);
            page.rows.push((at, height));
            used += height;
        }
        page
    }

    /// The index in the window of the line that keys are about.
    pub fn current(&self) -> Option<usize> {
        let rows = &self.window.rows;
        match self.cursor {
            None => rows.len().checked_sub(1),
            Some(cursor) => {
                let at = rows.partition_point(|row| row.position < cursor);
                (!rows.is_empty()).then(|| at.min(rows.len() - 1))
            }
        }
    }

    /// The line that keys are about.
    pub fn current_row(&self) -> Option<&Row> {
        self.window.rows.get(self.current()?)
    }

    /// The first and the last line that is selected.
    pub fn selected(&self) -> Option<(Position, Position)> {
        let current = self.current_row()?.position;
        let other = self.other.unwrap_or(current);
        Some((current.min(other), current.max(other)))
    }
}
