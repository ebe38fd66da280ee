//! Being the parent of a service: starting it in its own session, signalling its group, waiting for its end without letting go of its pid.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::unistd::Pid;

use super::{fd, os};

/// A program to start as the leader of a new session, everything resolved.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The file to execute, absolute or relative to `dir`.
    pub program: &'a CStr,
    /// Its arguments, its own name first.
    pub argv: &'a [&'a CStr],
    /// Its whole environment.
    pub env: &'a [&'a CStr],
    /// Its working directory.
    pub dir: &'a CStr,
    /// Its standard output.
    pub stdout: BorrowedFd<'a>,
    /// Its standard error.
    pub stderr: BorrowedFd<'a>,
    /// `stdout` is a terminal that it shall control.
    pub terminal: bool,
    /// The file mode creation mask.
    pub umask: u32,
    /// `RLIMIT_NOFILE`, soft and hard.
    pub nofile: Option<(u64, u64)>,
    /// Doors of control groups that it enters before anything else is its own.
    pub groups: &'a [OwnedFd],
}

/// The step of a start that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the child could do anything.
    Fork,
    /// Its control groups.
    Groups,
    /// Its standard streams.
    Streams,
    /// Its working directory.
    Directory,
    /// The program itself.
    Exec,
}

/// Why a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchError {
    /// At which step.
    pub stage: Stage,
    /// With which error number.
    pub errno: i32,
}

impl LaunchError {
    fn here(stage: Stage) -> LaunchError {
        LaunchError { stage, errno: nix::errno::Errno::last_raw() }
    }

