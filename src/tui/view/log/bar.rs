//! The bar beside the log: where the screen is in the whole of it, and where errors, hits and marks are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::logs::index::Tick;
use crate::tui::model::Model;
use crate::tui::theme::Token;
use crate::tui::view::paint::Line;

/// Draws the bar.
pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    let pane = &model.log;
    let rows = u64::from(area.height);
    let page = pane.page();
    let before = pane.window.n_before + page.rows.first().map_or(0, |(at, _)| *at as u64);
    let (shown, all) = (page.rows.len() as u64, pane.window.n_wanted());
    if shown >= all || rows == 0 {
        return;
    }
    // At least one row, and at the end only where nothing is below.
    let height = (shown * rows / all).max(1);
    let top = (before * rows / all).min(rows - height);
    let (track, thumb) = if model.ascii { ("|", "#") } else { ("│", "┃") };
    for row in 0..area.height {
        let inside = (top..top + height).contains(&u64::from(row));
        let tick = pane.bar.ticks.get(usize::from(row)).copied().unwrap_or_default();
        let letter =
            pane.bar.marks.iter().find(|(_, part)| row_of(*part, area.height) == row).map(|(letter, _)| letter);
        let (sign, token) = match (letter, tick) {
            (Some(letter), _) => (letter.to_string(), Token::Accent),
            (None, Tick { hit: true, .. }) => ("*".to_owned(), Token::Hit),
            (None, Tick { error: true, .. }) => (if model.ascii { "!" } else { "━" }.to_owned(), Token::Bad),
            (None, Tick { .. }) if inside => (thumb.to_owned(), Token::Text),
            (None, Tick { .. }) => (track.to_owned(), Token::Rule),
        };
        let style = model.theme.style(token);
        let style = if inside && sign != thumb { style.add_modifier(Modifier::REVERSED) } else { style };
        Line::of(buffer, area, row).put(&sign, style);
    }
}

/// The row of a part of all lines.
fn row_of(part: f64, rows: u16) -> u16 {
    ((part * f64::from(rows)) as u16).min(rows.saturating_sub(1))
}
