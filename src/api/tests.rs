//! Server and client over a real socket, with a fake actor behind it.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{self, Client, Found, Lines};
use super::convert::Ask;
use super::fake::{Fake, fake, view};
use super::launch::{Handshake, Launcher};
use super::listen::Checked;
use super::lock::{self, Claim, Project};
use super::server::Server;
use super::wire::{Progress, Request};
use super::{openapi, wire};
use crate::error::Kind;
use crate::supervisor::snapshot::{Settled, Shown};
use crate::supervisor::{Command, Verb};
use crate::sys::home::Home;

struct Running {
    home: Home,
    fake: Fake,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
    project: Project,
    _dir: tempfile::TempDir,
}

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let mut home = Home::find(dir.path()).unwrap();
    home.runtime = dir.path().join("rt/key");
    (dir, home)
}

fn claim(home: &Home) -> Project {
    match lock::claim(home).unwrap() {
        Claim::Ours(project) => project,
        Claim::Theirs(pid) => panic!("held by {pid:?}"),
    }
}

fn serve() -> Running {
    let (dir, home) = home();
    let project = claim(&home);
    let (handle, fake) = fake();
    let listener = Checked::new(project.listen().unwrap()).unwrap();
    let (end, ended) = oneshot::channel();
    let server = Server::new(home.clone(), "shop".into(), handle);
    let served = tokio::spawn(server.serve(listener, async move { ended.await.unwrap_or(()) }));
    Running { home, fake, end: Some(end), served, project, _dir: dir }
}

impl Running {
    async fn client(&self) -> Client {
        client::existing(&self.home).await.unwrap().unwrap()
    }

    async fn ask(&mut self, ask: Ask, request: Request, services: &[&str], from: u64) -> Lines {
        let client = self.client().await;
        let (lines, _) = tokio::join!(client.ask(ask, &request), self.fake.accept(services, from));
        let mut lines = lines.unwrap();
        let services = services.iter().map(|s| (*s).to_owned()).collect();
        let first = soon(lines.next()).await.unwrap().unwrap();
        assert_eq!(first, Progress::Accepted { services, notes: vec!["noted".into()] });
        lines
    }

