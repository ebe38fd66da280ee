//! One question and its answer, for each way of asking.

use std::time::Duration;

use tokio::time::timeout;

use super::owner::Connected;
use super::{Prober, exec};
use crate::task::spec::{Probe, ProbeTarget, Protocol};
use crate::worker::Holder;

/// A service that listens nowhere counts as ready once it has been up for so long.
const SETTLE: Duration = Duration::from_secs(1);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    /// One sentence.
    No(String),
    /// It could not be asked, for want of processes, memory or descriptors: this says nothing about the run.
    Unasked(String),
    /// Another process answers on the port.
    Foreign(Holder),
}

impl Prober {
    /// Asks once.
    pub(super) async fn ask(&mut self, probe: &Probe) -> Answer {
        let up = self.started.elapsed();
        match &probe.target {
            ProbeTarget::Http(http) => {
                let asking = self.client.ask(http, &self.spec.ports, &mut self.owner);
                match timeout(probe.timeout, asking).await {
                    Ok(answer) => answer,
                    Err(_) => Answer::No(format!("`{}` gave no answer within {:?}", http.url, probe.timeout)),
                }
            }
            ProbeTarget::Tcp(port) => match timeout(probe.timeout, self.accepts(*port)).await {
                Ok(answer) => answer,
                Err(_) => Answer::No(format!("port {port} did not accept within {:?}", probe.timeout)),
            },
            ProbeTarget::Exec(argv) => exec::ask(argv, &self.spec, probe.timeout).await,
            ProbeTarget::Log(pattern) => self.log.ask(pattern).await,
            ProbeTarget::Notify => match &self.notify {
                Some(notify) if *notify.borrow() => Answer::Yes,
                Some(_) | None => Answer::No("it has not sent `READY=1` to NOTIFY_SOCKET".to_owned()),
            },
            ProbeTarget::Listener => match self.owner.any_listener().await {
                true => Answer::Yes,
                false if self.was_ready => Answer::No("it listens nowhere any more".to_owned()),
                false if up >= SETTLE => Answer::Yes,
                false => Answer::No("it listens nowhere yet".to_owned()),
            },
            // Only containers have one, and those are not asked here.
            ProbeTarget::Started | ProbeTarget::Health => Answer::Yes,
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
