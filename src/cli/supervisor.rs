//! The hidden command `__supervisor ROOT`: the body of the background process.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::answers;
use super::context::steady_runtime;
use super::signals::{Came, Signals};
use crate::api::convert;
use crate::api::launch::{self, Handshake};
use crate::api::listen::Checked;
use crate::api::lock::{self, Claim, Project};
use crate::api::server::Server;
use crate::error::{Context, Error, Kind};
use crate::shim::former;
use crate::supervisor::snapshot::Snapshot;
use crate::supervisor::{self, Command, Handle, Request, Verb};
use crate::sys::fd;
use crate::sys::home::Home;
use crate::sys::os;
use crate::task::spec::Caller;
use crate::worker::Trouble;

/// What blocks, blocks for milliseconds: a file, a look at all processes, the start of a shim.
const HANDS: usize = 8;

/// Runs until nothing is left to do. Whoever started it learns through a pipe whether it answers; later trouble goes to standard error, its log.
pub(super) fn run(args: &[OsString]) -> Result<(), Kind> {
    let done = begin(args);
    if let Err(error) = &done {
        use std::io::Write;
        let time = convert::time(jiff::Timestamp::now().as_microsecond());
        // Its log cannot be written: nobody is left to be told.
        writeln!(std::io::stderr(), "{time} error: {error} {:?} {:?}", error.causes, error.details).unwrap_or(());
    }
    done.map_err(|error| error.kind)
}

fn begin(args: &[OsString]) -> Result<(), Error> {
    launch::detach()?;
    fd::raise_limit();
    os::share_one_heap();
    let root = args.first().ok_or_else(|| Error::usage("`__supervisor` needs the root of a project"))?;
    let prepared = prepare(Path::new(root));
    match prepared {
        Ok((home, Claim::Ours(project))) => match steady_runtime(HANDS) {
            Ok(runtime) => runtime.block_on(supervise(home, project)),
            Err(error) => refuse(error),
        },
        Ok((_, Claim::Theirs(pid))) => launch::report(&Handshake::Held { pid }),
        Err(error) => refuse(error),
    }
}

/// Whoever started us is told why we go.
fn refuse(error: Error) -> Result<(), Error> {
    launch::report(&Handshake::Failed(convert::failure(&error)))?;
    Err(error)
}

fn prepare(root: &Path) -> Result<(Home, Claim), Error> {
    let home = Home::find(root)?;
    former::inherit(&home);
    std::env::set_current_dir(&home.root).context("enter", &home.root)?;
    let claim = lock::claim(&home)?;
    Ok((home, claim))
}

async fn supervise(home: Home, project: Project) -> Result<(), Error> {
    let begun = answer(&home, &project).await;
    let (server, listener, handle, actor) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            launch::report(&Handshake::Failed(convert::failure(&error)))?;
            return Err(error);
        }
    };
    launch::report(&Handshake::Ready { pid: std::process::id() })?;
    let terminated = terminate(handle);
    let (over, ended) = oneshot::channel::<()>();
    let actor = async move {
        let how = actor.await;
        drop(over);
        how.map_err(|e| Error::failed("the supervisor broke").because(&e))
    };
    // An error of the channel is its end.
    let serving = server.serve(listener, async move { ended.await.unwrap_or(()) });
    let work = async { tokio::join!(serving, actor) };
    let (served, acted) = tokio::select! {
        both = work => both,
        () = terminated => (Ok(()), Ok(())),
    };
    project.unlink()?;
    acted?;
    served.context("serve", &home.supervisor_socket())?;
    project.clear()
}

type Begun = (Arc<Server>, Checked, Handle, tokio::task::JoinHandle<()>);

async fn answer(home: &Home, project: &Project) -> Result<Begun, Error> {
    let (handle, actor) = supervisor::spawn(home.clone()).await?;
    let path = home.supervisor_socket();
    let listener = Checked::new(project.listen()?).context("listen on", &path)?;
    let server = Server::new(home.clone(), answers::project_name(home), handle.clone());
    Ok((server, listener, handle, actor))
}

/// SIGTERM and SIGINT are `stop`; the second asks for SIGKILL at once. SIGHUP and SIGQUIT are nothing to a process without a terminal. Never
/// returns: the actor ends when all is stopped.
async fn terminate(mut handle: Handle) {
    let Ok(mut signals) = Signals::new() else { return std::future::pending().await };
    // Taken and never read: it would end us where we stand. What we start has its default again.
    let _quit = signal(SignalKind::quit());
    let mut grace = None;
    loop {
        let came = tokio::select! {
            came = signals.next() => came,
            () = only_unkillable(&mut handle), if grace.is_some() => {
                leave(&handle).await;
                return std::future::pending().await;
            }
        };
        if came == Came::Hangup {
            continue;
        }
        let (reply, accepted) = oneshot::channel();
        let asked = Command::Request(Box::new(stop(grace)), reply);
        // An actor that is gone has nothing left to stop; what it refuses is in its own log.
        if handle.commands.send(asked).await.is_ok() {
            drop(accepted.await);
        }
        grace = Some(std::time::Duration::ZERO);
    }
}

/// Waits until all that still runs does not end on SIGKILL: there is nothing to wait for. Its shims stay, and whoever asks next takes them over.
async fn only_unkillable(handle: &mut Handle) {
    let unkillable = |snapshot: &Arc<Snapshot>| {
        let mut running = snapshot.services.iter().flat_map(|service| &service.instances);
        let (mut some, mut all) = (false, true);
        for instance in running.by_ref().filter(|instance| instance.pid.is_some()) {
            some = true;
            all &= instance.trouble == Some(Trouble::Unkillable.word());
        }
        some && all
    };
    if handle.snapshots.wait_for(unkillable).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn leave(handle: &Handle) {
    let (reply, left) = oneshot::channel();
    if handle.commands.send(Command::Leave(reply)).await.is_ok() {
        // An actor that ended before it could answer has left, too.
        left.await.unwrap_or(());
    }
}

fn stop(grace: Option<std::time::Duration>) -> Request {
    Request {
        verb: Verb::Stop { grace },
        select: Vec::new(),
        env: std::env::vars_os().collect(),
        caller: Caller { umask: super::request::mask(), nofile: None },
        engine_arch: None,
        config: None,
        trust: false,
        pid: None,
        strays: Vec::new(),
    }
}
