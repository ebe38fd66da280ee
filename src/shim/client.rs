//! Shims that run already: talking to them, and ending everything without a supervisor.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::record::InstanceRecord;
use super::spec::PROTOCOL;
use super::survey;
use super::wire::{Event, Order};
use crate::sys::family::{self, Doing, Table};
use crate::sys::home::Home;
use crate::sys::os;
use crate::sys::process::{Remains, Spared};

/// A connection to a shim that has said who it is.
#[derive(Debug)]
pub struct Control {
    /// For orders.
    stream: UnixStream,
    /// For events.
    events: BufReader<UnixStream>,
    /// The protocol it speaks.
    pub protocol: u32,
    /// Of its run.
    pub uuid: String,
    /// The number of its run.
    pub run: u64,
    /// Its own pid.
    pub shim: u32,
    /// The leader's pid.
    pub pid: u32,
}

/// Connects to the shim of a slot; a shim that does not answer within five seconds is an error of kind `TimedOut` or `WouldBlock`.
pub fn connect(home: &Home, slot: &str) -> io::Result<Control> {
    greet(call(home, slot)?, Duration::from_secs(5))
}

/// Calls the shim of a slot, which need not answer yet. Whoever holds its socket must be our own user.
pub(super) fn call(home: &Home, slot: &str) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(home.shim_file(slot, ".sock"))?;
    if os::peer_uid(&stream)? != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    Ok(stream)
}

/// Hears who was called, at most for so long.
pub(super) fn greet(stream: UnixStream, patience: Duration) -> io::Result<Control> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let events = BufReader::new(stream.try_clone()?);
    let mut control = Control { stream, events, protocol: 0, uuid: String::new(), run: 0, shim: 0, pid: 0 };
    match control.next()? {
        Event::Hello { protocol, uuid, run, shim } => {
            (control.protocol, control.uuid, control.run, control.shim) = (protocol, uuid, run, shim);
        }
        other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the shim began with `{other}`"))),
    }
    // What a newer protocol says next is not ours to read.
    if control.protocol <= PROTOCOL
        && let Event::Started(pid) = control.next()?
    {
        control.pid = pid;
    }
    Ok(control)
}

impl Control {
    /// Sends one order.
    pub fn send(&mut self, order: Order) -> io::Result<()> {
        writeln!(self.stream, "{order}")
    }

