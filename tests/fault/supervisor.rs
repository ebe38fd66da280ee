//! Faults of the supervisor itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::dice::Dice;
use super::oracle::{self, Oracle};
use super::{proc, report};
use crate::support::{Fleet, eventually, toy};

/// How often a random kill is tried; the long suite tries more.
const KILLS: usize = if cfg!(feature = "faults") { 50 } else { 3 };
const FLOODS: usize = if cfg!(feature = "faults") { 20 } else { 4 };
const FLOODED_KILLS: usize = if cfg!(feature = "faults") { 5 } else { 1 };

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Waits for a supervisor that nobody asked for.
#[track_caller]
fn another(fleet: &Fleet, old: i32) -> i32 {
    let other = |pid: i64| if pid == i64::from(old) { None } else { i32::try_from(pid).ok() };
    eventually("another supervisor", || fleet.ps()["supervisor"]["pid"].as_i64().and_then(other))
}

#[test]
fn killed_in_a_flood() {
    let (fleet, mut dice) = (Fleet::new(), Dice::new());
    for n in 1..=FLOODS {
        fleet.toy(&format!("flood{n}"), &["-flood"], "");
    }
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids) = (Oracle::before(&fleet), fleet.pids());
    let mut slowest = Duration::ZERO;
    for _ in 0..FLOODED_KILLS {
        let old = fleet.supervisor();
        dice.wait(Duration::from_secs(1));
        end(old);
        let began = Instant::now();
        another(&fleet, old);
        slowest = slowest.max(began.elapsed());
        assert_eq!(fleet.pids(), pids);
        oracle.holds(&fleet);
    }
    fleet.orchestra(&["stop"]).ok();
    let lines: usize = (1..=FLOODS).map(|n| oracle::no_line_lost(&fleet, &format!("flood{n}"))).sum();
    report::record(
        3,
        format!(
            "{FLOODS} floods, {FLOODED_KILLS} kills, {lines} lines: 0 lost, 0 doubled; same pids; a supervisor again after at most {} ms (seed {})",
            slowest.as_millis(),
            dice.seed()
        ),
    );
}

/// A folder with a `go` that takes its time before and after each build.
fn slow_go(fleet: &Fleet) -> String {
    let path = std::env::var("PATH").unwrap();
    let go = std::env::split_paths(&path).map(|dir| dir.join("go")).find(|go| go.is_file()).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = build ] || exec '{0}' \"$@\"\nsleep 0.4\n'{0}' \"$@\" || exit\nsleep 0.4\n",
        go.display()
    );
    fleet.write("slow/go", script);
    fs::set_permissions(fleet.path("slow/go"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{path}", fleet.path("slow").display())
}

fn version(n: usize) -> String {
    format!(
        "package main\n\nimport \"time\"\n\nfunc main() {{\n\tprintln(\"version {n}\")\n\ttime.Sleep(time.Hour)\n}}\n"
    )
}

/// What is in `bin` beside whole binaries.
fn half_built(fleet: &Fleet) -> Vec<String> {
    let names = fs::read_dir(fleet.path(".orchestra/bin")).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_whole = |name: &String| {
        let binary = fleet.path(".orchestra/bin").join(name);
        let told =
            std::process::Command::new("go").arg("version").arg(binary).envs(toy::go_env()).env("HOME", "/").output();
        String::from_utf8_lossy(&told.unwrap().stdout).contains(": go1")
    };
    names.filter(|name| !is_whole(name)).collect()
}

fn compilers(fleet: &Fleet) -> usize {
    oracle::marked(fleet).iter().filter(|process| process.slot.ends_with(".build")).count()
}

#[test]
fn killed_during_a_build() {
    let (fleet, mut dice) = (Fleet::new(), Dice::new());
    fleet.go_service("api", &version(0));
    let path = slow_go(&fleet);
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let (mut building, mut slowest) = (0, Duration::ZERO);
    for n in 1..=KILLS {
        fleet.go_service("api", &version(n));
        let (old, served) = (fleet.supervisor(), fleet.pid("api.1"));
        let mut start = fleet.command(&["start"]);
        start.env("PATH", &path);
        let start = crate::support::output::Running::start(start);
        dice.wait(Duration::from_secs(2));
        building += usize::from(compilers(&fleet) > 0);
        end(old);
        let began = Instant::now();
        // How it ends depends on the moment.
        drop(start.wait(Duration::from_secs(120)));
        eventually("the compiler to be gone", || (compilers(&fleet) == 0).then_some(()));
        slowest = slowest.max(began.elapsed());
        another(&fleet, old);
        eventually("the one that served, or what follows it", || {
            let instance = fleet.instance("api.1");
            (instance["state"] == "ready").then_some(())
        });
        let replaced = fleet.lines(&["api"]).contains(&format!("version {n}"));
        assert!(replaced || fleet.pid("api.1") == served, "a copy is replaced by a finished build only");
        assert_eq!(half_built(&fleet), [""; 0]);
        fleet.orchestra(&["start"]).ok();
        eventually("the new version", || fleet.lines(&["api"]).contains(&format!("version {n}")).then_some(()));
        assert_eq!(half_built(&fleet), [""; 0]);
    }
    oracle.holds(&fleet);
    report::record(
        1,
        format!(
            "{KILLS} kills at 0-2 s, {building} while the compiler ran: no half binary, compiler gone within {} ms, each next start built the new code (seed {})",
            slowest.as_millis(),
            dice.seed()
        ),
    );
}

/// `SETTING` of every copy of `web`.
fn settings(fleet: &Fleet) -> Vec<String> {
    let setting = |pid: i64| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let found = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"SETTING="));
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    };
    fleet.pids().into_iter().filter(|(id, _)| id.starts_with("web.")).map(|(_, pid)| setting(pid)).collect()
}

