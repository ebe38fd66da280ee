//! Hears of a container as the engine tells it: its end, and when somebody pauses it. Only for as long as the engine lives: whoever listens looks again.

use std::collections::HashMap;
use std::pin::Pin;

use bollard::errors::Error as Said;
use bollard::models::{ContainerWaitResponse, EventMessage};
use bollard::query_parameters::{EventsOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::{Stream, StreamExt as _};

use crate::docker::Docker;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It may have ended, or been removed: look.
    Over,
    /// Nothing can be heard any more: the engine broke off.
    Silence,
    /// It was paused.
    Paused,
    /// It goes on.
    GoesOn,
}

type Waiting = Pin<Box<dyn Stream<Item = Result<ContainerWaitResponse, Said>> + Send>>;
type Events = Pin<Box<dyn Stream<Item = Result<EventMessage, Said>> + Send>>;

/// Listens for one container.
pub(super) struct Watch {
    /// Answers at once for one that has ended already, so nothing falls between a look and the listening.
    waiting: Waiting,
    /// `None`: the engine tells no events; the end is heard all the same.
    events: Option<Events>,
}

impl Watch {
    pub(super) fn begin(docker: &Docker, container: &str) -> Watch {
        let wait = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let waiting = docker.engine().wait_container(container, Some(wait));
        // Each run of a health check tells three events of its own, so only these are asked for.
        let filters = HashMap::from([
            ("type", vec!["container"]),
            ("container", vec![container]),
            ("event", vec!["pause", "unpause", "destroy"]),
        ]);
        let events = docker.engine().events(Some(EventsOptionsBuilder::new().filters(&filters).build()));
        Watch { waiting: Box::pin(waiting), events: Some(Box::pin(events)) }
    }

    /// The next thing that is heard.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                biased;
                end = self.waiting.next() => return match end {
                    // A code other than 0 comes as an error, and so does a container that is gone.
                    Some(Ok(_) | Err(Said::DockerContainerWaitError { .. } | Said::DockerResponseServerError { .. })) => Heard::Over,
                    Some(Err(_)) | None => Heard::Silence,
                },
                event = next_event(&mut self.events) => match event.as_deref() {
                    Some("pause") => return Heard::Paused,
                    Some("unpause") => return Heard::GoesOn,
                    Some("destroy") => return Heard::Over,
                    Some(_) => {}
                    None => self.events = None,
                },
            }
        }
    }
}

/// The action of the next event; `None` when there will be no more.
async fn next_event(events: &mut Option<Events>) -> Option<String> {
    match events {
        Some(events) => match events.next().await {
            Some(Ok(event)) => Some(event.action.unwrap_or_default()),
            Some(Err(_)) | None => None,
        },
        None => std::future::pending().await,
    }
}
