//! What can be typed at the palette: every action by its name, verbs with services, and settings with a value.

use super::actions::{ACTIONS, Action, Scope};
use super::fuzzy;
use super::model::{Model, Order};
use super::theme::{AUTO, Theme};
use crate::api::convert::Ask;
use crate::config::suggest;

/// A line that was understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// An empty one.
    Nothing,
    /// An action, on what the cursor is on.
    Act(Action),
    /// A request.
    Order(Order),
    /// Tests of these services.
    Test(Vec<String>),
    /// The tests that failed.
    RerunFailed,
    /// A command of the project.
    Run(String),
    /// What the newest of these printed.
    Output,
    /// Other colours; `None` are those that suit the background.
    Theme(Option<Theme>),
    /// Check `keys.toml`.
    Keys,
    /// Everything about a service.
    Detail(String),
    /// The lines of the log that are shown, into a file.
    Export(String),
    /// To this moment of the log, in microseconds since 1970.
    Time(i64),
    /// To the line of this number, from 0 on.
    Line(u64),
    /// Only lines from this moment on, in microseconds since 1970; all of them.
    Since(Option<i64>),
    /// Leave.
    Quit,
}

/// A way to go on with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole line.
    pub line: String,
    /// What it does.
    pub help: String,
}

/// Words that take services or a value; `stop` without one means all, as on the command line.
pub const VERBS: [(&str, &str); 16] = [
    ("start", "start services, or all of them"),
    ("stop", "stop services, or all of them"),
    ("restart", "build, then replace the copies"),
    ("build", "build without starting"),
    ("test", "run the tests of services"),
    ("rerun", "failed: run the failed tests again"),
    ("run", "NAME: a command of orchestra.yml"),
    ("output", "what the last of these commands printed"),
    ("kill", "SIGKILL to services"),
    ("scale", "SERVICE N: how many copies it shall have"),
    ("why", "everything about a service"),
    ("theme", "NAME: other colours"),
    ("keys", "check: what is wrong in keys.toml"),
    ("export", "FILE: write the lines that are shown"),
    ("goto", "TIME or NUMBER: to that line of the log"),
    ("since", "TIME: only lines from then on; without one all of them"),
];

/// How far back one looks.
const AGO: [&str; 5] = ["1m", "5m", "15m", "1h", "24h"];

/// Understands a line, or says why not.
pub fn parse(model: &Model, line: &str) -> Result<Command, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((verb, rest)) = words.split_first() else { return Ok(Command::Nothing) };
    let ask = Ask::ALL.into_iter().find(|ask| ask.word() == *verb);
    match (*verb, ask, rest) {
        ("q" | "quit" | "exit", _, []) => Ok(Command::Quit),
        ("scale", _, _) => scale(model, rest),
        ("kill", _, []) => Err("kill what? name services".to_owned()),
        (_, Some(ask), names) => Ok(Command::Order(Order::new(ask, known(model, names)?))),
        ("test", _, []) => Ok(Command::Test(model.fleet.services(false).map(|service| service.name.clone()).collect())),
        ("test", _, names) => Ok(Command::Test(known(model, names)?)),
        ("run", _, [name]) => command(model, name),
        ("run", _, _) => Err("type `run NAME`, a command of orchestra.yml".to_owned()),
        ("output", _, []) => Ok(Command::Output),
        ("rerun", _, ["failed"]) => Ok(Command::RerunFailed),
        ("rerun", _, _) => Err("type `rerun failed`".to_owned()),
        ("why", _, [name]) => Ok(Command::Detail(known(model, &[name])?.remove(0))),
        ("keys", _, [] | ["check"]) => Ok(Command::Keys),
        ("theme", _, [name]) => theme(model, name),
        ("export", _, [_, ..]) => Ok(Command::Export(line.trim_start()[verb.len()..].trim().to_owned())),
        ("goto", _, [to]) => goto(model, to),
        ("since", _, []) => Ok(Command::Since(None)),
        ("since", _, [from]) => match moment(model, from)? {
            Some(us) => Ok(Command::Since(Some(us))),
            None => Err(format!("`{from}` is no time: type 5m (ago), 14:02:10 or 2026-01-02T03:04:05Z")),
        },
        (number, _, []) if number.parse::<u64>().is_ok() => goto(model, number),
        (name, _, []) => Action::named(name).map(Command::Act).ok_or_else(|| unknown(name)),
        (name, _, _) if Action::named(name).is_some() => Err(format!("`{name}` takes nothing after it")),
        (name, _, _) => Err(unknown(name)),
    }
}

