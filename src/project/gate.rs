//! Which tests a new binary of a service must pass.

use std::path::PathBuf;

use super::check;
use crate::services::spec::{Acceptance, OnTestFailure, ServiceConfig};
use crate::task::spec::TestGate;

/// The tests of a service's own folder and of what it is made of, as far as they need no fleet.
pub(super) fn of(config: &ServiceConfig) -> TestGate {
    TestGate {
        dir: check::plain(&config.folder),
        flags: config.test.flags.clone(),
        acceptance: config.test.acceptance.as_ref().map(|acceptance| acceptance_folder(config, acceptance)),
        stop: config.watch.on_test_failure == OnTestFailure::Stop,
    }
}

/// Where the tests are that need one.
pub(super) fn acceptance_folder(config: &ServiceConfig, acceptance: &Acceptance) -> PathBuf {
    check::plain(&config.folder.join(&acceptance.package.value))
}
