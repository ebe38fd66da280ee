//! `init` over folders as people have them.

use std::fs;
use std::path::Path;

use super::{make, quoted};
use crate::config::tree::Source;
use crate::config::yaml;

const MAIN: &str = "package main\n\nfunc main() {}\n";

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn paths(dir: &Path, from: Option<&str>) -> Vec<String> {
    make(dir, from.map(Path::new)).unwrap().files.iter().map(|(p, _)| p.display().to_string()).collect()
}

fn text(dir: &Path, from: Option<&str>, path: &str) -> String {
    let plan = make(dir, from.map(Path::new)).unwrap();
    plan.files.into_iter().find(|(p, _)| p == Path::new(path)).unwrap().1
}

/// The lines that are not comments.
fn bare(text: &str) -> String {
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_folder_with_a_program() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["api/main.go", "worker/main.go", "cmd/tool/main.go", "vendor/x/main.go"] {
        write(dir.path(), path, MAIN);
    }
    write(dir.path(), "gen/gen.go", "//go:build ignore\n\npackage main\n");
    write(dir.path(), "docker-compose.yml", "services: {}\n");
    assert_eq!(paths(dir.path(), None), ["orchestra.yml", "api/service.yml", "worker/service.yml"]);
    let plan = make(dir.path(), None).unwrap();
    assert!(
        plan.notes.iter().any(|n| n.contains("cmd/tool") && n.contains("discover: [\"*\", \"cmd/*\"]")),
        "{:?}",
        plan.notes
    );
    assert!(plan.notes.iter().any(|n| n.contains("init --from docker-compose.yml")), "{:?}", plan.notes);
    assert_eq!(bare(&plan.files[0].1), "");
    assert_eq!(plan.services, 2);
}

#[test]
fn a_program_in_the_project_folder_itself() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("My Shop");
    write(&root, "main.go", MAIN);
    assert_eq!(
        bare(&text(&root, None, "orchestra.yml")),
        "services:\n  my-shop: {package: .}   # the program in this folder"
    );
}

#[test]
fn a_procfile() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["api/main.go", "etcdctl/main.go", "web/main.go"] {
        write(dir.path(), path, MAIN);
    }
    write(dir.path(), "Procfile", "web: bin/web -p $PORT\nback: A=1 go run ./api -x\n'y: b'\nyes: sh it\n");
    let got = text(dir.path(), Some("Procfile"), "orchestra.yml");
    let want = "services:\n  web:\n    command: [\"bin/web\", \"-p\", \"${PORT}\"]\n    port: 5000\n  back:\n    package: \"./api\"\n    args: [\"-x\"]\n    env:\n      A: \"1\"";
    assert!(bare(&got).starts_with(want), "{got}");
    assert!(got.contains("  \"yes\":\n"), "{got}");
    serde_yaml::from_str::<serde_json::Value>(&got).unwrap();
    assert_eq!(paths(dir.path(), Some("Procfile")), ["orchestra.yml", "etcdctl/service.yml"]);
    assert!(text(dir.path(), Some("Procfile"), "etcdctl/service.yml").contains("\nenabled: false"));
}

#[test]
fn a_compose_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "c.yml", "services:\n  db: {image: \"postgres:16\"}\n  app: {build: .}\n");
    let plan = make(dir.path(), Some(Path::new("c.yml"))).unwrap();
    assert_eq!(bare(&plan.files[0].1), "include: [\"c.yml\"]   # db");
    assert!(plan.needs_docker && plan.notes[0].contains("`app` has `build:`"), "{plan:?}");
    let more = "services:\n  db: {image: x, ports: ['5432'], runtime: odd, container_name: y}\nvolumes: {data: }\n";
    write(dir.path(), "more.yml", more);
    let notes = make(dir.path(), Some(Path::new("more.yml"))).unwrap().notes;
    assert_eq!(
        notes,
        [
            "more.yml:2:35: must be mended: `runtime` is not supported (set the engine's default runtime)",
            "more.yml:2:49: `container_name` is not taken: containers are named after the project and `db` (others find it by the name of its section)",
        ]
    );
    write(dir.path(), "bad.yml", "a: [");
    assert!(make(dir.path(), Some(Path::new("bad.yml"))).unwrap_err().message.contains("not YAML"));
    write(dir.path(), "Empty", "\n");
    assert!(make(dir.path(), Some(Path::new("Empty"))).is_err());
    assert!(make(dir.path(), Some(Path::new("missing"))).unwrap_err().message.contains("missing"));
}

#[test]
fn an_existing_project_file_gets_a_note_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "Procfile", "web: sleep 1\n");
    write(dir.path(), "orchestra.yml", "name: mine\n");
    let plan = make(dir.path(), Some(Path::new("Procfile"))).unwrap();
    assert!(plan.notes[0].contains("command: [\"sleep\", \"1\"]"), "{:?}", plan.notes);
    write(dir.path(), "orchestra.yml", &plan.files[0].1);
    assert!(make(dir.path(), Some(Path::new("Procfile"))).unwrap().notes.is_empty());
}

#[test]
fn every_character_can_be_quoted() {
    for c in ('\u{1}'..='\u{ffff}').chain(['\u{10ffff}']) {
        let text = format!("a: {}\n", quoted(&format!("x{c}y")));
        let parsed = yaml::parse(&Source::new(Path::new("x.yml"), &text));
        assert!(parsed.problems.is_empty(), "{c:?}: {}", parsed.problems[0]);
    }
}
