//! The fleet as the lists show it: the newest answer of `ps`, what it was over the last minute, and the rows made of it. Pure.

mod words;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::history::{self, History, Sample};
use super::theme::Token;
use crate::api::wire::{Instance, Ps, Service};
use words::{health, plain, port, since, tone, word};

/// The lists show the CPU of so many seconds.
pub const LATELY: usize = 60;

/// What is known of all services.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The newest answer; `None` before the first.
    pub ps: Option<Ps>,
    /// CPU and memory of the last minutes, by instance.
    samples: BTreeMap<String, History>,
    /// The second of the newest answer, since 1970.
    second: i64,
}

/// By what the list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The name.
    #[default]
    Name,
    /// What needs attention first.
    State,
    /// The most CPU first.
    Cpu,
    /// The most memory first.
    Memory,
    /// The most restarts first.
    Restarts,
    /// The youngest first.
    Age,
    /// The lowest port first.
    Port,
    /// What is not well first.
    Health,
}

impl Sort {
    /// The next column.
    pub fn next(self) -> Sort {
        use Sort::{Age, Cpu, Health, Memory, Name, Port, Restarts, State};
        // As the columns stand.
        const ALL: [Sort; 8] = [Name, State, Age, Restarts, Cpu, Memory, Port, Health];
        let at = ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        ALL[(at + 1) % ALL.len()]
    }

    /// As the header names it.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Cpu => "cpu",
            Sort::Memory => "memory",
            Sort::Restarts => "restarts",
            Sort::Age => "age",
            Sort::Port => "port",
            Sort::Health => "health",
        }
    }

    /// The heading of its column.
    pub fn heading(self) -> &'static str {
        match self {
            Sort::Name => "NAME",
            Sort::State => "STATE",
            Sort::Cpu => "CPU%",
            Sort::Memory => "MEM",
            Sort::Restarts => "RS",
            Sort::Age => "AGE",
            Sort::Port => "PORT",
            Sort::Health => "HLTH",
        }
    }
}

/// What a state is like, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Failed: ✗
    Bad,
    /// On its way, or waits: ◐
    Wait,
    /// As it should be: ●
    Good,
    /// Not wanted: ·
    Off,
}

impl Tone {
    /// Of a state of the API.
    pub fn of(state: &str) -> Tone {
        match state {
            "ready" | "done" => Tone::Good,
            "failed" | "crashloop" => Tone::Bad,
            "idle" => Tone::Off,
            _ => Tone::Wait,
        }
    }

    /// One cell wide everywhere.
    pub fn glyph(self, ascii: bool) -> char {
        match (self, ascii) {
            (Tone::Good, false) => '●',
            (Tone::Wait, false) => '◐',
            (Tone::Bad, false) => '✗',
            (Tone::Off, false) => '·',
            (Tone::Good, true) => '*',
            (Tone::Wait, true) => '~',
            (Tone::Bad, true) => 'x',
            (Tone::Off, true) => '.',
        }
    }

    /// Its colour.
    pub fn token(self) -> Token {
        match self {
            Tone::Bad => Token::Bad,
            Tone::Wait => Token::Wait,
            Tone::Good => Token::Good,
            Tone::Off => Token::Dim,
        }
    }
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What verbs act on: `api`, or `api.2`.
    pub id: String,
    /// The service.
    pub service: String,
    /// `api`, `▾api/2` for a service of several copies, ` api-2` for one of them.
    pub label: String,
    /// A service of several copies.
    pub group: bool,
    /// One of several copies.
    pub child: bool,
    /// How it is.
    pub tone: Tone,
    /// The same in a word or two.
    pub state: String,
    /// RFC 3339, of the present run.
    pub since: Option<String>,
    /// Since it was last asked for.
    pub restarts: Option<u32>,
    /// Percent of one core.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// The port to show.
    pub port: Option<u16>,
    /// `ok`, `fail`, `wait` or nothing.
    pub health: String,
    /// It is built at each save.
    pub rerun: bool,
}

impl Fleet {
    /// Takes a new answer, given at this moment, in microseconds since 1970.
    pub fn update(&mut self, ps: Ps, now: i64) {
        self.second = now.div_euclid(1_000_000);
        let mut seen = BTreeSet::new();
        for instance in ps.services.iter().flat_map(|service| &service.instances) {
            seen.insert(instance.id.as_str());
            let both = instance.cpu_percent.is_some() || instance.memory_bytes.is_some();
            let sample = both.then(|| Sample {
                cpu: instance.cpu_percent.unwrap_or_default(),
                memory: instance.memory_bytes.unwrap_or_default(),
            });
            self.samples.entry(instance.id.clone()).or_default().add(self.second, sample);
        }
        self.samples.retain(|id, _| seen.contains(id.as_str()));
        self.ps = Some(ps);
    }

    /// Services and jobs, or vendors.
    pub fn services(&self, vendors: bool) -> impl Iterator<Item = &Service> {
        let all = self.ps.iter().flat_map(|ps| &ps.services);
        all.filter(move |service| (service.kind == "vendor") == vendors)
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.ps.iter().flat_map(|ps| &ps.services).find(|service| service.name == name)
    }

    /// The second of the newest answer, since 1970.
    pub fn second(&self) -> i64 {
        self.second
    }

