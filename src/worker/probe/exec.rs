//! A probe that is a program: it must exit 0 in time; else it and its whole group are killed.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use super::ask::Answer;
use crate::sys::{child, fd};
use crate::task::spec::RunSpec;

/// Runs `argv` in the run's folder and environment.
pub(in crate::worker) async fn ask(argv: &[String], spec: &RunSpec, within: Duration) -> Answer {
    let Some((program, args)) = argv.split_first() else { return Answer::No("`exec` names no program".to_owned()) };
    let mut command = Command::new(program);
    command.args(args).current_dir(&spec.dir).env_clear().envs(spec.env.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    child::with_limit(command.as_std_mut(), spec.caller.nofile);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            let words = e.raw_os_error().map_or_else(|| e.to_string(), fd::errno_words);
            let words = format!("`{program}` cannot be run: {words}");
            return if fd::is_exhaustion(&e) { Answer::Unasked(words) } else { Answer::No(words) };
        }
    };
    let mut group = Group(child.id());
    match timeout(within, child.wait()).await {
        Ok(Ok(status)) => {
            // The leader is reaped, so its number may mean somebody else from here on.
            group.0 = None;
            if status.success() { Answer::Yes } else { Answer::No(format!("`{}` ended with {status}", argv.join(" "))) }
        }
        Ok(Err(e)) => Answer::No(format!("`{program}` cannot be waited for: {e}")),
        Err(_) => {
            drop(group);
            // Reaps what was just killed; it cannot take long, and if it fails tokio reaps it later.
            _ = child.wait().await;
            Answer::No(format!("`{}` did not end within {within:?}", argv.join(" ")))
        }
    }
}

/// Kills the group when the probe is given up, at its timeout or because the run ended.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Its leader is not reaped, so the number is still its own; ESRCH means it is empty already.
            _ = killpg(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
    }
}
