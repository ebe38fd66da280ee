//! What the task does about folders: it watches those that matter, and finds what lies in them.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::eyes::Polled;
use super::files::{Print, Stamp};
use super::places::Places;
use super::task::Task;
use crate::rerun::reach::{Change, What};

impl Task {
    /// Takes what the system told: files that matter wait to be looked at, folders are looked into at once.
    pub(super) fn absorb(&mut self) {
        let told = self.eyes.inbox().take();
        if told.is_lost {
            return self.rescan_all();
        }
        for (path, is_open) in told.paths {
            for path in self.eyes.names(&path) {
                self.told(&path, is_open);
            }
        }
    }

    fn told(&mut self, path: &Path, is_open: Option<bool>) {
        if self.eyes.is_watched(path) {
            return self.rescan(path);
        }
        if self.seen.contains_key(path) || self.places.wants_file(path) {
            let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
            if !is_dir {
                let now = self.now();
                return self.settle.touch(now, path, is_open);
            }
        }
        if self.leads_by_link(path) {
            return self.relink();
        }
        if self.places.wants_dir(path) && path.is_dir() {
            self.rescan(path);
        }
    }

    /// A folder came, went, or is another than before: all of it is looked at.
    pub(super) fn rescan(&mut self, dir: &Path) {
        self.eyes.forget_below(dir);
        let now = self.now();
        for known in self.known_below(dir) {
            self.settle.touch(now, &known, None);
        }
        for file in self.walk(dir) {
            self.settle.touch(now, &file, None);
        }
        let missing = |place: &&PathBuf| place.starts_with(dir) && !self.eyes.is_watched(place);
        let missing: Vec<PathBuf> = self.places.dirs.iter().filter(missing).cloned().collect();
        missing.iter().for_each(|place| self.wait_for(place));
        if self.places.links.iter().any(|(link, _)| link.starts_with(dir)) {
            self.relink();
        }
    }

    /// More happened than was told.
    fn rescan_all(&mut self) {
        self.eyes.retain(|_| false);
        let now = self.now();
        for found in self.watch_all() {
            let is_as_before = self.seen.get(&found).is_some_and(|print| print.is_as(Stamp::of(&found).as_ref()));
            if !is_as_before {
                self.settle.touch(now, &found, None);
            }
        }
        self.touch_changed(|_| true);
        self.relink();
    }

    fn touch_changed(&mut self, is_meant: impl Fn(&Path) -> bool) {
        let now = self.now();
        for (path, print) in self.seen.iter().filter(|(path, _)| is_meant(path)) {
            if !print.is_as(Stamp::of(path).as_ref()) {
                self.settle.touch(now, path, None);
            }
        }
    }

    fn known_below(&self, dir: &Path) -> Vec<PathBuf> {
        let from = self.seen.range::<Path, _>((Bound::Included(dir), Bound::Unbounded));
        from.map(|(path, _)| path).take_while(|path| path.starts_with(dir)).cloned().collect()
    }

    /// Watches all that matters, and returns the files that were found in folders that were not watched before.
    pub(super) fn watch_all(&mut self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let wanted: Vec<PathBuf> = self.places.dirs.iter().cloned().collect();
        for dir in wanted {
            if !self.eyes.is_watched(&dir) {
                found.extend(self.walk(&dir));
            }
            if !self.eyes.is_watched(&dir) {
                self.wait_for(&dir);
            }
        }
        found
    }

    /// Watches a folder and those below it that matter, each before it is read; returns the files in them that matter.
    fn walk(&mut self, dir: &Path) -> Vec<PathBuf> {
        let (mut next, mut found) = (vec![dir.to_owned()], Vec::new());
        while let Some(dir) = next.pop() {
            if self.eyes.is_watched(&dir) || !self.places.wants_dir(&dir) || !self.eyes.watch(&dir) {
                continue;
            }
            self.read(&dir, &mut next, &mut found);
        }
        found
    }

