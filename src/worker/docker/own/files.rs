//! What is in an image beside the binary, and the stream that carries it all: certificates and time zones come from this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures_util::Stream;
use futures_util::stream;
use hyper::body::Bytes;

use crate::docker::tar::{self, Entry};
use crate::services::build::find_go;
use crate::task::environment::Environment;

/// Where Go itself looks for certificates, by distribution.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const ZONES: &str = "/usr/share/zoneinfo";
/// In the image.
const ZONE_FILE: &str = "usr/share/zoneinfo.zip";
/// Of the folder of time zones, what is none or is there twice.
const NO_ZONES: [&str; 3] = ["posix", "right", "leapseconds"];
/// A zone has at most so many bytes; a bundle of certificates, too.
const MOST: u64 = 16 << 20;
/// So much is read of a binary at once.
const CHUNK: usize = 1 << 18;

const SMALL: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/:/\nnonroot:x:65532:65532:nonroot:/:/\n"),
    ("etc/group", "root:x:0:\nnonroot:x:65532:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Where certificates and time zones are on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    certificates: Option<PathBuf>,
    zones: Option<Zones>,
}

#[derive(Clone, Debug)]
enum Zones {
    /// The system's.
    Folder(PathBuf),
    /// Those that come with Go.
    File(PathBuf),
}

impl Sources {
    /// Looks for them; a bundle that the environment names comes first, as for the program itself.
    pub(super) fn find(env: &Environment) -> Sources {
        let value = |key: &str| env.iter().find(|(name, _)| *name == key).map(|(_, value)| PathBuf::from(value));
        let candidates = value("SSL_CERT_FILE").into_iter().chain(CERTIFICATES.map(PathBuf::from));
        let certificates = candidates.into_iter().find(|path| path.is_absolute() && path.is_file());
        let folder = Path::new(ZONES);
        let zones = match folder.join("Etc/UTC").exists() || folder.join("UTC").exists() {
            true => Some(Zones::Folder(folder.to_owned())),
            false => of_go(env).map(Zones::File),
        };
        Sources { certificates, zones }
    }

    /// Another text means other content, without reading it.
    pub(super) fn mark(&self) -> String {
        let of = |path: &Path| {
            let meta = fs::metadata(path).ok();
            let times = meta.map(|meta| (meta.len(), meta.mtime(), meta.mtime_nsec()));
            format!("{} {times:?}", path.display())
        };
        let zones = self.zones.as_ref().map(|zones| match zones {
            Zones::Folder(path) => of(&path.join("tzdata.zi")) + &of(path),
            Zones::File(path) => of(path),
        });
        format!("{:?} {zones:?}", self.certificates.as_deref().map(of))
    }
}

/// The time zones beside the `go` of an environment.
fn of_go(env: &Environment) -> Option<PathBuf> {
    let env: Vec<_> = env.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let go = find_go(&env).ok()?.canonicalize().ok()?;
    let zones = go.parent()?.parent()?.join("lib/time/zoneinfo.zip");
    zones.is_file().then_some(zones)
}

/// Everything but the binary, as an archive without its end.
pub(super) struct Base {
    archive: Vec<u8>,
    zone_file: Option<&'static str>,
    missing: Vec<String>,
}

impl Base {
    /// Reads it from this machine; what cannot be read is left out and named.
    pub(super) fn read(sources: &Sources) -> Base {
        let mut base = Base { archive: Vec::new(), zone_file: None, missing: Vec::new() };
        for folder in ["bin/", "etc/", "etc/ssl/", "etc/ssl/certs/", "usr/", "usr/share/"] {
            base.add(folder, 0o755, Entry::Folder, b"");
        }
        base.add("tmp/", 0o1777, Entry::Folder, b"");
        for (path, text) in SMALL {
            base.file(path, text.as_bytes());
        }
        match sources.certificates.as_deref().and_then(|path| read(path).ok()) {
            Some(bytes) => base.file("etc/ssl/certs/ca-certificates.crt", &bytes),
            None => base.missing.push(
                "this machine has no certificates of authorities, so its image has none and TLS fails there; \
                 `apt install ca-certificates` (or the like) brings them"
                    .to_owned(),
            ),
        }
        match &sources.zones {
            Some(Zones::Folder(path)) => base.zones(path),
            Some(Zones::File(path)) => match read(path) {
                Ok(bytes) => {
                    base.file(ZONE_FILE, &bytes);
                    base.zone_file = Some(ZONE_FILE);
                }
                Err(_) => base.without_zones(),
            },
            None => base.without_zones(),
        }
        base
    }

