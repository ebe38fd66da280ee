//! The containers that a copy has already: which one is kept, and which have to make room. Pure but for the asking.

use std::path::Path;

use bollard::models::ContainerInspectResponse;

use super::Ground;
use super::{record, state};
use crate::docker::{Docker, Failure, labels};
use crate::task::id::{InstanceId, Settings};

/// What there is of a copy.
#[derive(Debug, Default)]
pub(super) struct Existing {
    /// What may be started, or runs.
    pub(super) keep: Option<ContainerInspectResponse>,
    /// What makes room for another, the newest first: their volumes without a name are handed on.
    pub(super) replace: Vec<ContainerInspectResponse>,
    /// Why nothing is kept, where something could have been: `its settings changed`.
    pub(super) why: Option<&'static str>,
}

impl Existing {
    /// What has ended is not started again: a service begins afresh, with its newest caller's environment.
    pub(super) fn keep_only_what_runs(&mut self) {
        if let Some(kept) = self.keep.take_if(|kept| !state::of(kept).running) {
            self.replace.insert(0, kept);
        }
    }
}

/// Finds what there is. The labels decide; of a project that was moved the record knows the container still.
pub(super) async fn find(
    ground: &Ground,
    docker: &Docker,
    instance: &InstanceId,
    settings: &Settings,
    image_id: &str,
) -> Result<Existing, Failure> {
    let mut ids = Vec::new();
    for one in docker.containers(&ground.home.root).await? {
        if one.instance.as_ref() == Some(instance) {
            ids.push(one.id);
        }
    }
    let remembered = record::of(&ground.home, instance).map(|record| record.container).filter(|id| !id.is_empty());
    ids.extend(remembered.filter(|id| !ids.contains(id)).into_iter().collect::<Vec<_>>());
    let mut out = Existing::default();
    for id in ids {
        // Removed since it was listed, or long ago.
        let Some(found) = docker.inspect(&id).await? else { continue };
        match judge(&found, &ground.home.root, instance, settings, image_id) {
            Judged::Foreign => {}
            Judged::Keep if out.keep.is_none() => out.keep = Some(found),
            Judged::Keep => out.replace.push(found),
            Judged::Replace(why) => {
                out.why.get_or_insert(why);
                out.replace.push(found);
            }
        }
    }
    if out.keep.is_some() {
        out.why = None;
    }
    Ok(out)
}

#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Keep,
    Replace(&'static str),
    /// Not of this copy.
    Foreign,
}

fn judge(
    found: &ContainerInspectResponse,
    root: &Path,
    instance: &InstanceId,
    settings: &Settings,
    image_id: &str,
) -> Judged {
    let none = std::collections::HashMap::new();
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref()).unwrap_or(&none);
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    let theirs = Path::new(label(labels::ROOT));
    if label(labels::INSTANCE) != instance.to_string() || theirs != root && theirs.exists() {
        return Judged::Foreign;
    }
    if theirs != root {
        return Judged::Replace("the project was moved");
    }
    if label(labels::SETTINGS) != settings.0 {
        return Judged::Replace("its settings changed");
    }
    if found.image.as_deref() != Some(image_id) {
        return Judged::Replace("its image changed");
    }
    Judged::Keep
}

/// The first name of these that is free: the usual one, else with the project's mark, else with a number behind that.
pub(super) fn free_name(usual: &str, mark: &str, taken: &[String]) -> String {
    let marked = format!("{usual}-{mark}");
    let more = (2..).map(|number| format!("{usual}-{mark}-{number}"));
    let mut names = [usual.to_owned(), marked].into_iter().chain(more);
    names.find(|name| !taken.contains(name)).unwrap_or_else(|| usual.to_owned())
}

/// Its name, without the slash that engines put before it.
pub(super) fn name_of(found: &ContainerInspectResponse) -> String {
    found.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ContainerConfig;

    fn container(root: &Path, instance: &str, settings: &str, image: &str) -> ContainerInspectResponse {
        let labels = [
            (labels::ROOT, root.display().to_string()),
            (labels::INSTANCE, instance.into()),
            (labels::SETTINGS, settings.into()),
        ];
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let config = ContainerConfig { labels: Some(labels), ..ContainerConfig::default() };
        ContainerInspectResponse {
            image: Some(image.into()),
            config: Some(config),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn a_container_is_kept_while_its_settings_and_its_image_are_the_same() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let instance = InstanceId::parse("postgres.1").unwrap();
        let judged =
            |found: &ContainerInspectResponse| judge(found, here.path(), &instance, &Settings("s".into()), "sha256:1");
        assert_eq!(judged(&container(here.path(), "postgres.1", "s", "sha256:1")), Judged::Keep);
        assert_eq!(
            judged(&container(here.path(), "postgres.1", "t", "sha256:1")),
            Judged::Replace("its settings changed")
        );
        assert_eq!(
            judged(&container(here.path(), "postgres.1", "s", "sha256:2")),
            Judged::Replace("its image changed")
        );
        assert_eq!(judged(&container(here.path(), "postgres.2", "s", "sha256:1")), Judged::Foreign);
        assert_eq!(judged(&container(there.path(), "postgres.1", "s", "sha256:1")), Judged::Foreign);
        let gone = there.path().join("gone");
        assert_eq!(judged(&container(&gone, "postgres.1", "s", "sha256:1")), Judged::Replace("the project was moved"));
    }

    #[test]
    fn a_name_that_is_taken_gets_the_mark_of_the_project() {
        let taken = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(free_name("shop-db-1", "a1b2c3", &taken(&[])), "shop-db-1");
        assert_eq!(free_name("shop-db-1", "a1b2c3", &taken(&["shop-db-1"])), "shop-db-1-a1b2c3");
        assert_eq!(free_name("shop-db-1", "a1b2c3", &taken(&["shop-db-1", "shop-db-1-a1b2c3"])), "shop-db-1-a1b2c3-2");
    }
}
