//! What a shim is told once, at its start: `key=value` fields that end with NUL, so that arguments and environment need no copy before exec.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::sys::cgroup;
use crate::task::environment::Environment;
use crate::task::spec::Resources;

/// The version of this format and of the control protocol.
pub const PROTOCOL: u32 = 1;
/// A longer spec is refused.
pub const MAX: usize = 16 * 1024 * 1024;

/// How long a service outlives the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// For ever; a new supervisor is started to take it over.
    Forever,
    /// So many seconds; meanwhile a new supervisor is tried. 0: it is killed at once.
    Seconds(u64),
}

/// Everything a shim needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ShimSpec {
    /// `api.1`, or `api.build`.
    pub slot: String,
    /// Of this run, never used again.
    pub uuid: String,
    /// The number of this run.
    pub run: u64,
    /// The project, where a lost supervisor shall be started again.
    pub revive: Option<PathBuf>,
    /// The API's socket: somebody listens there, so a supervisor lives.
    pub api: PathBuf,
    /// `.orchestra`.
    pub dot: PathBuf,
    /// The segments' folder, relative to `dot`.
    pub logs: PathBuf,
    /// The record's folder, relative to `dot`.
    pub records: PathBuf,
    /// The lock that says that this shim lives.
    pub lock: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The sd_notify socket, where the service is to have one.
    pub notify: Option<PathBuf>,
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments, its own name first.
    pub argv: Vec<OsString>,
    /// Its whole environment; the marker is added by [`ShimSpec::encode`].
    pub env: Environment,
    /// `ORCHESTRA_RUN` without the name.
    pub marker: String,
    /// Its working directory.
    pub dir: PathBuf,
    /// Its file mode creation mask.
    pub umask: u32,
    /// Its `RLIMIT_NOFILE`.
    pub nofile: Option<(u64, u64)>,
    /// What it is held to, where the system lets it be.
    pub resources: Resources,
    /// A pseudo-terminal for its output.
    pub tty: bool,
    /// Bytes of log kept.
    pub log_keep: u64,
    /// For the record.
    pub settings: String,
    /// For the record.
    pub artifact: Option<String>,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long until SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// How long it outlives the supervisor.
    pub linger: Linger,
}

impl ShimSpec {
    /// The bytes for the shim: their length in four bytes, then the fields. An error names the field that holds a NUL byte.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out = Fields(vec![0; 4]);
        out.put("protocol", PROTOCOL.to_string())?;
        out.put("slot", &self.slot)?;
        out.put("uuid", &self.uuid)?;
        out.put("run", self.run.to_string())?;
        if let Some(root) = &self.revive {
            out.put("revive", root)?;
        }
        let paths = [
            ("api", &self.api),
            ("dot", &self.dot),
            ("logs", &self.logs),
            ("records", &self.records),
            ("lock", &self.lock),
            ("socket", &self.socket),
            ("program", &self.program),
            ("dir", &self.dir),
        ];
        for (key, path) in paths {
            out.put(key, path)?;
        }
        if let Some(notify) = &self.notify {
            out.put("notify", notify)?;
        }
        out.put("umask", self.umask.to_string())?;
        if let Some((soft, hard)) = self.nofile {
            out.put("nofile", format!("{soft} {hard}"))?;
        }
        self.put_limits(&mut out)?;
        out.put("tty", u8::from(self.tty).to_string())?;
        out.put("keep", self.log_keep.to_string())?;
        out.put("settings", &self.settings)?;
        if let Some(artifact) = &self.artifact {
            out.put("artifact", artifact)?;
        }
        out.put("stop", self.stop_signal.to_string())?;
        out.put("grace", self.grace_ms.to_string())?;
        if let Linger::Seconds(seconds) = self.linger {
            out.put("linger", seconds.to_string())?;
        }
        // Last, as it may be large: whoever looks for another field finds it before.
        self.put_program(&mut out)?;
        let mut bytes = out.0;
        let length = u32::try_from(bytes.len() - 4).ok().filter(|n| (*n as usize) < MAX);
        let length = length
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "arguments and environment are too large"))?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }

    /// Nothing for a service without limits, so that its shim does nothing about them.
    fn put_limits(&self, out: &mut Fields) -> io::Result<()> {
        if !self.resources.limit_anything() {
            return Ok(());
        }
        out.put("group", cgroup::name_of(&self.lock))?;
        if let Some(bytes) = self.resources.memory_limit() {
            out.put("memory", bytes.to_string())?;
        }
        if let Some(cores) = self.resources.cpu_limit() {
            out.put("cpu", cores.to_string())?;
        }
        Ok(())
    }

    fn put_program(&self, out: &mut Fields) -> io::Result<()> {
        for arg in &self.argv {
            out.put("arg", arg)?;
        }
        out.put_pair("env", OsStr::new("ORCHESTRA_RUN"), OsStr::new(&self.marker))?;
        if let Some(notify) = &self.notify {
            out.put_pair("env", OsStr::new("NOTIFY_SOCKET"), notify.as_os_str())?;
        }
        let ours = |key: &OsStr| key == "ORCHESTRA_RUN" || key == "NOTIFY_SOCKET";
        for (key, value) in self.env.iter().filter(|(key, _)| !ours(key)) {
            out.put_pair("env", key, value)?;
        }
        Ok(())
    }
}

struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, key: &str, value: impl AsRef<OsStr>) -> io::Result<()> {
        self.put_parts(key, &[value.as_ref()])
    }

    /// `key=name=value`
    fn put_pair(&mut self, key: &str, name: &OsStr, value: &OsStr) -> io::Result<()> {
        self.put_parts(key, &[name, OsStr::new("="), value])
    }

    fn put_parts(&mut self, key: &str, parts: &[&OsStr]) -> io::Result<()> {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        for part in parts {
            if memchr::memchr(0, part.as_bytes()).is_some() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{key}` holds a NUL byte")));
            }
            self.0.extend_from_slice(part.as_bytes());
        }
        self.0.push(0);
        Ok(())
    }
}

/// The fields as the shim reads them, borrowed from the bytes it received.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(pub &'a [u8]);

impl<'a> View<'a> {
    /// Every value of a key, in order.
    pub fn all(self, key: &'a str) -> impl Iterator<Item = &'a CStr> {
        self.fields().filter_map(move |field| value(field, key))
    }

    /// The value of a key that occurs once. Looks no further than where arguments and environment begin, which may be large.
    pub fn get(self, key: &'a str) -> Option<&'a CStr> {
        self.fields().take_while(|field| !field.starts_with(b"arg=")).find_map(|field| value(field, key))
    }

    /// Each field with its NUL.
    fn fields(self) -> impl Iterator<Item = &'a [u8]> {
        let mut begin = 0;
        memchr::memchr_iter(0, self.0).map(move |end| &self.0[std::mem::replace(&mut begin, end + 1)..=end])
    }

    /// The value of a key as text; empty where it is missing.
    pub fn text(self, key: &'a str) -> &'a str {
        self.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The value of a key as a path.
    pub fn path(self, key: &'a str) -> Option<PathBuf> {
        self.get(key).map(|value| PathBuf::from(OsStr::from_bytes(value.to_bytes())))
    }

    /// The value of a key as a number.
    pub fn number<T: std::str::FromStr>(self, key: &'a str) -> Option<T> {
        self.text(key).parse().ok()
    }

    /// Two numbers with a space between.
    pub fn pair(self, key: &'a str) -> Option<(u64, u64)> {
        let (a, b) = self.text(key).split_once(' ')?;
        Some((a.parse().ok()?, b.parse().ok()?))
    }
}

fn value<'a>(field: &'a [u8], key: &str) -> Option<&'a CStr> {
    CStr::from_bytes_with_nul(field.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?).ok()
}
