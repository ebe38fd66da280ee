//! Who gets which part of the log pane.

use ratatui::layout::Rect;

use crate::tui::model::Model;
use crate::tui::view::shown::below_title;

/// The strip of rates: a rule, lines and errors.
const RATES: u16 = 3;
/// It is shown below so many rows of lines, and in a zoomed pane below so many.
const HIGH: [u16; 2] = [30, 12];
/// A pane that is narrower has no bar.
const NARROW: u16 = 30;

/// The parts; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Lines of the log.
    pub lines: Rect,
    /// Where they are in the whole log, at their right.
    pub bar: Rect,
    /// The line that is open, whole.
    pub opened: Rect,
    /// How much is written.
    pub rates: Rect,
}

/// Divides the pane.
pub fn parts(model: &Model, area: Rect) -> Parts {
    let mut parts = Parts::default();
    let mut body = below_title(area);
    let mut take = |height: u16| {
        let height = height.min(body.height);
        body.height -= height;
        Rect { y: body.bottom(), height, ..body }
    };
    let enough = HIGH[usize::from(model.zoom)] + RATES;
    if area.height > enough && !model.log.rates.is_empty() {
        parts.rates = take(RATES);
    }
    if model.log.opened.is_some() {
        let rest = area.height.saturating_sub(1 + parts.rates.height);
        parts.opened = take((rest / 2).max(3));
    }
    let bar = u16::from(area.width >= NARROW);
    parts.bar = Rect { x: body.right() - bar, width: bar, ..body };
    parts.lines = Rect { width: body.width - bar, ..body };
    parts
}
