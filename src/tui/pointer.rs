//! What the mouse is doing: a click that may become a double one, and what is being dragged. Pure.

use super::model::Pane;
use crate::logs::index::Position;

/// Two clicks on one thing within this time are a double click, in microseconds.
const DOUBLE: i64 = 400_000;

/// What can be clicked twice. Rows are known by what they show, since lists move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A row of a list.
    Row(Pane, String),
    /// A line of the log.
    Line(Position),
    /// A mark in the list of marks.
    Mark(char),
}

/// What is being dragged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drag {
    /// Lines of the log, from this one on.
    Lines {
        /// Where it began.
        from: Position,
        /// The column in which it began.
        x: u16,
        /// The pointer has moved so far that it is no click.
        begun: bool,
        /// The pointer is above the pane (-1) or below it (1): the pane scrolls.
        edge: isize,
    },
    /// The bar beside the log.
    Bar,
}

/// What the mouse is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    /// The last click, and when it was, in microseconds since 1970.
    last: Option<(Thing, i64)>,
    /// What is being dragged.
    pub drag: Option<Drag>,
}

impl Pointer {
    /// Takes a click; true where it is the second of two. A third one begins anew.
    pub fn click(&mut self, thing: Thing, now: i64) -> bool {
        let within = |at: i64| (0..=DOUBLE).contains(&now.saturating_sub(at));
        let double = self.last.take().is_some_and(|(last, at)| last == thing && within(at));
        self.last = (!double).then_some((thing, now));
        double
    }

    /// Lines are being dragged: the click that began it is none.
    pub fn drag_lines(&mut self, from: Position, x: u16, edge: isize) {
        self.last = None;
        self.drag = Some(Drag::Lines { from, x, begun: true, edge });
    }

    /// Which way the log scrolls because lines are dragged beyond it; 0 where they are not.
    pub fn edge(&self) -> isize {
        match self.drag {
            Some(Drag::Lines { edge, .. }) => edge,
            Some(Drag::Bar) | None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quick_clicks_on_one_thing_are_a_double_click() {
        let row = |name: &str| Thing::Row(Pane::Services, name.to_owned());
        let mut pointer = Pointer::default();
        assert!(!pointer.click(row("api"), 1_000_000));
        assert!(!pointer.click(row("web"), 1_100_000));
        assert!(pointer.click(row("web"), 1_500_000));
        assert!(!pointer.click(row("web"), 1_600_000));
        assert!(!pointer.click(row("web"), 2_000_001));
        // A clock that was set back proves nothing.
        assert!(!pointer.click(row("web"), 1_000_000));
    }
}
