//! Decides what runs: a pure engine under a thin actor.

mod actor;
pub mod disk;
pub mod engine;
pub mod ground;
mod lookout;
mod plan;
mod resume;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::project::export::Shown;
use crate::scheduler::{Capability, Node};
use crate::services::build;
use crate::services::spec::RunIn;
use crate::store::intent::Cover;
use crate::store::last;
use crate::strays::Hunts;
use crate::sys::home::Home;
use crate::sys::machine::machine;
use crate::task::id::{InstanceId, ServiceName};
use crate::task::spec::{Caller, Resources};
use crate::worker::Workers;
use crate::worker::docker::{DockerWorker, alone};
use crate::worker::process::ProcessWorker;
use actor::watching::Ends;
use actor::{Actor, Parts};
use engine::Engine;
use ground::Ground;
use lookout::Lookout;
use plan::Planner;
use snapshot::{ExitView, Rerun, ServiceView, Snapshot};

/// What is asked of the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Converge: build, keep what is unchanged, replace what changed, start the rest in order.
    Start(StartFlags),
    /// End, in reverse order; everything when nothing is selected, and then the supervisor goes too. The grace replaces the configured one.
    Stop {
        /// Instead of the configured grace.
        grace: Option<Duration>,
    },
    /// Build, then replace every selected copy.
    Restart {
        /// As in [`StartFlags::replace`].
        replace: BTreeSet<ServiceName>,
    },
    /// Build only.
    Build,
    /// Add or remove copies; `None` returns to the file's number.
    Scale(BTreeMap<ServiceName, Option<u32>>),
    /// A signal to the group of each selected copy.
    Kill(i32),
}

/// Flags of `start` that hold for the selected services until `stop`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartFlags {
    /// Do not start what the selected depend on.
    pub no_deps: bool,
    /// Do not start vendors.
    pub no_vendors: bool,
    /// Vendors that may be made anew though their image's tag has changed since their data were written.
    pub replace: BTreeSet<ServiceName>,
    /// Vendors of these profiles are started, too.
    pub profiles: Vec<String>,
    /// `-e K=V`, above every file.
    pub env: Vec<(OsString, OsString)>,
    /// `--scale S=N`.
    pub scale: BTreeMap<ServiceName, u32>,
    /// Build with the race detector.
    pub race: bool,
    /// Those to build for a debugger and run below it.
    pub debug: BTreeSet<ServiceName>,
    /// Those to build so that they count which statements run.
    pub cover: BTreeMap<ServiceName, Cover>,
    /// Where to run Go services instead of where their files say; `None` leaves it as it is.
    pub run_in: Option<RunIn>,
    /// Added to every fixed host port.
    pub port_offset: Option<i32>,
    /// Build and swap at each save, or no longer; `None` leaves it as it is. It holds for what the selected depend on, too: an edit of a dependency is
    /// to be seen as well.
    pub rerun: Option<bool>,
    /// Tests must pass before a copy is started or replaced.
    pub test: bool,
}

/// One request with everything its caller had.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// Selectors as typed; empty: all enabled.
    pub select: Vec<String>,
    /// The caller's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The caller's umask and limits.
    pub caller: Caller,
    /// The architecture of the caller's Docker engine, as Go calls it, where something shall run there.
    pub engine_arch: Option<String>,
    /// The configuration file, where `-c` was given.
    pub config: Option<PathBuf>,
    /// Load a configuration owned by another user.
    pub trust: bool,
    /// The pid of the command that asks: neither it nor what it runs under is ever a stray.
    pub pid: Option<u32>,
    /// With `strays: ask`: those a person agreed to end, by pid and start.
    pub strays: Vec<(u32, u64)>,
}

/// What a request reaches, before anything of it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The services, dependencies included; in dependency order.
    pub services: Vec<ServiceName>,
    /// Things a person should know.
    pub notes: Vec<String>,
    /// The request is carried out in the first snapshot with at least this sequence number: judge `settled` only from there.
    pub from: u64,
    /// It is over only once the watch of this number is armed ([`snapshot::Snapshot::armed`]); `None`: it waits for none.
    pub armed: Option<u64>,
}

/// One thing that happened, for `why`.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Microseconds since 1970.
    pub at_us: i64,
    /// One sentence.
    pub message: String,
}

