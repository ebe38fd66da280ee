//! Answers over the project's socket. Decides nothing: requests go to the actor, answers come from its snapshots.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::body::Body as _;
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::convert::{self, Ask};
use super::engines::Engines;
use super::follow::{self, Follow};
use super::listen::Checked;
use super::{PROTOCOL, VERSION, openapi, stream, wire};
use crate::config::problem;
use crate::error::{Error, Kind};
use crate::project::load::{LoadOptions, load};
use crate::strays;
use crate::supervisor::snapshot::Snapshot;
use crate::supervisor::{Command, Handle};
use crate::sys::family::{self, Doing, Table};
use crate::sys::home::Home;
use crate::sys::usage::Sampler;
use crate::worker::Trouble;
use crate::worker::docker::record;

/// The largest request: the kernel lets an environment be 2 MiB by default, and a quarter of the stack limit at most.
const BODY: usize = 16 * 1024 * 1024;
/// Answers that are under way when the supervisor ends get so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the answers are made of.
#[derive(Debug)]
pub struct Server {
    home: Home,
    project: String,
    handle: Handle,
    started: Instant,
    usage: Mutex<Sampler>,
    engines: Engines,
    /// Told when a newer supervisor takes over.
    leaving: Notify,
}

impl Server {
    /// Answers for `project` at `home`, by asking `handle`.
    pub fn new(home: Home, project: String, handle: Handle) -> Arc<Server> {
        let (usage, engines, leaving) = (Mutex::new(Sampler::default()), Engines::default(), Notify::new());
        Arc::new(Server { home, project, handle, started: Instant::now(), usage, engines, leaving })
    }

    /// Serves until `ended` (the actor is through) or until a newer supervisor has asked for the place; then lets open answers end.
    pub async fn serve(self: Arc<Self>, listener: Checked, ended: impl Future<Output = ()>) -> std::io::Result<()> {
        let (close, closing) = oneshot::channel::<()>();
        let ours = Arc::clone(&self);
        let graceful = async move {
            tokio::select! {
                () = ours.leaving.notified() => {}
                // An error means that `close` was dropped, which says the same.
                _ = closing => {}
            }
        };
        let serving = axum::serve(listener, router(Arc::clone(&self))).with_graceful_shutdown(graceful);
        let serving = serving.into_future();
        tokio::pin!(serving);
        tokio::select! {
            done = &mut serving => return done,
            () = ended => drop(close),
        }
        // A client that reads nothing must not keep a dead supervisor's process alive.
        tokio::time::timeout(LAST_WORDS, serving).await.unwrap_or(Ok(()))
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.handle.commands.send(command).await.map_err(|_| going_away())
    }

    async fn ps(self: Arc<Self>) -> Result<wire::Ps, Error> {
        let snapshot = self.handle.snapshots.borrow().clone();
        let leaders: Vec<u32> = snapshot.services.iter().flat_map(|s| &s.instances).filter_map(|i| i.pid).collect();
        let (ours, snapshot_there) = (Arc::clone(&self), Arc::clone(&snapshot));
        let sample = tokio::task::spawn_blocking(move || {
            // Without a process to look at, the table is not worth reading.
            let table = if leaders.is_empty() { Table::default() } else { Table::read() };
            let containers = ours.containers(&snapshot_there, &table);
            let mut sampler = ours.usage.lock().unwrap_or_else(PoisonError::into_inner);
            let usage = sampler.sample(&leaders, &containers, table.processes());
            drop(sampler);
            let trouble = leaders.into_iter().filter_map(|leader| Some((leader, trouble(&table, leader)?)));
            (usage, trouble.collect::<HashMap<u32, Trouble>>())
        });
        let (usage, trouble) =
            sample.await.map_err(|e| Error::failed("cannot read the list of processes").because(&e))?;
        let mut services: Vec<wire::Service> = snapshot.services.iter().map(convert::service).collect();
        for instance in services.iter_mut().flat_map(|s| &mut s.instances) {
            let Some(pid) = instance.pid else { continue };
            if let Some(used) = usage.get(&pid) {
                instance.cpu_percent = Some(used.cpu_percent);
                instance.memory_bytes = Some(used.memory_bytes);
            }
            // What runs in a container has no shim: whatever is its parent says nothing about it.
            if instance.trouble.is_none() && instance.worker == wire::PROCESS {
                instance.trouble = trouble.get(&pid).map(|trouble| trouble.word().to_owned());
            }
        }
        self.engines.tell(&self.home, &snapshot, &mut services).await;
        Ok(wire::Ps {
            project: self.project.clone(),
            root: self.home.root.to_string_lossy().into_owned(),
            supervisor: wire::Supervisor {
                running: true,
                pid: Some(std::process::id()),
                uptime_ms: u64::try_from(self.started.elapsed().as_millis()).ok(),
                version: Some(VERSION.into()),
                trouble: trouble_of(&snapshot),
            },
            services,
        })
    }

