//! Copies that die: by themselves, and because of an edit.

use super::stage::{Stage, Web};
use super::{record, repeat, spread};
use crate::fault::hands::kill_at_once;
use crate::support::eventually;

const LAST_WORDS: &str = "package main\n\nfunc main() { panic(\"the database is not there\") }\n";

/// Code that dies at once; waits until its newest copy has done so.
#[track_caller]
fn dies(stage: &Stage, web: &Web<'_>, state: &str) {
    web.write("main.go", LAST_WORDS);
    stage.fleet.until(&web.id(), state);
}

#[test]
fn without_an_edit() {
    let stage = Stage::new();
    let api = stage.web("api", "restart: {policy: on-failure, delay: 10ms, limit: 3}");
    let slow = stage.web("slow", "restart: {policy: on-failure, delay: 10m, max_delay: 10m}");
    stage.start(&[]);
    let past = api.past();
    let pid = api.pid();
    kill_at_once(pid);
    // Between two copies there is no pid.
    let another = || stage.fleet.instance("api.1")["pid"].as_i64().filter(|now| *now != i64::from(pid));
    eventually("another copy", || another().and_then(|_| api.answer()));
    assert_eq!(api.builds_since(&past).len(), 0, "a death is no reason to build");
    let times = repeat(1, |_| {
        dies(&stage, &api, "crashloop");
        let words = stage.fleet.lines(&["api"]);
        assert!(words.iter().any(|line| line.contains("panic: the database is not there")), "{words:?}");
        let looping = api.swaps();
        stage.fleet.until("api.1", "ready");
        dies(&stage, &slow, "backoff");
        let waiting = slow.swaps();
        stage.fleet.until("slow.1", "ready");
        [looping.took, waiting.took]
    });
    let count = times.len();
    record(
        27,
        count,
        &format!(
            "last words kept; an edit ends a crash loop and a back-off of 10 min at once: save → serving {}",
            spread(times.into_iter().flatten())
        ),
    );
}

#[test]
fn right_after_a_swap() {
    let stage = Stage::new();
    let api = stage.web("api", "restart: {policy: on-failure, delay: 10ms, limit: 3}");
    stage.start(&[]);
    let times = repeat(1, |_| {
        dies(&stage, &api, "crashloop");
        let why = stage.why("api");
        assert!(why.to_string().contains("new build crashes"), "{why:#}");
        api.swaps();
        let why = stage.why("api");
        assert!(!why["summary"].to_string().contains("crashes"), "{why:#}");
    });
    record(28, times.len(), "told as the new build's, and over with the next good one");
}