    fn without_zones(&mut self) {
        let words = "this machine has no time zones, so its image has none but UTC; `apt install tzdata` (or the like) brings them";
        self.missing.push(words.to_owned());
    }

    fn add(&mut self, path: &str, mode: u32, entry: Entry<'_>, content: &[u8]) {
        // A zone with so long a name is one nobody knows.
        _ = tar::add(&mut self.archive, path, mode, entry, content);
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        self.add(path, 0o644, Entry::File(content.len() as u64), content);
    }

    /// The zones of a folder, in the order of their names; what is the same file under another name is a link.
    fn zones(&mut self, root: &Path) {
        let mut todo = vec![String::new()];
        while let Some(inside) = todo.pop() {
            let folder = root.join(&inside);
            let at = |name: &str| if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
            self.add(&format!("usr/share/zoneinfo/{}", slashed(&inside)), 0o755, Entry::Folder, b"");
            for name in names(&folder) {
                let path = folder.join(&name);
                if inside.is_empty() && NO_ZONES.contains(&name.as_str()) || !is_zone(&name) {
                    continue;
                }
                let target = fs::read_link(&path).ok().and_then(|target| target.to_str().map(str::to_owned));
                match target.filter(|target| !target.starts_with('/')) {
                    Some(target) => {
                        self.add(&format!("usr/share/zoneinfo/{}", at(&name)), 0o777, Entry::Link(&target), b"");
                    }
                    None if path.is_dir() => todo.push(at(&name)),
                    None => {
                        if let Ok(bytes) = read(&path) {
                            self.file(&format!("usr/share/zoneinfo/{}", at(&name)), &bytes);
                        }
                    }
                }
            }
        }
    }

    /// Puts the binary behind it.
    pub(super) fn pack(mut self, binary: File, program: String) -> io::Result<Packed> {
        let size = binary.metadata()?.len();
        let header = tar::header(&program, 0o755, Entry::File(size)).ok_or(io::ErrorKind::InvalidInput)?;
        self.archive.extend_from_slice(&header);
        Ok(Packed { base: self, binary, size })
    }
}

fn slashed(inside: &str) -> String {
    if inside.is_empty() { String::new() } else { format!("{inside}/") }
}

/// Zones begin with a capital letter or a sign of one; tables of them have an ending.
fn is_zone(name: &str) -> bool {
    !name.contains('.') && name != "localtime" && name != "posixrules"
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A whole archive, ready to be sent.
pub(super) struct Packed {
    base: Base,
    binary: File,
    size: u64,
}

impl Packed {
    /// Where its time zones are, if in one file.
    pub(super) fn zone_file(&self) -> Option<&'static str> {
        self.base.zone_file
    }

    /// What is not in it, one sentence each.
    pub(super) fn missing(&self) -> &[String] {
        &self.base.missing
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.base.archive.len() as u64 + self.size
    }

    /// Its bytes. The binary is read while it is sent: it may be bigger than anybody wants to hold in memory.
    pub(super) fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let mut end = vec![0; tar::padding(self.size)];
        end.extend_from_slice(&tar::END);
        let state = Sending::Base(self.base.archive, tokio::fs::File::from_std(self.binary), self.size, end);
        stream::unfold(state, |state| async move {
            match state.next().await {
                Ok(None) => None,
                Ok(Some((bytes, rest))) => Some((Ok(bytes), rest)),
                Err(error) => Some((Err(error), Sending::Over)),
            }
        })
    }
}

/// What is still to be sent.
enum Sending {
    Base(Vec<u8>, tokio::fs::File, u64, Vec<u8>),
    Binary(tokio::fs::File, u64, Vec<u8>),
    Over,
}

impl Sending {
    async fn next(self) -> io::Result<Option<(Bytes, Sending)>> {
        use tokio::io::AsyncReadExt as _;
        match self {
            Sending::Base(archive, binary, size, end) => Ok(Some((archive.into(), Sending::Binary(binary, size, end)))),
            Sending::Binary(_, 0, end) => Ok(Some((end.into(), Sending::Over))),
            Sending::Binary(mut binary, left, end) => {
                let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
                let n = binary.read(&mut chunk).await?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                chunk.truncate(n);
                Ok(Some((chunk.into(), Sending::Binary(binary, left - n as u64, end))))
            }
            Sending::Over => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
