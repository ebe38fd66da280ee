//! What problems need from files and from others, and what came of it. Pure: who asks is elsewhere.

use super::excerpt::{Excerpt, Source};
use super::group::{Kind, Place, Problem, Row};
use super::{Death, Listed, Problems};
use crate::api::wire::{Service, WhyTests};

/// Between two looks at what is shown, in microseconds.
const PAUSE: i64 = 2_000_000;
/// The same for what could not be read.
const MISSING: i64 = 15_000_000;

/// Something to find out, or to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemCmd {
    /// Read the lines around a place.
    Excerpt(Place),
    /// Read what the newest build of a service printed.
    Output(String),
    /// Read what an instance wrote last.
    Words(String),
    /// Ask whether failed tests keep a service from running.
    Gate(String),
    /// Put this text into the clipboard.
    Copy(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum ProblemMsg {
    /// The lines around a place, or why there are none.
    Excerpt(Place, Result<Excerpt, String>),
    /// What the newest build of a service printed.
    Output(String, Vec<String>),
    /// What an instance wrote last.
    Words(String, Vec<String>),
    /// What `why` said about the tests of a service.
    Gate(String, Option<WhyTests>),
    /// Panics that were found in the log.
    Deaths(Vec<Death>),
}

/// What was read for the problem that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    excerpt: Option<(Place, Result<Excerpt, String>)>,
    /// Of a build.
    output: Option<(String, Vec<String>)>,
    /// What was asked for last, so that it is asked once.
    asked: Option<ProblemCmd>,
    /// When it was asked for again last, in microseconds since 1970.
    refreshed: i64,
}

impl Problems {
    /// Takes an answer.
    pub fn answered(&mut self, msg: ProblemMsg, services: &[Service], now: i64) {
        match msg {
            ProblemMsg::Excerpt(place, read) => self.sources.excerpt = Some((place, read)),
            ProblemMsg::Output(service, lines) => self.sources.output = Some((service, lines)),
            ProblemMsg::Words(instance, words) => {
                self.happened.words(&instance, words);
                self.settle();
            }
            ProblemMsg::Gate(service, tests) => {
                self.gates.told(&service, tests);
                self.settle();
            }
            ProblemMsg::Deaths(deaths) => self.died(deaths, services, now),
        }
    }

    /// What is to be found out now. `whole`: the screen of its own is shown.
    pub fn wishes(&mut self, whole: bool) -> Vec<ProblemCmd> {
        let mut wishes: Vec<ProblemCmd> = self.happened.wishes().into_iter().map(ProblemCmd::Words).collect();
        wishes.extend(self.gates.wishes().into_iter().map(ProblemCmd::Gate));
        let shown = self.selected(Listed::Whole).filter(|_| whole).and_then(|row| self.source_of(&row));
        if shown != self.sources.asked {
            self.sources.asked.clone_from(&shown);
            wishes.extend(shown);
        }
        wishes
    }

    /// What is shown of a row must be read.
    fn source_of(&self, row: &Row) -> Option<ProblemCmd> {
        match self.raw {
            true if row.group.kind == Kind::Build => Some(ProblemCmd::Output(row.group.service.clone())),
            true => None,
            false => row.nearest()?.place.clone().map(ProblemCmd::Excerpt),
        }
    }

    /// What was read is read again now and then: it may have changed. A file that is not there is looked for in the whole project, so less often.
    pub fn refresh(&mut self, now: i64) {
        let pause = if matches!(self.sources.excerpt, Some((_, Err(_)))) { MISSING } else { PAUSE };
        if now.saturating_sub(self.sources.refreshed) >= pause {
            (self.sources.asked, self.sources.refreshed) = (None, now);
        }
    }

    /// What is shown of a row beside the list.
    pub fn source(&self, row: &Row) -> Source<'_> {
        let none = |item: Option<&Problem>| item.is_none_or(|item| item.raw.is_empty());
        match (self.raw, row.nearest()) {
            (true, _) if row.group.kind == Kind::Build => match &self.sources.output {
                Some((service, lines)) if *service == row.group.service => Source::Output(lines),
                _ => Source::Nothing("reading what the build printed …"),
            },
            (true, item) if none(item) => Source::Nothing("nothing of what was printed is at hand"),
            (true, _) => Source::Printed,
            (false, Some(Problem { place: Some(place), .. })) => match &self.sources.excerpt {
                Some((of, Ok(excerpt))) if of == place => Source::Excerpt(excerpt),
                Some((of, Err(error))) if of == place => Source::Nothing(error),
                _ => Source::Nothing("reading …"),
            },
            (false, item) if none(item) => Source::Nothing("it names no place in a file"),
            // Without a place, what was printed says the most.
            (false, _) => Source::Printed,
        }
    }
}
