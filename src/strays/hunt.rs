//! Hunts: finding the strays of some services and dealing with them as the project says, beside everything else that goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::look::Ground;
use super::stray::{self, Fate, Stray};
use super::{end, targets};
use crate::project::Project;
use crate::project::file::Strays;
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// A hunt looks again so often while it finds something to end: a `go run` that was compiling may have started its program meanwhile.
const ROUNDS: usize = 4;

/// What is done with proven strays against which nothing speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They are ended.
    #[default]
    Kill,
    /// They are reported.
    Report,
    /// Those are ended to which a person agreed, by pid and start; the others are reported.
    Agreed(Vec<(u32, u64)>),
}

impl Policy {
    /// What a project says, with what a person agreed to where it says `ask`.
    pub fn of(strays: Strays, agreed: &[(u32, u64)]) -> Policy {
        match strays {
            Strays::Kill => Policy::Kill,
            Strays::Report => Policy::Report,
            Strays::Ask => Policy::Agreed(agreed.to_vec()),
        }
    }

    /// Why a stray is left alone; `None`: it is not.
    fn spares(&self, stray: &Stray) -> Option<String> {
        match self {
            Policy::Kill => None,
            Policy::Report => Some("`strays: report`".to_owned()),
            Policy::Agreed(agreed) if agreed.contains(&(stray.pid, stray.start_time)) => None,
            Policy::Agreed(_) => Some("`strays: ask`, and nobody agreed".to_owned()),
        }
    }
}

/// What a hunt did about one stray.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which.
    pub stray: Stray,
    /// What became of it.
    pub fate: Fate,
}

/// One hunt, complete: it may run on any thread.
#[derive(Clone, Debug)]
pub struct Hunt {
    services: Vec<ServiceName>,
    project: Arc<Project>,
    ground: Ground,
    policy: Policy,
    shared: Arc<Shared>,
}

/// What hunts of one supervisor share.
#[derive(Debug, Default)]
struct Shared {
    /// One hunt at a time: two would signal the same strays.
    turn: Mutex<()>,
    /// The supervisor ends: nothing more is signalled.
    cancel: AtomicBool,
}

/// What a supervisor knows about strays; shared with its worker.
#[derive(Debug)]
pub struct Hunts {
    home: Home,
    project: Mutex<Option<Arc<Project>>>,
    shared: Arc<Shared>,
}

impl Hunts {
    /// For one project, of which nothing is known yet.
    pub fn new(home: Home) -> Hunts {
        Hunts { home, project: Mutex::default(), shared: Arc::default() }
    }

    /// Takes over where the services lie and what shall be done about strays.
    pub fn learn(&self, project: &Arc<Project>) {
        *self.project.lock().unwrap_or_else(PoisonError::into_inner) = Some(project.clone());
    }

    /// A hunt for the strays of these services, as a command asked for it.
    pub fn asked(
        &self,
        project: &Arc<Project>,
        services: Vec<ServiceName>,
        caller: Option<u32>,
        agreed: &[(u32, u64)],
    ) -> Hunt {
        Hunt {
            services,
            project: project.clone(),
            ground: Ground { home: self.home.clone(), caller },
            policy: Policy::of(project.strays, agreed),
            shared: self.shared.clone(),
        }
    }

    /// A hunt for the strays of one service, which nobody asked for; `None` where nothing is known of it.
    pub fn of(&self, service: &ServiceName) -> Option<Hunt> {
        let project = self.project.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(self.asked(&project, vec![service.clone()], None, &[]))
    }

    /// Hunts that are under way signal nobody any more and come back soon.
    pub fn cancel(&self) {
        self.shared.cancel.store(true, Ordering::Relaxed);
    }
}

impl Hunt {
    /// Whose strays it is for.
    pub fn services(&self) -> &[ServiceName] {
        &self.services
    }

    /// Looks, judges, and deals with what it finds. Blocks until that is done: at most the longest grace and a few seconds.
    pub fn run(self) -> Vec<Finding> {
        let mut targets = targets(&self.project, &self.services);
        let _turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<Finding> = Vec::new();
        for _ in 0..ROUNDS {
            let is_new = |stray: &Stray| {
                !findings.iter().any(|f| (f.stray.pid, f.stray.start_time) == (stray.pid, stray.start_time))
            };
            let found: Vec<Stray> = stray::find(&mut targets, &self.ground).into_iter().filter(is_new).collect();
            let spared =
                |stray: &Stray| stray.veto.as_ref().map(ToString::to_string).or_else(|| self.policy.spares(stray));
            let (left, chosen): (Vec<Stray>, Vec<Stray>) = found.into_iter().partition(|stray| spared(stray).is_some());
            findings.extend(left.into_iter().map(|stray| {
                let why = spared(&stray).unwrap_or_default();
                Finding { stray, fate: Fate::Left(why) }
            }));
            if chosen.is_empty() {
                break;
            }
            let fates = end::end(&chosen, &targets, &self.ground, &self.shared.cancel);
            findings.extend(chosen.into_iter().zip(fates).map(|(stray, fate)| Finding { stray, fate }));
        }
        findings
    }
}
