//! Services that run in a container (`run_in: docker`): what that asks of them, and how their container is made. Pure.
//!
//! The container sees its service's working directory, read-only and under the same path, and publishes its ports under the same numbers on 127.0.0.1, so
//! that little changes for a program: it must listen on all addresses, and it finds others by the names they have on the project's network.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::build::Extra;
use super::environment::{self, LOCAL, Side};
use super::resolve::{Part, Resolver};
use super::{Project, settings};
use crate::config::env::{Origin, Variable};
use crate::config::problem::Problem;
use crate::services::packages;
use crate::services::spec::{Program, RunIn, ServiceConfig, Target};
use crate::task::container::{ContainerSpec, Mount, Network, OwnProgram, Published, Pull, Source};
use crate::task::spec::RunSpec;

/// Where a service runs: as the command line says, else as its file does. What is no Go program is a process in any case.
pub(super) fn side(config: &ServiceConfig, said: Option<RunIn>) -> Side {
    match (&config.program, said.unwrap_or(config.run_in)) {
        (Program::Go(_), RunIn::Docker) => Side::Inside,
        (Program::Go(_) | Program::Command(_), RunIn::Docker | RunIn::Process) => Side::Here,
    }
}

/// The architecture it is built for, as Go calls it.
pub(super) fn arch(part: &Part<'_>) -> String {
    part.caller.engine_arch.clone().unwrap_or_else(|| packages::goarch().to_owned())
}

/// What cannot be had in a container of a minimal image.
pub(super) fn check(config: &ServiceConfig, extra: &Extra) -> Result<(), Vec<Problem>> {
    let name = &config.name;
    let mut problems = Vec::new();
    let mut refuse = |what: &str, hint: String| {
        let message = format!("`{name}` runs in a container of a minimal image, where {what}");
        problems.push(Problem::at(&config.place, message).hint(hint));
    };
    if config.build.race || extra.race {
        refuse(
            "the race detector finds no C library to run with",
            format!("`orchestra start {name} --race --in process`"),
        );
    }
    if config.build.debug || extra.debug {
        refuse("there is no debugger", format!("`orchestra start {name} --debug {name} --in process`"));
    }
    let notifies = |target: &Target| matches!(target, Target::Notify);
    let probes = [&config.ready, &config.live];
    if probes.into_iter().flatten().any(|probe| notifies(&probe.target)) {
        refuse(
            "nobody hears `notify`",
            "ask it by `http`, `tcp` or `log`, or let it run with `--in process`".to_owned(),
        );
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A variable of the caller that names a place on this machine, which is another one inside: `PATH`, `HOME`, `TMPDIR`, `SSH_AUTH_SOCK`, …
fn is_of_this_machine(key: &OsStr, variable: &Variable) -> bool {
    let value = variable.value.as_bytes();
    let is_path = |part: &[u8]| part.starts_with(b"/") && (!part.starts_with(b"//") || part.starts_with(b"///"));
    let names_place = value.split(|byte| *byte == b':').any(is_path) || value.starts_with(b"unix:");
    variable.origin == Origin::Caller && (names_place || key == OsStr::new("HOSTNAME"))
}

impl Project {
    /// Whether some service runs in a container, as the files say.
    pub fn runs_in_docker(&self) -> bool {
        self.services.values().any(|service| side(&service.config, None) == Side::Inside)
    }
}

impl Resolver<'_> {
    /// Makes of the spec of a process that of a container: `own` are its variables without the addresses of others.
    pub(super) fn contain(
        &self,
        part: &Part<'_>,
        spec: &mut RunSpec,
        mut own: BTreeMap<OsString, Variable>,
    ) -> Result<(), Vec<Problem>> {
        own.retain(|key, variable| !is_of_this_machine(key, variable));
        spec.env = self.shared.with_addresses(own, Side::Inside);
        let here = self.variables(part, spec.instance.number, Side::Here)?;
        let (instance, argv) = (&spec.instance, std::mem::take(&mut spec.argv));
        let mut words = argv.into_iter();
        let binary = words.next().map(Into::into).unwrap_or_default();
        let args = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let mut aliases = vec![environment::alias(&instance.service, instance.number)];
        if instance.number == 1 {
            aliases.insert(0, instance.service.to_string());
        }
        let container = ContainerSpec {
            project: self.project.name.clone(),
            // Its tag is known once the binary is: it is made by us, and never fetched.
            image: format!("{}-{}", self.project.name, instance.service),
            pull: Pull::Never,
            working_dir: Some(spec.dir.to_string_lossy().into_owned()),
            mounts: self.mounts(part, spec),
            published: spec.ports.iter().map(published).collect(),
            network: Network::Project { aliases },
            extra_hosts: vec![format!("{}:host-gateway", environment::GATEWAY)],
            stop_signal: Some(spec.stop.signal.to_string()),
            program: Some(OwnProgram { binary, args }),
            hook_env: here.into_iter().map(|(key, variable)| (key, variable.value)).collect(),
            ..ContainerSpec::default()
        };
        spec.settings = settings::of_contained(&spec.settings, &container);
        spec.container = Some(Arc::new(container));
        Ok(())
    }

    /// Its working directory, and where it writes down which of its statements ran.
    fn mounts(&self, part: &Part<'_>, spec: &RunSpec) -> Vec<Mount> {
        let bind = |path: &std::path::Path, read_only: bool| Mount {
            target: path.to_string_lossy().into_owned(),
            source: Source::Bind { path: path.to_owned(), create: false, propagation: None, relabel: None },
            read_only,
        };
        // Nothing is to be seen under the root of the image but the image.
        let dir = Some(spec.dir.as_path()).filter(|dir| dir.parent().is_some()).map(|dir| bind(dir, true));
        let data = self.cover_data(part).map(|data| bind(&data, false));
        dir.into_iter().chain(data).collect()
    }
}

fn published(port: &crate::task::spec::Port) -> Published {
    Published { address: LOCAL.to_owned(), host: port.number, container: port.number, protocol: port.protocol }
}
