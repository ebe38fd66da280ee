//! Names and places that break what quotes carelessly: nothing passes a shell, nothing is cut, and a project is found wherever it is now.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::hands::{kill_at_once, runs};
use super::report;
use crate::support::output::Output;
use crate::support::{Fleet, eventually, toy};

/// Runs the program in another folder than the fleet's own.
#[track_caller]
fn within(fleet: &Fleet, folder: &Path, args: &[&str]) -> Output {
    let mut command = fleet.command(args);
    command.current_dir(folder).env("PWD", folder);
    fleet.run(command)
}

/// Every command works there; the number of commands.
#[track_caller]
fn all_commands_work(fleet: &Fleet, root: &Path, service: &str) -> usize {
    let run = |args: &[&str]| within(fleet, root, args).ok();
    run(&["start"]);
    let ps = run(&["ps", "-o", "json"]).json();
    let instance = &ps["services"][0]["instances"][0];
    assert_eq!((ps["services"][0]["name"].as_str().unwrap(), instance["state"].as_str().unwrap()), (service, "ready"));
    let pid = instance["pid"].as_i64().unwrap();
    let commands: [&[&str]; 9] = [
        &["why", service],
        &["logs", "-n", "5"],
        &["export", service],
        &["build"],
        &["scale", &format!("{service}=2")],
        &["scale", &format!("{service}=file")],
        &["kill", "-s", "SIGUSR1", service],
        &["restart"],
        &["ps"],
    ];
    commands.iter().for_each(|args| drop(run(args)));
    let lines = run(&["logs", "-o", "json"]).json_lines();
    assert!(lines.iter().any(|line| line["line"] == "here I am"), "{lines:?}");
    run(&["stop"]);
    assert!(!runs(pid as i32));
    assert_eq!(fleet.processes(), []);
    commands.len() + 4
}

/// A project with one service, both in folders of these names.
fn project(folder: &Path, service: &str) {
    fs::create_dir_all(folder.join(service)).unwrap();
    fs::write(folder.join("orchestra.yml"), "").unwrap();
    let argv = serde_json::to_string(&[toy::toy(), "-say", "here I am"]).unwrap();
    fs::write(folder.join(service).join("service.yml"), format!("command: {argv}\nbefore: [[\"true\"]]\n")).unwrap();
}

#[test]
fn any_name_will_do() {
    let names = [
        ("with space", "my api", "my-api"),
        ("nfc \u{e9}", "caf\u{e9}", "caf-"),
        ("nfd e\u{301}", "cafe\u{301}", "cafe-"),
        ("new\nline", "a\nb", "a-b"),
        ("$(touch pwned)`touch pwned`;touch pwned", "$(touch pwned)x", "--touch-pwned-x"),
        ("quo'te\"s \\ %s *", "a'b\"c", "a-b-c"),
        ("-rf", "-n x", "-n-x"),
    ];
    let mut commands = 0;
    for (folder, service, name) in names {
        let fleet = Fleet::named(folder);
        project(fleet.root(), service);
        // A name that begins with a dash would be a flag: it is given after `--` by people, and not at all here.
        if name.starts_with('-') {
            within(&fleet, fleet.root(), &["start"]).ok();
            assert_eq!(fleet.service(name)["state"], "ready");
            within(&fleet, fleet.root(), &["stop"]).ok();
            commands += 3;
        } else {
            commands += all_commands_work(&fleet, fleet.root(), name);
        }
        let pwned = [fleet.path("pwned"), fleet.path(service).join("pwned")];
        assert!(pwned.iter().all(|path| !path.exists()), "a shell has read `{folder}`");
    }
    report::record(
        38,
        format!(
            "{} names with spaces, unicode, newlines, quotes and `$(…)`: {commands} commands, 0 words passed a shell",
            names.len()
        ),
    );
}

#[test]
fn names_as_long_as_names_can_be() {
    let fleet = Fleet::new();
    let long = fleet.root().join("p".repeat(255));
    let service = "s".repeat(255);
    project(&long, &service);
    let commands = all_commands_work(&fleet, &long, &service);
    remove_runtime(&long);
    report::record(38, format!("names of 255 bytes: {commands} commands"));
}

