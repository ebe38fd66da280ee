//! Edits of the configuration: applied while everything runs, and never by a build.

use std::fs;

use super::stage::{SERVE, Stage, Web};
use super::{record, repeat, spread};
use crate::support::eventually;

/// Answers with its version and `FLAVOUR`.
fn flavoured(version: &str) -> String {
    format!(
        "package main\n\nimport \"syscall\"\n\nconst version = \"{version}\"\n\nfunc main() {{\n\tflavour, _ := syscall.Getenv(\"FLAVOUR\")\n\tserve(version + flavour)\n}}\n"
    )
}

fn flavour<'a>(stage: &'a Stage, name: &str, yaml: &str) -> Web<'a> {
    let web = stage.web(name, yaml);
    web.write("main.go", &flavoured("v1"));
    web
}

#[test]
fn env_files_and_settings_restart_without_a_build() {
    let stage = Stage::new();
    let api = flavour(&stage, "api", "env_file: [api.env]\nwatch: {include: ['*.conf', 'more/**']}");
    api.write("api.env", "FLAVOUR=+plain\n");
    let other = stage.web("other", "");
    stage.start(&[]);
    api.until_answered("v1+plain");
    let (past, beside, pid) = (api.past(), other.past(), other.pid());
    let yaml = fs::read_to_string(api.path("service.yml")).unwrap();
    let mut wanted = Vec::new();
    let times = repeat(1, |round| {
        let from_file = format!("v1+file{round}");
        api.write("api.env", &format!("FLAVOUR=+file{round}\n"));
        let took = api.until_answered(&from_file);
        let from_yaml = format!("v1+yaml{round}");
        api.write("service.yml", &format!("{yaml}env: {{FLAVOUR: +yaml{round}}}\n"));
        api.until_answered(&from_yaml);
        api.write("service.yml", &yaml);
        api.until_answered(&from_file);
        wanted.extend([from_file.clone(), from_yaml, from_file.clone()]);
        // Nothing that reaches the program: nothing is restarted.
        api.write("api.env", &format!("# a comment\nFLAVOUR=+file{round}\n"));
        stage.rest();
        for file in ["app.conf", "more/deep/settings"] {
            api.write(file, &round.to_string());
            wanted.push(from_file.clone());
            eventually("a restart because of a watched file", || {
                (api.ups_since(&past).len() == wanted.len()).then_some(())
            });
            api.until_answered(&from_file);
        }
        took
    });
    stage.rest();
    api.did(&past, 0, &wanted.iter().map(String::as_str).collect::<Vec<_>>());
    other.did_nothing(&beside);
    assert_eq!(other.pid(), pid);
    record(
        22,
        times.len(),
        &format!(
            "env file, `service.yml`, `watch.include`: 1 restart, 0 builds each; save → serving {}",
            spread(times)
        ),
    );
}

/// The project's own env file, and one that was not there before.
#[test]
fn the_projects_env_file() {
    let stage = Stage::new();
    let (api, fixed) = (flavour(&stage, "api", ""), stage.web("fixed", "env: {FLAVOUR: fixed}"));
    stage.start(&[]);
    let (past, beside) = (api.past(), fixed.past());
    stage.fleet.write(".env", "FLAVOUR=+project\n");
    api.until_answered("v1+project");
    fs::remove_file(stage.fleet.path(".env")).unwrap();
    api.until_answered("v1");
    stage.fleet.write("orchestra.yml", "env: {FLAVOUR: +global}\n");
    api.until_answered("v1+global");
    stage.rest();
    assert_eq!(api.builds_since(&past).len(), 0);
    assert_eq!(fixed.ups_since(&beside).len(), 0, "its environment is the same");
    record(22, 1, "`.env` made and removed, `orchestra.yml`: those alone whose settings differ restart");
}

#[test]
fn services_come_and_go() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let (past, pid) = (api.past(), api.pid());
    let times = repeat(1, |round| {
        let extra = stage.web(&format!("extra{round}"), "");
        extra.until_answered("v1");
        extra.swaps();
        fs::remove_dir_all(extra.path("")).unwrap();
        eventually("the service to be gone", || extra.answer().is_none().then_some(()));
        eventually("its name to be gone", || {
            let ps = stage.fleet.ps();
            let is_there = ps["services"]
                .as_array()
                .unwrap()
                .iter()
                .any(|service| service["name"] == extra.name.as_str() && service["desired"] == "up");
            (!is_there).then_some(())
        });
    });
    stage.rest();
    api.did_nothing(&past);
    assert_eq!(api.pid(), pid);
    record(
        22,
        times.len(),
        "a new folder with a `service.yml` is started and watched, a removed one stopped; others keep their pid",
    );
}

#[test]
fn a_bad_file_keeps_what_was_good() {
    let stage = Stage::new();
    let api = flavour(&stage, "api", "env: {FLAVOUR: +good}");
    stage.start(&[]);
    let (past, pid) = (api.past(), api.pid());
    let good = fs::read_to_string(api.path("service.yml")).unwrap();
    let times = repeat(1, |_| {
        for bad in ["port: [\n", "prot: 80\n", "env: {FLAVOUR: +bad}\nscale: -1\n"] {
            api.write("service.yml", bad);
            eventually("the mistake to be told", || trouble(&stage).filter(|trouble| trouble.contains("service.yml")));
            stage.rest();
            assert_eq!(api.pid(), pid);
        }
    });
    // Code is still built and swapped with the settings that were good; then the file is mended.
    let version = stage.next_version();
    api.write("main.go", &flavoured(&version));
    api.until_answered(&format!("{version}+good"));
    api.did(&past, 1, &[&format!("{version}+good")]);
    api.write("service.yml", &good.replace("+good", "+better"));
    api.until_answered(&format!("{version}+better"));
    stage.rest();
    assert_eq!(trouble(&stage), None);
    api.did(&past, 1, &[&format!("{version}+good"), &format!("{version}+better")]);
    record(22, times.len(), "wrong files: same pid, the mistake told, edits of code still taken up; mended: applied");
}

/// What `ps` says the supervisor suffers from.
fn trouble(stage: &Stage) -> Option<String> {
    stage.fleet.ps()["supervisor"]["trouble"].as_str().map(str::to_owned)
}

/// What is edited may be the build itself.
#[test]
fn build_settings_build() {
    let stage = Stage::new();
    let api = stage.bare("api", "build: {tags: [one]}");
    api.write("go.mod", "module example.com/api\n\ngo 1.22\n");
    api.write("serve.go", SERVE);
    api.write("main.go", "package main\n\nfunc main() { serve(version) }\n");
    for tag in ["one", "two"] {
        api.write(&format!("{tag}.go"), &format!("//go:build {tag}\n\npackage main\n\nconst version = \"{tag}\"\n"));
    }
    stage.start(&[]);
    let past = api.past();
    let yaml = fs::read_to_string(api.path("service.yml")).unwrap();
    api.write("service.yml", &yaml.replace("[one]", "[two]"));
    api.until_answered("two");
    // What is part of it now is another file.
    api.write("two.go", "//go:build two\n\npackage main\n\nconst version = \"second\"\n");
    api.until_answered("second");
    stage.rest();
    api.did(&past, 2, &["two", "second"]);
    record(22, 1, "`build.tags`: 1 build, 1 restart, and other files are watched");
}
