//! What an edit means: which builds begin anew, what is restarted and tested, and what a person is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Edit, Effect, Engine, Moment};
use crate::task::id::{BuildKey, ServiceName};
use crate::task::spec::ServiceSpec;

impl Engine {
    /// Files were edited.
    pub(super) fn edited(&mut self, edit: Edit, now: Moment, out: &mut Vec<Effect>) {
        let _ = (edit, now, out);
    }

    /// The configuration was edited.
    pub(super) fn reconfigure(
        &mut self,
        specs: Vec<ServiceSpec>,
        groups: BTreeMap<BuildKey, u64>,
        because: &BTreeSet<PathBuf>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let _ = (specs, groups, because, now, out);
    }

    /// Who is built and swapped at each save.
    pub(super) fn watching(&mut self, services: BTreeSet<ServiceName>, trouble: Option<String>) {
        let _ = (services, trouble);
    }
}
