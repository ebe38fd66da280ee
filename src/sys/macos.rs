//! What only macOS does this way. `linux.rs` exports the same names.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Opens a page in the user's browser.
pub const BROWSER: &str = "open";

/// One more than the highest signal number.
pub const SIGNALS: i32 = 32;
/// For a lock's file.
pub const LOCK_MODE: u32 = 0o600;
/// Lets the kernel take pages back when it wants them.
pub const MADVISE_RELEASE: i32 = libc::MADV_FREE;

/// Differs after each start of the machine.
pub fn boot_id() -> io::Result<String> {
    let value = sysctl_by_name(c"kern.bootsessionuuid")?;
    Ok(String::from_utf8_lossy(value.split(|b| *b == 0).next().unwrap_or_default()).into_owned())
}

/// When a process started, in microseconds since 1970.
pub fn start_time(pid: u32) -> io::Result<u64> {
    let info = bsd_info(pid)?;
    Ok(info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec)
}

/// Now, on the clock of [`start_time`].
pub fn start_clock() -> u64 {
    super::fd::wall_us().max(0) as u64
}

/// Device and inode of the file a process executes.
pub fn exe_inode(pid: u32) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let exe = std::fs::metadata(exe_path(pid)?)?;
    Ok((exe.dev(), exe.ino()))
}

/// The file a process executes.
#[expect(unsafe_code, reason = "proc_pidpath has no wrapper")]
pub fn exe_path(pid: u32) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let mut path = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: the kernel writes at most the length given.
    let n = unsafe { libc::proc_pidpath(pid as i32, path.as_mut_ptr().cast(), path.len() as u32) };
    if n <= 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&path[..n as usize])))
}

/// The real user of a process.
pub fn owner(pid: u32) -> io::Result<u32> {
    Ok(bsd_info(pid)?.pbi_ruid)
}

/// Whether a process has a controlling terminal. True where we may not look.
pub fn has_terminal(pid: u32) -> bool {
    // NODEV is -1.
    bsd_info(pid).map_or(true, |info| info.e_tdev != u32::MAX)
}

/// macOS does not say.
pub fn works_in_removed_folder(_pid: u32) -> bool {
    false
}

/// Who is at the other end of a socket.
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::LocalPeerCred)?.uid())
}

/// Which process listens at the other end of a socket.
pub fn peer_pid(stream: &UnixStream) -> io::Result<u32> {
    let pid = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::LocalPeerPid)?;
    u32::try_from(pid).map_err(io::Error::other)
}

/// Bytes written to a socket that its peer has not read yet.
#[expect(unsafe_code, reason = "this option has no wrapper")]
pub fn unread(stream: &UnixStream) -> io::Result<usize> {
    let (mut bytes, mut size): (libc::c_int, libc::socklen_t) = (0, 4);
    let (bytes_at, size_at) = ((&raw mut bytes).cast(), &raw mut size);
    // SAFETY: the kernel writes one int and its size; the descriptor is open.
    let done = unsafe { libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NWRITE, bytes_at, size_at) };
    if done == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// The running program, to be started once more.
pub fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// The running program, held open.
pub fn open_own_program() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open(std::env::current_exe()?)?.into())
}

/// Forks a process that is nobody's child here: an orphan goes to launchd, as there are no subreapers.
///
/// # Safety
/// As fork: the process has one thread, and the child only makes system calls until it execs or ends.
#[expect(unsafe_code, reason = "fork")]
pub unsafe fn fork_sibling() -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        let middle = libc::fork();
        if middle == 0 {
            if libc::fork() == 0 {
                return 0;
            }
            libc::_exit(0);
        }
        if middle > 0 {
            super::child::reap(middle);
        }
        middle
    }
}

/// Executes an open program with our environment; returns only on failure. macOS executes paths only, so a replaced file is the new program.
///
/// # Safety
/// `argv` is a null-terminated list of C strings.
#[expect(unsafe_code, reason = "between fork and exec nothing may allocate")]
pub unsafe fn exec_open(program: &OwnedFd, argv: *const *const c_char) {
    let mut path = [0 as c_char; libc::PATH_MAX as usize];
    // SAFETY: the buffer has the size F_GETPATH demands; `argv` is null-terminated.
    unsafe {
        if libc::fcntl(program.as_raw_fd(), libc::F_GETPATH, path.as_mut_ptr()) == 0 {
            libc::execv(path.as_ptr(), argv);
        }
    }
}

/// How process lists name us: here by the program's file, which needs no help.
pub fn set_process_name(_name: &std::ffi::CStr) {}

/// The memory that holds our arguments; here they stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Title;

impl Title {
    /// Where it is.
    pub fn find() -> Title {
        Title
    }

    /// Would show these arguments.
    pub fn set(&self, _words: &[&str]) {}
}

/// macOS has no subreaper; the marker sweep finds what escaped.
pub fn be_subreaper(_yes: bool) {}

/// macOS has no such signal; the lock and the marker sweep do that job.
pub fn die_with_parent() {}

/// macOS has no such preference.
pub fn offer_to_oom_killer() {}

/// Calls `each` with every living member of the leader's group.
#[expect(unsafe_code, reason = "proc_listpids has no wrapper")]
pub fn each_child(leader: i32, each: &mut dyn FnMut(i32)) -> io::Result<()> {
    const PROC_PGRP_ONLY: u32 = 2;
    let mut pids = [0_i32; 1024];
    // SAFETY: the kernel writes at most the size given.
    let n = unsafe {
        libc::proc_listpids(PROC_PGRP_ONLY, leader as u32, pids.as_mut_ptr().cast(), size_of_val(&pids) as i32)
    };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    let count = n as usize / size_of::<i32>();
    pids[..count].iter().copied().filter(|pid| *pid > 0 && (*pid == leader || is_running(*pid as u32))).for_each(each);
    Ok(())
}

