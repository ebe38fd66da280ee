//! How a container is made: a spec in the words of the engine. Pure.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, ImageInspect,
    MountPoint, MountType, MountVolumeOptions, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
};
use bollard::models::{Mount as Mounted, MountBindOptions, MountBindOptionsPropagationEnum};

use super::own;
use crate::docker::labels;
use crate::task::container::{ContainerSpec, HealthCheck, HealthTest, Mount, Network, Source};
use crate::task::id::RunId;
use crate::task::spec::{Protocol, RunSpec};

/// The engine itself asks so often where nobody says how often: its own 30 s tell `docker ps` too late.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// … and at most so often, whoever says what: we ask as often as is said, and two who do so slow a start down.
const CHECK_LEAST: Duration = Duration::from_secs(1);
/// The engine keeps what nobody has read yet: enough for a flood while no supervisor runs, and not without end. Whatever the engine is set to, this can be read.
const LOG_BOUNDS: [(&str, &str); 2] = [("max-size", "100m"), ("max-file", "2")];
/// Engines from this API on can check more often while a container starts.
const START_INTERVAL: (usize, usize) = (1, 44);

/// What goes into a container beside its spec.
pub(super) struct Around<'a> {
    /// The project's root.
    pub(super) root: &'a Path,
    /// The run that makes it.
    pub(super) run: RunId,
    /// The project's network, where it is on that.
    pub(super) network: Option<&'a str>,
    /// Volumes without a name of the container it replaces: what is in them goes on.
    pub(super) handed_on: &'a [(String, String)],
    /// The engine's newest API.
    pub(super) api: (usize, usize),
    /// The image that was made for it, where that is ours.
    pub(super) image: Option<&'a str>,
    /// Paths of this machine mean something to the engine.
    pub(super) is_here: bool,
}

/// The whole body of the request that makes it.
pub(super) fn body(spec: &RunSpec, container: &ContainerSpec, around: &Around<'_>) -> ContainerCreateBody {
    let env = spec.env.iter().map(|(key, value)| format!("{}={}", key.to_string_lossy(), value.to_string_lossy()));
    let ports = container.published.iter().map(|port| port_key(port.container, port.protocol));
    let own = container.program.as_ref();
    ContainerCreateBody {
        image: Some(around.image.unwrap_or(&container.image).to_owned()),
        entrypoint: container.entrypoint.as_deref().map(cleared),
        cmd: own.map(|program| program.args.clone()).or_else(|| container.command.clone()),
        user: own.map(|_| own::user(container)).or_else(|| container.user.clone()),
        working_dir: container.working_dir.clone(),
        hostname: container.hostname.clone(),
        domainname: container.domainname.clone(),
        env: Some(env.collect()),
        labels: Some(all_labels(spec, container, around)),
        exposed_ports: Some(ports.collect::<std::collections::BTreeSet<_>>().into_iter().collect()),
        tty: Some(spec.tty),
        open_stdin: Some(container.stdin_open),
        healthcheck: container.check.as_ref().and_then(|check| health(check, around.api)),
        stop_signal: container.stop_signal.clone(),
        stop_timeout: Some(i64::try_from(spec.stop.grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)),
        host_config: Some(host(spec, container, around)),
        networking_config: around.network.map(|network| on_network(network, container)),
        ..ContainerCreateBody::default()
    }
}

/// An empty list clears an image's entry point; the engine wants an empty word for that.
fn cleared(entrypoint: &[String]) -> Vec<String> {
    if entrypoint.is_empty() { vec![String::new()] } else { entrypoint.to_vec() }
}

fn all_labels(spec: &RunSpec, container: &ContainerSpec, around: &Around<'_>) -> HashMap<String, String> {
    let ours = [
        (labels::ROOT, around.root.display().to_string()),
        (labels::NAME, container.project.clone()),
        (labels::INSTANCE, spec.instance.to_string()),
        (labels::RUN, around.run.to_string()),
        (labels::SETTINGS, spec.settings.0.clone()),
    ];
    let known = |name: &String| around.handed_on.iter().any(|(_, handed)| handed == name);
    let handed: Vec<String> =
        handed(container, around.handed_on).into_iter().filter_map(|mount| mount.source.filter(known)).collect();
    let handed = (!handed.is_empty()).then(|| (labels::HANDED, handed.join(",")));
    // Ours win: by them it is found again.
    let theirs = container.labels.iter().cloned();
    theirs.chain(ours.into_iter().chain(handed).map(|(key, value)| (key.to_owned(), value))).collect()
}

