//! Where the kernel does not tell of edits: its limit of watches is reached.

use std::process::Command;
use std::time::Duration;

use super::stage::{Stage, Web};
use super::{record, repeat, spread};
use crate::support::eventually;
use crate::support::output::Running;

/// The command in a user namespace of its own, where so many watches are allowed; why not, where the machine does not allow that.
fn with_watches(command: &Command, most: u32) -> Result<Command, String> {
    let script = format!("echo {most} >/proc/sys/user/max_inotify_watches && exec \"$@\"");
    let unshare = |program: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["-U", "--map-root-user", "sh", "-c", &script, "sh"]).args(program);
        unshare
    };
    let tried = unshare(&["true"]).output().map_err(|error| format!("unshare: {error}"))?;
    if !tried.status.success() {
        return Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned());
    }
    let mut wrapped = unshare(&[command.get_program().to_str().unwrap()]);
    wrapped
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    wrapped.current_dir(command.get_current_dir().unwrap());
    Ok(wrapped)
}

#[test]
fn when_watches_run_out() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: its services could not be stopped from outside");
        return;
    }
    let stage = Stage::new();
    let api = stage.web("api", "");
    api.write("lib/lib.go", "package lib\n\nconst Text = \"first\"\n");
    let command = match with_watches(&stage.command(&["start", "--rerun"]), 2) {
        Ok(command) => command,
        Err(error) => return eprintln!("no limit of watches of our own here: {error}"),
    };
    Running::start(command).wait(Duration::from_secs(120)).ok();
    let trouble = || Some(stage.fleet.ps()["supervisor"]["trouble"].as_str()?.to_owned());
    eventually("a warning", || trouble().filter(|trouble| trouble.contains("max_user_watches")));
    let past = api.past();
    let swaps = repeat(2, |_| polled(&stage, &api));
    stage.rest();
    assert_eq!(api.builds_since(&past).len(), swaps.len());
    record(
        21,
        swaps.len(),
        &format!("2 watches allowed: a warning with what to type, and polling: save → serving {}", spread(swaps)),
    );
}

/// A save in place, found by looking.
fn polled(stage: &Stage, api: &Web<'_>) -> Duration {
    let (past, version) = (api.past(), stage.next_version());
    api.save(&version);
    let took = api.until_answered(&version);
    api.did(&past, 1, &[&version]);
    took
}
