//! What a run in a container is, whatever happens to it, and how it speaks to the supervisor.

use std::sync::Arc;

use super::Ground;
use super::own::Made;
use crate::docker::{Docker, Volumes};
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
    /// What its binary is made of, where that is ours.
    pub(super) artifact: Option<String>,
}

impl Job {
    /// The image of ours that it runs.
    fn made(&self) -> Option<Made<'_>> {
        let program = self.container.program.as_ref()?;
        Some(Made { service: &self.spec.instance.service, container: &self.container, program })
    }

    /// The image of the binary as it is now, where that is newer: whoever makes room for it shall not be away while it is made.
    pub(super) async fn prepare(&self, docker: &Docker) {
        if let Some(made) = self.made() {
            // Where it cannot be made, whoever starts says so.
            drop(made.ensure(&self.ground, docker, self.run).await);
        }
    }

    /// A container of ours that has ended is of no more use, and its image is not where a newer one is there.
    pub(super) async fn clean(&self, docker: &Docker, container: &str) {
        let Some(made) = self.made() else { return };
        let cleaned = async {
            docker.remove_container(container, Volumes::Remove).await?;
            made.sweep(&self.ground, docker).await
        };
        if let Err(failure) = cleaned.await {
            // The next start finds it by its labels, and replaces it.
            self.note(format!("something of it is left in the engine: {failure}")).await;
        }
    }

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
