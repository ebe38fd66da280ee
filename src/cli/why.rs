//! `orchestra why`

use std::fmt::Write;

use clap_complete::engine::ArgValueCompleter;

use super::context::{Context, check};
use super::output::Paint;
use super::ps::ended;
use super::table::{self, Cell, Row, Side};
use super::{answers, complete, hooks, text};
use crate::api::convert;
use crate::api::wire::{Limits, Why};
use crate::error::Error;
use crate::task::spec::size_words;

/// Says why a service is as it is: what it waits for, its last exits, its last build, what changed. Answers from disk when no supervisor runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestra why api\n  orchestra why api -o json")]
pub(super) struct Args {
    /// The service
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(complete::selectors))]
    service: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    if let Some(project) = &project {
        check(project, std::slice::from_ref(&args.service))?;
    }
    hooks::around(&context.output, &place, project.as_ref(), "why", || {
        let name = service(&args.service)?;
        let why = context.wait(answers::why(&context.output, &place, project.as_ref(), &name))?;
        match context.output.is_json() {
            true => context.output.json(&why),
            false => context.output.show(&render(&why, context.output.color)),
        }
    })
}

/// `api.2` asks about `api`.
fn service(typed: &str) -> Result<String, Error> {
    match crate::task::id::InstanceId::parse(typed) {
        Some(instance) => Ok(instance.service.to_string()),
        None => Ok(convert::service_name(typed)?.to_string()),
    }
}

fn render(why: &Why, color: bool) -> String {
    let mut out = String::new();
    line(&mut out, &Paint::Bold.on(&text::clean(&why.summary), color));
    for reason in &why.reasons {
        line(&mut out, &format!("  {}", text::clean(reason)));
    }
    section(&mut out, "waits for", color, needs(why));
    section(
        &mut out,
        "held by",
        color,
        why.holders.iter().map(|holder| Row::Line(format!("  {holder}"), None)).collect(),
    );
    section(&mut out, "limits", color, limits(why));
    section(&mut out, "last build", color, build(why));
    section(&mut out, "last exits", color, exits(why));
    section(&mut out, "what happened", color, events(why));
    section(&mut out, "environment set by files and orchestra", color, env(why));
    out
}

fn section(out: &mut String, title: &str, color: bool, rows: Vec<Row>) {
    if rows.is_empty() {
        return;
    }
    line(out, "");
    line(out, &Paint::Bold.on(title, color));
    let columns = [("", Side::Left), ("", Side::Left), ("", Side::Left), ("", Side::Left)];
    let table = table::render(&columns, &rows, &[], None, color);
    // The first line holds the titles, of which there are none.
    table.lines().skip(1).for_each(|row| line(out, row.trim_end()));
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    writeln!(out, "{text}").unwrap_or(());
}

fn needs(why: &Why) -> Vec<Row> {
    let row = |need: &crate::api::wire::WhyNeed| {
        let met = if need.met { "met" } else { "not met" };
        Row::Cells(vec![
            Cell::plain(format!("  {}", need.service)),
            Cell::plain(format!("to be {}", need.condition)),
            Cell::painted(need.state.clone(), Paint::of_state(&need.state)),
            Cell::plain(met),
        ])
    };
    why.needs.iter().map(row).collect()
}

fn build(why: &Why) -> Vec<Row> {
    let Some(build) = &why.service.build else { return Vec::new() };
    let id = build.id.as_ref().map_or_else(String::new, |id| format!("  {id}"));
    let mut rows = vec![Row::Line(format!("  {}{id}", build.state), Paint::of_state(&build.state))];
    let places = build.problems.iter().map(|p| match p.line {
        0 => format!("  {}: {}", p.file, p.message),
        _ => format!("  {}:{}:{}: {}", p.file, p.line, p.column, p.message),
    });
    rows.extend(places.map(|place| Row::Line(place, None)));
    if build.problems.is_empty() {
        rows.extend(build.error.iter().map(|error| Row::Line(format!("  {error}"), None)));
    }
    rows
}

