//! Disks that fill up: by bytes, by inodes, and logs that are turned over under a flood.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;

use super::oracle::{self, Oracle};
use super::report;
use crate::support::mounts::SmallDisk;
use crate::support::{Fleet, eventually};

#[test]
fn a_full_disk_drops_whole_lines_and_counts_them() {
    let fleet = Fleet::new();
    let wrote = fleet.path("wrote");
    fleet.toy("flood", &["-flood", "-pace", "40ms", "-wrote", wrote.to_str().unwrap()], "");
    fleet.toy("quiet", &["-say", "here"], "");
    let disk = match fleet.on_small_disk("size=2m") {
        Ok(disk) => disk,
        Err(why) => return report::record(14, format!("not possible here: {why}")),
    };
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids) = (Oracle::before(&fleet), fleet.pids());
    // Its last twentieth is left to others.
    eventually("the flood to fill the disk", || (disk.free().0 < 128 * 1024).then_some(()));
    fill(disk);
    everything_works_but_what_must_write(&fleet);
    assert_eq!(fleet.pids(), pids);
    a_dead_supervisor_comes_back(&fleet);
    assert_eq!(fleet.pids(), pids);
    fs::remove_file(disk.path("filler")).unwrap();
    disk.remount("size=256m");
    let dropped = eventually("the lines dropped to be told", || Some(dropped(&fleet)).filter(|n| *n > 0));
    let last = last_line(&fleet);
    eventually("lines to be kept again", || (last_line(&fleet) > last).then_some(()));
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();

    let wrote: usize = fs::read_to_string(&wrote).unwrap().trim().parse().unwrap();
    let lines = fleet.lines(&["flood"]);
    let whole = Regex::new(r"^L\d{9}$").unwrap();
    let kept: Vec<&String> = lines.iter().filter(|line| line.starts_with('L')).collect();
    kept.iter().for_each(|line| assert!(whole.is_match(line), "{line:?}"));
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "each line at most once, in order");
    assert_eq!(lines.iter().filter(|line| **line == format!("wrote {wrote}")).count(), 1, "the last words");
    let in_all = self::dropped(&fleet);
    assert_eq!(kept.len() + in_all, wrote, "kept and dropped; {dropped} were told first");
    report::record(
        14,
        format!(
            "2 MiB, flood of {wrote} lines: {} kept whole, {in_all} told as dropped, sum exact; ps, why, logs, kill, stop work on the full disk; a killed supervisor came back on it; recovered by itself",
            kept.len()
        ),
    );
}

/// Writes until nothing more fits.
fn fill(disk: &SmallDisk) {
    let mut file = fs::File::create(disk.path("filler")).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    assert_eq!(disk.free().0, 0);
}

/// Commands on a disk on which not one byte is left.
fn everything_works_but_what_must_write(fleet: &Fleet) {
    assert!(fleet.orchestra(&["ps"]).ok().stdout.contains("ready"));
    assert!(fleet.orchestra(&["why", "quiet"]).ok().stdout.contains("`quiet` is ready"));
    assert!(fleet.orchestra(&["logs", "quiet"]).ok().stdout.contains("here"));
    fleet.orchestra(&["kill", "-s", "CONT", "quiet"]).ok();
    // What cannot be written down is not done, and nothing else happens.
    let refused = fleet.orchestra(&["scale", "quiet=2"]).exits(1);
    assert!(refused.stderr.contains("No space left on device"), "{}", refused.stderr);
    assert!(refused.stderr.contains(".orchestra/state/service-quiet.json"), "{}", refused.stderr);
    fleet.toy("other", &[], "");
    let refused = fleet.orchestra(&["start", "other"]).exits(1);
    assert!(refused.stderr.contains("No space left on device"), "{}", refused.stderr);
    fs::remove_dir_all(fleet.path("other")).unwrap();
}

fn a_dead_supervisor_comes_back(fleet: &Fleet) {
    let old = fleet.supervisor();
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    eventually("another supervisor", || fleet.ps()["supervisor"]["pid"].as_i64().filter(|pid| *pid != i64::from(old)));
}

/// What the shim has told so far as dropped.
fn dropped(fleet: &Fleet) -> usize {
    let lines = fleet.orchestra(&["logs", "-o", "json", "flood", "--grep", "lines dropped: "]).ok().json_lines();
    let told = lines.iter().filter(|line| line["stream"] == "orchestra").filter_map(|line| line["line"].as_str());
    let numbers = told.filter_map(|line| line.split_once(" lines dropped: ")?.0.parse::<usize>().ok());
    numbers.sum()
}

fn last_line(fleet: &Fleet) -> u64 {
    number(fleet).unwrap_or_default()
}

#[test]
fn a_stop_on_a_full_disk_is_a_stop() {
    let fleet = Fleet::new();
    fleet.toy("one", &["-say", "one"], "");
    fleet.toy("two", &["-say", "two"], "");
    let disk = match fleet.on_small_disk("size=2m") {
        Ok(disk) => disk,
        Err(why) => return report::record(15, format!("not possible here: {why}")),
    };
    fleet.orchestra(&["start"]).ok();
    fill(disk);
    fleet.orchestra(&["stop", "one"]).ok();
    let pids = fleet.pids();
    assert_eq!(pids.len(), 1);
    // What was stopped stays so when nobody remembers it but the disk.
    a_dead_supervisor_comes_back(&fleet);
    assert_eq!(fleet.pids(), pids);
    // A crash is mended without a byte to write.
    let old = fleet.pid("two.1");
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    eventually("another copy", || fleet.pids().first().map(|(_, pid)| *pid).filter(|pid| *pid != i64::from(old)));
    fleet.orchestra(&["stop"]).ok();
    oracle::no_orphan(&fleet);
    report::record(
        15,
        "not one byte free: `stop one` holds over a SIGKILL of the supervisor, a crash is mended, `stop` stops",
    );
}

