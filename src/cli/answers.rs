//! What `ps` and `why` answer with and without a supervisor, and what can be done to shims without one.

use std::time::Duration;

use super::context::Place;
use crate::api::{client, convert, wire};
use crate::error::{Error, Kind};
use crate::project::Project;
use crate::shim::client as shims;
use crate::store::{intent, tested};
use crate::supervisor::disk;
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// Whether any instance is alive, supervisor or not.
pub(super) fn anything_lives(home: &Home) -> bool {
    shims::records(home).into_iter().any(|found| found.live)
}

/// Ends everything without a supervisor, straight over the shims' sockets.
pub(super) async fn stop_all(home: &Home, grace: Option<Duration>) -> Result<(), Error> {
    intent::stop_all(&home.state())?;
    let home = home.clone();
    let left = tokio::task::spawn_blocking(move || shims::stop_all(&home, grace, STOP_LIMIT)).await;
    match left.map_err(|error| Error::failed("the stop broke").because(&error))?.as_slice() {
        [] => Ok(()),
        left => Err(Error::failed(format!("still running: {}", left.join(", "))).hint("orchestra ps")),
    }
}

/// Longer than any sensible grace.
const STOP_LIMIT: Duration = Duration::from_secs(600);

/// The project's name for `ps`, from its files; broken files leave its folder's name.
pub(super) fn project_name(home: &Home) -> String {
    crate::project::load::load(&home.root, &crate::project::load::LoadOptions { config: None, trust: true })
        .map_or_else(
            |_| home.root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            |project| project.name,
        )
}

/// The answer, but `None` for one that broke off because the supervisor died over it: then the files answer, as they do when none runs.
async fn unless_it_died<T>(answer: Result<T, Error>, home: &Home) -> Option<Result<T, Error>> {
    let broke_off = matches!(&answer, Err(error) if error.kind == Kind::Unreachable);
    if broke_off && matches!(client::existing(home).await, Ok(None)) { None } else { Some(answer) }
}

/// What `ps` answers: the supervisor's word, or what the files say; with the newest tests, which are in files.
pub(super) async fn ps(place: &Place, project: Option<&Project>) -> Result<wire::Ps, Error> {
    let mut ps = without_tests(place, project).await?;
    for service in ps.services.iter_mut().filter(|service| service.test.is_none()) {
        let last = ServiceName::fold(&service.name).and_then(|name| tested::load(&place.home.state(), &name));
        service.test = last.map(|last| {
            let at = convert::time(last.at_us);
            serde_json::json!({
                "state": last.state, "passed": last.passed, "failed": last.failed, "skipped": last.skipped, "at": at, "run": last.run,
            })
        });
    }
    Ok(ps)
}

async fn without_tests(place: &Place, project: Option<&Project>) -> Result<wire::Ps, Error> {
    if let Some(mut client) = client::existing(&place.home).await?
        && let Some(answer) = unless_it_died(client.ps().await, &place.home).await
    {
        return answer;
    }
    let snapshot = disk::snapshot(&place.home, project)?;
    Ok(wire::Ps {
        project: project.map_or_else(|| project_name(&place.home), |project| project.name.clone()),
        root: place.home.root.to_string_lossy().into_owned(),
        supervisor: wire::Supervisor { running: false, pid: None, uptime_ms: None, version: None },
        services: snapshot.services.iter().map(convert::service).collect(),
    })
}

/// What `why` answers: the supervisor's word, or what the files say.
pub(super) async fn why(place: &Place, project: Option<&Project>, name: &str) -> Result<wire::Why, Error> {
    if let Some(mut client) = client::existing(&place.home).await?
        && let Some(answer) = unless_it_died(client.why(name).await, &place.home).await
    {
        return answer;
    }
    let explanation = disk::explain(&place.home, project, &convert::service_name(name)?)?;
    explanation.as_ref().map(convert::why).ok_or_else(|| {
        Error::usage(format!("there is no service `{name}`")).hint("`orchestra ps` lists the services of this project")
    })
}