    /// Sends bytes as they are and returns the status and the body.
    async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(self.home.supervisor_socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.raw(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("in time")
}

/// The next line in short: `api queued`, `end`, `end: error`.
async fn short(lines: &mut Lines) -> String {
    match soon(lines.next()).await.unwrap() {
        Some(Progress::State { service, state, reason, .. }) => match reason {
            Some(reason) => format!("{service} {state} ({reason})"),
            None => format!("{service} {state}"),
        },
        Some(Progress::End { error: None }) => "end".into(),
        Some(Progress::End { error: Some(e) }) => format!("end: {}: {} {:?}", e.kind, e.message, e.details),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn progress_comes_as_it_happens_and_only_from_the_right_snapshot_on() {
    let mut running = serve();
    running.fake.show(4, vec![view("api", Shown::Ready, Settled::Met)]);
    let mut lines = running.ask(Ask::Start, Request::default(), &["api", "web"], 5).await;
    let (pending, met) = (Settled::Pending, Settled::Met);
    running.fake.show(5, vec![view("api", Shown::Ready, met.clone()), view("web", Shown::Queued, pending.clone())]);
    assert_eq!(short(&mut lines).await, "api ready");
    assert_eq!(short(&mut lines).await, "web queued");
    running.fake.show(
        6,
        vec![
            view("api", Shown::Ready, met.clone()),
            view("other", Shown::Failed, Settled::Failed("x".into())),
            view("web", Shown::Starting, pending),
        ],
    );
    assert_eq!(short(&mut lines).await, "web starting");
    running.fake.show(7, vec![view("api", Shown::Ready, met.clone()), view("web", Shown::Ready, met)]);
    assert_eq!(short(&mut lines).await, "web ready");
    assert_eq!(short(&mut lines).await, "end");
    assert_eq!(soon(lines.next()).await.unwrap(), None);
}

#[tokio::test]
async fn what_failed_and_what_is_blocked_is_told_with_reasons() {
    let mut running = serve();
    let mut lines = running.ask(Ask::Start, Request::default(), &["db", "api"], 1).await;
    let failed = view("db", Shown::Failed, Settled::Failed("exited with code 7".into()));
    running
        .fake
        .show(1, vec![view("api", Shown::Queued, Settled::Blocked("waits for `db`, which failed".into())), failed]);
    assert_eq!(short(&mut lines).await, "api queued (waits for `db`, which failed)");
    assert_eq!(short(&mut lines).await, "db failed (exited with code 7)");
    let end = r#"end: failed: `db` failed, and 1 service is blocked ["db: exited with code 7", "api: waits for `db`, which failed"]"#;
    assert_eq!(short(&mut lines).await, end);
}

#[tokio::test]
async fn the_timeout_ends_the_waiting() {
    let mut running = serve();
    let request = Request { timeout_ms: Some(50), ..Request::default() };
    let mut lines = running.ask(Ask::Start, request, &["api"], 1).await;
    running.fake.show(1, vec![view("api", Shown::Running, Settled::Pending)]);
    assert_eq!(short(&mut lines).await, "api running");
    assert_eq!(short(&mut lines).await, r#"end: failed: `api` is still not ready after 50ms ["api: running"]"#);
}

#[tokio::test]
async fn kill_does_not_wait_and_stop_takes_the_timeout_as_its_grace() {
    let mut running = serve();
    running.fake.show(1, vec![view("api", Shown::Ready, Settled::Pending)]);
    let request = Request { signal: Some(3), select: vec!["api".into()], ..Request::default() };
    let mut lines = running.ask(Ask::Kill, request, &["api"], 1).await;
    assert_eq!(short(&mut lines).await, "api ready");
    assert_eq!(short(&mut lines).await, "end");
    let client = running.client().await;
    let request = Request { timeout_ms: Some(0), ..Request::default() };
    let (lines, asked) = tokio::join!(client.ask(Ask::Stop, &request), running.fake.accept(&[], 1));
    assert_eq!(asked.verb, Verb::Stop { grace: Some(Duration::ZERO) });
    assert!(lines.is_ok());
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_waiting_only() {
    let mut running = serve();
    let lines = running.ask(Ask::Start, Request::default(), &["api"], 1).await;
    running.fake.show(1, vec![view("api", Shown::Starting, Settled::Pending)]);
    let waiting = |running: &Running| running.fake.shown.receiver_count();
    let before = waiting(&running);
    drop(lines);
    soon(async {
        while waiting(&running) >= before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(running.fake.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_stop_that_outlives_the_supervisor_ends_well() {
    let mut running = serve();
    let mut lines = running.ask(Ask::Stop, Request::default(), &["api"], 1).await;
    running.fake.show(1, vec![view("api", Shown::Stopping, Settled::Pending)]);
    assert_eq!(short(&mut lines).await, "api stopping");
    running.fake.show(2, vec![view("api", Shown::Idle, Settled::Met)]);
    let Running { fake, end, served, project, home, .. } = running;
    drop((fake, end));
    assert_eq!(short(&mut lines).await, "api idle");
    assert_eq!(short(&mut lines).await, "end");
    soon(served).await.unwrap().unwrap();
    project.unlink().unwrap();
    assert!(matches!(client::find(&home).await.unwrap(), Found::Nobody));
}

#[tokio::test]
async fn an_actor_that_is_gone_is_said_to_be_unreachable() {
    let mut running = serve();
    running.fake.commands.close();
    let error = running.client().await.ask(Ask::Start, &Request::default()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    let mut lines = running.client().await.events(&[]).await.unwrap();
    let Running { fake, .. } = running;
    drop(fake);
    assert_eq!(soon(lines.next()).await.unwrap(), None);
}

#[tokio::test]
async fn malformed_requests_are_refused_with_a_failure() {
    let running = serve();
    for (path, body, status) in [
        ("/v1/start", "nonsense", 400),
        ("/v1/start", r#"{"caller":{"env":["novalue"],"umask":18}}"#, 400),
        ("/v1/kill", r#"{"caller":{"env":[],"umask":18},"signal":99,"select":["api"]}"#, 400),
        ("/v1/nonsense", "{}", 404),
        ("/v1/ps", "{}", 405),
    ] {
        let (got, body) = running.post(path, body).await;
        assert_eq!(got, status, "{path}: {body}");
        assert_eq!(serde_json::from_str::<wire::Failure>(&body).unwrap().kind, "usage", "{path}");
    }
    let header = "POST /v1/start HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n{";
    assert_eq!(running.raw(header).await.0, 413);
}

#[tokio::test]
async fn ps_why_and_version_answer() {
    let mut running = serve();
    let mut up = view("api", Shown::Ready, Settled::Met);
    up.instances[0].pid = Some(nix::unistd::getsid(None).unwrap().as_raw().cast_unsigned());
    running.fake.show(1, vec![up]);
    let ps = running.client().await.ps().await.unwrap();
    assert_eq!((ps.project.as_str(), ps.supervisor.pid), ("shop", Some(std::process::id())));
    assert!(ps.services[0].instances[0].memory_bytes.is_some_and(|n| n > 0));
    let mut client = running.client().await;
    let (why, ()) = tokio::join!(client.why("nobody"), async {
        match running.fake.commands.recv().await {
            Some(Command::Explain(_, reply)) => reply.send(None).unwrap(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(why.unwrap_err().kind, Kind::Usage);
    assert_eq!(client.peer.protocol, super::PROTOCOL);
}

#[tokio::test]
async fn every_described_path_is_there() {
    let running = serve();
    let document = openapi::document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|m| path != "/v1/events" && *m == "get") {
            let path = path.replace("{service}", "--");
            let request = format!("{} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", method.to_uppercase());
            assert!(!matches!(running.raw(&request).await.0, 404 | 405), "{method} {path}");
        }
        if methods.get("post").is_some() && path != "/v1/leave" {
            assert_eq!(running.post(path, "").await.0, 400, "{path}");
        }
    }
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let (_dir, home) = home();
    let project = claim(&home);
    let listener = project.listen().unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.supervisor_socket()), mode(home.runtime.clone())), (0o600, 0o700));
    let (handle, _fake) = fake();
    let other = nix::unistd::geteuid().as_raw() + 1;
    if other == 1 {
        // Root may connect to anybody's supervisor; that the check compares is shown by the others.
        return;
    }
    let server = Server::new(home.clone(), "shop".into(), handle);
    let serving = server.serve(Checked::of(listener, other).unwrap(), std::future::pending());
    tokio::select! {
        _ = serving => panic!("ended"),
        found = client::find(&home) => assert_eq!(found.unwrap_err().kind, Kind::Unreachable),
    }
}

#[tokio::test]
async fn a_dead_socket_is_nobody_and_is_replaced() {
    let (_dir, home) = home();
    let project = claim(&home);
    drop(project.listen().unwrap());
    assert!(matches!(client::find(&home).await.unwrap(), Found::Nobody));
    let _listener = project.listen().unwrap();
    assert!(UnixStream::connect(home.supervisor_socket()).await.is_ok());
}

#[tokio::test]
async fn a_supervisor_asked_to_leave_lets_go() {
    let mut running = serve();
    let mut client = running.client().await;
    let (left, ()) = tokio::join!(client.leave(), async {
        match running.fake.commands.recv().await {
            Some(Command::Leave(reply)) => reply.send(()).unwrap(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(left.unwrap().pid, std::process::id());
    drop(client);
    soon(running.served).await.unwrap().unwrap();
}

/// Says that it is of this version and speaks this protocol, once.
async fn pretend(home: &Home, version: &str, protocol: u32) -> Result<Found, crate::error::Error> {
    let listener = tokio::net::UnixListener::bind(home.supervisor_socket()).unwrap();
    let body = format!(r#"{{"version":"{version}","protocol":{protocol},"pid":7}}"#);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (found, _stream) = tokio::join!(client::find(home), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        assert!(stream.read(&mut asked).await.unwrap() > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    });
    std::fs::remove_file(home.supervisor_socket()).unwrap();
    found
}

#[tokio::test]
async fn versions_are_compared_and_unknown_protocols_said() {
    let (_dir, home) = home();
    let _held = claim(&home);
    assert!(matches!(pretend(&home, super::VERSION, super::PROTOCOL).await.unwrap(), Found::Ours(_)));
    assert!(matches!(pretend(&home, "0.0.9", 0).await.unwrap(), Found::Older(_)));
    assert!(matches!(pretend(&home, "99.0.0", super::PROTOCOL).await.unwrap(), Found::Ours(_)));
    match pretend(&home, "99.10.0", 2).await.unwrap() {
        Found::Foreign(peer) => assert_eq!((peer.version.as_str(), peer.protocol), ("99.10.0", 2)),
        other => panic!("{other:?}"),
    }
    assert_eq!(pretend(&home, "\\", 1).await.unwrap_err().kind, Kind::Unreachable);
}

fn script(text: &str) -> Launcher {
    Launcher { program: "/bin/sh".into(), args: vec!["-c".into(), text.into(), "sh".into()] }
}

#[tokio::test]
async fn the_starter_waits_for_a_word_or_the_end_of_the_pipe() {
    let (_dir, home) = home();
    let ready = script(r#"echo '{"ready":{"pid":7}}'; exec >/dev/null; sleep 0.2"#).launch(&home).await.unwrap();
    assert_eq!(ready, Handshake::Ready { pid: 7 });
    let held = script(r#"echo '{"held":{"pid":null}}'"#).launch(&home).await.unwrap();
    assert_eq!(held, Handshake::Held { pid: None });
    let error = script("echo broken >&2; exit 3").launch(&home).await.unwrap_err();
    assert_eq!(error.message.split(" (").next(), Some("the supervisor did not start"));
    assert_eq!(error.hints, ["read what it said: .orchestra/state/supervisor.log"]);
    assert_eq!(std::fs::read_to_string(super::launch::log(&home)).unwrap(), "broken\n");
}

#[tokio::test]
async fn of_twenty_claims_one_wins() {
    let (_dir, home) = home();
    let won = Arc::new(AtomicUsize::new(0));
    let claims: Vec<_> = (0..20)
        .map(|_| {
            let (home, won) = (home.clone(), Arc::clone(&won));
            std::thread::spawn(move || match lock::claim(&home).unwrap() {
                Claim::Ours(project) => {
                    won.fetch_add(1, Ordering::SeqCst);
                    Some(project)
                }
                Claim::Theirs(_) => None,
            })
        })
        .collect();
    let held: Vec<_> = claims.into_iter().map(|c| c.join().unwrap()).collect();
    assert_eq!(won.load(Ordering::SeqCst), 1);
    assert!(lock::is_held(&home).unwrap());
    assert_eq!(lock::holder(&home), Some(std::process::id()));
    drop(held);
    assert!(!lock::is_held(&home).unwrap());
}
