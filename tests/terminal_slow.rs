//! `orchestra` on a terminal that does not read.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Stdio;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

/// Whether the terminal takes nothing more.
fn is_full(slave: &File) -> bool {
    let mut fds = [PollFd::new(slave.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 0
}

#[test]
fn a_terminal_that_reads_nothing_holds_nobody_up() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "1ms"], "");
    fleet.orchestra(&["start"]).ok();
    let size = Winsize { ws_row: 48, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
    let slave = File::from(slave);
    let stream = || Stdio::from(slave.try_clone().unwrap());
    let mut command = fleet.command(&[]);
    let mut dashboard = command.stdin(stream()).stdout(stream()).stderr(stream()).env("TERM", "xterm").spawn().unwrap();
    eventually("the terminal is full", || is_full(&slave).then_some(()));
    kill(Pid::from_raw(i32::try_from(dashboard.id()).unwrap()), Signal::SIGTERM).unwrap();
    let ended = eventually("the dashboard ends", || dashboard.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    assert_eq!(fleet.instance("api.1")["state"], "ready");
    drop(master);
}
