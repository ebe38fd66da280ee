//! Reads the terminal. It reads only what is there already, so it never holds anything up, takes nothing from the program that has the terminal next, and
//! ends when the terminal is gone. crossterm's reader does neither: a terminal that hangs up makes it spin, and half a sequence makes it wait in a read.

use std::collections::VecDeque;
use std::io::{self, stdin};
use std::os::fd::{AsFd, OwnedFd};

use crossterm::event::Event;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::bytes::{Bytes, Input};
use crate::sys::fd;
use crate::sys::terminal::watched;

/// The terminal's input.
#[derive(Debug)]
pub struct Keyboard {
    terminal: AsyncFd<OwnedFd>,
    resized: Signal,
    bytes: Bytes,
    /// Until when what is unfinished is waited for.
    until: Option<Instant>,
    ready: VecDeque<Input>,
}

/// What is there to read.
enum There {
    Nothing,
    Some,
    /// There is no terminal any more.
    Gone,
}

impl Keyboard {
    /// Of the terminal that standard input is.
    pub fn new() -> io::Result<Keyboard> {
        let terminal = watched(stdin())?;
        let resized = signal(SignalKind::window_change())?;
        Ok(Keyboard { terminal, resized, bytes: Bytes::default(), until: None, ready: VecDeque::new() })
    }

    /// The next input; `None` once the terminal is gone. Nothing is lost where this is dropped before it is done.
    pub async fn next(&mut self) -> Option<io::Result<Input>> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Some(Ok(input));
            }
            let late = sleep_until(self.until.unwrap_or_else(Instant::now));
            tokio::select! {
                // What came in time is read before it is given up.
                biased;
                guard = self.terminal.readable() => {
                    let mut guard = match guard {
                        Ok(guard) => guard,
                        Err(error) => return Some(Err(error)),
                    };
                    match there(guard.get_inner()) {
                        Ok(There::Some) => {}
                        Ok(There::Gone) => return None,
                        Ok(There::Nothing) => {
                            guard.clear_ready();
                            continue;
                        }
                        Err(error) => return Some(Err(error)),
                    }
                    match self.read() {
                        Ok(0) => return None,
                        Ok(_) => {}
                        Err(error) => return Some(Err(error)),
                    }
                }
                Some(()) = self.resized.recv() => match crossterm::terminal::size() {
                    Ok((columns, rows)) => return Some(Ok(Input::Event(Event::Resize(columns, rows)))),
                    Err(error) => return Some(Err(error)),
                },
                () = late, if self.until.is_some() => {
                    self.until = None;
                    self.ready.extend(self.bytes.flush());
                }
            }
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let n = fd::read(self.terminal.get_ref().as_fd(), &mut buffer)?;
        self.ready.extend(self.bytes.feed(&buffer[..n]));
        self.until = self.bytes.patience().map(|patience| Instant::now() + patience);
        Ok(n)
    }
}

/// Asked before each read: the terminal is shared with the shell that started us, so it cannot be made one that never blocks.
fn there(terminal: &OwnedFd) -> io::Result<There> {
    let mut asked = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    while let Err(error) = poll(&mut asked, PollTimeout::ZERO) {
        if error != Errno::EINTR {
            return Err(error.into());
        }
    }
    let said = asked[0].revents().unwrap_or(PollFlags::empty());
    Ok(match said {
        _ if said.contains(PollFlags::POLLIN) => There::Some,
        _ if said.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) => There::Gone,
        _ => There::Nothing,
    })
}
