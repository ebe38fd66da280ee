//! Joins `logs` to the command line: whose logs are meant, and following them beside another command.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::args::{Color, Select};
use super::context::{Context, Place, were_started};
use super::hooks;
use super::logs::{self, ColorWhen, LogsArgs, LogsProject};
use crate::error::Error;
use crate::project::{Project, select};
use crate::task::id::{InstanceId, ServiceName};

/// Shows what services wrote, merged by arrival, over all runs that are kept. Needs no supervisor.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra logs -f             follow everything\n  orchestra logs api -n 100     the last 100 lines of api\n  \
    orchestra logs --since 10m --level warn --grep timeout"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    logs: LogsArgs,
}

/// `orchestra logs`
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    let selectors = args.select.all();
    let asked = match &project {
        Some(project) => of_project(context, &place, project, &selectors)?,
        None => by_name(context, &place, &selectors)?,
    };
    let show = || logs::run(args.logs.clone(), &asked);
    hooks::around(&context.output, &place, project.as_ref(), "logs", show)
}

/// The logs of these only: `vendors logs`.
pub(super) fn of(
    context: &Context,
    place: &Place,
    project: &Project,
    selectors: &[String],
    args: &LogsArgs,
) -> Result<(), Error> {
    let asked = of_project(context, place, project, selectors)?;
    hooks::around(&context.output, place, Some(project), "logs", || logs::run(args.clone(), &asked))
}

fn asked(context: &Context, place: &Place) -> LogsProject {
    LogsProject {
        home: place.home.clone(),
        names: Vec::new(),
        instances: Vec::new(),
        scales: BTreeMap::new(),
        json: context.output.is_json(),
        color: match context.global.color {
            Color::Auto => ColorWhen::Auto,
            Color::Always => ColorWhen::Always,
            Color::Never => ColorWhen::Never,
        },
    }
}

fn of_project(context: &Context, place: &Place, project: &Project, selectors: &[String]) -> Result<LogsProject, Error> {
    let mut out = asked(context, place);
    let selection = match select::select(project, selectors) {
        Err(_) if were_started(place, selectors) => return by_name(context, place, selectors),
        selected => selected?,
    };
    if !selection.everything {
        let whole = |name: &&ServiceName| !selection.instances.contains_key(*name);
        out.names = selection.names.iter().filter(whole).cloned().collect();
        for (service, numbers) in &selection.instances {
            out.instances.extend(numbers.iter().map(|number| InstanceId { service: service.clone(), number: *number }));
        }
    }
    Ok(out)
}

/// With a broken configuration names are taken as they are typed.
fn by_name(context: &Context, place: &Place, selectors: &[String]) -> Result<LogsProject, Error> {
    let mut out = asked(context, place);
    for selector in selectors {
        match (InstanceId::parse(selector), ServiceName::fold(selector)) {
            (Some(instance), _) => out.instances.push(instance),
            (None, Some(name)) => out.names.push(name),
            (None, None) => return Err(Error::usage(format!("`{selector}` is no name of a service"))),
        }
    }
    Ok(out)
}

/// Follows logs beside another command, by a program of its own: it goes on while services are being stopped, also after Ctrl-C.
pub(super) async fn follow(context: &Context, place: &Place, selectors: &[String]) -> Result<(), Error> {
    let cannot = |error: std::io::Error| Error::failed("cannot follow the logs").because(&error);
    let program = std::env::current_exe().map_err(cannot)?;
    let color = match context.global.color {
        Color::Auto => "auto",
        Color::Always => "always",
        Color::Never => "never",
    };
    let mut command = tokio::process::Command::new(program);
    command.arg("-C").arg(&place.home.root).args(["--color", color]);
    if let Some(config) = &place.config {
        command.arg("-c").arg(config);
    }
    if context.output.is_json() {
        command.args(["-o", "json"]);
    }
    // A group of its own: Ctrl-C is for us, who then stop the services it shows.
    command.args(["logs", "-f", "--"]).args(selectors).stdin(Stdio::null()).process_group(0);
    let mut follower = Follower(command.spawn().map_err(cannot)?);
    let status = follower.0.wait().await.map_err(cannot)?;
    if status.success() { Ok(()) } else { Err(Error::failed("following the logs ended early")) }
}

/// A program that follows; when it is no longer wanted it gets a moment to show what was written last.
struct Follower(tokio::process::Child);

/// It gets so long to show the last lines.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(pid) = self.0.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
        if kill(Pid::from_raw(pid), Signal::SIGTERM).is_err() {
            return;
        }
        let until = Instant::now() + LAST_WORDS;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
