//! A fleet with vendors: its project has a name nobody else has, and what it leaves in the engine fails its test.

use std::ops::Deref;

use super::Fleet;
use super::docker::Engine;

/// A [`Fleet`] whose containers run in an engine of the tests.
pub(crate) struct Vendors {
    // Dropped after us: with it its folder goes, whose path is the label of all that is ours.
    fleet: Fleet,
    /// Where its containers run.
    pub(crate) engine: Engine,
    /// The project's name.
    pub(crate) project: String,
}

impl Deref for Vendors {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl Vendors {
    /// A project with this `orchestra.yml`, or nothing where there is no engine, which is said once.
    pub(crate) fn new(name: &str, yaml: &str) -> Option<Vendors> {
        Engine::shared().map(|engine| Vendors::on(engine, name, yaml))
    }

    /// The same on another engine.
    pub(crate) fn on(engine: Engine, name: &str, yaml: &str) -> Vendors {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let project = format!("orc-{name}-{}", &unique[..8]);
        let fleet = Fleet::named(&project);
        fleet.write("orchestra.yml", yaml);
        Vendors::of(fleet, engine, project)
    }

    /// A fleet that is there already, of this name.
    pub(crate) fn of(fleet: Fleet, engine: Engine, project: String) -> Vendors {
        fleet.set("DOCKER_HOST", &engine.host);
        fleet.inside(&engine.inside);
        Vendors { fleet, engine, project }
    }

    /// `label=orchestra.project=<root>`, for `--filter`.
    fn label(&self) -> String {
        format!("label=orchestra.project={}", self.root().display())
    }

    /// Ids of all its containers.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.engine.list(&["ps", "-aq", "--no-trunc", "--filter", &self.label()])
    }

    /// The container of an instance, `postgres.1`, of which there must be one.
    #[track_caller]
    pub(crate) fn container(&self, instance: &str) -> String {
        let label = format!("label=orchestra.instance={instance}");
        let found = self.engine.list(&["ps", "-aq", "--no-trunc", "--filter", &self.label(), "--filter", &label]);
        assert_eq!(found.len(), 1, "containers of {instance}: {found:?}");
        found[0].clone()
    }

    /// One field of `docker inspect`: `{{.State.Status}}`.
    #[track_caller]
    pub(crate) fn inspect(&self, thing: &str, format: &str) -> String {
        self.engine.docker(&["inspect", "-f", format, thing])
    }

    /// Names of its volumes.
    pub(crate) fn volumes(&self) -> Vec<String> {
        self.engine.list(&["volume", "ls", "-q", "--filter", &self.label()])
    }

    /// Names of its networks.
    pub(crate) fn networks(&self) -> Vec<String> {
        self.engine.list(&["network", "ls", "--format", "{{.Name}}", "--filter", &self.label()])
    }

    /// What `psql` in the container of `postgres` prints for a statement.
    #[track_caller]
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap_or_else(|said| panic!("{statement}: {said}"))
    }

    /// The same, or what it complains about.
    pub(crate) fn try_sql(&self, statement: &str) -> Result<String, String> {
        let container = self.container("postgres.1");
        self.engine.try_docker(&["exec", &container, "psql", "-U", "postgres", "-h", "127.0.0.1", "-qAtc", statement])
    }

    /// Everything of this project that is in the engine, by label and by name: the harness's own eyes.
    fn left(&self) -> Vec<[String; 2]> {
        let mut left = Vec::new();
        for filter in [self.label(), format!("name={}", self.project)] {
            for (kind, list) in [
                ("container", &["ps", "-a", "--format", "{{.Names}}", "--filter"][..]),
                ("volume", &["volume", "ls", "-q", "--filter"]),
                ("network", &["network", "ls", "--format", "{{.Name}}", "--filter"]),
                ("image", &["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter"]),
            ] {
                let found = self.engine.try_docker(&[list, &[filter.as_str()]].concat()).unwrap_or_default();
                left.extend(found.lines().map(|name| [kind.to_owned(), name.to_owned()]));
            }
        }
        left.sort();
        left.dedup();
        left
    }

    /// Volumes without a name of ours: the label of the project is not on them where the engine made them.
    fn anonymous(&self) -> Vec<String> {
        let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}\n{{end}}{{end}}";
        let of = |id: String| self.engine.try_docker(&["inspect", "-f", format, &id]).unwrap_or_default();
        let all: Vec<String> = self.containers().into_iter().map(of).collect();
        all.join("\n").lines().filter(|name| name.len() == 64).map(str::to_owned).collect()
    }

    fn describe(&self) {
        for id in self.containers() {
            let of =
                |args: &[&str]| self.engine.try_docker(&[args, &[id.as_str()]].concat()).unwrap_or_else(|said| said);
            eprintln!("--- container {}", of(&["inspect", "-f", "{{.Name}} {{json .State}} {{json .Config.Labels}}"]));
            eprintln!("{}", of(&["logs", "--tail", "20"]));
        }
    }

    fn end(&self) -> Vec<[String; 2]> {
        let anonymous = self.anonymous();
        let stop = self.orchestra(&["stop", "--timeout", "5s"]);
        let down = self.orchestra(&["vendors", "down", "--volumes", "--yes"]);
        for done in [stop, down] {
            if done.code != Some(0) {
                eprintln!("--- {}: {:?}\n{}{}", done.command, done.code, done.stdout, done.stderr);
            }
        }
        let mut left = self.left();
        let there = |name: &String| self.engine.try_docker(&["volume", "inspect", name]).is_ok();
        left.extend(anonymous.into_iter().filter(there).map(|name| ["volume".to_owned(), name]));
        for [kind, name] in &left {
            let remove = [kind.as_str(), "rm", if kind == "network" { "--" } else { "-f" }, name];
            if let Err(said) = self.engine.try_docker(&remove) {
                eprintln!("--- {remove:?}: {said}");
            }
        }
        left
    }
}

impl Drop for Vendors {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if failed {
                self.describe();
            }
            self.end()
        }));
        if !failed {
            let left = ended.unwrap_or_else(|_| panic!("the project could not be ended"));
            assert!(left.is_empty(), "left in the engine, removed now: {left:?}");
        }
    }
}
