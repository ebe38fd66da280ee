//! A vendor as its section describes it, nothing resolved yet.

use std::path::PathBuf;

use crate::config::template::{Dollars, Template};
use crate::config::tree::Place;
use crate::services::spec::{NeedConfig, ProbeConfig};
use crate::task::container::ContainerSpec;
use crate::task::id::ServiceName;
use crate::task::restart::RestartPolicy;
use crate::task::spec::{Kind, Protocol, Resources, StopSpec};

/// Whose rules a section is written by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `vendors:` of the project's file: our variables, and a `depends_on` list waits until each is ready.
    Project,
    /// A Compose file: its variables, and a `depends_on` list waits until each is started.
    Compose,
}

impl Dialect {
    /// Which dollars are variables.
    pub fn dollars(self) -> Dollars {
        match self {
            Dialect::Project => Dollars::Ours,
            Dialect::Compose => Dollars::Compose,
        }
    }
}

/// One vendor.
#[derive(Clone, Debug)]
pub struct VendorConfig {
    /// Its name, folded.
    pub name: ServiceName,
    /// Where it is named.
    pub place: Place,
    /// The folder that its relative paths mean.
    pub folder: PathBuf,
    /// Vendor, or a job that runs in a container.
    pub kind: Kind,
    /// All of its container that depends on nothing else: its mounts and published ports are apart.
    pub container: ContainerSpec,
    /// `environment:`; without a value it is that of whoever starts it, where they have one.
    pub env: Vec<(String, Option<Template>)>,
    /// `env_file:`
    pub env_files: Vec<VendorEnvFile>,
    /// Published ports, in the order of the file.
    pub ports: Vec<PortConfig>,
    /// Volumes, folders of the host and memory.
    pub mounts: Vec<MountConfig>,
    /// Secrets and configurations that are files.
    pub files: Vec<FileConfig>,
    /// Whom it waits for.
    pub needs: Vec<NeedConfig>,
    /// Of these, those it starts without where they are not there.
    pub optional: Vec<ServiceName>,
    /// When it is ready; `None`: by its health check, else its first port.
    pub ready: Option<ProbeConfig>,
    /// When it is dead although it runs.
    pub live: Option<ProbeConfig>,
    /// What happens when it dies.
    pub restart: RestartPolicy,
    /// How it is ended.
    pub stop: StopSpec,
    /// What it is held to.
    pub resources: Resources,
    /// A pseudo-terminal for its output.
    pub tty: bool,
    /// False: starts only when named or needed.
    pub enabled: bool,
    /// It starts by itself only where one of these is asked for; none: always.
    pub profiles: Vec<String>,
    /// On this machine, before each start.
    pub before: Vec<Vec<String>>,
    /// On this machine, once it has ended.
    pub after: Vec<Vec<String>>,
}

impl VendorConfig {
    /// It is started when nobody is named.
    pub fn is_enabled(&self, profiles: &[String]) -> bool {
        let asked = |own: &String| profiles.iter().any(|profile| profile == own || profile == "*");
        self.enabled && (self.profiles.is_empty() || self.profiles.iter().any(asked))
    }
}

/// One env file of a vendor.
#[derive(Clone, Debug)]
pub struct VendorEnvFile {
    /// Relative to the vendor's folder.
    pub path: Template,
    /// A missing one is a problem.
    pub required: bool,
    /// Each line is `KEY=value` to the letter: no quotes, no variables.
    pub raw: bool,
    /// Where it is named.
    pub place: Place,
}

/// A port of a container that is reached from this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// The address of this machine; `None`: 127.0.0.1.
    pub address: Option<String>,
    /// The port of this machine; `None`: a free one.
    pub host: Option<u16>,
    /// The port in the container.
    pub container: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it stands.
    pub at: At,
}

impl PortConfig {
    /// What it is called: the container's port, `5432` or `53/udp`.
    pub fn name(&self) -> String {
        match self.protocol {
            Protocol::Tcp => self.container.to_string(),
            Protocol::Udp => format!("{}/udp", self.container),
        }
    }
}

/// A place that counts as equal to any other: of two values it says nothing.
#[derive(Clone, Debug)]
pub struct At(pub Place);

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}

impl Eq for At {}

/// Something to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountConfig {
    /// Where it is seen, absolute.
    pub target: String,
    /// What it is.
    pub source: SourceConfig,
    /// No writing.
    pub read_only: bool,
    /// Where it stands.
    pub at: At,
}

/// What is to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// A volume of the project, by its name in the file.
    Named {
        /// Its name.
        key: String,
        /// Do not copy what the image has there.
        nocopy: bool,
    },
    /// A volume without a name.
    Anonymous,
    /// A file or folder of this machine: relative to the vendor's folder, or beginning with `~`.
    Bind {
        /// As written.
        path: String,
        /// Make the folder where it is missing.
        create: bool,
        /// `shared`, `rslave`, …
        propagation: Option<String>,
        /// `z` or `Z`.
        relabel: Option<char>,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
        /// Access bits.
        mode: Option<u32>,
        /// Other options.
        options: Option<String>,
    },
}

/// A file of this machine that its container reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// What it is.
    pub kind: FileKind,
    /// Its name at the head of the file.
    pub name: String,
    /// Where it is seen, absolute.
    pub target: String,
    /// Where it stands.
    pub at: At,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// `secrets:`
    Secret,
    /// `configs:`
    Config,
}

/// A volume that the head of a file describes.
#[derive(Clone, Debug, Default)]
pub struct VolumeConfig {
    /// What the engine calls it, instead of `<project>_<name>`.
    pub name: Option<Template>,
    /// It is made elsewhere.
    pub external: bool,
}
