//! One `orchestra test` from the question what there is to test to the last word about it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::fleet::{self, Raised};
use super::jobs::{Bench, Outcome};
use super::measure::{Measure, Measured};
use super::report::{self, Report};
use super::{Args, show};
use crate::api::wire::Request;
use crate::cli::context::{Context, Place};
use crate::cli::hooks;
use crate::cli::signals::Signals;
use crate::error::{Context as _, Error};
use crate::gotest::cover::Statements;
use crate::gotest::job;
use crate::gotest::junit;
use crate::gotest::plan::{self, Kind, Plan, TestSpec, Tested};
use crate::gotest::results::{PackageResult, State};
use crate::project::Project;
use crate::project::resolve::Overrides;
use crate::rerun::graph::Graph;
use crate::rerun::list::queries;
use crate::services::problems;
use crate::services::run::Stop;
use crate::store::{intent, tested};
use crate::sys::machine::machine;
use crate::task::id::ServiceName;
use crate::task::outcome::BuildFailure;

/// What one command works with.
struct Session<'a> {
    context: &'a Context,
    place: &'a Place,
    project: &'a Project,
    args: &'a Args,
    names: &'a [ServiceName],
    bench: Bench,
    /// Everything that was planned.
    tested: BTreeMap<(Kind, String), Tested>,
    outcomes: Vec<Outcome>,
    statements: BTreeMap<String, Statements>,
    /// Of the running services: what is to be counted, and what was.
    measure: Option<Measure>,
    measured: Option<Measured>,
}

/// Tests what was selected.
pub(super) async fn run(
    context: &Context,
    place: &Place,
    project: &Project,
    args: &Args,
    names: &[ServiceName],
    asked: &Request,
) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let (stop, _) = watch::channel(Stop::No);
    let began = (Instant::now(), jiff::Timestamp::now());
    let folder = format!("cover-{}", std::process::id());
    let cover = args.cover.then(|| place.home.state().join("tests").join(&folder));
    let measure = (args.cover && args.acceptance).then(|| Measure::new(folder));
    let _covers = cover.clone().map(Scratch::new).transpose()?;
    let bench = Bench::new(context, place, args.verbose, cover);
    let (tested, outcomes, statements) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut session =
        Session { context, place, project, args, names, bench, tested, outcomes, statements, measure, measured: None };
    let specs = session.specs()?;
    let done = hear(&mut signals, &stop, session.unit(&specs, stop.subscribe())).await;
    let done = match done {
        Ok(()) if args.acceptance && *stop.borrow() == Stop::No => {
            session.acceptance(&specs, asked, &mut signals, &stop).await
        }
        other => other,
    };
    session.bench.finish();
    done?;
    session.conclude(began, *stop.borrow() != Stop::No)
}

/// Does `work`; Ctrl-C interrupts every `go test`, a second one kills them.
async fn hear<T>(signals: &mut Signals, stop: &watch::Sender<Stop>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = signals.next() => {
                stop.send_modify(|said| *said = if *said == Stop::No { Stop::Interrupt } else { Stop::Kill });
            }
        }
    }
}

