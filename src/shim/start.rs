//! A shim's start: read the spec, take the lock, open the log, start the service, leave the record.

use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::control::Control;
use super::ending::Group;
use super::limits::Bounds;
use super::output::Output;
use super::record::{ExitRecord, InstanceRecord};
use super::run::Shim;
use super::spec::{MAX, PROTOCOL, View};
use super::wire::Event;
use crate::logs::record::Stream;
use crate::logs::writer::{Place, Writer};
use crate::sys::child::{self, Launch, LaunchError, Stage};
use crate::sys::fd::{self, Pages, wall_us};
use crate::sys::folder::{Folder, Want};
use crate::sys::lock::{self, Lock, Locked};
use crate::sys::os;

/// Why nothing was started: for the supervisor.
struct Refusal {
    transient: bool,
    message: String,
}

impl Refusal {
    fn at(action: &str, path: &Path, error: &io::Error) -> Refusal {
        let words = error.raw_os_error().map_or_else(|| error.to_string(), fd::errno_words);
        Refusal {
            transient: fd::is_exhaustion(error),
            message: format!("cannot {action} `{}`: {words}", path.display()),
        }
    }
}

/// The whole life of a shim that was executed for itself. Its standard input is the connection to the supervisor.
pub fn main() -> ExitCode {
    os::close_from(3);
    let Ok(control) = fd::take_stdin() else { return ExitCode::FAILURE };
    live(UnixStream::from(control))
}

/// The whole life of a shim: no descriptor is open but the standard ones, which are the null device, and the connection to the supervisor.
pub(super) fn live(control: UnixStream) -> ExitCode {
    os::set_process_name(c"orchestra-shim");
    // A group leader already is the leader of something, which is as good.
    nix::unistd::setsid().ok();
    // The folder we were started in may be unmounted while we live.
    nix::unistd::chdir("/").ok();
    let Ok(spec) = read_spec(&control) else { return ExitCode::FAILURE };
    match prepare(&control, View(&spec)) {
        Ok(shim) => {
            drop(spec);
            drop(control);
            // The environment may have been large.
            os::give_memory_back();
            shim.run()
        }
        Err(refusal) => {
            let event = Event::Failed { transient: refusal.transient, message: refusal.message.replace('\n', " ") };
            // A supervisor that went away asks no more.
            drop(writeln!(&control, "{event}"));
            ExitCode::FAILURE
        }
    }
}

fn read_spec(mut control: &UnixStream) -> io::Result<Pages> {
    control.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut length = [0; 4];
    control.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut spec = Pages::new(length)?;
    control.read_exact(&mut spec)?;
    Ok(spec)
}

fn prepare(control: &UnixStream, spec: View<'_>) -> Result<Shim, Refusal> {
    if spec.number::<u32>("protocol") != Some(PROTOCOL) {
        return Err(Refusal { transient: false, message: format!("this shim speaks protocol {PROTOCOL} only") });
    }
    let path = |key| spec.path(key).unwrap_or_default();
    let lock = take_lock(&path("lock"), spec.text("slot"))?;
    let socket = path("socket");
    let (listener, notify) = open_sockets(&socket, spec.path("notify").as_deref())
        .map_err(|error| Refusal::at("listen on", &socket, &error))?;
    let records = path("records");
    let folder = Folder::beneath(&path("dot"), &records)
        .map_err(|error| Refusal::at("open", &path("dot").join(&records), &error))?;
    let mut log = open_log(spec)?;
    mind_the_last(&folder, &path("lock"), &mut log);
    let ignored = [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];
    let signals = child::watch_signals(&[Signal::SIGCHLD, Signal::SIGTERM], &ignored)
        .map_err(|error| Refusal::at("watch signals of", Path::new("/proc/self"), &error))?;
    os::be_subreaper(true);
    let oom_kills = os::oom_kills();
    let mut bounds = Bounds::prepare(spec);
    let (leader, out, err) = start_service(spec, &mut bounds).inspect_err(|_| bounds.finish())?;
    let shim = Shim {
        control: clone_control(control, listener)?,
        group: Group::new(leader, bounds),
        log,
        outputs: [Some(out), err],
        signals,
        notify,
        program: os::open_own_program().ok(),
        root: spec.get("revive").map(ToOwned::to_owned),
        api: path("api"),
        lock,
        sockets: [Some(socket), spec.path("notify")],
        records: (path("dot"), records),
        uuid: spec.text("uuid").to_owned(),
        number: spec.number("run").unwrap_or(0),
        described: describe(spec),
        stop: (spec.number("stop").unwrap_or(libc::SIGTERM), spec.number::<u64>("grace").unwrap_or(10_000)),
        linger: spec.number("linger"),
        ready: false,
        ordered: false,
        oom_kills,
        timers: Default::default(),
    };
    write_record(&folder, spec, leader, shim.group.bounds());
    Ok(shim)
}

