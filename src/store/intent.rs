//! What is wanted of a service, as the last command about it left it: enough to go on after the supervisor died.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Read, read, replace};
use crate::error::{Context as _, PathError};
use crate::task::id::ServiceName;

/// What is wanted of one service, with the flags and the environment of whoever asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Whose it is, where the file's name is too short to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// `up`, `down` or `once`.
    pub desired: String,
    /// Copies, where `scale` or `start --scale` said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// What the file said when `scale` was set: an edited file wins again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in_file: Option<u32>,
    /// `-e K=V`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_env: Vec<Pair>,
    /// Built with the race detector.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub race: bool,
    /// Built for a debugger and run below it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debug: bool,
    /// Where it runs instead of where its file says: `docker` or `process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_in: Option<String>,
    /// The architecture of that command's Docker engine, as Go calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_arch: Option<String>,
    /// Built to count which of its statements run: until the next `start`, which is about something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Cover>,
    /// Started without what it needs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_deps: bool,
    /// Started without vendors: it waits for none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_vendors: bool,
    /// Added to every fixed host port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_offset: Option<i32>,
    /// Built and swapped at each save.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun: bool,
    /// Its tests must pass before a copy is started or replaced, and run when they are edited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Started by a command that named nobody: what such a command would start later belongs to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// Stopped by its name: what follows the files of the project leaves it stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Its configuration may belong to another user: `--trust` was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust: bool,
    /// The configuration file, where `-c` was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The command that last started it: `start`, `restart`, `scale`.
    #[serde(default)]
    pub command: String,
    /// The environment of the command that last started it.
    #[serde(default)]
    pub env: Vec<Pair>,
    /// That command's umask.
    #[serde(default)]
    pub umask: u32,
    /// That command's `RLIMIT_NOFILE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nofile: Option<(u64, u64)>,
}

/// Coverage of a running service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The folder of `state/tests` that holds its binary and what it counts.
    pub folder: String,
    /// Import paths of the packages that are counted.
    pub packages: Vec<String>,
}

impl Cover {
    /// Where the binaries are that count.
    pub fn bin(&self, state: &Path) -> PathBuf {
        self.base(state).join("bin")
    }

    /// Where a service writes what it has counted.
    pub fn data(&self, state: &Path, service: &ServiceName) -> PathBuf {
        self.base(state).join("data").join(service.as_str())
    }

    fn base(&self, state: &Path) -> PathBuf {
        state.join("tests").join(&self.folder)
    }
}

impl Intent {
    /// It shall run.
    pub fn is_wanted(&self) -> bool {
        !self.desired.is_empty() && self.desired != DOWN
    }

    /// The same command of the same caller started both last.
    pub fn has_same_caller(&self, other: &Intent) -> bool {
        (&self.command, self.umask, self.nofile, &self.engine_arch, &self.env)
            == (&other.command, other.umask, other.nofile, &other.engine_arch, &other.env)
    }
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair(Text, Text);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

impl Text {
    fn new(text: &OsStr) -> Text {
        text.to_str().map_or_else(|| Text::Bytes(text.as_bytes().to_vec()), |text| Text::Text(text.to_owned()))
    }

    fn get(&self) -> OsString {
        match self {
            Text::Text(text) => OsString::from(text),
            Text::Bytes(bytes) => OsString::from_vec(bytes.clone()),
        }
    }
}

/// An environment as it is kept.
pub fn pairs(env: &[(OsString, OsString)]) -> Vec<Pair> {
    env.iter().map(|(key, value)| Pair(Text::new(key), Text::new(value))).collect()
}

/// An environment as it is used.
pub fn unpairs(pairs: &[Pair]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|Pair(key, value)| (key.get(), value.get())).collect()
}

/// Writes one service's intent into the state folder.
pub fn save(state: &Path, service: &ServiceName, intent: &Intent) -> Result<(), PathError> {
    let path = path(state, service);
    match named(&path) {
        Some(named) if named == service.as_str() => replace(&path, intent),
        Some(_) | None => replace(&path, &Intent { service: Some(service.to_string()), ..intent.clone() }),
    }
}

/// A folder's name may be as long as a file's name can be, so a service's long name is cut and told apart by a hash.
fn path(state: &Path, service: &ServiceName) -> PathBuf {
    let name = service.as_str();
    let word = match name.len() {
        0..=120 => name.to_owned(),
        _ => {
            let hash =
                name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
            format!("{}-{hash:016x}", &name[..100])
        }
    };
    state.join(format!("service-{word}.json"))
}

fn named(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix("service-")?.strip_suffix(".json")
}

