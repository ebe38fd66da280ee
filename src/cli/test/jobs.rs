//! Carries out every `go test`, some at a time, and tells how far it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::show;
use crate::cli::context::{Context, Place};
use crate::cli::output::Output;
use crate::error::Error;
use crate::gotest::collect::{Keep, News};
use crate::gotest::cover::{self, Statements};
use crate::gotest::job::{Errand, Told};
use crate::gotest::log::TestLog;
use crate::gotest::plan::{Job, Kind, Options, Tested, budget};
use crate::gotest::results::{PackageResult, State};
use crate::services::run::Stop;
use crate::store::tested;
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// What one package came to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) result: PackageResult,
}

/// Where tests are run and told.
pub(super) struct Bench {
    output: Output,
    home: Home,
    keep: Keep,
    cover: Option<PathBuf>,
    logs: BTreeMap<ServiceName, (u64, Option<TestLog>)>,
    bar: Option<ProgressBar>,
    n_done: usize,
    n_failed: usize,
    n_all: usize,
    /// The number of the next job, over all kinds of tests.
    next: usize,
}

impl Bench {
    pub(super) fn new(context: &Context, place: &Place, verbose: bool, cover: Option<PathBuf>) -> Bench {
        Bench {
            output: context.output.clone(),
            home: place.home.clone(),
            keep: if verbose { Keep::All } else { Keep::Failed },
            cover,
            logs: BTreeMap::new(),
            bar: None,
            n_done: 0,
            n_failed: 0,
            n_all: 0,
            next: 0,
        }
    }

    /// The number of a service's run of tests, in its log.
    pub(super) fn run_of(&self, service: &ServiceName) -> u64 {
        self.logs.get(service).map_or_else(|| next_run(&self.home, service), |(run, _)| *run)
    }

    /// Takes away what moves.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.logs.values_mut().filter_map(|(_, log)| log.as_mut()).for_each(TestLog::flush);
    }

    /// Runs the jobs within the budget of so many cores.
    pub(super) async fn run(
        &mut self,
        jobs: Vec<Job>,
        tested: &BTreeMap<(Kind, String), Tested>,
        cores: usize,
        stopped: watch::Receiver<Stop>,
    ) -> Result<(Vec<Outcome>, BTreeMap<String, Statements>), Error> {
        // Tests of the fleet share its state, so they take turns.
        let is_fleet = jobs.iter().any(|job| job.kind == Kind::Acceptance);
        let (at_once, parallel) = if is_fleet { (1, 1) } else { budget(cores, jobs.len()) };
        let options = Options { cover: self.cover.clone(), parallel };
        let permits = Arc::new(Semaphore::new(at_once));
        // When it is full the tests wait for us.
        let (sender, mut receiver) = mpsc::channel(256);
        let mut tasks = JoinSet::new();
        self.n_all += tested.len();
        let first = self.next;
        self.next += jobs.len();
        for (at, job) in jobs.iter().enumerate() {
            let errand = Errand { job: job.clone(), options: options.clone(), number: first + at, keep: self.keep, at };
            let work = errand.run(stopped.clone(), sender.clone());
            let permits = Arc::clone(&permits);
            tasks.spawn(async move {
                // It is never closed.
                let _permit = permits.acquire().await;
                work.await;
            });
        }
        drop(sender);
        self.begin();
        let mut outcomes = Vec::new();
        while let Some((at, told)) = receiver.recv().await {
            match told {
                Told::News(news) => self.hear(&jobs[at], tested, news, &mut outcomes)?,
                Told::Done => self.log(&jobs[at].service, None),
            }
        }
        while tasks.join_next().await.is_some() {}
        let profiles = jobs.iter().enumerate().filter_map(|(at, job)| job.profile(&options, first + at));
        let mut statements = BTreeMap::new();
        for profile in profiles {
            // Where all builds failed there is none.
            statements.extend(cover::read(&std::fs::read_to_string(profile).unwrap_or_default()));
        }
        Ok((outcomes, statements))
    }

    fn begin(&mut self) {
        if self.bar.is_some() || self.output.is_json() || !self.output.lively || self.n_all == 0 {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
        self.count();
    }

    fn count(&self) {
        if let Some(bar) = &self.bar {
            let failed = if self.n_failed > 0 { format!(", {} failed", self.n_failed) } else { String::new() };
            bar.set_message(format!("testing: {} of {} packages{failed}", self.n_done, self.n_all));
        }
    }

    fn hear(
        &mut self,
        job: &Job,
        tested: &BTreeMap<(Kind, String), Tested>,
        news: News,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        let is_json = self.output.is_json();
        match news {
            News::Said { text, .. } => self.log(&job.service, Some(&text)),
            News::Test { package, tests } if !is_json => {
                let service = label(tested, job.kind, &package, &job.service);
                self.show(&show::verbose(&service, &tests, self.output.color))?;
            }
            News::Test { .. } => {}
            News::Package(mut result) => {
                // One that could not be set up is named as it was asked for.
                if let Some((path, _)) =
                    job.packages.iter().find(|(_, told)| told.to_str() == Some(result.path.as_str()))
                {
                    result.path.clone_from(path);
                }
                self.n_done += 1;
                self.n_failed += usize::from(result.state == State::Failed);
                if !is_json && self.bar.is_none() && result.state != State::NoTests {
                    let service = label(tested, job.kind, &result.path, &job.service);
                    self.output.say(&show::progress(&service, &result, self.output.color_err));
                }
                self.count();
                outcomes.push(Outcome { kind: job.kind, result: *result });
            }
        }
        Ok(())
    }

    /// Prints data without tearing what moves.
    fn show(&self, text: &[u8]) -> Result<(), Error> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.print(text)),
            None => self.output.print(text),
        }
    }

    /// Adds to the log of a service; `None` writes what was added.
    fn log(&mut self, service: &ServiceName, text: Option<&str>) {
        let home = &self.home;
        let open = || {
            let run = next_run(home, service);
            (run, TestLog::open(home, service, run))
        };
        if let (_, Some(log)) = self.logs.entry(service.clone()).or_insert_with(open) {
            match text {
                Some(text) => log.say(text),
                None => log.flush(),
            }
        }
    }
}

fn next_run(home: &Home, service: &ServiceName) -> u64 {
    tested::load(&home.state(), service).map_or(1, |last| last.run + 1)
}

/// Under which name a package is told.
fn label(tested: &BTreeMap<(Kind, String), Tested>, kind: Kind, path: &str, service: &ServiceName) -> String {
    tested.get(&(kind, path.to_owned())).map_or_else(|| service.to_string(), show::service_of)
}
