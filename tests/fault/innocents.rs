//! Processes that look like strays and are none, or are held by somebody: whatever is started how often, none gets a signal.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::outside::{self, Outside, SOURCE};
use super::report;
use crate::support::{Fleet, eventually};

const ROUNDS: usize = if cfg!(feature = "faults") { 200 } else { 3 };

const TEST: &str = r#"package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { serve() }

func TestHang(t *testing.T) { _ = os.Args }
"#;

/// Everything that is not to be met by a signal.
struct Innocents<'a> {
    fleet: &'a Fleet,
    all: Vec<Outside>,
    /// What this machine does not let us make, and why.
    absent: Vec<String>,
}

impl Innocents<'_> {
    fn command(&self, program: &str, args: &[&str], dir: &Path) -> Command {
        let mut command = outside::command(self.fleet, program, args, dir);
        command.env("STAY", "1");
        command
    }

    fn add(&mut self, what: &str, program: &str, args: &[&str], dir: &Path) {
        let command = self.command(program, args, dir);
        self.all.push(Outside::start(self.fleet, what, command));
    }

    fn silent(&mut self, what: &str, program: &str, args: &[&str], dir: &Path) {
        let command = self.command(program, args, dir);
        self.all.push(Outside::silent(self.fleet, what, command));
    }
}

/// Programs that only stand in the folder.
fn bystanders(innocents: &mut Innocents<'_>, api: &Path) {
    let count = "trap 'echo TERM >> $COUNT' TERM INT HUP QUIT; echo ready $$ >> $COUNT; while :; do sleep 0.2; done";
    innocents.add("a shell in the folder", "bash", &["-c", count], api);
    innocents.add("a shell that is called like the service", "bash", &["-c", count, "./api"], api);
    innocents.silent("tail -f", "tail", &["-f", "main.go"], api);
    innocents.silent("sleep", "sleep", &["100000"], api);
}

/// Go programs of the folder that are not the service.
fn other_programs(innocents: &mut Innocents<'_>, fleet: &Fleet, api: &Path) {
    for tool in ["cmd/migrate", "tools"] {
        fleet.write(&format!("api/{tool}/main.go"), SOURCE);
    }
    fleet.write("api/gen.go", format!("//go:build ignore\n\n{SOURCE}"));
    fleet.write("api/main_test.go", TEST);
    outside::go(fleet, &["build", "-o", "migrate", "./cmd/migrate"], api);
    outside::go(fleet, &["build", "-o", "generator", "gen.go"], api);
    outside::go(fleet, &["test", "-c", "-o", "tests", "."], api);
    innocents.add("another program built into the folder", "./migrate", &[], api);
    innocents.add("a generator built into the folder", "./generator", &[], api);
    innocents.add("tests built by hand", "./tests", &[], api);
    innocents.add("go test", "go", &["test", "-run", "Hang", "."], api);
    innocents.add("go run of a tool", "go", &["run", "./cmd/migrate"], api);
    innocents.add("go run of another main.go", "go", &["run", "./tools/main.go"], api);
    innocents.add("go run of a generator", "go", &["run", "gen.go"], api);
    let mut orphaned = vec![["run", "-tags=a", "./tools/main.go"]];
    if cfg!(feature = "faults") {
        // Compiles Go's own packages anew.
        outside::go(fleet, &["build", "-trimpath", "-o", "/dev/null", "."], api);
        innocents.add("go run -trimpath of another main.go", "go", &["run", "-trimpath", "./tools/main.go"], api);
        orphaned.push(["run", "-trimpath", "./tools/main.go"]);
    }
    // Their `go run` killed: only the program itself can tell what it is.
    for args in orphaned {
        innocents.add("the orphan of another main.go", "go", &args, api);
        let go = innocents.all.last().unwrap().child.id();
        kill(Pid::from_raw(go as i32), Signal::SIGKILL).unwrap();
    }
}

/// The same service of another checkout, in every way it may come near.
fn other_checkout(innocents: &mut Innocents<'_>, fleet: &Fleet, api: &Path) {
    let second = fleet.root().parent().unwrap().join("second/api");
    fs::create_dir_all(&second).unwrap();
    fs::write(second.join("go.mod"), "module example.com/api\n\ngo 1.22\n").unwrap();
    fs::write(second.join("main.go"), SOURCE).unwrap();
    let elsewhere = fleet.root().parent().unwrap().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    outside::go(fleet, &["build", "-o", "api", "."], &second);
    outside::go(fleet, &["build", "-o", &path(elsewhere.join("api")), "."], api);
    innocents.add("go run . of another checkout", "go", &["run", "."], &second);
    innocents.add("the binary of another checkout", "./api", &[], &second);
    innocents.add("the binary of another checkout, started from the folder", &path(second.join("api")), &[], api);
    innocents.add("a binary of that name elsewhere", &path(elsewhere.join("api")), &[], api);
    innocents.add("go run of another checkout's file", "go", &["run", "../../second/api/main.go"], api);
    fs::copy(second.join("api"), api.join("copied")).unwrap();
    innocents.add("a binary copied from another checkout", "./copied", &[], api);
    fs::hard_link(api.join("service"), elsewhere.join("linked")).unwrap();
    innocents.add("a hard link elsewhere", &path(elsewhere.join("linked")), &[], &elsewhere);
    fs::create_dir_all(api.join("trees/next/api")).unwrap();
    fs::write(api.join("trees/next/.git"), "gitdir: ../../..\n").unwrap();
    fs::copy(api.join("service"), api.join("trees/next/api/service")).unwrap();
    innocents.add("a worktree inside the folder", "./service", &[], &api.join("trees/next/api"));
}

