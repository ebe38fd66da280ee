//! Services whose newest binary is not run because its tests failed. Pure: `ps` says that tests failed, `why` whether that keeps anything from running.

use std::collections::BTreeMap;

use super::group::{Group, Kind, Place, Problem};
use crate::api::wire::{Service, WhyTests};

/// One service whose tests failed last.
#[derive(Clone, Debug, Default)]
struct Gate {
    /// When they ended, as `ps` says it.
    at: String,
    /// An old copy runs on.
    kept: bool,
    /// What `why` said of it.
    told: Option<WhyTests>,
}

/// All of them, by service.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates {
    gates: BTreeMap<String, Gate>,
    /// Items that were made of them.
    ids: Vec<String>,
    /// Services of which it is not known yet.
    wishes: Vec<String>,
}

impl Gates {
    /// Takes what runs.
    pub(super) fn update(&mut self, services: &[Service]) {
        let mut gates = BTreeMap::new();
        for service in services {
            let Some(test) = service.test.as_ref().filter(|test| test["state"] == "failed") else { continue };
            let at = test["at"].as_str().unwrap_or_default();
            let known = self.gates.remove(&service.name).filter(|known| known.at == at);
            if known.is_none() {
                self.wishes.push(service.name.clone());
            }
            let kept = service.instances.iter().any(|instance| instance.is_up());
            let told = known.and_then(|known| known.told);
            gates.insert(service.name.clone(), Gate { at: at.to_owned(), kept, told });
        }
        self.gates = gates;
        self.ids = self.groups().into_iter().flat_map(|group| group.items).map(|item| item.id).collect();
    }

    /// Services to ask `why` about.
    pub(super) fn wishes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wishes)
    }

    /// Takes what `why` says of a service's tests.
    pub(super) fn told(&mut self, service: &str, tests: Option<WhyTests>) {
        if let Some(gate) = self.gates.get_mut(service) {
            gate.told = tests;
        }
    }

    /// All items, dismissed ones too.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(String::as_str)
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        self.gates.iter().filter_map(|(service, gate)| group(service, gate)).collect()
    }
}

fn group(service: &str, gate: &Gate) -> Option<Group> {
    let told = gate.told.as_ref().filter(|told| told.state == "failed")?;
    let error = told.error.clone().unwrap_or_else(|| "its tests failed".to_owned());
    let (place, text) = placed(&error);
    let test = text.split(':').next().filter(|name| name.starts_with("Test")).map(str::to_owned);
    let id = format!("{service} gate {} {error}", gate.at);
    let item = Problem { test, ..Problem::new(id, place, text) };
    let title = if gate.kept { "the new binary waits: its tests failed" } else { "waits for its tests, which failed" };
    let more = if gate.kept { "old copy kept" } else { "" };
    let (title, more) = (title.to_owned(), more.to_owned());
    Some(Group { title, more, items: vec![item], ..Group::new(Kind::Gate, service, "") })
}

/// `api/main_test.go:7: TestAnswer: got v1`, in parts.
fn placed(error: &str) -> (Option<Place>, String) {
    let parts = || {
        let (file, rest) = error.split_once(".go:")?;
        let (line, rest) = rest.split_once(':')?;
        let (column, rest) = match rest.split_once(':') {
            Some((column, rest)) if column.parse::<u32>().is_ok() => (column.parse().ok()?, rest),
            _ => (0, rest),
        };
        let place = Place { file: format!("{file}.go"), line: line.parse().ok()?, column };
        (!file.contains(' ')).then(|| (Some(place), rest.trim().to_owned()))
    };
    parts().unwrap_or_else(|| (None, error.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_failure_is_read_in_parts() {
        let (place, text) = placed("api/main_test.go:7: TestAnswer: got v1");
        assert_eq!((place.unwrap().to_string().as_str(), text.as_str()), ("api/main_test.go:7", "TestAnswer: got v1"));
        let (place, text) = placed("api/main.go:7:3: undefined: x");
        assert_eq!((place.unwrap().to_string().as_str(), text.as_str()), ("api/main.go:7:3", "undefined: x"));
        assert_eq!(placed("timed out after 3s"), (None, "timed out after 3s".to_owned()));
    }
}
