//! Why a service waits, or is not as it should be: the chain of what is not met, down to who is to blame; and what made the start slow. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Needs, Told, place};
use crate::api::wire::{Instance, Service, WhyNeed};
use crate::text;
use crate::tui::fleet::{Fleet, Tone};

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// So many steps from the service that was asked about.
    pub depth: usize,
    /// How it is meant.
    pub tone: Tone,
    /// One sentence.
    pub text: String,
}

/// Everything there is to say about a service: its own words first, below them each need that is not met with its reasons, and so on.
pub fn lines(needs: &Needs, fleet: &Fleet, name: &str, now: i64) -> Vec<Line> {
    let mut chain = Chain { needs, fleet, now, seen: BTreeSet::new(), lines: Vec::new() };
    let Some(service) = fleet.service(name) else { return Vec::new() };
    let tone = Tone::of(&service.state);
    let unmet = chain.unmet(name);
    let Some(told) = needs.get(name) else {
        chain.say(0, Tone::Wait, format!("`{name}` is {}; asking why …", service.state));
        return chain.lines;
    };
    let lasts =
        chain.lasting(service).filter(|_| tone == Tone::Wait).map_or_else(String::new, |span| format!(", for {span}"));
    let degraded = if tone == Tone::Good && unmet > 0 { "; not all it needs is met" } else { "" };
    chain.say(0, if degraded.is_empty() { tone } else { Tone::Wait }, format!("{}{lasts}{degraded}", told.summary));
    chain.seen.insert(name.to_owned());
    chain.reasons(told, 1);
    chain.below(name, 1);
    if tone == Tone::Good && unmet == 0 && !told.needs.is_empty() {
        let met = told.needs.iter().map(|need| need.service.as_str()).collect::<Vec<_>>().join(", ");
        chain.say(1, Tone::Good, format!("all it needs is met: {met}"));
    }
    chain.lines
}

struct Chain<'a> {
    needs: &'a Needs,
    fleet: &'a Fleet,
    now: i64,
    /// No circle is walked twice.
    seen: BTreeSet<String>,
    lines: Vec<Line>,
}

impl Chain<'_> {
    fn say(&mut self, depth: usize, tone: Tone, text: String) {
        self.lines.push(Line { depth, tone, text });
    }

    fn unmet(&self, name: &str) -> usize {
        let wanted = self.fleet.service(name).is_some_and(|service| service.desired != "down");
        let told = self.needs.get(name).filter(|_| wanted);
        told.map_or(0, |told| told.needs.iter().filter(|need| !need.met).count())
    }

    /// What it said beside its summary.
    fn reasons(&mut self, told: &Told, depth: usize) {
        let news = told.reasons.iter().filter(|reason| is_news(&told.summary, reason));
        for text in news.chain(&told.holders).cloned().collect::<Vec<_>>() {
            self.say(depth, Tone::Wait, text);
        }
    }

    fn below(&mut self, name: &str, depth: usize) {
        if self.unmet(name) == 0 {
            return;
        }
        let Some(told) = self.needs.get(name) else { return };
        for need in told.needs.iter().filter(|need| !need.met) {
            let other = self.fleet.service(&need.service);
            let tone = other.map_or(Tone::Bad, |other| Tone::of(&other.state));
            let text = self.need(need, other);
            self.say(depth, tone, text);
            if !self.seen.insert(need.service.clone()) {
                continue;
            }
            if let Some(other) = self.needs.get(&need.service) {
                let because = other.summary.split_once(": ").map(|(_, because)| because.to_owned());
                // For whom it waits is said below.
                let because = because.filter(|text| !text.starts_with("it waits for "));
                because.into_iter().for_each(|text| self.say(depth + 1, tone, text));
                self.reasons(other, depth + 1);
            }
            self.below(&need.service, depth + 1);
        }
    }

    /// `waits for postgres to be ready: it is crashloop for 12s, exit 1`
    fn need(&self, need: &WhyNeed, other: Option<&Service>) -> String {
        let what = match &*need.condition {
            "started" => "to start",
            "completed" => "to complete",
            _ => "to be ready",
        };
        let state = other.map_or("unknown", |other| other.state.as_str());
        let state = if state == "idle" { "off" } else { state };
        let lasts = other.and_then(|other| self.lasting(other)).map_or_else(String::new, |span| format!(" for {span}"));
        format!("waits for {} {what}: it is {state}{lasts}", need.service)
    }

    /// How long it is in its state.
    fn lasting(&self, service: &Service) -> Option<String> {
        let since =
            service.instances.iter().filter(|i| i.state == service.state).filter_map(|i| micros(i.since.as_deref()?));
        let span = u64::try_from(self.now.saturating_sub(since.min()?)).unwrap_or(0);
        Some(text::age(Duration::from_micros(span)))
    }
}

/// Whether a reason says more than the summary, which often ends with the first of them, with or without the name of the copy.
pub fn is_news(summary: &str, reason: &str) -> bool {
    let bare = reason.split_once(": ").map_or(reason, |(_, bare)| bare);
    !summary.contains(reason) && !summary.contains(bare)
}

fn micros(time: &str) -> Option<i64> {
    Some(time.parse::<jiff::Timestamp>().ok()?.as_microsecond())
}

/// How long the present run of a copy took to become ready.
pub fn took(instance: &Instance) -> Option<Duration> {
    let span = micros(instance.ready_at.as_deref()?)?.checked_sub(micros(instance.started_at.as_deref()?)?)?;
    Some(Duration::from_micros(u64::try_from(span).ok()?))
}

/// The same of a service: of its slowest copy.
pub fn took_all(service: &Service) -> Option<Duration> {
    service.instances.iter().filter_map(took).max()
}

/// The chain of services, each of which waited for the one before it, that took the longest to become ready; and how long.
pub fn slowest(needs: &[Vec<usize>], took: &[Option<Duration>]) -> Option<(Vec<usize>, Duration)> {
    let (depth, needs) = place::depths(needs);
    let mut order: Vec<usize> = (0..depth.len()).collect();
    order.sort_by_key(|at| depth[*at]);
    // The sum up to each service, and whom it waited for.
    let mut sums: Vec<(Duration, Option<usize>)> = vec![(Duration::ZERO, None); depth.len()];
    for at in order {
        let before =
            needs[at].iter().copied().max_by_key(|need| sums[*need].0).filter(|need| sums[*need].0 > Duration::ZERO);
        let own = took.get(at).copied().flatten().unwrap_or_default();
        sums[at] = (before.map_or(Duration::ZERO, |before| sums[before].0).saturating_add(own), before);
    }
    let (last, (sum, _)) = sums.iter().enumerate().max_by_key(|(_, (sum, _))| *sum)?;
    let mut chain: Vec<usize> = std::iter::successors(Some(last), |at| sums[*at].1).collect();
    chain.reverse();
    chain.retain(|at| took.get(*at).copied().flatten().is_some());
    (*sum > Duration::ZERO).then_some((chain, *sum))
}
