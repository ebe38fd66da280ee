//! The task: hears orders and what the system tells, waits until edits rest, and sends what they reach.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::ask::{Asker, Note};
use super::eyes::Eyes;
use super::files::Print;
use super::outbox::Outbox;
use super::places::Places;
use super::round::Round;
use super::settle::Settle;
use super::{News, Options, Watched};
use crate::rerun::graph::Graph;
use crate::rerun::list::Query;
use crate::rerun::listing::Listing;

/// Notes of `go` that may wait; it waits when there are more.
const NOTES: usize = 64;
/// How often the system is asked again to watch what it refused.
const RETRY: Duration = Duration::from_secs(10);

/// All the task knows.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) project: PathBuf,
    pub(super) watched: Arc<Watched>,
    pub(super) graph: Graph,
    /// The question to each listing of `graph`.
    pub(super) bases: Vec<Query>,
    pub(super) places: Places,
    pub(super) eyes: Eyes,
    /// Files that matter, as they last were.
    pub(super) seen: BTreeMap<PathBuf, Print>,
    pub(super) settle: Settle,
    pub(super) round: Option<Round>,
    pub(super) out: Outbox,
    asker: Asker,
    asking: JoinSet<(u64, Listing)>,
    last_id: u64,
    /// The moment that times of `settle` are counted from.
    began: (Instant, SystemTime),
    poll: Poll,
}

/// When folders are looked at that the system does not tell of.
#[derive(Clone, Copy, Debug)]
struct Poll {
    pause: Duration,
    next: Instant,
    retry: Instant,
}

impl Task {
    /// Runs until the handle is dropped or nobody takes the news.
    pub(super) async fn run(
        project: PathBuf,
        options: Options,
        mut orders: watch::Receiver<Arc<Watched>>,
        news: mpsc::Sender<News>,
    ) {
        // When it is full, `go` waits until its notes are taken.
        let (notes, mut noted) = mpsc::channel::<Note>(NOTES);
        let mut task = Task::new(project, options, notes);
        loop {
            let due = task.due().map(tokio::time::Instant::from_std);
            let inbox = Arc::clone(task.eyes.inbox());
            tokio::select! {
                told = orders.changed() => match told {
                    Ok(()) => {
                        let watched = Arc::clone(&orders.borrow_and_update());
                        task.arm(watched);
                    }
                    Err(_) => break,
                },
                () = inbox.heard() => {}
                Some(answer) = task.asking.join_next() => if let Ok((id, listing)) = answer {
                    task.answered(id, listing);
                },
                Some((services, line)) = noted.recv() => services.iter().for_each(|service| task.out.note(service, &line)),
                room = news.reserve(), if !task.out.is_empty() => match (room, task.out.next()) {
                    (Ok(room), Some(next)) => room.send(next),
                    (Ok(_), None) => {}
                    (Err(_), _) => break,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {}
            }
            task.absorb();
            task.poll();
            task.look();
            let trouble = task.eyes.trouble();
            task.out.trouble(trouble);
        }
        task.end(noted).await;
    }

    fn new(project: PathBuf, options: Options, notes: mpsc::Sender<Note>) -> Task {
        let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let asker = Asker { project: project.clone(), slots: Arc::new(Semaphore::new(at_once)), notes };
        let now = Instant::now();
        Task {
            project,
            watched: Arc::default(),
            graph: Graph::default(),
            bases: Vec::new(),
            places: Places::default(),
            eyes: Eyes::new(options.folders, options.room),
            seen: BTreeMap::new(),
            settle: Settle::default(),
            round: None,
            out: Outbox::default(),
            asker,
            asking: JoinSet::new(),
            last_id: 0,
            began: (now, SystemTime::now()),
            poll: Poll { pause: options.pause, next: now, retry: now + RETRY },
        }
    }

    /// Ends every `go`, and waits until all are gone.
    async fn end(mut self, mut noted: mpsc::Receiver<Note>) {
        if let Some(round) = &self.round {
            round.end();
        }
        noted.close();
        while self.asking.join_next().await.is_some() {}
    }

    /// Asks, with what was known before.
    pub(super) fn ask(&mut self, query: Query, last: Option<Listing>) -> super::ask::Asked {
        self.last_id += 1;
        let (asked, work) = self.asker.ask(self.last_id, query, last);
        self.asking.spawn(work);
        asked
    }

    /// Now, as `settle` counts.
    pub(super) fn now(&self) -> Duration {
        self.began.0.elapsed()
    }

    /// Such a time in microseconds since 1970.
    pub(super) fn clock_us(&self, at: Duration) -> i64 {
        super::files::nanoseconds(self.began.1 + at) / 1000
    }

    /// When something is to be done without anybody telling.
    fn due(&self) -> Option<Instant> {
        let look = self.settle.due().map(|due| self.began.0 + due);
        let poll = self.eyes.has_polled().then_some(self.poll.next);
        look.into_iter().chain(poll).min()
    }

    /// Looks at what the system does not tell of, at most a twentieth of the time.
    fn poll(&mut self) {
        let begin = Instant::now();
        if !self.eyes.has_polled() || begin < self.poll.next {
            return;
        }
        if begin >= self.poll.retry {
            for dir in self.eyes.retry() {
                self.rescan(&dir);
            }
            self.poll.retry = begin + RETRY;
        }
        self.look_at_polled();
        let spent = begin.elapsed();
        self.poll.next = Instant::now() + self.poll.pause.max(spent * 20);
    }

    /// Whether the file is part of a build or a test of this service.
    pub(super) fn is_part(&self, file: &Path, service: &crate::task::id::ServiceName) -> bool {
        let parts = self.graph.parts(file).iter();
        let mut roots = parts.filter_map(|part| self.graph.listings.get(part.listing)).flat_map(|all| &all.query.roots);
        roots.any(|root| root.service == *service)
    }
}
