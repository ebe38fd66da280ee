//! A body of JSON lines that is written while it is sent. Dropping it (the client went away) ends the work behind it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

use super::wire::Progress;

/// Lines waiting for a slow reader; then the work waits, and goes on with the newest state.
const LINES: usize = 64;

/// The lines of one request, and the work that makes them: it runs only while the body is read, so no task outlives its client.
struct Lines {
    lines: mpsc::Receiver<Option<Progress>>,
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// A body of what `work` sends; `None` is an empty line, which readers skip.
pub(super) fn body<F>(work: impl FnOnce(mpsc::Sender<Option<Progress>>) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, lines) = mpsc::channel(LINES);
    Body::new(Lines { lines, work: Some(Box::pin(work(sender))) })
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        self.lines.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(encode(line.as_ref())))))
    }
}

fn encode(line: Option<&Progress>) -> Bytes {
    // Serializing our own plain types cannot fail; a line that could not be written is as good as an empty one.
    let mut bytes = line.and_then(|line| serde_json::to_vec(line).ok()).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
