//! The segment files the index reads from: opened when they are needed, at most so many at a time, and known again by their inodes.
//!
//! A segment that was removed while it is open stays readable as long as its descriptor is kept; how much of that is kept is bounded in `source`,
//! because it is room on the disk that nobody else can see.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Context, PathError};
use crate::logs::record;
use crate::logs::segments;

/// So many segments are open at a time; a fleet of ten services has fewer.
const OPEN: usize = 160;

/// One segment file of a source.
#[derive(Debug)]
pub(super) struct Segment {
    /// Counts the segments of the source in the order in which they were written.
    pub(super) seq: u32,
    /// The number in its name.
    pub(super) number: u64,
    dir: Arc<Path>,
    inode: (u64, u64),
    file: Mutex<Option<Arc<File>>>,
    removed: AtomicBool,
}

impl Segment {
    /// Opens a segment; `None` when it is not there.
    pub(super) fn open(dir: &Arc<Path>, number: u64, seq: u32, pool: &Pool) -> Result<Option<Arc<Segment>>, PathError> {
        let Some(file) = segments::open(dir, number)? else { return Ok(None) };
        let inode = inode(&file).context("read", dir)?;
        let segment = Arc::new(Segment {
            seq,
            number,
            dir: Arc::clone(dir),
            inode,
            file: Mutex::new(Some(Arc::new(file))),
            removed: AtomicBool::new(false),
        });
        pool.opened(&segment);
        Ok(Some(segment))
    }

    /// The open file; opens it again where it was closed. An error of kind `NotFound` when it is gone.
    pub(super) fn file(self: &Arc<Self>, pool: &Pool) -> io::Result<Arc<File>> {
        if let Some(file) = &*self.slot() {
            return Ok(Arc::clone(file));
        }
        let gone = || io::Error::from(ErrorKind::NotFound);
        let file = segments::open(&self.dir, self.number).map_err(|error| error.source)?.ok_or_else(gone)?;
        if inode(&file)? != self.inode {
            return Err(gone());
        }
        let file = Arc::new(file);
        *self.slot() = Some(Arc::clone(&file));
        pool.opened(self);
        Ok(file)
    }

    /// Reads at `offset` until the buffer is full or the file ends.
    pub(super) fn read_at(self: &Arc<Self>, pool: &Pool, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = self.file(pool)?;
        let mut len = 0;
        while len < buffer.len() {
            match file.read_at(&mut buffer[len..], offset + len as u64) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(len)
    }

    /// How long it is by now.
    pub(super) fn len(self: &Arc<Self>, pool: &Pool) -> io::Result<u64> {
        Ok(self.file(pool)?.metadata()?.len())
    }

    /// Whether the file under its name is still this one.
    pub(super) fn is_linked(&self) -> bool {
        let path = self.dir.join(record::segment_name(self.number));
        path.symlink_metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode)
    }

    /// It has no name any more: its descriptor is not closed for others.
    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Whether it can be read without its name.
    pub(super) fn is_open(&self) -> bool {
        self.slot().is_some()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<File>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn inode(file: &File) -> io::Result<(u64, u64)> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

/// Which segments are open, the longest first.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<VecDeque<Weak<Segment>>>);

impl Pool {
    /// Takes note of one, and closes others where there are too many.
    fn opened(&self, segment: &Arc<Segment>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back(Arc::downgrade(segment));
        for _ in 0..open.len() {
            if open.len() <= OPEN {
                break;
            }
            let Some(first) = open.pop_front() else { break };
            let Some(first) = first.upgrade() else { continue };
            if first.is_removed() {
                open.push_back(Arc::downgrade(&first));
            } else {
                *first.slot() = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record::Stream;
    use crate::logs::testing::Folder;

    #[test]
    fn closed_segments_open_again_and_others_under_their_names_do_not() {
        let mut folder = Folder::new();
        let pool = Pool::default();
        let dir: Arc<Path> = folder.dir().into();
        let mut segments = Vec::new();
        for n in 0..OPEN as u64 + 5 {
            folder.line(n as i64, Stream::Stdout, &n.to_string()).rotate();
            segments.push(Segment::open(&dir, n + 1, n as u32, &pool).unwrap().unwrap());
        }
        assert_eq!(segments.iter().filter(|segment| segment.is_open()).count(), OPEN);
        let mut byte = [0];
        assert_eq!(segments[3].read_at(&pool, 32, &mut byte).unwrap(), 1);
        assert_eq!((&byte, segments[3].is_linked()), (b"3", true));
        // Kept besides, so that the inode is not used again.
        std::fs::rename(dir.join(record::segment_name(2)), dir.join("kept")).unwrap();
        std::fs::write(dir.join(record::segment_name(2)), "other").unwrap();
        assert!(!segments[1].is_linked() && !segments[1].is_open());
        assert_eq!(segments[1].read_at(&pool, 0, &mut byte).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(Segment::open(&dir, 9999, 0, &pool).unwrap().is_none());
    }
}
