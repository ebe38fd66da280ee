//! Readiness and liveness of a container: a port in a probe is the container's.

use std::path::Path;
use std::time::Duration;

use crate::config::env::Layers;
use crate::config::problem::Problem;
use crate::config::values;
use crate::project::probes::local_port;
use crate::services::spec::{HttpConfig, ProbeConfig, Target};
use crate::task::container::HealthCheck;
use crate::task::spec::{HttpProbe, Kind, Probe, ProbeTarget, Protocol};
use crate::vendors::spec::VendorConfig;

/// By its health check, in the rhythm it gives; a job is ready by being started.
pub(super) fn default_probe(config: &VendorConfig) -> Probe {
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
pub(super) struct Ask<'p> {
    pub(super) layers: &'p Layers<'p>,
    pub(super) config: &'p VendorConfig,
    pub(super) folder: &'p Path,
}

impl Ask<'_> {
    pub(super) fn probe(&self, config: &ProbeConfig) -> Result<Probe, Problem> {
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
            let own = local_port(&text);
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
