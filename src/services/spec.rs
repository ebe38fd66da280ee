//! `service.yml`, typed: what a person asked for, nothing resolved yet. Values that depend on the instance are templates.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::template::Template;
use crate::config::tree::Place;
use crate::task::id::ServiceName;
use crate::task::restart::RestartPolicy;
use crate::task::spec::{Condition, Kind, Resources, StopSpec};

/// Every key of a service, in the order of the documentation.
pub const KEYS: &[&str] = &[
    "name",
    "description",
    "labels",
    "package",
    "command",
    "dir",
    "build",
    "args",
    "env",
    "environment",
    "env_file",
    "scale",
    "ports",
    "port",
    "depends_on",
    "ready",
    "live",
    "restart",
    "stop",
    "resources",
    "type",
    "test",
    "watch",
    "run_in",
    "tty",
    "color",
    "enabled",
    "before",
    "after",
    "gorun",
];
/// Keys that the service.yml of 2015 knew.
pub const OLD_KEYS: &[&str] = &["env", "gorun"];
/// Keys of `build:`.
pub const BUILD_KEYS: &[&str] = &["flags", "tags", "ldflags", "env", "race", "debug", "dwarf", "vet", "before"];
/// Keys of `ready:` and `live:`.
pub const PROBE_KEYS: &[&str] = &[
    "http",
    "tcp",
    "exec",
    "log",
    "notify",
    "status",
    "body",
    "headers",
    "insecure",
    "ca",
    "interval",
    "timeout",
    "failures",
    "start_period",
];
/// Keys of `restart:` in its long form.
pub const RESTART_KEYS: &[&str] = &["policy", "delay", "max_delay", "limit", "window"];
/// Keys of `stop:`.
pub const STOP_KEYS: &[&str] = &["signal", "grace"];
/// Keys of `resources:`.
pub const RESOURCE_KEYS: &[&str] = &["cpu", "memory", "disk"];
/// Keys of `test:`.
pub const TEST_KEYS: &[&str] = &["flags", "before_start", "acceptance"];
/// Keys of `test.acceptance:`.
pub const ACCEPTANCE_KEYS: &[&str] = &["package", "tags"];
/// Keys of `watch:`.
pub const WATCH_KEYS: &[&str] = &["include", "exclude", "on_test_failure"];
/// The most copies a service may have.
pub const MAX_SCALE: u32 = 1000;

/// One service as its file describes it.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Its name, folded.
    pub name: ServiceName,
    /// Where it is given its name, for messages about the service as a whole.
    pub place: Place,
    /// The folder that paths in its section are relative to.
    pub folder: PathBuf,
    /// One sentence for people.
    pub description: Option<String>,
    /// For selectors and reports.
    pub labels: Vec<(String, String)>,
    /// What runs.
    pub program: Program,
    /// The working directory, relative to `folder`.
    pub dir: Located<String>,
    /// How the binary is built.
    pub build: BuildConfig,
    /// Arguments.
    pub args: Vec<Template>,
    /// Variables.
    pub env: Vec<(String, Template)>,
    /// Env files.
    pub env_files: Vec<EnvFile>,
    /// How many copies.
    pub scale: u32,
    /// Ports, in the order of the file.
    pub ports: Vec<PortConfig>,
    /// Whom it waits for.
    pub needs: Vec<NeedConfig>,
    /// When it is ready; `None`: by its first port, else its first listener.
    pub ready: Option<ProbeConfig>,
    /// When it is dead although it runs.
    pub live: Option<ProbeConfig>,
    /// What happens when it dies.
    pub restart: RestartPolicy,
    /// How it is ended.
    pub stop: StopSpec,
    /// What the scheduler counts.
    pub resources: Resources,
    /// Service or job.
    pub kind: Kind,
    /// Tests.
    pub test: TestConfig,
    /// What reruns it.
    pub watch: WatchConfig,
    /// Where it runs.
    pub run_in: RunIn,
    /// A pseudo-terminal for its output.
    pub tty: bool,
    /// Colour although its output is no terminal.
    pub color: bool,
    /// False: starts only when named.
    pub enabled: bool,
    /// Before each start.
    pub before: Vec<Vec<String>>,
    /// Once it has ended.
    pub after: Vec<Vec<String>>,
}

/// A value that later checks need the place of.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands, or the beginning of the file for a default.
    pub place: Place,
}

