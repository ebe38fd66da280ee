//! The output of a container, into the same files as that of a process.
//!
//! The engine keeps what a container writes, so nothing is lost while nobody follows: each time it is asked for what the log does not hold yet. A log
//! that cannot be written to is left alone for a while, and then everything since is asked for.

use std::future::pending;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as Said;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::frames::Splitter;
use super::intake::{Intake, Stop};
use super::record::StartRecord;
use super::state;
use crate::docker::Docker;
use crate::logs::clock::set_back;
use crate::logs::writer::{Origin, Place};
use crate::sys::fd::wall_us;
use crate::sys::home::Home;
use crate::task::id::{InstanceId, RunId};

/// An engine that is away, or a log that cannot be written to, is tried again after this, then after twice as long, …
const FIRST: Duration = Duration::from_millis(100);
/// … but at least so often.
const LONGEST: Duration = Duration::from_secs(5);
/// So often it is looked whether the clock was set back, and whether a stream that fell silent still tells; then memory is given back, too.
const LOOK: Duration = Duration::from_secs(10);
/// An engine asked for what is not older than a time does not tell of lines that come after the clock was set back behind it. Microseconds.
const BACK: i64 = 1_000_000;
/// A line is on its way for at most so long, in microseconds.
const UNHEARD: i64 = 5_000_000;
/// How the engine begins a frame that is a word of its own.
const OWN_WORD: [u8; 4] = [3, 0, 0, 0];
/// The length before such a word, and what begins it.
const HEAD: usize = 8;

/// Whose output is followed, and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Following {
    /// The engine.
    pub(super) docker: Docker,
    /// The container's id.
    pub(super) container: String,
    /// The run that its lines belong to.
    pub(super) run: RunId,
    /// Earlier starts of it, whose lines may be unread.
    pub(super) starts: Vec<StartRecord>,
    /// Which copy: its folder.
    pub(super) instance: InstanceId,
    /// The project's folders.
    pub(super) home: Home,
    /// Bytes kept.
    pub(super) keep: u64,
}

/// Follows the output of a container from where its log ends, and goes on over breaks of the engine by itself. The task ends once the container has
/// ended and all it wrote is in its log; whoever gives it up aborts it.
pub(super) fn spawn(following: Following) -> JoinHandle<()> {
    let origin = Origin::new(&following.container);
    thread().spawn(Follower { following, origin, started: None }.follow())
}

/// Followers share a thread of their own: a container that floods its log, or a disk that takes its time, must not keep the supervisor from answering.
/// Where no thread can be had it is that of whoever asks.
fn thread() -> Handle {
    static THREAD: OnceLock<Option<Handle>> = OnceLock::new();
    THREAD.get_or_init(begin_thread).clone().unwrap_or_else(Handle::current)
}

fn begin_thread() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("container-logs".to_owned());
    // It ends with the process; a task in it ends when it is aborted or through.
    thread.spawn(move || runtime.block_on(pending::<()>())).ok()?;
    Some(handle)
}

struct Follower {
    following: Following,
    origin: Origin,
    /// When it was started, as it was when this began; microseconds since 1970.
    started: Option<i64>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It has ended, and all of it is there.
    Over,
    /// Look at once what became of it.
    Look,
    /// Try again in a while.
    Later,
}

/// Why no more frames come.
#[derive(Debug)]
enum End {
    /// The engine has told all there is.
    Closed,
    /// The clock was set back, or the engine lost its way in its own log: old ones do where they begin another file.
    Astray,
    /// The log cannot be written to.
    Stuck,
    /// The engine is away, or does not know the container any more.
    Broken,
    /// The engine cannot read its own log; what it says.
    Unreadable(String),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> End {
        match stop {
            Stop::Stuck => End::Stuck,
            Stop::Repeats => End::Astray,
        }
    }
}

