//! `ps` and `why`: every field of the contract, with and without a supervisor, from any folder of the project.

use serde_json::{Value, json};

use crate::support::Fleet;
use crate::support::output::stable;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn json_is_as_the_contract_says() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("orchestra.yml", "name: shop\n");
    fleet.toy("api", &[], &format!("port: {port}"));
    fleet.toy("setup", &["-exit-in", "0s"], "type: job");
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["kill", "-s", "KILL", "api"]).ok();
    crate::support::eventually("a restart", || (fleet.instance("api.1")["restarts"] == 1).then_some(()));
    fleet.until("api.1", "ready");

    let ps = fleet.ps();
    assert_eq!(keys(&ps), ["project", "root", "supervisor", "services"]);
    assert_eq!(ps["project"], "shop");
    assert_eq!(ps["root"], fleet.root().to_str().unwrap());
    assert_eq!(keys(&ps["supervisor"])[..3], ["running", "pid", "uptime_ms"]);
    assert_eq!(ps["supervisor"]["running"], true);
    assert!(ps["supervisor"]["pid"].is_u64() && ps["supervisor"]["uptime_ms"].is_u64());

    let api = fleet.service("api");
    assert_eq!(keys(&api), ["name", "kind", "desired", "scale", "state", "build", "test", "instances"]);
    let head = [&api["kind"], &api["desired"], &api["scale"], &api["state"], &api["build"], &api["test"]];
    assert_eq!(head, [&json!("service"), &json!("up"), &json!(1), &json!("ready"), &json!(null), &json!(null)]);

    let one = &api["instances"][0];
    let names = "id state trouble pid worker node ports listening restarts started_at last_exit health cpu_percent memory_bytes";
    assert_eq!(keys(one).join(" "), names);
    assert_eq!(one["worker"], "process");
    assert_eq!(one["node"], "local");
    assert_eq!(one["ports"], json!({"http": port}));
    assert_eq!(one["listening"], json!([format!("127.0.0.1:{port}/tcp")]));
    assert_eq!(one["trouble"], json!(null));
    assert_eq!(one["health"], "ok");
    assert!(one["memory_bytes"].as_u64().unwrap() > 100_000, "{one}");
    assert!(one["cpu_percent"].is_number(), "{one}");
    assert_eq!(stable(one["started_at"].as_str().unwrap(), &[]), "[time]");
    assert_eq!(one["started_at"].as_str().unwrap().len(), "2026-01-02T03:04:05.678Z".len());
    assert_eq!(keys(&one["last_exit"]), ["code", "signal", "reason", "at"]);
    assert_eq!([&one["last_exit"]["code"], &one["last_exit"]["signal"]], [&json!(null), &json!(9)]);
    assert_eq!(one["last_exit"]["reason"], "signal");

    let setup = fleet.service("setup");
    assert_eq!([&setup["kind"], &setup["state"]], ["job", "done"]);
    assert_eq!(setup["instances"][0]["pid"], json!(null));
}

#[test]
fn answers_from_disk_and_starts_nothing() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    let ps = fleet.ps();
    assert_eq!(ps["supervisor"]["running"], false);
    assert_eq!(ps["supervisor"]["pid"], json!(null));
    assert_eq!(ps["services"][0]["state"], "idle");
    assert_eq!(ps["services"][0]["desired"], "down");
    fleet.orchestra(&["why", "api"]).ok();
    fleet.orchestra(&["logs"]).ok();
    assert_eq!(fleet.processes(), []);
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    let after = fleet.service("api");
    assert_eq!(after["state"], "idle");
    assert_eq!(after["instances"][0]["last_exit"]["reason"], "stopped");
}

#[test]
fn works_from_any_folder_of_the_project() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.write("api/deep/down/file", "");
    let root = fleet.root().to_str().unwrap();
    let mut inside = fleet.command(&["ps", "-o", "json"]);
    inside.current_dir(fleet.path("api/deep/down")).env("PWD", fleet.path("api/deep/down"));
    assert_eq!(fleet.run(inside).ok().json()["root"], root);
    let mut outside = fleet.command(&["-C", root, "ps", "-o", "json"]);
    outside.current_dir("/").env("PWD", "/");
    assert_eq!(fleet.run(outside).ok().json()["root"], root);
    let mut nowhere = fleet.command(&["ps"]);
    nowhere.current_dir("/").env("PWD", "/");
    let output = fleet.run(nowhere).exits(2);
    assert!(output.stderr.contains("orchestra.yml") && output.stderr.contains("hint:"), "{}", output.stderr);
}

#[test]
fn without_a_terminal_the_bare_program_is_ps() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    assert_eq!(fleet.orchestra(&[]).ok().stdout, fleet.orchestra(&["ps"]).ok().stdout);
}

#[test]
fn why_masks_what_looks_secret() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "env: {DB_PASSWORD: hunter2, COLOUR: blue}");
    fleet.orchestra(&["start"]).ok();
    let why = fleet.orchestra(&["why", "api", "-o", "json"]).ok();
    assert!(!why.stdout.contains("hunter2"), "{}", why.stdout);
    assert_eq!(why.json()["env"]["COLOUR"], "blue");
    assert!(!fleet.orchestra(&["why", "api"]).ok().stdout.contains("hunter2"));
}

#[test]
fn why_says_what_it_waits_for() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.toy("db", &["-ready-file", "go"], &format!("port: {port}\nready: {{http: /ready}}"));
    fleet.toy("api", &[], "depends_on: [db]");
    let start = fleet.background(&["start"]);
    fleet.until("db.1", "running");
    let why = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json();
    assert_eq!(why["needs"], json!([{"service": "db", "condition": "ready", "state": "running", "met": false}]));
    fleet.write("db/go", "");
    start.wait(std::time::Duration::from_secs(60)).ok();
    let why = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json();
    assert_eq!(why["needs"][0]["met"], true);
}

#[test]
fn no_colour_without_a_terminal() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "hello"], "");
    let start = fleet.orchestra(&["start"]).ok();
    for output in [start, fleet.orchestra(&["ps"]).ok(), fleet.orchestra(&["logs"]).ok()] {
        assert!(!output.stdout.contains('\x1b') && !output.stderr.contains('\x1b'), "{output:?}");
    }
}