/// True copies of the service that somebody holds.
fn held(innocents: &mut Innocents<'_>, fleet: &Fleet, api: &Path) -> Vec<Flock<File>> {
    fs::copy("/bin/bash", fleet.root().parent().unwrap().join("air")).unwrap();
    let air = fleet.root().parent().unwrap().join("air");
    fs::set_permissions(&air, fs::Permissions::from_mode(0o755)).unwrap();
    innocents.add("a watcher's child", air.to_str().unwrap(), &["-c", "./service & wait"], api);
    fs::copy(api.join("service"), api.join("__debug_bin71")).unwrap();
    innocents.add("a debugger's binary", "./__debug_bin71", &[], api);
    // Another project's copy, its lock held.
    let folder = fleet.runtime().parent().unwrap().join("ffff-71");
    fs::create_dir_all(&folder).unwrap();
    let lock = Flock::lock(File::create(folder.join("api.1.lock")).unwrap(), FlockArg::LockExclusive).unwrap();
    let mut command = innocents.command("./service", &[], api);
    command.env("ORCHESTRA_RUN", "ffff-71/api/1/0123");
    innocents.all.push(Outside::start(fleet, "another project's copy", command));
    traced(innocents, fleet, api);
    for (what, args) in [
        ("a copy in a mount namespace", &["-m", "./service"][..]),
        ("a copy in a pid namespace", &["-p", "-f", "--mount-proc", "./service"]),
    ] {
        let possible = innocents.command("unshare", &[&args[..args.len() - 1], &["true"]].concat(), api);
        match { possible }.status() {
            Ok(status) if status.success() => {
                let mut command = innocents.command("unshare", args, api);
                command.env("STAY", "1");
                // Its own pid has another meaning there: it is watched by its parent's.
                innocents.all.push(Outside::silent(fleet, what, command));
            }
            other => innocents.absent.push(format!("{what}: not possible here: unshare: {other:?}")),
        }
    }
    vec![lock]
}

