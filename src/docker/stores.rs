//! Volumes and networks, and whose they are.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder};

use super::client::{CHANGE, Docker, LOOK};
use super::failure::Failure;
use super::labels;

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// What the engine knows it by.
    pub name: String,
    /// What it is labelled with.
    pub labels: HashMap<String, String>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The engine's id: names need not be unique.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is labelled with.
    pub labels: HashMap<String, String>,
}

impl Docker {
    /// Every volume of the project at `root`.
    pub async fn volumes(&self, root: &Path) -> Result<Vec<Volume>, Failure> {
        let label = format!("{}={}", labels::ROOT, root.display());
        let options =
            ListVolumesOptionsBuilder::new().filters(&HashMap::from([("label", vec![label.as_str()])])).build();
        let all = self.bounded(LOOK, self.engine().list_volumes(Some(options))).await?;
        Ok(all.volumes.unwrap_or_default().into_iter().map(volume).collect())
    }

    /// A volume by its name; `None` where there is none.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, Failure> {
        Ok(self.if_there(LOOK, self.engine().inspect_volume(name)).await?.map(volume))
    }

    /// Makes a volume.
    pub(crate) async fn create_volume(&self, name: &str, labels: HashMap<String, String>) -> Result<(), Failure> {
        let request =
            VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..VolumeCreateRequest::default() };
        self.bounded(CHANGE, self.engine().create_volume(request)).await.map(drop)
    }

    /// Removes a volume with what is in it; fine where there is none.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Failure> {
        let options = RemoveVolumeOptionsBuilder::new().force(false).build();
        self.if_there(CHANGE, self.engine().remove_volume(name, Some(options))).await.map(drop)
    }

    /// Every network of the project at `root`.
    pub async fn networks(&self, root: &Path) -> Result<Vec<Network>, Failure> {
        let label = format!("{}={}", labels::ROOT, root.display());
        let options =
            ListNetworksOptionsBuilder::new().filters(&HashMap::from([("label", vec![label.as_str()])])).build();
        let all = self.bounded(LOOK, self.engine().list_networks(Some(options))).await?;
        let network = |one: bollard::models::Network| Network {
            id: one.id.unwrap_or_default(),
            name: one.name.unwrap_or_default(),
            labels: one.labels.unwrap_or_default(),
        };
        Ok(all.into_iter().map(network).collect())
    }

    /// Whether a network of that name is there, whoever made it.
    pub(crate) async fn has_network(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.if_there(LOOK, self.engine().inspect_network(name, None)).await?.is_some())
    }

    /// Makes a network of the usual kind, and says its id.
    pub(crate) async fn create_network(&self, name: &str, labels: HashMap<String, String>) -> Result<String, Failure> {
        let request =
            NetworkCreateRequest { name: name.to_owned(), labels: Some(labels), ..NetworkCreateRequest::default() };
        Ok(self.bounded(CHANGE, self.engine().create_network(request)).await?.id)
    }

    /// Removes a network; fine where there is none.
    pub async fn remove_network(&self, id: &str) -> Result<(), Failure> {
        self.if_there(CHANGE, self.engine().remove_network(id)).await.map(drop)
    }
}

fn volume(one: bollard::models::Volume) -> Volume {
    Volume { name: one.name, labels: one.labels }
}
