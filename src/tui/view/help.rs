//! All keys, made from the list of actions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::paint::Line;
use crate::tui::actions::{ACTIONS, Scope};
use crate::tui::keys::Key;
use crate::tui::model::{Model, Popup};
use crate::tui::theme::Token;

/// A heading, or keys and what they do.
pub type HelpLine = (String, String);

/// What help says; a heading has no second part.
pub fn lines(model: &Model) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    for scope in Scope::ALL {
        if !lines.is_empty() {
            lines.push((String::new(), String::new()));
        }
        lines.push((scope.word().to_uppercase(), String::new()));
        for entry in ACTIONS.iter().filter(|entry| entry.scope == scope) {
            let keys = model.keymap.keys(entry.action).iter().map(Key::to_string).collect::<Vec<_>>().join(" ");
            let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys };
            lines.push((keys, entry.help.to_owned()));
        }
    }
    if !model.runs.names.is_empty() {
        lines.push((String::new(), String::new()));
        lines.push(("COMMANDS".to_owned(), String::new()));
    }
    for (name, runs) in &model.runs.names {
        let keys = model.keymap.keys_of_command(name).iter().map(Key::to_string).collect::<Vec<_>>().join(" ");
        lines.push((if keys.is_empty() { format!(":run {name}") } else { keys }, format!("{name}: {runs}")));
    }
    lines
}

/// Where help is drawn.
pub fn area(model: &Model) -> Rect {
    let (columns, rows) = model.size;
    let (width, height) = (columns.min(78), rows.min(40));
    Rect::new((columns - width) / 2, (rows - height) / 2, width, height)
}

/// Draws help over everything else, where it is open.
pub fn popup(model: &Model, buffer: &mut Buffer) {
    let Some(Popup::Help(first)) = model.popup else { return };
    let plain = model.theme.style(Token::Text);
    let inner = frame(model, buffer, area(model), " Keys: ~/.config/orchestra/keys.toml changes them; esc closes ");
    for (row, (keys, help)) in (0..inner.height).zip(lines(model).into_iter().skip(first)) {
        let mut line = Line::of(buffer, inner, row);
        let heading = help.is_empty();
        let style = model.theme.style(if heading { Token::Dim } else { Token::Accent });
        let style = if heading { style.add_modifier(Modifier::BOLD) } else { style };
        line.cell(&keys, 18, false, style).put(" ", plain).put(&help, plain);
    }
}

/// What is inside the frame of a pop-up.
pub fn inside(area: Rect) -> Rect {
    let (width, height) = (area.width.saturating_sub(4), area.height.saturating_sub(2));
    Rect { x: area.x + 2, y: area.y + 1, width, height }.intersection(area)
}

/// Draws a frame with nothing in it, and says what is inside.
pub fn frame(model: &Model, buffer: &mut Buffer, area: Rect, title: &str) -> Rect {
    const FINE: [[&str; 3]; 3] = [["┌", "─", "┐"], ["│", " ", "│"], ["└", "─", "┘"]];
    const ASCII: [[&str; 3]; 3] = [["+", "-", "+"], ["|", " ", "|"], ["+", "-", "+"]];
    let [top, middle, bottom] = if model.ascii { ASCII } else { FINE };
    let rule = model.theme.style(Token::Rule);
    for row in 0..area.height {
        let mut line = Line::of(buffer, area, row);
        let [left, inner, right] = match row {
            0 => top,
            _ if row + 1 == area.height => bottom,
            _ => middle,
        };
        line.put(left, rule).put(if row == 0 { title } else { "" }, model.theme.style(Token::Accent));
        let n = usize::from(line.room().saturating_sub(1));
        line.put(&inner.repeat(n), rule).put(right, rule);
    }
    inside(area)
}
