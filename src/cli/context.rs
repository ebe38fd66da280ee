//! What every command starts from: the flags, where the project is, and the runtime.

use std::future::Future;
use std::path::PathBuf;

use super::args::Global;
use super::output::Output;
use crate::config::problem;
use crate::error::Error;
use crate::project::load::{LoadOptions, load, load_kept};
use crate::project::{Project, find, select};
use crate::shim::former;
use crate::store::good;
use crate::sys::home::Home;

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
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::failed("cannot start the runtime").because(&e))
}

/// Checks selectors before anything is started for them.
pub(super) fn check(project: &Project, selectors: &[String]) -> Result<(), Error> {
    select::select(project, selectors).map(drop)
}
