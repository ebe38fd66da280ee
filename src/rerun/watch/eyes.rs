//! The folders that are watched: by the system where it tells, else by looking at them again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _, WatcherKind};

use super::files::Stamp;
use super::inbox::Inbox;
use crate::sys::filesystem;

/// Folders, each by the path somebody asked for; never single files, which editors replace.
#[derive(Debug)]
pub(super) struct Eyes {
    watcher: Option<RecommendedWatcher>,
    inbox: Arc<Inbox>,
    /// Each with its real path.
    dirs: BTreeMap<PathBuf, PathBuf>,
    /// Those of them that are looked at again and again.
    polled: BTreeMap<PathBuf, Polled>,
    /// The system tells of a folder by one path only, however many lead there: from the real one to all others.
    names: HashMap<PathBuf, BTreeSet<PathBuf>>,
    /// What kind of file system is silent, by device.
    silent: HashMap<u64, Option<String>>,
    /// At most so many folders are left to the system.
    limit: usize,
    /// Folders the system did not take, for want of room.
    refused: BTreeSet<PathBuf>,
    /// It does not even take the first one.
    broken: Option<String>,
}

/// Of a folder that is polled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Polled {
    /// As it was when its entries were last read.
    pub(super) stamp: Option<Stamp>,
    /// Its entries may have changed since within one step of the clock.
    pub(super) is_fresh: bool,
}

impl Eyes {
    /// Watches nothing yet. `limit`: what the system would take at most; `room`: how many paths may wait to be looked at.
    pub(super) fn new(limit: usize, room: usize) -> Eyes {
        let tells_close = matches!(RecommendedWatcher::kind(), WatcherKind::Inotify);
        let inbox = Arc::new(Inbox::new(room, tells_close));
        let (dirs, polled, names, silent) = (BTreeMap::new(), BTreeMap::new(), HashMap::new(), HashMap::new());
        Eyes { watcher: None, inbox, dirs, polled, names, silent, limit, refused: BTreeSet::new(), broken: None }
    }

    /// Where the system puts what it tells.
    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Watches a folder, not those below. False where there is none. What happened before it returns may not be told: look at what is in there afterwards.
    pub(super) fn watch(&mut self, dir: &Path) -> bool {
        if self.dirs.contains_key(dir) {
            return true;
        }
        let Ok(meta) = fs::metadata(dir) else { return false };
        if !meta.is_dir() {
            return false;
        }
        let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let is_silent = self.silent.entry(meta.dev()).or_insert_with(|| filesystem::silent(&real).unwrap_or(None));
        let is_silent = is_silent.is_some();
        let is_known = self.names.contains_key(&real);
        let is_told = is_known || self.ask_system(&real);
        if !is_told && !real.is_dir() {
            return false;
        }
        if !is_told {
            self.refused.insert(dir.to_owned());
        }
        self.names.entry(real.clone()).or_default().insert(dir.to_owned());
        let is_refused =
            self.names.get(&real).is_some_and(|names| names.iter().any(|name| self.refused.contains(name)));
        if is_refused {
            self.refused.insert(dir.to_owned());
        }
        if is_silent || is_refused {
            self.polled.insert(dir.to_owned(), Polled::default());
        }
        self.dirs.insert(dir.to_owned(), real);
        true
    }

    fn ask_system(&mut self, real: &Path) -> bool {
        let is_full = self.names.len().saturating_sub(self.refused.len()) >= self.limit;
        if self.watcher.is_none() {
            // Not before there is something to watch: there are few of those that the system can give.
            let told = Arc::clone(&self.inbox);
            match RecommendedWatcher::new(move |event| told.put(event), Config::default()) {
                Ok(watcher) => (self.watcher, self.broken) = (Some(watcher), None),
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
        let Some(watcher) = self.watcher.as_mut().filter(|_| !is_full) else { return false };
        match watcher.watch(real, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                if !matches!(error.kind, ErrorKind::MaxFilesWatch | ErrorKind::PathNotFound) {
                    self.broken = Some(error.to_string());
                }
                false
            }
        }
    }

    /// Stops watching a folder and all below it.
    pub(super) fn forget_below(&mut self, dir: &Path) {
        let below: Vec<PathBuf> = self.below(dir).map(Path::to_owned).collect();
        below.iter().for_each(|dir| self.forget(dir));
    }

    /// Stops watching at all.
    pub(super) fn close(&mut self) {
        self.retain(|_| false);
        self.watcher = None;
        // What it told last is of no interest.
        self.inbox.take();
    }

    /// Stops watching those for which it is false.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&Path) -> bool) {
        let others: Vec<PathBuf> = self.dirs.keys().filter(|dir| !is_wanted(dir)).cloned().collect();
        others.iter().for_each(|dir| self.forget(dir));
    }

