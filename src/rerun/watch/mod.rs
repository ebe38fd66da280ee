//! Watches what services are made of, and says what an edit reaches.
//!
//! One task owns it all: it asks `go list` what the services are made of, watches the folders of the answer and the files of the configuration, waits until
//! edits come to rest for a moment, compares contents, and sends what is reached. It decides nothing about builds and copies.

mod ask;
mod eyes;
mod files;
mod git;
mod globs;
mod inbox;
#[cfg(test)]
mod limits;
mod look;
mod names;
mod outbox;
mod places;
mod round;
mod scan;
mod settle;
mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod yard;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};

use super::list::Wanted;
use super::reach::Reach;
use crate::task::id::ServiceName;

/// The watch, as the one who owns it sees it. Dropping it ends all: its thread, what the system was asked to watch, and every `go`; it is waited for, which
/// takes milliseconds.
#[derive(Debug)]
pub struct Watcher {
    /// `None` only while it is dropped.
    orders: Option<watch::Sender<Arc<Watched>>>,
    /// Hears of the end of the thread: nobody sends, its other end is dropped.
    ended: std::sync::mpsc::Receiver<()>,
}

/// At the end, at most: a thread that reads a file on a dead network drive is left behind.
const PARTING: Duration = Duration::from_secs(2);

/// What is different in tests.
#[derive(Clone, Copy, Debug)]
struct Options {
    /// The system watches at most so many folders.
    folders: usize,
    /// So many paths may wait to be looked at; beyond that everything is.
    room: usize,
    /// Between two looks at what the system does not tell of.
    pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { folders: usize::MAX, room: 16_384, pause: Duration::from_secs(1) }
    }
}

impl Watcher {
    /// Starts it; it watches nothing until it is told. Paths in messages are relative to `project`. News wait in `news` as long as it has room;
    /// beyond that later ones join those that wait, and none is lost.
    ///
    /// It has a thread of its own: reading a few thousand files must not hold up who decides.
    pub fn spawn(project: &Path, news: mpsc::Sender<News>) -> io::Result<Watcher> {
        Watcher::with(project, news, Options::default())
    }

    fn with(project: &Path, news: mpsc::Sender<News>, options: Options) -> io::Result<Watcher> {
        let (orders, told) = watch::channel(Arc::default());
        let (end, ended) = std::sync::mpsc::channel();
        let project = project.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let _end: std::sync::mpsc::Sender<()> = end;
            runtime.block_on(task::Task::run(project, options, told, news));
        })?;
        Ok(Watcher { orders: Some(orders), ended })
    }

    /// Says what shall be watched from now on. Never waits. The newest counts: one that was not looked at yet is replaced. An error: it is at its end, since
    /// nobody takes its news.
    pub fn tell(&self, watched: Watched) -> io::Result<()> {
        let told = self.orders.as_ref().map(|orders| orders.send(Arc::new(watched)));
        told.and_then(Result::ok).ok_or_else(|| io::Error::other("the thread that watches has ended"))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.orders = None;
        // It has ended, or it hangs.
        self.ended.recv_timeout(PARTING).ok();
    }
}

/// What shall be watched; each one replaces the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Grows with each; the answer to it is [`News::Armed`] with the same number.
    pub number: u64,
    /// The services whose edits matter; without any nothing is watched.
    pub services: Vec<WatchedService>,
    /// Files of the configuration, those that could be there too: `orchestra.yml`, every `service.yml`, env files. An edit of one is for who loads it.
    pub config: BTreeSet<PathBuf>,
    /// Folders in which a folder with a `service.yml` may appear or vanish.
    pub discover: BTreeSet<PathBuf>,
    /// Files that were written since then count as edited: somebody began to build with what was there before.
    pub since: Option<SystemTime>,
}

/// One service of those.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedService {
    /// Its name.
    pub name: ServiceName,
    /// Its folder: globs are relative to it.
    pub dir: PathBuf,
    /// What is built for it; `None` for a `command:`.
    pub wanted: Option<Wanted>,
    /// `watch.include`: files that restart it without a build.
    pub include: Vec<String>,
    /// `watch.exclude`: never hides what is compiled.
    pub exclude: Vec<String>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum News {
    /// All of [`Watched`] of this number is watched: no later edit is missed.
    Armed(u64),
    /// Something was edited.
    Changed(Changed),
    /// While watching suffers from something: one sentence, `None` once it is over. It goes on as well as it can.
    Trouble(Option<String>),
    /// Something a person should read about a service: modules are downloaded, another toolchain is fetched.
    Note(ServiceName, String),
}

/// What edits reached, by the files because of which.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Services, builds, tests.
    pub reach: Reach,
    /// Services that are restarted without a build.
    pub restarts: BTreeMap<ServiceName, BTreeSet<PathBuf>>,
    /// Files of the configuration, or folders below [`Watched::discover`].
    pub config: BTreeSet<PathBuf>,
    /// When the first of the edits was seen, microseconds since 1970.
    pub seen_us: i64,
}
