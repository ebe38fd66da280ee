//! Digits before a move: `12j` goes down twelve lines, `50G` to the fiftieth. A digit that means something of its own here, such as a pane, begins none;
//! with alt it does, and so do all digits once one was typed.

use super::{acts, log};
use crate::tui::actions::{Action, Scope};
use crate::tui::keys::{Code, Key};
use crate::tui::log::LogCmd;
use crate::tui::model::{Model, Pane, Screen};
use crate::tui::msg::Cmd;

/// Nobody counts further.
const MOST: u32 = 999_999;
/// Where no place can be told by its number, a move is made so often at most.
const MOVES: u32 = 1000;

/// Takes a digit that no key binding has; false for another key.
pub(super) fn digit(model: &mut Model, key: Key, count: Option<u32>) -> bool {
    let Code::Char(char) = key.code else { return false };
    let digit = char.to_digit(10).filter(|digit| !key.ctrl && (count.is_some() || *digit > 0));
    let Some(digit) = digit else { return false };
    model.count = Some(count.unwrap_or(0).saturating_mul(10).saturating_add(digit).min(MOST));
    true
}

/// Whether a key goes on with a count that was begun, whatever it means otherwise.
pub(super) fn goes_on(model: &Model, key: Key) -> bool {
    model.count.is_some() && matches!(key.code, Code::Char('0'..='9')) && !key.ctrl
}

/// Does what a key means, as often as was said before it; only moves are repeated.
pub(super) fn act(model: &mut Model, action: Action, count: Option<u32>) -> Vec<Cmd> {
    let Some(count) = count.filter(|_| action.entry().scope == Scope::Move) else { return acts::act(model, action) };
    let in_log = model.screen == Screen::Dashboard && model.focus == Pane::Logs;
    match action {
        Action::Top | Action::Bottom if in_log => {
            vec![Cmd::Log(LogCmd::Number(u64::from(count).saturating_sub(1)))]
        }
        Action::Top | Action::Bottom => {
            super::moves::go(model, |_, _| count as usize - 1);
            Vec::new()
        }
        Action::Down | Action::Up if in_log && model.log.opened.is_none() => {
            let by = if action == Action::Down { i64::from(count) } else { -i64::from(count) };
            log::step(model, by)
        }
        _ => (0..count.min(MOVES)).flat_map(|_| acts::act(model, action)).collect(),
    }
}
