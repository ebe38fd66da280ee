//! The shim's promises, on real processes.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use orchestra::logs::record::{self, Stream};
use orchestra::shim::spec::{Linger, ShimSpec};
use orchestra::shim::wire::{Event, Order};
use orchestra::shim::{client, survey};
use orchestra::sys::home::Home;

const LONG: Duration = Duration::from_secs(20);

/// A project of its own; its runtime folder goes with it.
struct Project {
    dir: tempfile::TempDir,
    home: Home,
}

impl Project {
    fn new() -> Project {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(dir.path()).unwrap();
        home.open().unwrap();
        Project { dir, home }
    }

    /// `sh -c script` as the first run of `api.1`.
    fn spec(&self, script: &str) -> ShimSpec {
        let uuid = uuid::Uuid::new_v4().simple().to_string();
        ShimSpec {
            slot: "api.1".into(),
            marker: format!("test/api/1/{uuid}"),
            uuid,
            run: 1,
            revive: None,
            api: self.home.supervisor_socket(),
            dot: self.home.dot.clone(),
            logs: "logs/api/1".into(),
            records: "run/api/1".into(),
            lock: self.home.shim_file("api.1", ".lock"),
            socket: self.home.shim_file("api.1", ".sock"),
            notify: None,
            program: "/bin/sh".into(),
            argv: ["sh", "-c", script].map(OsString::from).to_vec(),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())].into(),
            dir: self.dir.path().to_owned(),
            umask: 0o027,
            nofile: Some((777, 1000)),
            resources: Default::default(),
            tty: false,
            log_keep: 512 << 20,
            settings: "settings".into(),
            artifact: Some("artifact".into()),
            stop_signal: libc::SIGTERM,
            grace_ms: 10_000,
            linger: Linger::Forever,
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> =
            std::fs::read_dir(self.home.dot.join("logs/api/1")).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }

    /// The payload bytes of a stream over all segments; whole lines end with a newline.
    fn bytes(&self, stream: Stream) -> Vec<u8> {
        let mut out = Vec::new();
        for bytes in self.segments().iter().map(|path| std::fs::read(path).unwrap()) {
            assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
            for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                let record = record::parse(line).unwrap();
                if record.stream == stream {
                    out.extend_from_slice(record.payload);
                    out.extend_from_slice(if record.full { b"\n" } else { b"" });
                }
            }
        }
        out
    }

    fn text(&self, stream: Stream) -> String {
        String::from_utf8(self.bytes(stream)).unwrap()
    }

    fn record(&self) -> survey::Found {
        survey::survey(&self.home).found.pop().unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.home.runtime).ok();
    }
}

/// A shim and the supervisor's end of its connection. Dropping it ends the service.
struct Running {
    child: Child,
    control: UnixStream,
    events: BufReader<UnixStream>,
}

