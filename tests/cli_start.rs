//! `start`: converges, waits, says why it could not, and leaves nothing of its caller behind.

use std::time::Duration;

use crate::support::{Fleet, eventually};

#[test]
fn waits_until_everything_is_ready_and_leaves_it_running() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("api", &["-ready-in", "300ms"], &format!("port: {port}\nready: {{http: /ready}}"));
    fleet.toy("worker", &[], "");
    let start = fleet.orchestra(&["start"]).ok();
    assert!(start.took >= Duration::from_millis(300), "{:?}", start.took);
    assert_eq!(fleet.instance("api.1")["state"], "ready");
    assert_eq!(fleet.instance("worker.1")["state"], "ready");
    assert_eq!(fleet.get(port, "/").unwrap(), fleet.pid("api.1").to_string());
}

#[test]
fn a_second_start_keeps_every_pid() {
    let fleet = Fleet::new();
    fleet.toy("a", &[], &format!("port: {}", fleet.port()));
    fleet.toy("b", &[], "");
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    assert_eq!(before.len(), 2);
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids(), before);
}

#[test]
fn changed_settings_replace_that_copy_only() {
    let fleet = Fleet::new();
    fleet.toy("a", &["-say", "one"], "");
    fleet.toy("b", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (a, b) = (fleet.pid("a.1"), fleet.pid("b.1"));
    fleet.toy("a", &["-say", "two"], "");
    fleet.orchestra(&["start"]).ok();
    assert_ne!(fleet.pid("a.1"), a);
    assert_eq!(fleet.pid("b.1"), b);
    assert_eq!(fleet.lines(&["a"]), ["one", "two"]);
}

#[test]
fn starts_by_name_with_what_it_depends_on() {
    let fleet = Fleet::new();
    fleet.toy("db", &[], "");
    fleet.toy("api", &[], "depends_on: [db]");
    fleet.toy("other", &[], "");
    fleet.orchestra(&["start", "api"]).ok();
    assert_eq!(fleet.instance("db.1")["state"], "ready");
    assert_eq!(fleet.instance("api.1")["state"], "ready");
    assert_eq!(fleet.service("other")["state"], "idle");
    assert_eq!(fleet.service("other")["desired"], "down");
}

#[test]
fn no_deps_starts_exactly_what_is_named() {
    let fleet = Fleet::new();
    fleet.toy("db", &[], "");
    fleet.toy("api", &[], "depends_on: [db]");
    fleet.orchestra(&["start", "--no-deps", "api"]).ok();
    assert_eq!(fleet.instance("api.1")["state"], "ready");
    assert_eq!(fleet.service("db")["state"], "idle");
}

#[test]
fn a_disabled_service_starts_only_when_named() {
    let fleet = Fleet::new();
    fleet.toy("a", &[], "");
    fleet.toy("b", &[], "enabled: false");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.service("b")["state"], "idle");
    fleet.orchestra(&["start", "b"]).ok();
    assert_eq!(fleet.service("b")["state"], "ready");
}

#[test]
fn scale_and_environment_of_the_command_line_hold_until_stop() {
    let fleet = Fleet::new();
    let port = fleet.ports(2);
    fleet.toy("api", &["-env", "GREETING"], &format!("port: {port}\nenv: {{GREETING: file}}"));
    fleet.orchestra(&["start", "--scale", "api=2", "-e", "GREETING=line"]).ok();
    assert_eq!(fleet.instance("api.1")["ports"]["http"], port);
    assert_eq!(fleet.instance("api.2")["ports"]["http"], port + 1);
    assert_eq!(fleet.lines(&["api"]), ["GREETING=line", "GREETING=line"]);
    fleet.orchestra(&["restart", "api"]).ok();
    assert_eq!(fleet.lines(&["api"]).iter().filter(|l| *l == "GREETING=line").count(), 4);
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.lines(&["api"]).last().unwrap(), "GREETING=file");
}

#[test]
fn a_failed_service_fails_the_start_and_says_why() {
    let fleet = Fleet::new();
    fleet.toy("good", &[], "");
    fleet.toy("bad", &["-exit-in", "0s", "-code", "7"], "restart: no");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("bad") && start.stderr.contains('7'), "{}", start.stderr);
    assert_eq!(fleet.instance("good.1")["state"], "ready");
    let bad = fleet.instance("bad.1");
    assert_eq!(bad["state"], "failed");
    assert_eq!(bad["last_exit"]["code"], 7);
    assert_eq!(bad["last_exit"]["reason"], "exit");
}

#[test]
fn who_waits_for_a_failed_one_is_blocked_and_told_so() {
    let fleet = Fleet::new();
    fleet.toy("db", &["-exit-in", "0s", "-code", "1"], "restart: no");
    fleet.toy("api", &[], "depends_on: [db]");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("api") && start.stderr.contains("db"), "{}", start.stderr);
    assert_eq!(fleet.instance("api.1")["state"], "queued");
}

#[test]
fn a_missing_program_is_named() {
    let fleet = Fleet::new();
    fleet.write("api/service.yml", "command: [/no/such/program]\n");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("/no/such/program"), "{}", start.stderr);
    assert_eq!(fleet.instance("api.1")["last_exit"]["reason"], "start-failed");
}

