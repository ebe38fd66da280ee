//! Processes that do not go easily, ports that are held, a supervisor that is killed: all of it while edits are taken up.

use std::fs;
use std::net::TcpListener;

use super::stage::{Stage, Web};
use super::{record, repeat, saved, spread};
use crate::fault::hands::{kill_at_once, kill_everything};
use crate::fault::oracle::no_orphan;
use crate::support::eventually;

const IGNORES: &str = "package main\n\nimport (\n\t\"os/signal\"\n\t\"syscall\"\n)\n\nfunc init() { signal.Ignore(syscall.SIGTERM, syscall.SIGINT) }\n";

/// Listens for a while after it was told to end.
const TEARDOWN: &str = r#"package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func init() {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	go func() {
		<-terms
		time.Sleep(300 * time.Millisecond)
		os.Exit(0)
	}()
}
"#;

/// Says which children of copies before it are still there, then starts two of its own, one in a session of its own.
const FAMILY: &str = r#"package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

func init() {
	old, _ := os.ReadFile("../children")
	for _, pid := range strings.Fields(string(old)) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			fmt.Println("left:", pid)
		}
	}
	file, err := os.OpenFile("../children", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(err)
	for _, own := range []bool{false, true} {
		child := exec.Command("sleep", "1000")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: own}
		check(child.Start())
		fmt.Fprintln(file, child.Process.Pid)
	}
	check(file.Close())
}
"#;

/// Every copy so far could listen at once.
#[track_caller]
fn never_met_the_old_copy(stage: &Stage, web: &Web<'_>) {
    let said = stage.fleet.lines(&[&web.name]);
    assert!(!said.iter().any(|line| line.starts_with("serve:")), "{said:?}");
    assert_eq!(stage.fleet.instance(&web.id())["restarts"], 0);
}

#[test]
fn a_copy_that_ignores_signals() {
    let stage = Stage::new();
    let api = stage.web("api", "stop: {grace: 300ms}");
    api.write("ignores.go", IGNORES);
    stage.start(&[]);
    let swaps = repeat(2, |_| {
        let swap = api.swaps();
        let exit = &stage.fleet.instance("api.1")["last_exit"];
        assert_eq!(
            (exit["signal"].as_i64(), exit["reason"].as_str(), exit["killed"].as_bool()),
            (Some(9), Some("rerun"), Some(true)),
            "{exit}"
        );
        swap
    });
    never_met_the_old_copy(&stage, &api);
    record(23, swaps.len(), &format!("killed after its grace of 300 ms, then replaced; {}", saved(&swaps)));
}

#[test]
fn children_and_those_that_left_the_session() {
    let stage = Stage::new();
    let api = stage.web("api", "stop: {grace: 2s}");
    api.write("family.go", FAMILY);
    stage.start(&[]);
    let swaps = repeat(2, |_| api.swaps());
    let left: Vec<String> = stage.fleet.lines(&["api"]).into_iter().filter(|line| line.starts_with("left:")).collect();
    assert_eq!(left, Vec::<String>::new(), "children that were there when the next copy began");
    stage.fleet.orchestra(&["stop"]).ok();
    assert_eq!(stage.fleet.processes(), []);
    record(
        24,
        swaps.len(),
        "2 children each, 1 in a session of its own: gone before the next copy began, and after `stop`",
    );
}

#[test]
fn a_listener_in_teardown() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    api.write("teardown.go", TEARDOWN);
    stage.start(&[]);
    let swaps = repeat(2, |_| api.swaps());
    never_met_the_old_copy(&stage, &api);
    record(25, swaps.len(), &format!("it listened 300 ms longer: the new copy began after it; {}", saved(&swaps)));
}

/// A stranger has the port that a service is given by an edit.
#[test]
fn a_port_that_a_stranger_holds() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let yaml = fs::read_to_string(api.path("service.yml")).unwrap();
    let times = repeat(1, |_| {
        let held = stage.fleet.port();
        let stranger = TcpListener::bind(("127.0.0.1", held)).unwrap();
        api.write("service.yml", &format!("port: {held}\n"));
        eventually("the port to be told", || {
            (stage.fleet.instance("api.1")["last_exit"]["reason"] == "port").then_some(())
        });
        let why = stage.why("api");
        assert!(why["reasons"].to_string().contains(&format!("pid {}", std::process::id())), "{why:#}");
        drop(stranger);
        let version = stage.next_version();
        api.save(&version);
        stage.until_answered(held, &version);
        api.write("service.yml", &yaml);
        api.until_answered(&version);
    });
    record(
        25,
        times.len(),
        "a stranger on the port is named with its pid and left alone; free again, the next edit starts the service",
    );
}

#[test]
fn a_supervisor_that_is_killed() {
    let stage = Stage::new();
    let (api, other) = (stage.web("api", ""), stage.web("other", ""));
    stage.start(&[]);
    let pid = other.pid();
    let mut alone = Vec::new();
    let swaps = repeat(2, |_| {
        let (past, version) = (api.past(), stage.next_version());
        kill_at_once(stage.fleet.supervisor());
        // Nobody watches at this moment.
        api.save(&version);
        alone.push(api.until_answered(&version));
        stage.rest();
        api.started(&past, &[&version]);
        no_orphan(&stage.fleet);
        api.swaps()
    });
    assert_eq!(other.pid(), pid);
    kill_everything(&stage.fleet);
    stage.start(&[]);
    api.swaps();
    no_orphan(&stage.fleet);
    record(
        26,
        swaps.len(),
        &format!(
            "the same pids; an edit while no supervisor ran serves after {}; a later one: {}",
            spread(alone),
            saved(&swaps)
        ),
    );
}

/// It dies during a build, and what it was about to swap is swapped by the next one.
#[test]
fn a_supervisor_that_is_killed_during_a_build() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (past, version) = (api.past(), stage.next_version());
        stage.go.hold("build");
        api.save(&version);
        eventually("a build", || api.builds_since(&past).pop());
        kill_at_once(stage.fleet.supervisor());
        stage.go.release("build");
        let took = api.until_answered(&version);
        stage.rest();
        api.started(&past, &[&version]);
        took
    });
    record(26, times.len(), &format!("killed during a build: the new code serves after {}", spread(times)));
}
