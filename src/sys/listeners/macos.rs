//! macOS: libproc lists the descriptors of each process, sockets with their addresses. There is no table of all sockets, so the table is made of the
//! descriptors of the processes that may be read (those of the same user).

use std::ffi::OsStr;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::{Pid, getpgid, getsid};

use super::{Process, Socket};
use crate::task::spec::Protocol;

/// All listening sockets of the processes we may read.
pub(super) fn table(protocol: Protocol) -> Vec<Socket> {
    let of = |pid| {
        socket_fds(pid).unwrap_or_default().into_iter().filter_map(move |fd| SocketInfo::read(pid, fd)?.listening())
    };
    let mut out: Vec<Socket> = pids().into_iter().flat_map(of).filter(|s| s.protocol == protocol).collect();
    // A socket that several processes share is one.
    out.sort();
    out.dedup();
    out
}

/// The sockets a process holds: descriptor and number.
pub(super) fn sockets_of(pid: u32) -> io::Result<Vec<(i32, u64)>> {
    let fds = socket_fds(pid)?;
    Ok(fds.into_iter().filter_map(|fd| Some((fd, SocketInfo::read(pid, fd)?.id()))).collect())
}

/// The number of the socket at a descriptor of a process.
pub(super) fn socket_at(pid: u32, fd: i32) -> Option<u64> {
    SocketInfo::read(pid, fd).map(|i| i.id())
}

fn socket_fds(pid: u32) -> io::Result<Vec<i32>> {
    let mut room = 256;
    loop {
        let mut entries = vec![libc::proc_fdinfo { proc_fd: 0, proc_fdtype: 0 }; room];
        let size = (room * mem::size_of::<libc::proc_fdinfo>()) as libc::c_int;
        #[expect(unsafe_code, reason = "libproc has no safe wrapper; the buffer is as large as said")]
        let got = unsafe {
            libc::proc_pidinfo(pid as libc::c_int, libc::PROC_PIDLISTFDS, 0, entries.as_mut_ptr().cast(), size)
        };
        if got <= 0 {
            return Err(io::Error::last_os_error());
        }
        if got < size {
            entries.truncate(got as usize / mem::size_of::<libc::proc_fdinfo>());
            let sockets = entries.iter().filter(|e| e.proc_fdtype == libc::PROX_FDTYPE_SOCKET as u32);
            return Ok(sockets.map(|e| e.proc_fd).collect());
        }
        room *= 2;
    }
}

/// `struct socket_fdinfo` of `sys/proc_info.h`, by offsets: libc does not have it.
struct SocketInfo([u64; 128]);

impl SocketInfo {
    /// `proc_fileinfo` comes first, then `socket_info`.
    const SOCKET: usize = 24;
    const NUMBER: usize = Self::SOCKET + 136;
    const KIND: usize = Self::SOCKET + 232;
    const DETAILS: usize = Self::SOCKET + 240;
    const LOCAL_PORT: usize = Self::DETAILS + 4;
    const FOREIGN_PORT: usize = Self::DETAILS;
    const VERSION: usize = Self::DETAILS + 24;
    const LOCAL_ADDRESS: usize = Self::DETAILS + 48;
    const TCP_STATE: usize = Self::DETAILS + 80;