    /// The next event; `UnexpectedEof` when the shim is gone.
    #[expect(clippy::should_implement_trait, reason = "it fails, which an iterator's next does not")]
    pub fn next(&mut self) -> io::Result<Event> {
        let mut line = String::new();
        if self.events.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let line = line.trim_end_matches('\n');
        Event::parse(line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("the shim said `{line}`")))
    }

    /// What it says of itself beside its greeting; `None` from one that is too old to know the question.
    pub fn describe(&mut self) -> io::Result<Option<Event>> {
        self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        self.send(Order::Describe)?;
        loop {
            match self.next()? {
                described @ Event::Described { .. } => return Ok(Some(described)),
                Event::Error(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Waits for the end or for the word that there will be none, at most until `deadline`; `None` when the shim died first.
    pub fn wait_end(&mut self, deadline: Instant) -> io::Result<Option<Event>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left))?;
            match self.next() {
                Ok(end @ (Event::Exited { .. } | Event::Unkillable)) => return Ok(Some(end)),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The connection, for a reader of another kind, which must read from where `events` ended. Nothing may be buffered: use right after [`connect`].
    pub fn into_parts(self) -> (UnixStream, Vec<u8>) {
        let rest = self.events.buffer().to_vec();
        (self.stream, rest)
    }
}

/// What became of ending everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Slots that are still there, with a reason where there is one to say.
    pub left: Vec<String>,
    /// What services whose shims were dead had started and what is not the service itself.
    pub spared: Vec<(String, Spared)>,
}

/// Ends everything that runs, without a supervisor: all at once, each with its own signal and grace, or `grace` instead.
/// Waits at most for `timeout`; an unkillable one is not waited for.
pub fn stop_all(home: &Home, grace: Option<Duration>, timeout: Duration) -> Stopped {
    let deadline = Instant::now() + timeout;
    let (mut asked, mut silent) = (Vec::new(), Vec::new());
    let mut out = Stopped::default();
    for found in survey::survey(home).found {
        if !found.live {
            if found.exit.is_none() {
                out.forget(home, &found.record);
            }
            continue;
        }
        let grace_ms = grace.map_or(found.record.grace_ms, |grace| grace.as_millis() as u64);
        let order = Order::Stop { signal: found.record.stop_signal, grace_ms };
        wake_stopped(home, &found.record);
        match connect(home, &found.record.slot) {
            Ok(control) if control.protocol > PROTOCOL => {
                out.left.push(format!("{} ({})", found.record.slot, foreign(control.shim, control.protocol)));
            }
            Ok(mut control) => match control.send(order) {
                Ok(()) => asked.push((found.record, control)),
                Err(_) => out.left.push(found.record.slot),
            },
            Err(_) => match hold_shim(&found.record).is_some_and(|shim| shim.signal(libc::SIGTERM).is_ok()) {
                true => silent.push(found.record),
                false => out.left.push(found.record.slot),
            },
        }
    }
    for (record, mut control) in asked {
        match control.wait_end(deadline) {
            Ok(Some(Event::Unkillable)) => {
                let words = family::undying_words(&Table::read().undying(control.shim));
                out.left.push(format!("{}: {words}", record.slot));
            }
            Ok(Some(_)) => {}
            Ok(None) => out.forget(home, &record),
            Err(_) => out.left.push(record.slot),
        }
    }
    for record in silent {
        while survey::lives(home, &record) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        if survey::lives(home, &record) {
            out.left.push(record.slot);
        }
    }
    out
}

/// The shim of a run, held without its socket, which somebody has removed: it is the parent of the leader, and the leader is known for sure. SIGTERM
/// makes it end its service.
pub fn hold_shim(record: &InstanceRecord) -> Option<os::Held> {
    let _leader = record.identity().hold()?;
    let shim = os::Held::open(record.shim).ok()?;
    (os::parent(record.pid) == Some(record.shim)).then_some(shim)
}

impl Stopped {
    fn forget(&mut self, home: &Home, record: &InstanceRecord) {
        let spared = end_lost(record).spared;
        record.clear_groups(&home.shim_file(&record.slot, ".lock"));
        self.spared.extend(spared.into_iter().map(|spared| (record.slot.clone(), spared)));
    }
}

/// Ends and removes what a dead shim left of its service's control group; `folder` is where its record lies.
pub fn clear_groups(home: &Home, folder: &Path) {
    let record = survey::record_in(folder);
    if let Some(record) = record.filter(|record| record.limits.is_some()) {
        record.clear_groups(&home.shim_file(&record.slot, ".lock"));
    }
}

/// A stopped shim would not hear its orders. It is woken only where the kernel says that it is this one that listens.
fn wake_stopped(home: &Home, record: &InstanceRecord) {
    if family::doing(record.shim) != Doing::Stopped {
        return;
    }
    let listens =
        || UnixStream::connect(home.shim_file(&record.slot, ".sock")).and_then(|socket| os::peer_pid(&socket));
    if let Ok(start_time) = os::start_time(record.shim)
        && listens().is_ok_and(|pid| pid == record.shim)
    {
        // If it cannot be woken it does not answer, which is told then.
        drop(family::wake(record.shim, start_time));
    }
}

/// The words for a shim that is too new to be spoken with.
pub fn foreign(shim: u32, protocol: u32) -> String {
    format!("its shim, pid {shim}, speaks protocol {protocol}, and this program {PROTOCOL}")
}

/// Kills what a dead shim left behind and is certainly the service: the kernel kills the leader with its shim (on Linux), nobody the rest.
pub fn end_lost(record: &InstanceRecord) -> Remains {
    let identity = record.identity();
    let mut all = Remains::default();
    // A process may have forked between our look and our signal: one look with nobody found is the end.
    for _ in 0..100 {
        let remains = identity.signal_remains(libc::SIGKILL);
        all = Remains { signalled: all.signalled + remains.signalled, spared: remains.spared };
        if remains.signalled == 0 {
            break;
        }
    }
    all
}
