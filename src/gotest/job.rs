//! Carries out one `go test`, or the `go list` before it, and tells what it says.

use std::io;
use std::path::Path;

use tokio::sync::{mpsc, watch};

use super::collect::{Collector, Keep, News};
use super::plan::{Job, Options};
use super::results::{PackageResult, State};
use crate::rerun::list::Query;
use crate::rerun::listing::{Answer, Listing};
use crate::services::problems;
use crate::services::run::{self, Stop};
use crate::sys::child::End;
use crate::task::outcome::BuildFailure;

/// What one of several tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something it heard.
    News(News),
    /// It is over.
    Done,
}

/// One `go test` among others.
#[derive(Clone, Debug)]
pub struct Errand {
    /// What is to be done.
    pub job: Job,
    /// How.
    pub options: Options,
    /// Tells its coverage profile from those of others.
    pub number: usize,
    /// What is kept.
    pub keep: Keep,
    /// Comes with everything it tells.
    pub at: usize,
}

/// Where its news go; a full channel makes `go` wait. Whoever closes it wants to hear no more.
pub type Ear = mpsc::Sender<(usize, Told)>;

/// Asks `go` what there is to test. Says why it could not be asked.
pub async fn list(query: Query, project: &Path, stopped: &watch::Receiver<Stop>) -> Result<Listing, BuildFailure> {
    let line = query.command_line()?;
    let said =
        |error: io::Error| BuildFailure { error: format!("cannot run `go list`: {error}"), problems: Vec::new() };
    let (end, output, errors) = run::whole(&line, stopped.clone()).await.map_err(said)?;
    let answer = Answer { output: &output, errors: &errors, is_whole: end == End::Code(0) };
    Ok(Listing::read(query, answer, None, project))
}

impl Errand {
    /// Runs it to its end. Every package of the job is told, whatever happens.
    pub async fn run(self, stopped: watch::Receiver<Stop>, tell: Ear) {
        let mut collector = Collector::new(self.job.ground.clone(), self.keep);
        let mut reported: Vec<String> = Vec::new();
        let is_stopped = || *stopped.borrow() != Stop::No;
        let ended = match is_stopped() {
            true => Ok(None),
            false => self.hear(&stopped, &mut collector, &mut reported, &tell).await,
        };
        let why = if is_stopped() { "interrupted" } else { "`go test` ended before it did" };
        let mut last = collector.end(why);
        last.iter().for_each(|news| report(news, &mut reported));
        let is_missing = |(path, told): &&(String, std::ffi::OsString)| {
            !reported.iter().any(|known| known == path || told.to_str() == Some(known))
        };
        for (path, _) in self.job.packages.iter().filter(is_missing) {
            let result = unreported(path.clone(), &self.job, &ended, &collector, is_stopped());
            last.push(News::Package(Box::new(result)));
        }
        for told in last.into_iter().map(Told::News).chain([Told::Done]) {
            // Nobody listens when the command has failed already.
            tell.send((self.at, told)).await.ok();
        }
    }

    async fn hear(
        &self,
        stopped: &watch::Receiver<Stop>,
        collector: &mut Collector,
        reported: &mut Vec<String>,
        tell: &Ear,
    ) -> Result<Option<End>, String> {
        let line = self.job.command_line(&self.options, self.number).map_err(|failure| failure.error)?;
        // When it is full `go` waits.
        let (sender, mut receiver) = mpsc::channel::<run::Heard>(256);
        let hear = async {
            while let Some((_, line)) = receiver.recv().await {
                for mut news in collector.line(&line) {
                    if let News::Package(package) = &mut news
                        && *stopped.borrow() != Stop::No
                        && package.state == State::Failed
                    {
                        package.stopped();
                    }
                    report(&news, reported);
                    tell.send((self.at, Told::News(news))).await.ok();
                }
            }
        };
        let (end, ()) = tokio::join!(run::run(&line, stopped.clone(), sender), hear);
        end.map(Some).map_err(|error| format!("cannot run `go test`: {error}"))
    }
}

fn report(news: &News, reported: &mut Vec<String>) {
    if let News::Package(package) = news {
        reported.push(package.path.clone());
    }
}

/// A package of which `go test` said nothing: it could not begin, or was stopped.
fn unreported(
    path: String,
    job: &Job,
    ended: &Result<Option<End>, String>,
    collector: &Collector,
    stopped: bool,
) -> PackageResult {
    let out = PackageResult { path, ..PackageResult::default() };
    if stopped {
        return PackageResult { error: Some("not run: interrupted".to_owned()), ..out };
    }
    let said = collector.loose();
    let parsed = problems::parse(said.join("\n").as_bytes(), &job.dir, &job.ground.project);
    let (error, problems) = match (ended, parsed) {
        (Err(error), _) => (error.clone(), Vec::new()),
        (Ok(_), Some(failure)) => (failure.error, failure.problems),
        (Ok(Some(End::Signal(signal))), None) => (format!("`go test` was ended by signal {signal}"), Vec::new()),
        (Ok(_), None) => ("`go test` said nothing about it".to_owned(), Vec::new()),
    };
    PackageResult { state: State::Failed, error: Some(error), problems, output: said, ..out }
}
