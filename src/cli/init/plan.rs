//! What `init` makes of a folder: which files with which text, and what a person should know.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::procfile::{self, Entry, What};
use crate::config::problem::{Problem, Severity};
use crate::config::reader::Reader;
use crate::config::tree::Source;
use crate::config::yaml;
use crate::error::{Context, Error, Result};
use crate::services::packages::{self, MainPackage};
use crate::task::id::ServiceName;
use crate::vendors::spec::Dialect;
use crate::vendors::{compose, read};

const PROJECT: &str = include_str!("../../../templates/orchestra.yml");
const SERVICE: &str = include_str!("../../../templates/service.yml");
const PROJECT_FILE: &str = "orchestra.yml";
const SERVICE_FILE: &str = "service.yml";
const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// What shall be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Paths relative to the project, with their text; existing ones are kept.
    pub files: Vec<(PathBuf, String)>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Folders of Go programs, absolute.
    pub go_folders: Vec<PathBuf>,
    /// Whether vendors were imported.
    pub needs_docker: bool,
    /// Ports that were given to services.
    pub ports: Vec<(String, u16)>,
    /// How many services and vendors the project will have.
    pub services: usize,
}

/// What a file named by `--from` holds.
enum Import {
    Nothing,
    Procfile(Vec<Entry>),
    Compose { path: String, vendors: Vec<String> },
}

/// Looks at `dir` and decides.
pub fn make(dir: &Path, from: Option<&Path>) -> Result<Plan> {
    let mut plan = Plan::default();
    let import = match from {
        Some(from) => import(dir, from, &mut plan)?,
        None => Import::Nothing,
    };
    let mains = packages::find(dir).context("look into", dir)?;
    plan.go_folders = mains.iter().filter(|m| m.depth() <= 1).map(|m| dir.join(&m.dir)).collect();
    let added = additions(dir, &import, &mains, &mut plan);
    project_file(dir, added, &mains, &mut plan);
    let entries = if let Import::Procfile(entries) = &import { entries.as_slice() } else { &[] };
    service_files(dir, &mains, entries, &mut plan);
    hints(dir, from, &mains, &mut plan);
    Ok(plan)
}

fn import(dir: &Path, from: &Path, plan: &mut Plan) -> Result<Import> {
    let path = dir.join(from);
    let text = fs::read_to_string(&path).context("read", &path)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".yml") || name.ends_with(".yaml") {
        return compose(dir, &path, &text, plan);
    }
    let (entries, notes) = procfile::parse(&text);
    plan.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", from.display())));
    if entries.is_empty() {
        let message = format!("`{}` has no line `name: command`", from.display());
        return Err(
            Error::usage(message).hint("`--from` takes a Procfile, or a Compose file whose name ends in .yml or .yaml")
        );
    }
    plan.services += entries.len();
    plan.ports.extend(entries.iter().filter_map(|e| Some((e.name.to_string(), e.port?))));
    Ok(Import::Procfile(entries))
}

fn compose(dir: &Path, path: &Path, text: &str, plan: &mut Plan) -> Result<Import> {
    let wrong = |message: String| Error::usage(message).hint("`docker compose config` checks it");
    let shown = path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let parsed = yaml::parse(&Source::new(&shown, text));
    let Some(node) = parsed.node.filter(|_| parsed.tab.is_none()) else {
        let problem = parsed.tab.or(parsed.problems.into_iter().next());
        let why = problem
            .map_or(String::new(), |problem| format!(": {}:{}: {}", problem.line, problem.column, problem.message));
        return Err(wrong(format!("`{shown}` is not YAML{why}")));
    };
    if node.get("services").is_none() && node.get("include").is_none() {
        return Err(wrong(format!("`{shown}` has no `services:`, so it is no Compose file")));
    }
    let mut reader = Reader { problems: parsed.problems, ..Reader::default() };
    let file = compose::file(&node, &mut reader);
    let folder = path.parent().unwrap_or(dir);
    let vendors: Vec<String> = file
        .services
        .iter()
        .filter(|entry| read::section(entry, folder, Dialect::Compose, &mut reader).is_some())
        .map(|entry| entry.key.clone())
        .collect();
    plan.notes.extend(file.left_out.iter().map(|(name, _)| {
        format!("{shown}: `{name}` has `build:` and is not taken: a service of yours is built by `go build` instead")
    }));
    plan.notes.extend(reader.problems.iter().map(import_note));
    plan.needs_docker = !vendors.is_empty();
    plan.services += vendors.len();
    Ok(Import::Compose { path: shown, vendors })
}

