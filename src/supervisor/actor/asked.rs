//! What is asked of the actor, and how it answers.

use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::task::{self, JoinError};

use super::{Actor, LAST_LINGER, LINGER};
use crate::error::Error;
use crate::strays::{Finding, Hunt};
use crate::supervisor::engine::Event;
use crate::supervisor::plan::Plan;
use crate::supervisor::{Accepted, Command, Explanation, Request, StartFlags, Verb};
use crate::task::id::ServiceName;

impl Actor {
    pub(super) fn command(&mut self, command: Command) {
        self.linger = match &command {
            Command::Request(request, _) if is_stop_of_all(request) => LAST_LINGER,
            Command::Request(..) | Command::Explain(..) | Command::Leave(_) => LINGER,
        };
        match command {
            Command::Request(request, reply) => self.request(*request, reply),
            Command::Explain(service, reply) => answer(reply, self.explain(&service)),
            Command::Leave(reply) => {
                self.leaving = true;
                answer(reply, ());
            }
        }
    }

    fn request(&mut self, request: Request, reply: oneshot::Sender<Result<Accepted, Error>>) {
        self.mend_home();
        let named = !request.select.is_empty();
        let stops = matches!(request.verb, Verb::Stop { .. });
        let rerun = matches!(request.verb, Verb::Start(StartFlags { rerun: Some(true), .. }));
        let began = SystemTime::now();
        match self.planner.plan(request) {
            Ok(Plan { events, mut services, mut notes, hunt }) => {
                if stops {
                    let resting = services.extract_if(.., |name| self.engine.is_at_rest(name)).filter(|_| named);
                    notes.extend(resting.map(|name| format!("`{name}` was not running")));
                }
                hunt.into_iter().for_each(|hunt| self.begin_hunt(hunt));
                self.watch_anew(began);
                for event in events {
                    self.feed(event);
                }
                let armed = rerun.then(|| self.planner.watch_number());
                answer(reply, Ok(Accepted { services, notes, from: self.engine.seq(), armed }));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// Nothing of these services is started until the hunt is over; the supervisor goes on meanwhile.
    fn begin_hunt(&mut self, hunt: Hunt) {
        let services = hunt.services().to_vec();
        self.feed(Event::Hunt { services: services.clone() });
        let id = self.hunting.spawn_blocking(move || hunt.run()).id();
        self.hunted.insert(id, services);
    }

    pub(super) fn hunt_over(&mut self, over: Result<(task::Id, Vec<Finding>), JoinError>) {
        let (id, findings) = over.unwrap_or_else(|error| {
            self.words.complain(&format!("a search for strays broke: {error}"));
            (error.id(), Vec::new())
        });
        let said = |finding: &Finding| {
            let service = ServiceName::fold(&finding.stray.service)?;
            Some((service, finding.stray.words(&finding.fate)))
        };
        let said = findings.iter().filter_map(said).collect();
        let services = self.hunted.remove(&id).unwrap_or_default();
        self.feed(Event::Hunted { services, said });
    }

    fn explain(&self, service: &ServiceName) -> Option<Explanation> {
        let mut explanation = self.engine.explain(service)?;
        explanation.env = self.planner.visible_env(service);
        explanation.reasons.extend(self.planner.config_trouble().map(|lines| in_one_line(lines)));
        Some(explanation)
    }
}

fn is_stop_of_all(request: &Request) -> bool {
    matches!(request.verb, Verb::Stop { .. }) && request.select.is_empty()
}

/// Replies; whoever asked may have gone away meanwhile, which changes nothing about what was done.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}

fn in_one_line(lines: &[String]) -> String {
    lines.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(": ")
}
