//! `orchestra doctor`: looks at everything a fleet stands on and says how to mend what is wrong.

mod checks;
mod engine;
mod machine;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::output;
use crate::error::{Error, Result};
use crate::task::spec::Protocol;

pub use checks::{go, ports};
pub use engine::docker;

/// Check Go, Docker, limits, ports, files, file systems and ptrace, and say how to mend each
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DoctorArgs {}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A port that a service or vendor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredPort {
    /// `api.1`, or a vendor's name.
    pub owner: String,
    /// The number.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// What the checks need to know of a project. Without a project only the machine is looked at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The project's root.
    pub root: PathBuf,
    /// The caller's environment.
    pub env: Vec<(OsString, OsString)>,
    /// What is wrong with its files, each problem as it is printed.
    pub problems: Vec<String>,
    /// What is strange in them.
    pub warnings: Vec<String>,
    /// Whether it has vendors, or services in containers, so that Docker is needed.
    pub vendors: bool,
    /// Folders of Go packages that are built.
    pub go_folders: Vec<PathBuf>,
    /// Ports of all instances.
    pub ports: Vec<DeclaredPort>,
    /// Leaders of the process groups of running instances: these hold their ports rightly.
    pub own: Vec<u32>,
    /// How many processes there shall be.
    pub instances: u32,
    /// Whether a service is to be held to memory or CPU time.
    pub limited: bool,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing to do.
    Ok,
    /// It works, but not as well or not for long.
    Warning,
    /// It will not work.
    Failed,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `go docker limits ports files file-system ptrace`
    pub name: &'static str,
    /// How it went.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to type or change.
    pub fix: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    checks: &'a [Check],
}

/// Looks at everything and prints it. An error when something will not work.
pub fn run(_args: &DoctorArgs, facts: &Facts, form: Form) -> Result<()> {
    let checks = checks::all(facts);
    let failed = checks.iter().filter(|c| c.status == Status::Failed).count();
    match form {
        Form::Json => output::json_pretty(&Answer { ok: failed == 0, checks: &checks })?,
        Form::Text => output::show_plain(&text(&checks))?,
    }
    match failed {
        0 => Ok(()),
        1 => Err(Error::failed("1 check failed").hint("mend it as said above, then `orchestra doctor` again")),
        n => {
            Err(Error::failed(format!("{n} checks failed"))
                .hint("mend them as said above, then `orchestra doctor` again"))
        }
    }
}

fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let word = match check.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "failed ",
        };
        let mut lines = check.message.lines();
        out += &format!("{word}  {:width$}  {}\n", check.name, lines.next().unwrap_or_default());
        for line in lines {
            out += &format!("{:indent$}{line}\n", "", indent = width + 11);
        }
        if let Some(fix) = &check.fix {
            out += &format!("{:indent$}mend: {fix}\n", "", indent = width + 11);
        }
    }
    out
}
