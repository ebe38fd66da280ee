//! Becomes shims by forking: `orchestra __shims`.
//!
//! Executing and linking a large program costs more than all the rest of a shim's start, and leaves each with private copies of the same pages. So
//! the supervisor starts this one process, which does it once, and asks it for shims: a message with a socket, the shim's connection to the
//! supervisor, is answered by the shim's pid. The process has one thread, holds nothing but the requests' socket, and ends with the supervisor; the shims live on.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::start;
use crate::logs::record::{self, Stream};
use crate::logs::stamp;
use crate::sys::child::{self, Forked};
use crate::sys::{fd, os, pass};

/// A longer name of a slot is cut in process lists.
pub const TITLE: usize = 96;
/// So many bytes answer a request.
pub const ANSWER: usize = 4;

/// The whole life of the template, and of each shim it becomes. Its standard input is where requests come from.
pub fn main() -> ExitCode {
    os::set_process_name(c"orchestra-shims");
    // A group leader already is the leader of something, which is as good.
    nix::unistd::setsid().ok();
    os::close_from(3);
    let Ok(requests) = fd::take_stdin() else { return ExitCode::FAILURE };
    // The folder we were started in may be unmounted while we live.
    nix::unistd::chdir("/").ok();
    let requests = UnixStream::from(requests);
    let title = os::Title::find();
    title.set(&["orchestra", "__shims"]);
    child::forget_children();
    rehearse();
    let mut slot = [0; TITLE];
    loop {
        let (n, control) = match pass::receive(&requests, &mut slot) {
            Ok(Some((n, control))) => (n, UnixStream::from(control)),
            // The supervisor is gone.
            Ok(None) => return ExitCode::SUCCESS,
            Err(_) => return ExitCode::FAILURE,
        };
        match child::fork() {
            Ok(Forked::Parent(pid)) => {
                drop(control);
                answer(&requests, pid);
            }
            Ok(Forked::Child) => {
                drop(requests);
                title.set(&["orchestra", "__shim", std::str::from_utf8(&slot[..n]).unwrap_or_default()]);
                return start::live(control);
            }
            Err(errno) => answer(&requests, -errno),
        }
    }
}

/// A supervisor that went away is noticed at the next request.
fn answer(mut requests: &UnixStream, number: i32) {
    drop(requests.write_all(&number.to_le_bytes()));
}

/// The pid of the shim that was made, or the error of the system that could not make a process.
pub fn read_answer(bytes: [u8; ANSWER]) -> io::Result<u32> {
    let number = i32::from_le_bytes(bytes);
    u32::try_from(number).map_err(|_| io::Error::from_raw_os_error(number.saturating_neg()))
}

/// Does once what is set up at its first use, so that the shims share those pages.
fn rehearse() {
    let time = stamp::text(fd::wall_us());
    let head = record::header(&time, Stream::Stdout, true);
    std::hint::black_box((memchr::memchr(b'\n', &head), memchr::memrchr(b'\n', &head)));
}
