//! What actions do with services.

use super::{custom, log, moves, problems, screens};
use crate::api::convert::Ask;
use crate::tui::actions::Action;
use crate::tui::command::Command;
use crate::tui::fleet::Tone;
use crate::tui::log::LogCmd;
use crate::tui::model::{Model, Order, Pane, Popup, Screen};
use crate::tui::msg::Cmd;
use crate::tui::settings::Problem;

/// Carries out what was typed at the palette.
pub(super) fn run(model: &mut Model, command: Command) -> Vec<Cmd> {
    match command {
        Command::Nothing => Vec::new(),
        Command::Act(action) => act(model, action),
        Command::Order(order) => vec![ask(model, order)],
        Command::Test(names) => test(model, names),
        Command::RerunFailed => problems::rerun_failed(model),
        Command::Theme(theme) => {
            model.paint(theme);
            // Perhaps it is another one since.
            if model.auto { vec![Cmd::AskBackground] } else { Vec::new() }
        }
        Command::Keys => vec![Cmd::CheckKeys],
        Command::Detail(service) => screens::detail(model, &service),
        Command::Export(file) => vec![Cmd::Log(LogCmd::Export(file))],
        Command::Time(us) => vec![Cmd::Log(LogCmd::Time(us))],
        Command::Line(n) => vec![Cmd::Log(LogCmd::Number(n))],
        Command::Since(since) => log::since(model, since),
        Command::Run(name) => custom::start(model, &name),
        Command::Output => {
            custom::show(model);
            Vec::new()
        }
        Command::Quit => custom::leave(model),
    }
}

/// Mistakes of `keys.toml` are shown as the newest events, with the first one above the keys.
pub fn keys_told(model: &mut Model, problems: &[Problem], notes: &[Problem]) {
    for note in notes {
        model.event(Tone::Wait, note.to_string());
    }
    for problem in problems {
        model.event(Tone::Bad, problem.to_string());
    }
    let more = match (problems.len() + notes.len()).saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more: `{}` shows them)", model.key(Action::Pane6)),
    };
    match (problems.first(), notes.first()) {
        (Some(problem), _) => model.toast(Tone::Bad, format!("{problem}{more}")),
        (None, Some(note)) => model.toast(Tone::Wait, format!("{note}{more}")),
        (None, None) => model.toast(Tone::Good, "keys.toml: no key means two things"),
    }
}

pub(super) fn ask(model: &mut Model, order: Order) -> Cmd {
    let told = order.told();
    model.toast(Tone::Wait, format!("{told} …"));
    model.event(Tone::Wait, told);
    model.marks.clear();
    Cmd::Ask(order)
}

pub(super) fn test(model: &mut Model, names: Vec<String>) -> Vec<Cmd> {
    let names: Vec<String> = names.iter().map(|name| service_of(name).to_owned()).collect();
    model.toast(Tone::Wait, format!("test {} …", names.join(", ")));
    vec![Cmd::Test(names, None)]
}

/// `api` of `api.2`.
pub(super) fn service_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(service, _)| service)
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Cmd> {
    if model.screen == Screen::Dashboard
        && model.focus == Pane::Logs
        && let Some(cmds) = log::act(model, action)
    {
        return cmds;
    }
    if let Some(cmds) = screens::act(model, action) {
        return cmds;
    }
    if model.screen == Screen::Dashboard
        && let Some(cmds) = problems::act(model, action)
    {
        return cmds;
    }
    match action {
        Action::Quit | Action::Close => return close(model, action == Action::Quit),
        Action::Restart => return verb(model, Ask::Restart),
        Action::Stop => return verb(model, Ask::Stop),
        Action::Start => return verb(model, Ask::Start),
        Action::Build => return verb(model, Ask::Build),
        Action::Kill => return verb(model, Ask::Kill),
        Action::OnlyLogs => return only_logs(model),
        Action::Test => {
            let targets = model.targets();
            return test(model, targets);
        }
        Action::ScaleUp => return scale(model, 1),
        Action::ScaleDown => return scale(model, -1),
        Action::Watch => return watch(model),
        Action::OpenUrl => return open_url(model),
        Action::Detail => {
            let target = model.selected().map(|row| row.id);
            return target.map_or_else(Vec::new, |id| screens::detail(model, &id));
        }
        Action::ShowEvent => return log::at_event(model),
        Action::Graph => return screens::open_graph(model),
        Action::Run => custom::ask(model),
        Action::Suspend => return vec![Cmd::Suspend],
        Action::Redraw => return vec![Cmd::Redraw],
        Action::Mouse => {
            model.mouse = !model.mouse;
            let whose = if model.mouse { "the dashboard's" } else { "the terminal's: select as anywhere" };
            model.toast(Tone::Good, format!("the mouse is {whose}"));
            return vec![Cmd::Mouse(model.mouse)];
        }
        _ => moves::here(model, action),
    }
    Vec::new()
}

