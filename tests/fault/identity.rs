//! Who is who after every supervisor, shim and number has changed: nobody is started twice, nobody is lost, and no stranger is signalled.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use super::hands::{is_root, kill_at_once, kill_everything, runs, said, shim_of, unshared};
use super::oracle::{self, Oracle};
use super::report;
use crate::support::output::{Output, Running};
use crate::support::{Fleet, eventually};

/// So many deaths between a fork and what is written about it.
const DEATHS: u32 = if cfg!(feature = "faults") { 30 } else { 4 };

/// A process of the test's own, ended with it.
struct Decoy(Child);

impl Decoy {
    fn start(env: &[(&str, &str)]) -> Decoy {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null()).envs(env.iter().copied());
        Decoy(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        // It may have been killed by the fault, which its test has said by then.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn twenty_starts_at_once_make_one_fleet() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-touch", &fleet.path("pids").to_string_lossy()], &format!("port: {}", fleet.port()));
    fleet.toy("worker", &[], "scale: 2");
    let starts: Vec<Running> = (0..20).map(|_| fleet.background(&["start"])).collect();
    let took: Vec<Duration> = starts.into_iter().map(|start| start.wait(Duration::from_secs(120)).ok().took).collect();
    let longest = took.iter().max().unwrap().as_millis();
    let (pids, oracle) = (fleet.pids(), Oracle::before(&fleet));
    assert_eq!(pids.len(), 3);
    let supervisors = fleet.processes().iter().filter(|process| process.command.contains("__supervisor")).count();
    assert_eq!(supervisors, 1);
    let started = fs::read_to_string(fleet.path("pids")).unwrap();
    assert_eq!(started.lines().count(), 1, "{started}");
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    report::record(9, format!("20 × exit 0 within {longest} ms, 1 supervisor, 3 copies, each started once"));
}

#[test]
fn a_dead_supervisor_leaves_no_lock_behind() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    // One that is started again and again, so that the supervisor dies between a fork and an exec now and then.
    fleet.toy(
        "restless",
        &["-exit-in", "1ms", "-code", "1"],
        "restart: {policy: always, delay: 1ms, max_delay: 2ms, limit: 0}",
    );
    fleet.orchestra(&["start", "api"]).ok();
    fleet.orchestra(&["start", "restless", "--timeout", "1s"]);
    let lock = fleet.runtime().join("lock");
    let mut longest = Duration::ZERO;
    let (pid, rounds) = (fleet.pid("api.1"), DEATHS.min(10));
    for _ in 0..rounds {
        let supervisor = fleet.supervisor();
        kill_at_once(supervisor);
        let began = Instant::now();
        eventually("the lock to be free or taken anew", || {
            let holders = holders(&lock);
            assert!(!holders.contains(&pid), "a service holds the lock of the project");
            (!holders.contains(&supervisor)).then_some(())
        });
        fleet.orchestra(&["start", "api"]).ok();
        longest = longest.max(began.elapsed());
        assert_eq!(fleet.pid("api.1"), pid);
        eventually("one holder of the lock", || (holders(&lock) == BTreeSet::from([fleet.supervisor()])).then_some(()));
    }
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    oracle::no_zombie(&fleet);
    let longest = longest.as_millis();
    report::record(
        10,
        format!("{rounds} times: started again within {longest} ms, the lock held by the new supervisor alone"),
    );
}

/// Every process that has a file open.
fn holders(path: &Path) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(fds) = fs::read_dir(entry.path().join("fd")) else { continue };
        if fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == path)) {
            found.insert(pid);
        }
    }
    found
}

/// In a namespace where numbers are given out as we say: each pid of the dead fleet belongs to a stranger now.
const REUSE: &str = r#"
set -e
"$ORCHESTRA" start >/dev/null 2>&1
leader=$("$ORCHESTRA" ps -o json | grep -o '"pid":[0-9]*' | tail -1 | cut -d: -f2)
shim=$(awk '{print $4}' /proc/$leader/stat)
supervisor=$(cat "$RUNTIME/lock")
kill -9 $supervisor $shim
while kill -0 $supervisor 2>/dev/null || kill -0 $shim 2>/dev/null || kill -0 $leader 2>/dev/null; do sleep 0.05; done
for pid in $supervisor $shim $leader; do
    tries=0
    until [ "$new" = $pid ]; do
        tries=$((tries + 1)); [ $tries -lt 200 ] || { echo "number $pid is not given again"; exit 9; }
        echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
        setsid sleep 1000 & new=$!
        [ $new = $pid ] || kill -9 $new
    done
    taken="$taken $pid"
