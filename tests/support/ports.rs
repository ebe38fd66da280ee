//! Ports for tests that run side by side, in this and in other processes: blocks handed out by a counter under a lock, each port tried first.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::net::{TcpListener, UdpSocket};

const FIRST: u16 = 12_000;
const LAST: u16 = 19_999;
/// Ports in one block.
pub(crate) const BLOCK: u16 = 16;

/// The first of [`BLOCK`] ports below the kernel's ephemeral range that nobody else was given lately and nobody listens on.
pub(crate) fn block() -> u16 {
    let mut counter = counter();
    let mut text = String::new();
    counter.read_to_string(&mut text).unwrap();
    let mut next = text.trim().parse().unwrap_or(FIRST);
    for _ in 0..=(LAST - FIRST) / BLOCK {
        if !(FIRST..=LAST - BLOCK).contains(&next) {
            next = FIRST;
        }
        let begin = next;
        next += BLOCK;
        if (begin..next).all(free) {
            counter.set_len(0).unwrap();
            counter.rewind().unwrap();
            write!(counter, "{next}").unwrap();
            return begin;
        }
    }
    panic!("no {BLOCK} free ports in a row between {FIRST} and {LAST}");
}

/// The counter's file, locked until it is closed.
fn counter() -> File {
    let path = std::env::temp_dir().join(format!("orchestra-test-ports-{}", nix::unistd::getuid()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    file.lock().unwrap();
    file
}

fn free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
}