fn host(spec: &RunSpec, container: &ContainerSpec, around: &Around<'_>) -> HostConfig {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let (binds, mut mounts) = match own::is_apart(container, around.is_here) {
        true => (Vec::new(), Vec::new()),
        false => seen(container),
    };
    mounts.extend(handed(container, around.handed_on));
    HostConfig {
        binds: (!binds.is_empty()).then_some(binds),
        mounts: (!mounts.is_empty()).then_some(mounts),
        tmpfs: tmpfs(container),
        port_bindings: Some(bindings(container)),
        network_mode: Some(match (&container.network, around.network) {
            (Network::Host, _) => "host".to_owned(),
            (Network::None, _) => "none".to_owned(),
            (Network::Project { .. }, network) => network.unwrap_or("bridge").to_owned(),
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(LOG_BOUNDS.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        }),
        memory: spec.resources.memory_limit().and_then(|bytes| i64::try_from(bytes).ok()),
        memory_swap: container.memory_swap,
        nano_cpus: spec.resources.cpu_limit().map(|cores| (cores * 1e9) as i64),
        pids_limit: container.pids_limit,
        shm_size: container.shm_size.and_then(|bytes| i64::try_from(bytes).ok()),
        init: container.init,
        privileged: Some(container.privileged),
        readonly_rootfs: Some(container.read_only),
        cap_add: some(&container.cap_add),
        cap_drop: some(&container.cap_drop),
        security_opt: some(&container.security_opt),
        group_add: some(&container.group_add),
        extra_hosts: some(&container.extra_hosts),
        dns: some(&container.dns),
        sysctls: (!container.sysctls.is_empty()).then(|| container.sysctls.iter().cloned().collect()),
        ulimits: (!container.ulimits.is_empty()).then(|| ulimits(container)),
        devices: (!container.devices.is_empty()).then(|| container.devices.iter().map(|text| device(text)).collect()),
        ..HostConfig::default()
    }
}

/// Binds whose folder may be missing go the old way, which makes it; everything else is a mount.
fn seen(container: &ContainerSpec) -> (Vec<String>, Vec<Mounted>) {
    let (mut binds, mut mounts) = (Vec::new(), Vec::new());
    for mount in &container.mounts {
        match &mount.source {
            Source::Bind { path, create, propagation, relabel } => {
                let path = path.to_string_lossy();
                // Only this way knows of SELinux; a path with a colon cannot be said in it.
                if (*create || relabel.is_some()) && !path.contains(':') && !mount.target.contains(':') {
                    let access = if mount.read_only { "ro" } else { "rw" }.to_owned();
                    let options = std::iter::once(access).chain(relabel.map(String::from)).chain(propagation.clone());
                    binds.push(format!("{path}:{}:{}", mount.target, options.collect::<Vec<_>>().join(",")));
                } else {
                    mounts.push(bind(mount, &path, propagation.as_deref()));
                }
            }
            Source::Volume { name, nocopy, .. } => {
                let options = MountVolumeOptions { no_copy: Some(*nocopy), ..MountVolumeOptions::default() };
                mounts.push(Mounted {
                    typ: Some(MountType::VOLUME),
                    source: Some(name.clone()),
                    target: Some(mount.target.clone()),
                    read_only: Some(mount.read_only),
                    volume_options: Some(options),
                    ..Mounted::default()
                });
            }
            // One that is handed on stands for it.
            Source::Anonymous | Source::Tmpfs { .. } => {}
        }
    }
    (binds, mounts)
}

fn bind(mount: &Mount, path: &str, propagation: Option<&str>) -> Mounted {
    let options = propagation.and_then(|text| text.parse::<MountBindOptionsPropagationEnum>().ok());
    Mounted {
        typ: Some(MountType::BIND),
        source: Some(path.to_owned()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: options
            .map(|propagation| MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() }),
        ..Mounted::default()
    }
}

