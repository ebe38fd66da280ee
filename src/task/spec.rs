//! What is wanted of a task, complete and resolved: nothing here is looked up again later.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::container::ContainerSpec;
use super::environment::Environment;
use super::id::{BuildKey, InstanceId, ServiceName, Settings};
use super::restart::RestartPolicy;

/// A service, a third-party server in a container, or a program that runs to completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program of ours that stays up.
    Service,
    /// A third-party server run as a container.
    Vendor,
    /// Runs once per start of a stopped fleet and must exit 0.
    Job,
}

/// What is wanted, apart from what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// It shall not run.
    Down,
    /// It shall run, and run again when it dies as its policy says.
    Up,
    /// It shall run to completion once.
    Once,
}

/// A transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One port of one instance, its number final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The key under `ports:`; `http` for the short form `port:`.
    pub name: String,
    /// The number this instance listens on.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// What a dependant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every instance has a process.
    Started,
    /// Every instance is ready (a job: completed).
    Ready,
    /// It ran to completion with success.
    Completed,
}

/// One declared dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// On whom.
    pub service: ServiceName,
    /// For what.
    pub condition: Condition,
}

/// How a run is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSpec {
    /// The first signal, by number.
    pub signal: i32,
    /// How long until SIGKILL.
    pub grace: Duration,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeTarget {
    /// An HTTP or HTTPS request.
    Http(HttpProbe),
    /// A TCP connection to a local port; of a container, to a port of its own.
    Tcp(u16),
    /// A program that must exit 0, run in the service's folder and environment; of a container, inside it.
    Exec(Vec<String>),
    /// A regular expression that must match a line of this run's output.
    Log(String),
    /// sd_notify: the process sends `READY=1` to `NOTIFY_SOCKET`.
    Notify,
    /// The check of the container: the section's own, else that of its image, else its first port accepts, else it has been up for one second.
    Health,
    /// The default for a service without ports: its group has a listener, else it has been up for one second.
    Listener,
    /// A job, or anything that is ready by being started.
    Started,
}

/// The details of an HTTP probe. Any 2xx is success unless `status` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// The whole URL, port included.
    pub url: String,
    /// The one status that counts, instead of any 2xx.
    pub status: Option<u16>,
    /// A regular expression the body must match.
    pub body: Option<String>,
    /// Request headers.
    pub headers: Vec<(String, String)>,
    /// Do not verify the certificate.
    pub insecure: bool,
    /// A PEM file of the certificate authority to trust.
    pub ca: Option<PathBuf>,
    /// True for a bare path: the listener on the port must belong to the instance's own process group.
    pub own_port: Option<u16>,
}

/// A readiness or liveness probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub target: ProbeTarget,
    /// Between two probes; `None` is 10 ms doubling to 250 ms until the first success, then 5 s.
    pub interval: Option<Duration>,
    /// Until one probe counts as failed.
    pub timeout: Duration,
    /// So many failures in a row make it unhealthy.
    pub failures: u32,
    /// Failures do not count until so long after the start.
    pub start_period: Duration,
}

/// What the scheduler counts and cgroups enforce where they can.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    /// Cores.
    pub cpu: f64,
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub disk: u64,
}

impl Resources {
    /// Whether a run shall be held to something the kernel can hold it to; disk space is none of that.
    pub fn limit_anything(&self) -> bool {
        self.memory_limit().is_some() || self.cpu_limit().is_some()
    }

    /// Bytes; 0 in a file means no limit.
    pub fn memory_limit(&self) -> Option<u64> {
        Some(self.memory).filter(|bytes| *bytes > 0)
    }

    /// Cores; 0 in a file means no limit.
    pub fn cpu_limit(&self) -> Option<f64> {
        Some(self.cpu).filter(|cores| *cores > 0.0)
    }
}

/// What a run is held to, and whether it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Cores.
    pub cpu: Option<f64>,
    /// Why the kernel does not see to it, one sentence; `None` where it does.
    pub unenforced: Option<String>,
}

/// `256 MiB`, in the largest unit that divides it.
pub fn size_words(bytes: u64) -> String {
    let unit = [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(bits, _)| bytes.is_multiple_of(1 << bits));
    unit.map_or_else(|| format!("{bytes} bytes"), |(bits, name)| format!("{} {name}", bytes >> bits))
}

