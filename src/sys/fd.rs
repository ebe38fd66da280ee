//! Descriptors, the two clocks, and memory that can be given back: what a loop without allocation needs.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::time::{ClockId, clock_gettime};

/// Anonymous memory straight from the kernel: untouched pages cost nothing, and touched ones can be given back.
#[derive(Debug)]
pub struct Pages {
    at: NonNull<u8>,
    len: usize,
}

impl Pages {
    /// Maps `len` zeroed bytes.
    #[expect(unsafe_code, reason = "mmap has no safe wrapper here")]
    pub fn new(len: usize) -> io::Result<Pages> {
        let len = len.max(1);
        // SAFETY: a new anonymous mapping; its result is checked before use.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast()).map(|at| Pages { at, len }).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Gives the memory back; the content is lost, the pages come back zeroed (Linux) or as they were (macOS).
    #[expect(unsafe_code, reason = "madvise has no safe wrapper here")]
    pub fn release(&mut self) {
        // SAFETY: the range is our own private mapping, and no reference into it is alive while `self` is borrowed mutably.
        // A failure only means that the memory stays.
        unsafe { libc::madvise(self.at.as_ptr().cast(), self.len, super::os::MADVISE_RELEASE) };
    }
}

#[expect(unsafe_code, reason = "a view of our own mapping")]
impl Deref for Pages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is ours, initialised by the kernel and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

#[expect(unsafe_code, reason = "a view of our own mapping")]
impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

#[expect(unsafe_code, reason = "unmaps our own mapping")]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: nobody borrows the mapping any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

#[expect(unsafe_code, reason = "the mapping has one owner and no thread affinity")]
// SAFETY: see the reason.
unsafe impl Send for Pages {}

/// Microseconds since 1970.
pub fn wall_us() -> i64 {
    match clock_gettime(ClockId::CLOCK_REALTIME) {
        Ok(now) => now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000,
        Err(_) => 0,
    }
}

/// Nanoseconds on a clock that never jumps.
pub fn mono_ns() -> u64 {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(now) => now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64,
        Err(_) => 0,
    }
}

/// Reads and writes of this descriptor no longer wait.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The descriptor is not inherited by programs we start.
pub fn set_cloexec(fd: impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Reads once, again when a signal came first.
pub fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(fd, into) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(n) => return Ok(n),
        }
    }
}

/// A pseudo-terminal that passes output on byte for byte: the master, and the slave for the program.
pub fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let size = libc::winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = nix::pty::openpty(Some(&size), None)?;
    set_cloexec(&pair.master)?;
    set_cloexec(&pair.slave)?;
    let mut settings = tcgetattr(&pair.slave)?;
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &settings)?;
    Ok((pair.master, pair.slave))
}

/// What the file system of `fd` has left before its last twentieth: bytes, 0 when that is reached already, `None` where it does not say.
pub fn headroom(fd: BorrowedFd<'_>) -> Option<u64> {
    let stat = nix::sys::statvfs::fstatvfs(fd).ok()?;
    let unit = stat.fragment_size().max(1) as u64;
    let total = (stat.blocks() as u64).checked_mul(unit)?;
    if total == 0 {
        return None;
    }
    let free = (stat.blocks_available() as u64).saturating_mul(unit);
    Some(free.saturating_sub(total / 20))
}

/// As many descriptors as a process like ours can ever need.
const MOST: u64 = 1 << 20;
/// So many are kept for answering, saving and looking while all others are taken.
const RESERVE: u64 = 12;

/// Raises our limit of open files as far as the system lets us; what we start gets a limit of its own.
pub fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(MOST);
        // Without it only large fleets notice, and are told.
        if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() {}
    }
}

/// Refuses a descriptor with EMFILE where it is one of the last that we may have: the kernel gives the lowest number that is free, so a high one
/// means that nearly all are taken. A process that gave away the last ones could not even say so.
pub fn not_one_of_the_last(fd: &impl AsRawFd) -> io::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    match fd.as_raw_fd() as u64 + RESERVE >= limit {
        true => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        false => Ok(()),
    }
}

/// Whether something failed only because descriptors, memory or processes ran out: later it may work.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN | libc::ENOBUFS | libc::ENOSPC | libc::EDQUOT)
    )
}

/// Moves standard input away to a descriptor above 2 and puts `/dev/null` in its place.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let taken = own(fcntl(io::stdin().as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3))?);
    nix::unistd::dup2_stdin(&null)?;
    Ok(taken)
}

/// The first and only owner of a descriptor the kernel has just made for us.
#[expect(unsafe_code, reason = "a raw descriptor gets its owner")]
pub(super) fn own(raw: i32) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: callers pass a descriptor they just received from the kernel and nobody else knows.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// The number of a descriptor, for paths like `/proc/self/fd/N`.
pub fn number(fd: &impl AsRawFd) -> i32 {
    fd.as_raw_fd()
}

/// The words of an errno as they read inside a sentence: `permission denied`.
pub fn errno_words(errno: i32) -> String {
    let words = match errno {
        // "Try again" is no reason, and the same for a fork that found no room.
        libc::EAGAIN => "resource temporarily unavailable",
        _ => nix::errno::Errno::from_raw(errno).desc(),
    };
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_lowercase().to_string() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_empty() {
        let mut pages = Pages::new(10_000).unwrap();
        pages[9_999] = 7;
        pages.release();
        assert_eq!(pages.len(), 10_000);
        if cfg!(target_os = "linux") {
            assert_eq!(pages[9_999], 0);
        }
    }

    #[test]
    fn errno_reads_inside_a_sentence() {
        assert_eq!(errno_words(libc::EACCES), "permission denied");
        assert_eq!(errno_words(libc::EAGAIN), "resource temporarily unavailable");
    }
}
