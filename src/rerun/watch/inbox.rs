//! What the system tells, gathered by path until the task has time: a thousand writes to one file are one entry.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{Event, Result};
use tokio::sync::Notify;

/// Between the thread that is told and the task.
#[derive(Debug)]
pub(super) struct Inbox {
    inner: Mutex<Told>,
    bell: Notify,
    /// More paths than this count as lost: everything is looked at again.
    room: usize,
    tells_close: bool,
}

/// What was told since the last look.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Paths something happened to; true: it is open and written to, false: it was closed, `None`: nothing is known of that.
    pub(super) paths: BTreeMap<PathBuf, Option<bool>>,
    /// There was more.
    pub(super) is_lost: bool,
}

impl Inbox {
    /// An empty one. `tells_close`: the system says when a file that was written to is closed.
    pub(super) fn new(room: usize, tells_close: bool) -> Inbox {
        Inbox { inner: Mutex::default(), bell: Notify::new(), room, tells_close }
    }

    /// Called by notify's thread; never waits for the task.
    pub(super) fn put(&self, event: Result<Event>) {
        let Ok(event) = event else { return self.lose() };
        if event.need_rescan() {
            return self.lose();
        }
        let is_open = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(false),
            // Reading is no edit, and a build reads everything.
            EventKind::Access(_) => return,
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) if self.tells_close => {
                Some(true)
            }
            EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Some(false),
            _ => None,
        };
        let mut told = self.lock();
        for path in event.paths {
            if told.paths.len() >= self.room && !told.paths.contains_key(&path) {
                told.is_lost = true;
                break;
            }
            let known = told.paths.get(&path).copied().flatten();
            told.paths.insert(path, is_open.or(known));
        }
        drop(told);
        self.bell.notify_one();
    }

    /// Something was told that is not in it.
    pub(super) fn lose(&self) {
        self.lock().is_lost = true;
        self.bell.notify_one();
    }

    /// Takes all of it.
    pub(super) fn take(&self) -> Told {
        std::mem::take(&mut *self.lock())
    }

    /// Returns once there may be something.
    pub(super) async fn heard(&self) {
        self.bell.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // Nothing in here is left half done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{DataChange, Flag};

    fn write(path: &str) -> Result<Event> {
        Ok(Event::new(EventKind::Modify(ModifyKind::Data(DataChange::Any))).add_path(path.into()))
    }

    fn closed(path: &str) -> Result<Event> {
        Ok(Event::new(EventKind::Access(AccessKind::Close(AccessMode::Write))).add_path(path.into()))
    }

    #[test]
    fn paths_are_told_once_and_whether_they_are_closed() {
        let inbox = Inbox::new(10, true);
        inbox.put(Ok(Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any))).add_path("/r".into())));
        for _ in 0..100 {
            inbox.put(write("/a"));
            inbox.put(write("/b"));
        }
        inbox.put(closed("/a"));
        let told = inbox.take();
        assert!(!told.is_lost);
        assert_eq!(told.paths.into_iter().collect::<Vec<_>>(), [("/a".into(), Some(false)), ("/b".into(), Some(true))]);
        assert!(inbox.take().paths.is_empty());
    }

    #[test]
    fn what_has_no_room_and_what_the_system_lost_is_lost() {
        let inbox = Inbox::new(2, true);
        ["/a", "/b", "/a"].into_iter().for_each(|path| inbox.put(write(path)));
        assert!(!inbox.take().is_lost);
        ["/a", "/b", "/c"].into_iter().for_each(|path| inbox.put(write(path)));
        assert!(inbox.take().is_lost);
        inbox.put(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(inbox.take().is_lost);
        inbox.put(Err(notify::Error::generic("x")));
        assert!(inbox.take().is_lost);
    }
}
