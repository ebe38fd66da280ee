//! Starts shims: each gets one end of a socket, over which it gets its spec, its orders, and tells what happens.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::super::StartFailure;
use crate::shim::spec::ShimSpec;
use crate::shim::template::TITLE;
use crate::sys::pass;
use crate::task::environment::Environment;

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

    /// Starts a shim, gives it its spec, and returns the way to it. Its end, and a start that fails, come on that way.
    pub(super) fn spawn(&self, spec: &ShimSpec) -> io::Result<UnixStream> {
        let bytes = spec.encode()?;
        let (mut ours, theirs) = UnixStream::pair()?;
        self.ask(&spec.slot, &theirs)?;
        drop(theirs);
        ours.write_all(&bytes)?;
        ours.set_nonblocking(true)?;
        Ok(ours)
    }

    fn ask(&self, slot: &str, control: &UnixStream) -> io::Result<()> {
        let title = slot.as_bytes();
        let title = &title[..title.len().min(TITLE)];
        let mut place = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = &mut *place {
            match pass::send(&template.requests, title, control) {
                Ok(()) => return Ok(()),
                // Somebody killed it: a new one takes its place.
                Err(_) => template.end(),
            }
        }
        let template = place.insert(Template::start(&self.program)?);
        pass::send(&template.requests, title, control)
    }
}

impl Template {
    /// No descriptor but the standard ones is inherited: all of ours close at exec.
    fn start(program: &Path) -> io::Result<Template> {
        let (requests, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg0("orchestra")
            .arg("__shims")
            // Room for the name of its slot in each shim's copy, for people who look at a process list.
            .arg(" ".repeat(TITLE))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Template { child, requests })
    }

    fn end(&mut self) {
        // It is dead already, or not any more; either way it shall leave no zombie.
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or(());
    }
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
    let transient = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE));
    StartFailure { message: format!("{what}: {error}"), port: false, transient }
}
