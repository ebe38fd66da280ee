//! A project's folder that was deleted and made again (`rm -r`, `git clone`): by its inode it is another project, but what still runs was started from
//! this very place, and nobody else could ever find it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::client;
use crate::sys::folder::Folder;
use crate::sys::home::Home;
use crate::sys::{lock, os};

/// Where the path of the root is kept, beside the locks.
const FILE: &str = "root";

/// Writes down whose locks these are. The caller holds the project's lock.
pub fn remember(home: &Home) -> io::Result<()> {
    Folder::beneath(&home.runtime, Path::new(""))?.write_atomically(FILE, home.root.as_os_str().as_bytes())
}

/// Takes over locks and sockets of the folder that was here before, if it was deleted and something of it still runs. A folder that was moved away has
/// them still: there they can be seen and stopped. True where something was taken over.
pub fn inherit(home: &Home) -> bool {
    if home.runtime.symlink_metadata().is_ok() {
        return false;
    }
    let Some(user) = home.runtime.parent() else { return false };
    let Ok(entries) = fs::read_dir(user) else { return false };
    let former =
        entries.flatten().map(|entry| entry.path()).find(|path| was_here(path, home) && was_deleted(path, home));
    // Two at once: one of them wins, and both find what the winner moved.
    former.is_some_and(|former| fs::rename(former, &home.runtime).is_ok())
}

fn was_here(runtime: &Path, home: &Home) -> bool {
    let ours =
        runtime.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw());
    ours && fs::read(runtime.join(FILE)).is_ok_and(|root| root == home.root.as_os_str().as_bytes())
}

/// The supervisor works in the root and a service in a folder of it: where one of them is in a folder that has no name any more, the root was deleted.
fn was_deleted(runtime: &Path, home: &Home) -> bool {
    let former = Home { root: home.root.clone(), dot: home.dot.clone(), runtime: runtime.to_owned() };
    let path = former.supervisor_lock();
    if lock::is_held(&path).unwrap_or(false) {
        let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        return pid.is_some_and(os::works_in_removed_folder);
    }
    let Ok(entries) = fs::read_dir(runtime) else { return false };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let slots: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".lock")?.to_owned())).collect();
    let leader = |slot: &String| {
        let stream = client::call(&former, slot).ok()?;
        Some(client::greet(stream, Duration::from_secs(1)).ok()?.pid)
    };
    slots.iter().filter_map(leader).any(os::works_in_removed_folder)
}
