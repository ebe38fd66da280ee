//! What an engine sends of a container's output, cut into records: byte for byte, with the times that it put in front. Pure.
//!
//! A frame is `2026-01-02T03:04:05.678901234Z text`. A line of more than 16 KiB comes in several frames, each with a time in front, and only the last
//! of them ends in a newline. Of a container with a terminal a frame is a whole line, in which those times still stand.

use bollard::container::LogOutput;

use crate::logs::record::{MAX_PAYLOAD, STAMP, Stream};
use crate::logs::stamp::{self, Stamps};

/// The engine cuts a line after so many bytes: only a frame of this size may be gone on with.
const CUT: usize = 16 * 1024;
/// The longest time in front: `2026-01-02T03:04:05.678901234+02:00 `.
const LONGEST_TIME: usize = 40;
/// `2026-01-02T03:04:05.678901234Z `, which Docker always writes.
const USUAL_TIME: usize = 31;

/// One record of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Which output; that of a terminal counts as standard output.
    pub(super) stream: Stream,
    /// When the engine read it.
    pub(super) stamp: &'a [u8; STAMP],
    /// The same in microseconds since 1970.
    pub(super) time: i64,
    /// False where the line goes on.
    pub(super) full: bool,
    /// At most as much as a record holds, without the newline.
    pub(super) payload: &'a [u8],
    /// The line before it never ended, and this is another one.
    pub(super) cuts: Option<Open>,
}

/// Cuts frames; they must come in order.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    stamps: Stamps,
    /// The unfinished line of each stream.
    open: [Option<Open>; 2],
    joined: Vec<u8>,
}

/// The last frame of a line that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// Its time.
    pub(super) stamp: [u8; STAMP],
    /// The same in microseconds since 1970.
    pub(super) time: i64,
    len: usize,
}

/// The time in front of a frame, and how long it is there.
struct Front {
    stamp: [u8; STAMP],
    time: i64,
    len: usize,
}

impl Open {
    /// A line is gone on with by what the engine read in one go with it, or after a part of the size that it cuts; by anything else another one begins.
    fn goes_on(&self, time: i64) -> bool {
        self.len == 0 || self.len >= CUT || self.time == time
    }
}

