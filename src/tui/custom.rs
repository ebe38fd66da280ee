//! Commands of the project (`commands:` of orchestra.yml) as the dashboard runs them: which there are, what they printed, how they ended. Pure.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::sys::child::End;

/// Of what a command printed so many lines are kept, and so many bytes of them.
const LINES: usize = 10_000;
const BYTES: usize = 4 * 1024 * 1024;
/// Of a line so much is kept.
const WIDTH: usize = 16 * 1024;
/// So many commands are remembered.
const RUNS: usize = 16;

/// Everything that is run for one command, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Before it; when one of them fails the command is not run.
    pub before: Vec<Vec<String>>,
    /// The command.
    pub argv: Vec<String>,
    /// After it, whatever became of it.
    pub after: Vec<Vec<String>>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub dir: PathBuf,
}

/// Reads the project and prepares the command of this name.
pub type Prepare = Arc<dyn Fn(&str) -> Result<Prepared, Error> + Send + Sync>;

/// The commands there are.
#[derive(Clone)]
pub struct Commands {
    /// Their names, and what they run.
    pub names: Vec<(String, String)>,
    /// Prepares one.
    pub prepare: Prepare,
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Something to do about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunCmd {
    /// Run the command of this name; it is told as this number.
    Start(u64, String),
    /// End one: as Ctrl-C does it, the second time at once.
    Stop(u64),
}

/// What a command tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunMsg {
    /// What is run now.
    Began(u64, String),
    /// Lines that it printed, as they were.
    Said(u64, Vec<Vec<u8>>),
    /// It ended, or could not be run.
    Ended(u64, Result<End, String>),
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It was told to end.
    Stopping,
    /// It has ended, or could not be run; when, in microseconds since 1970.
    Ended(Result<End, String>, i64),
}

/// One command that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Tells it from others.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// When it began, in microseconds since 1970.
    pub began: i64,
    /// How far it is.
    pub state: State,
    /// What it printed, as it was.
    pub lines: VecDeque<Vec<u8>>,
    /// Lines at the beginning that were not kept.
    pub n_dropped: u64,
    bytes: usize,
}

impl Run {
    fn say(&mut self, line: Vec<u8>) {
        let mut line = line;
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        line.truncate(WIDTH);
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            self.n_dropped += 1;
        }
    }

    /// It has not ended.
    pub fn is_running(&self) -> bool {
        !matches!(self.state, State::Ended(..))
    }

    /// How it is, in a word or two, and whether it went well.
    pub fn told(&self) -> (String, bool) {
        match &self.state {
            State::Running => ("running".to_owned(), true),
            State::Stopping => ("ending".to_owned(), true),
            State::Ended(Ok(End::Code(0)), _) => ("done".to_owned(), true),
            State::Ended(Ok(End::Code(code)), _) => (format!("exit {code}"), false),
            State::Ended(Ok(End::Signal(signal)), _) => (format!("ended by signal {signal}"), false),
            State::Ended(Err(error), _) => (error.clone(), false),
        }
    }
}

/// All commands that were run, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// The names of the commands there are, and what they run.
    pub names: Vec<(String, String)>,
    runs: VecDeque<Run>,
    next: u64,
}

impl Runs {
    /// The run of this number.
    pub fn get(&self, id: u64) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// The newest.
    pub fn newest(&self) -> Option<&Run> {
        self.runs.back()
    }

    /// The command of this name that runs.
    pub fn running(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name && run.is_running())
    }

    /// The names of all that run.
    pub fn all_running(&self) -> Vec<&str> {
        self.runs.iter().filter(|run| run.is_running()).map(|run| run.name.as_str()).collect()
    }

    /// Remembers that one begins; its number.
    pub fn begin(&mut self, name: &str, now: i64) -> u64 {
        let id = self.next;
        self.next += 1;
        let (lines, name) = (VecDeque::new(), name.to_owned());
        self.runs.push_back(Run { id, name, began: now, state: State::Running, lines, n_dropped: 0, bytes: 0 });
        // Those that run are never forgotten.
        while self.runs.len() > RUNS
            && let Some(at) = self.runs.iter().position(|run| !run.is_running())
        {
            self.runs.remove(at);
        }
        id
    }

    /// It was told to end.
    pub fn stop(&mut self, id: u64) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.id == id && run.is_running()) {
            run.state = State::Stopping;
        }
    }

    /// Takes what a command tells; the run, where it has ended with it.
    pub fn told(&mut self, msg: RunMsg, now: i64) -> Option<&Run> {
        let (RunMsg::Began(id, _) | RunMsg::Said(id, _) | RunMsg::Ended(id, _)) = &msg;
        let run = self.runs.iter_mut().find(|run| run.id == *id)?;
        match msg {
            RunMsg::Began(_, shown) => run.say(format!("$ {shown}").into_bytes()),
            RunMsg::Said(_, lines) => lines.into_iter().for_each(|line| run.say(line)),
            RunMsg::Ended(_, how) => {
                run.state = State::Ended(how, now);
                return Some(run);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_without_end_keeps_its_end_and_lines_their_beginnings() {
        let mut runs = Runs::default();
        let id = runs.begin("migrate", 0);
        for n in 0..30 {
            runs.told(RunMsg::Said(id, (0..1000).map(|m| format!("{n} {m}\r\n").into_bytes()).collect()), 0);
        }
        let run = runs.get(id).unwrap();
        assert_eq!((run.lines.len(), run.n_dropped), (LINES, 30_000 - LINES as u64));
        assert_eq!(run.lines.back().map(Vec::as_slice), Some(&b"29 999"[..]));
        runs.told(RunMsg::Said(id, vec![vec![b'x'; 1 << 20]; 1000]), 0);
        let run = runs.get(id).unwrap();
        assert!(run.bytes <= BYTES && run.bytes == run.lines.iter().map(Vec::len).sum::<usize>());
        assert_eq!(run.lines.back().map(Vec::len), Some(WIDTH));
    }

    #[test]
    fn what_runs_is_not_forgotten_among_many() {
        let mut runs = Runs::default();
        let first = runs.begin("long", 0);
        for n in 0..100 {
            let id = runs.begin("short", n);
            assert!(runs.told(RunMsg::Ended(id, Ok(End::Code(1))), n).is_some());
        }
        assert_eq!(runs.running("long").map(|run| run.id), Some(first));
        assert_eq!(runs.runs.len(), RUNS);
        assert_eq!(runs.newest().map(Run::told), Some(("exit 1".to_owned(), false)));
        assert_eq!(runs.told(RunMsg::Ended(99_999, Ok(End::Code(1))), 0), None);
    }
}
