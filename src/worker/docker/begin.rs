//! From a spec to a container that runs: hooks, image, network and volumes, the container itself, its ports, and its start.

use std::sync::Arc;

use bollard::models::ContainerInspectResponse;

use super::make::{self, Around};
use super::record::ContainerRecord;
use super::{Ground, existing, image, logs, ports, state, stores};
use crate::docker::{Class, Docker, Failure, Volumes, image_of_data, labels};
use crate::sys::os;
use crate::task::container::ContainerSpec;
use crate::task::id::RunId;
use crate::task::spec::RunSpec;
use crate::worker::process::hooks::Hooks;
use crate::worker::{RunReport, StartFailure};

/// A container that runs.
pub(super) struct Begun {
    pub(super) docker: Docker,
    pub(super) record: ContainerRecord,
    pub(super) facts: Arc<ContainerInspectResponse>,
}

/// What a beginning needs.
pub(super) struct Beginning<'a> {
    pub(super) ground: &'a Ground,
    pub(super) run: RunId,
    pub(super) spec: &'a RunSpec,
    pub(super) container: &'a ContainerSpec,
}

impl From<Failure> for StartFailure {
    fn from(failure: Failure) -> StartFailure {
        StartFailure {
            message: failure.to_string(),
            port: failure.class == Class::PortTaken,
            transient: failure.class.is_transient(),
            absent: failure.class.is_unreachable(),
        }
    }
}

/// Another image is to read what an earlier one wrote, and nobody has agreed to that.
fn unasked(was: &str, is: &str) -> StartFailure {
    let message = format!(
        "its image is `{is}` now, and its data were written by `{was}`; `orchestra start --yes` makes it anew with these data"
    );
    StartFailure { message, port: false, transient: false, absent: false }
}

