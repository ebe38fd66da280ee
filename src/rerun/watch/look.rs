//! What the task does once edits rest: it finds what changed, says what that reaches, and asks `go` where the answer is another now.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::files::{Print, compare};
use super::round::{Round, Slot, is_same};
use super::task::Task;
use super::{Changed, Watched, git};
use crate::rerun::graph::Graph;
use crate::rerun::list::{Wanted, queries};
use crate::rerun::listing::Listing;
use crate::rerun::reach::{Change, What, reach, stale};

/// A file that is gone or empty all at once is given so long to come back: editors write it in two steps.
const COME_BACK: Duration = Duration::from_millis(100);
/// How often `git`'s lock is looked at.
const LOCK: Duration = Duration::from_millis(20);

impl Task {
    /// Looks at what was edited, once it rests.
    pub(super) fn look(&mut self) {
        let now = self.now();
        if self.settle.due().is_none_or(|due| due > now) {
            return;
        }
        if let Some(until) = self.unfinished(now) {
            return self.settle.hold(until);
        }
        let seen_us = self.clock_us(self.settle.first());
        let mut changes = Vec::new();
        for path in self.settle.take().into_keys() {
            let print = Print::of(&path);
            let what = compare(self.seen.get(&path), print.as_ref());
            // A link to a folder has no bytes; that it was touched says that it leads elsewhere.
            let what = what.or_else(|| self.places.links.iter().any(|(link, _)| *link == path).then_some(What::Head));
            match print {
                Some(print) => self.seen.insert(path.clone(), print),
                None => self.seen.remove(&path),
            };
            changes.extend(what.map(|what| Change { path, what }));
        }
        self.process(changes, seen_us);
    }

    /// Until when to wait with what looks half done.
    fn unfinished(&self, now: Duration) -> Option<Duration> {
        let edits = self.settle.edits();
        let mut trees = BTreeSet::new();
        let is_locked = edits.keys().filter_map(|path| path.parent()).any(|dir| {
            // One look for each folder.
            trees.insert(dir.to_owned()) && git::is_at_work(&dir.join("x"), SystemTime::now())
        });
        if is_locked {
            return Some(now + LOCK);
        }
        let is_half = |path: &PathBuf| {
            let had_bytes = self.seen.get(path).is_some_and(|print| !print.is_empty());
            had_bytes && fs::metadata(path).map_or(true, |meta| meta.len() == 0)
        };
        let until = edits.iter().filter(|(_, edit)| now < edit.at + COME_BACK).filter(|(path, _)| is_half(path));
        until.map(|(_, edit)| edit.at + COME_BACK).max()
    }

    /// Says what changes reach, by what is known now; where `go` must be asked, it says later what more they reach.
    fn process(&mut self, changes: Vec<Change>, seen_us: i64) {
        if changes.is_empty() {
            return;
        }
        let mut changed = Changed { reach: reach(&self.graph, &self.graph, &changes), seen_us, ..Changed::default() };
        for change in &changes {
            if self.places.is_config(&change.path) {
                changed.config.insert(change.path.clone());
            }
            let takes = self.places.globs().iter().filter(|globs| globs.takes(&change.path));
            for globs in takes.filter(|globs| !self.is_part(&change.path, &globs.service)) {
                changed.restarts.entry(globs.service.clone()).or_default().insert(change.path.clone());
            }
        }
        let stale = self.stale(&changes);
        if !stale.is_empty() {
            self.ask_again(stale, &changes, &changed);
        } else if let Some(round) = &mut self.round {
            round.told.merge(changed.clone());
            round.late.extend(changes.into_iter().filter(|change| change.what != What::Content));
        }
        if !changed.is_empty() {
            self.out.changed(changed);
        }
    }

    /// Listings that do not hold any more.
    fn stale(&self, changes: &[Change]) -> BTreeSet<usize> {
        let mut out = stale(&self.graph, changes);
        let all = || self.graph.listings.iter().enumerate();
        for change in changes {
            let moved = |(_, listing): &(usize, &Listing)| listing.real.contains_key(&change.path);
            let is_link = self.places.links.iter().any(|(link, _)| *link == change.path);
            out.extend(all().filter(moved).filter(|_| is_link && change.what != What::Content).map(|(at, _)| at));
            // As long as `go` could not say anything, any edit may be the one that mends it.
            let failed = |(_, listing): &(usize, &Listing)| listing.failure.is_some();
            out.extend(all().filter(failed).filter(|_| !self.places.is_config(&change.path)).map(|(at, _)| at));
        }
        out
    }