#[test]
fn killed_while_copies_are_replaced() {
    let (fleet, mut dice) = (Fleet::new(), Dice::new());
    let web = |n: usize| {
        fleet.toy("web", &["-term-in", "100ms"], &format!("scale: 2\ndepends_on: [db]\nenv: {{SETTING: \"{n}\"}}"));
        fleet.toy("only", &["-term-in", "200ms"], &format!("env: {{SETTING: \"{n}\"}}"));
    };
    web(0);
    fleet.toy("db", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (oracle, db) = (Oracle::before(&fleet), fleet.pid("db.1"));
    for n in 1..=KILLS {
        let old = fleet.supervisor();
        web(n);
        let verb: &[&str] = if n % 2 == 0 { &["restart", "web", "only"] } else { &["start"] };
        let change = fleet.background(verb);
        dice.wait(Duration::from_millis(1200));
        end(old);
        // How it ends depends on the moment.
        drop(change.wait(Duration::from_secs(120)));
        another(&fleet, old);
        for id in ["web.1", "web.2", "only.1", "db.1"] {
            fleet.until(id, "ready");
        }
        oracle.holds(&fleet);
        assert_eq!(fleet.pid("db.1"), db, "it was not to be replaced");
        fleet.orchestra(&["start"]).ok();
        assert_eq!(settings(&fleet), [n.to_string(), n.to_string()], "the next start brings what is left to be done");
    }
    oracle.holds(&fleet);
    report::record(
        4,
        format!(
            "{KILLS} kills at 0-1.2 s of `start` and `restart`: 1 copy per slot and all ready each time, by themselves; the next start brought every copy its new settings (seed {})",
            dice.seed()
        ),
    );
}

/// The service of a supervisor that died dies too, before anybody missed that supervisor.
#[test]
fn killed_together_with_the_only_service() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (old, pid) = (fleet.supervisor(), fleet.pid("api.1"));
    end(old);
    // Dead, and not missed yet.
    eventually("the supervisor to be gone", || matches!(proc::state(old), None | Some('Z')).then_some(()));
    end(pid);
    another(&fleet, old);
    let again = eventually("the service again", || {
        fleet.instance("api.1")["pid"].as_i64().filter(|new| *new != i64::from(pid))
    });
    assert_ne!(again, i64::from(pid));
    fleet.until("api.1", "ready");
}
