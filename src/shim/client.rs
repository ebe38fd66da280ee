//! Shims that run already: finding them by their records and locks, and talking to them, with or without a supervisor.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::record::{ExitRecord, InstanceRecord};
use super::wire::{Event, Order};
use crate::sys::family::{self, Doing, Table};
use crate::sys::home::Home;
use crate::sys::{lock, os, process};

/// What is on disk about the newest run in one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The record.
    pub record: InstanceRecord,
    /// Its shim lives: the kernel says so by the lock.
    pub live: bool,
    /// How it ended, where that was recorded.
    pub exit: Option<ExitRecord>,
}

/// Every slot's newest record, by slot. An unreadable one is put aside as `instance.json.corrupt-<time>` and rebuilt from its shim where that lives.
pub fn records(home: &Home) -> Vec<Found> {
    let mut found = Vec::new();
    for service in folders(&home.dot.join("run")) {
        for folder in folders(&service) {
            found.extend(record_in(home, &folder));
        }
    }
    found.extend(unrecorded(home, &found));
    found.sort_by(|a, b| a.record.slot.cmp(&b.record.slot));
    found
}

/// Shims whose records were removed under them (`git clean`, `rm -r .orchestra`): their locks and sockets lie outside the project.
fn unrecorded(home: &Home, found: &[Found]) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(&home.runtime) else { return Vec::new() };
    let slot = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".lock")?.to_owned());
    let known = |slot: &String| found.iter().any(|found| found.record.slot == *slot);
    let slots = entries.flatten().filter_map(slot).filter(|slot| !known(slot));
    slots.filter_map(|slot| rebuild(home, &slot)).map(|record| Found { record, live: true, exit: None }).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn record_in(home: &Home, folder: &Path) -> Option<Found> {
    let path = folder.join("instance.json");
    let slot = format!("{}.{}", folder.parent()?.file_name()?.to_str()?, folder.file_name()?.to_str()?);
    let record = match read_small(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => rebuild(home, &slot),
        Err(_) => set_aside(&path).and_then(|()| rebuild(home, &slot)),
        Ok(text) => serde_json::from_slice::<InstanceRecord>(&text)
            .ok()
            .filter(|record| record.slot == slot)
            .or_else(|| set_aside(&path).and_then(|()| rebuild(home, &slot))),
    }?;
    let live = lock::is_held(&home.shim_file(&record.slot, ".lock")).unwrap_or(false);
    let exit =
        read_small(&folder.join("exit.json")).ok().and_then(|text| serde_json::from_slice::<ExitRecord>(&text).ok());
    let exit = exit.filter(|exit| exit.uuid == record.uuid);
    Some(Found { record, live, exit })
}

/// Records are small; anything else in their place is none.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.size() > 16 * 1024 * 1024 {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    std::fs::read(path)
}

/// Keeps a file nobody can read for whoever wants to look at it.
fn set_aside(path: &Path) -> Option<()> {
    let aside = path.with_file_name(format!("instance.json.corrupt-{}", crate::sys::fd::wall_us()));
    // If it cannot be moved, the next run replaces it.
    drop(std::fs::rename(path, aside));
    Some(())
}

/// What a living shim says of itself; settings and artifact are lost, so the copy counts as changed.
fn rebuild(home: &Home, slot: &str) -> Option<InstanceRecord> {
    if !lock::is_held(&home.shim_file(slot, ".lock")).unwrap_or(false) {
        return None;
    }
    let control = connect(home, slot).ok()?;
    let pid = control.pid;
    Some(InstanceRecord {
        protocol: control.protocol,
        slot: slot.to_owned(),
        uuid: control.uuid,
        run: control.run,
        shim: control.shim,
        pid,
        start_time: os::start_time(pid).unwrap_or(0),
        boot_id: os::boot_id().unwrap_or_default(),
        exe: os::exe_inode(pid).unwrap_or((0, 0)),
        settings: String::new(),
        artifact: None,
        started_us: crate::sys::fd::wall_us(),
        argv: Vec::new(),
        marker: String::new(),
        stop_signal: libc::SIGTERM,
        grace_ms: 10_000,
        limits: None,
    })
}

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
    let stream = UnixStream::connect(home.shim_file(slot, ".sock"))?;
    if os::peer_uid(&stream)? != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let events = BufReader::new(stream.try_clone()?);
    let mut control = Control { stream, events, protocol: 0, uuid: String::new(), run: 0, shim: 0, pid: 0 };
    match control.next()? {
        Event::Hello { protocol, uuid, run, shim } => {
            (control.protocol, control.uuid, control.run, control.shim) = (protocol, uuid, run, shim);
        }
        other => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the shim began with `{other}`"))),
    }
    if let Event::Started(pid) = control.next()? {
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

/// Ends everything that runs, without a supervisor: all at once, each with its own signal and grace, or `grace` instead.
/// Returns the slots that are still there after `timeout` or for ever, and why where that is known.
pub fn stop_all(home: &Home, grace: Option<Duration>, timeout: Duration) -> Vec<String> {
    let deadline = Instant::now() + timeout;
    let mut asked = Vec::new();
    let mut left = Vec::new();
    for found in records(home) {
        if !found.live {
            end_dead(home, &found.record);
            continue;
        }
        let grace_ms = grace.map_or(found.record.grace_ms, |grace| grace.as_millis() as u64);
        let order = Order::Stop { signal: found.record.stop_signal, grace_ms };
        wake_stopped(home, &found.record);
        match connect(home, &found.record.slot).and_then(|mut control| control.send(order).map(|()| control)) {
            Ok(control) => asked.push((found.record, control)),
            Err(_) => left.push(found.record.slot),
        }
    }
    for (record, mut control) in asked {
        match control.wait_end(deadline) {
            Ok(Some(Event::Unkillable)) => {
                let words = family::undying_words(&Table::read().undying(control.shim));
                left.push(format!("{}: {words}", record.slot));
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                end_dead(home, &record);
            }
            Err(_) => left.push(record.slot),
        }
    }
    left
}

fn end_dead(home: &Home, record: &InstanceRecord) {
    end_lost(record);
    record.clear_groups(&home.shim_file(&record.slot, ".lock"));
}

/// Ends and removes what a dead shim left of its service's control group; `folder` is where its record lies.
pub fn clear_groups(home: &Home, folder: &Path) {
    let record = read_small(&folder.join("instance.json")).ok();
    let record = record.and_then(|text| serde_json::from_slice::<InstanceRecord>(&text).ok());
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

/// Kills what a dead shim left behind, by its marker: the kernel kills the leader with its shim (on Linux), nobody the rest.
/// Returns how many there were.
pub fn end_lost(record: &InstanceRecord) -> usize {
    let same_boot = os::boot_id().is_ok_and(|boot| boot == record.boot_id);
    if !same_boot || record.marker.is_empty() {
        return 0;
    }
    let marker = format!("ORCHESTRA_RUN={}", record.marker);
    let mut all = 0;
    // A process may have forked between our look and our signal; two looks with nobody found are enough.
    for _ in 0..100 {
        match process::signal_marked(&marker, libc::SIGKILL) {
            0 => break,
            n => all += n,
        }
    }
    all
}