    fn read(&mut self, dir: &Path, next: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) {
        let stamp = Stamp::of(dir);
        let is_fresh = stamp.is_some_and(|stamp| stamp.is_since(std::time::SystemTime::now()));
        self.eyes.looked(dir, Polled { stamp, is_fresh });
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type();
            let is_link =
                || kind.as_ref().is_ok_and(|kind| kind.is_symlink()) && self.places.wants_dir(&path) && path.is_dir();
            if kind.as_ref().is_ok_and(|kind| kind.is_dir()) || is_link() {
                next.push(path);
            } else if self.places.wants_file(&path) {
                found.push(path);
            }
        }
    }

    /// Watches the nearest folder above one that is not there.
    fn wait_for(&mut self, dir: &Path) {
        for above in dir.ancestors().skip(1) {
            self.places.dirs.insert(above.to_owned());
            if self.eyes.watch(above) {
                break;
            }
        }
        // It may have come to be before that was watched; what is there then is looked into, and what is missing below it is waited for.
        let first = dir.ancestors().take_while(|path| !self.eyes.is_watched(path)).last().map(Path::to_owned);
        if let Some(first) = first.filter(|first| first.is_dir()) {
            let now = self.now();
            for file in self.walk(&first) {
                self.settle.touch(now, &file, None);
            }
            if self.eyes.is_watched(&first) && first != dir && !self.eyes.is_watched(dir) {
                self.wait_for(dir);
            }
        }
    }

    /// Whether a package is reached through a link by this name.
    fn leads_by_link(&self, path: &Path) -> bool {
        self.places.links.iter().any(|(link, _)| link.starts_with(path))
    }

    /// Links may lead elsewhere now: `go` is asked again by those whose do.
    fn relink(&mut self) {
        let moved = |(link, real): &&(PathBuf, PathBuf)| fs::canonicalize(link).ok().as_ref() != Some(real);
        let moved: BTreeSet<PathBuf> = self.places.links.iter().filter(moved).map(|(link, _)| link.clone()).collect();
        let now = self.now();
        for link in moved {
            let files = self.known_below(&link);
            files.iter().for_each(|file| self.settle.touch(now, file, None));
            self.settle.touch(now, &link, None);
        }
    }

    /// Looks at the folders and files that the system does not tell of.
    pub(super) fn look_at_polled(&mut self) {
        for (dir, before) in self.eyes.polled() {
            let stamp = Stamp::of(&dir);
            if stamp.is_none() {
                self.rescan(&dir);
            } else if stamp != before.stamp || before.is_fresh {
                let (mut next, mut found) = (Vec::new(), Vec::new());
                self.read(&dir, &mut next, &mut found);
                let now = self.now();
                for file in found.into_iter().filter(|file| !self.seen.contains_key(file)).collect::<Vec<_>>() {
                    self.settle.touch(now, &file, None);
                }
                let new = next.into_iter().filter(|dir| self.places.wants_dir(dir) && !self.eyes.is_watched(dir));
                for dir in new.collect::<Vec<_>>() {
                    self.rescan(&dir);
                }
            }
        }
        let polled: BTreeSet<PathBuf> = self.eyes.polled().into_iter().map(|(dir, _)| dir).collect();
        self.touch_changed(|file| file.parent().is_some_and(|dir| polled.contains(dir)));
    }

    /// Watches what the graph says now, and remembers the files that are new to us. Returns those that were edited since the builds began, or since
    /// `go` read them.
    pub(super) fn place(&mut self, asked_since: Option<std::time::SystemTime>) -> Vec<Change> {
        let places = Places::new(&self.graph, &self.watched, &self.project);
        self.eyes.retain(|dir| places.wants_dir(dir));
        self.places = places;
        let found = self.watch_all();
        let now = self.now();
        found.iter().filter(|file| self.seen.contains_key(*file)).for_each(|file| self.settle.touch(now, file, None));
        let parts = self.graph.files().into_iter().map(Path::to_owned);
        let all: BTreeSet<PathBuf> =
            found.into_iter().chain(parts).chain(self.watched.config.iter().cloned()).collect();
        let mut edited = Vec::new();
        for path in all {
            if self.seen.contains_key(&path) {
                continue;
            }
            let Some(print) = Print::of(&path) else { continue };
            let is_since = |time: &std::time::SystemTime| print.stamp.is_since(*time);
            // An edit that came before the watch is known by its time only.
            if asked_since.as_ref().is_some_and(is_since) {
                let what = if self.graph.parts(&path).is_empty() { What::Appeared } else { What::Head };
                edited.push(Change { path: path.clone(), what });
            } else if self.watched.since.as_ref().is_some_and(is_since) {
                edited.push(Change { path: path.clone(), what: What::Content });
            }
            self.seen.insert(path, print);
        }
        let (places, graph) = (&self.places, &self.graph);
        self.seen.retain(|path, _| places.wants_file(path) || !graph.parts(path).is_empty());
        edited
    }
}
