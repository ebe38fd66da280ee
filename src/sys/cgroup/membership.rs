//! Where a process stands in the control groups: `/proc/self/cgroup` and `/proc/self/mountinfo`, understood. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// One hierarchy that is mounted where we can reach our own group in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the hierarchy, or the part of it that we may see, is mounted.
    pub(super) mount: PathBuf,
    /// Our own group's folder: `mount` or a folder in it.
    pub(super) own: PathBuf,
}

/// How the kernel offers a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// In a hierarchy of its kind (version 1).
    Old(Place),
    /// In the one hierarchy of all controllers (version 2), where it may be switched on.
    Unified(Place),
    /// Nowhere that we can reach; why, one sentence.
    Nowhere(String),
}

/// Our groups in all hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// Version 2.
    unified: Option<Place>,
    /// Version 1: the controllers of a hierarchy, and where it is; `None` where it is not mounted.
    old: Vec<(Vec<String>, Option<Place>)>,
}

/// One mounted cgroup file system.
struct Mount {
    version: u8,
    root: PathBuf,
    at: PathBuf,
    options: Vec<String>,
}

impl Membership {
    /// From the two files' content.
    pub(super) fn parse(cgroup: &str, mountinfo: &[u8]) -> Membership {
        let mounts: Vec<Mount> = mountinfo.split(|byte| *byte == b'\n').filter_map(mount).collect();
        let mut found = Membership::default();
        for line in cgroup.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let controllers: Vec<String> =
                controllers.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
            let fits = |mount: &&Mount| match controllers.first() {
                None => mount.version == 2,
                Some(first) => mount.version == 1 && mount.options.contains(first),
            };
            let place = mounts.iter().filter(fits).find_map(|mount| mount.place(Path::new(path)));
            if controllers.is_empty() {
                found.unified = place;
            } else {
                found.old.push((controllers, place));
            }
        }
        found
    }

    /// How a controller (`memory`, `cpu`) is offered.
    pub(super) fn offer(&self, controller: &str) -> Offer {
        if let Some((_, place)) = self.old.iter().find(|(names, _)| names.iter().any(|name| name == controller)) {
            return match place {
                Some(place) => Offer::Old(place.clone()),
                None => Offer::Nowhere(format!("the `{controller}` cgroups of this process are not mounted here")),
            };
        }
        match &self.unified {
            Some(place) => Offer::Unified(place.clone()),
            None => Offer::Nowhere("this system has no cgroups that can be reached".to_owned()),
        }
    }

    /// The unified hierarchy, whatever it controls.
    #[cfg(test)]
    pub(super) fn unified(&self) -> Option<&Place> {
        self.unified.as_ref()
    }
}

impl Mount {
    /// Our group seen through this mount; `None` where it lies outside of what is mounted.
    fn place(&self, path: &Path) -> Option<Place> {
        let within = path.strip_prefix(&self.root).ok()?;
        // A group outside of our cgroup namespace reads `/../x`.
        if within.components().any(|part| !matches!(part, Component::Normal(_))) {
            return None;
        }
        let own = if within.as_os_str().is_empty() { self.at.clone() } else { self.at.join(within) };
        Some(Place { mount: self.at.clone(), own })
    }
}

/// `31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate`
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let version = match *fields.get(dash + 1)? {
        b"cgroup" => 1,
        b"cgroup2" => 2,
        _ => return None,
    };
    let options = String::from_utf8_lossy(fields.get(dash + 3)?).split(',').map(ToOwned::to_owned).collect();
    Some(Mount { version, root: unescape(fields.get(3)?), at: unescape(fields.get(4)?), options })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4).filter(|_| field[at] == b'\\');
        let value = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        out.push(value.unwrap_or(field[at]));
        at += if value.is_some() { 4 } else { 1 };
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(mount: &str, own: &str) -> Place {
        Place { mount: mount.into(), own: own.into() }
    }

    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";

    #[test]
    fn a_desktop_under_systemd() {
        let scope =
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-5e.scope";
        let found = Membership::parse(&format!("0::{scope}\n"), V2.as_bytes());
        let there = place("/sys/fs/cgroup", &format!("/sys/fs/cgroup{scope}"));
        assert_eq!(found.offer("memory"), Offer::Unified(there.clone()));
        assert_eq!(found.offer("cpu"), Offer::Unified(there.clone()));
        assert_eq!(found.unified(), Some(&there));
    }

    #[test]
    fn a_session_over_ssh() {
        let found = Membership::parse("0::/user.slice/user-1000.slice/session-3.scope\n", V2.as_bytes());
        let own = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
        assert_eq!(found.offer("memory"), Offer::Unified(place("/sys/fs/cgroup", own)));
    }

    #[test]
    fn a_container_with_a_cgroup_namespace() {
        let mounts = "1571 1564 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n";
        let found = Membership::parse("0::/\n", mounts.as_bytes());
        assert_eq!(found.offer("memory"), Offer::Unified(place("/sys/fs/cgroup", "/sys/fs/cgroup")));
    }

    #[test]
    fn a_container_of_version_1() {
        let mounts = "720 719 0:29 /docker/3f2a /sys/fs/cgroup/memory ro,nosuid master:13 - cgroup cgroup rw,memory\n\
                      721 719 0:30 /docker/3f2a /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:14 - cgroup cgroup rw,cpu,cpuacct\n";
        let found = Membership::parse(
            "7:memory:/docker/3f2a\n4:cpu,cpuacct:/docker/3f2a\n2:pids:/docker/3f2a\n",
            mounts.as_bytes(),
        );
        let at = "/sys/fs/cgroup/memory";
        assert_eq!(found.offer("memory"), Offer::Old(place(at, at)));
        let at = "/sys/fs/cgroup/cpu,cpuacct";
        assert_eq!(found.offer("cpu"), Offer::Old(place(at, at)));
        assert!(matches!(found.offer("pids"), Offer::Nowhere(_)));
    }

    #[test]
    fn hierarchies_of_both_versions() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = Membership::parse("9:name=systemd:/\n4:memory:/box/39d5\n1:cpu:/\n0::/\n", mounts.as_bytes());
        let memory = place("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/box/39d5");
        assert_eq!(found.offer("memory"), Offer::Old(memory));
        assert_eq!(found.offer("cpu"), Offer::Old(place("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu")));
        assert_eq!(found.offer("io"), Offer::Unified(place("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified")));
    }

    #[test]
    fn nothing_and_nonsense() {
        for (cgroup, mounts) in [("", ""), ("0::/\n", ""), ("0\n:\n", "a b c\n-\n"), ("0::/../other\n", V2)] {
            assert!(
                matches!(Membership::parse(cgroup, mounts.as_bytes()).offer("memory"), Offer::Nowhere(_)),
                "{cgroup:?}"
            );
        }
    }

    #[test]
    fn a_mount_point_may_hold_anything() {
        let mounts = b"35 24 0:30 / /a\\040b\\134c\xff rw - cgroup2 cgroup2 rw".to_vec();
        let found = Membership::parse("0::/x y\n", &mounts);
        let at = PathBuf::from(OsString::from_vec(b"/a b\\c\xff".to_vec()));
        assert_eq!(found.unified().unwrap().own, at.join("x y"));
    }
}
