//! Reads and checks everything of a project at once.

mod vendors;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::defaults::with_defaults;
use super::file::{self, ProjectFile};
use super::vendors::Vendor;
use super::{Project, Service, check, discover, find};
use crate::config::dotenv;
use crate::config::problem::{self, Problem, Severity};
use crate::config::reader::{self, Reader};
use crate::config::source;
use crate::config::template::Template;
use crate::config::tree::{Node, Place, Source, Value};
use crate::config::yaml;
use crate::services::read;
use crate::services::spec::{self, EnvFile, ServiceConfig};
use crate::store::good::Good;
use crate::task::id::ServiceName;

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The project's file, where `-c` names one; absolute.
    pub config: Option<PathBuf>,
    /// Take files that belong to another user.
    pub trust: bool,
}

/// Loads the project whose root is `root`. Every problem of every file comes back at once; warnings alone do not fail.
pub fn load(root: &Path, options: &LoadOptions) -> Result<Project, Vec<Problem>> {
    let (mut project, problems) = load_anyway(root, options);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    project.warnings = problems;
    Ok(project)
}

/// What can be understood of a project with mistakes, with the services whose own file has none. Nobody, where the project's file has one.
pub fn load_sound(root: &Path, options: &LoadOptions) -> (Project, BTreeSet<ServiceName>) {
    let (project, problems) = load_anyway(root, options);
    let broken: BTreeSet<&Path> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.file.as_path())
        .collect();
    let config = project.config.strip_prefix(root).unwrap_or(&project.config);
    let is_sound = |service: &Service| !broken.contains(service.config.place.source.path.as_path());
    let sound = match broken.contains(config) {
        true => BTreeSet::new(),
        false => {
            let services = project.services.iter().filter(|(_, s)| is_sound(s)).map(|(name, _)| name);
            let is_sound = |vendor: &Vendor| !broken.contains(vendor.config.place.source.path.as_path());
            let vendors = project.vendors.iter().filter(|(_, vendor)| is_sound(vendor)).map(|(name, _)| name);
            services.chain(vendors).cloned().collect()
        }
    };
    (project, sound)
}

/// The configuration that was kept while it was good. What has become wrong since (a package that is gone) shows where it is used.
pub fn load_kept(root: &Path, kept: &Good) -> Project {
    let options = LoadOptions { config: Some(root.join(&kept.config)), trust: true };
    load_from(root, &options, Some(kept)).0
}

fn load_anyway(root: &Path, options: &LoadOptions) -> (Project, Vec<Problem>) {
    load_from(root, options, None)
}

fn load_from(root: &Path, options: &LoadOptions, kept: Option<&Good>) -> (Project, Vec<Problem>) {
    let mut loader = Loader {
        root: root.to_owned(),
        trust: options.trust,
        kept,
        good: Good::default(),
        reader: Reader::default(),
        watch: BTreeSet::new(),
        discover: BTreeSet::new(),
        names: BTreeMap::new(),
        built: Vec::new(),
        partial: false,
    };
    let config = options.config.clone().unwrap_or_else(|| root.join(find::FILE));
    let file = loader.project_file(&config);
    let services = loader.services(&file, &config);
    let vendors = loader.vendors(&file, &config, &services);
    let file_env = loader.project_env(&file);
    let services = loader.finish(services);
    let project = loader.assemble(config, file, services, vendors, file_env);
    loader.check(project)
}

struct Loader<'a> {
    root: PathBuf,
    trust: bool,
    /// Read from here instead of from the disk.
    kept: Option<&'a Good>,
    /// All that was read.
    good: Good,
    reader: Reader,
    watch: BTreeSet<PathBuf>,
    discover: BTreeSet<PathBuf>,
    /// Names as parts of variables, with who has them; those of broken files too.
    names: BTreeMap<String, (ServiceName, Place)>,
    /// Services of Compose files that are built.
    built: Vec<(ServiceName, Place)>,
    /// A file could not be read as a whole, so that what it would have named may seem unknown.
    partial: bool,
}

