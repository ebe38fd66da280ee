//! Whether what is wanted and what is have met, and if not, why: the answers behind `start`'s waiting and behind `why`.

use std::collections::BTreeMap;

use super::slot::Run;
use super::testing::{Door, closed_words};
use super::{Engine, Service, Slot};
use crate::supervisor::snapshot::{Reason, Settled};
use crate::task::id::ServiceName;
use crate::task::spec::{Condition, Desired, Need};
use crate::task::state::TaskState;
use crate::worker::Trouble;

impl Engine {
    /// For every service, in order of need, so that each knows of those before it.
    pub(super) fn settle_all(&self) -> BTreeMap<&ServiceName, Settled> {
        let mut done = BTreeMap::new();
        for name in self.services.keys() {
            self.settle(name, &mut done, 0);
        }
        done
    }

    /// `depth` bounds the walk: the project refuses cycles, but a walk must end even if one slips through.
    fn settle<'a>(&'a self, name: &'a ServiceName, done: &mut BTreeMap<&'a ServiceName, Settled>, depth: usize) {
        let Some(service) = self.services.get(name) else { return };
        if done.contains_key(name) || depth > self.services.len() {
            return;
        }
        for need in &service.spec.needs {
            self.settle(&need.service, done, depth + 1);
        }
        let settled = self.settled(service, done);
        done.insert(name, settled);
    }

    fn settled(&self, service: &Service, done: &BTreeMap<&ServiceName, Settled>) -> Settled {
        let mut slots = service.slots.values();
        if service.desired == Desired::Down {
            if let Some(words) = undying(service) {
                return Settled::Failed(words);
            }
            let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
            let busy = slots.any(|slot| slot.run.is_some()) || self.is_gated(service) || service.testing.is_running();
            // A build that failed is no concern of a service that is not wanted.
            return if busy || build.is_some_and(|build| build.is_pending()) { Settled::Pending } else { Settled::Met };
        }
        if self.hunts.contains_key(&service.spec.name) {
            return Settled::Pending;
        }
        if let Some(pending) = self.pending_work(service) {
            return pending;
        }
        for slot in slots.filter(|slot| !slot.held || slot.run.is_some()) {
            let verdict = self.settled_slot(service, slot, done);
            match verdict {
                Settled::Met => {}
                Settled::Failed(words) => return Settled::Failed(format!("{words}{}", kept_words(service))),
                Settled::Pending | Settled::Absent(_) | Settled::Blocked(_) => return verdict,
            }
        }
        Settled::Met
    }

    /// Builds and replacements that are still to come, or a build that failed beside a serving copy.
    fn pending_work(&self, service: &Service) -> Option<Settled> {
        let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
        let marked = service.slots.values().any(|slot| slot.check || slot.replace.is_some() || slot.surplus);
        match build {
            Some(build) if build.is_pending() => return Some(Settled::Pending),
            Some(build) if build.state == TaskState::Failed => return Some(Settled::Failed(build_words(build))),
            Some(_) | None => {}
        }
        match service.door() {
            Door::Waits => return Some(Settled::Pending),
            Door::Closed(outcome) => return Some(Settled::Failed(closed_words(outcome))),
            Door::Open => {}
        }
        if self.is_gated(service) {
            return Some(Settled::Pending);
        }
        // Nobody knows how long a person looks at it, so nobody waits.
        let spared = service.slots.values().find_map(Slot::spared_words).map(Settled::Blocked);
        // A replacement that waits for a copy that failed will not go on by itself: the failed copy is the news.
        let goes_on = marked && !service.slots.values().any(|slot| is_bad(slot.state));
        spared.or(goes_on.then_some(Settled::Pending))
    }

    pub(super) fn is_gated(&self, service: &Service) -> bool {
        self.gates.iter().any(|gate| gate.instances.iter().any(|id| id.service == service.spec.name))
    }

    fn settled_slot(&self, service: &Service, slot: &Slot, done: &BTreeMap<&ServiceName, Settled>) -> Settled {
        match slot.state {
            TaskState::Ready | TaskState::Done => Settled::Met,
            TaskState::Idle if slot.held => Settled::Met,
            TaskState::Backoff if slot.absent => {
                Settled::Absent(format!("{}: {}", slot.id, slot.trouble.as_deref().unwrap_or("nobody can run it")))
            }
            TaskState::Failed => {
                Settled::Failed(format!("{}: {}", slot.id, slot.trouble.as_deref().unwrap_or("it failed")))
            }
            TaskState::Crashloop => Settled::Failed(format!(
                "{} is in a crash loop: {}",
                slot.id,
                slot.trouble.as_deref().unwrap_or("it ends again and again")
            )),
            TaskState::Queued => self.blocker(service, done).map_or(Settled::Pending, Settled::Blocked),
            TaskState::Stopping if !slot.is_to_be_awaited() => Settled::Failed(slot.grave_words().unwrap_or_default()),
            TaskState::Idle | TaskState::Starting | TaskState::Running | TaskState::Stopping | TaskState::Backoff => {
                Settled::Pending
            }
        }
    }

    /// The need that will not be met without somebody doing something.
    fn blocker(&self, service: &Service, done: &BTreeMap<&ServiceName, Settled>) -> Option<String> {
        service.spec.needs.iter().filter(|need| !self.is_met(need, true)).find_map(|need| {
            let other = self.services.get(&need.service)?;
            if other.desired == Desired::Down {
                return Some(format!("it needs `{}`, which is stopped", need.service));
            }
            if other.slots.values().all(|slot| slot.surplus || slot.held) {
                return Some(format!("it needs `{}`, of which no copy is wanted", need.service));
            }
            match done.get(&need.service)? {
                Settled::Failed(_) => Some(format!("it needs `{}`, which {}", need.service, bad_word(other))),
                Settled::Absent(_) | Settled::Blocked(_) => {
                    Some(format!("it needs `{}`, which cannot start either", need.service))
                }
                Settled::Met if need.condition == Condition::Completed || over(other) => {
                    Some(format!("it needs `{}` {}, which has ended", need.service, condition_word(need)))
                }
                Settled::Met | Settled::Pending => None,
            }
        })
    }

    /// What a service waits for or suffers from, one sentence; `None` when there is nothing to say.
    pub(super) fn reason(&self, service: &Service, settled: &Settled) -> Option<String> {
        match settled {
            Settled::Failed(words) | Settled::Absent(words) | Settled::Blocked(words) => return Some(words.clone()),
            Settled::Met if service.desired == Desired::Down => return killed_words(service),
            Settled::Met | Settled::Pending => {}
        }
        service.slots.values().find_map(|slot| self.slot_reason(service, slot))
    }

    /// The same for one copy.
    pub(super) fn slot_reason(&self, service: &Service, slot: &Slot) -> Option<String> {
        slot.grave_words().or_else(|| self.state_reason(service, slot)).or_else(|| slot.any_trouble())
    }

    fn state_reason(&self, service: &Service, slot: &Slot) -> Option<String> {
        match slot.state {
            TaskState::Queued => {
                let unmet: Vec<String> = service
                    .spec
                    .needs
                    .iter()
                    .filter(|need| !self.is_met(need, slot.restarts == 0))
                    .map(need_words)
                    .collect();
                let build = service.spec.build.as_ref().and_then(|spec| self.builds.get(&spec.key));
                // That it is building says it all.
                if build.is_some_and(|build| build.is_pending()) || unmet.is_empty() {
                    None
                } else {
                    Some(format!("it waits for {}", unmet.join(", ")))
                }
            }
            TaskState::Starting | TaskState::Running => slot.run.as_ref().and_then(|run| unready_words(slot, run)),
            TaskState::Backoff => Some(slot.backoff_words()),
            TaskState::Failed | TaskState::Crashloop => slot.trouble.clone(),
            TaskState::Ready if slot.replace.is_some() => slot.spared_words().or_else(|| turn_words(service, slot)),
            TaskState::Idle | TaskState::Ready | TaskState::Stopping | TaskState::Done => None,
        }
    }
}

