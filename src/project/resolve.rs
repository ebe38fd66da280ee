//! From a project and a caller to complete specs: environments, ports, argv, probes, builds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::{self, Build};
use super::check;
use super::clashes::{self, Claim};
use super::containers::part::{self as vendor_part, VendorPart};
use super::environment::{self, BasePort, OfService, Shared, Side};
use super::ports::AutoPorts;
use super::probes::{Probes, default_probe};
use super::{Project, Service, contained, gate, settings};
use crate::config::env::{Layers, Origin, Variable};
use crate::config::problem::{self, Problem};
use crate::config::template::Template;
use crate::services::dlv;
use crate::services::spec::{ProbeConfig, Program, RunIn, ServiceConfig};
use crate::store::intent::Cover;
use crate::sys::home::Home;
use crate::task::environment::Environment;
use crate::task::id::{BuildKey, InstanceId, ServiceName, Settings};
use crate::task::spec::{BuildSpec, Caller, Need, Port, Protocol, RunSpec, ServiceSpec};

/// Who asked, and what they had.
#[derive(Clone, Debug)]
pub struct CallerEnv {
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// Mask and limits.
    pub caller: Caller,
    /// The command they typed, whose section of the project's file holds: `start`, `restart`, …
    pub command: String,
    /// The architecture of their Docker engine, as Go calls it; `None`: this machine's.
    pub engine_arch: Option<String>,
}

/// What the command line says of a service, above its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// How many copies.
    pub scale: Option<u32>,
    /// `-e K=V`.
    pub env: Vec<(OsString, OsString)>,
    /// Build with the race detector.
    pub race: bool,
    /// `--test`: as `test.before_start`.
    pub test: bool,
    /// Build for a debugger and run below it.
    pub debug: bool,
    /// Instead of `run_in:`; what is no Go program is always a process.
    pub run_in: Option<RunIn>,
    /// Build it to count which statements run, elsewhere than usual.
    pub cover: Option<Cover>,
    /// Instead of the project's.
    pub port_offset: Option<i32>,
}

/// Everything that resolving depends on.
pub struct ResolveInput<'a> {
    /// Where binaries and state are.
    pub home: &'a Home,
    /// Which services and vendors are wanted.
    pub services: &'a [ServiceName],
    /// Who started each service last.
    pub callers: BTreeMap<ServiceName, Arc<CallerEnv>>,
    /// Who asks now: for every other service.
    pub default_caller: Arc<CallerEnv>,
    /// What the command line says.
    pub overrides: BTreeMap<ServiceName, Overrides>,
    /// Added to every fixed host port, instead of the project's.
    pub port_offset: Option<i32>,
    /// Who gives ports to `auto`.
    pub auto_ports: &'a mut dyn AutoPorts,
}

impl Project {
    /// The specs of the wanted services and vendors, in the order of the request; every problem at once.
    pub fn resolve(&self, input: &mut ResolveInput<'_>) -> Result<Vec<ServiceSpec>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut resolver = Resolver::new(self, input, &mut problems);
        resolver.find_builds(build::Purpose::Run, &mut problems);
        resolver.clashes(&mut problems);
        let mut out = Vec::new();
        for name in input.services.iter().filter(|name| self.contains(name)) {
            let is_vendor = self.vendors.contains_key(name);
            match if is_vendor { resolver.vendor(name) } else { resolver.service(name) } {
                Ok(spec) => out.push(spec),
                Err(more) => problems.extend(more),
            }
        }
        problem::sort(&mut problems);
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// What an instance of a service finds in its environment, and where each variable comes from: for `why`.
    pub fn environment(
        &self,
        input: &mut ResolveInput<'_>,
        of: &InstanceId,
    ) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        self.variables_of(input, of, None)
    }

