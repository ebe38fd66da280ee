//! Watches what services are made of, and says what an edit reaches.
//!
//! One task owns it all: it asks `go list` what the services are made of, watches the folders of the answer and the files of the configuration, waits until
//! edits come to rest for a moment, compares contents, and sends what is reached. It decides nothing about builds and copies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use super::list::Wanted;
use super::reach::Reach;
use crate::task::id::ServiceName;

/// What shall be watched; each one replaces the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// Grows with each; the answer to it is [`News::Armed`] with the same number.
    pub number: u64,
    /// The services whose edits matter; without any nothing is watched.
    pub services: Vec<WatchedService>,
    /// Files of the configuration, those that could be there too: `orchestra.yml`, every `service.yml`, env files. An edit of one is for who loads it.
    pub config: BTreeSet<PathBuf>,
    /// Folders in which a folder with a `service.yml` may appear or vanish.
    pub discover: BTreeSet<PathBuf>,
    /// Files that were written since then count as edited: somebody began to build with what was there before.
    pub since: Option<SystemTime>,
}

/// One service of those.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedService {
    /// Its name.
    pub name: ServiceName,
    /// Its folder: globs are relative to it.
    pub dir: PathBuf,
    /// What is built for it; `None` for a `command:`.
    pub wanted: Option<Wanted>,
    /// `watch.include`: files that restart it without a build.
    pub include: Vec<String>,
    /// `watch.exclude`: never hides what is compiled.
    pub exclude: Vec<String>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum News {
    /// All of [`Watched`] of this number is watched: no later edit is missed.
    Armed(u64),
    /// Something was edited.
    Changed(Changed),
    /// While watching suffers from something: one sentence, `None` once it is over. It goes on as well as it can.
    Trouble(Option<String>),
    /// Something a person should read about a service: modules are downloaded, another toolchain is fetched.
    Note(ServiceName, String),
}

/// What edits reached, by the files because of which.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Services, builds, tests.
    pub reach: Reach,
    /// Services that are restarted without a build.
    pub restarts: BTreeMap<ServiceName, BTreeSet<PathBuf>>,
    /// Files of the configuration, or folders below [`Watched::discover`].
    pub config: BTreeSet<PathBuf>,
    /// When the first of the edits was seen, microseconds since 1970.
    pub seen_us: i64,
}
