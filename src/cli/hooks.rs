//! `before` and `after`: commands of the project around a command, by argv and without a shell. Their output goes to standard error: as it is into a
//! file or a pipe, made safe to a terminal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::context::Place;
use super::output::{self, Output};
use super::request;
use crate::config::problem;
use crate::error::{Error, Kind};
use crate::project::ports::PortBook;
use crate::project::resolve::{CallerEnv, ResolveInput};
use crate::project::{Hooks, Project};
use crate::sys::home::Home;
use crate::task::id::ServiceName;
use crate::task::spec::Caller;

/// Runs `work` between the hooks of `command`. A failing `before` stops the command; `after` always runs, and the first error is the one told.
pub(super) fn around(
    output: &Output,
    place: &Place,
    project: Option<&Project>,
    command: &str,
    work: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(project) = project else { return work() };
    let hooks = project.hooks(command);
    if hooks == Hooks::default() {
        return work();
    }
    let env = environment(place, project, command)?;
    let run = |argv: &Vec<String>| run(output, &project.root, &env, argv);
    let done = match hooks.before.iter().try_for_each(run) {
        Ok(()) => work(),
        Err(error) => Err(error.hint(format!("`{command}` was not done: mend or remove this `before`"))),
    };
    // All of them run, whatever becomes of one.
    let after: Vec<Error> = hooks.after.iter().filter_map(|argv| run(argv).err()).collect();
    match (done, after.into_iter().next()) {
        (Err(first), Some(second)) => {
            output.note("warning", &second.message);
            Err(first)
        }
        (Err(first), None) => Err(first),
        (Ok(()), Some(second)) => Err(second),
        (Ok(()), None) => Ok(()),
    }
}

/// The variables of the project as one of its commands sees them.
pub(super) fn environment(
    place: &Place,
    project: &Project,
    command: &str,
) -> Result<BTreeMap<OsString, OsString>, Error> {
    let variables = with_input(place, project, command, &[], |input| project.own_environment(input))?;
    Ok(variables.into_iter().map(|(key, variable)| (key, variable.value)).collect())
}

/// Resolves for this caller.
pub(super) fn with_input<T>(
    place: &Place,
    project: &Project,
    command: &str,
    services: &[ServiceName],
    resolve: impl FnOnce(&mut ResolveInput<'_>) -> Result<T, Vec<problem::Problem>>,
) -> Result<T, Error> {
    let caller = CallerEnv {
        env: std::env::vars_os().collect(),
        caller: Caller { umask: request::mask(), nofile: None },
        command: command.to_owned(),
        engine_arch: None,
    };
    resolved(&place.home, project, caller, services, resolve)
}

/// Resolves for a caller that is known.
pub(super) fn resolved<T>(
    home: &Home,
    project: &Project,
    caller: CallerEnv,
    services: &[ServiceName],
    resolve: impl FnOnce(&mut ResolveInput<'_>) -> Result<T, Vec<problem::Problem>>,
) -> Result<T, Error> {
    let mut ports = PortBook::open(&home.state(), project)?;
    let mut input = ResolveInput {
        home,
        services,
        callers: BTreeMap::new(),
        default_caller: Arc::new(caller),
        overrides: BTreeMap::new(),
        port_offset: None,
        auto_ports: &mut ports,
    };
    resolve(&mut input).map_err(problem::error)
}

fn run(output: &Output, root: &PathBuf, env: &BTreeMap<OsString, OsString>, argv: &[String]) -> Result<(), Error> {
    let Some((program, args)) = argv.split_first() else { return Ok(()) };
    let shown = argv.join(" ");
    let mut command = Command::new(found(program, env));
    command.args(args).env_clear().envs(env).current_dir(root).stdin(Stdio::null());
    let status = if io::stderr().is_terminal() {
        shown_safely(command, output.color_err)
    } else {
        command.stdout(io::stderr()).status()
    };
    let status = status.map_err(|e| Error::failed(format!("`{shown}` could not be run")).because(&e))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Error::failed(format!("`{shown}` exited with code {code}"))),
        // Ctrl-C reaches the hook as it reaches us.
        None if status.to_string().contains("SIGINT") => {
            Err(Error::new(Kind::Interrupted, format!("`{shown}` was interrupted")))
        }
        None => Err(Error::failed(format!("`{shown}` ended by {status}"))),
    }
}

/// What the hook left running may hold its output open; so long it is still listened to.
const DRAIN: Duration = Duration::from_millis(200);
/// A line that gets longer is shown in parts.
const LONGEST: u64 = 16 * 1024;

/// Runs a hook whose output goes to a terminal: line by line, text and colours only.
fn shown_safely(mut command: Command, color: bool) -> io::Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the pipe's other end.
    drop(command);
    let (done, over) = mpsc::channel();
    std::thread::Builder::new().name("hook".into()).spawn(move || {
        pass_on(reader, color);
        // Whoever waited may have gone on.
        done.send(()).unwrap_or(());
    })?;
    let status = child.wait()?;
    // Both answers, the end of the output and the end of our patience, are as good.
    over.recv_timeout(DRAIN).unwrap_or(());
    Ok(status)
}

fn pass_on(reader: PipeReader, color: bool) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while let Ok(1..) = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
        output::say(&line, color);
        line.clear();
    }
}

/// The program in the `PATH` of the hook's environment, which may not be ours.
fn found(program: &str, env: &BTreeMap<OsString, OsString>) -> PathBuf {
    if program.contains('/') {
        return program.into();
    }
    let path = env.get(&OsString::from("PATH")).cloned().unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|file| is_program(file)).unwrap_or_else(|| program.into())
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|is| is.is_file() && is.permissions().mode() & 0o111 != 0)
}
