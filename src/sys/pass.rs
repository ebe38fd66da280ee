//! Passing a descriptor to another process over a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use super::fd;

/// Sends `fd` with a few bytes beside it, which must not be empty.
pub fn send(socket: &UnixStream, bytes: &[u8], fd: &impl AsFd) -> io::Result<()> {
    let fds = [fd.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        // Rust programs ignore SIGPIPE: a peer that is gone is an error.
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &rights, MsgFlags::empty(), None) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            // The descriptor went with the first byte; the rest are words for people.
            Ok(_) => return Ok(()),
        }
    }
}

/// Waits for the next descriptor; how many bytes came with it. `None` once nobody can send any more. A message without a descriptor is passed over.
pub fn receive(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<Option<(usize, OwnedFd)>> {
    loop {
        let mut space = nix::cmsg_space!(RawFd);
        let mut into = [IoSliceMut::new(bytes)];
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(message) => message,
        };
        let came = message.bytes;
        let rights = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        if let Some(raw) = rights {
            let passed = fd::own(raw);
            fd::set_cloexec(&passed)?;
            return Ok(Some((came, passed)));
        }
        if came == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_arrives_with_its_words() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        for words in ["one", "two"] {
            let (mut kept, passed) = UnixStream::pair().unwrap();
            send(&ours, words.as_bytes(), &passed).unwrap();
            drop(passed);
            kept.write_all(b"hello").unwrap();
            drop(kept);
            let mut bytes = [0; 64];
            let (n, got) = receive(&theirs, &mut bytes).unwrap().unwrap();
            assert_eq!(&bytes[..n], words.as_bytes());
            let mut said = String::new();
            UnixStream::from(got).read_to_string(&mut said).unwrap();
            assert_eq!(said, "hello");
        }
        (&ours).write_all(b"no descriptor").unwrap();
        drop(ours);
        assert!(receive(&theirs, &mut [0; 64]).unwrap().is_none());
    }
}
