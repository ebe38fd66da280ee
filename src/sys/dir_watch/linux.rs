//! inotify.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::Change;

#[derive(Debug)]
pub(super) struct Watches {
    inotify: Inotify,
    dirs: HashMap<WatchDescriptor, PathBuf>,
    known: BTreeSet<PathBuf>,
}

impl Watches {
    pub(super) fn new() -> Option<Watches> {
        // Out of instances: looking often does as well.
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        Some(Watches { inotify, dirs: HashMap::new(), known: BTreeSet::new() })
    }

    pub(super) fn add(&mut self, dir: &Path) -> io::Result<bool> {
        if self.known.contains(dir) {
            return Ok(false);
        }
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        let watch = self.inotify.add_watch(dir, flags)?;
        self.dirs.insert(watch, dir.to_owned());
        self.known.insert(dir.to_owned());
        Ok(true)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.inotify.as_fd())
    }

    /// Takes what the system has told.
    pub(super) fn take(&mut self) -> io::Result<Change> {
        let mut changed = BTreeSet::new();
        let mut lost = false;
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(nix::Error::EAGAIN) => break,
                Err(nix::Error::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    lost = true;
                } else if let Some(dir) = self.dirs.get(&event.wd) {
                    changed.insert(dir.clone());
                    let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF;
                    if event.mask.intersects(gone) {
                        // Made again it is another folder.
                        self.known.remove(dir);
                        self.dirs.remove(&event.wd);
                        lost = true;
                    }
                }
            }
        }
        Ok(if lost { Change::Unknown } else { Change::Some(changed.into_iter().collect()) })
    }
}
