//! What containers use whose processes this machine does not see, since their engine is on another one, or in a virtual one: the engine is asked.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::record;
use crate::docker::{Docker, Failure, Stats};
use crate::sys::fd::wall_us;
use crate::sys::home::Home;
use crate::task::id::InstanceId;

/// Whoever asks waits at most so long for all engines together; what has not answered by then is not told.
const PATIENCE: Duration = Duration::from_secs(1);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which copy.
    pub instance: InstanceId,
    /// The engine's id of its container.
    pub container: String,
    /// What it uses.
    pub stats: Stats,
    /// How long it has run.
    pub age: Duration,
}

/// Asks the engines of these copies, all at once.
pub async fn sample(home: &Home, instances: Vec<InstanceId>) -> Vec<Sample> {
    let mut asked = JoinSet::new();
    for instance in instances {
        if let Some(record) = record::of(home, &instance).filter(|record| record.end.is_none()) {
            asked.spawn(async move {
                let docker = Docker::at(&record.engine).await?;
                let age = Duration::from_micros(u64::try_from(wall_us() - record.started_us).unwrap_or(0));
                let stats = docker.stats(&record.container).await?;
                Ok::<_, Failure>(stats.map(|stats| Sample { instance, container: record.container, stats, age }))
            });
        }
    }
    let mut samples = Vec::new();
    let answers = async {
        while let Some(answer) = asked.join_next().await {
            // Whoever cannot be asked tells nothing: that it is away is told elsewhere.
            samples.extend(answer.ok().and_then(Result::ok).flatten());
        }
    };
    drop(timeout(PATIENCE, answers).await);
    samples
}
