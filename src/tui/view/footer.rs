//! The last two lines: what was done or went wrong, and the keys of the pane, or what is being typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::layout::Layout;
use super::paint::{Line, restyle};
use crate::text;
use crate::tui::actions::{Action, Scope};
use crate::tui::command::{self, Candidate};
use crate::tui::model::{Model, Pane, Popup, Prompt, PromptKind, Screen};
use crate::tui::theme::Token;

/// So many completions are shown above the prompt.
const CANDIDATES: usize = 8;

/// The newest toast, and the digits of a count that waits for its move.
pub fn status(model: &Model, buffer: &mut Buffer, area: Rect) {
    if let Some(count) = model.count {
        Line::of(buffer, area, 0).right(&format!("{count} "), model.theme.style(Token::Accent));
    }
    if let Some(toast) = model.toasts.back() {
        let mut line = Line::of(buffer, area, 0);
        let style = model.theme.style(toast.tone.token());
        line.put(&format!(" {} ", toast.tone.glyph(model.ascii)), style).put(&toast.text, style);
    }
}

/// Keys, a question or a prompt; where the cursor stands.
pub fn draw(model: &Model, buffer: &mut Buffer, layout: &Layout) -> Option<(u16, u16)> {
    if let Some(Popup::Confirm { question, .. } | Popup::Leave(question)) = &model.popup {
        ask(model, question, buffer, layout.footer);
        return None;
    }
    match &model.prompt {
        Some(prompt) => Some(typing(model, prompt, buffer, layout)),
        None => {
            keys(model, buffer, layout.footer);
            None
        }
    }
}

/// The two answers to a question.
const ANSWERS: [&str; 2] = ["y yes", "n no"];

/// Where the answers to a question stand: behind it, and on the screen however long it is.
pub fn answers(question: &str, area: Rect) -> [Rect; 2] {
    let [yes, no] = ANSWERS.map(|answer| u16::try_from(text::width(answer)).unwrap_or(u16::MAX));
    let asked = u16::try_from(text::width(question)).unwrap_or(u16::MAX).saturating_add(3);
    let x = area.x + asked.min(area.width.saturating_sub(yes + no + 3));
    let yes = Rect { x, width: yes, ..area }.intersection(area);
    [yes, Rect { x: yes.right() + 3, width: no, ..area }.intersection(area)]
}

fn ask(model: &Model, question: &str, buffer: &mut Buffer, area: Rect) {
    let plain = model.theme.style(Token::Text);
    let places = answers(question, area);
    let before = Rect { width: places[0].x.saturating_sub(area.x + 2), ..area };
    let bold = model.theme.style(Token::Warn).add_modifier(Modifier::BOLD);
    Line::of(buffer, before, 0).put(" ", plain).cell(question, before.width, false, bold);
    for (answer, place) in ANSWERS.into_iter().zip(places) {
        Line::of(buffer, place, 0).put(answer, plain);
    }
}

fn typing(model: &Model, prompt: &Prompt, buffer: &mut Buffer, layout: &Layout) -> (u16, u16) {
    if prompt.kind == PromptKind::Palette {
        complete(model, prompt, buffer, layout);
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

/// The completions that are shown, with their numbers, and where: from edge to edge, so that nothing of what is below stands beside them.
pub fn candidates(model: &Model, prompt: &Prompt, layout: &Layout) -> (Rect, Vec<(usize, Candidate)>) {
    if prompt.kind != PromptKind::Palette {
        return (Rect::ZERO, Vec::new());
    }
    let all = command::complete(model, prompt.input.text());
    let first = prompt.chosen.map_or(0, |at| (at + 1).saturating_sub(CANDIDATES));
    let shown: Vec<_> = all.into_iter().enumerate().skip(first).take(CANDIDATES).collect();
    let n = u16::try_from(shown.len()).unwrap_or(0).min(layout.body.height);
    (Rect { y: layout.status.y + 1 - n, height: n, ..layout.body }, shown)
}

fn complete(model: &Model, prompt: &Prompt, buffer: &mut Buffer, layout: &Layout) {
    let (area, shown) = candidates(model, prompt, layout);
    for (row, (at, candidate)) in (0..area.height).zip(shown) {
        let plain = model.theme.style(Token::Text);
        let mut line = Line::of(buffer, area, row);
        line.put(" ", plain).cell(&candidate.line, 28.min(area.width / 2), false, plain).put(" ", plain);
        line.put(&candidate.help, model.theme.style(Token::Dim));
        line.fill(' ', plain);
        if prompt.chosen == Some(at) {
            restyle(buffer, area, row, model.theme.selected());
        }
    }
}

/// A key in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What it does.
    pub action: Action,
    /// Where it stands.
    pub area: Rect,
    key: String,
}

/// The keys that matter most in this place, as far as there is room.
pub fn hints(model: &Model, area: Rect) -> Vec<Hint> {
    let mut left = area;
    let mut hints = Vec::new();
    for action in wanted(model) {
        let key = model.key(*action);
        let width = text::width(&key) + text::width(action.entry().name) + 3;
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        if key.is_empty() || left.width < width {
            continue;
        }
        hints.push(Hint { action: *action, area: Rect { width, ..left }, key });
        left = Rect { x: left.x + width, width: left.width - width, ..left };
    }
    hints
}

fn keys(model: &Model, buffer: &mut Buffer, area: Rect) {
    let plain = model.theme.style(Token::Text);
    for hint in hints(model, area) {
        let mut line = Line::of(buffer, hint.area, 0);
        line.put(" ", plain).put(&hint.key, model.theme.style(Token::Accent));
        line.put(" ", plain).put(hint.action.entry().name, model.theme.style(Token::Dim));
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
            Action::Clear,
            Action::Time,
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
            Scope::Everywhere | Scope::Move | Scope::Detail | Scope::Graph | Scope::Events,
            Pane::Services | Pane::Vendors | Pane::Problems | Pane::Tests | Pane::Logs | Pane::Events,
        ) => &[Action::Help, Action::Quit, Action::ShowEvent, Action::NextPane, Action::Palette, Action::Zoom],
    }
}
