//! Many services, many restarts, many lines, for long: nothing grows. Minutes, so only in the long suite.
//!
//! `ORCHESTRA_SOAK_SERVICES`, `ORCHESTRA_SOAK_RESTARTS` and `ORCHESTRA_SOAK_MINUTES` change how much.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::oracle::{self, Oracle};
use super::report;
use crate::support::Fleet;

fn asked(key: &str, usual: u64) -> u64 {
    std::env::var(key).ok().map_or(usual, |text| text.parse().unwrap())
}

/// What one process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// KiB that are its own.
    memory: u64,
    fds: u64,
    threads: u64,
}

impl Held {
    fn of(pid: i32) -> Held {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        // Not what it maps of files: the program's own text is private to whoever runs it alone, and others come and go.
        let private = smaps.lines().filter(|line| line.starts_with("Private_Dirty:"));
        let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count() as u64;
        Held { memory: kib.sum(), fds: count("fd"), threads: count("task") }
    }
}

/// The larger of each.
fn most(samples: &[Held]) -> Held {
    let of = |what: fn(&Held) -> u64| samples.iter().map(what).max().unwrap();
    Held { memory: of(|h| h.memory), fds: of(|h| h.fds), threads: of(|h| h.threads) }
}

/// The second half of the samples holds no more than the first, by more than 5 % and what an allocator may keep by chance.
#[track_caller]
fn is_flat(what: &str, samples: &[Held]) -> String {
    assert!(samples.len() >= 4, "{what}: too short to tell: {samples:?}");
    let (early, late) = samples.split_at(samples.len() / 2);
    let (early, late) = (most(early), most(late));
    assert!(late.memory <= early.memory + early.memory / 20 + 512, "{what}: memory grows: {samples:?}");
    assert!(late.fds <= early.fds + 2, "{what}: handles leak: {samples:?}");
    assert!(late.threads <= early.threads + 1, "{what}: threads leak: {samples:?}");
    format!(
        "{what} {} → {} KiB, {} → {} handles, {} → {} threads",
        early.memory, late.memory, early.fds, late.fds, early.threads, late.threads
    )
}

fn disk(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn shims(fleet: &Fleet) -> Vec<i32> {
    let is_shim =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == "orchestra-shim");
    fleet.processes().iter().map(|process| process.pid).filter(is_shim).collect()
}

#[test]
fn hundreds_of_services_up_and_down() {
    const ROUNDS: usize = 4;
    let n = asked("ORCHESTRA_SOAK_SERVICES", 500) as usize;
    let fleet = Fleet::new();
    let services: String = (1..n).map(|i| format!("  s{i}: {{command: [sleep, '1000000']}}\n")).collect();
    fleet.write("orchestra.yml", format!("services:\n  kept: {{command: [sleep, '1000000']}}\n{services}"));
    let (mut up, mut down, mut held, mut stops) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        up.push(fleet.orchestra(&["start"]).ok().took);
        assert_eq!(fleet.pids().len(), n);
        for i in 1..=10.min(n - 1) {
            stops.push(fleet.orchestra(&["stop", &format!("s{i}")]).ok().took);
        }
        fleet.orchestra(&["start"]).ok();
        fleet.orchestra(&["restart", "s2*"]).ok();
        held.push(Held::of(fleet.supervisor()));
        oracle::no_zombie(&fleet);
        down.push(fleet.orchestra(&["stop", "s*"]).ok().took);
        assert_eq!(fleet.pids().len(), 1);
    }
    let flat = is_flat("supervisor", &held);
    stops.sort();
    let p99 = stops[(stops.len() * 99).div_ceil(100) - 1];
    assert!(p99 <= Duration::from_secs(10), "a stop takes no longer than the grace: {p99:?}");
    oracle::no_orphan(&fleet);
    report::record(
        40,
        format!(
            "{n} services, {ROUNDS} rounds: up in {} ms, down in {} ms (slowest), p99 of one stop {} ms; {flat}; 0 zombies",
            up.iter().max().unwrap().as_millis(),
            down.iter().max().unwrap().as_millis(),
            p99.as_millis()
        ),
    );
}

