//! What keys do with commands of the project, and with what they print.

use super::prompt;
use crate::tui::actions::{Action, Scope};
use crate::tui::custom::{RunCmd, RunMsg};
use crate::tui::fleet::Tone;
use crate::tui::keys::{Code, Key};
use crate::tui::model::{Model, Popup, PromptKind};
use crate::tui::msg::Cmd;
use crate::tui::problems::ProblemCmd;

/// Asks which command, where there are some.
pub(super) fn ask(model: &mut Model) {
    if model.runs.names.is_empty() {
        model.toast(Tone::Wait, "orchestra.yml has no `commands:`");
        return;
    }
    model.open_prompt(PromptKind::Palette, "run ");
}

/// Runs a command and shows what it prints; only shows it where it runs already.
pub(super) fn start(model: &mut Model, name: &str) -> Vec<Cmd> {
    if !model.runs.names.iter().any(|(known, _)| known == name) {
        model.toast(Tone::Bad, format!("orchestra.yml has no command `{name}`"));
        return Vec::new();
    }
    if let Some(run) = model.runs.running(name) {
        model.popup = Some(Popup::Output { run: run.id, up: 0 });
        return Vec::new();
    }
    let id = model.runs.begin(name, model.now);
    model.popup = Some(Popup::Output { run: id, up: 0 });
    model.event(Tone::Wait, format!("run {name}"));
    vec![Cmd::Run(RunCmd::Start(id, name.to_owned()))]
}

/// Shows what the newest command printed.
pub(super) fn show(model: &mut Model) {
    match model.runs.newest() {
        Some(run) => model.popup = Some(Popup::Output { run: run.id, up: 0 }),
        None => model.toast(Tone::Wait, "no command was run yet"),
    }
}

/// Takes what a command tells.
pub(super) fn told(model: &mut Model, msg: RunMsg) {
    let n = match &msg {
        RunMsg::Began(..) => 1,
        RunMsg::Said(_, lines) => lines.len(),
        RunMsg::Ended(..) => 0,
    };
    // What is read stays where it is while more is printed below.
    if let (Some(Popup::Output { run, up }), RunMsg::Began(id, _) | RunMsg::Said(id, _)) = (&mut model.popup, &msg)
        && run == id
        && *up > 0
    {
        *up += n;
    }
    let Some(run) = model.runs.told(msg, model.now) else { return };
    let (how, good) = run.told();
    let text = format!("{}: {how}", run.name);
    let tone = if good { Tone::Good } else { Tone::Bad };
    model.event(tone, text.clone());
    model.toast(tone, text);
}

/// A key while what a command printed is shown.
pub(super) fn key(model: &mut Model, (run, up): (u64, usize), key: Key) -> Vec<Cmd> {
    let Some(found) = model.runs.get(run) else { return Vec::new() };
    let (running, last) = (found.is_running(), found.lines.len().saturating_sub(1));
    let page = usize::from(model.size.1 / 2).max(1);
    let interrupt = key == Key { ctrl: true, ..Key::char('c') };
    let action = model.keymap.action(Scope::Move, key);
    let up = match action {
        _ if running && (interrupt || key == Key::char('x')) => {
            model.runs.stop(run);
            model.popup = Some(Popup::Output { run, up });
            return vec![Cmd::Run(RunCmd::Stop(run))];
        }
        _ if key == Key::char('y') => {
            let line = |line: &Vec<u8>| crate::logs::ansi::text(&crate::logs::ansi::spans(line)) + "\n";
            let text = found.lines.iter().map(line).collect();
            model.popup = Some(Popup::Output { run, up });
            return vec![Cmd::Problem(ProblemCmd::Copy(text))];
        }
        Some(Action::Close | Action::Quit) => return Vec::new(),
        _ if key == Key::plain(Code::Enter) => return Vec::new(),
        Some(Action::Down) => up.saturating_sub(1),
        Some(Action::Up) => up + 1,
        Some(Action::HalfDown | Action::PageDown) => up.saturating_sub(page),
        Some(Action::HalfUp | Action::PageUp) => up + page,
        Some(Action::Top) => last,
        Some(Action::Bottom) => 0,
        _ => up,
    };
    model.popup = Some(Popup::Output { run, up: up.min(last) });
    Vec::new()
}

/// Scrolls what a command prints, where it is open.
pub(super) fn scroll(model: &mut Model, by: isize) {
    let Some(Popup::Output { run, up }) = model.popup else { return };
    let last = model.runs.get(run).map_or(0, |run| run.lines.len().saturating_sub(1));
    model.popup = Some(Popup::Output { run, up: up.saturating_add_signed(-by).min(last) });
}

/// Leaves the dashboard; asks first where that ends a command.
pub(super) fn leave(model: &mut Model) -> Vec<Cmd> {
    let running = model.runs.all_running();
    if running.is_empty() {
        return vec![Cmd::Quit];
    }
    let names = running.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let runs = if running.len() == 1 { "runs: end it" } else { "run: end them" };
    model.popup = Some(Popup::Leave(format!("{names} {runs} and leave?")));
    Vec::new()
}

/// An answer to that question.
pub(super) fn leave_key(model: &mut Model, question: String, key: Key) -> Vec<Cmd> {
    match prompt::answer(model, key) {
        Some(true) => vec![Cmd::Quit],
        Some(false) => Vec::new(),
        None => {
            model.popup = Some(Popup::Leave(question));
            Vec::new()
        }
    }
}
