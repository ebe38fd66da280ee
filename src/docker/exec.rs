//! A program beside what runs in a container already.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _};
use tokio::io::AsyncWrite;

use super::client::{CHANGE, Docker, LOOK};
use super::failure::{Class, Failure};

/// What is run, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `KEY=value`, beside the container's own.
    pub env: Vec<String>,
    /// Instead of the container's own user.
    pub user: Option<String>,
    /// Instead of the container's own folder.
    pub dir: Option<String>,
    /// It gets a terminal; then there is one stream of output.
    pub tty: bool,
    /// It reads what we write.
    pub stdin: bool,
}

/// A program that runs.
pub struct Exec {
    /// The engine's id of it, for [`Docker::resize_exec`] and [`Docker::exec_code`].
    pub id: String,
    /// What it prints; ends with it.
    pub output: Pin<Box<dyn Stream<Item = Result<LogOutput, Failure>> + Send>>,
    /// What it reads.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Docker {
    /// Runs a program in a container that runs.
    pub async fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Exec, Failure> {
        let options = CreateExecOptions {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(spec.tty),
            env: Some(spec.env.clone()),
            cmd: Some(spec.command.clone()),
            user: spec.user.clone(),
            working_dir: spec.dir.clone(),
            ..CreateExecOptions::default()
        };
        let id = self.bounded(CHANGE, self.engine().create_exec(container, options)).await?.id;
        let how = StartExecOptions { detach: false, tty: spec.tty, output_capacity: None };
        match self.bounded(CHANGE, self.engine().start_exec(&id, Some(how))).await? {
            StartExecResults::Attached { output, input } => {
                let docker = self.clone();
                let output = output.map(move |piece| piece.map_err(|said| docker.failure(&said)));
                Ok(Exec { id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => {
                Err(Failure::new(Class::Other, "the engine let go of the program at once", ""))
            }
        }
    }

    /// Tells a program with a terminal how large that is now.
    pub async fn resize_exec(&self, id: &str, columns: u16, rows: u16) -> Result<(), Failure> {
        self.bounded(LOOK, self.engine().resize_exec(id, ResizeExecOptions { height: rows, width: columns })).await
    }

    /// How a program ended; `None` while it runs.
    pub async fn exec_code(&self, id: &str) -> Result<Option<i64>, Failure> {
        let state = self.bounded(LOOK, self.engine().inspect_exec(id)).await?;
        Ok(if state.running.unwrap_or(false) { None } else { state.exit_code })
    }
}
