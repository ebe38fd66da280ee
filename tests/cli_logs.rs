//! `logs`: everything a service wrote, told apart by stream, merged by arrival, cut and filtered as asked.

use std::time::Duration;

use crate::support::{Fleet, eventually};

/// Jobs leave their logs behind and nothing running: the simplest fleet to read logs of.
fn written(args: &[&str]) -> Fleet {
    let fleet = Fleet::new();
    fleet.toy("api", &[args, &["-exit-in", "0s"]].concat(), "type: job");
    fleet.orchestra(&["start"]).ok();
    fleet
}

#[test]
fn json_is_as_the_contract_says() {
    let fleet = written(&["-say", "to stdout"]);
    let lines = fleet.orchestra(&["logs", "-o", "json"]).ok().json_lines();
    let line = lines.iter().find(|l| l["stream"] == "stdout").unwrap();
    let keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["time", "service", "instance", "run", "stream", "line"]);
    assert_eq!(line["service"], "api");
    assert_eq!(line["instance"], 1);
    assert!(line["run"].is_u64());
    assert_eq!(line["line"], "to stdout");
    assert_eq!(line["time"].as_str().unwrap().len(), "2026-01-02T03:04:05.678901Z".len());
}

#[test]
fn streams_are_told_apart() {
    let fleet = written(&["-say", "out", "-warn", "err"]);
    let lines = fleet.orchestra(&["logs", "-o", "json"]).ok().json_lines();
    let of =
        |stream: &str| lines.iter().filter(|l| l["stream"] == stream).map(|l| l["line"].clone()).collect::<Vec<_>>();
    assert_eq!(of("stdout"), ["out"]);
    assert_eq!(of("stderr"), ["err"]);
}

#[test]
fn text_has_padded_names_and_numbers_only_where_there_are_several() {
    let fleet = Fleet::new();
    fleet.toy("a", &["-say", "one"], "");
    fleet.toy("longer", &["-say", "two"], "scale: 2");
    fleet.orchestra(&["start"]).ok();
    let logs = fleet.orchestra(&["logs"]).ok();
    let mut lines: Vec<_> = logs.stdout.lines().filter(|l| l.ends_with("one") || l.ends_with("two")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a        | one", "longer.1 | two", "longer.2 | two"]);
}

#[test]
fn nothing_is_lost_not_even_the_last_line_without_a_newline() {
    let fleet = written(&["-lines", "2000", "-ending", "the end"]);
    let lines = fleet.lines(&[]);
    assert_eq!(lines.len(), 2001);
    assert_eq!(lines[1999], "line 002000");
    assert_eq!(lines[2000], "the end");
}

#[test]
fn n_counts_merged_lines() {
    let fleet = written(&["-lines", "50"]);
    let logs = fleet.orchestra(&["logs", "-n", "3", "--grep", "line"]).ok();
    assert_eq!(logs.stdout, "api | line 000048\napi | line 000049\napi | line 000050\n");
}

#[test]
fn grep_and_exclude() {
    let fleet = written(&["-lines", "30"]);
    let logs = fleet.orchestra(&["logs", "--grep", "line 0000[12]", "--exclude", "[2-9]$"]).ok();
    assert_eq!(logs.stdout, "api | line 000010\napi | line 000011\napi | line 000020\napi | line 000021\n");
    let bad = fleet.orchestra(&["logs", "--grep", "("]).exits(2);
    assert!(bad.stderr.contains('('), "{}", bad.stderr);
}

#[test]
fn since_and_until() {
    let fleet = written(&["-say", "old"]);
    assert!(fleet.orchestra(&["logs", "--since", "10m"]).ok().stdout.contains("old"));
    assert!(!fleet.orchestra(&["logs", "--until", "10m"]).ok().stdout.contains("old"));
    assert!(!fleet.orchestra(&["logs", "--since", "2999-01-01T00:00:00Z"]).ok().stdout.contains("old"));
    fleet.orchestra(&["logs", "--since", "yesterday-ish"]).exits(2);
}

#[test]
fn level() {
    let fleet = written(&["-say", "level=INFO msg=fine", "-warn", "level=ERROR msg=broken"]);
    let logs = fleet.orchestra(&["logs", "--level", "error"]).ok();
    assert!(logs.stdout.contains("broken") && !logs.stdout.contains("fine"), "{}", logs.stdout);
}

#[test]
fn binary_bytes_come_back_as_they_were() {
    let fleet = written(&["-raw", r"a\xff\x00b\n"]);
    let lines = fleet.orchestra(&["logs", "-o", "json"]).ok().json_lines();
    let line = lines.iter().find(|l| l["stream"] == "stdout").unwrap();
    assert_eq!(line["base64"], "Yf8AYg==");
    assert_eq!(line.get("line"), None);
    assert_eq!(fleet.orchestra(&["logs", "--raw"]).ok().bytes, b"a\xff\x00b\n");
}

#[test]
fn what_a_service_prints_cannot_reach_the_terminal() {
    let fleet = written(&["-raw", r"\x1b]0;title\x07plain\x1b[2J\n"]);
    let logs = fleet.orchestra(&["logs", "--color", "always"]).ok();
    assert!(!logs.stdout.contains("\x1b]0") && !logs.stdout.contains("\x1b[2J"), "{:?}", logs.stdout);
    assert!(logs.stdout.contains("plain"));
}

#[test]
fn a_long_line_comes_whole() {
    let fleet = written(&["-long", "300000"]);
    let raw = fleet.orchestra(&["logs", "--raw"]).ok();
    assert_eq!(raw.bytes.len(), 300_001);
    let pieces = fleet.orchestra(&["logs", "-o", "json"]).ok().json_lines();
    let pieces: Vec<_> = pieces.iter().filter(|l| l["stream"] == "stdout").collect();
    let bytes: usize = pieces.iter().map(|p| p["line"].as_str().unwrap().len()).sum();
    assert_eq!(bytes, 300_000);
    let (last, others) = pieces.split_last().unwrap();
    assert!(others.iter().all(|p| p["partial"] == true));
    assert_eq!(last.get("partial"), None);
}

#[test]
fn follow_begins_with_the_last_ten_and_goes_on() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-lines", "30", "-tick", "50ms"], "");
    fleet.orchestra(&["start"]).ok();
    let follow = fleet.background(&["logs", "-f", "-o", "json"]);
    eventually("twenty lines", || (follow.so_far().lines().count() >= 20).then_some(()));
    follow.signal(nix::sys::signal::Signal::SIGINT);
    let output = follow.wait(Duration::from_secs(20));
    let ticks: Vec<u64> =
        output.json_lines().iter().filter_map(|l| l["line"].as_str()?.strip_prefix("tick ")?.parse().ok()).collect();
    assert!(ticks.windows(2).all(|w| w[1] == w[0] + 1), "{ticks:?}");
    assert!(ticks.len() >= 10, "{ticks:?}");
}

