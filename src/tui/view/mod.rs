//! Draws the model. Pure: the same model gives the same cells.

pub mod detail;
pub mod events;
pub mod footer;
pub mod graph;
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

use super::fleet::Tone;
use super::model::{Link, Model, Pane, Screen};
use super::theme::Token;
use crate::text;
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
    header(model, buffer, layout.header);
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

/// Project, counts, sums and the clock.
fn header(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = &model.theme;
    let plain = theme.style(Token::Text);
    let dim = theme.style(Token::Dim);
    let mut line = Line::of(buffer, area, 0);
    line.put(" orchestra ", theme.style(Token::Accent).add_modifier(Modifier::BOLD)).put(&model.project, plain);
    for (tone, n) in model.fleet.counts() {
        let word = match tone {
            Tone::Good => "up",
            Tone::Wait => "pending",
            Tone::Bad => "failed",
            Tone::Off => "off",
        };
        if n > 0 || tone == Tone::Good {
            let text = format!("  {}{n} {word}", tone.glyph(model.ascii));
            line.put(&text, theme.style(tone.token()));
        }
    }
    let total = model.fleet.total();
    line.put(&format!("   cpu {:.0}%  mem {}", total.cpu, text::size(total.memory)), dim);
    match &model.link {
        Link::Up => line.put(&watching(model), dim),
        Link::Unknown => line.put("   asking …", dim),
        Link::Down => line.put("   no supervisor", theme.style(Token::Warn)),
        Link::Trouble(trouble) => line.put("   ", dim).put(trouble, theme.style(Token::Bad)),
    };
    line.right(&format!(" {} ", time_of(model, model.now, "%H:%M")), dim);
}

fn watching(model: &Model) -> String {
    let n = model.fleet.services(false).filter(|service| service.rerun).count();
    if n > 0 { format!("   watching {n}") } else { String::new() }
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