done
"$ORCHESTRA" ps >/dev/null
"$ORCHESTRA" start >/dev/null 2>&1
again=$("$ORCHESTRA" ps -o json | grep -o '"pid":[0-9]*' | tail -1 | cut -d: -f2)
[ "$again" != $leader ]
"$ORCHESTRA" stop >/dev/null 2>&1
for pid in $taken; do kill -0 $pid || { echo "stranger $pid was killed"; exit 8; }; done
echo "strangers$taken"
"#;

#[test]
fn a_number_that_was_given_to_a_stranger_is_not_signalled() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    let script = format!("RUNTIME={}\n{REUSE}", fleet.runtime().display());
    match unshared(&fleet, &["-p", "-f", "--mount-proc"], &script) {
        Ok(output) => {
            let strangers = said(&output).split_whitespace().count() - 1;
            assert_eq!(strangers, 3);
            report::record(
                11,
                format!(
                    "the pids of supervisor, shim and service given to {strangers} strangers: 0 signals, a new copy started"
                ),
            );
        }
        Err(why) => report::record(11, format!("not possible here: {why}")),
    }
}

/// Rewrites a field of every record.
fn rewrite(fleet: &Fleet, file: &str, change: impl Fn(&str) -> String) {
    let path = fleet.path(file);
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "{file}");
    fs::write(path, changed).unwrap();
}

#[test]
fn after_another_start_of_the_machine_nothing_is_taken_for_alive() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.toy("job", &["-exit-in", "0s"], "type: job");
    fleet.orchestra(&["start"]).ok();
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(fleet.path(".orchestra/run/api/1/instance.json")).unwrap()).unwrap();
    kill_everything(&fleet);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = "00000000-0000-4000-8000-000000000000";
    for file in ["run/api/1/instance.json", "run/job/1/instance.json", "state/boot.json"] {
        rewrite(&fleet, &format!(".orchestra/{file}"), |text| text.replace(boot.trim(), other));
    }
    // Somebody who has everything a file could name: the marker of the dead run.
    let decoy = Decoy::start(&[("ORCHESTRA_RUN", record["marker"].as_str().unwrap())]);
    assert_eq!(fleet.instance("api.1")["pid"], serde_json::Value::Null);
    // Nothing is wanted any more: a part that is started brings nothing else back.
    fleet.orchestra(&["start", "job"]).ok();
    assert_eq!(fleet.pids(), []);
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(&fleet);
    assert_eq!(fleet.instance("api.1")["state"], "ready");
    oracle.holds(&fleet);
    fleet.orchestra(&["stop"]).ok();
    assert!(runs(decoy.pid()), "a process that only carries a marker of before was killed");
    report::record(
        12,
        "3 records of another boot: 0 signals, nothing wanted, nothing shown as running; start and stop work",
    );
}

#[test]
fn who_only_inherited_the_marker_outlives_a_dead_shim() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-escape"], "");
    fleet.orchestra(&["start"]).ok();
    let leader = fleet.pid("api.1");
    let environ = fs::read(format!("/proc/{leader}/environ")).unwrap();
    let marker = environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(b"ORCHESTRA_RUN=")).unwrap();
    let editor = Decoy::start(&[("ORCHESTRA_RUN", std::str::from_utf8(marker).unwrap())]);
    let child = oracle::marked(&fleet).into_iter().find(|p| p.pid != leader && p.leads).expect("its escaped child").pid;
    kill_at_once(shim_of(leader));
    eventually("what escaped to be ended", || (!runs(child)).then_some(()));
    eventually("a new copy", || fleet.pids().iter().any(|(_, pid)| *pid != i64::from(leader)).then_some(()));
    fleet.until("api.1", "ready");
    assert!(runs(editor.pid()), "an editor opened from inside the service was killed");
    let log = fleet.orchestra(&["logs", "-o", "json"]).ok().stdout;
    let told = format!("pid {} ", editor.pid());
    assert!(log.contains(&told) && log.contains("no part of it"), "{log}");
}

/// One that dies by the Nth call of a kind that makes a process or renames a file, in the supervisor or in a shim of its own.
fn start_under_strace(fleet: &Fleet, touched: &Path, n: u32) -> Option<usize> {
    let calls = "clone,clone3,fork,vfork,rename,renameat,renameat2";
    let mut command = fleet.command(&[]);
    let program = command.get_program().to_owned();
    let mut strace = Command::new("strace");
    let said = fleet.root().with_file_name("strace");
    strace.args(["-f", "-I", "1", "-o"]).arg(&said).args(["-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:signal=SIGKILL:when={n}")]).arg(program).arg("start");
    strace.current_dir(fleet.root()).env_clear().envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear();
    let mut tracer = strace.spawn().ok()?;
    // It follows whoever was started, and a service never ends: once nothing new happens it is let go.
    let began = Instant::now();
    let started = || fs::read_to_string(touched).map_or(0, |pids| pids.lines().count());
    while tracer.try_wait().unwrap().is_none() && started() < 3 && began.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // SIGTERM lets it detach from all whom it follows.
    let pid = nix::unistd::Pid::from_raw(tracer.id() as i32);
    let _ended = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    tracer.wait().unwrap();
    Some(fs::read_to_string(said).unwrap().matches("+++ killed by SIGKILL").count())
}

