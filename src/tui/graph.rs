//! Who depends on whom: what is known of it, what keys chose of it, and its ways to be drawn. Pure.

pub mod place;
pub mod scene;
pub mod tree;
pub mod why;

use std::collections::{BTreeMap, BTreeSet};

use super::fleet::{Fleet, Tone};
use crate::api::wire::{Why, WhyNeed};

/// What each service needs, and why it is as it is.
pub type Needs = BTreeMap<String, Told>;

/// So many services are asked about in a second at most.
const ASKED: usize = 64;

/// What one service said of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Its state at that time.
    pub state: String,
    /// Why it is so, one sentence.
    pub summary: String,
    /// What each of its copies waits for.
    pub reasons: Vec<String>,
    /// Whom it needs.
    pub needs: Vec<WhyNeed>,
    /// Who holds its ports.
    pub holders: Vec<String>,
}

impl From<Why> for Told {
    fn from(why: Why) -> Told {
        let Why { service, summary, reasons, needs, holders, .. } = why;
        Told { state: service.state, summary, reasons, needs, holders }
    }
}

/// How it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Layers where they fit, else a tree.
    #[default]
    Fitting,
    /// Layers, of which a part is seen where they do not fit.
    Layers,
    /// A tree.
    Tree,
}

/// What is shown brighter than the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Light {
    /// Everything alike.
    #[default]
    All,
    /// What the chosen service needs, and what that needs.
    Needs,
    /// What needs it.
    Dependents,
}

/// The screen.
#[derive(Clone, Debug, Default)]
pub struct GraphPane {
    /// What is known so far.
    pub needs: Needs,
    /// How it is drawn.
    pub form: Form,
    /// What keys are about.
    pub chosen: Option<String>,
    /// Its row of the tree, in which a service may stand more than once.
    pub row: usize,
    /// What is shown brighter.
    pub light: Light,
    /// Somebody was asked, and has not answered.
    pub asking: bool,
}

impl GraphPane {
    /// Takes answers.
    pub fn take(&mut self, told: Needs, fleet: &Fleet) {
        self.needs.extend(told);
        self.needs.retain(|name, _| fleet.service(name).is_some());
        self.asking = false;
    }

    /// About whom there is something to ask: those nobody has asked about, those that have changed since, and those that wait. What is settled is not
    /// asked about again.
    pub fn outdated(&self, fleet: &Fleet) -> Vec<String> {
        let is_old = |name: &str, state: &str| match self.needs.get(name) {
            None => true,
            Some(told) => told.state != state || Tone::of(state) == Tone::Wait || self.chosen.as_deref() == Some(name),
        };
        let all = fleet.ps.iter().flat_map(|ps| &ps.services);
        all.filter(|service| is_old(&service.name, &service.state))
            .map(|service| service.name.clone())
            .take(ASKED)
            .collect()
    }

    /// The services that are shown brighter; `None` for all.
    pub fn lit(&self) -> Option<BTreeSet<&str>> {
        let chosen = self.chosen.as_deref()?;
        let beside = |name: &str| -> Vec<&str> {
            match self.light {
                Light::All => Vec::new(),
                Light::Needs => self
                    .needs
                    .get(name)
                    .into_iter()
                    .flat_map(|told| &told.needs)
                    .map(|need| need.service.as_str())
                    .collect(),
                Light::Dependents => {
                    let needs = |told: &Told| told.needs.iter().any(|need| need.service == name);
                    self.needs.iter().filter(|(_, told)| needs(told)).map(|(name, _)| name.as_str()).collect()
                }
            }
        };
        let mut lit = BTreeSet::new();
        let mut open = vec![chosen];
        while let Some(name) = open.pop() {
            if lit.insert(name) {
                open.extend(beside(name));
            }
        }
        (self.light != Light::All).then_some(lit)
    }
}

/// The services by number, in the order of their names, and the numbers of those each needs.
pub fn numbered<'a>(needs: &Needs, fleet: &'a Fleet) -> (Vec<&'a str>, Vec<Vec<usize>>) {
    let names: Vec<&str> = fleet.ps.iter().flat_map(|ps| &ps.services).map(|service| service.name.as_str()).collect();
    let numbers: BTreeMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let of = |name: &&str| {
        let told = needs.get(*name).into_iter().flat_map(|told| &told.needs);
        told.filter_map(|need| numbers.get(need.service.as_str()).copied()).collect()
    };
    let needs = names.iter().map(of).collect();
    (names, needs)
}

#[cfg(test)]
mod tests;
