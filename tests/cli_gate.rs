//! Tests that decide whether a new binary is run, builds that an edit ends, and what `why` says of both.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::toy::go_env;
use crate::support::{Fleet, eventually};

/// Answers what `answer` says.
const SERVE: &str = r#"package main

import (
	"fmt"
	"net/http"
	"os"
)

func answer() string { return "v1" }

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer()) })
	http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
}
"#;

/// The first `go test` compiles package `testing`, which on a busy machine takes longer than a command may.
fn warm() {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module ex.com/warm\n\ngo 1.22\n").unwrap();
        fs::write(dir.path().join("main.go"), SERVE).unwrap();
        fs::write(dir.path().join("main_test.go"), wants("v1")).unwrap();
        let done = Command::new("go").arg("test").current_dir(dir.path()).envs(go_env()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    });
}

/// A test that passes where the answer is this one.
fn wants(answer: &str) -> String {
    let body = format!("\tif answer() != \"{answer}\" {{\n\t\tt.Fatal(\"got \" + answer())\n\t}}");
    format!("package main\n\nimport \"testing\"\n\nfunc TestAnswer(t *testing.T) {{\n{body}\n}}\n")
}

/// A service whose tests must pass.
fn gated(more: &str) -> (Fleet, u16) {
    warm();
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.write("api/service.yml", format!("port: {port}\ntest: {{before_start: true}}\n{more}"));
    fleet.go_service("api", SERVE);
    (fleet, port)
}

fn save(fleet: &Fleet, answer: &str) {
    fleet.write("api/main.go", SERVE.replace("v1", answer));
}

fn why(fleet: &Fleet) -> Value {
    fleet.orchestra(&["why", "api", "-o", "json"]).ok().json()
}

fn until_tests_are(fleet: &Fleet, state: &str) {
    eventually(&format!("tests to be {state}"), || (why(fleet)["tests"]["state"] == state).then_some(()));
}

#[test]
fn nothing_starts_before_its_tests_passed() {
    let (fleet, port) = gated("");
    fleet.write("api/main_test.go", wants("v2"));
    let failed = fleet.orchestra(&["start"]).exits(1);
    assert!(failed.stderr.contains("its tests failed: api/main_test.go:7: TestAnswer: got v1"), "{}", failed.stderr);
    assert_eq!(fleet.service("api")["state"], "failed");
    assert_eq!(
        (&fleet.service("api")["build"]["state"], &fleet.service("api")["test"]["failed"]),
        (&json!("ok"), &json!(1))
    );
    let log = fleet.orchestra(&["logs", "api", "-o", "json"]).ok().stdout;
    let said = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let tests: Vec<Value> = said.filter(|line| line["stream"] == "test").collect();
    assert!(tests.iter().any(|line| line["line"] == "    main_test.go:7: got v1"), "{tests:?}");
    fleet.write("api/main_test.go", wants("v1"));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.get(port, "/").as_deref(), Some("v1"));
    assert_eq!(why(&fleet)["tests"], json!({"state": "passed", "passed": 1, "failed": 0, "error": null}));
}

#[test]
fn old_code_serves_until_new_code_passes_its_tests() {
    let (fleet, port) = gated("");
    fleet.write("api/main_test.go", wants("v1"));
    fleet.orchestra(&["start", "--rerun"]).ok();
    let old = fleet.pid("api.1");
    save(&fleet, "v2");
    until_tests_are(&fleet, "failed");
    assert_eq!((fleet.pid("api.1"), fleet.get(port, "/").as_deref()), (old, Some("v1")));
    let reason = why(&fleet)["summary"].as_str().unwrap().to_owned();
    assert!(reason.contains("its tests failed: api/main_test.go:7: TestAnswer: got v2"), "{reason}");
    // The test was wrong: an edit of it alone opens the gate.
    fleet.write("api/main_test.go", wants("v2"));
    eventually("the new code", || (fleet.get(port, "/").as_deref() == Some("v2")).then_some(()));
    let new = fleet.pid("api.1");
    assert_ne!(new, old);
    // An edit of a test restarts nothing.
    fleet.write("api/main_test.go", wants("v2") + "\n// still\n");
    until_tests_are(&fleet, "passed");
    fleet.write("api/main_test.go", wants("v1"));
    until_tests_are(&fleet, "failed");
    assert_eq!((fleet.pid("api.1"), fleet.instance("api.1")["state"].as_str()), (new, Some("ready")));
}

#[test]
fn code_that_fails_its_tests_is_ended_where_that_is_wanted() {
    let (fleet, port) = gated("watch: {on_test_failure: stop}\n");
    fleet.write("api/main_test.go", wants("v1"));
    fleet.orchestra(&["start", "--rerun"]).ok();
    save(&fleet, "v2");
    eventually("it to be ended", || (fleet.instance("api.1")["state"] == "failed").then_some(()));
    assert_eq!(fleet.get(port, "/"), None);
    save(&fleet, "v1");
    eventually("it to be back", || (fleet.get(port, "/").as_deref() == Some("v1")).then_some(()));
}

#[test]
fn an_edit_ends_a_build_with_all_it_started() {
    warm();
    let fleet = Fleet::new();
    let port = fleet.port();
    let go = "build: {before: [[sh, -c, \"echo begun >> begun; [ ! -e slow ] || { sleep 1000 & echo $! > child; wait; }\"]]}\n";
    fleet.write("api/service.yml", format!("port: {port}\n{go}"));
    fleet.go_service("api", SERVE);
    fleet.orchestra(&["start", "--rerun"]).ok();
    fleet.write("api/slow", "");
    save(&fleet, "v2");
    let child = eventually("the build to begin", || {
        fs::read_to_string(fleet.path("api/child")).ok()?.trim().parse::<i32>().ok()
    });
    fs::remove_file(fleet.path("api/slow")).unwrap();
    save(&fleet, "v3");
    eventually("the newest code", || (fleet.get(port, "/").as_deref() == Some("v3")).then_some(()));
    eventually("what the first build began to be gone", || {
        matches!(crate::fault::proc::state(child), None | Some('Z')).then_some(())
    });
    let why = eventually("it to be ready", || {
        let why = why(&fleet);
        let phases = why["rerun"]["phases"].as_array()?.clone();
        (phases.last()?["phase"] == "ready").then_some(why)
    });
    let rerun = &why["rerun"];
    assert_eq!(
        (&rerun["files"], &rerun["aborted"], &rerun["build"]),
        (&json!(["api/main.go"]), &json!(1), &json!("changed"))
    );
    let phases: Vec<&str> = rerun["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["waited", "built", "told", "stopped", "started", "ready"]);
    assert_eq!(why["watched"], true);
    let said =
        why["events"].as_array().unwrap().iter().filter(|event| event["message"].as_str().unwrap().contains("failed"));
    assert_eq!(said.count(), 0, "{why:#}");
    let text = fleet.orchestra(&["why", "api"]).ok().stdout;
    assert!(
        text.contains("api/main.go, seen ") && text.contains("a build was ended because a newer edit came"),
        "{text}"
    );
}
