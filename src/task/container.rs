//! What is wanted of a container, complete and resolved: the words of the Compose file format, as far as they say how one container is made.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::spec::Protocol;

/// How one container is made. Its environment, grace, limits, published ports' readiness and terminal are those of the run it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSpec {
    /// The project's name: its containers and its network are called by it.
    pub project: String,
    /// The image, as written: `postgres:16`.
    pub image: String,
    /// When the image is fetched.
    pub pull: Pull,
    /// `linux/amd64`; `None`: the engine's own.
    pub platform: Option<String>,
    /// Instead of the image's; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's.
    pub command: Option<Vec<String>>,
    /// Instead of the image's.
    pub user: Option<String>,
    /// Instead of the image's.
    pub working_dir: Option<String>,
    /// `None`: the engine's choice.
    pub hostname: Option<String>,
    /// `None`: none.
    pub domainname: Option<String>,
    /// Volumes, folders of the host and memory.
    pub mounts: Vec<Mount>,
    /// Ports of the host that lead to it.
    pub published: Vec<Published>,
    /// Where it is found.
    pub network: Network,
    /// `name:address`.
    pub extra_hosts: Vec<String>,
    /// Name servers, instead of the engine's.
    pub dns: Vec<String>,
    /// Of the user, beside ours.
    pub labels: Vec<(String, String)>,
    /// The section's own check; `None`: the image's, where it has one.
    pub check: Option<HealthCheck>,
    /// By name or number; `None`: the image's, else SIGTERM.
    pub stop_signal: Option<String>,
    /// A tiny init as PID 1.
    pub init: Option<bool>,
    /// Every right.
    pub privileged: bool,
    /// No writing outside its mounts.
    pub read_only: bool,
    /// An open standard input.
    pub stdin_open: bool,
    /// Rights beyond the usual ones.
    pub cap_add: Vec<String>,
    /// Usual rights it does not get.
    pub cap_drop: Vec<String>,
    /// `seccomp=unconfined` and the like.
    pub security_opt: Vec<String>,
    /// Further groups.
    pub group_add: Vec<String>,
    /// `/dev/x:/dev/y:rwm`.
    pub devices: Vec<String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: Vec<(String, String)>,
    /// Name, soft and hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Processes.
    pub pids_limit: Option<i64>,
    /// Bytes of memory and swap together.
    pub memory_swap: Option<i64>,
    /// A program of ours that runs in it, instead of the image's.
    pub program: Option<OwnProgram>,
    /// Somebody agreed that another image reads the data that an earlier one wrote. No part of its settings.
    pub replace: bool,
    /// The environment on this machine's side, that of the caller below what files set: `before` and `after` run in it, the engine is found by it
    /// (`DOCKER_HOST`, `DOCKER_CONTEXT`, `HOME`, …), and so are passwords of registries.
    pub hook_env: Environment,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// When it is not there.
    #[default]
    Missing,
    /// Before each start.
    Always,
    /// Not by us.
    Never,
}

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is seen, absolute.
    pub target: String,
    /// What it is.
    pub source: Source,
    /// No writing.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A named volume of the project: the full name, `<project>_pgdata`.
    Volume {
        /// The name the engine knows it by.
        name: String,
        /// Its name in the file: `pgdata`.
        key: String,
        /// The file says it is made elsewhere (`external: true`): it must be there, is never labelled and never removed.
        external: bool,
        /// Do not copy what the image has there.
        nocopy: bool,
    },
    /// A volume without a name: it is kept with its container and handed on to the one that replaces it.
    Anonymous,
    /// A file or folder of the host, absolute.
    Bind {
        /// Which.
        path: PathBuf,
        /// Make the folder where it is missing (the short form of Compose files does).
        create: bool,
        /// `shared`, `rslave`, …
        propagation: Option<String>,
        /// For SELinux: `z` (shared with other containers) or `Z` (private).
        relabel: Option<char>,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; `None`: unlimited.
        size: Option<u64>,
        /// Access bits.
        mode: Option<u32>,
        /// Other options as the kernel takes them, `uid=70`.
        options: Option<String>,
    },
}

/// A port of the host that leads into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The address it listens on; 127.0.0.1 where none is given.
    pub address: String,
    /// The port of the host.
    pub host: u16,
    /// The port in the container.
    pub container: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Where a container is found by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// On the project's one network.
    Project {
        /// The names it is found by there, its service's first; its container's name counts beside them.
        aliases: Vec<String>,
    },
    /// The host's own network.
    Host,
    /// None.
    None,
}

impl Default for Network {
    fn default() -> Network {
        Network::Project { aliases: Vec::new() }
    }
}

/// The check of a Compose file's `healthcheck:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is run inside.
    pub test: HealthTest,
    /// Between two once it was healthy; `None`: 5 s.
    pub interval: Option<Duration>,
    /// Until one counts as failed; `None`: the image's, else 30 s.
    pub timeout: Option<Duration>,
    /// So many failures in a row make it unhealthy; `None`: the image's, else 3.
    pub retries: Option<u32>,
    /// Failures do not count so long after the start.
    pub start_period: Option<Duration>,
    /// Between two while it has not been healthy; `None`: 10 ms doubling to 250 ms.
    pub start_interval: Option<Duration>,
}

/// What a check runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthTest {
    /// What the image says, in another rhythm.
    Image,
    /// Nothing: a check of the image is turned off.
    Off,
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
}

/// A binary of ours in a container of a minimal image (`run_in: docker`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProgram {
    /// The binary on the host, built for linux.
    pub binary: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}
