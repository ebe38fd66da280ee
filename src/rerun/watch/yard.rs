//! A folder with real Go modules and a real watch on it, for tests.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::files::TICK;
use super::{Changed, News, Options, Watched, WatchedService, Watcher};
use crate::rerun::list::Wanted;
use crate::task::id::{BuildKey, ServiceName};
use crate::task::spec::{BuildSpec, Caller};

/// Everything is waited for so long before a test fails.
const DEADLINE: Duration = Duration::from_secs(120);

pub(super) struct Yard {
    _dir: tempfile::TempDir,
    pub(super) root: PathBuf,
    watcher: Option<Watcher>,
    news: mpsc::Receiver<News>,
    runtime: Runtime,
    number: u64,
    fences: u64,
    /// What was said beside edits.
    pub(super) troubles: Vec<Option<String>>,
    pub(super) notes: Vec<String>,
    /// Kept for a service: `watch.include`, `watch.exclude`.
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) config: BTreeSet<PathBuf>,
    pub(super) discover: BTreeSet<PathBuf>,
    pub(super) since: Option<SystemTime>,
    pub(super) with_tests: bool,
    /// Instead of the real `go`.
    pub(super) go: Option<PathBuf>,
}

/// What one edit, or several, reached.
pub(super) fn says(changed: &Changed, root: &Path) -> String {
    let files = |files: &BTreeSet<PathBuf>| {
        let names = files.iter().map(|file| file.strip_prefix(root).unwrap_or(file).display().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    let mut out = Vec::new();
    out.extend(changed.reach.builds.iter().map(|(build, because)| format!("build {}: {}", build.0, files(because))));
    out.extend(changed.reach.tests.iter().map(|(package, because)| format!("test {package}: {}", files(because))));
    out.extend(changed.restarts.iter().map(|(service, because)| format!("restart {service}: {}", files(because))));
    if !changed.config.is_empty() {
        out.push(format!("config: {}", files(&changed.config)));
    }
    out.join("; ")
}

impl Yard {
    pub(super) fn with(files: &[(&str, &str)], options: Options, room: usize) -> Yard {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (sender, news) = mpsc::channel(room);
        let yard = Yard {
            _dir: dir,
            watcher: Some(Watcher::with(&root, sender, options).unwrap()),
            root,
            news,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            number: 0,
            fences: 0,
            troubles: vec![],
            notes: vec![],
            include: vec![],
            exclude: vec![],
            config: BTreeSet::new(),
            discover: BTreeSet::new(),
            since: None,
            with_tests: false,
            go: None,
        };
        files.iter().for_each(|(path, text)| yard.write(path, text));
        yard
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A `go` that does `first` and then what the real one does.
    pub(super) fn fake_go(&mut self, first: &str) {
        let path = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|dir| dir.join("go")).find(|go| go.exists()).unwrap();
        self.write("bin/go", &format!("#!/bin/sh\n{first}\nexec {} \"$@\"\n", real.display()));
        fs::set_permissions(self.at("bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
        self.go = Some(self.at("bin"));
    }

    fn wanted(&self, dir: &str) -> Wanted {
        let kept = |key: &OsString| !["GOFLAGS", "GOWORK", "GO111MODULE", "GOPATH"].iter().any(|name| key == name);
        let mut env: Vec<(OsString, OsString)> = std::env::vars_os().filter(|(key, _)| kept(key)).collect();
        let ours = [("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOENV", "off"), ("CGO_ENABLED", "0")];
        env.extend(ours.map(|(key, value)| (key.into(), value.into())));
        if let Some(go) = &self.go {
            let mut path = vec![go.clone()];
            path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
            env.retain(|(key, _)| key != "PATH");
            env.push(("PATH".into(), std::env::join_paths(path).unwrap()));
        }
        let service = ServiceName::fold(dir.rsplit('/').next().unwrap()).unwrap();
        let folder = self.at(dir);
        let build = BuildSpec {
            key: BuildKey(service.to_string()),
            service: service.clone(),
            dir: folder.clone(),
            package: ".".to_owned(),
            flags: vec![],
            vet: false,
            env,
            before: vec![],
            output: self.at(".out").join(service.as_str()),
            caller: Caller { umask: 0o022, nofile: None },
        };
        Wanted { service, build, tests_below: self.with_tests.then_some(folder) }
    }

    /// Says what shall be watched, and does not wait.
    pub(super) fn tell(&mut self, services: &[&str]) {
        self.number += 1;
        let one = |dir: &&str| {
            let wanted = self.wanted(dir);
            WatchedService {
                name: wanted.service.clone(),
                dir: self.at(dir),
                wanted: Some(wanted),
                include: self.include.clone(),
                exclude: self.exclude.clone(),
            }
        };
        let mut config = self.config.clone();
        config.insert(self.at("fence"));
        let watched = Watched {
            number: self.number,
            services: services.iter().map(one).collect(),
            config,
            discover: self.discover.clone(),
            since: self.since,
        };
        self.watcher.as_ref().unwrap().tell(watched).unwrap();
    }

    /// The same, and waits until it is watched. What was edited until then is left for later.
    pub(super) fn arm(&mut self, services: &[&str]) -> Changed {
        // What was written within the last step of the clock could have been edited while `go` read it, and would count.
        std::thread::sleep(2 * TICK);
        self.tell(services);
        let mut early = Changed { seen_us: i64::MAX, ..Changed::default() };
        loop {
            match self.next() {
                News::Armed(number) if number == self.number => return early,
                News::Changed(changed) => early.merge(changed),
                _ => {}
            }
        }
    }

    /// The next news; notes and troubles are kept, too.
    pub(super) fn next(&mut self) -> News {
        let news = self.runtime.block_on(async { timeout(DEADLINE, self.news.recv()).await });
        let news = news.expect("nothing was told").expect("the watch has ended");
        match &news {
            News::Trouble(trouble) => self.troubles.push(trouble.clone()),
            News::Note(service, line) => self.notes.push(format!("{service}: {line}")),
            News::Armed(_) | News::Changed(_) => {}
        }
        news
    }

    pub(super) fn changed(&mut self) -> Changed {
        loop {
            if let News::Changed(changed) = self.next() {
                return changed;
            }
        }
    }

    /// Waits until edits have reached this; what comes in several pieces is put together.
    #[track_caller]
    pub(super) fn reached(&mut self, wanted: &str) {
        let mut all = Changed { seen_us: i64::MAX, ..Changed::default() };
        let began = SystemTime::now();
        while says(&all, &self.root) != wanted {
            let left = DEADLINE.saturating_sub(began.elapsed().unwrap());
            let news =
                self.runtime.block_on(async { timeout(left.min(Duration::from_secs(20)), self.news.recv()).await });
            match news {
                Ok(Some(News::Changed(changed))) => all.merge(changed),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => panic!("wanted {wanted:?}, got {:?}", says(&all, &self.root)),
            }
        }
    }

    /// Everything that edits until now reached and that needs no question to `go`.
    pub(super) fn told(&mut self) -> String {
        self.fences += 1;
        self.write("fence", &self.fences.to_string());
        let fence = self.at("fence");
        let mut all = Changed { seen_us: i64::MAX, ..Changed::default() };
        while !all.config.contains(&fence) {
            all.merge(self.changed());
        }
        all.config.remove(&fence);
        says(&all, &self.root)
    }

    /// Ends the watch, and waits for it.
    pub(super) fn end(&mut self) {
        self.watcher = None;
    }
}
