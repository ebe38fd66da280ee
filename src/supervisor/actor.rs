//! The thin actor around the engine: it hears requests, reports and timers, hands them to the engine, and carries out its orders. No decision is
//! made here.

mod asked;
pub(super) mod watching;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use self::watching::{Ends, Watching};
use super::Command;
use super::engine::{Effect, Engine, Event, Moment, TimerId};
use super::plan::Planner;
use super::snapshot::Snapshot;
use super::words::Words;
use crate::logs::total;
use crate::rerun::watch::News;
use crate::store::last;
use crate::strays::{Finding, Hunts};
use crate::sys::home::Home;
use crate::task::id::{RunId, ServiceName};
use crate::worker::{RunReport, Worker};

/// So many events are taken in before the state is shown again.
const BATCH: usize = 256;
/// The state on disk may be this old while things change.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// The state is shown at most so often: in a crowd of events each picture would be stale before anybody looked at it.
const SHOW_EVERY: Duration = Duration::from_millis(5);
/// A picture of hundreds of services takes its time, here and at whoever looks: between two of them passes this many times as long …
const SHOW_REST: u32 = 30;
/// … but no longer than this.
const SHOW_LATEST: Duration = Duration::from_millis(40);
/// So often the logs of all services together are looked at while something runs, and lock and sockets are touched.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Nothing left to do for so long, and the supervisor goes.
const LINGER: Duration = Duration::from_millis(200);
/// After everything was told to end there is nothing to wait for but a request that is on its way.
const LAST_LINGER: Duration = Duration::from_millis(10);
/// Between two looks whether the last shims are gone.
const LAST_LOOK: Duration = Duration::from_millis(2);
/// A supervisor that nobody asked anything yet waits longer: whoever started it is about to ask.
const FIRST_LINGER: Duration = Duration::from_secs(5);

/// The one task that owns the engine.
pub(super) struct Actor {
    home: Home,
    engine: Engine,
    planner: Planner,
    hunts: Arc<Hunts>,
    /// Hunts for strays that are under way, and whose strays each is for.
    hunting: JoinSet<Vec<Finding>>,
    hunted: HashMap<task::Id, Vec<ServiceName>>,
    watching: Watching,
    worker: Box<dyn Worker>,
    words: Words,
    /// Words that wait until the orders that were given with them are under way.
    unsaid: Vec<(ServiceName, String)>,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<(RunId, RunReport)>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    timers: BinaryHeap<Reverse<(Instant, TimerId)>>,
    began: Instant,
    save_at: Option<Instant>,
    next_show: Option<Instant>,
    show_at: Option<Instant>,
    prune_at: Instant,
    idle_since: Option<Instant>,
    linger: Duration,
    leaving: bool,
}

/// What the actor works with.
pub(super) struct Parts {
    pub home: Home,
    pub engine: Engine,
    pub planner: Planner,
    pub hunts: Arc<Hunts>,
    pub watch: Ends,
    /// Edits since then were seen by nobody; `None`: nothing was watched before.
    pub since: Option<SystemTime>,
    pub worker: Box<dyn Worker>,
    pub commands: mpsc::Receiver<Command>,
    pub reports: mpsc::Receiver<(RunId, RunReport)>,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
}

/// What woke the actor.
enum Woken {
    Command(Option<Command>),
    Report(Option<(RunId, RunReport)>),
    Hunted(Result<(task::Id, Vec<Finding>), JoinError>),
    News(Option<News>),
    Time,
}

impl Actor {
    pub(super) fn new(parts: Parts) -> Actor {
        Actor {
            words: Words::new(parts.home.clone()),
            unsaid: Vec::new(),
            home: parts.home,
            engine: parts.engine,
            planner: parts.planner,
            hunts: parts.hunts,
            hunting: JoinSet::new(),
            hunted: HashMap::new(),
            watching: Watching::new(parts.watch, parts.since),
            worker: parts.worker,
            commands: parts.commands,
            reports: parts.reports,
            snapshots: parts.snapshots,
            timers: BinaryHeap::new(),
            began: Instant::now(),
            save_at: None,
            next_show: None,
            show_at: None,
            prune_at: Instant::now() + PRUNE_EVERY,
            idle_since: None,
            linger: FIRST_LINGER,
            leaving: false,
        }
    }

    /// Says something about the supervisor itself, in its own log.
    pub(super) fn complain(&mut self, message: &str) {
        self.words.complain(message);
    }

