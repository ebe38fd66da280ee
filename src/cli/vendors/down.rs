//! `orchestra vendors down`: what belongs to vendors goes away, by its labels; data only when they are asked for by name.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::super::change::{self, Ended};
use super::super::context::{Context, Place};
use super::super::signals::Signals;
use super::super::{answers, hooks, request, text};
use super::containers::{Whose, find};
use super::doomed::{Declared, Doomed, is_nameless, mounted};
use super::{Chosen, among, environment, specs, tags};
use crate::api::convert::Ask;
use crate::api::lock;
use crate::api::wire::Service;
use crate::config::values;
use crate::docker::{Docker, Kept, Volumes};
use crate::error::Error;
use crate::project::Project;
use crate::store::intent;
use crate::task::container::Source;
use crate::task::id::ServiceName;

/// Stops vendors and removes their containers and the project's network. Data stay: the next `vendors up` finds them. With --volumes they are removed, too,
/// for good. Nothing of another project is touched.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    chosen: Chosen,
    /// Remove their volumes, with all data; asks on a terminal
    #[arg(long)]
    volumes: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// The grace until SIGKILL, instead of the configured one
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
}

/// Without a supervisor nobody knows the configured one.
const GRACE: Duration = Duration::from_secs(10);

/// What was removed, by name.
#[derive(Debug, Default, Serialize)]
struct Removed {
    containers: Vec<String>,
    networks: Vec<String>,
    volumes: Vec<String>,
    /// Made by us for services, and made anew when they are needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
}

impl Removed {
    fn is_nothing(&self) -> bool {
        [&self.containers, &self.networks, &self.volumes, &self.images].into_iter().all(Vec::is_empty)
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !context.output.is_json();
    if args.volumes && !args.yes && !terminal {
        let error = Error::usage("`--volumes` removes data for good, and nobody is there to be asked");
        return Err(error.hint("orchestra vendors down --volumes --yes"));
    }
    let place = context.place()?;
    let project = context.load_or_say(&place);
    let typed = args.chosen.typed();
    let named = match &project {
        Some(project) if !typed.is_empty() => Some(among(project, &typed)?),
        Some(_) => None,
        None if typed.is_empty() => None,
        None => Some(typed.iter().filter_map(|name| ServiceName::fold(name)).collect()),
    };
    let whose = Whose::of(project.as_ref(), named);
    hooks::around(&context.output, &place, project.as_ref(), "vendors", || {
        let down = Down { context, place: &place, project: project.as_ref(), whose: &whose, args };
        context.wait(down.run())
    })
}

struct Down<'a> {
    context: &'a Context,
    place: &'a Place,
    project: Option<&'a Project>,
    whose: &'a Whose,
    args: &'a Args,
}

