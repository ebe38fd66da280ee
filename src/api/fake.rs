//! A supervisor for tests: accepts every request and publishes the snapshots a test tells it to.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::supervisor::snapshot::{InstanceView, ServiceView, Settled, Shown, Snapshot};
use crate::supervisor::{Accepted, Command, Handle, Request};
use crate::task::id::{InstanceId, ServiceName};
use crate::task::spec::{Desired, Kind};

/// The other end of a handle.
pub(super) struct Fake {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) shown: watch::Sender<Arc<Snapshot>>,
}

/// A handle and who answers it.
pub(super) fn fake() -> (Handle, Fake) {
    let (commands, inbox) = mpsc::channel(8);
    let (shown, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    (Handle { commands, snapshots }, Fake { commands: inbox, shown })
}

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::fold(text).unwrap()
}

pub(super) fn view(service: &str, state: Shown, settled: Settled) -> ServiceView {
    let id = InstanceId { service: name(service), number: 1 };
    let instance = InstanceView {
        id,
        state,
        run: None,
        pid: None,
        ports: Vec::new(),
        listening: Vec::new(),
        restarts: 0,
        started_us: None,
        since_us: None,
        ready_us: None,
        last_exit: None,
        contained: false,
        healthy: None,
        limits: None,
        trouble: None,
    };
    ServiceView {
        name: name(service),
        kind: Kind::Service,
        desired: Desired::Up,
        scale: 1,
        build: None,
        instances: vec![instance],
        settled,
        reason: None,
        rerun: false,
        tests: None,
    }
}

impl Fake {
    pub(super) fn show(&self, seq: u64, services: Vec<ServiceView>) {
        self.shown.send_replace(Arc::new(Snapshot { seq, services, ..Snapshot::default() }));
    }

    /// Accepts the next request; it reaches `services`, from snapshot `from` on.
    pub(super) async fn accept(&mut self, services: &[&str], from: u64) -> Request {
        match self.commands.recv().await {
            Some(Command::Request(request, reply)) => {
                let services = services.iter().map(|s| name(s)).collect();
                reply.send(Ok(Accepted { services, notes: vec!["noted".into()], from, armed: None })).unwrap();
                *request
            }
            other => panic!("{other:?}"),
        }
    }
}
