//! What only Linux does this way. `macos.rs` exports the same names.

use std::ffi::{OsStr, c_char};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Opens a page in the user's browser.
pub const BROWSER: &str = "xdg-open";

/// One more than the highest signal number.
pub const SIGNALS: i32 = 65;
/// For a lock's file: what cleans `/tmp` of old files leaves those with this bit, which means nothing else on a file, alone.
pub const LOCK_MODE: u32 = 0o1600;
/// Gives pages back at once.
pub const MADVISE_RELEASE: i32 = libc::MADV_DONTNEED;

/// Differs after each start of the machine.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When a process started, in a unit of its own; with the pid and the boot it names a process nearly for sure.
pub fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    stat_field(&stat, 22).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Now, on the clock of [`start_time`].
pub fn start_clock() -> u64 {
    let hertz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u64;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |now| now.tv_sec() as u64 * hertz + now.tv_nsec() as u64 * hertz / 1_000_000_000)
}

/// A numbered field of `/proc/PID/stat` from 3 on; the second, the name, may hold anything, `)` and newlines too.
fn stat_field(stat: &[u8], number: usize) -> Option<u64> {
    let after = memchr::memrchr(b')', stat)? + 2;
    let field = stat.get(after..)?.split(|b| *b == b' ').nth(number.checked_sub(3)?)?;
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// Device and inode of the file a process executes.
pub fn exe_inode(pid: u32) -> io::Result<(u64, u64)> {
    let exe = fs::metadata(format!("/proc/{pid}/exe"))?;
    Ok((exe.dev(), exe.ino()))
}

/// The file a process executes; ` (deleted)` stands after one that was replaced.
pub fn exe_path(pid: u32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe"))
}

/// The real user of a process.
pub fn owner(pid: u32) -> io::Result<u32> {
    let status = fs::read(format!("/proc/{pid}/status"))?;
    let line = status.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Uid:"));
    let uid = line.and_then(|line| std::str::from_utf8(line).ok()?.split_whitespace().next()?.parse().ok());
    uid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Whether a process has a controlling terminal. True where we may not look.
pub fn has_terminal(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok();
    stat.and_then(|stat| stat_field(&stat, 7)).is_none_or(|terminal| terminal != 0)
}

/// Whether the folder a process works in was removed.
pub fn works_in_removed_folder(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}/cwd")).is_ok_and(|meta| meta.nlink() == 0)
}

/// Who is at the other end of a socket.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?.uid())
}

/// Which process listens at the other end of a socket.
pub fn peer_pid(stream: &UnixStream) -> io::Result<u32> {
    let pid = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?.pid();
    u32::try_from(pid).map_err(io::Error::other)
}

/// Bytes written to a socket that its peer has not read yet.
#[expect(unsafe_code, reason = "this ioctl has no wrapper")]
pub fn unread(stream: &UnixStream) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int (SIOCOUTQ, unix(7)); the descriptor is open.
    let done = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// The running program, to be started once more: also after its file was replaced.
pub fn own_program() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// The running program, held open.
pub fn open_own_program() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    Ok(fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/proc/self/exe")?.into())
}

/// Executes an open program with our environment; returns only on failure.
///
/// # Safety
/// `argv` is a null-terminated list of C strings.
#[expect(unsafe_code, reason = "execveat has no wrapper")]
pub unsafe fn exec_open(program: &OwnedFd, argv: *const *const c_char) {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: the pointers are null-terminated lists of C strings.
    unsafe { libc::syscall(libc::SYS_execveat, program.as_raw_fd(), c"".as_ptr(), argv, environ, libc::AT_EMPTY_PATH) };
}

/// How process lists name us; without it a program started through `/proc/self/exe` is called `exe`. At most 15 bytes count.
pub fn set_process_name(name: &std::ffi::CStr) {
    // A name is for people only: nothing depends on it.
    _ = nix::sys::prctl::set_name(name);
}

/// The memory that holds our arguments, which is what process lists show. To be looked for before anything else writes there.
#[derive(Clone, Copy, Debug)]
pub struct Title {
    at: usize,
    len: usize,
}

impl Title {
    /// Where it is. Not finding it only leaves the arguments as they are.
    pub fn find() -> Title {
        let stat = fs::read("/proc/self/stat").unwrap_or_default();
        let field = |number| stat_field(&stat, number).and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let (at, end) = (field(48), field(49));
        Title { at, len: end.saturating_sub(at) }
    }

    /// Shows these arguments, as many bytes as there were at the start.
    #[expect(unsafe_code, reason = "the arguments lie in memory that nobody else names")]
    pub fn set(&self, words: &[&str]) {
        if self.at == 0 || self.len == 0 {
            return;
        }
        // SAFETY: the kernel says that our arguments lie there, writable, for as long as we live; nobody reads them at the same time, as there is
        // one thread. They end with NUL before and after, so whoever has pointers into them finds strings that end.
        let area = unsafe { std::slice::from_raw_parts_mut(self.at as *mut u8, self.len) };
        area.fill(0);
        let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
        area[..self.len - 1].iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    }
}

