//! Tests of the lists' rows.

use super::*;
use crate::tui::testing::{instance, ps, service};

fn labels(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.label.as_str()).collect()
}

#[test]
fn copies_follow_their_service_and_fold_away() {
    let mut fleet = Fleet::default();
    fleet.update(ps(vec![service("web", &["ready"]), service("api", &["ready", "failed"])]));
    let none = BTreeSet::new();
    let rows = fleet.rows(false, Sort::Name, "", &none);
    assert_eq!(labels(&rows), ["▾api/2", " api-1", " api-2", "web"]);
    assert_eq!((rows[0].tone, rows[1].tone), (Tone::Bad, Tone::Good));
    let folded = BTreeSet::from(["api".to_owned()]);
    assert_eq!(labels(&fleet.rows(false, Sort::Name, "", &folded)), ["▸api/2", "web"]);
    assert_eq!(labels(&fleet.rows(false, Sort::Name, "WE", &none)), ["web"]);
    assert_eq!(labels(&fleet.rows(true, Sort::Name, "", &none)), Vec::<&str>::new());
}

#[test]
fn what_needs_attention_comes_first() {
    let mut fleet = Fleet::default();
    fleet.update(ps(vec![service("a", &["idle"]), service("b", &["ready"]), service("c", &["crashloop"])]));
    let rows = fleet.rows(false, Sort::State, "", &BTreeSet::new());
    assert_eq!(labels(&rows), ["c", "b", "a"]);
    assert_eq!(fleet.counts().map(|(_, n)| n), [1, 0, 1, 1]);
}

#[test]
fn words_say_how_it_ended_and_whether_the_binary_is_old() {
    let mut failed = service("api", &["failed"]);
    failed.instances[0].last_exit =
        Some(Exit { code: Some(2), signal: None, reason: "exit".into(), killed: false, at: String::new() });
    assert_eq!(rows_of(&failed, false)[0].state, "exit 2");
    failed.instances[0].trouble = Some("escaped".into());
    assert_eq!(rows_of(&failed, false)[0].state, "exit 2 (escaped)");
    let mut old = service("api", &["ready"]);
    old.build = Some(crate::api::wire::Build { state: "failed".into(), id: None, error: None, problems: Vec::new() });
    assert_eq!(rows_of(&old, false)[0].state, "old binary");
    assert_eq!(rows_of(&service("api", &["idle"]), false)[0].state, "off");
}

#[test]
fn a_minute_is_kept_and_copies_are_added_up() {
    let mut fleet = Fleet::default();
    for n in 0..SAMPLES + 5 {
        let mut api = service("api", &["ready", "ready"]);
        api.instances[0] = instance("api.1", "ready", n as f64);
        api.instances[1] = instance("api.2", "ready", 1.0);
        fleet.update(ps(vec![api]));
    }
    let rows = fleet.rows(false, Sort::Name, "", &BTreeSet::new());
    let all = fleet.cpu_history(&rows[0]);
    assert_eq!((all.len(), all[0], all[SAMPLES - 1]), (SAMPLES, 6.0, 65.0));
    assert_eq!(fleet.cpu_history(&rows[2])[0], 1.0);
    fleet.update(ps(vec![]));
    assert_eq!(fleet.samples("api.1").len(), 0);
}
