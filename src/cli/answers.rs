//! What `ps` and `why` answer with and without a supervisor, and what can be done to shims without one.

use std::path::PathBuf;
use std::time::Duration;

use super::context::Place;
use super::output::Output;
use crate::api::client::{self, Client};
use crate::api::{convert, wire};
use crate::error::{Error, Kind};
use crate::project::Project;
use crate::shim::{client as shims, survey};
use crate::store::{good, intent, tested};
use crate::supervisor::{disk, ground};
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// Whether any instance is alive, supervisor or not. Records that nobody can read are set aside and named.
pub(super) fn anything_lives(output: &Output, home: &Home) -> bool {
    let survey = survey::survey(home);
    tell(output, home, &survey.aside);
    survey.found.iter().any(|found| found.live)
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
    let home = home.clone();
    let stopped = tokio::task::spawn_blocking(move || shims::stop_all(&home, grace, STOP_LIMIT)).await;
    let stopped = stopped.map_err(|error| Error::failed("the stop broke").because(&error))?;
    for (slot, spared) in &stopped.spared {
        output.note("note", &spared.words(slot));
    }
    match stopped.left.as_slice() {
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

/// A supervisor that dies over its answer is followed by another, or by none: it is asked again so often.
const ASKED: usize = 5;

/// Asks the supervisor that runs; `None` where none does.
async fn ask<T>(home: &Home, question: impl AsyncFn(&mut Client) -> Result<T, Error>) -> Result<Option<T>, Error> {
    for n in 1.. {
        let Some(mut client) = client::existing(home).await? else { break };
        match question(&mut client).await {
            Err(error) if error.kind == Kind::Unreachable && n < ASKED => {}
            answer => return answer.map(Some),
        }
    }
    Ok(None)
}

/// What `ps` answers: the supervisor's word, or what the files say; with the newest tests, which are in files.
pub(super) async fn ps(output: &Output, place: &Place, project: Option<&Project>) -> Result<wire::Ps, Error> {
    let mut ps = without_tests(output, place, project).await?;
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

async fn without_tests(output: &Output, place: &Place, project: Option<&Project>) -> Result<wire::Ps, Error> {
    if let Some(answer) = ask(&place.home, async |client| client.ps().await).await? {
        return Ok(answer);
    }
    let told = disk::snapshot(&place.home, project)?;
    tell(output, &place.home, &told.aside);
    let snapshot = told.answer;
    Ok(wire::Ps {
        project: project.map_or_else(|| project_name(&place.home), |project| project.name.clone()),
        root: place.home.root.to_string_lossy().into_owned(),
        supervisor: wire::Supervisor { running: false, pid: None, uptime_ms: None, version: None },
        services: snapshot.services.iter().map(convert::service).collect(),
    })
}

/// What `why` answers: the supervisor's word, or what the files say.
pub(super) async fn why(
    output: &Output,
    place: &Place,
    project: Option<&Project>,
    name: &str,
) -> Result<wire::Why, Error> {
    if let Some(answer) = ask(&place.home, async |client| client.why(name).await).await? {
        return Ok(answer);
    }
    let told = disk::explain(&place.home, project, &convert::service_name(name)?)?;
    tell(output, &place.home, &told.aside);
    told.answer.as_ref().map(convert::why).ok_or_else(|| {
        Error::usage(format!("there is no service `{name}`")).hint("`orchestra ps` lists the services of this project")
    })
}