    /// The first processes of containers. What has a shim is none, so that little is read.
    fn containers(&self, snapshot: &Snapshot, table: &Table) -> Vec<u32> {
        let instances = snapshot.services.iter().flat_map(|service| &service.instances);
        let leads = instances.filter_map(|one| Some((&one.id, one.pid?)));
        leads
            .filter(|(_, pid)| table.shim_of(*pid).is_none())
            .filter(|(id, pid)| record::of(&self.home, id).is_some_and(|record| record.pid == *pid))
            .map(|(_, pid)| pid)
            .collect()
    }

    async fn why(&self, name: &str) -> Result<wire::Why, Error> {
        let name = convert::service_name(name)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Explain(name.clone(), reply)).await?;
        let explanation = answer.await.map_err(|_| going_away())?;
        let records = || record::all(&self.home).0;
        explanation.as_ref().map(|explanation| convert::why(explanation, &records())).ok_or_else(|| {
            Error::usage(format!("there is no service `{name}`"))
                .hint("`orchestra ps` lists the services of this project")
        })
    }

    async fn strays(self: Arc<Self>) -> Result<wire::Strays, Error> {
        let look = move || {
            let project = load(&self.home.root, &LoadOptions { config: None, trust: true }).map_err(problem::error)?;
            let mut targets = strays::targets(&project, project.services.keys());
            let ground = strays::Ground { home: self.home.clone(), caller: None };
            Ok(convert::strays(&project, &strays::find(&mut targets, &ground)))
        };
        let found = tokio::task::spawn_blocking(look).await;
        found.map_err(|e| Error::failed("cannot read the list of processes").because(&e))?
    }

    async fn request(self: Arc<Self>, ask: Ask, body: &[u8]) -> Result<Body, Error> {
        let began = Instant::now();
        let asked: wire::Request =
            serde_json::from_slice(body).map_err(|e| Error::usage("the request is malformed").because(&e))?;
        let request = convert::request(ask, &asked)?;
        let limit = asked.timeout_ms.filter(|_| ask != Ask::Stop).map(Duration::from_millis);
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request(Box::new(request), reply)).await?;
        let accepted = answer.await.map_err(|_| going_away())??;
        let snapshots = self.handle.snapshots.clone();
        Ok(stream::body(|out| async move {
            let services = accepted.services.iter().map(ToString::to_string).collect();
            let first = wire::Progress::Accepted { services, notes: accepted.notes.clone() };
            if out.send(Some(first)).await.is_ok() {
                follow::run(Follow::new(ask, &accepted), began, limit, snapshots, out).await;
            }
        }))
    }

    async fn leave(&self) -> Result<wire::Leaving, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Leave(reply)).await?;
        // An actor that ended before it could answer has left, too.
        answer.await.unwrap_or(());
        self.leaving.notify_one();
        Ok(wire::Leaving { pid: std::process::id() })
    }
}

