//! A wall clock that somebody sets, by a preloaded library that shifts it for supervisor, shims and commands alike.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::report;
use crate::support::output::Output;
use crate::support::{Fleet, eventually};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// A fleet whose clock is set by a file.
struct Shifted {
    fleet: Fleet,
    library: PathBuf,
}

impl Shifted {
    /// Or why a clock cannot be shifted here.
    fn new() -> Result<Shifted, String> {
        let fleet = Fleet::new();
        let library = fleet.root().with_file_name("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/clock.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]).output();
        let built = built.map_err(|error| format!("no `cc`: {error}"))?;
        if !built.status.success() {
            return Err(format!("`cc` cannot build a library: {}", String::from_utf8_lossy(&built.stderr).trim()));
        }
        let shifted = Shifted { fleet, library };
        shifted.set(0);
        Ok(shifted)
    }

    /// Sets the clock so many seconds away from the true time.
    fn set(&self, seconds: i64) {
        let (path, new) = (self.fleet.path("clock"), self.fleet.path("clock.new"));
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Runs a command that sees the shifted clock, as everything it starts does.
    #[track_caller]
    fn orchestra(&self, args: &[&str]) -> Output {
        let mut command = self.fleet.command(args);
        command.env("LD_PRELOAD", &self.library).env("CLOCK_SHIFT", self.fleet.path("clock"));
        self.fleet.run(command)
    }
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    jumps(&[HOUR, 0, -HOUR, 10 * YEAR, -10 * YEAR, 0], Duration::from_millis(700));
}

#[cfg(feature = "faults")]
#[test]
fn a_clock_that_jumps_for_long_changes_nothing() {
    let shifts: Vec<i64> = [HOUR, -HOUR, 10 * YEAR, -10 * YEAR, 1, -1].repeat(8);
    jumps(&shifts, Duration::from_secs(3));
}

fn jumps(shifts: &[i64], stay: Duration) {
    let shifted = match Shifted::new() {
        Ok(shifted) => shifted,
        Err(why) => return report::record(31, format!("not possible here: {why}")),
    };
    let fleet = &shifted.fleet;
    fleet.toy("left", &["-tick", "20ms"], "");
    fleet.toy("right", &["-tick", "20ms"], "");
    fleet.toy(
        "weak",
        &["-exit-in", "300ms", "-code", "1"],
        "restart: {policy: always, delay: 100ms, max_delay: 500ms, limit: 0}",
    );
    // Killed again and again within minutes: it is to come back each time.
    fleet.toy("strong", &["-say", "strong"], "restart: {delay: 10ms, max_delay: 100ms, limit: 0}");
    shifted.orchestra(&["start", "left", "right", "strong"]).ok();
    shifted.orchestra(&["start", "weak", "--timeout", "1ms"]);
    let (began, pids) = (Instant::now(), steady(&shifted));
    let mut deaths = 0;
    for shift in shifts {
        shifted.set(*shift);
        let before = starts_of_weak(&shifted);
        let since = Instant::now();
        eventually("backoff to go on", || (starts_of_weak(&shifted) > before).then_some(()));
        std::thread::sleep(stay.saturating_sub(since.elapsed()));
        let more = starts_of_weak(&shifted) - before;
        // Each run takes 300 ms, and one more may just have begun.
        assert!(more as u128 <= since.elapsed().as_millis() / 300 + 2, "{more} starts in {:?}", since.elapsed());
        assert_eq!(steady(&shifted), pids, "after a jump to {shift} s");
        ages_are_honest(&shifted, began.elapsed());
        newest_lines_are_found(&shifted);
        death_is_mended(&shifted);
        deaths += 1;
    }
    shifted.orchestra(&["stop"]).ok();
    let worst = order(&shifted);
    report::record(
        31,
        format!(
            "{} jumps between ±1 h and ±10 years: no copy restarted, a crash loop keeps its pace, {deaths} of {deaths} deaths mended, ages true; merged order off by at most {worst} lines of 20 ms",
            shifts.len()
        ),
    );
}

/// Instances that nothing happens to, with pid and restarts.
fn steady(shifted: &Shifted) -> Vec<(String, Value, Value)> {
    let ps = shifted.orchestra(&["ps", "left", "right", "-o", "json"]).ok().json();
    let instances = ps["services"].as_array().unwrap().iter().flat_map(|s| s["instances"].as_array().unwrap());
    let all = instances.inspect(|i| assert_eq!(i["state"], "ready", "{i}"));
    all.map(|i| (i["id"].as_str().unwrap().to_owned(), i["pid"].clone(), i["restarts"].clone())).collect()
}

fn starts_of_weak(shifted: &Shifted) -> u64 {
    let ps = shifted.orchestra(&["ps", "weak", "-o", "json"]).ok().json();
    ps["services"][0]["instances"][0]["restarts"].as_u64().unwrap()
}

/// Uptime and ages in `ps` are those of a clock that nobody set.
fn ages_are_honest(shifted: &Shifted, most: Duration) {
    let ps = shifted.orchestra(&["ps", "-o", "json"]).ok().json();
    let most = most + Duration::from_secs(60);
    assert!(ps["supervisor"]["uptime_ms"].as_u64().unwrap() < most.as_millis() as u64, "{ps}");
    let table = shifted.orchestra(&["ps", "left"]).ok().stdout;
    let age = table.lines().nth(1).unwrap().split_whitespace().nth(7).unwrap().to_owned();
    let minutes = |text: &str| text.parse::<u64>().unwrap();
    let age = match age.split_once('m') {
        None => minutes(age.trim_end_matches('s')),
        Some((m, s)) => 60 * minutes(m) + minutes(s.trim_end_matches('s')),
    };
    assert!(age <= most.as_secs(), "{table}");
}

/// What was written a moment ago is within the last minute, whatever the clock says.
fn newest_lines_are_found(shifted: &Shifted) {
    let last = |args: &[&str]| {
        let lines = shifted.orchestra(&[&["logs", "left", "-n", "1", "-o", "json"], args].concat()).ok().json_lines();
        lines.last().and_then(|line| line["line"].as_str()?.strip_prefix("tick ")?.parse::<u64>().ok())
    };
    let all = last(&[]).unwrap();
    eventually("new lines within the last minute", || last(&["--since", "1m"]).filter(|tick| *tick > all));
}

fn death_is_mended(shifted: &Shifted) {
    let pid = || {
        let ps = shifted.orchestra(&["ps", "strong", "-o", "json"]).ok().json();
        ps["services"][0]["instances"][0]["pid"].as_i64()
    };
    let old = eventually("a copy to kill", pid);
    kill(Pid::from_raw(old as i32), Signal::SIGKILL).unwrap();
    eventually("another copy", || pid().filter(|new| *new != old));
}

/// Both tick alike, so in a true order neither gets far ahead; how far it was at most.
fn order(shifted: &Shifted) -> u64 {
    let lines = shifted.orchestra(&["logs", "left", "right", "-o", "json"]).ok().json_lines();
    let mut last = [0_u64; 2];
    let mut worst = 0;
    for line in lines.iter().filter(|line| line["stream"] == "stdout") {
        let at = usize::from(line["service"] == "right");
        let tick = line["line"].as_str().unwrap().strip_prefix("tick ").unwrap().parse().unwrap();
        assert_eq!(tick, last[at] + 1, "each in its own order");
        last[at] = tick;
        worst = worst.max(last[0].abs_diff(last[1]));
    }
    assert!(last[0] > 50, "{last:?}");
    // Both may be slowed down for seconds on a busy machine, but not one of them alone for an hour.
    assert!(worst < last[0] / 2 && worst < 150, "{worst} of {last:?}");
    worst
}
