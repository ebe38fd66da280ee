//! `orchestra man`: one page of everything, made from the definitions of the command line and the dashboard's list of actions.

use std::io;

use clap::builder::StyledStr;
use clap::{Arg, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::Cli;
use super::context::Context;
use crate::error::Error;
use crate::tui::actions::{ACTIONS, Scope};
use crate::tui::command::VERBS;

/// Prints the manual page of the program and its dashboard, or of one command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestra man | man -l -\n  orchestra man start | man -l -")]
pub(super) struct Args {
    /// The command to describe
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// The part of the manual it belongs to.
const MANUAL: &str = "Commands";

/// When what is written here was changed last.
const DATE: &str = "2026-11-22";

/// Files of which people should know.
const FILES: [(&str, &str); 5] = [
    (
        "orchestra.yml",
        "The project: what holds for all services, and vendors. `orchestra schema project` prints its keys",
    ),
    ("*/service.yml", "A service. `orchestra schema service` prints its keys"),
    (".orchestra/", "Logs, state and binaries of the project. It may be deleted while nothing runs"),
    (
        "~/.config/orchestra/keys.toml",
        "Keys, theme and manners of the dashboard. `orchestra keys check` says what is wrong in it",
    ),
    ("/tmp/orchestra-UID/", "Locks and sockets of everything that runs, for their owner only"),
];

/// Variables that change what the program does.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("ORCHESTRA_CONFIG", "The project's file, as `--config` names it"),
    (
        "ORCHESTRA_EDITOR, VISUAL, EDITOR",
        "What the dashboard opens files with; the first may hold {file}, {line} and {column}",
    ),
    ("NO_COLOR", "No colour, where it is not empty"),
    ("COLORTERM, TERM", "How many colours the dashboard uses; on a dumb terminal `orchestra` is `orchestra ps`"),
    ("COLORFGBG", "Whether the terminal is light or dark, where it does not answer the question itself"),
    ("DOCKER_HOST, DOCKER_CONTEXT", "Which Docker engine is used, as the docker command has it"),
    ("COMPOSE_PROFILES", "Profiles of vendors and services, beside those of `--profile`"),
];

/// What the exit code says.
const CODES: [(&str, &str); 5] = [
    ("0", "It is done"),
    ("1", "It was tried and failed: a service, a build, a test"),
    ("2", "Wrong usage or configuration"),
    ("3", "The supervisor or Docker cannot be reached, and that is the only trouble"),
    ("130", "Interrupted"),
];

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let mut all = Cli::command();
    all.build();
    let failed = |error: io::Error| Error::failed("cannot write the manual").because(&error);
    let text = match &args.command {
        None => page(all).map_err(failed)?,
        Some(name) => match all.find_subcommand(name) {
            Some(one) => {
                let mut text = Vec::new();
                let title = format!("orchestra-{name}");
                Man::new(one.clone()).title(title).date(DATE).manual(MANUAL).render(&mut text).map_err(failed)?;
                text
            }
            None => return Err(Error::usage(format!("there is no command `{name}`")).hint("orchestra --help")),
        },
    };
    context.output.print(spaced(&text))
}

/// Two breaks around an empty line are one space, and of the former readers of manuals complain.
fn spaced(page: &[u8]) -> String {
    String::from_utf8_lossy(page).replace(".br\n\n.br\n", ".sp\n")
}

/// The page of everything.
fn page(all: clap::Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let man = Man::new(all.clone()).date(DATE).manual(MANUAL);
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    let mut roff = Roff::new();
    roff.text([roman(
        "Without a command, on a terminal, it shows the dashboard; elsewhere it does what `orchestra ps` does.",
    )]);
    if let Some(help) = all.get_after_help() {
        as_it_is(&mut roff, help);
    }
    roff.to_writer(&mut out)?;
    man.render_options_section(&mut out)?;

    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        section(&mut roff, command);
    }
    dashboard(&mut roff);
    list(&mut roff, "FILES", &FILES);
    list(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    list(&mut roff, "EXIT STATUS", &CODES);
    roff.to_writer(&mut out)?;
    Ok(out)
}

