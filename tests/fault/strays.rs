//! Copies of services that were started outside: each kind is found, ended, and logged with its rule.

use std::fs;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::oracle::{self, Oracle};
use super::outside::{self, Outside, SOURCE};
use super::report;
use crate::support::{Fleet, eventually};

fn rule(strays: &Value, pid: i32) -> Option<String> {
    let found = strays["strays"].as_array().unwrap().iter().find(|stray| stray["pid"] == pid)?;
    assert_eq!((&found["action"], &found["veto"]), (&Value::from("kill"), &Value::Null), "{found}");
    Some(found["rule"].as_str().unwrap().to_owned())
}

#[test]
fn every_kind_is_ended() {
    let fleet = Fleet::new();
    fleet.go_service("api", SOURCE);
    let api = fleet.path("api");
    let go_run = |args: &[&str]| outside::command(&fleet, "go", args, &api);
    let mut strays = vec![
        (Outside::start(&fleet, "go run main.go", go_run(&["run", "main.go"])), "P3"),
        (Outside::start(&fleet, "go run .", go_run(&["run", "."])), "P3"),
        (Outside::start(&fleet, "a second go run .", go_run(&["run", "."])), "P3"),
        (
            Outside::start(
                &fleet,
                "go run ./api",
                outside::command(&fleet, "go", &["run", "-C", "api", "."], fleet.root()),
            ),
            "P3",
        ),
        (Outside::start(&fleet, "the orphan of a killed go run", go_run(&["run", "-tags=x", "."])), "P3"),
    ];
    let cached = fs::read_link(format!("/proc/{}/exe", strays[2].0.pid)).unwrap();
    assert!(cached.starts_with(crate::support::toy::go_cache()), "{cached:?} is not from Go's cache");
    kill(Pid::from_raw(strays[4].0.child.id() as i32), Signal::SIGKILL).unwrap();
    outside::go(&fleet, &["build", "-o", "service", "main.go"], &api);
    outside::go(&fleet, &["build", "-o", "bin/old", "."], &api);
    let start = |what: &str, program: &str| Outside::start(&fleet, what, outside::command(&fleet, program, &[], &api));
    strays.push((start("./service", "./service"), "P1"));
    strays.push((start("a rebuilt binary", "./bin/old"), "P1"));
    // One that is stopped hears SIGTERM only when it goes on.
    strays.push((start("a stopped one", "./service"), "P1"));
    kill(Pid::from_raw(strays[7].0.pid), Signal::SIGSTOP).unwrap();
    fleet.write("api/more.go", "package main\n\nvar More = 1\n");
    outside::go(&fleet, &["build", "-o", "bin/old", "."], &api);
    let exe = fs::read_link(format!("/proc/{}/exe", strays[6].0.pid)).unwrap();
    assert!(exe.to_string_lossy().ends_with(" (deleted)"), "{exe:?}");

    if cfg!(feature = "faults") {
        // Compiles Go's own packages anew.
        outside::go(&fleet, &["build", "-trimpath", "-o", "/dev/null", "."], &api);
        strays.push((
            Outside::start(&fleet, "go run -trimpath main.go", go_run(&["run", "-trimpath", "main.go", "more.go"])),
            "P3",
        ));
    }
    let count = strays.len() + 1;

    let dry = fleet.orchestra(&["strays", "-o", "json"]).ok().json();
    for (stray, expected) in &strays {
        assert_eq!(rule(&dry, stray.pid).as_deref(), Some(*expected), "{}: {dry}", stray.what);
        assert!(stray.lives(), "`strays` ended {}", stray.what);
    }
    let began = Instant::now();
    let started = fleet.orchestra(&["start"]).ok();
    let took = began.elapsed();
    let log = fleet.orchestra(&["logs", "-o", "json", "api"]).ok().json_lines();
    let said = |pid: i32, rule: &str| {
        let words = format!("ended a stray: pid {pid} by rule {rule}, /");
        let in_log = log.iter().any(|line| {
            let text = line["line"].as_str().unwrap_or_default();
            line["stream"] == "orchestra"
                && text.contains(&words)
                && text.contains("argv `")
                && text.contains("parent pid ")
        });
        in_log && started.stderr.contains(&words)
    };
    for (stray, rule) in &mut strays {
        stray.ends();
        assert!(said(stray.pid, rule), "{} is not told of:\n{}", stray.what, started.stderr);
    }
    assert_eq!(fleet.orchestra(&["strays", "-o", "json"]).ok().json()["strays"], serde_json::json!([]));
    let oracle = Oracle::before(&fleet);

    // Also where the service is up already, and nothing of it changes.
    let pids = fleet.pids();
    let mut late = start("one beside the running service", "./service");
    fleet.orchestra(&["start"]).ok();
    late.ends();
    assert_eq!(fleet.pids(), pids);
    let events = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json()["events"].to_string();
    assert!(events.contains(&format!("ended a stray: pid {} by rule P1", late.pid)), "{events}");
    oracle.holds(&fleet);
    oracle::no_zombie(&fleet);
    report::record(
        34,
        format!(
            "{count} strays (go run of files, of the package, from Go's cache, orphaned; a binary, rebuilt, stopped): all ended, each logged with its rule; `start` took {} ms with its build",
            took.as_millis()
        ),
    );
}

