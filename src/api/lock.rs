//! One supervisor per project: whoever holds the lock binds the socket, and nobody else does.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::error::{Context, Error, PathError};
use crate::shim::former;
use crate::sys::home::Home;
use crate::sys::lock::{self, Lock, Locked};

/// The right to be the supervisor of a project, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Project {
    home: Home,
    // Held, never read.
    _lock: Lock,
}

/// What came of asking for it.
#[derive(Debug)]
pub enum Claim {
    /// It is ours.
    Ours(Project),
    /// Another supervisor has it; its pid, as a hint.
    Theirs(Option<u32>),
}

/// Looks at a folder that vanishes meanwhile.
const TRIES: usize = 5;
/// A probe by [`is_held`] takes the lock for a moment; so long it is waited for.
const PROBE: Duration = Duration::from_millis(50);

/// Asks to be the supervisor of the project.
pub fn claim(home: &Home) -> Result<Claim, Error> {
    let path = home.supervisor_lock();
    for _ in 0..TRIES {
        home.open()?;
        match lock::acquire(&path, PROBE) {
            // The last supervisor took the folder away between our two steps.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => Err(error).context("lock", &path)?,
            Ok(Locked::Ours(lock)) => {
                former::remember(home).context("write", &home.runtime)?;
                return Ok(Claim::Ours(Project { home: home.clone(), _lock: lock }));
            }
            Ok(Locked::Theirs(pid)) => return Ok(Claim::Theirs(pid)),
        }
    }
    Err(Error::failed(format!("`{}` vanishes again and again", home.runtime.display())))
}

/// Whether a supervisor of the project is alive, answering or not.
pub fn is_held(home: &Home) -> Result<bool, Error> {
    let path = home.supervisor_lock();
    Ok(lock::is_held(&path).context("lock", &path)?)
}

/// The pid in the lock file, as a hint for messages.
pub fn holder(home: &Home) -> Option<u32> {
    fs::read_to_string(home.supervisor_lock()).ok()?.trim().parse().ok()
}

impl Project {
    /// Listens on the project's socket. It appears under its name only once it listens and is its owner's alone; a dead one is replaced at once.
    pub fn listen(&self) -> Result<UnixListener, Error> {
        let (path, new) = (self.home.supervisor_socket(), self.home.runtime.join("api.new"));
        remove(&new)?;
        let listener = UnixListener::bind(&new).context("listen on", &new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600)).context("protect", &new)?;
        fs::rename(&new, &path).context("rename", &new)?;
        Ok(listener)
    }

    /// Removes the socket, so that the next caller need not find out that nobody answers.
    pub fn unlink(&self) -> Result<(), Error> {
        Ok(remove(&self.home.supervisor_socket())?)
    }

    /// Takes away the folder outside the project, unless a shim still has something in it. Whoever asks for the lock meanwhile finds that its file has
    /// no name any more, and asks again.
    pub fn clear(self) -> Result<(), Error> {
        let runtime = &self.home.runtime;
        let mut rest = Vec::new();
        for entry in fs::read_dir(runtime).context("read", runtime)? {
            let path = entry.context("read", runtime)?.path();
            let is_lock = path.extension().is_some_and(|extension| extension == "lock");
            if is_lock && lock::is_held(&path).context("lock", &path)? {
                return Ok(());
            }
            rest.push(path);
        }
        // Our own lock last: until then nobody else begins here.
        rest.sort_by_key(|path| *path == self.home.supervisor_lock());
        rest.iter().try_for_each(|path| remove(path))?;
        match fs::remove_dir(runtime) {
            // Somebody has begun here already.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => Ok(removed.context("remove", runtime)?),
        }
    }
}

fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context("remove", path),
        _ => Ok(()),
    }
}
