//! A project of a test's own, and the program run on it with nothing of the machine's environment.

use std::cell::{Cell, OnceCell, RefCell};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::mounts::SmallDisk;
use super::output::{Output, Running};
use super::{eventually, leaks, ports, toy};

/// How long one command may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// A project in a folder of its own. When it goes, its fleet is stopped, and a process that is left fails the test.
pub(crate) struct Fleet {
    dir: TempDir,
    root: PathBuf,
    next_port: Cell<(u16, u16)>,
    disk: OnceCell<SmallDisk>,
    /// In front of the program.
    inside: RefCell<Vec<String>>,
    /// Variables beside the test's own.
    env: RefCell<Vec<(String, String)>>,
}

impl Fleet {
    /// An empty project: `orchestra.yml` with nothing in it.
    pub(crate) fn new() -> Fleet {
        Fleet::named("fleet")
    }

    /// An empty project in a folder of this name.
    pub(crate) fn named(folder: &str) -> Fleet {
        let dir = tempfile::Builder::new().prefix("orchestra-test-").tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join(folder);
        for made in [&root, &dir.path().join("home"), &dir.path().join("tmp")] {
            fs::create_dir_all(made).unwrap();
        }
        quiet_go(&dir.path().join("home"));
        let (disk, inside, env) = (OnceCell::new(), RefCell::default(), RefCell::default());
        let fleet = Fleet { dir, root, next_port: Cell::new((0, 0)), disk, inside, env };
        fleet.write("orchestra.yml", "");
        fleet
    }

