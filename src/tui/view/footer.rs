//! The last two lines: what was done or went wrong, and the keys of the pane, or what is being typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::layout::Layout;
use super::paint::{Line, restyle};
use crate::text;
use crate::tui::actions::{Action, Scope};
use crate::tui::command;
use crate::tui::model::{Model, Pane, Popup, Prompt, PromptKind, Screen};
use crate::tui::theme::Token;

/// So many completions are shown above the prompt.
const CANDIDATES: usize = 8;

/// The newest toast.
pub fn status(model: &Model, buffer: &mut Buffer, area: Rect) {
    if let Some(toast) = model.toasts.back() {
        let mut line = Line::of(buffer, area, 0);
        let style = model.theme.style(toast.tone.token());
        line.put(&format!(" {} ", toast.tone.glyph(model.ascii)), style).put(&toast.text, style);
    }
}

/// Keys, a question or a prompt; where the cursor stands.
pub fn draw(model: &Model, buffer: &mut Buffer, layout: &Layout) -> Option<(u16, u16)> {
    if let Some(Popup::Confirm { question, .. } | Popup::Leave(question)) = &model.popup {
        let mut line = Line::of(buffer, layout.footer, 0);
        line.put(" ", model.theme.style(Token::Text));
        line.put(question, model.theme.style(Token::Warn).add_modifier(Modifier::BOLD));
        line.put("  y yes   n no", model.theme.style(Token::Text));
        return None;
    }
    match &model.prompt {
        Some(prompt) => Some(typing(model, prompt, buffer, layout)),
        None => {
            keys(model, &mut Line::of(buffer, layout.footer, 0));
            None
        }
    }
}

fn typing(model: &Model, prompt: &Prompt, buffer: &mut Buffer, layout: &Layout) -> (u16, u16) {
    if prompt.kind == PromptKind::Palette {
        candidates(model, prompt, buffer, layout);
    }
    if let Some(error) = &prompt.error {
        let mut line = Line::of(buffer, layout.status, 0);
        line.put(" ", model.theme.style(Token::Text))
            .put(error, model.theme.style(Token::Bad))
            .fill(' ', model.theme.style(Token::Text));
    }
    let area = layout.footer;
    let plain = model.theme.style(Token::Text);
    Line::of(buffer, area, 0).put(prompt.kind.sign(), model.theme.style(Token::Accent)).put(prompt.input.text(), plain);
    let before = u16::try_from(text::width(prompt.input.before())).unwrap_or(u16::MAX);
    (area.x.saturating_add(before).saturating_add(1).min(area.right().saturating_sub(1)), area.y)
}

fn candidates(model: &Model, prompt: &Prompt, buffer: &mut Buffer, layout: &Layout) {
    let all = command::complete(model, prompt.input.text());
    let first = prompt.chosen.map_or(0, |at| (at + 1).saturating_sub(CANDIDATES));
    let shown: Vec<_> = all.iter().enumerate().skip(first).take(CANDIDATES).collect();
    let n = u16::try_from(shown.len()).unwrap_or(0).min(layout.body.height);
    let width = layout.body.width.min(72);
    let area = Rect { x: layout.body.x, y: layout.status.y + 1 - n.min(layout.status.y), width, height: n };
    for (row, (at, candidate)) in (0..n).zip(shown) {
        let plain = model.theme.style(Token::Text);
        let mut line = Line::of(buffer, area, row);
        line.put(" ", plain).cell(&candidate.line, 28.min(width / 2), false, plain).put(" ", plain);
        line.put(&candidate.help, model.theme.style(Token::Dim));
        line.fill(' ', plain);
        if prompt.chosen == Some(at) {
            restyle(buffer, area, row, model.theme.selected());
        }
    }
}

/// What matters most in this place, as far as there is room.
fn keys(model: &Model, line: &mut Line<'_>) {
    for action in wanted(model) {
        let key = model.key(*action);
        let entry = action.entry();
        let width = text::width(&key) + text::width(entry.name) + 3;
        if key.is_empty() || usize::from(line.room()) < width {
            continue;
        }
        line.put(" ", model.theme.style(Token::Text)).put(&key, model.theme.style(Token::Accent));
        line.put(" ", model.theme.style(Token::Text)).put(entry.name, model.theme.style(Token::Dim));
        line.put(" ", model.theme.style(Token::Text));
    }
}

fn wanted(model: &Model) -> &'static [Action] {
    match (&model.screen, model.focus.scope(), model.focus) {
        (Screen::Detail(_), _, _) => &[
            Action::Help,
            Action::Close,
            Action::NextPart,
            Action::Restart,
            Action::Stop,
            Action::Start,
            Action::OnlyLogs,
            Action::Build,
            Action::Test,
            Action::Kill,
            Action::GoProblem,
            Action::Graph,
            Action::CopyShown,
            Action::OpenConfig,
            Action::OpenUrl,
            Action::ScaleUp,
            Action::ScaleDown,
        ],
        (Screen::Graph, _, _) => &[
            Action::Help,
            Action::Close,
            Action::Detail,
            Action::Restart,
            Action::Stop,
            Action::Start,
            Action::LightNeeds,
            Action::LightDependents,
            Action::GraphForm,
            Action::NodeLeft,
            Action::NodeRight,
        ],
        (_, Scope::Services, _) => &[
            Action::Help,
            Action::Quit,
            Action::Restart,
            Action::Stop,
            Action::Start,
            Action::Detail,
            Action::Build,
            Action::Test,
            Action::ScaleUp,
            Action::ScaleDown,
            Action::Palette,
            Action::FilterList,
            Action::Mark,
            Action::OnlyLogs,
            Action::NextPane,
            Action::Zoom,
        ],
        (_, Scope::Log, _) => &[
            Action::Help,
            Action::Quit,
            Action::Search,
            Action::Filter,
            Action::Level,
            Action::NextError,
            Action::Follow,
            Action::Wrap,
            Action::Open,
            Action::Copy,
            Action::Trace,
            Action::Sources,
            Action::Palette,
            Action::Zoom,
        ],
        (_, Scope::Problems, _) => &[
            Action::Help,
            Action::Quit,
            Action::OpenProblem,
            Action::NextProblem,
            Action::EditProblem,
            Action::TestAgain,
            Action::BuildAgain,
            Action::Raw,
            Action::Failing,
            Action::CopyProblem,
            Action::Dismiss,
            Action::Zoom,
        ],
        (
            _,
            Scope::Everywhere | Scope::Move | Scope::Detail | Scope::Graph,
            Pane::Services | Pane::Vendors | Pane::Problems | Pane::Tests | Pane::Logs | Pane::Events,
        ) => &[Action::Help, Action::Quit, Action::NextPane, Action::Palette, Action::Zoom],
    }
}
