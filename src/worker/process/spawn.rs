//! Starts a shim with one end of a socket as its standard input, over which it gets its spec, its orders, and tells what happens.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::StartFailure;
use crate::shim::spec::ShimSpec;
use crate::sys::fd;
use crate::task::environment::Environment;

/// A shim reads its spec within a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shim that was just started, and the way to it.
pub(super) struct Shim {
    pub(super) child: Child,
    pub(super) socket: UnixStream,
}

/// Starts `program __shim` and gives it its spec. No descriptor but the standard ones is inherited: all of ours close at exec.
pub(super) fn spawn(program: &Path, spec: &ShimSpec) -> io::Result<Shim> {
    let bytes = spec.encode()?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(program)
        .arg0("orchestra")
        .arg("__shim")
        // For people who look at a process list.
        .arg(&spec.slot)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // A shim that is stopped before it has read all must hold up nobody.
    let told = ours.set_write_timeout(Some(PATIENCE)).and_then(|()| ours.write_all(&bytes));
    if let Err(error) = told.and_then(|()| ours.set_nonblocking(true)) {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    Ok(Shim { child, socket: ours })
}

/// The file that `name` means: itself where it holds a slash (relative to `dir`), else the first of that name in the `PATH` of `env` that may be
/// executed.
pub(super) fn look_up(name: &OsStr, env: &Environment, dir: &Path) -> Result<PathBuf, StartFailure> {
    let failure = |message: String| StartFailure { message, port: false, transient: false };
    let shown = name.to_string_lossy();
    if shown.contains('/') {
        let path = dir.join(name);
        return if path.exists() { Ok(path) } else { Err(failure(format!("no such file: `{}`", path.display()))) };
    }
    let path = env.get("PATH").unwrap_or_default();
    let found = std::env::split_paths(path).map(|folder| dir.join(folder).join(name)).find(|file| may_run(file));
    found.ok_or_else(|| failure(format!("`{shown}` is not in PATH ({})", path.to_string_lossy())))
}

fn may_run(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A failed start in words; running out of processes, descriptors or memory may pass.
pub(super) fn failure(what: &str, error: &io::Error) -> StartFailure {
    let words = error.raw_os_error().map_or_else(|| error.to_string(), fd::errno_words);
    let more = match error.raw_os_error() {
        Some(libc::EAGAIN) => "; the limit of processes is reached: `ulimit -u`, or `pids.max` of its cgroup",
        _ => "",
    };
    StartFailure { message: format!("{what}: {words}{more}"), port: false, transient: fd::is_exhaustion(error) }
}
