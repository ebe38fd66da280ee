//! Which folders hold the logs of which services: `logs/api/1`, `logs/api/build`, `logs/api/test`, `logs/api/orchestra`.

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::record::Stream;
use crate::error::{Context, PathError};
use crate::task::id::{InstanceId, ServiceName};

/// What a folder below a service's holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// What orchestra said about the service.
    Orchestra,
    /// Its builds.
    Build,
    /// Its tests.
    Test,
    /// The output of one instance.
    Instance(u32),
}

impl Folder {
    /// Reads the name of a folder.
    pub fn from_name(name: &str) -> Option<Folder> {
        match name {
            "orchestra" => Some(Folder::Orchestra),
            "build" => Some(Folder::Build),
            "test" => Some(Folder::Test),
            _ if name.starts_with(['0', '+']) => None,
            _ => name.parse().ok().map(Folder::Instance),
        }
    }
}

/// What a line belongs to, as people and programs read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output of an instance.
    Stdout,
    /// Standard error of an instance.
    Stderr,
    /// A build.
    Build,
    /// A test.
    Test,
    /// Orchestra's own words.
    Orchestra,
}

impl Channel {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
            Channel::Build => "build",
            Channel::Test => "test",
            Channel::Orchestra => "orchestra",
        }
    }

    /// True for what the service itself wrote.
    pub fn is_program(self) -> bool {
        matches!(self, Channel::Stdout | Channel::Stderr)
    }
}

/// One folder of segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Whose.
    pub service: ServiceName,
    /// What of it.
    pub folder: Folder,
    /// Where.
    pub dir: PathBuf,
}

impl Source {
    /// What a record of this folder belongs to.
    #[inline]
    pub fn channel(&self, stream: Stream) -> Channel {
        match (self.folder, stream) {
            (_, Stream::Orchestra | Stream::Mark) | (Folder::Orchestra, _) => Channel::Orchestra,
            (Folder::Build, _) => Channel::Build,
            (Folder::Test, _) => Channel::Test,
            (Folder::Instance(_), Stream::Stdout) => Channel::Stdout,
            (Folder::Instance(_), Stream::Stderr) => Channel::Stderr,
        }
    }

    /// The number of the instance, where it is one's.
    pub fn instance(&self) -> Option<u32> {
        match self.folder {
            Folder::Instance(number) => Some(number),
            Folder::Orchestra | Folder::Build | Folder::Test => None,
        }
    }
}

/// Which logs are wanted: everything of the services, and single instances beside them. Both empty: all there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Services with all their folders.
    pub services: Vec<ServiceName>,
    /// Single instances.
    pub instances: Vec<InstanceId>,
    /// Only what the services themselves wrote, nothing of builds, tests and orchestra.
    pub programs_only: bool,
}

impl Selection {
    fn names(&self, logs: &Path) -> Result<BTreeSet<ServiceName>, PathError> {
        if !self.services.is_empty() || !self.instances.is_empty() {
            let services = self.services.iter().cloned();
            return Ok(services.chain(self.instances.iter().map(|i| i.service.clone())).collect());
        }
        Ok(folders(logs)?.iter().filter_map(|name| ServiceName::fold(name).filter(|n| n.as_str() == name)).collect())
    }

    /// Whether a source is selected.
    pub fn takes(&self, source: &Source) -> bool {
        self.wants(&source.service, source.folder)
    }

    fn wants(&self, service: &ServiceName, folder: Folder) -> bool {
        if self.programs_only && !matches!(folder, Folder::Instance(_)) {
            return false;
        }
        let everything = self.services.is_empty() && self.instances.is_empty();
        everything
            || self.services.contains(service)
            || self.instances.iter().any(|i| i.service == *service && folder == Folder::Instance(i.number))
    }

    /// The folders there are at this moment, by service and kind.
    pub fn find(&self, logs: &Path) -> Result<Vec<Source>, PathError> {
        let mut sources = Vec::new();
        for service in self.names(logs)? {
            let of_service = logs.join(service.as_str());
            for name in folders(&of_service)? {
                if let Some(folder) = Folder::from_name(&name).filter(|folder| self.wants(&service, *folder)) {
                    sources.push(Source { service: service.clone(), folder, dir: of_service.join(name) });
                }
            }
        }
        sources.sort();
        Ok(sources)
    }

    /// The folders in which new sources may appear: that of all logs and those of the services.
    pub fn parents(&self, logs: &Path) -> Result<Vec<PathBuf>, PathError> {
        let services = self.names(logs)?.into_iter().map(|name| logs.join(name.as_str()));
        Ok(std::iter::once(logs.to_owned()).chain(services).collect())
    }
}

/// The names of the folders in `dir`, symlinks left out. A folder that is not there has none.
fn folders(dir: &Path) -> Result<Vec<String>, PathError> {
    if !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(Vec::new());
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("read", dir),
    };
    let is_folder = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context("read", dir)?;
        if is_folder(&entry) {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_selected() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["api/1", "api/2", "api/build", "api/junk", "web/1", "web/orchestra", "Odd/1"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink("/", dir.path().join("web/3")).unwrap();
        let api = ServiceName::fold("api").unwrap();
        let found = |selection: &Selection| -> Vec<String> {
            let sources = selection.find(dir.path()).unwrap();
            sources.iter().map(|s| s.dir.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        let mut selection = Selection::default();
        assert_eq!(found(&selection), ["api/build", "api/1", "api/2", "web/orchestra", "web/1"]);
        selection.programs_only = true;
        assert_eq!(found(&selection), ["api/1", "api/2", "web/1"]);
        selection.services = vec![api];
        assert_eq!(found(&selection), ["api/1", "api/2"]);
        selection.services.clear();
        selection.instances = vec![InstanceId::parse("api.2").unwrap()];
        assert_eq!(found(&selection), ["api/2"]);
    }
}
