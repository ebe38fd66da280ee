//! Nothing left to open a file with, in the supervisor and in a shim.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::oracle::{self, Oracle};
use super::report;
use crate::support::{Fleet, eventually};

const LIMIT: u32 = 40;
const SERVICES: usize = 30;

#[test]
fn a_supervisor_without_descriptors_degrades_and_recovers() {
    let fleet = Fleet::new();
    for n in 0..SERVICES {
        fleet.write(
            &format!("s{n:02}/service.yml"),
            "command: [sh, -c, 'ulimit -Sn; ulimit -Hn; exec sleep 1000']\nrestart: always\n",
        );
    }
    let mut supervisor = limited_supervisor(&fleet);
    let first = supervisor.id() as i32;
    // It goes when its time comes; nobody else reaps it.
    let reaper = std::thread::spawn(move || supervisor.wait());
    let started = fleet.run(limited(&fleet, "555:1111", &["start", "--timeout", "10s"])).exits(1);
    assert!(started.stderr.contains("too many open files"), "{}", started.stderr);
    assert!(started.stderr.contains("ulimit -Hn"), "{}", started.stderr);
    assert_eq!(fleet.supervisor(), first);
    let up = fleet.pids();
    assert!(up.len() >= 5 && up.len() < SERVICES, "{} run", up.len());
    // Its hard limit is not the services' limit.
    let service = |slot: &String| slot.split('.').next().unwrap().to_owned();
    let said = fleet.lines(&[up[0].0.split('.').next().unwrap()]);
    assert_eq!(said[..2], if may_raise() { ["555", "1111"] } else { ["40", "40"] });

    // No exit is lost, and waiting costs nothing.
    let (victim, old) = up[0].clone();
    kill(Pid::from_raw(old as i32), Signal::SIGKILL).unwrap();
    eventually("the death to be seen", || {
        let why = fleet.orchestra(&["why", &service(&victim), "-o", "json"]).ok().json();
        why["exits"].as_array()?.iter().any(|exit| exit["signal"] == 9).then_some(())
    });
    let busy = cpu(first);
    std::thread::sleep(Duration::from_secs(1));
    let busy = cpu(first) - busy;
    assert!(busy < Duration::from_millis(700), "{busy:?} of one second");

    // A new one, limited alike by the shim that starts it, takes over all it can and harms none.
    let up = fleet.pids();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    reaper.join().unwrap().unwrap();
    let second = eventually("another supervisor", || {
        fleet.ps()["supervisor"]["pid"].as_i64().map(|pid| pid as i32).filter(|pid| *pid != first)
    });
    let still = |up: &[(String, i64)]| {
        up.iter().filter(|copy| oracle::marked(&fleet).iter().any(|p| i64::from(p.pid) == copy.1)).count()
    };
    assert_eq!(still(&up), up.len(), "all run on");

    let (first_ones, others): (Vec<String>, Vec<String>) =
        (0..SERVICES).map(|n| format!("s{n:02}")).partition(|name| up.iter().any(|(slot, _)| service(slot) == *name));
    let words = |verb, names: &[String]| -> Vec<String> {
        std::iter::once(verb).chain(names.iter().map(String::as_str)).map(Into::into).collect()
    };
    let run = |words: Vec<String>| fleet.orchestra(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let more = if may_raise() {
        set_limit(second, "1024");
        run(words("start", &[])).ok();
        assert_eq!(fleet.pids().len(), SERVICES);
        assert_eq!(still(&up), up.len(), "and were taken over");
        format!("with more descriptors all {SERVICES} run")
    } else {
        // Those that end make room for others; all others are still wanted and would take it at their next try.
        let (room, rest) = others.split_at(others.len().min(up.len() - 1));
        run(words("stop", rest)).ok();
        run(words("stop", &first_ones)).ok();
        assert_eq!(still(&up), 0);
        run(words("start", room)).ok();
        format!("once those were stopped {} others run (no right to raise a hard limit here)", room.len())
    };
    Oracle::before(&fleet).holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    report::record(
        17,
        format!(
            "limit of {LIMIT}: {} of {SERVICES} run, the rest says `too many open files`; ps, kill and the exit of a killed copy work at {} ms of CPU a second; its successor ended none; {more}",
            up.len(),
            busy.as_millis()
        ),
    );
}

/// A supervisor whose hard limit is low from its first moment, as that of its starter would make it.
fn limited_supervisor(fleet: &Fleet) -> Child {
    let mut command = limited(fleet, &format!("{LIMIT}:{LIMIT}"), &["__supervisor"]);
    let mut child =
        command.arg(fleet.root()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
    child
}

/// Root is not enough: containers often lack the capability.
fn may_raise() -> bool {
    let tried =
        Command::new("prlimit").args(["--nofile=40:40", "prlimit", "--nofile=100:100", "true"]).output().unwrap();
    tried.status.success()
}

#[test]
fn a_low_soft_limit_is_raised_for_the_supervisor_and_kept_for_services() {
    let fleet = Fleet::new();
    fleet.write(
        "s/service.yml",
        "command: [sh, -c, 'ulimit -Sn; ulimit -Hn; exec sleep 1000']\nscale: 20\nbefore: [[sh, -c, 'ulimit -Sn']]\n",
    );
    fleet.run(limited(&fleet, "40:2000", &["start"])).ok();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", fleet.supervisor())).unwrap();
    assert!(
        limits.lines().any(|line| line.split_whitespace().eq(["Max", "open", "files", "2000", "2000", "files"])),
        "{limits}"
    );
    let said = fleet.lines(&["s"]);
    assert_eq!(said.iter().filter(|line| *line == "40").count(), 40, "{said:?}");
    assert_eq!(said.iter().filter(|line| *line == "2000").count(), 20, "{said:?}");
    fleet.orchestra(&["stop"]).ok();
    report::record(
        17,
        "soft limit of 40, hard of 2000: the supervisor takes 2000, 20 services and their hooks keep 40",
    );
}

/// A command with a limit of open files, soft and hard.
fn limited(fleet: &Fleet, nofile: &str, args: &[&str]) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={nofile}")).arg(env!("CARGO_BIN_EXE_orchestra")).args(args);
    let template = fleet.command(&[]);
    command.current_dir(fleet.root()).env_clear().envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command
}

/// Sets the limit of a process that runs: `N` for both, `N:` for the soft one.
fn set_limit(pid: i32, nofile: &str) {
    let done = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={nofile}")]).status();
    assert!(done.unwrap().success());
}

/// What a process has used so far.
fn cpu(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|f| f.parse().unwrap()).collect();
    Duration::from_millis((fields[0] + fields[1]) * 10)
}