impl Running {
    fn start(spec: &ShimSpec) -> Running {
        let (control, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_orchestra"))
            .arg("__shim")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        (&control).write_all(&spec.encode().unwrap()).unwrap();
        control.set_read_timeout(Some(LONG)).unwrap();
        let events = BufReader::new(control.try_clone().unwrap());
        Running { child, control, events }
    }

    fn next(&mut self) -> Option<Event> {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        if line.is_empty() { None } else { Some(Event::parse(line.trim_end()).unwrap()) }
    }

    fn pid(&mut self) -> u32 {
        match self.next() {
            Some(Event::Started(pid)) => pid,
            other => panic!("{other:?}"),
        }
    }

    fn send(&self, order: Order) {
        writeln!(&self.control, "{order}").unwrap();
    }

    fn end(&mut self) -> (Option<i32>, Option<i32>) {
        loop {
            match self.next() {
                Some(Event::Exited { code, signal, .. }) => return (code, signal),
                Some(_) => {}
                None => panic!("the shim died"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            writeln!(&self.control, "kill").ok();
            let until = Instant::now() + Duration::from_secs(5);
            while self.child.try_wait().unwrap().is_none() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.child.kill().ok();
            self.child.wait().unwrap();
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn alive(pid: u32) -> bool {
    orchestra::sys::os::is_running(pid)
}

fn number_in(path: &Path) -> u32 {
    let mut found = None;
    eventually("a pid is written", || {
        found = std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse().ok());
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn runs_records_and_says_how_it_ended() {
    let project = Project::new();
    let mut run = Running::start(&project.spec("echo out; echo err >&2; umask; ulimit -n; printf last; exit 3"));
    let pid = run.pid();
    assert_eq!(run.end(), (Some(3), None));
    assert_eq!(project.text(Stream::Stdout), "out\n0027\n777\nlast");
    assert_eq!(project.text(Stream::Stderr), "err\n");
    run.child.wait().unwrap();
    let found = project.record();
    assert_eq!((found.live, found.record.pid, found.record.settings.as_str()), (false, pid, "settings"));
    assert_eq!(found.exit.unwrap().code, Some(3));
    assert!(!project.home.shim_file("api.1", ".sock").exists());
}

#[test]
fn nothing_of_ours_is_inherited() {
    let project = Project::new();
    let mut spec = project
        .spec("ls -l /proc/self/fd; tr '\\0' '\\n' < /proc/self/environ; grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status");
    spec.env.push(("ORCHESTRA_RUN".into(), "forged".into()));
    let mut run = Running::start(&spec);
    assert_eq!(run.end(), (Some(0), None));
    let out = project.text(Stream::Stdout);
    assert!(out.contains("0 -> /dev/null"), "{out}");
    let open = out.lines().filter(|l| l.contains(" -> ")).count();
    assert_eq!(open, 4, "0, 1, 2 and the folder ls reads: {out}");
    assert!(out.contains(&format!("ORCHESTRA_RUN={}\n", spec.marker)), "{out}");
    assert!(!out.contains("forged") && !out.contains("CARGO"), "{out}");
    // 32 and 33 belong to the C library, which lets nobody change them.
    let ignored = out.lines().find_map(|l| l.strip_prefix("SigIgn:\t")).unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & !0x1_8000_0000, 0, "{out}");
    assert!(out.contains("SigBlk:\t0000000000000000"), "{out}");
}

#[test]
fn says_precisely_why_it_cannot_start() {
    let project = Project::new();
    let file = project.dir.path().join("plain file");
    std::fs::write(&file, "not a program").unwrap();
    let fails = |change: &dyn Fn(&mut ShimSpec)| {
        let mut spec = project.spec("");
        change(&mut spec);
        match Running::start(&spec).next() {
            Some(Event::Failed { message, transient: false }) => message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fails(&|s| s.program = file.clone()), format!("permission denied: {}", file.display()));
    assert_eq!(fails(&|s| s.program = "/no/such".into()), "no such file or directory: /no/such");
    assert_eq!(fails(&|s| s.dir = "/no/where".into()), "no such file or directory: /no/where (its working directory)");
}

#[test]
fn one_shim_per_slot() {
    let project = Project::new();
    let mut first = Running::start(&project.spec("sleep 1000"));
    first.pid();
    match Running::start(&project.spec("sleep 1000")).next() {
        Some(Event::Failed { message, transient: true }) => {
            assert!(message.starts_with("another `api.1` still runs"), "{message}")
        }
        other => panic!("{other:?}"),
    }
    first.send(Order::Kill);
    assert_eq!(first.end(), (None, Some(9)));
}

#[test]
fn a_stop_ends_the_whole_group_after_its_grace() {
    let project = Project::new();
    let grandchild = project.dir.path().join("pid");
    let script = format!(
        "trap 'exit 7' TERM; sh -c \"trap '' TERM; echo \\$\\$ > {}; while :; do sleep 0.05; done\" & wait",
        grandchild.display()
    );
    let mut run = Running::start(&project.spec(&script));
    run.pid();
    let pid = number_in(&grandchild);
    let asked = Instant::now();
    run.send(Order::Stop { signal: libc::SIGTERM, grace_ms: 400 });
    assert_eq!(run.end(), (Some(7), None));
    assert!(!alive(pid));
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(900), "{took:?}");
}

#[test]
fn a_stopped_service_ends_within_its_grace() {
    let project = Project::new();
    let mut run = Running::start(&project.spec("trap 'exit 5' TERM; kill -STOP $$; while :; do sleep 0.01; done"));
    let pid = run.pid();
    let stopped = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") T "));
    eventually("it is stopped", stopped);
    run.send(Order::Stop { signal: libc::SIGTERM, grace_ms: 10_000 });
    assert_eq!(run.end(), (Some(5), None));
}

#[test]
fn who_escaped_to_another_session_is_found_and_ended() {
    let project = Project::new();
    let file = project.dir.path().join("pid");
    let script = format!(
        "setsid sh -c 'sleep 1000 & echo $! > {}' & wait; while :; do echo tick; sleep 0.05; done",
        file.display()
    );
    let mut run = Running::start(&project.spec(&script));
    run.pid();
    let pid = number_in(&file);
    run.send(Order::Status);
    eventually("it is reported", || run.next() == Some(Event::Escaped(1)));
    assert!(alive(pid));
    run.send(Order::Stop { signal: libc::SIGTERM, grace_ms: 5000 });
    assert_eq!(run.end(), (None, Some(libc::SIGTERM)));
    assert!(!alive(pid));
}

#[test]
fn closed_streams_are_no_death_and_a_held_pipe_no_hang() {
    let project = Project::new();
    let mut quiet = Running::start(&project.spec("exec 1>&- 2>&-; sleep 0.2; exit 4"));
    assert_eq!(quiet.end(), (Some(4), None));
    quiet.child.wait().unwrap();
    let begun = Instant::now();
    let mut held = Running::start(&project.spec("(trap '' TERM; sleep 1000) & exit 1"));
    assert_eq!(held.end(), (Some(1), None));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn a_killed_shim_takes_its_service_along_and_the_next_says_so() {
    let project = Project::new();
    let mut run = Running::start(&project.spec("while :; do echo tick; sleep 0.01; done"));
    let pid = run.pid();
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    eventually("the service is gone", || !alive(pid));
    let found = project.record();
    assert_eq!((found.live, found.exit), (false, None));
    client::end_lost(&found.record);
    let mut next = Running::start(&project.spec("exit 0"));
    assert_eq!(next.end(), (Some(0), None));
    assert!(project.text(Stream::Orchestra).starts_with("tail may be lost: run 1 "));
}

#[test]
fn a_lost_supervisor_harms_nothing_and_another_takes_over() {
    let project = Project::new();
    let mut run = Running::start(
        &project.spec("i=0; while [ $i -lt 40 ]; do echo L$i; i=$((i+1)); sleep 0.01; done; sleep 1000"),
    );
    let pid = run.pid();
    run.control.shutdown(std::net::Shutdown::Both).unwrap();
    let mut control = client::connect(&project.home, "api.1").unwrap();
    assert_eq!((control.pid, control.run), (pid, 1));
    control.send(Order::Supervisor).unwrap();
    eventually("every line is there", || project.text(Stream::Stdout).contains("L39\n"));
    let lines: Vec<String> = (0..40).map(|n| format!("L{n}\n")).collect();
    assert_eq!(project.text(Stream::Stdout), lines.concat());
    assert!(project.record().live);
    assert_eq!(client::stop_all(&project.home, None, LONG), client::Stopped::default());
    assert!(!alive(pid));
    assert_eq!(project.record().exit.map(|e| (e.signal, e.stopped)), Some((Some(15), true)));
}

#[test]
fn without_linger_it_dies_with_its_supervisor() {
    let project = Project::new();
    let mut spec = project.spec("trap '' TERM; sleep 1000");
    spec.linger = Linger::Seconds(0);
    let mut run = Running::start(&spec);
    let pid = run.pid();
    run.control.shutdown(std::net::Shutdown::Both).unwrap();
    eventually("it is gone", || !alive(pid));
}

#[test]
fn any_bytes_come_back_as_they_were() {
    let project = Project::new();
    let file = project.dir.path().join("bytes");
    let script = format!("head -c 3000000 /dev/urandom > {0}; echo >> {0}; cat {0}", file.display());
    let mut run = Running::start(&project.spec(&script));
    assert_eq!(run.end(), (Some(0), None));
    assert!(project.bytes(Stream::Stdout) == std::fs::read(&file).unwrap());
}

#[test]
fn a_line_of_100_mb_needs_little_memory() {
    let project = Project::new();
    let mut run = Running::start(&project.spec("head -c 100000000 /dev/zero | tr '\\0' x; sleep 1000"));
    run.pid();
    let size = || project.segments().iter().map(|p| p.metadata().unwrap().len()).sum::<u64>();
    eventually("it is written", || size() >= 100_000_000);
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap();
    let file = status
        .lines()
        .find_map(|l| l.strip_prefix("RssAnon:"))
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap();
    assert!(file < 4096, "{file} KiB private, {peak} KiB at most with shared pages");
    run.send(Order::Kill);
    run.end();
    let bytes = project.bytes(Stream::Stdout);
    assert_eq!(bytes.len(), 100_000_000);
    assert!(bytes.iter().all(|b| *b == b'x'));
}

#[test]
fn a_flood_is_rotated_without_a_gap() {
    let project = Project::new();
    let mut spec = project.spec("seq -f L%010.0f 1 2000000");
    spec.log_keep = 40 << 20;
    let mut run = Running::start(&spec);
    assert_eq!(run.end(), (Some(0), None));
    let sizes: u64 = project.segments().iter().map(|p| p.metadata().unwrap().len()).sum();
    assert!(sizes <= (40 << 20) + record::SEGMENT, "{sizes}");
    assert!(project.segments().len() >= 4);
    let text = project.text(Stream::Stdout);
    let numbers: Vec<u64> = text.lines().map(|l| l[1..].parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&2_000_000));
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1));
}

#[test]
fn prompts_show_and_terminals_look_like_ones() {
    let project = Project::new();
    let mut spec =
        project.spec("printf 'name? '; sleep 0.3; echo Bob; [ -t 1 ] && echo terminal; [ -t 0 ] || echo no input");
    spec.tty = true;
    let mut run = Running::start(&spec);
    run.pid();
    eventually("the prompt is in the log", || project.text(Stream::Stdout) == "name? ");
    assert_eq!(run.end(), (Some(0), None));
    assert_eq!(project.text(Stream::Stdout), "name? Bob\nterminal\nno input\n");
}

#[test]
fn readiness_by_notification() {
    let project = Project::new();
    let mut spec = project.spec("python3 -c 'import os,socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b\"STATUS=up\\nREADY=1\", os.environ[\"NOTIFY_SOCKET\"])'; sleep 1000");
    spec.notify = Some(project.home.shim_file("api.1", ".ntfy"));
    let mut run = Running::start(&spec);
    run.pid();
    assert_eq!(run.next(), Some(Event::Ready));
    run.send(Order::Signal(libc::SIGINT));
    assert_eq!(run.end(), (None, Some(libc::SIGINT)));
}
