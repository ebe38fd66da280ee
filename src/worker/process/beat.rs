//! One slow beat for all runs: now and then everybody looks at what nobody is told of. One timer, whatever the number of runs, and it rests with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::sys::family::Table;

/// Between two beats: a stopped shim is noticed within this time.
const EVERY: Duration = Duration::from_secs(5);
/// The process table is read with the first beats of a run, when daemons are made, and then after so long …
const TABLE_EVERY: Duration = Duration::from_secs(60);
/// … or, on a machine with very many processes, so seldom that it takes no more than this part of a core.
const TABLE_SHARE: u32 = 5000;
/// So many beats count as the first.
const FIRST: u32 = 2;

/// What a beat brings: the process table, where it was read.
pub(super) type Beat = Option<Arc<Table>>;

/// Where runs feel the beat.
#[derive(Debug, Clone)]
pub(super) struct Heart {
    beats: watch::Receiver<Beat>,
    young: Arc<AtomicU32>,
}

impl Heart {
    /// Begins to beat, until the last of its clones is dropped.
    pub(super) fn start() -> Heart {
        let (sender, beats) = watch::channel(None);
        let young = Arc::new(AtomicU32::new(0));
        tokio::spawn(drive(sender, young.clone()));
        Heart { beats, young }
    }

    /// For a run that has just begun.
    pub(super) fn feel(&self) -> watch::Receiver<Beat> {
        self.young.store(FIRST, Ordering::Relaxed);
        let mut beats = self.beats.clone();
        beats.mark_unchanged();
        beats
    }
}

async fn drive(beats: watch::Sender<Beat>, young: Arc<AtomicU32>) {
    let (mut read, mut pause) = (Instant::now(), TABLE_EVERY);
    loop {
        tokio::select! {
            () = beats.closed() => return,
            () = sleep(EVERY) => {}
        }
        // The worker itself holds one and feels nothing.
        if beats.receiver_count() < 2 {
            continue;
        }
        let is_young = young.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        let mut table = None;
        if is_young || read.elapsed() >= pause {
            read = Instant::now();
            // A look that broke is as good as none.
            table = spawn_blocking(Table::read).await.ok().map(Arc::new);
            pause = (read.elapsed() * TABLE_SHARE).max(TABLE_EVERY);
        }
        beats.send_replace(table);
    }
}
