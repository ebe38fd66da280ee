//! Ids, each a newtype with one checked constructor; strings become ids at the boundary.

use std::fmt;

/// A service's or vendor's name after folding: `[a-z0-9_-]+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(std::sync::Arc<str>);

impl ServiceName {
    /// Folds any text to a name: upper case to lower, other characters to `-`. `None` when nothing but `-` would be left.
    pub fn fold(text: &str) -> Option<ServiceName> {
        let folded: String = text
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-' { c } else { '-' })
            .collect();
        if folded.chars().all(|c| c == '-') { None } else { Some(ServiceName(folded.into())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as part of an environment variable: upper case, `-` as `_`.
    pub fn env_key(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One running copy of a service: `api.1`, `api.2`, … Numbers begin at 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// The service it is a copy of.
    pub service: ServiceName,
    /// 1, 2, …
    pub number: u32,
}

impl InstanceId {
    /// Reads `api.2`; the name is folded.
    pub fn parse(text: &str) -> Option<InstanceId> {
        let (name, number) = text.rsplit_once('.')?;
        let number: u32 = number.parse().ok().filter(|n| *n > 0)?;
        Some(InstanceId { service: ServiceName::fold(name)?, number })
    }

    /// `ORCHESTRA_INDEX`: 0, 1, …
    pub fn index(&self) -> u32 {
        self.number - 1
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.number)
    }
}

/// One execution of a task. Never reused within a project, so a late report or timer misses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Identifies a build by everything that decides its result but the source: package, settings, environment. Equal keys share one build.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildKey(pub String);

/// What a task core schedules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// One `go build`.
    Build(BuildKey),
    /// One instance of a service.
    Run(InstanceId),
}

/// The content of a built binary (Go's build id, its content part, or a hash of the bytes): equal means the same code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Artifact(pub String);

/// A hash of everything configuration decides about a run (argv, environment set by configuration, directory, ports, …), not of the code and not
/// of the rest of the caller's environment. Equal means a running copy may be kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold() {
        assert_eq!(ServiceName::fold("My API").map(|n| n.to_string()), Some("my-api".into()));
        assert_eq!(ServiceName::fold("ünï"), ServiceName::fold("-n-"));
        assert_eq!(ServiceName::fold("--"), None);
        assert_eq!(ServiceName::fold(""), None);
    }

    #[test]
    fn instances_parse() {
        assert_eq!(InstanceId::parse("api.2").map(|i| i.to_string()), Some("api.2".into()));
        assert_eq!(InstanceId::parse("api.0"), None);
        assert_eq!(InstanceId::parse("api"), None);
    }
}