/// Whatever happened: a start makes one copy of each, and a stop leaves none.
fn comes_right(fleet: &Fleet, touched: &Path) {
    fleet.orchestra(&["start"]).ok();
    let oracle = Oracle::before(fleet);
    oracle.holds(fleet);
    let pids: BTreeSet<i32> = fleet.pids().iter().map(|(_, pid)| *pid as i32).collect();
    assert_eq!(pids.len(), 3);
    let started: BTreeSet<i32> = fs::read_to_string(touched).unwrap().lines().map(|pid| pid.parse().unwrap()).collect();
    let alive: BTreeSet<i32> = started.into_iter().filter(|pid| runs(*pid)).collect();
    assert_eq!(alive, pids, "of all that were ever started these live");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    fs::remove_file(touched).unwrap();
}

fn fleet_of_three() -> (Fleet, PathBuf) {
    let fleet = Fleet::new();
    let touched = fleet.path("pids");
    fleet.toy("api", &["-touch", &touched.to_string_lossy()], "");
    fleet.toy("worker", &["-touch", &touched.to_string_lossy()], "scale: 2");
    (fleet, touched)
}

#[test]
fn dying_between_a_fork_and_what_is_written_about_it() {
    let (fleet, touched) = fleet_of_three();
    let begin = if cfg!(feature = "faults") { 1 } else { 3 };
    let mut deaths = 0;
    for n in begin..begin + DEATHS {
        let Some(killed) = start_under_strace(&fleet, &touched, n) else {
            return report::record(2, "not possible here: strace is missing");
        };
        deaths += killed;
        comes_right(&fleet, &touched);
    }
    assert!(deaths > 0, "nobody was hit");
    let last = begin + DEATHS - 1;
    report::record(
        2,
        format!(
            "SIGKILL at fork or rename {begin} to {last} of each process, {deaths} died of it: one copy of each of 3, stopped"
        ),
    );
}

#[test]
fn dying_at_random_moments_of_a_start() {
    let (fleet, touched) = fleet_of_three();
    let seed = std::env::var("ORCHESTRA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) << 16 | u64::from(fleet.port()));
    eprintln!("ORCHESTRA_SEED={seed}");
    let mut random = seed;
    for _ in 0..DEATHS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let start = fleet.background(&["start"]);
        let lock = fleet.runtime().join("lock");
        let supervisor = eventually("a supervisor", || {
            fs::read_to_string(&lock).ok()?.trim().parse::<i32>().ok().filter(|pid| runs(*pid))
        });
        std::thread::sleep(Duration::from_micros((random >> 33) % 150_000));
        kill_at_once(supervisor);
        start.wait(Duration::from_secs(120));
        comes_right(&fleet, &touched);
    }
    report::record(2, format!("SIGKILL at {DEATHS} random moments (seed {seed}): one copy of each of 3, stopped"));
}

/// A copy of the program that says it is of an older version, and that version: the number is changed in its bytes. An optimiser puts them into
/// instructions, four at a time, so that `0.1.` is found there and `0.1.0` is not.
fn older_program(fleet: &Fleet) -> (PathBuf, String) {
    let (head, last) = env!("CARGO_PKG_VERSION").split_at(4);
    let zeros: String = head.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_ne!(head, zeros, "no version is older");
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_orchestra")).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, head).collect();
    for at in places {
        bytes[at..at + head.len()].copy_from_slice(zeros.as_bytes());
    }
    let path = fleet.root().with_file_name("orchestra-older");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    (path, zeros + last)
}

/// The same command by another program.
fn by(fleet: &Fleet, program: &Path, args: &[&str]) -> Output {
    let like = fleet.command(args);
    let mut command = Command::new(program);
    command.args(args).current_dir(fleet.root()).env_clear();
    command.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
    fleet.run(command)
}

