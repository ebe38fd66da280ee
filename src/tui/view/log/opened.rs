//! The line that is open, whole.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use crate::logs::ansi::Span;
use crate::tui::log::row::{Look, Text};
use crate::tui::model::{Model, Pane};
use crate::tui::theme::Token;
use crate::tui::view::layout::layout;
use crate::tui::view::paint::Line;
use crate::tui::view::time_of;

/// Draws it, as far as there is one.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let Some(open) = &model.log.opened else { return };
    let (rule, dim) = (model.theme.style(Token::Rule), model.theme.style(Token::Dim));
    let dash = if model.ascii { '-' } else { '─' };
    let name = model.log.names.get(open.row.position.source as usize).map_or("", |name| name.label.as_str());
    let mut line = Line::of(buffer, area, 0);
    let time = time_of(model, open.row.time, "%Y-%m-%d %H:%M:%S%.3f");
    line.put(&format!("{dash}{dash} "), rule).put(name, model.theme.name_style(name));
    line.put(&format!(" {} run {} {time} ", open.row.channel.word(), open.row.run), dim).fill(dash, rule);
    let lines = lines(model, area.width);
    let first = open.scroll.min(beyond(lines.len(), area.height));
    for (y, spans) in (1..area.height).zip(lines.into_iter().skip(first)) {
        let mut line = Line::of(buffer, area, y);
        line.put(" ", dim);
        put(model, &open.row, &spans, &mut line);
    }
}

/// The furthest it can be scrolled.
pub fn last(model: &Model) -> usize {
    let area = super::parts(model, layout(model).pane(Pane::Logs)).opened;
    beyond(lines(model, area.width).len(), area.height)
}

fn beyond(lines: usize, height: u16) -> usize {
    lines.saturating_sub(usize::from(height.saturating_sub(1)))
}

fn lines(model: &Model, width: u16) -> Vec<Vec<Span<Look>>> {
    let Some(open) = &model.log.opened else { return Vec::new() };
    let width = usize::from(width.saturating_sub(2));
    Text::opened(&open.bytes, model.log.form).iter().flat_map(|text| text.wrapped(width)).collect()
}