    /// Trying again may help.
    pub fn transient(&self) -> bool {
        matches!(self.errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ETXTBSY)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with a code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// Null-terminated pointers for exec; borrows the strings.
struct Pointers<'a>(Vec<*const c_char>, std::marker::PhantomData<&'a CStr>);

impl<'a> Pointers<'a> {
    fn new(strings: &[&'a CStr]) -> Pointers<'a> {
        let mut all: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
        all.push(std::ptr::null());
        Pointers(all, std::marker::PhantomData)
    }
}

/// Which of the two a process is after [`fork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The one that forked, and the pid of the copy.
    Parent(i32),
    /// Its copy.
    Child,
}

/// Copies this process, which must have one thread; an error is the error number.
#[expect(unsafe_code, reason = "fork")]
pub fn fork() -> Result<Forked, i32> {
    // SAFETY: this process has one thread, so the child may go on as any program would.
    match unsafe { libc::fork() } {
        -1 => Err(nix::errno::Errno::last_raw()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Children that end leave no zombies, and nobody hears of their end. [`watch_signals`] takes it back.
#[expect(unsafe_code, reason = "a signal disposition")]
pub fn forget_children() {
    // SAFETY: ignoring a signal runs nothing.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Starts the program and returns once it has been executed or has failed to be. To be called from a process with one thread.
#[expect(unsafe_code, reason = "fork")]
pub fn launch(launch: &Launch<'_>) -> Result<i32, LaunchError> {
    let failed = |_| LaunchError::here(Stage::Fork);
    let (told, tell) = os::pipe().map_err(failed)?;
    let argv = Pointers::new(launch.argv);
    let env = Pointers::new(launch.env);
    let parent = std::process::id();
    // SAFETY: this process has one thread, so the child may go on as any program would.
    match unsafe { libc::fork() } {
        -1 => Err(LaunchError::here(Stage::Fork)),
        0 => {
            let error = become_program(launch, &argv, &env, parent);
            report(&tell, error)
        }
        pid => {
            drop(tell);
            match read_report(&told) {
                None => Ok(pid),
                Some(error) => {
                    reap(pid);
                    Err(error)
                }
            }
        }
    }
}

/// In the child: everything up to exec; returns only when something failed.
#[expect(unsafe_code, reason = "exec and signal dispositions")]
fn become_program(launch: &Launch<'_>, argv: &Pointers<'_>, env: &Pointers<'_>, parent: u32) -> LaunchError {
    // SAFETY: plain system calls; the pointers are null-terminated and outlive the calls.
    unsafe {
        libc::setsid();
        os::die_with_parent();
        if libc::getppid() as u32 != parent {
            libc::_exit(127);
        }
        if !launch.groups.iter().all(enter) {
            return LaunchError::here(Stage::Groups);
        }
        reset_signals();
        if libc::dup2(launch.stdout.as_raw_fd(), 1) < 0 || libc::dup2(launch.stderr.as_raw_fd(), 2) < 0 {
            return LaunchError::here(Stage::Streams);
        }
        if launch.terminal {
            // A program without a controlling terminal still sees a terminal on its output.
            libc::ioctl(1, libc::TIOCSCTTY as _, 0);
        }
        os::close_on_exec_from(3);
        os::offer_to_oom_killer();
        limit_files(launch.nofile);
        libc::umask(launch.umask as libc::mode_t);
        if libc::chdir(launch.dir.as_ptr()) < 0 {
            return LaunchError::here(Stage::Directory);
        }
        libc::execve(launch.program.as_ptr(), argv.0.as_ptr(), env.0.as_ptr());
    }
    LaunchError::here(Stage::Exec)
}

/// In the child: `0` means whoever writes it.
#[expect(unsafe_code, reason = "between fork and exec nothing may allocate")]
fn enter(door: &OwnedFd) -> bool {
    // SAFETY: one byte of our own, on a descriptor of our own.
    unsafe { libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1 }
}

/// Every signal as a fresh program expects it; ignored ones would stay ignored over exec.
#[expect(unsafe_code, reason = "signal dispositions")]
fn reset_signals() {
    for signal in 1..os::SIGNALS {
        // SAFETY: sets the default; those that cannot be set answer EINVAL, which is as good.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // Failing is impossible with these arguments.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).ok();
}

/// A program that is started by `command` gets this `RLIMIT_NOFILE`, and not ours, which may have been raised.
#[expect(unsafe_code, reason = "between fork and exec")]
pub fn with_limit(command: &mut std::process::Command, nofile: Option<(u64, u64)>) {
    use std::os::unix::process::CommandExt;
    if nofile.is_some() {
        let limit = move || {
            limit_files(nofile);
            Ok(())
        };
        // SAFETY: two system calls and no allocation.
        unsafe { command.pre_exec(limit) };
    }
}

/// The caller's limit, or as much of it as we may give.
fn limit_files(nofile: Option<(u64, u64)>) {
    let Some((soft, hard)) = nofile else { return };
    if setrlimit(Resource::RLIMIT_NOFILE, soft, hard).is_err()
        && let Ok((_, ours)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // Our own hard limit is lower: the service gets what there is.
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(ours), ours).ok();
    }
}

/// In the child: tells the parent what failed, and ends.
#[expect(unsafe_code, reason = "the child of a failed start must not run anything of the parent's")]
fn report(tell: &OwnedFd, error: LaunchError) -> ! {
    let mut message = [0; 5];
    message[0] = error.stage as u8;
    message[1..].copy_from_slice(&error.errno.to_le_bytes());
    // SAFETY: writes to our own pipe and ends at once. Nobody is left to tell if that fails.
    unsafe {
        libc::write(tell.as_raw_fd(), message.as_ptr().cast(), message.len());
        libc::_exit(127)
    }
}

fn read_report(told: &OwnedFd) -> Option<LaunchError> {
    use std::os::fd::AsFd;
    let mut message = [0; 5];
    match fd::read(told.as_fd(), &mut message) {
        Ok(5) => {
            let stages = [Stage::Fork, Stage::Groups, Stage::Streams, Stage::Directory];
            let stage = stages.into_iter().find(|stage| *stage as u8 == message[0]).unwrap_or(Stage::Exec);
            let errno = i32::from_le_bytes([message[1], message[2], message[3], message[4]]);
            Some(LaunchError { stage, errno })
        }
        _ => None,
    }
}

/// Starts a program that is nobody's child here: in a session of its own, no descriptor of ours, the null device for its streams.
#[expect(unsafe_code, reason = "fork and exec")]
pub fn launch_detached(program: &OwnedFd, argv: &[&CStr], dir: &CStr) -> io::Result<()> {
    let argv = Pointers::new(argv);
    // SAFETY: this process has one thread; the child only makes system calls and ends or execs.
    match unsafe { os::fork_sibling() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: as above.
            unsafe {
                libc::setsid();
                reset_signals();
                libc::chdir(dir.as_ptr());
                os::close_on_exec_from(3);
                os::exec_open(program, argv.0.as_ptr());
                libc::_exit(127)
            }
        }
        _ => Ok(()),
    }
}

/// How `pid`, a child of ours, ended; `None` while it runs. It stays a zombie, so its pid and group stay its own.
#[expect(unsafe_code, reason = "waitid with WNOWAIT on every platform")]
pub fn peek_end(pid: i32) -> Option<End> {
    // SAFETY: an all-zero siginfo_t is valid, and the kernel fills it; the union is read after si_code told which arm holds.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags) < 0 || info.si_pid() == 0 {
            return None;
        }
        Some(match info.si_code {
            libc::CLD_EXITED => End::Code(info.si_status()),
            _ => End::Signal(info.si_status()),
        })
    }
}

/// Waits for a child that has ended.
pub fn reap(pid: i32) {
    // ECHILD means it is reaped already.
    while nix::sys::wait::waitpid(Pid::from_raw(pid), None) == Err(nix::errno::Errno::EINTR) {}
}

/// Reaps `pid` if it is a child of ours that has ended.
pub fn reap_if_ended(pid: i32) -> bool {
    matches!(
        nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG)),
        Ok(nix::sys::wait::WaitStatus::Exited(..) | nix::sys::wait::WaitStatus::Signaled(..))
    )
}

/// Whether any child of ours is left, living or not.
pub fn have_children() -> bool {
    #[expect(unsafe_code, reason = "waitid on every platform")]
    // SAFETY: asks only; an all-zero siginfo_t is valid.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) == 0
    }
}