#[test]
fn a_stubborn_one_is_killed_after_the_grace() {
    let fleet = Fleet::new();
    fleet.write("api/service.yml", "stop: {grace: 300ms}\n");
    fleet.go_service("api", SOURCE);
    let mut command = outside::command(&fleet, "go", &["run", "./api"], fleet.root());
    fleet.write("go.work", "go 1.22\n\nuse ./api\n");
    command.env("STAY", "1");
    let mut stray = Outside::start(&fleet, "a stray that ignores SIGTERM", command);
    let started = fleet.orchestra(&["start"]).ok();
    stray.ends();
    // It is woken too, and a program hears two signals that wait in any order.
    assert!(stray.signals().contains(&"terminated".to_owned()), "{:?}", stray.signals());
    let words = format!("killed a stray that did not end: pid {} by rule P3", stray.pid);
    assert!(started.stderr.contains(&words), "{}", started.stderr);
}

#[test]
fn what_the_project_says_is_done() {
    for policy in ["report", "ask"] {
        let fleet = Fleet::new();
        fleet.write("orchestra.yml", format!("strays: {policy}\n"));
        fleet.go_service("api", SOURCE);
        outside::go(&fleet, &["build", "-o", "service", "."], &fleet.path("api"));
        let command = outside::command(&fleet, "./service", &[], &fleet.path("api"));
        let stray = Outside::start(&fleet, "./service", command);
        let dry = fleet.orchestra(&["strays", "-o", "json"]).ok().json();
        assert_eq!((&dry["policy"], &dry["strays"][0]["action"]), (&policy.into(), &policy.into()));
        // Without a terminal nobody can be asked.
        let started = fleet.orchestra(&["start"]).ok();
        assert!(started.stderr.contains(&format!("left a stray alone (`strays: {policy}`")), "{}", started.stderr);
        assert!(stray.lives() && stray.signals().is_empty());
        let events = fleet.orchestra(&["why", "api", "-o", "json"]).ok().json()["events"].to_string();
        assert!(events.contains(&format!("pid {} by rule P1", stray.pid)), "{events}");
        fleet.orchestra(&["stop"]).ok();
    }
}

#[test]
fn a_terminal_is_asked() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "strays: ask\n");
    fleet.go_service("api", SOURCE);
    outside::go(&fleet, &["build", "-o", "service", "."], &fleet.path("api"));
    for (answer, ended) in [("n", false), ("y", true)] {
        let command = outside::command(&fleet, "./service", &[], &fleet.path("api"));
        let mut stray = Outside::start(&fleet, "./service", command);
        let mut start = fleet.command(&["start"]);
        let (asked, shown) = at_a_terminal(&mut start, answer);
        assert!(asked.contains("end them? [y/N]") && asked.contains(&format!("pid {}", stray.pid)), "{asked}{shown}");
        if ended {
            stray.ends();
        } else {
            assert!(stray.lives() && stray.signals().is_empty(), "{shown}");
        }
        fleet.orchestra(&["stop"]).ok();
    }
}

