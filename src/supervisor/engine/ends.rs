//! Facts about runs: what a report or a timer changes, and whether and when an ended copy is started again.

use std::time::Duration;

use super::slot::Run;
use super::{Effect, Engine, Moment, Owner, Slot, TimerId};
use crate::supervisor::snapshot::{ExitView, Reason};
use crate::task::id::{InstanceId, RunId, ServiceName};
use crate::task::outcome::TestOutcome;
use crate::task::restart::{self, Failure, RestartPolicy, Verdict};
use crate::task::spec::{Condition, Desired, Kind, Limits, size_words};
use crate::task::state::{Input, TaskState};
use crate::worker::{Holder, Outcome, RunReport, Signal, StartFailure, Trouble};

/// Code that ends within so long after its start never stood.
const STANDS: Duration = Duration::from_secs(1);
/// What cannot be reached is tried again after so long at the earliest.
const CALL: Duration = Duration::from_millis(500);
/// A crash loop rests so long between two tries.
const REST: Duration = Duration::from_secs(60);
/// So many failures are remembered for the restart policy at the least.
const FAILURES: usize = 64;

impl Engine {
    /// A worker reports about a run. One that is not known any more misses.
    pub(super) fn report(&mut self, run: RunId, report: RunReport, now: Moment, out: &mut Vec<Effect>) {
        match (self.runs.get(&run), report) {
            (None, _) => {}
            (Some(Owner::Builds(_)), RunReport::Built(results)) => self.built(run, results, now, out),
            (Some(Owner::Builds(_)), RunReport::StartFailed(failure)) => {
                self.build_lost(run, &failure.message, now, out)
            }
            (Some(Owner::Builds(_)), RunReport::Exited(_)) => {
                self.build_lost(run, "the build was interrupted", now, out)
            }
            (Some(Owner::Builds(_)), RunReport::Waiting(Some(words))) => self.build_waits(run, &words, now, out),
            (Some(Owner::Builds(_)), RunReport::Note(message)) => self.build_notes(run, message, now, out),
            (Some(Owner::Builds(_)), _) => {}
            (Some(Owner::Tests(_)), RunReport::Tested(outcome)) => self.tested(run, outcome, now, out),
            (Some(Owner::Tests(_)), RunReport::StartFailed(failure)) => {
                self.tested(run, TestOutcome { error: Some(failure.message), ..TestOutcome::default() }, now, out)
            }
            (Some(Owner::Tests(_)), RunReport::Exited(_)) => {
                let error = Some("they were interrupted".to_owned());
                self.tested(run, TestOutcome { error, ..TestOutcome::default() }, now, out)
            }
            (Some(Owner::Tests(service)), RunReport::Note(message)) => {
                let service = service.clone();
                self.note(&service, message, now, out);
            }
            (Some(Owner::Tests(_)), _) => {}
            (Some(Owner::Slot(id)), report) => {
                let id = id.clone();
                self.report_slot(&id, run, report, now, out);
            }
        }
    }

    fn report_slot(&mut self, id: &InstanceId, run: RunId, report: RunReport, now: Moment, out: &mut Vec<Effect>) {
        match report {
            RunReport::Exited(outcome) => self.exited(id, run, &outcome, now, out),
            RunReport::StartFailed(failure) => self.start_failed(id, run, failure, now, out),
            // A job is never ready, it completes.
            RunReport::Ready(_) if self.is_job(&id.service) => {}
            RunReport::Ready(ready) => self.ready(id, ready, now, out),
            RunReport::Dead(why) => self.dead(id, &why, now, out),
            RunReport::Stopping => self.is_ending(id, now),
            RunReport::Spared => self.spared(id, now, out),
            RunReport::Built(_) | RunReport::Tested(_) => {}
            RunReport::Started { pid } => {
                let Some(slot) = self.slot(id) else { return };
                slot.step(Input::Started, now);
                slot.started_us.get_or_insert(now.wall_us);
                slot.absent = false;
                if let Some(run) = &mut slot.run {
                    run.pid = Some(pid).filter(|pid| *pid > 0);
                }
            }
            RunReport::Note(message) => self.note(&id.service, message, now, out),
            RunReport::Limits(limits) => self.limited(id, limits, now, out),
            RunReport::Listening(listening) => self.with_run(id, |run| run.listening = listening),
            RunReport::Trouble(trouble, words) => self.trouble(id, trouble, words, now, out),
            RunReport::Waiting(waiting) => self.with_run(id, |run| run.waiting = waiting),
            RunReport::Holder(holder) => self.with_run(id, |run| run.holder = holder.as_ref().map(holder_words)),
        }
    }