#[test]
fn a_shim_without_descriptors_loses_nothing_and_rests() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "logs: {keep: 8MiB}\n");
    fleet.toy("flood", &["-flood", "-pace", "20ms"], "");
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids) = (Oracle::before(&fleet), fleet.pids());
    let shim = shim_of(pids[0].1 as i32);
    // Its free numbers below what poll(2) itself needs are taken by callers; from there on nothing can be opened.
    let free = || (0..).find(|fd| !std::path::Path::new(&format!("/proc/{shim}/fd/{fd}")).is_symlink()).unwrap();
    let mut callers = Vec::new();
    while free() < 16 {
        let mut caller = BufReader::new(UnixStream::connect(fleet.runtime().join("flood.1.sock")).unwrap());
        caller.read_line(&mut String::new()).unwrap();
        callers.push(caller);
    }
    let open = free();
    let before = limit_of(shim);
    set_limit(shim, &format!("{open}:"));
    let began = Instant::now();
    let waiting: Vec<UnixStream> =
        (0..3).map(|_| UnixStream::connect(fleet.runtime().join("flood.1.sock")).unwrap()).collect();
    let busy = cpu(shim);
    // Its log needs another segment, for which it has no descriptor either.
    let folder = fleet.path(".orchestra/logs/flood/1");
    let segments = || {
        let entries =
            std::fs::read_dir(&folder).unwrap().flatten().map(|e| (e.file_name(), e.metadata().unwrap().len()));
        entries.collect::<std::collections::BTreeMap<_, _>>()
    };
    let names = segments().len();
    eventually("a segment to grow", || segments().values().any(|size| *size > 5 * 1024 * 1024 / 2).then_some(()));
    let (busy, over) = (cpu(shim) - busy, began.elapsed());
    assert_eq!(segments().len(), names, "no other segment");
    set_limit(shim, &format!("{before}:"));
    drop(callers);
    for stream in waiting {
        let mut line = String::new();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.starts_with("hello "), "{line}");
    }
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    let lines = oracle::no_line_lost(&fleet, "flood");
    assert!(busy < over * 7 / 10, "{busy:?} of {over:?}");
    report::record(
        17,
        format!(
            "a shim with no descriptor left: {lines} lines, 0 lost, {} % of a core beside the flood, callers answered once it has some again",
            busy.as_millis() * 100 / over.as_millis().max(1)
        ),
    );
}

fn shim_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn limit_of(pid: i32) -> u32 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}
