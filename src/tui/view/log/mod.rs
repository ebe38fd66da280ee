//! The merged log.

mod bar;
mod opened;
mod parts;
mod rates;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::paint::{Line, restyle};
use super::{time_of, title};
use crate::logs::ansi::{self, Effect, Span};
use crate::logs::index::Row;
use crate::logs::level::Level;
use crate::logs::shape::Ink;
use crate::logs::sources::Channel;
use crate::tui::log::row::{self, Look};
use crate::tui::log::{RunEdge, TimeForm, pattern};
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

pub use opened::last as last_of_opened;
pub use parts::{Parts, parts};

/// Draws the pane.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    title(model, buffer, area, Pane::Logs, &format!("Logs {}", count(model)), &state(model));
    let parts = parts(model, area);
    lines(model, buffer, parts.lines);
    bar::draw(model, buffer, parts.bar);
    opened::draw(model, buffer, parts.opened);
    rates::draw(model, buffer, parts.rates);
}

/// `8 412 of 8 412 667`
fn count(model: &Model) -> String {
    let pane = &model.log;
    let about = if pane.window.exact { "" } else { "~" };
    let (wanted, all) = (pane.window.n_wanted(), pane.window.n_lines);
    match pane.filters.told(|us| time_of(model, us, "%H:%M:%S")).is_empty() {
        true => format!("{about}{}", grouped(all)),
        false => format!("{about}{} of {}", grouped(wanted), grouped(all)),
    }
}

/// With a blank between thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn state(model: &Model) -> String {
    let pane = &model.log;
    let mut words: Vec<String> = pane.trouble.iter().cloned().collect();
    let told = pane.filters.told(|us| time_of(model, us, "%H:%M:%S"));
    if !told.is_empty() {
        words.push(told);
    }
    if let Some(search) = &pane.search {
        let more = if pane.hits.complete { "" } else { "+" };
        words.push(format!("/{search} {}{more}", grouped(pane.hits.n)));
    }
    match pane.follow {
        true => words.push("follow".to_owned()),
        false if pane.window.n_after > 0 => words.push(format!("{} below", grouped(pane.window.n_after))),
        false => {}
    }
    if pane.wrap {
        words.push("wrap".to_owned());
    }
    words.extend(pane.form.word().map(ToOwned::to_owned));
    if pane.time != TimeForm::default() {
        words.push(format!("ts:{}", pane.time.word()));
    }
    if pane.rate > 0 {
        words.push(format!("{}/s", grouped(u64::from(pane.rate))));
    }
    let progress = pane.progress;
    if progress.scanned < progress.bytes {
        words.push(format!("reading {} %", progress.scanned.saturating_mul(100) / progress.bytes.max(1)));
    } else if progress.n_asked < progress.n_lines {
        words.push(format!("filtering {} %", progress.n_asked.saturating_mul(100) / progress.n_lines.max(1)));
    }
    words.join("  ")
}

fn lines(model: &Model, buffer: &mut Buffer, area: Rect) {
    let pane = &model.log;
    let screen = pane.screen();
    if screen.is_empty() {
        let text = match (
            pane.window.pending || !pane.progress.idle,
            pane.filters.told(|us| time_of(model, us, "%H:%M:%S")).is_empty(),
        ) {
            (true, _) => " looking …",
            (false, true) => " nothing was written yet",
            (false, false) => " no line is wanted by these filters; esc shows all",
        };
        Line::of(buffer, area, 0).put(text, model.theme.style(Token::Dim));
        return;
    }
    let current = pane.current();
    let selected = pane.other.and(pane.selected());
    let search = pane.search.as_deref().and_then(|search| pattern(search).ok());
    let mut made: (usize, Vec<Vec<Span<Look>>>) = (usize::MAX, Vec::new());
    for (y, (at, n)) in (0..area.height).zip(screen) {
        let row = &pane.window.rows[at];
        if made.0 != at {
            made = (at, pane.lines(row));
        }
        let Some(spans) = made.1.get(n) else { continue };
        let mut line = Line::of(buffer, area, y);
        gutter(model, at, n == 0, &mut line);
        let from = line.x();
        put(model, row, spans, &mut line);
        if let Some(search) = &search {
            let text = Rect { x: from, width: area.right().saturating_sub(from), ..area };
            mark_hits(model, buffer, text, y, spans, search);
        }
        let chosen = selected.is_some_and(|(first, last)| row.position >= first && row.position <= last);
        if chosen || model.focus == Pane::Logs && current == Some(at) && !pane.follow {
            restyle(buffer, area, y, model.theme.selected());
        }
    }
}