/// What runs.
#[derive(Clone, Debug)]
pub enum Program {
    /// The binary of a Go package: a folder relative to the service's, or an import path.
    Go(Located<String>),
    /// Another program, with its arguments.
    Command(Vec<Template>),
}

/// `build:`
#[derive(Clone, Debug, Default)]
pub struct BuildConfig {
    /// Further flags, last.
    pub flags: Vec<String>,
    /// Build tags.
    pub tags: Vec<String>,
    /// For the linker.
    pub ldflags: Option<Template>,
    /// Over the service's environment.
    pub env: Vec<(String, Template)>,
    /// The race detector.
    pub race: bool,
    /// Built for a debugger, and run below it.
    pub debug: bool,
    /// `go vet` after a build that succeeded; what it finds fails the build.
    pub vet: bool,
    /// Leave the debugging tables out.
    pub no_dwarf: bool,
    /// Before the build.
    pub before: Vec<Vec<String>>,
}

/// One env file.
#[derive(Clone, Debug)]
pub struct EnvFile {
    /// Relative to the folder of the file that names it.
    pub path: PathBuf,
    /// A missing one is a problem.
    pub required: bool,
    /// Where it is named.
    pub place: Place,
}

/// One port.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// Its key; `http` for the short form.
    pub name: String,
    /// Its number, `auto`, either with a protocol.
    pub number: Template,
    /// Where it stands.
    pub place: Place,
}

/// One dependency.
#[derive(Clone, Debug)]
pub struct NeedConfig {
    /// On whom.
    pub service: ServiceName,
    /// For what; `None`: ready.
    pub condition: Option<Condition>,
    /// Where it is named.
    pub place: Place,
}

/// `ready:` or `live:`
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// What is asked.
    pub target: Target,
    /// Between two probes.
    pub interval: Option<Duration>,
    /// Until one counts as failed.
    pub timeout: Duration,
    /// So many in a row.
    pub failures: u32,
    /// Failures do not count before.
    pub start_period: Duration,
    /// Where it stands.
    pub place: Place,
}

/// What a probe asks.
#[derive(Clone, Debug)]
pub enum Target {
    /// A path on the service's own port, or a URL.
    Http(HttpConfig),
    /// A port by number or name.
    Tcp(Template),
    /// A program.
    Exec(Vec<String>),
    /// A regular expression over the output.
    Log(String),
    /// sd_notify.
    Notify,
}

/// The details of an HTTP probe.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// A path or a URL.
    pub url: Template,
    /// Instead of any 2xx.
    pub status: Option<u16>,
    /// A regular expression over the body.
    pub body: Option<String>,
    /// Request headers.
    pub headers: Vec<(String, String)>,
    /// Do not verify the certificate.
    pub insecure: bool,
    /// A PEM file, relative to the service's folder.
    pub ca: Option<PathBuf>,
}

/// `test:`
#[derive(Clone, Debug, Default)]
pub struct TestConfig {
    /// Further flags of `go test`.
    pub flags: Vec<String>,
    /// Tests must pass before a copy is started or replaced.
    pub before_start: bool,
    /// Tests against the running fleet.
    pub acceptance: Option<Acceptance>,
}

/// `test.acceptance:`
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The package, relative to the service's folder.
    pub package: Located<String>,
    /// Build tags.
    pub tags: Vec<String>,
}

/// What happens to the running copy when tests fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTestFailure {
    /// It runs on.
    #[default]
    Keep,
    /// It is stopped.
    Stop,
}

/// `watch:`
#[derive(Clone, Debug, Default)]
pub struct WatchConfig {
    /// Files that restart without a build.
    pub include: Vec<String>,
    /// Files that do not count; never hides compiled files.
    pub exclude: Vec<String>,
    /// What failing tests do.
    pub on_test_failure: OnTestFailure,
}

/// `run_in:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunIn {
    /// An ordinary process.
    #[default]
    Process,
    /// A minimal container.
    Docker,
}

impl RunIn {
    /// Its word in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            RunIn::Process => "process",
            RunIn::Docker => "docker",
        }
    }

    /// What a word means.
    pub fn parse(word: &str) -> Option<RunIn> {
        [RunIn::Process, RunIn::Docker].into_iter().find(|one| one.word() == word)
    }
}
