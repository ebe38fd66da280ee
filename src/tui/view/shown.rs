//! Which rows of a list are on the screen, and where: asked by whoever draws them and by whoever is clicked.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{events, lists, problems};
use crate::tui::model::{List, Model, Pane};

/// The rows of a list that are on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where they are.
    pub area: Rect,
    /// The first of them.
    pub first: usize,
    /// How many rows the list has.
    pub len: usize,
}

impl Shown {
    /// A list of so many rows in an area.
    pub fn of(area: Rect, list: &List, len: usize) -> Shown {
        Shown { area, first: list.first(usize::from(area.height), len), len }
    }

    /// Each row with its line in the area.
    pub fn rows(&self) -> impl Iterator<Item = (usize, u16)> {
        (self.first..self.len).zip(0..self.area.height)
    }

    /// The row at a place of the screen.
    pub fn at(&self, x: u16, y: u16) -> Option<usize> {
        let inside = self.area.contains((x, y).into());
        let row = inside.then(|| self.first + usize::from(y - self.area.y))?;
        (row < self.len).then_some(row)
    }
}

/// The rows of a pane; `None` for the log, which is no list.
pub fn of(model: &Model, layout: &Layout, pane: Pane) -> Option<Shown> {
    let area = layout.pane(pane);
    match pane {
        Pane::Services | Pane::Vendors => Some(lists::shown(model, area, pane)),
        Pane::Problems | Pane::Tests => Some(problems::shown(model, area, pane)),
        Pane::Events => Some(events::shown(model, area)),
        Pane::Logs => None,
    }
}

/// What is below the title of a pane.
pub fn below_title(area: Rect) -> Rect {
    let title = area.height.min(1);
    Rect { y: area.y + title, height: area.height - title, ..area }
}
