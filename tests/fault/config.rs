//! Files that are wrong in every way, met by a fleet that runs.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::oracle::Oracle;
use super::report;
use crate::support::output::Output;
use crate::support::{Fleet, eventually};

/// One wrong file: what it is, which, its bytes, and what must be said about it.
type Wrong = (&'static str, &'static str, Vec<u8>, &'static str);

fn wrong() -> Vec<Wrong> {
    let bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        (1..=9).for_each(|n| text += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
        text
    };
    let api = "api/service.yml";
    let project = "orchestra.yml";
    vec![
        ("alias bomb 9^9", api, bomb.clone().into(), "api/service.yml:"),
        ("alias bomb in the project", project, bomb.into(), "orchestra.yml:"),
        ("100 000 levels of [", api, format!("args: {}", "[".repeat(100_000)).into(), "api/service.yml:1"),
        ("100 000 levels of mappings", api, "{a: ".repeat(15_000).into(), "api/service.yml:1"),
        (
            "100 000 levels on lines",
            api,
            (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>().into(),
            "api/service.yml:",
        ),
        ("a tab", api, "env:\n\tA: b\n".into(), "api/service.yml:2:1"),
        ("a key twice", api, "scale: 1\nenv: {}\nscale: 2\n".into(), "api/service.yml:3:1"),
        ("an unknown key", api, "command: [x]\ndepend_on: [b]\n".into(), "did you mean"),
        ("a byte order mark before a mistake", api, "\u{feff}scal: 1\n".into(), "api/service.yml:1:1"),
        ("CRLF before a mistake", api, "scale: 1\r\nscal: 1\r\n".into(), "api/service.yml:2:1"),
        ("100 MB", api, vec![b'#'; 100 << 20], "api/service.yml:1:1: the file is too large"),
        ("100 MB of project", project, vec![b'#'; 100 << 20], "orchestra.yml:1:1: the file is too large"),
        ("no UTF-8", api, b"description: caf\xe9\n".to_vec(), "api/service.yml:1:17"),
        ("UTF-16", api, b"\xff\xfea\x00:\x00".to_vec(), "UTF-16"),
        ("NUL bytes", api, vec![0; 4096], "api/service.yml:1"),
        ("a cycle", api, "command: [x]\ndepends_on: [other]\n".into(), "other"),
        ("a need of itself", api, "command: [x]\ndepends_on: [api]\n".into(), "api"),
        ("scale -1", api, "command: [x]\nscale: -1\n".into(), "api/service.yml:2:8"),
        ("scale 10^9", api, "command: [x]\nscale: 1000000000\n".into(), "api/service.yml:2:8"),
        ("scale 10^30", api, format!("command: [x]\nscale: 1{}\n", "0".repeat(30)).into(), "api/service.yml:2:8"),
        ("a list", api, "- a\n- b\n".into(), "api/service.yml:1:1"),
        ("two documents", api, "scale: 1\n---\nscale: 2\n".into(), "api/service.yml:"),
        ("a line of a megabyte", api, format!("description: {}\n", "x".repeat(1_000_000)).into(), "api/service.yml:1"),
    ]
}

#[test]
fn a_running_fleet_survives_every_wrong_file() {
    let fleet = Fleet::new();
    let good = |name: &str, yaml: &str| fleet.toy(name, &["-tick", "1s"], yaml);
    good("api", "");
    good("other", "depends_on: [api]");
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids, supervisor) = (Oracle::before(&fleet), fleet.pids(), fleet.supervisor());
    let before = peak(supervisor);
    let mut took: Vec<Duration> = Vec::new();
    let commands = [&["start"][..], &["restart", "other"], &["scale", "api=2"]];
    // All three of them in the long suite; each in its turn otherwise.
    let each = if cfg!(feature = "faults") { 3 } else { 1 };
    for (n, (what, path, bytes, said)) in wrong().into_iter().enumerate() {
        let kept = std::fs::read(fleet.path(path)).unwrap();
        fleet.write(path, bytes);
        for command in commands.iter().cycle().skip(n).take(each) {
            let output = within_50_mib(&fleet, command).exits(2);
            assert!(output.stderr.contains(said), "{what}: {command:?} says\n{}", output.stderr);
            assert!(output.stderr.len() < 64 * 1024, "{what}: {} bytes are said", output.stderr.len());
            took.push(output.took);
        }
        assert_eq!(fleet.pids(), pids, "{what}");
        fleet.write(path, kept);
    }
    let grown = peak(supervisor) - before;
    assert!(grown < 50 * 1024, "{grown} KiB");
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], *took.last().unwrap());
    assert!(worst < Duration::from_secs(10), "{worst:?}");
    last_good_serves(&fleet);
    oracle.holds(&fleet);
    what_is_no_mistake(&fleet);
    fleet.orchestra(&["stop"]).ok();
    report::record(
        37,
        format!(
            "{} wrong files under a running fleet, {} commands, at most 50 MiB of data: told with place, median {} ms, worst {} ms; same pids, the last good configuration serves, supervisor +{grown} KiB",
            wrong().len(),
            took.len(),
            median.as_millis(),
            worst.as_millis()
        ),
    );
}

/// Runs a command that may not have more than 50 MiB of memory of its own.
fn within_50_mib(fleet: &Fleet, args: &[&str]) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={}", 50 << 20)).arg(env!("CARGO_BIN_EXE_orchestra")).args(args);
    let template = fleet.command(&[]);
    command.current_dir(fleet.root()).env_clear().envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
    fleet.run(command)
}

/// While a file is wrong, a crash is mended and what can do without it works.
fn last_good_serves(fleet: &Fleet) {
    let kept = std::fs::read(fleet.path("api/service.yml")).unwrap();
    fleet.write("api/service.yml", "{");
    let old = fleet.pid("api.1");
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    eventually("another copy", || {
        let pid = fleet.instance("api.1")["pid"].as_i64();
        pid.filter(|pid| *pid != i64::from(old))
    });
    fleet.until("api.1", "ready");
    assert!(fleet.orchestra(&["ps"]).ok().stderr.contains("the configuration has problems"));
    assert!(fleet.orchestra(&["why", "api"]).ok().stdout.contains("api"));
    assert!(fleet.orchestra(&["logs", "api"]).ok().stdout.contains("tick"));
    fleet.orchestra(&["stop", "other"]).ok();
    fleet.write("api/service.yml", kept);
    fleet.orchestra(&["start"]).ok();
}

/// An empty file, a scale of 0, a byte order mark and CRLF are none.
fn what_is_no_mistake(fleet: &Fleet) {
    let kept = std::fs::read_to_string(fleet.path("api/service.yml")).unwrap();
    fleet.write("api/service.yml", format!("\u{feff}{}scale: 0\r\n", kept.replace('\n', "\r\n")));
    fleet.orchestra(&["scale", "api=0"]).ok();
    fleet.write("orchestra.yml", "");
    fleet.orchestra(&["start", "other", "--no-deps"]).ok();
    fleet.write("api/service.yml", kept);
}

/// Kibibytes a process has had resident at most.
fn peak(pid: i32) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
