//! The segment files of one folder: which there are, how one is opened, what its first and newest marks say.
//!
//! Segments are opened without following symlinks and without waiting, so that a link or a pipe put in their place reads nothing and blocks nobody.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memchr::memmem;

use super::clock::Pair;
use super::record::{self, HEADER, STAMP, Stream};
use super::stamp;
use crate::error::{Context, PathError};

/// Enough for any mark.
const HEAD: usize = 256;
/// What every mark contains between the microseconds and the run.
const MARK: &[u8] = b"Z m F run=";

/// A mark: which run writes, and the two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run that wrote the records after it.
    pub run: u64,
    /// Both clocks; `None` where the steady one was not readable.
    pub clocks: Option<Pair>,
}

/// Reads the payload of a mark written at `wall`.
pub fn mark(wall: i64, payload: &[u8]) -> Option<Mark> {
    let text = std::str::from_utf8(payload).ok()?;
    let (mut run, mut steady, mut boot, mut wall) = (None, None, None, wall);
    for word in text.split(' ') {
        match word.split_once('=') {
            Some(("run", value)) => run = value.parse().ok(),
            Some(("mono", value)) => steady = value.parse::<u64>().ok(),
            Some(("boot", value)) => boot = u32::from_str_radix(value, 16).ok(),
            // Where the records carry times of their own, and so does the mark.
            Some(("wall", value)) => wall = value.parse().unwrap_or(wall),
            _ => {}
        }
    }
    // Nanoseconds to microseconds: always within i64.
    let clocks = steady.map(|steady| Pair { wall, steady: (steady / 1000) as i64, boot });
    Some(Mark { run: run?, clocks })
}

/// The last mark that is written in the newest of these segments of a folder.
pub fn newest_mark(dir: &Path, numbers: &[u64]) -> Result<Option<Mark>, PathError> {
    let Some(newest) = numbers.last() else { return Ok(None) };
    let Some(mut file) = open(dir, *newest)? else { return Ok(None) };
    let len = file.metadata().context("read", dir)?.len();
    mark_before(&mut file, len).context("read", dir)
}

/// The numbers of the segments of a folder, oldest first. A folder that is not there has none.
pub fn list(dir: &Path) -> Result<Vec<u64>, PathError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error).context("read", dir),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.context("read", dir)?.file_name();
        numbers.extend(name.to_str().and_then(record::segment_number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens a segment; `None` when it is not there (any more) or not a plain file.
pub fn open(dir: &Path, number: u64) -> Result<Option<File>, PathError> {
    let path = dir.join(record::segment_name(number));
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ELOOP) => {
            return Ok(None);
        }
        Err(error) => return Err(error).context("open", &path),
    };
    let plain = file.metadata().context("read", &path)?.is_file();
    Ok(plain.then_some(file))
}

/// The first record of a segment: its stamp, and what its mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it was begun.
    pub wall: i64,
    /// What its mark says, where it begins with one as it should.
    pub mark: Option<Mark>,
}

/// Reads how a segment begins. `None` when it is gone or has no whole record yet.
pub fn head(dir: &Path, number: u64) -> Result<Option<Head>, PathError> {
    let Some(mut file) = open(dir, number)? else { return Ok(None) };
    let mut buffer = [0; HEAD];
    let len = read_full(&mut file, &mut buffer).context("read", &dir.join(record::segment_name(number)))?;
    let buffer = &buffer[..len];
    let line = memchr::memchr(b'\n', buffer).map_or(buffer, |end| &buffer[..end]);
    let Some(first) = record::parse(line) else { return Ok(None) };
    let Some(wall) = stamp::micros(first.stamp) else { return Ok(None) };
    let whole = line.len() < buffer.len();
    let mark = if first.stream == Stream::Mark && whole { mark(wall, first.payload) } else { None };
    Ok(Some(Head { wall, mark }))
}

/// Finds the last mark that begins before `end` in an open segment, looking backwards.
pub fn mark_before(file: &mut File, end: u64) -> std::io::Result<Option<Mark>> {
    const STEP: u64 = 64 * 1024;
    let mut buffer = Vec::new();
    let mut to = end;
    while to > 0 {
        let from = to.saturating_sub(STEP);
        // A mark may begin in this part and end in the next.
        let len = (to - from) as usize + HEAD;
        buffer.resize(len, 0);
        file.seek(SeekFrom::Start(from))?;
        let len = read_full(file, &mut buffer)?;
        if let Some(found) = last_mark(&buffer[..len], (to - from) as usize, from == 0) {
            return Ok(Some(found));
        }
        to = from;
    }
    Ok(None)
}

/// The last mark in `bytes` whose line begins before `limit`.
fn last_mark(bytes: &[u8], limit: usize, from_start: bool) -> Option<Mark> {
    let mut until = bytes.len();
    while let Some(found) = memmem::rfind(&bytes[..until], MARK) {
        until = found;
        let Some(begin) = (found + 1).checked_sub(STAMP) else { continue };
        let at_line_start = if begin == 0 { from_start } else { bytes[begin - 1] == b'\n' };
        let line = &bytes[begin..];
        let Some(end) = memchr::memchr(b'\n', line) else { continue };
        if !at_line_start || begin >= limit {
            continue;
        }
        if let Some(wall) = stamp::micros(&line[..STAMP])
            && let Some(mark) = mark(wall, &line[HEADER..end])
        {
            return Some(mark);
        }
    }
    None
}

/// Reads until the buffer is full or the file ends.
pub fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::testing::Folder;

    #[test]
    fn lists_segments_only() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0000000010.log", "0000000002.log", "2.log", "notes"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(list(dir.path()).unwrap(), [2, 10]);
        assert_eq!(list(&dir.path().join("nowhere")).unwrap(), [0; 0]);
    }

    #[test]
    fn links_and_pipes_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("0000000001.log")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("0000000002.log"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(open(dir.path(), 1).unwrap().is_none());
        assert!(open(dir.path(), 2).unwrap().is_none());
        assert!(open(dir.path(), 3).unwrap().is_none());
    }

    #[test]
    fn finds_marks() {
        let mut folder = Folder::new();
        folder.mark(1_000_000, 7, 5);
        for n in 0..5000 {
            folder.line(1_000_000 + n, Stream::Stdout, "some Z m F run=9 text");
        }
        folder.mark(2_000_000, 8, 1_000_005);
        folder.line(2_000_000, Stream::Stdout, "more");
        let head = head(folder.dir(), 1).unwrap().unwrap();
        assert_eq!(head.wall, 1_000_000);
        assert_eq!(head.mark.unwrap().run, 7);
        let mut file = open(folder.dir(), 1).unwrap().unwrap();
        let len = file.metadata().unwrap().len();
        let newest = mark_before(&mut file, len).unwrap().unwrap();
        assert_eq!(newest, Mark { run: 8, clocks: Some(Pair { wall: 2_000_000, steady: 1_000_005, boot: Some(7) }) });
        assert_eq!(mark_before(&mut file, len - 150).unwrap().unwrap().run, 7);
        assert_eq!(mark_before(&mut file, 0).unwrap(), None);
    }
}
