//! Folders that only their owner may use, reached without following a single symbolic link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

/// An open folder. What is opened inside it is opened by name only, never through a link.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

/// What [`Folder::file`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Reading an existing file.
    Read,
    /// Appending to an existing file, reading it too.
    Append,
    /// Making a file that is not there yet.
    New,
}

impl Folder {
    /// Opens `base/rest`, making the folders of `rest` that are missing, mode 0700. The folders above `base` may be links, `base` itself may not;
    /// every folder of `rest` must be a real folder of ours, and so must a `base` named `.orchestra`, which may have been swapped since it was made.
    pub fn beneath(base: &Path, rest: &Path) -> io::Result<Folder> {
        let mut fd = open(base, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty())?;
        if base.file_name() == Some(OsStr::new(super::home::DOT)) {
            check_owner(&fstat(&fd)?)?;
        }
        for part in rest.components() {
            let Component::Normal(name) = part else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain relative path"));
            };
            fd = enter(&fd, name)?;
        }
        Ok(Folder { fd })
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Opens a regular file of ours with one name (mode 0600 where it is made).
    pub fn file(&self, name: &str, want: Want) -> io::Result<File> {
        let flags = match want {
            Want::Read => OFlag::O_RDONLY,
            Want::Append => OFlag::O_RDWR | OFlag::O_APPEND,
            Want::New => OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL,
        };
        // O_NONBLOCK: a FIFO in the file's place must not hang us.
        let always = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = openat(&self.fd, name, flags | always, Mode::from_bits_truncate(0o600))?;
        let stat = fstat(&fd)?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_nlink > 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file with one name"));
        }
        check_owner(&stat)?;
        Ok(File::from(fd))
    }

    /// Writes a whole file by a temporary name and rename, so that a reader sees the old or the new one.
    pub fn write_atomically(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        use std::io::Write;
        // Two writers of one file must not share their temporary one.
        static WRITES: AtomicU32 = AtomicU32::new(0);
        // Not made of the name, which may be as long as a name can be.
        let temporary = format!(".{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
        let written = self.fresh(&temporary).and_then(|mut file| file.write_all(bytes));
        if let Err(error) = written {
            // Nobody reads a temporary file; the error that matters is the first.
            drop(self.remove(&temporary));
            return Err(error);
        }
        renameat(&self.fd, temporary.as_str(), &self.fd, name)?;
        Ok(())
    }

    /// Makes a file under a name that nobody else means: what is there already is not written to, whatever it is.
    fn fresh(&self, name: &str) -> io::Result<File> {
        match self.file(name, Want::New) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(name)?;
                self.file(name, Want::New)
            }
            made => made,
        }
    }

    /// Opens a file for appending, making it where it is missing.
    pub fn append(&self, name: &str) -> io::Result<File> {
        match self.file(name, Want::Append) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.file(name, Want::New),
            opened => opened,
        }
    }

    /// Renames a file or folder within the folder.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        renameat(&self.fd, from, &self.fd, to)?;
        Ok(())
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir)?;
        Ok(())
    }

    /// The size of a file; `None` when there is none.
    pub fn size(&self, name: &str) -> Option<u64> {
        let stat = nix::sys::stat::fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        u64::try_from(stat.st_size).ok()
    }

    /// Calls `each` with every name in the folder.
    pub fn names(&self, mut each: impl FnMut(&OsStr)) -> io::Result<()> {
        let mut dir = nix::dir::Dir::openat(&self.fd, ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        for entry in dir.iter() {
            each(OsStr::from_bytes(entry?.file_name().to_bytes()));
        }
        Ok(())
    }
}

/// Opens the folder `name` in `parent`, making it where it is missing.
fn enter(parent: &impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = match openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(nix::errno::Errno::ENOENT) => {
            match mkdirat(parent, name, Mode::S_IRWXU) {
                Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
            openat(parent, name, flags, Mode::empty())?
        }
        Err(error) => return Err(error.into()),
    };
    let stat = fstat(&fd)?;
    check_owner(&stat)?;
    if stat.st_mode & 0o077 != 0 {
        fchmod(&fd, Mode::S_IRWXU)?;
    }
    Ok(fd)
}

fn check_owner(stat: &FileStat) -> io::Result<()> {
    if stat.st_uid == geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it belongs to another user (uid {})", stat.st_uid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn makes_folders_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        Folder::beneath(dir.path(), Path::new("a/b")).unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("a/b")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn refuses_links_fifos_and_second_names() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink("/etc", dir.path().join("linked")).unwrap();
        assert!(Folder::beneath(dir.path(), Path::new("linked")).is_err());
        assert!(Folder::beneath(dir.path(), Path::new("../x")).is_err());
        let folder = Folder::beneath(dir.path(), Path::new("logs")).unwrap();
        symlink(&victim, dir.path().join("logs/1.log")).unwrap();
        std::fs::hard_link(&victim, dir.path().join("logs/2.log")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("logs/3.log"), Mode::S_IRWXU).unwrap();
        for name in ["1.log", "2.log", "3.log"] {
            for want in [Want::Append, Want::New] {
                assert!(folder.file(name, want).is_err(), "{name} {want:?}");
            }
        }
        folder.write_atomically("1.log", b"mine").unwrap();
        folder.append("4.log").unwrap();
        assert!(folder.append("2.log").is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_base_that_became_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        symlink(dir.path().join("real"), dir.path().join(".orchestra")).unwrap();
        assert!(Folder::beneath(&dir.path().join(".orchestra"), Path::new("logs")).is_err());
        assert!(!dir.path().join("real/logs").exists());
    }
}
