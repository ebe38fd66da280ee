//! From a vendor's section and a caller to a complete spec: its ports on this machine, its environment, its mounts, its probes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::clashes::Claim;
use super::environment::{LOCAL, Shared};
use super::ports::AutoPorts;
use super::resolve::{CallerEnv, Overrides, ResolveInput, Resolver};
use super::vendors::Vendor;
use super::{Project, check, environment, probes, settings};
use crate::config::env::{self, Layer, Layers, Origin, Raw, Variable};
use crate::config::problem::Problem;
use crate::config::values;
use crate::docker::labels;
use crate::services::spec::{HttpConfig, ProbeConfig, Target};
use crate::task::container::{ContainerSpec, HealthCheck, Mount, Network, Published, Source};
use crate::task::environment::Environment;
use crate::task::id::{InstanceId, ServiceName, Settings};
use crate::task::spec::{Condition, HttpProbe, Kind, Need, Port, Probe, ProbeTarget, Protocol, RunSpec, ServiceSpec};
use crate::vendors::read;
use crate::vendors::spec::{Dialect, MountConfig, PortConfig, SourceConfig, VendorConfig};

/// What is known of one vendor before its container is.
pub(super) struct VendorPart<'a> {
    pub(super) vendor: &'a Vendor,
    pub(super) wanted: bool,
    caller: Arc<CallerEnv>,
    layers: OfVendor,
    /// The ports of this machine, in the order of the file.
    pub(super) ports: Vec<Port>,
    published: Vec<Published>,
    declared: Vec<PortConfig>,
}

/// The layers of one vendor.
struct OfVendor {
    /// The `.env` beside its Compose file.
    beside: Layer,
    /// The caller's, which beats that.
    caller: Layer,
    file: Layer,
    own: Layer,
    line: Layer,
}

impl OfVendor {
    fn new(vendor: &Vendor, caller: &CallerEnv, line: &[(OsString, OsString)]) -> OfVendor {
        let template =
            |(key, value): (&str, &crate::config::template::Template)| (key.into(), Raw::Template(value.clone()));
        let own = vendor.config.env.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_ref()?)));
        let file = |pairs: &[(String, crate::config::template::Template)]| -> Layer {
            pairs.iter().map(|(key, value)| template((key.as_str(), value))).collect()
        };
        OfVendor {
            beside: file(&vendor.head.dotenv),
            caller: env::exact(&caller.env),
            file: file(&vendor.file_env),
            own: own.map(template).collect(),
            line: env::exact(line),
        }
    }
}

impl VendorPart<'_> {
    /// What the variables of its section mean, its own environment not counted.
    fn outer<'s>(&'s self, shared: &'s Shared) -> Layers<'s> {
        outer(self.vendor.dialect, &self.layers, shared, &self.caller)
    }

    /// What its container finds in its environment.
    pub(super) fn variables(&self, shared: &Shared) -> Result<BTreeMap<OsString, Variable>, Vec<Problem>> {
        let (own, outer) = (&self.layers, self.outer(shared));
        let mut all = self.outer(shared);
        all.push(Origin::ServiceFile, &own.file);
        if self.vendor.dialect == Dialect::Project {
            all.push(Origin::Service, &own.own);
        }
        let (mut out, mut problems) = (BTreeMap::new(), Vec::new());
        let mut set = |key: &str, origin: Origin, value: Result<Option<Vec<u8>>, Problem>| match value {
            Ok(Some(value)) => drop(out.insert(key.into(), Variable { origin, value: environment::os(value) })),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        };
        for (key, _) in self.vendor.file_env.iter().filter(|(key, _)| !own.own.contains_key(std::ffi::OsStr::new(key)))
        {
            set(key, Origin::ServiceFile, all.get(key));
        }
        for (key, value) in &self.vendor.config.env {
            let value = match (value, self.vendor.dialect) {
                (None, _) => outer.get(key),
                // Of a Compose file no variable sees another one of the same container.
                (Some(value), Dialect::Compose) => outer.fill(value).map(Some),
                (Some(_), Dialect::Project) => all.get(key),
            };
            set(key, Origin::Service, value);
        }
        for (key, value) in &own.line {
            if let Raw::Exact(value) = value {
                out.insert(key.clone(), Variable { origin: Origin::Line, value: value.clone() });
            }
        }
        if problems.is_empty() { Ok(out) } else { Err(problems) }
    }

    /// The address under which this machine's services find it.
    pub(super) fn host(&self) -> &str {
        let main = environment::main_port(&self.ports).map(|port| port.number);
        let published = self.published.iter().find(|published| Some(published.host) == main);
        match published.map_or(LOCAL, |published| published.address.as_str()) {
            "0.0.0.0" => LOCAL,
            "::" => "::1",
            address => address,
        }
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        let of = |(port, declared): (&Port, &PortConfig)| Claim {
            service: self.vendor.config.name.clone(),
            instance: 0,
            port: port.name.clone(),
            number: u32::from(port.number),
            protocol: port.protocol,
            place: declared.at.0.clone(),
        };
        self.ports.iter().zip(&self.declared).map(of).collect()
    }
}

