//! How large the terminal is, and programs that are kept away from it.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// Has a program run in a session of its own: it can neither read this terminal nor write to it, and gets none of its signals. Its three streams are the
/// caller's to choose. Starting it fails where the session cannot be made.
pub fn keep_away(command: &mut Command) -> &mut Command {
    #[expect(unsafe_code, reason = "a session is made between fork and exec")]
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| Ok(nix::unistd::setsid().map(drop)?))
    }
}
