//! What the watch is told and what it tells, in the words of the planner and the engine.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Actor;
use crate::rerun::watch::{Changed, News, Watched};
use crate::supervisor::engine::{Edit, Event};
use crate::supervisor::snapshot::{Shown, Snapshot};
use crate::task::id::ServiceName;

/// While the configuration is broken it is looked at so often: what is missing may be a package or a folder, which no watch of files tells.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The wall clock that files are stamped by may be so much behind: it goes forward in ticks.
const TICK: Duration = Duration::from_millis(20);

/// In the supervisor's log.
const MENDED: &str = "the configuration is in order again, and in force";

/// Who is told what shall be watched; the newest counts.
pub(in crate::supervisor) trait Tell: Send {
    /// Never waits. An error: nobody can watch.
    fn tell(&mut self, watched: Watched) -> io::Result<()>;
}

/// The ways to and from the task that watches.
pub(in crate::supervisor) struct Ends {
    /// To it.
    pub(in crate::supervisor) tell: Box<dyn Tell>,
    /// What it has to say. Bounded; full, it makes the watch wait, which gathers edits meanwhile.
    pub(in crate::supervisor) news: mpsc::Receiver<News>,
}

/// What the actor knows of the watch.
pub(super) struct Watching {
    ends: Ends,
    /// Edits since then were seen by nobody.
    since: Option<SystemTime>,
    armed: u64,
    /// The engine was told of these, and of this.
    services: BTreeSet<ServiceName>,
    trouble: Option<String>,
    /// When a broken configuration is looked at again.
    look_at: Option<Instant>,
    /// The task is gone.
    lost: bool,
}

impl Watching {
    pub(super) fn new(ends: Ends, since: Option<SystemTime>) -> Watching {
        let (services, trouble) = (BTreeSet::new(), None);
        Watching { ends, since, armed: 0, services, trouble, look_at: None, lost: false }
    }

    /// The next news; `None` once, when the task is gone.
    pub(super) async fn next(&mut self) -> Option<News> {
        if self.lost {
            return std::future::pending().await;
        }
        self.ends.news.recv().await
    }

    /// Nobody waits for edits.
    pub(super) fn is_off(&self) -> bool {
        self.services.is_empty()
    }

    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at
    }
}

impl Actor {
    /// What an earlier supervisor left, and what was edited while none was there.
    pub(super) fn begin(&mut self, first: Vec<Event>) {
        let since = self.watching.since.unwrap_or_else(SystemTime::now);
        first.into_iter().for_each(|event| self.feed(event));
        self.watch_anew(since);
        if !self.watching.is_off() {
            let events = self.reload(&BTreeSet::new());
            events.into_iter().for_each(|event| self.feed(event));
            let builds = self.planner.rerun_builds().into_iter().map(|key| (key, BTreeSet::new())).collect();
            self.feed(Event::Edited(Edit { builds, seen_us: self.now().wall_us, ..Edit::default() }));
        }
    }

    /// Tells the watch and the engine what is watched from now on, where that changed; what is written from `since` on counts as edited.
    pub(super) fn watch_anew(&mut self, since: SystemTime) {
        if let Some(watched) = self.planner.watched(since.checked_sub(TICK).unwrap_or(since))
            && let Err(error) = self.watching.ends.tell.tell(watched)
        {
            self.watch_lost(format!("edits cannot be watched for: {error}"));
        }
        let services = self.planner.reruns();
        if services != self.watching.services {
            self.watching.services = services;
            self.say_watching();
        }
    }

    fn say_watching(&mut self) {
        let (services, trouble) = (self.watching.services.clone(), self.watching.trouble.clone());
        self.feed(Event::Watching { services, trouble });
    }

    pub(super) fn news(&mut self, news: News) {
        match news {
            News::Armed(number) => {
                self.watching.armed = self.watching.armed.max(number);
                // Nothing about a service changed, and whoever waits shall see it.
                self.say_watching();
            }
            News::Changed(changed) => self.changed(changed),
            News::Trouble(trouble) => self.watch_trouble(trouble),
            News::Note(service, message) => self.feed(Event::Told { said: vec![(service, message)] }),
        }
    }

    fn watch_trouble(&mut self, trouble: Option<String>) {
        if trouble != self.watching.trouble {
            self.words.complain(trouble.as_deref().unwrap_or("edits are watched for as they should be again"));
            self.watching.trouble = trouble;
            self.say_watching();
        }
    }

    /// Without the task nobody shall wait for it; the fleet goes on.
    pub(super) fn watch_lost(&mut self, why: String) {
        self.watching.lost = true;
        self.watching.armed = u64::MAX;
        self.watch_trouble(Some(why));
    }

    /// Builds first, so that copies which other settings replace too are replaced once; but nothing is built of what the configuration knows no more.
    fn changed(&mut self, changed: Changed) {
        let root = self.home.root.clone();
        let shown = |paths: BTreeSet<PathBuf>| shown(&root, paths);
        let config = shown(changed.config);
        let events = if config.is_empty() { Vec::new() } else { self.reload(&config) };
        let (keys, names) = (self.planner.rerun_builds(), self.planner.reruns());
        let is_there = |name: &ServiceName| names.contains(name) && !self.planner.is_gone(name);
        let builds = changed.reach.builds.into_iter().filter(|(key, _)| keys.contains(key));
        let restarts = changed.restarts.into_iter().filter(|(name, _)| is_there(name));
        let edit = Edit {
            builds: builds.map(|(key, paths)| (key, shown(paths))).collect(),
            restarts: restarts.map(|(name, paths)| (name, shown(paths))).collect(),
            tests: changed.reach.tested.into_iter().filter(|(name, _)| is_there(name)).collect(),
            seen_us: changed.seen_us,
        };
        if !(edit.builds.is_empty() && edit.restarts.is_empty() && edit.tests.is_empty()) {
            self.feed(Event::Edited(edit));
        }
        events.into_iter().for_each(|event| self.feed(event));
    }

    /// Takes over an edited configuration, or says why not; what follows from it is still to be fed.
    fn reload(&mut self, because: &BTreeSet<PathBuf>) -> Vec<Event> {
        let began = SystemTime::now();
        let before = self.planner.config_trouble().cloned();
        let events = self.planner.reload(because);
        self.watch_anew(began);
        let trouble = self.planner.config_trouble().cloned();
        if trouble != before {
            match &trouble {
                Some(lines) => lines.iter().for_each(|line| self.words.complain(line)),
                None => self.words.complain(MENDED),
            }
            self.say_watching();
        }
        self.watching.look_at = trouble.map(|_| Instant::now() + LOOK_EVERY);
        events
    }

    /// Looks at a broken configuration again, when it is time.
    pub(super) fn look_again(&mut self, now: Instant) {
        if self.watching.look_at.is_some_and(|at| at <= now) {
            let events = self.reload(&BTreeSet::new());
            events.into_iter().for_each(|event| self.feed(event));
        }
    }

    /// Everything at this moment, without services that no file knows and of which nothing is left.
    pub(super) fn picture(&self) -> Snapshot {
        let mut out = self.engine.snapshot();
        out.services.retain(|view| view.state() != Shown::Idle || !self.planner.is_gone(&view.name));
        out.armed = self.watching.armed;
        out.config_trouble = self.planner.config_trouble().cloned();
        out
    }
}

/// Paths as people say them.
fn shown(root: &Path, paths: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    paths.into_iter().map(|path| path.strip_prefix(root).map(Path::to_owned).unwrap_or(path)).collect()
}
