//! Goes on with what is written: wakes when a folder changes, reads the sources that changed, and notices new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lines::Sink;
use super::sources::Source;
use super::view::View;
use crate::error::{Context, PathError};
use crate::sys::dir_watch::{Change, DirWatch};

/// Even without a word of the system everything is looked at so often.
const REST: Duration = Duration::from_secs(2);

/// Takes lines, and what happens between them.
pub trait Follower: Sink {
    /// All that is written was handed out; `Break` wants no more.
    fn caught_up(&mut self) -> ControlFlow<()>;
    /// The sources by number, whenever new ones were found.
    fn sources(&mut self, sources: &[Source]);
    /// When to wake at the latest although nothing is written.
    fn wake_after(&self) -> Option<Duration> {
        None
    }
}

/// Follows until the taker stops, or until the other end of one of `wake` closes.
pub fn follow<F: Follower>(view: &mut View, wake: &[BorrowedFd<'_>], follower: &mut F) -> Result<(), PathError> {
    let logs = view.logs().to_owned();
    let mut watched =
        Watched { watch: DirWatch::new().context("watch", &logs)?, sources: BTreeMap::new(), parents: BTreeSet::new() };
    // Watches first, then one look at everything: nothing falls between.
    let mut n_sources = view.sources().len();
    watched.add_all(view, &logs)?;
    let mut changed: Vec<usize> = (0..view.sources().len()).collect();
    loop {
        if n_sources != view.sources().len() {
            n_sources = view.sources().len();
            follower.sources(view.sources());
        }
        if view.more(&changed, follower)?.is_break() || follower.caught_up().is_break() {
            return Ok(());
        }
        let rest = follower.wake_after().map_or(REST, |at_most| at_most.min(REST));
        changed = match watched.watch.wait(rest, wake).context("watch", &logs)? {
            Change::Some(dirs) => {
                if dirs.iter().any(|dir| watched.parents.contains(dir)) {
                    watched.add_all(view, &logs)?;
                    (0..view.sources().len()).collect()
                } else {
                    dirs.iter().filter_map(|dir| watched.sources.get(dir).copied()).collect()
                }
            }
            Change::Unknown => {
                watched.add_all(view, &logs)?;
                (0..view.sources().len()).collect()
            }
            Change::Closed => return Ok(()),
        };
    }
}

struct Watched {
    watch: DirWatch,
    sources: BTreeMap<PathBuf, usize>,
    parents: BTreeSet<PathBuf>,
}

impl Watched {
    /// Watches folders that are new, until a look finds none.
    fn add_all(&mut self, view: &mut View, logs: &Path) -> Result<(), PathError> {
        loop {
            view.rescan()?;
            let before = self.sources.len() + self.parents.len();
            for parent in view.parents()? {
                if self.watch.add(&parent).context("watch", &parent)? {
                    self.parents.insert(parent);
                }
            }
            for (number, source) in view.sources().iter().enumerate() {
                if self.watch.add(&source.dir).context("watch", logs)? {
                    self.sources.insert(source.dir.clone(), number);
                }
            }
            if self.sources.len() + self.parents.len() == before {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::lines::Line;
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder;
    use crate::logs::view::Query;
    use std::time::Instant;

    /// Writes a step whenever it has caught up with the one before.
    struct Steps<'a> {
        seen: Vec<String>,
        folder: &'a mut Folder,
        logs: PathBuf,
        n_known: usize,
        deadline: Instant,
    }

    impl Sink for Steps<'_> {
        fn line(&mut self, line: &Line<'_>) -> ControlFlow<()> {
            assert!(line.source < self.n_known);
            self.seen.push(String::from_utf8_lossy(line.payload).into_owned());
            ControlFlow::Continue(())
        }
    }

    impl Follower for Steps<'_> {
        fn caught_up(&mut self) -> ControlFlow<()> {
            assert!(Instant::now() < self.deadline, "{:?}", self.seen);
            let new = |name| Folder::at(&self.logs, name);
            match self.seen.len() {
                0 => {
                    self.folder.line(1, Stream::Stdout, "a");
                }
                1 => {
                    self.folder.rotate().line(2, Stream::Stdout, "b");
                }
                2 => {
                    new("late/1").line(3, Stream::Stdout, "c");
                }
                3 => {
                    new("late/2").line(4, Stream::Stdout, "d");
                }
                _ => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        }

        fn sources(&mut self, sources: &[Source]) {
            self.n_known = sources.len();
        }
    }

    #[test]
    fn sees_lines_rotation_and_new_sources_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::at(dir.path(), "api/1");
        let mut view = View::open(dir.path(), Query { follow: true, ..Query::default() }).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let logs = dir.path().to_owned();
        let mut steps = Steps { seen: Vec::new(), folder: &mut folder, logs, n_known: 1, deadline };
        follow(&mut view, &[], &mut steps).unwrap();
        assert_eq!(steps.seen, ["a", "b", "c", "d"]);
    }
}
