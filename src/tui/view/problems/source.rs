//! Below the list: the lines of the file around the place, or what was printed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::text;
use crate::tui::actions::Action;
use crate::tui::model::Model;
use crate::tui::problems::{Excerpt, Kind, Problem, Row, Source};
use crate::tui::theme::Token;
use crate::tui::view::paint::Line;

/// Columns before the text of a line: its number and a bar.
const GUTTER: u16 = 9;

/// Draws it, with a title.
pub(super) fn draw(model: &Model, row: &Row, buffer: &mut Buffer, area: Rect) {
    if area.height < 2 {
        return;
    }
    let source = model.problems.source(row);
    let inner = Rect { y: area.y + 1, height: area.height - 1, ..area };
    head(model, row, &source, buffer, area);
    match source {
        Source::Excerpt(found) => excerpt(model, row, found, buffer, inner),
        Source::Output(lines) => printed(model, lines, buffer, inner),
        Source::Printed => printed(model, row.nearest().map_or(&[][..], |item| &item.raw), buffer, inner),
        Source::Nothing(why) => {
            Line::of(buffer, inner, 0).put(&format!("   {why}"), model.theme.style(Token::Dim));
        }
    }
}

fn head(model: &Model, row: &Row, source: &Source<'_>, buffer: &mut Buffer, area: Rect) {
    let (rule, dim) = (model.theme.style(Token::Rule), model.theme.style(Token::Dim));
    let dash = if model.ascii { '-' } else { '─' };
    let raw = model.key(Action::Raw);
    let place = row.nearest().and_then(|item| item.place.as_ref());
    let name = match (source, place, row.group.kind) {
        (Source::Output(_), _, _) => format!("what the build of {} printed", row.group.service),
        (Source::Printed, _, Kind::Crash) => format!("the last words of {}", row.group.service),
        (Source::Printed, _, _) => "what was printed".to_owned(),
        (Source::Excerpt(_), Some(place), _) => place.to_string(),
        (_, place, _) if !model.problems.raw => place.map_or_else(String::new, ToString::to_string),
        (_, _, _) => "what was printed".to_owned(),
    };
    let mut line = Line::of(buffer, area, 0);
    line.put(&format!("{dash}{dash} "), rule).put(&name, model.theme.style(Token::Accent));
    let other = if model.problems.raw { "source" } else { "what was printed" };
    line.put(&format!(" ({raw} {other})"), dim);
    if let (Source::Excerpt(excerpt), Some(item)) = (source, row.nearest()) {
        let note = note(excerpt, item);
        line.put(&note, model.theme.style(Token::Warn));
    }
    line.put(" ", rule).fill(dash, rule);
}

/// Why the lines may not be those that were meant.
fn note(excerpt: &Excerpt, item: &Problem) -> String {
    // The clock of the file system may be a moment behind.
    let is_newer = item.since > 0 && excerpt.modified > item.since.saturating_add(1_000_000);
    match excerpt.at {
        None => "  the file has no such line any more".to_owned(),
        Some(_) if is_newer => "  changed since".to_owned(),
        Some(_) => String::new(),
    }
}

fn excerpt(model: &Model, row: &Row, found: &Excerpt, buffer: &mut Buffer, area: Rect) {
    let (plain, dim) = (model.theme.style(Token::Text), model.theme.style(Token::Dim));
    let bad = model.theme.style(Token::Bad);
    let bar = if model.ascii { "|" } else { "│" };
    let at = found.at.unwrap_or(found.lines.len().saturating_sub(1));
    // The place in the middle; the line below it has the mark.
    let above = usize::from(area.height.saturating_sub(2)) / 2;
    let first = at.saturating_sub(above);
    let room = usize::from(area.width.saturating_sub(GUTTER));
    // What is marked far to the right is brought into sight.
    let skip = found.mark.map_or(0, |(before, wide)| (before + wide + 8).saturating_sub(room).min(before));
    let mut y = 0;
    for (n, text) in found.lines.iter().enumerate().skip(first) {
        let here = found.at == Some(n);
        let mut line = Line::of(buffer, area, y);
        let sign = if here { ">" } else { " " };
        let number = usize::try_from(found.first).unwrap_or(1) + n;
        line.put(&format!(" {sign}{number:>5} "), if here { bad } else { dim }).put(bar, dim).put(" ", plain);
        let style = if here { plain.add_modifier(Modifier::BOLD) } else { plain };
        line.put(&skipped(text, skip), style);
        y += 1;
        if here && let Some((before, wide)) = found.mark {
            let mut line = Line::of(buffer, area, y);
            line.put("        ", dim).put(bar, dim).put(" ", plain);
            line.put(&" ".repeat(before - skip), plain).put(&"^".repeat(wide.min(room)), bad);
            if let Some(item) = row.nearest() {
                line.put(" ", plain).put(&item.text, bad);
            }
            y += 1;
        }
        if y >= area.height {
            break;
        }
    }
}

/// A text without its first columns.
fn skipped(text: &str, columns: usize) -> String {
    let mut width = 0;
    let mut shown = text.chars();
    while width < columns {
        let Some(c) = shown.next() else { break };
        width += text::width(c.encode_utf8(&mut [0; 4]));
    }
    " ".repeat(width.saturating_sub(columns)) + shown.as_str()
}

fn printed(model: &Model, lines: &[String], buffer: &mut Buffer, area: Rect) {
    if lines.is_empty() {
        Line::of(buffer, area, 0).put("   it printed nothing", model.theme.style(Token::Dim));
    }
    let last = lines.len().saturating_sub(usize::from(area.height));
    for (y, text) in (0..area.height).zip(lines.iter().skip(model.problems.scroll.min(last))) {
        Line::of(buffer, area, y).put(" ", model.theme.style(Token::Text)).put(text, model.theme.style(Token::Text));
    }
}
