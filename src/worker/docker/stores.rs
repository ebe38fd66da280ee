//! The project's network and the named volumes of a container: made where they are missing, and nobody else's.

use std::collections::HashMap;
use std::path::Path;

use super::Ground;
use crate::docker::{Class, Docker, Failure, Volume, labels};
use crate::task::container::{ContainerSpec, Network, Source};

/// What became of looking for a volume.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It is this project's, or was made elsewhere on purpose.
    Ours,
    /// There is none.
    Missing,
    /// It is used, and a person should know something about it.
    Used(String),
    /// It is another project's.
    Theirs(Failure),
}

/// Sees to the network and the volumes; the network's id where the container is on it. `note` hears what a person should know.
pub(super) async fn ensure(
    ground: &Ground,
    docker: &Docker,
    container: &ContainerSpec,
    mut note: impl FnMut(String),
) -> Result<Option<String>, Failure> {
    // Several copies begin together: of what they share there must be one.
    let _turn = ground.making.lock().await;
    for mount in &container.mounts {
        if let Source::Volume { name, key, external, .. } = &mount.source {
            if *external {
                is_there(docker, name).await?;
            } else if let Some(words) = volume(ground, docker, container, name, key).await? {
                note(words);
            }
        }
    }
    match container.network {
        Network::Project { .. } => network(ground, docker, container).await.map(Some),
        Network::Host | Network::None => Ok(None),
    }
}

async fn is_there(docker: &Docker, name: &str) -> Result<(), Failure> {
    if docker.volume(name).await?.is_some() {
        return Ok(());
    }
    let message = format!("the volume `{name}` is `external` and does not exist");
    Err(Failure::new(Class::BadSpec, message, format!("`docker volume create {name}` makes it")))
}

async fn volume(
    ground: &Ground,
    docker: &Docker,
    container: &ContainerSpec,
    name: &str,
    key: &str,
) -> Result<Option<String>, Failure> {
    match judge(docker.volume(name).await?.as_ref(), name, &ground.home.root) {
        Found::Ours => Ok(None),
        Found::Used(words) => Ok(Some(words)),
        Found::Theirs(failure) => Err(failure),
        Found::Missing => {
            let mut labels = labels_of(ground, container);
            labels.insert(labels::VOLUME.to_owned(), key.to_owned());
            docker.create_volume(name, labels).await.map(|()| None)
        }
    }
}

fn labels_of(ground: &Ground, container: &ContainerSpec) -> HashMap<String, String> {
    let root = ground.home.root.display().to_string();
    HashMap::from([(labels::ROOT.to_owned(), root), (labels::NAME.to_owned(), container.project.clone())])
}

/// Whose a volume is. That of a project that is gone, or of nobody we know (Compose makes them under the same name), is used: what is in it is what
/// people look for. It is never labelled and so never removed by us.
fn judge(volume: Option<&Volume>, name: &str, root: &Path) -> Found {
    let Some(volume) = volume else { return Found::Missing };
    match volume.labels.get(labels::ROOT) {
        Some(theirs) if Path::new(theirs) == root => Found::Ours,
        Some(theirs) if is_project(Path::new(theirs)) => {
            let message = format!(
                "the volume `{name}` belongs to the project in `{theirs}`, and this one in `{}` would use the same",
                root.display()
            );
            let hint = "give one of the two another `name:` in its orchestra.yml";
            Found::Theirs(Failure::new(Class::Conflict, message, hint))
        }
        Some(theirs) => Found::Used(format!(
            "the volume `{name}` was made by a project in `{theirs}`, which is gone; what is in it is used here"
        )),
        None => {
            let maker = match volume.labels.get("com.docker.compose.project") {
                Some(project) => format!("by Docker Compose for its project `{project}`"),
                None => "by somebody else".to_owned(),
            };
            Found::Used(format!(
                "the volume `{name}` was made {maker}; what is in it is used here, and `orchestra vendors down --volumes` leaves it"
            ))
        }
    }
}

/// A project lives there still.
fn is_project(root: &Path) -> bool {
    root.join("orchestra.yml").exists() || root.join(crate::sys::home::DOT).join("state").exists()
}

/// The project's one network. Where somebody else has its name it gets one of its own: names of two projects must not meet on one network.
async fn network(ground: &Ground, docker: &Docker, container: &ContainerSpec) -> Result<String, Failure> {
    let root = &ground.home.root;
    if let Some(ours) = docker.networks(root).await?.into_iter().next() {
        return Ok(ours.id);
    }
    let usual = labels::network(&container.project);
    let name = match docker.has_network(&usual).await? {
        true => format!("{usual}-{}", own_mark(root)),
        false => usual,
    };
    let made = docker.create_network(&name, labels_of(ground, container)).await;
    made.map_err(|failure| failure.about(format!("cannot make the network `{name}`")))
}

/// Six hexadecimal digits by which a project's things are told from another's of the same name (FNV-1a of its root).
pub(super) fn own_mark(root: &Path) -> String {
    let bytes = root.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    format!("{:06x}", hash >> 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(pairs: &[(&str, &str)]) -> Volume {
        let labels = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Volume { name: "shop_pgdata".into(), labels }
    }

    #[test]
    fn a_volume_is_used_unless_it_belongs_to_a_project_that_is_still_there() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = there.path().display().to_string();
        let judged = |volume: Option<&Volume>| judge(volume, "shop_pgdata", here.path());
        assert_eq!(judged(None), Found::Missing);
        assert_eq!(judged(Some(&labelled(&[(labels::ROOT, &here.path().display().to_string())]))), Found::Ours);
        let other = labelled(&[(labels::ROOT, &theirs)]);
        let Found::Used(words) = judged(Some(&other)) else { panic!("its project is gone") };
        assert!(words.contains(&theirs), "{words}");
        std::fs::write(there.path().join("orchestra.yml"), "").unwrap();
        let Found::Theirs(failure) = judged(Some(&other)) else { panic!("its project is there") };
        let root = here.path().display().to_string();
        assert!(failure.message.contains(&theirs) && failure.message.contains(&root), "{failure}");
        let Found::Used(words) = judged(Some(&labelled(&[("com.docker.compose.project", "shop")]))) else {
            panic!("Compose made it")
        };
        assert!(words.contains("by Docker Compose for its project `shop`"), "{words}");
        assert!(matches!(judged(Some(&labelled(&[]))), Found::Used(_)));
    }

    #[test]
    fn marks_tell_roots_apart() {
        assert_eq!(own_mark(Path::new("/a")).len(), 6);
        assert_ne!(own_mark(Path::new("/a")), own_mark(Path::new("/b")));
    }
}
