//! The marked lines of the log, to go to one of them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::help::{frame, inside};
use super::paint::{Line, restyle};
use super::shown::Shown;
use super::time_of;
use crate::tui::model::{List, Model, Popup};
use crate::tui::theme::Token;

/// Where the list is drawn: as high as it is long.
pub fn area(model: &Model) -> Rect {
    let (columns, rows) = model.size;
    let wanted = u16::try_from(model.log.marks.len()).unwrap_or(u16::MAX).saturating_add(2);
    let (width, height) = (columns.min(100), wanted.min(rows.saturating_sub(2)));
    Rect::new((columns - width) / 2, (rows - height) / 2, width, height)
}

fn shown(model: &Model) -> Option<(usize, Shown)> {
    let Some(Popup::Marks(at)) = model.popup else { return None };
    let list = List { at, ..List::default() };
    Some((at, Shown::of(inside(area(model)), &list, model.log.marks.len())))
}

/// The number of the mark at a place of the screen.
pub fn at(model: &Model, x: u16, y: u16) -> Option<usize> {
    shown(model).and_then(|(_, shown)| shown.at(x, y))
}

/// Draws the list over everything else, where it is open.
pub fn popup(model: &Model, buffer: &mut Buffer) {
    let Some((current, shown)) = shown(model) else { return };
    frame(model, buffer, area(model), " Marks: enter or the letter goes there, x forgets, esc closes ");
    let (plain, dim) = (model.theme.style(Token::Text), model.theme.style(Token::Dim));
    for ((at, y), (letter, mark)) in shown.rows().zip(model.log.marks.iter().skip(shown.first)) {
        let name = model.log.names.get(mark.position.source as usize);
        let (label, style) = name.map_or(("", dim), |name| (&*name.label, model.theme.name_style(&name.service)));
        let mut line = Line::of(buffer, shown.area, y);
        line.put(&format!("{letter} "), model.theme.style(Token::Accent));
        line.put(&format!("{} ", time_of(model, mark.time, "%m-%d %H:%M:%S")), dim);
        line.cell(label, model.log.label_width(), false, style).put(" ", plain).put(&mark.text, plain);
        if at == current {
            restyle(buffer, shown.area, y, model.theme.selected());
        }
    }
}
