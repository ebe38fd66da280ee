//! The file that is written, and where records with times of their own come from.

use std::fs::File;
use std::io::{self, Write};

use super::ORIGIN;
use crate::logs::clock::Pair;
use crate::sys::fd::{mono_ns, wall_us};
use crate::sys::os;

/// The current segment.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) file: Option<File>,
    pub(super) size: u64,
    /// Bytes that may be written before the file system is asked again.
    pub(super) budget: u64,
}

/// Where records come from that carry times of their own, and can be had again: the log of a container.
#[derive(Clone, Debug)]
pub struct Origin {
    id: String,
    clock: fn() -> Pair,
}

impl Origin {
    /// `id` without spaces and short; marks carry it, so that whoever goes on knows which records came from there.
    pub fn new(id: &str) -> Origin {
        Origin::with_clock(id, now)
    }

    /// The same, by other clocks.
    pub fn with_clock(id: &str, clock: fn() -> Pair) -> Origin {
        Origin { id: id.chars().filter(char::is_ascii_graphic).take(ORIGIN).collect(), clock }
    }

    /// As marks carry it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The two clocks at this moment.
    pub fn now(&self) -> Pair {
        (self.clock)()
    }
}

impl Output {
    /// Appends bytes that are whole records; on failure only whole records stay in the file, and the error comes with their length.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let Some(file) = &mut self.file else { return Err((0, io::Error::from_raw_os_error(libc::ENOENT))) };
        let mut written = 0;
        let error = loop {
            if written == bytes.len() {
                self.size += written as u64;
                self.budget = self.budget.saturating_sub(written as u64);
                return Ok(());
            }
            match file.write(&bytes[written..]) {
                Ok(0) => break io::Error::from_raw_os_error(libc::ENOSPC),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        let whole = memchr::memrchr(b'\n', &bytes[..written]).map_or(0, |at| at + 1);
        self.size += whole as u64;
        if file.set_len(self.size).is_err() {
            // The torn record stays for now; opening the segment again completes it.
            self.file = None;
        }
        Err((whole, error))
    }
}

/// The two clocks at this moment.
pub fn now() -> Pair {
    // Nanoseconds to microseconds: always within i64.
    Pair { wall: wall_us(), steady: (mono_ns() / 1000) as i64, boot: boot() }
}

/// The beginning of what tells this start of the machine from others.
pub(super) fn boot() -> Option<u32> {
    u32::from_str_radix(os::boot_id().ok()?.get(..8)?, 16).ok()
}
