//! Images that we make ourselves: of a stream of files, found by their labels, and removed.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::body_try_stream;
use bollard::errors::Error as Said;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};
use futures_util::{Stream, StreamExt as _};
use hyper::body::Bytes;
use tokio::time::timeout;

use super::client::{CHANGE, Docker, LOOK};
use super::failure::{Class, Failure};
use super::labels;

/// An engine takes all of an image's files within this time.
const TAKES: Duration = Duration::from_secs(300);

/// An image that was made for a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeImage {
    /// `shop-api:3f2a…`; the engine's id where it has no name any more.
    pub name: String,
    /// The service.
    pub service: String,
}

impl Docker {
    /// Makes an image of one layer from a tar archive. `changes` are lines of a Dockerfile: `ENTRYPOINT [\"/bin/api\"]`.
    pub(crate) async fn make_image(
        &self,
        (repository, tag): (&str, &str),
        changes: Vec<String>,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), Failure> {
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).changes(changes).build();
        let mut news = Box::pin(self.engine().create_image(Some(options), Some(body_try_stream(archive)), None));
        let taken = async {
            while let Some(item) = news.next().await {
                item.map_err(|said| self.failure(&said))?;
            }
            Ok(())
        };
        let slow = || {
            let message = format!("the engine did not take the image `{repository}` within {} s", TAKES.as_secs());
            Failure::new(Class::TimedOut, message, "`docker info` shows whether it answers")
        };
        timeout(TAKES, taken).await.unwrap_or_else(|_| Err(slow()))
    }

    /// Every image that was made for a service of the project at `root`.
    pub async fn made_images(&self, root: &Path) -> Result<Vec<MadeImage>, Failure> {
        let label = format!("{}={}", labels::ROOT, root.display());
        let filters = HashMap::from([("label", vec![label.as_str(), labels::SERVICE])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let all = self.bounded(LOOK, self.engine().list_images(Some(options))).await?;
        let made = |image: bollard::models::ImageSummary| {
            let name = image.repo_tags.into_iter().find(|tag| !tag.starts_with("<none>")).unwrap_or(image.id);
            MadeImage { name, service: image.labels.get(labels::SERVICE).cloned().unwrap_or_default() }
        };
        Ok(all.into_iter().map(made).collect())
    }

    /// Removes an image; says whether it is gone. One that a container uses stays.
    pub async fn remove_image(&self, name: &str) -> Result<bool, Failure> {
        let options = None::<RemoveImageOptions>;
        let is_used = |said: &Said| matches!(said, Said::DockerResponseServerError { status_code: 409, .. });
        let removed = async {
            match self.engine().remove_image(name, options, None).await {
                Ok(_) => Ok(true),
                Err(said) if is_used(&said) => Ok(false),
                Err(said) => Err(said),
            }
        };
        Ok(self.if_there(CHANGE, removed).await?.unwrap_or(true))
    }
}