#[test]
fn a_newer_program_replaces_an_older_supervisor_and_keeps_its_services() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "20ms"], "scale: 2");
    let (older, version_of_older) = older_program(&fleet);
    by(&fleet, &older, &["start"]).ok();
    let (pids, old) = (fleet.pids(), fleet.supervisor());
    let version = |fleet: &Fleet| fleet.ps()["supervisor"]["version"].clone();
    assert_eq!(version(&fleet), version_of_older.as_str());
    let began = Instant::now();
    fleet.orchestra(&["start"]).ok();
    let took = began.elapsed().as_millis();
    assert_ne!(fleet.supervisor(), old);
    assert_eq!((version(&fleet), fleet.pids()), (env!("CARGO_PKG_VERSION").into(), pids.clone()));
    let oracle = Oracle::before(&fleet);
    oracle.holds(&fleet);
    // The older program understands the newer supervisor, which it does not replace.
    let new = fleet.supervisor();
    by(&fleet, &older, &["start"]).ok();
    assert_eq!((fleet.supervisor(), fleet.pids()), (new, pids));
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    report::record(44, format!("replaced and adopted in {took} ms, same 2 pids under shims of the older program"));
}

/// Answers the first thing asked of a socket, again and again, until the test ends.
fn answer(path: PathBuf, words: String, listens: bool) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            if listens {
                // The request itself does not matter.
                let _asked = stream.read(&mut [0; 4096]);
            }
            // The asker may have gone.
            let _told = stream.write_all(words.as_bytes());
        }
    });
}

fn hold(path: &Path) -> Flock<fs::File> {
    let mut file = fs::File::create(path).unwrap();
    writeln!(file, "{}", std::process::id()).unwrap();
    Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap()
}

#[test]
fn an_unknown_protocol_is_said_and_not_guessed() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fs::create_dir_all(fleet.runtime()).unwrap();
    let runtime = fleet.runtime();
    {
        let _lock = hold(&runtime.join("lock"));
        let body = r#"{"version":"9.9.9","protocol":99,"pid":4711}"#;
        let http = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        answer(runtime.join("api"), http, true);
        for command in ["ps", "start", "stop"] {
            let refused = fleet.orchestra(&[command]).exits(3);
            assert!(refused.stderr.contains("9.9.9") && refused.stderr.contains("protocol 99"), "{}", refused.stderr);
        }
        fs::remove_file(runtime.join("api")).unwrap();
    }
    let _lock = hold(&runtime.join("api.1.lock"));
    answer(
        runtime.join("api.1.sock"),
        format!("hello 99 {} 5 {}\nwhatever 1 2 3\n", "f".repeat(32), std::process::id()),
        false,
    );
    assert_eq!(fleet.instance("api.1")["state"], "running");
    let refused = fleet.orchestra(&["start"]).exits(3);
    assert!(refused.stderr.contains("`api.1`") && refused.stderr.contains("protocol 99"), "{}", refused.stderr);
    let left = fleet.orchestra(&["stop"]).exits(1);
    assert!(left.stderr.contains("api.1") && left.stderr.contains("protocol 99"), "{}", left.stderr);
    report::record(44, "a supervisor and a shim of protocol 99: ps, start and stop name it and touch nothing");
}

/// Connects as another user and says something; how many bytes came back.
#[cfg(target_os = "linux")]
fn as_nobody(socket: &Path, say: &str) -> Result<usize, Option<i32>> {
    let (socket, say) = (socket.to_owned(), say.to_owned());
    let asked = std::thread::spawn(move || {
        #[expect(unsafe_code, reason = "the system call changes this thread alone, the library's function all of them")]
        // SAFETY: a plain system call.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(changed, 0);
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(say.as_bytes())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.read(&mut [0; 4096])
    });
    asked.join().unwrap().map_err(|error: std::io::Error| error.raw_os_error())
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_not_the_owner_reaches_no_socket() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    if !is_root() {
        return report::record(33, "not possible here: only root can be somebody else");
    }
    let (runtime, pid) = (fleet.runtime(), fleet.pid("api.1"));
    let connect = |socket: &str, say: &str| as_nobody(&runtime.join(socket), say);
    let sockets = [("api", "GET /v1/ps HTTP/1.1\r\nhost: x\r\n\r\n"), ("api.1.sock", "kill\n")];
    for (socket, say) in sockets {
        assert_eq!(connect(socket, say), Err(Some(libc::EACCES)), "{socket}");
    }
    // Somebody has opened every door: the peer's user still decides.
    let open = |mode: u32| {
        let parent = runtime.parent().unwrap().to_owned();
        for path in [parent, runtime.clone(), runtime.join("api"), runtime.join("api.1.sock")] {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    open(0o777);
    let turned_away = sockets.map(|(socket, say)| connect(socket, say));
    open(0o700);
    let refused = [Err(Some(libc::ECONNRESET)), Err(Some(libc::EPIPE)), Ok(0)];
    assert!(turned_away.iter().all(|answer| refused.contains(answer)), "{turned_away:?}");
    assert_eq!(fleet.pid("api.1"), pid);
    report::record(33, "another user: EACCES at 2 sockets; with every mode opened to 0777 turned away at both");
}
