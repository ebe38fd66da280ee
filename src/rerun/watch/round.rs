//! Questions that belong together: until all are answered, what was known before holds.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::Changed;
use super::ask::Asked;
use crate::rerun::list::Query;
use crate::rerun::listing::Listing;
use crate::rerun::reach::Change;
use crate::services::build::same_env;

/// A round of questions.
#[derive(Debug)]
pub(super) struct Round {
    /// One answer for each question of `bases`, in their order.
    pub(super) slots: Vec<Slot>,
    /// What is asked, before the packages whose tests count are added.
    pub(super) bases: Vec<Query>,
    /// [`super::Watched::number`] of those that are armed with it.
    pub(super) arms: Option<u64>,
    /// Because of which it is asked.
    pub(super) changes: Vec<Change>,
    /// Seen meanwhile, and of nobody's concern by what was known then; by the answers it may be.
    pub(super) late: Vec<Change>,
    /// What was told since the newest of `changes`.
    pub(super) told: Changed,
    /// When the first of `changes` was seen.
    pub(super) seen_us: i64,
    /// The earliest moment an answer may speak of.
    pub(super) since: Option<SystemTime>,
}

/// An answer, or the question.
#[derive(Debug)]
pub(super) enum Slot {
    Known(Box<Listing>),
    Asked(Asked),
}

impl Round {
    /// One without questions yet.
    pub(super) fn new(bases: Vec<Query>, slots: Vec<Slot>) -> Round {
        let (changes, told) = (Vec::new(), Changed::default());
        Round { slots, bases, arms: None, changes, late: Vec::new(), told, seen_us: i64::MAX, since: None }
    }

    /// Takes an answer; those to obsolete questions are dropped.
    pub(super) fn answer(&mut self, id: u64, listing: Listing) {
        let slot = self.slots.iter_mut().find(|slot| matches!(slot, Slot::Asked(asked) if asked.id == id));
        if let Some(slot) = slot {
            if let Slot::Asked(asked) = slot {
                self.since = Some(self.since.map_or(asked.since, |since| since.min(asked.since)));
            }
            *slot = Slot::Known(Box::new(listing));
        }
    }

    /// Which questions are on their way.
    pub(super) fn asked(&self) -> BTreeSet<usize> {
        let all = self.slots.iter().enumerate();
        all.filter(|(_, slot)| matches!(slot, Slot::Asked(_))).map(|(at, _)| at).collect()
    }

    /// Ends all questions.
    pub(super) fn end(&self) {
        for slot in &self.slots {
            if let Slot::Asked(asked) = slot {
                asked.end();
            }
        }
    }
}

/// Whether two questions have the same answer and are asked for the same services.
pub(super) fn is_same(a: &Query, b: &Query) -> bool {
    (&a.dir, &a.patterns, &a.flags, a.with_tests, &a.roots) == (&b.dir, &b.patterns, &b.flags, b.with_tests, &b.roots)
        && same_env(&a.env, &b.env)
}
