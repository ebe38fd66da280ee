//! Draws the model. Pure: the same model gives the same cells.

pub mod chart;
pub mod detail;
pub mod events;
pub mod footer;
pub mod graph;
pub mod header;
pub mod help;
pub mod layout;
pub mod lists;
pub mod log;
pub mod marks;
pub mod output;
pub mod paint;
pub mod problems;
pub mod shown;
pub mod spot;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::model::{Model, Pane, Screen};
use super::theme::Token;
use layout::Layout;
use paint::Line;

/// Draws everything; where the cursor stands, where it is shown.
pub fn draw(model: &Model, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let layout = layout::layout(model);
    if layout.tiny {
        let area = buffer.area;
        Line::of(buffer, area, 0).put("too small", model.theme.style(Token::Text));
        return None;
    }
    header::draw(model, buffer, layout.header);
    match &model.screen {
        Screen::Dashboard => panes(model, buffer, &layout),
        Screen::Detail(detail) => detail::draw(model, detail, buffer, layout.body),
        Screen::Graph => graph::draw(model, buffer, layout.body),
    }
    footer::status(model, buffer, layout.status);
    let cursor = footer::draw(model, buffer, &layout);
    help::popup(model, buffer);
    marks::popup(model, buffer);
    output::popup(model, buffer);
    cursor
}

fn panes(model: &Model, buffer: &mut Buffer, layout: &Layout) {
    let rule = if model.ascii { "|" } else { "│" };
    for y in layout.rule.rows() {
        Line::of(buffer, y, 0).put(rule, model.theme.style(Token::Rule));
    }
    lists::draw(model, buffer, layout.pane(Pane::Services), Pane::Services);
    lists::draw(model, buffer, layout.pane(Pane::Vendors), Pane::Vendors);
    problems::draw(model, buffer, layout.pane(Pane::Problems), Pane::Problems);
    problems::draw(model, buffer, layout.pane(Pane::Tests), Pane::Tests);
    events::draw(model, buffer, layout.pane(Pane::Events));
    log::draw(model, buffer, layout.pane(Pane::Logs));
}

/// The first line of a pane: its number, its name, and what else there is to say.
pub fn title(model: &Model, buffer: &mut Buffer, area: Rect, pane: Pane, name: &str, more: &str) {
    let rule = model.theme.style(Token::Rule);
    let focused = model.focus == pane;
    let style = match focused {
        true => model.theme.style(Token::Accent).add_modifier(Modifier::BOLD),
        false => model.theme.style(Token::Dim),
    };
    let mut line = Line::of(buffer, area, 0);
    let dash = if model.ascii { '-' } else { '─' };
    line.put(&format!("{dash}{dash}"), rule);
    line.put(&format!("[{}] {name}", pane.number()), style);
    if !more.is_empty() {
        line.put("  ", rule).put(more, model.theme.style(Token::Dim));
    }
    line.put(" ", rule).fill(dash, rule);
}

/// A moment in the time of this place, by a format of strftime.
pub fn time_of(model: &Model, us: i64, format: &str) -> String {
    let moment = jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.to_zoned(model.zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod mouse_tests;
#[cfg(test)]
mod tests;
