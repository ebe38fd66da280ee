//! The log format on disk, the one thing the shim's writer and every reader share.
//!
//! A record is `2026-01-02T03:04:05.678901Z o F payload\n`: the time at which it was read, the stream, whole or piece, and the bytes as the service
//! wrote them, untouched (they hold no newline). A record with stream `m` is a mark: `run=17 mono=123456 boot=0c7a9f3e` says which run the following
//! records belong to, and pairs the wall clock with one that never jumps (nanoseconds since that start of the machine). A mark stands first in every segment, at the start of every run,
//! and once in every second with activity. Records of a container carry the times its engine gave them, and their marks say two more things:
//! `wall=1767323045678901`, the wall clock when the mark was written (microseconds since 1970), and `from=3f2a9c…`, the container. Segments are `0000000001.log`, `0000000002.log`, …; a finished segment never changes again.

/// Bytes before the payload.
pub const HEADER: usize = 32;
/// Bytes of the timestamp.
pub const STAMP: usize = 27;
/// The longest payload of one record; a longer line is cut into pieces marked `P`, the last of them `F`. A line that its run never ended has no `F`.
pub const MAX_PAYLOAD: usize = 16 * 1024;
/// A segment is closed once it is this large.
pub const SEGMENT: u64 = 10 * 1024 * 1024;

/// Who wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The service's standard output.
    Stdout,
    /// The service's standard error.
    Stderr,
    /// Orchestra's own words about the service.
    Orchestra,
    /// A mark; never shown.
    Mark,
}

impl Stream {
    /// The byte on disk.
    pub fn byte(self) -> u8 {
        match self {
            Stream::Stdout => b'o',
            Stream::Stderr => b'e',
            Stream::Orchestra => b's',
            Stream::Mark => b'm',
        }
    }

    /// Reads the byte on disk.
    pub fn from_byte(byte: u8) -> Option<Stream> {
        match byte {
            b'o' => Some(Stream::Stdout),
            b'e' => Some(Stream::Stderr),
            b's' => Some(Stream::Orchestra),
            b'm' => Some(Stream::Mark),
            _ => None,
        }
    }
}

/// One record, borrowed from a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// `2026-01-02T03:04:05.678901Z`; sorts as text.
    pub stamp: &'a [u8],
    /// Who wrote it.
    pub stream: Stream,
    /// False for a piece of a longer line (`P`): the next record of the same stream goes on with it.
    pub full: bool,
    /// What was written.
    pub payload: &'a [u8],
}

/// Reads one line of a segment, without its newline. `None` when it is not a record (a torn write after a crash of the machine).
pub fn parse(line: &[u8]) -> Option<Record<'_>> {
    if line.len() < HEADER || line[STAMP] != b' ' || line[STAMP + 2] != b' ' || line[STAMP + 4] != b' ' {
        return None;
    }
    let full = match line[STAMP + 3] {
        b'F' => true,
        b'P' => false,
        _ => return None,
    };
    let stream = Stream::from_byte(line[STAMP + 1])?;
    Some(Record { stamp: &line[..STAMP], stream, full, payload: &line[HEADER..] })
}

/// Writes the 32 bytes before a payload.
pub fn header(stamp: &[u8; STAMP], stream: Stream, full: bool) -> [u8; HEADER] {
    let mut out = [b' '; HEADER];
    out[..STAMP].copy_from_slice(stamp);
    out[STAMP + 1] = stream.byte();
    out[STAMP + 3] = if full { b'F' } else { b'P' };
    out
}

/// The name of a segment file.
pub fn segment_name(number: u64) -> String {
    format!("{number:010}.log")
}

/// Reads the name of a segment file.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() == 10 { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let head = header(b"2026-01-02T03:04:05.678901Z", Stream::Stderr, false);
        let mut line = head.to_vec();
        line.extend_from_slice(b"\xff payload");
        let record = parse(&line).unwrap();
        assert_eq!(record.stamp, b"2026-01-02T03:04:05.678901Z");
        assert_eq!((record.stream, record.full, record.payload), (Stream::Stderr, false, &b"\xff payload"[..]));
    }

    #[test]
    fn nonsense_is_no_record() {
        for line in [
            &b""[..],
            b"short",
            &[b'x'; 40],
            b"2026-01-02T03:04:05.678901Z q F x",
            b"2026-01-02T03:04:05.678901Z o X x",
        ] {
            assert_eq!(parse(line), None);
        }
    }

    #[test]
    fn segments_have_numbers() {
        assert_eq!(segment_number(&segment_name(42)), Some(42));
        assert_eq!(segment_number("42.log"), None);
    }
}
