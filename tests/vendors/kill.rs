//! The engine dies: what was committed is there afterwards. Each test kills an engine of its own.

use crate::support::docker::{Engine, Private};
use crate::support::{Vendors, eventually, report};

use super::POSTGRES;

const ROWS: u32 = 100_000;

/// A private engine with PostgreSQL; a machine that allows none skips the test aloud, unless it must not.
fn private() -> Option<Private> {
    let shared = Engine::shared()?;
    match Private::start(&shared, &["postgres:15"]) {
        Ok(private) => Some(private),
        Err(why) => {
            crate::support::docker::skip_extra(&format!("tests that kill an engine: {why}"));
            None
        }
    }
}

#[test]
fn every_committed_row_is_there_after_the_engine_was_killed() {
    let Some(mut private) = private() else { return };
    let fleet = Vendors::on(private.engine.clone(), "killed", &format!("vendors:\n{POSTGRES}"));
    fleet.orchestra(&["start"]).ok();
    fleet.sql("create table kept (n int primary key)");
    fleet.sql(&format!("insert into kept select generate_series(1, {ROWS})"));
    let before = fleet.container("postgres.1");
    private.kill();
    let why = eventually("a word on the engine", || {
        let why = fleet.orchestra(&["why", "postgres"]).ok().stdout;
        why.to_lowercase().contains("engine").then_some(why)
    });
    assert!(!why.is_empty());
    private.start_again();
    fleet.until("postgres.1", "ready");
    let sum = eventually("the database to answer", || fleet.try_sql("select count(*), sum(n) from kept").ok());
    assert_eq!(sum, format!("{ROWS}|{}", u64::from(ROWS) * u64::from(ROWS + 1) / 2));
    assert_eq!(fleet.container("postgres.1"), before, "the same container, and no second one");
    report::record(
        "vendors",
        39,
        format!("engine killed with SIGKILL after {ROWS} rows: all there, the same container, ready again"),
    );
}
