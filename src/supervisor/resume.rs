//! How a supervisor begins: what was wanted is wanted still, what runs is taken over, what had ended for good stays ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Happening;
use super::disk::{desired, exit_view};
use super::engine::{Adoption, Event, Past, Resume};
use super::plan::Planner;
use super::snapshot::{ExitView, Reason};
use crate::error::Error;
use crate::services::buildid;
use crate::shim::record::{ExitRecord, InstanceRecord};
use crate::shim::spec::PROTOCOL;
use crate::shim::survey::Found;
use crate::store::last::{LastInstance, LastService};
use crate::sys::fd::wall_us;
use crate::task::container::ContainerSpec;
use crate::task::environment::Environment;
use crate::task::id::{Artifact, BuildKey, InstanceId, RunId, ServiceName, Settings};
use crate::task::restart::{RestartMode, RestartPolicy};
use crate::task::spec::{Caller, Desired, Kind, Probe, ProbeTarget, Resources, RunSpec, ServiceSpec, StopSpec};
use crate::task::state::TaskState;
use crate::worker::docker::record::ContainerRecord;

/// The newest run of one copy of a service, as its shim left it on disk, or its container's worker.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) instance: InstanceId,
    pub(super) record: InstanceRecord,
    /// Its shim lives; of a container: nobody has seen its end.
    pub(super) live: bool,
    pub(super) exit: Option<ExitRecord>,
    /// It ran in this container.
    pub(super) container: Option<ContainerRecord>,
}

/// Every copy that ever ran and is still recorded; `boot` is this start of the machine. Of a copy that ran both ways what lives counts, else the newer.
pub(super) fn copies(found: Vec<Found>, containers: Vec<ContainerRecord>, boot: &str) -> Vec<Copy> {
    let of = |found: Found| {
        let instance = InstanceId::parse(&found.record.slot)?;
        Some(Copy { instance, record: found.record, live: found.live, exit: found.exit, container: None })
    };
    let mut out: BTreeMap<InstanceId, Copy> = BTreeMap::new();
    for copy in found.into_iter().filter_map(of).chain(containers.into_iter().filter_map(|one| contained(one, boot))) {
        match out.get(&copy.instance) {
            Some(known) if (known.live, known.record.run) >= (copy.live, copy.record.run) => {}
            Some(_) | None => _ = out.insert(copy.instance.clone(), copy),
        }
    }
    out.into_values().collect()
}

/// A run in a container in the words of one below a shim, which it has none of.
fn contained(record: ContainerRecord, boot: &str) -> Option<Copy> {
    let instance = record.instance()?;
    let (live, end) = (record.may_run(boot), record.end.clone());
    let exit = end.filter(|end| !end.lost).map(|end| ExitRecord {
        uuid: record.container.clone(),
        run: record.run,
        code: end.code,
        signal: end.signal,
        oom: end.oom,
        stopped: end.stopped,
        killed: end.killed,
        ended_us: end.ended_us,
    });
    let as_shim = InstanceRecord {
        protocol: PROTOCOL,
        slot: record.slot.clone(),
        uuid: record.container.clone(),
        run: record.run,
        shim: 0,
        pid: record.pid,
        start_time: 0,
        boot_id: record.boot_id.clone(),
        exe: (0, 0),
        settings: record.settings.clone(),
        artifact: record.artifact.clone(),
        started_us: record.started_us,
        argv: Vec::new(),
        marker: String::new(),
        stop_signal: libc::SIGTERM,
        grace_ms: record.grace_ms,
        limits: None,
    };
    Some(Copy { instance, record: as_shim, live, exit, container: Some(record) })
}

/// What is done first.
pub(super) struct Beginning {
    /// For the engine, in this order.
    pub(super) events: Vec<Event>,
    /// For the worker: live runs with what they are to be watched by.
    pub(super) adopt: Vec<(InstanceRecord, Arc<RunSpec>)>,
    /// The same for those in containers.
    pub(super) adopt_containers: Vec<(ContainerRecord, Arc<RunSpec>)>,
    /// What went wrong meanwhile and stops nothing.
    pub(super) complaints: Vec<Error>,
}

