//! What the dashboard asks others for: the supervisor, the files, the tests, the browser. Each answer comes back as a message.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::fleet::Tone;
use super::graph::{Needs, Told};
use super::model::{Link, Order};
use super::msg::Msg;
use super::problems::{Place, ProblemMsg, Tests, read_tests};
use super::run::Options;
use crate::api::launch::Launcher;
use crate::api::wire::{Progress, Request, StartFlags, WhyNeed};
use crate::api::{answers, client};
use crate::error::{self, Error};
use crate::project::Project;
use crate::services::spec::NeedConfig;
use crate::sys::home::Home;
use crate::sys::os;
use crate::sys::terminal::keep_away;
use crate::task::id::ServiceName;
use crate::task::spec::{Condition, Kind};

/// Between two looks at what runs, when nothing is told.
const LOOK: Duration = Duration::from_secs(1);
/// After something was told it is not looked at again sooner.
const LEAST: Duration = Duration::from_millis(100);
/// A supervisor that is going away is asked this often.
const ATTEMPTS: usize = 5;

/// Asks, in the background.
#[derive(Clone, Debug)]
pub struct Remote {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    home: Home,
    project: Option<Arc<Project>>,
    name: String,
    request: Request,
    launcher: Launcher,
    messages: mpsc::Sender<Msg>,
    /// Something has changed: look at once.
    changed: Notify,
}

impl Remote {
    /// Asks about this project; answers go to `messages`.
    pub fn new(options: &Options, messages: mpsc::Sender<Msg>) -> Remote {
        let inner = Inner {
            home: options.home.clone(),
            project: options.project.clone(),
            name: options.name.clone(),
            request: options.request.clone(),
            launcher: options.launcher.clone(),
            messages,
            changed: Notify::new(),
        };
        Remote { inner: Arc::new(inner) }
    }

    /// From now on tells what runs, and what happens.
    pub fn watch(&self) {
        let looking = Arc::clone(&self.inner);
        tokio::spawn(async move { looking.look().await });
        let listening = Arc::clone(&self.inner);
        tokio::spawn(async move { listening.listen().await });
    }

    /// Asks for a change.
    pub fn ask(&self, order: Order) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let told = order.told();
            let done = inner.order(&order).await.map_err(|error| sentence(&error));
            inner.changed.notify_one();
            inner.say(Msg::Done(told, done)).await;
        });
    }

    /// Asks for everything about a service.
    pub fn why(&self, service: String) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            match answers::why(&inner.home, inner.project.as_deref(), &service).await {
                Ok(told) => inner.say(Msg::Why(Box::new(told.answer))).await,
                Err(error) => inner.say(Msg::Say(Tone::Bad, sentence(&error))).await,
            }
        });
    }

    /// Asks what each of these needs.
    pub fn needs(&self, services: Vec<String>) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let needs = inner.needs(services).await;
            inner.say(Msg::Needs(needs)).await;
        });
    }

    /// Where a service is described.
    pub fn config(&self, service: &str) -> Option<Place> {
        let project = self.inner.project.as_deref()?;
        let name = ServiceName::fold(service)?;
        let ours = project.services.get(&name).map(|service| &service.config.place);
        let place = ours.or_else(|| Some(&project.vendors.get(&name)?.config.place))?;
        let file = place.source.path.to_string_lossy().into_owned();
        Some(Place { file, line: place.line, column: place.column })
    }

    /// Asks whether failed tests keep a service from running.
    pub fn gate(&self, service: String) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            // A service that went away meanwhile waits for nothing.
            let told = answers::why(&inner.home, inner.project.as_deref(), &service).await;
            let tests = told.ok().and_then(|told| told.answer.tests);
            inner.say(Msg::Problem(ProblemMsg::Gate(service, tests))).await;
        });
    }

    /// Runs the tests of services, as `orchestra test` does; with a pattern, only those whose names match.
    pub fn test(&self, services: Vec<String>, only: Option<String>) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            for service in &services {
                inner.say(Msg::Tested(service.clone(), Tests { running: true, ..Tests::default() })).await;
            }
            let results = inner.run_tests(&services, only.as_deref()).await;
            for service in services {
                let tests = match &results {
                    Ok(json) => Tests { only: only.is_some(), ..read_tests(json, &service) },
                    Err(error) => Tests { error: Some(error.clone()), ..Tests::default() },
                };
                inner.say(Msg::Tested(service, tests)).await;
            }
            inner.changed.notify_one();
        });
    }

    /// The project's folder.
    pub fn root(&self) -> &Path {
        &self.inner.home.root
    }

    /// Does what may take its time on a thread of its own.
    pub fn work(&self, work: impl FnOnce() -> Msg + Send + 'static) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            match tokio::task::spawn_blocking(work).await {
                Ok(msg) => inner.say(msg).await,
                Err(error) => inner.say(Msg::Say(Tone::Bad, error.to_string())).await,
            }
        });
    }

    /// Opens a page in the browser.
    pub fn open_url(&self, url: &str) {
        let program = os::BROWSER;
        let mut command = Command::new(program);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        keep_away(command.as_std_mut());
        let started = command.spawn();
        let said = match started {
            Ok(_) => Msg::Say(Tone::Good, format!("opened {url}")),
            Err(error) => {
                Msg::Say(Tone::Wait, format!("`{program}` cannot be started ({error}); the address is {url}"))
            }
        };
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.say(said).await });
    }
}

