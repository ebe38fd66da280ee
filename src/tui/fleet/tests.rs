//! Tests of the lists' rows.

use super::*;
use crate::api::wire::Exit;
use crate::tui::testing::{instance, ps, service};

fn labels(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.label.as_str()).collect()
}

#[test]
fn copies_follow_their_service_and_fold_away() {
    let mut fleet = Fleet::default();
    fleet.update(ps(vec![service("web", &["ready"]), service("api", &["ready", "failed"])]), 0);
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
    fleet.update(ps(vec![service("a", &["idle"]), service("b", &["ready"]), service("c", &["crashloop"])]), 0);
    let rows = fleet.rows(false, Sort::State, "", &BTreeSet::new());
    assert_eq!(labels(&rows), ["c", "b", "a"]);
    assert_eq!(fleet.counts().map(|(_, n)| n), [1, 0, 1, 1]);
}

#[test]
fn words_say_how_it_ended_and_whether_the_binary_is_old() {
    let mut failed = service("api", &["failed"]);
    failed.instances[0].last_exit = Some(Exit {
        code: Some(2),
        signal: None,
        reason: "exit".into(),
        killed: false,
        ran_ms: None,
        at: String::new(),
    });
    assert_eq!(rows_of(&failed, false)[0].state, "exit 2");
    failed.instances[0].trouble = Some("escaped".into());
    assert_eq!(rows_of(&failed, false)[0].state, "escaped");
    let mut old = service("api", &["ready"]);
    old.build = Some(crate::api::wire::Build { state: "failed".into(), id: None, error: None, problems: Vec::new() });
    assert_eq!(rows_of(&old, false)[0].state, "old bin");
    assert_eq!(rows_of(&service("api", &["idle"]), false)[0].state, "off");
}

#[test]
fn a_minute_is_shown_and_copies_are_added_up() {
    let mut fleet = Fleet::default();
    for n in 0..65 {
        let mut api = service("api", &["ready", "ready"]);
        api.instances[0] = instance("api.1", "ready", n as f64);
        api.instances[1] = instance("api.2", "ready", 1.0);
        // Twice a second: the second answer counts.
        fleet.update(ps(vec![service("api", &["ready", "ready"])]), n * 1_000_000);
        fleet.update(ps(vec![api]), n * 1_000_000 + 500_000);
    }
    let rows = fleet.rows(false, Sort::Name, "", &BTreeSet::new());
    let all = fleet.cpu_bars(&rows[0], LATELY);
    assert_eq!((all.len(), all[0], all[LATELY - 1]), (LATELY, Some(6.0), Some(65.0)));
    assert_eq!(fleet.cpu_bars(&rows[2], 8).last(), Some(&Some(1.0)));
    assert_eq!(fleet.cpu_bars(&rows[1], 6), [19.0, 29.0, 39.0, 49.0, 59.0, 64.0].map(Some));
    fleet.update(ps(vec![]), 66_000_000);
    assert!(fleet.samples.is_empty());
}

#[test]
fn every_column_sorts() {
    let mut fleet = Fleet::default();
    let mut a = service("a", &["ready"]);
    (a.instances[0].restarts, a.instances[0].health) = (3, "failing".into());
    let mut b = service("b", &["ready"]);
    b.instances[0] = Instance { memory_bytes: Some(1 << 30), ..instance("b.1", "ready", 90.0) };
    let mut c = service("c", &["failed"]);
    c.instances[0].ports = [("http".to_owned(), 80)].into();
    let mut d = service("d", &["ready"]);
    d.instances[0].started_at = Some("2026-01-02T04:00:00Z".into());
    fleet.update(ps(vec![a, b, c, d]), 0);
    let mut sort = Sort::Name;
    let mut order = Vec::new();
    loop {
        let rows = fleet.rows(false, sort, "", &BTreeSet::new());
        order.push(format!("{} {}", sort.word(), labels(&rows).concat()));
        sort = sort.next();
        if sort == Sort::Name {
            break;
        }
    }
    assert_eq!(
        order,
        ["name abcd", "state cabd", "age dabc", "restarts abcd", "cpu badc", "memory badc", "port cabd", "health abdc"]
    );
}
