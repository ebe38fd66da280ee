//! What the loop asks the log index for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Loop;
use crate::logs::index::{Anchor, Direction, Found, Index, Levels, Position};
use crate::tui::fleet::Tone;
use crate::tui::hands;
use crate::tui::log::{Bar, LogCmd, Name, Rate, pattern};
use crate::tui::model::Pane;
use crate::tui::msg::{Cmd, Msg};

impl Loop {
    /// Takes from the index what the log pane shows, where either has changed.
    pub(super) fn look(&mut self) {
        self.model.settle_log();
        let asked = (self.model.log.wanted(), self.index.generation());
        if self.looked == Some(asked) {
            return;
        }
        let pane = &mut self.model.log;
        pane.name(&self.index.sources());
        let (anchor, before, after) = asked.0;
        pane.take(self.index.window(anchor, before, after));
        (pane.progress, pane.hits) = (self.index.progress(), self.index.hits());
        pane.trouble = self.index.trouble();
        self.model.log.bar = self.bar();
        // What is shown now is what would be asked for again.
        self.looked = Some((self.model.log.wanted(), asked.1));
    }

    pub(super) fn log_changed(&mut self) -> Vec<Cmd> {
        self.dirty = true;
        match self.model.log.seeking {
            Some((anchor, direction)) => vec![Cmd::Log(LogCmd::Search(anchor, direction))],
            None => Vec::new(),
        }
    }

    pub(super) fn log(&mut self, cmd: LogCmd) -> Vec<Cmd> {
        match cmd {
            LogCmd::Query => match self.model.log.filters.query() {
                Ok(query) => self.index.set_query(query),
                Err(error) => return self.message(Msg::Say(Tone::Bad, error)),
            },
            LogCmd::Search(anchor, direction) => return self.search(anchor, direction),
            LogCmd::Error(anchor, direction) => {
                let found = self.index.next_level(anchor, Levels::ERRORS, direction);
                let found = found.map_or(Found::Nothing, Found::At);
                return self.message(Msg::Found(found, (anchor, direction), "error"));
            }
            LogCmd::Open(position) => {
                let bytes = self.index.line(position);
                return self.message(Msg::Opened(position, bytes));
            }
            LogCmd::Time(us) => self.go(self.index.at_time(us)),
            LogCmd::Number(n) => self.go(self.index.nth(n)),
            LogCmd::Bar { row, rows } => self.go(self.at_bar(row, rows)),
            LogCmd::Run(position, direction) => {
                let found = self.index.run(position, direction).map_or(Found::Nothing, Found::At);
                return self.message(Msg::Found(found, (Anchor::At(position), direction), "run of it"));
            }
            LogCmd::Clear => {
                let newest = self.index.window(Anchor::Bottom, 1, 0).rows.pop();
                self.model.log.filters.since = newest.map(|row| row.position.key.saturating_add(1));
                self.model.log.bottom();
                return vec![Cmd::Log(LogCmd::Query)];
            }
            LogCmd::Copy(first, last) => self.work(move |index, names| {
                let (said, bytes) = hands::copy_lines(index, names, first, last);
                Msg::Copied(said, bytes)
            }),
            LogCmd::Export(file) => self.work(move |index, names| match hands::export(index, names, &file) {
                Ok(said) => Msg::Say(Tone::Good, said),
                Err(error) => Msg::Say(Tone::Bad, error),
            }),
        }
        self.looked = None;
        Vec::new()
    }

    /// Does something that may take its time with the lines that are shown.
    pub(super) fn work(&self, work: impl FnOnce(&Index, &[Name]) -> Msg + Send + 'static) {
        let (index, names) = (Arc::clone(&self.index), self.model.log.names.clone());
        self.remote.work(move || work(&index, &names));
    }

    fn go(&mut self, to: Option<Position>) {
        if let Some(position) = to {
            self.model.focus = Pane::Logs;
            self.model.log.go(position);
        }
    }

    fn search(&mut self, anchor: Anchor, direction: Direction) -> Vec<Cmd> {
        let wanted = self.model.log.search.as_deref().and_then(|text| pattern(text).ok());
        if self.searched != self.model.log.search {
            self.searched.clone_from(&self.model.log.search);
            self.index.set_search(wanted);
        }
        if self.searched.is_none() {
            return Vec::new();
        }
        let found = self.index.next_hit(anchor, direction);
        self.message(Msg::Found(found, (anchor, direction), "hit"))
    }

    /// What is drawn beside the lines. Where marks are is asked only as long as there are some.
    fn bar(&self) -> Bar {
        let rows = usize::from(self.model.log.size.1);
        let place = |position: Position| {
            let window = self.index.window(Anchor::At(position), 0, 0);
            window.n_before as f64 / window.n_wanted().max(1) as f64
        };
        let marks = self.model.log.marks.iter().map(|(letter, mark)| (*letter, place(mark.position))).collect();
        Bar { ticks: self.index.ticks(rows), marks }
    }

    /// To what is drawn in a row of the bar.
    fn at_bar(&self, row: u16, rows: u16) -> Option<Position> {
        let part = |row: u16| f64::from(row) / f64::from(rows.max(1));
        let first = self.index.at_fraction(part(row))?;
        let end = self.index.at_fraction(part(row + 1))?;
        let tick = self.model.log.bar.ticks.get(usize::from(row)).copied().unwrap_or_default();
        let mark = |(_, at): &&(char, f64)| (part(row)..part(row + 1)).contains(at);
        let mark = self.model.log.bar.marks.iter().find(mark).and_then(|(letter, _)| self.model.log.marks.get(letter));
        let before = Anchor::At(first);
        let found = match mark {
            Some(mark) => Some(mark.position),
            None if tick.hit => match self.index.next_hit(before, Direction::Forward) {
                Found::At(position) => Some(position),
                Found::Nothing | Found::Looking => None,
            },
            None if tick.error => self.index.next_level(before, Levels::ERRORS, Direction::Forward),
            None => None,
        };
        found.filter(|position| *position <= end).or(Some(first))
    }

    /// Counts what each service wrote.
    pub(super) fn count_rates(&mut self) {
        let pane = &mut self.model.log;
        let mut all: BTreeMap<&str, Rate> = BTreeMap::new();
        let sources = self.index.rates();
        // The present second is not over.
        pane.now = sources.iter().map(|rates| rates.lines.iter().rev().nth(1).copied().unwrap_or(0)).collect();
        for (rates, name) in sources.into_iter().zip(&pane.names) {
            let sum = all.entry(&name.service).or_default();
            add(&mut sum.lines, &rates.lines);
            add(&mut sum.errors, &rates.errors);
        }
        let rates = all.into_iter().map(|(service, rate)| Rate { service: service.to_owned(), ..rate });
        pane.rates = rates.filter(|rate| rate.lines.iter().any(|n| *n > 0)).collect();
        pane.rate = pane.now.iter().sum();
    }
}

fn add(sum: &mut Vec<u32>, more: &[u32]) {
    sum.resize(sum.len().max(more.len()), 0);
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}