impl Splitter {
    /// Cuts one frame. What has no time in front gets `now`, in microseconds since 1970.
    pub(super) fn split(&mut self, frame: &LogOutput, now: i64, each: &mut impl FnMut(Piece<'_>)) {
        let (stream, bytes, terminal) = match frame {
            LogOutput::StdOut { message } => (Stream::Stdout, message, false),
            LogOutput::StdErr { message } => (Stream::Stderr, message, false),
            LogOutput::Console { message } => (Stream::Stdout, message, true),
            LogOutput::StdIn { .. } => return,
        };
        let front = self.front(bytes).unwrap_or_else(|| Front { stamp: stamp::text(now), time: now, len: 0 });
        let Front { stamp, time, len } = front;
        let (body, ends) = match bytes[len..].strip_suffix(b"\n") {
            Some(body) if terminal => (body.strip_suffix(b"\r").unwrap_or(body), true),
            Some(body) => (body, true),
            None => (&bytes[len..], false),
        };
        let mut cuts = self.open[index(stream)].take().filter(|open| !open.goes_on(time));
        let joined = terminal && body.len() > CUT && self.join(body);
        let body = if joined { &self.joined } else { body };
        let mut each = |full, payload: &[u8]| {
            each(Piece { stream, stamp: &stamp, time, full, payload, cuts: cuts.take() });
        };
        let mut from = 0;
        while let Some(end) = memchr::memchr(b'\n', &body[from..]).map(|at| from + at) {
            pieces(&body[from..end], true, &mut each);
            from = end + 1;
        }
        if ends || from < body.len() {
            pieces(&body[from..], ends, &mut each);
        }
        self.open[index(stream)] = (!ends).then_some(Open { stamp, time, len: body.len() });
    }

    fn front(&mut self, bytes: &[u8]) -> Option<Front> {
        usual(&mut self.stamps, bytes).or_else(|| unusual(bytes))
    }

    /// Takes out the times that stand where the engine cut the line; false where there are none.
    fn join(&mut self, body: &[u8]) -> bool {
        self.joined.clear();
        let mut rest = body;
        while rest.len() > CUT {
            let (part, more) = rest.split_at(CUT);
            let Some(front) = usual(&mut self.stamps, more) else { break };
            self.joined.extend_from_slice(part);
            rest = &more[front.len..];
        }
        self.joined.extend_from_slice(rest);
        self.joined.len() < body.len()
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

/// What Docker writes: nanoseconds, of which a record keeps the microseconds.
fn usual(stamps: &mut Stamps, bytes: &[u8]) -> Option<Front> {
    let front: &[u8; USUAL_TIME] = bytes.first_chunk()?;
    let [.., a, b, c, b'Z', b' '] = front else { return None };
    if ![a, b, c].iter().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut stamp = [b'Z'; STAMP];
    stamp[..STAMP - 1].copy_from_slice(&front[..STAMP - 1]);
    let time = stamps.micros(&stamp)?;
    Some(Front { stamp, time, len: USUAL_TIME })
}

/// What others write: any fraction, any zone.
fn unusual(bytes: &[u8]) -> Option<Front> {
    let end = memchr::memchr(b' ', &bytes[..bytes.len().min(LONGEST_TIME)])?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let time = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    Some(Front { stamp: stamp::text(time), time, len: end + 1 })
}

/// As many records as a line needs.
fn pieces(mut line: &[u8], ends: bool, each: &mut impl FnMut(bool, &[u8])) {
    while line.len() > MAX_PAYLOAD {
        let (piece, rest) = line.split_at(MAX_PAYLOAD);
        each(false, piece);
        line = rest;
    }
    each(ends, line);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn cut(frames: &[LogOutput]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        for frame in frames {
            splitter.split(frame, NOW, &mut |piece| {
                let text = String::from_utf8_lossy(piece.payload);
                let text = if text.len() > 40 { format!("<{}>", text.len()) } else { text.into_owned() };
                let letter = piece.stream.byte() as char;
                assert_eq!(stamp::micros(piece.stamp), Some(piece.time));
                let cut = piece.cuts.map_or(String::new(), |open| format!(", cuts {}", open.time % 10_000_000));
                let full = if piece.full { "F" } else { "P" };
                out.push(format!("{} {letter}{full} {text}{cut}", piece.time % 10_000_000));
            });
        }
        out
    }

    fn out(text: impl Into<Vec<u8>>) -> LogOutput {
        LogOutput::StdOut { message: text.into().into() }
    }

    fn console(text: impl Into<Vec<u8>>) -> LogOutput {
        LogOutput::Console { message: text.into().into() }
    }

    fn at(seconds: u32, text: &str) -> String {
        format!("2026-01-02T03:04:0{seconds}.000001999Z {text}")
    }

    #[test]
    fn a_frame_is_a_line_with_its_time() {
        let err = LogOutput::StdErr { message: at(6, "two  \u{7}\n").into_bytes().into() };
        assert_eq!(
            cut(&[out(at(5, "one\n")), err, out(at(7, "\n"))]),
            ["5000001 oF one", "6000001 eF two  \u{7}", "7000001 oF "]
        );
    }

    #[test]
    fn times_of_other_engines() {
        let frames = ["2026-01-02T03:04:05Z a\n", "2026-01-02T05:04:05.5+02:00 b\n", "no time\n", "", "\n", "x"];
        let expected = ["5000000 oF a", "5500000 oF b", "1000000 oF no time", "1000000 oF ", "1000000 oP x"];
        assert_eq!(cut(&frames.map(out)), expected);
    }

    #[test]
    fn a_long_line_comes_in_frames() {
        let long = "x".repeat(CUT);
        let frames = [out(at(5, &long)), out(at(5, &long)), out(at(5, "end\n")), out(at(6, "next\n"))];
        assert_eq!(cut(&frames), ["5000001 oP <16384>", "5000001 oP <16384>", "5000001 oF end", "6000001 oF next"]);
        let frames = [out(at(5, &long)), out(at(6, "end\n"))];
        assert_eq!(cut(&frames), ["5000001 oP <16384>", "6000001 oF end"], "each frame may have a time of its own");
    }

    #[test]
    fn a_last_line_without_a_newline_is_not_gone_on_with() {
        let frames = [out(at(5, "dies")), out(at(6, "again\n"))];
        assert_eq!(cut(&frames), ["5000001 oP dies", "6000001 oF again, cuts 5000001"]);
        let frames = [out(at(5, "dies"))];
        assert_eq!(cut(&frames), ["5000001 oP dies"]);
    }

    #[test]
    fn a_terminal_has_its_times_within_the_line() {
        let long = "x".repeat(CUT);
        let line = format!("{}{}{}", at(5, &long), at(5, &long), at(6, "end\r\n"));
        assert_eq!(cut(&[console(line)]), ["5000001 oP <16384>", "5000001 oP <16384>", "5000001 oF end"]);
        assert_eq!(cut(&[console(at(5, "short\r\n")), console(at(6, "\n"))]), ["5000001 oF short", "6000001 oF "]);
        let line = at(5, &format!("{long}and no time in it\r\n"));
        assert_eq!(cut(&[console(line)]), ["5000001 oP <16384>", "5000001 oF and no time in it"]);
    }

    #[test]
    fn more_lines_in_one_frame() {
        assert_eq!(cut(&[out(at(5, "a\nb\n"))]), ["5000001 oF a", "5000001 oF b"]);
        assert_eq!(cut(&[out(at(5, "a\nb"))]), ["5000001 oF a", "5000001 oP b"]);
    }
}
