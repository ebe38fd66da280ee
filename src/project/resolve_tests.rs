//! What a service finds when it runs: environment, ports, argv, probes, builds, settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::Project;
use super::load::{LoadOptions, load};
use super::ports::AutoPorts;
use super::resolve::{CallerEnv, Overrides, ResolveInput};
use crate::config::problem::Problem;
use crate::sys::home::Home;
use crate::task::id::{InstanceId, ServiceName};
use crate::task::spec::{Caller, ProbeTarget, Protocol, RunSpec, ServiceSpec};

pub(super) struct Fleet {
    pub(super) root: PathBuf,
    _temp: tempfile::TempDir,
    pub(super) caller: Vec<(OsString, OsString)>,
    pub(super) overrides: BTreeMap<ServiceName, Overrides>,
    pub(super) offset: Option<i32>,
    command: &'static str,
}

struct Counting(u16);

impl AutoPorts for Counting {
    fn port(&mut self, _: &ServiceName, _: &str, _: u32, _: Protocol) -> Result<u16, String> {
        self.0 += 1;
        Ok(self.0)
    }
}

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::fold(text).unwrap()
}

impl Fleet {
    pub(super) fn new(files: &[(&str, &str)]) -> Fleet {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("Shop");
        fs::create_dir(&root).unwrap();
        let caller = vec![("HOME".into(), "/home/me".into()), ("PATH".into(), "/bin".into())];
        let fleet = Fleet { root, _temp: temp, caller, overrides: BTreeMap::new(), offset: None, command: "start" };
        for (path, text) in files {
            fleet.write(path, text).unwrap();
        }
        fleet
    }