    /// Asks `go` about listings that do not hold any more, also those that are being asked already: they may have been read before.
    fn ask_again(&mut self, stale: BTreeSet<usize>, changes: &[Change], told: &Changed) {
        let known = self.graph.listings.iter().cloned().map(|listing| Slot::Known(Box::new(listing)));
        let mut round = self.round.take().unwrap_or_else(|| Round::new(self.bases.clone(), known.collect()));
        // While new ones are asked for, it is not known which of them a change concerns.
        let again = if round.arms.is_some() { round.asked() } else { BTreeSet::new() };
        let same =
            |at: usize| round.bases.iter().position(|base| self.bases.get(at).is_some_and(|old| is_same(old, base)));
        let again: BTreeSet<usize> = again.into_iter().chain(stale.into_iter().filter_map(same)).collect();
        for at in again {
            let Some(slot) = round.slots.get_mut(at) else { continue };
            let (query, last) = match slot {
                Slot::Known(listing) => (listing.query.clone(), Some((**listing).clone())),
                Slot::Asked(asked) => {
                    asked.end();
                    (asked.query.clone(), self.last_of(&asked.query.dir))
                }
            };
            *slot = Slot::Asked(self.ask(query, last));
        }
        round.changes.extend(changes.iter().cloned());
        round.seen_us = round.seen_us.min(told.seen_us);
        round.told = told.clone();
        self.round = Some(round);
    }

    /// What was known of the packages that a question is about.
    fn last_of(&self, dir: &Path) -> Option<Listing> {
        self.graph.listings.iter().find(|listing| listing.query.dir == dir).cloned()
    }

    /// Something else shall be watched.
    pub(super) fn arm(&mut self, watched: Arc<Watched>) {
        let wanted: Vec<Wanted> = watched.services.iter().filter_map(|service| service.wanted.clone()).collect();
        let bases = queries(&wanted);
        let before = self.round.take();
        let mut slots = Vec::new();
        for base in &bases {
            slots.push(match self.known(before.as_ref(), base) {
                Some(listing) => Slot::Known(Box::new(listing)),
                None => Slot::Asked(self.ask(base.clone(), self.last_of(&base.dir))),
            });
        }
        let mut round = Round::new(bases, slots);
        round.arms = Some(watched.number);
        if let Some(before) = before {
            before.end();
            (round.changes, round.told, round.seen_us) = (before.changes, before.told, before.seen_us);
            round.late = before.late;
        }
        self.watched = watched;
        self.round = Some(round);
        self.finish();
    }

    /// The answer to this question, where it holds.
    fn known(&self, round: Option<&Round>, base: &crate::rerun::list::Query) -> Option<Listing> {
        if let Some(round) = round
            && let Some(at) = round.bases.iter().position(|old| is_same(old, base))
        {
            return match round.slots.get(at) {
                Some(Slot::Known(listing)) => Some((**listing).clone()),
                _ => None,
            };
        }
        let at = self.bases.iter().position(|old| is_same(old, base))?;
        self.graph.listings.get(at).cloned()
    }

    /// `go` answered.
    pub(super) fn answered(&mut self, id: u64, listing: Listing) {
        if let Some(round) = &mut self.round {
            round.answer(id, listing);
            self.finish();
        }
    }

    /// Once all is answered, it holds from now on, and what it adds to what was told is told.
    fn finish(&mut self) {
        let Some(round) = self.round.take_if(|round| round.asked().is_empty()) else { return };
        let listings: Vec<Listing> = round
            .slots
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Known(listing) => Some(*listing),
                Slot::Asked(_) => None,
            })
            .collect();
        let before = self.before(&round.bases, &listings);
        (self.graph, self.bases) = (Graph::new(listings), round.bases);
        if self.watched.services.is_empty() {
            self.eyes.close();
            self.seen.clear();
            self.settle.take();
            self.places = super::places::Places::default();
        }
        // When builds began counts while they are not watched: what comes to be part of them later was not edited by that.
        let began = self.watched.since.filter(|_| round.arms.is_some());
        let mut edited = if self.watched.services.is_empty() { Vec::new() } else { self.place(began, round.since) };
        if let Some(number) = round.arms {
            self.out.armed(number);
        }
        if !round.changes.is_empty() {
            let mut more = reach(&before, &self.graph, &round.changes);
            more.builds.retain(|build, _| !round.told.reach.builds.contains_key(build));
            more.services.retain(|service| !round.told.reach.services.contains(service));
            more.tests.retain(|package, _| !round.told.reach.tests.contains_key(package));
            for packages in more.tested.values_mut() {
                packages.retain(|package| more.tests.contains_key(package));
            }
            more.tested.retain(|_, packages| !packages.is_empty());
            let more = Changed { reach: more, seen_us: round.seen_us, ..Changed::default() };
            if !more.is_empty() {
                self.out.changed(more);
            }
        }
        // What `go` may have read before it was edited, of packages that were not known until now.
        edited.extend(round.late.into_iter().filter(|late| !stale(&self.graph, std::slice::from_ref(late)).is_empty()));
        let now = self.clock_us(self.now());
        self.process(edited, now);
    }

    /// The graph as it was, with listings in the order of the new one; those that are new stand for themselves.
    fn before(&mut self, bases: &[crate::rerun::list::Query], after: &[Listing]) -> Graph {
        let mut old: Vec<Option<Listing>> = std::mem::take(&mut self.graph).listings.into_iter().map(Some).collect();
        let one = |(base, after): (&crate::rerun::list::Query, &Listing)| {
            let at = self.bases.iter().position(|old| is_same(old, base));
            at.and_then(|at| old.get_mut(at)?.take()).unwrap_or_else(|| after.clone())
        };
        Graph::new(bases.iter().zip(after).map(one).collect())
    }
}
