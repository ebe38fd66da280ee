//! Commands about files and the machine: `init`, `doctor`, `completions`, `man`, `schema`, and the format of 2015.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Fleet;

const MAIN: &str = "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n";

#[test]
fn init_makes_what_is_missing_and_overwrites_nothing() {
    let fleet = Fleet::new();
    std::fs::remove_file(fleet.path("orchestra.yml")).unwrap();
    fleet.write("go.mod", "module example.com/shop\n\ngo 1.22\n");
    fleet.write("api/main.go", MAIN);
    fleet.write("worker/main.go", MAIN);
    fleet.write("worker/service.yml", "# mine\n");
    fleet.write("lib/lib.go", "package lib\n");
    fleet.write("testdata/main.go", MAIN);

    fleet.orchestra(&["init", "--dry-run"]).ok();
    assert!(!fleet.path("orchestra.yml").exists() && !fleet.path("api/service.yml").exists());
    fleet.orchestra(&["init"]).ok();
    assert!(fleet.path("orchestra.yml").exists() && fleet.path("api/service.yml").exists());
    assert!(fleet.path(".orchestra/.gitignore").exists());
    assert!(!fleet.path("lib/service.yml").exists() && !fleet.path("testdata/service.yml").exists());
    let read = |path| std::fs::read_to_string(fleet.path(path)).unwrap();
    assert_eq!(read("worker/service.yml"), "# mine\n");

    fleet.write("orchestra.yml", "name: mine\n");
    fleet.orchestra(&["init"]).ok();
    assert_eq!(read("orchestra.yml"), "name: mine\n");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids().len(), 2);
}

#[test]
fn init_takes_over_a_procfile() {
    let fleet = Fleet::new();
    std::fs::remove_file(fleet.path("orchestra.yml")).unwrap();
    fleet.write("Procfile", "web: sleep 1000\n# a comment\nclock: sleep 2000\n");
    fleet.orchestra(&["init", "--from", "Procfile"]).ok();
    let ps = fleet.ps();
    let names: Vec<_> = ps["services"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["clock", "web"]);
    fleet.orchestra(&["start"]).ok();
}

#[test]
fn the_format_of_2015_loads_with_warnings() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "env:\n    A: project\n    B: project\n    C: project\nbefore:\n    - echo before all\nstart:\n    env:\n        B: command\n        C: command\n    gorun: true\n");
    fleet.toy("api", &["-env", "A,B,C"], "env:\n    C: service");
    let start = fleet.orchestra(&["start"]).ok();
    assert!(start.stderr.contains("before all") && start.stderr.contains("gorun"), "{}", start.stderr);
    assert_eq!(fleet.lines(&[]), ["A=project", "B=command", "C=service"]);
}

#[test]
fn doctor_says_what_it_checked() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    let doctor = fleet.orchestra(&["doctor"]);
    assert!(matches!(doctor.code, Some(0 | 1)), "{doctor:?}");
    assert!(doctor.stdout.to_lowercase().contains("go"), "{}", doctor.stdout);
    let json = fleet.orchestra(&["doctor", "-o", "json"]);
    assert!(matches!(json.json(), Value::Object(_) | Value::Array(_)));
    assert_eq!(fleet.processes(), []);
}

#[test]
fn completions_for_every_shell() {
    let fleet = Fleet::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = fleet.orchestra(&["completions", shell]).ok();
        assert!(script.stdout.contains("orchestra"), "{shell}");
    }
    fleet.orchestra(&["completions", "cobol"]).exits(2);
}

#[test]
fn man_and_schema() {
    let fleet = Fleet::new();
    assert!(fleet.orchestra(&["man"]).ok().stdout.contains(".TH"));
    for what in ["service", "project"] {
        let schema = fleet.orchestra(&["schema", what]).ok().json();
        assert!(schema["$schema"].is_string() && schema["properties"].is_object(), "{what}");
    }
    assert!(fleet.orchestra(&["schema", "service"]).ok().json()["properties"]["depends_on"].is_object());
}