/// A command, and the commands below it.
fn section(roff: &mut Roff, command: &clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    roff.control("SS", [name.as_str()]);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage:").trim();
    for (at, line) in usage.lines().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        roff.text([italic(line.trim())]);
    }
    roff.control("PP", []);
    for line in command.get_about().map(StyledStr::to_string).unwrap_or_default().lines() {
        roff.text([roman(line)]);
    }
    for argument in command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_global_set()) {
        let help = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
        let values = argument.get_possible_values();
        let values = values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name());
        let values = values.collect::<Vec<_>>().join(", ");
        let switch = !argument.get_action().takes_values();
        let values = if values.is_empty() || switch { String::new() } else { format!(" ({values})") };
        entry(roff, names(argument), &format!("{help}{values}"));
    }
    if let Some(help) = command.get_after_help() {
        as_it_is(roff, help);
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        section(roff, inner);
    }
}

fn names(argument: &Arg) -> Vec<Inline> {
    let values = argument.get_value_names().unwrap_or_default().iter().map(|name| name.to_string());
    let values = values.collect::<Vec<_>>().join(" ");
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags = [short, long].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (flags.is_empty(), argument.get_action().takes_values()) {
        (true, _) => vec![italic(values)],
        (false, true) => vec![bold(flags), roman(" "), italic(values)],
        (false, false) => vec![bold(flags)],
    }
}

/// Everything a key or a typed command does.
fn dashboard(roff: &mut Roff) {
    roff.control("SH", ["DASHBOARD"]);
    roff.text([roman(
        "These are the keys unless keys.toml says others, by where they hold; what has no key, and everything else by its name, is typed after a colon.",
    )]);
    for scope in Scope::ALL {
        roff.control("SS", [format!("Keys: {}", scope.word()).as_str()]);
        for action in ACTIONS.iter().filter(|entry| entry.scope == scope) {
            let keys = if action.keys.is_empty() { format!(":{}", action.name) } else { action.keys.join(" ") };
            entry(roff, vec![bold(keys)], &format!("{}: {}", action.name, action.help));
        }
    }
    roff.control("SS", ["Typed commands"]);
    for (word, help) in VERBS {
        entry(roff, vec![bold(format!(":{word}"))], help);
    }
}

fn list(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, text) in entries {
        entry(roff, vec![bold(*name)], text);
    }
}

fn entry(roff: &mut Roff, head: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(head);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        roff.text([roman(line.trim())]);
    }
}

/// Line by line, as help prints it.
fn as_it_is(roff: &mut Roff, text: &StyledStr) {
    for paragraph in text.to_string().split("\n\n") {
        roff.control("PP", []);
        roff.control("nf", []);
        for line in paragraph.lines().filter(|line| !line.trim().is_empty()) {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is read, without marks and escapes.
    fn plain() -> String {
        let mut all = Cli::command();
        all.build();
        let text = String::from_utf8(page(all).unwrap()).unwrap();
        let fonts = regex::Regex::new(r"\\f[BIRP]").unwrap();
        fonts.replace_all(&text, "").replace("\\-", "-").replace("\\&", "").replace("\\*(Aq", "'").replace("\\\\", "\\")
    }

    #[test]
    fn every_command_and_flag_is_in_it() {
        fn all(command: &clap::Command, page: &str) {
            for inner in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
                let name = inner.get_bin_name().unwrap();
                assert!(page.contains(&format!(".SS \"{name}\"")) || page.contains(&format!(".SS {name}")), "{name}");
                for long in inner.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long) {
                    assert!(page.contains(&format!("--{long}")), "--{long} of {name}");
                }
                all(inner, page);
            }
        }
        let mut command = Cli::command();
        command.build();
        all(&command, &plain());
    }

    #[test]
    fn every_action_is_in_it() {
        let page = plain();
        for action in ACTIONS {
            assert!(page.contains(&format!("\n{}: {}\n", action.name, action.help)), "{}", action.name);
        }
        for (word, help) in VERBS {
            assert!(page.contains(&format!("\n:{word}\n{help}\n")), "{word}");
        }
    }
}
