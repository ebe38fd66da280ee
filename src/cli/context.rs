//! What every command starts from: the flags, where the project is, and the runtime.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::args::Global;
use super::output::Output;
use crate::config::problem;
use crate::error::Error;
use crate::project::load::{LoadOptions, load, load_kept};
use crate::project::{Project, find, select};
use crate::shim::former;
use crate::store::{good, intent};
use crate::sys::home::Home;
use crate::task::id::ServiceName;

/// The flags of every command, and where it prints.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) global: Global,
    pub(super) output: Output,
}

/// Where the project is.
#[derive(Debug)]
pub(super) struct Place {
    /// Its folders.
    pub(super) home: Home,
    /// Its file, where `-c` names one.
    pub(super) config: Option<PathBuf>,
}

impl Context {
    /// Finds the project.
    pub(super) fn place(&self) -> Result<Place, Error> {
        let (root, config) = find::locate(self.global.directory.as_deref(), self.global.config.as_deref())?;
        let home = Home::find(&root)?;
        if former::inherit(&home) {
            let message = "this folder was deleted and made again while services ran: they are this project's still";
            self.output.note("note", message);
        }
        Ok(Place { home, config })
    }

    /// Loads the project; every problem of every file comes back at once.
    pub(super) fn load(&self, place: &Place) -> Result<Project, Error> {
        let options = LoadOptions { config: place.config.clone(), trust: self.global.trust };
        load(&place.home.root, &options).map_err(|problems| {
            let error = problem::error(problems);
            match good::is_kept(&place.home.state()) {
                true => error.hint("what runs goes on by the last good configuration; `orchestra stop` ends it"),
                false => error,
            }
        })
    }

    /// Loads the project for a command that works without: its problems are told, and the last good configuration serves where one is kept.
    pub(super) fn load_or_say(&self, place: &Place) -> Option<Project> {
        match self.load(place) {
            Ok(project) => Some(project),
            Err(error) => {
                let count = error.details.iter().filter(|line| !line.starts_with(' ')).count();
                let what = error.details.first().map_or("", String::as_str);
                let more = if count > 1 { " (there is more; see `orchestra start`)".to_owned() } else { String::new() };
                let (kept, _) = good::load(&place.home.state()).unwrap_or_default();
                let serves = if kept.is_some() { "; the last good one serves" } else { "" };
                self.output.note("warning", &format!("the configuration has problems: {what}{more}{serves}"));
                kept.map(|kept| load_kept(&place.home.root, &kept))
            }
        }
    }

    /// Runs what waits for others, on this thread.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        runtime()?.block_on(work)
    }
}

/// A runtime of one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    build(tokio::runtime::Builder::new_current_thread().enable_all())
}

/// A runtime of one thread and `hands` beside it for work that blocks, all there before anything else happens and for good: once the system makes no
/// more threads, work waits for one of them instead of being refused, which would be a panic.
pub(super) fn steady_runtime(hands: usize) -> Result<tokio::runtime::Runtime, Error> {
    const FOR_GOOD: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    // Without the first thread the runtime would panic.
    let first = std::thread::Builder::new().spawn(|| {});
    first.map(drop).map_err(|e| Error::failed("cannot make a thread").because(&e))?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = build(builder.enable_all().max_blocking_threads(hands).thread_keep_alive(FOR_GOOD))?;
    let gate = Arc::new(RwLock::new(()));
    let shut = gate.write();
    for _ in 0..hands {
        let gate = gate.clone();
        // Each waits, so that the next needs a thread of its own.
        runtime.spawn_blocking(move || drop(gate.read()));
    }
    drop(shut);
    Ok(runtime)
}

fn build(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Error> {
    builder.build().map_err(|e| Error::failed("cannot start the runtime").because(&e))
}

/// Checks selectors before anything is started for them.
pub(super) fn check(project: &Project, selectors: &[String]) -> Result<(), Error> {
    select::select(project, selectors).map(drop)
}

/// The same for commands about what runs: what was started at some time goes by its name, although its folder is gone.
pub(super) fn check_started(place: &Place, project: &Project, selectors: &[String]) -> Result<(), Error> {
    check(project, selectors).or_else(|error| if were_started(place, selectors) { Ok(()) } else { Err(error) })
}

/// Whether each of these is the name of something that was started at some time.
pub(super) fn were_started(place: &Place, selectors: &[String]) -> bool {
    let state = place.home.state();
    let is_kept = |text: &String| ServiceName::fold(text).is_some_and(|name| intent::is_kept(&state, &name));
    !selectors.is_empty() && selectors.iter().all(is_kept)
}
