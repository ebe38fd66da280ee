//! When edits have come to rest. Pure: times are durations since any one moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After the last edit of one save.
const QUIET: Duration = Duration::from_millis(25);
/// When a handful of files has been edited: all of an editor's are saved, or imports are mended everywhere.
const QUIET_SOME: Duration = Duration::from_millis(100);
/// When many files have been: another branch is checked out.
const QUIET_MANY: Duration = Duration::from_millis(400);
/// What a handful is, and what many are.
const SOME: usize = 4;
const MANY: usize = 16;
/// So long a file that somebody writes may stay open without another write.
const OPEN: Duration = Duration::from_millis(150);
/// After so long it is looked at, although it goes on: something writes without end.
const CAP: Duration = Duration::from_millis(500);
/// The same for many files.
const CAP_MANY: Duration = Duration::from_secs(10);

/// Edits that have not been looked at yet.
#[derive(Debug, Default)]
pub(super) struct Settle {
    edits: BTreeMap<PathBuf, Edit>,
    first: Duration,
    last: Duration,
    held: Option<Duration>,
}

/// One file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// When it was last edited.
    pub(super) at: Duration,
    /// Somebody wrote and has not closed it.
    is_open: bool,
}

impl Settle {
    /// A file was edited. `is_open`: written and not closed yet, `None` where nothing is known about that.
    pub(super) fn touch(&mut self, now: Duration, path: &Path, is_open: Option<bool>) {
        if self.edits.is_empty() {
            self.first = now;
        }
        self.last = now;
        let known = self.edits.get(path).is_some_and(|edit| edit.is_open);
        self.edits.insert(path.to_owned(), Edit { at: now, is_open: is_open.unwrap_or(known) });
    }

    /// When to look; `None` without edits.
    pub(super) fn due(&self) -> Option<Duration> {
        let (quiet, cap) = match self.edits.len() {
            0 => return None,
            n if n < SOME => (QUIET, CAP),
            n if n < MANY => (QUIET_SOME, CAP_MANY),
            _ => (QUIET_MANY, CAP_MANY),
        };
        let open = self.edits.values().filter(|edit| edit.is_open).map(|edit| edit.at + OPEN).max();
        let rest = (self.last + quiet).max(open.unwrap_or_default());
        Some(rest.min(self.first + cap).max(self.held.unwrap_or_default()))
    }

    /// Not before then.
    pub(super) fn hold(&mut self, until: Duration) {
        self.held = Some(until);
    }

    /// What waits.
    pub(super) fn edits(&self) -> &BTreeMap<PathBuf, Edit> {
        &self.edits
    }

    /// When the first of those that wait was seen.
    pub(super) fn first(&self) -> Duration {
        self.first
    }

    /// Takes them all: somebody looks.
    pub(super) fn take(&mut self) -> BTreeMap<PathBuf, Edit> {
        self.held = None;
        std::mem::take(&mut self.edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn one_save_waits_a_moment_after_its_last_write() {
        let mut settle = Settle::default();
        assert_eq!(settle.due(), None);
        settle.touch(ms(1000), Path::new("/a"), Some(true));
        settle.touch(ms(1010), Path::new("/a"), Some(false));
        assert_eq!(settle.due(), Some(ms(1035)));
        settle.touch(ms(1020), Path::new("/b"), None);
        assert_eq!(settle.due(), Some(ms(1045)));
        assert_eq!(settle.take().len(), 2);
        assert_eq!(settle.due(), None);
    }

    #[test]
    fn a_file_that_is_still_written_is_waited_for_and_not_for_ever() {
        let mut settle = Settle::default();
        settle.touch(ms(0), Path::new("/a"), Some(true));
        assert_eq!(settle.due(), Some(OPEN), "open, and nothing more is written");
        settle.touch(ms(10), Path::new("/a"), None);
        assert_eq!(settle.due(), Some(ms(160)), "something else about it does not close it");
        settle.touch(ms(20), Path::new("/a"), Some(false));
        assert_eq!(settle.due(), Some(ms(45)));
        for at in 2..200 {
            settle.touch(ms(at * 10), Path::new("/a"), Some(true));
        }
        assert_eq!(settle.due(), Some(CAP));
    }

    #[test]
    fn many_files_are_waited_for_longer() {
        let mut settle = Settle::default();
        let mut looks = 0;
        for n in 0..500 {
            let now = ms(n * 8 + if n % 50 == 0 { 7 } else { 0 });
            looks += usize::from(settle.due().is_some_and(|due| due < now));
            settle.touch(now, Path::new(&format!("/f{n}")), Some(false));
        }
        assert_eq!(looks, 0);
        assert_eq!(settle.due(), Some(ms(499 * 8) + QUIET_MANY));
        for n in 500..3000 {
            settle.touch(ms(n * 8), Path::new(&format!("/f{n}")), Some(false));
        }
        assert_eq!(settle.due(), Some(CAP_MANY + ms(7)));
    }

    #[test]
    fn what_is_held_is_held_until_it_is_taken() {
        let mut settle = Settle::default();
        settle.touch(ms(0), Path::new("/a"), None);
        settle.hold(ms(300));
        assert_eq!(settle.due(), Some(ms(300)));
        settle.take();
        settle.touch(ms(400), Path::new("/a"), None);
        assert_eq!(settle.due(), Some(ms(425)));
    }
}
