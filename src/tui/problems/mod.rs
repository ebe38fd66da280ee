//! What compilers, tests and the runtime said, as groups one can go through: what fails now, where, how often, and what is over. Pure.

mod ask;
mod excerpt;
mod gate;
mod group;
mod happened;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use ask::{ProblemCmd, ProblemMsg};
pub use excerpt::{Excerpt, Source};
pub use group::{Group, Kind, Place, Problem, Row, Tab};
pub use happened::Death;
pub use report::{Tests, pattern_of, read_tests};

use super::fleet::Tone;
use super::model::{List, Pane};
use crate::api::wire::Service;
use gate::Gates;
use happened::Happened;

/// Which of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The pane of problems.
    Problems,
    /// The pane of tests.
    Tests,
    /// Both, on a screen of their own, with groups.
    Whole,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Problems {
    builds: Vec<Group>,
    /// When a build that fails was first seen to: microseconds since 1970, by service, and what it said.
    seen: BTreeMap<String, (String, i64)>,
    tests: BTreeMap<String, Tests>,
    happened: Happened,
    gates: Gates,
    dismissed: BTreeSet<String>,
    /// Made of all that; by kind and service, what is over last.
    groups: Vec<Arc<Group>>,
    /// Groups whose items are hidden.
    folded: BTreeSet<String>,
    problems: List,
    results: List,
    whole: List,
    /// Everything, or only what fails.
    pub all: bool,
    /// Which kinds the screen of its own shows.
    pub tab: Tab,
    /// What was printed is shown, and not the place in the file.
    pub raw: bool,
    /// The first line of that.
    pub scroll: usize,
    sources: ask::Sources,
}

impl Default for Problems {
    fn default() -> Problems {
        Problems {
            builds: Vec::new(),
            seen: BTreeMap::new(),
            tests: BTreeMap::new(),
            happened: Happened::default(),
            gates: Gates::default(),
            dismissed: BTreeSet::new(),
            groups: Vec::new(),
            folded: BTreeSet::new(),
            problems: List::default(),
            results: List::default(),
            whole: List::default(),
            all: true,
            tab: Tab::All,
            raw: false,
            scroll: 0,
            sources: ask::Sources::default(),
        }
    }
}

impl Problems {
    /// Takes what runs at a moment, in microseconds since 1970: what the newest builds said, what ended badly, what waits for tests.
    pub fn update(&mut self, services: &[Service], now: i64) {
        self.builds = services.iter().filter_map(|service| self.of_build(service, now)).collect();
        self.seen.retain(|name, _| self.builds.iter().any(|group| group.service == *name));
        self.happened.update(services, now);
        self.gates.update(services);
        // What was mended and comes again is new.
        let items = self.builds.iter().flat_map(|group| &group.items).map(|item| item.id.as_str());
        let ids: BTreeSet<&str> = items.chain(self.gates.ids()).collect();
        self.dismissed.retain(|id| ids.contains(id.as_str()));
        self.settle();
    }

    fn of_build(&mut self, service: &Service, now: i64) -> Option<Group> {
        let group = group::of_build(service)?;
        let said = group.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>().join("\n");
        let seen = self.seen.entry(service.name.clone()).or_default();
        if seen.0 != said {
            *seen = (said, now);
        }
        let since = seen.1;
        let items = group.items.into_iter().map(|item| Problem { since, ..item }).collect();
        Some(Group { items, ..group })
    }

    /// Takes how tests of a service go.
    pub fn tested(&mut self, service: &str, tests: Tests, now: i64) {
        let known = self.tests.entry(service.to_owned()).or_default();
        known.take(tests, now);
        self.settle();
    }

    /// Takes panics that were found in the log.
    pub fn died(&mut self, deaths: Vec<Death>, services: &[Service], now: i64) {
        deaths.into_iter().for_each(|death| self.happened.died(death));
        self.happened.update(services, now);
        self.settle();
    }

    /// What a list shows.
    pub fn rows(&self, listed: Listed) -> Vec<Row> {
        let mut rows = Vec::new();
        for group in self.groups.iter().filter(|group| self.shows(group, listed)) {
            let folded = self.folded.contains(&group.id);
            let whole = listed == Listed::Whole;
            if whole || group.items.is_empty() {
                rows.push(Row { group: Arc::clone(group), item: None, folded });
            }
            if !(whole && folded) {
                let item = |at| Row { group: Arc::clone(group), item: Some(at), folded };
                rows.extend((0..group.items.len()).map(item));
            }
        }
        rows
    }

    fn shows(&self, group: &Group, listed: Listed) -> bool {
        let here = match listed {
            Listed::Whole => self.tab == Tab::All || group.kind.tab() == self.tab,
            Listed::Tests => group.kind.tab() == Tab::Tests,
            Listed::Problems => group.kind.tab() != Tab::Tests,
        };
        here && (self.all || group.fails() || group.tone == Tone::Wait)
    }

    /// How many items of a tab fail now.
    pub fn count(&self, tab: Tab) -> usize {
        let here = |group: &&Arc<Group>| group.fails() && (tab == Tab::All || group.kind.tab() == tab);
        self.groups.iter().filter(here).map(|group| group.items.len().max(1)).sum()
    }

