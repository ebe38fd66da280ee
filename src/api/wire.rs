//! What travels between the command line and the supervisor, and what `-o json` prints. Names are frozen: golden tests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The worker of what runs as a process of this machine.
pub const PROCESS: &str = "process";

/// The answer of `GET /v1/version`; its meaning is the same in every protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The version of the program that runs.
    pub version: String,
    /// What it speaks; equal numbers understand each other.
    pub protocol: u32,
    /// The supervisor's pid.
    pub pid: u32,
    /// The project's folder as it was when the supervisor began, where that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

/// The answer of `POST /v1/leave`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leaving {
    /// The pid of the supervisor that goes away; its services run on.
    pub pid: u32,
}

/// The answer of `ps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ps {
    /// The project's name.
    pub project: String,
    /// Its root.
    pub root: String,
    /// The supervisor, running or not.
    pub supervisor: Supervisor,
    /// Every service, vendor and job, by name.
    pub services: Vec<Service>,
}

/// The supervisor process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Supervisor {
    /// Whether one runs.
    pub running: bool,
    /// Its pid.
    pub pid: Option<u32>,
    /// Since it started.
    pub uptime_ms: Option<u64>,
    /// The version of the program it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One sentence: it runs and does not answer, so that the files did (then `uptime_ms` is null); or the newest configuration is not in force, or
    /// watching for edits suffers from something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// One service, vendor or job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `service`, `vendor` or `job`.
    pub kind: String,
    /// `up`, `down` or `once`.
    pub desired: String,
    /// How many copies are wanted.
    pub scale: u32,
    /// The first of failed, crashloop, backoff, stopping, running, starting, building, queued, ready, done, idle that an instance has.
    pub state: String,
    /// The newest build; null where nothing is built.
    pub build: Option<Build>,
    /// The newest test; null where none ran.
    pub test: Option<serde_json::Value>,
    /// It is built and swapped at each save; left out where it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun: bool,
    /// Every copy.
    pub instances: Vec<Instance>,
}

/// The newest build of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// `queued`, `building`, `ok` or `failed`; `idle` when it was never built.
    pub state: String,
    /// The content of the binary.
    pub id: Option<String>,
    /// One line, `"api/main.go:9:25: too many return values"`.
    pub error: Option<String>,
    /// Every place the compiler named.
    pub problems: Vec<Problem>,
}

/// A place the compiler named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Relative to the project.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// The compiler's words.
    pub message: String,
}

/// One copy of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// `api.1`
    pub id: String,
    /// `idle queued building starting running ready stopping backoff crashloop done failed`
    pub state: String,
    /// `stuck unkillable escaped unknown debugged`, or null.
    pub trouble: Option<String>,
    /// The leader of its process group.
    pub pid: Option<u32>,
    /// `process`, `docker` or `swarm`.
    pub worker: String,
    /// The node it runs on.
    pub node: String,
    /// Declared ports by name.
    pub ports: BTreeMap<String, u16>,
    /// What its group listens on: `127.0.0.1:8080/tcp`.
    pub listening: Vec<String>,
    /// How often it was started again since it was last asked for.
    pub restarts: u32,
    /// RFC 3339, of the present or last run.
    pub started_at: Option<String>,
    /// The newest end.
    pub last_exit: Option<Exit>,
    /// `ok`, `failing` or `unknown`.
    pub health: String,
    /// Mean since the last sample of at least a second ago, else since the start.
    pub cpu_percent: Option<f64>,
    /// Resident memory of the group.
    pub memory_bytes: Option<u64>,
    /// RFC 3339: since when it is in its state; left out where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// RFC 3339: when the present run became ready for the first time; left out where it is not, and where nobody saw it start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
    /// What the run is held to; only where `resources` say something and it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl Instance {
    /// Whether something of it runs: a process of this machine has a pid here, a container has none.
    pub fn is_up(&self) -> bool {
        let contained = self.worker != PROCESS && matches!(&*self.state, "starting" | "running" | "ready" | "stopping");
        self.pid.is_some() || contained
    }
}

/// What a run is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Bytes of memory, or null.
    pub memory_bytes: Option<u64>,
    /// Cores, or null.
    pub cpu: Option<f64>,
    /// Whether the kernel sees to all of it.
    pub enforced: bool,
    /// Why it does not, or null.
    pub reason: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// The exit code, where it exited.
    pub code: Option<i32>,
    /// The signal's number, where one ended it.
    pub signal: Option<i32>,
    /// `exit signal oom stopped rerun failed-probe lost start-failed port`
    pub reason: String,
    /// It was told to end, and it or a part of it did not until SIGKILL came. Left out where that is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub killed: bool,
    /// How long it ran; left out where it never ran, and where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_ms: Option<u64>,
    /// RFC 3339.
    pub at: String,
}

