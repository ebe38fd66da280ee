//! What compilers said, and how tests ended.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{Line, restyle};
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
    let height = usize::from(area.height.saturating_sub(1));
    let at = model.problems.list(pane).at;
    let first = (at + 1).saturating_sub(height);
    let widest = rows.iter().map(|row| text::width(&row.service)).max().unwrap_or(0).min(16);
    for (n, row) in rows.iter().enumerate().skip(first).take(height) {
        let y = u16::try_from(n - first + 1).unwrap_or(u16::MAX);
        let mut line = Line::of(buffer, area, y);
        line.put(&format!(" {} ", row.tone.glyph(model.ascii)), model.theme.style(row.tone.token()));
        line.cell(&row.service, u16::try_from(widest).unwrap_or(16), false, model.theme.name_style(&row.service));
        line.put(" ", model.theme.style(Token::Text));
        if let Some(place) = &row.place {
            line.put(&format!("{place} "), model.theme.style(Token::Dim));
        }
        line.put(&row.text, model.theme.style(Token::Text));
        if n == at && model.focus == pane {
            restyle(buffer, area, y, model.theme.selected());
        }
    }
}
