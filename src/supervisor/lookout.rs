//! Begins to watch with the first thing there is to watch: a fleet without rerun costs no thread and no watch of the system.

use std::io;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::actor::watching::Tell;
use crate::rerun::watch::{News, Watched, Watcher};

/// Nobody watches yet, or somebody does.
pub(super) enum Lookout {
    /// What it will need.
    Idle {
        /// Paths in what it says are relative to this.
        project: PathBuf,
        /// Where it says it.
        news: mpsc::Sender<News>,
    },
    /// It watches.
    Watching(Watcher),
    /// It could not begin.
    Gone,
}

impl Tell for Lookout {
    fn tell(&mut self, watched: Watched) -> io::Result<()> {
        if let Lookout::Idle { .. } = self
            && watched.services.is_empty()
        {
            return Ok(());
        }
        *self = match std::mem::replace(self, Lookout::Gone) {
            Lookout::Idle { project, news } => Lookout::Watching(Watcher::spawn(&project, news)?),
            begun => begun,
        };
        match self {
            Lookout::Watching(watcher) => watcher.tell(watched),
            Lookout::Idle { .. } | Lookout::Gone => Ok(()),
        }
    }
}
