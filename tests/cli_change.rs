//! `restart`, `scale`, `kill` and how services are selected.

use crate::support::{Fleet, eventually};

#[test]
fn restart_replaces_what_is_selected() {
    let fleet = Fleet::new();
    fleet.toy("a", &["-say", "up"], "");
    fleet.toy("b", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (a, b) = (fleet.pid("a.1"), fleet.pid("b.1"));
    fleet.orchestra(&["restart", "a"]).ok();
    assert_ne!(fleet.pid("a.1"), a);
    assert_eq!(fleet.pid("b.1"), b);
    assert_eq!(fleet.instance("a.1")["restarts"], 0, "a wanted restart is none of its own");
    assert_eq!(fleet.lines(&["a"]), ["up", "up"]);
}

#[test]
fn the_new_copy_starts_only_after_the_old_one_is_gone() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("api", &["-term-in", "400ms", "-say", "begin", "-ending", "end\n"], &format!("port: {port}"));
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["restart"]).ok();
    assert_eq!(fleet.lines(&[]), ["begin", "end", "begin"]);
}

#[test]
fn copies_are_restarted_one_after_another() {
    let fleet = Fleet::new();
    let port = fleet.ports(2);
    fleet.toy(
        "api",
        &["-ready-in", "200ms", "-term-in", "100ms", "-say", "begin", "-ending", "end\n"],
        &format!("port: {port}\nready: {{http: /ready}}\nscale: 2"),
    );
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["restart"]).ok();
    let lines = fleet.orchestra(&["logs", "-o", "json", "--grep", "^(begin|end)$"]).ok().json_lines();
    let story: Vec<_> =
        lines.iter().skip(2).map(|l| format!("{} {}", l["instance"], l["line"].as_str().unwrap())).collect();
    let first = &story[0][..1];
    let second = if first == "1" { "2" } else { "1" };
    assert_eq!(
        story,
        [format!("{first} end"), format!("{first} begin"), format!("{second} end"), format!("{second} begin")]
    );
}

#[test]
fn restart_takes_the_new_callers_environment() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-env", "COLOUR"], "");
    let with = |args: &[&str], colour: &str| {
        let mut command = fleet.command(args);
        command.env("COLOUR", colour);
        fleet.run(command).ok()
    };
    with(&["start"], "red");
    with(&["restart"], "blue");
    fleet.orchestra(&["kill", "-s", "KILL", "api"]).ok();
    eventually("its own restart", || (fleet.lines(&[]).len() == 3).then_some(()));
    assert_eq!(fleet.lines(&[]), ["COLOUR=red", "COLOUR=blue", "COLOUR=blue"]);
}

#[test]
fn scale_adds_and_removes_at_once_and_is_kept() {
    let fleet = Fleet::new();
    let port = fleet.ports(3);
    fleet.toy("api", &[], &format!("port: {port}"));
    fleet.orchestra(&["start"]).ok();
    let first = fleet.pid("api.1");
    fleet.orchestra(&["scale", "api=3"]).ok();
    let api = fleet.service("api");
    assert_eq!(api["scale"], 3);
    let ready = api["instances"].as_array().unwrap().iter().filter(|i| i["state"] == "ready").count();
    assert_eq!(ready, 3, "{api}");
    assert_eq!(fleet.pid("api.1"), first);
    assert_eq!(fleet.get(port + 2, "/env?key=ORCHESTRA_INDEX").as_deref(), Some("2"));
    fleet.orchestra(&["scale", "api=1"]).ok();
    assert_eq!(fleet.pids(), [("api.1".to_owned(), i64::from(first))]);
    fleet.orchestra(&["scale", "api=2"]).ok();
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids().len(), 2);
    fleet.orchestra(&["scale", "api=file"]).ok();
    assert_eq!(fleet.pids().len(), 1);
    fleet.orchestra(&["scale", "api=0"]).ok();
    assert_eq!(fleet.pids().len(), 0);
}

#[test]
fn a_port_clash_at_scale_names_both_and_starts_nothing() {
    let fleet = Fleet::new();
    let port = fleet.ports(2);
    fleet.toy("api", &[], &format!("port: {port}"));
    fleet.toy("web", &[], &format!("port: {}", port + 1));
    fleet.orchestra(&["start"]).ok();
    let scale = fleet.orchestra(&["scale", "api=2"]).exits(2);
    for word in ["api", "web", &(port + 1).to_string()] {
        assert!(scale.stderr.contains(word), "{}", scale.stderr);
    }
    assert_eq!(fleet.pids().len(), 2);
}

#[test]
fn kill_reaches_the_group_and_the_dump_stays_in_the_log() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    fleet.orchestra(&["kill", "-s", "QUIT", "api"]).ok();
    eventually("a new copy", || fleet.pids().first().filter(|(_, p)| *p != i64::from(pid)).map(|_| ()));
    assert!(fleet.lines(&[]).iter().any(|l| l.starts_with("goroutine ")));
    fleet.orchestra(&["kill", "-s", "NONSENSE", "api"]).exits(2);
}

fn three() -> Fleet {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "labels: {team: pay}\nscale: 2");
    fleet.toy("auth", &[], "labels: {team: pay}");
    fleet.toy("web", &[], "");
    fleet
}

fn running(fleet: &Fleet) -> Vec<String> {
    fleet.pids().into_iter().map(|(id, _)| id).collect()
}

#[test]
fn selects_by_glob_label_and_all_but() {
    for (select, wanted) in [
        (&["a*"][..], &["api.1", "api.2", "auth.1"][..]),
        (&["team=pay"], &["api.1", "api.2", "auth.1"]),
        (&["~web"], &["api.1", "api.2", "auth.1"]),
        (&["--without", "web", "--without", "auth"], &["api.1", "api.2"]),
        (&["web", "auth"], &["auth.1", "web.1"]),
    ] {
        let fleet = three();
        fleet.orchestra(&[&["start"], select].concat()).ok();
        assert_eq!(running(&fleet), wanted, "{select:?}");
    }
}

#[test]
fn selects_one_instance() {
    let fleet = three();
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    fleet.orchestra(&["restart", "api.2"]).ok();
    let changed: Vec<_> = fleet.pids().into_iter().zip(before).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
    assert_eq!(changed, ["api.2"]);
}

#[test]
fn an_unknown_name_is_an_error_with_the_nearest() {
    let fleet = three();
    for command in ["start", "stop", "restart", "ps", "logs", "build"] {
        let output = fleet.orchestra(&[command, "atuh"]).exits(2);
        assert!(output.stderr.contains("`atuh`") && output.stderr.contains("auth"), "{command}: {}", output.stderr);
    }
    let both = fleet.orchestra(&["start", "api", "~web"]).exits(2);
    assert!(both.stderr.contains("web"), "{}", both.stderr);
    assert_eq!(fleet.processes(), []);
}

#[test]
fn wrong_usage_is_2() {
    let fleet = Fleet::new();
    fleet.orchestra(&["strat"]).exits(2);
    fleet.orchestra(&["start", "--no-such-flag"]).exits(2);
    fleet.orchestra(&["scale", "api"]).exits(2);
    fleet.orchestra(&["start", "--timeout", "soon"]).exits(2);
}