    /// A person is told once why limits are not enforced, and again when the reason is another.
    fn limited(&mut self, id: &InstanceId, limits: Limits, now: Moment, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id) else { return };
        let told = std::mem::replace(&mut slot.unenforced, limits.unenforced.clone());
        let untold = limits.unenforced.clone().filter(|why| told.as_ref() != Some(why));
        self.with_run(id, |run| run.limits = Some(limits));
        if let Some(why) = untold {
            let message = format!("{id}: its limits are not enforced: {why}; `orchestra doctor` says what helps");
            self.say(&id.service.clone(), message, now, out);
        }
    }

    /// Somebody else ends it, most likely a supervisor that died meanwhile: that is a wanted stop, and what is wanted is started again after it.
    fn is_ending(&mut self, id: &InstanceId, now: Moment) {
        let Some(slot) = self.slot(id) else { return };
        slot.step(Input::Terminate, now);
        if let Some(run) = &mut slot.run {
            run.ending.get_or_insert(Reason::Stopped);
        }
    }

    /// It was to make room for newer code and a debugger holds it: it goes on until that has gone. Whom a person wants ended is ended.
    fn spared(&mut self, id: &InstanceId, now: Moment, out: &mut Vec<Effect>) {
        let wanted = self.is_wanted(id);
        let Some(slot) = self.slot(id).filter(|slot| slot.state == TaskState::Stopping) else { return };
        let grace = slot.grace;
        let Some(run) = slot.run.as_mut() else { return };
        if !wanted {
            return out.push(Effect::Signal { run: run.id, signal: Signal::Stop { grace, spare: false } });
        }
        run.ending = None;
        run.troubles.insert(Trouble::Debugged, "a debugger holds it".to_owned());
        let is_ready = run.ready_since.is_some();
        slot.step(Input::Spared, now);
        if is_ready {
            slot.step(Input::BecameReady, now);
        }
        slot.owed = false;
        if slot.forced {
            slot.replace = Some(Reason::Rerun);
        } else {
            slot.check = true;
        }
        self.of_service(&id.service, |rerun| rerun.told_us = None);
        self.say(&id.service, format!("{id} keeps the code it has as long as a debugger holds it"), now, out);
    }

    /// What a run suffers from; a change of it is news, but for a debugger, of which its user knows.
    fn trouble(
        &mut self,
        id: &InstanceId,
        trouble: Trouble,
        words: Option<String>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(run) = self.slot(id).and_then(|slot| slot.run.as_mut()) else { return };
        let before = match &words {
            Some(words) => run.troubles.insert(trouble, words.clone()),
            None => run.troubles.remove(&trouble),
        };
        let message = match (trouble, before, words) {
            (Trouble::Debugged, _, _) => return,
            (Trouble::Escaped, None, Some(words)) => format!("{id}: {words}"),
            (Trouble::Escaped, _, _) => return,
            (_, None, Some(words)) => format!("{id} is {}: {words}", trouble.word()),
            (_, Some(_), None) => format!("{id} is no longer {}", trouble.word()),
            (_, Some(_), Some(_)) | (_, None, None) => return,
        };
        self.say(&id.service.clone(), message, now, out);
    }

    fn with_run(&mut self, id: &InstanceId, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.slot(id).and_then(|slot| slot.run.as_mut()) {
            change(run);
        }
    }

    fn ready(&mut self, id: &InstanceId, ready: bool, now: Moment, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id) else { return };
        let changed = slot.step(if ready { Input::BecameReady } else { Input::LostReady }, now);
        let Some(run) = &mut slot.run else { return };
        run.healthy = Some(ready);
        run.was_ready |= ready;
        run.ready_since = if ready { run.ready_since.or(Some(now)) } else { None };
        run.first_ready = run.first_ready.or(run.ready_since);
        if !changed {
            return;
        }
        let renewed = ready && std::mem::take(&mut slot.renewed);
        if ready {
            slot.trouble = None;
        }
        let message = if ready { format!("{id} is ready") } else { format!("{id} is no longer ready") };
        self.say(&id.service.clone(), message, now, out);
        if ready {
            if renewed {
                self.of_service(&id.service, |rerun| rerun.readies(now));
            }
            self.retry_dependants(&id.service, now);
        }
    }

    /// A dependency that is ready again gives those in a crash loop one try.
    fn retry_dependants(&mut self, ready: &ServiceName, now: Moment) {
        for service in
            self.services.values_mut().filter(|service| service.spec.needs.iter().any(|need| need.service == *ready))
        {
            for slot in service.slots.values_mut().filter(|slot| slot.state == TaskState::Crashloop) {
                slot.retry(now);
            }
        }
    }

    fn dead(&mut self, id: &InstanceId, why: &str, now: Moment, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id) else { return };
        if !slot.terminate(Reason::FailedProbe, now, out) {
            return;
        }
        self.say(&id.service.clone(), format!("{id} is restarted: its liveness probe failed: {why}"), now, out);
    }

    fn start_failed(&mut self, id: &InstanceId, run: RunId, failure: StartFailure, now: Moment, out: &mut Vec<Effect>) {
        self.runs.remove(&run);
        let wanted = self.is_wanted(id);
        let policy = self.policy(id);
        let Some(slot) = self.slot(id) else { return };
        let reason = if failure.port { Reason::Port } else { Reason::StartFailed };
        let ended = slot.run.take();
        slot.ran = ended.as_ref().map(|run| (run.settings.clone(), run.artifact.clone()));
        slot.trouble = Some(failure.message.clone());
        // It is told once: the engine is called again and again.
        let is_known = std::mem::replace(&mut slot.absent, failure.absent) && failure.absent;
        if !is_known {
            slot.remember(ExitView {
                code: None,
                signal: None,
                reason,
                killed: false,
                ran_us: None,
                at_us: now.wall_us,
            });
        }
        let told = ended.as_ref().is_some_and(|run| run.ending.is_some());
        let message = format!("{id} could not start: {}", failure.message);
        if !wanted || told {
            slot.step(if wanted { Input::EndedAgain } else { Input::EndedUnwanted }, now);
        } else if failure.absent {
            self.wait_for_engine(id, &policy, now, out);
        } else if failure.transient {
            self.failed_once(id, ended.as_ref(), &policy, now, out);
        } else {
            slot.step(Input::EndedFailed, now);
        }
        if !is_known {
            self.say(&id.service.clone(), message, now, out);
        }
        self.drop_surplus(id);
    }

    /// What should run it cannot be reached. That is no failure of its own, so it is tried again, ever more slowly, whatever its policy says.
    fn wait_for_engine(&mut self, id: &InstanceId, policy: &RestartPolicy, now: Moment, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id) else { return };
        slot.uncounted += 1;
        let doubled = policy.delay.saturating_mul(1 << (slot.uncounted - 1).min(20)).min(policy.max_delay);
        let restarts = slot.restarts;
        self.back_off(id, doubled.max(CALL), now, out);
        if let Some(slot) = self.slot(id) {
            // It never ran.
            slot.restarts = restarts;
        }
    }

    fn exited(&mut self, id: &InstanceId, run: RunId, outcome: &Outcome, now: Moment, out: &mut Vec<Effect>) {
        self.runs.remove(&run);
        let wanted = self.is_wanted(id);
        let excused = self.lacks_a_dependency(&id.service);
        let policy = self.policy(id);
        let once = self.is_job(&id.service);
        let Some(slot) = self.slot(id) else { return };
        let Some(ended) = slot.run.take() else { return };
        let crashes = slot.takes_leave(&ended, now);
        let reason = ended.ending.unwrap_or_else(|| outcome_reason(outcome));
        // Only of an end that was asked for does it say something that code and signal do not.
        let killed = outcome.killed && ended.ending.is_some();
        let at_us = outcome.ended_us.unwrap_or(now.wall_us);
        let ran_us = slot.started_us.map(|started_us| at_us.saturating_sub(started_us).max(0));
        slot.remember(ExitView { code: outcome.code, signal: outcome.signal, reason, killed, ran_us, at_us });
        let how = slot.killed_words();
        // A clean end after a failed liveness probe is still the end of a service that was not well.
        // Of a job that ended well while nobody could look, that counts; what shall stay up did not end by itself then.
        let success = outcome.code == Some(0) && reason != Reason::FailedProbe && (once || !outcome.lost);
        let what = if slot.launch.container.is_some() { "its container was gone" } else { "its shim died" };
        let mut ending = ended_words(outcome, ended.limits.as_ref(), what);
        if crashes && wanted && ended.ending.is_none() && !success {
            ending.push_str(" (the new build crashes)");
        }
        let words = format!("{id} {ending}");
        match reason {
            _ if !wanted => {
                slot.step(Input::EndedUnwanted, now);
            }
            Reason::Stopped | Reason::Rerun => {
                slot.step(Input::EndedAgain, now);
            }
            _ if success && once => {
                slot.step(Input::EndedDone, now);
            }
            _ if success => self.ended_well(id, &policy, now, out),
            _ if excused => self.excuse(id, &policy, now, out),
            _ => {
                slot.trouble = Some(match reason {
                    Reason::FailedProbe => "its liveness probe failed".to_owned(),
                    _ => ending,
                });
                self.failed_once(id, Some(&ended), &policy, now, out);
            }
        }
        let then = self.slot(id).map(|slot| slot.state);
        let message = match then {
            Some(TaskState::Crashloop) => format!("{words}; it failed too often and rests for {} s", REST.as_secs()),
            Some(TaskState::Failed) => format!("{words}; it is not started again"),
            _ if !wanted || matches!(reason, Reason::Stopped | Reason::Rerun) => {
                format!("{id} stopped{}", how.map(|how| format!(": {how}")).unwrap_or_default())
            }
            _ => words,
        };
        self.say(&id.service.clone(), message, now, out);
        self.of_service(&id.service, |rerun| rerun.loses(now));
        self.drop_surplus(id);
    }

    fn ended_well(&mut self, id: &InstanceId, policy: &RestartPolicy, now: Moment, out: &mut Vec<Effect>) {
        match restart::decide(policy, true, &[], 0.5) {
            Verdict::Restart(delay) => self.back_off(id, delay, now, out),
            Verdict::Crashloop | Verdict::Done | Verdict::Failed => {
                if let Some(slot) = self.slot(id) {
                    slot.step(Input::EndedDone, now);
                }
            }
        }
    }

    /// An end while something it depends on was not ready: it is started again, ever more slowly, and does not count as a failure.
    fn excuse(&mut self, id: &InstanceId, policy: &RestartPolicy, now: Moment, out: &mut Vec<Effect>) {
        let Some(slot) = self.slot(id) else { return };
        if policy.mode == restart::RestartMode::No {
            slot.trouble = Some("it ended while something it needs was not ready".to_owned());
            slot.step(Input::EndedFailed, now);
            return;
        }
        slot.uncounted += 1;
        let doubled = policy.delay.saturating_mul(1 << (slot.uncounted - 1).min(20)).min(policy.max_delay);
        self.back_off(id, doubled, now, out);
    }

    fn failed_once(
        &mut self,
        id: &InstanceId,
        ended: Option<&Run>,
        policy: &RestartPolicy,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let jitter = jitter(self.next_run);
        let Some(slot) = self.slot(id) else { return };
        let ready_for =
            ended.and_then(|run| run.ready_since).map_or(Duration::ZERO, |since| now.mono.saturating_sub(since.mono));
        slot.failures.push(Failure { at: now.mono, ready_for });
        if slot.failures.len() > FAILURES.max(policy.limit as usize) {
            slot.failures.remove(0);
        }
        slot.uncounted = 0;
        let on_trial = std::mem::take(&mut slot.on_trial) && ready_for < restart::SETTLED;
        let verdict = restart::decide(policy, false, &slot.failures, jitter);
        match verdict {
            Verdict::Failed | Verdict::Done => {
                slot.step(Input::EndedFailed, now);
            }
            Verdict::Restart(_) if on_trial => self.crash_loop(id, now, out),
            Verdict::Crashloop => self.crash_loop(id, now, out),
            Verdict::Restart(delay) => self.back_off(id, delay, now, out),
        }
    }

    fn crash_loop(&mut self, id: &InstanceId, now: Moment, out: &mut Vec<Effect>) {
        if let Some(slot) = self.slot(id) {
            slot.step(Input::EndedCrashloop, now);
        }
        self.rest(id, out);
    }

    /// Arms the one try a crash loop gets after its rest.
    pub(super) fn rest(&mut self, id: &InstanceId, out: &mut Vec<Effect>) {
        let timer = self.arm(id, REST, out);
        if let Some(slot) = self.slot(id) {
            slot.timer = Some(timer);
        }
    }

    fn back_off(&mut self, id: &InstanceId, delay: Duration, now: Moment, out: &mut Vec<Effect>) {
        let timer = if delay.is_zero() { None } else { Some(self.arm(id, delay, out)) };
        let Some(slot) = self.slot(id) else { return };
        slot.restarts += 1;
        slot.step(Input::EndedBackoff, now);
        slot.timer = timer;
        if timer.is_none() {
            slot.step(Input::Retry, now);
        }
    }

    /// A timer is due. One that its slot does not wait for any more misses.
    pub(super) fn timer(&mut self, timer: TimerId, now: Moment) {
        let Some(id) = self.timers.remove(&timer) else { return };
        if let Some(slot) = self.slot(&id).filter(|slot| slot.timer == Some(timer)) {
            slot.retry(now);
        }
    }

    /// A copy above the scale goes once it has ended.
    pub(super) fn drop_surplus(&mut self, id: &InstanceId) {
        let Some(service) = self.services.get_mut(&id.service) else { return };
        service.slots.retain(|_, slot| !slot.surplus || slot.run.is_some());
    }

    pub(super) fn is_wanted(&self, id: &InstanceId) -> bool {
        self.services.get(&id.service).is_some_and(|service| {
            let slot = service.slots.get(&id.number);
            service.desired != Desired::Down && slot.is_some_and(|slot| !slot.surplus && !slot.held)
        })
    }

    fn is_job(&self, name: &ServiceName) -> bool {
        self.services.get(name).is_some_and(|service| service.spec.kind == Kind::Job)
    }

    fn policy(&self, id: &InstanceId) -> RestartPolicy {
        self.services.get(&id.service).map(|service| service.spec.restart.clone()).unwrap_or_default()
    }

    /// Something it declared to need ready is not ready now.
    fn lacks_a_dependency(&self, name: &ServiceName) -> bool {
        let Some(service) = self.services.get(name) else { return false };
        service.spec.needs.iter().any(|need| need.condition == Condition::Ready && !self.is_met(need, true))
    }
}