/// Equal ones of several copies are said once.
fn limits(why: &Why) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut said = Vec::new();
    for instance in &why.service.instances {
        let Some(limits) = &instance.limits else { continue };
        if said.contains(limits) {
            continue;
        }
        said.push(limits.clone());
        let colour = (!limits.enforced).then_some(Paint::Yellow);
        rows.push(Row::Line(format!("  {}", held_to(limits)), colour));
    }
    rows
}

/// `256 MiB of memory and 0.5 CPU`, and whether that is so.
fn held_to(limits: &Limits) -> String {
    let memory = limits.memory_bytes.map(|bytes| format!("{} of memory", size_words(bytes)));
    let cpu = limits.cpu.map(|cores| format!("{cores} CPU"));
    let what = memory.into_iter().chain(cpu).collect::<Vec<_>>().join(" and ");
    match &limits.reason {
        _ if limits.enforced => format!("{what}, enforced"),
        Some(why) => format!("{what}, not enforced: {why}; see: orchestra doctor"),
        None => format!("{what}, not enforced; see: orchestra doctor"),
    }
}

fn exits(why: &Why) -> Vec<Row> {
    let row = |e: &crate::api::wire::WhyExit| {
        Row::Cells(vec![
            Cell::plain(format!("  {}", e.exit.at)),
            Cell::plain(e.instance.clone()),
            Cell::plain(ended(&e.exit)),
        ])
    };
    why.exits.iter().map(row).collect()
}

fn events(why: &Why) -> Vec<Row> {
    why.events
        .iter()
        .map(|e| Row::Cells(vec![Cell::plain(format!("  {}", e.at)), Cell::plain(e.message.clone())]))
        .collect()
}

fn env(why: &Why) -> Vec<Row> {
    why.env.iter().map(|(key, value)| Row::Line(format!("  {key}={value}"), None)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{Build, Exit, Problem, Service, WhyEvent, WhyExit, WhyNeed};

    #[test]
    fn everything_there_is_to_say() {
        let at = || "2026-01-02T03:04:05.678Z".to_owned();
        let build = Build {
            state: "failed".into(),
            id: Some("9f31c2a".into()),
            error: Some("api/main.go:9:25: too many return values".into()),
            problems: vec![Problem {
                file: "api/main.go".into(),
                line: 9,
                column: 25,
                message: "too many return values".into(),
            }],
        };
        let why = Why {
            service: Service {
                name: "api".into(),
                kind: "service".into(),
                desired: "up".into(),
                scale: 1,
                state: "queued".into(),
                build: Some(build),
                test: None,
                rerun: None,
                instances: Vec::new(),
            },
            summary: "`api` is queued: it waits for `db` to be ready".into(),
            reasons: vec!["api.1 waits".into()],
            needs: vec![WhyNeed {
                service: "db".into(),
                condition: "ready".into(),
                state: "running".into(),
                met: false,
            }],
            exits: vec![WhyExit {
                instance: "api.1".into(),
                exit: Exit { code: None, signal: Some(9), reason: "signal".into(), killed: false, at: at() },
            }],
            holders: vec!["port 8080 is held by pid 7 (nc)".into()],
            events: vec![WhyEvent { at: at(), message: "built\x1b[2J".into() }],
            env: [("DB_PASSWORD".to_owned(), "***".to_owned())].into(),
        };
        insta::assert_snapshot!(render(&why, false), @r"
        `api` is queued: it waits for `db` to be ready
          api.1 waits

        waits for
          db  to be ready  running  not met

        held by
          port 8080 is held by pid 7 (nc)

        last build
          failed  9f31c2a
          api/main.go:9:25: too many return values

        last exits
          2026-01-02T03:04:05.678Z  api.1  ended by SIGKILL

        what happened
          2026-01-02T03:04:05.678Z  built�[2J

        environment set by files and orchestra
          DB_PASSWORD=***
        ");
    }
}
