//! The shim's side of the control connections: one inherited from the supervisor, further ones accepted on a socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wire::{Event, Order};
use crate::sys::fd::{is_exhaustion, mono_ns};
use crate::sys::os;

/// So many connections at a time; a further one is closed at once.
pub(super) const CONNECTIONS: usize = 8;

/// The longest message: a description with names as long as a folder's may be.
const LONGEST: usize = 1024;

/// Of a connection whose other end is closed.
const GONE: PollFlags = PollFlags::POLLHUP.union(PollFlags::POLLERR);
/// Between two looks whether our last words were read, milliseconds.
const LEAST_PAUSE_MS: u8 = 1;
const MOST_PAUSE_MS: u8 = 16;
/// So long a killed process may take to close its sockets.
const DYING: u64 = 10_000_000_000;

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    line: [u8; 128],
    len: usize,
    supervisor: bool,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    connections: [Option<Connection>; CONNECTIONS],
}

impl Control {
    /// `first` is the one inherited from the supervisor.
    pub(super) fn new(first: UnixStream, listener: UnixListener) -> io::Result<Control> {
        listener.set_nonblocking(true)?;
        let mut control = Control { listener, connections: Default::default() };
        control.add(first, true)?;
        Ok(control)
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    pub(super) fn connection(&self, at: usize) -> Option<BorrowedFd<'_>> {
        self.connections.get(at)?.as_ref().map(|c| c.stream.as_fd())
    }

    /// Whether it is a supervisor that speaks on this connection.
    pub(super) fn is_supervisor(&self, at: usize) -> bool {
        self.connections.get(at).is_some_and(|c| c.as_ref().is_some_and(|c| c.supervisor))
    }

    /// Whether a supervisor is connected.
    pub(super) fn has_supervisor(&self) -> bool {
        self.connections.iter().flatten().any(|c| c.supervisor)
    }

