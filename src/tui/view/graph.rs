//! Who depends on whom, and why the chosen service waits.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::layout;
use super::paint::{Line, restyle};
use crate::text;
use crate::tui::fleet::Tone;
use crate::tui::graph::place::{EAST, NORTH, SOUTH, WEST};
use crate::tui::graph::scene::{Layered, Scene, at_row, scene, slow};
use crate::tui::graph::tree::Row;
use crate::tui::graph::{Form, Light, why};
use crate::tui::model::Model;
use crate::tui::theme::Token;

/// The symbols of lines by the sides they go to.
const LINES: [char; 16] = [' ', '╵', '╶', '└', '╷', '│', '┌', '├', '╴', '┘', '─', '┴', '┐', '┤', '┬', '┼'];

/// The title, the graph, and why.
fn parts(area: Rect) -> (Rect, Rect, Rect) {
    let why = match area.height {
        0..=7 => 0,
        8..=13 => 3,
        height => (height / 4).clamp(5, 12),
    };
    let title = Rect { height: area.height.min(1), ..area };
    let body = Rect { y: area.y + title.height, height: area.height - title.height - why, ..area };
    (title, body, Rect { y: body.bottom(), height: why, ..area })
}

/// Columns and rows of the graph.
pub fn room(model: &Model) -> (usize, usize) {
    let (_, body, _) = parts(layout::layout(model).body);
    (usize::from(body.width.saturating_sub(1)), usize::from(body.height))
}

/// Draws the screen.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let (title, body, reasons) = parts(area);
    let room = (usize::from(body.width.saturating_sub(1)), usize::from(body.height));
    let scene = scene(model, room.0, room.1);
    head(model, &scene, &mut Line::of(buffer, title, 0));
    match &scene {
        Scene::Layers(layered) => layers(model, layered, buffer, body),
        Scene::Tree(rows) => tree(model, rows, buffer, body),
    }
    because(model, buffer, reasons);
}

fn head(model: &Model, scene: &Scene, line: &mut Line<'_>) {
    let (dim, accent) = (model.theme.style(Token::Dim), model.theme.style(Token::Accent));
    let n = model.fleet.ps.as_ref().map_or(0, |ps| ps.services.len());
    line.put(" Graph", accent.add_modifier(Modifier::BOLD)).put(&format!("  {n} services"), dim);
    let form = match (scene, model.graph.form) {
        (Scene::Layers(_), _) => "who is needed stands left of who needs it",
        (Scene::Tree(_), Form::Fitting | Form::Layers | Form::Tree) => "below each stands what it needs",
    };
    let light = match model.graph.light {
        Light::All => "",
        Light::Needs => "  bright: all it needs",
        Light::Dependents => "  bright: all that needs it",
    };
    if let Some(slow) = slow(model) {
        line.put("  slow start: ", dim).put(&slow, model.theme.style(Token::Text));
    }
    line.put(&format!("  {form}"), dim).put(light, accent);
}

/// The window of so many cells that shows a place and as little else of what is beyond the edges as can be.
fn window(at: usize, len: usize, room: usize) -> usize {
    at.saturating_sub(room / 2).min(len.saturating_sub(room))
}

fn layers(model: &Model, layered: &Layered, buffer: &mut Buffer, area: Rect) {
    // One column is left free at the left.
    let area = Rect { x: area.x + area.width.min(1), width: area.width.saturating_sub(1), ..area };
    let chosen = layered.names.iter().position(|name| Some(name) == model.graph.chosen.as_ref());
    let place = chosen.map(|at| layered.layers.places[at]).unwrap_or_default();
    let left = window(place.x, layered.layers.width, usize::from(area.width));
    let above = window(place.y, layered.layers.height, usize::from(area.height));
    let seen = |x: usize, y: usize| -> Option<(u16, u16)> {
        let x = u16::try_from(x.checked_sub(left)?).ok().filter(|x| *x < area.width)?;
        let y = u16::try_from(y.checked_sub(above)?).ok().filter(|y| *y < area.height)?;
        Some((area.x + x, area.y + y))
    };
    let lit = model.graph.lit();
    for ((x, y), (sides, bright)) in lines(layered, chosen, lit.as_ref()) {
        let Some(cell) = seen(x, y).and_then(|at| buffer.cell_mut(at)) else { continue };
        let style = model.theme.style(if bright { Token::Accent } else { Token::Rule });
        cell.set_char(symbol(sides, model.ascii)).set_style(style);
    }
    for (at, place) in layered.layers.places.iter().enumerate() {
        let Some(y) = place.y.checked_sub(above).and_then(|y| u16::try_from(y).ok()).filter(|y| *y < area.height)
        else {
            continue;
        };
        let Some(x) = place.x.checked_sub(left).and_then(|x| u16::try_from(x).ok()).filter(|x| *x < area.width) else {
            continue;
        };
        let width = u16::try_from(layered.widths[at]).unwrap_or(u16::MAX).min(area.width - x);
        let own = Rect { x: area.x + x, y: area.y + y, width, height: 1 };
        node(model, layered, at, lit.as_ref(), &mut Line::of(buffer, own, 0));
        if Some(at) == chosen {
            restyle(buffer, own, 0, model.theme.selected());
        }
    }
}