    pub(super) fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, text)
    }

    pub(super) fn load(&self) -> Project {
        load(&self.root, &LoadOptions::default()).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    pub(super) fn with<T>(&self, services: &[ServiceName], run: impl FnOnce(&mut ResolveInput<'_>) -> T) -> T {
        let home = Home { root: self.root.clone(), dot: self.root.join(".orchestra"), runtime: self.root.join("run") };
        let caller = CallerEnv {
            env: self.caller.clone(),
            caller: Caller { umask: 0o022, nofile: None },
            command: self.command.to_owned(),
            engine_arch: Some("riscv64".to_owned()),
        };
        run(&mut ResolveInput {
            home: &home,
            services,
            callers: BTreeMap::new(),
            default_caller: Arc::new(caller),
            overrides: self.overrides.clone(),
            port_offset: self.offset,
            auto_ports: &mut Counting(20000),
        })
    }

    pub(super) fn try_specs(&self, services: &[&str]) -> Result<Vec<ServiceSpec>, Vec<Problem>> {
        let project = self.load();
        let services: Vec<_> = services.iter().map(|text| name(text)).collect();
        self.with(&services, |input| project.resolve(input))
    }

    pub(super) fn specs(&self, services: &[&str]) -> Vec<ServiceSpec> {
        self.try_specs(services).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    pub(super) fn one(&self, service: &str) -> ServiceSpec {
        self.specs(&[service]).remove(0)
    }

    /// The environment of one instance, sorted, one variable a line.
    pub(super) fn env(&self, service: &str, instance: usize) -> String {
        let spec = self.one(service);
        let mut out = String::new();
        for (key, value) in &spec.runs[instance - 1].env {
            writeln!(out, "{}={}", key.display(), value.display()).unwrap();
        }
        out
    }

    pub(super) fn var(&self, service: &str, key: &str) -> Option<String> {
        let env = self.env(service, 1);
        env.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    }

    pub(super) fn settings(&self, service: &str) -> String {
        self.one(service).runs[0].settings.0.clone()
    }
}

#[test]
fn an_instance_finds_itself_its_ports_and_its_neighbours() {
    let fleet = Fleet::new(&[(
        "orchestra.yml",
        "services:\n  api: {command: [x], scale: 2, ports: {metrics: auto, http: 8080, co-ap: 5683/udp}}\n  \
           auth-db: {command: [x], port: 7000}\n  idle: {command: [x]}\nvendors: {pg: {image: pg, ports: ['127.0.0.1:5433:5432']}}\n",
    )]);
    let expected = "\
API_ADDR=127.0.0.1:8080
API_HOST=127.0.0.1
API_PORT=8080
API_PORT_CO_AP=5683
API_PORT_HTTP=8080
API_PORT_METRICS=20001
AUTH_DB_ADDR=127.0.0.1:7000
AUTH_DB_HOST=127.0.0.1
AUTH_DB_PORT=7000
AUTH_DB_PORT_HTTP=7000
HOME=/home/me
ORCHESTRA_INDEX=1
ORCHESTRA_INSTANCE=2
ORCHESTRA_PEERS_CO_AP=127.0.0.1:5683,127.0.0.1:5684
ORCHESTRA_PEERS_HTTP=127.0.0.1:8080,127.0.0.1:8081
ORCHESTRA_PEERS_METRICS=127.0.0.1:20001,127.0.0.1:20002
ORCHESTRA_PROJECT=shop
ORCHESTRA_SCALE=2
ORCHESTRA_SERVICE=api
PATH=/bin
PG_ADDR=127.0.0.1:5433
PG_HOST=127.0.0.1
PG_PORT=5433
PG_PORT_5432=5433
PORT=8081
PORT_CO_AP=5684
PORT_HTTP=8081
PORT_METRICS=20002
";
    assert_eq!(fleet.env("api", 2), expected);
}

#[test]
fn layers_lie_on_each_other_as_promised() {
    let mut fleet = Fleet::new(&[
        (
            "orchestra.yml",
            "env: {A: project, B: project, C: project, D: project, E: project, PEER_PORT: project}\n\
           start: {env: {C: command, D: command, E: command}}\n\
           services:\n  peer: {command: [x], port: 1234}\n",
        ),
        (".env", "A=project-file\nZ=project-file\n"),
        (
            "api/service.yml",
            "command: [x]\nport: 8080\nenv_file: s.env\nenv: {E: service, PORT: '1', LIST: '${A},${HOME}'}\n",
        ),
        ("api/s.env", "D=service-file\nE=service-file\n"),
    ]);
    let caller = [
        ("A", "caller"),
        ("Z", "caller"),
        ("Y", "caller"),
        ("PEER_PORT", "caller"),
        ("PEER_HOST", "caller"),
        ("PORT", "2"),
    ];
    fleet.caller.extend(caller.map(|(key, value)| (key.into(), value.into())));
    let found = |key: &str| fleet.var("api", key).unwrap();
    assert_eq!(
        ["A", "B", "C", "D", "E", "Y", "Z"].map(found).join(" "),
        "project project command service-file service caller project-file"
    );
    assert_eq!(found("PEER_PORT"), "project", "addresses do not beat the project's variables");
    assert_eq!(found("PEER_HOST"), "127.0.0.1", "but the caller's");
    assert_eq!(found("PORT"), "8080", "and nothing beats what the instance is told about itself");
    assert_eq!(found("LIST"), "project,/home/me");

    let line = Overrides { env: vec![("E".into(), "${A}".into())], ..Overrides::default() };
    fleet.overrides.insert(name("api"), line);
    fleet.command = "test";
    assert_eq!(fleet.var("api", "E").unwrap(), "${A}", "-e is taken as it is");
    assert_eq!(fleet.var("api", "C").unwrap(), "project");
}

#[test]
fn variables_are_filled_into_args_commands_ports_and_probes() {
    let fleet = Fleet::new(&[
        (".env", "BASE=9000\n"),
        (
            "orchestra.yml",
            "services:\n  api:\n    command: [./run, '-n=${ORCHESTRA_INSTANCE}', '$HOME', '$$x']\n    args: ['${NONE:-a b}', '${PEER_ADDR}', '${ORCHESTRA_PEERS_HTTP}']\n    \
           ports: {http: '${BASE}'}\n    scale: 2\n    ready: {http: '/x?i=${ORCHESTRA_INDEX}'}\n    live: {tcp: http, interval: 2s}\n  \
           peer: {command: 'sh -c \"echo hi\"', port: 1}\n  \
           url: {command: [x], port: 4443, ready: {http: 'https://localhost:${PORT}/', status: 204, insecure: true}}\n  \
           far: {command: [x], port: 4444, ready: {http: 'http://example.com:4444/'}}\n  \
           num: {command: [x], port: 4450, scale: 2, ready: {tcp: 4450}}\n  \
           udp: {command: [x], ports: {a: 1/udp, b: 2}}\n  none: {command: [x]}\n  job: {command: [x], port: 3, type: job}\n",
        ),
    ]);
    let api = fleet.one("api");
    let argv: Vec<_> = api.runs[1]
        .argv
        .iter()
        .map(|word| word.to_str().unwrap().replace(fleet.root.to_str().unwrap(), "ROOT"))
        .collect();
    assert_eq!(argv, ["ROOT/./run", "-n=2", "$HOME", "$x", "a b", "127.0.0.1:1", "127.0.0.1:9000,127.0.0.1:9001"]);
    assert_eq!(fleet.one("peer").runs[0].argv, ["sh", "-c", "echo hi"]);
    let ready = |service: &str, instance: usize| fleet.one(service).runs[instance].ready.target.clone();
    let http = |target: ProbeTarget| match target {
        ProbeTarget::Http(http) => format!("{} {:?} {:?}", http.url, http.own_port, http.status),
        other => panic!("{other:?}"),
    };
    assert_eq!(http(ready("api", 1)), "http://127.0.0.1:9001/x?i=1 Some(9001) None");
    assert_eq!(http(ready("url", 0)), "https://localhost:4443/ Some(4443) Some(204)");
    assert_eq!(http(ready("far", 0)), "http://example.com:4444/ None None");
    assert_eq!(api.runs[1].live.as_ref().unwrap().target, ProbeTarget::Tcp(9001));
    assert_eq!(ready("num", 1), ProbeTarget::Tcp(4451), "the number in the file means the instance's own port");
    assert_eq!(ready("udp", 0), ProbeTarget::Tcp(2));
    assert_eq!(ready("none", 0), ProbeTarget::Listener);
    assert_eq!(ready("job", 0), ProbeTarget::Started);
}

#[test]
fn offsets_scales_and_clashes() {
    let mut fleet = Fleet::new(&[(
        "orchestra.yml",
        "port_offset: 100\nservices:\n  a: {command: [x], port: 8000}\n  b: {command: [x], port: 8002}\n  \
           off: {command: [x], port: 8000, enabled: false}\n",
    )]);
    let ports = |fleet: &Fleet| fleet.one("a").runs.iter().map(|run| run.ports[0].number).collect::<Vec<_>>();
    assert_eq!(ports(&fleet), [8100]);
    fleet.offset = Some(0);
    assert_eq!(ports(&fleet), [8000]);
    let scaled = |n| Overrides { scale: Some(n), ..Overrides::default() };
    fleet.overrides.insert(name("a"), scaled(2));
    assert_eq!(ports(&fleet), [8000, 8001]);
    fleet.overrides.insert(name("a"), scaled(0));
    assert_eq!(ports(&fleet), [0_u16; 0]);
    assert_eq!(fleet.var("b", "A_PORT").as_deref(), Some("8000"), "an address outlives a scale of 0");
    fleet.overrides.insert(name("a"), scaled(3));
    let message = |problems: Vec<Problem>| problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("\n");
    assert_eq!(message(fleet.try_specs(&["a"]).unwrap_err()), "port 8002 is wanted by `b.1` and by `a.3`");
    fleet.overrides.clear();
    assert_eq!(message(fleet.try_specs(&["a", "off"]).unwrap_err()), "port 8000 is wanted by `a.1` and by `off.1`");
    fleet.offset = Some(60_000);
    let all = message(fleet.try_specs(&["a", "b"]).unwrap_err());
    assert_eq!(
        all,
        "`a.1` would listen on port 68000, which does not exist\n`b.1` would listen on port 68002, which does not exist"
    );
}

const GO: &str = "package main\n\nfunc main() {}\n";

#[test]
fn services_with_equal_builds_share_one() {
    let mut fleet = Fleet::new(&[
        (
            "orchestra.yml",
            "services:\n  b: {package: ./cmd/x, port: 1, env: {LEVEL: one}, args: [-v]}\n  a: {package: ./cmd/../cmd/x, port: 2}\n  \
           tagged: {package: ./cmd/x, build: {tags: [p, q], ldflags: '-X v=${V}', dwarf: false, debug: true, flags: [-trimpath], env: {CGO_ENABLED: '0'}}}\n  \
           flagged: {package: ./cmd/x, env: {GOFLAGS: -mod=mod}}\n  far: {package: example.com/tool/cmd}\nenv: {V: '1 2'}\n",
        ),
        ("cmd/x/main.go", GO),
    ]);
    let (a, b) = (fleet.one("a"), fleet.one("b"));
    let (build_a, build_b) = (a.build.unwrap(), b.build.unwrap());
    let bin = fleet.root.join(".orchestra/bin");
    assert_eq!((&build_a.key, &build_a.output, build_a.service.as_str()), (&build_b.key, &bin.join("a"), "a"));
    assert_eq!(build_b.output, bin.join("a"), "whatever is selected");
    assert_eq!((build_a.dir, build_a.package.as_str()), (fleet.root.join("cmd/x"), "."));
    assert_eq!(b.runs[0].argv, [bin.join("a").into_os_string(), "-v".into()]);
    assert_eq!(b.runs[0].dir, fleet.root);

    let tagged = fleet.one("tagged").build.unwrap();
    // A debugger needs the tables that `dwarf: false` leaves out.
    let expected = ["-buildvcs=false", "-tags=p,q", "-ldflags=-X v=1 2", "-gcflags=all=-N -l", "-trimpath"];
    assert_eq!(tagged.flags, expected);
    assert_eq!(tagged.output, bin.join("tagged"));
    let env = |key: &str| tagged.env.iter().find(|(k, _)| k == key).map(|(_, v)| v.to_str().unwrap().to_owned());
    assert_eq!(
        ["CGO_ENABLED", "HOME", "PORT", "ORCHESTRA_INSTANCE"].map(env),
        [Some("0".into()), Some("/home/me".into()), None, None]
    );
    assert_eq!(fleet.one("flagged").build.unwrap().output, bin.join("flagged"));
    let far = fleet.one("far").build.unwrap();
    assert_eq!((far.dir, far.package.as_str()), (fleet.root.clone(), "example.com/tool/cmd"));

    fleet.overrides.insert(name("a"), Overrides { race: true, ..Overrides::default() });
    assert_eq!(fleet.one("a").build.unwrap().flags, ["-buildvcs=false", "-race"]);
    assert_eq!(fleet.one("b").build.unwrap().output, bin.join("b"));
}

#[test]
fn a_debugger_gets_a_port_of_its_own_that_nobody_else_is_told() {
    let mut fleet = Fleet::new(&[
        (
            "orchestra.yml",
            "services:\n  api: {package: ./cmd/x, port: 8000, scale: 2, args: [-v]}\n  own: {package: ./cmd/x, ports: {debug: 9000}, build: {debug: true}}\n  \
             web: {command: [x], build: {debug: true}}\n",
        ),
        ("cmd/x/main.go", GO),
    ]);
    let plain = fleet.one("api");
    assert_eq!(plain.runs[0].debugger, None);
    fleet.overrides.insert(name("api"), Overrides { debug: true, ..Overrides::default() });
    let api = fleet.one("api");
    assert_ne!(api.build.as_ref().unwrap().key, plain.build.as_ref().unwrap().key);
    assert!(api.build.unwrap().flags.contains(&"-gcflags=all=-N -l".to_owned()));
    let ports = |run: &RunSpec| run.ports.iter().map(|port| (port.name.clone(), port.number)).collect::<Vec<_>>();
    let [first, second] = [&api.runs[0], &api.runs[1]].map(|run| run.debugger.unwrap());
    assert_ne!(first, second);
    assert_eq!(ports(&api.runs[0]), [("http".into(), 8000), ("debug".into(), first)]);
    // Nobody installed a debugger for this caller: whoever starts the service says so.
    let words: Vec<_> = api.runs[0].argv.iter().map(|word| word.to_string_lossy()).collect();
    let binary = fleet.root.join(".orchestra/bin/api");
    assert_eq!(words[0], "dlv");
    assert!(words.join(" ").ends_with(&format!("--listen=127.0.0.1:{first} {} -- -v", binary.display())), "{words:?}");
    assert_eq!(api.runs[0].ready, plain.runs[0].ready, "asked on the service's own port");
    assert_ne!(api.runs[0].settings, plain.runs[0].settings);
    assert_eq!(fleet.var("api", "PORT").as_deref(), Some("8000"));
    assert_eq!(fleet.var("own", "API_PORT_DEBUG"), None);

    let own = fleet.one("own");
    assert_eq!(ports(&own.runs[0]), [("debug".into(), 9000), ("dlv".into(), own.runs[0].debugger.unwrap())]);
    assert_eq!(fleet.one("web").runs[0].argv, ["x"], "not a program of Go");
}

#[test]
fn settings_change_with_what_concerns_the_instance_and_with_nothing_else() {
    let mut fleet = Fleet::new(&[(
        "orchestra.yml",
        "env: {A: '1', OWN: '${HOME}'}\nservices:\n  api: {command: [x], port: 1, depends_on: [db]}\n  db: {command: [x], port: 50}\n",
    )]);
    let before = fleet.settings("api");
    let rewrite = |fleet: &Fleet, from: &str, to: &str| {
        let text = fs::read_to_string(fleet.root.join("orchestra.yml")).unwrap();
        assert!(text.contains(from));
        fleet.write("orchestra.yml", &text.replace(from, to)).unwrap();
    };
    fleet.caller.push(("TERM".into(), "xterm".into()));
    fleet.overrides.insert(name("api"), Overrides { scale: Some(3), ..Overrides::default() });
    rewrite(&fleet, "  db:", "  other: {command: [x], port: 99}\n  db:");
    assert_eq!(
        fleet.settings("api"),
        before,
        "the caller's variables, further copies and further services change nothing"
    );
    let mut seen = vec![before];
    for (from, to) in
        [("A: '1'", "A: '2'"), ("port: 50", "port: 51"), ("port: 1,", "port: 2,"), ("[x], port: 2", "[x, y], port: 2")]
    {
        rewrite(&fleet, from, to);
        seen.push(fleet.settings("api"));
    }
    fleet.caller[0].1 = "/elsewhere".into();
    seen.push(fleet.settings("api"));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "each of these changes the settings");
}

#[test]
fn defaults_lie_below_every_service() {
    let fleet = Fleet::new(&[(
        "orchestra.yml",
        "defaults: {restart: always, stop: {grace: 3s}, env: {A: default, B: default}, ready: {http: /d, interval: 1s}, port: 1, enabled: false}\n\
           services: {api: {command: [x], stop: {signal: INT}, environment: {B: own}, ready: {tcp: 9}, ports: {x: 9}, enabled: true}}\n",
    )]);
    let api = fleet.one("api");
    assert_eq!((api.runs[0].stop.signal, api.runs[0].stop.grace.as_secs()), (2, 3));
    assert_eq!(api.restart.mode, crate::task::restart::RestartMode::Always);
    assert_eq!((fleet.var("api", "A").as_deref(), fleet.var("api", "B").as_deref()), (Some("default"), Some("own")));
    assert_eq!(
        (&api.runs[0].ready.target, api.runs[0].ready.interval.map(|i| i.as_secs())),
        (&ProbeTarget::Tcp(9), Some(1))
    );
    assert_eq!(api.runs[0].ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["x"]);
}

#[test]
fn hooks_run_around_commands_that_change_something() {
    let fleet = Fleet::new(&[(
        "orchestra.yml",
        "before: ['echo one']\nafter: ['echo two']\nstart: {before: ['echo three'], after: ['echo four']}\nps: {before: ['echo five']}\n",
    )]);
    let project = fleet.load();
    let words = |command: &str| {
        let hooks = project.hooks(command);
        let all =
            hooks.before.iter().map(|c| c[1].as_str()).chain(["|"]).chain(hooks.after.iter().map(|c| c[1].as_str()));
        all.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(["start", "stop", "ps", "logs"].map(words), ["one three | four two", "one | two", "five |", "|"]);
}

#[test]
fn the_project_alone_and_one_instance_can_be_exported() {
    let fleet = Fleet::new(&[("orchestra.yml", "env: {A: '${HOME}/x'}\nservices: {api: {command: [x], port: 1}}\n")]);
    let project = fleet.load();
    let lines = |all| String::from_utf8(super::export::lines(&all, super::export::Quoting::Exact).0).unwrap();
    let own = fleet.with(&[], |input| project.own_environment(input)).unwrap();
    let expected = "export A='/home/me/x'\nexport API_ADDR='127.0.0.1:1'\nexport API_HOST='127.0.0.1'\nexport API_PORT='1'\n\
                    export API_PORT_HTTP='1'\nexport ORCHESTRA_PROJECT='shop'\n";
    assert_eq!(lines(own), expected);
    let instance = InstanceId { service: name("api"), number: 1 };
    let all = fleet.with(&[name("api")], |input| project.environment(input, &instance)).unwrap();
    assert!(lines(all).contains("export PORT='1'\n"));
}

#[test]
fn links_unicode_and_spaces_are_ordinary_folders() {
    let fleet = Fleet::new(&[("orchestra.yml", ""), ("Ünï x/service.yml", ""), ("Ünï x/main.go", GO)]);
    let outside = fleet.root.parent().unwrap().join("elsewhere");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("service.yml"), "env_file: up.env\n").unwrap();
    fs::write(outside.join("up.env"), "A=1\n").unwrap();
    fs::write(outside.join("main.go"), GO).unwrap();
    std::os::unix::fs::symlink(&outside, fleet.root.join("web")).unwrap();
    let names: Vec<String> = fleet.load().services.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["-n--x", "web"]);
    assert_eq!(fleet.one("web").runs[0].dir, fleet.root.join("web"));
    assert_eq!(fleet.var("web", "A").as_deref(), Some("1"));
    let watch = fleet.load().watch;
    assert!(watch.contains(&fleet.root.join("web/up.env")) && watch.contains(&fleet.root.join(".env")));
}