#[test]
fn without_inodes_the_old_state_stays() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "logs: {keep: 256KiB}\n");
    fleet.toy("flood", &["-flood", "-pace", "40ms"], "");
    fleet.toy("quiet", &["-say", "here"], "");
    let disk = match fleet.on_small_disk("size=64m,nr_inodes=60") {
        Ok(disk) => disk,
        Err(why) => return report::record(15, format!("not possible here: {why}")),
    };
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids) = (Oracle::before(&fleet), fleet.pids());
    let state = || fs::read(disk.path("state/service-quiet.json")).unwrap();
    let before = state();
    let over = AtomicBool::new(false);
    let used = std::thread::scope(|scope| {
        // What the logs give back is taken at once.
        let taker = scope.spawn(|| take_inodes(disk, &over));
        eventually("no inode to be left", || (disk.free().1 == 0).then_some(()));
        let from = last_line(&fleet);
        let refused = fleet.orchestra(&["scale", "quiet=2"]).exits(1);
        assert!(refused.stderr.contains("No space left on device"), "{}", refused.stderr);
        assert!(refused.stderr.contains(".orchestra/state/service-quiet.json"), "{}", refused.stderr);
        eventually("the flood to go on", || (last_line(&fleet) > from).then_some(()));
        over.store(true, Ordering::SeqCst);
        taker.join().unwrap()
    });
    assert_eq!(state(), before);
    assert_eq!(fleet.pids(), pids);
    assert_eq!(dropped(&fleet), 0);
    (0..used).for_each(|n| fs::remove_file(disk.path(&format!("inode-{n}"))).unwrap());
    fleet.orchestra(&["scale", "quiet=2"]).ok();
    fleet.orchestra(&["scale", "quiet=1"]).ok();
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    let kept = contiguous(&fleet);
    report::record(
        15,
        format!(
            "no inode free: old state file intact, the error names path and errno; the flood went on, {kept} lines kept without a gap, 0 dropped"
        ),
    );
}

/// Makes empty files wherever there is room for one, until told to end; how many.
fn take_inodes(disk: &SmallDisk, over: &AtomicBool) -> usize {
    let mut used = 0;
    while !over.load(Ordering::SeqCst) {
        match fs::File::create(disk.path(&format!("inode-{used}"))) {
            Ok(_) => used += 1,
            Err(_) => std::thread::sleep(std::time::Duration::from_micros(100)),
        }
    }
    used
}

/// The numbered lines that are kept follow each other; how many.
fn contiguous(fleet: &Fleet) -> usize {
    let lines = fleet.lines(&["flood"]);
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line.strip_prefix('L')?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap");
    assert_eq!(lines.last().map(String::as_str), Some(format!("wrote {}", numbers.last().unwrap()).as_str()));
    numbers.len()
}

/// Turns logs over under a flood whose supervisor is killed meanwhile; what is kept has no gap and is as large as it may be.
fn rotation(keep: &str, keep_bytes: u64, segment: u64, least: u64, kills: usize) {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", format!("logs: {{keep: {keep}}}\n"));
    fleet.toy("flood", &["-flood"], "");
    fleet.orchestra(&["start"]).ok();
    let (oracle, pids) = (Oracle::before(&fleet), fleet.pids());
    let mut most = 0;
    for part in 1..=kills as u64 {
        eventually("the flood to go on", || {
            most = most.max(size(&fleet));
            number(&fleet).filter(|n| *n >= least * part / kills as u64)
        });
        a_dead_supervisor_comes_back(&fleet);
    }
    assert_eq!(fleet.pids(), pids);
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    most = most.max(size(&fleet));
    assert!(most <= keep_bytes + segment, "{most} bytes on disk");
    let kept = contiguous(&fleet);
    assert!(size(&fleet) + 2 * segment > keep_bytes, "only {} bytes are kept", size(&fleet));
    let wrote = number(&fleet).unwrap();
    report::record(
        30,
        format!(
            "{wrote} lines through {keep}: the last {kept} kept without a gap over {kills} SIGKILLs of the supervisor; at most {} KiB on disk",
            most / 1024
        ),
    );
}

fn size(fleet: &Fleet) -> u64 {
    let entries = fs::read_dir(fleet.path(".orchestra/logs/flood/1")).unwrap();
    // One that was removed meanwhile has no size any more.
    entries.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// The newest number.
fn number(fleet: &Fleet) -> Option<u64> {
    let lines = fleet.orchestra(&["logs", "flood", "-n", "1000", "--raw"]).ok().stdout;
    lines.lines().rev().find_map(|line| line.strip_prefix('L')?.parse().ok())
}

#[test]
fn logs_are_turned_over_without_a_gap() {
    rotation("1MiB", 1024 * 1024, 256 * 1024, 200_000, 2);
}

#[cfg(feature = "faults")]
#[test]
fn large_logs_are_turned_over_without_a_gap() {
    rotation("50MiB", 50 * 1024 * 1024, 10 * 1024 * 1024, 5_000_000, 10);
}
