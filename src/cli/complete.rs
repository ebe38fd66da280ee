//! What completes on the command line: the names of this project's services.

use std::ffi::OsStr;
use std::path::Path;

use clap_complete::engine::CompletionCandidate;

use super::text;
use crate::project::{Project, find};
use crate::project::load::{LoadOptions, load};

/// Names of services and vendors, with `~` in front where one was typed.
pub(super) fn selectors(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (mark, begin) = current.strip_prefix('~').map_or(("", &*current), |rest| ("~", rest));
    let matching = names().into_iter().filter(|(name, _)| name.starts_with(begin));
    matching.map(|(name, help)| CompletionCandidate::new(format!("{mark}{name}")).help(help.map(Into::into))).collect()
}

/// Names of vendors, with `~` in front where one was typed.
pub(super) fn vendors(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let (mark, begin) = current.strip_prefix('~').map_or(("", &*current), |rest| ("~", rest));
    let names = project().into_iter().flat_map(|project| project.vendors.into_keys());
    let matching = names.filter(|name| name.as_str().starts_with(begin));
    matching.map(|name| CompletionCandidate::new(format!("{mark}{name}"))).collect()
}

/// Names of services with `=` behind.
pub(super) fn scales(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let matching = names().into_iter().filter(|(name, _)| name.starts_with(&*current));
    matching.map(|(name, help)| CompletionCandidate::new(format!("{name}=")).help(help.map(Into::into))).collect()
}

/// `None` where there is no project, or none that can be read: a completion must not complain.
fn project() -> Option<Project> {
    let config = std::env::var_os("ORCHESTRA_CONFIG");
    let (root, config) = find::locate(None, config.as_ref().map(Path::new)).ok()?;
    load(&root, &LoadOptions { config, trust: false }).ok()
}

fn names() -> Vec<(String, Option<String>)> {
    let Some(project) = project() else { return Vec::new() };
    // The shell prints it as it is.
    let help = |text: &String| text::clean(text).into_owned();
    let services =
        project.services.values().map(|s| (s.config.name.to_string(), s.config.description.as_ref().map(help)));
    let vendors = project.vendors.keys().map(|name| (name.to_string(), None));
    services.chain(vendors).collect()
}