impl Slot {
    fn backoff_words(&self) -> String {
        let never_ran = self.exits.last().is_some_and(|exit| matches!(exit.reason, Reason::StartFailed | Reason::Port));
        match &self.trouble {
            // Why it could not start is a sentence of its own.
            Some(trouble) if never_ran => format!("{} could not start and is tried again soon: {trouble}", self.id),
            trouble => format!("{} {} and is started again soon", self.id, trouble.as_deref().unwrap_or("ended")),
        }
    }

    /// What stands above all else there is to say.
    fn grave_words(&self) -> Option<String> {
        let run = self.run.as_ref()?;
        // Of a container whose engine is away nothing else that is known counts.
        let lost_sight = self.launch.container.is_some().then_some(Trouble::Unknown);
        let grave = [Some(Trouble::Unkillable), Some(Trouble::Stuck), lost_sight].into_iter().flatten();
        let words = grave.filter_map(|trouble| run.troubles.get(&trouble)).next()?;
        Some(format!("{}: {words}", self.id))
    }

    /// Why newer code waits, where a debugger is the reason.
    fn spared_words(&self) -> Option<String> {
        self.is_spared().then(|| format!("{} keeps the code it has: a debugger holds it", self.id))
    }

    fn any_trouble(&self) -> Option<String> {
        let words = self.run.as_ref()?.troubles.values().next()?;
        Some(format!("{}: {words}", self.id))
    }
}

