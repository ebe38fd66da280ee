//! Why a limit cannot be enforced, and what would help.

use std::io;
use std::path::Path;

use crate::sys::fd::errno_words;

/// Why a limit does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// One sentence.
    pub what: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// There are none, or not for this.
    Absent,
    /// They belong to somebody else.
    Denied,
    /// They are mounted so that nobody may write.
    ReadOnly,
    /// Processes stand where controllers would have to be handed down.
    Busy,
    Other,
}

/// How it is made possible under systemd …
const SYSTEMD: &str = "`orchestra stop`, then `systemd-run --user --scope -p Delegate=yes orchestra start`";
/// … and where it hands fewer controllers down than a user needs.
const HAND_DOWN: &str = "`sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | \
                         sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload`, then log in again and \
                         `systemd-run --user --scope -p Delegate=yes orchestra start`";
const CONTAINER: &str =
    "give the container cgroups of its own that can be written to (Docker: `--privileged --cgroupns private`)";
const MOVE: &str = "`mkdir /sys/fs/cgroup/rest && for p in $(cat /sys/fs/cgroup/cgroup.procs); do echo $p > /sys/fs/cgroup/rest/cgroup.procs; done`, as root";

impl Obstacle {
    pub(super) fn absent(what: impl Into<String>) -> Obstacle {
        Obstacle { what: what.into(), kind: Kind::Absent }
    }

    /// `cannot make a group in /sys/fs/cgroup/x: permission denied`
    pub(super) fn at(action: &str, path: &Path, error: &io::Error) -> Obstacle {
        let words = error.raw_os_error().map_or_else(|| error.to_string(), errno_words);
        let kind = match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => Kind::Denied,
            Some(libc::EROFS) => Kind::ReadOnly,
            Some(libc::EBUSY) => Kind::Busy,
            _ => Kind::Other,
        };
        let what = match kind {
            Kind::Busy => format!("cannot {action} `{}`: processes stand in it", path.display()),
            Kind::ReadOnly => format!("cannot {action} `{}`: cgroups are mounted read-only here", path.display()),
            Kind::Absent | Kind::Denied | Kind::Other => format!("cannot {action} `{}`: {words}", path.display()),
        };
        Obstacle { what, kind }
    }

    /// What a person can do, as far as it is known.
    pub fn remedy(&self) -> Option<&'static str> {
        let systemd = Path::new("/run/systemd/system").exists();
        match self.kind {
            Kind::ReadOnly => Some(CONTAINER),
            Kind::Denied | Kind::Busy if systemd => Some(SYSTEMD),
            Kind::Absent if systemd => Some(HAND_DOWN),
            Kind::Busy => Some(MOVE),
            Kind::Denied => Some("make its files writable for your user, or run orchestra as root"),
            Kind::Absent | Kind::Other => None,
        }
    }

    /// Whether it is a wall, and not just a place that has nothing to offer.
    pub(super) fn is_refusal(&self) -> bool {
        self.kind != Kind::Absent
    }
}
