//! Probes of one instance: paths become URLs, names of ports become numbers.

use super::environment::{self, BasePort};
use crate::config::env::Layers;
use crate::config::problem::Problem;
use crate::config::template::Template;
use crate::config::values;
use crate::services::spec::{HttpConfig, ProbeConfig, ServiceConfig, Target};
use crate::task::spec::{HttpProbe, Kind, Port, Probe, ProbeTarget, Protocol};

/// The first declared TCP port accepts; without one, the first listener of the group; a job is ready by being started.
pub(super) fn default_probe(kind: Kind, ports: &[Port]) -> Probe {
    let tcp = ports.iter().find(|port| port.protocol == Protocol::Tcp);
    let target = match (kind, tcp) {
        (Kind::Job, _) => ProbeTarget::Started,
        (Kind::Service | Kind::Vendor, Some(port)) => ProbeTarget::Tcp(port.number),
        (Kind::Service | Kind::Vendor, None) => ProbeTarget::Listener,
    };
    Probe {
        target,
        interval: None,
        timeout: std::time::Duration::from_secs(1),
        failures: 3,
        start_period: Default::default(),
    }
}

/// What the probes of one instance depend on.
pub(super) struct Probes<'p> {
    /// The service.
    pub(super) config: &'p ServiceConfig,
    /// Its ports as declared.
    pub(super) base: &'p [BasePort],
    /// Its variables.
    pub(super) layers: &'p Layers<'p>,
    /// The instance's own ports.
    pub(super) ports: &'p [Port],
}

impl Probes<'_> {
    /// Fills in one probe.
    pub(super) fn probe(&self, config: &ProbeConfig) -> Result<Probe, Problem> {
        let target = match &config.target {
            Target::Http(http) => ProbeTarget::Http(self.http(config, http)?),
            Target::Tcp(port) => ProbeTarget::Tcp(self.tcp(config, port)?),
            Target::Exec(argv) => ProbeTarget::Exec(argv.clone()),
            Target::Log(regex) => ProbeTarget::Log(regex.clone()),
            Target::Notify => ProbeTarget::Notify,
        };
        let ProbeConfig { interval, timeout, failures, start_period, .. } = *config;
        Ok(Probe { target, interval, timeout, failures, start_period })
    }

    /// A port by name, or by number: the number of a port in the file means this instance's own.
    fn tcp(&self, config: &ProbeConfig, template: &Template) -> Result<u16, Problem> {
        let text = self.layers.fill_text(template)?;
        if let Some(port) = self.ports.iter().find(|port| port.name == text.trim()) {
            return Ok(port.number);
        }
        match values::port(text.trim()) {
            Ok((values::PortNumber::Fixed(number), Protocol::Tcp)) => {
                let declared = self.base.iter().position(|base| base.number == values::PortNumber::Fixed(number));
                let own = declared.and_then(|index| self.ports.get(index)).map(|port| port.number);
                Ok(own.filter(|_| template.constant().is_some()).unwrap_or(number))
            }
            _ => {
                let place = template.place().unwrap_or(&config.place);
                Err(Problem::at(
                    place,
                    format!("`tcp`: `{text}` is neither a port's number nor the name of one of this service's ports"),
                ))
            }
        }
    }

    fn http(&self, config: &ProbeConfig, http: &HttpConfig) -> Result<HttpProbe, Problem> {
        let text = self.layers.fill_text(&http.url)?;
        let place = http.url.place().unwrap_or(&config.place);
        let (url, own_port) = if text.starts_with('/') {
            let main = environment::main_port(self.ports);
            let port = main
                .ok_or_else(|| Problem::at(place, format!("`{text}` needs a port to ask, and the service has none")))?;
            (format!("http://127.0.0.1:{}{text}", port.number), Some(port.number))
        } else if text.starts_with("http://") || text.starts_with("https://") {
            let own = local_port(&text).filter(|number| self.ports.iter().any(|port| port.number == *number));
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
            ca: http.ca.as_ref().map(|ca| self.config.folder.join(ca)),
            own_port,
        })
    }
}

/// The port of a URL on this machine.
pub(super) fn local_port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]" | "0.0.0.0").then_some(port)
}
