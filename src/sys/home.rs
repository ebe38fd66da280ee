//! Where a project keeps its things: `.orchestra/` inside it, and one owner-only folder outside it for lock and sockets.
//!
//! The folder outside is keyed by device and inode of the project's root and not derived from the environment, so that `git clean`, a moved checkout,
//! cron and long paths can neither make a second supervisor nor lose the first.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::error::{Context, Error, Result};
use crate::sys::folder::Folder;
use crate::task::id::{InstanceId, ServiceName};

/// The folder inside the project.
pub const DOT: &str = ".orchestra";
/// The file in the runtime folder whose lock makes one supervisor per project.
pub const SUPERVISOR_LOCK: &str = "lock";

/// The folders of one project. Knows names only; `open` makes and checks the folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The project's root, absolute.
    pub root: PathBuf,
    /// `<root>/.orchestra`
    pub dot: PathBuf,
    /// `/tmp/orchestra-<uid>/<dev>-<inode>`: lock and sockets.
    pub runtime: PathBuf,
}

impl Home {
    /// The folders of the project at `root`. Makes nothing.
    pub fn find(root: &Path) -> Result<Home> {
        let root = root.canonicalize().context("find", root)?;
        let meta = std::fs::metadata(&root).context("open", &root)?;
        let uid = nix::unistd::geteuid().as_raw();
        // Not TMPDIR or XDG_RUNTIME_DIR: cron, ssh and a desktop must all find the same lock.
        let runtime = PathBuf::from(format!("/tmp/orchestra-{uid}/{:x}-{:x}", meta.dev(), meta.ino()));
        Ok(Home { dot: root.join(DOT), root, runtime })
    }

    /// Makes and checks the folders: only ours, only for us, reached through no symbolic link.
    pub fn open(&self) -> Result<()> {
        let dot = Folder::beneath(&self.root, Path::new(DOT)).map_err(|error| refused(&self.dot, &error))?;
        if dot.size(".gitignore").is_none() {
            dot.write_atomically(".gitignore", b"*\n").context("write", &self.dot.join(".gitignore"))?;
        }
        for name in ["bin", "logs", "run", "state"] {
            let path = self.dot.join(name);
            Folder::beneath(&self.dot, Path::new(name)).map_err(|error| refused(&path, &error))?;
        }
        self.open_runtime()
    }

    /// The folder outside the project: every part of it ours, since `/tmp` is everybody's.
    fn open_runtime(&self) -> Result<()> {
        let user = self.runtime.parent().unwrap_or(&self.runtime);
        for path in [user, &self.runtime] {
            match std::fs::DirBuilder::new().mode(0o700).create(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(path, &error)),
            }
            let meta = std::fs::symlink_metadata(path).context("open", path)?;
            let ours = meta.uid() == nix::unistd::geteuid().as_raw();
            if !meta.is_dir() || !ours {
                let way_out = match ours {
                    true => format!("remove it: rm {}", path.display()),
                    false => format!("its owner or root must remove it: ls -ld {}", path.display()),
                };
                let message = format!("`{}`, for locks and sockets, is not a folder of yours", path.display());
                return Err(Error::failed(message).hint(way_out));
            }
            if meta.mode() & 0o077 != 0 {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).context("restrict", path)?;
            }
        }
        Ok(())
    }

    /// Makes lock and sockets look used: what cleans `/tmp` takes away what nobody touched for days, and another supervisor would then begin beside this one.
    /// What cannot be touched now is touched the next time.
    pub fn stay_fresh(&self) {
        let folders = [self.runtime.parent().unwrap_or(&self.runtime), &self.runtime];
        let files = std::fs::read_dir(&self.runtime).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in folders.into_iter().map(Path::to_owned).chain(files) {
            utimensat(AT_FDCWD, &path, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW, UtimensatFlags::NoFollowSymlink)
                .unwrap_or(());
        }
    }

    /// Built binaries.
    pub fn bin(&self) -> PathBuf {
        self.dot.join("bin")
    }

    /// Desired state, one file per service.
    pub fn state(&self) -> PathBuf {
        self.dot.join("state")
    }

    /// Logs of all services.
    pub fn logs(&self) -> PathBuf {
        self.dot.join("logs")
    }

    /// Segments of one instance: `logs/api/1`.
    pub fn instance_logs(&self, instance: &InstanceId) -> PathBuf {
        self.logs().join(instance.service.as_str()).join(instance.number.to_string())
    }

    /// Segments of a service's builds (`build`), tests (`test`) or of orchestra's words about it (`orchestra`).
    pub fn service_logs(&self, service: &ServiceName, what: &str) -> PathBuf {
        self.logs().join(service.as_str()).join(what)
    }

    /// The record of one instance's newest run: `run/api/1`.
    pub fn instance_run(&self, instance: &InstanceId) -> PathBuf {
        self.dot.join("run").join(instance.service.as_str()).join(instance.number.to_string())
    }

    /// The lock that makes one supervisor per project.
    pub fn supervisor_lock(&self) -> PathBuf {
        self.runtime.join(SUPERVISOR_LOCK)
    }

    /// The API's socket.
    pub fn supervisor_socket(&self) -> PathBuf {
        self.runtime.join("api")
    }

    /// Lock (`.lock`) or socket (`.sock`) of the shim of `slot` (`api.1`, or `api.build`), short enough for a socket path.
    pub fn shim_file(&self, slot: &str, suffix: &str) -> PathBuf {
        self.runtime.join(format!("{}{suffix}", short(slot)))
    }

    /// `path` as a person in the project says it: relative to the root where it lies inside.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    let refused = Error::failed(format!("cannot use `{}`", path.display())).because(error);
    match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENOTDIR) => {
            refused.hint("it must be a folder, not a link or a file; move it away and try again")
        }
        Some(libc::EROFS) => refused.hint(
            "orchestra keeps binaries, logs and what is wanted there: make the project writable, or work on a copy",
        ),
        _ => refused.hint(format!("look at who owns it: ls -ld {}", path.display())),
    }
}