/// Bytes that are nearly always text: an environment entry `K=V`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Base64 {
        /// The bytes, RFC 4648.
        base64: String,
    },
}

/// What the caller of a command has: sent with each request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caller {
    /// `K=V` entries.
    pub env: Vec<Bytes>,
    /// The file mode creation mask.
    pub umask: u32,
    /// `RLIMIT_NOFILE`, soft and hard.
    pub nofile: Option<(u64, u64)>,
    /// The pid of the command: neither it nor what it runs under is ever taken for a stray.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The architecture of its Docker engine, as Go calls it, where something shall run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_arch: Option<String>,
}

/// A request that changes something: `POST /v1/<verb>` with verb `start stop restart build scale kill`; answers with a stream of [`Progress`], one JSON
/// object a line, the last of them `end`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// Selectors as typed; empty: all enabled.
    #[serde(default)]
    pub select: Vec<String>,
    /// The configuration file asked for, where `-c` was given.
    #[serde(default)]
    pub config: Option<String>,
    /// Flags of `start`.
    #[serde(default)]
    pub start: StartFlags,
    /// `scale`: service and number of copies; `None` returns to the file.
    #[serde(default)]
    pub scale: BTreeMap<String, Option<u32>>,
    /// `kill`: the signal's number.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Milliseconds: `start`, how long to wait for ready; `stop`, the grace instead of the configured one.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Load a configuration owned by another user.
    #[serde(default)]
    pub trust: bool,
    /// With `strays: ask`: those a person agreed to end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Agreed>,
}

/// A stray a person agreed to end, as [`Stray`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agreed {
    /// Its pid.
    pub pid: u32,
    /// When it started, in the system's unit: with the pid it names the process.
    pub start_time: u64,
}

/// The answer of `strays`: copies of the project's services that orchestra did not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Strays {
    /// The project's name.
    pub project: String,
    /// Its root.
    pub root: String,
    /// What the project says about them: `kill`, `ask` or `report`.
    pub policy: String,
    /// Each process once, by pid.
    pub strays: Vec<Stray>,
}

/// A copy of a service that orchestra did not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stray {
    /// Of which service.
    pub service: String,
    /// Its pid.
    pub pid: u32,
    /// When it started, in the system's unit: with the pid it names the process.
    pub start_time: u64,
    /// `P1` its program lies in the service's folder, `P2` its program was built by orchestra for a copy that has ended, `P3` its program was built by
    /// `go run`, `P4` it is `go run` itself.
    pub rule: String,
    /// What `start` would do: `kill`, `ask` or `report`.
    pub action: String,
    /// Why it would be left alone whatever the project says; null where nothing speaks against ending it.
    pub veto: Option<String>,
    /// Its program.
    pub exe: String,
    /// That file is gone, or was replaced by a newer build.
    pub deleted: bool,
    /// Its arguments, its own name first.
    pub argv: Vec<String>,
    /// Where it stands.
    pub cwd: Option<String>,
    /// Its parent.
    pub parent: StrayParent,
}

/// The parent of a stray.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrayParent {
    /// Its pid.
    pub pid: u32,
    /// Its program, where it may be seen.
    pub exe: Option<String>,
}

/// Flags of `start` that hold for the services it selected until `stop`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartFlags {
    /// Do not start what the selected depend on.
    #[serde(default)]
    pub no_deps: bool,
    /// Do not start vendors.
    #[serde(default)]
    pub no_vendors: bool,
    /// Vendors that may be made anew though their image's tag has changed since their data were written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
    /// Vendors of these profiles are started, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// `-e K=V`.
    #[serde(default)]
    pub env: Vec<Bytes>,
    /// Build with the race detector.
    #[serde(default)]
    pub race: bool,
    /// Services to build for a debugger and run below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debug: Vec<String>,
    /// Services to build so that they count which of their statements run; not kept by the next `start`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cover: BTreeMap<String, Cover>,
    /// Where to run Go services instead of where their files say: `docker` or `process`; left out: as it is.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub run_in: Option<String>,
    /// Added to every fixed host port.
    #[serde(default)]
    pub port_offset: Option<i32>,
    /// Build and swap at each save, or no longer; left out: as it is. It holds for what the selected depend on, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<bool>,
    /// Tests must pass before a copy is started or replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

