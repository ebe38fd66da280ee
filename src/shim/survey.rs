//! What runs, found by what cannot lie first: the lock of a slot, which the kernel gives up with its shim; then the shim's own word on its socket; then
//! the record on disk, where it fits a process that lives.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::client::{self, Control};
use super::record::{ExitRecord, InstanceRecord};
use super::wire::Event;
use crate::sys::home::Home;
use crate::sys::process::Identity;
use crate::sys::{fd, lock};

/// All shims together may take so long to say who they are: one that is stopped keeps nobody waiting for longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// A record is small.
const MOST: u64 = 16 * 1024 * 1024;

/// What is on disk about the newest run in one slot, and whether it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The record.
    pub record: InstanceRecord,
    /// Its shim lives: the kernel says so by the lock.
    pub live: bool,
    /// How it ended, where that was recorded.
    pub exit: Option<ExitRecord>,
}

/// Every slot's newest run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// By slot.
    pub found: Vec<Found>,
    /// Records that nobody can read, kept under these names for whoever wants to look at them.
    pub aside: Vec<PathBuf>,
    /// Live runs whose record was missing, unreadable or of another run: what `found` holds of them is their shims' word.
    pub rebuilt: Vec<InstanceRecord>,
    /// The highest number of a run that is known; 0 where none is.
    pub newest: u64,
}

/// Every slot's newest run, by slot. An unreadable record is put aside as `instance.json.corrupt-<time>` and rebuilt from its shim where that lives.
pub fn survey(home: &Home) -> Survey {
    let mut out = Survey::default();
    let mut known = BTreeMap::new();
    for service in folders(&home.dot.join("run")) {
        for folder in folders(&service) {
            if let Some((slot, files)) = Files::read(&folder, &mut out.aside) {
                known.insert(slot, files);
            }
        }
    }
    let live = live(home, known.keys());
    let mut words = ask(home, &live);
    for (slot, files) in known {
        let file = file_of(home, &slot);
        let is_live = live.contains(&file);
        out.add(home, slot, files, is_live, words.remove(&file));
    }
    // Their records were removed under them (`git clean`, `rm -r .orchestra`): their locks and sockets lie outside the project.
    for (file, control) in words {
        out.add(home, file, Files::default(), true, Some(control));
    }
    out.found.sort_by(|a, b| a.record.slot.cmp(&b.record.slot));
    out
}

impl Survey {
    fn add(&mut self, home: &Home, slot: String, files: Files, live: bool, word: Option<Control>) {
        let live = live
            || files
                .record
                .as_ref()
                .is_some_and(|record| files.exit_of(record).is_none() && lost_its_lock(home, record));
        let fits = |record: &InstanceRecord| match (&word, live) {
            (Some(control), _) => control.uuid == record.uuid,
            // It is silent: stopped, or too busy. Its record serves while it describes a process that lives.
            (None, true) => record.identity().lives(),
            (None, false) => true,
        };
        let exit = files.exit.clone();
        let numbers =
            [files.record.as_ref().map(|r| r.run), exit.as_ref().map(|e| e.run), word.as_ref().map(|w| w.run)];
        self.newest = numbers.into_iter().flatten().fold(self.newest, u64::max);
        if let Some(mut record) = files.record.filter(fits) {
            if let Some(control) = &word {
                // What the shim says weighs more than what a file says.
                (record.protocol, record.run, record.shim) = (control.protocol, control.run, control.shim);
                record.pid = if control.pid > 0 { control.pid } else { record.pid };
            }
            let exit = exit.filter(|exit| exit.uuid == record.uuid);
            self.found.push(Found { record, live, exit });
        } else if let Some(control) = word {
            let record = rebuild(slot, control);
            self.rebuilt.push(record.clone());
            self.found.push(Found { record, live: true, exit: None });
        }
    }
}

/// What the folder of one slot holds.
#[derive(Default)]
struct Files {
    record: Option<InstanceRecord>,
    exit: Option<ExitRecord>,
}

impl Files {
    fn exit_of(&self, record: &InstanceRecord) -> Option<&ExitRecord> {
        self.exit.as_ref().filter(|exit| exit.uuid == record.uuid)
    }

    fn read(folder: &Path, aside: &mut Vec<PathBuf>) -> Option<(String, Files)> {
        let slot = format!("{}.{}", folder.parent()?.file_name()?.to_str()?, folder.file_name()?.to_str()?);
        let record = read(&folder.join("instance.json"), aside, |record: &InstanceRecord| record.slot == slot);
        let exit = read(&folder.join("exit.json"), aside, |_| true);
        Some((slot, Files { record, exit }))
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// Reads a record; one that is there and cannot be understood is put aside.
fn read<T: DeserializeOwned>(path: &Path, aside: &mut Vec<PathBuf>, fits: impl Fn(&T) -> bool) -> Option<T> {
    let bytes = match read_small(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        bytes => bytes.ok(),
    };
    let value = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).filter(fits);
    if value.is_none() {
        aside.extend(set_aside(path));
    }
    value
}

/// Records are small; anything else in their place is none.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.size() > MOST {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    std::fs::read(path)
}