    /// The same as if the instance were a process of this machine, wherever it runs: for `export`, and for tests, which run here.
    pub fn environment_here(
        &self,
        input: &mut ResolveInput<'_>,
        of: &InstanceId,
    ) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        self.variables_of(input, of, Some(Side::Here))
    }

    fn variables_of(
        &self,
        input: &mut ResolveInput<'_>,
        of: &InstanceId,
        side: Option<Side>,
    ) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let mut problems = Vec::new();
        let resolver = Resolver::new(self, input, &mut problems);
        match (resolver.parts.get(&of.service), resolver.vendors.get(&of.service)) {
            (Some(part), _) => resolver.variables(part, of.number, side.unwrap_or(part.side)),
            (None, Some(part)) => part.variables(&resolver.shared),
            (None, None) => Err(problems),
        }
    }

    /// The project's own variables, as the hooks of a command and `export` see them.
    pub fn own_environment(&self, input: &mut ResolveInput<'_>) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let mut problems = Vec::new();
        let resolver = Resolver::new(self, input, &mut problems);
        let own = [("ORCHESTRA_PROJECT".into(), crate::config::env::Raw::Exact(self.name.clone().into()))].into();
        let mut layers = resolver.shared.of_project(&input.default_caller);
        layers.push(Origin::Orchestra, &own);
        layers.all()
    }
}

/// What is known of one service before its instances are made.
pub(super) struct Part<'a> {
    pub(super) service: &'a Service,
    wanted: bool,
    /// Where it runs.
    pub(super) side: Side,
    own: OfService,
    pub(super) caller: Arc<CallerEnv>,
    base: Vec<BasePort>,
    scale: u32,
    /// A new binary must pass its tests.
    tested: bool,
    /// The ports of every instance; those of the first also where there is none.
    pub(super) ports: Vec<Vec<Port>>,
    /// What the command line adds to its build.
    extra: build::Extra,
    /// The port of each instance's debugger; empty where there is none.
    debuggers: Vec<Port>,
}

