//! How large the terminal is, whose it is, and programs that are kept away from it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The columns of the terminal that `fd` is; `None` where it is none or does not say.
pub fn columns(fd: impl AsFd) -> Option<usize> {
    size(fd).map(|(columns, _)| usize::from(columns))
}

/// The columns and rows of the terminal that `fd` is; `None` where it is none or does not say.
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    #[expect(
        unsafe_code,
        reason = "no safe wrapper asks for the window's size; the kernel fills the struct it is given"
    )]
    let got = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (got == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Tells the runtime to notice when there is something to read. The terminal stays as it is: who reads must have asked whether there is something.
pub fn watched(terminal: impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    let own = terminal.as_fd().try_clone_to_owned()?;
    #[expect(unsafe_code, reason = "the runtime keeps the number of a descriptor")]
    // SAFETY: an `OwnedFd` of which nobody else knows is open, and the same, until it is dropped with what holds it.
    let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
    Ok(watched?)
}

/// Whether the terminal that `fd` is listens to our process group: in the background, it is another job's.
pub fn is_ours(fd: impl AsFd) -> bool {
    nix::unistd::tcgetpgrp(fd) == Ok(nix::unistd::getpgrp())
}

/// Has a program run in a session of its own: it can neither read this terminal nor write to it, and gets none of its signals. Its three streams are the
/// caller's to choose. Starting it fails where the session cannot be made.
pub fn keep_away(command: &mut Command) -> &mut Command {
    #[expect(unsafe_code, reason = "a session is made between fork and exec")]
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?))
    }
}
