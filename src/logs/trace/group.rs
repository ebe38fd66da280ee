//! Which lines of one service and stream belong together, told line by line.

use super::frame::{function, location};
use super::{REACH, goroutine};

/// What a line is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It stands for itself.
    Alone,
    /// A panic or a stack begins.
    Begins,
    /// It belongs to the line before.
    Continues,
}

/// Follows the lines of one service and stream; another copy of a service, or its other stream, has a group of its own.
#[derive(Clone, Debug, Default)]
pub struct Group {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In no stack.
    #[default]
    Outside,
    /// `panic: …` was said; the stack is still to come.
    Said,
    /// Among frames.
    Stack,
    /// After the blank line behind frames: another goroutine, or the end.
    Between,
    /// Among the race detector's words, which end with a rule.
    Race,
}

/// What begins and ends the race detector's words.
const RULE: &[u8] = b"==================";

impl Group {
    /// Takes the next line; `next` is the one behind it, where it is known: it tells a stack of zap from any words.
    pub fn take(&mut self, line: &[u8], next: Option<&[u8]>) -> Part {
        let (part, state) = self.judge(head(line), next.map(head));
        self.state = state;
        part
    }

    fn judge(&self, line: &[u8], next: Option<&[u8]>) -> (Part, State) {
        let inside = self.state != State::Outside;
        let goes_on = if inside { Part::Continues } else { Part::Begins };
        if line == RULE {
            let begins = next.is_some_and(is_race);
            return match self.state {
                State::Race => (Part::Continues, State::Outside),
                _ if begins => (Part::Begins, State::Race),
                _ => (Part::Alone, State::Outside),
            };
        }
        if self.state == State::Race {
            return (Part::Continues, State::Race);
        }
        if is_race(line) {
            return (Part::Begins, State::Race);
        }
        if goroutine(line).is_some() || line.starts_with(b"runtime stack:") {
            return (goes_on, State::Stack);
        }
        if is_beginning(line) {
            // What the runtime adds before its last words is one with them.
            let said = if self.state == State::Said { Part::Continues } else { Part::Begins };
            return (said, State::Said);
        }
        let text = std::str::from_utf8(line).unwrap_or_default();
        match self.state {
            State::Outside if line.starts_with(b"\t") => (Part::Continues, State::Outside),
            State::Outside if is_bare(text, next) => (Part::Continues, State::Stack),
            State::Outside => (Part::Alone, State::Outside),
            State::Said if line.is_empty() || is_aside(text) => (Part::Continues, State::Said),
            // The runtime's own words before a stack: `stack: frame={…}`, a line of a panic's message.
            State::Said if next.is_some_and(|next| next.is_empty() || goroutine(next).is_some()) => {
                (Part::Continues, State::Said)
            }
            State::Between if is_bare(text, next) => (Part::Continues, State::Stack),
            State::Said | State::Stack | State::Between if is_exit(text) => (Part::Continues, State::Outside),
            State::Stack | State::Between if is_aside(text) => (Part::Continues, State::Stack),
            State::Stack if line.is_empty() => (Part::Continues, State::Between),
            State::Stack if is_frame(text, next) => (Part::Continues, State::Stack),
            State::Said | State::Stack | State::Between | State::Race => (Part::Alone, State::Outside),
        }
    }
}

fn head(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    &line[..line.len().min(REACH)]
}

fn is_race(line: &[u8]) -> bool {
    line.starts_with(b"WARNING: DATA RACE")
}

fn is_beginning(line: &[u8]) -> bool {
    super::is_dump(line) || memchr::memmem::find(line, b"http: panic serving ").is_some()
}

/// `main.f(0x1)`, and `main.f` where a place follows.
fn is_frame(text: &str, next: Option<&[u8]>) -> bool {
    let Some(name) = function(text) else { return false };
    let called = text.ends_with(')') || text.starts_with("created by ");
    called || next.is_none_or(is_place) && name.contains('.')
}

/// A line that begins a stack without any word before it: only what follows tells.
fn is_bare(text: &str, next: Option<&[u8]>) -> bool {
    function(text).is_some() && next.is_some_and(is_place)
}

fn is_place(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| location(text).is_some())
}

/// What stands among the words of a panic: indented lines, signals, registers, frames that were left out.
fn is_aside(text: &str) -> bool {
    text.starts_with('\t')
        || text.starts_with("[signal ")
        || text.starts_with("[recovered")
        || text.starts_with("...")
        || text.starts_with("stack: frame={")
        || text.starts_with("PC=0x")
        || text.starts_with("signal arrived during ")
        || is_register(text)
}

/// `rax    0x0`
fn is_register(text: &str) -> bool {
    let Some((name, value)) = text.split_once(' ') else { return false };
    (2..=6).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && value.trim_start().strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `exit status 2`, as `go run` says it.
fn is_exit(text: &str) -> bool {
    text.strip_prefix("exit status ").is_some_and(|code| code.parse::<i32>().is_ok())
}