/// What is counted of a running service, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cover {
    /// A folder's name: below the project's state, for tests.
    pub folder: String,
    /// Import paths of the packages that are counted.
    pub packages: Vec<String>,
}

/// One line of the answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Progress {
    /// The request was understood; these services it reaches.
    Accepted {
        /// Names, dependencies included.
        services: Vec<String>,
        /// Things a person should know: selected services that others depend on, warnings of the configuration.
        notes: Vec<String>,
    },
    /// A service changed its state.
    State {
        /// The service.
        service: String,
        /// Its state.
        state: String,
        /// Instances that are ready, and how many there shall be.
        ready: u32,
        /// How many there shall be.
        scale: u32,
        /// Why, where there is something to say: what it waits for, the error.
        reason: Option<String>,
        /// Since the request came.
        elapsed_ms: u64,
    },
    /// Something happened that a person should read: a kill of a stray, a module download.
    Note {
        /// One line.
        message: String,
    },
    /// It is over.
    End {
        /// Null on success.
        error: Option<Failure>,
    },
}

/// An error as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// `failed`, `usage`, `unreachable`, `interrupted`.
    pub kind: String,
    /// One sentence.
    pub message: String,
    /// Lines to print as they are.
    #[serde(default)]
    pub details: Vec<String>,
    /// What caused it.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to type next.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// The answer of `why SERVICE`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The service as `ps` shows it.
    pub service: Service,
    /// One sentence: why it is as it is.
    pub summary: String,
    /// What each instance waits for or suffers from, one sentence each.
    pub reasons: Vec<String>,
    /// Whom it depends on, and their states.
    pub needs: Vec<WhyNeed>,
    /// The newest ends over all instances, newest first.
    pub exits: Vec<WhyExit>,
    /// Processes that hold its ports.
    pub holders: Vec<String>,
    /// A save builds and swaps it; left out where it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
    /// The newest edit that reached it, and what became of it; left out where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<WhyRerun>,
    /// The tests that decide whether its newest binary is run; left out where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<WhyTests>,
    /// The containers that its instances run in, or ran in last; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<WhyContainer>,
    /// Newest happenings, oldest first: builds, starts, stops, restarts, and why.
    pub events: Vec<WhyEvent>,
    /// The environment orchestra and the files set, secrets masked.
    pub env: BTreeMap<String, String>,
    /// Where each of these comes from, in a few words; left out where nobody can say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_from: BTreeMap<String, String>,
}

/// A dependency as `why` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyNeed {
    /// The other service.
    pub service: String,
    /// `started`, `ready` or `completed`.
    pub condition: String,
    /// Its state now.
    pub state: String,
    /// Whether the condition holds.
    pub met: bool,
}

/// The container of an instance as `why` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyContainer {
    /// `postgres.1`
    pub instance: String,
    /// The container's name: `shop-postgres-1`.
    pub name: String,
    /// The engine's id of it.
    pub id: String,
    /// Its image, as it was named: `postgres:16`.
    pub image: String,
    /// Where its engine is: `unix:///var/run/docker.sock`.
    pub engine: String,
}

/// An edit as `why` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyRerun {
    /// What was edited, relative to the project; of very many only the first.
    pub files: Vec<String>,
    /// So many more.
    pub more: usize,
    /// RFC 3339: when the newest edit was seen.
    pub seen_at: String,
    /// How many builds were ended because a newer edit came.
    pub aborted: u32,
    /// `changed`, `same` or `failed`; null while there is no build, or it has not ended.
    pub build: Option<String>,
    /// What followed, in this order; what has not come, or never will, is left out.
    pub phases: Vec<WhyPhase>,
    /// From the edit to the end of the last phase.
    pub total_ms: f64,
}

/// A step from an edit to the new copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyPhase {
    /// `waited` (until the build began) `built` `tested` `told` (until the old copy was told to end) `stopped` `started` `ready`
    pub phase: String,
    /// RFC 3339: when it ended.
    pub at: String,
    /// How long it took: since the end of the phase before.
    pub ms: f64,
}

/// Tests as `why` shows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyTests {
    /// `idle queued testing passed failed`
    pub state: String,
    /// Of the newest run: tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// The first failure, one line.
    pub error: Option<String>,
}

/// An end as `why` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyExit {
    /// Which copy.
    pub instance: String,
    /// How it ended.
    #[serde(flatten)]
    pub exit: Exit,
}

/// A happening as `why` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyEvent {
    /// RFC 3339.
    pub at: String,
    /// One sentence.
    pub message: String,
}
