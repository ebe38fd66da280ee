//! Waits until files in folders change: at once where the system tells (Linux), else by looking often.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "macos.rs"]
mod system;

/// How often to look where the system does not tell.
const LOOK: Duration = Duration::from_millis(40);

/// What ended a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something in these folders.
    Some(Vec<PathBuf>),
    /// Possibly anything: time is up, or the system lost count.
    Unknown,
    /// The other end of one of the descriptors beside closed.
    Closed,
}

/// Folders being watched.
#[derive(Debug)]
pub struct DirWatch {
    /// `None` where the system cannot tell, or has no more watches to give.
    system: Option<system::Watches>,
}

impl DirWatch {
    /// Watches nothing yet.
    pub fn new() -> io::Result<DirWatch> {
        Ok(DirWatch { system: system::Watches::new() })
    }

    /// Watches a folder, the files in it but not the folders below. True when it was not watched before; false, too, when it is not there.
    pub fn add(&mut self, dir: &Path) -> io::Result<bool> {
        let Some(system) = &mut self.system else { return Ok(false) };
        match system.add(dir) {
            Ok(added) => Ok(added),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(false),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::ENOMEM)) => {
                self.system = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for a change, at most so long, or until the other end of one of `beside` closes. Input there does not wake: a terminal or a file always
    /// has some.
    pub fn wait(&mut self, at_most: Duration, beside: &[BorrowedFd<'_>]) -> io::Result<Change> {
        let at_most = if self.system.is_some() { at_most } else { at_most.min(LOOK) };
        let timeout = PollTimeout::try_from(at_most.max(Duration::from_millis(1))).unwrap_or(PollTimeout::MAX);
        let (woken, told) = {
            let mut fds: Vec<_> = beside.iter().map(|fd| PollFd::new(*fd, PollFlags::empty())).collect();
            fds.extend(self.system.as_ref().and_then(system::Watches::fd).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match nix::poll::poll(&mut fds, timeout) {
                Ok(0) => return Ok(Change::Unknown),
                Err(nix::Error::EINTR) => return Ok(Change::Unknown),
                result => result?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
            (ready[..beside.len()].contains(&true), ready[beside.len()..].contains(&true))
        };
        match &mut self.system {
            _ if woken => Ok(Change::Closed),
            Some(system) if told => system.take(),
            _ => Ok(Change::Unknown),
        }
    }
}

impl DirWatch {
    /// Waits for a change, at most so long (not at all for zero), or until there is input at `call`: then nothing may have changed.
    pub fn wait_or_call(&mut self, at_most: Duration, call: BorrowedFd<'_>) -> io::Result<Change> {
        let at_most = if self.system.is_some() { at_most } else { at_most.min(LOOK) };
        let millis = if at_most.is_zero() { at_most } else { at_most.max(Duration::from_millis(1)) };
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let told = {
            let mut fds = vec![PollFd::new(call, PollFlags::POLLIN)];
            fds.extend(self.system.as_ref().and_then(system::Watches::fd).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            match nix::poll::poll(&mut fds, timeout) {
                Ok(0) => return Ok(Change::Unknown),
                Err(nix::Error::EINTR) => return Ok(Change::Unknown),
                result => result?,
            };
            fds.get(1).is_some_and(|fd| fd.revents().is_some_and(|events| !events.is_empty()))
        };
        match &mut self.system {
            Some(system) if told => system.take(),
            _ => Ok(Change::Some(Vec::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn tells_which_folder_changed() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = DirWatch::new().unwrap();
        let added = watch.add(dir.path()).unwrap();
        assert!(!watch.add(dir.path()).unwrap());
        assert!(!watch.add(&dir.path().join("nowhere")).unwrap());
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let begin = Instant::now();
        let change = watch.wait(Duration::from_secs(10), &[]).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_eq!(change, if added { Change::Some(vec![dir.path().to_owned()]) } else { Change::Unknown });
    }

    #[test]
    fn a_call_wakes() {
        use std::io::Write;
        use std::os::fd::AsFd;
        use std::os::unix::net::UnixStream;
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut watch = DirWatch::new().unwrap();
        assert_eq!(watch.wait_or_call(Duration::ZERO, here.as_fd()).unwrap(), Change::Unknown);
        there.write_all(b"!").unwrap();
        let begin = Instant::now();
        assert_eq!(watch.wait_or_call(Duration::from_secs(60), here.as_fd()).unwrap(), Change::Some(Vec::new()));
        assert!(begin.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_pipe_that_closes_wakes_and_a_file_does_not() {
        use std::os::fd::AsFd;
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let mut watch = DirWatch::new().unwrap();
        let file = tempfile::tempfile().unwrap();
        let beside = [file.as_fd(), reader.as_fd()];
        assert_eq!(watch.wait(Duration::from_millis(5), &beside).unwrap(), Change::Unknown);
        drop(writer);
        assert_eq!(watch.wait(Duration::from_secs(10), &beside).unwrap(), Change::Closed);
    }
}
