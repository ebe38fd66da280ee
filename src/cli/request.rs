//! What the caller of a command has, put into a request: environment, mask, limits.

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, umask};

use super::context::{Context, Place};
use crate::api::{convert, wire};

/// A request with everything its caller had. Must be called before there are other threads: the mask can be read only by setting it.
pub(super) fn of(context: &Context, place: &Place, select: Vec<String>) -> wire::Request {
    wire::Request {
        caller: caller(),
        select,
        config: place.config.as_ref().map(|file| file.to_string_lossy().into_owned()),
        trust: context.global.trust,
        ..wire::Request::default()
    }
}

fn caller() -> wire::Caller {
    wire::Caller {
        env: std::env::vars_os().map(|(key, value)| convert::env_entry(&key, &value)).collect(),
        umask: mask(),
        nofile: getrlimit(Resource::RLIMIT_NOFILE).ok(),
        pid: Some(std::process::id()),
    }
}

/// The file mode creation mask.
pub(super) fn mask() -> u32 {
    let now = umask(Mode::from_bits_truncate(0o077));
    umask(now);
    #[expect(clippy::useless_conversion, reason = "mode_t has 16 bits on macOS")]
    u32::from(now.bits())
}
