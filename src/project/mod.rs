//! A whole project: found, read, checked and turned into specs.

pub mod build;
pub mod check;
pub mod clashes;
mod contained;
mod containers;
mod defaults;
pub mod discover;
pub mod environment;
pub mod export;
pub mod file;
pub mod find;
mod gate;
pub mod load;
pub mod ports;
mod probes;
pub mod resolve;
pub mod schema;
mod schema_vendors;
pub mod select;
pub mod settings;
mod test_specs;
pub mod vendors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::config::problem::Problem;
use crate::config::template::Template;
use crate::services::spec::ServiceConfig;
use crate::store::good::Good;
use crate::task::id::ServiceName;
use file::{Linger, LogLimits, Section, Strays};
use vendors::Vendor;

/// A checked project. Nothing in it depends on who calls.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name, folded.
    pub name: String,
    /// The folder of its file, absolute.
    pub root: PathBuf,
    /// Its file, absolute.
    pub config: PathBuf,
    /// Services by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Third-party servers by name.
    pub vendors: BTreeMap<ServiceName, Vendor>,
    /// `env:`, `before:` and `after:` of the project.
    pub section: Section,
    /// The same for each command.
    pub sections: BTreeMap<String, Section>,
    /// What the project's env files set.
    pub file_env: Vec<(String, Template)>,
    /// `orchestra run NAME`.
    pub commands: Vec<(String, Vec<Template>)>,
    /// How much log is kept.
    pub logs: LogLimits,
    /// Added to every fixed host port.
    pub port_offset: i32,
    /// `epvm`, `round-robin` or `greedy`.
    pub scheduler: &'static str,
    /// What to do about strays.
    pub strays: Strays,
    /// How long processes outlive a dead supervisor.
    pub linger: Linger,
    /// What a person should know, though nothing is wrong enough to stop.
    pub warnings: Vec<Problem>,
    /// Every file that was read, or would be where it existed: a change of one changes the project.
    pub watch: Vec<PathBuf>,
    /// The folders in which the folder of a service may appear or vanish, absolute.
    pub discover: BTreeSet<PathBuf>,
    /// The texts it was read from.
    pub good: Good,
}

/// A service with what its env files set.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its section.
    pub config: ServiceConfig,
    /// What its env files set.
    pub file_env: Vec<(String, Template)>,
    /// Its env files, absolute.
    pub env_files: Vec<PathBuf>,
}

/// Commands around a command, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before it; a failure stops it.
    pub before: Vec<Vec<String>>,
    /// After it, whatever became of it.
    pub after: Vec<Vec<String>>,
}

impl Project {
    /// What runs around a command: the project's own hooks around each that changes something, then the command's.
    pub fn hooks(&self, command: &str) -> Hooks {
        let mut out = Hooks::default();
        if file::CHANGING.contains(&command) {
            out.before.extend(self.section.before.iter().cloned());
            out.after.extend(self.section.after.iter().cloned());
        }
        if let Some(section) = self.sections.get(command) {
            out.before.extend(section.before.iter().cloned());
            out.after.splice(0..0, section.after.iter().cloned());
        }
        out
    }
}

#[cfg(test)]
mod bad_configs;
#[cfg(test)]
mod contained_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod never_panics;
#[cfg(test)]
mod resolve_tests;
#[cfg(test)]
mod vendor_tests;