/// Forks a process whose parent is ours, not us: it must not count as a descendant of the service, and we must not cease to be a subreaper for a
/// moment, in which a daemon of the service could slip away.
///
/// # Safety
/// As fork: the process has one thread, and the child only makes system calls until it execs or ends.
#[expect(unsafe_code, reason = "clone has no wrapper")]
pub unsafe fn fork_sibling() -> i32 {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: as the caller promises; without a stack of its own the child goes on on a copy of ours.
    unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) as i32 }
}

/// Whether orphaned descendants become our children.
#[expect(unsafe_code, reason = "prctl")]
pub fn be_subreaper(yes: bool) {
    // SAFETY: a plain system call; a kernel without it leaves us with the marker sweep.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, libc::c_ulong::from(yes), 0, 0, 0) };
}

/// In a child: be killed when the parent dies. Safe only under a parent with one thread, and to be followed by a look at the parent.
#[expect(unsafe_code, reason = "prctl")]
pub fn die_with_parent() {
    // SAFETY: a plain system call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
}

/// In a child: the kernel shall prefer it to its parent when memory runs out.
#[expect(unsafe_code, reason = "between fork and exec nothing may allocate")]
pub fn offer_to_oom_killer() {
    // SAFETY: plain system calls on a descriptor of our own. A refusal changes nothing but the preference.
    unsafe {
        let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if fd < 0 {
            return;
        }
        let mut text = [0_u8; 16];
        let n = libc::read(fd, text.as_mut_ptr().cast(), text.len()).max(0) as usize;
        let now: i32 = std::str::from_utf8(&text[..n]).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0);
        let mut out = [0_u8; 16];
        let mut rest = &mut out[..];
        if io::Write::write_fmt(&mut rest, format_args!("{}", (now + 200).min(1000))).is_ok() {
            let len = 16 - rest.len();
            libc::write(fd, out.as_ptr().cast(), len);
        }
        libc::close(fd);
    }
}

/// Calls `each` with every child of ours, orphans that came to us included.
pub fn each_child(_leader: i32, each: &mut dyn FnMut(i32)) -> io::Result<()> {
    let pid = std::process::id();
    match each_child_of(pid, each) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => each_child_slowly(pid, each),
        done => done,
    }
}

/// Calls `each` with every child that the first thread of `parent` has, ended ones included. One read of a small list: no allocation, and children that
/// end or come meanwhile are found by the caller's next look.
pub fn each_child_of(parent: u32, each: &mut dyn FnMut(i32)) -> io::Result<()> {
    let mut path = [0_u8; 64];
    let mut rest = &mut path[..];
    io::Write::write_fmt(&mut rest, format_args!("/proc/{parent}/task/{parent}/children"))?;
    let len = 64 - rest.len();
    let mut file = fs::File::open(OsStr::from_bytes(&path[..len]))?;
    let mut text = [0_u8; 4096];
    let mut filled = 0;
    loop {
        let n = io::Read::read(&mut file, &mut text[filled..])?;
        filled += n;
        let end = if n == 0 { filled } else { text[..filled].iter().rposition(|b| *b == b' ').map_or(0, |at| at + 1) };
        for word in text[..end].split(|b| *b == b' ') {
            if let Some(pid) = std::str::from_utf8(word).ok().and_then(|w| w.trim().parse().ok()) {
                each(pid);
            }
        }
        text.copy_within(end..filled, 0);
        filled -= end;
        if n == 0 {
            return Ok(());
        }
    }
}

/// For kernels built without the list of children.
fn each_child_slowly(parent: u32, each: &mut dyn FnMut(i32)) -> io::Result<()> {
    for pid in pids()? {
        if let Ok(stat) = fs::read(format!("/proc/{pid}/stat"))
            && stat_field(&stat, 4) == Some(u64::from(parent))
        {
            each(pid as i32);
        }
    }
    Ok(())
}

/// A pipe whose ends are not inherited by programs.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// Asks for a pipe of `size` bytes. Unprivileged users have a budget for all their pipes, so this may be refused.
pub fn resize_pipe(fd: BorrowedFd<'_>, size: i32) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETPIPE_SZ(size))?;
    Ok(())
}

/// Closes every descriptor from `first` on.
#[expect(unsafe_code, reason = "close_range has no wrapper")]
pub fn close_from(first: u32) {
    // SAFETY: called before anything of ours is open above `first`.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } < 0 {
        each_open(first, &mut |fd| {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        });
    }
}

/// No descriptor from `first` on shall be inherited.
#[expect(unsafe_code, reason = "close_range has no wrapper")]
pub fn close_on_exec_from(first: u32) {
    // SAFETY: only sets a flag. An older kernel refuses; then our own flags, set on everything we open, have to do.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

fn each_open(first: u32, each: &mut dyn FnMut(i32)) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    open.into_iter().filter(|fd| *fd >= first as i32).for_each(each);
}