/// What the record says that nobody else could.
fn describe(spec: View<'_>) -> Event {
    Event::Described {
        slot: spec.text("slot").to_owned(),
        started_us: wall_us(),
        stop: (spec.number("stop").unwrap_or(libc::SIGTERM), spec.number("grace").unwrap_or(10_000)),
        settings: spec.text("settings").to_owned(),
        artifact: artifact(spec),
        marker: marker(spec),
    }
}

fn artifact(spec: View<'_>) -> Option<String> {
    spec.get("artifact").and_then(|a| a.to_str().ok()).map(ToOwned::to_owned)
}

fn marker(spec: View<'_>) -> String {
    spec.all("env").find_map(|e| e.to_str().ok()?.strip_prefix("ORCHESTRA_RUN=")).unwrap_or_default().to_owned()
}

fn clone_control(control: &UnixStream, listener: UnixListener) -> Result<Control, Refusal> {
    let no_control = |error| Refusal::at("answer on", Path::new("the control socket"), &error);
    control.try_clone().and_then(|first| Control::new(first, listener)).map_err(no_control)
}

/// The lock may be taken for a moment by somebody who only looks.
fn take_lock(path: &Path, slot: &str) -> Result<Lock, Refusal> {
    match lock::acquire(path, Duration::from_millis(500)) {
        Ok(Locked::Ours(lock)) => Ok(lock),
        Ok(Locked::Theirs(pid)) => {
            let whom = pid.map(|pid| format!(" (shim {pid})")).unwrap_or_default();
            Err(Refusal { transient: true, message: format!("another `{slot}` still runs{whom}") })
        }
        Err(error) => Err(Refusal::at("lock", path, &error)),
    }
}

