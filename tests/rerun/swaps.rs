//! What a caller of the service sees of a swap.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::stage::{Stage, Web, now};
use super::{record, repeat, saved, spread};
use crate::support::eventually;

/// Asks a port again and again from a thread of its own.
struct Caller {
    over: std::sync::Arc<AtomicBool>,
    thread: JoinHandle<Vec<Asked>>,
}

/// One question: seconds since 1970, and what was answered.
#[derive(Clone, Debug)]
struct Asked {
    at: f64,
    answer: Option<String>,
}

impl Caller {
    fn of(port: u16) -> Caller {
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let until = std::sync::Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            loop {
                // The last question is asked after somebody else was answered: it tells how the story ends.
                let is_last = until.load(Ordering::Acquire);
                asked.push(Asked { at: now(), answer: ask(port) });
                if is_last {
                    return asked;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Caller { over, thread }
    }

    fn hang_up(self) -> Vec<Asked> {
        self.over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn ask(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// From the first question that nobody answered to the first one answered after it.
fn gap(asked: &[Asked]) -> Duration {
    let Some(first) = asked.iter().position(|one| one.answer.is_none()) else { return Duration::ZERO };
    let again = asked[first..].iter().find(|one| one.answer.is_some());
    Duration::from_secs_f64(again.map_or_else(|| panic!("it never answers again"), |one| one.at) - asked[first].at)
}

#[test]
fn under_load_with_a_slow_build() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let mut held = Vec::new();
    let times = repeat(2, |_| {
        let (past, old, version) = (api.past(), api.answer(), stage.next_version());
        let caller = Caller::of(api.port);
        stage.go.hold("build");
        api.save(&version);
        let build = eventually("a build", || api.builds_since(&past).pop());
        // So slow is the build: what is asked meanwhile the old copy has to answer.
        let enough = build.began + 1.0;
        eventually("a second of building", || (now() > enough).then_some(()));
        stage.go.release("build");
        api.until_answered(&version);
        let asked = caller.hang_up();
        let built = api.builds_since(&past)[0].end.unwrap().0;
        held.push(Duration::from_secs_f64(built - build.began));
        let during: Vec<&Asked> = asked.iter().filter(|one| one.at < built).collect();
        // One question may be under way while the build ends.
        let refused = during.iter().rev().skip(1).filter(|one| one.answer != old).count();
        assert!(during.len() > 20, "{} questions during the build", during.len());
        assert_eq!(refused, 0, "questions that the old copy did not answer during the build");
        let after = asked.iter().skip_while(|one| one.answer.as_ref() != Some(&version));
        assert!(after.clone().next().is_some(), "the caller never met the new version");
        assert!(after.clone().all(|one| one.answer.as_ref() == Some(&version)), "not the new version any more");
        gap(&asked)
    });
    let count = times.len();
    record(
        29,
        count,
        &format!("builds of {}: 0 questions refused during them; unreachable for {}", spread(held), spread(times)),
    );
}

#[test]
fn of_three_copies() {
    let stage = Stage::new();
    let first = stage.fleet.ports(3);
    let api = stage.web("api", "");
    api.write("service.yml", &format!("port: {first}\nscale: 3\n"));
    let api = Web { port: first, ..api };
    stage.start(&[]);
    let ports: Vec<u16> = (first..first + 3).collect();
    let swaps = repeat(1, |_| {
        let (past, version) = (api.past(), stage.next_version());
        let callers: Vec<Caller> = ports.iter().map(|port| Caller::of(*port)).collect();
        let before = stage.fleet.pids();
        let began = std::time::Instant::now();
        api.save(&version);
        for port in &ports {
            stage.until_answered(*port, &version);
        }
        let took = began.elapsed();
        let asked: Vec<Vec<Asked>> = callers.into_iter().map(Caller::hang_up).collect();
        api.did(&past, 1, &[&version, &version, &version]);
        stage.fleet.until("api.3", "ready");
        assert!(
            stage.fleet.pids().iter().all(|one| !one.0.starts_with("api.") || !before.contains(one)),
            "a copy of before is left"
        );
        one_after_another(&asked);
        took
    });
    let count = swaps.len();
    record(
        31,
        count,
        &format!("1 build, 3 starts, never two copies away at once; save → all three serve {}", spread(swaps)),
    );
}

/// Never were two of them unreachable at one time.
#[track_caller]
fn one_after_another(asked: &[Vec<Asked>]) {
    let away = |asked: &Vec<Asked>| -> (f64, f64) {
        let failed: Vec<f64> = asked.iter().filter(|one| one.answer.is_none()).map(|one| one.at).collect();
        (failed.first().copied().unwrap_or(f64::MAX), failed.last().copied().unwrap_or(f64::MIN))
    };
    let mut away: Vec<(f64, f64)> = asked.iter().map(away).collect();
    away.sort_by(|one, other| one.0.total_cmp(&other.0));
    for pair in away.windows(2) {
        assert!(pair[0].1 < pair[1].0, "two copies were away at once: {away:?}");
    }
}

/// Edits that follow each other while callers ask: in the end the newest answers, and no copy of another version is left.
#[test]
fn again_and_again_under_load() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let caller = Caller::of(api.port);
    let swaps = repeat(3, |_| api.swaps());
    let asked = caller.hang_up();
    let mut seen: Vec<String> = asked.into_iter().filter_map(|one| one.answer).collect();
    seen.dedup();
    assert_eq!(seen, api.ups(), "versions in the order they were saved, none of them twice");
    record(29, swaps.len(), &saved(&swaps));
}
