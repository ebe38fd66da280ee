//! For tests of the running fleet: starts what is not up, and afterwards stops only that.

use std::collections::BTreeSet;

use super::measure::Measure;
use super::session::START_LIMIT;
use crate::api::client;
use crate::api::convert::Ask;
use crate::api::wire::Request;
use crate::cli::answers;
use crate::cli::change::{self, Ended};
use crate::cli::context::{Context, Place};
use crate::cli::signals::Signals;
use crate::error::Error;
use crate::project::Project;
use crate::project::select::{enabled, with_needs};

/// What was started.
pub(super) struct Raised {
    /// Services that were down.
    pub(super) started: Vec<String>,
    /// Nothing at all ran before, so that nothing shall run afterwards.
    pub(super) alone: bool,
    /// Whether all is ready.
    pub(super) up: Result<(), Error>,
}

/// Starts every enabled service and vendor that is not up, with what these need, and waits until it is ready.
pub(super) async fn raise(
    context: &Context,
    place: &Place,
    project: &Project,
    asked: &Request,
    measure: Option<&Measure>,
    signals: &mut Signals,
) -> Raised {
    let mut raised = Raised {
        started: Vec::new(),
        alone: !answers::anything_lives(&context.output.for_people(), &place.home).await,
        up: Ok(()),
    };
    let ps = match answers::ps(&context.output.for_people(), place, Some(project)).await {
        Ok(ps) => ps,
        Err(error) => return Raised { up: Err(error), ..raised },
    };
    raised.alone &= !ps.supervisor.running;
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let ours = with_needs(project, &enabled(project, &[]));
    for service in ps.services.iter().filter(|service| ours.iter().any(|name| name.as_str() == service.name)) {
        // A job that is done is up, and so is a service that is wanted without copies.
        let is_up =
            matches!(service.state.as_str(), "ready" | "done") || (service.scale == 0 && service.desired != "down");
        if !is_up {
            missing.insert(service.name.clone());
            if service.desired == "down" || service.state == "idle" {
                raised.started.push(service.name.clone());
            }
        }
    }
    let all_down = raised.alone;
    let mut asked = asked.clone();
    // What is not stopped afterwards must not be left as it is built to be measured.
    let cover = |name: &String| Some((name.clone(), measure?.of(name)?));
    asked.start.cover = raised.started.iter().filter_map(cover).collect();
    while !missing.is_empty() && raised.up.is_ok() {
        let wave = if all_down { missing.clone() } else { next_wave(project, &missing) };
        missing.retain(|name| !wave.contains(name));
        raised.up = start(context, place, &asked, wave, all_down, signals).await;
    }
    raised
}

/// Those that need none of the others that are missing. What is up already is not to be touched, so each wave is started without what it needs.
fn next_wave(project: &Project, missing: &BTreeSet<String>) -> BTreeSet<String> {
    let waits = |name: &String| {
        let known = project.names().find(|known| known.as_str() == name);
        let needs = known.map(|known| project.needs(known)).unwrap_or_default();
        needs.iter().any(|need| missing.contains(need.service.as_str()) && need.service.as_str() != name)
    };
    let free: BTreeSet<String> = missing.iter().filter(|name| !waits(name)).cloned().collect();
    if free.is_empty() { missing.clone() } else { free }
}

async fn start(
    context: &Context,
    place: &Place,
    asked: &Request,
    names: BTreeSet<String>,
    with_needs: bool,
    signals: &mut Signals,
) -> Result<(), Error> {
    let mut request = Request { select: names.into_iter().collect(), ..asked.clone() };
    request.start.no_deps = !with_needs;
    request.timeout_ms = Some(u64::try_from(START_LIMIT.as_millis()).unwrap_or(u64::MAX));
    match change::follow(&context.output.for_people(), &place.home, Ask::Start, &request, signals).await? {
        Ended::Over(Ok(())) => Ok(()),
        Ended::Over(Err(mut error)) => {
            error.message = format!("the fleet did not come up, so its tests were not run: {}", error.message);
            Err(error)
        }
        Ended::Interrupted(_) => Err(change::interrupted("interrupted; the tests of the fleet were not run")),
    }
}

/// Stops what was started; all of it, and the supervisor too, where nothing ran before.
pub(super) async fn lower(
    context: &Context,
    place: &Place,
    asked: &Request,
    raised: &Raised,
    signals: &mut Signals,
) -> Result<(), Error> {
    if raised.started.is_empty() {
        return Ok(());
    }
    let Some(pid) = client::existing(&place.home).await?.map(|client| client.peer.pid) else {
        return if raised.alone {
            answers::stop_all(&context.output.for_people(), &place.home, None).await
        } else {
            Ok(())
        };
    };
    let select = if raised.alone { Vec::new() } else { raised.started.clone() };
    let request = Request { select, ..asked.clone() };
    match change::follow(&context.output.for_people(), &place.home, Ask::Stop, &request, signals).await? {
        Ended::Over(done) => done?,
        Ended::Interrupted(_) => {
            return Err(change::interrupted("stopped waiting; what the tests had started is being stopped")
                .hint("orchestra ps"));
        }
    }
    if raised.alone { client::wait_gone(&place.home, pid).await } else { Ok(()) }
}
