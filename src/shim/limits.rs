//! What a service may use at most: its control group, from before its first instruction until nobody of it is left.
//!
//! The shim stays outside, so a service that is out of memory cannot take its log along. Without `resources` nothing here costs a system call.

use std::os::fd::OwnedFd;

use super::record::LimitRecord;
use super::spec::View;
use super::wire::Event;
use crate::sys::cgroup::{self, Group, Wanted};
use crate::sys::fd;
use crate::task::spec::Limits;

/// A reason travels in one line of the control protocol, which is short.
const WORDS: usize = 300;

/// The limits of one run.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    group: Option<Group>,
    limits: Option<Limits>,
}

impl Bounds {
    /// Makes the group that the spec asks for, if it asks for one.
    pub(super) fn prepare(spec: View<'_>) -> Bounds {
        let Some(name) = spec.get("group").and_then(|name| name.to_str().ok()) else { return Bounds::default() };
        let wanted = Wanted { memory: spec.number("memory"), cpu: spec.number("cpu") };
        let made = cgroup::make(name, &wanted);
        let unenforced = made.obstacle.map(|obstacle| short(&obstacle.what));
        Bounds { group: made.group, limits: Some(Limits { memory: wanted.memory, cpu: wanted.cpu, unenforced }) }
    }

    /// For the child: descriptors to which it writes in order to join. None where nothing is limited.
    pub(super) fn doors(&mut self) -> Vec<OwnedFd> {
        match self.group.as_ref().map(Group::doors) {
            None => Vec::new(),
            Some(Ok(doors)) => doors,
            Some(Err(error)) => {
                self.give_up(error.raw_os_error().unwrap_or(libc::EIO));
                Vec::new()
            }
        }
    }

    /// The child may not join: it runs without.
    pub(super) fn give_up(&mut self, errno: i32) {
        if let Some(group) = self.group.take() {
            // Nobody is in it; where it stays all the same, the next run removes it.
            group.remove();
        }
        if let Some(limits) = &mut self.limits {
            limits.unenforced = Some(format!("it cannot be moved into a cgroup: {}", fd::errno_words(errno)));
        }
    }

    /// What the supervisor is told, and everybody who connects.
    pub(super) fn event(&self) -> Option<Event> {
        self.limits.clone().map(Event::Limits)
    }

    /// For the run's record.
    pub(super) fn record(&self) -> Option<LimitRecord> {
        let limits = self.limits.clone()?;
        let folders = self.group.as_ref().map(|group| group.folders().to_vec()).unwrap_or_default();
        Some(LimitRecord { memory: limits.memory, cpu: limits.cpu, unenforced: limits.unenforced, folders })
    }

    /// SIGKILL to whoever is in the group, also to those who left their session or have another parent.
    pub(super) fn kill(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    /// How many processes of the run the kernel has ended for want of memory, where that is known exactly.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.group.as_ref()?.oom_kills()
    }

    /// Ends who is left and removes the group.
    pub(super) fn finish(&self) {
        if let Some(group) = &self.group {
            // Where a process in the kernel holds it, the next run removes it.
            group.remove();
        }
    }
}

fn short(words: &str) -> String {
    let end = (0..=WORDS.min(words.len())).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
    words[..end].replace('\n', " ")
}
