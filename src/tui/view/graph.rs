//! Who depends on whom, and who waits for whom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::Line;
use crate::tui::fleet::Tone;
use crate::tui::graph::rows;
use crate::tui::model::Model;
use crate::tui::theme::Token;

/// Draws the screen.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let rows = rows(&model.needs, &model.fleet, model.ascii);
    let head = "Who needs whom: below each service stands what it depends on";
    Line::of(buffer, area, 0).put(" ", model.theme.style(Token::Text)).put(head, model.theme.style(Token::Accent));
    for (y, row) in (2..area.height).zip(rows.into_iter().skip(model.graph_scroll)) {
        let mut line = Line::of(buffer, area, y);
        line.put(" ", model.theme.style(Token::Text)).put(&row.branch, model.theme.style(Token::Rule));
        let tone = model.theme.style(row.tone.token());
        line.put(&format!("{} {}", row.tone.glyph(model.ascii), row.name), tone);
        line.put(&format!("  {}", row.state), model.theme.style(Token::Dim));
        let token = if row.tone == Tone::Good { Token::Dim } else { Token::Warn };
        line.put(&row.note, model.theme.style(token));
    }
}
