//! Control groups: where one can be made, what it limits, and everything in it ended. Nothing here knows services.
//!
//! A group is made below our own one, so that whatever limits us goes on to limit it. Version 2 knows one hierarchy in which a group with processes
//! hands no controller down; then the nearest group above that may be written to takes it. Version 1 has a hierarchy for each controller.

mod group;
mod limit;
mod membership;
mod obstacle;
mod unified;
mod usage;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use group::{Group, clear};
pub use obstacle::Obstacle;
pub use usage::{Used, used};

use membership::{Membership, Offer, Place};

/// What a group shall be held to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Bytes of memory; swap is none.
    pub memory: Option<u64>,
    /// Cores.
    pub cpu: Option<f64>,
}

impl Wanted {
    /// Whether nothing is to be limited.
    pub fn is_nothing(&self) -> bool {
        *self == Wanted::default()
    }
}

/// The name of the group of whoever holds `lock`, `…/<project>/<slot>.lock`: the next one in that slot, and people, know it again.
pub fn name_of(lock: &Path) -> String {
    let part = |name: Option<&std::ffi::OsStr>| name.unwrap_or_default().to_string_lossy().into_owned();
    format!("orchestra-{}-{}", part(lock.parent().and_then(Path::file_name)), part(lock.file_stem()))
}

/// What came of it.
#[derive(Debug)]
pub struct Made {
    /// The group, where at least one limit holds.
    pub group: Option<Group>,
    /// Why a limit does not hold.
    pub obstacle: Option<Obstacle>,
}

/// Makes a group of this name with these limits. What an earlier one of that name left is ended and removed first: the caller knows that nobody who
/// may go on is in it. Takes some file operations, and with leftovers up to a second.
pub fn make(name: &str, wanted: &Wanted) -> Made {
    let membership = match read() {
        Ok(membership) => membership,
        Err(_) => return Made { group: None, obstacle: Some(Obstacle::absent("this system has no cgroups")) },
    };
    let mut maker = Maker { name, wanted, folders: Vec::new(), obstacle: None };
    maker.old(&membership);
    maker.unified(&membership);
    Made { group: (!maker.folders.is_empty()).then(|| Group::new(maker.folders)), obstacle: maker.obstacle }
}

fn read() -> io::Result<Membership> {
    let cgroup = fs::read_to_string("/proc/self/cgroup")?;
    Ok(Membership::parse(&cgroup, &fs::read("/proc/self/mountinfo")?))
}

/// A group that is being made, folder by folder.
struct Maker<'a> {
    name: &'a str,
    wanted: &'a Wanted,
    folders: Vec<PathBuf>,
    obstacle: Option<Obstacle>,
}

impl Maker<'_> {
    fn controllers(&self) -> impl Iterator<Item = &'static str> + use<> {
        [("memory", self.wanted.memory.is_some()), ("cpu", self.wanted.cpu.is_some())]
            .into_iter()
            .filter_map(|(name, wanted)| wanted.then_some(name))
    }

    /// Version 1: a folder in each controller's own hierarchy.
    fn old(&mut self, membership: &Membership) {
        for controller in self.controllers() {
            let made = match membership.offer(controller) {
                Offer::Unified(_) => continue,
                Offer::Nowhere(why) => Err(Obstacle::absent(why)),
                Offer::Old(Place { own, .. }) => {
                    let folder = own.join(self.name);
                    let made = group::fresh(&folder).map_err(|error| Obstacle::at("make a group in", &own, &error));
                    made.and_then(|()| self.limit(&folder, &[controller])).map(|()| folder)
                }
            };
            self.keep(made);
        }
    }

    /// Version 2: one folder for all its controllers, or at least for one of them.
    fn unified(&mut self, membership: &Membership) {
        let mut controllers = Vec::new();
        let mut place = None;
        for controller in self.controllers() {
            if let Offer::Unified(there) = membership.offer(controller) {
                controllers.push(controller);
                place = Some(there);
            }
        }
        let Some(place) = place else { return };
        let whole = self.unified_with(&place, &controllers);
        if whole.is_ok() || controllers.len() == 1 {
            return self.keep(whole);
        }
        let parts: Vec<_> = controllers.iter().map(|one| self.unified_with(&place, &[*one])).collect();
        for part in parts {
            self.keep(part);
        }
    }

    fn unified_with(&self, place: &Place, controllers: &[&str]) -> Result<PathBuf, Obstacle> {
        let parent = unified::parent(place, controllers, self.name)?;
        let folder = parent.join(self.name);
        self.limit(&folder, controllers).map(|()| folder)
    }

    fn keep(&mut self, made: Result<PathBuf, Obstacle>) {
        match made {
            Ok(folder) if self.folders.contains(&folder) => {}
            Ok(folder) => self.folders.push(folder),
            Err(obstacle) => {
                self.obstacle.get_or_insert(obstacle);
            }
        }
    }

    /// Sets the limits; a folder that cannot have them goes again.
    fn limit(&self, folder: &Path, controllers: &[&str]) -> Result<(), Obstacle> {
        let set = limit::set(folder, controllers, self.wanted);
        if set.is_err() && !self.folders.iter().any(|kept| kept == folder) {
            // It is empty; where it stays all the same it is found by the next run.
            drop(fs::remove_dir(folder));
        }
        set
    }
}

#[cfg(test)]
mod tests;
