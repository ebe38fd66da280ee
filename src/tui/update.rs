//! What every message changes, and what is to be done for it. Pure: no clock, no terminal, no socket.

use super::actions::{Action, Scope};
use super::command::{self, Command};
use super::fleet::Tone;
use super::graph::Needs;
use super::keys::{Code, Key};
use super::log::LogCmd;
use super::model::{Detail, Link, List, Model, Order, Pane, Popup, Prompt, PromptKind, Screen};
use super::problems::{Place, Tests};
use super::theme::Theme;
use super::update_log;
use crate::api::convert::Ask;
use crate::api::wire::{Progress, Ps, Why};
use crate::logs::index::{Anchor, Direction, Found, Position};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key.
    Key(Key),
    /// Text that was pasted.
    Paste(String),
    /// The wheel over a place of the screen: rows, down positive.
    Wheel {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// How far.
        by: i32,
    },
    /// A click.
    Click {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// Columns and rows changed.
    Resize(u16, u16),
    /// The clock, in microseconds since 1970.
    Tick(i64),
    /// What runs.
    Ps(Box<Ps>),
    /// Nobody could say what runs.
    Lost(Link),
    /// Something the supervisor told without being asked.
    Told(Progress),
    /// Everything about a service.
    Why(Box<Why>),
    /// What each service needs.
    Needs(Needs),
    /// How tests of a service go.
    Tested(String, Tests),
    /// A line of the log was looked for: what came of it, from where, and what it was.
    Found(Found, (Anchor, Direction), &'static str),
    /// The whole of a line of the log.
    Opened(Position, Option<Vec<u8>>),
    /// What was asked is over; the error's words where it failed.
    Done(String, Result<(), String>),
    /// What became of a copy, and what the terminal must get for it.
    Copied(String, Option<Vec<u8>>),
    /// A short word.
    Say(Tone, String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Cmd {
    /// Ask the supervisor for a change.
    Ask(Order),
    /// Ask for everything about a service.
    Why(String),
    /// Ask what each of these services needs.
    Needs(Vec<String>),
    /// Open a place in the editor.
    Edit(Place),
    /// Run the tests of these services.
    Test(Vec<String>),
    /// Open a page in the browser.
    OpenUrl(String),
    /// Take the mouse, or give it back.
    Mouse(bool),
    /// Draw every cell anew.
    Redraw,
    /// Stop this process until somebody continues it.
    Suspend,
    /// Ask the log.
    Log(LogCmd),
    /// Write these bytes to the terminal: they draw nothing.
    Write(Vec<u8>),
    /// Leave; the fleet runs on.
    Quit,
}

/// Changes the model.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    match msg {
        Msg::Key(key) => key_pressed(model, key),
        Msg::Paste(text) => {
            let Some(prompt) = &mut model.prompt else { return Vec::new() };
            prompt.input.paste(&text);
            typed(model)
        }
        Msg::Wheel { by, .. } => {
            go(model, |at, _| at.saturating_add_signed(by as isize));
            Vec::new()
        }
        Msg::Click { .. } => Vec::new(),
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Msg::Tick(now) => tick(model, now),
        Msg::Ps(ps) => {
            model.link = if ps.supervisor.running { Link::Up } else { Link::Down };
            if let Some(trouble) = &ps.supervisor.trouble {
                model.link = Link::Trouble(trouble.clone());
            }
            model.problems.update(&ps.services);
            model.fleet.update(*ps);
            settle(model);
            Vec::new()
        }
        Msg::Lost(link) => {
            model.link = link;
            Vec::new()
        }
        Msg::Told(progress) => told(model, &progress),
        Msg::Why(why) => {
            if let Screen::Detail(detail) = &mut model.screen
                && detail.service == why.service.name
            {
                detail.why = Some(*why);
            }
            Vec::new()
        }
        Msg::Found(found, asked, what) => {
            update_log::found(model, found, asked, what);
            Vec::new()
        }
        Msg::Opened(position, bytes) => {
            update_log::opened(model, position, bytes);
            Vec::new()
        }
        Msg::Needs(needs) => {
            model.needs = needs;
            Vec::new()
        }
        Msg::Tested(service, tests) => {
            tested(model, &service, tests);
            Vec::new()
        }
        Msg::Done(what, Ok(())) => {
            model.event(Tone::Good, format!("{what}: done"));
            model.toast(Tone::Good, format!("{what}: done"));
            Vec::new()
        }
        Msg::Done(what, Err(error)) => {
            model.event(Tone::Bad, format!("{what}: {error}"));
            model.toast(Tone::Bad, format!("{what}: {error}"));
            Vec::new()
        }
        Msg::Copied(said, bytes) => {
            model.toast(Tone::Good, said);
            bytes.map(Cmd::Write).into_iter().collect()
        }
        Msg::Say(tone, text) => {
            model.toast(tone, text);
            Vec::new()
        }
    }
}

fn tick(model: &mut Model, now: i64) -> Vec<Cmd> {
    model.now = now;
    model.toasts.retain(|toast| toast.until > now);
    match &model.screen {
        Screen::Detail(detail) => vec![Cmd::Why(detail.service.clone())],
        Screen::Graph => vec![needs(model)],
        Screen::Dashboard => Vec::new(),
    }
}

fn needs(model: &Model) -> Cmd {
    Cmd::Needs(model.fleet.ps.iter().flat_map(|ps| &ps.services).map(|service| service.name.clone()).collect())
}

fn tested(model: &mut Model, service: &str, tests: Tests) {
    if !tests.running {
        let failed = tests.failed.len();
        let (tone, text) = match &tests.error {
            Some(error) => (Tone::Bad, format!("tests of {service}: {error}")),
            None if failed > 0 => (Tone::Bad, format!("tests of {service}: {failed} failed")),
            None => (Tone::Good, format!("tests of {service}: {} passed", tests.passed)),
        };
        model.event(tone, text.clone());
        model.toast(tone, text);
    }
    model.problems.tested(service, tests);
}

/// Keeps cursors and marks on what is there.
fn settle(model: &mut Model) {
    for vendors in [false, true] {
        let rows = model.rows(vendors);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let list = if vendors { &mut model.vendors } else { &mut model.services };
        list.settle(&ids);
    }
    let known = |mark: &String| {
        let services = model.fleet.ps.iter().flat_map(|ps| &ps.services);
        services.clone().any(|s| s.name == *mark) || services.flat_map(|s| &s.instances).any(|i| i.id == *mark)
    };
    let kept = model.marks.iter().filter(|mark| known(mark)).cloned().collect();
    model.marks = kept;
}

fn told(model: &mut Model, progress: &Progress) -> Vec<Cmd> {
    match progress {
        Progress::State { service, state, ready, scale, reason, .. } => {
            let count = if *scale > 1 { format!(" ({ready} of {scale} ready)") } else { String::new() };
            let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            model.event(Tone::of(state), format!("{service} {state}{count}{reason}"));
        }
        Progress::Note { message } => model.event(Tone::Wait, message.clone()),
        Progress::Accepted { notes, .. } => {
            for note in notes {
                model.toast(Tone::Wait, note.clone());
                model.event(Tone::Wait, note.clone());
            }
        }
        Progress::End { .. } => {}
    }
    Vec::new()
}

fn key_pressed(model: &mut Model, key: Key) -> Vec<Cmd> {
    if model.prompt.is_some() {
        return prompt_key(model, key);
    }
    if let Some(popup) = model.popup.take() {
        return popup_key(model, popup, key);
    }
    if let Some(what) = model.log.letter.take() {
        update_log::letter(model, what, key);
        return Vec::new();
    }
    let scope = match model.screen {
        Screen::Dashboard => model.focus.scope(),
        Screen::Detail(_) => Scope::Services,
        Screen::Graph => Scope::Move,
    };
    match model.keymap.action(scope, key) {
        Some(action) => act(model, action),
        None => {
            let help = model.key(Action::Help);
            model.toast(Tone::Wait, format!("`{key}` does nothing here; `{help}` shows all keys"));
            Vec::new()
        }
    }
}

fn popup_key(model: &mut Model, popup: Popup, key: Key) -> Vec<Cmd> {
    let action = model.keymap.action(Scope::Move, key);
    match popup {
        Popup::Confirm { question, order } => match key.typed() {
            Some('y' | 'Y') => vec![ask(model, order)],
            Some('n' | 'N') => Vec::new(),
            _ if matches!(action, Some(Action::Close | Action::Quit)) => Vec::new(),
            _ => {
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
            model.popup = Some(Popup::Help(at.min(super::view::help::lines(model).len().saturating_sub(1))));
            Vec::new()
        }
    }
}

fn prompt_key(model: &mut Model, key: Key) -> Vec<Cmd> {
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    let cancel = key == Key::plain(Code::Esc) || key == Key { ctrl: true, ..Key::char('c') };
    if cancel || key == Key::plain(Code::Backspace) && prompt.input.text().is_empty() {
        if prompt.kind == PromptKind::FilterList {
            model.list_filter.clear();
            settle(model);
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
fn typed(model: &mut Model) -> Vec<Cmd> {
    let Some(prompt) = &mut model.prompt else { return Vec::new() };
    prompt.error = None;
    let (kind, text) = (prompt.kind, prompt.input.text().to_owned());
    match kind {
        PromptKind::FilterList => {
            model.list_filter = text;
            settle(model);
        }
        // What leaves lines out is complete only when it is entered; a search and a choice show themselves at once.
        PromptKind::Search | PromptKind::Sources => match update_log::typed(model, kind, &text) {
            Ok(cmd) => return cmd.into_iter().collect(),
            Err(error) => fail(model, error),
        },
        PromptKind::Filter => match super::log::pattern(text.trim_start_matches('!')) {
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
        PromptKind::Filter => match update_log::typed(model, prompt.kind, prompt.input.text()) {
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
                    run(model, command)
                }
                Err(error) => {
                    let input = super::input::Input::of(&line);
                    model.prompt = Some(Prompt { input, error: Some(error), chosen: None, ..prompt });
                    Vec::new()
                }
            }
        }
    }
}

/// Carries out what was typed at the palette.
fn run(model: &mut Model, command: Command) -> Vec<Cmd> {
    match command {
        Command::Nothing => Vec::new(),
        Command::Act(action) => act(model, action),
        Command::Order(order) => vec![ask(model, order)],
        Command::Test(names) => test(model, names),
        Command::Theme(theme) => {
            model.theme = theme;
            Vec::new()
        }
        Command::Detail(service) => detail(model, &service),
        Command::Export(file) => vec![Cmd::Log(LogCmd::Export(file))],
        Command::Time(us) => vec![Cmd::Log(LogCmd::Time(us))],
        Command::Line(n) => vec![Cmd::Log(LogCmd::Number(n))],
        Command::Quit => vec![Cmd::Quit],
    }
}

fn ask(model: &mut Model, order: Order) -> Cmd {
    let told = order.told();
    model.toast(Tone::Wait, format!("{told} …"));
    model.event(Tone::Wait, told);
    model.marks.clear();
    Cmd::Ask(order)
}

fn test(model: &mut Model, names: Vec<String>) -> Vec<Cmd> {
    let names: Vec<String> = names.iter().map(|name| service_of(name).to_owned()).collect();
    model.toast(Tone::Wait, format!("test {} …", names.join(", ")));
    vec![Cmd::Test(names)]
}

/// `api` of `api.2`.
fn service_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(service, _)| service)
}

fn detail(model: &mut Model, service: &str) -> Vec<Cmd> {
    let service = service_of(service).to_owned();
    model.screen = Screen::Detail(Box::new(Detail { service: service.clone(), why: None, scroll: 0 }));
    vec![Cmd::Why(service)]
}

fn act(model: &mut Model, action: Action) -> Vec<Cmd> {
    if model.screen == Screen::Dashboard
        && model.focus == Pane::Logs
        && let Some(cmds) = update_log::act(model, action)
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
            let target = model.selected().map(|row| row.service);
            return target.map_or_else(Vec::new, |service| detail(model, &service));
        }
        Action::Graph => {
            model.screen = Screen::Graph;
            return vec![needs(model)];
        }
        Action::EditProblem => return edit(model),
        Action::TestAgain => {
            let service = model.problems.selected(model.focus).map(|row| row.service);
            return service.map_or_else(Vec::new, |service| test(model, vec![service]));
        }
        Action::Suspend => return vec![Cmd::Suspend],
        Action::Redraw => return vec![Cmd::Redraw],
        Action::Mouse => {
            model.mouse = !model.mouse;
            let whose = if model.mouse { "the dashboard's" } else { "the terminal's: select as anywhere" };
            model.toast(Tone::Good, format!("the mouse is {whose}"));
            return vec![Cmd::Mouse(model.mouse)];
        }
        _ => here(model, action),
    }
    Vec::new()
}

