//! From a vendor's section and a caller to a complete spec: its container, its environment, its mounts, its probes.

pub(super) mod part;
mod probes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::resolve::Resolver;
use super::{Project, check, settings};
use crate::config::env::{Layer, Raw};
use crate::config::problem::Problem;
use crate::docker::labels;
use crate::services::spec::{NeedConfig, ProbeConfig};
use crate::task::container::{ContainerSpec, Mount, Network, Source};
use crate::task::environment::Environment;
use crate::task::id::{InstanceId, ServiceName, Settings};
use crate::task::spec::{Condition, Kind, Need, RunSpec, ServiceSpec};
use crate::vendors::read;
use crate::vendors::spec::{MountConfig, SourceConfig, VendorConfig};
use part::VendorPart;
use probes::{Ask, default_probe};

impl Resolver<'_> {
    pub(super) fn vendor(&self, name: &ServiceName) -> Result<ServiceSpec, Vec<Problem>> {
        // One that is missing here has its problems told already.
        let Some(part) = self.vendors.get(name) else { return Err(Vec::new()) };
        let vendor = part.vendor;
        let config = {
            let own = self.own_of_vendor(name);
            let layers = part.inner(&self.shared, &own);
            read::filled(&vendor.config, &vendor.tree, vendor.dialect, &mut |key| layers.get(key))?
        };
        let run = self.container_run(part, &config)?;
        Ok(ServiceSpec {
            name: name.clone(),
            kind: config.kind,
            build: None,
            needs: self.vendor_needs(&config),
            restart: config.restart,
            runs: vec![Arc::new(run)],
            tests: None,
        })
    }

    fn vendor_needs(&self, config: &VendorConfig) -> Vec<Need> {
        let known = config.needs.iter().filter(|need| self.project.contains(&need.service));
        let need = |need: &NeedConfig| Need {
            service: need.service.clone(),
            condition: need.condition.unwrap_or_else(|| self.default_condition(&need.service)),
        };
        known.map(need).collect()
    }

    /// What is waited for where nothing is said: a job's end, else that it is ready.
    pub(super) fn default_condition(&self, name: &ServiceName) -> Condition {
        match self.project.kind(name) {
            Some(Kind::Job) => Condition::Completed,
            Some(Kind::Service | Kind::Vendor) | None => Condition::Ready,
        }
    }

    /// What the variables of a section may name of orchestra's own.
    fn own_of_vendor(&self, name: &ServiceName) -> Layer {
        let pairs = [("ORCHESTRA_PROJECT", self.project.name.clone()), ("ORCHESTRA_SERVICE", name.to_string())];
        pairs.into_iter().map(|(key, value)| (key.into(), Raw::Exact(value.into()))).collect()
    }

    fn container_run(&self, part: &VendorPart<'_>, config: &VendorConfig) -> Result<RunSpec, Vec<Problem>> {
        let variables = part.variables(&self.shared)?;
        let outer = part.outer(&self.shared);
        let mut problems = Vec::new();
        let container = self.container(part, config, &mut problems);
        let ask = Ask { layers: &outer, config, folder: &config.folder };
        let mut probe = |probe: &ProbeConfig| ask.probe(probe).map_err(|problem| problems.push(problem)).ok();
        let ready = config.ready.as_ref().map(&mut probe);
        let live = config.live.as_ref().and_then(&mut probe);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut run = RunSpec {
            instance: InstanceId { service: config.name.clone(), number: 1 },
            argv: Vec::new(),
            dir: check::plain(&config.folder),
            env: variables.into_iter().map(|(key, variable)| (key, variable.value)).collect(),
            ports: part.ports.clone(),
            debugger: None,
            ready: ready.flatten().unwrap_or_else(|| default_probe(config)),
            live,
            stop: config.stop.clone(),
            before: config.before.clone(),
            after: config.after.clone(),
            tty: config.tty,
            resources: config.resources,
            container: None,
            caller: part.caller.caller.clone(),
            log_keep: self.project.logs.keep,
            settings: Settings(String::new()),
        };
        run.settings = settings::of_container(&run, &container);
        run.container = Some(Arc::new(container));
        Ok(run)
    }

    fn container(&self, part: &VendorPart<'_>, config: &VendorConfig, problems: &mut Vec<Problem>) -> ContainerSpec {
        let mut out = config.container.clone();
        out.published.clone_from(&part.published);
        for mount in &config.mounts {
            match self.mount(part, config, mount) {
                Ok(mount) => out.mounts.push(mount),
                Err(problem) => problems.push(problem),
            }
        }
        for file in &config.files {
            let declared = part.vendor.head.files.get(&(file.kind, file.name.clone())).and_then(Option::as_ref);
            let Some(path) = declared.map(|path| part.outer(&self.shared).fill_text(path)) else { continue };
            match path {
                Ok(path) => {
                    let path = check::plain(&config.folder.join(path));
                    let source = Source::Bind { path, create: false, propagation: None, relabel: None };
                    out.mounts.push(Mount { target: file.target.clone(), source, read_only: true });
                }
                Err(problem) => problems.push(problem),
            }
        }
        if let Network::Project { aliases } = &mut out.network {
            let name = config.name.as_str();
            aliases.retain(|alias| alias != name);
            aliases.insert(0, name.to_owned());
        }
        // The engine is found by it, whether there are hooks or not.
        match self.shared.of_project(&part.caller).all() {
            Ok(all) => {
                out.hook_env = all.into_iter().map(|(key, variable)| (key, variable.value)).collect::<Environment>()
            }
            Err(more) => problems.extend(more),
        }
        out
    }

    fn mount(&self, part: &VendorPart<'_>, config: &VendorConfig, mount: &MountConfig) -> Result<Mount, Problem> {
        let source = match &mount.source {
            SourceConfig::Named { key, nocopy } => {
                let declared = part.vendor.head.volumes.get(key);
                let external = declared.is_some_and(|volume| volume.external);
                let given = declared.and_then(|volume| volume.name.as_ref());
                let name = match given.map(|name| part.outer(&self.shared).fill_text(name)).transpose()? {
                    Some(name) => name,
                    None if external => key.clone(),
                    None => labels::volume(&self.project.name, key),
                };
                Source::Volume { name, key: key.clone(), external, nocopy: *nocopy }
            }
            SourceConfig::Anonymous => Source::Anonymous,
            SourceConfig::Bind { path, create, propagation, relabel } => Source::Bind {
                path: host_path(path, config, part, mount)?,
                create: *create,
                propagation: propagation.clone(),
                relabel: *relabel,
            },
            SourceConfig::Tmpfs { size, mode, options } => {
                Source::Tmpfs { size: *size, mode: *mode, options: options.clone() }
            }
        };
        Ok(Mount { target: mount.target.clone(), source, read_only: mount.read_only })
    }
}

