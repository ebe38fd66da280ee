//! Asks one run whether it is ready and alive, and tells the supervisor when that changes. When is asked and what answers mean is the same for processes
//! and containers; how is not.
//!
//! One task and one timer per run; between due probes it sleeps. HTTP probes use no proxy and follow no redirect: a 3xx is an answer like any other.
//! An answer on a port counts only when the listener belongs to the run's process group or session.

pub(super) mod ask;
pub(super) mod exec;
pub(super) mod http;
pub(super) mod log;
mod owner;
mod pace;
mod tls;

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::task::id::RunId;
use crate::task::spec::{Probe, ProbeTarget, RunSpec};
use crate::worker::{Holder, RunReport, Sink, Trouble};
use ask::{Answer, Processes, said};
use pace::{Pace, Tally};

/// What a probe needs to know of a run.
#[derive(Clone, Debug)]
pub struct ProbeContext {
    /// Reports carry it.
    pub run: RunId,
    /// What runs, and how it is asked.
    pub spec: Arc<RunSpec>,
    /// The leader of its process group and session.
    pub pid: u32,
    /// Where the segments of its log are.
    pub log_dir: PathBuf,
    /// True once `READY=1` came; needed for `notify` only.
    pub notify: Option<watch::Receiver<bool>>,
}

/// Begins to ask a run. The task ends by itself when nothing is left to ask or nobody listens any more; abort it when the run ends.
pub fn spawn(ctx: ProbeContext, sink: Sink) -> JoinHandle<()> {
    let has_debugger = ctx.spec.debugger.is_some();
    let manner = Manner {
        ready: ctx.spec.ready.clone(),
        live: ctx.spec.live.clone(),
        hurry: None,
        notify: ctx.notify.clone(),
        has_debugger,
    };
    spawn_with(ctx.run, manner, Processes::new(ctx), sink)
}

/// Begins to ask a run in its own way; otherwise like [`spawn`].
pub(super) fn spawn_with<A: Asks + 'static>(run: RunId, manner: Manner, asks: A, sink: Sink) -> JoinHandle<()> {
    tokio::spawn(async move {
        // Closed: nobody wants to know any more, and there is nobody to tell.
        _ = Prober::new(run, manner, asks, sink).drive().await;
    })
}

/// What is asked, and when.
pub(super) struct Manner {
    /// Whether it is ready.
    pub(super) ready: Probe,
    /// Whether it is alive.
    pub(super) live: Option<Probe>,
    /// Between two while it has not been ready; `None`: quick, then ever less so.
    pub(super) hurry: Option<Duration>,
    /// True once `READY=1` came; needed for `notify` only.
    pub(super) notify: Option<watch::Receiver<bool>>,
    /// It runs below a debugger of ours.
    pub(super) has_debugger: bool,
}

/// How it stands with a run that is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// How long it has been asked.
    pub(super) up: Duration,
    /// It has been ready before.
    pub(super) was_ready: bool,
}

/// A way of asking.
pub(super) trait Asks: Send + Sync {
    /// Asks once.
    fn ask(&mut self, probe: &Probe, standing: Standing) -> impl Future<Output = Answer> + Send;
    /// After a yes it need not be asked again.
    fn is_answered_for_good(&self, target: &ProbeTarget) -> bool;
    /// A debugger holds it, so that a no says nothing.
    fn is_debugged(&self) -> impl Future<Output = bool> + Send;
    /// What it listens on, as far as that is to be found out.
    fn listening(&mut self) -> impl Future<Output = Vec<String>> + Send;
    /// The same without a look at anything that is not known yet.
    fn listening_of_known(&self) -> Vec<String>;
}

/// The supervisor went away.
struct Closed;

/// Nothing is said about what a start waits for before this time: most are done by then.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a run listens on is looked at again so long after it became ready, its whole group each time …
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];
/// … and then with each so-manieth probe, only the processes found before.
const LOOK_EACH: u32 = 12;

/// Below a debugger of ours it is looked so often whether that has stopped the run, since no probe may be left to find out.
const HOLDS: Duration = Duration::from_secs(1);

struct Prober<A> {
    run: RunId,
    sink: Sink,
    started: Instant,
    asks: A,
    notify: Option<watch::Receiver<bool>>,
    ready: Check,
    live: Option<Check>,
    is_ready: bool,
    was_ready: bool,
    looks: Looks,
    waiting: Option<String>,
    holder: Option<Holder>,
    debugged: bool,
    /// When to look whether its debugger has stopped it; `None` where it runs below none of ours.
    debugger: Option<Instant>,
    listening: Vec<String>,
}

