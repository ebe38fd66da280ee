//! What happened, newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::Line;
use super::{time_of, title};
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

/// Draws the pane.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let up = if model.events_up > 0 { format!("{} newer", model.events_up) } else { String::new() };
    title(model, buffer, area, Pane::Events, &format!("Events {}", model.events.len()), &up);
    let shown = model.events.iter().rev().skip(model.events_up);
    for (row, event) in (1..area.height).zip(shown) {
        let mut line = Line::of(buffer, area, row);
        line.put(&format!(" {} ", time_of(model, event.at, "%H:%M:%S")), model.theme.style(Token::Dim));
        let style = match event.tone {
            Tone::Bad => model.theme.style(Token::Bad),
            Tone::Good | Tone::Wait | Tone::Off => model.theme.style(Token::Text),
        };
        line.put(&event.text, style);
    }
}
