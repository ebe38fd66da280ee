//! The states of a task and the one table of transitions between them.

use std::fmt;

/// Where a task is. What is wanted is kept apart, in `Desired`; since when is a third field beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskState {
    /// Not wanted, nothing runs.
    Idle,
    /// Wanted; waits for its needs, its build or a place.
    Queued,
    /// A worker was told to start it.
    Starting,
    /// It has a process and is not, or no longer, ready.
    Running,
    /// Its probe says so.
    Ready,
    /// It was told to end.
    Stopping,
    /// It failed and will be started again after a delay.
    Backoff,
    /// It failed too often and rests.
    Crashloop,
    /// It ran to completion.
    Done,
    /// It failed and stays so.
    Failed,
}

/// What moves a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// It shall run (again).
    Want,
    /// It is no longer wanted and nothing of it runs.
    Forget,
    /// A worker was given it.
    Launch,
    /// It has a process.
    Started,
    /// Its probe succeeded.
    BecameReady,
    /// Its probe failed often enough.
    LostReady,
    /// It was told to end.
    Terminate,
    /// It was told to end and goes on: a debugger holds it.
    Spared,
    /// Its run ended, and the task may be started anew at once.
    EndedAgain,
    /// Its run ended, and nobody wants another.
    EndedUnwanted,
    /// Its run ended; another follows after a delay.
    EndedBackoff,
    /// Its run ended once too often.
    EndedCrashloop,
    /// Its run ended well and for good.
    EndedDone,
    /// Its run ended badly and for good, or something it cannot run without failed.
    EndedFailed,
    /// The delay is over.
    Retry,
}

/// A transition that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// The state it was in.
    pub state: TaskState,
    /// What came.
    pub input: Input,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cannot happen to a task that is {}", self.input, self.state.word())
    }
}

impl TaskState {
    /// Every state.
    pub const ALL: [TaskState; 10] = [
        TaskState::Idle,
        TaskState::Queued,
        TaskState::Starting,
        TaskState::Running,
        TaskState::Ready,
        TaskState::Stopping,
        TaskState::Backoff,
        TaskState::Crashloop,
        TaskState::Done,
        TaskState::Failed,
    ];

    /// The one table.
    pub fn next(self, input: Input) -> Result<TaskState, Illegal> {
        use Input as I;
        use TaskState as S;
        Ok(match (self, input) {
            (S::Idle | S::Done | S::Failed | S::Crashloop | S::Backoff, I::Want) => S::Queued,
            (S::Backoff | S::Crashloop, I::Retry) => S::Queued,
            (S::Idle | S::Queued | S::Backoff | S::Crashloop | S::Done | S::Failed, I::Forget) => S::Idle,
            (S::Queued, I::Launch) => S::Starting,
            (S::Queued, I::EndedFailed) => S::Failed,
            (S::Starting, I::Started) => S::Running,
            (S::Running, I::BecameReady) => S::Ready,
            (S::Ready, I::LostReady) => S::Running,
            (S::Starting | S::Running | S::Ready, I::Terminate) => S::Stopping,
            (S::Stopping, I::Spared) => S::Running,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedAgain) => S::Queued,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedUnwanted) => S::Idle,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedBackoff) => S::Backoff,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedCrashloop) => S::Crashloop,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedDone) => S::Done,
            (S::Starting | S::Running | S::Ready | S::Stopping, I::EndedFailed) => S::Failed,
            (state, input) => return Err(Illegal { state, input }),
        })
    }

    /// A run of it exists: a worker was told to start it and has not reported its end.
    pub fn has_run(self) -> bool {
        matches!(self, TaskState::Starting | TaskState::Running | TaskState::Ready | TaskState::Stopping)
    }

    /// The word in `ps`.
    pub fn word(self) -> &'static str {
        match self {
            TaskState::Idle => "idle",
            TaskState::Queued => "queued",
            TaskState::Starting => "starting",
            TaskState::Running => "running",
            TaskState::Ready => "ready",
            TaskState::Stopping => "stopping",
            TaskState::Backoff => "backoff",
            TaskState::Crashloop => "crashloop",
            TaskState::Done => "done",
            TaskState::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [Input; 15] = [
        Input::Want,
        Input::Forget,
        Input::Launch,
        Input::Started,
        Input::BecameReady,
        Input::LostReady,
        Input::Terminate,
        Input::Spared,
        Input::EndedAgain,
        Input::EndedUnwanted,
        Input::EndedBackoff,
        Input::EndedCrashloop,
        Input::EndedDone,
        Input::EndedFailed,
        Input::Retry,
    ];

    #[test]
    fn the_whole_machine() {
        let mut lines = Vec::new();
        for state in TaskState::ALL {
            let steps: Vec<String> = INPUTS
                .iter()
                .filter_map(|input| state.next(*input).ok().map(|next| format!("{input:?}→{}", next.word())))
                .collect();
            lines.push(format!("{}: {}", state.word(), steps.join(" ")));
        }
        let machine = lines.join("\n");
        insta::assert_snapshot!(machine, @r"
        idle: Want→queued Forget→idle
        queued: Forget→idle Launch→starting EndedFailed→failed
        starting: Started→running Terminate→stopping EndedAgain→queued EndedUnwanted→idle EndedBackoff→backoff EndedCrashloop→crashloop EndedDone→done EndedFailed→failed
        running: BecameReady→ready Terminate→stopping EndedAgain→queued EndedUnwanted→idle EndedBackoff→backoff EndedCrashloop→crashloop EndedDone→done EndedFailed→failed
        ready: LostReady→running Terminate→stopping EndedAgain→queued EndedUnwanted→idle EndedBackoff→backoff EndedCrashloop→crashloop EndedDone→done EndedFailed→failed
        stopping: Spared→running EndedAgain→queued EndedUnwanted→idle EndedBackoff→backoff EndedCrashloop→crashloop EndedDone→done EndedFailed→failed
        backoff: Want→queued Forget→idle Retry→queued
        crashloop: Want→queued Forget→idle Retry→queued
        done: Want→queued Forget→idle
        failed: Want→queued Forget→idle
        ");
    }
}
