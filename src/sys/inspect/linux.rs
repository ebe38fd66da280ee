//! Linux: everything is in `/proc/PID`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Exe, FileId, Stat, Status};

/// A process can be held by a descriptor, so that what was looked at is what is signalled.
pub const CERTAIN: bool = true;

/// Added by the kernel to the path of a file that has no name any more.
const DELETED: &[u8] = b" (deleted)";

fn place(pid: u32, what: &str) -> String {
    format!("/proc/{pid}/{what}")
}

fn id(meta: &fs::Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

/// Whether a process belongs to our user, as far as one look tells.
pub fn is_ours(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == nix::unistd::geteuid().as_raw())
}

/// State, parent, session, terminal, start.
pub fn stat(pid: u32) -> io::Result<Stat> {
    parse(&fs::read(place(pid, "stat"))?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The second field, the name, may hold anything: fields are counted from its last parenthesis.
fn parse(stat: &[u8]) -> Option<Stat> {
    let after = memchr::memrchr(b')', stat)? + 2;
    let fields: Vec<&str> = std::str::from_utf8(stat.get(after..)?).ok()?.split_ascii_whitespace().collect();
    // From the third field of proc(5) on.
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    Some(Stat {
        is_zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: u32::try_from(number(4)?).ok()?,
        session: u32::try_from(number(6)?).unwrap_or(0),
        has_terminal: number(7)? != 0,
        start_time: u64::try_from(number(22)?).ok()?,
    })
}

/// Users and tracer.
pub fn status(pid: u32) -> io::Result<Status> {
    let text = String::from_utf8_lossy(&fs::read(place(pid, "status"))?).into_owned();
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let numbers = |text: &str| text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<u32>>();
    let users = after("Uid:").map(numbers).unwrap_or_default();
    let tracer = after("TracerPid:").and_then(|text| numbers(text).first().copied());
    match (users.len(), tracer) {
        (4, Some(tracer)) => Ok(Status { users, tracer: Some(tracer).filter(|pid| *pid != 0) }),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// The file it executes.
pub fn exe(pid: u32) -> io::Result<Exe> {
    let link = fs::read_link(place(pid, "exe"))?;
    let file = id(&fs::metadata(place(pid, "exe"))?);
    let leads_there = |path: &OsStr| fs::metadata(path).is_ok_and(|meta| id(&meta) == file);
    let is_there = leads_there(link.as_os_str());
    // A file may really be called so.
    match link.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(path) if !is_there => {
            Ok(Exe { path: PathBuf::from(OsStr::from_bytes(path)), file, is_deleted: true, is_there: false })
        }
        Some(_) | None => Ok(Exe { path: link, file, is_deleted: false, is_there }),
    }
}

/// That file, opened, whether it still has a name or not.
pub fn open_exe(pid: u32) -> io::Result<File> {
    File::open(place(pid, "exe"))
}

/// Its working directory, by name and by itself.
pub fn working_dir(pid: u32) -> io::Result<(PathBuf, FileId)> {
    let path = fs::read_link(place(pid, "cwd"))?;
    Ok((path, id(&fs::metadata(place(pid, "cwd"))?)))
}

/// Its arguments, its own name first.
pub fn argv(pid: u32) -> io::Result<Vec<OsString>> {
    let bytes = fs::read(place(pid, "cmdline"))?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(bytes.split(|b| *b == 0).map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// A variable of the environment it was started with.
pub fn variable(pid: u32, key: &str) -> io::Result<Option<OsString>> {
    let environ = fs::read(place(pid, "environ"))?;
    let value =
        |entry: &[u8]| Some(OsString::from_vec(entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?.to_vec()));
    Ok(environ.split(|b| *b == 0).find_map(value))
}

/// Its control groups as the kernel lists them.
pub fn cgroup(pid: u32) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(place(pid, "cgroup"))?).into_owned())
}

/// Its pids mean what ours mean: it is in no container that we look into from outside.
pub fn shares_pids(pid: u32) -> io::Result<bool> {
    Ok(fs::read_link(place(pid, "ns/pid"))? == fs::read_link("/proc/self/ns/pid")?)
}

/// Its paths mean what ours mean.
pub fn shares_files(pid: u32) -> io::Result<bool> {
    let same_mounts = fs::read_link(place(pid, "ns/mnt"))? == fs::read_link("/proc/self/ns/mnt")?;
    Ok(same_mounts && id(&fs::metadata(place(pid, "root"))?) == id(&fs::metadata("/proc/self/root")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_stat_may_hold_anything() {
        let stat = b"71 (a) R 1 (b) T 5 71 70 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 0 0";
        let got = parse(stat).unwrap();
        assert_eq!(got, Stat { is_zombie: false, parent: 5, session: 70, has_terminal: true, start_time: 123_456 });
        assert_eq!(parse(b"nonsense"), None);
        assert_eq!(parse(b"1 (x) Z"), None);
    }

    #[test]
    fn knows_this_process() {
        let me = std::process::id();
        assert!(is_ours(me) && shares_pids(me).unwrap() && shares_files(me).unwrap());
        assert_eq!(stat(me).unwrap().start_time, crate::sys::os::start_time(me).unwrap());
        let status = status(me).unwrap();
        assert_eq!((status.users[1], status.tracer), (nix::unistd::geteuid().as_raw(), None));
        let exe = exe(me).unwrap();
        assert_eq!((exe.path, exe.is_deleted, exe.is_there), (std::env::current_exe().unwrap(), false, true));
        assert_eq!(working_dir(me).unwrap().0, std::env::current_dir().unwrap());
        assert_eq!(argv(me).unwrap(), std::env::args_os().collect::<Vec<_>>());
        assert_eq!(variable(me, "PATH").unwrap(), std::env::var_os("PATH"));
        assert_eq!(variable(me, "NO_SUCH_VARIABLE").unwrap(), None);
    }

    #[test]
    fn a_deleted_program_keeps_its_file() {
        use std::os::unix::process::CommandExt;
        let dir = tempfile::tempdir().unwrap();
        // The second is called as the kernel calls the first one once it is gone.
        for (name, removed) in [("tool", true), ("tool (deleted)", false)] {
            let path = dir.path().canonicalize().unwrap().join(name);
            fs::copy("/bin/sleep", &path).unwrap();
            let mut child = std::process::Command::new(&path).arg0("sleep").arg("1000").spawn().unwrap();
            let file = id(&fs::metadata(&path).unwrap());
            if removed {
                fs::remove_file(&path).unwrap();
            }
            let got = exe(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(got.unwrap(), Exe { path, file, is_deleted: removed, is_there: !removed });
        }
    }
}
