//! The segments of a writer: opened, rotated, removed, and made again where somebody removed them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::{ASK_EVERY, Writer};
use crate::logs::record::{self, MAX_PAYLOAD, SEGMENT};
use crate::sys::fd::{headroom, is_exhaustion, mono_ns};
use crate::sys::folder::{Folder, Want};

impl Writer {
    /// Makes sure that there is a segment with room, under its own name, and room on the disk.
    pub(super) fn ready_file(&mut self, more: u64) -> io::Result<()> {
        let unlinked = match &self.out.file {
            None => true,
            // Once a second is enough to notice that somebody removed the logs.
            Some(file) => mono_ns() >= self.marked_at + 1_000_000_000 && file.metadata()?.nlink() == 0,
        };
        if unlinked {
            self.reopen()?;
        }
        if self.out.size > 0 && self.out.size + more > self.segment_size() {
            self.begin_next(more)?;
        }
        if self.out.budget < more {
            self.ask_disk(more)?;
        }
        Ok(())
    }

    /// Keeps out of the last twentieth of the disk; our own oldest segments go first.
    pub(super) fn ask_disk(&mut self, more: u64) -> io::Result<()> {
        loop {
            let Some(folder) = &self.folder else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
            match headroom(folder.fd().as_fd()) {
                None => self.out.budget = ASK_EVERY.max(more),
                Some(room) if room >= more => self.out.budget = room.min(ASK_EVERY.max(more)),
                Some(_) if self.oldest < self.number => {
                    self.remove_oldest();
                    continue;
                }
                Some(_) => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            }
            return Ok(());
        }
    }

    pub(super) fn segment_size(&self) -> u64 {
        (self.place.keep / 4).clamp(64 * 1024, SEGMENT)
    }

    /// Finds the segments there are and goes on with the newest; completes a torn last record.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.out.file = None;
        let folder = Folder::beneath(&self.place.dot, &self.place.folder).or_else(|error| {
            self.make_dot(error).and_then(|()| Folder::beneath(&self.place.dot, &self.place.folder))
        })?;
        let (mut first, mut last) = (u64::MAX, 0);
        let mut total = 0;
        folder.names(|name| {
            if let Some((name, number)) = name.to_str().and_then(|n| Some((n, record::segment_number(n)?))) {
                first = first.min(number);
                last = last.max(number);
                total += folder.size(name).unwrap_or(0);
            }
        })?;
        let (file, number) = match last {
            0 => (folder.file(&record::segment_name(1), Want::New)?, 1),
            last => (folder.file(&record::segment_name(last), Want::Append)?, last),
        };
        self.out.size = file.metadata()?.len();
        self.closed = total.saturating_sub(self.out.size);
        self.oldest = first.min(number);
        self.number = number;
        if self.out.size > 0 {
            let mut end = [0];
            file.read_exact_at(&mut end, self.out.size - 1)?;
            if end != *b"\n" && self.origin.is_some() {
                self.out.size = end_of_last_line(&file, self.out.size)?;
                file.set_len(self.out.size)?;
            } else if end != *b"\n" {
                (&file).write_all(b"\n")?;
                self.out.size += 1;
            }
        }
        self.out.file = Some(file);
        self.folder = Some(folder);
        self.trim();
        self.mark()
    }

    /// Somebody removed `.orchestra` itself: it is made again.
    pub(super) fn make_dot(&self, error: io::Error) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        std::fs::DirBuilder::new().mode(0o700).create(&self.place.dot)
    }

    /// Rotates. Where there is no inode or descriptor for another segment the current one grows instead, as far as all of them together may.
    pub(super) fn begin_next(&mut self, more: u64) -> io::Result<()> {
        loop {
            match self.rotate() {
                Err(error) if is_exhaustion(&error) => {
                    if self.closed + self.out.size + more <= self.place.keep {
                        return Ok(());
                    } else if self.oldest == self.number {
                        return Err(error);
                    }
                    self.remove_oldest();
                }
                done => return done,
            }
        }
    }

    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
        let next = match folder.file(&record::segment_name(self.number + 1), Want::New) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.reopen(),
            other => other?,
        };
        self.closed += self.out.size;
        self.number += 1;
        self.out.size = 0;
        self.out.file = Some(next);
        self.trim();
        self.mark()
    }

    /// Removes the oldest segments beyond what is kept.
    pub(super) fn trim(&mut self) {
        while self.closed + self.segment_size() > self.place.keep.max(self.segment_size()) && self.oldest < self.number
        {
            self.remove_oldest();
        }
    }

    pub(super) fn remove_oldest(&mut self) {
        let name = record::segment_name(self.oldest);
        if let Some(folder) = &self.folder {
            let size = folder.size(&name).unwrap_or(0);
            // One that cannot be removed is not counted again; the next run tries once more.
            drop(folder.remove(&name));
            self.closed = self.closed.saturating_sub(size);
        }
        self.oldest += 1;
    }
}

/// Where the last line that is whole ends.
fn end_of_last_line(file: &File, len: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 2 * MAX_PAYLOAD];
    let mut to = len;
    while to > 0 {
        let from = to.saturating_sub(buffer.len() as u64);
        let part = &mut buffer[..(to - from) as usize];
        file.read_exact_at(part, from)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}