/// What becomes of the others where newer code failed in the first copy that got it.
fn kept_words(service: &Service) -> &'static str {
    let waits = |slot: &Slot| slot.replace.is_some() && slot.state == TaskState::Ready;
    if service.slots.values().any(waits) { "; the copies that are ready keep the code they have" } else { "" }
}

/// Whom a copy that is to be replaced waits for: they go one after another, each once the one before it is ready.
fn turn_words(service: &Service, slot: &Slot) -> Option<String> {
    let before = service.slots.values().find(|other| other.id != slot.id && !other.serves())?;
    Some(format!("{} is replaced once {} is ready", slot.id, before.id))
}

/// What is left of a service that shall be down, when nothing but what SIGKILL does not end is left.
fn undying(service: &Service) -> Option<String> {
    if service.slots.values().any(Slot::is_to_be_awaited) {
        return None;
    }
    let words: Vec<String> =
        service.slots.values().filter(|slot| slot.run.is_some()).filter_map(Slot::grave_words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Copies that did not end by themselves when they were stopped.
fn killed_words(service: &Service) -> Option<String> {
    let of = |slot: &Slot| Some((slot.id.to_string(), slot.killed_words()?));
    let killed: Vec<(String, String)> = service.slots.values().filter_map(of).collect();
    match killed.as_slice() {
        [] => None,
        [(_, words)] if service.slots.len() == 1 => Some(words.clone()),
        some => Some(some.iter().map(|(id, words)| format!("{id}: {words}")).collect::<Vec<_>>().join("; ")),
    }
}

/// Why a copy that runs is not ready.
fn unready_words(slot: &Slot, run: &Run) -> Option<String> {
    let no_longer = if run.was_ready { "no longer ready" } else { "not ready yet" };
    match (&run.holder, &run.waiting) {
        (Some(holder), _) => Some(format!("{} is {no_longer}: {holder}", slot.id)),
        (None, Some(waiting)) => Some(format!("{} is {no_longer}: {waiting}", slot.id)),
        (None, None) if slot.state == TaskState::Running => Some(format!("{} runs and is {no_longer}", slot.id)),
        (None, None) => None,
    }
}

fn is_bad(state: TaskState) -> bool {
    matches!(state, TaskState::Failed | TaskState::Crashloop)
}

/// It ended by itself, well, and nothing will start it again.
fn over(service: &Service) -> bool {
    service.desired == Desired::Up && service.slots.values().any(|slot| slot.state == TaskState::Done)
}

fn bad_word(service: &Service) -> &'static str {
    if service.slots.values().any(|slot| slot.state == TaskState::Crashloop) { "is in a crash loop" } else { "failed" }
}

fn build_words(build: &super::Build) -> String {
    build
        .failure
        .as_ref()
        .map_or_else(|| "its build failed".to_owned(), |failure| format!("its build failed: {}", failure.error))
}

/// The word of a condition in a service.yml.
pub(super) fn condition_word(need: &Need) -> &'static str {
    match need.condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Completed => "completed",
    }
}

fn need_words(need: &Need) -> String {
    match need.condition {
        Condition::Started => format!("`{}` to start", need.service),
        Condition::Ready => format!("`{}` to be ready", need.service),
        Condition::Completed => format!("`{}` to complete", need.service),
    }
}