    /// The last seconds of these instances together, oldest first; `None` where nothing of them ran.
    pub fn seconds<'a>(&self, ids: impl Iterator<Item = &'a str>, n: usize) -> Vec<Option<Sample>> {
        let mut sum: Vec<Option<Sample>> = vec![None; n];
        for history in ids.filter_map(|id| self.samples.get(id)) {
            for (sum, sample) in sum.iter_mut().zip(history.seconds(self.second, n)) {
                let Some(sample) = sample else { continue };
                let so_far = sum.unwrap_or_default();
                *sum = Some(Sample { cpu: so_far.cpu + sample.cpu, memory: so_far.memory + sample.memory });
            }
        }
        sum
    }

    /// The CPU of a row over the last minute in so many bars: of all copies together, where it stands for all.
    pub fn cpu_bars(&self, row: &Row, columns: usize) -> Vec<Option<f64>> {
        let ids: Vec<&str> = match self.service(&row.service) {
            Some(service) if row.group || !row.child => service.instances.iter().map(|i| i.id.as_str()).collect(),
            _ => vec![&row.id],
        };
        let seconds = self.seconds(ids.into_iter(), LATELY);
        let cpu: Vec<Option<f64>> = seconds.into_iter().map(|sample| sample.map(|sample| sample.cpu)).collect();
        history::bars(&cpu, self.second, LATELY.div_ceil(columns.max(1)), columns)
    }

    /// Rows of the list: sorted, filtered by a part of the name, the copies of folded services left out.
    pub fn rows(&self, vendors: bool, sort: Sort, filter: &str, folded: &BTreeSet<String>) -> Vec<Row> {
        let filter = filter.to_lowercase();
        let mut groups: Vec<Vec<Row>> = self
            .services(vendors)
            .filter(|service| filter.is_empty() || service.name.to_lowercase().contains(&filter))
            .map(|service| rows_of(service, folded.contains(&service.name)))
            .collect();
        groups.sort_by(|a, b| compare(&a[0], &b[0], sort));
        groups.into_iter().flatten().collect()
    }

    /// How many services are up, on their way, failed and off.
    pub fn counts(&self) -> [(Tone, usize); 4] {
        let mut counts = [(Tone::Good, 0), (Tone::Wait, 0), (Tone::Bad, 0), (Tone::Off, 0)];
        for service in self.ps.iter().flat_map(|ps| &ps.services) {
            let tone = Tone::of(&service.state);
            counts.iter_mut().filter(|(of, _)| *of == tone).for_each(|(_, n)| *n += 1);
        }
        counts
    }

    /// CPU in percent of a core and bytes of memory of everything.
    pub fn total(&self) -> Sample {
        let all = self.ps.iter().flat_map(|ps| &ps.services).flat_map(|service| &service.instances);
        all.fold(Sample::default(), |sum, instance| Sample {
            cpu: sum.cpu + instance.cpu_percent.unwrap_or_default(),
            memory: sum.memory + instance.memory_bytes.unwrap_or_default(),
        })
    }
}

fn compare(a: &Row, b: &Row, sort: Sort) -> Ordering {
    let by = match sort {
        Sort::Name => Ordering::Equal,
        Sort::State => a.tone.cmp(&b.tone),
        Sort::Cpu => b.cpu.unwrap_or_default().total_cmp(&a.cpu.unwrap_or_default()),
        Sort::Memory => b.memory.cmp(&a.memory),
        Sort::Restarts => b.restarts.cmp(&a.restarts),
        Sort::Age => b.since.cmp(&a.since),
        // Those without one come last.
        Sort::Port => a.port.unwrap_or(u16::MAX).cmp(&b.port.unwrap_or(u16::MAX)),
        Sort::Health => health_rank(a).cmp(&health_rank(b)),
    };
    by.then_with(|| a.service.cmp(&b.service))
}

fn health_rank(row: &Row) -> u8 {
    match row.health.as_str() {
        "fail" => 0,
        "wait" => 1,
        "ok" => 2,
        _ => 3,
    }
}

fn rows_of(service: &Service, folded: bool) -> Vec<Row> {
    let several = service.scale > 1 || service.instances.len() > 1;
    let mut rows = vec![whole(service, several, folded)];
    if several && !folded {
        rows.extend(service.instances.iter().map(|instance| copy(service, instance)));
    }
    rows
}

/// The row that stands for a service.
fn whole(service: &Service, several: bool, folded: bool) -> Row {
    let instances = &service.instances;
    let marker = if folded { '▸' } else { '▾' };
    let sum = |of: fn(&Instance) -> Option<f64>| instances.iter().filter_map(of).reduce(|a, b| a + b);
    let first = instances.first();
    Row {
        id: service.name.clone(),
        service: service.name.clone(),
        label: if several { format!("{marker}{}/{}", service.name, service.scale) } else { service.name.clone() },
        group: several,
        child: false,
        tone: tone(service, &service.state),
        state: match first {
            Some(instance) if !several => word(service, instance),
            _ => plain(service, &service.state),
        },
        since: first.filter(|_| !several).and_then(since),
        restarts: instances.iter().map(|i| i.restarts).reduce(|a, b| a + b),
        cpu: sum(|i| i.cpu_percent),
        memory: instances.iter().filter_map(|i| i.memory_bytes).reduce(|a, b| a + b),
        port: first.and_then(port),
        health: first.filter(|_| !several).map_or_else(String::new, health),
        rerun: service.rerun,
    }
}

fn copy(service: &Service, instance: &Instance) -> Row {
    Row {
        id: instance.id.clone(),
        service: service.name.clone(),
        label: format!(" {}", instance.id.replace('.', "-")),
        group: false,
        child: true,
        tone: tone(service, &instance.state),
        state: word(service, instance),
        since: since(instance),
        restarts: Some(instance.restarts),
        cpu: instance.cpu_percent,
        memory: instance.memory_bytes,
        port: port(instance),
        health: health(instance),
        rerun: service.rerun,
    }
}

#[cfg(test)]
mod tests;
