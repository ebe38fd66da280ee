//! `orchestra test`

mod fleet;
mod jobs;
mod measure;
mod report;
mod session;
mod show;

use std::path::PathBuf;

use super::args::Select;
use super::context::Context;
use super::{hooks, request};
use crate::error::{Error, Kind};
use crate::project::select;
use crate::task::id::ServiceName;

/// Runs `go test` for the folder of each service and for every local package it imports, each package once, with the environment, tags and flags of
/// its build. Tests get no PORT. With --acceptance also the tests of the running fleet, by what `test.acceptance` of a service says: what is not up
/// is started before, and only that is stopped afterwards.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra test                         everything\n  orchestra test api --race -v           api and what it imports, every test told\n  \
    orchestra test --cover                 with coverage, per package and per service\n  orchestra test --acceptance --junit report.xml\n\n\
    Exit codes: 0 all passed, 1 a test or a build failed, 2 wrong usage or configuration, 130 interrupted"
)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    /// Tell every test and what it prints, not only those that fail
    #[arg(short = 'v', long)]
    verbose: bool,
    /// Test with the race detector
    #[arg(short = 'r', long)]
    race: bool,
    /// Run only the tests whose names match, as `go test -run` does; `ps` keeps what it knows of all tests
    #[arg(long, value_name = "REGEX")]
    run: Option<String>,
    /// Also test the running fleet
    #[arg(long)]
    acceptance: bool,
    /// Measure coverage; with --acceptance that of the services, too, that are started for the tests
    #[arg(long)]
    cover: bool,
    /// Write the results to this file as JUnit XML, too
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    junit: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load(&place)?;
    let chosen = select::select(&project, &args.select.all())?.names;
    let names: Vec<ServiceName> = chosen.into_iter().filter(|name| project.services.contains_key(name)).collect();
    let has_acceptance = |name: &ServiceName| project.services[name].config.test.acceptance.is_some();
    if args.acceptance && !names.iter().any(has_acceptance) {
        return Err(Error::usage("none of these services has acceptance tests").hint(
            "say where they are in its service.yml: test: {acceptance: {package: ./acceptance, tags: [acceptance]}}",
        ));
    }
    if let Some(file) = &args.junit {
        claim(file)?;
    }
    // Reads the mask, so before anything else runs.
    let asked = request::of(context, &place, Vec::new());
    hooks::around(&context.output, &place, Some(&project), "test", || {
        place.home.open()?;
        context.wait(session::run(context, &place, &project, args, &names, &asked))
    })
}

/// A report that cannot be written is told before the tests have run, and not after.
fn claim(file: &std::path::Path) -> Result<(), Error> {
    let cannot = |error: std::io::Error| {
        Error::new(Kind::Usage, format!("cannot write the report `{}`", file.display())).because(&error)
    };
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).open(file).map(drop).map_err(cannot)
}
