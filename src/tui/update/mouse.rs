//! What the mouse does. What it points at is told by `view::spot`, which asks what draws.

use super::{acts, custom, log, moves, prompt};
use crate::tui::keys::{Code, Key};
use crate::tui::log::LogCmd;
use crate::tui::model::{Model, Pane, Popup};
use crate::tui::msg::Cmd;
use crate::tui::pointer::{Drag, Thing};
use crate::tui::view::layout::layout;
use crate::tui::view::log::parts;
use crate::tui::view::shown;
use crate::tui::view::spot::{self, Spot};

/// So many columns in one line are no drag yet: hands tremble.
const TREMBLE: u16 = 2;

/// Scrolls what is below the pointer; the focus stays where it is.
pub(super) fn wheel(model: &mut Model, x: u16, y: u16, by: isize) -> Vec<Cmd> {
    match spot::at(model, x, y) {
        Spot::Row(pane, _) | Spot::Fold(pane, _) | Spot::Pane(pane) if pane != Pane::Logs => scroll(model, pane, by),
        Spot::Row(..) | Spot::Fold(..) | Spot::Pane(_) | Spot::Line(_) | Spot::Bar { .. } => model.log.scroll(by),
        Spot::Opened => log::scroll_opened(model, by),
        Spot::Screen => moves::go(model, |at, _| at.saturating_add_signed(by)),
        Spot::Help => prompt::scroll_help(model, by),
        Spot::Output => custom::scroll(model, by),
        Spot::Source(_) => model.problems.scroll = model.problems.scroll.saturating_add_signed(by),
        Spot::Mark(_) => prompt::choose_mark(model, by),
        Spot::Candidate(_) => prompt::next_candidate(model, by.signum()),
        Spot::Hint(_) | Spot::Answer(_) | Spot::Beside | Spot::Nothing => {}
    }
    Vec::new()
}

fn scroll(model: &mut Model, pane: Pane, by: isize) {
    let Some(shown) = shown::of(model, &layout(model), pane) else { return };
    let ids = model.ids(pane);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    if let Some(list) = model.list_of(pane) {
        list.scroll(by, usize::from(shown.area.height), &ids);
    }
}

/// The button went down.
pub(super) fn click(model: &mut Model, x: u16, y: u16) -> Vec<Cmd> {
    (model.pointer.drag, model.log.letter, model.count) = (None, None, None);
    match spot::at(model, x, y) {
        Spot::Pane(pane) | Spot::Source(pane) => moves::focus(model, pane),
        Spot::Row(pane, at) => return row(model, pane, at),
        Spot::Fold(pane, at) => return fold(model, pane, at),
        Spot::Line(at) => return line(model, at, x),
        Spot::Opened => moves::focus(model, Pane::Logs),
        Spot::Bar { row, rows } => {
            moves::focus(model, Pane::Logs);
            model.pointer.drag = Some(Drag::Bar);
            return jump(model, row, rows);
        }
        Spot::Hint(action) => return acts::act(model, action),
        Spot::Answer(yes) => return super::key_pressed(model, Key::char(if yes { 'y' } else { 'n' })),
        Spot::Candidate(at) => prompt::take_candidate(model, at),
        Spot::Mark(Some(at)) => {
            model.popup = Some(Popup::Marks(at));
            let letter = model.log.marks.keys().nth(at).copied();
            if letter.is_some_and(|letter| model.pointer.click(Thing::Mark(letter), model.now)) {
                return enter(model);
            }
        }
        Spot::Beside => model.popup = None,
        Spot::Mark(None) | Spot::Help | Spot::Output | Spot::Screen | Spot::Nothing => {}
    }
    Vec::new()
}

/// What the key does on what is selected.
fn enter(model: &mut Model) -> Vec<Cmd> {
    super::key_pressed(model, Key::plain(Code::Enter))
}

/// Puts the cursor on a row; true where it was there.
fn select(model: &mut Model, pane: Pane, at: usize) -> bool {
    moves::focus(model, pane);
    let ids = model.ids(pane);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let Some(list) = model.list_of(pane) else { return false };
    let was = list.at == at;
    list.go(at, &ids);
    model.problems.scroll = 0;
    was
}

