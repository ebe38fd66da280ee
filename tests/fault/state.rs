//! Files that are not what they were: cut, flipped, replaced by a folder, a pipe, a link, or out of reach. They are set aside and said, and what runs runs
//! on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::stat::Mode;
use orchestra::shim::survey;
use orchestra::store::{good, intent, last};
use orchestra::sys::home::Home;

use super::hands::{content, is_root, kill_at_once, names, runs, said, unshared};
use super::oracle::Oracle;
use super::report;
use crate::support::output::Output;
use crate::support::{Fleet, eventually, toy};

/// Every file that says something about what runs.
fn files(fleet: &Fleet) -> Vec<PathBuf> {
    let folders = [".orchestra/run", ".orchestra/state"].map(|folder| fleet.path(folder));
    let all = folders.iter().flat_map(|folder| names(folder)).filter(|path| path.is_file());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn aside(fleet: &Fleet) -> usize {
    let folders = [".orchestra/run", ".orchestra/state"].map(|folder| fleet.path(folder));
    folders.iter().flat_map(|folder| names(folder)).filter(|path| path.to_string_lossy().contains(".corrupt-")).count()
}

fn fleet() -> Fleet {
    let fleet = Fleet::new();
    fleet.toy("api", &[], &format!("port: {}", fleet.port()));
    fleet.toy("worker", &["-tick", "50ms"], "scale: 2\ndepends_on: [api]");
    fleet.toy("job", &["-exit-in", "0s"], "type: job");
    fleet.orchestra(&["start"]).ok();
    fleet
}

fn clear_aside(fleet: &Fleet) {
    for path in [".orchestra/run", ".orchestra/state"].iter().flat_map(|folder| names(&fleet.path(folder))) {
        if path.to_string_lossy().contains(".corrupt-") {
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
    }
}

#[test]
fn every_reader_survives_a_cut_or_a_flip_at_every_byte() {
    let fleet = fleet();
    let home = Home::find(fleet.root()).unwrap();
    let state = home.state();
    let truth: Vec<_> = survey::survey(&home).found;
    assert_eq!(truth.iter().filter(|found| found.live).count(), 3);
    let mut tried = 0;
    for path in files(&fleet) {
        let whole = fs::read(&path).unwrap();
        let of_run = path.strip_prefix(fleet.path(".orchestra/run")).is_ok();
        // What is under `run/` takes a look at each lock and a word with each shim; every byte takes the long suite.
        let step = if cfg!(feature = "faults") { 1 } else { whole.len() / if of_run { 12 } else { 150 } + 1 };
        for at in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            for bytes in [&whole[..at], &flipped] {
                fs::write(&path, bytes).unwrap();
                tried += 1;
                if of_run {
                    let found = survey::survey(&home).found;
                    let now = |found: &[survey::Found]| {
                        let live = found.iter().filter(|found| found.live);
                        live.map(|f| (f.record.slot.clone(), f.record.pid, f.record.run)).collect::<Vec<_>>()
                    };
                    assert_eq!(now(&found), now(&truth), "{} at {at}", path.display());
                } else {
                    let name = path.file_stem().unwrap().to_str().unwrap();
                    match name {
                        "last" => drop(last::load(&state).unwrap()),
                        "config" => drop(good::load(&state).unwrap()),
                        "boot" => drop(orchestra::store::last_boot(&state).unwrap()),
                        _ => drop(intent::load(&state).unwrap()),
                    }
                }
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    let kept = aside(&fleet);
    fleet.orchestra(&["stop"]).ok();
    report::record(
        13,
        format!("{tried} cuts and flips, {kept} files set aside: no panic, every living copy found with its pid"),
    );
}

/// One way to spoil a file.
type Spoil = (&'static str, fn(&Path));

const SPOILS: [Spoil; 7] = [
    ("empty", |path| fs::write(path, "").unwrap()),
    ("cut", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("garbage", |path| fs::write(path, [0xff_u8; 300]).unwrap()),
    ("folder", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("pipe", |path| {
        fs::remove_file(path).unwrap();
        nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    }),
    ("link", |path| {
        fs::remove_file(path).unwrap();
        symlink("/dev/zero", path).unwrap();
    }),
    ("1 GB", |path| fs::File::create(path).unwrap().set_len(1 << 30).unwrap()),
];

#[test]
fn spoiled_files_are_set_aside_and_what_runs_is_kept() {
    let fleet = fleet();
    let pids = fleet.pids();
    for (word, spoil) in SPOILS {
        let all = files(&fleet);
        assert!(all.len() >= 8, "{all:?}");
        assert_eq!(aside(&fleet), 0);
        kill_at_once(fleet.supervisor());
        all.iter().for_each(|path| spoil(path));
        // Which of the two is quicker does not matter: a shim that brings a supervisor back, or this.
        let started = fleet.orchestra(&["start"]).ok();
        assert_eq!(fleet.pids(), pids, "{word}: {}", started.stderr);
        assert!(started.stderr.contains("could not be understood"), "{word}: {}", started.stderr);
        assert!(aside(&fleet) >= all.len() - 1, "{word}: {} of {}", aside(&fleet), all.len());
        let again = fleet.orchestra(&["start"]).ok();
        assert!(!again.stderr.contains("could not be understood"), "{word}, said twice: {}", again.stderr);
        let oracle = Oracle::before(&fleet);
        oracle.holds(&fleet);
        // The next kind of damage is found by itself.
        clear_aside(&fleet);
    }
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    report::record(
        13,
        format!("{} kinds of damage to every file at once: same 3 pids, each said once, then stopped", SPOILS.len()),
    );
}

#[test]
fn spoiled_locks_and_sockets_kill_nobody() {
    let fleet = fleet();
    let (pids, runtime) = (fleet.pids(), fleet.runtime());
    let supervisor = fleet.supervisor();
    for lock in ["lock", "api.1.lock", "worker.1.lock"] {
        fs::write(runtime.join(lock), "not a number\0\u{7f}").unwrap();
    }
    kill_at_once(supervisor);
    for socket in ["api", "api.1.sock"] {
        fs::remove_file(runtime.join(socket)).unwrap();
        fs::write(runtime.join(socket), "").unwrap();
    }
    fs::remove_file(runtime.join("worker.1.sock")).unwrap();
    fs::remove_file(runtime.join("worker.1.lock")).unwrap();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pids(), pids);
    assert_eq!(fleet.instance("api.1")["trouble"], "unknown");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.processes(), []);
    report::record(13, "3 locks and 3 sockets spoiled or removed: same pids, shown as unknown, stopped");
}

#[test]
fn a_stop_without_a_supervisor_needs_no_readable_file() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "linger: 60s\n");
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    kill_at_once(fleet.supervisor());
    for path in files(&fleet) {
        fs::write(path, "{").unwrap();
    }
    let ps = fleet.orchestra(&["ps"]).ok();
    assert!(ps.stdout.contains(&pid.to_string()), "{}", ps.stdout);
    fleet.orchestra(&["stop"]).ok();
    // On a slow machine its shim was quicker to bring a supervisor back, which finds nothing to do.
    eventually("all to be gone", || fleet.processes().is_empty().then_some(()));
}

#[test]
fn the_last_good_configuration_keeps_every_policy() {
    let fleet = Fleet::new();
    fleet.write("orchestra.yml", "env: {GREETING: kept}\n");
    fleet.toy("db", &[], "");
    let policy = "restart: {policy: always, delay: 1ms}\nstop: {signal: SIGINT, grace: 7s}\ndepends_on: [db]";
    fleet.toy("api", &["-env", "GREETING"], policy);
    fleet.orchestra(&["start"]).ok();
    let pids = fleet.pids();
    let mode = fs::metadata(fleet.path(".orchestra/state/config.json")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    fleet.write("api/service.yml", "restrat: no\n");
    fs::remove_file(fleet.path("orchestra.yml")).unwrap();
    kill_at_once(fleet.supervisor());
    eventually("another supervisor", || fleet.ps()["supervisor"]["running"].as_bool().filter(|runs| *runs));
    assert_eq!(fleet.pids(), pids);
    let start = fleet.orchestra(&["start"]).exits(2);
    assert!(
        start.stderr.contains("orchestra.yml") && start.stderr.contains("last good configuration"),
        "{}",
        start.stderr
    );
    for command in [&["ps"][..], &["why", "api"]] {
        let said = fleet.orchestra(command).ok();
        assert!(said.stderr.contains("the last good one serves"), "{}", said.stderr);
    }
    // Its policy goes on: started again, with the environment of the file that is gone.
    let api = fleet.pid("api.1");
    kill_at_once(api);
    eventually("a new copy", || {
        fleet.pids().iter().any(|(id, pid)| id == "api.1" && *pid != i64::from(api)).then_some(())
    });
    fleet.until("api.1", "ready");
    assert_eq!(fleet.lines(&["api"]).iter().filter(|line| *line == "GREETING=kept").count(), 2);
    // Its dependant is named, and it is ended before what it needs.
    let stop = fleet.orchestra(&["stop", "-o", "json"]).ok();
    let at = |words: &str| stop.stdout.find(words);
    assert!(at("api").is_some(), "{}", stop.stdout);
    assert_eq!(fleet.processes(), []);
    assert!(!fleet.path(".orchestra/state/config.json").exists(), "forgotten with the last service");
    let gone = fleet.orchestra(&["ps"]).exits(2);
    assert!(gone.stderr.contains("orchestra init"), "{}", gone.stderr);
    fleet.write("orchestra.yml", "");
}

#[test]
fn a_folder_that_is_not_ours_is_refused() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    let victim = fleet.root().with_file_name("victim");
    fs::create_dir_all(victim.join("state")).unwrap();
    fs::write(victim.join("precious"), "precious").unwrap();
    let before = content(&victim);
    let refused = |what: &str| {
        let error = fleet.orchestra(&["start"]).exits(1);
        assert!(error.stderr.contains(".orchestra") && error.stderr.contains("hint"), "{what}: {}", error.stderr);
    };
    symlink(&victim, fleet.path(".orchestra")).unwrap();
    refused("a link");
    fs::remove_file(fleet.path(".orchestra")).unwrap();
    nix::unistd::mkfifo(&fleet.path(".orchestra"), Mode::S_IRWXU).unwrap();
    refused("a pipe");
    fs::remove_file(fleet.path(".orchestra")).unwrap();
    for inner in ["logs", "run", "state", "bin"] {
        fs::create_dir(fleet.path(".orchestra")).unwrap();
        symlink(&victim, fleet.path(&format!(".orchestra/{inner}"))).unwrap();
        refused(inner);
        fs::remove_dir_all(fleet.path(".orchestra")).unwrap();
    }
    let mut ways = 6;
    if is_root() {
        fs::create_dir(fleet.path(".orchestra")).unwrap();
        std::os::unix::fs::chown(fleet.path(".orchestra"), Some(65534), None).unwrap();
        refused("somebody else's");
        fs::remove_dir(fleet.path(".orchestra")).unwrap();
        ways += 1;
    }
    // Files that a repository could bring along, pointing out of it.
    for file in
        ["state/supervisor.log", "state/last.json", "state/boot.json", "state/service-api.json", "state/ports.json"]
    {
        let path = fleet.path(".orchestra").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(victim.join("precious"), path).unwrap();
    }
    fs::create_dir_all(fleet.path(".orchestra/logs/api/1")).unwrap();
    symlink(victim.join("precious"), fleet.path(".orchestra/logs/api/1/0000000001.log")).unwrap();
    fs::create_dir_all(fleet.path(".orchestra/logs/api/orchestra")).unwrap();
    fs::hard_link(victim.join("precious"), fleet.path(".orchestra/logs/api/orchestra/0000000001.log")).unwrap();
    fleet.orchestra(&["start"]);
    fleet.orchestra(&["stop"]);
    assert_eq!(content(&victim), before);
    report::record(
        32,
        format!("{ways} ways to lead .orchestra astray refused with a hint; 7 planted links: the victim unchanged"),
    );
}

#[test]
fn a_folder_swapped_for_a_link_again_and_again_leads_nobody_astray() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-tick", "1ms"], "");
    let victim = fleet.root().with_file_name("victim");
    for folder in ["logs/api/1", "run/api/1", "state", "bin"] {
        fs::create_dir_all(victim.join(folder)).unwrap();
        fs::write(victim.join(folder).join("precious"), "precious").unwrap();
    }
    let before = content(&victim);
    let over = Arc::new(AtomicBool::new(false));
    let (dot, hidden, link) = (fleet.path(".orchestra"), fleet.path(".hidden"), fleet.path(".link"));
    symlink(&victim, &link).unwrap();
    let (stop, dot_of_swapper) = (Arc::clone(&over), dot.clone());
    let swapper = std::thread::spawn(move || {
        let mut swaps = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            // Each step may find nothing there yet.
            let _away = fs::rename(&dot_of_swapper, &hidden);
            let _astray = fs::rename(&link, &dot_of_swapper);
            std::thread::yield_now();
            let _kept = fs::rename(&dot_of_swapper, &link);
            let _back = fs::rename(&hidden, &dot_of_swapper);
            swaps += 1;
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        swaps
    });
    let began = Instant::now();
    let (rounds, long) = if cfg!(feature = "faults") { (60, 120) } else { (6, 20) };
    for _ in 0..rounds {
        if began.elapsed().as_secs() > long {
            break;
        }
        fleet.orchestra(&["start", "--timeout", "3s"]);
        fleet.orchestra(&["stop", "--timeout", "1s"]);
    }
    over.store(true, Ordering::Relaxed);
    let swaps = swapper.join().unwrap();
    if dot.is_symlink() {
        fs::remove_file(&dot).unwrap();
    }
    assert_eq!(content(&victim), before);
    eventually("everything to be stopped", || {
        fleet.orchestra(&["stop", "--timeout", "1s"]);
        fleet.processes().is_empty().then_some(())
    });
    report::record(
        32,
        format!(".orchestra swapped for a link {swaps} times under start and stop: the victim unchanged"),
    );
}

/// Runs the program as another user, who owns the project.
fn as_user(fleet: &Fleet, uid: u32, program: &Path, args: &[&str]) -> Output {
    let like = fleet.command(args);
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"]).arg(program).args(args);
    command.current_dir(fleet.root()).env_clear();
    command.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
    fleet.run(command)
}

#[test]
fn a_folder_for_locks_that_somebody_else_made_is_refused_with_a_way_out() {
    if !is_root() {
        return report::record(32, "not possible here: only root can be somebody else");
    }
    // Nobody's number, and no other test's.
    let uid = 1_900_000_000 + std::process::id() % 90_000_000;
    let fleet = Fleet::new();
    let copy = |from: &Path, name: &str| {
        let to = fleet.root().with_file_name(name);
        fs::copy(from, &to).unwrap();
        to
    };
    let program = copy(Path::new(env!("CARGO_BIN_EXE_orchestra")), "orchestra");
    let toy = copy(Path::new(toy::toy()), "toy");
    fleet.write("api/service.yml", format!("command: [{:?}]\n", toy.to_str().unwrap()));
    let folder = fleet.root().parent().unwrap().to_owned();
    let owned = Command::new("chown").arg("-R").arg(uid.to_string()).arg(&folder).status().unwrap();
    assert!(owned.success());
    let runtime = PathBuf::from(format!("/tmp/orchestra-{uid}"));
    fs::create_dir(&runtime).unwrap();
    let refused = as_user(&fleet, uid, &program, &["start"]).exits(1);
    fs::remove_dir(&runtime).unwrap();
    assert!(
        refused.stderr.contains(runtime.to_str().unwrap()) && refused.stderr.contains("must remove it"),
        "{}",
        refused.stderr
    );
    symlink("/etc", &runtime).unwrap();
    let linked = as_user(&fleet, uid, &program, &["start"]).exits(1);
    fs::remove_file(&runtime).unwrap();
    assert!(linked.stderr.contains("is not a folder of yours"), "{}", linked.stderr);
    as_user(&fleet, uid, &program, &["start"]).ok();
    as_user(&fleet, uid, &program, &["stop"]).ok();
    fs::remove_dir_all(&runtime).unwrap();
    report::record(
        32,
        "the folder for locks made before by another user, and as a link: refused, its path and the way out named",
    );
}

const READ_ONLY: &str = r#"
mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" || { echo "mount: not possible"; exit 77; }
for command in "start" "ps" "why api" "logs -n 1" "stop"; do
    "$ORCHESTRA" $command >/tmp/ro-out.$$ 2>&1; echo "$command: $?"; sed "s/^/    /" /tmp/ro-out.$$
done
rm -f /tmp/ro-out.$$
"#;

#[test]
fn a_project_that_cannot_be_written_to() {
    let fleet = Fleet::new();
    fleet.toy("api", &["-say", "hello"], "");
    let fresh = match unshared(&fleet, &["-m"], READ_ONLY) {
        Ok(output) if output.status.code() == Some(77) => {
            return report::record(16, "not possible here: no bind mount");
        }
        Ok(output) => said(&output),
        Err(why) => return report::record(16, format!("not possible here: {why}")),
    };
    assert!(fresh.contains("start: 1\n") && fresh.to_lowercase().contains("read-only file system"), "{fresh}");
    assert!(fresh.contains(".orchestra"), "{fresh}");
    assert!(fresh.contains("ps: 0\n") && fresh.contains("stop: 0\n"), "{fresh}");
    assert_eq!(fleet.processes(), [], "nothing is started half");
    fleet.orchestra(&["start"]).ok();
    let pid = fleet.pid("api.1");
    let running = said(&unshared(&fleet, &["-m"], READ_ONLY).unwrap());
    assert!(running.contains("ps: 0\n") && running.contains(&pid.to_string()), "{running}");
    assert!(
        running.contains("why api: 0\n") && running.contains("logs -n 1: 0\n") && running.contains("stop: 0\n"),
        "{running}"
    );
    eventually("it to be stopped", || (!runs(pid)).then_some(()));
    report::record(
        16,
        "start: exit 1, names .orchestra and the read-only file system, 0 processes; ps, why, logs and stop exit 0",
    );
}
