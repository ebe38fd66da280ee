//! A port that somebody else holds: who it is, and that nothing loops.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outside::{self, Outside, SOURCE};
use super::report;
use crate::support::{Fleet, eventually, toy};

#[test]
fn a_held_port_names_its_holder() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.go_service("api", SOURCE);
    fleet.write("api/service.yml", format!("port: {port}\n"));
    let address = format!("127.0.0.1:{port}");
    let holder = outside::command(&fleet, toy::toy(), &["-listen", &address], fleet.root());
    let holder = Outside::silent(&fleet, "a stranger", holder);
    eventually("the stranger to listen", || TcpListener::bind(&address).is_err().then_some(()));
    let failed = fleet.orchestra(&["start"]).exits(1);
    let words =
        format!("port {port} (http) is held by pid {} ({}): {} -listen {address}", holder.pid, toy::toy(), toy::toy());
    assert!(failed.stderr.contains(&words), "{}", failed.stderr);
    let instance = fleet.instance("api.1");
    assert_eq!(
        (&instance["state"], &instance["last_exit"]["reason"]),
        (&"failed".into(), &"port".into()),
        "{instance}"
    );
    // No further try: neither of the policy nor of anybody else.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let later = fleet.instance("api.1");
    assert_eq!((&later["state"], &later["restarts"]), (&"failed".into(), &0.into()), "{later}");
    let starts = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json();
    assert!(starts["summary"].as_str().unwrap().contains(&format!("pid {}", holder.pid)), "{starts}");
    assert!(holder.lives(), "the holder was ended");
    drop(holder);
    fleet.orchestra(&["start"]).ok();
    report::record(
        36,
        format!(
            "named port, pid, program and arguments after {} ms; 0 further tries; the holder lived; started once it had gone",
            failed.took.as_millis()
        ),
    );
}

#[test]
fn a_stray_that_takes_the_port_between_two_runs_is_ended() {
    let fleet = Fleet::new();
    let port = fleet.port();
    fleet.go_service("api", SOURCE);
    fleet.write("api/service.yml", format!("port: {port}\nrestart: {{policy: always, delay: 2s}}\n"));
    fleet.orchestra(&["start"]).ok();
    outside::go(&fleet, &["build", "-o", "service", "."], &fleet.path("api"));
    let mut command = outside::command(&fleet, "./service", &[], &fleet.path("api"));
    command.env("PORT", port.to_string()).env("GRAB", "1");
    let mut stray = Outside::start(&fleet, "a stray that waits for the port", command);
    kill(Pid::from_raw(fleet.pid("api.1")), Signal::SIGKILL).unwrap();
    stray.ends();
    fleet.until("api.1", "ready");
    let log = fleet.orchestra(&["logs", "-o", "json", "api"]).ok().stdout;
    assert!(log.contains(&format!("ended a stray: pid {} by rule P1", stray.pid)), "{log}");
}

fn git(dir: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
    let out = Command::new("git").args(identity).args(args).current_dir(dir).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A worktree that is stopped and forgotten when it goes.
struct Second<'a> {
    fleet: &'a Fleet,
    root: std::path::PathBuf,
}

impl Second<'_> {
    fn run(&self, args: &[&str]) -> crate::support::output::Output {
        let mut command = self.fleet.command(args);
        command.current_dir(&self.root).env("PWD", &self.root);
        self.fleet.run(command)
    }
}

impl Drop for Second<'_> {
    fn drop(&mut self) {
        let stopped = self.run(&["stop"]);
        let meta = fs::metadata(&self.root).unwrap();
        let runtime = self.fleet.runtime().with_file_name(format!("{:x}-{:x}", meta.dev(), meta.ino()));
        let _gone = fs::remove_dir_all(runtime);
        if !std::thread::panicking() {
            stopped.ok();
        }
    }
}

#[test]
fn two_worktrees_leave_each_other_alone() {
    let fleet = Fleet::new();
    let port = fleet.ports(2);
    fleet.go_service("api", SOURCE);
    fleet.write("api/service.yml", format!("port: {port}\n"));
    git(fleet.root(), &["init", "-q"]);
    git(fleet.root(), &["add", "."]);
    git(fleet.root(), &["commit", "-q", "-m", "one"]);
    let root = fleet.root().parent().unwrap().join("second");
    git(fleet.root(), &["worktree", "add", "-q", root.to_str().unwrap()]);
    let second = Second { fleet: &fleet, root };
    fleet.orchestra(&["start"]).ok();
    let pids = fleet.pids();
    // A stray of the first, which the second must not touch.
    outside::go(&fleet, &["build", "-o", "service", "."], &fleet.path("api"));
    let command = outside::command(&fleet, "./service", &[], &fleet.path("api"));
    let mut stray = Outside::start(&fleet, "a stray of the first", command);
    let failed = second.run(&["start"]).exits(1);
    let words = format!("it is `api.1` of the orchestra project in `{}`", fleet.root().display());
    assert!(failed.stderr.contains(&words) && failed.stderr.contains("--port-offset"), "{}", failed.stderr);
    second.run(&["start", "--port-offset", "1"]).ok();
    assert_eq!(second.run(&["strays", "-o", "json"]).ok().json()["strays"], serde_json::json!([]));
    assert!(stray.lives() && stray.signals().is_empty());
    assert_eq!(fleet.pids(), pids);
    let seconds = second.run(&["ps", "-o", "json"]).ok().json()["services"][0]["instances"][0]["pid"].clone();
    fleet.orchestra(&["start"]).ok();
    stray.ends();
    let ps = second.run(&["ps", "-o", "json"]).ok().json();
    assert_eq!(ps["services"][0]["instances"][0]["pid"], seconds);
    assert_eq!(ps["services"][0]["instances"][0]["state"], "ready");
    report::record(
        43,
        format!(
            "the second named the first by its root after {} ms; with an offset both ran, same pids throughout; a stray of the first was ended by the first alone",
            failed.took.as_millis()
        ),
    );
}
