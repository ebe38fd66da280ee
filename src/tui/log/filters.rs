//! Which lines are shown: what is typed, chosen and toggled, as one query. Pure.

use std::collections::BTreeSet;

use crate::logs::index::{Levels, Pattern, Query};
use crate::logs::level::Level;
use crate::logs::sources::Selection;
use crate::task::id::{InstanceId, ServiceName};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Found in each line.
    pub include: Option<String>,
    /// Found in no line.
    pub exclude: Vec<String>,
    /// This level or worse.
    pub least: Option<Level>,
    /// Only these services and copies; empty: all.
    pub names: BTreeSet<String>,
    /// Only lines that hold this id.
    pub trace: Option<String>,
    /// Not before this moment of the log, in microseconds since 1970.
    pub since: Option<i64>,
    /// Stack traces as they were written.
    pub unfolded: bool,
}

/// The level after this one, as a key goes through them; `None` shows all.
pub fn least_after(least: Option<Level>) -> Option<Level> {
    match least {
        None => Some(Level::Debug),
        Some(Level::Trace | Level::Debug) => Some(Level::Info),
        Some(Level::Info) => Some(Level::Warn),
        Some(Level::Warn) => Some(Level::Error),
        Some(Level::Error | Level::Fatal) => None,
    }
}

/// The word for a level.
pub fn level_word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Fatal => "fatal",
    }
}

/// A pattern as it is typed: without a capital letter it means both cases.
pub fn pattern(text: &str) -> Result<Pattern, String> {
    let ignore_case = !text.chars().any(char::is_uppercase);
    Pattern::regex(text, ignore_case).map_err(|error| {
        // The words of the crate come with a drawing of several lines; the last says it.
        error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

impl Filters {
    /// Takes what was typed after `&`: a pattern to keep, with `!` before it one to leave out, nothing to show all again.
    pub fn typed(&mut self, text: &str) -> Result<(), String> {
        match text.strip_prefix('!') {
            None if text.is_empty() => {
                self.include = None;
                self.exclude.clear();
            }
            None => {
                pattern(text)?;
                self.include = Some(text.to_owned());
            }
            Some("") => {}
            Some(text) => {
                pattern(text)?;
                self.exclude.push(text.to_owned());
            }
        }
        Ok(())
    }

    /// Takes names of services and copies, separated by commas or blanks; nothing means all.
    pub fn named(&mut self, text: &str) {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        self.names = names.map(ToOwned::to_owned).collect();
    }

    /// As a query. Patterns were checked when they were typed.
    pub fn query(&self) -> Result<Query, String> {
        let mut query = Query { fold: !self.unfolded, ..Query::default() };
        query.levels = self.least.map_or(Levels::ALL, Levels::at_least);
        if let Some(text) = &self.include {
            query.include.push(pattern(text)?);
        }
        if let Some(id) = &self.trace {
            query.include.push(Pattern::literal(id, false).map_err(|error| error.to_string())?);
        }
        query.exclude = self.exclude.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?;
        query.selection = self.selection();
        query.since = self.since;
        Ok(query)
    }

    fn selection(&self) -> Selection {
        let mut selection = Selection::default();
        for name in &self.names {
            match (InstanceId::parse(name), ServiceName::fold(name)) {
                (Some(id), _) => selection.instances.push(id),
                (None, Some(service)) => selection.services.push(service),
                (None, None) => {}
            }
        }
        selection
    }

    /// What is in force, for the title; empty where all is shown. `clock` says a moment as people read it.
    pub fn told(&self, clock: impl Fn(i64) -> String) -> String {
        let mut words = Vec::new();
        if !self.names.is_empty() {
            words.push(format!("svc:{}", self.names.iter().cloned().collect::<Vec<_>>().join(",")));
        }
        words.extend(self.least.map(|level| format!("level>={}", level_word(level))));
        words.extend(self.include.iter().map(|text| format!("&{text}")));
        words.extend(self.exclude.iter().map(|text| format!("&!{text}")));
        words.extend(self.since.map(|us| format!("since:{}", clock(us))));
        words.extend(self.trace.iter().map(|id| format!("trace:{id}")));
        words.join("  ")
    }

    /// Shows everything again; true when something was left out before.
    pub fn clear(&mut self) -> bool {
        let cleared = Filters { unfolded: self.unfolded, ..Filters::default() };
        let changed = *self != cleared;
        *self = cleared;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_adds_up_and_bad_expressions_are_told() {
        let mut filters = Filters::default();
        filters.typed("order").unwrap();
        filters.typed("!health").unwrap();
        filters.named("api, web.2");
        filters.least = least_after(least_after(None));
        filters.since = Some(7);
        let told = |filters: &Filters| filters.told(|us| us.to_string());
        assert_eq!(told(&filters), "svc:api,web.2  level>=info  &order  &!health  since:7");
        let query = filters.query().unwrap();
        assert_eq!(
            (
                query.since,
                query.include.len(),
                query.exclude.len(),
                query.selection.services.len(),
                query.selection.instances.len()
            ),
            (Some(7), 1, 1, 1, 1)
        );
        let error = filters.typed("a(").unwrap_err();
        assert_eq!(error, "unclosed group");
        filters.typed("").unwrap();
        assert_eq!(told(&filters), "svc:api,web.2  level>=info  since:7");
        assert!(filters.clear());
        assert!(!filters.clear());
    }

    #[test]
    fn small_letters_mean_both_cases() {
        let found = |text: &str, line: &str| pattern(text).unwrap().find_in(line.as_bytes()).next().is_some();
        assert!(found("error", "an ERROR"));
        assert!(!found("Error", "an ERROR"));
    }
}
