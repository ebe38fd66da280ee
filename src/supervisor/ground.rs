//! What a supervisor finds when it begins: files, locks and shims, judged in the order in which they can be trusted. What nobody can read is set aside
//! and said; nobody is signalled for what a file says alone.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::shim::survey::{self, Survey};
use crate::shim::{client, spec};
use crate::store::good::{self, Good};
use crate::store::intent::{self, Intent};
use crate::store::last::{self, LastService};
use crate::store::{self, Read};
use crate::sys::home::Home;
use crate::sys::os;
use crate::task::id::ServiceName;
use crate::worker::docker::record::{self, ContainerRecord};

/// What was found.
pub(super) struct Ground {
    pub(super) survey: Survey,
    pub(super) intents: BTreeMap<ServiceName, Intent>,
    pub(super) last: Vec<LastService>,
    pub(super) kept: Option<Good>,
    /// The newest run of each copy that ran in a container.
    pub(super) containers: Vec<ContainerRecord>,
    /// This start of the machine.
    pub(super) boot: String,
    /// For people, one sentence each.
    pub(super) news: Vec<String>,
}

impl Ground {
    /// Looks. Refuses where a shim lives that is too new to be spoken with.
    pub(super) fn look(home: &Home) -> Result<Ground> {
        let survey = survey::survey(home);
        if let Some(found) = survey.found.iter().find(|found| found.live && found.record.protocol > spec::PROTOCOL) {
            let record = &found.record;
            let why = client::foreign(record.shim, record.protocol);
            return Err(Error::new(
                Kind::Unreachable,
                format!("`{}` was started by another orchestra: {why}", record.slot),
            )
            .hint("nothing was touched: use the newer `orchestra`"));
        }
        let (containers, corrupt_records) = record::all(home);
        let broken = survey.aside.iter().chain(&corrupt_records);
        let mut news: Vec<String> = broken.map(|path| aside(home, path)).collect();
        let boot = begin_boot(home, &survey, &containers, &mut news)?;
        let (intents, corrupt) = intent::load(&home.state())?;
        let (last, corrupt_last) = last::load(&home.state())?;
        let (kept, corrupt_kept) = good::load(&home.state())?;
        news.extend(corrupt.iter().chain(&corrupt_last).chain(&corrupt_kept).map(|path| aside(home, path)));
        let mut ground = Ground { survey, intents, last, kept, containers, boot, news };
        ground.mend(home);
        ground.end_lost();
        Ok(ground)
    }

    /// The highest number of a run that is known.
    pub(super) fn newest(&self) -> u64 {
        self.containers.iter().map(|record| record.run).fold(self.survey.newest, u64::max)
    }

    /// What shims had to say again is written down again.
    fn mend(&mut self, home: &Home) {
        for record in &self.survey.rebuilt {
            if let Err(error) = survey::mend(home, record) {
                self.news.push(format!("cannot write the record of `{}` again: {error}", record.slot));
            }
        }
    }

    /// A shim that died while nobody was there to see it may have left something.
    fn end_lost(&mut self) {
        for found in self.survey.found.iter().filter(|found| !found.live && found.exit.is_none()) {
            let remains = client::end_lost(&found.record);
            if remains.signalled > 0 {
                let n = remains.signalled;
                self.news.push(format!("{n} processes that `{}` left behind were ended", found.record.slot));
            }
            self.news.extend(remains.spared.iter().map(|spared| spared.words(&found.record.slot)));
        }
    }
}

/// After another start of the machine nothing of what ran is left, and nothing is wanted. A lock that is held outlives no machine, whatever files say.
fn begin_boot(home: &Home, survey: &Survey, containers: &[ContainerRecord], news: &mut Vec<String>) -> Result<String> {
    let boot = os::boot_id()
        .map_err(|error| Error::failed("cannot tell this start of the machine from another").because(&error))?;
    let state = home.state();
    let ran_now = || {
        let mut boots = survey.found.iter().map(|found| &found.record.boot_id);
        boots.any(|of| *of == boot) || containers.iter().any(|record| record.boot_id == boot)
    };
    let (same, known) = match store::last_boot(&state)? {
        Read::Value(last) => (last == boot, last == boot),
        Read::Missing => (survey.found.is_empty() && containers.is_empty() || ran_now(), false),
        Read::Corrupt(path) => {
            news.push(aside(home, &path));
            (ran_now(), false)
        }
    };
    if !same && !survey.found.iter().any(|found| found.live) {
        intent::stop_all(&state)?;
    }
    // Nothing is written without need, and nothing depends on it: on a full disk a supervisor must be able to take over.
    if !known && let Err(error) = store::remember_boot(&state, &boot) {
        news.push(error.to_string());
    }
    Ok(boot)
}

/// The words for a file that nobody can read.
pub fn aside(home: &Home, path: &Path) -> String {
    format!("a file could not be understood and is left to you as `{}`", home.relative(path).display())
}
