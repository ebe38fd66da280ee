//! The parts of what there is to say about a service, line by line.

use super::build::build;
use super::facts::{Facts, Page, Spans, ran};
use crate::api::wire::{Exit, Instance};
use crate::text;
use crate::tui::actions::Action;
use crate::tui::fleet::Tone;
use crate::tui::graph::why;
use crate::tui::model::Part;
use crate::tui::theme::Token;

/// So many places of a failed build are shown in the overview.
const PLACES: usize = 6;

/// A column of the wide overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// How it is and why.
    Left,
    /// What it is made of, and what happened.
    Right,
}

/// A part alone; the overview has all of them.
pub(super) fn lines(facts: &Facts<'_>, part: Part, width: usize) -> Vec<Spans> {
    let mut page = Page { facts, width, lines: Vec::new() };
    match part {
        Part::Overview => {
            left(&mut page);
            right(&mut page);
        }
        Part::Ports => ports(&mut page),
        Part::Env => env(&mut page),
        Part::Restarts => restarts(&mut page),
        Part::Needs => needs(&mut page),
        Part::Build => build(&mut page, usize::MAX),
        Part::Events => events(&mut page),
    }
    if page.lines.is_empty() {
        let nothing = if facts.why.is_some() { "nothing is built for it" } else { "asking …" };
        page.line(nothing, Token::Dim);
    }
    page.lines
}

/// A column of the overview.
pub(super) fn side(facts: &Facts<'_>, side: Side, width: usize) -> Vec<Spans> {
    let mut page = Page { facts, width, lines: Vec::new() };
    match side {
        Side::Left => left(&mut page),
        Side::Right => right(&mut page),
    }
    page.lines
}

fn left(page: &mut Page<'_>) {
    because(page);
    copies(page);
    ports(page);
    needs(page);
    build(page, PLACES);
}

fn right(page: &mut Page<'_>) {
    env(page);
    restarts(page);
    events(page);
}

/// Why it is as it is.
fn because(page: &mut Page<'_>) {
    let tone = Tone::of(&page.facts.service.state);
    let Some(why) = page.facts.why else {
        return page.line("asking …", Token::Dim);
    };
    page.wrapped(&why.summary, tone.token());
    for reason in why.reasons.iter().filter(|reason| why::is_news(&why.summary, reason)) {
        page.wrapped(&format!("  {reason}"), Token::Text);
    }
}

/// Every copy, where there are several.
fn copies(page: &mut Page<'_>) {
    let facts = page.facts;
    if facts.instances.len() < 2 {
        return;
    }
    page.head(&format!("Copies {}", facts.instances.len()), "");
    let width = facts.instances.iter().map(|copy| text::width(&copy.id)).max().unwrap_or(0);
    for copy in &facts.instances {
        let tone = Tone::of(&copy.state);
        let state = format!("{} {}", tone.glyph(facts.model.ascii), copy.state);
        let up = copy.started_at.as_deref().filter(|_| copy.is_up()).and_then(|at| facts.ago(at));
        let number = |n: Option<String>| n.unwrap_or_else(|| "-".to_owned());
        page.cells(&[
            (&copy.id, width, Token::Text),
            (&state, 12, tone.token()),
            (&format!("up {}", number(up)), 7, Token::Text),
            (&format!("rs {}", copy.restarts), 5, Token::Text),
            (&format!("{}%", number(copy.cpu_percent.map(|cpu| format!("{cpu:.1}")))), 6, Token::Text),
            (&number(copy.memory_bytes.map(text::size)), 5, Token::Text),
            (&copy.pid.map_or_else(String::new, |pid| format!("pid {pid}")), 10, Token::Dim),
        ]);
    }
}

/// Its ports, who listens, and whether it is well.
fn ports(page: &mut Page<'_>) {
    let facts = page.facts;
    page.head("Ports, health", &format!("{} opens the first", facts.model.key(Action::OpenUrl)));
    let width =
        facts.instances.iter().flat_map(|copy| copy.ports.keys()).map(|name| text::width(name)).max().unwrap_or(0);
    let several = facts.instances.len() > 1;
    for copy in &facts.instances {
        let of = if several { copy.id.as_str() } else { "" };
        for (name, port) in &copy.ports {
            let (words, token) = listener(copy, *port);
            page.cells(&[
                (&format!(":{port}"), 6, Token::Text),
                (name, width, Token::Dim),
                (words, 14, token),
                (of, 0, Token::Dim),
            ]);
        }
        let known: Vec<u16> = copy.ports.values().copied().collect();
        for listens in copy.listening.iter().filter(|listens| !known.contains(&port_of(listens))) {
            page.cells(&[(listens, 6, Token::Text), ("not declared", width, Token::Dim), (of, 0, Token::Dim)]);
        }
        let (health, token) = match &*copy.health {
            "ok" => ("ok", Token::Good),
            "failing" => ("failing", Token::Bad),
            _ if copy.is_up() => ("no probe has answered yet", Token::Dim),
            _ => ("it does not run", Token::Dim),
        };
        let ready =
            why::took(copy).map_or_else(String::new, |took| format!("ready {} after its start", text::time(took)));
        page.cells(&[("health", 6, Token::Dim), (health, 0, token), (&ready, 0, Token::Dim), (of, 0, Token::Dim)]);
    }
    for holder in page.facts.why.into_iter().flat_map(|why| &why.holders) {
        page.wrapped(holder, Token::Bad);
    }
    for one in page.facts.why.into_iter().flat_map(|why| &why.containers) {
        page.wrapped(&format!("{} runs in {} ({}) at {}", one.instance, one.name, one.image, one.engine), Token::Text);
    }
}

