//! A shim's loop: one thread, one poll, nothing allocated while lines flow, no wake-up while nothing happens.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::{CONNECTIONS, Control};
use super::ending::Group;
use super::output::{Output, Read};
use super::record::ExitRecord;
use super::spec::PROTOCOL;
use super::start::Records;
use super::wire::{Event, Order};
use crate::logs::writer::Writer;
use crate::sys::child::{End, launch_detached};
use crate::sys::fd::{mono_ns, read, wall_us};
use crate::sys::folder::Folder;
use crate::sys::home::SUPERVISOR_LOCK;
use crate::sys::lock::{self, Lock};
use crate::sys::os;

const SECOND: u64 = 1_000_000_000;
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
/// Silence after which memory is given back.
const SILENCE: u64 = 2 * SECOND;
/// Between two tries to say what was dropped.
const RECOVER: u64 = SECOND;

const FIXED: usize = 5;
const POLLED: usize = FIXED + CONNECTIONS;

/// Times on the monotonic clock at which something is due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    revive: Option<u64>,
    orphaned: Option<u64>,
    release: Option<u64>,
    recover: Option<u64>,
    /// Nobody is accepted until then: we have no descriptor left.
    deaf: Option<u64>,
    escapes: u64,
}

/// A running shim.
#[derive(Debug)]
pub(super) struct Shim {
    pub(super) control: Control,
    pub(super) group: Group,
    pub(super) log: Writer,
    pub(super) outputs: [Option<Output>; 2],
    pub(super) signals: OwnedFd,
    pub(super) notify: Option<UnixDatagram>,
    /// The program we run, for a new supervisor of the same kind.
    pub(super) program: Option<OwnedFd>,
    pub(super) root: Option<CString>,
    pub(super) api: PathBuf,
    /// Held for as long as we live.
    pub(super) lock: Lock,
    pub(super) sockets: [Option<PathBuf>; 2],
    pub(super) records: Records,
    pub(super) uuid: String,
    pub(super) number: u64,
    /// For whoever lost the record.
    pub(super) described: Event,
    pub(super) stop: (i32, u64),
    /// Seconds; `None` is for ever.
    pub(super) linger: Option<u64>,
    pub(super) ready: bool,
    /// It was a supervisor that told it to end, and not somebody who does without one.
    pub(super) ordered: bool,
    pub(super) oom_kills: u64,
    pub(super) timers: Timers,
}

impl Shim {
    /// Until the service's group is empty and its log complete.
    pub(super) fn run(mut self) -> ExitCode {
        self.control.tell(&Event::Started(self.group.leader() as u32));
        if let Some(limits) = self.group.bounds().event() {
            self.control.tell(&limits);
        }
        let end = loop {
            let now = mono_ns();
            if let Some(end) = self.group.look(now) {
                break end;
            }
            self.keep_time(now);
            let due = self.due(now);
            self.turn(due);
        };
        self.finish(end)
    }

    /// Waits until something happens or `due`, and handles it.
    fn turn(&mut self, due: Option<u64>) {
        let hit = self.wait(due);
        self.log.tick();
        for at in 0..2 {
            if hit[1 + at] {
                self.read_output(at);
            }
        }
        self.log.flush();
        if hit[0] {
            self.read_signals();
        }
        if hit[3] {
            let hello = Event::Hello {
                protocol: PROTOCOL,
                uuid: self.uuid.clone(),
                run: self.number,
                shim: std::process::id(),
            };
            let known = [
                Some(hello),
                Some(Event::Started(self.group.leader() as u32)),
                self.group.bounds().event(),
                self.ready.then_some(Event::Ready),
                self.group.is_stopping().then_some(Event::Stopping),
                (self.group.escaped() > 0).then_some(Event::Escaped(self.group.escaped())),
                self.group.is_unkillable().then_some(Event::Unkillable),
            ];
            if !self.control.accept(&known) {
                self.timers.deaf = Some(mono_ns() + SECOND);
            }
        }
        if hit[4] {
            self.read_notification();
        }
        for at in (0..CONNECTIONS).filter(|at| hit[FIXED + at]) {
            self.read_orders(at);
        }
    }

