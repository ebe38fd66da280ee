//! Follows a request until it is over: what to tell its caller, judged from snapshots. Pure but for [`run`], which waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::convert::{Ask, state_line};
use super::told::Told;
use super::wire::{Failure, Progress};
use crate::error::Kind;
use crate::supervisor::Accepted;
use crate::supervisor::snapshot::{BuildState, ServiceView, Settled, Shown, Snapshot};
use crate::worker::Trouble;
use std::sync::Arc;

/// An empty line goes out this often, so that a client that went away is noticed.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// One request on its way.
#[derive(Debug)]
pub struct Follow {
    ask: Ask,
    /// What it reaches, in the order of its start.
    order: Vec<String>,
    waits: BTreeSet<String>,
    from: u64,
    /// Over only once this watch is armed.
    armed: Option<u64>,
    said: BTreeMap<String, Progress>,
    news: Told,
}

/// Where one service of a request is.
#[derive(Debug, PartialEq)]
enum Place {
    Pending(String),
    Met,
    Failed(String),
    /// No engine.
    Absent(String),
    Blocked(String),
}

impl Follow {
    /// Begins to follow what `accepted` reaches.
    pub fn new(ask: Ask, accepted: &Accepted) -> Follow {
        let order: Vec<String> = accepted.services.iter().map(ToString::to_string).collect();
        Follow {
            ask,
            waits: order.iter().cloned().collect(),
            order,
            from: accepted.from,
            armed: accepted.armed,
            said: BTreeMap::new(),
            news: Told::default(),
        }
    }

    /// What is new in `snapshot`, and the end once nothing is pending.
    pub fn observe(&mut self, snapshot: &Snapshot, elapsed: Duration) -> (Vec<Progress>, Option<Progress>) {
        if snapshot.seq < self.from {
            return (Vec::new(), None);
        }
        if self.said.is_empty() && matches!(self.ask, Ask::Stop | Ask::Kill) {
            // These work with the configuration that is in force, whatever is wrong with a newer one.
            self.news.pass_over(snapshot);
        }
        let mut lines = Vec::new();
        for view in snapshot.services.iter().filter(|v| self.waits.contains(v.name.as_str())) {
            let line = state_line(view, elapsed);
            let name = view.name.as_str();
            if !self.said.get(name).is_some_and(|last| same(last, &line)) {
                self.said.insert(name.to_owned(), line.clone());
                lines.push(line);
            }
        }
        let waits = &self.waits;
        lines.extend(self.news.news(snapshot, self.from, |name| waits.contains(name)));
        let is_settled = || self.places(snapshot).all(|(_, place)| !matches!(place, Place::Pending(_)));
        let over = self.ask == Ask::Kill || self.is_armed(snapshot) && is_settled();
        let end = over.then(|| Progress::End { error: self.verdict(snapshot) });
        (lines, end)
    }

    /// No edit is missed from now on, where that was asked for.
    fn is_armed(&self, snapshot: &Snapshot) -> bool {
        self.armed.is_none_or(|number| snapshot.armed >= number)
    }

    /// The end when time is up.
    pub fn timed_out(&self, snapshot: &Snapshot, limit: Duration) -> Progress {
        let mut late = Vec::new();
        let mut details = Vec::new();
        for (name, place) in self.places(snapshot) {
            match place {
                Place::Pending(why) => {
                    details.push(format!("{name}: {why}"));
                    late.push(name);
                }
                Place::Failed(why) | Place::Absent(why) | Place::Blocked(why) => details.push(format!("{name}: {why}")),
                Place::Met => {}
            }
        }
        if !self.is_armed(snapshot) {
            details.push("edits are not watched for yet: what the services are made of is not known so far".to_owned());
        }
        let message = match late.as_slice() {
            [] => format!("`{}` took longer than {limit:?}", self.ask.word()),
            [one] => format!("`{one}` is still not {} after {limit:?}", self.goal()),
            [_, ..] => format!("{} services are still not {} after {limit:?}", late.len(), self.goal()),
        };
        let mut hints: Vec<String> = late.first().map(|name| format!("orchestra why {name}")).into_iter().collect();
        hints.push("the fleet runs on and still tries; `--timeout` sets how long to wait for it".into());
        Progress::End { error: Some(Failure { kind: "failed".into(), message, details, causes: Vec::new(), hints }) }
    }