/// We hold the lock, so a socket that is there belongs to nobody.
fn open_sockets(path: &Path, notify: Option<&Path>) -> io::Result<(UnixListener, Option<UnixDatagram>)> {
    let fresh = |path: &Path| match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    fresh(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let notify = notify.map(|path| {
        fresh(path)?;
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    });
    Ok((listener, notify.transpose()?))
}

fn open_log(spec: View<'_>) -> Result<Writer, Refusal> {
    let place = Place {
        dot: spec.path("dot").unwrap_or_default(),
        folder: spec.path("logs").unwrap_or_default(),
        keep: spec.number("keep").unwrap_or(u64::MAX),
        run: spec.number("run").unwrap_or(0),
    };
    let path = place.dot.join(&place.folder);
    Writer::open(place).map_err(|error| Refusal::at("open the log", &path, &error))
}

/// A record without its exit: the shim of that run was killed, with what it had not written yet. Who is left in its control group is nobody's.
fn mind_the_last(folder: &Folder, lock: &Path, log: &mut Writer) {
    let text = |name| folder.file(name, Want::Read).and_then(io::read_to_string).unwrap_or_default();
    let Ok(last) = serde_json::from_str::<InstanceRecord>(&text("instance.json")) else { return };
    last.clear_groups(lock);
    let ended = serde_json::from_str::<ExitRecord>(&text("exit.json")).is_ok_and(|exit| exit.uuid == last.uuid);
    if !ended {
        log.append(
            Stream::Orchestra,
            true,
            format!("tail may be lost: run {} ended without its exit being recorded", last.run).as_bytes(),
        );
        log.flush();
    }
}

/// Starts the service; the leader, and the streams to read.
fn start_service(spec: View<'_>, bounds: &mut Bounds) -> Result<(i32, Output, Option<Output>), Refusal> {
    let no_pipe = |error: io::Error| Refusal { transient: true, message: format!("no pipe for its output: {error}") };
    let tty = spec.text("tty") == "1";
    let ((out, out_child), err) = if tty {
        (fd::terminal().map_err(no_pipe)?, None)
    } else {
        (os::pipe().map_err(no_pipe)?, Some(os::pipe().map_err(no_pipe)?))
    };
    let err_child = err.as_ref().map_or(&out_child, |(_, child)| child);
    let leader = launch_within(spec, bounds, [&out_child, err_child], tty)?;
    let out = Output::new(out, Stream::Stdout).map_err(no_pipe)?;
    let err = err.map(|(ours, _)| Output::new(ours, Stream::Stderr)).transpose().map_err(no_pipe)?;
    Ok((leader, out, err))
}

/// In its control group, or without one where the system does not let it in.
fn launch_within(spec: View<'_>, bounds: &mut Bounds, streams: [&OwnedFd; 2], tty: bool) -> Result<i32, Refusal> {
    let launched = match launch(spec, &bounds.doors(), streams, tty) {
        Err(LaunchError { stage: Stage::Groups, errno }) => {
            bounds.give_up(errno);
            launch(spec, &[], streams, tty)
        }
        launched => launched,
    };
    launched.map_err(|error| Refusal { transient: error.transient(), message: words(spec, error) })
}

fn launch(
    spec: View<'_>,
    groups: &[OwnedFd],
    [stdout, stderr]: [&OwnedFd; 2],
    terminal: bool,
) -> Result<i32, LaunchError> {
    let argv: Vec<&CStr> = spec.all("arg").collect();
    let env: Vec<&CStr> = spec.all("env").collect();
    let launch = Launch {
        program: spec.get("program").unwrap_or_default(),
        argv: &argv,
        env: &env,
        dir: spec.get("dir").unwrap_or_default(),
        stdout: stdout.as_fd(),
        stderr: stderr.as_fd(),
        terminal,
        umask: spec.number("umask").unwrap_or(0o022),
        nofile: spec.pair("nofile"),
        groups,
    };
    child::launch(&launch)
}

/// What failed and on which path: `permission denied: /path`.
fn words(spec: View<'_>, error: LaunchError) -> String {
    let at = |key| spec.path(key).unwrap_or_default().display().to_string();
    let cause = fd::errno_words(error.errno);
    match error.stage {
        Stage::Fork => format!("cannot make a process: {cause}"),
        Stage::Groups => format!("cannot enter its control group: {cause}"),
        Stage::Streams => format!("cannot connect its output: {cause}"),
        Stage::Directory => format!("{cause}: {} (its working directory)", at("dir")),
        Stage::Exec if error.errno == libc::ENOENT && Path::new(&at("program")).exists() => {
            format!("{cause}: the interpreter of {}", at("program"))
        }
        Stage::Exec => format!("{cause}: {}", at("program")),
    }
}

/// Without a record the service still runs, is found by its lock and described by its shim; so a full disk is no reason to end it.
fn write_record(folder: &Folder, spec: View<'_>, leader: i32, bounds: &Bounds) {
    let pid = leader as u32;
    let record = InstanceRecord {
        protocol: PROTOCOL,
        slot: spec.text("slot").to_owned(),
        uuid: spec.text("uuid").to_owned(),
        run: spec.number("run").unwrap_or(0),
        shim: std::process::id(),
        pid,
        start_time: os::start_time(pid).unwrap_or(0),
        boot_id: os::boot_id().unwrap_or_default(),
        exe: os::exe_inode(pid).unwrap_or((0, 0)),
        settings: spec.text("settings").to_owned(),
        artifact: artifact(spec),
        started_us: wall_us(),
        argv: spec.all("arg").map(|arg| arg.to_string_lossy().into_owned()).collect(),
        marker: marker(spec),
        stop_signal: spec.number("stop").unwrap_or(libc::SIGTERM),
        grace_ms: spec.number("grace").unwrap_or(10_000),
        limits: bounds.record(),
    };
    if let Ok(bytes) = serde_json::to_vec(&record) {
        // See above.
        drop(folder.write_atomically("instance.json", &bytes));
    }
}

/// Where the shim keeps paths for its end.
pub(super) type Records = (PathBuf, PathBuf);