/// What of a Compose file will be refused or passed over once it is included, on one line.
fn import_note(problem: &Problem) -> String {
    let word = if problem.severity == Severity::Error { "must be mended: " } else { "" };
    let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    format!("{}:{}:{}: {word}{}{hint}", problem.file.display(), problem.line, problem.column, problem.message)
}

/// What `orchestra.yml` gets beside the comments.
fn additions(dir: &Path, import: &Import, mains: &[MainPackage], plan: &mut Plan) -> String {
    let mut out = String::new();
    match import {
        Import::Nothing => {}
        Import::Compose { path, vendors } => {
            out += &format!(
                "\ninclude: [{}]{}\n",
                quoted(path),
                if vendors.is_empty() { String::new() } else { format!("   # {}", vendors.join(", ")) }
            );
        }
        Import::Procfile(entries) => {
            out += "\nservices:\n";
            out.extend(entries.iter().map(entry_text));
        }
    }
    let is_main = mains.iter().any(|m| m.depth() == 0);
    if is_main && !matches!(import, Import::Procfile(_)) {
        let name = dir.file_name().and_then(|n| ServiceName::fold(&n.to_string_lossy()));
        let name = name.map_or_else(|| "main".to_owned(), |n| n.to_string());
        out += &format!("\nservices:\n  {}: {{package: .}}   # the program in this folder\n", quoted_if_needed(&name));
        plan.services += 1;
    }
    out
}

fn entry_text(entry: &Entry) -> String {
    let list = |words: &[String]| words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(", ");
    let mut out = format!("  {}:\n", quoted_if_needed(entry.name.as_str()));
    match &entry.what {
        What::Package { package, args } => {
            out += &format!("    package: {}\n", quoted(package));
            if !args.is_empty() {
                out += &format!("    args: [{}]\n", list(args));
            }
        }
        What::Command(argv) => out += &format!("    command: [{}]\n", list(argv)),
    }
    if !entry.env.is_empty() {
        out += "    env:\n";
        out.extend(entry.env.iter().map(|(key, value)| format!("      {key}: {}\n", quoted(value))));
    }
    if let Some(port) = entry.port {
        out += &format!("    port: {port}\n");
    }
    out
}

/// JSON's strings are YAML's, but for characters that only YAML wants to be escaped.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => out += &format!("\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out
}

/// Folded names are plain words, but for those YAML takes for something else.
fn quoted_if_needed(name: &str) -> String {
    let odd = name.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        || ["yes", "no", "on", "off", "true", "false", "null", "y", "n"].contains(&name);
    if odd { quoted(name) } else { name.to_owned() }
}

fn project_file(dir: &Path, added: String, mains: &[MainPackage], plan: &mut Plan) {
    let path = dir.join(PROJECT_FILE);
    if path.symlink_metadata().is_ok() {
        let has = fs::read_to_string(&path).unwrap_or_default();
        let missing = added.lines().filter(|line| !line.is_empty()).any(|line| !has.contains(line.trim()));
        if missing {
            plan.notes.push(format!(
                "`{PROJECT_FILE}` is there and is kept as it is; for the import add:\n{}",
                added.trim_start_matches('\n').trim_end()
            ));
        }
    }
    let mut text = PROJECT.to_owned();
    let parents = deeper(mains);
    if !parents.is_empty() {
        let globs: Vec<String> = std::iter::once("*".to_owned())
            .chain(parents.iter().map(|p| format!("{p}/*")))
            .map(|g| quoted(&g))
            .collect();
        text = text.replace("[\"*\", \"cmd/*\"]", &format!("[{}]", globs.join(", ")));
    }
    plan.files.push((PathBuf::from(PROJECT_FILE), text + &added));
}

