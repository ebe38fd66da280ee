//! Whole-file locks by flock(2): they belong to the open file, so no stray `close` drops them as it would an fcntl lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// A lock that is held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    held: Flock<File>,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Locked {
    /// We hold it.
    Ours(Lock),
    /// Another process holds it; its pid if it wrote one, which is a hint for messages only.
    Theirs(Option<u32>),
}

/// So long somebody may hold a lock who is not known to live.
const PASSING: Duration = Duration::from_secs(5);

/// Takes the lock at `path`, making the file where it is missing. One that is held by who wrote its pid and lives is refused after `patience`. Anybody else
/// who holds it is a probe by [`is_held`], is about to write its pid, or is dying: that one is waited for, since on a busy machine a moment may be long.
pub fn acquire(path: &Path, patience: Duration) -> io::Result<Locked> {
    let began = Instant::now();
    loop {
        let file = open(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) if still_named(&held, path) => {
                let mut lock = Lock { held };
                lock.write_hint()?;
                return Ok(Locked::Ours(lock));
            }
            // The file was removed or replaced between open and lock: what we hold guards nothing.
            Ok(_) => {}
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                let holder = hint(file);
                let lives = holder.is_some_and(super::os::is_running);
                if began.elapsed() >= if lives { patience } else { patience.max(PASSING) } {
                    return Ok(Locked::Theirs(holder));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Err((_, error)) => return Err(error.into()),
        }
    }
}

/// Whether some process holds the lock at `path`. A missing file is a free lock.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, error)) => Err(error.into()),
    }
}

impl Lock {
    /// Writes our pid into the file, as a hint for messages.
    fn write_hint(&mut self) -> io::Result<()> {
        self.held.set_len(0)?;
        self.held.seek(io::SeekFrom::Start(0))?;
        // A full disk must not keep anyone from locking.
        if let Err(error) = writeln!(self.held, "{}", std::process::id())
            && error.kind() != io::ErrorKind::StorageFull
        {
            return Err(error);
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    // std sets O_CLOEXEC: a lock that leaked into a service would outlive us.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(super::os::LOCK_MODE)
        // O_NONBLOCK: a FIFO in its place must not hang us.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

fn still_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn hint(mut file: File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path).unwrap());
        let Locked::Ours(lock) = acquire(&path, Duration::ZERO).unwrap() else { panic!("free lock refused") };
        assert!(is_held(&path).unwrap());
        match acquire(&path, Duration::ZERO).unwrap() {
            Locked::Theirs(pid) => assert_eq!(pid, Some(std::process::id())),
            Locked::Ours(_) => panic!("taken twice"),
        }
        drop(lock);
        assert!(!is_held(&path).unwrap());
    }

    #[test]
    fn who_does_not_live_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        std::fs::write(&path, format!("{}\n", ended.id())).unwrap();
        let probe = Flock::lock(open(&path).unwrap(), FlockArg::LockSharedNonblock).unwrap();
        let passing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(probe);
        });
        assert!(matches!(acquire(&path, Duration::ZERO).unwrap(), Locked::Ours(_)));
        passing.join().unwrap();
    }

    #[test]
    fn a_replaced_file_is_locked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _old = acquire(&path, Duration::ZERO).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(acquire(&path, Duration::ZERO).unwrap(), Locked::Ours(_)));
    }

    #[test]
    fn a_symlink_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(acquire(&path, Duration::ZERO).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
