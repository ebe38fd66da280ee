//! Asks `go list` while the task goes on with other things.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Semaphore, mpsc, watch};

use crate::rerun::list::Query;
use crate::rerun::listing::{Answer, Listing};
use crate::services::build::CommandLine;
use crate::services::run::{self, From, Stop};
use crate::sys::child::End;
use crate::task::id::ServiceName;

/// Somebody should read this about these services.
pub(super) type Note = (Vec<ServiceName>, String);

/// A question on its way. Dropping it without [`Asked::end`] leaves `go` to its end.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which one: answers to questions that are obsolete have other numbers.
    pub(super) id: u64,
    /// What it read may be as old as this.
    pub(super) since: SystemTime,
    /// The question.
    pub(super) query: Query,
    stop: watch::Sender<Stop>,
}

impl Asked {
    /// Ends `go` and all it started; its answer is of no interest any more.
    pub(super) fn end(&self) {
        self.stop.send_replace(Stop::Kill);
    }
}

/// What all questions need.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Paths in messages are relative to it.
    pub(super) project: PathBuf,
    /// So many at once.
    pub(super) slots: Arc<Semaphore>,
    /// When it is full, `go` waits.
    pub(super) notes: mpsc::Sender<Note>,
}

impl Asker {
    /// A question, and the work that answers it.
    pub(super) fn ask(
        &self,
        id: u64,
        query: Query,
        last: Option<Listing>,
    ) -> (Asked, impl Future<Output = (u64, Listing)> + use<>) {
        let (stop, stopped) = watch::channel(Stop::No);
        let asked = Asked { id, since: SystemTime::now(), query: query.clone(), stop };
        let asker = self.clone();
        let work = async move {
            // It is never closed.
            let _slot = asker.slots.acquire().await.ok();
            (id, asker.answer(query, last, stopped).await)
        };
        (asked, work)
    }

    /// Asks, and once more where tests of imported packages want it.
    async fn answer(&self, query: Query, last: Option<Listing>, stopped: watch::Receiver<Stop>) -> Listing {
        let listing = self.once(query, last.as_ref(), &stopped).await;
        match listing.wider().filter(|_| *stopped.borrow() == Stop::No) {
            Some(wider) => self.once(wider, Some(&listing), &stopped).await,
            None => listing,
        }
    }

    async fn once(&self, query: Query, last: Option<&Listing>, stopped: &watch::Receiver<Stop>) -> Listing {
        if *stopped.borrow() != Stop::No {
            return Listing::read(query, Answer { output: b"", errors: b"", is_whole: false }, last, &self.project);
        }
        let line = match query.command_line() {
            Ok(line) => line,
            Err(failure) => {
                let nothing = Answer { output: b"", errors: b"", is_whole: false };
                let mut listing = Listing::read(query, nothing, last, &self.project);
                listing.failure = Some(failure);
                return listing;
            }
        };
        let (is_whole, output, errors) = self.hear(&query, &line, stopped.clone()).await;
        Listing::read(query, Answer { output: &output, errors: &errors, is_whole }, last, &self.project)
    }

    async fn hear(
        &self,
        query: &Query,
        line: &CommandLine,
        stopped: watch::Receiver<Stop>,
    ) -> (bool, Vec<u8>, Vec<u8>) {
        // Small: it is emptied as it fills.
        let (sender, mut receiver) = mpsc::channel::<run::Heard>(64);
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let hear = async {
            while let Some((from, line)) = receiver.recv().await {
                match from {
                    From::Output => output.extend(line),
                    From::Errors => {
                        self.note(query, &line).await;
                        errors.extend(line);
                    }
                }
            }
        };
        let (end, ()) = tokio::join!(run::run(line, stopped, sender), hear);
        match end {
            Ok(end) => (end == End::Code(0), output, errors),
            Err(error) => {
                let go = line.argv.first().map(OsString::as_os_str).unwrap_or_default();
                (false, output, format!("cannot run {}: {error}\n", go.display()).into_bytes())
            }
        }
    }

    /// What takes long is told: `go: downloading example.com/lib v1.2.3`, a toolchain, too.
    async fn note(&self, query: &Query, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if line.starts_with("go: downloading ") || line.starts_with("go: switching ") {
            let services = query.roots.iter().map(|root| root.service.clone()).collect();
            // Nobody listens any more: then nobody misses it.
            self.notes.send((services, line.trim_end().to_owned())).await.ok();
        }
    }
}
