//! What the control group of a process has used and holds: of a container, which is one group whatever sessions its processes make.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::membership::{Membership, Offer};

/// What a group uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Time of all processors since it was made.
    pub cpu: Duration,
    /// Bytes, without what is only kept of files that were read: as `docker stats` counts.
    pub memory: u64,
}

/// Of the group of `pid`; `None` where it has ended, or its group cannot be seen from here.
pub fn used(pid: u32) -> Option<Used> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let found = Membership::parse(&groups, &fs::read("/proc/self/mountinfo").ok()?);
    Some(Used { cpu: cpu(&found)?, memory: memory(&found)? })
}

fn cpu(found: &Membership) -> Option<Duration> {
    match found.offer("cpuacct") {
        Offer::Old(place) => number(&place.own.join("cpuacct.usage")).map(Duration::from_nanos),
        Offer::Unified(place) => field(&place.own.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
        Offer::Nowhere(_) => None,
    }
}

fn memory(found: &Membership) -> Option<u64> {
    let (place, all, kept) = match found.offer("memory") {
        Offer::Old(place) => (place, "memory.usage_in_bytes", "total_inactive_file"),
        Offer::Unified(place) => (place, "memory.current", "inactive_file"),
        Offer::Nowhere(_) => return None,
    };
    let kept = field(&place.own.join("memory.stat"), kept).unwrap_or(0);
    number(&place.own.join(all)).map(|all| all.saturating_sub(kept))
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// `name number` on a line of its own.
fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(mounts: &str, cgroup: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Membership) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mounts = mounts.replace("@", dir.path().to_str().unwrap());
        let found = Membership::parse(cgroup, mounts.as_bytes());
        (dir, found)
    }

    #[test]
    fn version_1_has_a_folder_for_each() {
        let (_dir, found) = group(
            "32 31 0:29 / @/cpu rw - cgroup cgroup rw,cpu,cpuacct\n35 31 0:32 / @/memory rw - cgroup cgroup rw,memory\n",
            "4:memory:/docker/3f2a\n1:cpu,cpuacct:/docker/3f2a\n",
            &[
                ("cpu/docker/3f2a/cpuacct.usage", "1500000000\n"),
                ("memory/docker/3f2a/memory.usage_in_bytes", "10000\n"),
                ("memory/docker/3f2a/memory.stat", "inactive_file 1\ntotal_inactive_file 4000\n"),
            ],
        );
        assert_eq!(cpu(&found), Some(Duration::from_millis(1500)));
        assert_eq!(memory(&found), Some(6000));
    }

    #[test]
    fn version_2_has_one() {
        let (_dir, found) = group(
            "35 24 0:30 / @ rw - cgroup2 cgroup2 rw\n",
            "0::/system.slice/docker-3f2a.scope\n",
            &[
                ("system.slice/docker-3f2a.scope/cpu.stat", "usage_usec 2000000\nuser_usec 5\n"),
                ("system.slice/docker-3f2a.scope/memory.current", "10000\n"),
                ("system.slice/docker-3f2a.scope/memory.stat", "anon 7\ninactive_file 4000\n"),
            ],
        );
        assert_eq!(cpu(&found), Some(Duration::from_secs(2)));
        assert_eq!(memory(&found), Some(6000));
    }

    #[test]
    fn what_cannot_be_seen_is_nothing() {
        assert_eq!(used(u32::MAX), None);
        let (_dir, found) = group("", "0::/../x\n", &[]);
        assert_eq!((cpu(&found), memory(&found)), (None, None));
    }
}
