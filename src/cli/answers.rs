//! What `ps` and `why` answer with and without a supervisor, and what can be done to shims without one.

use std::path::PathBuf;
use std::time::Duration;

use super::context::Place;
use super::output::Output;
use crate::api::client::{self, Client};
use crate::api::{answers, wire};
use crate::error::{Error, Kind};
use crate::project::Project;
use crate::project::load::{self, LoadOptions};
use crate::shim::{client as shims, survey};
use crate::store::{good, intent};
use crate::supervisor::ground;
use crate::sys::home::Home;
use crate::task::environment::Environment;
use crate::worker::docker::alone;

/// Whether any instance is alive, supervisor or not: below a shim, or in a container. Records that nobody can read are set aside and named.
pub(super) async fn anything_lives(output: &Output, home: &Home) -> bool {
    let survey = survey::survey(home);
    tell(output, home, &survey.aside);
    survey.found.iter().any(|found| found.live) || !alone::running(home, engine_of(home).as_ref()).await.is_nothing()
}

/// Where containers of a project may run although no record says so: with the engine of whoever asks, where the project has vendors, or services in containers.
fn engine_of(home: &Home) -> Option<Environment> {
    let options = LoadOptions { config: None, trust: true };
    let project = load::load(&home.root, &options).ok()?;
    (!project.vendors.is_empty() || project.runs_in_docker()).then(|| std::env::vars_os().collect())
}

fn tell(output: &Output, home: &Home, aside: &[PathBuf]) {
    for path in aside {
        output.note("note", &ground::aside(home, path));
    }
}

/// Ends everything without a supervisor, straight over the shims' sockets.
pub(super) async fn stop_all(output: &Output, home: &Home, grace: Option<Duration>) -> Result<(), Error> {
    let state = home.state();
    // A disk that cannot be written to must not keep anything running.
    if let Err(error) = intent::stop_all(&state).and_then(|()| good::forget(&state)) {
        output.note("warning", &format!("{error}: {}; what is stopped now may count as wanted later", error.source));
    }
    let (place, home) = (home.clone(), home.clone());
    let stopped = tokio::task::spawn_blocking(move || shims::stop_all(&home, grace, STOP_LIMIT)).await;
    let stopped = stopped.map_err(|error| Error::failed("the stop broke").because(&error))?;
    for (slot, spared) in &stopped.spared {
        output.note("note", &spared.words(slot));
    }
    // Containers last: what needs them is down by now.
    let containers = alone::running(&place, engine_of(&place).as_ref()).await;
    let contained = alone::stop_all(&place, containers, grace).await;
    match [stopped.left, contained].concat().as_slice() {
        [] => Ok(()),
        left => Err(Error::failed(format!("still running: {}", left.join(", "))).hint("orchestra ps")),
    }
}

/// Longer than any sensible grace.
const STOP_LIMIT: Duration = Duration::from_secs(600);

/// The project's name for `ps`, from its files; broken files leave its folder's name.
pub(super) fn project_name(home: &Home) -> String {
    load::load(&home.root, &LoadOptions { config: None, trust: true }).map_or_else(
        |_| home.root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        |project| project.name,
    )
}

/// Finds the supervisor that is to stop something: one that was stopped itself is told to go on first.
pub(super) async fn to_stop(output: &Output, home: &Home) -> Result<Option<Client>, Error> {
    match client::existing(home).await {
        Err(error) if error.kind == Kind::Silent => match client::wake(home).await? {
            Some(pid) => {
                output.note(
                    "note",
                    &format!("the supervisor (pid {pid}) was stopped by a signal; it goes on to do this"),
                );
                client::existing(home).await
            }
            None => Err(error),
        },
        found => found,
    }
}

/// What `ps` answers; what could not be read is named.
pub(super) async fn ps(output: &Output, place: &Place, project: Option<&Project>) -> Result<wire::Ps, Error> {
    let told = answers::ps(&place.home, project, &|| project_name(&place.home)).await?;
    tell(output, &place.home, &told.aside);
    Ok(told.answer)
}

/// What `why` answers; what could not be read is named.
pub(super) async fn why(
    output: &Output,
    place: &Place,
    project: Option<&Project>,
    name: &str,
) -> Result<wire::Why, Error> {
    let told = answers::why(&place.home, project, name).await?;
    tell(output, &place.home, &told.aside);
    Ok(told.answer)
}
