//! `orchestra vendors exec`: a program beside what runs in a vendor's container, with the caller's terminal, input, and its exit code.

use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::container::LogOutput;
use clap_complete::engine::ArgValueCompleter;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::args::pair;
use super::super::change;
use super::super::context::{Context, Place};
use super::super::output::Output;
use super::super::signals::Signals;
use super::super::{complete, hooks};
use super::environment;
use super::terminal::Raw;
use crate::docker::{Docker, Exec, ExecSpec, Kept};
use crate::error::{Context as _, Error, Kind};
use crate::project::Project;
use crate::sys::terminal;
use crate::task::id::{InstanceId, ServiceName};

/// Runs a command in the container of a vendor that runs. On a terminal it gets that terminal; what is piped in reaches its standard input. The exit code is
/// that of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orchestra vendors exec postgres psql -U postgres\n  \
    echo 'select 1' | orchestra vendors exec postgres psql -U postgres\n  orchestra vendors exec -u root redis sh"
)]
pub(super) struct Args {
    /// Give the command no terminal, even where there is one
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// A variable beside the container's own
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Run as this user
    #[arg(short, long)]
    user: Option<String>,
    /// Run in this folder of the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The vendor, or one of its instances
    #[arg(value_name = "VENDOR", add = ArgValueCompleter::new(complete::vendors))]
    vendor: String,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Pieces of input that wait for the engine; when it is full, standard input is not read on.
const PIECES: usize = 8;
/// Once its output has ended, a program gets so many moments until the engine knows its exit code.
const MOMENTS: usize = 500;
const MOMENT: Duration = Duration::from_millis(20);

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let place = context.place()?;
    let project = context.load_or_say(&place);
    hooks::around(&context.output, &place, project.as_ref(), "vendors", || {
        let code = context.wait(execute(context, &place, project.as_ref(), args))?;
        // What was printed as JSON holds the code.
        context.output.has_told();
        match u8::try_from(code & 0xff) {
            Ok(0) if code == 0 => Ok(()),
            Ok(code @ 1..) => Err(Error::new(Kind::Code(code), "the command failed")),
            Ok(0) | Err(_) => Err(Error::failed(format!("the command ended with code {code}"))),
        }
    })
}

async fn execute(context: &Context, place: &Place, project: Option<&Project>, args: &Args) -> Result<i64, Error> {
    let wanted = instance(project, &args.vendor)?;
    let docker = Docker::connect(&environment(place, project)?).await?;
    let kept = find(&docker, &place.home.root, &wanted).await?;
    let tty = !args.no_tty && !context.output.is_json() && io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut env: Vec<String> = args.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if tty && let Ok(term) = std::env::var("TERM") {
        env.insert(0, format!("TERM={term}"));
    }
    let (user, dir) = (args.user.clone(), args.workdir.clone());
    let spec = ExecSpec { command: args.command.clone(), env, user, dir, tty, stdin: true };
    let exec = docker.exec(&kept.id, &spec).await?;
    let id = exec.id.clone();
    let lent = tty.then(Raw::new).transpose()?;
    let ended = attend(context, &docker, exec, tty).await;
    drop(lent);
    ended?;
    let code = code(&docker, &id).await?;
    if context.output.is_json() {
        context.output.json(&json!({ "code": code }))?;
    }
    Ok(code)
}

/// `postgres` is its first instance.
fn instance(project: Option<&Project>, typed: &str) -> Result<InstanceId, Error> {
    let named = match (InstanceId::parse(typed), ServiceName::fold(typed)) {
        (Some(instance), _) => instance,
        (None, Some(service)) => InstanceId { service, number: 1 },
        (None, None) => return Err(Error::usage(format!("`{typed}` is no name of a vendor"))),
    };
    if let Some(project) = project {
        super::among(project, &[named.service.to_string()])?;
    }
    Ok(named)
}

async fn find(docker: &Docker, root: &Path, wanted: &InstanceId) -> Result<Kept, Error> {
    let all = docker.containers(root).await?;
    let running = all.into_iter().find(|one| one.running && one.instance.as_ref() == Some(wanted));
    running.ok_or_else(|| {
        Error::failed(format!("`{}` does not run", wanted.service)).hint(format!("orchestra vendors up {}", wanted.service))
    })
}

