//! The supervisor may die at any moment: services run on, no line is lost, and the next one takes all over.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, eventually};

fn kill_supervisor(fleet: &Fleet) -> i32 {
    let pid = fleet.supervisor();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    pid
}

fn until_adopted(fleet: &Fleet, old: i32) {
    eventually("another supervisor", || {
        let pid = fleet.ps()["supervisor"]["pid"].as_i64()?;
        (pid != i64::from(old)).then_some(())
    });
}

#[test]
fn a_killed_supervisor_comes_back_and_keeps_every_pid() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], &format!("port: {}\nscale: 2", fleet.ports(2)));
    fleet.toy("worker", &[], "");
    fleet.orchestra(&["start"]).ok();
    let before = fleet.pids();
    for _ in 0..2 {
        let old = kill_supervisor(&fleet);
        until_adopted(&fleet, old);
        fleet.until("api.2", "ready");
        fleet.until("worker.1", "ready");
        assert_eq!(fleet.pids(), before);
    }
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids(), before);
}

#[test]
fn no_line_is_lost_or_doubled() {
    let fleet = Fleet::new();
    fleet.toy("flood", &["-flood"], "");
    fleet.orchestra(&["start"]).ok();
    let old = kill_supervisor(&fleet);
    until_adopted(&fleet, old);
    fleet.orchestra(&["stop"]).ok();
    let lines = fleet.lines(&[]);
    let wrote = lines.iter().find_map(|l| l.strip_prefix("wrote ")?.parse::<usize>().ok()).unwrap();
    let numbers: Vec<&String> = lines.iter().filter(|l| l.starts_with('L')).collect();
    assert_eq!(numbers.len(), wrote);
    for (i, line) in numbers.iter().enumerate() {
        assert_eq!(**line, format!("L{:09}", i + 1));
    }
}

#[test]
fn policies_go_on_after_adoption() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    let old = kill_supervisor(&fleet);
    until_adopted(&fleet, old);
    fleet.until("api.1", "ready");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    eventually("a new copy", || fleet.pids().iter().any(|(_, p)| *p != i64::from(pid)).then_some(()));
    fleet.until("api.1", "ready");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_mistake_in_one_file_leaves_the_others_their_policies() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("web", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    fleet.toy("web", &[], "restrat: no");
    let old = kill_supervisor(&fleet);
    until_adopted(&fleet, old);
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    eventually("a new copy", || fleet.pids().iter().any(|(id, p)| id == "api.1" && *p != i64::from(pid)).then_some(()));
    fleet.until("api.1", "ready");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn an_exit_while_no_supervisor_ran_is_known() {
    let fleet = Fleet::new();
    fleet.toy("once", &["-exit-in", "3s", "-code", "9"], "restart: no");
    fleet.orchestra(&["start"]).ok();
    kill_supervisor(&fleet);
    let once = fleet.until("once.1", "failed");
    assert_eq!(once["last_exit"]["code"], 9);
}

#[test]
fn a_vanished_dot_folder_is_made_again() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "20ms"], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    std::fs::remove_dir_all(fleet.path(".orchestra")).unwrap();
    assert_eq!(fleet.pid("api.1"), pid);
    fleet.orchestra(&["restart"]).ok();
    assert_ne!(fleet.pid("api.1"), pid);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_new_supervisor_finds_what_runs_without_any_record() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "20ms"], "");
    fleet.toy("quiet", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pids = fleet.pids();
    std::fs::remove_dir_all(fleet.path(".orchestra")).unwrap();
    let old = kill_supervisor(&fleet);
    until_adopted(&fleet, old);
    fleet.until("quiet.1", "ready");
    assert_eq!(fleet.pids(), pids);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_moved_project_is_the_same_project() {
    let fleet = Fleet::named("here");
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (pid, supervisor) = (fleet.pid("api.1"), fleet.supervisor());
    let there = fleet.root().with_file_name("there");
    std::fs::rename(fleet.root(), &there).unwrap();
    let mut ps = fleet.command(&["ps", "-o", "json"]);
    ps.current_dir(&there).env("PWD", &there);
    let ps = fleet.run(ps).ok().json();
    assert_eq!(ps["supervisor"]["pid"], supervisor);
    assert_eq!(ps["services"][0]["instances"][0]["pid"], pid);
    for change in ["start", "stop"] {
        let mut command = fleet.command(&[change]);
        command.current_dir(&there).env("PWD", &there);
        fleet.run(command).ok();
    }
    std::fs::rename(&there, fleet.root()).unwrap();
    assert_eq!(fleet.processes(), []);
}

#[test]
fn a_killed_shim_takes_its_service_along_and_it_starts_again() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let Ok(stat) = stat else { return };
    let parent: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_ne!(parent, fleet.supervisor(), "a service is the child of its shim");
    kill(Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    eventually("a new copy", || fleet.pids().iter().any(|(_, p)| *p != i64::from(pid)).then_some(()));
    let api = fleet.until("api.1", "ready");
    assert_eq!(api["last_exit"]["reason"], "lost");
}

#[test]
fn it_goes_when_nothing_is_left_to_do() {
    let fleet = Fleet::new();
    fleet.toy("setup", &["-exit-in", "0s"], "type: job");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.service("setup")["state"], "done");
    eventually("the supervisor to go", || fleet.processes().is_empty().then_some(()));
    assert_eq!(fleet.service("setup")["state"], "done");
}

#[test]
fn another_configuration_beside_a_running_one_is_an_error_naming_both() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.write("other.yml", "name: other\n");
    fleet.orchestra(&["start"]).ok();
    let other = fleet.orchestra(&["-c", "other.yml", "start"]).exits(2);
    assert!(other.stderr.contains("other.yml") && other.stderr.contains("orchestra.yml"), "{}", other.stderr);
}

#[test]
fn its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fleet.path(".orchestra")), 0o700);
    assert_eq!(mode(&fleet.runtime()), 0o700);
    assert!(fleet.path(".orchestra/.gitignore").exists());
}

/// The process that shims are forked from, as it calls itself.
fn template(fleet: &Fleet) -> Option<i32> {
    let all = fleet.processes();
    all.iter().find(|process| process.command == "orchestra __shims").map(|process| process.pid)
}

#[test]
fn a_killed_template_harms_nothing_and_another_takes_its_place() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("web", &[], "");
    fleet.orchestra(&["start", "api"]).ok();
    let (before, old) = (fleet.pid("api.1"), template(&fleet).unwrap());
    assert!(fleet.processes().iter().any(|process| process.command == "orchestra __shim api.1"), "a shim has its name");
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    eventually("it to be gone", || template(&fleet).is_none().then_some(()));
    fleet.orchestra(&["start", "web"]).ok();
    assert_ne!(template(&fleet), None);
    assert_eq!(fleet.pid("api.1"), before);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
}
