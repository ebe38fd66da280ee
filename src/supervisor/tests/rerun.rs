//! `start --rerun`: what the watch is told, what its news do, and edits of the configuration. The watch is played by hand.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::{FLEET, Project, home};
use crate::rerun::watch::{Changed, News, Watched};
use crate::store::intent;
use crate::supervisor::snapshot::Snapshot;
use crate::supervisor::{Accepted, StartFlags, Verb};
use crate::task::id::ServiceName;

const SLEEP: &str = "command: [/bin/sleep, '1000']\n";

fn name(text: &str) -> ServiceName {
    ServiceName::fold(text).unwrap()
}

impl Project {
    async fn rerun(&self, select: &[&str]) -> Accepted {
        let flags = StartFlags { rerun: Some(true), ..StartFlags::default() };
        let accepted = self.ask(Verb::Start(flags), select).await.unwrap();
        self.settle(accepted.from).await;
        accepted
    }

    fn watched(&self) -> Watched {
        self.told.borrow().clone()
    }

    fn watched_names(&self) -> String {
        self.watched().services.iter().map(|service| service.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn remove(&self, folder: &str) {
        std::fs::remove_dir_all(self.dir.path().join(folder)).unwrap();
    }

    /// Says that these files of the configuration were edited, and waits until nothing is pending.
    async fn edited(&self, paths: &[&str]) -> Arc<Snapshot> {
        let config: BTreeSet<PathBuf> = paths.iter().map(|path| self.dir.path().join(path)).collect();
        self.say.send(News::Changed(Changed { config, ..Changed::default() })).await.unwrap();
        let seq = self.passed().await;
        self.settle(seq).await
    }

    /// Waits until all that was said before has been heard.
    async fn passed(&self) -> u64 {
        let mut snapshots = self.handle.snapshots.clone();
        let number = snapshots.borrow().armed + 1;
        self.say.send(News::Armed(number)).await.unwrap();
        let shown = snapshots.wait_for(|snapshot| snapshot.armed >= number).await.unwrap().clone();
        shown.seq
    }

    fn pids(&self) -> Vec<(String, Option<u32>)> {
        let snapshot = self.handle.snapshots.borrow().clone();
        let all = snapshot.services.iter().flat_map(|view| &view.instances);
        all.map(|instance| (instance.id.to_string(), instance.pid)).collect()
    }

    fn wanted(&self, service: &str) -> intent::Intent {
        intent::load(&home(self.dir.path()).state()).unwrap().0[&name(service)].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn rerun_holds_for_what_is_needed_and_ends_with_stop() {
    let project = Project::new(FLEET);
    project.start(&["extra"]).await;
    assert_eq!(project.watched().number, 0, "nobody asked for it");
    let accepted = project.rerun(&["api"]).await;
    assert_eq!(project.watched_names(), "api db");
    assert_eq!(accepted.armed, Some(project.watched().number));
    let config = project.watched().config;
    for file in ["orchestra.yml", "api/service.yml", "extra/service.yml", ".env"] {
        assert!(config.contains(&project.dir.path().join(file)), "{file}");
    }
    assert!(project.watched().discover.contains(project.dir.path()));
    assert!(project.wanted("db").rerun);
    // A restart is no start, and flags hold.
    let accepted = project.ask(Verb::Restart { replace: BTreeSet::new() }, &["api"]).await.unwrap();
    assert_eq!(accepted.armed, None);
    project.settle(accepted.from).await;
    assert_eq!(project.watched_names(), "api db");
    let accepted = project.ask(Verb::Stop { grace: None }, &["api"]).await.unwrap();
    project.settle(accepted.from).await;
    assert_eq!(project.watched_names(), "db");
    assert!(!project.wanted("api").rerun);
}

#[tokio::test(start_paused = true)]
async fn a_service_is_watched_by_what_it_is_built_from() {
    let project = Project::new(&[
        ("orchestra.yml", ""),
        ("go.mod", "module shop\n\ngo 1.22\n"),
        ("api/main.go", "package main\n\nfunc main() {}\n"),
        (
            "api/service.yml",
            "build: {tags: [dev]}\nwatch: {include: [a/*.html], exclude: ['*.md']}\nenv_file: [api.env]\n",
        ),
        ("api/api.env", "A=1\n"),
    ]);
    project.rerun(&["api"]).await;
    let watched = project.watched();
    let service = &watched.services[0];
    let build = &service.wanted.as_ref().unwrap().build;
    assert_eq!(
        (service.dir.clone(), build.dir.clone()),
        (project.dir.path().join("api"), project.dir.path().join("api"))
    );
    assert!(build.flags.iter().any(|flag| flag == "-tags=dev"), "{:?}", build.flags);
    assert_eq!(
        (service.include.as_slice(), service.exclude.as_slice()),
        (["a/*.html".to_owned()].as_slice(), ["*.md".to_owned()].as_slice())
    );
    assert_eq!(service.wanted.as_ref().unwrap().tests_below, None, "nobody asked for tests");
    assert!(watched.config.contains(&project.dir.path().join("api/api.env")));
    let since = watched.since.unwrap();
    assert!(since < std::time::SystemTime::now());
    // Tests are of interest with `--test`, and with `test.before_start`.
    let flags = StartFlags { test: true, ..StartFlags::default() };
    let accepted = project.ask(Verb::Start(flags), &["api"]).await.unwrap();
    project.settle(accepted.from).await;
    let wanted = project.watched().services[0].wanted.clone().unwrap();
    assert_eq!(wanted.tests_below, Some(project.dir.path().join("api")));
    assert_eq!(project.watched().number, watched.number + 1);
    // What changes nothing is not said again.
    project.start(&["api"]).await;
    assert_eq!(project.watched().number, watched.number + 1);
}

#[tokio::test(start_paused = true)]
async fn rerun_is_turned_off_for_what_only_that_needs() {
    let web = ("web/service.yml", "command: [/bin/sleep, '1000']\ndepends_on: [db]\n");
    let project = Project::new(&[FLEET[0], FLEET[1], FLEET[2], web]);
    project.rerun(&[]).await;
    assert_eq!(project.watched_names(), "api db web");
    let off = || Verb::Start(StartFlags { rerun: Some(false), ..StartFlags::default() });
    project.ask(off(), &["api"]).await.unwrap();
    assert_eq!(project.watched_names(), "db web", "web is watched and needs db");
    project.ask(off(), &["web"]).await.unwrap();
    assert_eq!(project.watched_names(), "");
    assert!(project.watched().config.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_watch_is_armed_in_the_snapshot() {
    let project = Project::new(FLEET);
    let accepted = project.rerun(&[]).await;
    let number = accepted.armed.unwrap();
    let mut snapshots = project.handle.snapshots.clone();
    assert!(snapshots.borrow().armed < number);
    project.say.send(News::Armed(number)).await.unwrap();
    snapshots.wait_for(|snapshot| snapshot.armed >= number).await.unwrap();
    // Without the task nobody waits any more.
    let Project { say, .. } = project;
    drop(say);
    snapshots.wait_for(|snapshot| snapshot.armed > number).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_waits_for_edits_does_not_end_by_itself() {
    let project = Project::new(&[("orchestra.yml", ""), FLEET[2]]);
    project.rerun(&[]).await;
    project.remove("db");
    project.edited(&["db"]).await;
    assert_eq!(project.states(), "");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!project.task.is_finished());
    project.ask(Verb::Stop { grace: None }, &[]).await.unwrap();
    project.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn services_come_and_go_with_their_files() {
    let project = Project::new(FLEET);
    project.rerun(&[]).await;
    let before = project.pids();
    project.write("web/service.yml", "command: [/bin/sleep, '1000']\nenabled: false\n");
    project.edited(&["web"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle web:idle");
    project.write("web/service.yml", SLEEP);
    let snapshot = project.edited(&["web/service.yml"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle web:ready");
    assert_eq!(snapshot.notes.last().unwrap().message, "started: web/service.yml says so");
    assert_eq!(project.watched_names(), "api db web");
    // A branch without it, and back again.
    project.remove("web");
    project.edited(&["web"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
    assert_eq!(project.watched_names(), "api db");
    assert!(project.wanted("web").is_wanted());
    project.write("web/service.yml", SLEEP);
    project.edited(&["web"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle web:ready");
    // Who was stopped by name stays so.
    let accepted = project.ask(Verb::Stop { grace: None }, &["web"]).await.unwrap();
    project.settle(accepted.from).await;
    project.remove("web");
    project.edited(&["web"]).await;
    project.write("web/service.yml", SLEEP);
    project.edited(&["web"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle web:idle");
    // Nobody else was touched by any of it.
    assert_eq!(project.pids()[..3], before[..3]);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_started_by_name_takes_in_nobody_but_what_it_needs() {
    let project = Project::new(FLEET);
    project.rerun(&["api"]).await;
    project.write("web/service.yml", SLEEP);
    project.edited(&["web"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle web:idle");
    project.write("api/service.yml", "command: [/bin/sleep, '1000']\ndepends_on: [db, extra]\nscale: 2\n");
    project.edited(&["api/service.yml"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:ready web:idle");
    assert_eq!(project.watched_names(), "api db extra");
}

#[tokio::test(start_paused = true)]
async fn disabling_stops_what_nobody_named_or_needs() {
    let project = Project::new(FLEET);
    project.rerun(&[]).await;
    project.write("db/service.yml", "command: [/bin/sleep, '1000']\nenabled: false\n");
    project.edited(&["db/service.yml"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle", "api needs it");
    project.write("api/service.yml", "command: [/bin/sleep, '1000']\nscale: 2\nenabled: false\n");
    project.edited(&["api/service.yml"]).await;
    assert_eq!(project.states(), "api:idle db:ready extra:idle");
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_keeps_the_last_good_configuration_and_is_told() {
    let project = Project::new(FLEET);
    project.rerun(&[]).await;
    let before = project.pids();
    project.write("api/service.yml", "command: [/bin/sleep, '1000']\nscael: 3\n");
    let snapshot = project.edited(&["api/service.yml"]).await;
    let trouble = snapshot.config_trouble.clone().unwrap();
    assert_eq!(trouble[0], "the configuration has a problem; the last good configuration stays in force");
    assert!(trouble[1].starts_with("api/service.yml:2:1: ") && trouble[1].contains("scael"), "{trouble:?}");
    assert!(trouble.iter().any(|line| line == "hint: did you mean scale?"), "{trouble:?}");
    assert_eq!(project.pids(), before);
    let log = std::fs::read_to_string(home(project.dir.path()).state().join("supervisor.log")).unwrap();
    assert!(log.contains("api/service.yml:2:1: "), "{log}");
    // A mended file is looked at without being told of: what is missing may be no file that is watched.
    project.write("api/service.yml", FLEET[1].1);
    let mut snapshots = project.handle.snapshots.clone();
    snapshots.wait_for(|snapshot| snapshot.config_trouble.is_none()).await.unwrap();
    assert_eq!(project.pids(), before);
}

#[tokio::test(start_paused = true)]
async fn files_are_followed_only_where_rerun_is_on() {
    let project = Project::new(FLEET);
    project.start(&[]).await;
    project.remove("db");
    project.edited(&["db"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
}

#[tokio::test(start_paused = true)]
async fn an_edited_vendor_is_replaced_where_rerun_is_on() {
    let text = |image: &str, more: &str| format!("name: shop\nvendors:\n  db: {{image: '{image}'}}\n{more}");
    let api = ("api/service.yml", "command: [/bin/sleep, '1000']\ndepends_on: [db]\n");
    let project = Project::new(&[("orchestra.yml", &text("redis:7", "")), api]);
    let run = |project: &Project| {
        let snapshot = project.handle.snapshots.borrow().clone();
        snapshot.services.iter().find(|view| view.name.as_str() == "db").and_then(|view| view.instances[0].run)
    };
    project.start(&[]).await;
    let first = run(&project);
    project.write("orchestra.yml", &text("redis:8", ""));
    project.edited(&["orchestra.yml"]).await;
    assert_eq!(run(&project), first, "without rerun nobody follows the files");
    project.write("orchestra.yml", &text("redis:7", ""));
    project.rerun(&[]).await;
    assert_eq!(run(&project), first);
    project.write("orchestra.yml", &text("redis:8", "  more: {image: more}\n"));
    let snapshot = project.edited(&["orchestra.yml"]).await;
    assert_ne!(run(&project), first);
    let words: Vec<String> =
        snapshot.services.iter().map(|view| format!("{}:{}", view.name, view.state().word())).collect();
    assert_eq!(words, ["api:ready", "db:ready", "more:ready"], "a new one is started");
    project.write(
        "orchestra.yml",
        "name: shop\nvendors:\n  db: {image: 'redis:8'}\n  more: {image: more, volumes: [x]}\n",
    );
    let second = run(&project);
    project.edited(&["orchestra.yml"]).await;
    assert_eq!(run(&project), second, "a broken file leaves the last good one in force");
    project.write("orchestra.yml", &text("redis:8", ""));
    project.edited(&["orchestra.yml"]).await;
    assert_eq!(project.states(), "api:ready db:ready", "what the files know no more is stopped");
}