impl Slot {
    /// A backoff or a rest is over.
    pub(super) fn retry(&mut self, now: Moment) {
        self.on_trial = self.state == TaskState::Crashloop;
        self.timer = None;
        self.step(Input::Retry, now);
    }

    /// Writes down what ended, and says whether it is code that never stood: newer than what had, and gone before it was ready or right after.
    fn takes_leave(&mut self, ended: &Run, now: Moment) -> bool {
        self.ran = Some((ended.settings.clone(), ended.artifact.clone()));
        // One that was ready until it was told to end might have stood for ever.
        let stood = ended.was_ready && (ended.ending.is_some() || now.mono.saturating_sub(ended.began.mono) >= STANDS);
        let is_new = self.good.is_some() && self.good != ended.artifact;
        if stood {
            self.good.clone_from(&ended.artifact);
        }
        is_new && !stood
    }

    /// How its newest end came about, where SIGKILL had to help.
    pub(super) fn killed_words(&self) -> Option<String> {
        let exit = self.exits.last().filter(|exit| exit.killed)?;
        let who = if exit.signal.is_some() { "it" } else { "a process it left behind" };
        Some(match self.grace.unwrap_or(self.launch.stop.grace) {
            Duration::ZERO => format!("{who} was killed at once"),
            grace => format!("{who} was killed after the grace of {grace:?}"),
        })
    }