/// One for each folder one level down. Beside a Procfile, which names what runs, they start only when named.
fn service_files(dir: &Path, mains: &[MainPackage], entries: &[Entry], plan: &mut Plan) {
    for main in mains.iter().filter(|m| m.depth() == 1) {
        let folder = main.dir.to_string_lossy().into_owned();
        let path = main.dir.join(SERVICE_FILE);
        let exists = dir.join(&path).symlink_metadata().is_ok();
        let builds = |e: &&Entry| matches!(&e.what, What::Package { package, .. } if package.trim_start_matches("./").trim_end_matches('/') == folder);
        if let Some(entry) = entries.iter().find(builds).filter(|_| !exists) {
            plan.notes
                .push(format!("`{folder}/` is built for `{}` of the Procfile and gets no file of its own", entry.name));
        } else if entries.iter().any(|e| Some(&e.name) == ServiceName::fold(&folder).as_ref()) && !exists {
            plan.notes.push(format!(
                "`{folder}/` has a Go program, but the Procfile has a process of that name: it gets no file of its own"
            ));
        } else if entries.is_empty() {
            plan.services += 1;
            plan.files.push((path, SERVICE.to_owned()));
        } else {
            plan.files.push((
                path,
                format!("{SERVICE}\nenabled: false   # the Procfile does not run it; it starts only when named\n"),
            ));
        }
    }
    let others = others(dir, mains);
    plan.services += others;
}

/// Folders that have a `service.yml` already although no Go program is in them.
fn others(dir: &Path, mains: &[MainPackage]) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let is_other =
        |name: &str| mains.iter().all(|m| m.dir != Path::new(name)) && dir.join(name).join(SERVICE_FILE).is_file();
    entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| !packages::is_skipped(n) && is_other(n))
        .count()
}

/// Parents of the folders with programs that discovery does not reach by itself.
fn deeper(mains: &[MainPackage]) -> BTreeSet<String> {
    mains.iter().filter(|m| m.depth() > 1).filter_map(|m| Some(m.dir.parent()?.display().to_string())).collect()
}

fn hints(dir: &Path, from: Option<&Path>, mains: &[MainPackage], plan: &mut Plan) {
    let below: Vec<String> = mains.iter().filter(|m| m.depth() > 1).map(|m| m.dir.display().to_string()).collect();
    if !below.is_empty() {
        const SHOWN: usize = 8;
        let more = if below.len() > SHOWN { format!(", … ({} in all)", below.len()) } else { String::new() };
        let globs: Vec<String> = deeper(mains).iter().map(|p| quoted(&format!("{p}/*"))).collect();
        plan.notes.push(format!(
            "Go programs deeper down: {}{more}\nfor those that are services: `discover: [\"*\", {}]` in `{PROJECT_FILE}`, and a `{SERVICE_FILE}` in each",
            below.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "),
            globs.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "),
        ));
    }
    if from.is_none() {
        for name in COMPOSE.into_iter().chain(["Procfile"]).filter(|name| dir.join(name).is_file()) {
            plan.notes.push(format!("`{name}` is here: `orchestra init --from {name}` imports it"));
        }
    }
    let above = dir.parent().and_then(|p| p.ancestors().find(|d| d.join(PROJECT_FILE).is_file()));
    if let Some(above) = above {
        plan.notes.push(format!("`{}` is a project already; this one lies inside it", above.display()));
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