fn row(model: &mut Model, pane: Pane, at: usize) -> Vec<Cmd> {
    let Some(id) = model.ids(pane).into_iter().nth(at) else { return Vec::new() };
    select(model, pane, at);
    if model.pointer.click(Thing::Row(pane, id), model.now) { enter(model) } else { Vec::new() }
}

fn fold(model: &mut Model, pane: Pane, at: usize) -> Vec<Cmd> {
    let focused = model.focus == pane;
    if select(model, pane, at) && focused {
        moves::fold(model);
    }
    Vec::new()
}

fn line(model: &mut Model, at: usize, x: u16) -> Vec<Cmd> {
    let Some(position) = model.log.window.rows.get(at).map(|row| row.position) else { return Vec::new() };
    moves::focus(model, Pane::Logs);
    model.log.point(at);
    if model.pointer.click(Thing::Line(position), model.now) {
        // Another line is opened at once; the same one is closed.
        model.log.opened.take_if(|open| open.row.position != position);
        return enter(model);
    }
    model.pointer.drag = Some(Drag::Lines { from: position, x, begun: false, edge: 0 });
    Vec::new()
}

/// The mouse was moved while its button is down.
pub(super) fn drag(model: &mut Model, x: u16, y: u16) -> Vec<Cmd> {
    let parts = parts(model, layout(model).pane(Pane::Logs));
    let (from, x0, begun) = match model.pointer.drag {
        Some(Drag::Lines { from, x, begun, .. }) if !parts.lines.is_empty() => (from, x, begun),
        Some(Drag::Bar) if !parts.bar.is_empty() => {
            let row = y.clamp(parts.bar.y, parts.bar.bottom() - 1) - parts.bar.y;
            return jump(model, row, parts.bar.height);
        }
        _ => return Vec::new(),
    };
    let edge = isize::from(y >= parts.lines.bottom()) - isize::from(y < parts.lines.y);
    let screen = model.log.screen();
    let row = usize::from(y.clamp(parts.lines.y, parts.lines.bottom() - 1) - parts.lines.y);
    // Below the last line there is nothing else to select.
    let Some((at, _)) = screen.get(row).or(screen.last()).copied() else { return Vec::new() };
    let here = model.log.window.rows.get(at).map(|row| row.position);
    if !begun && here == Some(from) && edge == 0 && x.abs_diff(x0) < TREMBLE {
        return Vec::new();
    }
    model.log.other = Some(from);
    model.pointer.drag_lines(from, x0, edge);
    match edge {
        0 => model.log.point(at),
        _ => beyond(model, edge),
    }
    Vec::new()
}

/// Scrolls by a row, and selects what comes into sight.
fn beyond(model: &mut Model, edge: isize) {
    model.log.shift(edge);
    let page = model.log.page();
    let end = if edge < 0 { page.rows.first() } else { page.rows.last() };
    if let Some((at, _)) = end {
        model.log.point(*at);
    }
}

/// A moment has passed.
pub(super) fn beat(model: &mut Model) -> Vec<Cmd> {
    match model.pointer.edge() {
        0 => {}
        edge => beyond(model, edge),
    }
    Vec::new()
}

/// The button went up: what was selected is copied.
pub(super) fn release(model: &mut Model) -> Vec<Cmd> {
    let Some(Drag::Lines { begun: true, .. }) = model.pointer.drag.take() else { return Vec::new() };
    let selected = model.log.selected();
    model.log.other = None;
    selected.map(|(first, last)| Cmd::Log(LogCmd::Copy(first, last))).into_iter().collect()
}

/// To a row of the bar; its ends are the ends of the log.
fn jump(model: &mut Model, row: u16, rows: u16) -> Vec<Cmd> {
    match row {
        _ if row + 1 >= rows => model.log.bottom(),
        0 => model.log.top(),
        _ => return vec![Cmd::Log(LogCmd::Bar { row, rows })],
    }
    Vec::new()
}