/// Names up to 40 bytes stay; longer ones are cut and told apart by a hash (FNV-1a).
fn short(slot: &str) -> String {
    if slot.len() <= 40 {
        return slot.to_owned();
    }
    let hash = slot.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{}-{hash:016x}", &slot[..23])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn opens_and_keeps_to_itself() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(dir.path()).unwrap();
        home.open().unwrap();
        home.open().unwrap();
        assert_eq!((mode(&home.dot), mode(&home.logs()), mode(&home.runtime)), (0o700, 0o700, 0o700));
        assert_eq!(std::fs::read_to_string(home.dot.join(".gitignore")).unwrap(), "*\n");
        std::fs::remove_dir(&home.runtime).unwrap();
    }

    #[test]
    fn lock_and_sockets_look_used() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(dir.path()).unwrap();
        home.open().unwrap();
        let (lock, socket) = (home.supervisor_lock(), home.supervisor_socket());
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::write(&lock, "").unwrap();
        let long_ago = TimeSpec::new(1, 0);
        for path in [&lock, &socket] {
            utimensat(AT_FDCWD, path, &long_ago, &long_ago, UtimensatFlags::NoFollowSymlink).unwrap();
        }
        home.stay_fresh();
        assert!([&lock, &socket].iter().all(|path| std::fs::metadata(path).unwrap().mtime() > 1));
        std::fs::remove_dir_all(&home.runtime).unwrap();
    }

    #[test]
    fn the_runtime_folder_follows_a_moved_project() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        let before = Home::find(&old).unwrap().runtime;
        std::fs::rename(&old, &new).unwrap();
        std::os::unix::fs::symlink(&new, dir.path().join("link")).unwrap();
        assert_eq!(Home::find(&new).unwrap().runtime, before);
        assert_eq!(Home::find(&dir.path().join("link")).unwrap().runtime, before);
    }

    #[test]
    fn a_linked_folder_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join(".orchestra")).unwrap();
        let error = Home::find(dir.path()).unwrap().open().unwrap_err();
        assert!(error.message.contains(".orchestra"), "{error}");
        assert_eq!(error.hints.len(), 1);
    }

    #[test]
    fn long_slots_stay_short_and_apart() {
        let (a, b) = (format!("{}a.1", "x".repeat(80)), format!("{}b.1", "x".repeat(80)));
        assert!(short(&a).len() <= 40);
        assert_ne!(short(&a), short(&b));
        assert_eq!(short("api.1"), "api.1");
    }
}
