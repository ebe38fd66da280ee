//! Everything is killed, stopped and continued at random, alone and together; afterwards all is as it must be.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::dice::Dice;
use super::oracle::Oracle;
use super::report;
use crate::support::{Fleet, eventually};

const LASTS: Duration = Duration::from_secs(if cfg!(feature = "faults") { 60 } else { 3 });

/// What a process of the fleet is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Supervisor,
    Shim,
    Service,
}

fn role(pid: i32) -> Option<Role> {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let has = |word: &[u8]| cmdline.split(|byte| *byte == 0).any(|arg| arg == word);
    match comm.trim() {
        "orchestra-shim" => Some(Role::Shim),
        _ if has(b"__supervisor") => Some(Role::Supervisor),
        _ if has(b"__shim") => Some(Role::Shim),
        "toy" => Some(Role::Service),
        _ => None,
    }
}

fn fleet() -> Fleet {
    let fleet = Fleet::new();
    fleet.toy("db", &[], &format!("port: {}", fleet.port()));
    fleet.toy("cache", &["-tick", "20ms"], "restart: always");
    fleet.toy("migrate", &["-exit-in", "50ms"], "type: job\ndepends_on: [db]");
    fleet.toy("api", &[], &format!("port: {}\nscale: 2\ndepends_on: [db, cache, migrate]", fleet.ports(2)));
    fleet.toy("web", &["-listen", "none"], "depends_on: [api]\nscale: 2");
    fleet.toy("slow", &["-term-in", "300ms"], "");
    fleet.toy("deaf", &["-ignore-term"], "stop: {grace: 300ms}");
    fleet.toy("parent", &["-child"], "stop: {grace: 500ms}");
    fleet.toy("daemon", &["-child", "-escape"], "stop: {grace: 500ms}");
    fleet.toy("short", &["-exit-in", "4s"], "restart: always");
    fleet.toy("flood", &["-flood"], "scale: 2");
    fleet.write("orchestra.yml", "logs: {keep: 4MiB}\n");
    fleet
}

fn strike(fleet: &Fleet, dice: &mut Dice, stopped: &mut Vec<i32>) -> &'static str {
    let all: Vec<(i32, Role)> =
        fleet.processes().into_iter().filter_map(|process| Some((process.pid, role(process.pid)?))).collect();
    let of = |role| all.iter().filter(|(_, r)| *r == role).map(|(pid, _)| *pid).collect::<Vec<i32>>();
    // It may have ended since: then there is nothing to hit.
    let hit = |pid: i32, signal| kill(Pid::from_raw(pid), signal).is_ok();
    match dice.below(10) {
        0 | 1 => {
            of(Role::Supervisor).into_iter().for_each(|pid| _ = hit(pid, Signal::SIGKILL));
            "the supervisor"
        }
        2 | 3 => {
            dice.pick(&of(Role::Shim)).into_iter().for_each(|pid| _ = hit(*pid, Signal::SIGKILL));
            "a shim"
        }
        4 | 5 => {
            dice.pick(&of(Role::Service)).into_iter().for_each(|pid| _ = hit(*pid, Signal::SIGKILL));
            "a service"
        }
        6 => {
            let services = of(Role::Service);
            for pid in of(Role::Supervisor).iter().chain(dice.pick(&of(Role::Shim))).chain(dice.pick(&services)) {
                hit(*pid, Signal::SIGKILL);
            }
            "all three together"
        }
        7 | 8 => {
            let everyone: Vec<i32> = all.iter().map(|(pid, _)| *pid).collect();
            if let Some(pid) = dice.pick(&everyone).filter(|pid| hit(**pid, Signal::SIGSTOP)) {
                stopped.push(*pid);
            }
            "one stopped"
        }
        _ => {
            stopped.drain(..).for_each(|pid| _ = hit(pid, Signal::SIGCONT));
            "all continued"
        }
    }
}

#[test]
fn everything_is_hit_at_random() {
    let (fleet, mut dice) = (fleet(), Dice::new());
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    let (began, mut strikes, mut stopped) = (Instant::now(), std::collections::BTreeMap::new(), Vec::new());
    while began.elapsed() < LASTS {
        *strikes.entry(strike(&fleet, &mut dice, &mut stopped)).or_insert(0) += 1;
        dice.wait(Duration::from_millis(400));
    }
    for pid in stopped {
        // Killed meanwhile: then it is gone.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGCONT);
    }
    let began = Instant::now();
    eventually("a start that brings everything up", || (fleet.orchestra(&["start"]).code == Some(0)).then_some(()));
    let up = began.elapsed();
    oracle.holds(&fleet);
    let told: Vec<String> = strikes.iter().map(|(what, n)| format!("{what} {n}")).collect();
    report::record(
        2,
        format!(
            "{} s of random hits on 15 copies ({}): afterwards all up in {} ms, 1 copy per slot, 0 orphans, 0 zombies, no handle leaked (seed {})",
            LASTS.as_secs(),
            told.join(", "),
            up.as_millis(),
            dice.seed()
        ),
    );
}