    /// Accepts one connection of our own user and tells it `events`. False where we have no descriptor for it: it waits in the queue of the kernel,
    /// which would wake us again at once.
    pub(super) fn accept(&mut self, events: &[Option<Event>]) -> bool {
        match self.listener.accept() {
            Ok((stream, _)) => {
                self.welcome(stream, events);
                true
            }
            Err(error) => !is_exhaustion(&error) || error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn welcome(&mut self, stream: UnixStream, events: &[Option<Event>]) {
        if !os::peer_uid(&stream).is_ok_and(|uid| uid == nix::unistd::geteuid().as_raw()) {
            return;
        }
        if let Ok(at) = self.add(stream, false) {
            for event in events.iter().flatten() {
                self.tell_one(at, event);
            }
        }
    }

    fn add(&mut self, stream: UnixStream, supervisor: bool) -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        let at = self
            .connections
            .iter()
            .position(Option::is_none)
            .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        self.connections[at] = Some(Connection { stream, line: [0; 128], len: 0, supervisor });
        Ok(at)
    }

    /// Tells everybody.
    pub(super) fn tell(&mut self, event: &Event) {
        for at in 0..CONNECTIONS {
            self.tell_one(at, event);
        }
    }

    /// Tells one. A peer that does not read loses its connection: nobody may hold up the shim.
    pub(super) fn tell_one(&mut self, at: usize, event: &Event) {
        let Some(connection) = &mut self.connections[at] else { return };
        let mut buffer = [0_u8; LONGEST];
        let mut rest = &mut buffer[..];
        // A message too long for the buffer arrives cut.
        let fits = writeln!(rest, "{event}").is_ok();
        let len = if fits { LONGEST - rest.len() } else { LONGEST };
        buffer[len - 1] = b'\n';
        if connection.stream.write(&buffer[..len]).ok() != Some(len) {
            self.connections[at] = None;
        }
    }

    /// Whether a supervisor has read all it was told. Waits until it has or is gone, but not longer than `until` for one that lives: one that is stopped finds
    /// it when it goes on. What was written to one that was dying was heard by nobody, and a process with several threads takes its time to die.
    pub(super) fn is_heard(&self, until: u64) -> bool {
        let Some(connection) = self.connections.iter().flatten().find(|c| c.supervisor) else { return false };
        let mut stream = &connection.stream;
        // Who has read the last word closes its half of the conversation, which wakes us at once.
        let (mut events, mut pause) = (PollFlags::POLLIN, LEAST_PAUSE_MS);
        loop {
            if os::unread(stream).is_ok_and(|bytes| bytes == 0) {
                return !happens(stream, events, PollTimeout::ZERO).intersects(GONE);
            }
            let happened = happens(stream, events, PollTimeout::from(pause));
            if happened.intersects(GONE) {
                return false;
            }
            // An order that comes too late, or the end of them, which would wake us again and again.
            if happened.contains(PollFlags::POLLIN) && stream.read(&mut [0; 128]).is_ok_and(|n| n == 0) {
                events = PollFlags::empty();
            }
            let now = mono_ns();
            if now >= until {
                let lives = os::peer_pid(stream).is_ok_and(os::is_running);
                if lives || now >= until.saturating_add(DYING) {
                    return lives;
                }
            }
            pause = (pause * 2).min(MOST_PAUSE_MS);
        }
    }

    /// Reads what came on a connection and calls `each` with every order, in order.
    pub(super) fn read(&mut self, at: usize, mut each: impl FnMut(&mut Control, Order)) {
        let Some(connection) = &mut self.connections[at] else { return };
        let len = connection.len;
        match connection.stream.read(&mut connection.line[len..]) {
            Ok(n) if n > 0 => connection.len += n,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return,
            Ok(_) | Err(_) => {
                self.connections[at] = None;
                return;
            }
        }
        while let Some((order, used)) = self.next_order(at) {
            match order {
                Some(Order::Supervisor) => {
                    if let Some(connection) = &mut self.connections[at] {
                        connection.supervisor = true;
                    }
                }
                Some(order) => each(self, order),
                None => {
                    self.tell_one(at, &Event::Error(format!("not understood by protocol {}", super::spec::PROTOCOL)))
                }
            }
            if let Some(connection) = &mut self.connections[at] {
                connection.line.copy_within(used..connection.len, 0);
                connection.len -= used;
            }
        }
    }

    /// The next line's order (`None` for nonsense) and its length with the newline.
    fn next_order(&mut self, at: usize) -> Option<(Option<Order>, usize)> {
        let connection = self.connections[at].as_ref()?;
        let line = &connection.line[..connection.len];
        match memchr::memchr(b'\n', line) {
            Some(end) => Some((std::str::from_utf8(&line[..end]).ok().and_then(Order::parse), end + 1)),
            None if line.len() == connection.line.len() => Some((None, line.len())),
            None => None,
        }
    }
}

/// Waits for one of `events`, a hang-up or an error: which of them there are.
fn happens(stream: &UnixStream, events: PollFlags, timeout: PollTimeout) -> PollFlags {
    let mut polled = [PollFd::new(stream.as_fd(), events)];
    match poll(&mut polled, timeout) {
        Ok(n) if n > 0 => polled[0].revents().unwrap_or(PollFlags::empty()),
        Ok(_) | Err(_) => PollFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: u64 = 0;
    const LATER: u64 = 60_000_000_000;

    fn control(dir: &std::path::Path) -> (Control, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Control::new(ours, UnixListener::bind(dir.join("s")).unwrap()).unwrap(), theirs)
    }

    #[test]
    fn last_words_are_heard_by_who_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let (mut control, mut supervisor) = control(dir.path());
        control.tell(&Event::Unkillable);
        assert!(control.is_heard(AT_ONCE), "one that lives reads them later");
        let reader = std::thread::spawn(move || {
            let n = supervisor.read(&mut [0; 64]).unwrap();
            (n, supervisor)
        });
        assert!(control.is_heard(mono_ns() + LATER));
        assert!(reader.join().unwrap().0 > 0);
    }

    #[test]
    fn who_has_heard_all_and_says_no_more_wakes_the_shim() {
        let dir = tempfile::tempdir().unwrap();
        let (mut control, mut supervisor) = control(dir.path());
        control.tell(&Event::Unkillable);
        // It hangs up its half first, with orders on the way, and reads later.
        supervisor.write_all(b"stop 15 10\n").unwrap();
        supervisor.shutdown(std::net::Shutdown::Write).unwrap();
        let reader = std::thread::spawn(move || {
            let n = supervisor.read(&mut [0; 64]).unwrap();
            (n, supervisor)
        });
        assert!(control.is_heard(mono_ns() + LATER));
        assert!(reader.join().unwrap().0 > 0);
    }

    #[test]
    fn nobody_heard_what_was_written_to_one_that_dies() {
        let dir = tempfile::tempdir().unwrap();
        let (mut control, supervisor) = control(dir.path());
        control.tell(&Event::Unkillable);
        let dying = std::thread::spawn(move || drop(supervisor));
        assert!(!control.is_heard(mono_ns() + LATER));
        dying.join().unwrap();
        control.read(0, |_, _| {});
        assert!(!control.is_heard(mono_ns() + LATER), "nobody is there");
    }
}
