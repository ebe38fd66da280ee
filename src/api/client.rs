//! The other end of the socket: finds the supervisor of a project, starts one where none runs, and replaces an older one.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::convert::{self, Ask};
use super::launch::{Handshake, Launcher};
use super::wire::{Failure, Leaving, Progress, Ps, Request, Version, Why};
use super::{PROTOCOL, VERSION, lock};
use crate::error::{Context, Error, Kind, PathError};
use crate::sys::home::Home;
use crate::sys::os;

/// The largest answer that is read whole, and the longest line of a stream.
const ANSWER: usize = 64 * 1024 * 1024;
/// A supervisor that says who it is takes longer only when it is stopped or stuck.
const GREETING: Duration = Duration::from_secs(10);
/// A process that was killed may take so long to lose all it had.
const DYING: Duration = Duration::from_millis(500);
/// Between two looks whether a supervisor that has not answered yet is stopped; twice in a row, and it is.
const LOOK: Duration = Duration::from_millis(250);
/// So long a supervisor that holds the lock may take until it answers, or until it has gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that breaks is tried again so often.
const GREETINGS: usize = 5;
const WENT_AWAY: &str = "the supervisor went away while it answered";

/// A connection to a supervisor that speaks our protocol.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    /// What is at the other end.
    pub peer: Version,
    // Drives the connection; dropped with us.
    _driver: JoinSet<()>,
}

/// What answers on a project's socket.
#[derive(Debug)]
pub enum Found {
    /// Nobody: no supervisor runs.
    Nobody,
    /// One that understands us.
    Ours(Client),
    /// One of an older program, which understands us or not: it can be replaced.
    Older(Client),
    /// One of a newer program that speaks another protocol.
    Foreign(Version),
}

/// Looks who answers. One that is there and does not is an error of kind [`Kind::Silent`].
pub async fn find(home: &Home) -> Result<Found, Error> {
    // One that died over its greeting may have been followed by another already.
    for _ in 0..GREETINGS {
        match greeted(home).await {
            Err(error) if error.kind == Kind::Unreachable && error.message == WENT_AWAY => {
                sleep(Duration::from_millis(10)).await
            }
            found => return found,
        }
    }
    greeted(home).await
}

async fn greeted(home: &Home) -> Result<Found, Error> {
    let Some((stream, pid)) = connect(home).await? else { return Ok(Found::Nobody) };
    let greeted = tokio::select! {
        greeted = timeout(GREETING, greet(stream)) => greeted,
        pid = stops(pid) => return Err(stopped(pid)),
    };
    match greeted {
        Ok(Ok(client)) => Ok(judge(client)),
        // It went away between the connection and its answer; its sockets are closed a moment before its lock.
        Ok(Err(error)) if error.kind == Kind::Unreachable && lets_go(home).await? => Ok(Found::Nobody),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(silent(home)),
    }
}

/// Whether the lock is or becomes free within a moment.
async fn lets_go(home: &Home) -> Result<bool, Error> {
    let until = Instant::now() + DYING;
    while lock::is_held(home)? {
        if Instant::now() >= until {
            return Ok(false);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// A connection and the pid of who listens, as the kernel says it; `None` when nobody does.
async fn connect(home: &Home) -> Result<Option<(UnixStream, Option<u32>)>, Error> {
    let path = home.supervisor_socket();
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        // So many wait already that it has not answered for long.
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(silent(home)),
        Err(e) => return Err(unreachable(PathError { action: "connect to", path, source: e })),
    };
    let peer = stream.peer_cred().context("connect to", &path).map_err(unreachable)?;
    if peer.uid() != nix::unistd::geteuid().as_raw() {
        let message = format!("`{}` belongs to another user ({})", path.display(), peer.uid());
        return Err(Error::new(Kind::Unreachable, message));
    }
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    Ok(Some((stream, pid)))
}

/// Returns once the process is seen to be stopped; never for one that is not.
async fn stops(pid: Option<u32>) -> u32 {
    let Some(pid) = pid else { return std::future::pending().await };
    let mut seen = false;
    loop {
        sleep(LOOK).await;
        let now = os::is_stopped(pid);
        if seen && now {
            return pid;
        }
        seen = now;
    }
}

/// Lets a supervisor that is stopped by a signal go on; its pid, where there was one.
pub async fn wake(home: &Home) -> Result<Option<u32>, Error> {
    let Some((_stream, Some(pid))) = connect(home).await? else { return Ok(None) };
    // The connection holds it to be the one who listens; held, its number cannot become another's.
    let held = os::Held::open(pid).context("look at", Path::new("the supervisor"))?;
    if !os::is_stopped(pid) {
        return Ok(None);
    }
    held.signal(libc::SIGCONT).context("continue", Path::new("the supervisor"))?;
    Ok(Some(pid))
}

fn judge(client: Client) -> Found {
    let (ours, theirs) = (numbers(VERSION), numbers(&client.peer.version));
    if theirs < ours {
        Found::Older(client)
    } else if client.peer.protocol == PROTOCOL {
        Found::Ours(client)
    } else {
        Found::Foreign(client.peer)
    }
}

/// `1.10.0` is newer than `1.9.9`. What is no number counts as 0.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

async fn greet(stream: UnixStream) -> Result<Client, Error> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What went wrong with the connection is told by the request that needed it.
        connection.await.unwrap_or(());
    });
    let peer = Version { version: String::new(), protocol: 0, pid: 0, root: None };
    let mut client = Client { sender, peer, _driver: driver };
    client.peer = client.get("/v1/version").await?;
    Ok(client)
}

