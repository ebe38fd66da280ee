//! A fleet under `start --rerun` whose builds and starts are counted, and services that answer with their version.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::calls::{Call, Go};
use crate::support::output::{Output, Running};
use crate::support::wait::PATIENCE;
use crate::support::{Fleet, eventually};

/// Answers every request with a text.
pub(crate) const SERVE: &str = include_str!("../fixtures/serve/serve.go");

/// A fleet, the `go` in front of it, and a service by which a test knows that everything before it is over.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) go: Go,
    versions: Cell<u32>,
    marker: u16,
}

/// A service of the stage that answers with its version.
#[derive(Clone)]
pub(crate) struct Web<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// What a service has done so far.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    builds: usize,
    ups: usize,
}

const MARKER: &str = "marker";

impl Stage {
    /// An empty project with the marker alone.
    pub(crate) fn new() -> Stage {
        let fleet = Fleet::new();
        let go = Go::beside(&fleet);
        let marker = fleet.port();
        let stage = Stage { fleet, go, versions: Cell::new(1), marker };
        stage.module(MARKER);
        stage.fleet.write("marker/service.yml", format!("port: {marker}\n"));
        stage
    }

    fn module(&self, name: &str) {
        self.fleet.write(&format!("{name}/go.mod"), format!("module example.com/{name}\n\ngo 1.22\n"));
        self.fleet.write(&format!("{name}/serve.go"), SERVE);
        self.fleet.write(&format!("{name}/main.go"), source("v1"));
    }

    /// A service with a module and a port of its own that answers `v1`; `yaml` are further lines of its `service.yml`.
    pub(crate) fn web(&self, name: &str, yaml: &str) -> Web<'_> {
        let port = self.fleet.port();
        self.module(name);
        self.fleet.write(&format!("{name}/service.yml"), format!("port: {port}\n{yaml}\n"));
        Web { stage: self, name: name.to_owned(), port }
    }

    /// The same for a service whose files the test writes itself.
    pub(crate) fn bare(&self, name: &str, yaml: &str) -> Web<'_> {
        let port = self.fleet.port();
        self.fleet.write(&format!("{name}/service.yml"), format!("port: {port}\n{yaml}\n"));
        Web { stage: self, name: name.to_owned(), port }
    }

    /// The program with our `go` in front of the real one.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.fleet.command(args);
        let path = std::env::var_os("PATH").unwrap();
        let dirs = std::iter::once(self.go.dir().to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(dirs).unwrap());
        command
    }

    /// `start --rerun` with further arguments, which must succeed.
    #[track_caller]
    pub(crate) fn start(&self, args: &[&str]) -> Output {
        self.fleet.run(self.command(&[&["start", "--rerun"], args].concat())).ok()
    }

    /// The same in the background.
    pub(crate) fn starting(&self, args: &[&str]) -> Running {
        Running::start(self.command(&[&["start", "--rerun"], args].concat()))
    }

    /// A version that was not there before.
    pub(crate) fn next_version(&self) -> String {
        self.versions.set(self.versions.get() + 1);
        format!("v{}", self.versions.get())
    }

    /// Waits until whatever was written before can have no further consequence: the marker is edited twice, and edits are taken up in order; a build that
    /// waited behind that of the first edit is over before that of the second.
    #[track_caller]
    pub(crate) fn rest(&self) {
        for _ in 0..2 {
            let version = self.next_version();
            self.fleet.write("marker/main.go", source(&version));
            self.until_answered(self.marker, &version);
        }
        self.go.rests();
    }

    /// Waits until this port answers so, and says how long that took.
    #[track_caller]
    pub(crate) fn until_answered(&self, port: u16, answer: &str) -> Duration {
        let began = Instant::now();
        let mut last = None;
        while last.as_deref() != Some(answer) {
            assert!(began.elapsed() < PATIENCE, "port {port} never answered `{answer}`, but {last:?}");
            std::thread::sleep(Duration::from_millis(2));
            last = self.fleet.get(port, "/");
        }
        began.elapsed()
    }

    /// `why -o json`.
    #[track_caller]
    pub(crate) fn why(&self, service: &str) -> Value {
        self.fleet.orchestra(&["why", service, "-o", "json"]).ok().json()
    }

    /// The lines of one stream of a service's log.
    #[track_caller]
    pub(crate) fn log(&self, service: &str, stream: &str) -> Vec<String> {
        let lines = self.fleet.orchestra(&["logs", "-o", "json", service]).ok().json_lines();
        let of_stream = lines.iter().filter(|line| line["stream"] == stream);
        of_stream.filter_map(|line| Some(line["line"].as_str()?.to_owned())).collect()
    }
}