#[test]
fn version_and_help() {
    let fleet = Fleet::new();
    let version = fleet.orchestra(&["--version"]).ok();
    assert_eq!(version.stdout, format!("orchestra {}\n", env!("CARGO_PKG_VERSION")));
    let help = fleet.orchestra(&["--help"]).ok();
    for command in
        ["start", "stop", "restart", "build", "ps", "logs", "scale", "kill", "why", "export", "init", "doctor"]
    {
        assert!(help.stdout.contains(&format!("  {command} ")), "{command} is missing:\n{}", help.stdout);
    }
}

#[test]
fn all_problems_of_all_files_at_once() {
    let fleet = Fleet::new();
    fleet.toy("a", &[], "prot: 80");
    fleet.toy("b", &[], "scale: many");
    fleet.toy("c", &[], "depends_on: [nobody]");
    fleet.write("orchestra.yml", "nmae: shop\nlinger: forever\n");
    let start = fleet.orchestra(&["start"]).exits(2);
    for place in ["orchestra.yml:1:1:", "a/service.yml:2:1:", "b/service.yml:2:8:", "c/service.yml:2:14:"] {
        assert!(start.stderr.contains(place), "{place} is missing:\n{}", start.stderr);
    }
    assert!(start.stderr.contains("did you mean"), "{}", start.stderr);
}

#[test]
fn the_manual_page_is_sound() {
    let fleet = Fleet::new();
    let pages = [&["man"][..], &["man", "start"], &["man", "vendors"], &["man", "keys"]];
    let have =
        |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    for args in pages {
        let page = fleet.orchestra(args).ok().stdout;
        fleet.write("page.1", &page);
        // Who lacks a reader tests without it; scripts/test brings one.
        if have("mandoc").is_ok() {
            let lint = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(fleet.path("page.1")).output().unwrap();
            let said = String::from_utf8_lossy(&lint.stdout).into_owned() + &String::from_utf8_lossy(&lint.stderr);
            assert!(lint.status.success(), "{args:?}: {said}");
        }
        if have("groff").is_ok() {
            let mut command = Command::new("groff");
            let read = command.args(["-man", "-Tutf8", "-ww", "-Kutf8"]).arg(fleet.path("page.1")).output().unwrap();
            assert!(
                read.status.success() && read.stderr.is_empty(),
                "{args:?}: {}",
                String::from_utf8_lossy(&read.stderr)
            );
            assert!(read.stdout.len() > 500);
        }
    }
}

#[test]
fn keys_of_the_dashboard_are_shown_and_checked() {
    let fleet = Fleet::new();
    fleet.set("XDG_CONFIG_HOME", fleet.path("config").to_str().unwrap());
    let keys = fleet.orchestra(&["keys"]).ok().stdout;
    assert!(keys.contains("services    restart  ") && keys.contains(" :export  "), "{keys}");
    assert!(fleet.orchestra(&["keys", "check"]).ok().stdout.contains("there is no such file"));
    let file = "config/orchestra/keys.toml";
    fleet.write(file, "[services]\nrestart = \"R\"\n");
    assert!(fleet.orchestra(&["keys", "check"]).ok().stdout.contains("no key means two things"));
    let all = fleet.orchestra(&["keys", "-o", "json"]).ok().json();
    assert!(all.as_array().unwrap().contains(&serde_json::json!({
        "scope": "services", "action": "restart", "keys": ["R"], "help": "build, then replace the copies",
    })));
    fleet.write(file, "[services]\nrestart = \"s\"\nbiuld = \"x\"\nstart = \"?\"\n");
    let checked = fleet.orchestra(&["keys", "check"]).exits(2);
    let place = |line: &str| format!("{}:{line}", fleet.path(file).display());
    for line in [
        place("2:11: `s` means both `restart` [services] and `stop` [services], and does the first"),
        place("3:1: [services] has no action `biuld`; did you mean `build`?"),
        place("4:9: `?` is `start` [services] there, and not `help` [everywhere]"),
    ] {
        assert!(checked.stderr.contains(&line), "{line}\n{}", checked.stderr);
    }
    let json = fleet.orchestra(&["keys", "check", "-o", "json"]).exits(2).json();
    assert_eq!(json["problems"][0]["line"], 2);
    assert_eq!(json["notes"][0]["column"], 9);
}
