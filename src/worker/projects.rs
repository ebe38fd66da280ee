//! To which orchestra project a process belongs: by the identity it carries, for messages only.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys::inspect;

/// A copy of another project's service.
#[derive(Debug, PartialEq)]
pub(super) struct Owned {
    /// `api.1`
    pub(super) copy: String,
    /// The project's root, where it could be found.
    pub(super) root: Option<PathBuf>,
}

/// What a process says it is; `None` where orchestra did not start it.
pub(super) fn of(pid: u32) -> Option<Owned> {
    let marker = inspect::variable(pid, "ORCHESTRA_RUN").ok()??;
    let (project, service, number) = parse(marker.to_str()?)?;
    Some(Owned { copy: format!("`{service}.{number}`"), root: root(project, pid) })
}

/// `<device>-<inode>/<service>/<number>/<uuid>`
fn parse(marker: &str) -> Option<(&str, &str, &str)> {
    let mut parts = marker.split('/');
    let all = (parts.next()?, parts.next()?, parts.next()?);
    (parts.count() == 1 && all.0.contains('-')).then_some(all)
}

/// The folder whose device and inode the marker names: above where the process stands or its program lies, or where its project's supervisor stands.
fn root(project: &str, pid: u32) -> Option<PathBuf> {
    let is_root = |folder: &&Path| {
        std::fs::metadata(folder).is_ok_and(|meta| format!("{:x}-{:x}", meta.dev(), meta.ino()) == project)
    };
    let above = |path: PathBuf| path.ancestors().find(|folder| is_root(folder)).map(Path::to_owned);
    let at = |pid: u32| inspect::working_dir(pid).ok().and_then(|(path, _)| above(path));
    let exe = || inspect::exe(pid).ok().and_then(|exe| above(exe.path));
    let parent = || at(inspect::stat(pid).ok()?.parent);
    let supervisor = || {
        let user = nix::unistd::geteuid();
        let hint = std::fs::read_to_string(format!("/tmp/orchestra-{user}/{project}/lock")).ok()?;
        at(hint.trim().parse().ok()?)
    };
    at(pid).or_else(exe).or_else(parent).or_else(supervisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_leads_to_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("api")).unwrap();
        let meta = std::fs::metadata(&root).unwrap();
        let project = format!("{:x}-{:x}", meta.dev(), meta.ino());
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .current_dir(root.join("api"))
            .env("ORCHESTRA_RUN", format!("{project}/api/1/uuid"))
            .spawn()
            .unwrap();
        // The kernel shows the environment a moment after exec has let the parent go on.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let found = loop {
            match of(child.id()) {
                None if std::time::Instant::now() < until => {}
                found => break found,
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, Some(Owned { copy: "`api.1`".into(), root: Some(root) }));
        assert_eq!(of(std::process::id()), None);
        assert_eq!(parse("x/y"), None);
    }
}
