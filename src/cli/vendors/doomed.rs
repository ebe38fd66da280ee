//! What `vendors down --volumes` removes for good. It is found before anything is done, so that a person is asked about all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::containers::Whose;
use crate::docker::{Docker, Failure, Kept};

/// Volumes, by what becomes of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doomed {
    /// The project's, by name.
    pub(super) named: Vec<String>,
    /// Those without a name, and whose they are: they go with their container.
    pub(super) nameless: BTreeMap<String, String>,
    /// Those that were made by somebody else: they stay.
    pub(super) spared: BTreeSet<String>,
}

/// The named volumes that the files give to vendors; those that are meant, and all others.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) theirs: BTreeSet<String>,
    pub(super) others: BTreeSet<String>,
}

impl Doomed {
    /// Of all vendors whatever bears the project's label; of some, what they mount or declare and no other one does.
    pub(super) async fn find(
        docker: &Docker,
        root: &Path,
        whose: &Whose,
        declared: Declared,
    ) -> Result<Doomed, Failure> {
        let ours: BTreeSet<String> = docker.volumes(root).await?.into_iter().map(|volume| volume.name).collect();
        let Declared { mut theirs, mut others } = declared;
        let mut nameless = BTreeMap::new();
        let mut used = BTreeSet::new();
        for kept in docker.containers(root).await? {
            let volumes = mounted(docker, &kept).await?;
            if whose.has(kept.instance.as_ref()) {
                let without = volumes
                    .iter()
                    .filter(|name| (is_nameless(name) || kept.handed.contains(*name)) && !ours.contains(*name));
                nameless.extend(without.map(|name| (name.clone(), kept.name.clone())));
                used.extend(volumes.iter().cloned());
                theirs.extend(volumes);
            } else {
                others.extend(volumes);
            }
        }
        let spared = used.iter().filter(|name| !ours.contains(*name) && !nameless.contains_key(*name));
        let spared = spared.cloned().collect();
        let is_meant = |name: &String| whose.is_all() || (theirs.contains(name) && !others.contains(name));
        Ok(Doomed { named: ours.into_iter().filter(is_meant).collect(), nameless, spared })
    }

    /// Nothing goes.
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.nameless.is_empty()
    }

    /// What a person is asked about, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let nameless = self.nameless.values().map(|container| format!("a volume of {container} without a name"));
        self.named.iter().cloned().chain(nameless).collect()
    }
}

/// The engine calls it by a number of 256 bits.
pub(super) fn is_nameless(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The volumes that a container mounts.
pub(super) async fn mounted(docker: &Docker, kept: &Kept) -> Result<Vec<String>, Failure> {
    let mounts = docker.inspect(&kept.id).await?.and_then(|all| all.mounts).unwrap_or_default();
    Ok(mounts.into_iter().filter_map(|mount| mount.name).collect())
}
