//! Keeps an eye on one shim from outside: a stopped one cannot say so, and nobody else hears what became of the service.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::beat::Beat;
use crate::sys::family::{self, Doing, Known, Table};
use crate::sys::os;
use crate::worker::{RunReport, Trouble};

/// A shim that was told to end its service is looked at so often.
const URGE: Duration = Duration::from_secs(1);
/// One that does not even say that it heard counts as unkillable after so long.
const SILENT: Duration = Duration::from_secs(15);
/// So many processes are named.
const NAMED: usize = 3;

/// What is known of a shim and of the processes under it.
pub(super) struct Keeper {
    shim: u32,
    /// With the pid it names the shim for sure.
    start_time: Option<u64>,
    leader: Option<u32>,
    last: Doing,
    stuck: Option<String>,
    escaped: Vec<u32>,
    /// Everybody who was under it at the last look.
    known: Vec<Known>,
    /// When it was told to end its service; `None` once it said that it heard.
    told: Option<Instant>,
    urge: Option<Instant>,
    silent: bool,
    beats: watch::Receiver<Beat>,
}

impl Keeper {
    /// Of a shim that was certainly alive when its start time was looked up, because a socket was connected to it then.
    pub(super) fn new(shim: u32, start_time: Option<u64>, beats: watch::Receiver<Beat>) -> Keeper {
        Keeper {
            shim,
            start_time,
            leader: None,
            last: Doing::Living,
            stuck: None,
            escaped: Vec::new(),
            known: Vec::new(),
            told: None,
            urge: None,
            silent: false,
            beats,
        }
    }

    /// The leader of the service.
    pub(super) fn lead_by(&mut self, leader: u32) {
        self.leader = Some(leader);
    }

    /// Waits until it is time to look, and looks; what is new.
    pub(super) async fn watch(&mut self) -> Vec<RunReport> {
        tokio::select! {
            Ok(()) = self.beats.changed() => {
                let table = self.beats.borrow_and_update().clone();
                let escaped = table.and_then(|table| self.find_escaped(&table));
                self.look().into_iter().chain(escaped).collect()
            }
            () = until(self.urge) => self.insist(),
            else => std::future::pending().await,
        }
    }

    /// Whether the shim can do its work.
    fn look(&mut self) -> Option<RunReport> {
        let now = family::doing(self.shim);
        let words = match &now {
            Doing::Stopped => Some(format!("its shim (pid {0}) is stopped; `kill -CONT {0}` lets it go on", self.shim)),
            // For a moment everybody waits for a disk.
            Doing::Waiting(place) if now == self.last => {
                Some(format!("its shim (pid {}) waits in the kernel{}", self.shim, in_brackets(place)))
            }
            Doing::Waiting(_) | Doing::Living | Doing::Ended => None,
        };
        self.last = now;
        let changed = words != self.stuck;
        self.stuck.clone_from(&words);
        changed.then_some(RunReport::Trouble(Trouble::Stuck, words))
    }

    /// Says who has left the service's group, where that has changed.
    pub(super) async fn look_for_escaped(&mut self) -> Option<RunReport> {
        // A look that broke is as good as none.
        let table = spawn_blocking(Table::read).await.ok().map(Arc::new)?;
        self.find_escaped(&table)
    }

    /// The shim is dead: kills what was certainly under it.
    pub(super) async fn end_remains(&mut self) {
        let (died, known) = (os::start_clock(), std::mem::take(&mut self.known));
        let Some(leader) = self.leader else { return };
        // What is left then is found by its marker, or not at all.
        drop(spawn_blocking(move || family::end_remains(&known, leader, died)).await);
    }

    fn find_escaped(&mut self, table: &Table) -> Option<RunReport> {
        self.known = table.known(self.shim);
        let escaped = table.escaped(self.shim, self.leader?);
        if escaped == self.escaped {
            return None;
        }
        self.escaped = escaped;
        let named: Vec<String> = self.escaped.iter().take(NAMED).map(|pid| named(*pid)).collect();
        let words = match self.escaped.len() {
            0 => None,
            1 => Some(format!("{} has left its process group; a stop ends it too", named.join(", "))),
            n if n > NAMED => Some(format!(
                "{} and {} others have left its process group; a stop ends them too",
                named.join(", "),
                n - NAMED
            )),
            _ => Some(format!("{} have left its process group; a stop ends them too", named.join(", "))),
        };
        Some(RunReport::Trouble(Trouble::Escaped, words))
    }

    /// Says who does not die.
    pub(super) async fn name_undying(&self) -> RunReport {
        let shim = self.shim;
        let left = spawn_blocking(move || Table::read().undying(shim)).await.unwrap_or_default();
        RunReport::Trouble(Trouble::Unkillable, Some(family::undying_words(&left)))
    }

    /// The shim is about to be told to end its service: a stopped one is woken first, else it would not hear.
    pub(super) fn tell(&mut self) -> Option<RunReport> {
        self.told.get_or_insert_with(Instant::now);
        self.urge = Some(Instant::now() + URGE);
        self.wake();
        self.look()
    }

    /// The shim said that it heard.
    pub(super) fn heard(&mut self) -> Option<RunReport> {
        self.told = None;
        std::mem::take(&mut self.silent).then_some(RunReport::Trouble(Trouble::Unkillable, None))
    }

    /// It was told a while ago, and its service has not ended.
    fn insist(&mut self) -> Vec<RunReport> {
        self.urge = Some(Instant::now() + URGE);
        self.wake();
        let mut news: Vec<RunReport> = self.look().into_iter().collect();
        if !self.silent && self.told.is_some_and(|told| told.elapsed() >= SILENT) {
            self.silent = true;
            let doing = match &self.last {
                Doing::Waiting(place) => format!("waits in the kernel{}", in_brackets(place)),
                Doing::Stopped => "is stopped".to_owned(),
                Doing::Living | Doing::Ended => "does not answer".to_owned(),
            };
            let words = format!("its shim (pid {}) {doing}, so it was not told to end", self.shim);
            news.push(RunReport::Trouble(Trouble::Unkillable, Some(words)));
        }
        news
    }

    fn wake(&self) {
        if let Some(start_time) = self.start_time {
            // One that is gone is noticed by the end of its conversation.
            _ = family::wake(self.shim, start_time);
        }
    }
}

fn named(pid: u32) -> String {
    match family::name(pid) {
        Some(name) => format!("pid {pid} ({name})"),
        None => format!("pid {pid}"),
    }
}

fn in_brackets(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" ({place})") }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