impl Beginning<'_> {
    /// All of it.
    pub(super) async fn run(&self) -> Result<Begun, StartFailure> {
        hooks(self.ground, self.run, self.spec, self.container).before(&self.spec.before).await?;
        let docker = Docker::connect(&self.container.hook_env).await?;
        let image = image::ensure(self.ground, &docker, self.run, self.container).await?;
        let image_id = make::image_id(&image);
        let existing =
            existing::find(self.ground, &docker, &self.spec.instance, &self.spec.settings, &image_id).await?;
        for old in existing.keep.iter().chain(&existing.replace) {
            self.drain(&docker, old).await;
        }
        let id = match &existing.keep {
            Some(kept) => self.keep(&docker, kept, &existing.replace).await?,
            None => self.replace(&docker, &existing).await?,
        };
        self.begun(docker, &id).await
    }

    /// What an ended container wrote that nobody read goes into the log of the run it belongs to, before anybody else writes there.
    async fn drain(&self, docker: &Docker, old: &ContainerInspectResponse) {
        let Some(id) = old.id.clone().filter(|_| !state::of(old).running) else { return };
        let Some(record) = super::record::of(&self.ground.home, &self.spec.instance) else { return };
        if record.container != id || record.end.is_some() {
            return;
        }
        let task = logs::spawn(self.ground.following(docker, &record, self.spec));
        super::drained(task).await;
    }

    /// Starts what is there already, where it does not run.
    async fn keep(
        &self,
        docker: &Docker,
        kept: &ContainerInspectResponse,
        doubles: &[ContainerInspectResponse],
    ) -> Result<String, StartFailure> {
        let id = kept.id.clone().unwrap_or_default();
        for double in doubles {
            self.end(docker, double).await?;
            self.remove(docker, double).await?;
        }
        let state = state::of(kept);
        if state.paused {
            docker.unpause(&id).await?;
            self.note(format!("the container `{}` was paused and goes on", existing::name_of(kept))).await;
        }
        if state.running {
            return Ok(id);
        }
        stores::ensure(self.ground, docker, self.container, |_| {}).await?;
        ports::wait_until_free(self.ground, docker, self.spec).await?;
        match docker.start(&id).await {
            Ok(()) => Ok(id),
            // Its network was removed meanwhile: it holds on to the id of that one.
            Err(failure) if failure.class == Class::Gone => {
                let existing =
                    existing::Existing { keep: None, replace: vec![kept.clone()], why: Some("its network is gone") };
                self.replace(docker, &existing).await
            }
            Err(failure) => Err(self.refused(docker, failure).await),
        }
    }

    /// Makes a new one in the place of those that are there.
    async fn replace(&self, docker: &Docker, existing: &existing::Existing) -> Result<String, StartFailure> {
        if let Some(was) = existing.replace.first().and_then(image_of_data)
            && was != self.container.image
            && !self.container.replace
        {
            return Err(unasked(was, &self.container.image));
        }
        if let Some(why) = existing.why {
            self.note(format!("its container is made anew: {why}")).await;
        }
        let mut notes = Vec::new();
        let network = stores::ensure(self.ground, docker, self.container, |words| notes.push(words)).await?;
        for words in notes {
            self.note(words).await;
        }
        for old in &existing.replace {
            self.end(docker, old).await?;
        }
        let mut handed_on: Vec<(String, String)> = Vec::new();
        for old in &existing.replace {
            for (target, name) in make::anonymous(old.mounts.as_deref().unwrap_or_default()) {
                if !handed_on.iter().any(|(known, _)| *known == target) {
                    handed_on.push((target, name));
                }
            }
        }
        let around = Around {
            root: &self.ground.home.root,
            run: self.run,
            network: network.as_deref(),
            handed_on: &handed_on,
            api: docker.api(),
        };
        // The old ones go once the new one has their volumes: nothing is lost whatever happens in between.
        let id = self.make(docker, &around, &existing.replace).await?;
        for old in &existing.replace {
            self.remove(docker, old).await?;
        }
        ports::wait_until_free(self.ground, docker, self.spec).await?;
        match docker.start(&id).await {
            Ok(()) => Ok(id),
            Err(failure) => Err(self.refused(docker, failure).await),
        }
    }

    /// Makes the container under the first name that is free.
    async fn make(
        &self,
        docker: &Docker,
        around: &Around<'_>,
        old: &[ContainerInspectResponse],
    ) -> Result<String, StartFailure> {
        let instance = &self.spec.instance;
        let usual = labels::container(&self.container.project, instance.service.as_str(), instance.number);
        let mark = stores::own_mark(&self.ground.home.root);
        let mut taken = Vec::new();
        loop {
            let name = existing::free_name(&usual, &mark, &taken);
            let body = make::body(self.spec, self.container, around);
            match docker.create(&name, self.container.platform.as_deref(), body).await {
                Ok(id) => {
                    if name != usual {
                        self.note(format!("another container is called `{usual}`, so this one is `{name}`")).await;
                    }
                    return Ok(id);
                }
                Err(failure) if is_name_taken(&failure) && taken.len() < NAMES => {
                    // An old one of ours steps aside; somebody else keeps the name.
                    match old.iter().find(|old| existing::name_of(old) == name) {
                        Some(ours) => step_aside(docker, ours, &name).await?,
                        None => taken.push(name),
                    }
                }
                Err(failure) => return Err(failure.about(format!("cannot make the container `{name}`")).into()),
            }
        }
    }

    /// Ends an old one, where it runs, as gently as it asks for.
    async fn end(&self, docker: &Docker, old: &ContainerInspectResponse) -> Result<(), StartFailure> {
        let state = state::of(old);
        if !state.running {
            return Ok(());
        }
        let id = old.id.as_deref().unwrap_or_default();
        if state.paused {
            docker.unpause(id).await?;
        }
        let seconds = old.config.as_ref().and_then(|config| config.stop_timeout).and_then(|s| u64::try_from(s).ok());
        docker.stop(id, seconds.map_or(self.spec.stop.grace, std::time::Duration::from_secs)).await?;
        Ok(())
    }

    async fn remove(&self, docker: &Docker, old: &ContainerInspectResponse) -> Result<(), StartFailure> {
        docker.remove_container(old.id.as_deref().unwrap_or_default(), Volumes::Keep).await?;
        Ok(())
    }

    /// Why the engine did not start it; of a port that is taken, by whom.
    async fn refused(&self, docker: &Docker, failure: Failure) -> StartFailure {
        if failure.class == Class::PortTaken {
            let said = |port: &&crate::task::spec::Port| failure.message.contains(&format!(":{}", port.number));
            for port in self.spec.ports.iter().filter(said).chain(&self.spec.ports) {
                if let Some(named) = ports::named(self.ground, docker, port).await {
                    return named;
                }
            }
        }
        failure.into()
    }

    /// Looks at what runs now, and writes it down.
    async fn begun(&self, docker: Docker, id: &str) -> Result<Begun, StartFailure> {
        let gone = || Failure::new(Class::Gone, "its container was removed while it was started", "");
        let facts = docker.inspect(id).await?.ok_or_else(gone)?;
        let before = super::record::of(&self.ground.home, &self.spec.instance);
        let record = describe(&docker, self.run, self.spec, self.container, &facts).after(before.as_ref());
        if let Err(error) = record.save(&self.ground.home) {
            // It is found again by its labels.
            self.note(format!("{error}: {}", error.source)).await;
        }
        Ok(Begun { docker, record, facts: Arc::new(facts) })
    }

    async fn note(&self, words: String) {
        self.ground.report(self.run, RunReport::Note(format!("{}: {words}", self.spec.instance))).await;
    }
}