    /// A copy of a folder of the repository, `examples/shop`.
    pub(crate) fn copy_of(folder: &str) -> Fleet {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let fleet = Fleet::named(source.file_name().unwrap().to_str().unwrap());
        copy(&source, &fleet.root);
        fleet
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the project's folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a file of the project and the folders above it.
    pub(crate) fn write(&self, relative: &str, text: impl AsRef<[u8]>) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A service that runs the toy with `args`; `yaml` are further lines of its `service.yml`.
    pub(crate) fn toy(&self, name: &str, args: &[&str], yaml: &str) {
        let mut argv = vec![toy::toy()];
        argv.extend(args);
        let command = serde_json::to_string(&argv).unwrap();
        self.write(&format!("{name}/service.yml"), format!("command: {command}\n{yaml}\n"));
    }

    /// A Go service with a module of its own; `service.yml` is made empty unless it is there.
    pub(crate) fn go_service(&self, name: &str, source: &str) {
        self.write(&format!("{name}/go.mod"), format!("module example.com/{name}\n\ngo 1.22\n"));
        self.write(&format!("{name}/main.go"), source);
        if !self.path(&format!("{name}/service.yml")).exists() {
            self.write(&format!("{name}/service.yml"), "");
        }
    }

    /// A port nobody else uses.
    pub(crate) fn port(&self) -> u16 {
        self.ports(1)
    }

    /// The first of `n` ports in a row that nobody else uses.
    pub(crate) fn ports(&self, n: u16) -> u16 {
        let (mut next, mut end) = self.next_port.get();
        if end - next < n {
            next = ports::block();
            end = next + ports::BLOCK;
        }
        self.next_port.set((next + n, end));
        next
    }

    /// The program in the project's folder, with the environment of the test and nothing else.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_orchestra");
        let inside = self.inside.borrow();
        let mut command = match (self.disk.get(), inside.split_first()) {
            (Some(disk), _) => disk.enter(&self.root, program),
            (None, Some((first, rest))) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            (None, None) => Command::new(program),
        };
        command.args(args).current_dir(&self.root).env_clear();
        command.envs(toy::go_env());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path().join("home")).env("TMPDIR", self.dir.path().join("tmp"));
        command.env("LANG", "C.UTF-8").env("PWD", &self.root);
        command.envs(self.env.borrow().iter().map(|(key, value)| (key, value)));
        command
    }

    /// Every command runs behind this program from now on: `nsenter …`.
    pub(crate) fn inside(&self, program: &[String]) {
        self.inside.replace(program.to_vec());
    }

    /// Every command has this variable from now on.
    pub(crate) fn set(&self, key: &str, value: &str) {
        self.env.borrow_mut().retain(|(known, _)| known != key);
        self.env.borrow_mut().push((key.to_owned(), value.to_owned()));
    }

    /// Puts `.orchestra` on a tmpfs with these options, which every command sees from now on; or says why that is not possible here.
    pub(crate) fn on_small_disk(&self, options: &str) -> Result<&SmallDisk, String> {
        let disk = SmallDisk::new(&self.path(".orchestra"), options)?;
        Ok(self.disk.get_or_init(|| disk))
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn orchestra(&self, args: &[&str]) -> Output {
        self.run(self.command(args))
    }

    /// Runs a command made by [`Fleet::command`] to its end.
    #[track_caller]
    pub(crate) fn run(&self, command: Command) -> Output {
        Running::start(command).wait(DEADLINE)
    }

    /// Starts the program and leaves it running.
    pub(crate) fn background(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// `ps -o json`.
    #[track_caller]
    pub(crate) fn ps(&self) -> Value {
        self.orchestra(&["ps", "-o", "json"]).ok().json()
    }

    /// One service of `ps`.
    #[track_caller]
    pub(crate) fn service(&self, name: &str) -> Value {
        let ps = self.ps();
        let services = ps["services"].as_array().unwrap();
        let found = services.iter().find(|s| s["name"] == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {ps}")).clone()
    }

    /// One instance of `ps`: `api.1`.
    #[track_caller]
    pub(crate) fn instance(&self, id: &str) -> Value {
        let service = self.service(id.split('.').next().unwrap());
        let found = service["instances"].as_array().unwrap().iter().find(|i| i["id"] == id);
        found.unwrap_or_else(|| panic!("no `{id}` in {service}")).clone()
    }

    /// The pid of an instance that has one.
    #[track_caller]
    pub(crate) fn pid(&self, id: &str) -> i32 {
        let instance = self.instance(id);
        instance["pid"].as_i64().unwrap_or_else(|| panic!("no pid: {instance}")) as i32
    }

    /// The pid of every instance that has one, by id.
    #[track_caller]
    pub(crate) fn pids(&self) -> Vec<(String, i64)> {
        let ps = self.ps();
        let instances = ps["services"].as_array().unwrap().iter().flat_map(|s| s["instances"].as_array().unwrap());
        instances.filter_map(|i| Some((i["id"].as_str()?.to_owned(), i["pid"].as_i64()?))).collect()
    }

    /// The pid of the supervisor.
    #[track_caller]
    pub(crate) fn supervisor(&self) -> i32 {
        let ps = self.ps();
        ps["supervisor"]["pid"].as_i64().unwrap_or_else(|| panic!("no supervisor: {ps}")) as i32
    }

    /// Waits until an instance is in this state.
    #[track_caller]
    pub(crate) fn until(&self, id: &str, state: &str) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        eventually(&format!("{id} to be {state}"), || {
            let instance = self.instance(id);
            let there = instance["state"] == state;
            last.replace(instance.clone());
            there.then_some(instance)
        })
    }

    /// The payload of every line the selected services wrote, by arrival.
    #[track_caller]
    pub(crate) fn lines(&self, select: &[&str]) -> Vec<String> {
        let args = [&["logs", "-o", "json"], select].concat();
        let lines = self.orchestra(&args).ok().json_lines();
        let written = lines.iter().filter(|l| l["stream"] == "stdout" || l["stream"] == "stderr");
        written.filter_map(|l| Some(l["line"].as_str()?.to_owned())).collect()
    }

    /// What a service of ours answers to `GET path`; `None` when it does not.
    pub(crate) fn get(&self, port: u16, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        // In one piece: a simple server closes after its first read, and what it did not read would undo its answer.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    /// The folder of lock and sockets.
    pub(crate) fn runtime(&self) -> PathBuf {
        let uid = nix::unistd::getuid();
        let meta = fs::metadata(&self.root).unwrap();
        PathBuf::from(format!("/tmp/orchestra-{uid}/{:x}-{:x}", meta.dev(), meta.ino()))
    }

    /// Every process of this test that runs now.
    pub(crate) fn processes(&self) -> Vec<leaks::Process> {
        leaks::processes(self.dir.path())
    }

    /// What helps to understand a failure.
    fn describe(&self) {
        for args in [&["ps"][..], &["logs", "-n", "40"]] {
            let output = self.orchestra(args);
            eprintln!("--- {}\n{}{}", output.command, output.stdout, output.stderr);
        }
        let log = self.path(".orchestra/state/supervisor.log");
        eprintln!("--- {}\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
        for process in self.processes() {
            eprintln!("{process:?}");
        }
    }

    fn end(&self) -> Vec<leaks::Process> {
        if self.path(".orchestra").exists() && !self.processes().is_empty() {
            let stop = self.orchestra(&["stop", "--timeout", "3s"]);
            if stop.code != Some(0) {
                eprintln!("--- {}: {:?}\n{}{}", stop.command, stop.code, stop.stdout, stop.stderr);
            }
        }
        leaks::sweep(self.dir.path(), Duration::from_secs(5))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let runtime = self.runtime();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if failed {
                self.describe();
            }
            self.end()
        }));
        let left = ended.unwrap_or_else(|_| leaks::sweep(self.dir.path(), Duration::from_secs(5)));
        // Most often it is there and empty but for a lock; a fleet that never started has none.
        let _absent = fs::remove_dir_all(runtime);
        if !failed {
            assert!(left.is_empty(), "left running, killed now: {left:#?}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == ".orchestra" || entry.file_name() == ".data" {
            continue;
        } else if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// In a new home `go` starts a process of its own that counts what was used, and that outlives it for a moment.
fn quiet_go(home: &Path) {
    for config in [".config", "Library/Application Support"] {
        let folder = home.join(config).join("go/telemetry");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("mode"), "off 2024-01-01").unwrap();
    }
}
