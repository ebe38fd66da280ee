//! Nasty output and stubborn ends while edits are taken up.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::stage::{Stage, until_all_answer};
use super::{record, repeat, spread};
use crate::support::eventually;

/// Says 300 KB in one line, bytes that are no text, and, when it ends, an open colour without a newline.
const LOUD: &str = r#"package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func init() {
	fmt.Println("\x1b[31m" + strings.Repeat("x", 300*1024))
	os.Stdout.Write([]byte{0xff, 0xfe, 0, 0x1b, ']', '0', ';', 7, '\n'})
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	go func() {
		<-terms
		fmt.Print("\x1b[41;1mbye " + version)
		os.Exit(0)
	}()
}
"#;

const IGNORES: &str = "package main\n\nimport (\n\t\"os/signal\"\n\t\"syscall\"\n)\n\nfunc init() { signal.Ignore(syscall.SIGTERM, syscall.SIGINT) }\n";

#[test]
fn that_bleeds() {
    let stage = Stage::new();
    let (loud, quiet) = (stage.web("loud", ""), stage.web("quiet", ""));
    loud.write("loud.go", LOUD);
    stage.start(&[]);
    let mut versions = vec!["v1".to_owned()];
    let swaps = repeat(2, |_| {
        let swap = loud.swaps();
        versions.push(loud.answer().unwrap());
        quiet.swaps();
        swap
    });
    let lines = stage.log("loud", "stdout");
    let long = lines.iter().filter(|line| line.contains(&"x".repeat(1000))).map(String::len).sum::<usize>();
    assert!(long >= versions.len() * 300 * 1024, "{long} bytes of {} long lines", versions.len());
    for version in &versions[..versions.len() - 1] {
        assert!(lines.iter().any(|line| line.ends_with(&format!("bye {version}"))), "the last words of {version}");
    }
    let shown = stage.fleet.orchestra(&["logs", "--color", "always"]).ok().stdout;
    for line in shown.lines().filter(|line| line.contains("\x1b[41;1m") || line.contains("xxxx")) {
        assert!(
            line.ends_with("\x1b[0m") || line.ends_with("\x1b[m"),
            "an open colour: {:?}",
            &line[line.len().saturating_sub(60)..]
        );
    }
    assert_eq!(quiet.ups().len(), 1 + swaps.len());
    record(
        32,
        swaps.len(),
        "300 KB lines, binary bytes, last words without a newline: whole in the log, colours closed at each line",
    );
}

#[test]
fn ctrl_c_with_three_stubborn_services() {
    let times = repeat(1, |_| {
        let stage = Stage::new();
        let all = ["one", "two", "three"].map(|name| stage.web(name, "stop: {grace: 1s}"));
        all.iter().for_each(|web| web.write("ignores.go", IGNORES));
        let start = stage.starting(&["--attach"]);
        until_all_answer(&all, "v1");
        all[0].swaps();
        eventually("start to be in front", || stage.fleet.until("three.1", "ready")["pid"].as_i64());
        let began = Instant::now();
        start.signal(Signal::SIGINT);
        let output = start.wait(Duration::from_secs(60));
        eventually("nothing to be left", || stage.fleet.processes().is_empty().then_some(()));
        assert_ne!(output.code, Some(0), "it was interrupted: {}", output.stderr);
        began.elapsed()
    });
    let again = repeat(1, |_| {
        let stage = Stage::new();
        let all = ["one", "two", "three"].map(|name| stage.web(name, "stop: {grace: 10m}"));
        all.iter().for_each(|web| web.write("ignores.go", IGNORES));
        let start = stage.starting(&["--attach"]);
        until_all_answer(&all, "v1");
        start.signal(Signal::SIGINT);
        for web in &all {
            stage.fleet.until(&web.id(), "stopping");
        }
        let began = Instant::now();
        start.signal(Signal::SIGINT);
        start.wait(Duration::from_secs(60));
        eventually("nothing to be left", || stage.fleet.processes().is_empty().then_some(()));
        began.elapsed()
    });
    record(
        33,
        times.len() + again.len(),
        &format!(
            "grace 1 s: Ctrl-C → nothing left {}; grace 10 min: second Ctrl-C → nothing left {}",
            spread(times),
            spread(again)
        ),
    );
}
