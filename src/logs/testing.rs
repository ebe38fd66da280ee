//! Folders of segments for tests, written record by record.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::record::{self, Stream};
use super::stamp;

/// A folder of segments that grows.
pub(crate) struct Folder {
    dir: PathBuf,
    number: u64,
    _own: Option<tempfile::TempDir>,
}

impl Folder {
    /// A folder of its own.
    pub(crate) fn new() -> Folder {
        let own = tempfile::tempdir().unwrap();
        Folder { dir: own.path().to_owned(), number: 1, _own: Some(own) }
    }

    /// A folder below `logs`.
    pub(crate) fn at(logs: &Path, name: &str) -> Folder {
        let dir = logs.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Folder { dir, number: 1, _own: None }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Folder {
        let path = self.dir.join(record::segment_name(self.number));
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
        self
    }

    pub(crate) fn record(&mut self, at: i64, stream: Stream, full: bool, payload: &[u8]) -> &mut Folder {
        let mut line = record::header(&stamp::text(at), stream, full).to_vec();
        line.extend_from_slice(payload);
        line.push(b'\n');
        self.bytes(&line)
    }

    pub(crate) fn line(&mut self, at: i64, stream: Stream, text: &str) -> &mut Folder {
        self.record(at, stream, true, text.as_bytes())
    }

    /// A mark of the one boot; `steady` in microseconds.
    pub(crate) fn mark(&mut self, at: i64, run: u64, steady: i64) -> &mut Folder {
        self.line(at, Stream::Mark, &format!("run={run} mono={} boot=7", steady * 1000))
    }

    /// The next record begins a new segment.
    pub(crate) fn rotate(&mut self) -> &mut Folder {
        self.number += 1;
        self
    }

    /// Removes all segments; the next record begins with number 1.
    pub(crate) fn wipe(&mut self) -> &mut Folder {
        for entry in std::fs::read_dir(&self.dir).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        self.number = 1;
        self
    }
}
