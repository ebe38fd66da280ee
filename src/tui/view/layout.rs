//! Who gets which part of the screen.

use ratatui::layout::Rect;

use crate::tui::model::{Model, Pane, Screen};
use crate::tui::problems::Listed;

/// From so many columns on, lists and log stand side by side.
pub const WIDE: u16 = 140;
/// Below this only the list is shown.
const SMALL: (u16, u16) = (60, 15);
/// Below this nothing is.
const TINY: (u16, u16) = (20, 5);
/// The lists beside the log.
const LISTS: u16 = 62;

/// The parts; an empty area is not shown. Panes have a title in their first line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Project and sums.
    pub header: Rect,
    /// By pane.
    pub panes: [Rect; 6],
    /// A column between lists and log.
    pub rule: Rect,
    /// A word of what went wrong, or of what was done.
    pub status: Rect,
    /// Keys, or what is typed.
    pub footer: Rect,
    /// What a screen for itself gets.
    pub body: Rect,
    /// There is no room for anything.
    pub tiny: bool,
}

impl Layout {
    /// The area of a pane.
    pub fn pane(&self, pane: Pane) -> Rect {
        self.panes[pane as usize]
    }

    /// The pane at a place.
    pub fn at(&self, x: u16, y: u16) -> Option<Pane> {
        Pane::ALL.into_iter().find(|pane| self.pane(*pane).contains((x, y).into()))
    }

    fn set(&mut self, pane: Pane, area: Rect) {
        self.panes[pane as usize] = area;
    }
}

/// Whether lists, log and problems have no room side by side.
pub fn is_narrow((columns, rows): (u16, u16)) -> bool {
    columns < WIDE || rows < SMALL.1
}

/// Divides the screen.
pub fn layout(model: &Model) -> Layout {
    let (columns, rows) = model.size;
    let mut layout = Layout { tiny: columns < TINY.0 || rows < TINY.1, ..Layout::default() };
    if layout.tiny {
        return layout;
    }
    layout.header = Rect::new(0, 0, columns, 1);
    layout.footer = Rect::new(0, rows - 1, columns, 1);
    layout.status = Rect::new(0, rows - 2, columns, 1);
    let body = Rect::new(0, 1, columns, rows - 3);
    layout.body = body;
    if model.screen != Screen::Dashboard {
        return layout;
    }
    let whole = model.listed() == Some(Listed::Whole);
    if model.zoom || whole || columns < SMALL.0 || rows < SMALL.1 {
        layout.set(model.focus, body);
    } else if columns >= WIDE {
        wide(model, body, &mut layout);
    } else {
        stacked(model, body, &mut layout);
    }
    layout
}

/// Rows a list would like: its title and one for each entry.
fn wish(model: &Model, vendors: bool) -> u16 {
    // The headings stand in a line of their own below the first title.
    let rows = u16::try_from(model.rows(vendors).len()).unwrap_or(u16::MAX);
    rows.saturating_add(if vendors { 1 } else { 2 })
}

fn wide(model: &Model, body: Rect, layout: &mut Layout) {
    let lists = Rect { width: LISTS, ..body };
    layout.rule = Rect { x: LISTS, width: 1, ..body };
    layout.set(Pane::Logs, Rect { x: LISTS + 1, width: body.width - LISTS - 1, ..body });
    // Problems, tests and events get a quarter each at most, the lists what is left.
    let least = (body.height / 6).max(3);
    let vendors = if model.rows(true).is_empty() { 0 } else { wish(model, true) };
    let problems = lower(model, Pane::Problems, least);
    let tests = lower(model, Pane::Tests, least);
    let events = least;
    let rest = body.height.saturating_sub(problems + tests + events);
    let vendors = vendors.min(rest / 3).max(if vendors > 0 { 3 } else { 0 });
    let mut y = lists.y;
    let mut take = |pane: Pane, height: u16| {
        let height = height.min(lists.bottom().saturating_sub(y));
        layout.set(pane, Rect { y, height, ..lists });
        y += height;
    };
    take(Pane::Services, rest.saturating_sub(vendors));
    take(Pane::Vendors, vendors);
    take(Pane::Problems, problems);
    take(Pane::Tests, tests);
    take(Pane::Events, events);
}

/// Panes that have nothing to show are their title only.
fn lower(model: &Model, pane: Pane, least: u16) -> u16 {
    let listed = if pane == Pane::Tests { Listed::Tests } else { Listed::Problems };
    let n = model.problems.rows(listed).len();
    if n == 0 { 1 } else { u16::try_from(n + 1).unwrap_or(u16::MAX).min(least * 3 / 2) }
}

fn stacked(model: &Model, body: Rect, layout: &mut Layout) {
    let lower = if matches!(model.focus, Pane::Services | Pane::Vendors) { Pane::Logs } else { model.focus };
    let half = body.height / 2;
    let upper = wish(model, false).saturating_add(if model.rows(true).is_empty() { 0 } else { wish(model, true) });
    let upper = upper.min(half).max(3);
    let vendors = if model.rows(true).is_empty() { 0 } else { wish(model, true).min(upper / 3).max(2) };
    layout.set(Pane::Services, Rect { height: upper - vendors, ..body });
    layout.set(Pane::Vendors, Rect { y: body.y + upper - vendors, height: vendors, ..body });
    layout.set(lower, Rect { y: body.y + upper, height: body.height - upper, ..body });
}
