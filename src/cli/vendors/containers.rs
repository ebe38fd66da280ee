//! The containers of a project as the engine has them, and which of them are vendors'.

use std::collections::BTreeSet;
use std::path::Path;

use crate::docker::{Docker, Kept};
use crate::error::Error;
use crate::project::Project;
use crate::task::id::{InstanceId, ServiceName};

/// Whose containers are meant.
pub(super) enum Whose {
    /// Of these vendors.
    These(BTreeSet<ServiceName>),
    /// Of all vendors, those included that the files do not know any more; of no service.
    All {
        /// The project's services, some of which may run in containers, too.
        services: BTreeSet<ServiceName>,
    },
}

impl Whose {
    /// These where some were named, else all.
    pub(super) fn of(project: Option<&Project>, named: Option<BTreeSet<ServiceName>>) -> Whose {
        match named {
            Some(names) => Whose::These(names),
            None => {
                let services = project.into_iter().flat_map(|project| project.services.keys().cloned());
                Whose::All { services: services.collect() }
            }
        }
    }

    /// Whether a container of this instance is meant; one whose label cannot be read belongs to nobody that is named.
    pub(super) fn has(&self, instance: Option<&InstanceId>) -> bool {
        match (self, instance) {
            (Whose::These(names), Some(instance)) => names.contains(&instance.service),
            (Whose::These(_), None) => false,
            (Whose::All { services }, Some(instance)) => !services.contains(&instance.service),
            (Whose::All { .. }, None) => true,
        }
    }

    /// All are meant.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Whose::All { .. })
    }
}

/// The containers that are meant, the newest first.
pub(super) async fn find(docker: &Docker, root: &Path, whose: &Whose) -> Result<Vec<Kept>, Error> {
    let mut all = docker.containers(root).await?;
    all.retain(|one| whose.has(one.instance.as_ref()));
    Ok(all)
}