/// Signals the whole group `leader` leads. Only for a leader that we have not reaped.
#[expect(unsafe_code, reason = "a signal by number, real-time ones included")]
pub fn signal_group(leader: i32, signal: i32) {
    // SAFETY: a plain system call. ESRCH and macOS' EPERM both mean that nobody is left who could be signalled.
    unsafe { libc::kill(-leader, signal) };
}

/// Signals one child that we have not reaped.
#[expect(unsafe_code, reason = "a signal by number, real-time ones included")]
pub fn signal_child(pid: i32, signal: i32) {
    // SAFETY: as above.
    unsafe { libc::kill(pid, signal) };
}

/// Ends this process by a signal, as somebody below it ended, and without a core of its own.
#[expect(unsafe_code, reason = "a signal by number, and its default")]
pub fn die_of(signal: i32) {
    // A process that may not even lower a limit dies with a core.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap_or(());
    // SAFETY: plain system calls; the default action needs no handler.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
}

static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(signal: i32) {
    let byte = signal as u8;
    #[expect(unsafe_code, reason = "write(2) is what a signal handler may do")]
    // SAFETY: async-signal-safe; errno is put back. A full pipe already says that there is something to see.
    unsafe {
        let errno = nix::errno::Errno::last_raw();
        libc::write(SIGNAL_PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        nix::errno::Errno::set_raw(errno);
    }
}

/// Turns `watched` signals into bytes (their numbers) on the descriptor returned; ignores `ignored`. Once per process.
#[expect(unsafe_code, reason = "signal handlers")]
pub fn watch_signals(watched: &[Signal], ignored: &[Signal]) -> io::Result<OwnedFd> {
    use std::os::fd::IntoRawFd;
    let (bytes, writer) = os::pipe()?;
    fd::set_nonblocking(&bytes)?;
    fd::set_nonblocking(&writer)?;
    // It stays open for as long as the process lives, since the handler may run at any time.
    SIGNAL_PIPE.store(writer.into_raw_fd(), Ordering::Relaxed);
    let handle =
        SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP, SigSet::empty());
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for (signals, action) in [(watched, &handle), (ignored, &ignore)] {
        for signal in signals {
            // SAFETY: the handler only does what a handler may.
            unsafe { sigaction(*signal, action)? };
        }
    }
    Ok(bytes)
}