impl Web<'_> {
    /// A file of its folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.stage.fleet.path(&self.name).join(file)
    }

    /// Writes a file of its folder.
    pub(crate) fn write(&self, file: &str, text: &str) {
        self.stage.fleet.write(&format!("{}/{file}", self.name), text);
    }

    /// The id of its first copy.
    pub(crate) fn id(&self) -> String {
        format!("{}.1", self.name)
    }

    #[track_caller]
    pub(crate) fn pid(&self) -> i32 {
        self.stage.fleet.pid(&self.id())
    }

    /// What `ps` says of its newest build.
    #[track_caller]
    pub(crate) fn build(&self) -> Value {
        self.stage.fleet.service(&self.name)["build"].clone()
    }

    /// What it answers now.
    pub(crate) fn answer(&self) -> Option<String> {
        self.stage.fleet.get(self.port, "/")
    }

    #[track_caller]
    pub(crate) fn until_answered(&self, answer: &str) -> Duration {
        self.stage.until_answered(self.port, answer)
    }

    /// Everything its copies said when they began to serve, oldest first: one entry for each start.
    #[track_caller]
    pub(crate) fn ups(&self) -> Vec<String> {
        self.stage
            .fleet
            .lines(&[&self.name])
            .iter()
            .filter_map(|line| Some(line.strip_prefix("up ")?.to_owned()))
            .collect()
    }

    /// Every build of it so far.
    pub(crate) fn builds(&self) -> Vec<Call> {
        self.stage.go.builds_of(&self.stage.fleet.path(&self.name))
    }

    /// Where its story stands now.
    #[track_caller]
    pub(crate) fn past(&self) -> Past {
        Past { builds: self.builds().len(), ups: self.ups().len() }
    }

    /// Builds since then.
    pub(crate) fn builds_since(&self, past: &Past) -> Vec<Call> {
        self.builds().split_off(past.builds)
    }

    /// Starts since then, by their versions.
    #[track_caller]
    pub(crate) fn ups_since(&self, past: &Past) -> Vec<String> {
        self.ups().split_off(past.ups)
    }

    /// Panics unless there were exactly these starts since then; the last of them may just have begun to answer.
    #[track_caller]
    pub(crate) fn started(&self, past: &Past, ups: &[&str]) {
        eventually(&format!("{} to have started {ups:?}", self.name), || {
            (self.ups_since(past).len() >= ups.len()).then_some(())
        });
        assert_eq!(self.ups_since(past), ups, "starts of `{}`", self.name);
    }

    /// Panics unless there were exactly these starts since then, and so many builds, all good and none beside another.
    #[track_caller]
    pub(crate) fn did(&self, past: &Past, builds: usize, ups: &[&str]) {
        self.started(past, ups);
        let made = self.builds_since(past);
        assert!(
            made.len() == builds && made.iter().all(|build| build.is_good() && !build.beside),
            "not {builds} good builds: {made:#?}"
        );
    }

    /// Panics if anything was built or started since then; the caller knows that all is over.
    #[track_caller]
    pub(crate) fn did_nothing(&self, past: &Past) {
        self.did(past, 0, &[]);
    }

    /// Gives it a new version by `save`, which is told the path and the new content of its `main.go`; waits until it answers. One build, one start.
    #[track_caller]
    pub(crate) fn swaps_once(&self, save: impl FnOnce(&Path, &str)) -> Swap {
        let (past, version) = (self.past(), self.stage.next_version());
        let (began, at) = (Instant::now(), now());
        save(&self.path("main.go"), &source(&version));
        self.until_answered(&version);
        let took = began.elapsed();
        self.did(&past, 1, &[&version]);
        let begun = self.builds_since(&past)[0].began - at;
        Swap { took, begun: Duration::from_secs_f64(begun.max(0.0)) }
    }

    /// Saves its next version in place and waits until it answers.
    #[track_caller]
    pub(crate) fn swaps(&self) -> Swap {
        self.swaps_once(|path, source| fs::write(path, source).unwrap())
    }

    /// Saves a version in place, and waits for nothing.
    pub(crate) fn save(&self, version: &str) {
        self.write("main.go", &source(version));
    }
}

/// Waits until each of these answers so.
#[track_caller]
pub(crate) fn until_all_answer(webs: &[Web<'_>], answer: &str) {
    for web in webs {
        web.until_answered(answer);
    }
}

/// One save.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swap {
    /// Until the new version answered.
    pub(crate) took: Duration,
    /// Until `go build` was there.
    pub(crate) begun: Duration,
}

/// A `main.go` that serves this version.
pub(crate) fn source(version: &str) -> String {
    format!("package main\n\nconst version = \"{version}\"\n\nfunc main() {{ serve(version) }}\n")
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What all scenarios are judged by: two builds and two starts are seen as such, with nothing of rerun.
#[test]
fn builds_and_starts_are_counted() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    let start = || stage.fleet.run(stage.command(&["start"])).ok();
    start();
    api.until_answered("v1");
    let past = api.past();
    assert_eq!((past.builds, past.ups), (1, 1));
    api.save("v2");
    start();
    api.until_answered("v2");
    api.did(&past, 1, &["v2"]);
    stage.go.rests();
}