    /// Runs until nothing is left to do, or until it is told to leave.
    pub(super) async fn run(mut self, first: Vec<Event>) {
        self.begin(first);
        self.speak();
        self.show();
        while !self.is_over() {
            let wake = self.wake_at();
            let woken = tokio::select! {
                biased;
                command = self.commands.recv() => Woken::Command(command),
                report = self.reports.recv() => Woken::Report(report),
                Some(over) = self.hunting.join_next_with_id() => Woken::Hunted(over),
                news = self.watching.next() => Woken::News(news),
                () = sleep_until(wake) => Woken::Time,
            };
            self.take_in(woken);
            self.take_in_what_waits();
            if !self.unsaid.is_empty() {
                // What shall be started is started first: a file is opened for every service that is spoken of.
                tokio::task::yield_now().await;
                self.speak();
            }
            self.show();
        }
        self.hunts.cancel();
        self.next_show = None;
        self.show();
        self.save();
    }

    fn take_in(&mut self, woken: Woken) {
        match woken {
            Woken::Command(Some(command)) => self.command(command),
            // Every handle is gone: nobody can ask for anything any more, and what runs goes on under its shims.
            Woken::Command(None) => self.leaving = true,
            Woken::Report(Some((run, report))) => self.feed(Event::Report(run, report)),
            // The worker holds a sender of this channel as long as the actor holds the worker.
            Woken::Report(None) => self.leaving = true,
            Woken::Hunted(over) => self.hunt_over(over),
            Woken::News(Some(news)) => self.news(news),
            Woken::News(None) => {
                self.watch_lost("edits are watched for no longer: the task that did has ended".to_owned());
            }
            Woken::Time => self.ring(),
        }
    }

    /// Reports come in crowds; the state is shown once for all of them.
    fn take_in_what_waits(&mut self) {
        for _ in 0..BATCH {
            match self.reports.try_recv() {
                Ok((run, report)) => self.feed(Event::Report(run, report)),
                Err(_) => return,
            }
        }
    }

    fn feed(&mut self, event: Event) {
        let now = self.now();
        for effect in self.engine.handle(event, now) {
            match effect {
                Effect::Start { run, work } => self.worker.start(run, work),
                Effect::Signal { run, signal } => self.worker.signal(run, signal),
                Effect::Arm { timer, after } => self.timers.push(Reverse((Instant::now() + after, timer))),
                Effect::Say { service, message } => self.unsaid.push((service, message)),
            }
        }
        // Where edits are waited for there is always something left to do.
        if self.engine.is_idle() && self.watching.is_off() {
            self.idle_since.get_or_insert_with(Instant::now);
        } else {
            self.idle_since = None;
        }
        self.save_at.get_or_insert_with(|| Instant::now() + SAVE_EVERY);
    }

    fn speak(&mut self) {
        for (service, message) in std::mem::take(&mut self.unsaid) {
            self.words.say(&service, &message);
        }
    }

    /// Gives due timers to the engine and saves the state when it is time.
    fn ring(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, timer))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            self.feed(Event::Timer(timer));
        }
        if self.save_at.is_some_and(|at| at <= now) {
            self.save();
        }
        self.look_again(now);
        if self.prune_at <= now {
            self.prune_at = now + PRUNE_EVERY;
            self.prune();
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let linger = self.idle_since.map(|since| (since + self.linger).max(Instant::now() + LAST_LOOK));
        let prune = if self.idle_since.is_none() { Some(self.prune_at) } else { None };
        [timer, self.save_at, self.show_at, self.watching.look_at(), prune, linger].into_iter().flatten().min()
    }

    fn is_over(&self) -> bool {
        self.leaving || self.idle_since.is_some_and(|since| since.elapsed() >= self.linger) && self.worker.is_at_rest()
    }

    /// Shows the state now, or soon where it was shown a moment ago.
    fn show(&mut self) {
        if self.engine.seq() == self.snapshots.borrow().seq {
            return;
        }
        let now = Instant::now();
        match self.next_show {
            Some(next) if now < next => self.show_at = Some(next),
            Some(_) | None => {
                self.show_at = None;
                self.snapshots.send_replace(Arc::new(self.picture()));
                self.next_show = Some(now + (now.elapsed() * SHOW_REST).clamp(SHOW_EVERY, SHOW_LATEST));
            }
        }
    }

    /// A `.orchestra` that vanished (`git clean`) is made again, with what is wanted in it.
    fn mend_home(&mut self) {
        if self.home.state().is_dir() {
            return;
        }
        if let Err(error) = self.home.open().and_then(|()| self.planner.save_again()) {
            self.words.complain(&error.to_string());
        }
    }

    fn save(&mut self) {
        self.save_at = None;
        self.mend_home();
        if let Err(error) = last::save(&self.home.state(), &super::disk::last_services(&self.engine)) {
            self.words.complain(&error.to_string());
        }
    }

    /// Beside the reactor: looking at thousands of files takes a moment.
    fn prune(&self) {
        let (home, limit) = (self.home.clone(), self.planner.log_limit());
        // What could not be removed is tried again at the next look.
        drop(tokio::task::spawn_blocking(move || {
            home.stay_fresh();
            total::prune(&home.logs(), limit)
        }));
    }

    fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { mono: self.began.elapsed(), wall_us: wall.as_micros() as i64 }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