/// Time, name and level of a row of the window.
fn gutter(model: &Model, at: usize, first: bool, line: &mut Line<'_>) {
    let pane = &model.log;
    let row = &pane.window.rows[at];
    let before = at.checked_sub(1).and_then(|at| pane.window.rows.get(at)).map(|row| row.time);
    let dim = model.theme.style(Token::Dim);
    let name = pane.names.get(row.position.source as usize);
    let mark = pane.marks.iter().find(|(_, mark)| mark.position == row.position);
    let width = row::time_width(pane.time);
    let time = if first { row::time(model, row.time, before) } else { String::new() };
    let sign = mark.map_or_else(|| " ".to_owned(), |(letter, _)| letter.to_string());
    line.put(if first { &sign } else { " " }, model.theme.style(Token::Accent)).cell(&time, width, false, dim);
    let (label, style) = match name.filter(|_| first) {
        Some(name) => (name.label.as_str(), model.theme.name_style(&name.service)),
        None => ("", dim),
    };
    line.cell(label, pane.label_width(), false, style);
    let bar = match (pane.run_edge(at), model.ascii) {
        (RunEdge::First, false) if first => "┌",
        (RunEdge::Last, false) => "└",
        (RunEdge::First, true) if first => ",",
        (RunEdge::Last, true) => "`",
        (_, false) => "│",
        (_, true) => "|",
    };
    let style = match (row.level, row.channel) {
        (Some(Level::Error | Level::Fatal), _) => model.theme.style(Token::Bad),
        (Some(Level::Warn), _) => model.theme.style(Token::Warn),
        (_, Channel::Stderr | Channel::Build | Channel::Test) => model.theme.style(Token::Wait),
        _ => model.theme.style(Token::Rule),
    };
    line.put(" ", dim).put(bar, style);
}

fn put(model: &Model, row: &Row, spans: &[Span<Look>], line: &mut Line<'_>) {
    let base = match (row.level, row.channel) {
        (_, Channel::Orchestra) => model.theme.style(Token::Accent),
        (Some(Level::Error | Level::Fatal), _) if row.stated => model.theme.style(Token::Bad),
        (Some(Level::Warn), _) if row.stated => model.theme.style(Token::Warn),
        (Some(Level::Trace | Level::Debug), _) => model.theme.style(Token::Dim),
        _ => model.theme.style(Token::Text),
    };
    for span in spans {
        let look = match span.style {
            Look::Own(own) => style(own, model),
            Look::Ink(ink) => inked(ink, model),
        };
        line.put(&span.text, base.patch(look));
    }
}

/// A part of a structured line, by what it means.
fn inked(ink: Ink, model: &Model) -> Style {
    let token = match ink {
        Ink::Level(Level::Error | Level::Fatal) | Ink::Error => Token::Bad,
        Ink::Level(Level::Warn) => Token::Warn,
        Ink::Level(Level::Info) | Ink::String => Token::Good,
        Ink::Level(Level::Trace | Level::Debug) | Ink::Key | Ink::Mark | Ink::Logger => Token::Dim,
        Ink::Message => return Style::new(),
        Ink::Number | Ink::Bool | Ink::Null | Ink::Secret => Token::Wait,
        Ink::Place => Token::Accent,
    };
    model.theme.style(token)
}

/// A service's own colours, on a terminal that has some.
pub(super) fn style(from: ansi::Style, model: &Model) -> Style {
    let mut style = Style::new();
    if model.theme.has_colour() {
        style.fg = colour(from.foreground);
        style.bg = colour(from.background);
    }
    let effects = [
        (Effect::Bold, Modifier::BOLD),
        (Effect::Dim, Modifier::DIM),
        (Effect::Italic, Modifier::ITALIC),
        (Effect::Underline, Modifier::UNDERLINED),
        (Effect::Reverse, Modifier::REVERSED),
        (Effect::Strike, Modifier::CROSSED_OUT),
    ];
    for (effect, modifier) in effects {
        if from.effects.has(effect) {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn colour(from: ansi::Color) -> Option<Color> {
    match from {
        ansi::Color::Default => None,
        ansi::Color::Ansi(index) | ansi::Color::Indexed(index) => Some(Color::Indexed(index)),
        ansi::Color::Rgb(r, g, b) => Some(Color::Rgb(r, g, b)),
    }
}

/// Marks what the search finds in a line of the screen.
fn mark_hits(
    model: &Model,
    buffer: &mut Buffer,
    area: Rect,
    y: u16,
    spans: &[Span<Look>],
    search: &crate::logs::index::Pattern,
) {
    let text = ansi::text(spans);
    let column = |at: usize| u16::try_from(text.get(..at).map_or(0, crate::text::width)).unwrap_or(u16::MAX);
    for (from, to) in search.find_in(text.as_bytes()).filter(|(from, to)| from < to) {
        let (from, to) = (column(from), column(to));
        let hit = Rect { x: area.x.saturating_add(from), width: to.saturating_sub(from), ..area }.intersection(area);
        restyle(buffer, hit, y, model.theme.style(Token::Hit));
    }
}
