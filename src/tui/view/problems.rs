//! What compilers said, and how tests ended.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{Line, restyle};
use super::shown::{Shown, below_title};
use super::title;
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

/// Draws one of the two panes.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane) {
    if area.is_empty() {
        return;
    }
    let rows = model.problems.rows(pane);
    let bad = rows.iter().filter(|row| row.tone == Tone::Bad).count();
    let name = if pane == Pane::Tests { "Tests" } else { "Problems" };
    let count = if bad > 0 { format!("{name} {}{bad}", Tone::Bad.glyph(model.ascii)) } else { name.to_owned() };
    let more = if rows.is_empty() { "none" } else { "" };
    title(model, buffer, area, pane, &count, more);
    let list = model.problems.list(pane);
    let shown = Shown::of(below_title(area), list, rows.len());
    let widest = rows.iter().map(|row| text::width(&row.service)).max().unwrap_or(0).min(16);
    for (at, y) in shown.rows() {
        let row = &rows[at];
        let mut line = Line::of(buffer, shown.area, y);
        line.put(&format!(" {} ", row.tone.glyph(model.ascii)), model.theme.style(row.tone.token()));
        line.cell(&row.service, u16::try_from(widest).unwrap_or(16), false, model.theme.name_style(&row.service));
        line.put(" ", model.theme.style(Token::Text));
        if let Some(place) = &row.place {
            line.put(&format!("{place} "), model.theme.style(Token::Dim));
        }
        line.put(&row.text, model.theme.style(Token::Text));
        if at == list.at && model.focus == pane {
            restyle(buffer, shown.area, y, model.theme.selected());
        }
    }
}

/// The rows that are on the screen.
pub fn shown(model: &Model, area: Rect, pane: Pane) -> Shown {
    Shown::of(below_title(area), model.problems.list(pane), model.problems.rows(pane).len())
}
