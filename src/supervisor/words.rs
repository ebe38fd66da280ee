//! Orchestra's own words about its services: one log beside each service's, so that `logs` shows an exit or a restart where it happened.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;

use crate::logs::record::{MAX_PAYLOAD, Stream};
use crate::logs::writer::{Place, Writer};
use crate::sys::folder::Folder;
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// So much of its own words is kept per service.
const KEEP: u64 = 20 * 1024 * 1024;

/// Writes them.
pub(super) struct Words {
    home: Home,
    /// Those that still have to say what they could not write. No other is kept open: hundreds of services would cost hundreds of descriptors.
    behind: HashMap<ServiceName, Writer>,
}

impl Words {
    pub(super) fn new(home: Home) -> Words {
        Words { home, behind: HashMap::new() }
    }

    /// Says one sentence about a service. What cannot be written goes to the supervisor's own log.
    pub(super) fn say(&mut self, service: &ServiceName, message: &str) {
        if let Err(error) = self.try_say(service, message) {
            self.complain(&format!("cannot write the log of `{service}`: {error}; it was to say: {message}"));
        }
    }

    fn try_say(&mut self, service: &ServiceName, message: &str) -> io::Result<()> {
        let mut writer = match self.behind.remove(service) {
            Some(writer) => writer,
            None => {
                let folder = Path::new("logs").join(service.as_str()).join("orchestra");
                Writer::open(Place { dot: self.home.dot.clone(), folder, keep: KEEP, run: 0 })?
            }
        };
        writer.tick();
        for line in message.lines() {
            let end = line.floor_char_boundary(MAX_PAYLOAD);
            writer.append(Stream::Orchestra, true, &line.as_bytes()[..end]);
        }
        writer.flush();
        if writer.is_behind() {
            self.behind.insert(service.clone(), writer);
        }
        Ok(())
    }

    /// Says something about the supervisor itself, in its own log. There is nowhere left to say that this failed.
    pub(super) fn complain(&mut self, message: &str) {
        let log =
            Folder::beneath(&self.home.dot, Path::new("state")).and_then(|folder| folder.append("supervisor.log"));
        drop(log.and_then(|mut log| writeln!(log, "{message}")));
    }
}