/// Puts together what the files and the shims say.
pub(super) fn begin(planner: &mut Planner, copies: &[Copy], last: &[LastService]) -> Beginning {
    let live: Vec<Copy> = copies.iter().filter(|copy| copy.live).cloned().collect();
    let (specs, complaints) = planner.resume_specs(&live.iter().map(|copy| copy.instance.service.clone()).collect());
    let mut services: Vec<(ServiceSpec, Desired)> = Vec::new();
    for spec in specs {
        let wanted = wanted(planner, &spec.name, spec.kind, &live);
        services.push((spec, wanted));
    }
    let known: BTreeSet<ServiceName> = services.iter().map(|(spec, _)| spec.name.clone()).collect();
    for (name, group) in by_service(&live) {
        if !known.contains(&name) {
            // Its configuration is gone or broken and was not kept: it is watched and can be stopped, and is not started again.
            let wanted = wanted(planner, &name, Kind::Service, &live);
            services.push((skeleton(&name, &group), wanted));
        }
    }
    let artifacts = services.iter().filter_map(|(spec, _)| found(spec)).collect();
    let in_shims = live.iter().filter(|copy| copy.container.is_none());
    let adopt = in_shims.map(|copy| (copy.record.clone(), launch(&services, copy))).collect();
    let in_container = |copy: &Copy| Some((copy.container.clone()?, launch(&services, copy)));
    let adopt_containers = live.iter().filter_map(in_container).collect();
    let adoptions = live.iter().map(|copy| adoption(&services, copy)).collect();
    let ended = ended(&services, copies, last);
    let told = services.iter().map(|(spec, _)| spec.name.clone()).collect();
    let past = past(copies, last, wall_us());
    let edited = edited(planner, &services, &live);
    let resume = Event::Resume(Resume { services, artifacts, adoptions, ended, past });
    let events = std::iter::once(resume).chain(planner.known_rest(&told)).chain(edited).collect();
    Beginning { events, adopt, adopt_containers, complaints }
}

/// Of services with rerun on: those whose settings were edited while no supervisor was there to see it.
fn edited(planner: &Planner, services: &[(ServiceSpec, Desired)], live: &[Copy]) -> Option<Event> {
    let reruns = planner.reruns();
    let is_other = |spec: &ServiceSpec, copy: &Copy| {
        let launch = spec.runs.get(copy.instance.index() as usize);
        copy.instance.service == spec.name && launch.is_none_or(|run| run.settings.0 != copy.record.settings)
    };
    let is_edited = |spec: &&ServiceSpec| reruns.contains(&spec.name) && live.iter().any(|copy| is_other(spec, copy));
    let specs: Vec<ServiceSpec> = services.iter().map(|(spec, _)| spec).filter(is_edited).cloned().collect();
    let (groups, because) = (BTreeMap::new(), BTreeSet::new());
    (!specs.is_empty()).then_some(Event::Reconfigured { specs, groups, because })
}

/// What runs and of which nobody wrote down that it is not wanted, is: what was written down may have been removed with `.orchestra`.
fn wanted(planner: &Planner, name: &ServiceName, kind: Kind, live: &[Copy]) -> Desired {
    match planner.intent(name) {
        None if live.iter().any(|copy| copy.instance.service == *name) => match kind {
            Kind::Job => Desired::Once,
            Kind::Service | Kind::Vendor => Desired::Up,
        },
        intent => desired(intent),
    }
}

fn by_service(copies: &[Copy]) -> BTreeMap<ServiceName, Vec<&Copy>> {
    let mut out: BTreeMap<ServiceName, Vec<&Copy>> = BTreeMap::new();
    for copy in copies {
        out.entry(copy.instance.service.clone()).or_default().push(copy);
    }
    out
}

fn adoption(services: &[(ServiceSpec, Desired)], copy: &Copy) -> Adoption {
    let record = &copy.record;
    Adoption {
        run: RunId(record.run),
        instance: copy.instance.clone(),
        launch: launch(services, copy),
        pid: Some(record.pid).filter(|pid| *pid > 0),
        settings: Settings(record.settings.clone()),
        artifact: record.artifact.clone().map(Artifact),
        started_us: record.started_us,
    }
}

/// A binary that is there already need not be built to be started again.
fn found(spec: &ServiceSpec) -> Option<(BuildKey, Artifact)> {
    let build = spec.build.as_ref()?;
    let artifact = buildid::artifact(&build.output).ok()?;
    Some((build.key.clone(), artifact))
}

/// What a copy that runs is watched by. Of a service that was scaled to 0 meanwhile there is no pattern: then it is just watched and can be stopped.
fn launch(services: &[(ServiceSpec, Desired)], copy: &Copy) -> Arc<RunSpec> {
    let spec = services.iter().map(|(spec, _)| spec).find(|spec| spec.name == copy.instance.service);
    let runs = spec.map(|spec| spec.runs.as_slice()).unwrap_or_default();
    match (runs.get(copy.instance.index() as usize), runs.last()) {
        (Some(same), _) => same.clone(),
        (None, Some(last)) => Arc::new(RunSpec { instance: copy.instance.clone(), ..(**last).clone() }),
        (None, None) => Arc::new(bare_run(&copy.instance.service, copy.instance.number, &[copy])),
    }
}

/// A job that completed is not run again; what was in a crash loop or had failed for good rests still.
fn ended(services: &[(ServiceSpec, Desired)], copies: &[Copy], last: &[LastService]) -> Vec<(InstanceId, TaskState)> {
    let mut out = BTreeMap::new();
    for service in last {
        let Some(name) = ServiceName::fold(&service.name) else { continue };
        for instance in &service.instances {
            let state = [TaskState::Done, TaskState::Failed, TaskState::Crashloop]
                .into_iter()
                .find(|s| s.word() == instance.state);
            if let Some(state) = state {
                out.insert(InstanceId { service: name.clone(), number: instance.number }, state);
            }
        }
    }
    let is_job = |name: &ServiceName| services.iter().any(|(spec, _)| spec.name == *name && spec.kind == Kind::Job);
    for copy in copies.iter().filter(|copy| !copy.live && is_job(&copy.instance.service)) {
        if copy.exit.as_ref().is_some_and(|exit| exit.code == Some(0)) {
            out.insert(copy.instance.clone(), TaskState::Done);
        }
    }
    out.into_iter().collect()
}

