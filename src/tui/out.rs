//! The way to the terminal: one thread writes, so that a terminal that reads slowly, or not at all, holds up nobody: keys, signals and the log go on.

use std::fs::File;
use std::io::{self, Write, stdout};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};
use tokio::sync::Notify;

use super::pace::{Pace, Written};

/// So many writes wait for the thread: a frame is only made when none does, the others are a few bytes. Then whoever writes waits.
const WAITING: usize = 16;
/// So much is written at a time: between two of them it is seen whether the terminal takes more.
const PIECE: usize = 4096;
/// A terminal that takes nothing is asked again so often, because one that was emptied by somebody else does not tell.
const LOOK: Duration = Duration::from_millis(100);
/// A write that takes longer waits for the terminal.
const STUCK: Duration = Duration::from_millis(20);
/// So long a terminal has to take what is left when it is given back.
const LAST: Duration = Duration::from_secs(1);

/// Collects bytes, and writes them behind the back of whoever made them.
#[derive(Debug)]
pub struct Out {
    buffer: Vec<u8>,
    writes: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// What becomes of the writes.
#[derive(Clone, Debug)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Nothing is being written any more.
    idle: Condvar,
    /// Somebody may wait for the same without a thread.
    written: Notify,
}

#[derive(Debug)]
struct State {
    /// Writes that are not done.
    n_pending: usize,
    pace: Pace,
    error: Option<Errno>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Out {
    /// To standard output. `open`: while this is false, whatever is to be written is thrown away.
    pub fn new(open: &'static AtomicBool) -> io::Result<Out> {
        let file = File::from(stdout().as_fd().try_clone_to_owned()?);
        Out::to(file, open)
    }

    fn to(file: File, open: &'static AtomicBool) -> io::Result<Out> {
        let (writes, received) = sync_channel(WAITING);
        let state = State { n_pending: 0, pace: Pace::new(Instant::now()), error: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), idle: Condvar::new(), written: Notify::new() });
        let thread = Writer { file, open, shared: Arc::clone(&shared) };
        // It ends with the channel, or stays behind with a terminal that never takes anything again.
        std::thread::Builder::new().name("terminal".to_owned()).spawn(move || thread.run(&received))?;
        Ok(Out { buffer: Vec::with_capacity(64 * 1024), writes, shared })
    }

    /// What becomes of what is written here.
    pub fn progress(&self) -> Progress {
        Progress { shared: Arc::clone(&self.shared) }
    }
}

impl Progress {
    /// Whether all was written.
    pub fn is_free(&self) -> bool {
        self.shared.state().n_pending == 0
    }

    /// Waits for something to have been written.
    pub async fn written(&self) {
        self.shared.written.notified().await;
    }

    /// What is known of how fast the terminal reads.
    pub fn pace(&self) -> Pace {
        self.shared.state().pace
    }

    /// Waits until all is written; what the terminal does not take for a second is thrown away. False where it takes nothing even then.
    pub fn finish(&self) -> bool {
        if self.wait(LAST) {
            return true;
        }
        // What cannot be flushed stays.
        tcflush(stdout(), FlushArg::TCOFLUSH).unwrap_or(());
        self.wait(LAST)
    }

    fn wait(&self, at_most: Duration) -> bool {
        let waited = self.shared.idle.wait_timeout_while(self.shared.state(), at_most, |state| state.n_pending > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.n_pending == 0
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Hands over what was collected. An error is that of an earlier write.
    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.shared.state().n_pending += 1;
            let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(64 * 1024));
            self.writes.send(bytes).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        self.shared.state().error.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The thread's part.
struct Writer {
    file: File,
    open: &'static AtomicBool,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, received: &Receiver<Vec<u8>>) {
        while let Ok(bytes) = received.recv() {
            let done = self.write(&bytes);
            let mut state = self.shared.state();
            match done {
                Ok(written) => state.pace.wrote(written),
                Err(error) => state.error = Some(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
            }
            state.n_pending -= 1;
            drop(state);
            self.shared.idle.notify_all();
            self.shared.written.notify_one();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Written> {
        let mut blocked = None;
        for piece in bytes.chunks(PIECE) {
            let begin = Instant::now();
            let takes = self.takes(Duration::ZERO);
            while !takes && self.open.load(Ordering::SeqCst) && !self.takes(LOOK) {}
            if self.open.load(Ordering::SeqCst) {
                self.file.write_all(piece)?;
            }
            // It may have had room for a part of it only.
            let took = begin.elapsed();
            if !takes || took > STUCK {
                blocked = Some(blocked.unwrap_or_default() + took);
            }
        }
        Ok(Written { at: Instant::now(), bytes: bytes.len(), blocked })
    }

    /// Whether the terminal takes more, within a while. Where nobody can say, it does.
    fn takes(&self, within: Duration) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        let within = PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO);
        !matches!(poll(&mut fds, within), Ok(0) | Err(Errno::EINTR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    static OPEN: AtomicBool = AtomicBool::new(true);

    #[test]
    fn nobody_waits_for_a_terminal_that_reads_nothing() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut out = Out::to(File::from(std::os::fd::OwnedFd::from(writer)), &OPEN).unwrap();
        let progress = out.progress();
        // More than a pipe holds.
        out.write_all(&[b'x'; 200_000]).unwrap();
        out.flush().unwrap();
        assert!(!progress.is_free() && !progress.wait(Duration::from_millis(1)));
        out.write_all(b"end").unwrap();
        out.flush().unwrap();
        let mut bytes = vec![0; 200_003];
        reader.read_exact(&mut bytes).unwrap();
        assert!(progress.wait(Duration::from_secs(60)));
        assert!(bytes.ends_with(b"xend") && progress.is_free());
        drop(reader);
        out.write_all(b"more").unwrap();
        out.flush().unwrap_or(());
        assert!(progress.wait(Duration::from_secs(60)));
        assert_eq!(out.flush().unwrap_err().raw_os_error(), Some(nix::libc::EPIPE));
    }

    #[test]
    fn what_is_written_after_the_end_is_thrown_away() {
        static SHUT: AtomicBool = AtomicBool::new(true);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut out = Out::to(File::from(std::os::fd::OwnedFd::from(writer)), &SHUT).unwrap();
        let progress = out.progress();
        out.write_all(b"before").unwrap();
        out.flush().unwrap();
        assert!(progress.wait(Duration::from_secs(60)));
        SHUT.store(false, Ordering::SeqCst);
        out.write_all(b"after").unwrap();
        out.flush().unwrap();
        assert!(progress.wait(Duration::from_secs(60)));
        drop(out);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "before");
    }
}