    /// The end when the supervisor ended first: good for a `stop` that nothing outlived.
    pub fn cut_short(&mut self, snapshot: &Snapshot, elapsed: Duration) -> (Vec<Progress>, Progress) {
        let (lines, end) = self.observe(snapshot, elapsed);
        let gone = || {
            let message = format!("the supervisor went away before `{}` was over", self.ask.word());
            let hints = vec!["orchestra ps".to_owned()];
            Failure { kind: "unreachable".into(), message, details: Vec::new(), causes: Vec::new(), hints }
        };
        (lines, end.unwrap_or_else(|| Progress::End { error: Some(gone()) }))
    }

    fn goal(&self) -> &'static str {
        match self.ask {
            Ask::Start | Ask::Restart | Ask::Scale => "ready",
            Ask::Stop => "stopped",
            Ask::Build => "built",
            Ask::Kill => "signalled",
        }
    }

    fn places<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a str, Place)> {
        self.order.iter().map(|name| {
            // A snapshot holds its services by name.
            let found = snapshot.services.binary_search_by(|view| view.name.as_str().cmp(name));
            let view = found.ok().and_then(|at| snapshot.services.get(at));
            (name.as_str(), view.map_or(Place::Met, |view| self.place(view)))
        })
    }

    fn place(&self, view: &ServiceView) -> Place {
        if self.ask == Ask::Build {
            return built(view);
        }
        // A restart whose build failed changes nothing: of a service that was stopped nothing else tells.
        if let (Ask::Restart, Settled::Met, failed @ Place::Failed(_)) = (self.ask, &view.settled, built(view)) {
            return failed;
        }
        match &view.settled {
            Settled::Pending => {
                let reason = view.reason.as_ref().map(|r| format!(", {r}")).unwrap_or_default();
                Place::Pending(format!("{}{reason}", view.state().word()))
            }
            Settled::Met => Place::Met,
            // That a build or another copy failed before does not make a stop fail.
            Settled::Failed(why) | Settled::Absent(why) | Settled::Blocked(why) if self.ask == Ask::Stop => {
                let mut stopping = view.instances.iter().filter(|instance| instance.state == Shown::Stopping);
                match view.instances.iter().any(|instance| instance.state == Shown::Stopping) {
                    false => Place::Met,
                    // What SIGKILL does not end is not waited for.
                    true if stopping.all(|it| it.trouble == Some(Trouble::Unkillable.word())) => {
                        Place::Failed(why.clone())
                    }
                    true => Place::Pending(Shown::Stopping.word().to_owned()),
                }
            }
            Settled::Failed(why) => Place::Failed(why.clone()),
            Settled::Absent(why) => Place::Absent(why.clone()),
            Settled::Blocked(why) => Place::Blocked(why.clone()),
        }
    }

    fn verdict(&self, snapshot: &Snapshot) -> Option<Failure> {
        if self.ask == Ask::Kill {
            return None;
        }
        let (mut failed, mut absent, mut blocked, mut details) = (Vec::new(), Vec::new(), 0_usize, Vec::new());
        for (name, place) in self.places(snapshot) {
            match place {
                Place::Met | Place::Pending(_) => {}
                Place::Failed(why) => {
                    details.push(match self.ask {
                        Ask::Stop => why,
                        _ => format!("{name}: {why}"),
                    });
                    failed.push(name);
                }
                Place::Absent(why) => {
                    details.push(format!("{name}: {why}"));
                    absent.push(name);
                }
                Place::Blocked(why) => {
                    details.push(format!("{name}: {why}"));
                    blocked += 1;
                }
            }
        }
        if details.is_empty() {
            return None;
        }
        let first = failed.first().or(absent.first()).copied();
        let mut message = match failed.as_slice() {
            [] if !absent.is_empty() => absent_words(&absent),
            [] => "nothing failed".to_owned(),
            [one] if self.ask == Ask::Stop => format!("`{one}` is still there"),
            [_, ..] if self.ask == Ask::Stop => format!("{} services are still there", failed.len()),
            [one] => format!("`{one}` failed"),
            [_, ..] => format!("{} services failed", failed.len()),
        };
        match blocked {
            0 => {}
            1 => message.push_str(", and 1 service is blocked"),
            n => message.push_str(&format!(", and {n} services are blocked")),
        }
        let hints = first.map(|name| match self.ask {
            Ask::Stop => vec![format!("it ends as soon as it can; `orchestra why {name}` shows it")],
            _ if failed.is_empty() => {
                vec!["what needs no container is up; the rest is tried again until the engine answers".to_owned()]
            }
            _ => vec![format!("orchestra why {name}"), format!("orchestra logs {name}")],
        });
        // Of the one trouble that is not ours there is a word of its own, and an exit code.
        let kind = if failed.is_empty() && !absent.is_empty() { Kind::NoEngine } else { Kind::Failed };
        Some(Failure {
            kind: kind.word().into(),
            message,
            details,
            causes: Vec::new(),
            hints: hints.unwrap_or_default(),
        })
    }
}