#[test]
fn follow_outlives_a_stop_and_a_start() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "begun"], "");
    fleet.orchestra(&["start"]).ok();
    let follow = fleet.background(&["logs", "-f", "-n", "0", "-o", "json"]);
    fleet.orchestra(&["restart"]).ok();
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    eventually("the lines of two more runs", || (follow.so_far().matches("\"begun\"").count() == 2).then_some(()));
    follow.signal(nix::sys::signal::Signal::SIGINT);
    follow.wait(Duration::from_secs(20));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fleet = written(&["-lines", "20000"]);
    let program = env!("CARGO_BIN_EXE_orchestra");
    let mut shell = std::process::Command::new("bash");
    let command = fleet.command(&[]);
    shell.current_dir(fleet.root()).env_clear();
    shell.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    shell.args(["-c", &format!("set -o pipefail; '{program}' logs | head -n 1; echo ${{PIPESTATUS[0]}}")]);
    let output = fleet.run(shell).ok();
    assert_eq!(output.stdout.lines().last().unwrap(), "0", "{}", output.stderr);
    assert_eq!(output.stderr, "");
}

#[test]
fn selects_instances() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-env", "ORCHESTRA_INSTANCE"], "scale: 2");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.lines(&["api.2"]), ["ORCHESTRA_INSTANCE=2"]);
    let both = fleet.lines(&["api"]);
    assert_eq!(both.len(), 2);
}

#[test]
fn timestamps_when_asked() {
    let fleet = written(&["-say", "hello"]);
    let logs = fleet.orchestra(&["logs", "--timestamps", "--grep", "hello"]).ok();
    assert_eq!(crate::support::output::stable(&logs.stdout, &[]).matches("[time]").count(), 1, "{}", logs.stdout);
}