#[test]
fn a_root_200_levels_deep_and_one_behind_a_link() {
    let fleet = Fleet::new();
    let mut deep = fleet.root().to_owned();
    for level in 0..200 {
        deep.push(format!("level-{level:03}"));
    }
    project(&deep, "api");
    assert!(deep.as_os_str().len() > 2000);
    let commands = all_commands_work(&fleet, &deep, "api");
    let link = fleet.root().join("link");
    symlink(&deep, &link).unwrap();
    within(&fleet, &link, &["start"]).ok();
    let pid = within(&fleet, &deep, &["ps", "-o", "json"]).ok().json()["services"][0]["instances"][0]["pid"].clone();
    assert!(pid.is_i64());
    within(&fleet, &link, &["start"]).ok();
    let again = within(&fleet, &link, &["ps", "-o", "json"]).ok().json()["services"][0]["instances"][0]["pid"].clone();
    assert_eq!(again, pid);
    within(&fleet, &link, &["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    remove_runtime(&deep);
    report::record(
        38,
        format!(
            "200 levels, a path of {} bytes: {commands} commands; through a link the same fleet",
            deep.as_os_str().len()
        ),
    );
    report::record(33, format!("sockets of a project at a path of {} bytes work", deep.as_os_str().len()));
}

/// A fleet's own folder outside the project is removed with the fleet; that of another root here.
fn remove_runtime(root: &Path) {
    // Gone already, most often.
    let _gone = fs::remove_dir_all(runtime_of(root));
}

fn runtime_of(root: &Path) -> PathBuf {
    orchestra::sys::home::Home::find(root).unwrap().runtime
}

#[test]
fn a_root_that_was_deleted_and_made_again_keeps_what_runs() {
    let fleet = Fleet::named("here");
    fleet.toy("api", &["-tick", "20ms"], "");
    for supervisor_dies in [false, true] {
        fleet.orchestra(&["start"]).ok();
        let (pid, supervisor) = (fleet.pid("api.1"), fleet.supervisor());
        let old = runtime_of(fleet.root());
        if supervisor_dies {
            // It must not come back before the folder does.
            fs::rename(fleet.root(), fleet.root().with_file_name("doomed")).unwrap();
            kill_at_once(supervisor);
            fs::remove_dir_all(fleet.root().with_file_name("doomed")).unwrap();
        } else {
            fs::remove_dir_all(fleet.root()).unwrap();
        }
        // Something else may get the number of the folder meanwhile.
        fs::create_dir(fleet.root().with_file_name(format!("other-{supervisor_dies}"))).unwrap();
        fs::create_dir(fleet.root()).unwrap();
        fleet.write("orchestra.yml", "");
        fleet.toy("api", &["-tick", "20ms"], "");
        assert_ne!(runtime_of(fleet.root()), old);
        assert_eq!(fleet.pid("api.1"), pid, "seen");
        fleet.orchestra(&["start"]).ok();
        assert_eq!(fleet.pid("api.1"), pid, "kept");
        assert!(runs(pid) && !old.exists());
        fleet.orchestra(&["stop"]).ok();
        assert_eq!(fleet.processes(), []);
    }
}

#[test]
fn a_clean_checkout_loses_nothing_that_runs() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "20ms"], "scale: 2");
    fleet.orchestra(&["start"]).ok();
    let (pids, supervisor) = (fleet.pids(), fleet.supervisor());
    fs::remove_dir_all(fleet.path(".orchestra")).unwrap();
    kill_at_once(supervisor);
    eventually("another supervisor", || fleet.ps()["supervisor"]["running"].as_bool().filter(|runs| *runs));
    assert_eq!(fleet.pids(), pids);
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids(), pids, "their settings are known by their shims");
    let record = fs::read_to_string(fleet.path(".orchestra/run/api/1/instance.json")).unwrap();
    assert!(record.contains(&format!("\"pid\":{}", pids[0].1)), "{record}");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn two_worktrees_do_not_know_each_other() {
    let fleet = Fleet::new();
    let roots = ["one", "two"].map(|name| fleet.root().join(name));
    roots.iter().for_each(|root| project(root, "api"));
    let pids = roots.each_ref().map(|root| {
        within(&fleet, root, &["start"]).ok();
        within(&fleet, root, &["ps", "-o", "json"]).ok().json()["services"][0]["instances"][0]["pid"].as_i64().unwrap()
    });
    assert_ne!(pids[0], pids[1]);
    // One takes the other's place: each fleet follows its folder.
    fs::rename(&roots[0], roots[0].with_file_name("x")).unwrap();
    fs::rename(&roots[1], &roots[0]).unwrap();
    fs::rename(roots[0].with_file_name("x"), &roots[1]).unwrap();
    for (root, pid) in roots.iter().zip(pids.iter().rev()) {
        let ps = within(&fleet, root, &["ps", "-o", "json"]).ok().json();
        assert_eq!(ps["services"][0]["instances"][0]["pid"].as_i64(), Some(*pid));
        within(&fleet, root, &["stop"]).ok();
        assert!(kill(Pid::from_raw(*pid as i32), None::<Signal>).is_err());
        remove_runtime(root);
    }
    assert_eq!(fleet.processes(), []);
}
