//! Edits while something is under way: a build, the end of the old copy, the first start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::calls::Call;
use super::stage::{Stage, Web};
use super::{record, repeat, spread};
use crate::fault::proc::is_there;
use crate::support::eventually;

/// Ends only once the file `linger` of the project is gone.
const LINGER: &str = r#"package main

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
		println("ending")
		for {
			if _, err := os.Stat("../linger"); err != nil {
				os.Exit(0)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
}
"#;

/// Waits for the `n`th build since the test began to look.
#[track_caller]
fn begun(web: &Web<'_>, past: &super::stage::Past, n: usize) -> Call {
    eventually(&format!("build {n}"), || web.builds_since(past).get(n - 1).cloned())
}

/// How long until this process is gone.
#[track_caller]
fn until_gone(pid: i32) -> Duration {
    let began = Instant::now();
    while is_there(pid) {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "process {pid} of a build that is of no use any more goes on"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

#[test]
fn twice_during_a_build() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let mut aborts = Vec::new();
    let times = repeat(2, |_| {
        let past = api.past();
        stage.go.hold("build");
        let mut version = stage.next_version();
        api.save(&version);
        for n in 1..=2 {
            let build = begun(&api, &past, n);
            version = stage.next_version();
            api.save(&version);
            aborts.push(until_gone(build.pid));
        }
        begun(&api, &past, 3);
        stage.go.release("build");
        api.until_answered(&version);
        stage.rest();
        let builds = api.builds_since(&past);
        let good: Vec<&Call> = builds.iter().filter(|build| build.is_good()).collect();
        assert_eq!(good.len(), 1, "good builds: {builds:#?}");
        assert!(builds.iter().all(|build| !build.beside), "two builds at once: {builds:#?}");
        api.started(&past, &[&version]);
    });
    record(
        7,
        times.len(),
        &format!("2 edits during builds, 1 good build, 1 restart; edit → `go` gone {}", spread(aborts)),
    );
}

/// What a build reads is written anew with the very bytes that are there: the build is of use.
#[test]
fn without_a_change_during_a_build() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let times = repeat(1, |_| {
        let (past, version) = (api.past(), stage.next_version());
        stage.go.hold("build");
        api.save(&version);
        begun(&api, &past, 1);
        api.save(&version);
        stage.go.release("build");
        api.until_answered(&version);
        stage.rest();
        api.did(&past, 1, &[&version]);
    });
    record(7, times.len(), "the same bytes again: the build goes on");
}

/// Not `go` alone has to go, but all that it started.
#[test]
fn the_compiler_goes_with_its_build() {
    let stage = Stage::new();
    let tool = stage.fleet.path("../tool.sh");
    let hold = stage.fleet.path("../hold-tools");
    fs::write(
        &tool,
        format!(
            "#!/bin/sh\ncase \"$*\" in *-V=full*) exec \"$@\" ;; esac\nwhile [ -e '{}' ]; do sleep 0.02; done\nexec \"$@\"\n",
            hold.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let tool = tool.parent().unwrap().canonicalize().unwrap().join("tool.sh");
    let api = stage.web("api", &format!("build: {{flags: ['-toolexec={}']}}", tool.display()));
    stage.start(&[]);
    let tools = || -> Vec<i32> {
        let ours = stage.fleet.processes();
        ours.iter()
            .filter(|process| process.command.contains("tool.sh") && process.command.contains("compile"))
            .map(|process| process.pid)
            .collect()
    };
    let times = repeat(2, |_| {
        let past = api.past();
        fs::write(&hold, "").unwrap();
        api.save(&stage.next_version());
        let compilers = eventually("a compiler", || Some(tools()).filter(|tools| !tools.is_empty()));
        let version = stage.next_version();
        api.save(&version);
        let took = compilers.into_iter().map(until_gone).max().unwrap_or_default();
        fs::remove_file(&hold).unwrap();
        api.until_answered(&version);
        api.started(&past, &[&version]);
        assert!(api.builds_since(&past).iter().all(|build| !build.beside));
        took
    });
    record(7, times.len(), &format!("edit → compiler gone {}", spread(times)));
}

#[test]
fn while_the_old_copy_ends() {
    let stage = Stage::new();
    let api = stage.web("api", "stop: {grace: 60s}");
    api.write("linger.go", LINGER);
    stage.start(&[]);
    let times = repeat(2, |round| {
        let past = api.past();
        let (second, third) = (stage.next_version(), stage.next_version());
        stage.fleet.write("linger", "");
        api.save(&second);
        let ending = || stage.fleet.lines(&["api"]).iter().filter(|line| *line == "ending").count();
        eventually("the old copy to be told", || (ending() > round).then_some(()));
        api.save(&third);
        eventually("the newest code to be built", || {
            (api.builds_since(&past).iter().filter(|build| build.is_good()).count() == 2).then_some(())
        });
        fs::remove_file(stage.fleet.path("linger")).unwrap();
        api.until_answered(&third);
        stage.rest();
        api.did(&past, 2, &[&third]);
        assert_eq!(ending(), round + 1, "nobody was ended but the old copy");
    });
    record(8, times.len(), "2 builds, 1 restart: the newest code");
}

/// An edit before `start --rerun` has come back is not missed.
#[test]
fn during_the_first_build() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    let version = stage.next_version();
    stage.go.hold("build.api");
    let start = stage.starting(&[]);
    eventually("the first build", || api.builds().pop());
    api.save(&version);
    stage.go.release("build.api");
    start.wait(Duration::from_secs(120)).ok();
    api.until_answered(&version);
    stage.rest();
    assert_eq!(api.ups().last(), Some(&version));
    assert!(api.ups().len() <= 2, "{:?}", api.ups());
    record(7, 1, "an edit during the first build of `start --rerun` serves");
}
