//! The image of a container: there, or fetched, and how far that is.

use std::time::Duration;

use bollard::models::ImageInspect;
use tokio::time::Instant;

use super::Ground;
use crate::docker::{Class, Docker, Failure, Progress, Pulling};
use crate::task::container::{ContainerSpec, Pull};
use crate::task::id::RunId;
use crate::worker::RunReport;

/// How far it is is told so often: each is a line of whoever waits.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Sees to the image and says what is known of it.
pub(super) async fn ensure(
    ground: &Ground,
    docker: &Docker,
    run: RunId,
    container: &ContainerSpec,
) -> Result<ImageInspect, Failure> {
    let image = &container.image;
    let known = docker.image(image).await?;
    let fits = known.as_ref().is_some_and(|known| fits(known, container.platform.as_deref()));
    match (known, container.pull) {
        (Some(known), Pull::Missing | Pull::Never) if fits || container.pull == Pull::Never => return Ok(known),
        (None, Pull::Never) => {
            let message = format!("there is no image `{image}` here, and `pull_policy: never` forbids to fetch it");
            return Err(Failure::new(Class::ImageMissing, message, format!("`docker pull {image}` fetches it")));
        }
        (known, _) => {
            let fetched = fetch(ground, docker, run, container).await;
            // A copy that is here serves while the registry cannot be reached.
            if let (Err(failure), Some(known), true) = (&fetched, known, fits)
                && failure.class.is_transient()
            {
                ground
                    .report(run, RunReport::Note(format!("{failure}; the copy of `{image}` that is here is used")))
                    .await;
                return Ok(known);
            }
            fetched?;
        }
    }
    let missing = || {
        let message = format!("the engine fetched `{image}` and does not have it");
        Failure::new(Class::ImageMissing, message, format!("`docker image inspect {image}` shows what it knows"))
    };
    docker.image(image).await?.ok_or_else(missing)
}

/// Whether an image is for the platform that is asked for: `linux/arm64/v8`; parts that are not asked for fit.
fn fits(image: &ImageInspect, platform: Option<&str>) -> bool {
    let Some(platform) = platform else { return true };
    let has = [&image.os, &image.architecture, &image.variant].map(|part| part.as_deref().unwrap_or_default());
    let mut wanted = platform.split('/').zip(has);
    wanted.all(|(wanted, has)| wanted.eq_ignore_ascii_case(has) || has.is_empty())
}

async fn fetch(ground: &Ground, docker: &Docker, run: RunId, container: &ContainerSpec) -> Result<(), Failure> {
    let image = container.image.as_str();
    ground.report(run, RunReport::Note(format!("fetching the image `{image}`"))).await;
    ground.report(run, RunReport::Waiting(Some(format!("pulling {image}")))).await;
    let (sink, began) = (ground.sink.clone(), Instant::now());
    let mut told = None;
    let tell = move |progress: Progress| {
        if told.is_some_and(|told: Instant| told.elapsed() < TELL_EVERY) {
            return;
        }
        told = Some(Instant::now());
        let words = format!("pulling {image}: {} %", progress.percent);
        // Full: the supervisor is busy, and the next one says more.
        drop(sink.try_send((run, RunReport::Waiting(Some(words)))));
    };
    let pulling = Pulling { image, platform: container.platform.as_deref(), env: &container.hook_env };
    let fetched = docker.pull(pulling, tell).await;
    ground.report(run, RunReport::Waiting(None)).await;
    fetched?;
    let seconds = began.elapsed().as_secs_f64();
    ground.report(run, RunReport::Note(format!("fetched the image `{image}` in {seconds:.1} s"))).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_fits_its_platform() {
        let image = ImageInspect {
            os: Some("linux".into()),
            architecture: Some("arm64".into()),
            variant: Some("v8".into()),
            ..ImageInspect::default()
        };
        assert!(fits(&image, None) && fits(&image, Some("linux/arm64")) && fits(&image, Some("linux/arm64/v8")));
        assert!(!fits(&image, Some("linux/amd64")) && !fits(&image, Some("linux/arm64/v7")));
        assert!(fits(&ImageInspect::default(), Some("linux/amd64")), "what is not known fits");
    }
}
