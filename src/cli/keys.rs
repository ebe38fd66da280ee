//! `orchestra keys`

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::context::Context;
use super::table::{self, Cell, Row, Side};
use crate::error::Error;
use crate::tui::actions::{ACTIONS, Entry, Scope};
use crate::tui::settings::{self, Problem, Settings};

/// Shows the dashboard's keys as keys.toml has them, or checks that file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestra keys          every action, its keys, what it does\n  \
    orchestra keys check    what is wrong in keys.toml, with file, line and column")]
pub(super) struct Args {
    /// Say what is wrong in keys.toml, and which keys hide others; exit code 2 for the former
    #[arg(value_name = "check")]
    what: Option<What>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Check the file.
    Check,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let path = settings::path(|key| std::env::var_os(key).map(PathBuf::from));
    let settings = path.map(|path| settings::load(&path)).unwrap_or_default();
    match args.what {
        Some(What::Check) => check(context, &settings),
        None => show(context, &settings),
    }
}

fn show(context: &Context, settings: &Settings) -> Result<(), Error> {
    let keys = |entry: &Entry| settings.keymap.keys(entry.action).iter().map(ToString::to_string).collect::<Vec<_>>();
    let by_scope = || Scope::ALL.iter().flat_map(|scope| ACTIONS.iter().filter(move |entry| entry.scope == *scope));
    if context.output.is_json() {
        let one = |entry: &Entry| json!({"scope": entry.scope.word(), "action": entry.name, "keys": keys(entry), "help": entry.help});
        return context.output.json(&by_scope().map(one).collect::<Vec<_>>());
    }
    let row = |entry: &Entry| {
        let keys = keys(entry);
        let keys = if keys.is_empty() { format!(":{}", entry.name) } else { keys.join(" ") };
        let cells = [entry.scope.word().to_owned(), entry.name.to_owned(), keys, entry.help.to_owned()];
        Row::Cells(cells.map(Cell::plain).to_vec())
    };
    let columns = ["WHERE", "ACTION", "KEYS", "DOES"].map(|title| (title, Side::Left));
    let rows: Vec<Row> = by_scope().map(row).collect();
    context.output.show(&table::render(&columns, &rows, &[], None, context.output.color))
}

fn check(context: &Context, settings: &Settings) -> Result<(), Error> {
    let file = settings.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    if context.output.is_json() {
        let one = |problem: &Problem| {
            let (line, column) = problem.place.unzip();
            json!({"line": line, "column": column, "message": problem.text})
        };
        let all = |problems: &[Problem]| problems.iter().map(one).collect::<Vec<_>>();
        let there = settings.file.as_ref().is_some_and(|file| file.exists());
        context.output.json(&json!({
            "file": file, "exists": there, "problems": all(&settings.problems), "notes": all(&settings.notes),
        }))?;
        context.output.has_told();
    } else {
        for note in &settings.notes {
            context.output.note("note", &told(&file, note));
        }
    }
    if settings.problems.is_empty() {
        let text = match settings.file.as_ref().is_some_and(|file| file.exists()) {
            true => format!("{file}: no key means two things\n"),
            false => format!("{file}: there is no such file; the keys are those of `orchestra keys`\n"),
        };
        return if context.output.is_json() { Ok(()) } else { context.output.show(&text) };
    }
    let mut error = Error::usage("keys.toml has mistakes; the rest of it holds");
    error.details = settings.problems.iter().map(|problem| told(&file, problem)).collect();
    Err(error)
}

fn told(file: &str, problem: &Problem) -> String {
    match problem.place {
        Some((line, column)) => format!("{file}:{line}:{column}: {}", problem.text),
        None => format!("{file}: {}", problem.text),
    }
}
