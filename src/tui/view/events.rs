//! What happened, newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::{Line, restyle};
use super::shown::{Shown, below_title};
use super::{time_of, title};
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;

/// Draws the pane.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let shown = shown(model, area);
    let newer = if shown.first > 0 { format!("{} newer", shown.first) } else { String::new() };
    title(model, buffer, area, Pane::Events, &format!("Events {}", model.events.len()), &newer);
    for ((at, y), event) in shown.rows().zip(model.events.iter().rev().skip(shown.first)) {
        let mut line = Line::of(buffer, shown.area, y);
        line.put(&format!(" {} ", time_of(model, event.at, "%H:%M:%S")), model.theme.style(Token::Dim));
        let style = match event.tone {
            Tone::Bad => model.theme.style(Token::Bad),
            Tone::Good | Tone::Wait | Tone::Off => model.theme.style(Token::Text),
        };
        line.put(&event.text, style);
        if at == model.event.at && model.focus == Pane::Events {
            restyle(buffer, shown.area, y, model.theme.selected());
        }
    }
}

/// The rows that are on the screen.
pub fn shown(model: &Model, area: Rect) -> Shown {
    Shown::of(below_title(area), &model.event, model.events.len())
}
