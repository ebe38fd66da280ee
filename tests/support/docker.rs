//! The Docker engine of the tests: the one `scripts/test` gave them, and private ones that may be killed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{eventually, leaks};

/// What `scripts/images` makes.
pub(crate) const IMAGES: [&str; 5] = ["postgres:15", "redis:7", "nats:2", "busybox:1", "registry:2"];

/// An engine that answers.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// `unix:///…`, as `DOCKER_HOST` says it.
    pub(crate) host: String,
    /// In front of a program that shall see its ports; nothing where they are the machine's.
    pub(crate) inside: Vec<String>,
}

impl Engine {
    /// The engine of all tests, with its images. Without one a test is skipped: the first one says why, past the capture of its output.
    pub(crate) fn shared() -> Option<Engine> {
        static FOUND: OnceLock<Option<Engine>> = OnceLock::new();
        let find = || match find() {
            Ok(engine) => Some(engine),
            Err(why) => {
                skip(&format!("every test of vendors: {why}"));
                None
            }
        };
        FOUND.get_or_init(find).clone()
    }

    /// The `docker` program with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", &self.host).stdin(Stdio::null());
        command
    }

    /// What `docker` prints, which must succeed.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|said| panic!("docker {args:?}: {said}"))
    }

    /// What `docker` prints, or what it complains about.
    pub(crate) fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let out = self.command(args).output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }

    /// The lines of what `docker` prints.
    #[track_caller]
    pub(crate) fn list(&self, args: &[&str]) -> Vec<String> {
        self.docker(args).lines().map(str::to_owned).collect()
    }
}

/// Says that something is not tested here, past the capture of a test's output; a failure where everything must be tested.
#[track_caller]
pub(crate) fn skip(what: &str) {
    let required = std::env::var("ORCHESTRA_REQUIRE_DOCKER").unwrap_or_default();
    // Where only what can run must run, `scripts/test` has found out what that is.
    let is_excused = || required == "able" && std::env::var_os("ORCHESTRA_NO_DOCKER").is_some();
    let must = !matches!(required.as_str(), "" | "0") && !is_excused();
    assert!(!must, "ORCHESTRA_REQUIRE_DOCKER is set, and this cannot be tested here: {what}");
    say_skipped(what);
}

/// The same for what needs more than an engine that is there: only where everything must be tested it is a failure.
#[track_caller]
pub(crate) fn skip_extra(what: &str) {
    if std::env::var("ORCHESTRA_REQUIRE_DOCKER").is_ok_and(|required| required == "able") {
        say_skipped(what);
    } else {
        skip(what);
    }
}

fn say_skipped(what: &str) {
    // Nobody reads what cannot be written.
    let _unread = writeln!(std::io::stderr(), "\n=== SKIPPED: {what} ===");
}

fn find() -> Result<Engine, String> {
    // `scripts/test` has tried already, and knows better than we why there is none.
    if let Some(why) = std::env::var_os("ORCHESTRA_NO_DOCKER").filter(|why| !why.is_empty()) {
        return Err(why.to_string_lossy().into_owned());
    }
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let engine = Engine { host, inside: Vec::new() };
    engine.try_docker(&["version"]).map_err(|said| format!("no Docker engine answers at {}: {said}", engine.host))?;
    match IMAGES.iter().find(|image| engine.try_docker(&["image", "inspect", image]).is_err()) {
        Some(image) => Err(format!("the engine has no image {image}: scripts/images makes it")),
        None => Ok(engine),
    }
}

/// What dockerd says when its containerd did not begin in time.
const SLOW: &str = "timeout waiting for containerd";
/// Then it is launched again, at most so often in all.
const LAUNCHES: usize = 6;
/// An engine that does not answer after so long on a busy machine never will.
const ENGINE: Duration = Duration::from_secs(180);

/// An engine of a test's own, in a network of its own, that goes with the test and takes everything along.
pub(crate) struct Private {
    /// How it is reached.
    pub(crate) engine: Engine,
    dir: TempDir,
    /// Holds the namespaces of mounts and of the network.
    holder: Child,
    dockerd: Child,
    group: String,
}

