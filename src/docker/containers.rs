//! Containers: found by labels, looked at, made, started, ended, removed.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};

use super::client::{CHANGE, Docker, LOOK};
use super::failure::Failure;
use super::labels;
use crate::task::id::InstanceId;

/// A container of a project, as the list tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The engine's id.
    pub id: String,
    /// Its name: `shop-postgres-1`.
    pub name: String,
    /// Which copy of which service; `None` where the label says nothing that can be read.
    pub instance: Option<InstanceId>,
    /// The image it was made of, as it was named.
    pub image: String,
    /// The id of that image.
    pub image_id: String,
    /// What it was made with.
    pub settings: String,
    /// The number of the run that made it; 0 where that cannot be read.
    pub run: u64,
    /// The project's root, as it was when it was made.
    pub root: String,
    /// It runs (paused ones too).
    pub running: bool,
    /// When it was made, seconds since 1970.
    pub created: i64,
    /// `Exited (0) 3 minutes ago`, in the engine's words.
    pub status: String,
    /// The ports of the host that lead into it, while it runs: `127.0.0.1:5432`, and the container's own.
    pub ports: Vec<(String, u16, u16)>,
    /// The volumes without a name that it took over from the container before it.
    pub handed: Vec<String>,
}

/// What becomes of the volumes without a name when their container is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// They stay.
    Keep,
    /// They go, with what is in them.
    Remove,
}

impl Docker {
    /// Every container of the project at `root`, ended ones too; the newest first.
    pub async fn containers(&self, root: &Path) -> Result<Vec<Kept>, Failure> {
        self.labelled(&format!("{}={}", labels::ROOT, root.display())).await
    }

    /// Every container with a label, `key` or `key=value`; the newest first.
    pub(crate) async fn labelled(&self, label: &str) -> Result<Vec<Kept>, Failure> {
        let mut all = self.listed(&HashMap::from([("label", vec![label])])).await?;
        all.sort_by_key(|one| std::cmp::Reverse(one.created));
        Ok(all)
    }

    /// Who has published a port of the host; of any project, or of none.
    pub(crate) async fn publishing(&self, port: u16) -> Result<Vec<Kept>, Failure> {
        let port = port.to_string();
        self.listed(&HashMap::from([("publish", vec![port.as_str()]), ("status", vec!["running", "paused"])])).await
    }

    async fn listed(&self, filters: &HashMap<&str, Vec<&str>>) -> Result<Vec<Kept>, Failure> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(filters).build();
        let all = self.bounded(LOOK, self.engine().list_containers(Some(options))).await?;
        Ok(all.into_iter().map(kept).collect())
    }

    /// Everything about a container; `None` where there is none of that id or name.
    pub async fn inspect(&self, container: &str) -> Result<Option<ContainerInspectResponse>, Failure> {
        self.if_there(LOOK, self.engine().inspect_container(container, None)).await
    }

    /// Makes one, and says its id.
    pub(crate) async fn create(
        &self,
        name: &str,
        platform: Option<&str>,
        body: ContainerCreateBody,
    ) -> Result<String, Failure> {
        let options = CreateContainerOptionsBuilder::new().name(name);
        let options = platform.map_or_else(|| options.clone(), |platform| options.clone().platform(platform));
        let made = self.bounded(CHANGE, self.engine().create_container(Some(options.build()), body)).await?;
        Ok(made.id)
    }

    /// Starts one; fine where it runs.
    pub(crate) async fn start(&self, container: &str) -> Result<(), Failure> {
        self.bounded(CHANGE, self.engine().start_container(container, None::<StartContainerOptions>)).await
    }

    /// Ends one: its stop signal, SIGKILL after the grace. Returns once it has ended; fine where it had.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<(), Failure> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        // The engine answers only after the grace.
        let engine = self.engine().clone().with_timeout(CHANGE.saturating_add(grace));
        self.bounded(CHANGE.saturating_add(grace), engine.stop_container(container, Some(options))).await
    }

    /// Sends a signal, by number.
    pub async fn kill(&self, container: &str, signal: i32) -> Result<(), Failure> {
        let options = KillContainerOptionsBuilder::new().signal(&signal.to_string()).build();
        self.bounded(LOOK, self.engine().kill_container(container, Some(options))).await
    }

    /// Lets one that is paused go on.
    pub(crate) async fn unpause(&self, container: &str) -> Result<(), Failure> {
        self.bounded(LOOK, self.engine().unpause_container(container)).await
    }

    /// Gives one another name.
    pub(crate) async fn rename(&self, container: &str, name: &str) -> Result<(), Failure> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.bounded(LOOK, self.engine().rename_container(container, options)).await
    }

    /// Removes one, by force where it runs; fine where there is none.
    pub async fn remove_container(&self, container: &str, volumes: Volumes) -> Result<(), Failure> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(volumes == Volumes::Remove).build();
        self.if_there(CHANGE, self.engine().remove_container(container, Some(options))).await.map(drop)
    }
}

/// The image that a container was made of, as it was written; `None` where it keeps no data outside of itself. Another image may read these data in a way of
/// no return.
pub fn image_of_data(container: &ContainerInspectResponse) -> Option<&str> {
    let mounts = container.mounts.iter().flatten();
    let has_data = mounts.filter_map(|mount| mount.typ.as_deref()).any(|kind| matches!(kind, "volume" | "bind"));
    container.config.as_ref()?.image.as_deref().filter(|_| has_data)
}

fn kept(summary: ContainerSummary) -> Kept {
    let labels = summary.labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let ports = summary.ports.unwrap_or_default().into_iter();
    let mut ports: Vec<_> =
        ports.filter_map(|port| Some((port.ip.unwrap_or_default(), port.public_port?, port.private_port))).collect();
    ports.sort();
    let status = summary.status.unwrap_or_default();
    Kept {
        id: summary.id.unwrap_or_default(),
        name: summary
            .names
            .unwrap_or_default()
            .first()
            .map(|name| name.trim_start_matches('/').to_owned())
            .unwrap_or_default(),
        instance: InstanceId::parse(&label(labels::INSTANCE)),
        image: summary.image.unwrap_or_default(),
        image_id: summary.image_id.unwrap_or_default(),
        settings: label(labels::SETTINGS),
        run: label(labels::RUN).parse().unwrap_or(0),
        root: label(labels::ROOT),
        running: summary
            .state
            .is_some_and(|state| matches!(state.to_string().as_str(), "running" | "paused" | "restarting")),
        created: summary.created.unwrap_or_default(),
        status,
        ports,
        handed: label(labels::HANDED).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    }
}