/// What a person should know beside the services, in one line: of the configuration's trouble the first place.
fn trouble_of(snapshot: &Snapshot) -> Option<String> {
    let first = |lines: &Arc<Vec<String>>| lines.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(": ");
    let all = [snapshot.config_trouble.as_ref().map(first), snapshot.watch_trouble.clone()];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What anyone can see of a run from outside: whoever asks learns it at once, not at the next regular look.
fn trouble(table: &Table, leader: u32) -> Option<Trouble> {
    let shim = table.shim_of(leader)?;
    match family::doing(shim) {
        Doing::Stopped => Some(Trouble::Stuck),
        Doing::Waiting(_) | Doing::Living | Doing::Ended => {
            (!table.escaped(shim, leader).is_empty()).then_some(Trouble::Escaped)
        }
    }
}

/// Said by a supervisor that is ending: the caller may start a new one.
fn going_away() -> Error {
    Error::new(Kind::Unreachable, "the supervisor is going away").hint("try again")
}

/// Every path and method; `openapi` describes the same, which a test compares.
pub(super) fn router(server: Arc<Server>) -> Router {
    let mut router = Router::new()
        .route("/v1/version", get(version))
        .route("/v1/ps", get(|State(s): State<Arc<Server>>| async { json(s.ps().await) }))
        .route("/v1/why/{service}", get(why))
        .route("/v1/strays", get(|State(s): State<Arc<Server>>| async move { json(s.strays().await) }))
        .route("/v1/events", get(events))
        .route("/v1/leave", post(|State(s): State<Arc<Server>>| async move { json(s.leave().await) }))
        .route("/openapi.json", get(|| async { json(Ok(openapi::document())) }));
    for ask in Ask::ALL {
        let answer = move |State(server): State<Arc<Server>>, body: Body| async move {
            match read(body).await {
                Ok(body) => server.request(ask, &body).await.map_or_else(|e| refuse(&e), lines),
                Err(error) => refuse_as(StatusCode::PAYLOAD_TOO_LARGE, &error),
            }
        };
        router = router.route(&format!("/v1/{}", ask.word()), post(answer));
    }
    router
        .fallback(|| async {
            refuse_as(StatusCode::NOT_FOUND, &Error::usage("there is no such path").hint("GET /openapi.json"))
        })
        .method_not_allowed_fallback(|| async {
            let error = Error::usage("this path takes another method").hint("GET /openapi.json");
            refuse_as(StatusCode::METHOD_NOT_ALLOWED, &error)
        })
        .with_state(server)
}

/// Reads a body, and of one that says that it is too large nothing.
async fn read(body: Body) -> Result<Bytes, Error> {
    let too_large = || Error::usage(format!("the request is larger than {} MiB", BODY / 1024 / 1024));
    match body.size_hint().lower() > BODY as u64 {
        true => Err(too_large()),
        false => axum::body::to_bytes(body, BODY).await.map_err(|e| too_large().because(&e)),
    }
}

async fn version(State(server): State<Arc<Server>>) -> Response {
    let root = server.home.root.to_str().map(ToOwned::to_owned);
    json(Ok(wire::Version { version: VERSION.into(), protocol: PROTOCOL, pid: std::process::id(), root }))
}

async fn why(State(server): State<Arc<Server>>, Path(name): Path<String>) -> Response {
    json(server.why(&name).await)
}

/// `?services=api,auth`; without it, all.
async fn events(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("services=")).unwrap_or_default();
    let names: BTreeSet<String> = named.split(',').filter(|name| !name.is_empty()).map(Into::into).collect();
    let snapshots = server.handle.snapshots.clone();
    lines(stream::body(|out| follow::watch_states(names, snapshots, out)))
}

fn lines(body: Body) -> Response {
    with_type(StatusCode::OK, "application/x-ndjson", body)
}

fn json<T: Serialize>(answer: Result<T, Error>) -> Response {
    match answer
        .and_then(|value| serde_json::to_vec(&value).map_err(|e| Error::failed("cannot write the answer").because(&e)))
    {
        Ok(bytes) => with_type(StatusCode::OK, "application/json", bytes.into()),
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &Error) -> Response {
    let status = match error.kind {
        Kind::Usage => StatusCode::BAD_REQUEST,
        Kind::Unreachable | Kind::Silent | Kind::NoEngine => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Failed | Kind::Code(_) | Kind::Interrupted | Kind::ClosedPipe => StatusCode::CONFLICT,
    };
    refuse_as(status, error)
}

fn refuse_as(status: StatusCode, error: &Error) -> Response {
    // Serializing our own plain types cannot fail; the status alone says enough.
    let bytes = serde_json::to_vec(&convert::failure(error)).unwrap_or_default();
    with_type(status, "application/json", bytes.into())
}

fn with_type(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
