//! The stream `test` of a service's log: what `go test` said, as it said it.

use std::path::PathBuf;
use std::time::Duration;

use crate::logs::record::{MAX_PAYLOAD, Stream};
use crate::logs::writer::{Place, Writer};
use crate::sys::home::Home;
use crate::sys::lock::{self, Lock, Locked};
use crate::task::id::ServiceName;

/// Of all tests of a service so much is kept.
const KEEP: u64 = 20 * 1024 * 1024;

/// The log of one service's tests. Only one command at a time writes it.
#[derive(Debug)]
pub struct TestLog {
    writer: Writer,
    _lock: Lock,
}

impl TestLog {
    /// Opens it; `None` where another `orchestra test` writes it, or where it cannot be written: tests are run all the same.
    pub fn open(home: &Home, service: &ServiceName, run: u64) -> Option<TestLog> {
        let lock = lock::acquire(&home.shim_file(&format!("{service}.test"), ".lock"), Duration::ZERO).ok()?;
        let Locked::Ours(lock) = lock else { return None };
        let folder = PathBuf::from("logs").join(service.as_str()).join("test");
        let writer = Writer::open(Place { dot: home.dot.clone(), folder, keep: KEEP, run }).ok()?;
        Some(TestLog { writer, _lock: lock })
    }

    /// Adds text, line by line.
    pub fn say(&mut self, text: &str) {
        self.writer.tick();
        for line in text.lines() {
            let mut pieces = line.as_bytes().chunks(MAX_PAYLOAD).peekable();
            if pieces.peek().is_none() {
                self.writer.append(Stream::Stdout, true, b"");
            }
            while let Some(piece) = pieces.next() {
                self.writer.append(Stream::Stdout, pieces.peek().is_none(), piece);
            }
        }
    }

    /// Writes what was added.
    pub fn flush(&mut self) {
        self.writer.flush();
    }
}
