//! What waits to be sent: while nobody takes it, later news are added to earlier ones instead of waiting behind them.

use std::collections::{BTreeSet, VecDeque};

use super::{Changed, News};
use crate::task::id::ServiceName;

/// Notes beyond this many are dropped, the oldest first: they are about what goes on right now.
const NOTES: usize = 64;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    notes: VecDeque<(ServiceName, String)>,
    trouble: Option<Option<String>>,
    told: Option<String>,
    armed: Option<u64>,
    changed: Option<Changed>,
    /// Notes that were told once.
    noted: BTreeSet<(ServiceName, String)>,
}

impl Outbox {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.trouble.is_none() && self.armed.is_none() && self.changed.is_none()
    }

    /// A note, once.
    pub(super) fn note(&mut self, service: &ServiceName, line: &str) {
        let note = (service.clone(), line.to_owned());
        if self.noted.insert(note.clone()) {
            self.notes.push_back(note);
        }
        if self.notes.len() > NOTES {
            self.notes.pop_front();
        }
    }

    /// What is wrong now; sent when it is something else than before.
    pub(super) fn trouble(&mut self, now: Option<String>) {
        if self.told != now {
            self.told.clone_from(&now);
            self.trouble = Some(now);
        }
    }

    /// All is watched.
    pub(super) fn armed(&mut self, number: u64) {
        self.armed = Some(number);
    }

    /// Something was edited.
    pub(super) fn changed(&mut self, new: Changed) {
        match &mut self.changed {
            Some(waiting) => waiting.merge(new),
            None => self.changed = Some(new),
        }
    }

    /// What is next to be sent.
    pub(super) fn next(&mut self) -> Option<News> {
        let note = self.notes.pop_front().map(|(service, line)| News::Note(service, line));
        note.or_else(|| self.trouble.take().map(News::Trouble))
            .or_else(|| self.armed.take().map(News::Armed))
            .or_else(|| self.changed.take().map(News::Changed))
    }
}

impl Changed {
    /// Whether nothing is reached.
    pub(super) fn is_empty(&self) -> bool {
        let reach = &self.reach;
        reach.services.is_empty()
            && reach.builds.is_empty()
            && reach.tests.is_empty()
            && self.restarts.is_empty()
            && self.config.is_empty()
    }

    /// Adds what later edits reached.
    pub(super) fn merge(&mut self, new: Changed) {
        self.reach.services.extend(new.reach.services);
        for (build, files) in new.reach.builds {
            self.reach.builds.entry(build).or_default().extend(files);
        }
        for (package, files) in new.reach.tests {
            self.reach.tests.entry(package).or_default().extend(files);
        }
        for (service, packages) in new.reach.tested {
            self.reach.tested.entry(service).or_default().extend(packages);
        }
        for (service, files) in new.restarts {
            self.restarts.entry(service).or_default().extend(files);
        }
        self.config.extend(new.config);
        self.seen_us = self.seen_us.min(new.seen_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn later_news_join_those_that_wait() {
        let mut outbox = Outbox::default();
        let config =
            |path: &str, seen_us| Changed { config: [PathBuf::from(path)].into(), seen_us, ..Changed::default() };
        outbox.changed(config("/a", 5));
        outbox.changed(config("/b", 7));
        outbox.armed(1);
        outbox.armed(2);
        outbox.trouble(None);
        outbox.trouble(Some("x".to_owned()));
        outbox.trouble(Some("x".to_owned()));
        let api = ServiceName::fold("api").unwrap();
        outbox.note(&api, "go: downloading a");
        outbox.note(&api, "go: downloading a");
        let mut said = Vec::new();
        while let Some(news) = outbox.next() {
            said.push(match news {
                News::Note(service, line) => format!("{service}: {line}"),
                News::Trouble(what) => format!("{what:?}"),
                News::Armed(number) => format!("armed {number}"),
                News::Changed(changed) => format!("{:?} {}", changed.config, changed.seen_us),
            });
        }
        assert_eq!(said, ["api: go: downloading a", "Some(\"x\")", "armed 2", "{\"/a\", \"/b\"} 5"]);
        assert!(outbox.is_empty());
        outbox.trouble(None);
        assert!(matches!(outbox.next(), Some(News::Trouble(None))));
        for n in 0..1000 {
            outbox.note(&api, &n.to_string());
        }
        assert_eq!(outbox.notes.len(), NOTES);
    }
}
