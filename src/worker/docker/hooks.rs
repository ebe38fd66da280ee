//! Hooks of a run in a container: they run on this machine, and their words go into its log.

use super::{AFTER, Ground};
use crate::task::container::ContainerSpec;
use crate::task::id::RunId;
use crate::task::spec::RunSpec;
use crate::worker::StartFailure;
use crate::worker::process::hooks::Hooks;

/// Hooks of a run in a container, which run on this machine. Where they do so and where their words go.
pub(super) struct OwnHooks<'a> {
    hooks: Hooks<'a>,
}

/// The hooks of this run.
pub(super) fn hooks<'a>(
    ground: &'a Ground,
    run: RunId,
    spec: &'a RunSpec,
    container: &'a ContainerSpec,
) -> OwnHooks<'a> {
    let logs = ground.home.instance_logs(&spec.instance);
    let logs = logs.strip_prefix(&ground.home.dot).unwrap_or(&logs).to_owned();
    OwnHooks {
        hooks: Hooks {
            dir: &spec.dir,
            env: &container.hook_env,
            nofile: spec.caller.nofile,
            dot: &ground.home.dot,
            logs,
            keep: spec.log_keep,
            run: run.0,
        },
    }
}

impl OwnHooks<'_> {
    pub(super) async fn before(&self, commands: &[Vec<String>]) -> Result<(), StartFailure> {
        self.hooks.run(commands, None).await.map_err(|failure| StartFailure {
            message: format!("before: {}", failure.message),
            port: false,
            transient: failure.transient,
            absent: false,
        })
    }

    /// One that fails changes nothing about a run that has ended; its words are in the log.
    pub(super) async fn after(&self, commands: &[Vec<String>]) {
        drop(self.hooks.run(commands, Some(AFTER)).await);
    }
}