/// What `why` needs beside the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The service now.
    pub service: ServiceView,
    /// One sentence.
    pub summary: String,
    /// One sentence for each instance that has something to say.
    pub reasons: Vec<String>,
    /// Needs: the other service, the condition's word, its state's word, whether it holds.
    pub needs: Vec<(ServiceName, &'static str, String, bool)>,
    /// The newest ends of every copy, each copy's newest last.
    pub exits: Vec<(InstanceId, ExitView)>,
    /// Who else holds its ports, one sentence each.
    pub holders: Vec<String>,
    /// Newest happenings, oldest first.
    pub events: Vec<Happening>,
    /// What became of the newest edit that reached it.
    pub rerun: Option<Rerun>,
    /// What files and orchestra set in the environment of instance 1, secrets masked.
    pub env: Vec<Shown>,
}

/// What the actor hears beside reports and timers.
#[derive(Debug)]
pub enum Command {
    /// A request.
    Request(Box<Request>, oneshot::Sender<Result<Accepted, Error>>),
    /// `why`.
    Explain(ServiceName, oneshot::Sender<Option<Explanation>>),
    /// Go away without touching a service (a newer supervisor takes over).
    Leave(oneshot::Sender<()>),
}

/// The way to a running supervisor from inside its process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Bounded; a full channel makes the caller wait.
    pub commands: mpsc::Sender<Command>,
    /// The newest state of everything. Lagging readers see the newest only.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Requests and explanations may wait in so great a number; a further one makes its caller wait.
const COMMANDS: usize = 64;
/// Reports may wait in so great a number; a further one makes the worker's own task wait, never a service.
const REPORTS: usize = 1024;

/// News of the watch may wait in so great a number; a further one makes the watch wait, which gathers edits meanwhile.
const NEWS: usize = 64;

/// Begins to supervise: takes over what an earlier supervisor left, and goes on until nothing is left to do. The caller holds the project's lock.
pub async fn spawn(home: Home) -> Result<(Handle, JoinHandle<()>), Error> {
    build::sweep(&home.bin());
    alone::settle(&home).await;
    let ground = Ground::look(&home)?;
    let newest = ground.newest();
    let hunts = Arc::new(Hunts::new(home.clone()));
    let mut planner = Planner::new(home.clone(), ground.intents, ground.kept, hunts.clone());
    ground.news.iter().for_each(|news| planner.tell(news.clone()));
    let copies = resume::copies(ground.survey.found, ground.containers, &ground.boot);
    let beginning = resume::begin(&mut planner, &copies, &ground.last);
    let (report, reports) = mpsc::channel(REPORTS);
    let processes = ProcessWorker::new(home.clone(), report.clone(), planner.linger(), hunts.clone());
    let processes = processes.map_err(|error| Error::failed("cannot find the program that runs").because(&error))?;
    let mut worker = Workers { processes, containers: DockerWorker::new(home.clone(), report) };
    let engine = Engine::new(vec![local_node()], planner.scheduler(), newest + 1);
    for (record, spec) in beginning.adopt {
        worker.processes.adopt(&record, spec);
    }
    for (record, spec) in beginning.adopt_containers {
        worker.containers.adopt(&record, spec);
    }
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (shown, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let (say, news) = mpsc::channel(NEWS);
    let lookout = Lookout::Idle { project: home.root.clone(), news: say };
    let parts = Parts {
        watch: Ends { tell: Box::new(lookout), news },
        since: last::saved_at(&home.state()),
        home,
        engine,
        planner,
        hunts,
        worker: Box::new(worker),
        commands: inbox,
        reports,
        snapshots: shown,
    };
    let mut actor = Actor::new(parts);
    ground.news.iter().for_each(|news| actor.complain(news));
    for error in &beginning.complaints {
        actor.complain(&error.to_string());
        error.details.iter().for_each(|detail| actor.complain(detail));
    }
    let task = tokio::spawn(actor.run(beginning.events));
    Ok((Handle { commands, snapshots }, task))
}

/// This machine: what the scheduler may promise of it.
fn local_node() -> Node {
    let machine = machine();
    Node {
        name: "local".to_owned(),
        capabilities: vec![Capability::Process, Capability::Build, Capability::Container],
        capacity: Resources { cpu: f64::from(machine.cores), memory: machine.memory, disk: 0 },
        promised: Resources::default(),
        n_tasks: 0,
        n_builds: 0,
        max_builds: (machine.cores / 2).max(1),
    }
}
