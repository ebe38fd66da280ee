//! How large the terminal is.

use std::os::fd::{AsFd, AsRawFd};

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
