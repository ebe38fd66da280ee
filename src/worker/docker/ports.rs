//! Host ports of a container: free before it is started, and whoever holds one is named as people know them.

use super::Ground;
use crate::docker::{Docker, Kept};
use crate::task::spec::{Port, RunSpec};
use crate::worker::{StartFailure, ports};

/// Waits until every port is free, as for a process; a container that holds one is named before whatever of the engine listens for it. Of an engine on
/// another machine nothing can be seen from here: it says so itself when the container is started.
pub(super) async fn wait_until_free(ground: &Ground, docker: &Docker, spec: &RunSpec) -> Result<(), StartFailure> {
    if !docker.is_local() {
        return Ok(());
    }
    let Err(failure) = ports::wait_until_free(&spec.ports, &[]).await else { return Ok(()) };
    let held = ports::first_held(&spec.ports);
    match held {
        Some(port) => Err(named(ground, docker, port).await.unwrap_or(failure)),
        // It was let go of just now.
        None => Ok(()),
    }
}

/// The container that has published a port, in words.
pub(super) async fn named(ground: &Ground, docker: &Docker, port: &Port) -> Option<StartFailure> {
    let holders = docker.publishing(port.number).await.ok()?;
    let holder = holders.iter().find(|one| one.ports.iter().any(|(_, public, _)| *public == port.number))?;
    let message = format!("port {} ({}) is held by {}", port.number, port.name, words(ground, holder));
    Some(StartFailure { message, port: true, transient: false, absent: false })
}

/// `the container \`db\` (postgres:15)`, and whose it is.
fn words(ground: &Ground, holder: &Kept) -> String {
    let container = format!("the container `{}` ({})", holder.name, holder.image);
    let copy = holder.instance.as_ref().map_or_else(|| "a container".to_owned(), ToString::to_string);
    match holder.root.as_str() {
        "" => format!("{container}; `docker stop {}` ends it", holder.name),
        root if root == ground.home.root.display().to_string() => {
            format!("{container}, which is {copy} of this project")
        }
        root => format!(
            "{container}; it is {copy} of the orchestra project in `{root}`. `orchestra start --port-offset 100` gives this one ports of its own"
        ),
    }
}