/// Every process id there is.
pub fn pids() -> io::Result<Vec<u32>> {
    Ok(fs::read_dir("/proc")?.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
}

/// The parent of a process; `None` for one that has ended and is not reaped, or is not there.
pub fn parent(pid: u32) -> Option<u32> {
    let mut buffer = [0_u8; 512];
    // The name has at most 64 bytes, so what is asked for lies in the first read.
    let n = io::Read::read(&mut fs::File::open(format!("/proc/{pid}/stat")).ok()?, &mut buffer).ok()?;
    let stat = &buffer[..n];
    let state = *stat.get(memchr::memrchr(b')', stat)? + 2)?;
    let parent = stat_field(stat, 4).filter(|_| !matches!(state, b'Z' | b'X'))?;
    u32::try_from(parent).ok()
}

/// Whether the environment a process was started with holds `key=value`. False where we may not look.
pub fn environment_has(pid: u32, assignment: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == assignment))
}

/// Whether a process still runs (a zombie does not).
pub fn is_running(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.get(memchr::memrchr(b')', &stat)? + 2).copied())
        .is_some_and(|state| !matches!(state, b'Z' | b'X'))
}

/// Whether a process is stopped by a signal (SIGSTOP, SIGTSTP) or by a debugger, and so does nothing.
pub fn is_stopped(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.get(memchr::memrchr(b')', &stat)? + 2).copied())
        .is_some_and(|state| matches!(state, b'T' | b't'))
}

/// How often the kernel has killed something of our control group for want of memory.
pub fn oom_kills() -> u64 {
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let events = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("memory.events");
    let text = fs::read_to_string(events).or_else(|_| fs::read_to_string("/proc/vmstat")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

/// Whether a folder is a control group.
pub fn is_cgroup(folder: &Path) -> bool {
    use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
    statfs(folder).is_ok_and(|found| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&found.filesystem_type()))
}

/// Whether systemd has left the groups below this one to those who are in it (`Delegate=yes`); it says so in an attribute.
#[expect(unsafe_code, reason = "getxattr has no wrapper")]
pub fn is_delegated(folder: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(folder.as_os_str().as_bytes()) else { return false };
    let mut value = [0_u8; 4];
    [c"user.delegate", c"trusted.delegate"].iter().any(|name| {
        // SAFETY: both strings end with NUL, and the kernel writes at most the length given.
        let n = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        n == 1 && value[0] == b'1'
    })
}

/// Asks for the processor before all others, for a moment in which every delay makes more work. Only root gets it; nothing depends on it.
#[expect(unsafe_code, reason = "setpriority has no wrapper")]
pub fn hurry() {
    // SAFETY: a plain system call about ourselves.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
    // Where each session has an equal share, a crowd of sessions has nearly all: this is the share of ours.
    drop(fs::write("/proc/self/autogroup", "-20"));
}

/// One heap for all threads. With one each, what a thread frees is of no use to the others, and a process with a few threads that do much for a moment and
/// then rest holds twice what it needs and more with each round. Before the first thread is started.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "mallopt has no wrapper")]
    // SAFETY: takes two numbers; where it is refused all is as before.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives freed memory back to the system, for a process that had its busiest moment and lives on for days.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim has no wrapper")]
    // SAFETY: takes no pointer; whether anything could be given back does not matter.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A process held by a descriptor: what is verified after opening is what gets the signal.
#[derive(Debug)]
pub struct Held {
    fd: OwnedFd,
}

impl Held {
    /// Opens a process.
    #[expect(unsafe_code, reason = "pidfd_open has no wrapper")]
    pub fn open(pid: u32) -> io::Result<Held> {
        // SAFETY: a plain system call; the result is checked and owned.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Held { fd: super::fd::own(fd as i32) })
    }

    /// Whether it has ended, after waiting for that at most so long. A zombie has.
    pub fn has_ended(&self, patience: std::time::Duration) -> bool {
        use std::os::fd::AsFd;
        let mut asked = [nix::poll::PollFd::new(self.fd.as_fd(), nix::poll::PollFlags::POLLIN)];
        let timeout = nix::poll::PollTimeout::try_from(patience).unwrap_or(nix::poll::PollTimeout::MAX);
        nix::poll::poll(&mut asked, timeout).is_ok_and(|ready| ready > 0)
    }

    /// Signals it; ESRCH once it is gone, whoever has its number now.
    #[expect(unsafe_code, reason = "pidfd_send_signal has no wrapper")]
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a plain system call on a descriptor of our own.
        if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), signal, none, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_stat_may_hold_anything() {
        let stat = b"71 (a) R 1 (b) S 1 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 0 0";
        assert_eq!(stat_field(stat, 22), Some(123_456));
        assert_eq!(stat_field(stat, 4), Some(1));
        assert_eq!(stat_field(b"nonsense", 22), None);
    }

    #[test]
    fn knows_itself() {
        let me = std::process::id();
        assert!(start_time(me).unwrap() > 0);
        assert!(is_running(me));
        assert!(!boot_id().unwrap().is_empty());
        assert!(pids().unwrap().contains(&me));
        assert_eq!(owner(me).unwrap(), nix::unistd::getuid().as_raw());
        assert_eq!(exe_path(me).unwrap(), std::env::current_exe().unwrap());
        assert!(!works_in_removed_folder(me));
        let held = Held::open(me).unwrap();
        held.signal(0).unwrap();
        assert!(!held.has_ended(std::time::Duration::ZERO));
    }
}
