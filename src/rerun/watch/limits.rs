//! The watch where the system gives less than is asked for, and what it costs.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use super::Options;
use super::tests::{lib, main, one, yard};
use super::yard::{Yard, says};

#[test]
fn nothing_is_lost_when_too_much_happens_at_once() {
    let mut yard = yard(Options { room: 3, ..Options::default() });
    yard.include = vec!["conf/**".to_owned()];
    yard.arm(&["api"]);
    for round in 0..5 {
        for n in 0..50 {
            yard.write(&format!("api/conf/d{n}/x"), &round.to_string());
        }
        yard.write("lib/lib.go", &lib(round));
        yard.write("lib/noise.txt", &round.to_string());
        let told = yard.told();
        assert!(told.starts_with("build api: lib/lib.go; restart api: ") && told.matches("/x").count() == 50, "{told}");
    }
}

#[test]
fn without_room_in_the_system_folders_are_looked_at() {
    let mut yard = yard(Options { folders: 1, pause: Duration::from_millis(50), ..Options::default() });
    yard.include = vec!["conf/**".to_owned()];
    yard.arm(&["api"]);
    yard.write("lib/lib.go", &lib(1));
    yard.reached("build api: lib/lib.go");
    let trouble = yard.troubles.last().unwrap().clone().unwrap();
    assert!(trouble.contains("looked at every second"), "{trouble}");
    if cfg!(target_os = "linux") {
        assert!(trouble.contains("sudo sysctl fs.inotify.max_user_watches="), "{trouble}");
    }
    yard.write("api/conf/a/b/x", "1");
    yard.reached("restart api: api/conf/a/b/x");
    fs::remove_dir_all(yard.at("lib")).unwrap();
    yard.reached("build api: lib/lib.go");
    yard.write("lib/lib.go", &lib(2));
    yard.reached("build api: lib/lib.go");
    yard.tell(&[]);
    while yard.troubles.last().unwrap().is_some() {
        yard.next();
    }
}

#[test]
fn go_is_asked_once_its_notes_are_told_and_it_ends_with_the_watch() {
    let mut yard = yard(Options::default());
    let asked = yard.at("asked");
    yard.fake_go(&format!("echo $$ >> {}; echo 'go: downloading ex.org/x v1.0.0' >&2", asked.display()));
    let count = || fs::read_to_string(&asked).unwrap().lines().count();
    yard.arm(&["api"]);
    assert_eq!((count(), yard.notes.clone()), (1, vec!["api: go: downloading ex.org/x v1.0.0".to_owned()]));
    yard.config = [yard.at(".env")].into();
    yard.arm(&["api"]);
    yard.write("lib/lib.go", &lib(1));
    assert_eq!((yard.told().as_str(), count()), ("build api: lib/lib.go", 1));
    yard.fake_go(&format!("sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait", asked.display()));
    yard.write("api/main.go", &main(&["fmt"]));
    yard.reached("build api: api/main.go");
    let two = |at_least: usize| {
        let began = SystemTime::now();
        while count() < at_least {
            assert!(began.elapsed().unwrap() < Duration::from_secs(60));
            sleep(Duration::from_millis(5));
        }
    };
    two(3);
    // A newer edit ends it and asks anew.
    yard.write("api/main.go", &main(&["os"]));
    yard.reached("build api: api/main.go");
    two(5);
    yard.end();
    let gone = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), None).is_err() || stat.contains(") Z")
    };
    for pid in fs::read_to_string(&asked).unwrap().lines() {
        let began = SystemTime::now();
        while !gone(pid) {
            assert!(began.elapsed().unwrap() < Duration::from_secs(60), "{pid} is still there");
            sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn news_that_nobody_takes_become_one() {
    let files = one();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let mut yard = Yard::with(&files, Options::default(), 1);
    yard.arm(&["api", "tool"]);
    for n in 0..20 {
        yard.write("lib/lib.go", &lib(n));
        sleep(Duration::from_millis(50));
    }
    yard.write("tool/main.go", "package main\n\nfunc main() { println() }\n");
    sleep(Duration::from_millis(50));
    let (first, second) = (yard.changed(), yard.told());
    assert_eq!(says(&first, &yard.root), "build api: lib/lib.go");
    assert_eq!(second, "build api: lib/lib.go; build tool: tool/main.go");
}

/// Set for the test below when it runs in a room of its own.
const SMALL: &str = "ORCHESTRA_IN_A_SMALL_ROOM";

#[test]
fn where_the_system_really_refuses_folders_are_looked_at() {
    if std::env::var_os(SMALL).is_none() {
        // A user namespace has limits of its own, and may make them smaller. Where there can be none, the test of the limit of ours must do.
        let script = "echo 2 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
        let mut run = Command::new("unshare");
        run.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
        let can = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", "echo 2 > /proc/sys/user/max_inotify_watches"])
            .output();
        if !can.is_ok_and(|out| out.status.success()) {
            return;
        }
        let name = "rerun::watch::limits::where_the_system_really_refuses_folders_are_looked_at";
        let out = run.arg(std::env::current_exe().unwrap()).args(["--exact", name]).env(SMALL, "1").output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&out.stderr));
        return;
    }
    let mut yard = yard(Options::default());
    yard.arm(&["api"]);
    for n in 0..3 {
        yard.write("lib/lib.go", &lib(n));
        yard.reached("build api: lib/lib.go");
        yard.write("api/main.go", &format!("{}\nvar X{n} = 1\n", main(&["ex.com/m/lib"])));
        yard.reached("build api: api/main.go");
    }
    assert!(yard.troubles.last().unwrap().as_ref().unwrap().contains("max_user_watches"));
}

