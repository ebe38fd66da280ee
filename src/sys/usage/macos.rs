//! macOS: the process list of the sysinfo crate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::Process;

/// Every process that can be read. The session stands for the group too: services lead their own.
pub(super) fn processes() -> Vec<Process> {
    // A system that cannot be asked shows no usage, which `ps` draws as unknown.
    let Ok(mut system) = System::new() else { return Vec::new() };
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    system
        .processes()
        .iter()
        .map(|(pid, process)| {
            let session = process.session_id().map_or(0, sysinfo::Pid::as_u32);
            Process {
                pid: pid.as_u32(),
                parent: process.parent().map_or(0, sysinfo::Pid::as_u32),
                zombie: process.status() == ProcessStatus::Zombie,
                start: crate::sys::os::start_time(pid.as_u32()).unwrap_or(0),
                group: session,
                session,
                cpu: Duration::from_millis(process.accumulated_cpu_time()),
                age: now.saturating_sub(Duration::from_secs(process.start_time())).max(Duration::from_millis(1)),
                memory: process.memory(),
            }
        })
        .collect()
}

/// macOS keeps starts by the wall clock only, which tells no more than the caller knows.
pub(super) fn age(_pid: u32) -> Option<Duration> {
    None
}