/// Writes down that a service is not wanted. Where nothing can be written (a full disk), what was wanted is removed.
pub fn save_stopped(state: &Path, service: &ServiceName, intent: &Intent) -> Result<(), PathError> {
    save(state, service, &intent.stopped())
        .or_else(|error| std::fs::remove_file(path(state, service)).map_err(|_| error))
}

/// The word of what is not wanted.
pub const DOWN: &str = "down";

impl Intent {
    /// What is left of it after a `stop`: the number of copies, and whether it was stopped by its name.
    pub fn stopped(&self) -> Intent {
        let (desired, scale, scale_in_file, held) = (DOWN.to_owned(), self.scale, self.scale_in_file, self.held);
        Intent { desired, scale, scale_in_file, held, ..Intent::default() }
    }
}

/// Writes down that nothing is wanted any more: everything was stopped without a supervisor, or the machine was started anew.
pub fn stop_all(state: &Path) -> Result<(), PathError> {
    let (intents, _) = load(state)?;
    for (service, intent) in intents.into_iter().filter(|(_, intent)| intent.desired != DOWN || intent.held) {
        save_stopped(state, &service, &Intent { held: false, ..intent })?;
    }
    Ok(())
}

/// Whether a service of this name was started at some time, whatever has become of its files.
pub fn is_kept(state: &Path, service: &ServiceName) -> bool {
    path(state, service).is_file()
}

/// Reads every intent in the state folder; files that cannot be understood are set aside and named.
pub fn load(state: &Path) -> Result<(BTreeMap<ServiceName, Intent>, Vec<PathBuf>), PathError> {
    let mut intents = BTreeMap::new();
    let mut corrupt = Vec::new();
    let entries = match std::fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((intents, corrupt)),
        Err(error) => return Err(error).context("read", state),
    };
    for entry in entries {
        let path = entry.context("read", state)?.path();
        let Some(service) = named(&path).and_then(ServiceName::fold) else { continue };
        match read::<Intent>(&path)? {
            Read::Value(mut intent) => {
                let service = intent.service.take().and_then(|name| ServiceName::fold(&name)).unwrap_or(service);
                intents.insert(service, intent);
            }
            Read::Missing => {}
            Read::Corrupt(aside) => corrupt.push(aside),
        }
    }
    Ok((intents, corrupt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intents_come_back_with_bytes_that_are_not_text() {
        let dir = tempfile::tempdir().unwrap();
        let env = vec![(OsString::from("A"), OsString::from_vec(vec![0xff, b'x'])), ("B".into(), "ü".into())];
        let intent = Intent { desired: "up".into(), env: pairs(&env), umask: 0o27, ..Intent::default() };
        let api = ServiceName::fold("api").unwrap();
        save(dir.path(), &api, &intent).unwrap();
        std::fs::write(dir.path().join("service-web.json"), "{").unwrap();
        let (intents, corrupt) = load(dir.path()).unwrap();
        assert_eq!(intents.len(), 1);
        assert_eq!(unpairs(&intents[&api].env), env);
        assert_eq!(intents[&api].umask, 0o27);
        assert_eq!(corrupt.len(), 1);
    }

    #[test]
    fn a_stop_succeeds_where_nothing_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        let api = ServiceName::fold("api").unwrap();
        std::fs::create_dir(&real).unwrap();
        save(&real, &api, &Intent { desired: "up".into(), ..Intent::default() }).unwrap();
        // Nothing is written through a link.
        std::os::unix::fs::symlink(&real, &link).unwrap();
        stop_all(&link).unwrap();
        assert_eq!(load(&real).unwrap().0, BTreeMap::new());
    }

    #[test]
    fn names_as_long_as_a_folder_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["x".repeat(255), format!("{}y", "x".repeat(254))].map(|name| ServiceName::fold(&name).unwrap());
        for name in &names {
            save(dir.path(), name, &Intent { desired: "up".into(), ..Intent::default() }).unwrap();
        }
        let (intents, _) = load(dir.path()).unwrap();
        assert_eq!(intents.keys().cloned().collect::<Vec<_>>(), names);
        assert!(intents.values().all(|intent| intent.service.is_none()));
    }

    #[test]
    fn a_stop_keeps_the_scale_and_forgets_the_caller() {
        let dir = tempfile::tempdir().unwrap();
        let api = ServiceName::fold("api").unwrap();
        let env = pairs(&[("A".into(), "b".into())]);
        let intent = Intent { desired: "up".into(), scale: Some(3), scale_in_file: Some(1), env, ..Intent::default() };
        save(dir.path(), &api, &intent).unwrap();
        stop_all(dir.path()).unwrap();
        let (intents, _) = load(dir.path()).unwrap();
        let left = Intent { desired: "down".into(), scale: Some(3), scale_in_file: Some(1), ..Intent::default() };
        assert_eq!(intents[&api], left);
    }
}