#[test]
fn ten_thousand_restarts() {
    const LOOPS: u64 = 4;
    let wanted = asked("ORCHESTRA_SOAK_RESTARTS", 10_000);
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "logs: {keep: 1MiB, total: 8MiB}\n");
    for i in 0..LOOPS {
        let policy = "restart: {policy: always, delay: 1ms, max_delay: 1ms, limit: 0}";
        fleet.write(&format!("loop{i}/service.yml"), format!("command: [sh, -c, 'exit 1']\n{policy}\n"));
    }
    fleet.toy("steady", &[], "");
    // It never settles: one of them ends all the time.
    let start = fleet.orchestra(&["start", "--timeout", "3s"]);
    assert!(matches!(start.code, Some(0 | 1)), "{start:?}");
    let (supervisor, steady) = (fleet.supervisor(), fleet.pid("steady.1"));
    let restarts = || -> u64 {
        let ps = fleet.ps();
        let all = ps["services"].as_array().unwrap().iter().flat_map(|s| s["instances"].as_array().unwrap().clone());
        all.filter_map(|i| i["restarts"].as_u64()).sum()
    };
    let (began, mut held, mut kept, mut next) = (Instant::now(), Vec::new(), Vec::new(), wanted / 10);
    while held.len() < 10 {
        assert!(
            began.elapsed() < Duration::from_secs(1500),
            "{} restarts of {wanted} in {:?}",
            restarts(),
            began.elapsed()
        );
        if restarts() >= next {
            held.push(Held::of(supervisor));
            kept.push(disk(&fleet.path(".orchestra")));
            next += wanted / 10;
        } else {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let (done, took) = (restarts(), began.elapsed());
    let flat = is_flat("supervisor", &held[1..]);
    assert!(kept.iter().all(|bytes| *bytes <= 16 << 20), "the disk fills: {kept:?}");
    oracle::no_zombie(&fleet);
    assert_eq!((fleet.supervisor(), fleet.pid("steady.1")), (supervisor, steady));
    let stop = fleet.orchestra(&["stop"]).ok().took;
    assert!(fleet.processes().is_empty());
    report::record(
        40,
        format!(
            "{done} restarts of `exit 1` in {} s ({} a second), no crash loop with `limit: 0`; {flat}; {} KiB on disk at the end, {} at most; stopped in {} ms; 0 zombies",
            took.as_secs(),
            done / took.as_secs().max(1),
            kept.last().unwrap() / 1024,
            kept.iter().max().unwrap() / 1024,
            stop.as_millis()
        ),
    );
}

#[test]
fn minutes_of_lines() {
    const SERVICES: u64 = 4;
    const RATE: u64 = 6000;
    const KEEP: u64 = 32 << 20;
    let minutes = asked("ORCHESTRA_SOAK_MINUTES", 10);
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "logs: {keep: 32MiB}\n");
    for i in 1..=SERVICES {
        fleet.toy(&format!("lines{i}"), &["-rate", &RATE.to_string()], "");
    }
    fleet.orchestra(&["start"]).ok();
    let (oracle, supervisor, pids) = (Oracle::before(&fleet), fleet.supervisor(), fleet.pids());
    let shims = shims(&fleet);
    assert_eq!(shims.len() as u64, SERVICES);
    let (began, lasts) = (Instant::now(), Duration::from_secs(60 * minutes));
    let every = (lasts / 60).max(Duration::from_millis(500));
    let (mut above, mut below, mut largest) = (Vec::new(), Vec::new(), 0);
    while began.elapsed() < lasts {
        std::thread::sleep(every);
        above.push(Held::of(supervisor));
        let all: Vec<Held> = shims.iter().map(|pid| Held::of(*pid)).collect();
        below.push(most(&all));
        largest = largest
            .max((1..=SERVICES).map(|i| disk(&fleet.path(&format!(".orchestra/logs/lines{i}/1")))).max().unwrap());
    }
    assert_eq!(fleet.pids(), pids);
    oracle.holds(&fleet);
    // The first tenth fills caches.
    let skip = above.len() / 10;
    let flat = [is_flat("supervisor", &above[skip..]), is_flat("largest shim", &below[skip..])].join("; ");
    assert!(largest <= KEEP + (10 << 20), "a log of {largest} bytes");
    fleet.orchestra(&["stop"]).ok();
    let (mut wrote, mut kept) = (0, 0);
    for i in 1..=SERVICES {
        let lines = fleet.lines(&[&format!("lines{i}")]);
        let numbers: Vec<u64> = lines.iter().filter_map(|line| line.strip_prefix('L')?.parse().ok()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in the lines of lines{i}");
        let count = lines.iter().find_map(|line| line.strip_prefix("wrote ")?.parse::<u64>().ok()).unwrap();
        assert_eq!(numbers.last(), Some(&count), "the last line of lines{i} is kept");
        wrote += count;
        kept += numbers.len();
    }
    let rate = wrote / lasts.as_secs().max(1);
    report::record(
        40,
        format!(
            "{minutes} min at {rate} lines/s, {wrote} lines: {flat}; each log at most {} MiB of {} and contiguous ({kept} lines kept)",
            largest >> 20,
            KEEP >> 20
        ),
    );
}
