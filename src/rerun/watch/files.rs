//! What is remembered of a file, to tell whether and how it changed: hashes, no texts.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::rerun::head::Head;
use crate::rerun::reach::What;

/// Of files beyond this size the times count, not the bytes.
const LARGE: u64 = 64 << 20;
/// The system's clock for files moves in steps of at most this.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What `stat` says: while it is the same, so are the bytes, but for two writes within one [`TICK`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    inode: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

/// One file as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) stamp: Stamp,
    /// Of the bytes.
    hash: u64,
    /// Of what `go list` reads of it, and of where a link points; 0 for files that are not Go.
    head: u64,
    /// The stamp could be that of another write, too.
    is_fresh: bool,
}

impl Stamp {
    /// Of a file or folder; `None` where there is none.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().map(|meta| Stamp::from(&meta))
    }

    fn from(meta: &Metadata) -> Stamp {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
        Stamp {
            size: meta.len(),
            inode: meta.ino(),
            modified: ns(meta.mtime(), meta.mtime_nsec()),
            changed: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether it was written, or put there, at that time or later; a little earlier counts, too.
    pub(super) fn is_since(&self, time: SystemTime) -> bool {
        self.modified.max(self.changed) >= nanoseconds(time) - nanoseconds(SystemTime::UNIX_EPOCH + TICK)
    }
}

/// Nanoseconds since 1970.
pub(super) fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Print {
    /// Reads a file. `None`: there is none, or it is a folder or a device. One that cannot be read has a print, too: another one than any that can.
    pub(super) fn of(path: &Path) -> Option<Print> {
        let meta = fs::metadata(path).ok().filter(Metadata::is_file)?;
        let stamp = Stamp::from(&meta);
        let now = SystemTime::now();
        let link = fs::read_link(path).ok();
        let (hash, mut head) = match read(path, meta.len()) {
            Ok(Content::Whole(bytes)) if path.extension().is_some_and(|ext| ext == "go") => {
                (hash_of(&bytes), head_hash(&bytes))
            }
            Ok(Content::Whole(bytes)) => (hash_of(&bytes), 0),
            Ok(Content::Large) => (hash_of(&stamp.modified.to_ne_bytes()), 0),
            Err(error) => (hash_of(format!("{:?}", error.kind()).as_bytes()).wrapping_add(1), 1),
        };
        if let Some(target) = link {
            head ^= hash_of(target.as_os_str().as_encoded_bytes());
        }
        Some(Print { stamp, hash, head, is_fresh: stamp.is_since(now) })
    }

    /// Whether nothing can have been written since, so that it need not be read again.
    pub(super) fn is_as(&self, now: Option<&Stamp>) -> bool {
        now == Some(&self.stamp) && !self.is_fresh
    }

    /// Whether it has no bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.stamp.size == 0
    }
}

/// How a file changed; `None` where only its times did.
pub(super) fn compare(before: Option<&Print>, after: Option<&Print>) -> Option<What> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(What::Appeared),
        (Some(_), None) => Some(What::Vanished),
        (Some(before), Some(after)) if before.head != after.head => Some(What::Head),
        (Some(before), Some(after)) => {
            let is_same = (before.hash, before.stamp.size) == (after.hash, after.stamp.size);
            (!is_same).then_some(What::Content)
        }
    }
}

enum Content {
    Whole(Vec<u8>),
    Large,
}

fn read(path: &Path, size: u64) -> io::Result<Content> {
    if size > LARGE {
        return Ok(Content::Large);
    }
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    File::open(path)?.take(LARGE + 1).read_to_end(&mut bytes)?;
    Ok(Content::Whole(bytes))
}

/// Keyed with zeros it is the same for the same bytes as long as we run; nobody attacks us with his own files.
fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn head_hash(bytes: &[u8]) -> u64 {
    let head = Head::of(bytes);
    let mut hasher = DefaultHasher::new();
    (&head.constraints, &head.package, &head.imports, &head.embeds, head.broken).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_bytes_make_a_change_and_heads_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.go");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            Print::of(&path)
        };
        assert_eq!(Print::of(&path), None);
        assert_eq!(Print::of(dir.path()), None);
        let one = write("package a\n");
        assert_eq!(compare(None, one.as_ref()), Some(What::Appeared));
        assert_eq!(compare(one.as_ref(), None), Some(What::Vanished));
        assert_eq!(compare(one.as_ref(), write("package a\n").as_ref()), None);
        assert_eq!(compare(one.as_ref(), write("package a\n\nvar x = 1\n").as_ref()), Some(What::Content));
        assert_eq!(compare(one.as_ref(), write("package b\n").as_ref()), Some(What::Head));
        assert!(write("").unwrap().is_empty());
    }

    #[test]
    fn a_link_that_points_elsewhere_is_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("one.go"), "package a\n").unwrap();
        fs::write(at("two.go"), "package a\n").unwrap();
        symlink(at("one.go"), at("link.go")).unwrap();
        let before = Print::of(&at("link.go"));
        fs::remove_file(at("link.go")).unwrap();
        symlink(at("two.go"), at("link.go")).unwrap();
        assert_eq!(compare(before.as_ref(), Print::of(&at("link.go")).as_ref()), Some(What::Head));
    }

    #[test]
    fn a_stamp_is_trusted_once_it_is_of_the_past() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let begin = SystemTime::now();
        let print = Print::of(&path).unwrap();
        assert!(print.stamp.is_since(begin - Duration::from_secs(1)));
        assert!(!print.stamp.is_since(begin + Duration::from_secs(1)));
        let old = Print { is_fresh: false, ..print };
        let fresh = Print { is_fresh: true, ..print };
        let now = Stamp::of(&path);
        assert!(old.is_as(now.as_ref()) && !fresh.is_as(now.as_ref()) && !old.is_as(None));
    }
}
