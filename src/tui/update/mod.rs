//! What every message changes, and what is to be done for it. Pure: no clock, no terminal, no socket.

mod acts;
mod count;
mod custom;
mod log;
mod mouse;
mod moves;
mod problems;
mod prompt;
mod screens;

use super::actions::Action;
use super::actions::Scope;
use super::fleet::Tone;
use super::keys::Key;
use super::model::{Link, Model, Screen};
use super::msg::{Cmd, Msg};
use super::problems::Tests;
use crate::api::wire::Progress;

pub use acts::keys_told;

/// Changes the model.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    let mut cmds = change(model, msg);
    model.settle_lists();
    model.settle_log();
    cmds.extend(problems::wishes(model));
    cmds
}

fn change(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    match msg {
        Msg::Key(key) => key_pressed(model, key),
        Msg::Paste(text) => {
            let Some(prompt) = &mut model.prompt else { return Vec::new() };
            prompt.input.paste(&text);
            prompt::typed(model)
        }
        Msg::Wheel { x, y, by } => mouse::wheel(model, x, y, by as isize),
        Msg::Click { x, y, at } => {
            model.now = model.now.max(at);
            mouse::click(model, x, y)
        }
        Msg::Drag { x, y } => mouse::drag(model, x, y),
        Msg::Release => mouse::release(model),
        Msg::Beat => mouse::beat(model),
        Msg::Resize(columns, rows) => {
            model.size = (columns, rows);
            Vec::new()
        }
        Msg::Background(background) => {
            model.background = Some(background);
            if model.auto {
                model.paint(None);
            }
            Vec::new()
        }
        Msg::Keys(problems, notes) => {
            acts::keys_told(model, &problems, &notes);
            Vec::new()
        }
        Msg::Tick(now) => tick(model, now),
        Msg::Ps(ps) => {
            model.link = if ps.supervisor.running { Link::Up } else { Link::Down };
            if let Some(trouble) = &ps.supervisor.trouble {
                model.link = Link::Trouble(trouble.clone());
            }
            model.problems.update(&ps.services, model.now);
            model.fleet.update(*ps, model.now);
            moves::settle(model);
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
            log::found(model, found, asked, what);
            Vec::new()
        }
        Msg::Opened(position, bytes) => {
            log::opened(model, position, bytes);
            Vec::new()
        }
        Msg::Needs(needs) => {
            model.graph.take(needs, &model.fleet);
            Vec::new()
        }
        Msg::Problem(msg) => {
            let services = model.fleet.ps.as_ref().map_or(&[][..], |ps| &ps.services);
            model.problems.answered(msg, services, model.now);
            Vec::new()
        }
        Msg::Run(msg) => {
            custom::told(model, msg);
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
    model.problems.refresh(now);
    match &model.screen {
        Screen::Detail(detail) => vec![Cmd::Why(detail.service.clone())],
        Screen::Graph => screens::ask(model).into_iter().collect(),
        Screen::Dashboard => Vec::new(),
    }
}

fn tested(model: &mut Model, service: &str, tests: Tests) {
    if !tests.running {
        let failed = tests.failed();
        let (tone, text) = match &tests.error {
            Some(error) => (Tone::Bad, format!("tests of {service}: {error}")),
            None if failed > 0 => (Tone::Bad, format!("tests of {service}: {failed} failed")),
            None => (Tone::Good, format!("tests of {service}: {} passed", tests.passed())),
        };
        model.event(tone, text.clone());
        model.toast(tone, text);
    }
    model.problems.tested(service, tests, model.now);
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
        return prompt::prompt_key(model, key);
    }
    if let Some(popup) = model.popup.take() {
        return prompt::popup_key(model, popup, key);
    }
    if let Some(what) = model.log.letter.take() {
        log::letter(model, what, key);
        return Vec::new();
    }
    if let Some(name) = model.keymap.command(key).map(str::to_owned) {
        return custom::start(model, &name);
    }
    if count::goes_on(model, key) {
        let count = model.count;
        count::digit(model, key, count);
        return Vec::new();
    }
    let count = model.count.take();
    let scope = match model.screen {
        Screen::Dashboard => model.focus.scope(),
        Screen::Detail(_) => Scope::Detail,
        Screen::Graph => Scope::Graph,
    };
    match model.keymap.action(scope, key) {
        Some(action) => count::act(model, action, count),
        None if count::digit(model, key, None) => Vec::new(),
        None => {
            let help = model.key(Action::Help);
            model.toast(Tone::Wait, format!("`{key}` does nothing here; `{help}` shows all keys"));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
