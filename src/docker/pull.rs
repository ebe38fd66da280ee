//! Images: looked at, and fetched with a word on how far that is.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::client::{Docker, LOOK};
use super::failure::{Class, Failure};
use super::{credentials, words};
use crate::task::environment::Environment;

/// A fetch that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(300);

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Pulling<'a> {
    /// The image, as written: `postgres:16`.
    pub image: &'a str,
    /// `linux/amd64`; `None`: the engine's own.
    pub platform: Option<&'a str>,
    /// Where the docker command's settings and helpers are found, which know the passwords of registries.
    pub env: &'a Environment,
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that have come.
    pub current: u64,
    /// Bytes of all layers whose size is known by now.
    pub total: u64,
    /// Of all work, unpacking included; it never goes back.
    pub percent: u8,
}

impl Docker {
    /// Everything about an image; `None` where the engine has none of that name.
    pub async fn image(&self, image: &str) -> Result<Option<ImageInspect>, Failure> {
        self.if_there(LOOK, self.engine().inspect_image(image)).await
    }

    /// Fetches an image. `tell` hears how far that is, some times a second at the most where bytes come, and need not do anything with it.
    pub async fn pull(&self, pulling: Pulling<'_>, mut tell: impl FnMut(Progress) + Send) -> Result<(), Failure> {
        let (name, tag) = split(pulling.image);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag);
        let options = match pulling.platform {
            Some(platform) => options.platform(platform),
            None => options,
        };
        let known = credentials::of(pulling.env, pulling.image).await;
        let mut news = Box::pin(self.engine().create_image(Some(options.build()), None, known));
        let mut layers = Layers::default();
        loop {
            let item = timeout(SILENCE, news.next()).await;
            let Ok(item) = item else {
                let message = format!("fetching `{}` hangs: nothing came for {} s", pulling.image, SILENCE.as_secs());
                return Err(Failure::new(Class::TimedOut, message, "is the registry well?"));
            };
            match item {
                None => return Ok(()),
                Some(Ok(info)) => {
                    if let Some(progress) = layers.hear(info) {
                        tell(progress);
                    }
                }
                Some(Err(said)) => return Err(words::of_pull(&self.failure(&said), pulling.image)),
            }
        }
    }
}

/// The name, and the tag or digest: `postgres` and `16`. A registry's port is no tag.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (image, "latest"),
    }
}

/// What is known of each layer: bytes that have come, bytes unpacked, bytes in all.
#[derive(Default)]
struct Layers {
    known: BTreeMap<String, [u64; 3]>,
    told: Progress,
}

impl Layers {
    /// Takes in one piece of news; says how far all is where that has changed.
    fn hear(&mut self, info: CreateImageInfo) -> Option<Progress> {
        let (id, status) = (info.id?, info.status?);
        let detail = info.progress_detail.unwrap_or_default();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
        let (current, total) = (number(detail.current), number(detail.total));
        match status.as_str() {
            "Downloading" => {
                let layer = self.known.entry(id).or_default();
                layer[2] = total.unwrap_or(layer[2]).max(current.unwrap_or(0));
                layer[0] = current.unwrap_or(layer[0]);
            }
            "Extracting" => {
                let layer = self.known.entry(id).or_default();
                layer[2] = layer[2].max(total.unwrap_or(0));
                (layer[0], layer[1]) = (layer[2], current.unwrap_or(layer[1]).min(layer[2]));
            }
            "Verifying Checksum" | "Download complete" => {
                let layer = self.known.get_mut(&id)?;
                layer[0] = layer[2];
            }
            "Pull complete" => {
                let layer = self.known.get_mut(&id)?;
                (layer[0], layer[1]) = (layer[2], layer[2]);
            }
            _ => return None,
        }
        let sum = |at: usize| self.known.values().map(|layer| layer[at]).sum::<u64>();
        let (current, unpacked, total) = (sum(0), sum(1), sum(2));
        let percent = u8::try_from((current + unpacked) * 50 / total.max(1)).unwrap_or(100).min(100);
        let now = Progress { current, total, percent: percent.max(self.told.percent) };
        let is_news = now != self.told;
        self.told = now;
        is_news.then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    #[test]
    fn names_and_tags_come_apart() {
        assert_eq!(split("postgres"), ("postgres", "latest"));
        assert_eq!(split("postgres:16"), ("postgres", "16"));
        assert_eq!(split("localhost:5000/team/db"), ("localhost:5000/team/db", "latest"));
        assert_eq!(split("localhost:5000/team/db:1.2"), ("localhost:5000/team/db", "1.2"));
        assert_eq!(split("db@sha256:00ff"), ("db", "sha256:00ff"));
    }

    #[test]
    fn progress_counts_bytes_of_all_layers_and_never_goes_back() {
        let mut layers = Layers::default();
        let mut hear = |id: &str, status: &str, current, total| {
            let detail = ProgressDetail { current: Some(current), total: Some(total) };
            let info = CreateImageInfo {
                id: Some(id.into()),
                status: Some(status.into()),
                progress_detail: Some(detail),
                ..CreateImageInfo::default()
            };
            layers.hear(info).map(|progress| (progress.current, progress.total, progress.percent))
        };
        assert_eq!(hear("16", "Pulling from library/postgres", 0, 0), None);
        assert_eq!(hear("a", "Pulling fs layer", 0, 0), None);
        assert_eq!(hear("a", "Downloading", 50, 100), Some((50, 100, 25)));
        assert_eq!(hear("a", "Downloading", 50, 100), None);
        assert_eq!(hear("b", "Downloading", 0, 300), Some((50, 400, 25)));
        assert_eq!(hear("a", "Download complete", 0, 0), Some((100, 400, 25)));
        assert_eq!(hear("b", "Verifying Checksum", 0, 0), Some((400, 400, 50)));
        assert_eq!(hear("a", "Extracting", 100, 100), Some((400, 400, 62)));
        assert_eq!(hear("a", "Pull complete", 0, 0), None);
        assert_eq!(hear("b", "Pull complete", 0, 0), Some((400, 400, 100)));
        assert_eq!(hear("c", "Already exists", 0, 0), None);
    }
}
