//! What happens when a service dies, waits, is not ready, or is ready only together with others.

use serde_json::json;

use crate::support::{Fleet, eventually};

#[test]
fn a_service_that_dies_starts_again() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-once", "../once"], "");
    fleet.orchestra(&["start"]).ok();
    let api = fleet.instance("api.1");
    assert_eq!([&api["state"], &api["restarts"]], [&json!("ready"), &json!(1)]);
    assert_eq!(api["last_exit"]["code"], 5);
}

#[test]
fn too_many_deaths_are_a_crash_loop_which_a_restart_ends() {
    let fleet = Fleet::new();
    fleet.write("broken", "");
    fleet.toy("api", &["-fail-file", "../broken"], "restart: {policy: on-failure, delay: 10ms, limit: 3}");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("api"), "{}", start.stderr);
    let api = fleet.until("api.1", "crashloop");
    assert_eq!(api["last_exit"]["code"], 3);
    let why = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json();
    assert_eq!(why["exits"].as_array().unwrap().len(), 3);
    std::fs::remove_file(fleet.path("broken")).unwrap();
    fleet.orchestra(&["restart", "api"]).ok();
    assert_eq!(fleet.instance("api.1")["state"], "ready");
}

#[test]
fn policies() {
    let fleet = Fleet::new();
    fleet.toy("never", &["-exit-in", "50ms", "-code", "1"], "restart: no");
    fleet.toy("well", &["-exit-in", "50ms"], "restart: on-failure");
    fleet.toy("always", &["-exit-in", "50ms", "-touch", "../always-runs"], "restart: {policy: always, delay: 10ms}");
    fleet.orchestra(&["start", "--timeout", "1s"]);
    fleet.until("never.1", "failed");
    fleet.until("well.1", "done");
    let runs = || std::fs::read_to_string(fleet.path("always-runs")).unwrap_or_default().lines().count();
    eventually("three runs", || (runs() >= 3).then_some(()));
}

#[test]
fn a_job_runs_once_per_start_of_a_stopped_fleet() {
    let fleet = Fleet::new();
    fleet.toy("setup", &["-exit-in", "0s", "-touch", "../runs"], "type: job");
    fleet.toy("api", &["-need-file", "../runs"], "depends_on: {setup: {condition: completed}}");
    let runs = || std::fs::read_to_string(fleet.path("runs")).unwrap().lines().count();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(runs(), 1);
    let setup = fleet.service("setup");
    assert_eq!([&setup["kind"], &setup["state"]], ["job", "done"]);
    fleet.orchestra(&["start"]).ok();
    assert_eq!(runs(), 1);
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(runs(), 2);
    assert_eq!(fleet.instance("api.1")["restarts"], 0, "it never began before the job had ended");
}

#[test]
fn a_failed_job_blocks_and_fails_the_start() {
    let fleet = Fleet::new();
    fleet.toy("setup", &["-exit-in", "0s", "-code", "2", "-warn", "no space"], "type: job\nrestart: no");
    fleet.toy("api", &["-touch", "../ran"], "depends_on: [setup]");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("setup"), "{}", start.stderr);
    assert!(!fleet.path("ran").exists());
}

#[test]
fn conditions_are_waited_for() {
    let fleet = Fleet::new();
    let port = fleet.port();
    let slow = format!("port: {port}\nready: {{http: /ready}}");
    fleet.toy("db", &["-ready-file", "../go"], &slow);
    fleet.toy("early", &[], "depends_on: {db: {condition: started}}");
    fleet.toy("late", &[], "depends_on: [db]");
    let start = fleet.background(&["start"]);
    fleet.until("early.1", "ready");
    assert_eq!(fleet.instance("db.1")["state"], "running");
    assert_eq!(fleet.instance("late.1")["state"], "queued");
    fleet.write("go", "");
    start.wait(std::time::Duration::from_secs(60)).ok();
    assert_eq!(fleet.instance("late.1")["state"], "ready");
}