/// What the one who asked for the run had: sent with the request, so that a background process does what a foreground one would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The file mode creation mask.
    pub umask: u32,
    /// `RLIMIT_NOFILE`, soft and hard; `None` where it could not be read.
    pub nofile: Option<(u64, u64)>,
}

/// Everything a worker needs to run one instance once.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSpec {
    /// Which copy of which service.
    pub instance: InstanceId,
    /// The program and its arguments; `argv[0]` is an absolute path, or a name looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The working directory.
    pub dir: PathBuf,
    /// The whole environment, each key once.
    pub env: Environment,
    /// The ports of this instance, in the order of the file; that of its debugger last.
    pub ports: Vec<Port>,
    /// Where a debugger listens below which it runs: `argv` begins with that debugger.
    pub debugger: Option<u16>,
    /// When it counts as ready.
    pub ready: Probe,
    /// When it counts as dead although it runs.
    pub live: Option<Probe>,
    /// How it is ended.
    pub stop: StopSpec,
    /// Commands before each start, by argv; a failure fails the start.
    pub before: Vec<Vec<String>>,
    /// Commands once it has ended, by argv, at most 5 s each.
    pub after: Vec<Vec<String>>,
    /// A pseudo-terminal for its output.
    pub tty: bool,
    /// What it may use.
    pub resources: Resources,
    /// It runs in this container, and `argv` is empty; `None`: it is a process of this machine.
    pub container: Option<Arc<ContainerSpec>>,
    /// Of whoever started it.
    pub caller: Caller,
    /// Bytes of log kept for this instance.
    pub log_keep: u64,
    /// Equal settings and an equal artifact: a running copy is kept.
    pub settings: Settings,
}

impl RunSpec {
    /// What the machine it runs on promises it. A vendor's limits are what it must not exceed, and nobody keeps them free for it.
    pub fn promised(&self) -> Resources {
        let is_vendor = self.container.as_ref().is_some_and(|container| container.program.is_none());
        if is_vendor { Resources::default() } else { self.resources }
    }
}

/// Everything the engine needs to know of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Its name.
    pub name: ServiceName,
    /// Service, vendor or job.
    pub kind: Kind,
    /// What builds its binary; `None` for `command:`.
    pub build: Option<BuildSpec>,
    /// Whom it waits for.
    pub needs: Vec<Need>,
    /// What happens when an instance dies.
    pub restart: RestartPolicy,
    /// One per wanted instance, by number: as many as the scale.
    pub runs: Vec<Arc<RunSpec>>,
    /// The tests that a new binary must pass before a copy runs it (`test.before_start`, `start --test`); `None` where tests are off, or nothing is built.
    pub tests: Option<TestGate>,
}

/// Tests of a service that decide whether a new binary is run. They are those of its own folder and of every local package it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct TestGate {
    /// Its own folder.
    pub dir: PathBuf,
    /// `test.flags`.
    pub flags: Vec<String>,
    /// The folder of its acceptance tests, which need a running fleet and are no part of this.
    pub acceptance: Option<PathBuf>,
    /// `watch.on_test_failure: stop`: code whose tests fail is not served, not even by the copies that run. Else they go on.
    pub stop: bool,
}

/// One binary to be built.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSpec {
    /// Equal keys share one build.
    pub key: BuildKey,
    /// The service whose log takes the output.
    pub service: ServiceName,
    /// Where `go build` runs: the package's own folder (or the service's folder for an import path).
    pub dir: PathBuf,
    /// The package argument: `.` for the package in `dir`, else an import path.
    pub package: String,
    /// All flags of `go build`, in order, without `-o` and without the package.
    pub flags: Vec<String>,
    /// The whole environment, each key once.
    pub env: Vec<(OsString, OsString)>,
    /// `go vet` of the package after a build that succeeded; what it finds fails the build.
    pub vet: bool,
    /// Commands before the build, by argv, in `dir`.
    pub before: Vec<Vec<String>>,
    /// The binary, replaced by rename.
    pub output: PathBuf,
    /// Of whoever asked for it.
    pub caller: Caller,
}
