//! What a shim leaves on disk: who runs (`instance.json`), and how it ended (`exit.json`). Both replaced by rename, for their owner only.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys::cgroup;
use crate::sys::process::Identity;
use crate::task::spec::Limits;

/// The record of the newest run in a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Of the control protocol its shim speaks.
    pub protocol: u32,
    /// `api.1`, or `api.build`.
    pub slot: String,
    /// Of the run.
    pub uuid: String,
    /// The number of the run.
    pub run: u64,
    /// The shim.
    pub shim: u32,
    /// The leader of the group.
    pub pid: u32,
    /// When the leader started, in the system's unit.
    pub start_time: u64,
    /// The machine's boot it belongs to.
    pub boot_id: String,
    /// Device and inode of the leader's program.
    pub exe: (u64, u64),
    /// Equal settings: it may be kept.
    pub settings: String,
    /// What its binary is made of.
    pub artifact: Option<String>,
    /// Microseconds since 1970.
    pub started_us: i64,
    /// The program and its arguments, for people.
    pub argv: Vec<String>,
    /// `ORCHESTRA_RUN` without the name.
    pub marker: String,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long until SIGKILL.
    pub grace_ms: u64,
    /// What it is held to, where `resources` say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitRecord>,
}

/// What a run is held to, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// Bytes.
    pub memory: Option<u64>,
    /// Cores.
    pub cpu: Option<f64>,
    /// Why it is not enforced; absent where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unenforced: Option<String>,
    /// Its control groups, to be removed by whoever comes after a killed shim.
    pub folders: Vec<PathBuf>,
}

impl LimitRecord {
    /// In the words of the core.
    pub fn limits(&self) -> Limits {
        Limits { memory: self.memory, cpu: self.cpu, unenforced: self.unenforced.clone() }
    }
}

impl InstanceRecord {
    /// Ends and removes what is left in its control groups. Only for whoever knows that its shim is dead; `lock` is the slot's.
    pub fn clear_groups(&self, lock: &Path) {
        if let Some(limits) = &self.limits {
            cgroup::clear(&limits.folders, &cgroup::name_of(lock));
        }
    }

    /// Enough to know the leader again.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time, boot_id: self.boot_id.clone() }
    }
}

/// How the newest run in a slot ended. It belongs to the record with the same `uuid` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Of the run.
    pub uuid: String,
    /// The number of the run.
    pub run: u64,
    /// The exit code.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// The kernel's out-of-memory killer.
    pub oom: bool,
    /// It was asked to.
    pub stopped: bool,
    /// It was asked to, and it or a part of it did not until SIGKILL came.
    #[serde(default)]
    pub killed: bool,
    /// Microseconds since 1970.
    pub ended_us: i64,
}