/// A copy that gdb holds (strace, where there is no gdb).
fn traced(innocents: &mut Innocents<'_>, fleet: &Fleet, api: &Path) {
    innocents.add("a copy under a debugger", "./service", &[], api);
    let pid = innocents.all.last().unwrap().pid;
    let text = pid.to_string();
    let is_held = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        (!status.contains("TracerPid:\t0")).then_some(())
    };
    let handle = "handle all nostop noprint pass";
    let gdb = ["-q", "-nx", "-batch", "-p", &text, "-ex", handle, "-ex", "continue"];
    let strace = ["-q", "-o", "/dev/null", "-p", &text];
    for (tool, args) in [("gdb", &gdb[..]), ("strace", &strace)] {
        let there = Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok();
        if there && let Ok(child) = innocents.command(tool, args, fleet.root()).spawn() {
            let mut child = child;
            let began = std::time::Instant::now();
            while began.elapsed() < std::time::Duration::from_secs(20) && child.try_wait().unwrap().is_none() {
                if is_held().is_some() {
                    innocents.all.push(Outside::of(fleet, tool, child));
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
    // Without its debugger it is a stray like any other.
    innocents.all.pop();
    innocents.absent.push("a copy under a debugger: not possible here: neither gdb nor strace can attach".to_owned());
}

#[test]
fn no_innocent_gets_a_signal() {
    let fleet = Fleet::new();
    fleet.go_service("api", SOURCE);
    let api = fleet.path("api");
    outside::go(&fleet, &["build", "-o", "service", "."], &api);
    outside::go(&fleet, &["build", "-o", "real", "."], &api);
    let mut innocents = Innocents { fleet: &fleet, all: Vec::new(), absent: Vec::new() };
    bystanders(&mut innocents, &api);
    other_programs(&mut innocents, &fleet, &api);
    other_checkout(&mut innocents, &fleet, &api);
    let locks = held(&mut innocents, &fleet, &api);
    let mut traced = None;
    for round in 0..ROUNDS {
        // One that is no innocent, so that a round that ends nobody at all fails.
        let mut real = Outside::start(&fleet, "a stray", outside::command(&fleet, "./real", &[], &api));
        let trace = (round == ROUNDS - 1).then(|| Strace::attach(&fleet)).flatten();
        fleet.orchestra(&[if round % 3 == 2 { "restart" } else { "start" }]).ok();
        real.ends();
        traced = trace.map(Strace::end);
        for innocent in &innocents.all {
            assert!(innocent.lives(), "round {round}: {} (pid {}) was ended", innocent.what, innocent.pid);
            assert_eq!(innocent.signals(), Vec::<String>::new(), "round {round}: {}", innocent.what);
        }
    }
    reported(&fleet, &innocents);
    let seen = match traced {
        Some(calls) => {
            let sent: Vec<&String> = calls.iter().filter(|call| call.contains("pidfd_send_signal")).collect();
            let terms = sent.iter().filter(|call| call.contains("SIGTERM")).count();
            assert!(terms == 1 && sent.len() <= 2, "one stray, SIGTERM and SIGCONT behind it: {calls:#?}");
            for innocent in &innocents.all {
                // By number, alone or as a group: nobody of these may be named.
                let ids = [innocent.pid, innocent.child.id() as i32];
                let named = calls.iter().find(|call| ids.iter().any(|id| target(call).is_some_and(|t| t.abs() == *id)));
                assert_eq!(named, None, "{}", innocent.what);
            }
            format!(
                "strace on the supervisor and its children saw {} signals by pidfd, all to the one stray, and none to an innocent",
                sent.len()
            )
        }
        None => "strace not possible here: it is missing or may not attach".to_owned(),
    };
    let absent = innocents.absent.iter().map(|words| format!("; {words}")).collect::<String>();
    let count = innocents.all.len();
    report::record(
        35,
        format!(
            "{ROUNDS} rounds beside {count} innocents and a stray each: 0 signals to innocents, {ROUNDS} strays ended; {seen}{absent}"
        ),
    );
    drop(innocents);
    drop(locks);
    let _gone = fs::remove_dir_all(fleet.runtime().parent().unwrap().join("ffff-71"));
}

/// What `strays` says about those that are true copies: each left alone, with the reason.
fn reported(fleet: &Fleet, innocents: &Innocents<'_>) {
    let answer = fleet.orchestra(&["strays", "-o", "json"]).ok().json();
    let said: Vec<&Value> = answer["strays"].as_array().unwrap().iter().collect();
    assert!(said.iter().all(|stray| stray["action"] == "report" && stray["veto"].is_string()), "{answer}");
    for (what, words) in [
        ("a watcher's child", "`air`"),
        ("a debugger's binary", "built for a debugger"),
        ("a copy under a debugger", "a debugger (pid"),
        ("another project's copy", "another orchestra project runs it"),
        ("a binary copied from another checkout", "another checkout"),
        ("tests built by hand", "it is a test"),
    ] {
        let Some(innocent) = innocents.all.iter().find(|innocent| innocent.what == what) else { continue };
        let veto = said.iter().find(|stray| stray["pid"] == innocent.pid).map(|stray| stray["veto"].to_string());
        assert!(veto.as_ref().is_some_and(|veto| veto.contains(words)), "{what}: {veto:?}");
    }
}

/// Watches the supervisor's system calls that signal.
struct Strace {
    child: std::process::Child,
    out: PathBuf,
}

impl Strace {
    fn attach(fleet: &Fleet) -> Option<Strace> {
        let supervisor = fleet.supervisor();
        let out = fleet.root().parent().unwrap().join("strace");
        let child = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-e",
                "trace=kill,tkill,tgkill,pidfd_send_signal,rt_sigqueueinfo",
                "-e",
                "signal=none",
                "-o",
            ])
            .arg(&out)
            .args(["-p", &supervisor.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut strace = Strace { child, out };
        let attached = || {
            let status = fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap_or_default();
            (!status.contains("TracerPid:\t0")).then_some(true)
        };
        let there = eventually("strace to attach or to give up", || {
            attached().or_else(|| strace.child.try_wait().unwrap().map(|_| false))
        });
        there.then_some(strace)
    }

    fn end(mut self) -> Vec<String> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        self.child.wait().unwrap();
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        // The compiler's own threads wake each other with SIGURG, and 0 is a question.
        let is_signal = |line: &&str| line.contains('(') && !line.contains("SIGURG") && !line.contains(", 0");
        text.lines().filter(is_signal).map(ToOwned::to_owned).collect()
    }
}

/// Whom a `kill` of strace's names: `71 kill(-812, SIGTERM) = 0`.
fn target(call: &str) -> Option<i32> {
    let (name, rest) = call.split_once('(')?;
    if name.contains("pidfd") {
        return None;
    }
    rest.split([',', ')']).next()?.trim().parse().ok()
}
