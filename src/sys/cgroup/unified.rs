//! Version 2: the nearest group above that may hand its controllers down.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::limit::write;
use super::membership::Place;
use super::{Obstacle, group};
use crate::sys::os;

/// Where the processes of a group that was left to us go, so that it can hand its controllers down.
const REST: &str = "orchestra-rest";

/// The parent of the group `name`, which is made in it: our own group or the nearest above that has `controllers` and lets us.
pub(super) fn parent(place: &Place, controllers: &[&str], name: &str) -> Result<PathBuf, Obstacle> {
    let mut first: Option<Obstacle> = None;
    for folder in place.own.ancestors().take_while(|folder| folder.starts_with(&place.mount)) {
        if *folder == *place.own && os::is_delegated(folder) {
            // What cannot be moved shows itself when the controllers are switched on.
            drop(evacuate(folder));
        }
        match try_in(folder, controllers, name) {
            Ok(()) => return Ok(folder.to_owned()),
            Err(obstacle) if first.as_ref().is_none_or(|known| !known.is_refusal() && obstacle.is_refusal()) => {
                first = Some(obstacle);
            }
            Err(_) => {}
        }
    }
    Err(first.unwrap_or_else(|| Obstacle::absent("this system has no cgroups that can be reached")))
}

fn try_in(folder: &Path, controllers: &[&str], name: &str) -> Result<(), Obstacle> {
    let offered = words(&folder.join("cgroup.controllers"));
    if let Some(missing) = controllers.iter().find(|name| !offered.iter().any(|offered| offered == *name)) {
        return Err(Obstacle::absent(format!(
            "the `{missing}` controller is not handed down to `{}`",
            folder.display()
        )));
    }
    // A process may be moved by who may write here, as this is what its old and its new group have in common.
    let may = fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
    may.map_err(|error| Obstacle::at("move processes within", folder, &error))?;
    let on = words(&folder.join("cgroup.subtree_control"));
    let missing: Vec<String> =
        controllers.iter().filter(|name| !on.iter().any(|on| on == *name)).map(|name| format!("+{name}")).collect();
    if !missing.is_empty() {
        write(&folder.join("cgroup.subtree_control"), &missing.join(" "))
            .map_err(|error| Obstacle::at("hand controllers down from", folder, &error))?;
    }
    group::fresh(&folder.join(name)).map_err(|error| Obstacle::at("make a group in", folder, &error))
}

fn words(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect()
}

/// Moves every process of a group into one below it. Only for a group whose subtree was delegated to us, which is what delegation is for.
fn evacuate(folder: &Path) -> io::Result<()> {
    let rest = folder.join(REST);
    match fs::create_dir(&rest) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // A process may fork while it is moved.
    for _ in 0..10 {
        let pids = words(&folder.join("cgroup.procs"));
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            // It may have ended; one that may not be moved is found again above, and then given up.
            drop(write(&rest.join("cgroup.procs"), &pid));
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}
