//! What a command printed, and how it ended.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;

/// A command that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The command line, for messages.
    pub(crate) command: String,
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// The same, as it came.
    pub(crate) bytes: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Output {
    /// Panics unless it exited with `code`; gives itself back.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Output {
        assert_eq!(
            self.code,
            Some(code),
            "`{}` in {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            self.took,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Panics unless it exited with 0; gives itself back.
    #[track_caller]
    pub(crate) fn ok(self) -> Output {
        self.exits(0)
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("`{}`: {e}\n{}", self.command, self.stdout))
    }

    /// Stdout as one JSON value a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Makes text equal in every run: first `hide`, then times, durations, pids and sizes.
pub(crate) fn stable(text: &str, hide: &[(&str, &str)]) -> String {
    let mut text = hide.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for (pattern, to) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"\bpid \d+", "pid [pid]"),
        (r"\b\d+(\.\d+)?(µs|ms|s|m|h)\b( \d+(ms|s|m))?", "[took]"),
        (r"\b\d+(\.\d+)?\s?(B|KiB|MiB|GiB)\b", "[size]"),
        (r"\b\d+\.\d %", "[cpu]"),
        (r"[ \t]+\n", "\n"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, to).into_owned();
    }
    text
}

/// A command that runs, its output read as it comes.
pub(crate) struct Running {
    pub(crate) child: Child,
    command: String,
    began: Instant,
    stdout: Reader,
    stderr: Reader,
}

impl Running {
    /// Starts it with stdin closed and both outputs held by us.
    pub(crate) fn start(mut command: Command) -> Running {
        let words: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running {
            command: format!("orchestra {}", words.join(" ")),
            began: Instant::now(),
            stdout: collect(child.stdout.take().unwrap()),
            stderr: collect(child.stderr.take().unwrap()),
            child,
        }
    }

    /// What it has printed so far.
    pub(crate) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.bytes.lock().unwrap()).into_owned()
    }

    /// What it has said on its standard error so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes.lock().unwrap()).into_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits until it has ended and nobody holds its outputs any more; kills it and panics after `deadline`.
    #[track_caller]
    pub(crate) fn wait(mut self, deadline: Duration) -> Output {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if self.began.elapsed() > deadline {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if status.is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        let took = self.began.elapsed();
        while !(self.stdout.thread.is_finished() && self.stderr.thread.is_finished()) {
            let held = self.began.elapsed() > deadline + Duration::from_secs(10);
            assert!(!held, "`{}` ended, but another process holds its output", self.command);
            std::thread::sleep(Duration::from_millis(2));
        }
        let bytes = self.stdout.bytes.lock().unwrap().clone();
        let stdout = String::from_utf8_lossy(&bytes).into_owned();
        let stderr = String::from_utf8_lossy(&self.stderr.bytes.lock().unwrap()).into_owned();
        let Some(status) = status else {
            panic!("`{}` still ran after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.command)
        };
        Output { command: self.command, code: status.code(), stdout, bytes, stderr, took }
    }
}

/// Takes what a pipe gives, as it comes.
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Reader {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&bytes);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        // A read that fails ends the output early, and the test sees it missing.
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
    });
    Reader { bytes, thread }
}
