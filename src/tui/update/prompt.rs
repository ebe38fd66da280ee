//! Keys while something is typed, or asked.

use super::{acts, custom, log, moves};
use crate::tui::actions::{Action, Scope};
use crate::tui::command;
use crate::tui::keys::{Code, Key};
use crate::tui::model::{Model, Popup, Prompt, PromptKind};
use crate::tui::msg::Cmd;

pub(super) fn popup_key(model: &mut Model, popup: Popup, key: Key) -> Vec<Cmd> {
    let action = model.keymap.action(Scope::Move, key);
    match popup {
        Popup::Output { run, up } => custom::key(model, (run, up), key),
        Popup::Leave(question) => custom::leave_key(model, question, key),
        Popup::Confirm { question, order } => match answer(model, key) {
            Some(true) => vec![acts::ask(model, order)],
            Some(false) => Vec::new(),
            None => {
                model.popup = Some(Popup::Confirm { question, order });
                Vec::new()
            }
        },
        Popup::Help(at) => {
            let page = usize::from(model.size.1 / 2);
            let at = match action {
                Some(Action::Close | Action::Quit | Action::Help) => return Vec::new(),
                Some(Action::Down) => at + 1,
                Some(Action::Up) => at.saturating_sub(1),
                Some(Action::HalfDown | Action::PageDown) => at + page,
                Some(Action::HalfUp | Action::PageUp) => at.saturating_sub(page),
                Some(Action::Top) => 0,
                Some(Action::Bottom) => usize::MAX,
                _ => at,
            };
            model.popup = Some(Popup::Help(at.min(crate::tui::view::help::lines(model).len().saturating_sub(1))));
            Vec::new()
        }
    }
}

/// Whether a key says yes or no to a question.
pub(super) fn answer(model: &Model, key: Key) -> Option<bool> {
    let action = model.keymap.action(Scope::Move, key);
    match key.typed() {
        Some('y' | 'Y') => Some(true),
        Some('n' | 'N') => Some(false),
        _ => matches!(action, Some(Action::Close | Action::Quit)).then_some(false),
    }
}

pub(super) fn prompt_key(model: &mut Model, key: Key) -> Vec<Cmd> {
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    let cancel = key == Key::plain(Code::Esc) || key == Key { ctrl: true, ..Key::char('c') };
    if cancel || key == Key::plain(Code::Backspace) && prompt.input.text().is_empty() {
        if prompt.kind == PromptKind::FilterList {
            model.list_filter.clear();
            moves::settle(model);
        }
        return Vec::new();
    }
    match key.code {
        Code::Enter => return submit(model, prompt),
        Code::Tab | Code::BackTab if prompt.kind == PromptKind::Palette => {
            let all = command::complete(model, prompt.input.text());
            let last = all.len().saturating_sub(1);
            let at = match (prompt.chosen, key.code) {
                (None, Code::Tab) => 0,
                (Some(at), Code::Tab) if at < last => at + 1,
                (Some(_), Code::Tab) => 0,
                (Some(at), _) if at > 0 => at - 1,
                _ => last,
            };
            prompt.chosen = (!all.is_empty()).then_some(at);
        }
        Code::Up | Code::Down if prompt.kind == PromptKind::Palette => {
            model.history.go(key.code == Code::Up, &mut prompt.input);
            prompt.chosen = None;
        }
        _ => {
            if prompt.input.key(key) {
                prompt.chosen = None;
            }
        }
    }
    let moved = matches!(key.code, Code::Left | Code::Right | Code::Home | Code::End);
    model.prompt = Some(prompt);
    if moved { Vec::new() } else { typed(model) }
}

/// What changes while something is being typed.
pub(super) fn typed(model: &mut Model) -> Vec<Cmd> {
    let Some(prompt) = &mut model.prompt else { return Vec::new() };
    prompt.error = None;
    let (kind, text) = (prompt.kind, prompt.input.text().to_owned());
    match kind {
        PromptKind::FilterList => {
            model.list_filter = text;
            moves::settle(model);
        }
        // What leaves lines out is complete only when it is entered; a search and a choice show themselves at once.
        PromptKind::Search | PromptKind::Sources => match log::typed(model, kind, &text) {
            Ok(cmd) => return cmd.into_iter().collect(),
            Err(error) => fail(model, error),
        },
        PromptKind::Filter => match crate::tui::log::pattern(text.trim_start_matches('!')) {
            Ok(_) => {}
            Err(error) => fail(model, error),
        },
        PromptKind::Palette => {}
    }
    Vec::new()
}

fn fail(model: &mut Model, error: String) {
    if let Some(prompt) = &mut model.prompt {
        prompt.error = Some(error);
    }
}

fn submit(model: &mut Model, prompt: Prompt) -> Vec<Cmd> {
    match prompt.kind {
        PromptKind::FilterList | PromptKind::Search | PromptKind::Sources => Vec::new(),
        PromptKind::Filter => match log::typed(model, prompt.kind, prompt.input.text()) {
            Ok(cmd) => cmd.into_iter().collect(),
            Err(error) => {
                model.prompt = Some(Prompt { error: Some(error), ..prompt });
                Vec::new()
            }
        },
        PromptKind::Palette => {
            let chosen = prompt.chosen.and_then(|at| command::complete(model, prompt.input.text()).into_iter().nth(at));
            let line = chosen.map_or_else(|| prompt.input.text().to_owned(), |candidate| candidate.line);
            match command::parse(model, &line) {
                Ok(command) => {
                    model.history.add(line.trim());
                    acts::run(model, command)
                }
                Err(error) => {
                    let input = crate::tui::input::Input::of(&line);
                    model.prompt = Some(Prompt { input, error: Some(error), chosen: None, ..prompt });
                    Vec::new()
                }
            }
        }
    }
}
