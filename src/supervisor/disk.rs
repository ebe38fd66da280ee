//! The state of everything as files tell it, for `ps` and `why` when no supervisor runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::engine::{Engine, Service, Slot};
use super::resume::Copy;
use super::snapshot::{BuildState, BuildView, ExitView, InstanceView, Reason, ServiceView, Settled, Shown, Snapshot};
use super::{Explanation, Happening};
use crate::error::Error;
use crate::project::Project;
use crate::shim::survey;
use crate::store::intent::{self, Intent};
use crate::store::last::{self, LastExit, LastInstance, LastService};
use crate::sys::home::Home;
use crate::sys::os;
use crate::task::id::{InstanceId, RunId, ServiceName};
use crate::task::spec::{Desired, Kind};
use crate::worker::docker::alone::Sight;
use crate::worker::docker::record;
use crate::worker::{Outcome, Trouble};

/// The engine's state in the words of the store.
pub(super) fn last_services(engine: &Engine) -> Vec<LastService> {
    let snapshot = engine.snapshot();
    let one = |view: ServiceView| {
        let service = engine.services.get(&view.name);
        let build = view.build.unwrap_or(BuildView {
            state: BuildState::Idle,
            artifact: None,
            error: None,
            problems: Vec::new(),
        });
        LastService {
            name: view.name.to_string(),
            artifact: build.artifact,
            build_error: build.error,
            problems: build.problems.into_iter().map(|p| (p.file, p.line, p.column, p.message)).collect(),
            reason: view.reason,
            instances: view.instances.iter().map(|instance| last_instance(service, instance)).collect(),
            happenings: service
                .map(|s| s.happenings.iter().map(|h| (h.at_us, h.message.clone())).collect())
                .unwrap_or_default(),
        }
    };
    snapshot.services.into_iter().map(one).collect()
}

fn last_instance(service: Option<&Service>, view: &InstanceView) -> LastInstance {
    let exits = |slot: &Slot| slot.exits.iter().map(last_exit).collect();
    LastInstance {
        number: view.id.number,
        state: view.state.word().to_owned(),
        restarts: view.restarts,
        started_us: view.started_us,
        exits: service.and_then(|service| service.slots.get(&view.id.number)).map(exits).unwrap_or_default(),
    }
}

fn last_exit(exit: &ExitView) -> LastExit {
    LastExit {
        code: exit.code,
        signal: exit.signal,
        reason: exit.reason.word().to_owned(),
        killed: exit.killed,
        ran_us: exit.ran_us,
        at_us: exit.at_us,
    }
}

/// An answer from files.
#[derive(Clone, Debug)]
pub struct Told<T> {
    /// The answer.
    pub answer: T,
    /// Files that could not be understood, under their new names.
    pub aside: Vec<PathBuf>,
}

/// What engines say of containers whose end nobody has seen.
pub type Sights = BTreeMap<InstanceId, Sight>;

/// Everything the files know: what the project declares, what was wanted, what last was, which shims are alive, and what became of containers.
pub fn snapshot(home: &Home, project: Option<&Project>, sights: Sights) -> Result<Told<Snapshot>, Error> {
    let files = Files::read(home, sights)?;
    let services = files.names(project).iter().map(|name| files.service(name, project)).collect();
    Ok(Told { answer: Snapshot { services, ..Snapshot::default() }, aside: files.aside })
}

/// `why` from files; `who` says why no supervisor answers instead.
pub fn explain(
    home: &Home,
    project: Option<&Project>,
    name: &ServiceName,
    who: &str,
    sights: Sights,
) -> Result<Told<Option<Explanation>>, Error> {
    let files = Files::read(home, sights)?;
    let answer = files.names(project).contains(name).then(|| files.explain(project, name, who));
    Ok(Told { answer, aside: files.aside })
}

