//! What reaches a person when something went wrong: one sentence, its causes, and what to type next.
//!
//! Modules have their own error enums; they become an [`Error`] at the edge of `cli/` or `api/`.

use std::fmt;
use std::path::{Path, PathBuf};

/// Which kind of failure, and so which exit code (contract: 0 done, 1 tried and failed, 2 usage or configuration, 3 unreachable, 130 interrupted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was tried and failed: a service failed, a test failed. Exit code 1.
    Failed,
    /// The command line or a configuration file is wrong. Exit code 2.
    Usage,
    /// The supervisor cannot be reached, and that is the only trouble. Exit code 3.
    Unreachable,
    /// The container engine cannot be reached, and that is the only trouble. Exit code 3.
    NoEngine,
    /// The supervisor is there and does not answer: asking again does not help. Exit code 3.
    Silent,
    /// Ctrl-C. Exit code 130.
    Interrupted,
    /// A program that was run for the caller, and that has told what went wrong itself, exited with this code. So do we.
    Code(u8),
    /// The reader of our output went away, which is no error. Exit code 0.
    ClosedPipe,
}

impl Kind {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unreachable | Kind::Silent | Kind::NoEngine => 3,
            Kind::Interrupted => 130,
            Kind::Code(code) => code,
            Kind::ClosedPipe => 0,
        }
    }

    /// The word on the wire; never renamed.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Failed | Kind::Code(_) => "failed",
            Kind::Usage => "usage",
            Kind::Unreachable | Kind::Silent => "unreachable",
            Kind::NoEngine => "no-engine",
            Kind::Interrupted => "interrupted",
            Kind::ClosedPipe => "closed-pipe",
        }
    }
}

/// An error with everything a person needs to go on.
#[derive(Debug)]
pub struct Error {
    /// Picks the exit code.
    pub kind: Kind,
    /// One sentence: lower case, no final period, names in backticks.
    pub message: String,
    /// Whole further lines, printed as they are (configuration problems with their source lines).
    pub details: Vec<String>,
    /// What caused it, printed as `caused by: …`, innermost last.
    pub causes: Vec<String>,
    /// What to type next, printed as `hint: …`.
    pub hints: Vec<String>,
}

/// The result of anything a person asked for.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of `kind` with one sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), details: Vec::new(), causes: Vec::new(), hints: Vec::new() }
    }

    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Kind::Failed, message)
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// Adds a hint: a command to type, or what to change.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// Adds a cause and all that caused it in turn.
    pub fn because(mut self, source: &dyn std::error::Error) -> Error {
        self.causes.push(source.to_string());
        let mut next = source.source();
        while let Some(source) = next {
            self.causes.push(source.to_string());
            next = source.source();
        }
        self
    }

    /// Adds a line that is printed as it is.
    pub fn detail(mut self, line: impl Into<String>) -> Error {
        self.details.push(line.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An I/O error that knows what was being done to which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct PathError {
    /// A verb: `read`, `write`, `create`, `open`, `lock`, `rename`, …
    pub action: &'static str,
    /// The path it was done to.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

/// Puts the path on an I/O error where it arises.
pub trait Context<T> {
    /// Names the action and the path.
    fn context(self, action: &'static str, path: &Path) -> std::result::Result<T, PathError>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, action: &'static str, path: &Path) -> std::result::Result<T, PathError> {
        self.map_err(|source| PathError { action, path: path.to_owned(), source: source.into() })
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Error {
        let cause = error.source.to_string();
        let mut out = Error::failed(error.to_string());
        out.causes.push(cause);
        out
    }
}