#[test]
fn five_hundred_services_resolve_in_no_time() {
    let mut text = "services:\n".to_owned();
    for n in 0..500 {
        writeln!(
            text,
            "  s{n}: {{command: [x], port: {}, depends_on: [{}]}}",
            10000 + n,
            if n > 0 { format!("s{}", n - 1) } else { String::new() }
        )
        .unwrap();
    }
    let fleet = Fleet::new(&[("orchestra.yml", &text)]);
    let names: Vec<String> = (0..500).map(|n| format!("s{n}")).collect();
    let begun = std::time::Instant::now();
    let specs = fleet.specs(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(specs.len(), 500);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn each_service_keeps_its_own_caller_and_command() {
    let fleet = Fleet::new(&[(
        "orchestra.yml",
        "start: {env: {BY: start}}\nrestart: {env: {BY: restart}}\n\
         services: {a: {command: [x], color: true, env: {FORCE_COLOR: '0'}}, b: {command: [x], env: {ME: '${USER}'}}}\n",
    )]);
    let project = fleet.load();
    let caller = |user: &str, command: &str| {
        let env = vec![("USER".into(), user.into()), ("CLICOLOR_FORCE".into(), "0".into())];
        let caller = Caller { umask: 0o077, nofile: Some((1, 2)) };
        Arc::new(CallerEnv { env, caller, command: command.to_owned(), engine_arch: None })
    };
    let specs = fleet.with(&[name("a"), name("b")], |input| {
        input.default_caller = caller("ann", "start");
        input.callers.insert(name("b"), caller("bob", "restart"));
        project.resolve(input).unwrap()
    });
    let var = |index: usize, key: &str| {
        let run: &crate::task::spec::RunSpec = &specs[index].runs[0];
        run.env.iter().find(|(k, _)| k == key).map(|(_, value)| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!([var(0, "USER"), var(0, "BY"), var(1, "ME"), var(1, "BY")], ["ann", "start", "bob", "restart"]);
    assert_eq!([var(0, "CLICOLOR_FORCE"), var(0, "FORCE_COLOR"), var(1, "CLICOLOR_FORCE")], ["1", "0", "0"]);
    assert_eq!(specs[1].runs[0].caller.umask, 0o077);
}
