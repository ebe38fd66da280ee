//! Starts shims: each gets one end of a socket, over which it gets its spec, its orders, and tells what happens.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::StartFailure;
use crate::shim::spec::ShimSpec;
use crate::shim::template::{self, TITLE};
use crate::sys::process::MARKER;
use crate::sys::{fd, os, pass};
use crate::task::environment::Environment;

/// A template answers, and a shim reads its spec, within a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shim that was just started, and the way to it. Its end comes on that way; it is nobody's here to reap.
pub(super) struct Shim {
    pub(super) pid: u32,
    /// With the pid it names the shim for sure.
    pub(super) start_time: Option<u64>,
    pub(super) socket: UnixStream,
}

/// Starts shims by way of a template process, which lives as long as this does.
pub(super) struct Spawner {
    /// The program that runs.
    program: PathBuf,
    template: Mutex<Option<Template>>,
}

struct Template {
    child: Child,
    requests: UnixStream,
}

impl Spawner {
    /// Starts shims of `program`. A template that cannot be made now is tried again with the first shim.
    pub(super) fn new(program: PathBuf) -> Spawner {
        let template = Mutex::new(Template::start(&program).ok());
        Spawner { program, template }
    }

    /// Starts a shim and gives it its spec.
    pub(super) fn spawn(&self, spec: &ShimSpec) -> io::Result<Shim> {
        let bytes = spec.encode()?;
        let (pid, mut socket) = self.ask(&spec.slot)?;
        let start_time = os::start_time(pid).ok();
        // A shim that is stopped before it has read all must hold up nobody; it ends by itself when it goes on and nobody is there. That it can be
        // written to says that it lived until now, so the time above was its own.
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.write_all(&bytes)?;
        socket.set_nonblocking(true)?;
        Ok(Shim { pid, start_time, socket })
    }

    /// A shim that waits for its spec. Where the template was killed or is stopped, another one takes its place; a shim that the first one may have
    /// made finds its socket closed and ends.
    fn ask(&self, slot: &str) -> io::Result<(u32, UnixStream)> {
        let mut place = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = &*place {
            let (ours, theirs) = pair()?;
            if let Ok(made) = template.ask(slot, &theirs) {
                return made.map(|pid| (pid, ours));
            }
        }
        *place = None;
        let (ours, theirs) = pair()?;
        let made = place.insert(Template::start(&self.program)?).ask(slot, &theirs)?;
        made.map(|pid| (pid, ours))
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    fd::not_one_of_the_last(&theirs)?;
    Ok((ours, theirs))
}

impl Template {
    /// No descriptor but the standard ones is inherited: all of ours close at exec.
    fn start(program: &Path) -> io::Result<Template> {
        let (requests, theirs) = UnixStream::pair()?;
        requests.set_read_timeout(Some(PATIENCE))?;
        requests.set_write_timeout(Some(PATIENCE))?;
        let child = Command::new(program)
            .arg0("orchestra")
            .arg("__shims")
            // Room for the name of its slot in each shim's copy, for people who look at a process list.
            .arg(" ".repeat(TITLE))
            .env_remove(MARKER)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Template { child, requests })
    }

    /// Asks for a shim at the other end of `theirs`: its pid, or why it could not be made. An error of the outer kind is one of the template's.
    fn ask(&self, slot: &str, theirs: &UnixStream) -> io::Result<io::Result<u32>> {
        let title = slot.as_bytes();
        pass::send(&self.requests, &title[..title.len().min(TITLE)], theirs)?;
        let mut answer = [0; template::ANSWER];
        (&self.requests).read_exact(&mut answer)?;
        Ok(template::read_answer(answer))
    }
}

impl Drop for Template {
    /// Its shims live on. Nothing of it is left once we say that all has ended, and no zombie.
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or(());
    }
}

/// The file that `name` means: itself where it holds a slash (relative to `dir`), else the first of that name in the `PATH` of `env` that may be
/// executed.
pub(super) fn look_up(name: &OsStr, env: &Environment, dir: &Path) -> Result<PathBuf, StartFailure> {
    let failure = |message: String| StartFailure { message, port: false, transient: false, absent: false };
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
        Some(libc::EMFILE) => {
            "; the supervisor may open no more files: raise its hard limit (`ulimit -Hn`) and start it anew"
        }
        Some(libc::EAGAIN) => "; the limit of processes is reached: `ulimit -u`, or `pids.max` of its cgroup",
        _ => "",
    };
    StartFailure {
        message: format!("{what}: {words}{more}"),
        port: false,
        transient: fd::is_exhaustion(error),
        absent: false,
    }
}