/// What only changes what is shown.
fn here(model: &mut Model, action: Action) {
    match action {
        Action::NextPane | Action::PreviousPane => {
            let step = if action == Action::NextPane { 1 } else { Pane::ALL.len() - 1 };
            model.focus = Pane::ALL[(model.focus as usize + step) % Pane::ALL.len()];
            model.screen = Screen::Dashboard;
        }
        Action::Pane1 => focus(model, Pane::Services),
        Action::Pane2 => focus(model, Pane::Vendors),
        Action::Pane3 => focus(model, Pane::Problems),
        Action::Pane4 => focus(model, Pane::Tests),
        Action::Pane5 => focus(model, Pane::Logs),
        Action::Pane6 => focus(model, Pane::Events),
        Action::Zoom => model.zoom = !model.zoom,
        Action::Help => model.popup = Some(Popup::Help(0)),
        Action::Palette => prompt(model, PromptKind::Palette, ""),
        Action::FilterList => {
            let filter = model.list_filter.clone();
            prompt(model, PromptKind::FilterList, &filter);
        }
        Action::Theme => {
            model.theme = Theme::next(model.theme);
            model.toast(Tone::Good, format!("theme {}", model.theme.name()));
        }
        Action::Sort => {
            model.sort = model.sort.next();
            settle(model);
        }
        Action::NextProblem => step(model, 1),
        Action::PreviousProblem => step(model, -1),
        Action::Failing => model.problems.all = !model.problems.all,
        Action::Dismiss => model.problems.dismiss(model.focus),
        Action::Fold => fold(model),
        Action::Mark => mark(model),
        Action::MarkAll => mark_all(model),
        Action::Down => step(model, 1),
        Action::Up => step(model, -1),
        Action::HalfDown => step(model, half(model)),
        Action::HalfUp => step(model, -half(model)),
        Action::PageDown => step(model, 2 * half(model)),
        Action::PageUp => step(model, -2 * half(model)),
        Action::Top => go(model, |_, _| 0),
        Action::Bottom => go(model, |_, len| len),
        _ => {}
    }
}