impl Session<'_> {
    fn specs(&self) -> Result<Vec<TestSpec>, Error> {
        let race = Overrides { race: self.args.race, ..Overrides::default() };
        hooks::with_input(self.place, self.project, "test", self.names, |input| {
            input.overrides = self.names.iter().map(|name| (name.clone(), race.clone())).collect();
            self.project.tests(input)
        })
        .map(|mut specs| {
            for (spec, pattern) in specs.iter_mut().zip(self.args.run.iter().cycle()) {
                // Behind what the files say, since the last of two equal flags holds; but `-args` ends everything.
                let end = spec.flags.iter().position(|flag| flag == "-args").unwrap_or(spec.flags.len());
                spec.flags.insert(end, format!("-run={pattern}"));
            }
            specs
        })
    }

    async fn unit(&mut self, specs: &[TestSpec], stopped: watch::Receiver<Stop>) -> Result<(), Error> {
        let wanted: Vec<_> = specs.iter().map(|spec| spec.wanted.clone()).collect();
        let mut listings = Vec::new();
        for query in queries(&wanted) {
            match job::list(query.clone(), &self.place.home.root, &stopped).await {
                Ok(listing) => listings.push(listing),
                Err(failure) => {
                    let services = query.roots.iter().map(|root| root.service.clone());
                    services.for_each(|service| self.unlisted(service, Kind::Unit, failure.clone()));
                }
            }
        }
        let graph = Graph::new(listings);
        if let Some(measure) = &mut self.measure {
            measure.learn(specs, &graph);
        }
        let plan = plan::unit(specs, &graph, &self.place.home.root);
        self.carry_out(plan, stopped).await
    }

    async fn carry_out(&mut self, plan: Plan, stopped: watch::Receiver<Stop>) -> Result<(), Error> {
        for (service, failure) in &plan.unlisted {
            self.unlisted(service.clone(), Kind::Unit, failure.clone());
        }
        self.tested.extend(plan.tested.clone());
        let cores = usize::try_from(machine().cores).unwrap_or(1);
        let (outcomes, statements) = self.bench.run(plan.jobs, &plan.tested, cores, stopped).await?;
        self.outcomes.extend(outcomes);
        self.statements.extend(statements);
        Ok(())
    }

    /// A service whose packages `go` could not list has failed as a whole.
    fn unlisted(&mut self, service: ServiceName, kind: Kind, failure: BuildFailure) {
        let folder =
            self.project.services.get(&service).map(|service| service.config.folder.clone()).unwrap_or_default();
        let path = format!("./{}", self.place.home.relative(&folder).display());
        let output = failure.problems.iter().map(problems::line_of).collect();
        let (error, problems) = (Some(failure.error), failure.problems);
        let result = PackageResult {
            path: path.clone(),
            state: State::Failed,
            error,
            problems,
            output,
            ..PackageResult::default()
        };
        let tested = Tested { path: path.clone(), dir: folder, services: vec![service.clone()], owner: Some(service) };
        self.tested.insert((kind, path), tested);
        self.outcomes.push(Outcome { kind, result });
    }

    async fn acceptance(
        &mut self,
        specs: &[TestSpec],
        asked: &Request,
        signals: &mut Signals,
        stop: &watch::Sender<Stop>,
    ) -> Result<(), Error> {
        self.bench.finish();
        if let Some(measure) = &self.measure {
            measure.prepare(self.place)?;
        }
        let raised = fleet::raise(self.context, self.place, self.project, asked, self.measure.as_ref(), signals).await;
        let (raised, up) = match raised {
            Raised { up: Ok(()), .. } => (raised, Ok(())),
            Raised { started, alone, up: Err(error) } => (Raised { started, alone, up: Ok(()) }, Err(error)),
        };
        let tested = match up {
            Ok(()) => hear(signals, stop, self.test_fleet(specs, stop.subscribe())).await,
            Err(error) => Err(error),
        };
        self.bench.finish();
        let lowered = fleet::lower(self.context, self.place, asked, &raised, signals).await;
        if let (Some(measure), Ok(())) = (&self.measure, &lowered) {
            self.measured = Some(measure.read(self.context, self.place, self.project, specs, &raised).await?);
        }
        tested.and(lowered)
    }

    async fn test_fleet(&mut self, specs: &[TestSpec], stopped: watch::Receiver<Stop>) -> Result<(), Error> {
        let mut plan = Plan::default();
        for spec in specs.iter().filter(|spec| spec.acceptance.is_some()) {
            let env = self.fleet_environment(spec)?;
            let Some(query) = plan::acceptance_query(spec, env) else { continue };
            let service = spec.wanted.service.clone();
            match job::list(query, &self.place.home.root, &stopped).await {
                Ok(listing) => plan::acceptance(&mut plan, spec, &listing, &self.place.home.root),
                Err(failure) => self.unlisted(service, Kind::Acceptance, failure),
            }
        }
        self.carry_out(plan, stopped).await
    }

    /// With the ports that the fleet really has: a `--port-offset` of its start holds.
    fn fleet_environment(&self, spec: &TestSpec) -> Result<Vec<(OsString, OsString)>, Error> {
        let (intents, _) = intent::load(&self.place.home.state())?;
        let names = [spec.wanted.service.clone()];
        hooks::with_input(self.place, self.project, "test", &names, |input| {
            let of = |intent: &intent::Intent| Overrides { port_offset: intent.port_offset, ..Overrides::default() };
            input.overrides = intents.iter().map(|(name, intent)| (name.clone(), of(intent))).collect();
            input.port_offset = intents.values().find_map(|intent| intent.port_offset);
            self.project.acceptance_environment(input, spec)
        })
    }

    fn conclude(self, began: (Instant, jiff::Timestamp), interrupted: bool) -> Result<(), Error> {
        let report = Report::new(
            &self.project.name,
            self.names,
            &self.tested,
            &self.outcomes,
            &self.statements,
            began.0.elapsed(),
            interrupted,
        )
        .with(self.measured.as_ref());
        if let Some(file) = &self.args.junit {
            let suites: Vec<junit::Suite<'_>> = report.suites();
            let text = junit::document(&self.project.name, &began.1.to_string(), report.elapsed, &suites);
            std::fs::write(file, text).context("write", file)?;
        }
        // What some tests came to says nothing about all.
        if !interrupted && self.args.run.is_none() {
            self.remember(&report)?;
        }
        let error = report.error();
        let output = &self.context.output;
        if output.is_json() {
            output.json(&report::wire(&report, error.as_ref(), &self.place.home))?;
            output.has_told();
        } else {
            output.print(show::text(&report, output.color, show::limit()))?;
        }
        error.map_or(Ok(()), Err)
    }

    /// For `ps`.
    fn remember(&self, report: &Report<'_>) -> Result<(), Error> {
        let at_us = jiff::Timestamp::now().as_microsecond();
        let with_tests: BTreeSet<&ServiceName> = self.tested.values().flat_map(|tested| &tested.services).collect();
        for service in self.names.iter().filter(|name| with_tests.contains(name)) {
            let (state, counts) = report.of_service(service);
            let run = self.bench.run_of(service);
            let (passed, failed, skipped) = (counts.passed, counts.failed, counts.skipped);
            let last = tested::LastTest { state: state.word().to_owned(), passed, failed, skipped, at_us, run };
            tested::save(&self.place.home.state(), service, &last)?;
        }
        Ok(())
    }
}

/// A folder that goes when this does.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: PathBuf) -> Result<Scratch, Error> {
        std::fs::create_dir_all(&folder).context("create", &folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is small, and in nobody's way.
        std::fs::remove_dir_all(&self.0).unwrap_or(());
    }
}

/// Longer than any fleet takes.
pub(super) const START_LIMIT: Duration = Duration::from_secs(300);