    /// The cursor of a list.
    pub fn list(&self, listed: Listed) -> &List {
        match listed {
            Listed::Problems => &self.problems,
            Listed::Tests => &self.results,
            Listed::Whole => &self.whole,
        }
    }

    /// The same, to change it.
    pub fn list_mut(&mut self, listed: Listed) -> &mut List {
        match listed {
            Listed::Problems => &mut self.problems,
            Listed::Tests => &mut self.results,
            Listed::Whole => &mut self.whole,
        }
    }

    /// Moves the cursor of a list.
    pub fn go(&mut self, listed: Listed, to: impl Fn(usize, usize) -> usize) {
        let rows = self.rows(listed);
        let ids: Vec<&str> = rows.iter().map(Row::id).collect();
        let list = self.list_mut(listed);
        let at = to(list.at, ids.len());
        list.go(at, &ids);
        self.scroll = 0;
    }

    /// Moves the cursor to the next item, or the one before; group lines are passed over where they have items.
    pub fn step(&mut self, listed: Listed, forward: bool) {
        let rows = self.rows(listed);
        let at = self.list(listed).at;
        let is_item = |n: &usize| rows[*n].item.is_some() || rows[*n].folded || rows[*n].group.items.is_empty();
        let found = match forward {
            true => (at + 1..rows.len()).find(is_item),
            false => (0..at.min(rows.len())).rev().find(is_item),
        };
        if let Some(found) = found {
            self.go(listed, |_, _| found);
        }
    }

    /// What the cursor of a list is on.
    pub fn selected(&self, listed: Listed) -> Option<Row> {
        self.rows(listed).into_iter().nth(self.list(listed).at)
    }

    /// Goes to the same item on the screen of its own.
    pub fn show(&mut self, row: &Row, pane: Pane) {
        self.turn_to(pane);
        self.folded.remove(&row.group.id);
        let rows = self.rows(Listed::Whole);
        let at = rows.iter().position(|other| other.id() == row.id()).unwrap_or(0);
        self.go(Listed::Whole, |_, _| at);
    }

    /// Hides or shows the items of the group the cursor is on.
    pub fn fold(&mut self) {
        let Some(row) = self.selected(Listed::Whole) else { return };
        if !self.folded.remove(&row.group.id) {
            self.folded.insert(row.group.id.clone());
        }
        let rows = self.rows(Listed::Whole);
        let at = rows.iter().position(|other| other.group.id == row.group.id).unwrap_or(0);
        self.go(Listed::Whole, |_, _| at);
    }

    /// Shows another kind.
    pub fn turn(&mut self, forward: bool) {
        self.tab = self.tab.turned(forward);
        self.scroll = 0;
        self.settle();
    }

    /// Shows the kinds that belong to a pane, where the screen is too narrow for the pane itself.
    pub fn turn_to(&mut self, pane: Pane) {
        self.tab = if pane == Pane::Tests { Tab::Tests } else { Tab::All };
        self.settle();
    }

    /// Hides what the cursor is on until it happens again.
    pub fn dismiss(&mut self, listed: Listed) {
        let Some(row) = self.selected(listed) else { return };
        let ids: Vec<String> = match row.problem() {
            Some(item) => vec![item.id.clone()],
            None => row.group.items.iter().map(|item| item.id.clone()).collect(),
        };
        match row.group.kind {
            Kind::Build | Kind::Gate => self.dismissed.extend(ids),
            Kind::Panic | Kind::Crash => self.happened.dismiss(&row.group.id),
            Kind::Test | Kind::Lint => {
                let tests = self.tests.get_mut(&row.group.service);
                if tests.is_some_and(|tests| tests.dismiss(&ids)) {
                    self.tests.remove(&row.group.service);
                }
            }
        }
        self.settle();
    }

    /// Services with failed tests, and which of their tests: what is to be run again. Without names: all of a service.
    pub fn failed_tests(&self) -> Vec<(String, Option<String>)> {
        let failed = |(service, tests): (&String, &Tests)| Some((service.clone(), tests.failed_pattern()?));
        self.tests.iter().filter_map(failed).collect()
    }

    /// Groups anew, and the cursors on what they were on.
    fn settle(&mut self) {
        let hidden = |item: &Problem| self.dismissed.contains(&item.id);
        let without_hidden = |mut group: Group| {
            let n = group.items.len();
            group.items.retain(|item| !hidden(item));
            (n == 0 || !group.items.is_empty()).then_some(group)
        };
        let tests = self.tests.iter().flat_map(|(service, tests)| tests.groups(service));
        let all = self.builds.iter().cloned().chain(self.gates.groups()).chain(tests).chain(self.happened.groups());
        let mut groups: Vec<Arc<Group>> = all.filter_map(without_hidden).map(Arc::new).collect();
        groups.sort_by_key(|group| (group.past, group.tone == Tone::Good, group.kind));
        self.groups = groups;
        for listed in [Listed::Problems, Listed::Tests, Listed::Whole] {
            let rows = self.rows(listed);
            let ids: Vec<&str> = rows.iter().map(Row::id).collect();
            self.list_mut(listed).settle(&ids);
        }
    }
}