/// 20 services of 200 packages, of which each imports the next one, and one that all share.
fn large() -> Yard {
    let yard =
        Yard::with(&[("go.mod", "module ex.com/m\n\ngo 1.21\n"), ("lib/lib.go", &lib(0))], Options::default(), 64);
    for service in 0..20 {
        let path = |n: usize| format!("ex.com/m/s{service}/p{n}");
        yard.write(&format!("s{service}/main.go"), &main(&[&path(0), "ex.com/m/lib"]));
        for n in 0..199 {
            let next = if n < 198 {
                format!("import _ \"{}\"\n", path(n + 1))
            } else {
                "import _ \"ex.com/m/lib\"\n".to_owned()
            };
            yard.write(&format!("s{service}/p{n}/p.go"), &format!("package p{n}\n\n{next}\nvar X = {n}\n"));
        }
    }
    yard
}

/// Kilobytes of memory, and seconds of processor time, that this process has taken.
fn taken() -> (u64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: Vec<u64> =
        stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2).map(|n| n.parse().unwrap()).collect();
    (memory.trim_end_matches(" kB").trim().parse().unwrap(), ticks.iter().sum::<u64>() as f64 / 100.0)
}

/// Alone in its process: `cargo test --release --lib rerun::watch::limits::what_it_costs -- --ignored --nocapture`.
#[test]
#[ignore = "measures for a minute"]
fn what_it_costs() {
    let mut yard = large();
    let services: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let (before, begin) = (taken(), Instant::now());
    yard.arm(&services);
    println!("armed after {:?}", begin.elapsed());
    let (memory, processor) = taken();
    println!("memory {} MB, of which {} MB are of the watch", memory / 1024, (memory - before.0) / 1024);
    sleep(Duration::from_secs(10));
    println!("idle: {:.2} % of one processor", (taken().1 - processor) * 10.0);
    for path in ["lib/lib.go", "s7/p100/p.go"] {
        let mut times: Vec<Duration> = Vec::new();
        for n in 1..=50 {
            sleep(Duration::from_millis(50));
            let package = if path.starts_with("lib") { "lib" } else { "p100" };
            let import = if package == "lib" { "" } else { "import _ \"ex.com/m/s7/p101\"\n" };
            yard.write(path, &format!("package {package}\n\n{import}\nvar X = {n}\n"));
            let begin = Instant::now();
            let changed = yard.changed();
            times.push(begin.elapsed());
            assert!(says(&changed, &yard.root).contains(path));
        }
        times.sort();
        println!("{path}: saved to told in {:?}, at most {:?}", times[25], times[49]);
    }
    println!("memory {} MB at the end", taken().0 / 1024);
    let begin = Instant::now();
    yard.write("lib/lib.go", "package lib\n\nimport _ \"fmt\"\n");
    yard.changed();
    println!("an import told after {:?}", begin.elapsed());
    yard.arm(&services);
    println!("and listed after {:?}; memory {} MB", begin.elapsed(), taken().0 / 1024);
}

/// `mkdir -p a/b/c`, a file in it, and its import, a hundred times:
/// `cargo test --release --lib rerun::watch::limits::a_hundred -- --ignored`. The suite of scenarios does it twenty times.
#[test]
#[ignore = "asks `go` two hundred times"]
fn a_hundred_packages_made_a_moment_ago() {
    let mut yard = yard(Options::default());
    yard.arm(&["api"]);
    for n in 0..100 {
        let dir = format!("a{n}/b/c");
        yard.write(&format!("{dir}/x.go"), "package c\n");
        yard.write("api/main.go", &main(&["ex.com/m/lib", &format!("ex.com/m/{dir}")]));
        yard.reached("build api: api/main.go");
        yard.arm(&["api"]);
        yard.write(&format!("{dir}/x.go"), "package c\n\nvar X = 1\n");
        assert_eq!(yard.told(), format!("build api: {dir}/x.go"));
        fs::remove_dir_all(yard.at(&format!("a{n}"))).unwrap();
        yard.reached(&format!("build api: {dir}/x.go"));
    }
}