/// Finds a supervisor for reading (`ps`, `why`): one of an older program is good enough when it speaks our protocol. `None`: nobody answers.
pub async fn existing(home: &Home) -> Result<Option<Client>, Error> {
    match find(home).await? {
        Found::Nobody => Ok(None),
        Found::Ours(client) => Ok(Some(client)),
        Found::Older(client) if client.peer.protocol == PROTOCOL => Ok(Some(client)),
        Found::Older(client) => Err(foreign(&client.peer).hint("`orchestra start` replaces it; the services run on")),
        Found::Foreign(peer) => Err(foreign(&peer).hint("use the newer `orchestra`")),
    }
}

/// The project's folder is not any more where its supervisor found it.
fn has_moved(home: &Home, peer: &Version) -> bool {
    let folder = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let elsewhere = peer.root.as_ref().is_some_and(|root| folder(Path::new(root)) != folder(&home.root));
    // It was deleted, and another is where it was.
    elsewhere || os::works_in_removed_folder(peer.pid)
}

/// Finds a supervisor for changing something: starts one where none runs, replaces one of an older program (its services run on).
pub async fn ensure(home: &Home, launcher: &Launcher) -> Result<Client, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find(home).await? {
            Found::Ours(client) if !has_moved(home, &client.peer) => return Ok(client),
            Found::Foreign(peer) => return Err(foreign(&peer).hint("use the newer `orchestra`")),
            // It is of another time or of another place: a new one takes over what it watches.
            Found::Ours(mut client) | Found::Older(mut client) => {
                let gone = client.leave().await?.pid;
                drop(client);
                wait_gone(home, gone).await?;
            }
            Found::Nobody => match launcher.launch(home).await? {
                Handshake::Ready { .. } => {}
                Handshake::Failed(failure) => return Err(convert::error(failure)),
                // The winner of the race is about to listen, or an old one about to go.
                Handshake::Held { .. } if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
                Handshake::Held { .. } => return Err(silent(home)),
            },
        }
    }
}

/// Waits until the supervisor `pid` no longer holds the project's lock, which another one may, and until its process has ended.
pub async fn wait_gone(home: &Home, pid: u32) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    let began = os::start_time(pid).ok();
    let runs = || os::is_running(pid) && began.is_some() && os::start_time(pid).ok() == began;
    while lock::is_held(home)? && lock::holder(home) == Some(pid) || runs() {
        if Instant::now() >= deadline {
            return Err(silent(home));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(10));
    }
    Ok(())
}

impl Client {
    /// What runs.
    pub async fn ps(&mut self) -> Result<Ps, Error> {
        self.get("/v1/ps").await
    }

    /// Why a service is as it is.
    pub async fn why(&mut self, service: &str) -> Result<Why, Error> {
        // A folded name needs no escapes in a path, and no other name can be a service's.
        let name = convert::service_name(service)?;
        self.get(&format!("/v1/why/{name}")).await
    }

    /// Tells it to go away without touching a service.
    pub async fn leave(&mut self) -> Result<Leaving, Error> {
        let response = self.send(Method::POST, "/v1/leave", Bytes::new()).await?;
        whole(response).await
    }