impl Inner {
    /// Once the loop has ended there is nobody to tell.
    async fn say(&self, msg: Msg) {
        self.messages.send(msg).await.unwrap_or(());
    }

    async fn look(&self) {
        loop {
            let name = || self.name.clone();
            match answers::ps(&self.home, self.project.as_deref(), &name).await {
                Ok(told) => self.say(Msg::Ps(Box::new(told.answer))).await,
                Err(error) => self.say(Msg::Lost(Link::Trouble(sentence(&error)))).await,
            }
            sleep(LEAST).await;
            // Too late is as good as told.
            timeout(LOOK - LEAST, self.changed.notified()).await.unwrap_or(());
        }
    }

    /// Follows what the supervisor tells, and waits for the next one when it goes.
    async fn listen(&self) {
        let mut pid = None;
        loop {
            if let Ok(Some(client)) = client::existing(&self.home).await {
                if pid.replace(client.peer.pid).is_some_and(|before| before != client.peer.pid) {
                    self.say(Msg::Say(
                        Tone::Wait,
                        format!("another supervisor is in charge (pid {})", client.peer.pid),
                    ))
                    .await;
                }
                if let Ok(mut lines) = client.events(&[]).await {
                    while let Ok(Some(line)) = lines.next().await {
                        self.changed.notify_one();
                        self.say(Msg::Told(line)).await;
                    }
                }
                self.changed.notify_one();
            }
            sleep(LOOK).await;
        }
    }

    /// What the supervisor says of each. Where none runs nobody waits for anybody, and the files say who needs whom.
    async fn needs(&self, services: Vec<String>) -> Needs {
        let mut needs = Needs::new();
        let runs = !matches!(client::existing(&self.home).await, Ok(None));
        for service in services {
            if let (false, Some(project)) = (runs, self.project.as_deref()) {
                needs.insert(service.clone(), declared(project, &service));
                continue;
            }
            // One that went away meanwhile needs nothing.
            if let Ok(told) = answers::why(&self.home, self.project.as_deref(), &service).await {
                needs.insert(service, Told::from(told.answer));
            }
        }
        needs
    }

    async fn order(&self, order: &Order) -> Result<(), Error> {
        for attempt in 1.. {
            match self.once(order).await {
                Err(error) if error.kind == error::Kind::Unreachable && attempt < ATTEMPTS => sleep(LEAST).await,
                done => return done,
            }
        }
        Ok(())
    }

    async fn once(&self, order: &Order) -> Result<(), Error> {
        let mut request =
            Request { start: StartFlags { rerun: order.rerun, ..StartFlags::default() }, ..self.request.clone() };
        match order.scale {
            Some(scale) => request.scale = order.names.iter().map(|name| (name.clone(), Some(scale))).collect(),
            None => request.select = order.names.clone(),
        }
        let mut lines = client::ensure(&self.home, &self.launcher).await?.ask(order.ask, &request).await?;
        self.changed.notify_one();
        while let Some(line) = lines.next().await? {
            match line {
                Progress::End { error: None } => return Ok(()),
                Progress::End { error: Some(failure) } => return Err(crate::api::convert::error(failure)),
                Progress::Accepted { notes, .. } if !notes.is_empty() => {
                    self.say(Msg::Told(Progress::Accepted { services: Vec::new(), notes })).await;
                }
                // The stream of events tells the same.
                Progress::Accepted { .. } | Progress::State { .. } | Progress::Note { .. } => {}
            }
        }
        Err(Error::new(error::Kind::Unreachable, "the supervisor went away while it answered"))
    }

    async fn run_tests(&self, services: &[String], only: Option<&str>) -> Result<serde_json::Value, String> {
        let program = std::env::current_exe().map_err(|e| format!("cannot find our own program: {e}"))?;
        let output = Command::new(program)
            .arg("-C")
            .arg(&self.home.root)
            .args(["test", "-o", "json"])
            .args(only.map(|pattern| format!("--run={pattern}")))
            .arg("--")
            .args(services)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|e| format!("cannot run the tests: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .map_err(|_| said.lines().next().unwrap_or("the tests said nothing").to_owned())
    }
}

/// Whom a service needs, by the files.
fn declared(project: &Project, service: &str) -> Told {
    let name = ServiceName::fold(service);
    let find = |name: &ServiceName| {
        let ours = project.services.get(name).map(|service| (service.config.kind, &service.config.needs));
        ours.or_else(|| project.vendors.get(name).map(|vendor| (vendor.config.kind, &vendor.config.needs)))
    };
    let needs = name.as_ref().and_then(find).map_or(&[][..], |(_, needs)| needs.as_slice());
    let need = |need: &NeedConfig| {
        let job = find(&need.service).is_some_and(|(kind, _)| kind == Kind::Job);
        let condition = match need.condition {
            Some(Condition::Started) => "started",
            Some(Condition::Completed) => "completed",
            None if job => "completed",
            Some(Condition::Ready) | None => "ready",
        };
        WhyNeed {
            service: need.service.to_string(),
            condition: condition.to_owned(),
            state: "idle".to_owned(),
            // Nobody waits for it now.
            met: true,
        }
    };
    Told {
        state: "idle".to_owned(),
        summary: format!("no supervisor runs: that is whom `{service}` needs by the files"),
        needs: needs.iter().map(need).collect(),
        ..Told::default()
    }
}

/// An error in one line.
fn sentence(error: &Error) -> String {
    let first = error.details.first().map(|detail| format!(": {}", detail.trim())).unwrap_or_default();
    format!("{}{first}", error.message)
}