impl Loader<'_> {
    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn source(&mut self, path: &Path) -> Option<std::sync::Arc<Source>> {
        self.watch.insert(path.to_owned());
        let shown = self.shown(path);
        if let Some(problem) = self.foreign(path, &shown).filter(|_| self.kept.is_none()) {
            self.reader.push(problem);
        }
        let read = match self.kept {
            Some(kept) => kept
                .text(path, &self.root)
                .map(|text| Source::new(&shown, text))
                .ok_or_else(|| Problem::in_file(&shown, "the file was not kept")),
            None => source::read(path, &shown),
        };
        match read {
            Ok(source) => {
                self.good.files.insert(shown, source.text.to_string());
                Some(source)
            }
            Err(problem) => {
                self.reader.push(problem);
                None
            }
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.kept.map_or_else(|| path.exists(), |kept| kept.text(path, &self.root).is_some())
    }

    /// A file that somebody else may change runs their commands as us.
    fn foreign(&self, path: &Path, shown: &Path) -> Option<Problem> {
        let owner = std::fs::metadata(path).ok()?.uid();
        if self.trust || owner == 0 || owner == nix::unistd::geteuid().as_raw() {
            return None;
        }
        let problem = Problem::in_file(
            shown,
            format!("the file belongs to another user (uid {owner}), who could run anything as you"),
        );
        Some(problem.hint("read it, then say `--trust`, or make the file your own"))
    }

    /// The tree of a file; tabs and unknown keys of files of 2015 become warnings.
    fn tree(&mut self, path: &Path, old: &[&str], known: &[&str]) -> Option<Node> {
        let source = self.source(path)?;
        let parsed = yaml::parse(&source);
        for problem in parsed.problems {
            self.reader.push(problem);
        }
        let is_old = parsed.node.as_ref().is_some_and(|node| reader::is_old(node, old, known));
        self.reader.lenient = is_old;
        match parsed.tab {
            Some(tab) if is_old => self.reader.push(tab.warning()),
            Some(tab) => {
                self.reader.push(tab);
                return None;
            }
            None => {}
        }
        let node = parsed.node?;
        if let Value::Scalar { .. } | Value::List(_) = node.value {
            let problem =
                Problem::at(&node.place, format!("the file must hold `key: value` lines, not {}", node.kind()));
            self.reader.push(problem);
            return None;
        }
        Some(node)
    }

    fn project_file(&mut self, config: &Path) -> ProjectFile {
        let node = self.tree(config, file::OLD_KEYS, &file::all_keys());
        self.partial |= node.is_none();
        let out = match node {
            Some(node) => file::read(&node, &mut self.reader),
            None => ProjectFile { scheduler: "epvm", ..ProjectFile::default() },
        };
        self.reader.lenient = false;
        out
    }

    fn services(&mut self, file: &ProjectFile, config: &Path) -> Vec<ServiceConfig> {
        let mut out = Vec::new();
        let globs = file.discover.clone().unwrap_or_else(|| vec!["*".to_owned()]);
        let found = match self.kept {
            Some(kept) => discover::Found { folders: kept.folders.clone(), ..discover::Found::default() },
            None => discover::folders(&self.root, &globs),
        };
        self.good.folders.clone_from(&found.folders);
        self.watch.extend(found.others.iter().map(|folder| self.root.join(folder).join(discover::FILE)));
        // Joining nothing would leave a slash at the end.
        let full = |folder: &PathBuf| self.root.join(folder).components().collect();
        self.discover = found.looked.iter().map(full).collect();
        for problem in found.problems {
            self.reader.push(problem);
        }
        for folder in found.folders {
            out.extend(self.folder(&folder, file));
        }
        self.warn_of_root(&out);
        let folder = config.parent().unwrap_or(&self.root).to_owned();
        for entry in &file.services {
            let node = with_defaults(&entry.node, file.defaults.as_ref());
            let name = ServiceName::fold(&entry.key);
            let service = read::service(&node, name, &entry.place, &folder, &mut self.reader);
            out.extend(service.filter(|service| self.claim(&service.name, &service.place)));
        }
        out
    }

    /// A `service.yml` beside the project's file is easily taken for one that counts.
    fn warn_of_root(&mut self, services: &[ServiceConfig]) {
        let path = self.root.join(discover::FILE);
        if path.is_file() && !services.iter().any(|service| service.folder == self.root) {
            let problem =
                Problem::in_file(Path::new(discover::FILE), "the project's own folder is not searched for a service");
            self.reader.push(
                problem
                    .hint("add `discover: [\".\", \"*\"]` to orchestra.yml, or move the file one folder down")
                    .warning(),
            );
        }
    }

    fn folder(&mut self, folder: &Path, file: &ProjectFile) -> Option<ServiceConfig> {
        let full = self.root.join(folder);
        let path = full.join(discover::FILE);
        let default_name = folder.file_name().or(self.root.file_name()).map(|name| name.to_string_lossy().into_owned());
        let name = default_name.and_then(|name| ServiceName::fold(&name));
        let Some(node) = self.tree(&path, spec::OLD_KEYS, spec::KEYS) else {
            if let Some(name) = self.named(&path).or(name) {
                let place = Place::start(&Source::new(self.shown(&path), ""));
                self.claim(&name, &place);
            }
            return None;
        };
        let place = Place { line: 1, column: 1, ..node.place.clone() };
        let node = with_defaults(&node, file.defaults.as_ref());
        let service = read::service(&node, name, &place, &full, &mut self.reader);
        self.reader.lenient = false;
        service.filter(|service| self.claim(&service.name, &service.place))
    }

    /// The name that a file gives which is otherwise unreadable, so that those who depend on it are not accused too.
    fn named(&self, path: &Path) -> Option<ServiceName> {
        let source = source::read(path, path).ok()?;
        let line = source.text.lines().find_map(|line| line.strip_prefix("name:"))?;
        ServiceName::fold(line.trim().trim_matches(['"', '\'']))
    }

    /// Takes a name; false, with a problem, where somebody has one that is the same as part of a variable.
    fn claim(&mut self, name: &ServiceName, place: &Place) -> bool {
        match self.names.get(&name.env_key()) {
            Some((other, first)) => {
                let message = match other == name {
                    true => format!("two are named `{name}`: here and in {}", first.source.path.display()),
                    false => format!(
                        "`{name}` and `{other}` (in {}) would share the variables `{}_…`",
                        first.source.path.display(),
                        name.env_key()
                    ),
                };
                self.reader.push(Problem::at(place, message).hint("give one of them another `name:`"));
                false
            }
            None => {
                self.names.insert(name.env_key(), (name.clone(), place.clone()));
                true
            }
        }
    }

    fn project_env(&mut self, file: &ProjectFile) -> Vec<(String, Template)> {
        match &file.env_files {
            Some(files) => self.env_files(files, &self.root.clone()).0,
            None => {
                let path = self.root.join(".env");
                self.watch.insert(path.clone());
                if self.exists(&path) { self.env_file(&path) } else { Vec::new() }
            }
        }
    }

    fn env_files(&mut self, files: &[EnvFile], folder: &Path) -> (Vec<(String, Template)>, Vec<PathBuf>) {
        let (mut out, mut paths) = (Vec::new(), Vec::new());
        for file in files {
            let path = folder.join(&file.path);
            paths.push(path.clone());
            if self.exists(&path) {
                out.extend(self.env_file(&path));
                continue;
            }
            self.watch.insert(path.clone());
            if file.required {
                let problem =
                    Problem::at(&file.place, format!("there is no env file `{}`", self.shown(&path).display()));
                self.reader.push(problem.hint("make it, or write {path: …, required: false}"));
            }
        }
        (out, paths)
    }

    fn env_file(&mut self, path: &Path) -> Vec<(String, Template)> {
        let Some(source) = self.source(path) else { return Vec::new() };
        let (settings, problems) = dotenv::parse(&source);
        for problem in problems {
            self.reader.push(problem);
        }
        settings.into_iter().map(|setting| (setting.key, setting.value)).collect()
    }

    fn finish(&mut self, services: Vec<ServiceConfig>) -> BTreeMap<ServiceName, Service> {
        let mut out = BTreeMap::new();
        for config in services {
            let (file_env, env_files) = self.env_files(&config.env_files, &config.folder);
            out.insert(config.name.clone(), Service { config, file_env, env_files });
        }
        out
    }

    fn assemble(
        &mut self,
        config: PathBuf,
        file: ProjectFile,
        services: BTreeMap<ServiceName, Service>,
        vendors: BTreeMap<ServiceName, Vendor>,
        file_env: Vec<(String, Template)>,
    ) -> Project {
        let folder = self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = file.name.or_else(|| ServiceName::fold(&folder)).map(|name| name.to_string());
        Project {
            name: name.unwrap_or_else(|| "project".to_owned()),
            root: self.root.clone(),
            config,
            services,
            vendors,
            section: file.section,
            sections: file.commands_sections,
            file_env,
            commands: file.commands,
            logs: file.logs,
            port_offset: file.port_offset,
            scheduler: file.scheduler,
            strays: file.strays,
            linger: file.linger,
            warnings: Vec::new(),
            watch: Vec::new(),
            discover: std::mem::take(&mut self.discover),
            good: Good::default(),
        }
    }

    fn check(mut self, mut project: Project) -> (Project, Vec<Problem>) {
        let known = if self.partial { None } else { Some(self.names.values().map(|(name, _)| name.clone()).collect()) };
        check::all(&project, known.as_ref(), &mut self.reader);
        let mut problems = self.reader.problems;
        problem::sort(&mut problems);
        project.watch = self.watch.into_iter().collect();
        self.good.config = project.config.strip_prefix(&self.root).unwrap_or(&project.config).to_owned();
        project.good = self.good;
        (project, problems)
    }
}