    fn forget(&mut self, dir: &Path) {
        let Some(real) = self.dirs.remove(dir) else { return };
        self.polled.remove(dir);
        let was_refused = self.refused.remove(dir);
        let Some(names) = self.names.get_mut(&real) else { return };
        names.remove(dir);
        if names.is_empty() {
            self.names.remove(&real);
            if let Some(watcher) = self.watcher.as_mut().filter(|_| !was_refused) {
                // A folder that is gone the system has forgotten already.
                watcher.unwatch(&real).ok();
            }
        }
    }

    /// Whether it is watched, by this path.
    pub(super) fn is_watched(&self, dir: &Path) -> bool {
        self.dirs.contains_key(dir)
    }

    fn below(&self, dir: &Path) -> impl Iterator<Item = &Path> {
        let dir = dir.to_owned();
        let from = self.dirs.range::<Path, _>((std::ops::Bound::Included(dir.as_path()), std::ops::Bound::Unbounded));
        let found: Vec<&Path> =
            from.map(|(path, _)| path.as_path()).take_while(|path| path.starts_with(&dir)).collect();
        found.into_iter()
    }

    /// The other names of a path that the system told of: folders may be reached through links.
    pub(super) fn names(&self, path: &Path) -> BTreeSet<PathBuf> {
        let mut out = BTreeSet::new();
        if let Some(names) = self.names.get(path) {
            out.extend(names.iter().cloned());
        }
        if let (Some(dir), Some(name)) = (path.parent(), path.file_name())
            && let Some(names) = self.names.get(dir)
        {
            out.extend(names.iter().map(|dir| dir.join(name)));
        }
        if out.is_empty() {
            out.insert(path.to_owned());
        }
        out
    }

    /// Folders that must be looked at.
    pub(super) fn polled(&self) -> Vec<(PathBuf, Polled)> {
        self.polled.iter().map(|(dir, polled)| (dir.clone(), *polled)).collect()
    }

    /// Whether any must be.
    pub(super) fn has_polled(&self) -> bool {
        !self.polled.is_empty()
    }

    /// Its entries were read.
    pub(super) fn looked(&mut self, dir: &Path, now: Polled) {
        if let Some(polled) = self.polled.get_mut(dir) {
            *polled = now;
        }
    }

    /// Tries once more what the system refused; returns the folders it takes now, which must be looked at.
    pub(super) fn retry(&mut self) -> Vec<PathBuf> {
        let mut taken = Vec::new();
        for dir in self.refused.clone() {
            let Some(real) = self.dirs.get(&dir).cloned() else { continue };
            if !self.ask_system(&real) {
                break;
            }
            let names: Vec<PathBuf> = self.names.get(&real).into_iter().flatten().cloned().collect();
            for name in names {
                self.refused.remove(&name);
                if !filesystem::silent(&real).is_ok_and(|kind| kind.is_some()) {
                    self.polled.remove(&name);
                }
                taken.push(name);
            }
        }
        taken
    }

    /// What a person should know about folders that are polled.
    pub(super) fn trouble(&self) -> Option<String> {
        if !self.refused.is_empty() {
            return Some(self.refusal());
        }
        let dir = self.polled.keys().next()?;
        let device = fs::metadata(dir).map(|meta| meta.dev()).ok();
        let kind = device.and_then(|device| self.silent.get(&device)?.clone()).unwrap_or_else(|| "remote".to_owned());
        Some(format!(
            "{} is on a {kind} file system, which does not tell of every edit: its files are looked at every second instead",
            dir.display()
        ))
    }

    fn refusal(&self) -> String {
        let instead = if self.refused.len() == self.dirs.len() { "folders are" } else { "the others are" };
        let instead = format!("{instead} looked at every second instead");
        let setting = |name: &str| {
            let value = fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok();
            value.and_then(|value| value.trim().parse::<u64>().ok()).map(|value| (name.to_owned(), value))
        };
        let (name, enough) = match (&self.watcher, &self.broken) {
            (Some(_), None) => ("max_user_watches", 524_288),
            (None, _) => ("max_user_instances", 1024),
            (Some(_), Some(why)) => return format!("the system does not watch folders ({why}): {instead}"),
        };
        match setting(name) {
            Some((name, value)) => format!(
                "the system watches no more folders for you (fs.inotify.{name} is {value}): {instead}; type `sudo sysctl fs.inotify.{name}={}`",
                enough.max(value.saturating_mul(2))
            ),
            None => format!("the system watches no more folders: {instead}"),
        }
    }
}