fn half(model: &Model) -> isize {
    isize::try_from(model.size.1 / 4).unwrap_or(1).max(1)
}

fn focus(model: &mut Model, pane: Pane) {
    model.focus = pane;
    model.screen = Screen::Dashboard;
}

pub(super) fn prompt(model: &mut Model, kind: PromptKind, text: &str) {
    model.prompt = Some(Prompt { kind, input: super::input::Input::of(text), error: None, chosen: None });
}

/// Closes the innermost thing that is open; `leave` at the outermost.
fn close(model: &mut Model, leave: bool) -> Vec<Cmd> {
    if model.screen != Screen::Dashboard {
        model.screen = Screen::Dashboard;
    } else if !leave
        && model.focus == Pane::Logs
        && let Some(cmds) = update_log::close(model)
    {
        return cmds;
    } else if leave && model.focus == Pane::Logs && model.log.opened.take().is_some() {
    } else if model.zoom {
        model.zoom = false;
    } else if !leave && !model.marks.is_empty() {
        model.marks.clear();
    } else if !leave && !model.list_filter.is_empty() {
        model.list_filter.clear();
        settle(model);
    } else if leave {
        return vec![Cmd::Quit];
    } else {
        model.toasts.clear();
    }
    Vec::new()
}

fn step(model: &mut Model, by: isize) {
    go(model, |at, _| at.saturating_add_signed(by));
}