/// Keeps a file nobody can read for whoever wants to look at it. Where it cannot be moved, the next run replaces it.
fn set_aside(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(format!(".corrupt-{}", fd::wall_us()));
    let aside = path.with_file_name(name);
    std::fs::rename(path, &aside).ok().map(|()| aside)
}

/// The name of a slot in the folder of locks and sockets.
fn file_of(home: &Home, slot: &str) -> String {
    home.shim_file(slot, "").file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Every slot whose lock is held, by its name in the folder of locks.
fn live<'a>(home: &Home, known: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let mut files: BTreeSet<String> = known.map(|slot| file_of(home, slot)).collect();
    let slot = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".lock")?.to_owned());
    if let Ok(entries) = std::fs::read_dir(&home.runtime) {
        files.extend(entries.flatten().filter_map(slot));
    }
    files.retain(|file| lock::is_held(&home.shim_file(file, ".lock")).unwrap_or(false));
    files
}

/// Whether the shim of a run lives. The kernel knows by the lock; where somebody removed that file, the leader and its parent tell.
pub fn lives(home: &Home, record: &InstanceRecord) -> bool {
    lock::is_held(&home.shim_file(&record.slot, ".lock")).unwrap_or(false) || lost_its_lock(home, record)
}

fn lost_its_lock(home: &Home, record: &InstanceRecord) -> bool {
    let lock = home.shim_file(&record.slot, ".lock");
    lock.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && client::hold_shim(record).is_some()
}

/// How a run ended, where its shim wrote it down.
pub fn exit_of(home: &Home, record: &InstanceRecord) -> Option<ExitRecord> {
    let (service, number) = record.slot.rsplit_once('.')?;
    let path = home.dot.join("run").join(service).join(number).join("exit.json");
    let exit: ExitRecord = serde_json::from_slice(&read_small(&path).ok()?).ok()?;
    Some(exit).filter(|exit| exit.uuid == record.uuid)
}

/// The record in a slot's folder, where it can be read.
pub fn record_in(folder: &Path) -> Option<InstanceRecord> {
    serde_json::from_slice(&read_small(&folder.join("instance.json")).ok()?).ok()
}

/// Calls all of them before it listens to the first.
fn ask(home: &Home, live: &BTreeSet<String>) -> BTreeMap<String, Control> {
    let until = Instant::now() + PATIENCE;
    let called: Vec<(String, UnixStream)> =
        live.iter().filter_map(|file| Some((file.clone(), client::call(home, file).ok()?))).collect();
    let greet = |(file, stream): (String, UnixStream)| {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        Some((file, client::greet(stream, left).ok()?))
    };
    called.into_iter().filter_map(greet).collect()
}

/// What a living shim says of itself. One that is too old to say more leaves the settings unknown, so that its copy counts as changed.
fn rebuild(slot: String, mut control: Control) -> InstanceRecord {
    let identity = Identity::of(control.pid, "");
    let mut record = InstanceRecord {
        protocol: control.protocol,
        slot,
        uuid: control.uuid.clone(),
        run: control.run,
        shim: control.shim,
        pid: control.pid,
        start_time: identity.start_time,
        boot_id: identity.boot_id,
        exe: identity.exe,
        settings: String::new(),
        artifact: None,
        started_us: fd::wall_us(),
        argv: Vec::new(),
        marker: String::new(),
        stop_signal: libc::SIGTERM,
        grace_ms: 10_000,
        limits: None,
    };
    if control.protocol > super::spec::PROTOCOL {
        return record;
    }
    if let Ok(Some(Event::Described { slot, started_us, stop, settings, artifact, marker })) = control.describe() {
        (record.slot, record.started_us, record.settings) = (slot, started_us, settings);
        (record.artifact, record.marker) = (artifact, marker);
        (record.stop_signal, record.grace_ms) = stop;
    }
    record
}

/// Writes what a shim said of itself where its record was, so that it need not be asked again. The caller is the project's only supervisor.
pub fn mend(home: &Home, record: &InstanceRecord) -> io::Result<()> {
    let Some((service, number)) = record.slot.rsplit_once('.') else { return Ok(()) };
    let folder = Path::new("run").join(service).join(number);
    let folder = crate::sys::folder::Folder::beneath(&home.dot, &folder)?;
    folder.write_atomically("instance.json", &serde_json::to_vec(record)?)
}
