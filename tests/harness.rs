//! The tests' own ground: ports are handed out once, and a process that is left over is found and ended.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::output::stable;
use crate::support::{leaks, ports};

#[test]
fn ports_are_handed_out_once() {
    let blocks: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| [ports::block(), ports::block()])).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(blocks.iter().collect::<BTreeSet<_>>().len(), blocks.len(), "{blocks:?}");
}

#[test]
fn what_is_left_over_is_found_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = |command: &mut Command| command.args(["1000"]).stdin(Stdio::null()).spawn().unwrap();
    let mut by_environment = spawn(Command::new("sleep").env("HOME", dir.path()));
    let mut by_folder = spawn(Command::new("sleep").current_dir(dir.path()));
    let mut stranger = spawn(&mut Command::new("sleep"));
    let found: BTreeSet<i32> = leaks::processes(dir.path()).iter().map(|p| p.pid).collect();
    assert_eq!(found, [by_environment.id() as i32, by_folder.id() as i32].into());
    assert_eq!(leaks::sweep(dir.path(), Duration::ZERO).len(), 2);
    assert!(!by_environment.wait().unwrap().success() && !by_folder.wait().unwrap().success());
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn what_differs_in_every_run_is_hidden() {
    let text = "2026-01-02T03:04:05.678Z api pid 812 up 5.2s, 3m 4s ago, 12.5 MiB in /tmp/x";
    assert_eq!(stable(text, &[("/tmp/x", "[root]")]), "[time] api pid [pid] up [took], [took] ago, [size] in [root]");
}