/// Volumes without a name: those of the container before it, and new ones where it had none.
fn handed(container: &ContainerSpec, handed_on: &[(String, String)]) -> Vec<Mounted> {
    let volume = |target: &str, source: Option<String>, read_only: bool| Mounted {
        typ: Some(MountType::VOLUME),
        source,
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mounted::default()
    };
    let wants = |target: &str| container.mounts.iter().find(|mount| same_place(&mount.target, target));
    let old = handed_on.iter().filter_map(|(target, name)| match wants(target) {
        None => Some(volume(target, Some(name.clone()), false)),
        Some(mount) if mount.source == Source::Anonymous => Some(volume(target, Some(name.clone()), mount.read_only)),
        // Something else is seen there now.
        Some(_) => None,
    });
    let is_new = |mount: &&Mount| {
        mount.source == Source::Anonymous && !handed_on.iter().any(|(target, _)| same_place(&mount.target, target))
    };
    let new = container.mounts.iter().filter(is_new).map(|mount| volume(&mount.target, None, mount.read_only));
    old.chain(new).collect()
}

fn same_place(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// The volumes without a name of a container: where each is seen, and what the engine knows it by.
pub(super) fn anonymous(mounts: &[MountPoint]) -> Vec<(String, String)> {
    let nameless = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of = |mount: &MountPoint| {
        let name = mount.name.clone().filter(|name| nameless(name))?;
        (mount.typ.as_deref() == Some("volume")).then_some((mount.destination.clone()?, name))
    };
    mounts.iter().filter_map(of).collect()
}

fn tmpfs(container: &ContainerSpec) -> Option<HashMap<String, String>> {
    let of = |mount: &Mount| {
        let Source::Tmpfs { size, mode, options } = &mount.source else { return None };
        let parts = [
            mount.read_only.then(|| "ro".to_owned()),
            size.map(|bytes| format!("size={bytes}")),
            mode.map(|mode| format!("mode={mode:o}")),
            options.clone().filter(|options| !options.is_empty()),
        ];
        Some((mount.target.clone(), parts.into_iter().flatten().collect::<Vec<_>>().join(",")))
    };
    let all: HashMap<_, _> = container.mounts.iter().filter_map(of).collect();
    (!all.is_empty()).then_some(all)
}

fn port_key(port: u16, protocol: Protocol) -> String {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{port}/{protocol}")
}

fn bindings(container: &ContainerSpec) -> PortMap {
    let mut all = PortMap::new();
    for port in &container.published {
        let binding = PortBinding { host_ip: Some(port.address.clone()), host_port: Some(port.host.to_string()) };
        let list = all.entry(port_key(port.container, port.protocol)).or_default();
        list.get_or_insert_default().push(binding);
    }
    all
}

fn on_network(network: &str, container: &ContainerSpec) -> NetworkingConfig {
    let aliases = match &container.network {
        Network::Project { aliases } => aliases.clone(),
        Network::Host | Network::None => Vec::new(),
    };
    let settings = EndpointSettings { aliases: Some(aliases), ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

/// Nothing where the image's own check is to run as it is.
fn health(check: &HealthCheck, api: (usize, usize)) -> Option<HealthConfig> {
    let test = match &check.test {
        HealthTest::Image => None,
        HealthTest::Off => return Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        HealthTest::Exec(words) => Some(std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect()),
        HealthTest::Shell(line) => Some(vec!["CMD-SHELL".to_owned(), line.clone()]),
    };
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let interval = check.interval.map(|time| time.max(CHECK_LEAST)).or_else(|| test.is_some().then_some(CHECK_EVERY));
    Some(HealthConfig {
        test,
        interval: interval.map(nanos),
        timeout: check.timeout.map(nanos),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanos),
        start_interval: check.start_interval.filter(|_| api >= START_INTERVAL).map(nanos),
    })
}

fn ulimits(container: &ContainerSpec) -> Vec<ResourcesUlimits> {
    let one = |(name, soft, hard): &(String, i64, i64)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    };
    container.ulimits.iter().map(one).collect()
}

/// `/dev/x:/dev/y:rwm`; what is left out is the same, and every right.
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.split(':').map(str::to_owned);
    let host = parts.next();
    let inside = parts.next().or_else(|| host.clone());
    let rights = parts.next().or_else(|| Some("rwm".to_owned()));
    DeviceMapping { path_on_host: host, path_in_container: inside, cgroup_permissions: rights }
}

/// The id of an image, `sha256:…`.
pub(super) fn image_id(image: &ImageInspect) -> String {
    image.id.clone().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;
