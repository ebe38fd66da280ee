//! What the tests stand on: a fleet of their own, the program run on it, and waiting for a condition.

pub(crate) mod cgroups;
pub(crate) mod docker;
pub(crate) mod fleet;
pub(crate) mod leaks;
pub(crate) mod mounts;
pub(crate) mod output;
pub(crate) mod ports;
pub(crate) mod report;
pub(crate) mod tmux;
pub(crate) mod toy;
pub(crate) mod vendors;
pub(crate) mod wait;

pub(crate) use fleet::Fleet;
pub(crate) use leaks::Process;
pub(crate) use tmux::Tmux;
pub(crate) use vendors::Vendors;
pub(crate) use wait::eventually;
