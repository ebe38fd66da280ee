//! Runs against an engine that answers as scripted.

use tokio::time::{sleep, timeout};

use super::*;
use crate::docker::testing::{Answer, Fake};
use crate::sys::home::Home;
use crate::sys::os;
use crate::task::container::{ContainerSpec, Mount, Source};
use crate::task::id::{InstanceId, RunId};
use crate::task::spec::{Port, RunSpec};
use crate::worker::docker::alone::{self, Sight};
use crate::worker::docker::make::tests::spec;
use crate::worker::docker::{DockerWorker, record};
use crate::worker::{Work, Worker as _};

const LIMIT: Duration = Duration::from_secs(60);
const INSPECT: &str = "GET /containers/c1/json";
const WAIT: &str = "POST /containers/c1/wait";

struct Stage {
    fake: Fake,
    dir: tempfile::TempDir,
    home: Home,
    worker: DockerWorker,
    reports: mpsc::Receiver<(RunId, RunReport)>,
}

/// What the engine says of container c1.
fn facts(root: &std::path::Path, state: &str, labels: &str) -> String {
    let root = root.display();
    format!(
        r#"{{"Id":"c1","Name":"/shop-postgres-1","Image":"sha256:1","State":{{{state}}},"Mounts":[],
        "Config":{{"StopTimeout":3,"Labels":{{"orchestra.project":"{root}","orchestra.instance":"postgres.1","orchestra.settings":"abc"{labels}}}}}}}"#
    )
}

const RUNS: &str = r#""Status":"running","Running":true,"Pid":4711,"StartedAt":"2026-01-02T03:04:05Z""#;

