//! What containers use whose processes this machine does not see: `ps` asks their engines.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::wire;
use crate::supervisor::snapshot::{InstanceView, Shown, Snapshot};
use crate::sys::home::Home;
use crate::sys::usage::Sampler;
use crate::task::id::InstanceId;
use crate::worker::docker::usage::{self, Sample};

/// Remembers samples between questions, by the ids of containers.
#[derive(Debug, Default)]
pub(super) struct Engines {
    known: Mutex<Sampler<String>>,
}

impl Engines {
    /// Fills in what the engines say. Where all processes can be seen nobody is asked.
    pub(super) async fn tell(&self, home: &Home, snapshot: &Snapshot, services: &mut [wire::Service]) {
        let unseen: Vec<InstanceId> = snapshot
            .services
            .iter()
            .flat_map(|service| &service.instances)
            .filter(is_unseen)
            .map(|one| one.id.clone())
            .collect();
        if unseen.is_empty() {
            return;
        }
        let samples = usage::sample(home, unseen).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|container| samples.iter().any(|sample| sample.container == *container));
        for Sample { instance, container, stats, age } in samples {
            let used = known.usage(container, stats.cpu, stats.memory, age, Instant::now());
            let id = instance.to_string();
            if let Some(one) = services.iter_mut().flat_map(|service| &mut service.instances).find(|one| one.id == id) {
                (one.cpu_percent, one.memory_bytes) = (Some(used.cpu_percent), Some(used.memory_bytes));
            }
        }
    }
}

fn is_unseen(one: &&InstanceView) -> bool {
    one.contained && one.pid.is_none() && matches!(one.state, Shown::Running | Shown::Ready)
}