/// macOS tells the parent of a process only; the look at all processes finds them.
pub fn each_child_of(_parent: u32, _each: &mut dyn FnMut(i32)) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// A pipe whose ends are not inherited by programs.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe()?;
    super::fd::set_cloexec(&read)?;
    super::fd::set_cloexec(&write)?;
    Ok((read, write))
}

/// macOS grows pipes by itself.
pub fn resize_pipe(_fd: BorrowedFd<'_>, _size: i32) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Closes every descriptor from `first` on.
#[expect(unsafe_code, reason = "close by number")]
pub fn close_from(first: u32) {
    for fd in first as i32..open_limit() {
        // SAFETY: called before anything of ours is open above `first`.
        unsafe { libc::close(fd) };
    }
}

/// No descriptor from `first` on shall be inherited.
#[expect(unsafe_code, reason = "fcntl by number")]
pub fn close_on_exec_from(first: u32) {
    for fd in first as i32..open_limit() {
        // SAFETY: only sets a flag; EBADF is what most numbers answer.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Numbers from here on are not in use: a shim has few.
fn open_limit() -> i32 {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_or(256, |(soft, _)| soft.min(4096) as i32)
}

/// Every process id there is.
#[expect(unsafe_code, reason = "proc_listallpids has no wrapper")]
pub fn pids() -> io::Result<Vec<u32>> {
    // SAFETY: asks for the number only.
    let n = unsafe { libc::proc_listallpids(std::ptr::null_mut(), 0) };
    if n < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut pids = vec![0_i32; n as usize + 64];
    // SAFETY: the kernel writes at most the size given.
    let n = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size_of_val(&pids[..]) as i32) };
    pids.truncate(n.max(0) as usize);
    Ok(pids.into_iter().filter(|pid| *pid > 0).map(|pid| pid as u32).collect())
}

/// The parent of a process; `None` for one that has ended and is not reaped, or is not there.
pub fn parent(pid: u32) -> Option<u32> {
    bsd_info(pid).ok().filter(|info| info.pbi_status != libc::SZOMB).map(|info| info.pbi_ppid)
}

/// Whether the environment a process was started with holds `key=value`. False where we may not look.
#[expect(unsafe_code, reason = "sysctl has no wrapper")]
pub fn environment_has(pid: u32, assignment: &[u8]) -> bool {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid as i32];
    let mut text = vec![0_u8; 1024 * 1024];
    let mut len = text.len();
    // SAFETY: the kernel writes at most `len` bytes.
    let rc = unsafe { libc::sysctl(name.as_mut_ptr(), 3, text.as_mut_ptr().cast(), &mut len, std::ptr::null_mut(), 0) };
    rc == 0 && text[..len].split(|b| *b == 0).any(|entry| entry == assignment)
}

/// Whether a process still runs (a zombie does not).
pub fn is_running(pid: u32) -> bool {
    bsd_info(pid).is_ok_and(|info| info.pbi_status != libc::SZOMB)
}

/// Whether a process is stopped by a signal (SIGSTOP, SIGTSTP) or by a debugger, and so does nothing.
pub fn is_stopped(pid: u32) -> bool {
    bsd_info(pid).is_ok_and(|info| info.pbi_status == libc::SSTOP)
}

/// Its allocator shares by itself.
pub fn share_one_heap() {}

/// macOS takes unused pages by itself when it needs them.
pub fn give_memory_back() {}

/// Asks for the processor before all others, for a moment in which every delay makes more work. Only root gets it; nothing depends on it.
#[expect(unsafe_code, reason = "setpriority has no wrapper")]
pub fn hurry() {
    // SAFETY: a plain system call about ourselves.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}

/// macOS has no control groups.
pub fn is_cgroup(_folder: &Path) -> bool {
    false
}

/// macOS has no control groups.
pub fn is_delegated(_folder: &Path) -> bool {
    false
}

/// macOS does not say.
pub fn oom_kills() -> u64 {
    0
}

#[expect(unsafe_code, reason = "proc_pidinfo has no wrapper")]
pub(super) fn bsd_info(pid: u32) -> io::Result<libc::proc_bsdinfo> {
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_bsdinfo>() as i32;
    // SAFETY: the kernel writes at most `size` bytes.
    let n = unsafe { libc::proc_pidinfo(pid as i32, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    if n == size { Ok(info) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "sysctlbyname has no wrapper")]
fn sysctl_by_name(name: &CStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0_u8; 256];
    let mut len = value.len();
    // SAFETY: the kernel writes at most `len` bytes.
    let rc = unsafe { libc::sysctlbyname(name.as_ptr(), value.as_mut_ptr().cast(), &mut len, std::ptr::null_mut(), 0) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    value.truncate(len);
    Ok(value)
}

/// A process by pid and start time, compared again right before each signal: macOS has no descriptor for it.
#[derive(Debug)]
pub struct Held {
    pid: u32,
    start_time: u64,
}

impl Held {
    /// Remembers a process.
    pub fn open(pid: u32) -> io::Result<Held> {
        Ok(Held { pid, start_time: start_time(pid)? })
    }

    /// Whether it has ended, after waiting for that at most so long.
    pub fn has_ended(&self, patience: std::time::Duration) -> bool {
        let until = std::time::Instant::now() + patience;
        loop {
            let lives = is_running(self.pid) && start_time(self.pid).is_ok_and(|at| at == self.start_time);
            if !lives || std::time::Instant::now() >= until {
                return !lives;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Signals it; ESRCH once it is gone.
    #[expect(unsafe_code, reason = "a signal by number")]
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if start_time(self.pid)? != self.start_time {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: a plain system call.
        if unsafe { libc::kill(self.pid as i32, signal) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
