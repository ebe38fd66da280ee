//! macOS: libproc and sysctl. There is no descriptor that holds a process, so what is found here may be shown and is never proof enough for a signal.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Exe, FileId, Stat, Status};
use crate::sys::os::bsd_info;

/// Nothing pins a pid between a look and a signal.
pub const CERTAIN: bool = false;

/// `P_TRACED` of `sys/proc.h`, in the flags of a process.
const TRACED: u32 = 2;

/// Whether a process belongs to our user.
pub fn is_ours(pid: u32) -> bool {
    bsd_info(pid).is_ok_and(|info| info.pbi_uid == nix::unistd::geteuid().as_raw())
}

/// State, parent, session, terminal, start.
pub fn stat(pid: u32) -> io::Result<Stat> {
    let info = bsd_info(pid)?;
    let session = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid as i32)))?;
    Ok(Stat {
        is_zombie: info.pbi_status == libc::SZOMB,
        parent: info.pbi_ppid,
        session: session.as_raw() as u32,
        // All ones: none.
        has_terminal: info.e_tdev != u32::MAX,
        start_time: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
    })
}

/// Users and tracer, which macOS does not name.
pub fn status(pid: u32) -> io::Result<Status> {
    let info = bsd_info(pid)?;
    let tracer = (info.pbi_flags & TRACED != 0).then_some(0);
    Ok(Status { users: vec![info.pbi_ruid, info.pbi_uid, info.pbi_svuid, info.pbi_uid], tracer })
}

/// The file it executes.
#[expect(unsafe_code, reason = "proc_pidpath has no wrapper")]
pub fn exe(pid: u32) -> io::Result<Exe> {
    let mut path = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: the kernel writes at most the length given.
    let n = unsafe { libc::proc_pidpath(pid as i32, path.as_mut_ptr().cast(), path.len() as u32) };
    if n <= 0 {
        return Err(io::Error::last_os_error());
    }
    let path = PathBuf::from(OsStr::from_bytes(&path[..n as usize]));
    match fs::metadata(&path) {
        Ok(meta) => Ok(Exe { path, file: (meta.dev(), meta.ino()), is_deleted: false, is_there: true }),
        Err(_) => Ok(Exe { path, file: (0, 0), is_deleted: true, is_there: false }),
    }
}

/// The file at its path, which may be a newer one.
pub fn open_exe(pid: u32) -> io::Result<File> {
    File::open(exe(pid)?.path)
}

/// Its working directory, by name and by itself.
#[expect(unsafe_code, reason = "proc_pidinfo has no wrapper")]
pub fn working_dir(pid: u32) -> io::Result<(PathBuf, FileId)> {
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut info: libc::proc_vnodepathinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_vnodepathinfo>() as i32;
    // SAFETY: the kernel writes at most `size` bytes.
    let n = unsafe { libc::proc_pidinfo(pid as i32, libc::PROC_PIDVNODEPATHINFO, 0, (&raw mut info).cast(), size) };
    if n != size {
        return Err(io::Error::last_os_error());
    }
    let bytes: Vec<u8> = info.pvi_cdir.vip_path.iter().flatten().map(|b| *b as u8).take_while(|b| *b != 0).collect();
    let path = PathBuf::from(OsString::from_vec(bytes));
    let meta = fs::metadata(&path)?;
    Ok((path, (meta.dev(), meta.ino())))
}

/// Its arguments, its own name first.
pub fn argv(pid: u32) -> io::Result<Vec<OsString>> {
    let (count, words) = words(pid)?;
    Ok(words.into_iter().take(count).map(OsString::from_vec).collect())
}

/// A variable of the environment it was started with.
pub fn variable(pid: u32, key: &str) -> io::Result<Option<OsString>> {
    let (count, words) = words(pid)?;
    let value =
        |entry: Vec<u8>| Some(OsString::from_vec(entry.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?.to_vec()));
    Ok(words.into_iter().skip(count).find_map(value))
}

/// How many arguments there are; then arguments and environment.
#[expect(unsafe_code, reason = "sysctl has no wrapper")]
fn words(pid: u32) -> io::Result<(usize, Vec<Vec<u8>>)> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid as i32];
    let mut text = vec![0_u8; 1024 * 1024];
    let mut len = text.len();
    // SAFETY: the kernel writes at most `len` bytes.
    let rc = unsafe { libc::sysctl(name.as_mut_ptr(), 3, text.as_mut_ptr().cast(), &mut len, std::ptr::null_mut(), 0) };
    if rc != 0 || len < 4 {
        return Err(io::Error::last_os_error());
    }
    let count = u32::from_ne_bytes([text[0], text[1], text[2], text[3]]) as usize;
    // The path, padding, then the arguments.
    let rest = &text[4..len];
    let after = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    let begin = rest[after..].iter().position(|b| *b != 0).map_or(rest.len(), |pad| after + pad);
    Ok((count, rest[begin..].split(|b| *b == 0).map(<[u8]>::to_vec).collect()))
}

/// macOS has no control groups.
pub fn cgroup(_pid: u32) -> io::Result<String> {
    Ok(String::new())
}

/// macOS has no namespaces.
pub fn shares_pids(_pid: u32) -> io::Result<bool> {
    Ok(true)
}

/// macOS has no namespaces.
pub fn shares_files(_pid: u32) -> io::Result<bool> {
    Ok(true)
}
