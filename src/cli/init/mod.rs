//! `orchestra init`: makes the files a project needs, from the Go programs that are there, a Procfile or a Compose file. Overwrites nothing.

pub mod plan;
mod procfile;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::doctor::{self, Check, DeclaredPort, Form, Status};
use super::output;
use crate::error::{Context, Error, PathError, Result};
use crate::task::spec::Protocol;
use plan::Plan;

/// Make orchestra.yml, a service.yml for each folder with a Go main package, and .orchestra; overwrites nothing
#[derive(Clone, Debug, Default, clap::Args)]
pub struct InitArgs {
    /// Import a Procfile or a Compose file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Say what would be made, and make nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where `init` works.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder that becomes a project, absolute.
    pub dir: PathBuf,
    /// The caller's environment.
    pub env: Vec<(OsString, OsString)>,
    /// How the answer is written.
    pub form: Form,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    dry_run: bool,
    made: Vec<String>,
    kept: Vec<String>,
    notes: Vec<String>,
    checks: Vec<Check>,
    next: String,
}

/// Makes what is missing and says what it did.
pub fn run(args: &InitArgs, place: &Place) -> Result<()> {
    let answer = make(args, place)?;
    match place.form {
        Form::Json => output::json_pretty(&answer),
        Form::Text => output::show_plain(&text(&answer)),
    }
}

fn make(args: &InitArgs, place: &Place) -> Result<Answer> {
    let plan = plan::make(&place.dir, args.from.as_deref())?;
    let mut answer = Answer { dry_run: args.dry_run, notes: plan.notes.clone(), ..Answer::default() };
    for (path, text) in &plan.files {
        let shown = path.display().to_string();
        let is_new = match args.dry_run {
            true => place.dir.join(path).symlink_metadata().is_err(),
            false => write_new(&place.dir.join(path), text)?,
        };
        if is_new { answer.made.push(shown) } else { answer.kept.push(shown) }
    }
    if folder(&place.dir.join(".orchestra"), args.dry_run)? {
        answer.made.push(".orchestra/".to_owned());
    } else {
        answer.kept.push(".orchestra/".to_owned());
    }
    answer.checks = checks(&plan, place);
    answer.next = next(&plan, &answer);
    Ok(answer)
}

fn checks(plan: &Plan, place: &Place) -> Vec<Check> {
    let mut out = Vec::new();
    if !plan.go_folders.is_empty() {
        out.extend(doctor::go(&place.env, &plan.go_folders, &place.dir));
    }
    if plan.needs_docker {
        out.extend(doctor::docker(&place.env));
    }
    let port = |(owner, number): &(String, u16)| DeclaredPort {
        owner: owner.clone(),
        number: *number,
        protocol: Protocol::Tcp,
    };
    let declared: Vec<DeclaredPort> = plan.ports.iter().map(port).collect();
    out.extend(doctor::ports(&declared, &[]));
    out
}

fn next(plan: &Plan, answer: &Answer) -> String {
    let again = "orchestra init";
    if answer.dry_run {
        again.to_owned()
    } else if plan.services == 0 {
        "write a service.yml into the folder of each service, then `orchestra start`".to_owned()
    } else if answer.checks.iter().any(|c| c.status == Status::Failed) {
        "orchestra doctor".to_owned()
    } else {
        "orchestra start".to_owned()
    }
}

fn text(answer: &Answer) -> String {
    let mut out = String::new();
    let made = if answer.dry_run { "would make" } else { "made" };
    for path in &answer.made {
        out += &format!("{made:10}  {path}\n");
    }
    for path in &answer.kept {
        out += &format!("{:10}  {path}\n", "kept");
    }
    for check in answer.checks.iter().filter(|c| c.status != Status::Ok) {
        out += &format!("{:10}  {}: {}\n", "look at", check.name, check.message);
        if let Some(fix) = &check.fix {
            out += &format!("{:10}  mend: {fix}\n", "");
        }
    }
    for note in &answer.notes {
        let mut lines = note.lines();
        out += &format!("{:10}  {}\n", "note", lines.next().unwrap_or_default());
        for line in lines {
            out += &format!("{:10}  {line}\n", "");
        }
    }
    out + &format!("{:10}  {}\n", "next", answer.next)
}

/// Writes a file that is not there yet; false when one is, even if it is a link to nowhere.
fn write_new(path: &Path, text: &str) -> Result<bool> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        other => other.context("create", path)?,
    };
    file.write_all(text.as_bytes()).context("write", path)?;
    Ok(true)
}

/// Makes `.orchestra`, for its owner only, with a `.gitignore` of its own. A link in its place, or another user's folder, is refused.
fn folder(dot: &Path, dry_run: bool) -> Result<bool> {
    let is_new = match fs::symlink_metadata(dot) {
        Ok(found) if !found.is_dir() => {
            let message = format!("`{}` is not a folder", dot.display());
            return Err(Error::usage(message).hint(format!("look at it, and move it away: `ls -ld {}`", dot.display())));
        }
        Ok(found) if found.uid() != nix::unistd::geteuid().as_raw() => {
            let message = format!("`{}` belongs to another user (uid {})", dot.display(), found.uid());
            return Err(Error::usage(message).hint("make it your own with `chown`, or work in a project of your own"));
        }
        Ok(_) => false,
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(source) => return Err(PathError { action: "look at", path: dot.to_owned(), source }.into()),
    };
    if dry_run {
        return Ok(is_new);
    }
    if is_new {
        DirBuilder::new().mode(0o700).create(dot).context("create", dot)?;
    }
    write_new(&dot.join(".gitignore"), "*\n")?;
    Ok(is_new)
}

#[cfg(test)]
mod tests;
