//! What there is to read beside the states of services, told once.

use std::sync::Arc;

use super::wire::Progress;
use crate::supervisor::snapshot::{Note, Snapshot};

/// What was told beside the states of services.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The number of the newest note.
    note: u64,
    /// What is wrong with the newest configuration.
    config: Option<Arc<Vec<String>>>,
}

impl Told {
    /// Nothing of what stands in a snapshot is news any more.
    pub(super) fn known(snapshot: &Snapshot) -> Told {
        let note = snapshot.notes.last().map_or(0, |note| note.number);
        Told { note, config: snapshot.config_trouble.clone() }
    }

    /// What is wrong with the configuration is no news to this caller.
    pub(super) fn pass_over(&mut self, snapshot: &Snapshot) {
        self.config.clone_from(&snapshot.config_trouble);
    }

    /// What is new to read about services that `concerns`, since the snapshot `from`.
    pub(super) fn news(&mut self, snapshot: &Snapshot, from: u64, concerns: impl Fn(&str) -> bool) -> Vec<Progress> {
        let is_new = |note: &&Note| note.number > self.note && note.seq >= from && concerns(note.service.as_str());
        let said = |note: &Note| Progress::Note { message: format!("{}: {}", note.service, note.message) };
        let mut lines: Vec<Progress> = snapshot.notes.iter().filter(is_new).map(said).collect();
        self.note = snapshot.notes.last().map_or(self.note, |note| note.number);
        if self.config != snapshot.config_trouble {
            let mended = || vec!["the configuration is in order again, and in force".to_owned()];
            let now = snapshot.config_trouble.as_ref().map_or_else(mended, |lines| lines.to_vec());
            lines.extend(now.into_iter().map(|message| Progress::Note { message }));
            self.config.clone_from(&snapshot.config_trouble);
        }
        lines
    }
}
