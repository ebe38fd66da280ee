//! Control groups of a test's own, made beside whatever the program under test makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group that goes with the test, and everybody in it.
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group that may hold so many processes and threads; why not, where that is not possible here.
    pub(crate) fn of_processes(name: &str, most: u32) -> Result<Group, String> {
        let own = own("pids").ok_or("there is no `pids` hierarchy of cgroups version 1")?;
        let path = own.join(format!("orchestra-test-{name}-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot make `{}`: {error}", path.display()))?;
        let group = Group(path);
        group.limit(Some(most));
        Ok(group)
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How many may be in it from now on.
    pub(crate) fn limit(&self, most: Option<u32>) {
        fs::write(self.0.join("pids.max"), most.map_or("max".to_owned(), |most| most.to_string())).unwrap();
    }

    /// How many processes and threads are in it.
    pub(crate) fn count(&self) -> u32 {
        fs::read_to_string(self.0.join("pids.current")).unwrap().trim().parse().unwrap()
    }

    /// Moves a process with all its threads into it.
    pub(crate) fn take(&self, pid: i32) {
        // One that ended meanwhile needs no place.
        let taken = fs::write(self.0.join("cgroup.procs"), pid.to_string());
        assert!(taken.is_ok() || !std::path::Path::new(&format!("/proc/{pid}")).exists(), "{taken:?}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody in it may fork any more, so killing one by one ends them all.
        let _unlimited = fs::write(self.0.join("pids.max"), "0");
        for _ in 0..500 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
                let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
                let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Our own group in a hierarchy of version 1, where we may make others: `/sys/fs/cgroup/memory/box`.
pub(crate) fn own(controller: &str) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        parts.next()?.split(',').any(|name| name == controller).then(|| parts.next())?
    })?;
    let folder = Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'));
    let probe = folder.join(format!("orchestra-test-probe-{}-{:?}", std::process::id(), std::thread::current().id()));
    fs::create_dir(&probe).ok()?;
    fs::remove_dir(&probe).ok()?;
    Some(folder)
}
