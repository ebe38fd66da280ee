//! The hidden command `__debugger DLV ARGS…`: the parent of `dlv`, so that a service below it is stopped and ends like any other.
//!
//! `dlv` outlives the program it debugs, kills it when it is told to end itself, and has an exit code of its own. So it leads a process group of its
//! own, what is sent to the instance's group arrives here and goes on to the service, and once that has ended all of this ends, and in the same way.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::services::dlv::{self, Client, State};
use crate::sys::child::{self, End};
use crate::sys::family::{self, Table};
use crate::sys::{os, process};

/// How soon it is noticed that the service has begun, or has ended.
const LOOK: Duration = Duration::from_millis(50);
/// `dlv` has so long to say how the service ended.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Keeps `dlv` from starting a further process, which would stay when the service is stopped, to count who uses it.
const NO_TELEMETRY: (&str, &str) = ("GO_TELEMETRY_CHILD", "2");
/// What goes on to the service. The other signals end, stop or wake whoever they are sent to, or mean nothing to a service.
const PASSED_ON: [i32; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGWINCH,
    libc::SIGIO,
];
/// Those that a service ends on. One that its debugger holds must go on to hear them.
const ENDING: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGABRT, libc::SIGTERM];

/// Runs `dlv` until the service below it has ended, and ends as that did.
pub(super) fn run(argv: &[OsString]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(follow(argv))) {
        Ok(End::Code(code)) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)),
        Ok(End::Signal(signal)) => {
            child::die_of(signal);
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("cannot run the debugger `{}`: {error}", argv.first().cloned().unwrap_or_default().display()));
            ExitCode::FAILURE
        }
    }
}

/// Into the service's log. A log that cannot be written has nobody to be told.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap_or(());
}

async fn follow(argv: &[OsString]) -> std::io::Result<End> {
    let (program, rest) = argv.split_first().ok_or_else(|| std::io::Error::other("no command line"))?;
    let mut signals = Signals::new()?;
    let (words, theirs) = os::pipe()?;
    let mut command = Command::new(program);
    command.args(rest).env(NO_TELEMETRY.0, NO_TELEMETRY.1).stdin(Stdio::from(theirs)).process_group(0);
    let child = command.spawn()?;
    // It holds the other end of the pipe, which must end with `dlv`.
    drop(command);
    let relay = std::thread::Builder::new().spawn(move || relay(BufReader::new(std::fs::File::from(words))))?;
    let end = Session { argv, dlv: child, service: None, stopping: false }.follow(&mut signals).await?;
    // A thread that broke has said less; the end is the same.
    relay.join().unwrap_or(());
    Ok(end)
}

/// Tells what `dlv` has to say, but not what everybody who reads `ps` knows.
fn relay(words: impl BufRead) {
    for line in words.lines().map_while(Result::ok).filter(|line| !line.starts_with("API server listening at:")) {
        say(&format!("dlv: {line}"));
    }
}

/// The first of many streams that has something.
struct Signals(Vec<(i32, Signal)>);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let of = |number: &i32| Ok((*number, signal(SignalKind::from_raw(*number))?));
        PASSED_ON.iter().map(of).collect::<std::io::Result<_>>().map(Signals)
    }

    async fn next(&mut self) -> i32 {
        poll_fn(|context| {
            let mut came = self.0.iter_mut().filter_map(|(number, signal)| match signal.poll_recv(context) {
                Poll::Ready(_) => Some(*number),
                Poll::Pending => None,
            });
            came.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

struct Session<'a> {
    argv: &'a [OsString],
    dlv: Child,
    /// The service, once it runs.
    service: Option<(u32, os::Held)>,
    stopping: bool,
}

impl Session<'_> {
    async fn follow(mut self, signals: &mut Signals) -> std::io::Result<End> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // It could not begin, or a client told it to end.
                ended = self.dlv.wait() => return Ok(end_of(ended?)),
                signal = signals.next() => self.pass_on(signal).await?,
                _ = looks.tick() => {
                    if let Some(end) = self.look().await? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// How the service ended, if it has.
    async fn look(&mut self) -> std::io::Result<Option<End>> {
        match &self.service {
            None => self.service = self.find(),
            Some((_, held)) if held.has_ended(Duration::ZERO) => {
                let end = tokio::time::timeout(LAST_WORDS, self.last_words()).await;
                self.service = None;
                // A client may have restarted it below the same `dlv`.
                if let Ok(None) = end {
                    return Ok(None);
                }
                self.end_debugger().await?;
                return Ok(Some(end.ok().flatten().unwrap_or(End::Code(1))));
            }
            Some((pid, _)) if self.stopping && family::is_held(*pid) => self.let_go().await,
            Some(_) => {}
        }
        Ok(None)
    }

    fn find(&self) -> Option<(u32, os::Held)> {
        let program = process::inode(std::path::Path::new(dlv::program(self.argv)?)).ok()?;
        let is_it = |pid: &u32| os::exe_inode(*pid).is_ok_and(|exe| exe == program);
        let pid = Table::read().below(self.dlv.id()?).into_iter().find(is_it)?;
        Some((pid, os::Held::open(pid).ok()?))
    }

    /// `None`: it runs again.
    async fn last_words(&self) -> Option<End> {
        loop {
            let state = match self.client().await {
                Ok(mut client) => client.state().await,
                Err(error) => Err(error),
            };
            match state {
                Ok(State::Ended(end)) => return Some(end),
                Ok(State::Held) => return None,
                // It has not noticed yet.
                Ok(State::Running) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn client(&self) -> std::io::Result<Client> {
        Client::connect(dlv::address(self.argv).unwrap_or_default()).await
    }

    async fn pass_on(&mut self, signal: i32) -> std::io::Result<()> {
        let ends = ENDING.contains(&signal);
        self.stopping |= ends;
        match &self.service {
            // One that has ended just now hears nothing any more.
            Some((_, held)) => held.signal(signal).unwrap_or(()),
            None if ends => self.end_debugger().await?,
            None => {}
        }
        Ok(())
    }

    /// Lets a service go on that stands at a breakpoint, so that it can end.
    async fn let_go(&mut self) {
        let Ok(mut client) = self.client().await else { return };
        if client.go_on().await.is_err() {
            // Without its debugger it goes on, too.
            self.dlv.start_kill().unwrap_or(());
        }
    }

    /// The service is gone, so that nothing is lost.
    async fn end_debugger(&mut self) -> std::io::Result<()> {
        self.dlv.kill().await
    }
}

fn end_of(status: ExitStatus) -> End {
    status.code().map_or_else(|| End::Signal(status.signal().unwrap_or(libc::SIGKILL)), End::Code)
}
