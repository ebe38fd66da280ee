//! Between a good build and the swap: tests and `go vet`.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use super::stage::{SERVE, Stage, Web, source};
use super::{record, repeat};
use crate::support::eventually;
use crate::support::toy::go_env;

const TEST: &str = "package main\n\nimport \"testing\"\n\nfunc TestVersion(t *testing.T) {\n\tif version[len(version)-1] == '!' {\n\t\tt.Fatal(\"no such version\")\n\t}\n}\n";

/// The first `go test` and `go vet` compile and look at package `testing` and all below, which takes longer than any scenario.
fn warm() {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module example.com/warm\n\ngo 1.22\n").unwrap();
        fs::write(dir.path().join("serve.go"), SERVE).unwrap();
        fs::write(dir.path().join("main.go"), source("v1")).unwrap();
        fs::write(dir.path().join("main_test.go"), TEST).unwrap();
        for verb in ["test", "vet"] {
            let done = Command::new("go").args([verb, "."]).current_dir(dir.path()).envs(go_env()).output().unwrap();
            assert!(
                done.status.success(),
                "{}{}",
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            );
        }
    });
}

/// A service with a test that fails for versions that end with `!`.
fn tested<'a>(stage: &'a Stage, name: &str, yaml: &str) -> Web<'a> {
    warm();
    let web = stage.web(name, yaml);
    web.write("main_test.go", TEST);
    web
}

#[test]
fn a_failed_test_keeps_the_old_copy() {
    let stage = Stage::new();
    let api = tested(&stage, "api", "test: {before_start: true}");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (pid, past, old) = (api.pid(), api.past(), api.answer());
        api.save(&format!("{}!", stage.next_version()));
        let test = eventually("the failed test", || {
            let service = stage.fleet.service("api");
            (service["test"]["state"] == "failed").then(|| service["test"].clone())
        });
        assert_eq!(test["failed"], 1, "{test}");
        stage.rest();
        assert_eq!((api.pid(), api.answer()), (pid, old));
        api.started(&past, &[]);
        let why = stage.why("api");
        assert!(why.to_string().contains("TestVersion"), "{why:#}");
        assert!(stage.log("api", "test").iter().any(|line| line.contains("no such version")));
        let version = stage.next_version();
        api.save(&version);
        api.until_answered(&version);
        assert_eq!(stage.fleet.service("api")["test"]["state"], "passed");
        api.started(&past, &[&version]);
    });
    record(11, times.len(), "a failed test: same pid, the test named; mended: swapped");
}

#[test]
fn a_failed_test_may_end_the_old_copy() {
    let stage = Stage::new();
    let api = tested(&stage, "api", "test: {before_start: true}\nwatch: {on_test_failure: stop}");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let past = api.past();
        api.save(&format!("{}!", stage.next_version()));
        eventually("the failed test", || (stage.fleet.service("api")["test"]["state"] == "failed").then_some(()));
        eventually("the old copy to end", || api.answer().is_none().then_some(()));
        stage.rest();
        assert_eq!(api.answer(), None);
        let version = stage.next_version();
        api.save(&version);
        api.until_answered(&version);
        api.started(&past, &[&version]);
    });
    record(11, times.len(), "`on_test_failure: stop`: ended; mended: served again");
}

#[test]
fn start_test_is_a_gate_too() {
    let stage = Stage::new();
    let api = tested(&stage, "api", "");
    stage.start(&["--test"]);
    let pid = api.pid();
    api.save("v9!");
    eventually("the failed test", || (stage.fleet.service("api")["test"]["state"] == "failed").then_some(()));
    stage.rest();
    assert_eq!((api.pid(), api.answer().as_deref()), (pid, Some("v1")));
    record(11, 1, "`start --test`: the same");
}

#[test]
fn what_vet_finds_keeps_the_old_copy() {
    warm();
    let stage = Stage::new();
    let api = stage.web("api", "build: {vet: true}");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (pid, past, version) = (api.pid(), api.past(), stage.next_version());
        let careless = source(&version).replace("{ serve(version) }", "{\n\tn := 1\n\tn = n\n\tserve(version)\n}");
        api.write("main.go", &careless);
        let build = eventually("what vet found", || Some(api.build()).filter(|build| build["state"] == "failed"));
        assert!(build["error"].as_str().unwrap().starts_with("api/main.go:7:2: self-assignment of n"), "{build}");
        stage.rest();
        assert_eq!(api.pid(), pid);
        let version = stage.next_version();
        api.save(&version);
        api.until_answered(&version);
        api.started(&past, &[&version]);
        assert_eq!(api.build()["error"], json!(null));
    });
    record(11, times.len(), "`build.vet`: same pid, file:line told; mended: swapped");
}

#[test]
fn a_test_file_runs_its_packages_tests_alone() {
    warm();
    let stage = Stage::new();
    let api = tested(&stage, "api", "");
    api.write("lib/lib.go", "package lib\n\nfunc One() int { return 1 }\n");
    let test = |n: usize| {
        format!(
            "package lib\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {{\n\tif One() != 1 {{\n\t\tt.Fatal({n})\n\t}}\n}}\n"
        )
    };
    api.write("lib/lib_test.go", &test(0));
    api.write("main.go", &source("v1").replace("\n\nconst", "\n\nimport _ \"example.com/api/lib\"\n\nconst"));
    stage.start(&["--test"]);
    eventually("the first tests", || (stage.fleet.service("api")["test"]["state"] == "passed").then_some(()));
    stage.rest();
    let (past, pid) = (api.past(), api.pid());
    let of_api = || {
        stage
            .go
            .of("test")
            .into_iter()
            .filter(|call| call.args.iter().any(|arg| arg.contains("example.com/api") || arg.contains("./")))
            .collect::<Vec<_>>()
    };
    let times = repeat(2, |round| {
        let before = of_api().len();
        api.write("lib/lib_test.go", &test(round + 1));
        eventually("a test run", || (of_api().len() > before).then_some(()));
        stage.rest();
        let runs = of_api().split_off(before);
        assert_eq!(runs.len(), 1, "{runs:#?}");
        let packages: Vec<&String> = runs[0].args.iter().filter(|arg| arg.contains("example.com/")).collect();
        assert_eq!(packages, ["example.com/api/lib"], "{runs:#?}");
    });
    api.did_nothing(&past);
    assert_eq!(api.pid(), pid);
    record(12, times.len(), "with `--test`: 1 run of that package's tests, 0 builds, 0 restarts");
}

#[test]
fn a_test_file_does_nothing_where_tests_are_off() {
    let stage = Stage::new();
    let api = tested(&stage, "api", "");
    stage.start(&[]);
    let past = api.past();
    let times = repeat(1, |round| {
        api.write("main_test.go", &format!("{TEST}// {round}\n"));
        stage.rest();
    });
    api.did_nothing(&past);
    assert_eq!(stage.go.of("test").len(), 0);
    record(12, times.len(), "without: nothing");
}