/// What is remembered of every service, with the ends that no supervisor saw.
fn past(copies: &[Copy], last: &[LastService], now_us: i64) -> BTreeMap<ServiceName, Past> {
    let mut out: BTreeMap<ServiceName, Past> = BTreeMap::new();
    for service in last {
        let Some(name) = ServiceName::fold(&service.name) else { continue };
        let happening = |(at_us, message): &(i64, String)| Happening { at_us: *at_us, message: message.clone() };
        let copy =
            |copy: &LastInstance| (copy.number, (copy.restarts, copy.exits.iter().map(exit_view).collect::<Vec<_>>()));
        let past = Past {
            happenings: service.happenings.iter().map(happening).collect(),
            copies: service.instances.iter().map(copy).collect(),
        };
        out.insert(name, past);
    }
    for copy in copies.iter().filter(|copy| !copy.live) {
        let past = out.entry(copy.instance.service.clone()).or_default();
        let (_, exits) = past.copies.entry(copy.instance.number).or_default();
        let Some(exit) = &copy.exit else {
            // Nobody was there to see it: all that is known is that it was over by now.
            if exits.last().is_none_or(|newest| newest.at_us < copy.record.started_us) {
                let how = match &copy.container {
                    None => "its shim died while no supervisor ran",
                    Some(container) if container.end.is_some() => "its container was gone",
                    Some(_) => "this machine was started anew",
                };
                let words = format!("{} was lost: {how}", copy.instance);
                past.happenings.push(Happening { at_us: now_us, message: words });
                let (code, signal, reason) = (None, None, Reason::Lost);
                exits.push(ExitView { code, signal, reason, killed: false, ran_us: None, at_us: now_us });
            }
            continue;
        };
        if exits.last().is_none_or(|newest| newest.at_us < exit.ended_us) {
            let reason = match exit {
                ExitRecord { stopped: true, .. } => Reason::Stopped,
                ExitRecord { oom: true, .. } => Reason::Oom,
                ExitRecord { signal: Some(_), .. } => Reason::Signal,
                ExitRecord { .. } => Reason::Exit,
            };
            exits.push(ExitView {
                code: exit.code,
                signal: exit.signal,
                reason,
                killed: exit.killed,
                ran_us: Some(exit.ended_us.saturating_sub(copy.record.started_us).max(0)),
                at_us: exit.ended_us,
            });
        }
    }
    out
}

/// Just enough to watch and to stop what runs of a service whose configuration cannot be read.
fn skeleton(name: &ServiceName, running: &[&Copy]) -> ServiceSpec {
    let copies = running.iter().map(|copy| copy.instance.number).max().unwrap_or(1);
    ServiceSpec {
        name: name.clone(),
        kind: if running.iter().any(|copy| copy.container.is_some()) { Kind::Vendor } else { Kind::Service },
        build: None,
        needs: Vec::new(),
        restart: RestartPolicy { mode: RestartMode::No, ..RestartPolicy::default() },
        runs: (1..=copies).map(|number| Arc::new(bare_run(name, number, running))).collect(),
        tests: None,
    }
}

/// A container of which nothing is known but what it is called and made of.
fn bare_container(record: &ContainerRecord) -> ContainerSpec {
    ContainerSpec { image: record.image.clone(), ..ContainerSpec::default() }
}

fn bare_run(name: &ServiceName, number: u32, running: &[&Copy]) -> RunSpec {
    let copy = running.iter().find(|copy| copy.instance.number == number);
    let record = copy.map(|copy| &copy.record);
    let grace = record.map_or(10_000, |record| record.grace_ms);
    let stop = StopSpec {
        signal: record.map_or(libc::SIGTERM, |record| record.stop_signal),
        grace: std::time::Duration::from_millis(grace),
    };
    RunSpec {
        instance: InstanceId { service: name.clone(), number },
        argv: Vec::new(),
        dir: "/".into(),
        env: Environment::default(),
        ports: Vec::new(),
        ready: Probe {
            target: ProbeTarget::Started,
            interval: None,
            timeout: std::time::Duration::from_secs(1),
            failures: 3,
            start_period: std::time::Duration::ZERO,
        },
        debugger: None,
        container: copy.and_then(|copy| copy.container.as_ref()).map(|record| Arc::new(bare_container(record))),
        live: None,
        stop,
        before: Vec::new(),
        after: Vec::new(),
        tty: false,
        resources: Resources::default(),
        caller: Caller { umask: 0o22, nofile: None },
        log_keep: 512 * 1024 * 1024,
        settings: Settings(String::new()),
    }
}
