//! Building: go's own words with file, line and column, one build for a shared package, and a failed one never hurts what runs.

use serde_json::json;

use crate::support::Fleet;

const HELLO: &str = r#"package main

import (
	"fmt"
	"time"
)

func main() {
	fmt.Println("hello")
	time.Sleep(time.Hour)
}
"#;

const BROKEN: &str = r#"package main

import "fmt"

func main() {
	fmt.Println("hello"
	undefined()
}
"#;

const WRONG: &str = "package main\n\nfunc main() {\n\tundefined()\n}\n";

#[test]
fn builds_and_starts_a_go_service() {
    let fleet = Fleet::new();
    fleet.go_service("hello", HELLO);
    fleet.orchestra(&["start"]).ok();
    let hello = fleet.service("hello");
    assert_eq!(hello["build"]["state"], "ok");
    assert_eq!(hello["build"]["error"], json!(null));
    assert_eq!(hello["build"]["problems"], json!([]));
    assert_eq!(hello["state"], "ready");
    assert_eq!(fleet.lines(&["hello"]), ["hello"]);
}

#[test]
fn a_failed_build_names_the_place() {
    let fleet = Fleet::new();
    fleet.go_service("bad", WRONG);
    fleet.toy("good", &[], "");
    let start = fleet.orchestra(&["start"]).exits(1);
    assert!(start.stderr.contains("bad/main.go:4:2: undefined: undefined"), "{}", start.stderr);
    let build = fleet.service("bad")["build"].clone();
    assert_eq!(build["state"], "failed");
    assert_eq!(build["error"], "bad/main.go:4:2: undefined: undefined");
    let problem = json!({"file": "bad/main.go", "line": 4, "column": 2, "message": "undefined: undefined"});
    assert_eq!(build["problems"], json!([problem]));
    assert_eq!(fleet.instance("good.1")["state"], "ready");
}

#[test]
fn a_failed_build_leaves_the_old_copy_serving() {
    let fleet = Fleet::new();
    fleet.go_service("hello", HELLO);
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("hello.1");
    fleet.write("hello/main.go", BROKEN);
    for command in ["start", "restart", "build"] {
        fleet.orchestra(&[command]).exits(1);
        assert_eq!(fleet.pid("hello.1"), pid, "{command}");
        let hello = fleet.service("hello");
        assert_eq!(hello["build"]["state"], "failed");
        assert_eq!(hello["state"], "ready");
    }
}

#[test]
fn equal_code_restarts_nothing_and_changed_code_does() {
    let fleet = Fleet::new();
    fleet.go_service("hello", HELLO);
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("hello.1");
    fleet.write("hello/main.go", HELLO.replace("func main", "// main says hello.\nfunc main"));
    fleet.write("hello/README.md", "hello");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.lines(&[]).len(), if fleet.pid("hello.1") == pid { 1 } else { 2 });
    let pid = fleet.pid("hello.1");
    fleet.write("hello/main.go", HELLO.replace("\"hello\"", "\"good bye\""));
    fleet.orchestra(&["start"]).ok();
    assert_ne!(fleet.pid("hello.1"), pid);
    assert_eq!(fleet.lines(&[]).last().unwrap(), "good bye");
}

#[test]
fn build_builds_and_starts_nothing() {
    let fleet = Fleet::new();
    fleet.go_service("hello", HELLO);
    fleet.orchestra(&["build"]).ok();
    assert!(fleet.path(".orchestra/bin").read_dir().unwrap().count() > 0);
    assert_eq!(fleet.pids(), []);
}

#[test]
fn services_may_share_one_package() {
    let fleet = Fleet::new();
    fleet.go_service("one", HELLO);
    fleet.write("two/service.yml", "package: ../one\n");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("one.1")["state"], "ready");
    assert_eq!(fleet.instance("two.1")["state"], "ready");
}

#[test]
fn build_settings_reach_go() {
    let fleet = Fleet::new();
    let tagged = "//go:build special\n\npackage main\n\nfunc init() { greeting = \"special\" }\n";
    fleet.go_service(
        "hello",
        &HELLO
            .replace("\"hello\"", "greeting, version")
            .replace("func main", "var greeting, version = \"plain\", \"none\"\n\nfunc main"),
    );
    fleet.write("hello/special.go", tagged);
    fleet.write(
        "hello/service.yml",
        "build: {tags: [special], ldflags: '-X main.version=v${V}', env: {CGO_ENABLED: '0'}}\nenv: {V: 7}\n",
    );
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.lines(&[]), ["special v7"]);
}

#[test]
fn what_vet_finds_fails_the_build() {
    let fleet = Fleet::new();
    fleet.go_service("api", HELLO);
    fleet.write("api/service.yml", "build: {vet: true}\n");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    // It compiles.
    fleet.go_service("api", &HELLO.replace(r#"Println("hello")"#, r#"Printf("%d\n", "hello")"#));
    fleet.write("api/other_test.go", "package main\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {}\n");
    let restart = fleet.orchestra(&["restart"]).exits(1);
    let api = fleet.service("api");
    let error = api["build"]["error"].as_str().unwrap();
    // Which column it names differs from one Go to the next.
    assert!(error.starts_with("api/main.go:9:"), "{error}");
    assert!(error.ends_with(": fmt.Printf format %d has arg \"hello\" of wrong type string"), "{error}");
    assert!(restart.stderr.contains(error), "{}", restart.stderr);
    assert_eq!(api["build"]["state"], "failed");
    assert_eq!(api["build"]["problems"][0]["line"], 9);
    assert_eq!((fleet.pid("api.1"), &api["state"]), (pid, &json!("ready")));

    fleet.write("api/service.yml", "build: {debug: false}\n");
    fleet.orchestra(&["restart"]).ok();
    assert_eq!(fleet.lines(&["api"]).last().map(String::as_str), Some("%!d(string=hello)"));
    // Nothing has changed about the code; it is wanted again.
    fleet.write("api/service.yml", "build: {vet: true}\n");
    fleet.orchestra(&["build"]).exits(1);
}
