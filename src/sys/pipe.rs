//! Pipes.

use std::os::fd::AsFd;

/// Gives the pipe behind `fd` more room, so that writer and reader wait for each other less often. Anything but a pipe stays as it is.
pub fn widen(fd: &impl AsFd) {
    #[cfg(target_os = "linux")]
    {
        // It is faster with it and works without it: a quota may forbid it.
        if nix::fcntl::fcntl(fd.as_fd(), nix::fcntl::FcntlArg::F_SETPIPE_SZ(1024 * 1024)).is_err() {}
    }
    #[cfg(not(target_os = "linux"))]
    {
        fd.as_fd();
    }
}
