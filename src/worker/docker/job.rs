//! What a run in a container is, whatever happens to it, and how it speaks to the supervisor.

use std::sync::Arc;

use super::Ground;
use crate::docker::Docker;
use crate::task::container::ContainerSpec;
use crate::task::id::RunId;
use crate::task::spec::RunSpec;
use crate::worker::{RunReport, Trouble};

/// What a run is, whatever happens to it.
#[derive(Clone)]
pub(super) struct Job {
    /// What every run needs to know.
    pub(super) ground: Arc<Ground>,
    /// Its number.
    pub(super) run: RunId,
    /// What runs.
    pub(super) spec: Arc<RunSpec>,
    /// How its container is made.
    pub(super) container: Arc<ContainerSpec>,
}

impl Job {
    pub(super) async fn report(&self, report: RunReport) {
        self.ground.report(self.run, report).await;
    }

    pub(super) async fn note(&self, words: impl std::fmt::Display) {
        self.report(RunReport::Note(format!("{}: {words}", self.spec.instance))).await;
    }

    pub(super) async fn trouble(&self, trouble: Trouble, words: Option<String>) {
        self.report(RunReport::Trouble(trouble, words)).await;
    }

    /// A beginning that was given up may have started its container a moment ago, or found one that ran.
    pub(super) async fn undo(&self) {
        let Ok(docker) = Docker::connect(&self.container.hook_env).await else { return };
        let all = docker.containers(&self.ground.home.root).await.unwrap_or_default();
        for one in all.iter().filter(|one| one.running && one.instance.as_ref() == Some(&self.spec.instance)) {
            if let Err(failure) = docker.stop(&one.id, self.spec.stop.grace).await {
                self.note(format!("the container `{}` may still run: {failure}", one.name)).await;
            }
        }
    }
}
