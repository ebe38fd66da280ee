//! An engine that answers as scripted, on a socket of its own: enough HTTP for the client, and no more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::task::environment::Environment;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status and a whole body.
    Said(u16, String),
    /// The head comes, and nothing after it.
    Silence,
    /// The connection breaks off before any answer.
    Break,
    /// No answer, ever.
    Hang,
}

/// What is answered, and what was asked.
#[derive(Default)]
struct Script {
    /// By `METHOD /path`, without its query: the answers in turn, the last one for good.
    answers: HashMap<String, Vec<Answer>>,
    /// `METHOD /path?query`, and the body.
    asked: Vec<(String, String)>,
}

/// A fake engine; it is gone once this is dropped.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// An engine of API 1.41 that knows nothing: whatever is not scripted is 404.
    pub(crate) fn begin() -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let task = serve(&dir.path().join("docker.sock"), script.clone());
        let fake = Fake { dir, script, task };
        fake.answer("GET /version", 200, r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#);
        fake.answer("GET /_ping", 200, "OK");
        fake
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// The environment of somebody whose engine this is.
    pub(crate) fn env(&self) -> Environment {
        let host = format!("unix://{}", self.socket().display());
        [("DOCKER_HOST".into(), host.into()), ("DOCKER_CONFIG".into(), self.dir.path().into())].into_iter().collect()
    }

    /// From now on `what` (`GET /version`) is answered like this.
    pub(crate) fn answer(&self, what: &str, status: u16, body: &str) {
        self.script(what, vec![Answer::Said(status, body.to_owned())]);
    }

    /// The same, one answer after another; the last one for good.
    pub(crate) fn script(&self, what: &str, answers: Vec<Answer>) {
        self.script.lock().unwrap().answers.insert(what.to_owned(), answers);
    }

    /// What was asked so far that begins with this, and the bodies.
    pub(crate) fn asked(&self, what: &str) -> Vec<(String, String)> {
        self.script.lock().unwrap().asked.iter().filter(|(asked, _)| asked.starts_with(what)).cloned().collect()
    }

    /// It dies: its connections break, and its socket is there without it.
    pub(crate) fn die(&mut self) {
        self.task.abort();
    }

    /// It is there again.
    pub(crate) fn come_back(&mut self) {
        // There is none where it never died.
        drop(std::fs::remove_file(self.socket()));
        self.task = serve(&self.socket(), self.script.clone());
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every connection is a task below the listening one, so that all break with it.
fn serve(socket: &Path, script: Arc<Mutex<Script>>) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(one(stream, script.clone()));
        }
    })
}

