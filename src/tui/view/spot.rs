//! What is at a place of the screen. It asks the functions that draw, so that nothing is ever clicked but what is seen.

use super::layout::{Layout, layout};
use super::{footer, help, lists, log, marks, output, problems, shown};
use crate::tui::actions::Action;
use crate::tui::model::{Model, Pane, Popup, Screen};

/// What can be pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Nothing that answers.
    Nothing,
    /// A pane: its title, or room that is empty.
    Pane(Pane),
    /// A row of a list.
    Row(Pane, usize),
    /// The sign before a service of several copies, in this row.
    Fold(Pane, usize),
    /// A line of the log: its index in the window.
    Line(usize),
    /// The line that is open, whole.
    Opened,
    /// The bar beside the log: which of its rows, and how many there are.
    Bar {
        /// From 0 on.
        row: u16,
        /// So many.
        rows: u16,
    },
    /// A key in the footer.
    Hint(Action),
    /// The answer to a question: yes, or no.
    Answer(bool),
    /// A completion of what is being typed.
    Candidate(usize),
    /// The list of keys.
    Help,
    /// What a command prints.
    Output,
    /// What is said of a problem, below their list.
    Source(Pane),
    /// A row of the list of marks; `None` beside them.
    Mark(Option<usize>),
    /// Beside what lies over the screen.
    Beside,
    /// A screen for itself.
    Screen,
}

/// What is there.
pub fn at(model: &Model, x: u16, y: u16) -> Spot {
    let layout = layout(model);
    if layout.tiny {
        return Spot::Nothing;
    }
    let place = (x, y).into();
    match &model.popup {
        Some(Popup::Confirm { question, .. } | Popup::Leave(question)) => {
            let [yes, no] = footer::answers(question, layout.footer);
            return match () {
                () if yes.contains(place) => Spot::Answer(true),
                () if no.contains(place) => Spot::Answer(false),
                () => Spot::Nothing,
            };
        }
        Some(Popup::Help(_)) => return if help::area(model).contains(place) { Spot::Help } else { Spot::Beside },
        Some(Popup::Output { .. }) => {
            return if output::area(model).contains(place) { Spot::Output } else { Spot::Beside };
        }
        Some(Popup::Marks(_)) => {
            return if marks::area(model).contains(place) { Spot::Mark(marks::at(model, x, y)) } else { Spot::Beside };
        }
        None => {}
    }
    if let Some(prompt) = &model.prompt {
        let (area, shown) = footer::candidates(model, prompt, &layout);
        if area.contains(place) {
            return shown.get(usize::from(y - area.y)).map_or(Spot::Nothing, |(at, _)| Spot::Candidate(*at));
        }
    }
    if layout.footer.contains(place) {
        let hints = footer::hints(model, layout.footer);
        let found = hints.iter().find(|hint| model.prompt.is_none() && hint.area.contains(place));
        return found.map_or(Spot::Nothing, |hint| Spot::Hint(hint.action));
    }
    match model.screen {
        Screen::Dashboard => layout.at(x, y).map_or(Spot::Nothing, |pane| in_pane(model, &layout, pane, x, y)),
        Screen::Detail(_) | Screen::Graph if layout.body.contains(place) => Spot::Screen,
        Screen::Detail(_) | Screen::Graph => Spot::Nothing,
    }
}

fn in_pane(model: &Model, layout: &Layout, pane: Pane, x: u16, y: u16) -> Spot {
    if pane == Pane::Logs {
        return in_log(model, layout, x, y);
    }
    let area = layout.pane(pane);
    if matches!(pane, Pane::Problems | Pane::Tests) && problems::source_area(model, area, pane).contains((x, y).into())
    {
        return Spot::Source(pane);
    }
    let Some(row) = shown::of(model, layout, pane).and_then(|shown| shown.at(x, y)) else { return Spot::Pane(pane) };
    match lists::fold_column(model, area, pane, row) {
        Some(column) if column == x => Spot::Fold(pane, row),
        _ => Spot::Row(pane, row),
    }
}

fn in_log(model: &Model, layout: &Layout, x: u16, y: u16) -> Spot {
    let parts = log::parts(model, layout.pane(Pane::Logs));
    let place = (x, y).into();
    if parts.bar.contains(place) {
        return Spot::Bar { row: y - parts.bar.y, rows: parts.bar.height };
    }
    if parts.opened.contains(place) {
        return Spot::Opened;
    }
    let line = parts.lines.contains(place).then(|| model.log.screen().get(usize::from(y - parts.lines.y)).copied());
    line.flatten().map_or(Spot::Pane(Pane::Logs), |(at, _)| Spot::Line(at))
}