/// One probe with its schedule.
struct Check {
    probe: Probe,
    pace: Pace,
    tally: Tally,
    /// `None`: answered for good.
    due: Option<Instant>,
}

/// When to look again at what a run listens on.
#[derive(Default)]
struct Looks {
    due: Option<Instant>,
    done: usize,
    probes: u32,
}

impl Looks {
    /// One more is done; sets when the next is due, if there is one.
    fn again(&mut self) {
        self.due = LOOK_AGAIN.get(self.done).map(|after| Instant::now() + *after);
        self.done += 1;
    }
}

impl Check {
    fn new(probe: &Probe, hurry: Option<Duration>, started: Instant) -> Check {
        let mut pace = Pace::new(probe.interval, hurry);
        let due = started + pace.next(false);
        Check { probe: probe.clone(), pace, tally: Tally::new(probe.failures), due: Some(due) }
    }
}

impl<A: Asks> Prober<A> {
    fn new(run: RunId, manner: Manner, asks: A, sink: Sink) -> Prober<A> {
        let started = Instant::now();
        Prober {
            run,
            asks,
            notify: manner.notify,
            ready: Check::new(&manner.ready, manner.hurry, started),
            live: manner.live.as_ref().map(|probe| Check::new(probe, manner.hurry, started)),
            debugger: manner.has_debugger.then(|| started + HOLDS),
            sink,
            started,
            is_ready: false,
            was_ready: false,
            looks: Looks::default(),
            waiting: None,
            holder: None,
            debugged: false,
            listening: Vec::new(),
        }
    }

    async fn drive(mut self) -> Result<(), Closed> {
        if matches!(self.ready.probe.target, ProbeTarget::Started) {
            self.ready.due = Some(self.started);
        }
        loop {
            let dues = [self.ready.due, self.live.as_ref().and_then(|l| l.due), self.looks.due, self.debugger];
            let due = dues.into_iter().flatten().min();
            if due.is_none() && !self.awaits_word() {
                return Ok(());
            }
            let sink = self.sink.clone();
            tokio::select! {
                () = until(due) => {}
                () = notified(&mut self.notify, self.is_ready) => self.ready.due = Some(Instant::now()),
                () = sink.closed() => return Err(Closed),
            }
            self.step().await?;
        }
    }

    /// Does whatever is due.
    async fn step(&mut self) -> Result<(), Closed> {
        let is_due = |due: Option<Instant>| due.is_some_and(|d| d <= Instant::now());
        if is_due(self.ready.due) {
            self.ask_ready().await?;
        }
        if is_due(self.live.as_ref().and_then(|l| l.due)) {
            self.ask_live().await?;
        }
        if is_due(self.looks.due) {
            self.look().await?;
        }
        if is_due(self.debugger) {
            self.debugger = Some(Instant::now() + HOLDS);
            self.rests().await?;
        }
        Ok(())
    }

    async fn ask_ready(&mut self) -> Result<(), Closed> {
        let probe = self.ready.probe.clone();
        let answer = self.ask(&probe).await;
        let yes = answer == Answer::Yes;
        let unasked = matches!(answer, Answer::Unasked(_));
        if unasked {
            self.explain(answer.clone()).await?;
        }
        if unasked || !yes && self.rests().await? {
            self.ready.due = Some(Instant::now() + self.ready.pace.next(self.was_ready));
            return Ok(());
        }
        match self.ready.tally.count(yes) {
            pace::Verdict::Good if !self.is_ready => self.becomes_ready().await?,
            pace::Verdict::Bad if self.is_ready => self.loses_ready().await?,
            pace::Verdict::Good => self.look_now_and_then().await?,
            pace::Verdict::Bad | pace::Verdict::Open => {}
        }
        self.explain(answer).await?;
        let for_good = yes && self.asks.is_answered_for_good(&probe.target);
        let now = Instant::now();
        self.ready.due = match probe.target {
            _ if for_good => None,
            // The word comes by itself; once more, to say what is waited for.
            ProbeTarget::Notify => Some(self.started + PATIENCE).filter(|due| *due > now),
            _ => Some(now + self.ready.pace.next(self.was_ready)),
        };
        Ok(())
    }

    fn awaits_word(&self) -> bool {
        !self.is_ready && self.notify.is_some() && self.ready.probe.target == ProbeTarget::Notify
    }

    async fn ask(&mut self, probe: &Probe) -> Answer {
        match (&probe.target, &self.notify) {
            (ProbeTarget::Notify, Some(notify)) if *notify.borrow() => Answer::Yes,
            (ProbeTarget::Notify, _) => Answer::No("it has not sent `READY=1` to NOTIFY_SOCKET".to_owned()),
            _ => {
                let standing = Standing { up: self.started.elapsed(), was_ready: self.was_ready };
                self.asks.ask(probe, standing).await
            }
        }
    }

