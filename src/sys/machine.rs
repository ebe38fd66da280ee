//! What this machine has.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Cores and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: u32,
    /// Bytes.
    pub memory: u64,
}

/// Asks the system. Cores that cannot be counted are one core, memory that cannot be measured is zero, which means unknown.
pub fn machine() -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let system =
        System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    Machine { cores, memory: system.map_or(0, |system| system.total_memory()) }
}