/// Runs a command at a pseudo-terminal and types `answer` when it asks; what stood there before, and all.
fn at_a_terminal(command: &mut std::process::Command, answer: &str) -> (String, String) {
    use std::io::{Read, Write};
    use std::sync::{Arc, Mutex};
    let pty = nix::pty::openpty(None, None).unwrap();
    let slave = || std::process::Stdio::from(pty.slave.try_clone().unwrap());
    let mut child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    drop(pty.slave);
    // The command holds copies of the other end until it is told anew.
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut master = fs::File::from(pty.master);
    let mut reader = master.try_clone().unwrap();
    let shown = Arc::new(Mutex::new(String::new()));
    let into = shown.clone();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    let asked =
        eventually("the question", || Some(shown.lock().unwrap().clone()).filter(|text| text.contains("[y/N]")));
    writeln!(master, "{answer}").unwrap();
    eventually("its end", || child.try_wait().unwrap());
    thread.join().unwrap();
    let all = shown.lock().unwrap().clone();
    (asked, all)
}

#[test]
fn folders_of_every_kind_are_known() {
    let fleet = Fleet::new();
    // One folder is a link, one holds its package deeper, and two services share that.
    fleet.go_service("api", SOURCE);
    let real = fleet.root().parent().unwrap().join("real");
    fs::rename(fleet.path("api"), &real).unwrap();
    std::os::unix::fs::symlink(&real, fleet.path("api")).unwrap();
    fleet.write("web/go.mod", "module example.com/web\n\ngo 1.22\n");
    fleet.write("web/cmd/web/main.go", SOURCE);
    fleet.write("web/service.yml", "package: ./cmd/web\n");
    fleet.write("webtoo/service.yml", "package: ../web/cmd/web\nenabled: false\n");
    outside::go(&fleet, &["build", "-o", "service", "."], &real);
    let start = |what: &str, program: &str, args: &[&str], dir: &std::path::Path| {
        Outside::start(&fleet, what, outside::command(&fleet, program, args, dir))
    };
    let web = fleet.path("web");
    let mut strays = [
        (start("behind a link", "./service", &[], &real), "P1"),
        (start("by its link", fleet.path("api/service").to_str().unwrap(), &[], fleet.root()), "P1"),
        (start("a package below", "go", &["run", "./cmd/web"], &web), "P3"),
        (start("the package's own folder", "go", &["run", "."], &web.join("cmd/web")), "P3"),
        (start("by its import path", "go", &["run", "example.com/web/cmd/web"], &web), "P3"),
    ];
    let dry = fleet.orchestra(&["strays", "-o", "json"]).ok().json();
    for (stray, expected) in &strays {
        assert_eq!(rule(&dry, stray.pid).as_deref(), Some(*expected), "{}: {dry}", stray.what);
    }
    fleet.orchestra(&["start"]).ok();
    strays.iter_mut().for_each(|(stray, _)| stray.ends());

    // What orchestra built: a copy of a run that has ended is its remains, the same program by hand is somebody's wish.
    let exe = fs::read_link(format!("/proc/{}/exe", fleet.pid("api.1"))).unwrap();
    let project = fleet.runtime().file_name().unwrap().to_str().unwrap().to_owned();
    let run = |what: &str, number: Option<u32>| {
        let mut command = outside::command(&fleet, exe.to_str().unwrap(), &[], &real);
        number.map(|number| command.env("ORCHESTRA_RUN", format!("{project}/api/{number}/0123")));
        Outside::start(&fleet, what, command)
    };
    let mut remains = run("what a dead copy left", Some(9));
    let (by_hand, ours) = (run("our binary by hand", None), run("a child of a living copy", Some(1)));
    let pids = fleet.pids();
    let dry = fleet.orchestra(&["strays", "-o", "json"]).ok().json();
    assert_eq!(rule(&dry, remains.pid).as_deref(), Some("P2"), "{dry}");
    fleet.orchestra(&["start"]).ok();
    remains.ends();
    assert!(by_hand.lives() && ours.lives() && by_hand.signals().is_empty() && ours.signals().is_empty());
    assert_eq!(fleet.pids(), pids);
}