#[test]
fn not_ready_is_not_dead() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("up", "");
    fleet.toy("api", &["-ready-file", "../up"], &format!("port: {port}\nready: {{http: /ready, interval: 50ms}}"));
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    std::fs::remove_file(fleet.path("up")).unwrap();
    let api = fleet.until("api.1", "running");
    assert_eq!(api["health"], "failing");
    fleet.write("up", "");
    fleet.until("api.1", "ready");
    assert_eq!(fleet.pid("api.1"), pid);
}

#[test]
fn a_failing_live_probe_restarts() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("up", "");
    let live = "live: {http: /ready, interval: 50ms, failures: 2}";
    fleet.toy("api", &["-ready-file", "../up"], &format!("port: {port}\n{live}"));
    fleet.orchestra(&["start"]).ok();
    std::fs::remove_file(fleet.path("up")).unwrap();
    eventually("a restart", || (fleet.instance("api.1")["restarts"].as_u64()? > 0).then_some(()));
    assert_eq!(fleet.instance("api.1")["last_exit"]["reason"], "failed-probe");
    fleet.write("up", "");
    fleet.until("api.1", "ready");
}

#[test]
fn every_kind_of_readiness() {
    let fleet = Fleet::new();
    let port = fleet.ports(5);
    let on = |n: u16| format!("127.0.0.1:{}", port + n);
    fleet.toy("http", &["-ready-in", "100ms"], &format!("port: {port}\nready: {{http: /ready}}"));
    fleet.toy("tcp", &["-listen", &on(1), "-listen-in", "100ms"], &format!("ready: {{tcp: {}}}", port + 1));
    fleet.toy("exec", &["-touch", "../exec-ran"], "ready: {exec: [test, -e, ../exec-ran]}");
    fleet.toy("log", &["-lines", "20"], "ready: {log: 'line 00001\\d'}");
    fleet.toy(
        "ports",
        &["-listen", &format!("{},{}", on(2), on(3))],
        &format!("ports: {{http: {}, metrics: {}}}", port + 2, port + 3),
    );
    fleet.toy("undeclared", &["-listen", &on(4)], "");
    fleet.toy("silent", &["-listen", "none"], "");
    fleet.orchestra(&["start"]).ok();
    for name in ["http", "tcp", "exec", "log", "ports", "undeclared", "silent"] {
        assert_eq!(fleet.service(name)["state"], "ready", "{name}");
    }
    assert_eq!(fleet.instance("undeclared.1")["listening"], json!([format!("{}/tcp", on(4))]));
}

#[test]
fn ready_by_notification() {
    let fleet = Fleet::new();
    let source = r#"package main

import (
	"net"
	"os"
	"time"
)

func main() {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	time.Sleep(100 * time.Millisecond)
	conn.Write([]byte("READY=1\n"))
	time.Sleep(time.Hour)
}
"#;
    fleet.go_service("told", source);
    fleet.write("told/service.yml", "ready: {notify: true}\n");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("told.1")["state"], "ready");
}

#[test]
fn a_strangers_listener_does_not_count() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("late", &["-listen-in", "1h"], &format!("port: {port}"));
    let start = fleet.background(&["start", "--timeout", "3s"]);
    fleet.until("late.1", "running");
    let _stranger = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    start.wait(std::time::Duration::from_secs(30)).exits(1);
    assert_eq!(fleet.instance("late.1")["state"], "running");
}

#[test]
fn a_quorum_that_is_ready_only_together_starts() {
    let fleet = Fleet::copy_of("examples/quorum");
    let port = fleet.ports(3);
    let yaml = std::fs::read_to_string(fleet.path("node/service.yml")).unwrap();
    fleet.write("node/service.yml", yaml.replace("7420", &port.to_string()));
    fleet.orchestra(&["start"]).ok();
    let node = fleet.service("node");
    assert_eq!([&node["state"], &node["scale"]], [&json!("ready"), &json!(3)]);
    let leader = fleet.get(port + 2, "/leader").unwrap();
    assert_eq!(leader.trim(), format!("127.0.0.1:{port}"));
    let pid = fleet.pid("node.1");
    fleet.orchestra(&["kill", "-s", "KILL", "node.1"]).ok();
    eventually("a new first node", || {
        fleet.pids().iter().any(|(id, p)| id == "node.1" && *p != i64::from(pid)).then_some(())
    });
    fleet.until("node.1", "ready");
}