impl Follower {
    async fn follow(mut self) {
        let mut pause = FIRST;
        loop {
            let begun = Instant::now();
            let next = self.round().await;
            let was_long = begun.elapsed() >= FIRST;
            if was_long {
                pause = FIRST;
            }
            match next {
                Next::Over => return,
                Next::Look if was_long => {}
                // An engine that breaks off at once, again and again, must not keep us busy.
                Next::Look | Next::Later => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
    }

    /// Goes on from what is on disk, until the engine has no more to tell or something breaks.
    async fn round(&mut self) -> Next {
        let Following { docker, container, .. } = &self.following;
        let facts = match docker.inspect(container).await {
            Ok(Some(facts)) => facts,
            Ok(None) => return Next::Over,
            Err(_) => return Next::Later,
        };
        let state = state::of(&facts);
        let started = *self.started.get_or_insert_with(|| state::micros(&state.started_at).unwrap_or(i64::MIN));
        let mut starts = self.following.starts.clone();
        starts.push(StartRecord { run: self.following.run.0, started_us: started });
        let Ok(mut intake) = Intake::open(self.place(), self.origin.clone(), starts) else { return Next::Later };
        let end = self.read(&mut intake, state.running).await;
        match end {
            End::Closed if state.running => Next::Look,
            End::Closed => Next::Over,
            End::Astray => Next::Look,
            End::Stuck | End::Broken => Next::Later,
            End::Unreadable(said) => {
                let words = unreadable(&facts, &said);
                // A log that cannot be written to can say nothing either.
                let is_said = intake.say_once(&words).is_ok();
                if is_said && has_no_log(&said) { Next::Over } else { Next::Later }
            }
        }
    }

    fn place(&self) -> Place {
        let Following { run, instance, home, keep, .. } = &self.following;
        let logs = home.instance_logs(instance);
        let folder = logs.strip_prefix(&home.dot).unwrap_or(&logs).to_owned();
        Place { dot: home.dot.clone(), folder, keep: *keep, run: run.0 }
    }

    /// Whether the engine has a younger line that must have come by now. Old engines tell no more once they have begun another file of their log.
    async fn has_more_than(&self, newest: i64) -> bool {
        let Following { docker, container, .. } = &self.following;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail("1");
        let mut frames = pin!(docker.engine().logs(container, Some(options.build())));
        let Ok(Some(Ok(frame))) = timeout(LONGEST, frames.next()).await else { return false };
        let (mut splitter, mut time) = (Splitter::default(), i64::MIN);
        splitter.split(&frame, i64::MIN, &mut |piece| time = piece.time);
        time > newest.saturating_add(UNHEARD) || time > newest && time < wall_us() - UNHEARD
    }

    async fn read(&self, intake: &mut Intake, follow: bool) -> End {
        let since = intake.since().and_then(|since| i32::try_from(since).ok()).unwrap_or(0);
        let options = LogsOptionsBuilder::new().follow(follow).stdout(true).stderr(true).timestamps(true);
        let Following { docker, container, .. } = &self.following;
        let mut frames = pin!(docker.engine().logs(container, Some(options.since(since).build())));
        let begun = self.origin.now();
        let mut look = pin!(sleep(LOOK));
        // What had come when it was last looked.
        let (mut heard, mut trusted) = (i64::MIN, false);
        loop {
            // All that has come, then one write: a flood costs few writes, and a single line waits for nobody.
            while let Some(frame) = frames.next().now_or_never() {
                if let Err(end) = take(intake, frame) {
                    return end;
                }
            }
            if let Err(stop) = intake.flush() {
                return stop.into();
            }
            tokio::select! {
                biased;
                frame = frames.next() => if let Err(end) = take(intake, frame) {
                    return end;
                },
                () = &mut look => {
                    let is_set_back = since > 0 && set_back(begun, self.origin.now()) > BACK;
                    let newest = intake.newest();
                    if is_set_back || newest == heard && !trusted && self.has_more_than(newest).await {
                        return End::Astray;
                    }
                    // A silence is looked into once.
                    (trusted, heard) = (newest == heard, newest);
                    intake.release();
                    look.as_mut().reset(Instant::now() + LOOK);
                }
            }
        }
    }
}

/// Takes what the engine sent; the last of it is written before it ends.
fn take(intake: &mut Intake, frame: Option<Result<LogOutput, Said>>) -> Result<(), End> {
    let end = match frame {
        Some(Ok(LogOutput::Console { message })) if message.starts_with(&OWN_WORD) => {
            let words = message.get(HEAD..).unwrap_or_default();
            End::Unreadable(String::from_utf8_lossy(words).trim().to_owned())
        }
        Some(Ok(frame)) => return intake.take(&frame, wall_us()).map_err(End::from),
        Some(Err(Said::DockerResponseServerError { status_code, message })) if status_code != 404 => {
            End::Unreadable(message)
        }
        Some(Err(_)) => End::Broken,
        None => End::Closed,
    };
    intake.flush()?;
    Err(end)
}

/// The engine keeps nothing of what it writes, so asking again is of no use.
fn has_no_log(said: &str) -> bool {
    said.contains("does not support reading")
}

fn unreadable(facts: &ContainerInspectResponse, said: &str) -> String {
    let driver = facts.host_config.as_ref().and_then(|config| config.log_config.as_ref()?.typ.clone());
    match driver.filter(|_| has_no_log(said)) {
        Some(driver) => format!(
            "the output of its container cannot be shown: the log driver `{driver}` keeps nothing that can be read"
        ),
        None => format!(
            "the engine cannot read the log of its container: {}",
            said.trim_start_matches("Error grabbing logs: ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_cannot_read_is_said_in_words() {
        let driver = |name: &str| {
            let config = bollard::models::HostConfigLogConfig { typ: Some(name.to_owned()), config: None };
            let host = bollard::models::HostConfig { log_config: Some(config), ..Default::default() };
            ContainerInspectResponse { host_config: Some(host), ..Default::default() }
        };
        let none = unreadable(&driver("none"), "configured logging driver does not support reading");
        assert_eq!(
            none,
            "the output of its container cannot be shown: the log driver `none` keeps nothing that can be read"
        );
        let torn = unreadable(&driver("json-file"), "Error grabbing logs: invalid character");
        assert_eq!(torn, "the engine cannot read the log of its container: invalid character");
    }
}
