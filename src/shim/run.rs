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
use super::spec::PROTOCOL;
use super::start::Records;
use super::wire::{Event, Order};
use crate::logs::writer::Writer;
use crate::sys::fd::{mono_ns, read};
use crate::sys::lock::Lock;

pub(super) const SECOND: u64 = 1_000_000_000;
/// Silence after which memory is given back.
const SILENCE: u64 = 2 * SECOND;
/// Between two tries to say what was dropped.
const RECOVER: u64 = SECOND;

pub(super) const FIXED: usize = 5;
const POLLED: usize = FIXED + CONNECTIONS;

/// Times on the monotonic clock at which something is due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    pub(super) revive: Option<u64>,
    pub(super) orphaned: Option<u64>,
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

    pub(super) fn wait(&self, due: Option<u64>) -> [bool; POLLED] {
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

    pub(super) fn read_output(&mut self, at: usize) {
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

    pub(super) fn obey(&mut self, order: Order) {
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
}
