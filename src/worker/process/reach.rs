//! The way to a shim that another supervisor started.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::UnixStream;

use super::Ground;
use crate::sys::{fd, lock};

/// Between two tries to reach a shim that lives: at first, and at most.
const TRY_AGAIN: Duration = Duration::from_millis(50);
const TRY_AT_LEAST: Duration = Duration::from_secs(2);

/// A connection to the shim of a slot; `None` where nobody of ours listens there. Where it cannot be reached for want of descriptors, or because it does
/// not answer, its service runs on and is not ours to end: it is tried again until it can be reached or is gone.
pub(super) async fn reach(ground: &Ground, slot: &str) -> Option<UnixStream> {
    let (socket, lock) = (ground.home.shim_file(slot, ".sock"), ground.home.shim_file(slot, ".lock"));
    let mut pause = TRY_AGAIN;
    loop {
        match UnixStream::connect(&socket).await {
            Ok(stream) if fd::not_one_of_the_last(&stream).is_ok() => {
                let ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw());
                return ours.then_some(stream);
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return None,
            Ok(_) | Err(_) => {}
        }
        if matches!(lock::is_held(&lock), Ok(false)) {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(TRY_AT_LEAST);
    }
}