impl Private {
    /// Starts one with these images of `from`, or says why that is not possible here.
    pub(crate) fn start(from: &Engine, images: &[&str]) -> Result<Private, String> {
        Private::start_on(from, images, None)
    }

    /// The same with everything it keeps on a tmpfs with these options, which [`Private::resize`] changes.
    pub(crate) fn start_on(from: &Engine, images: &[&str], disk: Option<&str>) -> Result<Private, String> {
        let dir = tempfile::Builder::new().prefix("orchestra-engine-").tempdir().unwrap();
        let mut holder = Command::new("unshare")
            .args(["-n", "-m", "--propagation", "private", "sh", "-c"])
            .arg("mkdir \"$0/data\" && ${1:+mount -t tmpfs -o \"$1\" data \"$0/data\"} && ip link set lo up && : >\"$0/up\" && exec sleep 100000")
            .arg(dir.path())
            .args(disk)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("no `unshare`: {error}"))?;
        let up = eventually("a network of its own", || match holder.try_wait().unwrap() {
            Some(_) => Some(false),
            None => dir.path().join("up").exists().then_some(true),
        });
        if !up {
            let said = std::io::read_to_string(holder.stderr.take().unwrap()).unwrap();
            return Err(format!("no network of our own: {}", said.trim()));
        }
        let group = format!("/{}", dir.path().file_name().unwrap().to_string_lossy());
        let inside = ["nsenter", "-t", &holder.id().to_string(), "-n", "--"].map(str::to_owned).to_vec();
        let engine = Engine { host: format!("unix://{}", dir.path().join("docker.sock").display()), inside };
        let dockerd = launch(dir.path(), &holder, &group)?;
        let mut private = Private { engine, dir, holder, dockerd, group };
        private.wait()?;
        for image in images {
            private.load(from, image);
        }
        Ok(private)
    }

    /// Kills it as a power cut would, its containerd too, but for its containers, which run on.
    pub(crate) fn kill(&mut self) {
        let containerd = fs::read_to_string(self.dir.path().join(CONTAINERD)).unwrap();
        self.dockerd.kill().unwrap();
        let _gone = kill(Pid::from_raw(containerd.trim().parse().unwrap()), Signal::SIGKILL);
        self.dockerd.wait().unwrap();
    }

    /// Ends it as `systemctl stop docker` does: it ends its containers.
    pub(crate) fn stop(&mut self) {
        kill(Pid::from_raw(self.dockerd.id() as i32), Signal::SIGTERM).unwrap();
        self.dockerd.wait().unwrap();
    }

    /// Everything between programs in its network, a registry and the engine for one, gets this rate of tbf(8) from now on: `40mbit`.
    pub(crate) fn throttle(&self, rate: &str) -> Result<(), String> {
        self.within(&["tc", "qdisc", "replace", "dev", "lo", "root", "tbf", "rate", rate])
            .args(["burst", "256k", "latency", "1s"])
            .output()
            .map_err(|error| error.to_string())
            .and_then(|done| {
                done.status.success().then_some(()).ok_or(String::from_utf8_lossy(&done.stderr).into_owned())
            })
    }

    /// Changes the size of its disk: `64m`.
    pub(crate) fn resize(&self, size: &str) {
        let data = self.dir.path().join("data");
        let mut command = self.within(&["mount", "-o", &format!("remount,size={size}")]);
        assert!(command.arg(data).status().unwrap().success());
    }

    /// Bytes on its disk that are in use.
    pub(crate) fn used(&self) -> u64 {
        let seen = format!("/proc/{}/root{}/data", self.holder.id(), self.dir.path().display());
        let stat = nix::sys::statvfs::statvfs(seen.as_str()).unwrap();
        (stat.blocks() - stat.blocks_free()) * stat.fragment_size()
    }

    /// A program that sees its network and its disks.
    fn within(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n", "-m", "--"]).args(argv);
        command
    }

    /// Starts it again after [`Private::kill`] or [`Private::stop`].
    pub(crate) fn start_again(&mut self) {
        self.dockerd = launch(self.dir.path(), &self.holder, &self.group).unwrap_or_else(|why| panic!("{why}"));
        self.wait().unwrap_or_else(|why| panic!("{why}"));
    }

    fn wait(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let log = || fs::read_to_string(self.dir.path().join("dockerd.log")).unwrap_or_default();
        let mut launched = 1;
        while self.engine.try_docker(&["version"]).is_err() {
            let mut ended = self.dockerd.try_wait().unwrap().is_some();
            if ended && log().contains(SLOW) && launched < LAUNCHES {
                // It gives its containerd a fixed time to begin, and a busy machine may need more.
                launched += 1;
                self.dockerd = launch(self.dir.path(), &self.holder, &self.group)?;
                ended = false;
            }
            if ended || began.elapsed() > ENGINE {
                return Err(format!(
                    "dockerd says: {}",
                    log().lines().last().unwrap_or("nothing, and does not answer")
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn load(&self, from: &Engine, image: &str) {
        let mut save = from.command(&["save", image]).stdout(Stdio::piped()).spawn().unwrap();
        let archive = save.stdout.take().unwrap();
        let loaded = self.engine.command(&["load", "-q"]).stdin(archive).stdout(Stdio::null()).status().unwrap();
        assert!(loaded.success() && save.wait().unwrap().success(), "cannot load {image}");
    }

    /// Every process of its containers: they are in its group, whoever their parent is.
    fn contained(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            gather(&hierarchy.path().join(&self.group[1..]), &mut pids);
        }
        gather(&Path::new("/sys/fs/cgroup").join(&self.group[1..]), &mut pids);
        pids
    }
}

/// Where it writes down the pid of the containerd that it starts.
const CONTAINERD: &str = "exec/containerd/containerd.pid";

/// `dockerd` in the holder's namespaces. Its log is appended to, over all its lives.
fn launch(dir: &Path, holder: &Child, group: &str) -> Result<Child, String> {
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    fs::write(dir.join("daemon.json"), "{}").unwrap();
    // A file that names a process of its former life would keep it from starting, once somebody else has that number, or while nobody has reaped it.
    for left in ["pid", CONTAINERD] {
        let _absent = fs::remove_file(dir.join(left));
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("dockerd.log")).unwrap();
    Command::new("nsenter")
        .args(["-t", &holder.id().to_string(), "-n", "-m", "--", "dockerd", "--config-file", &at("daemon.json")])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--host", &format!("unix://{}", at("docker.sock")), "--cgroup-parent", group])
        .args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge=none"])
        .args(["--iptables=false", "--ip6tables=false", "--ip-forward=false"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .map_err(|error| format!("no `dockerd`: {error}"))
}

fn gather(group: &Path, pids: &mut Vec<i32>) {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    pids.extend(own.lines().filter_map(|pid| pid.parse::<i32>().ok()));
    for child in fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        gather(&child.path(), pids);
    }
}

/// Removes a group and those in it, which are empty.
fn remove(group: &Path) {
    for child in fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove(&child.path());
    }
    // Not every hierarchy has it.
    let _absent = fs::remove_dir(group);
}

impl Private {
    /// Ends everything; what was still there after that, by name.
    fn end(&mut self) -> Vec<leaks::Process> {
        // Politely first: it ends its containers and unmounts their disks.
        let _ended = kill(Pid::from_raw(self.dockerd.id() as i32), Signal::SIGTERM);
        for _ in 0..1000 {
            // One that cannot be waited for any more has ended.
            if !matches!(self.dockerd.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.dockerd.kill().and_then(|()| self.dockerd.wait());
        for _ in 0..250 {
            let contained = self.contained();
            for pid in &contained {
                let _gone = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            if contained.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.holder.kill().and_then(|()| self.holder.wait());
        let left = leaks::sweep(self.dir.path(), Duration::from_secs(5));
        let hierarchies: Vec<PathBuf> =
            fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|e| e.path()).collect();
        hierarchies.iter().for_each(|hierarchy| remove(&hierarchy.join(&self.group[1..])));
        left
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        // A second panic would end the whole run of tests, and leave what is here.
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.end()));
        if !failed {
            let left = left.unwrap_or_else(|_| panic!("the private engine could not be ended"));
            assert!(left.is_empty(), "left of the private engine, killed now: {left:#?}");
        }
    }
}