    fn read(pid: u32, fd: i32) -> Option<SocketInfo> {
        const PROC_PIDFDSOCKETINFO: libc::c_int = 3;
        let mut info = SocketInfo([0; 128]);
        let size = mem::size_of_val(&info.0) as libc::c_int;
        #[expect(
            unsafe_code,
            reason = "libproc has no safe wrapper; the buffer is as large as said, and larger than the structure"
        )]
        let got = unsafe {
            libc::proc_pidfdinfo(pid as libc::c_int, fd, PROC_PIDFDSOCKETINFO, info.0.as_mut_ptr().cast(), size)
        };
        if got as usize >= Self::TCP_STATE + 4 { Some(info) } else { None }
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0.get((at + i) / 8).map_or(0, |w| w.to_ne_bytes()[(at + i) % 8]))
    }

    fn id(&self) -> u64 {
        u64::from_ne_bytes(self.bytes(Self::NUMBER))
    }

    fn listening(&self) -> Option<Socket> {
        const UDP: i32 = 1;
        const TCP: i32 = 2;
        const LISTEN: i32 = 1;
        let number = |at| i32::from_ne_bytes(self.bytes(at));
        let port = |at| u16::from_be_bytes(self.bytes(at));
        let protocol = match number(Self::KIND) {
            TCP if number(Self::TCP_STATE) == LISTEN => Protocol::Tcp,
            UDP if port(Self::LOCAL_PORT) != 0 && port(Self::FOREIGN_PORT) == 0 => Protocol::Udp,
            _ => return None,
        };
        Some(Socket { protocol, address: SocketAddr::new(self.ip(), port(Self::LOCAL_PORT)), id: self.id() })
    }

    fn ip(&self) -> IpAddr {
        const V6: u8 = 2;
        // An IPv4 address stands in the last four of the sixteen bytes.
        if self.bytes::<1>(Self::VERSION)[0] & V6 != 0 {
            IpAddr::V6(Ipv6Addr::from(self.bytes::<16>(Self::LOCAL_ADDRESS)))
        } else {
            IpAddr::V4(Ipv4Addr::from(self.bytes::<4>(Self::LOCAL_ADDRESS + 12)))
        }
    }
}

/// All processes.
pub(super) fn pids() -> Vec<u32> {
    let mut room = 4096;
    loop {
        let mut pids = vec![0 as libc::pid_t; room];
        let size = (room * mem::size_of::<libc::pid_t>()) as libc::c_int;
        #[expect(unsafe_code, reason = "libproc has no safe wrapper; the buffer is as large as said")]
        let got = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
        let Ok(got) = usize::try_from(got) else { return Vec::new() };
        if got < room {
            pids.truncate(got);
            return pids.into_iter().filter(|p| *p > 0).map(|p| p as u32).collect();
        }
        room *= 2;
    }
}

/// All processes with their groups and sessions.
pub(super) fn groups() -> Vec<Process> {
    let number = |pid: nix::Result<Pid>| pid.ok().and_then(|p| u32::try_from(p.as_raw()).ok());
    let process = |pid: u32| {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?);
        Some(Process { pid, group: number(getpgid(Some(raw)))?, session: number(getsid(Some(raw)))? })
    };
    pids().into_iter().filter_map(process).collect()
}

/// The program of a process, where we may see it.
pub fn exe(pid: u32) -> Option<PathBuf> {
    let mut path = vec![0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    #[expect(unsafe_code, reason = "libproc has no safe wrapper; the buffer is as large as said")]
    let got = unsafe { libc::proc_pidpath(pid as libc::c_int, path.as_mut_ptr().cast(), path.len() as u32) };
    let len = usize::try_from(got).ok().filter(|n| *n > 0)?;
    Some(PathBuf::from(OsStr::from_bytes(path.get(..len)?)))
}

/// The debugger that holds a process; its parent meanwhile, as macOS makes it one.
pub fn tracer(pid: u32) -> Option<u32> {
    const TRACED: u32 = 2;
    #[expect(unsafe_code, reason = "a structure of plain numbers may be all zeroes")]
    let mut info: libc::proc_bsdinfo = unsafe { mem::zeroed() };
    let size = mem::size_of::<libc::proc_bsdinfo>() as libc::c_int;
    #[expect(unsafe_code, reason = "libproc has no safe wrapper; the buffer is as large as said")]
    let got =
        unsafe { libc::proc_pidinfo(pid as libc::c_int, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    if got == size && info.pbi_flags & TRACED != 0 { Some(info.pbi_ppid) } else { None }
}

/// The first and last port the kernel gives to outgoing connections, as macOS is delivered.
pub fn ephemeral_ports() -> (u16, u16) {
    (49152, 65535)
}
