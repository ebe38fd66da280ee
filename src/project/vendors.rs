//! Third-party servers of a project, with what stands around their sections in the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::Project;
use crate::config::template::Template;
use crate::config::tree::{Node, Place};
use crate::services::spec::NeedConfig;
use crate::task::id::ServiceName;
use crate::task::restart::RestartMode;
use crate::task::spec::{Condition, Kind};
use crate::vendors::spec::{Dialect, FileKind, VendorConfig, VolumeConfig};

/// One vendor.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its section, as far as it has no variables.
    pub config: VendorConfig,
    /// The whole section, variables not filled in.
    pub tree: Node,
    /// Whose rules it is written by.
    pub dialect: Dialect,
    /// What the file it stands in says for all of its vendors.
    pub head: Arc<Head>,
    /// What its env files set.
    pub file_env: Vec<(String, Template)>,
    /// Its env files, absolute.
    pub env_files: Vec<PathBuf>,
}

/// What a file says for all of its vendors.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Volumes by name.
    pub volumes: BTreeMap<String, VolumeConfig>,
    /// Secrets and configurations by name, with the paths of those that are files.
    pub files: BTreeMap<(FileKind, String), Option<Template>>,
    /// What the `.env` beside a Compose file sets.
    pub dotenv: Vec<(String, Template)>,
    /// Services of a Compose file that are built, and so are no vendors.
    pub left_out: BTreeSet<ServiceName>,
}

impl Project {
    /// Services and vendors, by kind and name.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys().chain(self.vendors.keys())
    }

    /// Whether there is a service or a vendor of this name.
    pub fn contains(&self, name: &ServiceName) -> bool {
        self.services.contains_key(name) || self.vendors.contains_key(name)
    }

    /// What it is; `None` where nobody is called so.
    pub fn kind(&self, name: &ServiceName) -> Option<Kind> {
        let vendor = || self.vendors.get(name).map(|vendor| vendor.config.kind);
        self.services.get(name).map(|service| service.config.kind).or_else(vendor)
    }

    /// Whom it waits for.
    pub fn needs(&self, name: &ServiceName) -> &[NeedConfig] {
        let vendor = || self.vendors.get(name).map(|vendor| vendor.config.needs.as_slice());
        let service = self.services.get(name).map(|service| service.config.needs.as_slice());
        service.or_else(vendor).unwrap_or_default()
    }

    /// Where it is named.
    pub fn place(&self, name: &ServiceName) -> Option<&Place> {
        let vendor = || self.vendors.get(name).map(|vendor| &vendor.config.place);
        self.services.get(name).map(|service| &service.config.place).or_else(vendor)
    }

    /// How many copies its file asks for; a vendor has one.
    pub fn scale(&self, name: &ServiceName) -> Option<u32> {
        let vendor = || self.vendors.contains_key(name).then_some(1);
        self.services.get(name).map(|service| service.config.scale).or_else(vendor)
    }
}

/// Vendors for whose end somebody waits are jobs: a Compose file has no other word for it.
pub(super) fn find_jobs(vendors: &mut BTreeMap<ServiceName, Vendor>, others: &[&NeedConfig]) {
    let completed = |need: &&NeedConfig| need.condition == Some(Condition::Completed);
    let of_vendors = vendors.values().flat_map(|vendor| &vendor.config.needs);
    let awaited: Vec<ServiceName> =
        of_vendors.chain(others.iter().copied()).filter(completed).map(|need| need.service.clone()).collect();
    for name in awaited {
        let Some(vendor) = vendors.get_mut(&name).filter(|vendor| vendor.config.kind == Kind::Vendor) else { continue };
        vendor.config.kind = Kind::Job;
        if vendor.tree.get("restart").is_none() && vendor.tree.get("deploy").is_none() {
            vendor.config.restart.mode = RestartMode::No;
        }
    }
}