    async fn becomes_ready(&mut self) -> Result<(), Closed> {
        self.is_ready = true;
        self.send(RunReport::Ready(true)).await?;
        if !self.was_ready {
            self.was_ready = true;
            self.looks.done = 0;
        }
        // Hundreds may become ready together: all processes are looked at only where the leader itself listens on nothing.
        let leader = self.asks.listening_of_known();
        if leader.is_empty() {
            return self.look().await;
        }
        self.looks.again();
        self.tell_listening(leader).await
    }

    async fn loses_ready(&mut self) -> Result<(), Closed> {
        self.is_ready = false;
        self.send(RunReport::Ready(false)).await
    }

    /// A live probe that never said yes counts only once the run has been ready, or its start period is over: slow to start is not dead.
    async fn ask_live(&mut self) -> Result<(), Closed> {
        let Some(check) = &self.live else { return Ok(()) };
        let probe = check.probe.clone();
        let answer = self.ask(&probe).await;
        let yes = answer == Answer::Yes;
        let rests = matches!(answer, Answer::Unasked(_)) || !yes && self.rests().await?;
        let up = self.started.elapsed();
        let was_ready = self.was_ready;
        let Some(check) = &mut self.live else { return Ok(()) };
        let patient =
            up < probe.start_period || (!check.tally.was_good() && !was_ready && probe.start_period.is_zero());
        let counts = yes || !(patient || rests);
        let verdict = if counts { check.tally.count(yes) } else { pace::Verdict::Open };
        check.due = Some(Instant::now() + check.pace.next(counts));
        if verdict == pace::Verdict::Bad {
            check.due = None;
            let reason = format!("live probe failed {} times: {}", probe.failures.max(1), said(&answer));
            return self.send(RunReport::Dead(reason)).await;
        }
        Ok(())
    }

    /// While a debugger holds the process, a failed probe says nothing about it.
    async fn rests(&mut self) -> Result<bool, Closed> {
        let debugged = self.asks.is_debugged().await;
        if debugged != self.debugged {
            self.debugged = debugged;
            self.send(debugger(debugged)).await?;
        }
        Ok(debugged)
    }

    /// Says what readiness waits for, whenever that changes.
    async fn explain(&mut self, answer: Answer) -> Result<(), Closed> {
        if answer == Answer::Yes && self.debugged {
            self.debugged = false;
            self.send(debugger(false)).await?;
        }
        let holder = if let Answer::Foreign(holder) = &answer { Some(holder.clone()) } else { None };
        if holder != self.holder {
            self.holder.clone_from(&holder);
            self.send(RunReport::Holder(holder)).await?;
        }
        let early = !self.was_ready && self.started.elapsed() < PATIENCE;
        let waiting = if self.is_ready || early { None } else { Some(said(&answer)) };
        if waiting != self.waiting {
            self.waiting.clone_from(&waiting);
            self.send(RunReport::Waiting(waiting)).await?;
        }
        Ok(())
    }

    /// Reports what the group listens on where it changed, and sets when to look again.
    async fn look(&mut self) -> Result<(), Closed> {
        self.looks.again();
        let now = self.asks.listening().await;
        self.tell_listening(now).await
    }

    /// Costs no timer of its own: only probes that are due anyway come here.
    async fn look_now_and_then(&mut self) -> Result<(), Closed> {
        self.looks.probes += 1;
        if self.looks.due.is_some() || !self.looks.probes.is_multiple_of(LOOK_EACH) {
            return Ok(());
        }
        let now = self.asks.listening_of_known();
        self.tell_listening(now).await
    }

    async fn tell_listening(&mut self, now: Vec<String>) -> Result<(), Closed> {
        if now != self.listening {
            self.listening.clone_from(&now);
            self.send(RunReport::Listening(now)).await?;
        }
        Ok(())
    }

    async fn send(&self, report: RunReport) -> Result<(), Closed> {
        self.sink.send((self.run, report)).await.map_err(|_| Closed)
    }
}

fn debugger(holds: bool) -> RunReport {
    RunReport::Trouble(Trouble::Debugged, holds.then(|| "a debugger holds it, so its probes rest".to_owned()))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Ends when `READY=1` has come; never once that is known.
async fn notified(notify: &mut Option<watch::Receiver<bool>>, known: bool) {
    match notify {
        Some(notify) if !known => {
            if notify.wait_for(|ready| *ready).await.is_err() {
                pending::<()>().await;
            }
        }
        Some(_) | None => pending().await,
    }
}

#[cfg(test)]
mod tests;