/// Moves the cursor of what has the focus: `to` gets where it is and how many there are.
fn go(model: &mut Model, to: impl Fn(usize, usize) -> usize) {
    if let Screen::Detail(detail) = &mut model.screen {
        detail.scroll = to(detail.scroll, 1000).min(1000);
        return;
    }
    if model.screen == Screen::Graph {
        let last = model.needs.len();
        model.graph_scroll = to(model.graph_scroll, last).min(last);
        return;
    }
    if matches!(model.focus, Pane::Problems | Pane::Tests) {
        return model.problems.go(model.focus, to);
    }
    if model.focus == Pane::Events {
        let len = model.events.len();
        let from_top = len.saturating_sub(model.events_up);
        model.events_up = len.saturating_sub(to(from_top, len).min(len)).min(len.saturating_sub(1));
        return;
    }
    let vendors = match model.focus {
        Pane::Services => false,
        Pane::Vendors => true,
        Pane::Problems | Pane::Tests | Pane::Logs | Pane::Events => return,
    };
    let rows = model.rows(vendors);
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let list: &mut List = if vendors { &mut model.vendors } else { &mut model.services };
    let at = to(list.at, ids.len());
    list.go(at, &ids);
}

fn fold(model: &mut Model) {
    let Some(row) = model.selected() else { return };
    if !model.folded.remove(&row.service) {
        model.folded.insert(row.service);
    }
    settle(model);
}

fn mark(model: &mut Model) {
    let Some(row) = model.selected() else { return };
    if !model.marks.remove(&row.id) {
        model.marks.insert(row.id);
    }
    step(model, 1);
}

fn mark_all(model: &mut Model) {
    if !model.marks.is_empty() {
        return model.marks.clear();
    }
    let (_, vendors) = model.list();
    model.marks = model.rows(vendors).into_iter().filter(|row| !row.child).map(|row| row.id).collect();
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

fn edit(model: &mut Model) -> Vec<Cmd> {
    match model.problems.selected(model.focus).map(|row| row.place) {
        Some(Some(place)) => vec![Cmd::Edit(place)],
        Some(None) => {
            model.toast(Tone::Wait, "it names no place in a file");
            Vec::new()
        }
        None => Vec::new(),
    }
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

#[cfg(test)]
mod tests;