fn command(model: &Model, name: &str) -> Result<Command, String> {
    let names = || model.runs.names.iter().map(|(name, _)| name.as_str());
    match names().find(|known| *known == name) {
        Some(name) => Ok(Command::Run(name.to_owned())),
        None if model.runs.names.is_empty() => Err("orchestra.yml has no `commands:`".to_owned()),
        None => {
            let near =
                suggest::nearest(name, names()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(format!("orchestra.yml has no command `{name}`{near}"))
        }
    }
}

fn scale(model: &Model, rest: &[&str]) -> Result<Command, String> {
    // `scale api 3`, and `scale api=3` as on the command line.
    let words: Vec<&str> = rest.iter().flat_map(|word| word.split('=')).collect();
    let [name, number] = words.as_slice() else { return Err("type `scale SERVICE N`".to_owned()) };
    let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
    Ok(Command::Order(Order { scale: Some(number), ..Order::new(Ask::Scale, known(model, &[name])?) }))
}

/// `1200`, `14:02`, `14:02:10`, `10m` ago, or RFC 3339.
fn goto(model: &Model, to: &str) -> Result<Command, String> {
    let number = to.replace('_', "");
    if let Ok(number) = number.parse::<u64>() {
        return Ok(Command::Line(number.saturating_sub(1)));
    }
    moment(model, to)?
        .map(Command::Time)
        .ok_or_else(|| format!("`{to}` is no line and no time: type 1200, 14:02:10, 10m (ago) or 2026-01-02T03:04:05Z"))
}

/// `14:02`, `14:02:10`, `10m` ago, or RFC 3339, in microseconds since 1970.
fn moment(model: &Model, to: &str) -> Result<Option<i64>, String> {
    let now = jiff::Timestamp::from_microsecond(model.now).map_err(|error| error.to_string())?;
    let today = now.to_zoned(model.zone.clone());
    let clock = to.parse::<jiff::civil::Time>().ok().and_then(|time| today.with().time(time).build().ok());
    let ago = crate::config::values::duration(to)
        .ok()
        .and_then(|span| now.checked_sub(jiff::SignedDuration::try_from(span).ok()?).ok());
    let moment = clock.map(|zoned| zoned.timestamp()).or(ago).or_else(|| to.parse().ok());
    Ok(moment.map(jiff::Timestamp::as_microsecond))
}

fn theme(model: &Model, name: &str) -> Result<Command, String> {
    if name == AUTO {
        return Ok(Command::Theme(None));
    }
    Theme::named(name, model.theme.depth()).map(|theme| Command::Theme(Some(theme))).ok_or_else(|| {
        format!("there is no theme `{name}`; there are {AUTO}, {}", Theme::names().collect::<Vec<_>>().join(", "))
    })
}

/// The names as they are, where all of them are services or copies.
fn known(model: &Model, names: &[&str]) -> Result<Vec<String>, String> {
    let all = names_of(model);
    match names.iter().find(|name| !all.iter().any(|known| known == *name)) {
        None => Ok(names.iter().map(|name| (*name).to_owned()).collect()),
        Some(name) => {
            let near = suggest::nearest(name, all.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(format!("there is no service `{name}`{near}"))
        }
    }
}

fn names_of(model: &Model) -> Vec<String> {
    let services = model.fleet.ps.iter().flat_map(|ps| &ps.services);
    services.flat_map(|s| std::iter::once(s.name.clone()).chain(s.instances.iter().map(|i| i.id.clone()))).collect()
}

fn unknown(name: &str) -> String {
    let words = VERBS.iter().map(|(word, _)| *word).chain(ACTIONS.iter().map(|entry| entry.name));
    let near = suggest::nearest(name, words);
    let near = near.map_or_else(|| "; `?` shows all".to_owned(), |near| format!("; did you mean `{near}`?"));
    format!("there is no command `{name}`{near}")
}

/// How a line could go on, best first.
pub fn complete(model: &Model, line: &str) -> Vec<Candidate> {
    let (done, word) = line.rsplit_once(' ').map_or(("", line), |(done, word)| (done, word));
    let all: Vec<(String, String)> = match done.split_whitespace().next() {
        None => words(),
        Some("since" | "goto") => AGO.iter().map(|ago| ((*ago).to_owned(), "ago".to_owned())).collect(),
        Some("export") => Vec::new(),
        Some("run") => model.runs.names.clone(),
        Some("rerun") => vec![("failed".to_owned(), "the tests that failed".to_owned())],
        Some("keys") => vec![("check".to_owned(), "what is wrong in keys.toml".to_owned())],
        Some("theme") => {
            [AUTO].into_iter().chain(Theme::names()).map(|name| (name.to_owned(), "theme".to_owned())).collect()
        }
        Some(verb) if VERBS.iter().any(|(known, _)| *known == verb) => {
            let services = model.fleet.ps.iter().flat_map(|ps| &ps.services);
            services.map(|service| (service.name.clone(), service.state.clone())).collect()
        }
        Some(_) => Vec::new(),
    };
    let found = fuzzy::find(word, all.iter().map(|(name, _)| name.as_str()));
    let prefix = if done.is_empty() { String::new() } else { format!("{done} ") };
    let candidate = |found: fuzzy::Found| {
        let (name, help) = &all[found.index];
        Candidate { line: format!("{prefix}{name}"), help: help.clone() }
    };
    found.into_iter().map(candidate).collect()
}

fn words() -> Vec<(String, String)> {
    let verbs = VERBS.iter().map(|(word, help)| ((*word).to_owned(), (*help).to_owned()));
    let named = |name: &str| VERBS.iter().any(|(word, _)| *word == name);
    let actions = ACTIONS.iter().filter(|entry| entry.scope != Scope::Move && !named(entry.name));
    verbs.chain(actions.map(|entry| (entry.name.to_owned(), entry.help.to_owned()))).collect()
}
