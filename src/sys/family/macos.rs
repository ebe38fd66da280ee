//! macOS: the process list of the sysinfo crate. It says of no process where in the kernel it waits.

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::Doing;

fn with<T>(pid: u32, read: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
    let (mut system, pid) = (System::new().ok()?, Pid::from_u32(pid));
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    system.process(pid).map(read)
}

/// Its state.
pub(super) fn doing(pid: u32) -> Doing {
    match with(pid, sysinfo::Process::status) {
        Some(ProcessStatus::Stop) => Doing::Stopped,
        Some(ProcessStatus::Zombie | ProcessStatus::Dead) | None => Doing::Ended,
        Some(_) => Doing::Living,
    }
}

/// Its short name.
pub(super) fn name(pid: u32) -> Option<String> {
    with(pid, |process| process.name().to_string_lossy().into_owned())
}

/// A debugger suspends the whole process here.
pub(super) fn is_held(pid: u32) -> bool {
    doing(pid) == Doing::Stopped
}

/// A process that is no zombie has one.
pub(super) fn n_threads(pid: u32) -> usize {
    usize::from(!matches!(doing(pid), Doing::Ended))
}

/// Not known here.
pub(super) fn waits_in(_pid: u32) -> Option<String> {
    None
}