fn ended(code: i32, oom: bool) -> String {
    let times = r#""StartedAt":"2026-01-02T03:04:05Z","FinishedAt":"2026-01-02T03:05:05Z""#;
    format!(r#""Status":"exited","Running":false,"ExitCode":{code},"OOMKilled":{oom},{times}"#)
}

impl Stage {
    /// An engine that has the image, and nothing of this project.
    fn set() -> Stage {
        let (fake, dir) = (Fake::begin(), tempfile::tempdir().unwrap());
        let home = Home::find(dir.path()).unwrap();
        std::fs::create_dir(&home.dot).unwrap();
        let (sink, reports) = mpsc::channel(64);
        let worker = DockerWorker::new(home.clone(), sink);
        fake.answer("GET /images/postgres:16/json", 200, r#"{"Id":"sha256:1","Os":"linux","Architecture":"amd64"}"#);
        fake.answer("GET /containers/json", 200, "[]");
        fake.answer("GET /networks", 200, "[]");
        fake.answer("POST /networks/create", 201, r#"{"Id":"n1","Warning":""}"#);
        fake.answer("POST /containers/create", 201, r#"{"Id":"c1","Warnings":[]}"#);
        fake.answer("POST /containers/c1/start", 204, "");
        fake.script(WAIT, vec![Answer::Silence]);
        let stage = Stage { fake, dir, home, worker, reports };
        stage.is(RUNS);
        stage
    }

    fn says(&self, state: &str) -> Answer {
        Answer::Said(200, facts(&self.home.root, state, ""))
    }

    /// From now on the container is in this state.
    fn is(&self, state: &str) {
        self.fake.script(INSPECT, vec![self.says(state)]);
    }

    /// The project has this container already.
    fn has(&self, state: &str) {
        let root = self.home.root.display();
        let labels = format!(r#"{{"orchestra.project":"{root}","orchestra.instance":"postgres.1"}}"#);
        let list =
            format!(r#"[{{"Id":"c1","Names":["/shop-postgres-1"],"State":"{state}","Labels":{labels},"Created":1}}]"#);
        self.fake.answer("GET /containers/json", 200, &list);
    }

    fn container(&self) -> ContainerSpec {
        ContainerSpec {
            project: "shop".into(),
            image: "postgres:16".into(),
            hook_env: self.fake.env(),
            ..ContainerSpec::default()
        }
    }

    fn start(&mut self, container: ContainerSpec) {
        self.start_spec(spec(container));
    }

    fn start_spec(&mut self, spec: RunSpec) {
        self.worker.start(RunId(7), Work::Run { spec: Arc::new(spec), artifact: None });
    }

    /// The next report that says something about its life.
    async fn next(&mut self) -> RunReport {
        loop {
            let (run, report) = timeout(LIMIT, self.reports.recv()).await.unwrap().unwrap();
            assert_eq!(run, RunId(7));
            match report {
                RunReport::Ready(_) | RunReport::Listening(_) | RunReport::Limits(_) | RunReport::Waiting(_) => {}
                report => return report,
            }
        }
    }

    fn record(&self) -> ContainerRecord {
        let (mut all, aside) = record::all(&self.home);
        assert_eq!((all.len(), aside.len()), (1, 0));
        all.remove(0)
    }
}

fn exit(code: i32, signal: Option<i32>) -> Outcome {
    let ended_us = Some(1_767_323_105_000_000);
    Outcome { code: Some(code), signal, oom: false, lost: false, killed: false, ended_us }
}

#[tokio::test]
async fn a_container_is_made_started_and_followed_to_its_end() {
    let mut stage = Stage::set();
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":3}"#);
    let answers = vec![stage.says(RUNS), stage.says(&ended(3, false))];
    stage.fake.script(INSPECT, answers);
    stage.start(stage.container());
    // The pid is that of somebody else on this machine, so it is not told.
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    assert_eq!(stage.next().await, RunReport::Exited(exit(3, None)));
    let (asked, body) = stage.fake.asked("POST /containers/create").remove(0);
    assert!(asked.contains("name=shop-postgres-1"), "{asked}");
    assert!(body.contains(r#""orchestra.instance":"postgres.1""#) && body.contains(r#""NetworkMode":"n1""#), "{body}");
    let (_, body) = stage.fake.asked("POST /networks/create").remove(0);
    assert!(body.contains(r#""Name":"shop_default""#) && body.contains("orchestra.project"), "{body}");
    let record = stage.record();
    assert_eq!((record.run, record.container.as_str(), record.settings.as_str()), (7, "c1", "abc"));
    assert!(record.end.is_some_and(|end| end.code == Some(3) && !end.stopped));
}

#[tokio::test]
async fn a_container_with_the_same_settings_is_started_again_and_not_made_anew() {
    let mut stage = Stage::set();
    stage.has("exited");
    stage.fake.answer("GET /networks", 200, r#"[{"Id":"n1","Name":"shop_default"}]"#);
    let answers = vec![stage.says(&ended(0, false)), stage.says(RUNS)];
    stage.fake.script(INSPECT, answers);
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    assert_eq!(stage.fake.asked("POST /containers/c1/start").len(), 1);
    assert_eq!(stage.fake.asked("POST /containers/create").len() + stage.fake.asked("DELETE").len(), 0);
}

#[tokio::test]
async fn one_that_runs_with_the_same_settings_is_adopted() {
    let mut stage = Stage::set();
    stage.has("running");
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    assert_eq!(stage.fake.asked("POST /containers/c1/start").len(), 0);
}

#[tokio::test]
async fn a_changed_one_makes_room_once_the_new_one_has_its_volumes() {
    let mut stage = Stage::set();
    stage.has("running");
    let volume = "0a".repeat(32);
    let mounts = format!(r#""Mounts":[{{"Type":"volume","Name":"{volume}","Destination":"/data"}}]"#);
    let old = facts(&stage.home.root, RUNS, "").replace("sha256:1", "sha256:0").replace(r#""Mounts":[]"#, &mounts);
    stage.fake.answer(INSPECT, 200, &old);
    stage.fake.answer("POST /containers/c1/stop", 204, "");
    stage.fake.answer("POST /containers/c1/rename", 204, "");
    stage.fake.answer("DELETE /containers/c1", 204, "");
    let taken =
        r#"{"message":"Conflict. The container name \"/shop-postgres-1\" is already in use by container \"c1\"."}"#;
    let made = Answer::Said(201, r#"{"Id":"c2","Warnings":[]}"#.into());
    stage.fake.script("POST /containers/create", vec![Answer::Said(409, taken.into()), made]);
    stage.fake.answer("POST /containers/c2/start", 204, "");
    stage.fake.answer("GET /containers/c2/json", 200, &facts(&stage.home.root, RUNS, "").replace("\"c1\"", "\"c2\""));
    stage.fake.script("POST /containers/c2/wait", vec![Answer::Silence]);
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Note("postgres.1: its container is made anew: its image changed".into()));
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    let (_, body) = stage.fake.asked("POST /containers/create").remove(1);
    assert!(body.contains(&volume), "{body}");
    let steps = stage.fake.asked("");
    let at = |what: &str| steps.iter().position(|(asked, _)| asked.starts_with(what)).unwrap();
    let order = [
        "POST /containers/c1/stop",
        "POST /containers/create",
        "POST /containers/c1/rename",
        "DELETE /containers/c1",
        "POST /containers/c2/start",
    ];
    assert!(order.is_sorted_by_key(|what| at(what)), "{steps:?}");
    assert!(stage.fake.asked("DELETE /containers/c1")[0].0.contains("v=false"), "what is in its volumes goes on");
    assert_eq!(stage.record().container, "c2");
}

#[tokio::test]
async fn an_engine_that_is_away_is_no_failure_of_the_vendor() {
    let mut stage = Stage::set();
    stage.fake.die();
    stage.start(stage.container());
    let RunReport::StartFailed(failure) = stage.next().await else { panic!("nobody can start it") };
    assert!(failure.absent && failure.transient && !failure.port, "{failure:?}");
}

#[tokio::test]
async fn an_engine_that_dies_is_called_until_it_is_back_and_its_word_counts() {
    let mut stage = Stage::set();
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    stage.fake.die();
    let RunReport::Trouble(Trouble::Unknown, Some(words)) = stage.next().await else { panic!("nobody knows") };
    assert!(words.starts_with("the Docker engine cannot be reached"), "{words}");
    stage.fake.come_back();
    assert_eq!(stage.next().await, RunReport::Trouble(Trouble::Unknown, None));
    // It was restarted beneath its containers, which it ended.
    stage.is(&ended(137, false));
    stage.fake.die();
    assert!(matches!(stage.next().await, RunReport::Trouble(Trouble::Unknown, Some(_))));
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":137}"#);
    stage.fake.come_back();
    assert_eq!(stage.next().await, RunReport::Trouble(Trouble::Unknown, None));
    assert_eq!(stage.next().await, RunReport::Exited(exit(137, Some(9))));
    assert_eq!(stage.fake.asked("POST /containers/create").len(), 1);
}

#[tokio::test]
async fn a_good_end_that_an_engines_restart_made_is_not_its_own() {
    let mut stage = Stage::set();
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    stage.fake.die();
    assert!(matches!(stage.next().await, RunReport::Trouble(Trouble::Unknown, Some(_))));
    stage.is(&ended(0, false));
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":0}"#);
    stage.fake.come_back();
    assert_eq!(stage.next().await, RunReport::Trouble(Trouble::Unknown, None));
    assert_eq!(stage.next().await, RunReport::Exited(Outcome { lost: true, ..exit(0, None) }));
}

#[tokio::test]
async fn a_stop_while_the_engine_is_away_is_said_to_be_impossible_and_done_later() {
    let mut stage = Stage::set();
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    stage.fake.die();
    assert!(matches!(stage.next().await, RunReport::Trouble(Trouble::Unknown, Some(_))));
    stage.worker.signal(RunId(7), Signal::Stop { grace: None, spare: false });
    let RunReport::Trouble(Trouble::Unkillable, Some(words)) = stage.next().await else { panic!("it cannot be done") };
    assert!(words.contains("docker stop shop-postgres-1"), "{words}");
    stage.fake.answer("POST /containers/c1/stop", 204, "");
    stage.fake.come_back();
    assert_eq!(stage.next().await, RunReport::Trouble(Trouble::Unkillable, None));
    assert_eq!(stage.next().await, RunReport::Trouble(Trouble::Unknown, None));
    let asked = async {
        while stage.fake.asked("POST /containers/c1/stop?t=3").is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, asked).await.unwrap();
}

#[tokio::test]
async fn one_that_somebody_removed_is_lost_and_that_is_said() {
    let mut stage = Stage::set();
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":137}"#);
    let gone = Answer::Said(404, r#"{"message":"No such container: c1"}"#.into());
    let answers = vec![stage.says(RUNS), stage.says(&ended(137, false)), gone];
    stage.fake.script(INSPECT, answers);
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    let note = "postgres.1: somebody removed its container `shop-postgres-1`";
    assert_eq!(stage.next().await, RunReport::Note(note.into()));
    assert_eq!(stage.next().await, RunReport::Exited(Outcome::lost()));
}

#[tokio::test]
async fn one_that_somebody_started_anew_goes_on() {
    let mut stage = Stage::set();
    let answers = vec![Answer::Said(200, r#"{"StatusCode":143}"#.into()), Answer::Silence];
    stage.fake.script(WAIT, answers);
    let answers = vec![stage.says(RUNS), stage.says(&RUNS.replace("03:04:05", "04:04:04"))];
    stage.fake.script(INSPECT, answers);
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    let note = "postgres.1: somebody started its container `shop-postgres-1` anew";
    assert_eq!(stage.next().await, RunReport::Note(note.into()));
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    assert_eq!(stage.record().started_at, "2026-01-02T04:04:04Z");
}

#[tokio::test]
async fn memory_that_ran_out_is_told() {
    let mut stage = Stage::set();
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":137}"#);
    let answers = vec![stage.says(RUNS), stage.says(&ended(137, true))];
    stage.fake.script(INSPECT, answers);
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    assert_eq!(stage.next().await, RunReport::Exited(Outcome { oom: true, ..exit(137, Some(9)) }));
}

#[tokio::test]
async fn a_stop_that_needed_sigkill_says_so() {
    let mut stage = Stage::set();
    stage.start(stage.container());
    assert_eq!(stage.next().await, RunReport::Started { pid: 0 });
    // The wait is asked again once the engine broke off.
    stage.fake.answer("POST /containers/c1/kill", 204, "");
    stage.is(&ended(137, false));
    stage.worker.signal(RunId(7), Signal::Stop { grace: Some(Duration::ZERO), spare: false });
    let asked = async {
        while stage.fake.asked("POST /containers/c1/kill?signal=9").is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, asked).await.unwrap();
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":137}"#);
    stage.fake.die();
    stage.fake.come_back();
    let last = loop {
        match stage.next().await {
            RunReport::Trouble(Trouble::Unknown, _) => {}
            report => break report,
        }
    };
    assert_eq!(last, RunReport::Exited(Outcome { killed: true, ..exit(137, Some(9)) }));
    assert!(stage.record().end.is_some_and(|end| end.stopped && end.killed));
}

#[tokio::test]
async fn a_port_that_a_container_holds_is_named_with_it() {
    let mut stage = Stage::set();
    let taken = r#"{"message":"driver failed programming external connectivity: Bind for 127.0.0.1:15432 failed: port is already allocated"}"#;
    stage.fake.answer("POST /containers/c1/start", 500, taken);
    let mut run = spec(stage.container());
    run.ports = vec![Port { name: "5432".into(), number: 15432, protocol: Protocol::Tcp }];
    let ports = r#"[{"IP":"127.0.0.1","PrivatePort":5432,"PublicPort":15432,"Type":"tcp"}]"#;
    let holder = format!(
        r#"[{{"Id":"x","Names":["/other-db-1"],"Image":"postgres:15","State":"running","Labels":{{}},"Ports":{ports}}}]"#
    );
    // First it is asked what the project has, then who has published the port.
    let answers = vec![Answer::Said(200, "[]".into()), Answer::Said(200, holder)];
    stage.fake.script("GET /containers/json", answers);
    stage.start_spec(run);
    let RunReport::StartFailed(failure) = stage.next().await else { panic!("its port is held") };
    assert!(failure.port, "{failure:?}");
    let words =
        "port 15432 (5432) is held by the container `other-db-1` (postgres:15); `docker stop other-db-1` ends it";
    assert_eq!(failure.message, words);
}

#[tokio::test]
async fn a_volume_of_another_project_is_not_touched() {
    let mut stage = Stage::set();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("orchestra.yml"), "").unwrap();
    let theirs = other.path().display();
    let volume = format!(
        r#"{{"Name":"shop_pgdata","Driver":"local","Mountpoint":"/x","Labels":{{"orchestra.project":"{theirs}"}},"Options":{{}},"Scope":"local"}}"#
    );
    stage.fake.answer("GET /volumes/shop_pgdata", 200, &volume);
    let source = Source::Volume { name: "shop_pgdata".into(), key: "pgdata".into(), external: false, nocopy: false };
    let mounts = vec![Mount { target: "/data".into(), source, read_only: false }];
    stage.start(ContainerSpec { mounts, ..stage.container() });
    let RunReport::StartFailed(failure) = stage.next().await else { panic!("it is another project's") };
    assert!(failure.message.contains(&theirs.to_string()), "{failure:?}");
    assert!(failure.message.contains(&stage.dir.path().canonicalize().unwrap().display().to_string()), "{failure:?}");
    assert!(!failure.transient && stage.fake.asked("POST /containers/create").is_empty());
}

fn of_earlier(stage: &Stage) -> ContainerRecord {
    ContainerRecord {
        slot: "postgres.1".into(),
        run: 7,
        engine: format!("unix://{}", stage.fake.socket().display()),
        container: "c1".into(),
        name: "shop-postgres-1".into(),
        boot_id: os::boot_id().unwrap(),
        ..ContainerRecord::default()
    }
}

#[tokio::test]
async fn without_a_supervisor_the_engine_is_asked_and_one_that_begins_writes_ends_down() {
    let mut stage = Stage::set();
    let postgres = InstanceId::parse("postgres.1").unwrap();
    assert!(alone::look(&stage.home).await.is_empty(), "nobody is asked where nothing ran");
    of_earlier(&stage).save(&stage.home).unwrap();
    assert_eq!(alone::look(&stage.home).await.remove(&postgres), Some(Sight::Runs(None)));
    alone::settle(&stage.home).await;
    assert_eq!(stage.record().end, None);
    stage.fake.die();
    let Some(Sight::Unknown(why)) = alone::look(&stage.home).await.remove(&postgres) else { panic!("nobody can know") };
    assert!(why.contains("docker.sock"), "{why}");
    assert!(!alone::running(&stage.home, None).await.is_nothing(), "what may run is no nothing");
    stage.fake.come_back();
    stage.is(&ended(5, false));
    assert_eq!(alone::look(&stage.home).await.remove(&postgres), Some(Sight::Ended(exit(5, None))));
    alone::settle(&stage.home).await;
    assert!(stage.record().end.is_some_and(|end| end.code == Some(5) && end.ended_us == 1_767_323_105_000_000));
    assert!(alone::look(&stage.home).await.is_empty(), "what has an end needs no look");
}

#[tokio::test]
async fn what_runs_is_stopped_without_a_supervisor_by_its_labels() {
    let stage = Stage::set();
    of_earlier(&stage).save(&stage.home).unwrap();
    stage.has("running");
    let answers = vec![stage.says(RUNS), stage.says(&ended(0, false))];
    stage.fake.script(INSPECT, answers);
    stage.fake.answer("POST /containers/c1/stop", 204, "");
    let running = alone::running(&stage.home, None).await;
    assert!(!running.is_nothing());
    assert_eq!(alone::stop_all(&stage.home, running, None).await, Vec::<String>::new());
    // Its own grace, which the container knows.
    assert_eq!(stage.fake.asked("POST /containers/c1/stop?t=3").len(), 1);
    assert!(stage.record().end.is_some_and(|end| end.stopped && end.code == Some(0)));
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_found_with_its_code_and_its_time() {
    let mut stage = Stage::set();
    stage.is(&ended(5, false));
    stage.fake.answer(WAIT, 200, r#"{"StatusCode":5}"#);
    stage.worker.adopt(&of_earlier(&stage), Arc::new(spec(stage.container())));
    assert_eq!(stage.next().await, RunReport::Exited(exit(5, None)));
    assert!(stage.record().end.is_some_and(|end| end.ended_us == 1_767_323_105_000_000));
}

#[tokio::test]
async fn one_that_is_told_to_stop_before_it_began_leaves_nothing() {
    let mut stage = Stage::set();
    stage.fake.script("POST /containers/c1/start", vec![Answer::Hang]);
    stage.start(stage.container());
    let begun = async {
        while stage.fake.asked("POST /containers/c1/start").is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, begun).await.unwrap();
    stage.has("running");
    stage.fake.answer("POST /containers/c1/stop", 204, "");
    stage.worker.signal(RunId(7), Signal::Stop { grace: None, spare: false });
    let RunReport::StartFailed(failure) = stage.next().await else { panic!("it never ran") };
    assert!(failure.message.contains("stopped before it was started"), "{failure:?}");
    assert_eq!(stage.fake.asked("POST /containers/c1/stop").len(), 1);
}
