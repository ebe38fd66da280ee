//! What the engine says of a container's state, in the words of a run.

use bollard::models::ContainerInspectResponse;

use crate::docker::Docker;
use crate::sys::inspect;
use crate::task::outcome::Outcome;

/// The highest number of a signal.
const SIGNALS: i64 = 64;

/// What counts of a container's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) id: String,
    /// It has processes, paused ones too.
    pub(super) running: bool,
    pub(super) paused: bool,
    /// Its first process, as the engine's machine knows it.
    pub(super) pid: u32,
    pub(super) exit_code: i64,
    /// The kernel killed a process of it for want of memory; not always the first.
    pub(super) oom: bool,
    /// In the engine's words.
    pub(super) started_at: String,
    pub(super) finished_at: String,
    /// Why it could not be started, in the engine's words.
    pub(super) error: String,
}

/// Reads it.
pub(super) fn of(facts: &ContainerInspectResponse) -> State {
    let state = facts.state.clone().unwrap_or_default();
    State {
        id: facts.id.clone().unwrap_or_default(),
        running: state.running.unwrap_or(false) || state.restarting.unwrap_or(false),
        paused: state.paused.unwrap_or(false),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        exit_code: state.exit_code.unwrap_or(0),
        oom: state.oom_killed.unwrap_or(false),
        started_at: state.started_at.unwrap_or_default(),
        finished_at: state.finished_at.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
    }
}

impl State {
    /// The pid of its first process where this machine knows it by the same number: an engine may sit on another machine or in a virtual one, and then
    /// that number is somebody else's here. 0 where it does not.
    pub(super) fn local_pid(&self, docker: &Docker) -> u32 {
        let is_it = || inspect::cgroup(self.pid).is_ok_and(|group| group.contains(&self.id));
        if self.pid > 0 && !self.id.is_empty() && docker.is_local() && is_it() { self.pid } else { 0 }
    }

    /// How it ended; `told` where we told it to.
    pub(super) fn outcome(&self, told: bool) -> Outcome {
        let signal = Some(self.exit_code - 128).filter(|signal| (1..=SIGNALS).contains(signal));
        let signal = signal.and_then(|signal| i32::try_from(signal).ok());
        Outcome {
            code: i32::try_from(self.exit_code).ok(),
            signal,
            // Something in it was killed, and it went on to end well.
            oom: self.oom && self.exit_code != 0,
            lost: false,
            killed: told && signal == Some(libc::SIGKILL),
            ended_us: micros(&self.finished_at),
        }
    }
}

/// Microseconds since 1970; `None` for what is no time, and for the year 1 that engines write where there was none.
pub(super) fn micros(time: &str) -> Option<i64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(time.as_microsecond()).filter(|micros| *micros > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_code_and_where_the_engine_says_so_a_signal() {
        let ended = |exit_code, oom, told| {
            let finished_at = "2026-01-02T03:04:05.678901234Z".to_owned();
            State { exit_code, oom, finished_at, ..State::default() }.outcome(told)
        };
        let at = Some(1_767_323_045_678_901);
        let plain = Outcome { code: Some(3), signal: None, oom: false, lost: false, killed: false, ended_us: at };
        assert_eq!(ended(3, false, true), plain);
        assert_eq!(ended(137, true, false), Outcome { code: Some(137), signal: Some(9), oom: true, ..plain.clone() });
        assert_eq!(
            ended(137, false, true),
            Outcome { code: Some(137), signal: Some(9), killed: true, ..plain.clone() }
        );
        assert_eq!(ended(143, false, true), Outcome { code: Some(143), signal: Some(15), ..plain.clone() });
        assert_eq!(
            ended(0, true, false),
            Outcome { code: Some(0), ..plain.clone() },
            "a child was killed, and it ended well"
        );
        assert_eq!(ended(255, false, false), Outcome { code: Some(255), ..plain });
    }

    #[test]
    fn a_time_that_was_never_is_none() {
        assert_eq!(micros("0001-01-01T00:00:00Z"), None);
        assert_eq!(micros(""), None);
        assert_eq!(micros("1970-01-01T00:00:01Z"), Some(1_000_000));
    }
}