/// Whether it listens where it is asked on. Containers are not looked into.
fn listener(copy: &Instance, port: u16) -> (&'static str, Token) {
    let listens = copy.listening.iter().any(|listens| port_of(listens) == port);
    match (listens, copy.is_up(), copy.listening.is_empty()) {
        (true, ..) => ("listening", Token::Good),
        (false, false, _) => ("not running", Token::Dim),
        (false, true, true) if copy.worker != crate::api::wire::PROCESS => ("published", Token::Text),
        (false, true, _) => ("not listening", Token::Warn),
    }
}

/// The port of `127.0.0.1:8080/tcp`.
fn port_of(listens: &str) -> u16 {
    let address = listens.split('/').next().unwrap_or_default();
    address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0)
}

/// Its environment; secrets stay masked.
fn env(page: &mut Page<'_>) {
    let Some(why) = page.facts.why else { return };
    let masked = why.env.values().filter(|value| value.contains("********")).count();
    let more = match masked {
        0 => String::new(),
        n => format!("{n} masked: `orchestra export {}` prints them", page.facts.service.name),
    };
    page.head(&format!("Env {}", why.env.len()), &more);
    if why.env.is_empty() {
        page.line("no file sets anything that is known now", Token::Dim);
    }
    let room = page.width.saturating_sub(2);
    let of = |(key, value): (&String, &String)| text::width(key) + text::width(value) + 1;
    let width = why.env.iter().map(of).max().unwrap_or(0).min(room.saturating_sub(26).max(20));
    for (key, value) in &why.env {
        let pair = format!("{key}={value}");
        let from = why.env_from.get(key).map_or("", String::as_str);
        let pair = text::cut(&text::clean(&pair), room.max(8)).into_owned();
        page.cells(&[(&pair, width, Token::Text), (from, 0, Token::Dim)]);
    }
}

/// How its runs ended, the newest first.
fn restarts(page: &mut Page<'_>) {
    let Some(why) = page.facts.why else { return };
    let meant = |id: &str| page.facts.instances.iter().any(|copy| copy.id == id);
    let exits: Vec<_> = why.exits.iter().filter(|exit| meant(&exit.instance)).collect();
    page.head(&format!("Restarts, ends {}", exits.len()), "");
    if exits.is_empty() {
        page.line("it never ended", Token::Dim);
    }
    let several = page.facts.service.instances.len() > 1;
    for (n, exit) in exits.iter().enumerate() {
        let (how, token) = ended(&exit.exit);
        let (time, ran) = (page.facts.clock(&exit.exit.at), exit.exit.ran_ms.map_or_else(String::new, ran));
        let number = format!("#{}", exits.len() - n);
        let of = if several { exit.instance.as_str() } else { "" };
        page.cells(&[
            (&number, 3, Token::Dim),
            (&time, 8, Token::Dim),
            (&how, 10, token),
            (&ran, 10, Token::Text),
            (of, 0, Token::Dim),
        ]);
    }
}

fn ended(exit: &Exit) -> (String, Token) {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => String::new(),
    };
    let killed = if exit.killed { ", killed" } else { "" };
    match &*exit.reason {
        "exit" if exit.code == Some(0) => (how, Token::Text),
        "exit" | "signal" => (how, Token::Bad),
        "stopped" | "rerun" => (format!("{}{killed} {how}", exit.reason).trim_end().to_owned(), Token::Text),
        reason => (format!("{reason} {how}").trim_end().to_owned(), Token::Bad),
    }
}

/// Whom it needs, and who needs it.
fn needs(page: &mut Page<'_>) {
    let facts = page.facts;
    let Some(why) = facts.why else { return };
    page.head(&format!("Needs {}", why.needs.len()), &format!("{} shows the graph", facts.model.key(Action::Graph)));
    let width = why.needs.iter().map(|need| text::width(&need.service)).max().unwrap_or(0).min(40);
    for need in &why.needs {
        let tone = facts.model.fleet.service(&need.service).map_or(Tone::Bad, |other| Tone::of(&other.state));
        let (met, token) = if need.met { ("met", Token::Good) } else { ("not met", Token::Wait) };
        page.cells(&[
            (&tone.glyph(facts.model.ascii).to_string(), 1, tone.token()),
            (&need.service, width, Token::Text),
            (&need.state, 9, tone.token()),
            (&format!("to be {}:", need.condition), 16, Token::Dim),
            (met, 0, token),
        ]);
    }
    let by: Vec<&str> = facts
        .model
        .graph
        .needs
        .iter()
        .filter(|(_, told)| told.needs.iter().any(|need| need.service == facts.service.name))
        .map(|(name, _)| name.as_str())
        .collect();
    if !by.is_empty() {
        page.wrapped(&format!("needed by {}", by.join(", ")), Token::Dim);
    } else if why.needs.is_empty() {
        page.line("it depends on nothing", Token::Dim);
    }
}

/// What happened, the newest first.
fn events(page: &mut Page<'_>) {
    let Some(why) = page.facts.why else { return };
    page.head("Events", "newest first");
    if why.events.is_empty() {
        page.line("nothing happened yet", Token::Dim);
    }
    for event in why.events.iter().rev() {
        let time = page.facts.clock(&event.at);
        page.wrapped(&format!("{time}  {}", event.message), Token::Text);
    }
}
