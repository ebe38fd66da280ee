//! What can go wrong with an engine, sorted by what helps: each failure is one sentence and the next thing to do.

use std::fmt;

use crate::error::{Error, Kind};

/// What kind of failure it is, as far as that decides what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is no engine on this machine, and nothing says where another one is.
    NotInstalled,
    /// Nobody answers there.
    NotRunning,
    /// Its socket is not ours to use.
    NoPermission,
    /// It is spoken with in a way that we do not know (`ssh://`, TLS), or its address is no address.
    BadAddress,
    /// It did not answer in time.
    TimedOut,
    /// There is no such image, or none for this machine.
    ImageMissing,
    /// The registry wants to know who asks, or says no.
    Denied,
    /// The registry was asked too often.
    TooMany,
    /// The registry cannot be reached.
    NoRegistry,
    /// The engine's disk is full.
    DiskFull,
    /// A port of the host is taken.
    PortTaken,
    /// Another container, network or volume has the name, or it is in use.
    Conflict,
    /// There is no such container, volume or network.
    Gone,
    /// The engine has no addresses left for another network.
    NoAddresses,
    /// What the container shall run, or a folder it shall see, does not exist.
    BadSpec,
    /// Anything else, in the engine's own words.
    Other,
}

impl Class {
    /// The engine cannot be spoken with at all: nothing is wrong with what was asked for.
    pub fn is_unreachable(self) -> bool {
        matches!(
            self,
            Class::NotInstalled | Class::NotRunning | Class::NoPermission | Class::BadAddress | Class::TimedOut
        )
    }

    /// The same may work a moment later, without anybody changing anything here.
    pub fn is_transient(self) -> bool {
        matches!(self, Class::NotRunning | Class::TimedOut | Class::NoRegistry)
    }
}

/// A failure in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub class: Class,
    /// One sentence: lower case, no final period.
    pub message: String,
    /// What to do next; empty where there is nothing to say.
    pub hint: String,
}

impl Failure {
    /// A failure with the next step.
    pub fn new(class: Class, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { class, message: message.into(), hint: hint.into() }
    }

    /// In front of the message stands what was being done: `cannot start \`shop-postgres-1\``.
    pub fn about(self, what: impl fmt::Display) -> Failure {
        Failure { message: format!("{what}: {}", self.message), ..self }
    }
}

/// One line: the message, and what to do next.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let kind = if failure.class.is_unreachable() { Kind::NoEngine } else { Kind::Failed };
        let error = Error::new(kind, failure.message);
        if failure.hint.is_empty() { error } else { error.hint(failure.hint) }
    }
}