/// The lines by cell, with whether one of them is of the chosen service or joins two that are lit.
fn lines(
    layered: &Layered,
    chosen: Option<usize>,
    lit: Option<&BTreeSet<&str>>,
) -> BTreeMap<(usize, usize), (u8, bool)> {
    let is_lit = |at: usize| lit.is_some_and(|lit| lit.contains(layered.names[at].as_str()));
    let needed = |at: usize| chosen.is_some_and(|chosen| layered.needs[chosen].contains(&at));
    let mut cells: BTreeMap<(usize, usize), (u8, bool)> = BTreeMap::new();
    for cell in &layered.layers.cells {
        let bright = match (lit, cell.to) {
            (Some(_), Some(to)) => is_lit(cell.of) && is_lit(to),
            (Some(_), None) => {
                is_lit(cell.of)
                    && layered.needs.iter().enumerate().any(|(at, needs)| needs.contains(&cell.of) && is_lit(at))
            }
            (None, Some(to)) => chosen == Some(cell.of) || chosen == Some(to) && needed(cell.of),
            (None, None) => chosen == Some(cell.of) || needed(cell.of),
        };
        let known = cells.entry((cell.x, cell.y)).or_default();
        *known = (known.0 | cell.sides, known.1 | bright);
    }
    cells
}

fn symbol(sides: u8, ascii: bool) -> char {
    match (ascii, sides) {
        (false, sides) => LINES[usize::from(sides & 15)],
        (true, sides) if sides & (NORTH | SOUTH) == 0 => '-',
        (true, sides) if sides & (EAST | WEST) == 0 => '|',
        (true, _) => '+',
    }
}

/// Glyph, name and note of a service.
fn node(model: &Model, layered: &Layered, at: usize, lit: Option<&BTreeSet<&str>>, line: &mut Line<'_>) {
    let name = &layered.names[at];
    let tone = model.fleet.service(name).map_or(Tone::Off, |service| Tone::of(&service.state));
    let dark = lit.is_some_and(|lit| !lit.contains(name.as_str()));
    let style = |token: Token| model.theme.style(if dark { Token::Dim } else { token });
    line.put(&tone.glyph(model.ascii).to_string(), style(tone.token())).put(" ", Style::new());
    let note = u16::try_from(layered.note).unwrap_or(0);
    let beside = if note > 0 { note + 1 } else { 0 };
    let room = line.room().saturating_sub(beside);
    line.cell(name, room, false, style(Token::Text));
    if note > 0 {
        let token = if tone == Tone::Good { Token::Dim } else { tone.token() };
        line.put(" ", Style::new()).cell(&layered.note(model, at), note, false, style(token));
    }
}

fn tree(model: &Model, rows: &[Row], buffer: &mut Buffer, area: Rect) {
    if rows.is_empty() {
        let text = if model.fleet.ps.as_ref().is_some_and(|ps| ps.services.is_empty()) {
            " no services"
        } else {
            " asking …"
        };
        Line::of(buffer, area, 0).put(text, model.theme.style(Token::Dim));
        return;
    }
    let at = at_row(rows, model.graph.chosen.as_deref(), model.graph.row).unwrap_or(0);
    let first = window(at, rows.len(), usize::from(area.height));
    let lit = model.graph.lit();
    for (y, (n, row)) in (0..area.height).zip(rows.iter().enumerate().skip(first)) {
        let dark = lit.as_ref().is_some_and(|lit| !lit.contains(row.name.as_str()));
        let style = |token: Token| model.theme.style(if dark { Token::Dim } else { token });
        let mut line = Line::of(buffer, area, y);
        line.put(" ", Style::new()).put(&row.branch, model.theme.style(Token::Rule));
        line.put(&format!("{} {}", row.tone.glyph(model.ascii), row.name), style(row.tone.token()));
        line.put(&format!("  {}", row.state), model.theme.style(Token::Dim));
        line.put(&row.note, style(if row.tone == Tone::Good { Token::Dim } else { Token::Warn }));
        if n == at {
            restyle(buffer, area, y, model.theme.selected());
        }
    }
}

/// Why the chosen service is as it is.
fn because(model: &Model, buffer: &mut Buffer, area: Rect) {
    let Some(chosen) = model.graph.chosen.as_deref().filter(|_| area.height > 0) else { return };
    let (dim, rule) = (model.theme.style(Token::Dim), model.theme.style(Token::Rule));
    let dash = if model.ascii { '-' } else { '─' };
    let mut line = Line::of(buffer, area, 0);
    line.put(&format!("{dash}{dash} "), rule).put("why: ", dim);
    line.put(&text::cut(&text::clean(chosen), 60), model.theme.style(Token::Accent)).put(" ", rule).fill(dash, rule);
    let lines = why::lines(&model.graph.needs, &model.fleet, chosen, model.now);
    let rows = usize::from(area.height - 1);
    for (row, (at, said)) in (1..area.height).zip(lines.iter().enumerate()) {
        let mut line = Line::of(buffer, area, row);
        if at + 1 == rows && lines.len() > rows {
            line.put(&format!("   … {} more; Enter shows everything", lines.len() - at), dim);
            return;
        }
        line.put(&" ".repeat(1 + 2 * said.depth), dim);
        line.put(&format!("{} ", said.tone.glyph(model.ascii)), model.theme.style(said.tone.token()));
        line.put(&said.text, model.theme.style(Token::Text));
    }
}