#[test]
fn a_held_port_is_named_with_its_holder() {
    let fleet = Fleet::new();
    let port = fleet.port();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    fleet.toy("api", &[], &format!("port: {port}"));
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains(&port.to_string()), "{}", start.stderr);
    let api = fleet.instance("api.1");
    assert_eq!(api["state"], "failed");
    assert_eq!(api["last_exit"]["reason"], "port");
    let why = fleet.orchestra(&["why", "api"]).ok();
    assert!(why.stdout.contains(&std::process::id().to_string()), "{}", why.stdout);
}

#[test]
fn the_timeout_ends_the_wait_not_the_fleet() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("slow", &["-ready-file", "never"], &format!("port: {port}\nready: {{http: /ready}}"));
    fleet.orchestra(&["start", "--timeout", "500ms"]).exits(1);
    assert_eq!(fleet.instance("slow.1")["state"], "running");
}

#[test]
fn ctrl_c_ends_the_wait_not_the_fleet() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("slow", &["-ready-file", "never"], &format!("port: {port}\nready: {{http: /ready}}"));
    let start = fleet.background(&["start"]);
    fleet.until("slow.1", "running");
    start.signal(nix::sys::signal::Signal::SIGINT);
    start.wait(Duration::from_secs(20)).exits(130);
    assert_eq!(fleet.instance("slow.1")["state"], "running");
}

#[test]
fn attached_ctrl_c_stops_what_it_started() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "hello"], "");
    let start = fleet.background(&["start", "--attach"]);
    fleet.until("api.1", "ready");
    start.signal(nix::sys::signal::Signal::SIGINT);
    start.wait(Duration::from_secs(30));
    eventually("the fleet to be gone", || fleet.processes().is_empty().then_some(()));
}

#[test]
fn a_pipe_from_start_ends_with_it() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "50ms"], "");
    // `wait` returns only when nobody holds stdout or stderr any more.
    let start = fleet.background(&["start"]).wait(Duration::from_secs(60)).ok();
    assert!(start.took < Duration::from_secs(30));
    assert_eq!(fleet.instance("api.1")["state"], "ready");
}

#[test]
fn twenty_starts_at_once_make_one_fleet() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-touch", "../starts"], &format!("port: {}", fleet.port()));
    fleet.toy("worker", &["-touch", "../starts"], "");
    let starts: Vec<_> = (0..20).map(|_| fleet.background(&["start"])).collect();
    for start in starts {
        start.wait(Duration::from_secs(120)).ok();
    }
    let started = std::fs::read_to_string(fleet.path("starts")).unwrap();
    assert_eq!(started.lines().count(), 2, "{started}");
    assert_eq!(fleet.pids().len(), 2);
}

#[test]
fn a_wrong_file_starts_nothing() {
    let fleet = Fleet::new();
    fleet.toy("good", &["-touch", "../touched"], "");
    fleet.toy("bad", &[], "depend_on: [good]");
    let start = fleet.orchestra(&["start"]).exits(2);
    assert!(start.stderr.contains("bad/service.yml:2:1: "), "{}", start.stderr);
    assert!(start.stderr.contains("did you mean depends_on?"), "{}", start.stderr);
    assert!(!fleet.path("touched").exists());
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_running_fleet_outlives_a_wrong_file() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "hello"], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    fleet.write("orchestra.yml", "nonsense: [\n");
    fleet.orchestra(&["start"]).exits(2);
    assert_eq!(fleet.pid("api.1"), pid);
    assert_eq!(fleet.lines(&[]), ["hello"]);
    fleet.orchestra(&["why", "api"]).ok();
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn hooks_run_around_it_and_a_failing_one_stops_it() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.write(
        "orchestra.yml",
        "before: ['echo to begin']\nafter: ['echo at last']\nstart: {before: ['echo start only']}\n",
    );
    let start = fleet.orchestra(&["start"]).ok();
    let hooks: Vec<&str> = start.stderr.lines().filter(|l| ["to begin", "start only", "at last"].contains(l)).collect();
    assert_eq!(hooks, ["to begin", "start only", "at last"]);
    assert!(!start.stdout.contains("to begin"));
    let ps = fleet.orchestra(&["ps"]).ok();
    assert!(!ps.stderr.contains("to begin"), "a command that changes nothing ran a hook");

    fleet.write("orchestra.yml", "before: ['false']\nafter: ['echo at last']\n");
    fleet.toy("late", &["-touch", "../ran"], "");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("`false`") && start.stderr.contains("at last"), "{}", start.stderr);
    assert!(!fleet.path("ran").exists());
    fleet.write("orchestra.yml", "");
}

#[test]
fn a_services_own_hooks_run_before_and_after_it() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "serving"], "before: ['touch ../before']\nafter: ['touch ../after']");
    fleet.orchestra(&["start"]).ok();
    assert!(fleet.path("before").exists() && !fleet.path("after").exists());
    fleet.orchestra(&["stop"]).ok();
    assert!(fleet.path("after").exists());
    fleet.toy("api", &["-touch", "../ran"], "before: ['false']\nrestart: no");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("false"), "{}", start.stderr);
    assert!(!fleet.path("ran").exists());
}

#[test]
fn a_fleet_in_a_folder_with_spaces_and_accents() {
    let fleet = Fleet::named("mon équipe – 1");
    fleet.toy("api", &["-say", "héllo"], "");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.lines(&[]), ["héllo"]);
}
