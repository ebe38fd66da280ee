//! One question and its answer, for each way of asking.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::log::LogWatch;
use super::owner::{Connected, Owner};
use super::{Asks, ProbeContext, Standing, exec, http};
use crate::task::spec::{HttpProbe, Probe, ProbeTarget, Protocol, RunSpec};
use crate::worker::Holder;

/// A service that listens nowhere counts as ready once it has been up for so long.
pub(in crate::worker) const SETTLE: Duration = Duration::from_secs(1);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Answer {
    Yes,
    /// One sentence.
    No(String),
    /// It could not be asked, for want of processes, memory or descriptors: this says nothing about the run.
    Unasked(String),
    /// Another process answers on the port.
    Foreign(Holder),
}

/// How processes are asked.
pub(super) struct Processes {
    spec: Arc<RunSpec>,
    owner: Owner,
    log: LogWatch,
    client: http::Client,
}

impl Processes {
    pub(super) fn new(ctx: ProbeContext) -> Processes {
        Processes {
            owner: Owner::new(ctx.pid, ctx.spec.debugger.is_some()),
            log: LogWatch::new(ctx.log_dir, ctx.run),
            client: http::Client::default(),
            spec: ctx.spec,
        }
    }

    /// A declared UDP port accepts nothing; it counts once it is bound.
    async fn accepts(&mut self, port: u16) -> Answer {
        let declared = |protocol| self.spec.ports.iter().any(|p| p.number == port && p.protocol == protocol);
        if declared(Protocol::Udp) && !declared(Protocol::Tcp) {
            return self.owner.bound(port).await;
        }
        match self.owner.connect_local(port).await {
            Connected::Yes(_) => Answer::Yes,
            Connected::No(reason) => Answer::No(reason),
            Connected::Foreign(holder) => Answer::Foreign(holder),
        }
    }
}

impl Asks for Processes {
    async fn ask(&mut self, probe: &Probe, standing: Standing) -> Answer {
        match &probe.target {
            ProbeTarget::Http(http) => {
                let asking = self.client.ask(http, &self.spec.ports, &mut self.owner);
                timeout(probe.timeout, asking).await.unwrap_or_else(|_| silent(http, probe.timeout))
            }
            ProbeTarget::Tcp(port) => {
                let asking = self.accepts(*port);
                timeout(probe.timeout, asking).await.unwrap_or_else(|_| deaf(*port, probe.timeout))
            }
            ProbeTarget::Exec(argv) => exec::ask(argv, &self.spec, probe.timeout).await,
            ProbeTarget::Log(pattern) => self.log.ask(pattern).await,
            ProbeTarget::Listener => match self.owner.any_listener().await {
                true => Answer::Yes,
                false if standing.was_ready => Answer::No("it listens nowhere any more".to_owned()),
                false if standing.up >= SETTLE => Answer::Yes,
                false => Answer::No("it listens nowhere yet".to_owned()),
            },
            // A health check is a container's; a word comes by itself.
            ProbeTarget::Started | ProbeTarget::Health | ProbeTarget::Notify => Answer::Yes,
        }
    }

    fn is_answered_for_good(&self, target: &ProbeTarget) -> bool {
        match target {
            ProbeTarget::Log(_) | ProbeTarget::Notify | ProbeTarget::Started | ProbeTarget::Health => true,
            ProbeTarget::Listener => !self.owner.has_listener(),
            ProbeTarget::Http(_) | ProbeTarget::Tcp(_) | ProbeTarget::Exec(_) => false,
        }
    }

    async fn is_debugged(&self) -> bool {
        self.owner.is_debugged().await
    }

    async fn listening(&mut self) -> Vec<String> {
        self.owner.listening().await
    }

    fn listening_of_known(&self) -> Vec<String> {
        self.owner.listening_of_known()
    }
}

/// A request without an answer.
pub(in crate::worker) fn silent(http: &HttpProbe, within: Duration) -> Answer {
    Answer::No(format!("`{}` gave no answer within {within:?}", http.url))
}

/// A port that neither accepts nor refuses.
pub(in crate::worker) fn deaf(port: u16, within: Duration) -> Answer {
    Answer::No(format!("port {port} did not accept within {within:?}"))
}

/// An answer as a sentence.
pub(super) fn said(answer: &Answer) -> String {
    match answer {
        Answer::Yes => "it answers".to_owned(),
        Answer::No(reason) | Answer::Unasked(reason) => reason.clone(),
        Answer::Foreign(Holder { port, pid: Some(pid), exe: Some(exe) }) => {
            format!("port {port} is held by pid {pid} (`{}`), which is not part of this service", exe.display())
        }
        Answer::Foreign(Holder { port, pid: Some(pid), exe: None }) => {
            format!("port {port} is held by pid {pid}, which is not part of this service")
        }
        Answer::Foreign(Holder { port, pid: None, .. }) => {
            format!("port {port} is held by a process of another user")
        }
    }
}