/// Who does not run for want of an engine.
fn absent_words(names: &[&str]) -> String {
    match names {
        [one] => format!("`{one}` does not run: its container engine cannot be reached"),
        all => format!("{} vendors do not run: their container engine cannot be reached", all.len()),
    }
}

fn built(view: &ServiceView) -> Place {
    let Some(build) = &view.build else { return Place::Met };
    match build.state {
        BuildState::Queued | BuildState::Building => Place::Pending(build.state.word().to_owned()),
        BuildState::Ok | BuildState::Idle => Place::Met,
        BuildState::Failed => Place::Failed(build.error.clone().unwrap_or_else(|| "its build failed".to_owned())),
    }
}

/// Equal but for the time.
fn same(a: &Progress, b: &Progress) -> bool {
    match (a, b) {
        (
            Progress::State { service, state, ready, scale, reason, elapsed_ms: _ },
            Progress::State { service: s, state: st, ready: r, scale: sc, reason: re, elapsed_ms: _ },
        ) => (service, state, ready, scale, reason) == (s, st, r, sc, re),
        _ => false,
    }
}

/// What wakes a waiting request.
enum Wake {
    News,
    Gone,
    TimeUp,
    Beat,
}

/// Sends progress to `out` until the request is over, `limit` has passed, or the reader of `out` went away (which stops the waiting, not the fleet).
/// The channel is bounded: a slow reader makes this wait, and then sees the newest state only.
pub async fn run(
    mut follow: Follow,
    began: Instant,
    limit: Option<Duration>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    out: mpsc::Sender<Option<Progress>>,
) {
    let deadline = limit.map(|limit| began + limit);
    let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut wake = Wake::News;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let (lines, end) = match wake {
            Wake::News => follow.observe(&snapshot, began.elapsed()),
            Wake::Gone => {
                let (lines, end) = follow.cut_short(&snapshot, began.elapsed());
                (lines, Some(end))
            }
            Wake::TimeUp => (Vec::new(), Some(follow.timed_out(&snapshot, limit.unwrap_or_default()))),
            Wake::Beat => (Vec::new(), None),
        };
        let mut send: Vec<Option<Progress>> = lines.into_iter().map(Some).collect();
        let over = end.is_some();
        match wake {
            Wake::Beat => send.push(None),
            Wake::News | Wake::Gone | Wake::TimeUp => send.extend(end.map(Some)),
        }
        for line in send {
            if out.send(line).await.is_err() {
                return;
            }
        }
        if over {
            return;
        }
        wake = tokio::select! {
            changed = snapshots.changed() => if changed.is_ok() { Wake::News } else { Wake::Gone },
            () = until(deadline) => Wake::TimeUp,
            _ = beat.tick() => Wake::Beat,
            () = out.closed() => return,
        };
    }
}

