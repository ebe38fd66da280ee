//! The control protocol: lines of words in both directions, versioned by the first. Codes are never renamed.

use std::fmt;

use crate::task::spec::Limits;

/// What a shim is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `hello 1 supervisor`: while such a connection lasts, the supervisor lives.
    Supervisor,
    /// `status`
    Status,
    /// `stop 15 10000`: this signal now, SIGKILL after so many milliseconds.
    Stop {
        /// The signal.
        signal: i32,
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// `kill`
    Kill,
    /// `signal 3`: this signal to the group, nothing more.
    Signal(i32),
}

impl Order {
    /// Reads one line without its newline.
    pub fn parse(line: &str) -> Option<Order> {
        let mut words = line.split(' ');
        let order = match words.next()? {
            "hello" => match (words.next()?, words.next()?) {
                ("1", "supervisor") => Order::Supervisor,
                _ => return None,
            },
            "status" => Order::Status,
            "stop" => Order::Stop { signal: signal(words.next()?)?, grace_ms: words.next()?.parse().ok()? },
            "kill" => Order::Kill,
            "signal" => Order::Signal(signal(words.next()?)?),
            _ => return None,
        };
        if words.next().is_none() { Some(order) } else { None }
    }
}

/// A signal that may be sent: 0 and negative numbers would mean something else to kill(2).
fn signal(word: &str) -> Option<i32> {
    word.parse().ok().filter(|n| (1..crate::sys::os::SIGNALS).contains(n))
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Supervisor => write!(f, "hello 1 supervisor"),
            Order::Status => write!(f, "status"),
            Order::Stop { signal, grace_ms } => write!(f, "stop {signal} {grace_ms}"),
            Order::Kill => write!(f, "kill"),
            Order::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a shim tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `hello 1 UUID RUN SHIM-PID`, first on every accepted connection.
    Hello {
        /// The protocol it speaks.
        protocol: u32,
        /// Of the run.
        uuid: String,
        /// The number of the run.
        run: u64,
        /// The shim's own pid.
        shim: u32,
    },
    /// `started PID`
    Started(u32),
    /// `ready`: the service said so by sd_notify.
    Ready,
    /// `stopping`
    Stopping,
    /// `status DROPPED`: the answer to `status`; so many lines were dropped and not yet confessed.
    Status(u64),
    /// `escaped N`: so many descendants have left the group.
    Escaped(u32),
    /// `unkillable`: SIGKILL was seconds ago, and the group is not empty.
    Unkillable,
    /// `limits MEMORY CPU [WORDS]`, `-` where there is none: bytes and cores it is held to; words say why it is not.
    Limits(Limits),
    /// `exited CODE SIGNAL OOM KILLED`, `-` where there is none; the group is empty and the log complete. Older shims leave out the last word.
    Exited {
        /// The exit code.
        code: Option<i32>,
        /// The signal.
        signal: Option<i32>,
        /// The kernel's out-of-memory killer.
        oom: bool,
        /// It was asked to end, and it or a part of it did not until SIGKILL came.
        killed: bool,
    },
    /// `failed transient|final WORDS`: it was never started.
    Failed {
        /// Trying again may help.
        transient: bool,
        /// One sentence.
        message: String,
    },
    /// `error WORDS`: an order that was not understood.
    Error(String),
}

impl Event {
    /// Reads one line without its newline.
    pub fn parse(line: &str) -> Option<Event> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        Some(match word {
            "hello" => Event::Hello {
                protocol: words.next()?.parse().ok()?,
                uuid: words.next()?.to_owned(),
                run: words.next()?.parse().ok()?,
                shim: words.next()?.parse().ok()?,
            },
            "started" => Event::Started(rest.parse().ok()?),
            "ready" => Event::Ready,
            "stopping" => Event::Stopping,
            "status" => Event::Status(rest.parse().ok()?),
            "escaped" => Event::Escaped(rest.parse().ok()?),
            "unkillable" => Event::Unkillable,
            "limits" => limits(rest)?,
            "exited" => {
                let mut number = || words.next().map(|word| word.parse().ok());
                let (code, signal) = (number()?, number()?);
                Event::Exited { code, signal, oom: words.next()? == "1", killed: words.next() == Some("1") }
            }
            "failed" => {
                let (kind, message) = rest.split_once(' ')?;
                Event::Failed { transient: kind == "transient", message: message.to_owned() }
            }
            "error" => Event::Error(rest.to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Hello { protocol, uuid, run, shim } => write!(f, "hello {protocol} {uuid} {run} {shim}"),
            Event::Started(pid) => write!(f, "started {pid}"),
            Event::Ready => write!(f, "ready"),
            Event::Stopping => write!(f, "stopping"),
            Event::Status(dropped) => write!(f, "status {dropped}"),
            Event::Escaped(n) => write!(f, "escaped {n}"),
            Event::Unkillable => write!(f, "unkillable"),
            Event::Limits(Limits { memory, cpu, unenforced }) => {
                write!(f, "limits {} {}", Number(*memory), Number(*cpu))?;
                unenforced.as_ref().map_or(Ok(()), |words| write!(f, " {words}"))
            }
            Event::Exited { code, signal, oom, killed } => {
                let (code, signal) = (Number(*code), Number(*signal));
                write!(f, "exited {code} {signal} {} {}", u8::from(*oom), u8::from(*killed))
            }
            Event::Failed { transient, message } => {
                write!(f, "failed {} {message}", if *transient { "transient" } else { "final" })
            }
            Event::Error(words) => write!(f, "error {words}"),
        }
    }
}

fn limits(rest: &str) -> Option<Event> {
    let mut words = rest.splitn(3, ' ');
    let (memory, cpu) = (words.next()?, words.next()?);
    let memory = if memory == "-" { None } else { Some(memory.parse().ok()?) };
    let cpu = if cpu == "-" { None } else { Some(cpu.parse().ok()?) };
    Some(Event::Limits(Limits { memory, cpu, unenforced: words.next().map(ToOwned::to_owned) }))
}

struct Number<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Number<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(n) => write!(f, "{n}"),
            None => write!(f, "-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_lines() {
        let orders = ["hello 1 supervisor", "status", "stop 15 10000", "kill", "signal 3"];
        for line in orders {
            assert_eq!(Order::parse(line).unwrap().to_string(), line);
        }
        let events = [
            "hello 1 6d1f 17 71",
            "started 812",
            "ready",
            "stopping",
            "status 0",
            "escaped 2",
            "unkillable",
            "limits 33554432 0.5",
            "limits - 2 cannot make a group in `/x`: permission denied",
            "exited 2 - 0 0",
            "exited - 9 1 1",
            "failed final permission denied: `/bin/x`",
            "error what",
        ];
        for line in events {
            assert_eq!(Event::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn an_older_shim_says_less() {
        let end = Event::Exited { code: Some(2), signal: None, oom: false, killed: false };
        assert_eq!(Event::parse("exited 2 - 0"), Some(end));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["", "stop", "stop -1 5", "stop 0 5", "signal 99", "kill now", "hello 2 supervisor", "status x"] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
    }
}
