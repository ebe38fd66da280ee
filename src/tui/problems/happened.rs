//! Panics, and programs that end again and again: one entry for what has one cause, how often and when last, and whether it is over. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::{Group, Kind, Place, Problem};
use crate::api::wire::{Exit, Instance, Service};

/// Once a service is as it should be for so long, what happened before is over. In microseconds.
const A_WHILE: i64 = 30_000_000;
/// A panic and an end so near are one. In microseconds.
const TOGETHER: i64 = 10_000_000;
/// Ends of these kinds are what a person should look at.
const BAD: [&str; 6] = ["exit", "signal", "oom", "start-failed", "port", "failed-probe"];
/// So many different panics of one fleet are kept; the oldest go first.
const MOST: usize = 200;

/// A panic that was found in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// Whose.
    pub service: String,
    /// Equal for panics with the same cause at the same place.
    pub key: String,
    /// When, in microseconds since 1970.
    pub time: i64,
    /// How often: more than once where some were not read one by one.
    pub n: u64,
    /// `assignment to entry in nil map`, `fatal error: concurrent map writes`.
    pub message: String,
    /// The first frame in code of one's own.
    pub place: Option<Place>,
    /// Its function.
    pub function: String,
    /// All frames.
    pub n_frames: usize,
    /// What was printed; text only.
    pub raw: Arc<[String]>,
}

/// The same panic, however often.
#[derive(Clone, Debug)]
struct Panic {
    /// The newest.
    death: Death,
    n: u64,
    past: bool,
}

/// A copy that ended badly.
#[derive(Clone, Debug)]
struct Crash {
    service: String,
    /// `exit 2`
    how: String,
    /// `crash loop`
    state: &'static str,
    n: u32,
    at: i64,
    words: Arc<[String]>,
    past: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Happened {
    panics: BTreeMap<(String, String), Panic>,
    /// By instance.
    crashes: BTreeMap<String, Crash>,
    /// Ends that nobody wants to see any more: instance and when.
    dismissed: BTreeMap<String, i64>,
    /// Instances whose last words are not known yet.
    wishes: Vec<String>,
}

impl Happened {
    /// Takes a panic.
    pub(super) fn died(&mut self, death: Death) {
        let key = (death.service.clone(), death.key.clone());
        match self.panics.get_mut(&key) {
            Some(panic) => {
                panic.n += death.n;
                panic.past = false;
                if death.time >= panic.death.time {
                    panic.death = death;
                }
            }
            None => {
                let n = death.n;
                self.panics.insert(key, Panic { death, n, past: false });
            }
        }
        while self.panics.len() > MOST {
            let oldest = self.panics.iter().min_by_key(|(_, panic)| panic.death.time).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.panics.remove(&key));
        }
    }

    /// Looks at what runs: what ended badly since, and what is over.
    pub(super) fn update(&mut self, services: &[Service], now: i64) {
        for service in services {
            for instance in &service.instances {
                self.look(service, instance);
            }
        }
        let services: BTreeMap<&str, &Service> = services.iter().map(|service| (&*service.name, service)).collect();
        let is_over = |name: &str, last: i64| services.get(name).is_none_or(|service| is_over(service, last, now));
        for panic in self.panics.values_mut() {
            panic.past = is_over(&panic.death.service, panic.death.time);
        }
        for crash in self.crashes.values_mut() {
            crash.past = is_over(&crash.service, crash.at);
        }
    }

    fn look(&mut self, service: &Service, instance: &Instance) {
        let state = match (&*instance.state, instance.restarts) {
            ("crashloop", _) => "crash loop",
            ("failed", _) => "not started again",
            ("backoff", 2..) => "starts again soon",
            _ => return,
        };
        let build_failed = service.build.as_ref().is_some_and(|build| build.state == "failed");
        let Some(exit) = instance.last_exit.as_ref().filter(|exit| BAD.contains(&&*exit.reason)) else { return };
        let at = micros(&exit.at);
        if state == "not started again" && build_failed || self.dismissed.get(&instance.id).is_some_and(|to| at <= *to)
        {
            return;
        }
        let known = self.crashes.get(&instance.id).filter(|known| known.at == at);
        let words = known.map(|known| Arc::clone(&known.words)).unwrap_or_default();
        if known.is_none() {
            self.wishes.push(instance.id.clone());
        }
        let crash = Crash {
            service: service.name.clone(),
            how: ended(exit),
            state,
            n: instance.restarts.saturating_add(1),
            at,
            words,
            past: false,
        };
        self.crashes.insert(instance.id.clone(), crash);
    }

