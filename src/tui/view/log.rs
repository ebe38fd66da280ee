//! The merged log.

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
use crate::tui::log::row::{self, Look, Text};
use crate::tui::log::{LogPane, pattern};
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

/// Draws the pane.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let pane = &model.log;
    title(model, buffer, area, Pane::Logs, &format!("Logs {}", count(pane)), &state(pane));
    let mut body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if pane.opened.is_some() {
        let height = (body.height / 2).max(3).min(body.height);
        let lower = Rect { y: body.bottom() - height, height, ..body };
        body.height -= height;
        opened(model, buffer, lower);
    }
    lines(model, buffer, body);
}

/// `8 412 of 8 412 667`
fn count(pane: &LogPane) -> String {
    let about = if pane.window.exact { "" } else { "~" };
    let (wanted, all) = (pane.window.n_wanted(), pane.window.n_lines);
    match pane.filters.told().is_empty() {
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

fn state(pane: &LogPane) -> String {
    let mut words: Vec<String> = pane.trouble.iter().cloned().collect();
    let told = pane.filters.told();
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
    let page = pane.page();
    if page.rows.is_empty() {
        let text = match (pane.window.pending || !pane.progress.idle, pane.filters.told().is_empty()) {
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
    let (mut y, mut skip) = (0_u16, page.skip);
    for (at, height) in page.rows {
        let row = &pane.window.rows[at];
        let text = Text::of(row, pane.pretty);
        let lines =
            if pane.wrap { text.wrapped(pane.text_width()) } else { vec![text.cut(pane.sideways, pane.text_width())] };
        let before = at.checked_sub(1).and_then(|at| pane.window.rows.get(at)).map(|row| row.time);
        for (n, spans) in lines.into_iter().enumerate().skip(skip) {
            if y >= area.height {
                return;
            }
            let mut line = Line::of(buffer, area, y);
            gutter(model, row, n == 0, before, &mut line);
            let from = line.x();
            put(model, row, &spans, &mut line);
            if let Some(search) = &search {
                mark_hits(
                    model,
                    buffer,
                    Rect { x: from, width: area.right().saturating_sub(from), ..area },
                    y,
                    &spans,
                    search,
                );
            }
            let chosen = selected.is_some_and(|(first, last)| row.position >= first && row.position <= last);
            if chosen || model.focus == Pane::Logs && current == Some(at) && !pane.follow {
                restyle(buffer, area, y, model.theme.selected());
            }
            y += 1;
        }
        skip = skip.saturating_sub(height);
    }
}

/// Time, name and level.
fn gutter(model: &Model, row: &Row, first: bool, before: Option<i64>, line: &mut Line<'_>) {
    let pane = &model.log;
    let dim = model.theme.style(Token::Dim);
    let name = pane.names.get(row.position.source as usize);
    let mark = pane.marks.iter().find(|(_, position)| **position == row.position);
    let width = row::time_width(pane.time);
    let time = if first { row::time(model, row.time, before) } else { String::new() };
    let sign = mark.map_or_else(|| " ".to_owned(), |(letter, _)| letter.to_string());
    line.put(if first { &sign } else { " " }, model.theme.style(Token::Accent)).cell(&time, width, false, dim);
    let (label, style) = match name.filter(|_| first) {
        Some(name) => (name.label.as_str(), model.theme.name_style(&name.service)),
        None => ("", dim),
    };
    line.cell(label, pane.label_width(), false, style);
    let bar = if model.ascii { "|" } else { "│" };
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

/// The line that is open, whole.
fn opened(model: &Model, buffer: &mut Buffer, area: Rect) {
    let Some(open) = &model.log.opened else { return };
    let (rule, dim) = (model.theme.style(Token::Rule), model.theme.style(Token::Dim));
    let dash = if model.ascii { '-' } else { '─' };
    let name = model.log.names.get(open.row.position.source as usize).map_or("", |name| name.label.as_str());
    let mut line = Line::of(buffer, area, 0);
    let time = time_of(model, open.row.time, "%Y-%m-%d %H:%M:%S%.3f");
    line.put(&format!("{dash}{dash} "), rule).put(name, model.theme.name_style(name));
    line.put(&format!(" {} run {} {time} ", open.row.channel.word(), open.row.run), dim).fill(dash, rule);
    let width = usize::from(area.width.saturating_sub(2));
    let lines: Vec<_> = Text::opened(&open.bytes).iter().flat_map(|text| text.wrapped(width)).collect();
    let last = lines.len().saturating_sub(usize::from(area.height) - 1);
    for (y, spans) in (1..area.height).zip(lines.into_iter().skip(open.scroll.min(last))) {
        let mut line = Line::of(buffer, area, y);
        line.put(" ", dim);
        put(model, &open.row, &spans, &mut line);
    }
}
