//! `orchestra vendors`: third-party servers only. What starts and stops them goes through the supervisor; to fetch, remove and look inside, the engine is
//! asked straight.

mod containers;
mod doomed;
mod down;
mod exec;
mod pull;
pub(super) mod tags;
mod terminal;
mod up;

use std::collections::BTreeSet;
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;

use super::context::{Context, Place};
use super::logs::LogsArgs;
use super::{complete, hooks, ps, show};
use crate::error::Error;
use crate::project::Project;
use crate::project::select::{enabled, select};
use crate::task::container::ContainerSpec;
use crate::task::environment::Environment;
use crate::task::id::ServiceName;

/// Third-party servers: the containers of `vendors:` and of included Compose files. Without a subcommand it shows them.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  orchestra vendors up                     start them all and wait until they are ready\n  \
    orchestra vendors exec postgres psql -U postgres\n  \
    orchestra vendors down                   stop and remove containers; their data stay\n  \
    orchestra vendors down --volumes         remove their data, too"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start vendors and wait until they are ready
    Up(up::Args),
    /// Stop vendors and remove their containers and network; data stay unless --volumes is given
    Down(down::Args),
    /// Fetch the images of vendors
    Pull(Chosen),
    /// Show vendors: state, pid, ports, restarts, CPU, memory, age, health
    Ps(Chosen),
    /// Show what vendors wrote, merged by arrival
    Logs(Logs),
    /// Run a command in the container of a vendor
    Exec(exec::Args),
}

/// Which vendors are meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Chosen {
    /// Vendors: name, glob, or ~name for all but that one; none means all
    #[arg(value_name = "SEL", add = ArgValueCompleter::new(complete::vendors))]
    select: Vec<String>,
    /// All but this one, as ~NAME, which some shells expand
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::vendors))]
    without: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Logs {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    logs: LogsArgs,
}

/// `orchestra vendors`
pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    match &args.command {
        None => in_order(&args.chosen).and_then(|()| list(context, &args.chosen)),
        Some(Command::Ps(chosen)) => list(context, chosen),
        Some(Command::Logs(asked)) => logs(context, asked),
        Some(Command::Up(args)) => up::run(context, args),
        Some(Command::Down(args)) => down::run(context, args),
        Some(Command::Pull(chosen)) => pull::run(context, chosen),
        Some(Command::Exec(args)) => exec::run(context, args),
    }
}

/// `vendors postgres up` shows nothing: what is to be done comes first.
fn in_order(chosen: &Chosen) -> Result<(), Error> {
    match chosen.select.iter().position(|word| <Command as clap::Subcommand>::has_subcommand(word)) {
        Some(at) => {
            let (mut names, word) = (chosen.select.clone(), &chosen.select[at]);
            names.remove(at);
            let error = Error::usage(format!("`{word}` comes before the names of vendors"));
            Err(error.hint(format!("orchestra vendors {word} {}", names.join(" "))))
        }
        None => Ok(()),
    }
}

impl Chosen {
    /// What was typed.
    fn typed(&self) -> Vec<String> {
        let without = self.without.iter().map(|name| format!("~{}", name.trim_start_matches('~')));
        self.select.iter().cloned().chain(without).collect()
    }

    /// The vendors of the project that are meant; a service among them is an error.
    fn of(&self, project: &Project) -> Result<BTreeSet<ServiceName>, Error> {
        among(project, &self.typed())
    }

    /// The same, but without names only those that start by themselves, with these profiles.
    fn enabled(&self, project: &Project, profiles: &[String]) -> Result<BTreeSet<ServiceName>, Error> {
        let mut names = self.of(project)?;
        if self.select.is_empty() {
            let caller: Vec<_> = std::env::vars_os().collect();
            let by_itself = enabled(project, &project.profiles(profiles, &caller));
            names.retain(|name| by_itself.contains(name));
        }
        Ok(names)
    }
}

/// The vendors that these selectors name; all of them where there is none.
fn among(project: &Project, typed: &[String]) -> Result<BTreeSet<ServiceName>, Error> {
    let all: BTreeSet<ServiceName> = project.vendors.keys().cloned().collect();
    if typed.is_empty() {
        return Ok(all);
    }
    if typed.iter().all(|selector| selector.starts_with('~')) {
        let gone: Vec<String> = typed.iter().map(|selector| selector.trim_start_matches('~').to_owned()).collect();
        let gone = among(project, &gone)?;
        return Ok(all.difference(&gone).cloned().collect());
    }
    let named = select(project, typed)?.names;
    // A glob may match services, too; a name that is typed may not.
    for selector in typed {
        if let Some(name) = ServiceName::fold(selector).filter(|name| project.services.contains_key(name)) {
            let error = Error::usage(format!("`{name}` is a service, and no vendor"));
            return Err(error.hint(known(&all)));
        }
    }
    let found: BTreeSet<ServiceName> = named.intersection(&all).cloned().collect();
    match found.is_empty() {
        true => Err(Error::usage(format!("no vendor matches `{}`", typed.join(" "))).hint(known(&all))),
        false => Ok(found),
    }
}

fn known(all: &BTreeSet<ServiceName>) -> String {
    let names: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { NONE.to_owned() } else { format!("vendors are {}", names.join(", ")) }
}

const NONE: &str =
    "there are no vendors: one is a section of `vendors:` in orchestra.yml, like `postgres: {image: postgres:16}`";

/// Says that there is nothing to do, where a project has no vendors.
fn is_without(context: &Context, project: &Project) -> bool {
    let none = project.vendors.is_empty();
    if none {
        context.output.note("note", NONE);
    }
    none
}

fn list(context: &Context, chosen: &Chosen) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    let names = project.as_ref().map(|project| chosen.of(project)).transpose()?;
    hooks::around(&context.output, &place, project.as_ref(), "ps", || {
        let mut ps = ps::ask(context, &place, project.as_ref())?;
        ps.services.retain(|service| match &names {
            Some(names) => names.iter().any(|name| name.as_str() == service.name),
            None => service.kind == "vendor",
        });
        if ps.services.is_empty() && !context.output.is_json() {
            context.output.note("note", NONE);
            return Ok(());
        }
        ps::print(context, &ps)
    })
}

fn logs(context: &Context, asked: &Logs) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    let typed = asked.chosen.typed();
    if is_without(context, &project) {
        return Ok(());
    }
    let names: Vec<String> = match asked.chosen.of(&project)? {
        // As typed: one instance is less than its vendor.
        _ if !typed.is_empty() && !typed.iter().any(|selector| selector.starts_with('~')) => typed,
        names => names.iter().map(ToString::to_string).collect(),
    };
    show::of(context, &place, &project, &names, &asked.logs)
}

/// The environment that says where the engine is: that of the caller below what the project's files set.
pub(super) fn environment(place: &Place, project: Option<&Project>) -> Result<Environment, Error> {
    Ok(match project {
        Some(project) => hooks::environment(place, project, "vendors")?.into_iter().collect(),
        None => std::env::vars_os().collect(),
    })
}

/// How these vendors shall be run, resolved for this caller.
fn specs(
    place: &Place,
    project: &Project,
    names: &BTreeSet<ServiceName>,
) -> Result<Vec<(ServiceName, Arc<ContainerSpec>)>, Error> {
    let names: Vec<ServiceName> = names.iter().cloned().collect();
    let specs = hooks::with_input(place, project, "vendors", &names, |input| project.resolve(input))?;
    let runs = specs.iter().flat_map(|spec| spec.runs.iter().map(|run| (spec.name.clone(), run)));
    Ok(runs.filter_map(|(name, run)| Some((name, run.container.clone()?))).collect())
}
