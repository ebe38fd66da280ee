//! Go's panics, fatal errors and stacks among the lines of a log: which lines belong together, what they say, and where in one's own code to look.
//!
//! Read are the runtime's own words (`panic:`, `fatal error:`, `SIGQUIT:`, `goroutine 1 [running]:` and what follows), the race detector's, and the stacks
//! of zap, `pkg/errors` and `debug.Stack`. A [`Group`] tells line by line what goes on; [`Trace::read`] reads lines that belong together.

mod frame;
mod group;
mod read;

pub use frame::{Frame, Ground};
pub use group::{Group, Part};
pub use read::{Goroutine, Kind, Trace};

/// Of a longer line the rest is no part of a stack.
const REACH: usize = 4096;

/// `goroutine 7 [running]:`, and `goroutine 7 gp=0x… m=nil [sleep]:`; returns its number and what it does.
pub fn goroutine(line: &[u8]) -> Option<(u64, &str)> {
    let rest = line[..line.len().min(REACH)].strip_prefix(b"goroutine ")?;
    let rest = std::str::from_utf8(rest).ok()?.trim_end().strip_suffix("]:")?;
    let (number, rest) = rest.split_once(' ')?;
    let (_, state) = rest.split_once('[')?;
    Some((number.parse().ok()?, state))
}

/// Whether the Go runtime begins with this line to say that a program ends badly, or what it did then.
pub fn is_dump(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] =
        [b"panic: ", b"fatal error: ", b"runtime: ", b"SIGQUIT: ", b"unexpected fault address", b"[signal SIG"];
    STARTS.iter().any(|start| line.starts_with(start)) || goroutine(line).is_some()
}

#[cfg(test)]
mod tests;
