//! Vendors: sections of the project's file, and the Compose files it includes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Loader;
use crate::config::dotenv;
use crate::config::problem::Problem;
use crate::config::suggest::nearest;
use crate::config::template::Template;
use crate::config::tree::{Entry, Place};
use crate::project::check;
use crate::project::file::ProjectFile;
use crate::project::vendors::{Head, Vendor, find_jobs};
use crate::services::spec::ServiceConfig;
use crate::task::id::ServiceName;
use crate::vendors::spec::{Dialect, SourceConfig, VendorConfig, VendorEnvFile};
use crate::vendors::{compose, read};

impl Loader<'_> {
    pub(super) fn vendors(
        &mut self,
        file: &ProjectFile,
        config: &Path,
        services: &[ServiceConfig],
    ) -> BTreeMap<ServiceName, Vendor> {
        let folder = config.parent().unwrap_or(&self.root).to_owned();
        let head = Arc::new(Head { volumes: file.volumes.clone(), ..Head::default() });
        let mut all = Vec::new();
        for entry in &file.vendors {
            all.extend(self.vendor(entry, &folder, Dialect::Project, &head));
        }
        let mut seen = BTreeSet::new();
        for (path, place) in &file.include {
            self.include(&folder.join(path), place, &mut seen, &mut all);
        }
        self.warn_of_built(services);
        let mut out = BTreeMap::new();
        for vendor in all {
            if self.claim(&vendor.config.name, &vendor.config.place) {
                out.insert(vendor.config.name.clone(), vendor);
            }
        }
        find_jobs(&mut out, &services.iter().flat_map(|service| &service.needs).collect::<Vec<_>>());
        out
    }

    fn vendor(&mut self, entry: &Entry, folder: &Path, dialect: Dialect, head: &Arc<Head>) -> Option<Vendor> {
        let Some(config) = read::section(entry, folder, dialect, &mut self.reader) else {
            // Those who depend on it are not accused too.
            if let Some(name) = ServiceName::fold(&entry.key) {
                self.claim(&name, &entry.place);
            }
            return None;
        };
        let (mut file_env, mut env_files) = (Vec::new(), Vec::new());
        for file in &config.env_files {
            let found = self.vendor_env(file, folder, dialect, head);
            file_env.extend(found.1);
            env_files.extend(found.0);
        }
        self.undeclared_files(&config, head);
        Some(Vendor { config, tree: entry.node.clone(), dialect, head: head.clone(), file_env, env_files })
    }

    /// The path of an env file and what it sets.
    fn vendor_env(
        &mut self,
        file: &VendorEnvFile,
        folder: &Path,
        dialect: Dialect,
        head: &Head,
    ) -> (Option<PathBuf>, Vec<(String, Template)>) {
        let beside = |name: &str| head.dotenv.iter().rev().find(|(key, _)| key == name)?.1.constant();
        let path = match file.path.fill_text(&mut |name| Ok(beside(name).map(String::into_bytes))) {
            Ok(path) => folder.join(path),
            Err(problem) => {
                self.reader.push(problem);
                return (None, Vec::new());
            }
        };
        if !self.exists(&path) {
            self.watch.insert(path.clone());
            if file.required {
                let message = format!("there is no env file `{}`", self.shown(&path).display());
                self.reader
                    .push(Problem::at(&file.place, message).hint("make it, or write {path: …, required: false}"));
            }
            return (Some(path), Vec::new());
        }
        let set = match (self.source(&path), file.raw) {
            (None, _) => Vec::new(),
            (Some(source), true) => raw_lines(&source.text),
            (Some(source), false) => {
                let (settings, problems) = dotenv::parse_with(dialect.dollars(), &source);
                problems.into_iter().for_each(|problem| self.reader.push(problem));
                settings.into_iter().map(|setting| (setting.key, setting.value)).collect()
            }
        };
        (Some(path), set)
    }

    /// The vendors of a Compose file, and of those it includes; each file once.
    fn include(&mut self, path: &Path, place: &Place, seen: &mut BTreeSet<PathBuf>, out: &mut Vec<Vendor>) {
        let path = check::plain(path);
        if !self.exists(&path) {
            self.reader.error(place, format!("there is no file `{}` to include", self.shown(&path).display()));
            self.partial = true;
            self.watch.insert(path);
            return;
        }
        if !seen.insert(path.clone()) {
            return;
        }
        let Some(node) = self.tree(&path, &[], &[]) else {
            self.partial = true;
            return;
        };
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let file = compose::file(&node, &mut self.reader);
        let beside = folder.join(".env");
        self.watch.insert(beside.clone());
        let dotenv = match self.exists(&beside).then(|| self.source(&beside)).flatten() {
            Some(source) => {
                // Where it is the project's own, its mistakes were told.
                let (settings, problems) = dotenv::parse_with(Dialect::Compose.dollars(), &source);
                problems.into_iter().for_each(|problem| self.reader.push(problem));
                settings.into_iter().map(|setting| (setting.key, setting.value)).collect()
            }
            None => Vec::new(),
        };
        let left_out = file.left_out.iter().map(|(name, _)| name.clone()).collect();
        self.built.extend(file.left_out);
        let head = Arc::new(Head { volumes: file.volumes, files: file.files, dotenv, left_out });
        for entry in &file.services {
            let vendor = self.vendor(entry, &folder, Dialect::Compose, &head);
            out.extend(vendor.inspect(|vendor| self.undeclared(vendor)));
        }
        for (more, place) in &file.include {
            self.include(&folder.join(more), place, seen, out);
        }
    }

    /// Services of Compose files that are built, and that this project does not have by itself.
    fn warn_of_built(&mut self, services: &[ServiceConfig]) {
        for (name, place) in std::mem::take(&mut self.built) {
            if !services.iter().any(|service| service.name == name) {
                let problem = Problem::at(&place, format!("`{name}` has `build` and is left out"));
                let hint = "to run it here make it a service of this project, or give it an `image` alone";
                self.reader.push(problem.hint(hint).warning());
            }
        }
    }

    /// A secret or a configuration that a section uses and the head of its file does not have as a file.
    fn undeclared_files(&mut self, config: &VendorConfig, head: &Head) {
        for file in &config.files {
            let (kind, name) = (file.kind.key(), &file.name);
            let message = match head.files.get(&(file.kind, name.clone())) {
                Some(Some(_)) => continue,
                Some(None) => format!("`{kind}`: `{name}` is not made of a `file`, which alone is supported"),
                None => {
                    format!("`{}` names `{name}`, which `{kind}` at the head of the file does not have", config.name)
                }
            };
            let hint = format!("mount a file: `volumes: [\"./{name}:{}:ro\"]`", file.target);
            self.reader.push(Problem::at(&file.at.0, message).hint(hint));
        }
    }

    /// A volume that a Compose file uses and does not have.
    fn undeclared(&mut self, vendor: &Vendor) {
        for mount in &vendor.config.mounts {
            let SourceConfig::Named { key, .. } = &mount.source else { continue };
            if !vendor.head.volumes.contains_key(key) {
                let message =
                    format!("`{}` names the volume `{key}`, which `volumes` does not have", vendor.config.name);
                let problem = Problem::at(&mount.at.0, message);
                self.reader.push(match nearest(key, vendor.head.volumes.keys().map(String::as_str)) {
                    Some(near) => problem.hint(format!("did you mean {near}?")),
                    None => problem.hint(format!("add `{key}:` to `volumes` at the head of the file")),
                });
            }
        }
    }
}

/// `KEY=value` to the letter, one a line.
fn raw_lines(text: &str) -> Vec<(String, Template)> {
    let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), Template::literal(value))).collect()
}
