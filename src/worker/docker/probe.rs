//! Asks a container whether it is ready and alive: when is as for processes, how is the container's own.

mod check;
mod door;
mod inside;

use std::sync::Arc;

use bollard::models::ContainerInspectResponse;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::check::Check;
use self::door::Ways;
use self::inside::Inside;
use crate::docker::Docker;
use crate::sys::home::Home;
use crate::task::id::RunId;
use crate::task::spec::{Port, Probe, ProbeTarget, RunSpec};
use crate::worker::Sink;
use crate::worker::probe::ask::{Answer, SETTLE, deaf, silent};
use crate::worker::probe::exec;
use crate::worker::probe::http::Client;
use crate::worker::probe::log::LogWatch;
use crate::worker::probe::{Asks, Manner, Standing, spawn_with};

/// Who is asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The engine.
    pub(super) docker: Docker,
    /// Reports carry it.
    pub(super) run: RunId,
    /// What runs, and how it is asked.
    pub(super) spec: Arc<RunSpec>,
    /// What the engine said of it once it ran: its id, its addresses, its ports, its image's check.
    pub(super) facts: Arc<ContainerInspectResponse>,
    /// Where its log is.
    pub(super) home: Home,
}

/// Begins to ask a container. While the engine cannot be reached nothing that needs it is asked, and nothing is said about readiness. The task ends by
/// itself when nothing is left to ask or nobody listens any more; it is aborted when the run ends, or the container was started anew.
pub(super) fn spawn(asked: Asked, sink: Sink) -> JoinHandle<()> {
    let Asked { docker, run, spec, facts, home } = asked;
    let container = spec.container.clone().unwrap_or_default();
    let health = |probe: &Probe| check::of(probe, container.check.as_ref(), &facts, &container.published);
    let ready = health(&spec.ready);
    let live = spec.live.as_ref().map(health);
    let manner = Manner {
        ready: ready.probe,
        live: live.map(|live| live.probe),
        hurry: ready.hurry,
        notify: None,
        has_debugger: false,
    };
    let asks = Containers {
        ways: Ways::of(&facts, &container.published),
        inside: Inside::new(docker, facts.id.clone().unwrap_or_default()),
        log: LogWatch::new(home.instance_logs(&spec.instance), run),
        client: Client::default(),
        health: ready.check,
        own: container.program.as_ref().map(|_| RunSpec { env: container.hook_env.clone(), ..(*spec).clone() }),
    };
    spawn_with(run, manner, asks, sink)
}

/// How a container is asked.
struct Containers {
    ways: Ways,
    inside: Inside,
    log: LogWatch,
    client: Client,
    /// What its health check comes down to.
    health: Check,
    /// It runs a program of ours, and programs that ask it run on this machine, as they do for a process: in its image there is none.
    own: Option<RunSpec>,
}

impl Containers {
    async fn ask_health(&mut self, probe: &Probe, standing: Standing) -> Answer {
        match &self.health {
            Check::Inside { argv, words } => self.inside.ask(argv, words, probe.timeout).await,
            Check::Ports(ports) => {
                let ports = ports.clone();
                self.any_accepts(&ports, probe).await
            }
            Check::Up if standing.up >= SETTLE => Answer::Yes,
            Check::Up => Answer::No("it has been up for less than a second".to_owned()),
        }
    }

    /// The first word of those that say no.
    async fn any_accepts(&self, ports: &[u16], probe: &Probe) -> Answer {
        let mut first = None;
        for port in ports {
            match self.accepts(*port, probe).await {
                Answer::Yes => return Answer::Yes,
                no => _ = first.get_or_insert(no),
            }
        }
        first.unwrap_or_else(|| Answer::No("it has no port to ask".to_owned()))
    }

    async fn accepts(&self, port: u16, probe: &Probe) -> Answer {
        match timeout(probe.timeout, self.ways.accepts(port)).await {
            Ok(Ok(())) => Answer::Yes,
            Ok(Err(reason)) if self.own.is_some() => {
                Answer::No(format!("{reason}; a service in a container must listen on all addresses (`:{port}`)"))
            }
            Ok(Err(reason)) => Answer::No(reason),
            Err(_) => deaf(port, probe.timeout),
        }
    }
}

impl Asks for Containers {
    async fn ask(&mut self, probe: &Probe, standing: Standing) -> Answer {
        match &probe.target {
            ProbeTarget::Health | ProbeTarget::Listener => self.ask_health(probe, standing).await,
            ProbeTarget::Http(http) => {
                const NONE: &[Port] = &[];
                let asking = self.client.ask(http, NONE, &mut self.ways);
                timeout(probe.timeout, asking).await.unwrap_or_else(|_| silent(http, probe.timeout))
            }
            ProbeTarget::Tcp(port) => self.accepts(*port, probe).await,
            ProbeTarget::Exec(argv) if let Some(here) = &self.own => exec::ask(argv, here, probe.timeout).await,
            ProbeTarget::Exec(argv) => self.inside.ask(argv, &argv.join(" "), probe.timeout).await,
            ProbeTarget::Log(pattern) => self.log.ask(pattern).await,
            // A container hears of no `NOTIFY_SOCKET`, which is said when its file is read.
            ProbeTarget::Started | ProbeTarget::Notify => Answer::Yes,
        }
    }

    fn is_answered_for_good(&self, target: &ProbeTarget) -> bool {
        match target {
            ProbeTarget::Log(_) | ProbeTarget::Notify | ProbeTarget::Started => true,
            ProbeTarget::Health | ProbeTarget::Listener => self.health == Check::Up,
            ProbeTarget::Http(_) | ProbeTarget::Tcp(_) | ProbeTarget::Exec(_) => false,
        }
    }

    async fn is_debugged(&self) -> bool {
        false
    }

    /// Its published ports are known without asking, and told elsewhere.
    async fn listening(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn listening_of_known(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