/// Passes on what is typed, what it prints, and how large the terminal is, until its output has ended.
async fn attend(context: &Context, docker: &Docker, mut exec: Exec, tty: bool) -> Result<(), Error> {
    let input = tokio::spawn(feed(exec.input));
    let mut signals = Signals::new()?;
    let mut resized = signal(SignalKind::window_change()).context("wait for", Path::new("signals"))?;
    let mut printer = Printer::new(&context.output);
    if tty {
        resize(docker, &exec.id).await;
    }
    loop {
        tokio::select! {
            piece = exec.output.next() => match piece {
                Some(piece) => printer.print(&piece?)?,
                None => break,
            },
            _ = resized.recv(), if tty => resize(docker, &exec.id).await,
            _ = signals.next() => {
                input.abort();
                return Err(change::interrupted("stopped listening to the command; it may go on"));
            }
        }
    }
    input.abort();
    printer.end()
}

/// A terminal that does not say how large it is, or a program that has just ended, needs no size.
async fn resize(docker: &Docker, id: &str) {
    if let Some((columns, rows)) = terminal::size(io::stdout()) {
        drop(docker.resize_exec(id, columns, rows).await);
    }
}

/// Standard input, until it ends; then the program's ends, too. It is read on a thread of its own, since a read cannot be called off: the thread goes with us.
async fn feed(mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    let (pieces, mut typed) = mpsc::channel::<Vec<u8>>(PIECES);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(n @ 1..) = io::stdin().lock().read(&mut buffer) {
            if pieces.blocking_send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    while let Some(piece) = typed.recv().await {
        // A program that has ended reads no more.
        if input.write_all(&piece).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    drop(input.shutdown().await);
}

async fn code(docker: &Docker, id: &str) -> Result<i64, Error> {
    for _ in 0..MOMENTS {
        if let Some(code) = docker.exec_code(id).await? {
            return Ok(code);
        }
        sleep(MOMENT).await;
    }
    Err(Error::failed("the command closed its output and runs on in the container"))
}

/// Bytes as they come: who runs a program means its output for whatever reads ours. As JSON they are lines, of which pieces wait for their end.
struct Printer<'a> {
    output: &'a Output,
    lines: [(&'static str, Vec<u8>); 2],
}

/// A line that gets longer is printed in pieces.
const LONGEST: usize = 16 * 1024;

impl<'a> Printer<'a> {
    fn new(output: &'a Output) -> Printer<'a> {
        Printer { output, lines: [("stdout", Vec::new()), ("stderr", Vec::new())] }
    }

    fn print(&mut self, piece: &LogOutput) -> Result<(), Error> {
        let (which, bytes) = match piece {
            LogOutput::StdErr { message } => (1, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => (0, message),
        };
        if self.output.is_json() {
            return self.json(which, bytes);
        }
        match which {
            0 => self.output.print(bytes),
            // Nobody is left to be told when standard error is gone.
            _ => Ok(io::stderr().lock().write_all(bytes).unwrap_or(())),
        }
    }

    fn json(&mut self, which: usize, bytes: &[u8]) -> Result<(), Error> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (stream, line) = &mut self.lines[which];
            line.extend_from_slice(part);
            if line.ends_with(b"\n") || line.len() >= LONGEST {
                let whole = line.pop_if(|byte| *byte == b'\n').is_some();
                tell(self.output, stream, &std::mem::take(line), !whole)?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let output = self.output;
        let left = self.lines.iter().filter(|(_, line)| !line.is_empty());
        left.map(|(stream, line)| (stream, line)).try_for_each(|(stream, line)| tell(output, stream, line, false))
    }
}

/// One line, as `logs -o json` tells it.
fn tell(output: &Output, stream: &str, line: &[u8], partial: bool) -> Result<(), Error> {
    let mut value = match std::str::from_utf8(line) {
        Ok(text) => json!({ "stream": stream, "line": text }),
        Err(_) => json!({ "stream": stream, "base64": STANDARD.encode(line) }),
    };
    if partial {
        value["partial"] = true.into();
    }
    output.json(&value)
}
