//! What a container uses, as its engine says: for engines whose processes this machine does not see.

use std::pin::pin;
use std::time::Duration;

use bollard::models::ContainerMemoryStats;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt as _;

use super::client::{Docker, LOOK};
use super::failure::Failure;

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Since it was started.
    pub cpu: Duration,
    /// Bytes, without what the kernel can take back at once, as `docker stats` counts.
    pub memory: u64,
}

impl Docker {
    /// Asks once, which engines from API 1.41 on answer at once and older ones after one or two seconds; `None` where there is no such container.
    pub async fn stats(&self, container: &str) -> Result<Option<Stats>, Failure> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let asked = async {
            let mut answers = pin!(self.engine().stats(container, Some(options)));
            answers.next().await.transpose()
        };
        let Some(Some(said)) = self.if_there(LOOK, asked).await? else { return Ok(None) };
        let cpu = said.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or_default();
        Ok(Some(Stats { cpu: Duration::from_nanos(cpu), memory: said.memory_stats.map_or(0, |memory| used(&memory)) }))
    }
}

fn used(memory: &ContainerMemoryStats) -> u64 {
    let stat = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name).copied());
    // The first is what the old control groups call it.
    let file = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or_default();
    memory.usage.unwrap_or_default().saturating_sub(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::testing::Fake;

    #[tokio::test]
    async fn cpu_and_memory_are_those_of_docker_stats() {
        let fake = Fake::begin();
        let said = r#"{"cpu_stats":{"cpu_usage":{"total_usage":1500000000}},"memory_stats":{"usage":1000,"stats":{"total_inactive_file":300,"inactive_file":9}}}"#;
        let said = &format!("{said}\n");
        fake.answer("GET /containers/c1/stats", 200, said);
        fake.answer("GET /containers/c2/stats", 404, r#"{"message":"No such container: c2"}"#);
        let docker = Docker::connect(&fake.env()).await.unwrap();
        let stats = Stats { cpu: Duration::from_millis(1500), memory: 700 };
        assert_eq!(docker.stats("c1").await.unwrap(), Some(stats));
        assert!(fake.asked("GET /containers/c1/stats")[0].0.contains("one-shot=true"), "two samples take a second");
        assert_eq!(docker.stats("c2").await.unwrap(), None);
    }
}
