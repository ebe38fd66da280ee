//! Takes connections from the project's socket: only from the same user, and only so many at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many connections at once; the next waits in the kernel's queue.
pub const CONNECTIONS: usize = 256;

/// A listener that turns strangers away.
#[derive(Debug)]
pub struct Checked {
    listener: UnixListener,
    places: Arc<Semaphore>,
    uid: u32,
}

/// One connection and its place among [`CONNECTIONS`].
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    // Held, never read.
    _place: OwnedSemaphorePermit,
}

impl Checked {
    /// Takes connections of the user this process runs as.
    pub fn new(listener: std::os::unix::net::UnixListener) -> io::Result<Checked> {
        Checked::of(listener, nix::unistd::geteuid().as_raw())
    }

    /// Takes connections of user `uid`.
    pub(super) fn of(listener: std::os::unix::net::UnixListener, uid: u32) -> io::Result<Checked> {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        Ok(Checked { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), uid })
    }
}

impl Listener for Checked {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                // The semaphore is never closed.
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                // A stranger is not answered: the folder's mode should have kept it out already. Root may do everything anyway.
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if peer.uid() == self.uid || peer.uid() == 0 => {
                        return (Connection { stream, _place: place }, ());
                    }
                    Ok(_) | Err(_) => {}
                },
                // Out of descriptors, or the peer is gone already: give others time to end.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