impl Down<'_> {
    async fn run(&self) -> Result<(), Error> {
        let docker = Docker::connect(&environment(self.place, self.project)?).await?;
        let root = &self.place.home.root;
        let doomed = self.doomed(&docker, root).await?;
        if !doomed.is_empty() && !self.args.yes && !self.is_agreed(&doomed)? {
            return Err(Error::failed("nothing was done").hint("without `--volumes` the data stay"));
        }
        self.stop(&docker).await?;
        let mut removed = Removed::default();
        let volumes = if self.args.volumes { Volumes::Remove } else { Volumes::Keep };
        for kept in find(&docker, root, self.whose).await? {
            if !self.args.volumes {
                self.tell_of_nameless(&docker, &kept).await?;
            }
            docker.remove_container(&kept.id, volumes).await?;
            self.say("container", &kept.name);
            removed.containers.push(kept.name);
        }
        self.networks(&docker, root, &mut removed).await?;
        if self.whose.is_all() {
            self.images(&docker, root, &mut removed).await?;
        }
        for name in doomed.nameless.into_keys() {
            // Most went with their container. One that was handed on from container to container did not.
            match docker.remove_volume(&name).await {
                Ok(()) => self.removed_volume(name, &mut removed),
                // A container of somebody else holds it.
                Err(failure) => self.context.output.note("note", &failure.to_string()),
            }
        }
        for name in doomed.named {
            docker.remove_volume(&name).await?;
            self.removed_volume(name, &mut removed);
        }
        for name in doomed.spared {
            let name = text::clean(&name);
            let message =
                format!("the volume {name} stays: this project did not make it; `docker volume rm {name}` removes it");
            self.context.output.note("note", &message);
        }
        match self.context.output.is_json() {
            true => self.context.output.json(&removed),
            false if removed.is_nothing() => {
                self.context.output.note("note", "there was nothing to remove");
                Ok(())
            }
            false => Ok(()),
        }
    }

    fn say(&self, kind: &str, name: &str) {
        if !self.context.output.is_json() {
            self.context.output.say(&format!("removed {kind} {}", text::clean(name)));
        }
    }

    fn removed_volume(&self, name: String, removed: &mut Removed) {
        self.say("volume", &name);
        removed.volumes.push(name);
    }

    fn is_agreed(&self, doomed: &Doomed) -> Result<bool, Error> {
        self.context.output.say("this removes for good all data in:");
        doomed.lines().iter().for_each(|name| self.context.output.say(&format!("  {}", text::clean(name))));
        self.context.output.ask("remove them? [y/N] ");
        tags::is_yes()
    }

    /// What is to go, where that was asked for.
    async fn doomed(&self, docker: &Docker, root: &Path) -> Result<Doomed, Error> {
        if !self.args.volumes {
            return Ok(Doomed::default());
        }
        Ok(Doomed::find(docker, root, self.whose, self.declared()).await?)
    }

    /// What the files say of named volumes. Where they cannot be resolved, only what containers mount is known.
    fn declared(&self) -> Declared {
        let mut out = Declared::default();
        let (Some(project), Whose::These(_)) = (self.project, self.whose) else { return out };
        for name in project.vendors.keys() {
            let Ok(found) = specs(self.place, project, &BTreeSet::from([name.clone()])) else { continue };
            let side = if self.whose.has_service(name) { &mut out.theirs } else { &mut out.others };
            let mounts = found.iter().flat_map(|(_, spec)| &spec.mounts);
            side.extend(mounts.filter_map(|mount| match &mount.source {
                Source::Volume { name, .. } => Some(name.clone()),
                Source::Anonymous | Source::Bind { .. } | Source::Tmpfs { .. } => None,
            }));
        }
        out
    }

    /// What lies in volumes without a name stays, too, but nobody finds it again once its container is gone.
    async fn tell_of_nameless(&self, docker: &Docker, kept: &Kept) -> Result<(), Error> {
        let nameless: Vec<String> = mounted(docker, kept).await?.into_iter().filter(|name| is_nameless(name)).collect();
        if !nameless.is_empty() {
            let (name, volumes) = (&kept.name, nameless.join(", "));
            let message =
                format!("data of {name} stay in a volume without a name, which no other container finds: {volumes}");
            self.context.output.note("note", &message);
        }
        Ok(())
    }

    /// Through the supervisor where one runs, which knows order, graces and policies; else straight.
    async fn stop(&self, docker: &Docker) -> Result<(), Error> {
        if lock::is_held(&self.place.home)? {
            return self.ask_supervisor(docker).await;
        }
        self.forget()?;
        let running = find(docker, &self.place.home.root, self.whose).await?.into_iter().filter(|kept| kept.running);
        for kept in running {
            docker.stop(&kept.id, self.args.timeout.unwrap_or(GRACE)).await?;
        }
        Ok(())
    }

    /// Without a supervisor nobody else sees to it that the next one does not want them any more.
    fn forget(&self) -> Result<(), Error> {
        let state = self.place.home.state();
        let (intents, _) = intent::load(&state)?;
        let wanted = intents.iter().filter(|(name, intent)| self.whose.has_service(name) && intent.is_wanted());
        for (name, intent) in wanted {
            intent::save_stopped(&state, name, intent)?;
        }
        Ok(())
    }

    /// What the supervisor is to stop: those that are meant by the files, and then those that the files do not know any more while it runs them still, which
    /// would be started anew.
    async fn known_to_supervisor(&self, docker: &Docker) -> Result<[BTreeSet<String>; 2], Error> {
        let declared = |name: &&ServiceName| self.project.is_none_or(|project| project.vendors.contains_key(*name));
        let mut names: BTreeSet<String> = match self.whose {
            Whose::These(names) => names.iter().filter(declared).map(ToString::to_string).collect(),
            Whose::All { .. } => self.project.iter().flat_map(|p| p.vendors.keys().map(ToString::to_string)).collect(),
        };
        let kept = find(docker, &self.place.home.root, self.whose).await?;
        let kept = kept.into_iter().filter_map(|one| Some(one.instance?.service.to_string()));
        let mut gone: BTreeSet<String> = kept.filter(|name| !names.contains(name)).collect();
        let ps = answers::ps(&self.context.output, self.place, self.project).await?;
        gone.retain(|name| ps.services.iter().any(|service| service.name == *name));
        if self.whose.is_all() {
            // Of those at rest there is nothing to stop, and nothing to be told.
            let rests = |service: &Service| service.desired == "down" && service.state == "idle";
            names.retain(|name| !ps.services.iter().any(|service| service.name == *name && rests(service)));
        }
        Ok([names, gone])
    }

    async fn ask_supervisor(&self, docker: &Docker) -> Result<(), Error> {
        for names in self.known_to_supervisor(docker).await? {
            if !names.is_empty() {
                self.ask_to_stop(names.into_iter().collect()).await?;
            }
        }
        Ok(())
    }

    async fn ask_to_stop(&self, names: Vec<String>) -> Result<(), Error> {
        let mut asked = request::of(self.context, self.place, names);
        asked.timeout_ms = self.args.timeout.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        let mut signals = Signals::new()?;
        // What is printed as JSON tells what was removed.
        let output = self.context.output.for_people();
        match change::follow(&output, &self.place.home, Ask::Stop, &asked, &mut signals).await? {
            Ended::Over(done) => done,
            Ended::Interrupted(_) => Err(change::interrupted("stopped waiting; the stop goes on").hint("orchestra ps")),
        }
    }

    /// Images of services go where no container uses them.
    async fn images(&self, docker: &Docker, root: &Path, removed: &mut Removed) -> Result<(), Error> {
        for image in docker.made_images(root).await? {
            if docker.remove_image(&image.name).await? {
                self.say("image", &image.name);
                removed.images.push(image.name);
            }
        }
        Ok(())
    }

    /// The network goes with the last container of the project.
    async fn networks(&self, docker: &Docker, root: &Path, removed: &mut Removed) -> Result<(), Error> {
        if !docker.containers(root).await?.is_empty() {
            return Ok(());
        }
        for network in docker.networks(root).await? {
            match docker.remove_network(&network.id).await {
                Ok(()) => {
                    self.say("network", &network.name);
                    removed.networks.push(network.name);
                }
                // Somebody put a container of their own into it.
                Err(failure) => self.context.output.note("note", &failure.to_string()),
            }
        }
        Ok(())
    }
}
