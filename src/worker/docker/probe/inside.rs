//! A probe that is a program run in the container: it must exit 0 in time. At most one runs at a time, one that hangs too.
//!
//! An engine cannot end what was run inside, so that is done in there: the program carries a mark in its environment, which those that it starts inherit.

use std::time::Duration;

use bollard::container::LogOutput;
use futures_util::StreamExt as _;
use tokio::time::{sleep, timeout};

use crate::docker::{Class, Docker, ExecSpec, Failure};
use crate::worker::probe::ask::Answer;

/// Of what a program prints the last so many bytes are kept.
const KEPT: usize = 4096;
/// Of its last line so many characters are shown.
const SHOWN: usize = 300;
/// Between two looks whether a program that prints no more has ended.
const LOOK: Duration = Duration::from_millis(20);
/// Ending what hangs takes at most so long.
const SWEEPING: Duration = Duration::from_secs(5);
/// What hangs is ended so often; an image without a shell cannot do it at all.
const SWEEPS: u32 = 3;
/// Kills whatever carries the mark.
const SWEEP: &str = r#"for p in /proc/[0-9]*; do grep -qs -- "$0" "$p/environ" && kill -KILL "${p#/proc/}"; done; :"#;

/// Runs programs in one container.
pub(super) struct Inside {
    docker: Docker,
    container: String,
    hung: Option<Hung>,
}

/// A program that did not end in time.
struct Hung {
    /// The engine's id of it; `None`: it was not even started in time, as far as is known.
    id: Option<String>,
    mark: String,
    sweeps: u32,
}

/// How a program ended.
struct Ended {
    code: i64,
    last_line: String,
}

impl Inside {
    pub(super) fn new(docker: Docker, container: String) -> Inside {
        Inside { docker, container, hung: None }
    }

    /// Runs a program that a person calls `words`.
    pub(super) async fn ask(&mut self, argv: &[String], words: &str, within: Duration) -> Answer {
        if let Some(answer) = self.wait_for_hung(words, within).await {
            return answer;
        }
        let mark = format!("ORCHESTRA_PROBE={}", uuid::Uuid::new_v4().simple());
        let spec = ExecSpec { command: argv.to_vec(), env: vec![mark.clone()], ..ExecSpec::default() };
        let mut id = None;
        let ended = timeout(within, self.run(&spec, &mut id)).await;
        match ended {
            Ok(Ok(Ended { code: 0, .. })) => Answer::Yes,
            Ok(Ok(ended)) => Answer::No(failed(words, &ended)),
            Ok(Err(failure)) => not_run(words, &failure),
            Err(_) => {
                let mut hung = Hung { id, mark, sweeps: 0 };
                if !self.end(&mut hung).await {
                    self.hung = Some(hung);
                }
                Answer::No(format!("`{words}` did not end within {within:?}"))
            }
        }
    }

    /// Nothing else is run beside what hangs; `None` once nothing does.
    async fn wait_for_hung(&mut self, words: &str, within: Duration) -> Option<Answer> {
        let mut hung = self.hung.take()?;
        if self.end(&mut hung).await {
            return None;
        }
        let can_end = if hung.sweeps < SWEEPS { "" } else { ", and cannot be ended from here" };
        self.hung = Some(hung);
        Some(Answer::No(format!("`{words}` did not end within {within:?}, still runs{can_end}")))
    }

    async fn run(&self, spec: &ExecSpec, id: &mut Option<String>) -> Result<Ended, Failure> {
        let mut exec = self.docker.exec(&self.container, spec).await?;
        *id = Some(exec.id.clone());
        let mut said = Vec::new();
        while let Some(piece) = exec.output.next().await {
            keep(&mut said, &piece?);
        }
        loop {
            // One that closed its output may run on.
            if let Some(code) = self.docker.exec_code(&exec.id).await? {
                return Ok(Ended { code, last_line: last_line(&said) });
            }
            sleep(LOOK).await;
        }
    }

    /// Ends what hangs; true when it runs no more.
    async fn end(&self, hung: &mut Hung) -> bool {
        if hung.sweeps < SWEEPS {
            hung.sweeps += 1;
            let command = ["/bin/sh", "-c", SWEEP, &hung.mark].map(str::to_owned).to_vec();
            let spec = ExecSpec { command, user: Some("0".to_owned()), ..ExecSpec::default() };
            // Where it cannot be run, what hangs runs on, which is found out next.
            drop(timeout(SWEEPING, self.run(&spec, &mut None)).await);
        }
        match &hung.id {
            Some(id) => match timeout(SWEEPING, self.docker.exec_code(id)).await {
                Ok(Ok(code)) => code.is_some(),
                Ok(Err(failure)) => failure.class == Class::Gone,
                Err(_) => false,
            },
            // Who was never heard of has been looked for, and that is all that can be done.
            None => hung.sweeps >= SWEEPS,
        }
    }
}

fn keep(said: &mut Vec<u8>, piece: &LogOutput) {
    let bytes = piece.as_ref();
    said.extend_from_slice(&bytes[bytes.len().saturating_sub(KEPT)..]);
    let surplus = said.len().saturating_sub(KEPT);
    said.drain(..surplus);
}

/// The last line that says anything.
fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(SHOWN).collect()
}

fn failed(words: &str, ended: &Ended) -> String {
    let Ended { code, last_line } = ended;
    let said = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
    format!("`{words}` ended with exit code {code}{said}")
}

/// An engine that is away, or a container that is paused, says nothing about readiness.
fn not_run(words: &str, failure: &Failure) -> Answer {
    let said = format!("`{words}` cannot be run: {}", failure.message);
    if failure.class.is_unreachable() || failure.class == Class::Conflict {
        Answer::Unasked(said)
    } else {
        Answer::No(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_told() {
        let mut said = Vec::new();
        for text in ["a\n".repeat(5000), "no\r\nresponse \n".into(), " \n".into()] {
            keep(&mut said, &LogOutput::StdOut { message: text.into_bytes().into() });
        }
        assert_eq!(said.len(), KEPT);
        let ended = Ended { code: 2, last_line: last_line(&said) };
        assert_eq!(failed("pg_isready", &ended), "`pg_isready` ended with exit code 2: response");
        let silent = Ended { code: 1, last_line: last_line(b"") };
        assert_eq!(failed("false", &silent), "`false` ended with exit code 1");
    }

    #[test]
    fn what_says_nothing_about_the_container_is_no_no() {
        let of = |class| not_run("x", &Failure::new(class, "m", ""));
        assert_eq!(of(Class::NotRunning), Answer::Unasked("`x` cannot be run: m".into()));
        assert_eq!(of(Class::Conflict), Answer::Unasked("`x` cannot be run: m".into()));
        assert_eq!(of(Class::BadSpec), Answer::No("`x` cannot be run: m".into()));
    }
}
