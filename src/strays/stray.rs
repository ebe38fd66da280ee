//! A stray as people see it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::judge::{self, Rule, Verdict};
use super::look::{self, Ground};
use super::process::Snapshot;
use super::target::Target;
use super::veto::Veto;

/// One process of a service of ours that orchestra did not start.
#[derive(Clone, Debug, PartialEq)]
pub struct Stray {
    /// Of which service.
    pub service: String,
    /// Its pid.
    pub pid: u32,
    /// When it started, in the system's unit: with the pid it names the process.
    pub start_time: u64,
    /// By what proof.
    pub rule: Rule,
    /// What forbids ending it.
    pub veto: Option<Veto>,
    /// Its program.
    pub exe: PathBuf,
    /// That file is gone, or was replaced by a newer build.
    pub is_deleted: bool,
    /// Its arguments.
    pub argv: Vec<OsString>,
    /// Where it stands.
    pub cwd: Option<PathBuf>,
    /// Its parent, and that one's program where it may be seen.
    pub parent: (u32, Option<PathBuf>),
}

/// What became of a stray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ended after SIGTERM, or with it.
    Ended,
    /// It had to be killed.
    Killed,
    /// It was left alone: why.
    Left(String),
    /// It is still there after SIGKILL.
    Survived,
}

/// Every stray of these services now; signals nobody.
pub fn find(targets: &mut [Target], ground: &Ground) -> Vec<Stray> {
    let snapshot = look::look(targets, ground, None);
    let verdicts = judge::judge(targets, &snapshot);
    verdicts.into_iter().filter_map(|verdict| Stray::new(verdict, &snapshot)).collect()
}

impl Stray {
    pub(super) fn new(verdict: Verdict, snapshot: &Snapshot) -> Option<Stray> {
        let process = snapshot.processes.get(&verdict.pid)?;
        let above = snapshot.kin.get(&process.parent).and_then(|kin| kin.exe.clone());
        Some(Stray {
            service: verdict.service,
            pid: process.pid,
            start_time: process.start_time,
            rule: verdict.rule,
            veto: verdict.veto,
            exe: process.exe.path.clone(),
            is_deleted: process.exe.is_deleted,
            argv: process.argv.clone(),
            cwd: process.cwd.as_ref().map(|cwd| cwd.path.clone()),
            parent: (process.parent, above),
        })
    }

    /// What was done about it, one line for its service's log and for whoever asked.
    pub fn words(&self, fate: &Fate) -> String {
        match fate {
            Fate::Ended => format!("ended a stray: {self}"),
            Fate::Killed => format!("killed a stray that did not end: {self}"),
            Fate::Left(why) => format!("left a stray alone ({why}): {self}"),
            Fate::Survived => format!("could not end a stray: {self}"),
        }
    }
}

/// `pid 812 by rule P3, /tmp/…/api, started as "…", parent pid 700 (/usr/bin/go)`
impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deleted = if self.is_deleted { " (replaced or removed since)" } else { "" };
        write!(f, "pid {} by rule {}, {}{deleted}", self.pid, self.rule.word(), plain(&self.exe))?;
        let argv: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        write!(f, ", argv `{}`, parent pid {}", argv.join(" ").escape_debug(), self.parent.0)?;
        match &self.parent.1 {
            Some(exe) => write!(f, " ({})", plain(exe)),
            None => Ok(()),
        }
    }
}

/// A path on one line, whatever is in it.
fn plain(path: &std::path::Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
