//! What kind of file system a folder is on: some cannot hold what a project keeps.

use std::io;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};

/// What matters of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind, where it is one that is reached over a network or another machine: `nfs`, `smb`, `9p`, …
    pub remote: Option<String>,
    /// Programs on it may not be run.
    pub noexec: bool,
    /// It cannot be written to.
    pub read_only: bool,
    /// Bytes that are free for us, and all bytes.
    pub free: u64,
    /// All bytes.
    pub size: u64,
}

/// Looks at the file system of an existing path.
pub fn look(path: &Path) -> io::Result<FileSystem> {
    let stat = statvfs(path)?;
    let flags = stat.flags();
    let (free, size) = sizes(&stat);
    Ok(FileSystem {
        remote: remote(path)?,
        noexec: is_noexec(flags),
        read_only: flags.contains(FsFlags::ST_RDONLY),
        free,
        size,
    })
}

/// The kind of the file system of a path, where it is one whose files may be edited without a word to this machine's kernel: those that are reached over a
/// network or another machine, and those that a program makes up.
pub fn silent(path: &Path) -> io::Result<Option<String>> {
    Ok(remote(path)?.or(made_up(path)?))
}

#[cfg(target_os = "linux")]
fn made_up(path: &Path) -> io::Result<Option<String>> {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, statfs};
    // virtiofs, prl_fs.
    const KINDS: [(FsType, &str); 3] =
        [(FUSE_SUPER_MAGIC, "fuse"), (FsType(0x6a65_6a63), "virtiofs"), (FsType(0x7c7c_6673), "prl_fs")];
    let kind = statfs(path)?.filesystem_type();
    Ok(KINDS.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_owned()))
}

#[cfg(not(target_os = "linux"))]
fn made_up(path: &Path) -> io::Result<Option<String>> {
    let kind = nix::sys::statfs::statfs(path)?.filesystem_type_name().to_owned();
    Ok((kind.contains("fuse") || kind == "virtiofs").then_some(kind))
}

/// Free bytes, and all.
#[cfg(target_os = "linux")]
fn sizes(stat: &Statvfs) -> (u64, u64) {
    let block = stat.fragment_size();
    (stat.blocks_available().saturating_mul(block), stat.blocks().saturating_mul(block))
}

/// Free bytes, and all; blocks are counted in 32 bits here.
#[cfg(not(target_os = "linux"))]
fn sizes(stat: &Statvfs) -> (u64, u64) {
    let block = stat.fragment_size();
    (u64::from(stat.blocks_available()).saturating_mul(block), u64::from(stat.blocks()).saturating_mul(block))
}

#[cfg(target_os = "linux")]
fn is_noexec(flags: FsFlags) -> bool {
    flags.contains(FsFlags::ST_NOEXEC)
}

/// macOS does not tell it this way; a failing start names it.
#[cfg(not(target_os = "linux"))]
fn is_noexec(_flags: FsFlags) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn remote(path: &Path) -> io::Result<Option<String>> {
    use nix::sys::statfs::{AFS_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};
    // nix does not know the last five: V9FS, SMB2, CIFS, Ceph, VirtualBox.
    const KINDS: [(FsType, &str); 8] = [
        (NFS_SUPER_MAGIC, "nfs"),
        (SMB_SUPER_MAGIC, "smb"),
        (AFS_SUPER_MAGIC, "afs"),
        (FsType(0x0102_1997), "9p"),
        (FsType(0xfe53_4d42), "smb2"),
        (FsType(0xff53_4d42), "cifs"),
        (FsType(0x00c3_6400), "ceph"),
        (FsType(0x786f_4256), "vboxsf"),
    ];
    let kind = statfs(path)?.filesystem_type();
    Ok(KINDS.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_owned()))
}

#[cfg(not(target_os = "linux"))]
fn remote(path: &Path) -> io::Result<Option<String>> {
    const KINDS: [&str; 5] = ["nfs", "smbfs", "afpfs", "webdav", "ftp"];
    let kind = nix::sys::statfs::statfs(path)?.filesystem_type_name().to_owned();
    Ok(KINDS.contains(&kind.as_str()).then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_local_and_can_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let found = look(dir.path()).unwrap();
        assert_eq!((found.remote, found.noexec, found.read_only), (None, false, false));
        assert!(found.size > 0 && found.free <= found.size);
        assert_eq!(silent(dir.path()).unwrap(), None);
        assert!(look(Path::new("/nowhere/at/all")).is_err());
    }
}
