//! Turns a request into what the engine understands: loads the project, selects, resolves, and writes down what is wanted before anything is done.

mod contained;
mod debugging;
mod reload;
mod requests;
mod resolve;
mod wanted;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::engine::Event;
use super::{Request, Verb};
use crate::config::problem;
use crate::error::{Error, Result};
use crate::project::file::Linger;
use crate::project::load::LoadOptions;
use crate::project::{Project, load};
use crate::rerun::watch::Watched;
use crate::scheduler::{self, Scheduler};
use crate::shim::spec;
use crate::store::good::{self, Good};
use crate::store::intent::{self, DOWN, Intent};
use crate::strays::{Hunt, Hunts};
use crate::sys::home::Home;
use crate::task::id::ServiceName;
use crate::task::spec::ServiceSpec;

/// A request in the engine's words.
pub(super) struct Plan {
    /// In this order.
    pub(super) events: Vec<Event>,
    /// What the request reaches.
    pub(super) services: Vec<ServiceName>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
    /// Strays to be looked for before anything of this is started.
    pub(super) hunt: Option<Hunt>,
}

/// Knows the project and what is wanted of it.
pub(super) struct Planner {
    home: Home,
    intents: BTreeMap<ServiceName, Intent>,
    /// The last configuration that was good.
    project: Option<Arc<Project>>,
    /// The texts of the last good configuration, as they are kept on disk.
    kept: Option<Good>,
    /// Services the engine was told of.
    told: BTreeSet<ServiceName>,
    /// Of services with rerun on: what the engine was told last.
    specs: BTreeMap<ServiceName, ServiceSpec>,
    /// The project that the running fleet was last brought in line with, while rerun is on.
    followed: Option<Arc<Project>>,
    /// Why the newest configuration is not taken over.
    broken: Option<Arc<Vec<String>>>,
    /// What was last said to be watched.
    watched: Watched,
    /// What the next person who asks for something should know.
    news: Vec<String>,
    hunts: Arc<Hunts>,
}

impl Planner {
    pub(super) fn new(
        home: Home,
        intents: BTreeMap<ServiceName, Intent>,
        kept: Option<Good>,
        hunts: Arc<Hunts>,
    ) -> Planner {
        Planner {
            home,
            intents,
            project: None,
            kept,
            told: BTreeSet::new(),
            specs: BTreeMap::new(),
            followed: None,
            broken: None,
            watched: Watched::default(),
            news: Vec::new(),
            hunts,
        }
    }

    /// Remembers something for the next person who asks for a change.
    pub(super) fn tell(&mut self, news: String) {
        self.news.push(news);
    }

    /// Plans one request; on an error nothing is changed.
    pub(super) fn plan(&mut self, request: Request) -> Result<Plan> {
        // `git clean` may have taken our folders since the last request.
        let opened = self.home.open();
        let mut plan = match &request.verb {
            // What ends something needs no folder: it must work on a disk that has become read-only, too.
            Verb::Stop { grace } => self.stop(&request, *grace),
            Verb::Kill(signal) => self.kill(&request, *signal),
            Verb::Start(flags) => opened.and_then(|()| self.start(&request, flags)),
            Verb::Restart { replace } => opened.and_then(|()| self.restart(&request, replace)),
            Verb::Build => opened.and_then(|()| self.build(&request)),
            Verb::Scale(numbers) => opened.and_then(|()| self.scale(&request, numbers)),
        }?;
        plan.notes.splice(0..0, self.news.drain(..));
        Ok(plan)
    }

    /// Reads the configuration; it becomes the last good one.
    pub(super) fn load(&mut self, config: Option<&std::path::Path>, trust: bool) -> Result<Arc<Project>> {
        let project = self.read(config, trust)?;
        self.adopt(&project);
        Ok(project)
    }

    /// Reads the configuration and keeps the last good one.
    fn read(&self, config: Option<&std::path::Path>, trust: bool) -> Result<Arc<Project>> {
        let options = LoadOptions { config: config.map(ToOwned::to_owned), trust };
        load::load(&self.home.root, &options).map(Arc::new).map_err(problem::error)
    }

    fn adopt(&mut self, project: &Arc<Project>) {
        self.hunts.learn(project);
        self.project = Some(project.clone());
    }

    fn load_for(&mut self, request: &Request) -> Result<Arc<Project>> {
        if let (Some(project), Some(config)) = (&self.project, &request.config)
            && project.config != *config
            && self.intents.values().any(|intent| intent.desired != DOWN)
        {
            let message = format!(
                "`{}` is in use by what runs here, so `{}` cannot be",
                project.config.display(),
                config.display()
            );
            return Err(Error::usage(message).hint("stop it first: `orchestra stop`"));
        }
        let in_use = self.project.as_ref().map(|project| project.config.clone());
        let config = request.config.clone().or(in_use);
        self.load(config.as_deref(), request.trust)
    }

    /// The scheduler the project asks for.
    pub(super) fn scheduler(&self) -> Box<dyn Scheduler + Send> {
        let name = self.project.as_ref().map_or("epvm", |project| project.scheduler);
        scheduler::by_name(name).unwrap_or_else(|| Box::new(scheduler::epvm::Epvm))
    }

    /// Bytes that the logs of all services may take together.
    pub(super) fn log_limit(&self) -> u64 {
        self.project.as_ref().map_or(u64::MAX, |project| project.logs.total)
    }

    /// How long services outlive a dead supervisor.
    pub(super) fn linger(&self) -> spec::Linger {
        match self.project.as_ref().map(|project| project.linger) {
            Some(Linger::For(time)) => spec::Linger::Seconds(time.as_secs()),
            Some(Linger::Forever) | None => spec::Linger::Forever,
        }
    }

    /// What is wanted of a service.
    pub(super) fn intent(&self, name: &ServiceName) -> Option<&Intent> {
        self.intents.get(name)
    }

    /// Writes down once more all that is wanted.
    pub(super) fn save_again(&self) -> Result<()> {
        for (name, intent) in &self.intents {
            intent::save(&self.home.state(), name, intent)?;
        }
        Ok(())
    }

    fn save(&mut self, wanted: BTreeMap<ServiceName, Intent>) -> Result<()> {
        for (name, intent) in &wanted {
            if self.intents.get(name) != Some(intent) {
                match intent.desired.as_str() {
                    DOWN => intent::save_stopped(&self.home.state(), name, intent)?,
                    _ => intent::save(&self.home.state(), name, intent)?,
                }
            }
        }
        self.intents = wanted;
        self.keep_good()
    }

    /// Keeps the texts of the configuration that what runs was started by; forgets them once nothing is wanted.
    fn keep_good(&mut self) -> Result<()> {
        let state = self.home.state();
        let is_wanted = self.intents.values().any(|intent| intent.desired != DOWN);
        match &self.project {
            Some(project) if is_wanted && self.kept.as_ref() != Some(&project.good) => {
                good::save(&state, &project.good)?;
                self.kept = Some(project.good.clone());
            }
            _ if !is_wanted && self.kept.is_some() => {
                good::forget(&state)?;
                self.kept = None;
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}