    fn wait(&self, due: Option<u64>) -> [bool; POLLED] {
        let nothing = PollFd::new(self.signals.as_fd(), PollFlags::empty());
        let mut polled = [const { None }; POLLED];
        polled[0] = Some(self.signals.as_fd());
        polled[1] = self.outputs[0].as_ref().map(|o| o.fd().as_fd());
        polled[2] = self.outputs[1].as_ref().map(|o| o.fd().as_fd());
        polled[3] = self.timers.deaf.is_none().then(|| self.control.listener());
        polled[4] = self.notify.as_ref().map(AsFd::as_fd);
        for at in 0..CONNECTIONS {
            polled[FIXED + at] = self.control.connection(at);
        }
        let mut fds: [PollFd<'_>; POLLED] = std::array::from_fn(|at| {
            polled[at].map_or_else(|| nothing.clone(), |fd| PollFd::new(fd, PollFlags::POLLIN))
        });
        let timeout = match due {
            None => PollTimeout::NONE,
            // Rounded up: a wake-up before the time would spin.
            Some(due) => PollTimeout::try_from(due.saturating_sub(mono_ns()).div_ceil(1_000_000).min(60_000) as i32)
                .unwrap_or(PollTimeout::ZERO),
        };
        // EINTR: the signal's byte is in the pipe and comes with the next turn.
        if poll(&mut fds, timeout).is_err() {
            return [false; POLLED];
        }
        std::array::from_fn(|at| polled[at].is_some() && fds[at].any().unwrap_or(false))
    }

    /// The next time at which something is due without anything happening.
    fn due(&self, now: u64) -> Option<u64> {
        let lines = self.outputs.iter().flatten().filter_map(Output::due);
        let Timers { revive, orphaned, release, recover, deaf, escapes: _ } = self.timers;
        lines.chain([revive, orphaned, release, recover, deaf, self.group.due(now)].into_iter().flatten()).min()
    }

    fn read_output(&mut self, at: usize) {
        let Some(output) = &mut self.outputs[at] else { return };
        match output.read(&mut self.log) {
            Read::Some => self.timers.release = Some(mono_ns() + SILENCE),
            Read::Nothing => {}
            Read::Ended => {
                output.finish(&mut self.log);
                self.outputs[at] = None;
            }
        }
    }

    fn read_signals(&mut self) {
        let mut numbers = [0; 64];
        let n = read(self.signals.as_fd(), &mut numbers).unwrap_or(0);
        if numbers[..n].contains(&(libc::SIGTERM as u8)) {
            let (signal, grace_ms) = self.stop;
            self.obey(Order::Stop { signal, grace_ms });
        }
        self.look_for_escapes();
    }

    fn look_for_escapes(&mut self) {
        // Who is being ended is no news, and a crowd on its way out would be a flood of it.
        if self.group.is_ending() {
            return;
        }
        if let Some(n) = self.group.newly_escaped() {
            self.control.tell(&Event::Escaped(n));
        }
    }

    /// sd_notify: lines of assignments.
    fn read_notification(&mut self) {
        let mut message = [0; 2048];
        let Some(n) = self.notify.as_ref().and_then(|socket| socket.recv(&mut message).ok()) else { return };
        if !self.ready && message[..n].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
            self.ready = true;
            self.control.tell(&Event::Ready);
        }
    }

    fn read_orders(&mut self, at: usize) {
        // A connection reads at most 128 bytes at a time, so at most so many orders of at least five bytes.
        let mut orders = [None; 32];
        let mut n = 0;
        self.control.read(at, |_, order| {
            if let Some(free) = orders.get_mut(n) {
                *free = Some(order);
                n += 1;
            }
        });
        for order in orders.into_iter().flatten() {
            if matches!(order, Order::Stop { .. } | Order::Kill) {
                self.ordered = self.control.is_supervisor(at);
            }
            if order == Order::Status {
                self.look_for_escapes();
                self.control.tell_one(at, &Event::Status(self.log.dropped()));
            } else if order == Order::Describe {
                self.control.tell_one(at, &self.described);
            } else {
                self.obey(order);
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = mono_ns();
        match order {
            Order::Stop { signal, grace_ms } => {
                self.group.ask(signal, grace_ms.saturating_mul(1_000_000), now);
                self.control.tell(&Event::Stopping);
            }
            Order::Kill => {
                self.group.kill(now);
                self.control.tell(&Event::Stopping);
            }
            Order::Signal(signal) => self.group.signal(signal),
            Order::Supervisor | Order::Status | Order::Describe => {}
        }
    }

    /// Does what is due.
    fn keep_time(&mut self, now: u64) {
        for output in self.outputs.iter_mut().flatten().filter(|o| o.due().is_some_and(|due| now >= due)) {
            output.flush(&mut self.log);
        }
        self.log.flush();
        if self.timers.release.is_some_and(|due| now >= due) {
            self.timers.release = None;
            self.outputs.iter_mut().flatten().for_each(Output::release);
            self.log.release();
        }
        self.timers.deaf = self.timers.deaf.filter(|until| now < *until);
        self.timers.recover = match self.timers.recover {
            _ if !self.log.is_behind() => None,
            Some(due) if now >= due => {
                self.log.recover();
                self.log.is_behind().then_some(now + RECOVER)
            }
            waiting => waiting.or(Some(now + RECOVER)),
        };
        if self.timers.release.is_some() && now >= self.timers.escapes {
            // A service that is active is looked at once a second: nobody tells us of an orphan that came to us.
            self.timers.escapes = now + SECOND;
            self.look_for_escapes();
        }
        if self.group.became_unkillable(now) {
            self.control.tell(&Event::Unkillable);
        }
        self.mind_supervisor(now);
    }

    /// Without a supervisor: starts a new one, and ends the service once it has lingered enough.
    fn mind_supervisor(&mut self, now: u64) {
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
    fn finish(mut self, end: End) -> ExitCode {
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
        if !control.has_supervisor() && (!stopped || self.ordered) {
            start_supervisor(program.as_ref(), root.as_ref());
        }
        // Closed by the kernel and not by us: who sees the end of the conversation knows that the process has ended.
        std::mem::forget(control);
    }
}

/// If it cannot be started now, the next try may have more luck; nobody is there to be told.
fn start_supervisor(program: Option<&OwnedFd>, root: Option<&CString>) {
    if let (Some(program), Some(root)) = (program, root) {
        drop(launch_detached(program, &[c"orchestra", c"__supervisor", root], root));
    }
}