    /// Instances whose last words are to be read.
    pub(super) fn wishes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wishes)
    }

    /// Takes the last words of an instance.
    pub(super) fn words(&mut self, instance: &str, words: Vec<String>) {
        if let Some(crash) = self.crashes.get_mut(instance) {
            crash.words = words.into();
        }
    }

    /// Forgets one until it happens again; of a panic also the end that came of it.
    pub(super) fn dismiss(&mut self, id: &str) {
        let is_it = |crash: &Crash, instance: &str| of_crash(instance, crash).id == id;
        let gone: Vec<String> = self
            .crashes
            .iter()
            .filter(|(instance, crash)| {
                let with_it = |((service, key), panic): (&(String, String), &Panic)| {
                    of_panic(service, key).id == id && is_told_by(crash, panic)
                };
                is_it(crash, instance) || self.panics.iter().any(with_it)
            })
            .map(|(instance, _)| instance.clone())
            .collect();
        self.panics.retain(|(service, key), _| of_panic(service, key).id != id);
        for instance in gone {
            if let Some(crash) = self.crashes.remove(&instance) {
                self.dismissed.insert(instance, crash.at);
            }
        }
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        let panics = self.panics.iter().map(|((service, key), panic)| Group {
            title: panic.death.message.lines().next().unwrap_or_default().to_owned(),
            times: Some((panic.n, panic.death.time)),
            past: panic.past,
            items: vec![item(panic)],
            ..of_panic(service, key)
        });
        let is_told = |crash: &Crash| self.panics.values().any(|panic| is_told_by(crash, panic));
        let crashes = self.crashes.iter().filter(|(_, crash)| !is_told(crash)).map(|(instance, crash)| {
            let text = crash.words.iter().rev().find(|line| !line.trim().is_empty()).cloned();
            let id = format!("{instance} {}", crash.how);
            let text = text.unwrap_or_else(|| "it said nothing".to_owned());
            let item = Problem { raw: Arc::clone(&crash.words), ..Problem::new(id, None, text) };
            let times = if crash.n == 1 { "crashed once".to_owned() } else { format!("crashed {} times", crash.n) };
            Group {
                title: format!("{times}: {}", crash.how),
                more: crash.state.to_owned(),
                times: Some((1, crash.at)),
                past: crash.past,
                items: vec![item],
                ..of_crash(instance, crash)
            }
        });
        panics.chain(crashes).collect()
    }
}

/// Whether a copy ended by this panic.
fn is_told_by(crash: &Crash, panic: &Panic) -> bool {
    panic.death.service == crash.service && (panic.death.time - crash.at).abs() <= TOGETHER
}

fn of_panic(service: &str, key: &str) -> Group {
    Group::new(Kind::Panic, service, key)
}

fn of_crash(instance: &str, crash: &Crash) -> Group {
    Group::new(Kind::Crash, &crash.service, instance)
}

fn item(panic: &Panic) -> Problem {
    let death = &panic.death;
    let text = match (&*death.function, &*death.message) {
        ("", message) => message.to_owned(),
        (function, _) => function.to_owned(),
    };
    let more = match death.n_frames.saturating_sub(usize::from(death.place.is_some())) {
        0 => String::new(),
        1 => "+1 frame".to_owned(),
        n => format!("+{n} frames"),
    };
    let id = format!("{} panic item {}", death.service, death.key);
    Problem { more, raw: Arc::clone(&death.raw), since: death.time, ..Problem::new(id, death.place.clone(), text) }
}

/// Whether a service has been as it should be for a while since.
fn is_over(service: &Service, last: i64, now: i64) -> bool {
    if service.desired == "down" {
        return true;
    }
    let started = service.instances.iter().filter_map(|instance| instance.started_at.as_deref()).map(micros).max();
    let settled = started.unwrap_or(i64::MIN).max(last);
    matches!(&*service.state, "ready" | "done") && now.saturating_sub(settled) >= A_WHILE
}

/// `exit 2`, `signal 9`, `oom`, `port`, …
fn ended(exit: &Exit) -> String {
    match (&*exit.reason, exit.code, exit.signal) {
        ("exit", Some(code), _) => format!("exit {code}"),
        ("signal", _, Some(signal)) => format!("signal {signal}"),
        (reason, _, _) => reason.to_owned(),
    }
}

/// Microseconds since 1970 of RFC 3339.
fn micros(at: &str) -> i64 {
    at.parse::<jiff::Timestamp>().map_or(0, |at| at.as_microsecond())
}
