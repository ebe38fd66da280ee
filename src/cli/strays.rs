//! `orchestra strays`, and the question that `strays: ask` puts.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};

use super::args::Select;
use super::context::{Context, Place};
use super::output::Paint;
use super::table::{self, Cell, Row, Side};
use super::{hooks, text};
use crate::api::{convert, wire};
use crate::error::{Context as _, Error};
use crate::project::Project;
use crate::project::file::Strays;
use crate::project::select::{select, with_needs};
use crate::strays::{self, Ground, Stray};
use crate::task::id::ServiceName;

/// Shows the copies of services that were started outside orchestra (`go run .`, `./api`), by which proof each is known, and what `start` would do
/// about it. Ends nothing, and needs no supervisor.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra strays           of every service\n  orchestra strays api       of api\n  orchestra strays -o json   for programs\n\n\
    Proofs, each an executable's own word:\n  P1  its program lies in the service's folder and is the service's main package\n  \
    P2  its program was built by orchestra, and the copy it belonged to has ended\n  P3  its program was built by `go run` from the service's main package\n  \
    P4  it is a `go run` of the service's main package"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    let names = select(&project, &args.select.all())?.names;
    hooks::around(&context.output, &place, Some(&project), "strays", || {
        let answer = convert::strays(&project, &found(&place, &project, &names));
        if context.output.is_json() {
            return context.output.json(&answer);
        }
        if answer.strays.is_empty() {
            context.output.say("no service runs outside orchestra");
            return Ok(());
        }
        context.output.print(render(&answer, context.output.color))
    })
}

fn found(place: &Place, project: &Project, names: &BTreeSet<ServiceName>) -> Vec<Stray> {
    let mut targets = strays::targets(project, names);
    strays::find(&mut targets, &Ground { home: place.home.clone(), caller: None })
}

const COLUMNS: [(&str, Side); 5] = [
    ("SERVICE", Side::Left),
    ("PID", Side::Right),
    ("RULE", Side::Left),
    ("START WOULD", Side::Left),
    ("PROGRAM", Side::Left),
];

fn render(answer: &wire::Strays, color: bool) -> String {
    let mut rows = Vec::new();
    for stray in &answer.strays {
        let (action, paint) = match (&stray.veto, stray.action.as_str()) {
            (Some(_), _) => ("leave it", None),
            (None, "kill") => ("end it", Some(Paint::Red)),
            (None, "ask") => ("ask", Some(Paint::Yellow)),
            (None, _) => ("report it", None),
        };
        let deleted = if stray.deleted { " (replaced or removed since)" } else { "" };
        rows.push(Row::Cells(vec![
            Cell::plain(&stray.service),
            Cell::plain(stray.pid.to_string()),
            Cell::plain(&stray.rule),
            Cell::painted(action, paint),
            Cell::plain(format!("{}{deleted}", stray.exe)),
        ]));
        let mut tell = |line: String| rows.push(Row::Line(format!("  {}", text::clean(&line)), Some(Paint::Dim)));
        let parent = stray.parent.exe.as_ref().map(|exe| format!(" ({exe})")).unwrap_or_default();
        let cwd = stray.cwd.as_ref().map(|cwd| format!(" in {cwd}")).unwrap_or_default();
        tell(format!("`{}`{cwd}, started by pid {}{parent}", stray.argv.join(" "), stray.parent.pid));
        if let Some(veto) = &stray.veto {
            tell(format!("left alone: {veto}"));
        }
    }
    table::render(&COLUMNS, &rows, &[], None, color)
}

/// With `strays: ask`, on a terminal: the strays of what is about to be started that a person wants to be ended. Without a terminal nobody agrees.
pub(super) fn ask(
    context: &Context,
    place: &Place,
    project: &Project,
    selectors: &[String],
) -> Result<Vec<wire::Agreed>, Error> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if project.strays != Strays::Ask || !terminal || context.output.is_json() {
        return Ok(Vec::new());
    }
    let names = with_needs(project, &select(project, selectors)?.names);
    let mut agreed = found(place, project, &names);
    agreed.retain(|stray| stray.veto.is_none());
    if agreed.is_empty() {
        return Ok(Vec::new());
    }
    context.output.say("these run outside orchestra:");
    agreed
        .iter()
        .for_each(|stray| context.output.say(&format!("  {}: {}", stray.service, text::clean(&stray.to_string()))));
    context.output.ask("end them? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read", std::path::Path::new("the answer"))?;
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    let named = |stray: &Stray| wire::Agreed { pid: stray.pid, start_time: stray.start_time };
    Ok(if is_yes { agreed.iter().map(named).collect() } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(pid: u32, rule: &str, veto: Option<&str>, deleted: bool) -> wire::Stray {
        wire::Stray {
            service: "api".into(),
            pid,
            start_time: 1,
            rule: rule.into(),
            action: if veto.is_some() { "report" } else { "kill" }.into(),
            veto: veto.map(Into::into),
            exe: "/w/api/api".into(),
            deleted,
            argv: vec!["./api".into(), "\x1b[2J".into()],
            cwd: Some("/w/api".into()),
            parent: wire::StrayParent { pid: 1, exe: Some("/sbin/init".into()) },
        }
    }

    #[test]
    fn what_would_be_done() {
        let strays = vec![stray(71, "P1", None, true), stray(812, "P3", Some("gdb (pid 9) holds it"), false)];
        let answer = wire::Strays { project: "shop".into(), root: "/w".into(), policy: "kill".into(), strays };
        insta::assert_snapshot!(render(&answer, false), @r"
        SERVICE  PID  RULE  START WOULD  PROGRAM
        api       71  P1    end it       /w/api/api (replaced or removed since)
          `./api �[2J` in /w/api, started by pid 1 (/sbin/init)
        api      812  P3    leave it     /w/api/api
          `./api �[2J` in /w/api, started by pid 1 (/sbin/init)
          left alone: gdb (pid 9) holds it
        ");
    }
}
