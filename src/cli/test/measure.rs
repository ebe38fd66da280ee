//! How much of the running services the tests of the fleet have reached: what is to be counted, and afterwards what was, service by service.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::watch;

use super::fleet::Raised;
use crate::api::wire;
use crate::cli::context::{Context, Place};
use crate::cli::{answers, ps};
use crate::error::{Context as _, Error};
use crate::gotest::cover::{self, Statements};
use crate::gotest::plan::TestSpec;
use crate::project::Project;
use crate::rerun::graph::Graph;
use crate::services::run::{self, Stop};
use crate::services::spec::Program;
use crate::store::intent::Cover;
use crate::sys::child::End;
use crate::task::id::ServiceName;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// By service: its statements, or why they were not counted, one sentence.
    pub(super) services: BTreeMap<ServiceName, Result<Statements, String>>,
    /// Of all together: what several services share counts once.
    pub(super) total: Statements,
    /// The profile of all, for `go tool cover`; none where nothing was counted.
    pub(super) profile: Option<PathBuf>,
}

/// What is to be counted.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// The folder's name, below those of tests.
    folder: String,
    /// The local packages each service is made of.
    packages: BTreeMap<ServiceName, Vec<String>>,
}

impl Measure {
    /// Nothing yet.
    pub(super) fn new(folder: String) -> Measure {
        Measure { folder, packages: BTreeMap::new() }
    }

    /// Learns what the services are made of.
    pub(super) fn learn(&mut self, specs: &[TestSpec], graph: &Graph) {
        for service in specs.iter().map(|spec| &spec.wanted.service) {
            for listing in &graph.listings {
                let Some(root) = listing.query.roots.iter().find(|root| root.service == *service) else { continue };
                let Some(package) = listing.root_package(root) else { continue };
                let local = |path: &&str| listing.packages.get(*path).is_some_and(|package| package.is_local());
                let all = listing.closure(&package.path).into_iter().filter(local).map(str::to_owned);
                self.packages.insert(service.clone(), all.collect());
            }
        }
    }

    /// What `start` shall be told of a service; `None` where there is nothing to count.
    pub(super) fn of(&self, name: &str) -> Option<wire::Cover> {
        let packages = self.packages.iter().find(|(service, _)| service.as_str() == name)?.1.clone();
        (!packages.is_empty()).then(|| wire::Cover { folder: self.folder.clone(), packages })
    }

    fn cover(&self) -> Cover {
        Cover { folder: self.folder.clone(), packages: Vec::new() }
    }

    /// Makes the folders that the services write to.
    pub(super) fn prepare(&self, place: &Place) -> Result<(), Error> {
        for service in self.packages.keys() {
            let folder = self.cover().data(&place.home.state(), service);
            std::fs::create_dir_all(&folder).context("create", &folder)?;
        }
        Ok(())
    }

    /// Reads what the services have counted, once they have ended.
    pub(super) async fn read(
        &self,
        context: &Context,
        place: &Place,
        project: &Project,
        specs: &[TestSpec],
        raised: &Raised,
    ) -> Result<Measured, Error> {
        let ps = answers::ps(&context.output.for_people(), place, Some(project)).await?;
        let mut out = Measured::default();
        let mut profiles = String::new();
        for spec in specs {
            let service = &spec.wanted.service;
            let known = ps.services.iter().find(|known| known.name == service.as_str());
            let text = match self.not_counted(place, project, service, raised, known) {
                Some(why) => Err(why),
                None => self.profile(place, spec).await,
            };
            let statements = text.map(|text| {
                profiles.push_str(&text);
                cover::read(&text).into_values().fold(Statements::default(), |sum, more| sum + more)
            });
            out.services.insert(service.clone(), statements);
        }
        out.total = cover::read(&profiles).into_values().fold(Statements::default(), |sum, more| sum + more);
        if !profiles.is_empty() {
            let file = place.home.state().join("acceptance.cover");
            std::fs::write(&file, cover::merge(&profiles)).context("write", &file)?;
            out.profile = Some(file);
        }
        Ok(out)
    }

    /// Why nothing was counted of a service, one sentence; `None` where something was.
    fn not_counted(
        &self,
        place: &Place,
        project: &Project,
        service: &ServiceName,
        raised: &Raised,
        known: Option<&wire::Service>,
    ) -> Option<String> {
        let program = project.services.get(service).map(|service| &service.config.program);
        if !matches!(program, Some(Program::Go(_))) {
            return Some("it runs a program that orchestra does not build".to_owned());
        }
        if !self.packages.contains_key(service) {
            return Some("`go` does not say what it is made of".to_owned());
        }
        if !raised.started.iter().any(|name| name == service.as_str()) {
            let is_up = known.is_some_and(|known| known.desired != "down");
            return Some(match is_up {
                true => format!("it was up before the tests; to count, stop it first: `orchestra stop {service}`"),
                false => "it was not started, as it is not enabled".to_owned(),
            });
        }
        if cover::has_counted(&self.cover().data(&place.home.state(), service)) {
            return None;
        }
        let exit = known.and_then(|known| known.instances.iter().find_map(|instance| instance.last_exit.as_ref()));
        let how = exit.map_or_else(|| "it never ran".to_owned(), |exit| format!("it {}", ps::ended(exit)));
        Some(format!(
            "{how} and wrote nothing: a Go program does so when `main` returns or calls `os.Exit`, so it must handle SIGTERM"
        ))
    }

    async fn profile(&self, place: &Place, spec: &TestSpec) -> Result<String, String> {
        let data = self.cover().data(&place.home.state(), &spec.wanted.service);
        let output = data.join("profile");
        let line = cover::profile(&spec.wanted.build.env, &data, &output).map_err(|failure| failure.error)?;
        let (_keep, stop) = watch::channel(Stop::No);
        let cannot = |why: &dyn std::fmt::Display| format!("`go tool covdata` cannot read what it wrote: {why}");
        let (end, _, errors) = run::whole(&line, stop).await.map_err(|error| cannot(&error))?;
        if end != End::Code(0) {
            return Err(cannot(&String::from_utf8_lossy(&errors).trim()));
        }
        std::fs::read_to_string(&output).map_err(|error| cannot(&error))
    }
}