    /// Asks for a change; the answer is what happens, as it happens.
    pub async fn ask(mut self, ask: Ask, request: &Request) -> Result<Lines, Error> {
        let body = serde_json::to_vec(request).map_err(|e| Error::failed("cannot write the request").because(&e))?;
        let response = self.send(Method::POST, &format!("/v1/{}", ask.word()), body.into()).await?;
        self.lines(response).await
    }

    /// Every change of the state of these services.
    pub async fn events(mut self, services: &[String]) -> Result<Lines, Error> {
        let response =
            self.send(Method::GET, &format!("/v1/events?services={}", services.join(",")), Bytes::new()).await?;
        self.lines(response).await
    }

    async fn lines(self, response: Response<Incoming>) -> Result<Lines, Error> {
        match response.status() {
            StatusCode::OK => {
                Ok(Lines { body: response.into_body(), read: Vec::new(), lines: VecDeque::new(), client: self })
            }
            _ => Err(refusal(response).await),
        }
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        whole(response).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Error> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "orchestra")
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| Error::failed("cannot write the request").because(&e))?;
        self.sender.ready().await.map_err(|e| lost(&e))?;
        self.sender.send_request(request).await.map_err(|e| lost(&e))
    }
}

/// The lines of an answer, as they come.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    read: Vec<u8>,
    lines: VecDeque<Progress>,
    client: Client,
}

impl Lines {
    /// The next line; `None` when the supervisor closed the stream.
    pub async fn next(&mut self) -> Result<Option<Progress>, Error> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    let frame = frame.map_err(|e| lost(&e))?;
                    self.take(frame.data_ref().map_or(&[][..], |data| data))?;
                }
            }
        }
    }

    /// The supervisor that answers.
    pub fn peer(&self) -> &Version {
        &self.client.peer
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Error> {
        for &byte in data {
            match byte {
                b'\n' if self.read.is_empty() => {}
                b'\n' => {
                    let line = serde_json::from_slice(&self.read).map_err(|e| misunderstood(&e))?;
                    self.lines.push_back(line);
                    self.read.clear();
                }
                _ if self.read.len() >= ANSWER => return Err(Error::failed("the supervisor's answer is too long")),
                byte => self.read.push(byte),
            }
        }
        Ok(())
    }
}

async fn whole<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Error> {
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let bytes = collect(response).await?;
    serde_json::from_slice(&bytes).map_err(|e| misunderstood(&e))
}

async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    match collect(response).await.map(|bytes| serde_json::from_slice::<Failure>(&bytes)) {
        Ok(Ok(failure)) => convert::error(failure),
        Ok(Err(e)) => misunderstood(&e).detail(format!("it answered {status}")),
        Err(error) => error,
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Error> {
    match Limited::new(response.into_body(), ANSWER).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(e) => Err(Error::new(Kind::Unreachable, WENT_AWAY).because(e.as_ref())),
    }
}

fn unreachable(error: PathError) -> Error {
    let mut error = Error::from(error);
    error.kind = Kind::Unreachable;
    error
}

fn lost(error: &hyper::Error) -> Error {
    Error::new(Kind::Unreachable, WENT_AWAY).because(error).hint("orchestra ps")
}

fn misunderstood(error: &serde_json::Error) -> Error {
    Error::new(Kind::Unreachable, "the supervisor answers in a way this program does not know")
        .because(error)
        .hint(format!("use the newest `orchestra`; this one is {VERSION}"))
}

fn foreign(peer: &Version) -> Error {
    let (theirs, protocol) = (&peer.version, peer.protocol);
    Error::new(
        Kind::Unreachable,
        format!(
            "the supervisor (pid {}) is orchestra {theirs} and speaks protocol {protocol}; this is {VERSION} and speaks {PROTOCOL}",
            peer.pid
        ),
    )
}

fn silent(home: &Home) -> Error {
    let holder = lock::holder(home);
    let who = holder.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let it = holder.map_or_else(|| "it".to_owned(), |pid| pid.to_string());
    Error::new(Kind::Silent, format!("the supervisor of this project{who} is there but does not answer"))
        .hint(format!("kill -9 {it}: the services run on, and the next supervisor takes them over"))
}

fn stopped(pid: u32) -> Error {
    Error::new(
        Kind::Silent,
        format!("the supervisor of this project (pid {pid}) was stopped by a signal and does not answer"),
    )
    .hint(format!("kill -CONT {pid}: it goes on where it was; the services run on meanwhile"))
}