/// A path of this machine: relative to the section's folder, or to the caller's home.
fn host_path(
    path: &str,
    config: &VendorConfig,
    part: &VendorPart<'_>,
    mount: &MountConfig,
) -> Result<PathBuf, Problem> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(check::plain(&config.folder.join(path))) };
    let home = part.caller.env.iter().find(|(key, _)| key == "HOME").map(|(_, value)| PathBuf::from(value));
    match (rest.strip_prefix('/').or(rest.is_empty().then_some("")), home.filter(|home| home.is_absolute())) {
        (Some(rest), Some(home)) => Ok(check::plain(&home.join(rest))),
        (Some(_), None) => {
            Err(Problem::at(&mount.at.0, format!("`{path}`: `HOME` is not set")).hint("write the whole path"))
        }
        (None, _) => {
            let message = format!("`{path}`: only your own home can be written with `~`");
            Err(Problem::at(&mount.at.0, message).hint("write `~/…`, or the whole path"))
        }
    }
}

impl Project {
    /// The profiles that a command and its caller ask for: those of the flag, and those of `COMPOSE_PROFILES`.
    pub fn profiles(&self, flags: &[String], caller: &[(OsString, OsString)]) -> Vec<String> {
        let key = "COMPOSE_PROFILES";
        let said = caller.iter().find(|(name, _)| name == key).map(|(_, value)| value.to_string_lossy().into_owned());
        let in_file = || self.file_env.iter().rev().find(|(name, _)| name == key)?.1.constant();
        let words = said.or_else(in_file).unwrap_or_default();
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
        flags.iter().cloned().chain(words).collect()
    }
}
