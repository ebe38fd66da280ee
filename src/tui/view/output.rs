//! What a command of the project prints, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::log;
use super::paint::Line;
use crate::logs::ansi;
use crate::text;
use crate::tui::custom::{Run, State};
use crate::tui::fleet::Tone;
use crate::tui::model::{Model, Popup};
use crate::tui::theme::Token;

/// Where it is drawn.
pub fn area(model: &Model) -> Rect {
    let (columns, rows) = model.size;
    let (width, height) = (columns.min(140), rows.saturating_sub(2).clamp(1, 40));
    Rect::new((columns - width) / 2, (rows - height) / 2, width, height)
}

/// Draws it, where it is open.
pub fn popup(model: &Model, buffer: &mut Buffer) {
    let Some(Popup::Output { run, up }) = model.popup else { return };
    let Some(run) = model.runs.get(run) else { return };
    let area = area(model);
    let height = area.height;
    let (plain, rule) = (model.theme.style(Token::Text), model.theme.style(Token::Rule));
    for row in 0..height {
        Line::of(buffer, area, row).fill(' ', plain);
    }
    let dash = if model.ascii { '-' } else { '─' };
    head(model, run, &mut Line::of(buffer, area, 0), dash);
    let inner = Rect { y: area.y + 1, height: height.saturating_sub(2), ..area };
    let end = run.lines.len().saturating_sub(up);
    // The first lines fill the room where they are scrolled to.
    let end = end.max(usize::from(inner.height).min(run.lines.len()));
    let first = end.saturating_sub(usize::from(inner.height));
    for (y, line) in (0..inner.height).zip(run.lines.range(first..end)) {
        let mut out = Line::of(buffer, inner, y);
        out.put(" ", plain);
        for span in ansi::spans(line) {
            out.put(&span.text, plain.patch(log::style(span.style, model)));
        }
    }
    if height > 1 {
        let mut line = Line::of(buffer, area, height - 1);
        let below = run.lines.len() - end;
        line.put(&format!("{dash}{dash} "), rule);
        let keys = if run.is_running() { "x end it  y copy  esc hide" } else { "y copy  esc close" };
        line.put(keys, model.theme.style(Token::Dim)).put(" ", rule);
        if below > 0 {
            line.put(&format!("{below} more below, {} ", model.key(crate::tui::actions::Action::Bottom)), rule);
        }
        line.fill(dash, rule);
    }
}

/// `── migrate ● running 3s ──────`
fn head(model: &Model, run: &Run, line: &mut Line<'_>, dash: char) {
    let rule = model.theme.style(Token::Rule);
    let (how, good) = run.told();
    let (tone, until) = match &run.state {
        State::Running | State::Stopping => (Tone::Wait, model.now),
        State::Ended(_, at) => (if good { Tone::Good } else { Tone::Bad }, *at),
    };
    let took = std::time::Duration::from_micros(u64::try_from(until - run.began).unwrap_or(0));
    line.put(&format!("{dash}{dash} "), rule).put(&run.name, model.theme.style(Token::Accent));
    line.put(&format!("  {} {how}  {} ", tone.glyph(model.ascii), text::age(took)), model.theme.style(tone.token()));
    if run.n_dropped > 0 {
        line.put(&format!(" {} lines left out at the beginning ", run.n_dropped), model.theme.style(Token::Dim));
    }
    line.fill(dash, rule);
}