/// Tells every change of the named services (of all, when none is named), and what there is to read about them from now on, until the reader goes away
/// or the supervisor ends.
pub async fn watch_states(
    names: BTreeSet<String>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    out: mpsc::Sender<Option<Progress>>,
) {
    let began = Instant::now();
    let mut said: BTreeMap<String, Progress> = BTreeMap::new();
    let mut told = Told::known(&snapshots.borrow());
    let concerns = |name: &str| names.is_empty() || names.contains(name);
    let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut wake = Wake::News;
    loop {
        let mut send = Vec::new();
        match wake {
            Wake::Beat => send.push(None),
            Wake::News | Wake::Gone | Wake::TimeUp => {
                let snapshot = snapshots.borrow_and_update().clone();
                for view in snapshot.services.iter().filter(|view| concerns(view.name.as_str())) {
                    let line = state_line(view, began.elapsed());
                    if !said.get(view.name.as_str()).is_some_and(|last| same(last, &line)) {
                        said.insert(view.name.to_string(), line.clone());
                        send.push(Some(line));
                    }
                }
                send.extend(told.news(&snapshot, 0, concerns).into_iter().map(Some));
            }
        }
        for line in send {
            if out.send(line).await.is_err() {
                return;
            }
        }
        if matches!(wake, Wake::Gone) {
            return;
        }
        wake = tokio::select! {
            changed = snapshots.changed() => if changed.is_ok() { Wake::News } else { Wake::Gone },
            _ = beat.tick() => Wake::Beat,
            () = out.closed() => return,
        };
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::snapshot::Note;
    use crate::task::id::ServiceName;

    #[test]
    fn notes_are_told_once_and_to_whom_they_concern() {
        let name = |text: &str| ServiceName::fold(text).unwrap();
        let accepted = Accepted { services: vec![name("api")], notes: Vec::new(), from: 5, armed: None };
        let note =
            |number, seq, service| Note { number, seq, service: name(service), message: format!("note {number}") };
        let mut follow = Follow::new(Ask::Start, &accepted);
        let mut told = |notes: Vec<Note>| {
            let snapshot = Snapshot { seq: 7, notes, ..Snapshot::default() };
            let (lines, _) = follow.observe(&snapshot, Duration::ZERO);
            let message = |line: Progress| match line {
                Progress::Note { message } => message,
                other => panic!("{other:?}"),
            };
            lines.into_iter().map(message).collect::<Vec<_>>()
        };
        // What was said before the request, and about others, is not for its caller.
        assert_eq!(told(vec![note(1, 4, "api"), note(2, 6, "web"), note(3, 6, "api")]), ["api: note 3"]);
        assert!(told(vec![note(2, 6, "web"), note(3, 6, "api")]).is_empty());
        assert_eq!(told(vec![note(3, 6, "api"), note(4, 7, "api")]), ["api: note 4"]);
    }

    #[test]
    fn a_start_is_over_once_its_watch_is_armed() {
        let accepted = Accepted { services: Vec::new(), notes: Vec::new(), from: 5, armed: Some(2) };
        let mut follow = Follow::new(Ask::Start, &accepted);
        let mut is_over = |seq, armed| {
            let snapshot = Snapshot { seq, armed, ..Snapshot::default() };
            follow.observe(&snapshot, Duration::ZERO).1.is_some()
        };
        assert!(!is_over(4, 2) && !is_over(5, 1));
        assert!(is_over(6, 2));
        let Progress::End { error: Some(late) } = follow.timed_out(&Snapshot::default(), Duration::from_secs(1)) else {
            panic!("no error")
        };
        assert!(late.details[0].starts_with("edits are not watched for yet"), "{late:?}");
    }

    #[test]
    fn a_broken_configuration_is_told_line_by_line_and_so_is_its_mending() {
        let accepted = Accepted { services: Vec::new(), notes: Vec::new(), from: 1, armed: Some(9) };
        let broken = || Some(Arc::new(vec!["it is broken".to_owned(), "api/service.yml:1:1: no".to_owned()]));
        let told = |follow: &mut Follow, config_trouble| {
            let snapshot = Snapshot { seq: 1, config_trouble, ..Snapshot::default() };
            let message = |line: Progress| match line {
                Progress::Note { message } => message,
                other => panic!("{other:?}"),
            };
            follow.observe(&snapshot, Duration::ZERO).0.into_iter().map(message).collect::<Vec<_>>()
        };
        let mut start = Follow::new(Ask::Start, &accepted);
        assert!(told(&mut start, None).is_empty());
        assert_eq!(told(&mut start, broken()), ["it is broken", "api/service.yml:1:1: no"]);
        assert!(told(&mut start, broken()).is_empty());
        assert_eq!(told(&mut start, None), ["the configuration is in order again, and in force"]);
        assert!(
            told(&mut Follow::new(Ask::Stop, &accepted), broken()).is_empty(),
            "a stop works with what is in force"
        );
    }
}
