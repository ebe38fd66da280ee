//! Starts the supervisor in the background, and tells its starter through a pipe when it answers.
//!
//! The starter runs `orchestra __supervisor ROOT` with a pipe as its standard output. The supervisor writes one line, [`Handshake`], and lets go
//! of the pipe; when the pipe ends without a line, what the supervisor said is in its log. A shim that lost its supervisor starts one the same way
//! and does not listen.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, BufReader};

use super::wire::Failure;
use crate::error::{Context, Error};
use crate::sys::folder::Folder;
use crate::sys::home::Home;
use crate::sys::process::MARKER;

/// The hidden command.
pub const COMMAND: &str = "__supervisor";
const LOG: &str = "supervisor.log";
/// More than any handshake.
const LONGEST: u64 = 1024 * 1024;

/// What a new supervisor tells its starter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// It answers on the socket.
    Ready {
        /// Its pid.
        pid: u32,
    },
    /// Another supervisor holds the project's lock: ask that one.
    Held {
        /// Its pid, as a hint.
        pid: Option<u32>,
    },
    /// It could not begin.
    Failed(Failure),
}

/// How a supervisor is started.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// What stands before the root; tests put something else here.
    pub args: Vec<String>,
}

impl Launcher {
    /// Starts the program that runs, even when its file was replaced meanwhile.
    pub fn ourselves() -> Result<Launcher, Error> {
        let program = std::env::current_exe().context("find", Path::new("the program that runs"))?;
        let program = if program.exists() { program } else { PathBuf::from("/proc/self/exe") };
        Ok(Launcher { program, args: vec![COMMAND.to_owned()] })
    }

    /// Starts a supervisor and waits until it answers or says why not. No descriptor of ours goes with it.
    pub async fn launch(&self, home: &Home) -> Result<Handshake, Error> {
        let mut child = self.command(home)?.spawn().context("run", &self.program)?;
        let pipe = child.stdout.take().ok_or_else(|| Error::failed("the supervisor has no pipe to answer on"))?;
        let pipe = tokio::process::ChildStdout::from_std(pipe).context("read from", &self.program)?;
        let mut said = String::new();
        BufReader::new(pipe).take(LONGEST).read_to_string(&mut said).await.context("read from", &self.program)?;
        // It is reaped by whoever inherits it: this command ends long before the supervisor does. One that failed is reaped here, so that a caller
        // which lives on keeps no zombie; a caller that reaps all of its children may have done so already.
        let ended = child.try_wait().unwrap_or(None);
        match said.lines().next().map(serde_json::from_str) {
            Some(Ok(handshake)) => Ok(handshake),
            Some(Err(_)) | None => {
                let how = ended.map_or_else(String::new, |status| format!(" ({status})"));
                Err(Error::failed(format!("the supervisor did not start{how}"))
                    .hint(format!("read what it said: {}", home.relative(&log(home)).display())))
            }
        }
    }

    fn command(&self, home: &Home) -> Result<Command, Error> {
        home.open()?;
        // Where it cannot be written the supervisor itself will say what is wrong.
        let log = Folder::beneath(&home.dot, Path::new("state")).and_then(|folder| folder.append(LOG));
        let log = log.map_or_else(|_| Stdio::null(), Stdio::from);
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(&home.root).current_dir(&home.root);
        // Typed in a shell that a service opened, it must not pass for that service.
        command.env_remove(MARKER);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Ok(command)
    }
}

/// Where the supervisor's own words go.
pub fn log(home: &Home) -> PathBuf {
    home.state().join(LOG)
}

/// The first thing the supervisor does: a session of its own, and none of its starter's descriptors but the three standard ones. Must run before
/// any other thread or runtime exists.
pub fn detach() -> Result<(), Error> {
    // Fails only for the leader of a group, which has what it needs when it was started by hand with job control.
    if nix::unistd::setsid().is_err() {
        nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0)).unwrap_or(());
    }
    let listed = Path::new("/dev/fd");
    let open: Vec<i32> = std::fs::read_dir(listed)
        .context("list", listed)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // One of them was the listing itself, which is closed already.
        nix::unistd::close(fd).unwrap_or(());
    }
    Ok(())
}

/// Tells the starter, and lets go of its pipe.
pub fn report(handshake: &Handshake) -> Result<(), Error> {
    let mut line =
        serde_json::to_vec(handshake).map_err(|e| Error::failed("cannot write the handshake").because(&e))?;
    line.push(b'\n');
    let written = io::Write::write_all(&mut io::stdout(), &line).and_then(|()| io::Write::flush(&mut io::stdout()));
    let null = Path::new("/dev/null");
    let file = OpenOptions::new().write(true).open(null).context("open", null)?;
    nix::unistd::dup2_stdout(&file).context("replace", Path::new("the standard output"))?;
    match written {
        // A starter that went away does not need to know.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Ok(Err(e).context("write to", Path::new("the starter's pipe"))?)
        }
        _ => Ok(()),
    }
}