impl Files {
    fn explain(&self, project: Option<&Project>, name: &ServiceName, who: &str) -> Explanation {
        let files = self;
        let service = files.service(name, project);
        let last = files.last.iter().find(|last| last.name == name.as_str());
        let state = service.state().word();
        let summary = match &service.reason {
            Some(reason) => format!("`{name}` is {state}: {reason}"),
            None => format!("`{name}` is {state}; {who}"),
        };
        let exits = last.map(|last| {
            let of = |instance: &LastInstance| {
                let id = InstanceId { service: name.clone(), number: instance.number };
                instance.exits.iter().map(|exit| (id.clone(), exit_view(exit))).collect::<Vec<_>>()
            };
            last.instances.iter().flat_map(of).collect()
        });
        let happening = |(at_us, message): &(i64, String)| Happening { at_us: *at_us, message: message.clone() };
        Explanation {
            service,
            summary,
            reasons: Vec::new(),
            needs: Vec::new(),
            exits: exits.unwrap_or_default(),
            holders: Vec::new(),
            events: last.map(|last| last.happenings.iter().map(happening).collect()).unwrap_or_default(),
            rerun: None,
            env: Vec::new(),
        }
    }
}

struct Files {
    intents: std::collections::BTreeMap<ServiceName, Intent>,
    last: Vec<LastService>,
    records: Vec<Copy>,
    sights: Sights,
    aside: Vec<PathBuf>,
}

impl Files {
    fn read(home: &Home, sights: Sights) -> Result<Files, Error> {
        let (intents, mut aside) = intent::load(&home.state())?;
        let (last, corrupt) = last::load(&home.state())?;
        let survey = survey::survey(home);
        let (containers, corrupt_records) = record::all(home);
        aside.extend(corrupt.into_iter().chain(survey.aside).chain(corrupt_records));
        let mut records = super::resume::copies(survey.found, containers, &os::boot_id().unwrap_or_default());
        for copy in records.iter_mut().filter(|copy| copy.container.is_some()) {
            copy.live &= matches!(sights.get(&copy.instance), Some(Sight::Runs(_) | Sight::Unknown(_)) | None);
        }
        Ok(Files { intents, last, records, sights, aside })
    }

    /// What the project declares; without a readable project, what the files know.
    fn names(&self, project: Option<&Project>) -> BTreeSet<ServiceName> {
        let live = self.records.iter().filter(|copy| copy.live).map(|copy| copy.instance.service.clone());
        match project {
            Some(project) => project.names().cloned().chain(live).collect(),
            None => self.intents.keys().cloned().chain(live).collect(),
        }
    }

    fn service(&self, name: &ServiceName, project: Option<&Project>) -> ServiceView {
        let intent = self.intents.get(name);
        let last = self.last.iter().find(|last| last.name == name.as_str());
        let in_container = |copy: &Copy| copy.instance.service == *name && copy.container.is_some();
        let contained = match project {
            Some(project) if project.vendors.contains_key(name) => true,
            Some(_) | None => self.records.iter().any(in_container),
        };
        let unknown = if contained { Kind::Vendor } else { Kind::Service };
        let kind = project.and_then(|project| project.kind(name)).unwrap_or(unknown);
        let in_file = project.and_then(|project| project.scale(name));
        let kept = intent.and_then(|intent| intent.scale.filter(|_| intent.scale_in_file == in_file));
        let scale = kept.or(in_file).unwrap_or(1);
        let build = last.filter(|last| last.artifact.is_some() || last.build_error.is_some()).map(build_view);
        ServiceView {
            name: name.clone(),
            kind,
            desired: desired(intent),
            scale,
            build,
            instances: self.instances(name, scale, last, contained),
            settled: Settled::Pending,
            reason: self.nobody_knows(name).or_else(|| last.and_then(|last| last.reason.clone())),
            rerun: intent.is_some_and(|intent| intent.rerun && intent.is_wanted()),
            tests: None,
        }
    }

    /// That nobody knows whether a container of it runs.
    fn nobody_knows(&self, name: &ServiceName) -> Option<String> {
        self.sights.iter().filter(|(id, _)| id.service == *name).find_map(|(id, sight)| match sight {
            Sight::Unknown(why) => Some(format!("nobody knows whether {id} runs: {why}")),
            Sight::Runs(_) | Sight::Ended(_) | Sight::Gone => None,
        })
    }