/// The layers of whoever starts it and of the project, or of the `.env` beside its Compose file.
fn outer<'s>(dialect: Dialect, own: &'s OfVendor, shared: &'s Shared, caller: &Arc<CallerEnv>) -> Layers<'s> {
    match dialect {
        Dialect::Project => shared.of_project(caller),
        Dialect::Compose => {
            let mut layers = Layers::default();
            layers.push(Origin::ProjectFile, &own.beside);
            layers.push(Origin::Caller, &own.caller);
            layers
        }
    }
}

/// What must be known of a vendor before others find it.
pub(super) fn part<'a>(
    vendor: &'a Vendor,
    wanted: bool,
    shared: &Shared,
    offset: i32,
    input: &mut ResolveInput<'_>,
) -> Result<VendorPart<'a>, Vec<Problem>> {
    let name = &vendor.config.name;
    let none = Overrides::default();
    let overrides = input.overrides.get(name).unwrap_or(&none);
    let caller = input.callers.get(name).unwrap_or(&input.default_caller).clone();
    let layers = OfVendor::new(vendor, &caller, &overrides.env);
    let offset = overrides.port_offset.unwrap_or(offset);
    let (declared, network) = {
        let outer = outer(vendor.dialect, &layers, shared, &caller);
        read::reach(&vendor.config, &vendor.tree, vendor.dialect, &mut |key| outer.get(key))?
    };
    let (mut ports, mut published) = (Vec::new(), Vec::new());
    for port in &declared {
        // On this machine's own network nothing is published: it listens where it listens.
        let number = match network {
            Network::Host => port.container,
            Network::Project { .. } | Network::None => {
                host_port(name, port, offset, input.auto_ports).map_err(|problem| vec![problem])?
            }
        };
        ports.push(Port { name: port.name(), number, protocol: port.protocol });
        let address = port.address.clone().unwrap_or_else(|| LOCAL.to_owned());
        published.push(Published { address, host: number, container: port.container, protocol: port.protocol });
    }
    if network == Network::Host {
        published.clear();
    }
    Ok(VendorPart { vendor, wanted, caller, layers, ports, published, declared })
}

fn host_port(name: &ServiceName, port: &PortConfig, offset: i32, auto: &mut dyn AutoPorts) -> Result<u16, Problem> {
    let Some(fixed) = port.host else {
        return auto
            .port(name, &port.name(), 1, port.protocol)
            .map_err(|message| Problem::at(&port.at.0, format!("`{name}`: {message}")));
    };
    let number = i32::from(fixed) + offset;
    u16::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
        let message = format!("`{name}` would be published on port {number}, which does not exist");
        Problem::at(&port.at.0, message).hint("the port offset is added to the port in the file")
    })
}

