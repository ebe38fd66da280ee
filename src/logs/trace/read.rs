//! What the lines of a panic or a stack say.

use super::frame::{Frame, Ground, frames, function, location};
use super::{REACH, goroutine};

/// Nobody looks at more frames.
const MOST: usize = 256;
/// Nobody reads a longer message.
const MESSAGE: usize = 4096;

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `panic: …`
    Panic,
    /// `fatal error: …`: the runtime gave up, no `recover` can help.
    Fatal,
    /// `SIGQUIT: …` and the like: somebody asked for the stacks.
    Signal,
    /// Two goroutines at the same memory.
    Race,
    /// A stack that was printed, by a logger or by `debug.PrintStack`.
    #[default]
    Stack,
}

/// A goroutine as a stack names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goroutine {
    /// Its number.
    pub number: u64,
    /// `running`, `chan receive, 2 minutes`
    pub state: String,
}

/// What lines that belong together say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// What happened.
    pub kind: Kind,
    /// What was said of it: `assignment to entry in nil map`; of several lines with newlines.
    pub message: String,
    /// Panics while this one was handled, in order.
    pub later: Vec<String>,
    /// `SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a2149`
    pub signal: Option<String>,
    /// Whose stack it is.
    pub goroutine: Option<Goroutine>,
    /// Its frames, the innermost first.
    pub frames: Vec<Frame>,
    /// What started the goroutine.
    pub created: Option<Frame>,
    /// Stacks of others behind it.
    pub n_others: usize,
    /// The code `go run` told.
    pub exit: Option<i32>,
}

impl Trace {
    /// Reads lines that belong together.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Trace {
        let mut reader = Reader::default();
        for line in lines {
            let text = String::from_utf8_lossy(&line[..line.len().min(REACH)]);
            reader.line(text.trim_end_matches('\r'));
        }
        reader.trace
    }

    /// Reads a stack in one text: zap's `stacktrace`, `errorVerbose` of `pkg/errors`.
    pub fn of_text(text: &str) -> Trace {
        let first = text.lines().next().unwrap_or_default();
        if super::is_dump(first.as_bytes()) {
            return Trace::read(text.lines().map(str::as_bytes));
        }
        let message: Vec<&str> = text.lines().take_while(|line| function(line).is_none()).collect();
        Trace { message: message.join("\n"), frames: frames(text.lines(), MOST), ..Trace::default() }
    }

    /// The first frame in code of one's own: where to look.
    pub fn target(&self, ground: &Ground) -> Option<&Frame> {
        self.frames.iter().chain(&self.created).find(|frame| ground.is_ours(frame))
    }

    /// Equal for panics with the same cause at the same place, whatever the numbers in their words.
    pub fn key(&self, ground: &Ground) -> String {
        let place = self.target(ground).or(self.frames.first());
        let place = place.map_or_else(String::new, |frame| format!("{} {}:{}", frame.function, frame.file, frame.line));
        format!("{:?}\n{}\n{place}", self.kind, without_numbers(&self.message))
    }
}

/// `index out of range [5] with length 1` → `index out of range [#] with length #`
fn without_numbers(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut word = String::new();
    for c in message.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        let is_address = word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
        out.push_str(if is_number || is_address { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    out.truncate(out.len() - 1);
    out
}

/// Takes lines in.
#[derive(Debug, Default)]
struct Reader {
    trace: Trace,
    /// Stacks begun.
    n_stacks: usize,
    /// A function whose place comes next, and whether it only started the goroutine.
    last: Option<(String, bool)>,
    /// Lines may still belong to the message.
    saying: bool,
    /// The frames are the runtime's own, before those of the goroutine.
    inner: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if line.starts_with("runtime stack:") {
            (self.inner, self.saying) = (true, false);
        } else if let Some((number, state)) = goroutine(line.as_bytes()) {
            self.inner = false;
            self.stack(Some(Goroutine { number, state: state.to_owned() }));
        } else if let Some((file, number, offset)) = location(line) {
            self.place(file, number, offset);
        } else if !self.said(line) {
            self.last = function(line).map(|name| (name.to_owned(), line.trim_start().starts_with("created by ")));
        }
    }

    fn stack(&mut self, goroutine: Option<Goroutine>) {
        self.n_stacks += 1;
        self.saying = false;
        self.last = None;
        if self.n_stacks == 1 {
            self.trace.goroutine = goroutine;
        } else {
            self.trace.n_others += 1;
        }
    }

    fn place(&mut self, file: &str, line: u32, offset: Option<u64>) {
        self.saying = false;
        let Some((function, created)) = self.last.take() else { return };
        if self.n_stacks > 1 || self.inner {
            return;
        }
        let frame = Frame { function, file: file.to_owned(), line, offset };
        if created {
            self.trace.created = Some(frame);
        } else if self.trace.frames.len() < MOST {
            self.trace.frames.push(frame);
        }
    }

    /// Whether the line is words and no frame.
    fn said(&mut self, line: &str) -> bool {
        let starts: [(&str, Kind); 5] = [
            ("panic: ", Kind::Panic),
            ("fatal error: ", Kind::Fatal),
            ("SIGQUIT: ", Kind::Signal),
            ("unexpected fault address", Kind::Fatal),
            ("WARNING: DATA RACE", Kind::Race),
        ];
        if let Some((start, kind)) = starts.iter().find(|(start, _)| line.starts_with(start)) {
            let bare = !start.ends_with(' ');
            self.begin(*kind, if bare { line } else { &line[start.len()..] });
            return true;
        }
        if let Some((_, words)) = line.split_once("http: panic serving ") {
            self.begin(Kind::Panic, words.split_once(": ").map_or(words, |(_, message)| message));
            return true;
        }
        if let Some(signal) = line.strip_prefix("[signal ") {
            self.saying = false;
            self.trace.signal = Some(signal.trim_end_matches(']').to_owned());
            return true;
        }
        if let Some(again) = line.strip_prefix("\tpanic: ") {
            self.trace.later.push(without_marks(again).to_owned());
            return true;
        }
        if let Some(code) = line.strip_prefix("exit status ") {
            self.trace.exit = code.trim().parse().ok();
            return self.trace.exit.is_some();
        }
        if self.trace.kind == Kind::Race && (line.contains(" by ") || line.starts_with("Goroutine ")) {
            self.stack(None);
            return true;
        }
        self.more(line)
    }

    fn begin(&mut self, kind: Kind, message: &str) {
        if self.n_stacks > 0 {
            return;
        }
        self.trace.kind = kind;
        self.trace.message = without_marks(message).to_owned();
        self.saying = true;
    }

    /// The rest of a message of several lines, which the runtime indents.
    fn more(&mut self, line: &str) -> bool {
        if line.is_empty() {
            self.saying = false;
        }
        if !self.saying || self.trace.kind == Kind::Race || self.trace.message.len() > MESSAGE {
            return false;
        }
        self.trace.message.push('\n');
        self.trace.message.push_str(without_marks(line.strip_prefix('\t').unwrap_or(line)));
        true
    }
}

/// Without `[recovered]` and its like.
fn without_marks(message: &str) -> &str {
    const MARKS: [&str; 3] = [" [recovered]", " [recovered, repanicked]", " [recovered, reraised]"];
    MARKS.iter().find_map(|mark| message.strip_suffix(mark)).unwrap_or(message)
}