    fn instances(
        &self,
        name: &ServiceName,
        scale: u32,
        last: Option<&LastService>,
        contained: bool,
    ) -> Vec<InstanceView> {
        let live = |number: u32| {
            self.records.iter().find(|r| r.live && r.instance.service == *name && r.instance.number == number)
        };
        let beyond = self.records.iter().filter(|r| r.live && r.instance.service == *name).map(|r| r.instance.number);
        let numbers: BTreeSet<u32> = (1..=scale).chain(beyond).collect();
        let of_last =
            |number: u32| last.and_then(|last| last.instances.iter().find(|instance| instance.number == number));
        let one = |number: u32| {
            let id = InstanceId { service: name.clone(), number };
            let sight = self.sights.get(&id);
            instance_view(id, of_last(number), live(number), sight, contained)
        };
        numbers.into_iter().map(one).collect()
    }
}

fn instance_view(
    id: InstanceId,
    last: Option<&LastInstance>,
    live: Option<&Copy>,
    sight: Option<&Sight>,
    contained: bool,
) -> InstanceView {
    let ended = last.and_then(|last| Shown::ORDER.into_iter().find(|shown| shown.word() == last.state));
    // Nothing runs without a shim: a state that says so is from before.
    let resting = ended.filter(|shown| matches!(shown, Shown::Failed | Shown::Crashloop | Shown::Done));
    InstanceView {
        id,
        state: if live.is_some() { Shown::Running } else { resting.unwrap_or(Shown::Idle) },
        run: live.map(|copy| RunId(copy.record.run)),
        contained,
        pid: match sight {
            Some(Sight::Runs(pid)) => *pid,
            Some(_) => None,
            None => live.map(|copy| copy.record.pid).filter(|pid| *pid > 0),
        },
        ports: Vec::new(),
        listening: Vec::new(),
        restarts: last.map_or(0, |last| last.restarts),
        started_us: live.map(|copy| copy.record.started_us).or(last.and_then(|last| last.started_us)),
        since_us: None,
        ready_us: None,
        last_exit: seen_end(sight).or_else(|| last.and_then(|last| last.exits.last()).map(exit_view)),
        healthy: None,
        trouble: matches!(sight, Some(Sight::Unknown(_))).then(|| Trouble::Unknown.word()),
        limits: live.and_then(|copy| Some(copy.record.limits.as_ref()?.limits())),
    }
}

/// The end of a container that no supervisor saw.
fn seen_end(sight: Option<&Sight>) -> Option<ExitView> {
    let Some(Sight::Ended(outcome)) = sight else { return None };
    let reason = match outcome {
        Outcome { oom: true, .. } => Reason::Oom,
        Outcome { signal: Some(_), .. } => Reason::Signal,
        Outcome { .. } => Reason::Exit,
    };
    let Outcome { code, signal, killed, .. } = *outcome;
    Some(ExitView { code, signal, reason, killed, ran_us: None, at_us: outcome.ended_us? })
}

fn build_view(last: &LastService) -> BuildView {
    let problem = |(file, line, column, message): &(std::path::PathBuf, u32, u32, String)| crate::worker::Problem {
        file: file.clone(),
        line: *line,
        column: *column,
        message: message.clone(),
    };
    BuildView {
        state: if last.build_error.is_some() { BuildState::Failed } else { BuildState::Ok },
        artifact: last.artifact.clone(),
        error: last.build_error.clone(),
        problems: last.problems.iter().map(problem).collect(),
    }
}

/// An end as it was written down.
pub(super) fn exit_view(exit: &LastExit) -> ExitView {
    let reasons = [
        Reason::Exit,
        Reason::Signal,
        Reason::Oom,
        Reason::Stopped,
        Reason::Rerun,
        Reason::FailedProbe,
        Reason::Lost,
        Reason::StartFailed,
        Reason::Port,
    ];
    let reason = reasons.into_iter().find(|reason| reason.word() == exit.reason).unwrap_or(Reason::Exit);
    let LastExit { code, signal, killed, ran_us, at_us, .. } = *exit;
    ExitView { code, signal, reason, killed, ran_us, at_us }
}

/// What an intent says is wanted.
pub(super) fn desired(intent: Option<&Intent>) -> Desired {
    match intent.map(|intent| intent.desired.as_str()) {
        Some("up") => Desired::Up,
        Some("once") => Desired::Once,
        Some(_) | None => Desired::Down,
    }
}