    /// Tells the present run to end; `false` when there is none, or it was told before.
    pub(super) fn terminate(&mut self, reason: Reason, now: Moment, out: &mut Vec<Effect>) -> bool {
        if !self.step(Input::Terminate, now) {
            return false;
        }
        if let Some(run) = &mut self.run {
            run.ending = Some(reason);
            out.push(Effect::Signal {
                run: run.id,
                signal: Signal::Stop { grace: self.grace, spare: reason == Reason::Rerun },
            });
        }
        true
    }
}

/// `port 8080 is held by pid 71 (/usr/bin/python3)`
fn holder_words(holder: &Holder) -> String {
    match (holder.pid, &holder.exe) {
        (Some(pid), Some(exe)) => format!("port {} is held by pid {pid} ({})", holder.port, exe.display()),
        (Some(pid), None) => format!("port {} is held by pid {pid}", holder.port),
        (None, _) => format!("port {} is held by a process of another user", holder.port),
    }
}

fn outcome_reason(outcome: &Outcome) -> Reason {
    match outcome {
        Outcome { lost: true, .. } => Reason::Lost,
        Outcome { oom: true, .. } => Reason::Oom,
        Outcome { signal: Some(_), .. } => Reason::Signal,
        Outcome { .. } => Reason::Exit,
    }
}

/// `exited with code 2`, `was ended by signal 9`, …
fn ended_words(outcome: &Outcome, limits: Option<&Limits>, lost: &str) -> String {
    let memory = limits.filter(|limits| limits.unenforced.is_none()).and_then(|limits| limits.memory);
    match outcome {
        Outcome { lost: true, code: Some(_), .. } => "was ended while its engine was away".to_owned(),
        Outcome { lost: true, .. } => format!("was lost: {lost}"),
        Outcome { oom: true, .. } => match memory {
            Some(bytes) => format!("was killed by the kernel: it used more than {}", size_words(bytes)),
            None => "was killed by the kernel: out of memory".to_owned(),
        },
        Outcome { signal: Some(signal), .. } => format!("was ended by signal {signal}"),
        Outcome { code: Some(code), .. } => format!("exited with code {code}"),
        Outcome { .. } => "ended".to_owned(),
    }
}

/// A number from 0 to 1 that differs from run to run (splitmix64's finisher): restarts of many copies must not fall on one moment.
fn jitter(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
