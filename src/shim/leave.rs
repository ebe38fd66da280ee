//! A shim without a supervisor, and a shim's end: whom it starts, and who has to hear of it.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::control::CONNECTIONS;
use super::record::ExitRecord;
use super::run::{FIXED, SECOND, Shim};
use super::wire::{Event, Order};
use crate::sys::child::{End, launch_detached};
use crate::sys::fd::{mono_ns, read, wall_us};
use crate::sys::folder::Folder;
use crate::sys::home::SUPERVISOR_LOCK;
use crate::sys::lock;
use crate::sys::os;

/// After the group is empty a pipe that somebody else holds open is waited for so long.
const DRAIN: u64 = 2 * SECOND;
/// Without a supervisor for so long, a new one is started: whoever replaces it on purpose has done so by then …
const REVIVE: u64 = SECOND / 4;
/// … plus up to so long, each shim another part of it: by the time most are due, the first one's supervisor holds the lock.
const SPREAD: u64 = SECOND / 4;
/// Then again after each pause: three tries a minute.
const REVIVE_PAUSE: u64 = 20 * SECOND;
/// Somebody holds the supervisor's lock: it is beginning, or ending. So long until the next look.
const REVIVE_LOOK: u64 = SECOND;
/// A supervisor that is stopped reads our last words once it goes on; so long it is waited for.
const HEARD: u64 = SECOND;
/// Between two looks at the supervisor's lock.
const LOOK: Duration = Duration::from_millis(5);

impl Shim {
    /// Without a supervisor: starts a new one, and ends the service once it has lingered enough.
    pub(super) fn mind_supervisor(&mut self, now: u64) {
        if self.control.has_supervisor() || self.group.is_stopping() {
            (self.timers.revive, self.timers.orphaned) = (None, None);
            return;
        }
        if let Some(seconds) = self.linger {
            let until = *self.timers.orphaned.get_or_insert(now + seconds.saturating_mul(SECOND));
            if now >= until {
                self.timers.orphaned = None;
                let (signal, grace_ms) = self.stop;
                self.obey(if seconds == 0 { Order::Kill } else { Order::Stop { signal, grace_ms } });
                return;
            }
        }
        if self.root.is_none() {
            return;
        }
        let first = now + REVIVE + u64::from(std::process::id() % 250) * (SPREAD / 250);
        if now >= *self.timers.revive.get_or_insert(first) {
            self.timers.revive = Some(now + self.revive());
        }
    }

    /// Starts a supervisor unless there is one, which may not listen yet; how long to wait for it. Should two be started at once, the lock lets one
    /// live.
    fn revive(&self) -> u64 {
        if lock::is_held(&self.api.with_file_name(SUPERVISOR_LOCK)).unwrap_or(false) {
            return REVIVE_LOOK;
        }
        start_supervisor(self.program.as_ref(), self.root.as_ref());
        REVIVE_PAUSE
    }

    /// The group is empty: what is still in the pipes, the record, the last words.
    pub(super) fn finish(mut self, end: End) -> ExitCode {
        let until = mono_ns() + DRAIN;
        while self.outputs.iter().any(Option::is_some) && mono_ns() < until {
            let hit = self.wait(Some(until));
            self.log.tick();
            (0..2).filter(|at| hit[1 + at]).for_each(|at| self.read_output(at));
            self.log.flush();
            for at in (0..CONNECTIONS).filter(|at| hit[FIXED + at]) {
                self.control.read(at, |_, _| {});
            }
            if hit[0] {
                drop(read(self.signals.as_fd(), &mut [0; 64]));
            }
        }
        self.log.tick();
        for output in self.outputs.iter_mut().flatten() {
            output.finish(&mut self.log);
        }
        self.log.flush();
        self.log.recover();
        self.take_leave(end);
        ExitCode::SUCCESS
    }

    fn take_leave(self, end: End) {
        let Shim { mut control, group, lock, sockets, records, uuid, number, oom_kills, program, root, .. } = self;
        let (code, signal) = match end {
            End::Code(code) => (Some(code), None),
            End::Signal(signal) => (None, Some(signal)),
        };
        let kills = group.bounds().oom_kills().unwrap_or_else(|| os::oom_kills().saturating_sub(oom_kills));
        let oom = signal == Some(libc::SIGKILL) && !group.killed && kills > 0;
        group.bounds().finish();
        let (stopped, killed) = (group.stopped, group.stopped && group.killed);
        let exit = ExitRecord { uuid, run: number, code, signal, oom, stopped, killed, ended_us: wall_us() };
        if let (Ok(folder), Ok(bytes)) = (Folder::beneath(&records.0, &records.1), serde_json::to_vec(&exit)) {
            // On a full disk the supervisor still hears it on the socket.
            drop(folder.write_atomically("exit.json", &bytes));
        }
        for socket in sockets.iter().flatten() {
            // The next shim of this slot removes what is left.
            drop(std::fs::remove_file(socket));
        }
        // Before the last words: whoever hears them may start the next run at once.
        drop(lock);
        control.tell(&Event::Exited { code, signal, oom, killed });
        // Nobody heard it: the supervisor died, and the service ended before we missed that one, or was to be replaced. Somebody has to see to what follows.
        let until = mono_ns() + HEARD;
        let heard = control.is_heard(until) || stays_held(&self.api.with_file_name(SUPERVISOR_LOCK), until);
        if !heard && (!stopped || self.ordered) {
            start_supervisor(program.as_ref(), root.as_ref());
        }
        // Closed by the kernel and not by us: who sees the end of the conversation knows that the process has ended.
        std::mem::forget(control);
    }
}

/// Whether somebody who lives holds a lock: what a dying process holds is given up one by one, its lock after its sockets.
fn stays_held(path: &Path, until: u64) -> bool {
    while lock::is_held(path).unwrap_or(false) {
        if mono_ns() >= until {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    false
}

/// If it cannot be started now, the next try may have more luck; nobody is there to be told.
fn start_supervisor(program: Option<&OwnedFd>, root: Option<&CString>) {
    if let (Some(program), Some(root)) = (program, root) {
        drop(launch_detached(program, &[c"orchestra", c"__supervisor", root], root));
    }
}