impl Resolver<'_> {
    pub(super) fn vendor(&self, name: &ServiceName) -> Result<ServiceSpec, Vec<Problem>> {
        // One that is missing here has its problems told already.
        let Some(part) = self.vendors.get(name) else { return Err(Vec::new()) };
        let vendor = part.vendor;
        let config = {
            let own = self.own_of_vendor(name);
            let mut layers = part.outer(&self.shared);
            if vendor.dialect == Dialect::Project {
                layers.push(Origin::ServiceFile, &part.layers.file);
                layers.push(Origin::Service, &part.layers.own);
                layers.push(Origin::Line, &part.layers.line);
                layers.push(Origin::Orchestra, &own);
            }
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
        let need = |need: &crate::services::spec::NeedConfig| Need {
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
        if let Network::Project { aliases } = &mut out.network {
            let name = config.name.as_str();
            aliases.retain(|alias| alias != name);
            aliases.insert(0, name.to_owned());
        }
        out.project.clone_from(&self.project.name);
        // Also the engine is found by it, and the passwords of registries are.
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

/// By its health check, in the rhythm it gives; a job is ready by being started.
fn default_probe(config: &VendorConfig) -> Probe {
    let check = config.container.check.as_ref();
    let of = |time: fn(&HealthCheck) -> Option<Duration>| check.and_then(time);
    Probe {
        target: if config.kind == Kind::Job { ProbeTarget::Started } else { ProbeTarget::Health },
        interval: of(|check| check.interval),
        timeout: of(|check| check.timeout).unwrap_or(Duration::from_secs(30)),
        failures: check.and_then(|check| check.retries).unwrap_or(3),
        start_period: of(|check| check.start_period).unwrap_or_default(),
    }
}

/// What the probes of a container depend on. A port in them is the container's.
struct Ask<'p> {
    layers: &'p Layers<'p>,
    config: &'p VendorConfig,
    folder: &'p Path,
}

impl Ask<'_> {
    fn probe(&self, config: &ProbeConfig) -> Result<Probe, Problem> {
        let target = match &config.target {
            Target::Http(http) => ProbeTarget::Http(self.http(config, http)?),
            Target::Tcp(template) => {
                let text = self.layers.fill_text(template)?;
                match values::port(text.trim()) {
                    Ok((values::PortNumber::Fixed(number), Protocol::Tcp)) => ProbeTarget::Tcp(number),
                    Ok(_) | Err(_) => {
                        let place = template.place().unwrap_or(&config.place);
                        return Err(Problem::at(place, format!("`tcp`: `{text}` is not a port of the container")));
                    }
                }
            }
            Target::Exec(argv) => ProbeTarget::Exec(argv.clone()),
            Target::Log(regex) => ProbeTarget::Log(regex.clone()),
            Target::Notify => ProbeTarget::Notify,
        };
        let ProbeConfig { interval, timeout, failures, start_period, .. } = *config;
        Ok(Probe { target, interval, timeout, failures, start_period })
    }

    /// A path is asked on the first port; a URL of this machine means the container, too.
    fn http(&self, config: &ProbeConfig, http: &HttpConfig) -> Result<HttpProbe, Problem> {
        let text = self.layers.fill_text(&http.url)?;
        let place = http.url.place().unwrap_or(&config.place);
        let (url, own_port) = if text.starts_with('/') {
            let first = self.config.ports.iter().find(|port| port.protocol == Protocol::Tcp).ok_or_else(|| {
                let problem = Problem::at(place, format!("`{text}` needs a port to ask, and the vendor has none"));
                problem.hint("give it `ports: [\"8222\"]`, or write the whole URL: `http://localhost:8222/healthz`")
            })?;
            (format!("http://127.0.0.1:{}{text}", first.container), Some(first.container))
        } else if text.starts_with("http://") || text.starts_with("https://") {
            let own = probes::local_port(&text);
            (text, own)
        } else {
            return Err(Problem::at(place, format!("`http` must be a path or a URL, not `{text}`")));
        };
        Ok(HttpProbe {
            url,
            status: http.status,
            body: http.body.clone(),
            headers: http.headers.clone(),
            insecure: http.insecure,
            ca: http.ca.as_ref().map(|ca| self.folder.join(ca)),
            own_port,
        })
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