/// Closes the innermost thing that is open; `leave` at the outermost.
pub(super) fn close(model: &mut Model, leave: bool) -> Vec<Cmd> {
    if model.screen != Screen::Dashboard {
        screens::back(model);
    } else if !leave
        && model.focus == Pane::Logs
        && let Some(cmds) = log::close(model)
    {
        return cmds;
    } else if leave && model.focus == Pane::Logs && model.log.opened.take().is_some() || problems::close(model) {
        // It is closed by having been asked.
    } else if model.zoom {
        model.zoom = false;
    } else if !leave && !model.marks.is_empty() {
        model.marks.clear();
    } else if !leave && !model.list_filter.is_empty() {
        model.list_filter.clear();
        moves::settle(model);
    } else if leave {
        return custom::leave(model);
    } else {
        model.toasts.clear();
    }
    Vec::new()
}

/// Asks first where more than one is meant, or where it cannot be undone.
fn verb(model: &mut Model, what: Ask) -> Vec<Cmd> {
    let targets = model.targets();
    if targets.is_empty() {
        model.toast(Tone::Wait, "there is nothing to act on");
        return Vec::new();
    }
    let order = Order::new(what, targets);
    let gentle = matches!(what, Ask::Start | Ask::Build);
    if what == Ask::Kill || order.names.len() > 1 && !gentle {
        let signal = if what == Ask::Kill { " with SIGKILL" } else { "" };
        model.popup = Some(Popup::Confirm { question: format!("{}{signal}?", order.told()), order });
        return Vec::new();
    }
    vec![ask(model, order)]
}

fn scale(model: &mut Model, by: i32) -> Vec<Cmd> {
    let Some(row) = model.selected() else { return Vec::new() };
    let Some(service) = model.fleet.service(&row.service) else { return Vec::new() };
    if service.kind == "vendor" {
        model.toast(Tone::Wait, "vendors have one copy");
        return Vec::new();
    }
    let scale = service.scale.saturating_add_signed(by);
    let order = Order { scale: Some(scale), ..Order::new(Ask::Scale, vec![row.service.clone()]) };
    if scale == 0 {
        model.popup = Some(Popup::Confirm { question: format!("{}: stop it?", order.told()), order });
        return Vec::new();
    }
    vec![ask(model, order)]
}

/// Shows the log of what the cursor is on, and of nothing else; a second time, of everything.
fn only_logs(model: &mut Model) -> Vec<Cmd> {
    let names: std::collections::BTreeSet<String> = model.targets().into_iter().collect();
    let names = if model.log.filters.names == names { Default::default() } else { names };
    let said = if names.is_empty() {
        "the log of everything".to_owned()
    } else {
        format!("only the log of {}", names.iter().cloned().collect::<Vec<_>>().join(", "))
    };
    model.log.filters.names = names;
    model.toast(Tone::Good, said);
    vec![Cmd::Log(LogCmd::Query)]
}

/// Turns building at each save on or off for the targets, as the first of them has it.
fn watch(model: &mut Model) -> Vec<Cmd> {
    let names: Vec<String> = model.targets().iter().map(|id| service_of(id).to_owned()).collect();
    let Some(first) = names.first().and_then(|name| model.fleet.service(name)) else { return Vec::new() };
    let order = Order { rerun: Some(!first.rerun), ..Order::new(Ask::Start, names) };
    vec![ask(model, order)]
}

fn open_url(model: &mut Model) -> Vec<Cmd> {
    match model.selected().and_then(|row| row.port) {
        Some(port) => vec![Cmd::OpenUrl(format!("http://127.0.0.1:{port}/"))],
        None => {
            model.toast(Tone::Wait, "it has no port");
            Vec::new()
        }
    }
}
