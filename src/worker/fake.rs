//! A worker that runs nothing: builds succeed, runs are ready at once and end when they are told to, jobs at once. For tests of what stands above workers.

use std::collections::HashMap;

use super::{Outcome, RunReport, Signal, Sink, TestOutcome, Work, Worker};
use crate::task::id::{Artifact, InstanceId, RunId};
use crate::task::spec::ProbeTarget;

/// Does what it is told, at once.
pub struct FakeWorker {
    sink: Sink,
    live: HashMap<RunId, InstanceId>,
}

impl FakeWorker {
    /// A worker that reports to `sink`, whose channel must have room: a report that finds none is lost.
    pub fn new(sink: Sink) -> FakeWorker {
        FakeWorker { sink, live: HashMap::new() }
    }

    fn report(&self, run: RunId, report: RunReport) {
        assert!(self.sink.try_send((run, report)).is_ok(), "a fake worker's channel is full or closed");
    }
}

impl Worker for FakeWorker {
    fn start(&mut self, run: RunId, work: Work) {
        match work {
            Work::Run { spec, .. } => {
                self.live.insert(run, spec.instance.clone());
                self.report(run, RunReport::Started { pid: run.0 as u32 });
                self.report(run, RunReport::Ready(true));
                if spec.ready.target == ProbeTarget::Started {
                    // A job: it has nothing to do.
                    self.signal(run, Signal::Stop { grace: None, spare: false });
                }
            }
            Work::Build(batch) => {
                let result = |key: &crate::task::id::BuildKey| (key.clone(), Ok(Artifact("fake".to_owned())));
                self.report(run, RunReport::Built(batch.members.iter().map(|member| result(&member.key)).collect()));
            }
            Work::Test(_) => self.report(run, RunReport::Tested(TestOutcome { passed: 1, ..TestOutcome::default() })),
        }
    }

    fn signal(&mut self, run: RunId, signal: Signal) {
        let code = match signal {
            Signal::Stop { .. } => {
                Outcome { code: Some(0), signal: None, oom: false, lost: false, killed: false, ended_us: None }
            }
            Signal::Kill => {
                Outcome { code: None, signal: Some(9), oom: false, lost: false, killed: false, ended_us: None }
            }
            Signal::Send(_) => return,
        };
        if self.live.remove(&run).is_some() {
            self.report(run, RunReport::Exited(code));
        }
    }

    fn is_at_rest(&self) -> bool {
        self.live.is_empty()
    }
}
