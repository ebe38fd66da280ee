//! Commands around a run or a build: by argv, no shell, in its folder and environment. What they print goes into the log beside it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::spawn::{failure, look_up};
use crate::logs::record::{MAX_PAYLOAD, Stream};
use crate::logs::writer::{Place, Writer};
use crate::sys::child;
use crate::task::environment::Environment;

/// Of what a hook prints, so much is kept.
const MOST: u64 = 1024 * 1024;

/// Where hooks run and where their words go.
pub(in crate::worker) struct Hooks<'a> {
    pub(in crate::worker) dir: &'a Path,
    pub(in crate::worker) env: &'a Environment,
    /// `RLIMIT_NOFILE` of whoever asked, soft and hard.
    pub(in crate::worker) nofile: Option<(u64, u64)>,
    /// `.orchestra`.
    pub(in crate::worker) dot: &'a Path,
    /// The folder of the segments, relative to `dot`. Nobody else writes there meanwhile.
    pub(in crate::worker) logs: PathBuf,
    pub(in crate::worker) keep: u64,
    pub(in crate::worker) run: u64,
}

/// Why a hook failed.
pub(in crate::worker) struct HookFailure {
    /// One sentence.
    pub(in crate::worker) message: String,
    /// It could not even be started, for want of processes, memory or descriptors: later it may work.
    pub(in crate::worker) transient: bool,
}

impl From<String> for HookFailure {
    fn from(message: String) -> HookFailure {
        HookFailure { message, transient: false }
    }
}

impl Hooks<'_> {
    /// Runs each in turn; the first failure ends it.
    pub(in crate::worker) async fn run(
        &self,
        commands: &[Vec<String>],
        limit: Option<Duration>,
    ) -> Result<(), HookFailure> {
        for command in commands {
            self.one(command, limit).await?;
        }
        Ok(())
    }

    async fn one(&self, command: &[String], limit: Option<Duration>) -> Result<(), HookFailure> {
        let Some((name, args)) = command.split_first() else { return Ok(()) };
        let shown = command.join(" ");
        let program =
            look_up(name.as_ref(), self.env, self.dir).map_err(|failure| format!("`{shown}`: {}", failure.message))?;
        let mut command = Command::new(program);
        child::with_limit(command.as_std_mut(), self.nofile);
        let mut child = command
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // A group of its own, so that it can be ended with all it started.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let failure = failure(&format!("`{shown}`"), &error);
                HookFailure { message: failure.message, transient: failure.transient }
            })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut group = Group(child.id().and_then(|pid| i32::try_from(pid).ok()));
        let work = async {
            let (out, err) = tokio::join!(read(stdout), read(stderr));
            let status = child.wait().await;
            group.0 = None;
            (out, err, status)
        };
        let ended = match limit {
            Some(limit) => {
                timeout(limit, work).await.map_err(|_| format!("`{shown}` took longer than {} s", limit.as_secs()))?
            }
            None => work.await,
        };
        let (out, err, status) = ended;
        self.log(&[(Stream::Stdout, &out), (Stream::Stderr, &err)]);
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{shown}` failed ({status}){}", last_line(&err, &out)).into()),
            Err(error) => Err(format!("`{shown}`: {error}").into()),
        }
    }

    /// A log that cannot be written must not keep a service from starting: its own lines will say so.
    fn log(&self, streams: &[(Stream, &[u8])]) {
        if streams.iter().all(|(_, bytes)| bytes.is_empty()) {
            return;
        }
        let place = Place { dot: self.dot.to_owned(), folder: self.logs.clone(), keep: self.keep, run: self.run };
        let Ok(mut writer) = Writer::open(place) else { return };
        writer.tick();
        for (stream, bytes) in streams {
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let pieces = line.len().div_ceil(MAX_PAYLOAD);
                line.chunks(MAX_PAYLOAD)
                    .enumerate()
                    .for_each(|(n, piece)| writer.append(*stream, n + 1 == pieces, piece));
            }
        }
        writer.flush();
    }
}

/// The group of a hook that nobody has reaped: whoever gives the hook up ends all of it.
struct Group(Option<i32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            child::signal_group(leader, libc::SIGKILL);
        }
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(from) = from {
        let mut limited = from.take(MOST);
        // What was read before an error is still worth showing.
        drop(limited.read_to_end(&mut out).await);
        // The rest is read and thrown away, so that the hook is not held up.
        drop(tokio::io::copy(&mut limited.into_inner(), &mut tokio::io::sink()).await);
    }
    out
}

fn last_line(err: &[u8], out: &[u8]) -> String {
    let text = String::from_utf8_lossy(if err.is_empty() { out } else { err }).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(what: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_hook_that_is_given_up_ends_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let env: Environment = [("PATH".into(), std::env::var_os("PATH").unwrap())].into_iter().collect();
        let (logs, dot) = (PathBuf::from("logs"), dir.path());
        let hooks = Hooks { dir: dir.path(), env: &env, nofile: None, dot, logs, keep: 1 << 20, run: 1 };
        let script = format!("sleep 1000 & echo $! > {}.new; mv {0}.new {0}; wait", file.display());
        let commands = [["/bin/sh", "-c", &script].map(str::to_owned).to_vec()];
        tokio::select! {
            _ = hooks.run(&commands, None) => panic!("it goes on"),
            () = until(|| file.exists()) => {}
        }
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // Gone, or a zombie that nobody has reaped yet.
        until(|| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"))).await;
    }
}
