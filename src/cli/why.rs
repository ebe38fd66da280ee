//! `orchestra why`

use std::fmt::Write;
use std::time::Duration;

use clap_complete::engine::ArgValueCompleter;

use super::context::{Context, check_started};
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
        check_started(&place, project, std::slice::from_ref(&args.service))?;
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
    if why.watched {
        line(&mut out, "  it is watched: a save builds it and replaces what runs");
    }
    section(&mut out, "waits for", color, needs(why));
    section(
        &mut out,
        "held by",
        color,
        why.holders.iter().map(|holder| Row::Line(format!("  {holder}"), None)).collect(),
    );
    section(&mut out, "container", color, containers(why));
    section(&mut out, "limits", color, limits(why));
    section(&mut out, "last build", color, build(why));
    section(&mut out, "its tests", color, tests(why));
    section(&mut out, "last edit", color, rerun(why));
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

fn containers(why: &Why) -> Vec<Row> {
    let row = |one: &crate::api::wire::WhyContainer| {
        let id: String = one.id.chars().take(SHORT_ID).collect();
        let cells = [format!("  {}", one.instance), one.name.clone(), one.image.clone(), id];
        Row::Cells(cells.into_iter().map(Cell::plain).collect())
    };
    why.containers.iter().map(row).collect()
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

fn tests(why: &Why) -> Vec<Row> {
    let Some(tests) = &why.tests else { return Vec::new() };
    let counts = match (tests.passed, tests.failed) {
        (0, 0) => String::new(),
        (passed, failed) => format!("  {passed} passed, {failed} failed"),
    };
    let mut rows = vec![Row::Line(format!("  {}{counts}", tests.state), Paint::of_state(&tests.state))];
    rows.extend(tests.error.iter().map(|error| Row::Line(format!("  {error}"), None)));
    rows
}

/// Which files, what became of it, and how long each part of that took.
fn rerun(why: &Why) -> Vec<Row> {
    let Some(rerun) = &why.rerun else { return Vec::new() };
    let shown: Vec<&str> = rerun.files.iter().take(FILES).map(String::as_str).collect();
    let rest = rerun.files.len() - shown.len() + rerun.more;
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let mut rows = vec![Row::Line(format!("  {}{more}, seen {}", shown.join(", "), rerun.seen_at), None)];
    let aborted = match rerun.aborted {
        0 => None,
        1 => Some("  a build was ended because a newer edit came".to_owned()),
        n => Some(format!("  {n} builds were ended because newer edits came")),
    };
    let same = (rerun.build.as_deref() == Some("same")).then(|| "  it made the same code as before".to_owned());
    rows.extend(aborted.into_iter().chain(same).map(|words| Row::Line(words, None)));
    let phase = |phase: &crate::api::wire::WhyPhase| step(phase_words(&phase.phase).unwrap_or(&phase.phase), phase.ms);
    rows.extend(rerun.phases.iter().map(phase));
    rows.extend((rerun.phases.len() > 1).then(|| step("in all", rerun.total_ms)));
    rows
}

/// So much of a container's id is shown, as the docker command does.
const SHORT_ID: usize = 12;
/// So many files are named.
const FILES: usize = 5;

fn step(what: &str, ms: f64) -> Row {
    let time = if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.2} s", ms / 1000.0) };
    Row::Cells(vec![Cell::plain(format!("  {what}")), Cell::plain(time)])
}

fn phase_words(phase: &str) -> Option<&'static str> {
    Some(match phase {
        "waited" => "until the build began",
        "built" => "build",
        "tested" => "tests",
        "told" => "until the old copy was told to end",
        "stopped" => "end of the old copy",
        "started" => "until the new copy was started",
        "ready" => "until it was ready",
        _ => return None,
    })
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

/// `ran 4.2s`
fn ran(ms: u64) -> String {
    format!("ran {}", text::time(Duration::from_millis(ms)))
}

fn exits(why: &Why) -> Vec<Row> {
    let row = |e: &crate::api::wire::WhyExit| {
        Row::Cells(vec![
            Cell::plain(format!("  {}", e.exit.at)),
            Cell::plain(e.instance.clone()),
            Cell::plain(ended(&e.exit)),
            Cell::plain(e.exit.ran_ms.map_or_else(String::new, ran)),
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
    let row = |(key, value): (&String, &String)| {
        let from = why.env_from.get(key).map_or_else(String::new, |from| format!("   ({from})"));
        Row::Line(format!("  {key}={value}{from}"), None)
    };
    why.env.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{
        Build, Exit, Problem, Service, WhyContainer, WhyEvent, WhyExit, WhyNeed, WhyPhase, WhyRerun, WhyTests,
    };

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
                rerun: false,
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
                exit: Exit {
                    code: None,
                    signal: Some(9),
                    reason: "signal".into(),
                    killed: false,
                    ran_ms: Some(4200),
                    at: at(),
                },
            }],
            holders: vec!["port 8080 is held by pid 7 (nc)".into()],
            watched: true,
            rerun: Some(WhyRerun {
                files: ["a", "b", "c", "d", "e", "f"].map(|name| format!("api/{name}.go")).into(),
                more: 1,
                seen_at: at(),
                aborted: 1,
                build: Some("same".into()),
                phases: [("waited", 7.4), ("built", 1234.0)]
                    .map(|(phase, ms)| WhyPhase { phase: phase.into(), at: at(), ms })
                    .into(),
                total_ms: 1241.4,
            }),
            tests: Some(WhyTests {
                state: "failed".into(),
                passed: 3,
                failed: 1,
                error: Some("api/api_test.go:9: TestTotal: got 3".into()),
            }),
            containers: vec![WhyContainer {
                instance: "api.1".into(),
                name: "shop-api-1".into(),
                id: "0a".repeat(32),
                image: "api:1".into(),
                engine: "unix:///run/docker.sock".into(),
            }],
            events: vec![WhyEvent { at: at(), message: "built\x1b[2J".into() }],
            env: [("DB_PASSWORD".to_owned(), "***".to_owned())].into(),
            env_from: [("DB_PASSWORD".to_owned(), "env of the service".to_owned())].into(),
        };
        insta::assert_snapshot!(render(&why, false), @r"
        `api` is queued: it waits for `db` to be ready
          api.1 waits
          it is watched: a save builds it and replaces what runs

        waits for
          db  to be ready  running  not met

        held by
          port 8080 is held by pid 7 (nc)

        container
          api.1  shop-api-1  api:1  0a0a0a0a0a0a

        last build
          failed  9f31c2a
          api/main.go:9:25: too many return values

        its tests
          failed  3 passed, 1 failed
          api/api_test.go:9: TestTotal: got 3

        last edit
          api/a.go, api/b.go, api/c.go, api/d.go, api/e.go and 2 more, seen 2026-01-02T03:04:05.678Z
          a build was ended because a newer edit came
          it made the same code as before
          until the build began  7 ms
          build                  1.23 s
          in all                 1.24 s

        last exits
          2026-01-02T03:04:05.678Z  api.1  ended by SIGKILL  ran 4.2s

        what happened
          2026-01-02T03:04:05.678Z  built�[2J

        environment set by files and orchestra
          DB_PASSWORD=***   (env of the service)
        ");
    }
}