/// One request and its answer; the client asks each on a connection of its own.
async fn one(stream: UnixStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    let Some((line, body)) = request(&mut stream).await else { return };
    let what = line.split('?').next().unwrap_or_default().to_owned();
    let answer = {
        let mut script = script.lock().unwrap();
        script.asked.push((line, body));
        match script.answers.get_mut(&what) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers.first().cloned().unwrap_or(Answer::Break),
            None => Answer::Said(404, format!(r#"{{"message":"no answer to {what}"}}"#)),
        }
    };
    let head =
        |status: u16, length: &str| format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{length}\r\n");
    match answer {
        Answer::Said(status, body) => {
            let text = head(status, &format!("Content-Length: {}\r\nConnection: close\r\n", body.len())) + &body;
            // Nobody listens any more: then nobody needs it.
            drop(stream.write_all(text.as_bytes()).await);
        }
        Answer::Silence => {
            drop(stream.write_all(head(200, "Transfer-Encoding: chunked\r\n").as_bytes()).await);
            std::future::pending::<()>().await;
        }
        Answer::Break => {}
        Answer::Hang => std::future::pending().await,
    }
}

/// `METHOD /path?query`, without the version that may stand before the path, and the body.
async fn request(stream: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok().filter(|length| *length > 0)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        match header.trim().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = first.split_whitespace();
    Some((format!("{} {}", words.next()?, words.next()?), String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Class, Docker, Pulling};

    #[tokio::test]
    async fn an_engine_is_found_and_says_who_it_is() {
        let fake = Fake::begin();
        let docker = Docker::connect(&fake.env()).await.unwrap();
        assert_eq!((docker.api(), docker.version(), docker.is_local()), ((1, 41), "20.10.24", true));
        let again = Docker::at(&docker.address()).await.unwrap();
        again.ping().await.unwrap();
        assert!(docker.inspect("nobody").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_engine_that_is_away_is_unreachable_and_says_where() {
        let mut fake = Fake::begin();
        let docker = Docker::connect(&fake.env()).await.unwrap();
        fake.die();
        let at = docker.address();
        let mut said = docker.ping().await.unwrap_err();
        // The listening socket is closed a moment after its task was told to end.
        while !said.message.contains("nobody listens") {
            tokio::task::yield_now().await;
            said = docker.ping().await.unwrap_err();
        }
        assert_eq!(said.class, Class::NotRunning);
        assert!(said.message.contains(&at) && said.class.is_transient(), "{said}");
        let failure = Docker::connect(&fake.env()).await.unwrap_err();
        assert!(failure.message.ends_with("(DOCKER_HOST)"), "{failure}");
        std::fs::remove_file(fake.socket()).unwrap();
        let failure = Docker::at(&at).await.unwrap_err();
        assert!(failure.message.contains("there is no such socket") && !failure.hint.is_empty(), "{failure}");
        fake.come_back();
        docker.ping().await.unwrap();
    }

    #[tokio::test]
    async fn what_answers_like_no_engine_is_none() {
        let fake = Fake::begin();
        fake.answer("GET /version", 200, "{}");
        let failure = Docker::connect(&fake.env()).await.unwrap_err();
        assert_eq!(failure.class, Class::BadAddress);
        fake.script("GET /version", vec![Answer::Break]);
        assert!(Docker::connect(&fake.env()).await.unwrap_err().class.is_unreachable());
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_keeps_nobody() {
        let fake = Fake::begin();
        fake.script("GET /version", vec![Answer::Hang]);
        let failure = Docker::connect(&fake.env()).await.unwrap_err();
        assert_eq!(failure.class, Class::TimedOut);
        assert!(failure.class.is_unreachable() && failure.class.is_transient(), "{failure}");
    }

    #[tokio::test]
    async fn a_pull_tells_how_far_it_is_and_why_it_failed() {
        let fake = Fake::begin();
        let lines = [
            r#"{"status":"Pulling from library/postgres","id":"16"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":10,"total":100},"id":"a"}"#,
            r#"{"status":"Extracting","progressDetail":{"current":100,"total":100},"id":"a"}"#,
            r#"{"status":"Status: Downloaded newer image"}"#,
        ];
        fake.answer("POST /images/create", 200, &lines.join("\r\n"));
        let (docker, env) = (Docker::connect(&fake.env()).await.unwrap(), fake.env());
        let pulling = Pulling { image: "postgres:16", platform: Some("linux/amd64"), env: &env };
        let mut heard = Vec::new();
        docker.pull(pulling, |progress| heard.push(progress.percent)).await.unwrap();
        assert_eq!(heard, [5, 100]);
        let asked = fake.asked("POST /images/create");
        assert!(asked[0].0.contains("fromImage=postgres") && asked[0].0.contains("tag=16"), "{asked:?}");
        assert!(asked[0].0.contains("platform=linux%2Famd64"), "{asked:?}");
        let failed = r#"{"errorDetail":{"message":"write /x: no space left on device"},"error":"write /x: no space left on device"}"#;
        fake.answer("POST /images/create", 200, &format!("{}\r\n{failed}", lines[1]));
        let failure = docker.pull(pulling, |_| {}).await.unwrap_err();
        assert_eq!(failure.class, Class::DiskFull);
        assert!(failure.message.contains("`postgres:16`") && failure.hint.contains("prune"), "{failure}");
        let missing = r#"{"message":"manifest for postgres:16 not found: manifest unknown: manifest unknown"}"#;
        fake.answer("POST /images/create", 404, missing);
        let failure = docker.pull(pulling, |_| {}).await.unwrap_err();
        assert_eq!(failure.class, Class::ImageMissing);
        assert!(failure.to_string().starts_with("there is no image `postgres:16`: "), "{failure}");
    }
}
