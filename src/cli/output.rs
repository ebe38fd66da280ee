//! Standard output and standard error: data on the one, the rest on the other; colour only where somebody sees it.
//!
//! Every text for people passes [`safe`] last, so that whatever was forgotten elsewhere, a terminal gets text and colour and nothing else.

use std::cell::Cell;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::rc::Rc;

use serde::Serialize;

use super::args::{Color, Format};
use super::text;
use crate::api::convert;
use crate::error::{Error, Kind};
use crate::logs::clean::{Colours, clean_lines};

/// Where a command prints.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// What is printed.
    pub(super) format: Format,
    /// Colour on standard output.
    pub(super) color: bool,
    /// Colour on standard error.
    pub(super) color_err: bool,
    /// Lines may move while something goes on; not where others write to the same terminal meanwhile.
    pub(super) lively: bool,
    /// The JSON that was printed holds the error already.
    told: Rc<Cell<bool>>,
}

/// How something looks. Nothing is told by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Good.
    Green,
    /// On its way.
    Yellow,
    /// Bad.
    Red,
    /// Of no interest now.
    Dim,
    /// A heading.
    Bold,
}

impl Paint {
    /// The look of a state.
    pub(super) fn of_state(state: &str) -> Option<Paint> {
        match state {
            "ready" | "ok" | "done" | "built" => Some(Paint::Green),
            "failed" | "crashloop" | "failing" => Some(Paint::Red),
            "backoff" | "stopping" | "running" | "starting" | "building" | "queued" => Some(Paint::Yellow),
            "idle" | "stopped" => Some(Paint::Dim),
            _ => None,
        }
    }

    /// The text in this look, where colour is on.
    pub(super) fn on(self, text: &str, color: bool) -> String {
        let code = match self {
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Red => "31",
            Paint::Dim => "2",
            Paint::Bold => "1",
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Output {
    /// Decides about colour once.
    pub(super) fn new(format: Format, when: Color) -> Output {
        let wanted = |terminal: bool| match when {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let set = |key: &str| std::env::var_os(key).is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                terminal && !set("NO_COLOR") && !dumb
            }
        };
        let (color, color_err) = (wanted(io::stdout().is_terminal()), wanted(io::stderr().is_terminal()));
        Output { format, color, color_err, lively: is_lively(), told: Rc::default() }
    }

    /// The same with lines that stay where they are.
    pub(super) fn still(&self) -> Output {
        Output { lively: false, ..self.clone() }
    }

    /// The same for what is told on the way to what is printed as JSON.
    pub(super) fn for_people(&self) -> Output {
        Output { format: Format::Text, ..self.clone() }
    }

    /// What is printed as JSON tells of the error, too: it is not printed again.
    pub(super) fn has_told(&self) {
        self.told.set(true);
    }

    /// Whether programs read it.
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints data exactly: what other programs read, and what is known to be harmless.
    pub(super) fn print(&self, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        print(bytes.as_ref())
    }

    /// Prints an answer for people.
    pub(super) fn show(&self, text: &str) -> Result<(), Error> {
        print(&safe(text.as_bytes(), self.color))
    }

    /// Prints one line of JSON.
    pub(super) fn json<T: Serialize>(&self, value: &T) -> Result<(), Error> {
        let line = serde_json::to_string(value).map_err(|e| Error::failed("cannot write JSON").because(&e))?;
        self.print(text::escape_json(line) + "\n")
    }

    /// Tells a person something that is not data.
    pub(super) fn say(&self, line: &str) {
        say(&[line.as_bytes(), b"\n"].concat(), self.color_err);
    }

    /// Puts a question; the answer is typed behind it.
    pub(super) fn ask(&self, question: &str) {
        let mut out = io::stderr().lock();
        // Nobody is there to answer when standard error is gone.
        write!(out, "{question}").and_then(|()| out.flush()).unwrap_or(());
    }

    /// Tells a person what to know, with a word in front.
    pub(super) fn note(&self, word: &str, line: &str) {
        self.say(&format!("{} {}", Paint::Bold.on(&format!("{word}:"), self.color_err), text::clean(line)));
    }

    /// Tells what went wrong and what to do, and returns its kind.
    pub(super) fn failed(&self, error: &Error) -> Kind {
        if matches!(error.kind, Kind::ClosedPipe | Kind::Code(_)) || (self.is_json() && self.told.get()) {
            return error.kind;
        }
        if self.is_json() {
            // A reader that closed the pipe does not want to know.
            self.json(&serde_json::json!({ "error": convert::failure(error) })).unwrap_or(());
            return error.kind;
        }
        // Whoever typed Ctrl-C knows; only what goes on without them is worth a word.
        if error.kind == Kind::Interrupted && error.hints.is_empty() {
            return error.kind;
        }
        let word = Paint::Red.on("error:", self.color_err);
        self.say(&format!("{word} {}", text::clean(&error.message)));
        error.details.iter().for_each(|line| self.say(&format!("  {}", text::clean(line))));
        error.causes.iter().for_each(|cause| self.note("caused by", cause));
        error.hints.iter().for_each(|hint| self.note("hint", hint));
        error.kind
    }
}

/// Standard error is a terminal that can move its cursor.
fn is_lively() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The text as a terminal may get it: lines of text, colours where they are wanted, nothing else.
fn safe(text: &[u8], color: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    clean_lines(text, if color { Colours::Keep } else { Colours::Remove }, &mut out);
    out
}

fn print(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| cannot_print(&e))
}

/// Prints an answer for people without any colour.
pub(super) fn show_plain(text: &str) -> Result<(), Error> {
    print(&safe(text.as_bytes(), false))
}

/// Prints a value as indented JSON.
pub(super) fn json_pretty(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::failed("cannot write JSON").because(&e))?;
    print((text::escape_json(text) + "\n").as_bytes())
}

/// Passes on to a person's terminal what another program said.
pub(super) fn say(lines: &[u8], color: bool) {
    // Nobody is left to be told when standard error is gone.
    io::stderr().lock().write_all(&safe(lines, color)).unwrap_or(());
}

/// What the parser of the command line has to say: help and version on standard output, anything else on standard error. It repeats what was typed,
/// which a script may have put together.
pub(super) fn usage(error: &clap::Error) -> Result<(), Kind> {
    let Output { color, color_err, .. } = Output::new(Format::Text, Color::Auto);
    let text = |color: bool| if color { error.render().ansi().to_string() } else { error.render().to_string() };
    if error.use_stderr() {
        say(text(color_err).as_bytes(), color_err);
        return Err(Kind::Usage);
    }
    // A reader that closed the pipe is no error.
    print(&safe(text(color).as_bytes(), color)).unwrap_or(());
    Ok(())
}

fn cannot_print(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::BrokenPipe => Error::new(Kind::ClosedPipe, "the reader went away"),
        _ => Error::failed("cannot write to the standard output").because(error),
    }
}
