//! What compilers said, how tests ended, what panicked: as two panes, or together on a screen of their own.

mod source;
mod whole;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{Line, restyle};
use super::shown::{Shown, below_title};
use super::{time_of, title};
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Pane};
use crate::tui::problems::{Group, Kind, Listed, Row};
use crate::tui::theme::Token;

/// Draws one of the two panes, or both together where they have the screen alone.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane) {
    if area.is_empty() {
        return;
    }
    if model.focus == pane && model.listed() == Some(Listed::Whole) {
        return whole::draw(model, buffer, area, pane);
    }
    let listed = if pane == Pane::Tests { Listed::Tests } else { Listed::Problems };
    let rows = model.problems.rows(listed);
    let bad = rows.iter().filter(|row| row.tone() == Tone::Bad).count();
    let name = if pane == Pane::Tests { "Tests" } else { "Problems" };
    let count = if bad > 0 { format!("{name} {}{bad}", Tone::Bad.glyph(model.ascii)) } else { name.to_owned() };
    let more = if rows.is_empty() { "none" } else { "" };
    title(model, buffer, area, pane, &count, more);
    let list = model.problems.list(listed);
    let shown = Shown::of(below_title(area), list, rows.len());
    let widest = rows.iter().map(|row| text::width(&row.group.service)).max().unwrap_or(0).min(16);
    for (at, y) in shown.rows() {
        let row = &rows[at];
        let mut line = Line::of(buffer, shown.area, y);
        glyph(model, row, &mut line);
        let name = match row.group.past {
            true => model.theme.style(Token::Dim),
            false => model.theme.name_style(&row.group.service),
        };
        line.cell(&row.group.service, u16::try_from(widest).unwrap_or(16), false, name);
        line.put(" ", model.theme.style(Token::Text));
        short(model, row, &mut line);
        if at == list.at && model.focus == pane {
            restyle(buffer, shown.area, y, model.theme.selected());
        }
    }
}

/// The rows that are on the screen.
pub fn shown(model: &Model, area: Rect, pane: Pane) -> Shown {
    let listed = model.listed_in(pane);
    let len = model.problems.rows(listed).len();
    let area = if listed == Listed::Whole { whole::parts(area, len).0 } else { below_title(area) };
    Shown::of(area, model.problems.list(listed), len)
}

/// Where the source of what the cursor is on is shown; empty where it is not.
pub fn source_area(model: &Model, area: Rect, pane: Pane) -> Rect {
    let listed = model.listed_in(pane);
    let whole = listed == Listed::Whole;
    if whole { whole::parts(area, model.problems.rows(listed).len()).1 } else { Rect::ZERO }
}

/// A row of a pane, in one line.
fn short(model: &Model, row: &Row, line: &mut Line<'_>) {
    let (plain, dim) = styles(model, &row.group);
    let place = row.problem().and_then(|item| item.place.as_ref());
    if let Some(place) = place {
        line.put(&format!("{place} "), dim);
    }
    if let Some((n @ 2.., _)) = row.group.times {
        line.put(&format!("x{n} "), plain);
    }
    let said = match (row.problem(), row.group.kind) {
        (Some(_), Kind::Panic | Kind::Crash) | (None, _) => &row.group.title,
        (Some(item), _) => &item.text,
    };
    line.put(said, plain);
}

/// `x5  last 14:02:10`
fn times(model: &Model, group: &Group) -> Option<String> {
    let (n, last) = group.times?;
    let count = if n > 1 { format!("x{n}  ") } else { String::new() };
    Some(format!("{count}last {}", time_of(model, last, "%H:%M:%S")))
}

fn styles(model: &Model, group: &Group) -> (Style, Style) {
    let dim = model.theme.style(Token::Dim);
    if group.past { (dim, dim) } else { (model.theme.style(Token::Text), dim) }
}

fn glyph(model: &Model, row: &Row, line: &mut Line<'_>) {
    let (glyph, token) = match (row.group.kind, row.tone()) {
        (_, Tone::Off) => (Tone::Off.glyph(model.ascii), Token::Dim),
        (Kind::Lint, _) => ('!', Token::Warn),
        (_, tone) => (tone.glyph(model.ascii), tone.token()),
    };
    line.put(&format!(" {glyph} "), model.theme.style(token));
}
