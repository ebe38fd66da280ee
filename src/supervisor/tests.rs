//! The actor and the planner on real folders, with a fake worker and a stopped clock.

#[cfg(test)]
mod rerun;
#[cfg(test)]
mod vendors;

use std::collections::BTreeMap;
use std::path::Path;

use super::actor::watching::Tell;
use super::*;
use crate::rerun::watch::{News, Watched};
use crate::scheduler::epvm::Epvm;
use crate::store::{intent, last};
use crate::worker::fake::FakeWorker;
use snapshot::Settled;

struct Project {
    dir: tempfile::TempDir,
    handle: Handle,
    task: JoinHandle<()>,
    /// What the actor wants watched.
    told: watch::Receiver<Watched>,
    /// What a watch would say; none is there.
    say: mpsc::Sender<News>,
}

fn home(root: &Path) -> Home {
    let home = Home { root: root.into(), dot: root.join(".orchestra"), runtime: root.join("runtime") };
    std::fs::create_dir_all(home.state()).unwrap();
    home
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let begun = begin(dir.path());
        Project { dir, handle: begun.handle, task: begun.task, told: begun.told, say: begun.say }
    }

    async fn ask(&self, verb: Verb, select: &[&str]) -> Result<Accepted, Error> {
        let request = Request {
            verb,
            select: select.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".into(), "/bin:/usr/bin".into()), ("HOME".into(), "/".into())],
            caller: Caller { umask: 0o22, nofile: None },
            config: None,
            trust: false,
            engine_arch: None,
            pid: None,
            strays: Vec::new(),
        };
        let (reply, answer) = oneshot::channel();
        self.handle.commands.send(Command::Request(Box::new(request), reply)).await.unwrap();
        answer.await.unwrap()
    }

    async fn start(&self, select: &[&str]) -> Accepted {
        let accepted = self.ask(Verb::Start(StartFlags::default()), select).await.unwrap();
        self.settle(accepted.from).await;
        accepted
    }

    /// Waits until nothing is pending.
    async fn settle(&self, from: u64) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots.clone();
        let met = |s: &Arc<Snapshot>| s.seq >= from && s.services.iter().all(|view| view.settled != Settled::Pending);
        snapshots.wait_for(met).await.unwrap().clone()
    }

    fn states(&self) -> String {
        let snapshot = self.handle.snapshots.borrow().clone();
        let words: Vec<String> =
            snapshot.services.iter().map(|view| format!("{}:{}", view.name, view.state().word())).collect();
        words.join(" ")
    }
}

struct Begun {
    handle: Handle,
    task: JoinHandle<()>,
    told: watch::Receiver<Watched>,
    say: mpsc::Sender<News>,
}

fn begin(root: &Path) -> Begun {
    let home = home(root);
    let (intents, _) = intent::load(&home.state()).unwrap();
    let (report, reports) = mpsc::channel(REPORTS);
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (shown, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let hunts = Arc::new(Hunts::new(home.clone()));
    let (tell, told) = watch::channel(Watched::default());
    let (say, news) = mpsc::channel(16);
    let parts = Parts {
        watch: Ends { tell: Box::new(tell), news },
        since: None,
        planner: Planner::new(home.clone(), intents, None, hunts.clone()),
        hunts,
        home,
        engine: Engine::new(vec![local_node()], Box::new(Epvm), 1),
        worker: Box::new(FakeWorker::new(report)),
        commands: inbox,
        reports,
        snapshots: shown,
    };
    let task = tokio::spawn(Actor::new(parts).run(Vec::new()));
    Begun { handle: Handle { commands, snapshots }, task, told, say }
}

const FLEET: &[(&str, &str)] = &[
    ("orchestra.yml", "name: shop\n"),
    ("api/service.yml", "command: [/bin/sleep, '1000']\ndepends_on: [db]\nscale: 2\n"),
    ("db/service.yml", "command: [/bin/sleep, '1000']\n"),
    ("extra/service.yml", "command: [/bin/sleep, '1000']\nenabled: false\n"),
];

#[tokio::test(start_paused = true)]
async fn a_start_brings_up_what_is_enabled_and_shows_the_rest() {
    let project = Project::new(FLEET);
    let accepted = project.start(&[]).await;
    assert_eq!(accepted.services.iter().map(ToString::to_string).collect::<Vec<_>>(), ["api", "db"]);
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
}

#[tokio::test(start_paused = true)]
async fn a_named_service_brings_what_it_needs() {
    let project = Project::new(FLEET);
    project.start(&["api"]).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_everything_ends_the_supervisor() {
    let project = Project::new(FLEET);
    project.start(&[]).await;
    let accepted = project.ask(Verb::Stop { grace: None }, &[]).await.unwrap();
    project.settle(accepted.from).await;
    project.task.await.unwrap();
    let (intents, _) = intent::load(&home(project.dir.path()).state()).unwrap();
    assert!(intents.values().all(|intent| intent.desired == "down"));
    let (last, _) = last::load(&home(project.dir.path()).state()).unwrap();
    assert_eq!(last.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_by_name_names_who_goes_on_without_it() {
    let project = Project::new(FLEET);
    project.start(&[]).await;
    let accepted = project.ask(Verb::Stop { grace: None }, &["db"]).await.unwrap();
    assert_eq!(accepted.notes, ["`api` depends on `db` and keeps running"]);
    project.settle(accepted.from).await;
    assert_eq!(project.states(), "api:ready db:idle extra:idle");
}

#[tokio::test(start_paused = true)]
async fn bad_configuration_changes_nothing_and_can_still_be_stopped() {
    let project = Project::new(FLEET);
    project.start(&[]).await;
    std::fs::write(project.dir.path().join("db/service.yml"), "scael: 3\n").unwrap();
    let error = project.ask(Verb::Start(StartFlags::default()), &[]).await.unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Usage);
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
    let accepted = project.ask(Verb::Stop { grace: None }, &[]).await.unwrap();
    project.settle(accepted.from).await;
    project.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_an_error_with_the_nearest() {
    let project = Project::new(FLEET);
    let error = project.ask(Verb::Start(StartFlags::default()), &["apj"]).await.unwrap_err();
    assert!(format!("{} {:?}", error.message, error.hints).contains("api"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn scale_is_kept_until_the_file_says_otherwise() {
    let project = Project::new(FLEET);
    project.start(&[]).await;
    let scale = |n: Option<u32>| Verb::Scale(BTreeMap::from([(ServiceName::fold("api").unwrap(), n)]));
    let copies = |project: &Project| project.handle.snapshots.borrow().services[0].instances.len();
    let accepted = project.ask(scale(Some(4)), &[]).await.unwrap();
    project.settle(accepted.from).await;
    assert_eq!(copies(&project), 4);
    project.start(&[]).await;
    assert_eq!(copies(&project), 4, "kept");
    std::fs::write(project.dir.path().join("api/service.yml"), "command: [/bin/sleep, '1000']\nscale: 1\n").unwrap();
    project.start(&[]).await;
    assert_eq!(copies(&project), 1, "the file was edited");
    let accepted = project.ask(scale(Some(0)), &[]).await.unwrap();
    project.settle(accepted.from).await;
    assert_eq!(project.states(), "api:idle db:ready extra:idle");
    let accepted = project.ask(scale(None), &[]).await.unwrap();
    project.settle(accepted.from).await;
    assert_eq!(project.states(), "api:ready db:ready extra:idle");
}

impl Tell for watch::Sender<Watched> {
    fn tell(&mut self, watched: Watched) -> std::io::Result<()> {
        self.send_replace(watched);
        Ok(())
    }
}