/// So many names are tried.
const NAMES: usize = 20;

fn is_name_taken(failure: &Failure) -> bool {
    failure.class == Class::Conflict && failure.message.contains("name")
}

async fn step_aside(docker: &Docker, ours: &ContainerInspectResponse, name: &str) -> Result<(), StartFailure> {
    let id = ours.id.as_deref().unwrap_or_default();
    let short = id.get(..12).unwrap_or(id);
    docker.rename(id, &format!("{short}_{name}")).await?;
    Ok(())
}

/// What is written down of a container that runs.
pub(super) fn describe(
    docker: &Docker,
    run: RunId,
    spec: &RunSpec,
    container: &ContainerSpec,
    facts: &ContainerInspectResponse,
) -> ContainerRecord {
    let state = state::of(facts);
    ContainerRecord {
        slot: spec.instance.to_string(),
        run: run.0,
        engine: docker.address(),
        container: facts.id.clone().unwrap_or_default(),
        name: existing::name_of(facts),
        image: container.image.clone(),
        pid: state.local_pid(docker),
        started_us: state::micros(&state.started_at).unwrap_or_default(),
        started_at: state.started_at,
        starts: Vec::new(),
        boot_id: os::boot_id().unwrap_or_default(),
        settings: spec.settings.0.clone(),
        grace_ms: u64::try_from(spec.stop.grace.as_millis()).unwrap_or(u64::MAX),
        stopping: false,
        end: None,
    }
}

/// Hooks of a run in a container, which run on this machine. Where they do so and where their words go.
pub(super) struct OwnHooks<'a> {
    hooks: Hooks<'a>,
}

pub(super) fn hooks<'a>(
    ground: &'a Ground,
    run: RunId,
    spec: &'a RunSpec,
    container: &'a ContainerSpec,
) -> OwnHooks<'a> {
    let logs = ground.home.instance_logs(&spec.instance);
    let logs = logs.strip_prefix(&ground.home.dot).unwrap_or(&logs).to_owned();
    OwnHooks {
        hooks: Hooks {
            dir: &spec.dir,
            env: &container.hook_env,
            nofile: spec.caller.nofile,
            dot: &ground.home.dot,
            logs,
            keep: spec.log_keep,
            run: run.0,
        },
    }
}

impl OwnHooks<'_> {
    async fn before(&self, commands: &[Vec<String>]) -> Result<(), StartFailure> {
        self.hooks.run(commands, None).await.map_err(|failure| StartFailure {
            message: format!("before: {}", failure.message),
            port: false,
            transient: failure.transient,
            absent: false,
        })
    }

    /// One that fails changes nothing about a run that has ended; its words are in the log.
    pub(super) async fn after(&self, commands: &[Vec<String>]) {
        drop(self.hooks.run(commands, Some(super::AFTER)).await);
    }
}