/// Everything that the specs of all services share.
pub(super) struct Resolver<'a> {
    pub(super) project: &'a Project,
    pub(super) bin: PathBuf,
    /// Where binaries are that count their statements, and what they count.
    state: PathBuf,
    pub(super) shared: Shared,
    pub(super) parts: BTreeMap<ServiceName, Part<'a>>,
    pub(super) vendors: BTreeMap<ServiceName, VendorPart<'a>>,
    pub(super) builds: BTreeMap<ServiceName, Build>,
    /// After whom the binary of a build is named.
    outputs: BTreeMap<BuildKey, ServiceName>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(project: &'a Project, input: &mut ResolveInput<'_>, problems: &mut Vec<Problem>) -> Resolver<'a> {
        let mut shared = Shared::new(project, input);
        let offset = input.port_offset.unwrap_or(project.port_offset);
        let mut parts = BTreeMap::new();
        let (mut here, mut inside) = (BTreeMap::new(), BTreeMap::new());
        for (name, service) in &project.services {
            let wanted = input.services.contains(name);
            match part(service, wanted, &shared, offset, input) {
                Ok(part) => {
                    let ports = part.ports.first().map_or(&[][..], Vec::as_slice);
                    here.insert(name.clone(), environment::addresses(name, environment::LOCAL, ports));
                    let host = match part.side {
                        Side::Here => environment::GATEWAY,
                        Side::Inside => name.as_str(),
                    };
                    inside.insert(name.clone(), environment::addresses(name, host, ports));
                    parts.insert(name.clone(), part);
                }
                // Others only lack its address.
                Err(more) if wanted => problems.extend(more),
                Err(_) => {}
            }
        }
        let mut vendors = BTreeMap::new();
        for (name, vendor) in &project.vendors {
            let wanted = input.services.contains(name);
            match vendor_part::part(vendor, wanted, &shared, offset, input) {
                Ok(part) => {
                    here.insert(name.clone(), environment::addresses(name, part.host(), &part.ports));
                    let (host, ports) = part.inside();
                    inside.insert(name.clone(), environment::addresses(name, host, &ports));
                    vendors.insert(name.clone(), part);
                }
                Err(more) if wanted => problems.extend(more),
                Err(_) => {}
            }
        }
        shared.publish(here, inside);
        Resolver {
            project,
            bin: input.home.bin(),
            state: input.home.state(),
            shared,
            parts,
            vendors,
            builds: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// The builds of all services, also of those not wanted: the names of binaries do not depend on the selection.
    pub(super) fn find_builds(&mut self, purpose: build::Purpose, problems: &mut Vec<Problem>) {
        let mut builds = BTreeMap::new();
        for (name, part) in &self.parts {
            let own = environment::own(self.project, name, 1, &part.ports, part.side);
            let layers = self.layers(part, &own, part.side);
            let arch = (part.side == Side::Inside && purpose == build::Purpose::Run).then(|| contained::arch(part));
            match build::of(&part.service.config, &layers, &part.extra, arch) {
                Ok(build) => builds.extend(build.map(|build| (name.clone(), build))),
                Err(more) if part.wanted => problems.extend(more),
                Err(_) => {}
            }
        }
        self.outputs = build::names(&builds);
        self.builds = builds;
    }

    pub(super) fn layers<'s>(
        &'s self,
        part: &'s Part<'_>,
        own: &'s crate::config::env::Layer,
        side: Side,
    ) -> Layers<'s> {
        let mut layers = self.shared.of_service(part.service, &part.own, (&part.caller, side));
        layers.push(Origin::Orchestra, own);
        layers
    }

    pub(super) fn variables(
        &self,
        part: &Part<'_>,
        instance: u32,
        side: Side,
    ) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let own = environment::own(self.project, &part.service.config.name, instance, &part.ports, side);
        self.layers(part, &own, side).all()
    }

    /// Two instances on one port, where at least one of them is wanted.
    fn clashes(&self, problems: &mut Vec<Problem>) {
        let mut claims = Vec::new();
        // The wanted come last, so that the problem stands at one of them.
        let (wanted, others): (Vec<_>, Vec<_>) = self.parts.iter().partition(|(_, part)| part.wanted);
        let others = others.into_iter().filter(|(_, part)| part.service.config.enabled);
        let (wanted_vendors, vendors): (Vec<_>, Vec<_>) = self.vendors.values().partition(|part| part.wanted);
        let vendors = vendors.into_iter().filter(|part| part.vendor.config.is_enabled(&[]));
        claims.extend(vendors.flat_map(VendorPart::claims));
        claims.extend(others.flat_map(|(name, part)| part_claims(name, part)));
        let among_others = clashes::clashes(&claims);
        claims.extend(wanted_vendors.into_iter().flat_map(VendorPart::claims));
        claims.extend(wanted.into_iter().flat_map(|(name, part)| part_claims(name, part)));
        problems.extend(clashes::clashes(&claims).into_iter().filter(|problem| !among_others.contains(problem)));
    }

    fn service(&self, name: &ServiceName) -> Result<ServiceSpec, Vec<Problem>> {
        // One that is missing here has its problems told already.
        let Some(part) = self.parts.get(name) else { return Err(Vec::new()) };
        let config = &part.service.config;
        let build = self.builds.get(name).map(|build| self.build(part, build)).transpose()?;
        let binary = build.as_ref().map(|build| build.output.as_path());
        let (mut runs, mut problems) = (Vec::new(), Vec::new());
        for instance in 1..=part.scale {
            match self.run(part, instance, binary) {
                Ok(run) => runs.push(Arc::new(run)),
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let needs = config.needs.iter().map(|need| Need {
            service: need.service.clone(),
            condition: need.condition.unwrap_or_else(|| self.default_condition(&need.service)),
        });
        let restart = config.restart.clone();
        let needs = needs.collect();
        let tests = (part.tested && build.is_some()).then(|| gate::of(config));
        Ok(ServiceSpec { name: name.clone(), kind: config.kind, build, needs, restart, runs, tests })
    }

    pub(super) fn build(&self, part: &Part<'_>, build: &Build) -> Result<BuildSpec, Vec<Problem>> {
        let config = &part.service.config;
        let own = environment::own(self.project, &config.name, 1, &part.ports, part.side);
        let output = self.outputs.get(&build.key).unwrap_or(&config.name);
        Ok(BuildSpec {
            key: build.key.clone(),
            service: output.clone(),
            dir: build.dir.clone(),
            package: build.package.clone(),
            flags: build.flags.clone(),
            env: build.env(&self.layers(part, &own, part.side))?,
            vet: build.vet,
            before: config.build.before.clone(),
            output: self.bin_of(part).join(output.as_str()),
            caller: part.caller.caller.clone(),
        })
    }

    /// What is built to be measured must not take the place of what people run.
    fn bin_of(&self, part: &Part<'_>) -> PathBuf {
        part.extra.cover.as_ref().map_or_else(|| self.bin.clone(), |cover| cover.bin(&self.state))
    }

    /// Where it counts its statements, if it does.
    pub(super) fn cover_data(&self, part: &Part<'_>) -> Option<PathBuf> {
        part.extra.cover.as_ref().map(|cover| cover.data(&self.state, &part.service.config.name))
    }

    fn run(&self, part: &Part<'_>, instance: u32, binary: Option<&Path>) -> Result<RunSpec, Vec<Problem>> {
        let config = &part.service.config;
        let own = environment::own(self.project, &config.name, instance, &part.ports, part.side);
        let layers = self.layers(part, &own, part.side);
        let mut own_variables = layers.some(&|origin, _| origin != Origin::Found)?;
        if let Some(data) = self.cover_data(part).filter(|_| binary.is_some()) {
            let value = data.into();
            own_variables.insert("GOCOVERDIR".into(), Variable { origin: Origin::Orchestra, value });
        }
        let ports = part.ports.get(instance as usize - 1).cloned().unwrap_or_default();
        let dir = check::plain(&config.folder.join(&config.dir.value));
        let mut problems = Vec::new();
        let argv = argv(config, &layers, binary, &dir, &mut problems);
        let debugger = part.debuggers.get(instance as usize - 1).filter(|_| binary.is_some());
        let argv = match debugger {
            Some(port) => dlv::argv(dlv::find(|key| variable(&layers, key)).as_deref(), port.number, argv),
            None => argv,
        };
        let probes = Probes { config, base: &part.base, layers: &layers, ports: &ports };
        let mut probe = |probe: &ProbeConfig| match probes.probe(probe) {
            Ok(probe) => Some(probe),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let ready = config.ready.as_ref().map(&mut probe);
        let live = config.live.as_ref().and_then(&mut probe);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut spec = RunSpec {
            instance: InstanceId { service: config.name.clone(), number: instance },
            argv,
            dir,
            env: Environment::default(),
            ready: ready.flatten().unwrap_or_else(|| default_probe(config.kind, &ports)),
            ports: ports.iter().chain(debugger).cloned().collect(),
            debugger: debugger.map(|port| port.number),
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
        let needed = config.needs.iter().filter_map(|need| self.shared.addresses(&need.service, part.side)).flatten();
        spec.settings = settings::of(&spec, config.color, &own_variables, needed);
        match part.side {
            Side::Here => spec.env = self.shared.with_addresses(own_variables, Side::Here),
            Side::Inside => self.contain(part, &mut spec, own_variables)?,
        }
        Ok(spec)
    }
}

fn part<'a>(
    service: &'a Service,
    wanted: bool,
    shared: &Shared,
    offset: i32,
    input: &mut ResolveInput<'_>,
) -> Result<Part<'a>, Vec<Problem>> {
    let name = &service.config.name;
    let none = Overrides::default();
    let overrides = input.overrides.get(name).unwrap_or(&none);
    let own = OfService::new(service, &overrides.env);
    let caller = input.callers.get(name).unwrap_or(&input.default_caller).clone();
    let side = contained::side(&service.config, overrides.run_in);
    let base = environment::base_ports(service, &shared.of_service(service, &own, (&caller, side)))?;
    let scale = overrides.scale.unwrap_or(service.config.scale);
    let offset = overrides.port_offset.unwrap_or(offset);
    let mut ports = Vec::new();
    for instance in 1..=scale.max(1) {
        ports.push(
            environment::instance_ports(name, instance, &base, offset, input.auto_ports)
                .map_err(|problem| vec![problem])?,
        );
    }
    let tested = overrides.test || service.config.test.before_start;
    let extra = build::Extra { race: overrides.race, debug: overrides.debug, cover: overrides.cover.clone() };
    if side == Side::Inside {
        contained::check(&service.config, &extra)?;
    }
    let debuggers = debuggers(&service.config, &extra, scale, input.auto_ports)?;
    Ok(Part { service, wanted, side, own, caller, base, scale, tested, ports, extra, debuggers })
}

/// A port for each debugger: a free one that stays the same from run to run, so that clients find it again.
fn debuggers(
    config: &ServiceConfig,
    extra: &build::Extra,
    scale: u32,
    auto: &mut dyn AutoPorts,
) -> Result<Vec<Port>, Vec<Problem>> {
    let is_go = matches!(config.program, Program::Go(_));
    if !is_go || !(config.build.debug || extra.debug) {
        return Ok(Vec::new());
    }
    // The service may have a port of that name itself.
    let name = if config.ports.iter().any(|port| port.name == DEBUG) { dlv::NAME } else { DEBUG };
    let port = |instance| {
        let number = auto.port(&config.name, name, instance, Protocol::Tcp).map_err(|message| {
            vec![Problem::at(&config.place, format!("the debugger of `{}.{instance}`: {message}", config.name))]
        })?;
        Ok(Port { name: name.to_owned(), number, protocol: Protocol::Tcp })
    };
    (1..=scale.max(1)).map(port).collect()
}

/// How the port of a debugger is called.
const DEBUG: &str = "debug";

fn part_claims(name: &ServiceName, part: &Part<'_>) -> Vec<Claim> {
    let all = part
        .ports
        .iter()
        .zip(1..=part.scale)
        .flat_map(|(ports, instance)| ports.iter().map(move |port| (instance, port)));
    let claim = |(instance, port): (u32, &Port)| Claim {
        service: name.clone(),
        instance,
        port: port.name.clone(),
        number: u32::from(port.number),
        protocol: port.protocol,
        place: part
            .base
            .iter()
            .find(|base| base.name == port.name)
            .map_or(&part.service.config.place, |base| &base.place)
            .clone(),
    };
    all.map(claim).collect()
}

/// The value of a variable, where it can be said; what cannot is told elsewhere.
fn variable(layers: &Layers<'_>, key: &str) -> Option<OsString> {
    layers.get(key).ok().flatten().map(environment::os)
}

fn argv(
    config: &crate::services::spec::ServiceConfig,
    layers: &Layers<'_>,
    binary: Option<&Path>,
    dir: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<OsString> {
    let mut fill = |template: &Template| match layers.fill(template) {
        Ok(bytes) => environment::os(bytes),
        Err(problem) => {
            problems.push(problem);
            OsString::new()
        }
    };
    let mut argv: Vec<OsString> = match (&config.program, binary) {
        (Program::Command(words), _) => words.iter().map(&mut fill).collect(),
        (Program::Go(_), Some(binary)) => vec![binary.into()],
        (Program::Go(_), None) => Vec::new(),
    };
    argv.extend(config.args.iter().map(&mut fill));
    if let Some(program) = argv.first_mut() {
        let relative = Path::new(program).is_relative() && program.as_encoded_bytes().contains(&b'/');
        if relative {
            *program = dir.join(&*program).into();
        }
    }
    argv
}
