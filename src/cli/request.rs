//! What the caller of a command has, put into a request: environment, mask, limits.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, umask};

use super::context::{Context, Place};
use crate::api::{convert, wire};
use crate::docker::Docker;
use crate::project::Project;
use crate::services::spec::RunIn;
use crate::sys::process::MARKER;

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
        // A shell that a service opened carries its marker, which is nobody else's.
        env: std::env::vars_os()
            .filter(|(key, _)| key != MARKER)
            .map(|(key, value)| convert::env_entry(&key, &value))
            .collect(),
        umask: mask(),
        nofile: getrlimit(Resource::RLIMIT_NOFILE).ok(),
        pid: Some(std::process::id()),
        engine_arch: None,
    }
}

/// The engine is asked so long who it is.
const HELLO: Duration = Duration::from_secs(2);

/// The architecture that services in containers are built for: that of the caller's engine. Nothing where there are none, by the files and by what was
/// `said` with `--in`, or where nobody answers.
pub(super) fn engine_arch(context: &Context, place: &Place, project: &Project, said: Option<&str>) -> Option<String> {
    if said != Some(RunIn::Docker.word()) && !project.runs_in_docker() {
        return None;
    }
    let env = super::vendors::environment(place, Some(project)).ok()?;
    let asked = async { Ok(tokio::time::timeout(HELLO, Docker::connect(&env)).await) };
    let docker = context.wait(asked).ok()?.ok()?.ok()?;
    Some(docker.arch().to_owned()).filter(|arch| !arch.is_empty())
}

/// The file mode creation mask.
pub(super) fn mask() -> u32 {
    let now = umask(Mode::from_bits_truncate(0o077));
    umask(now);
    #[expect(clippy::useless_conversion, reason = "mode_t has 16 bits on macOS")]
    u32::from(now.bits())
}
