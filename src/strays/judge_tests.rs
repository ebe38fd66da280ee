//! The judge: each rule, each veto, and that nobody is chosen without a proof.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::judge::{Rule, Verdict, judge};
use super::process::{GoProgram, GoRun, Kin, Marker, Process, Snapshot, SourceFolder};
use super::target::{Folder, Target};
use super::veto::Veto;
use crate::sys::inspect::Exe;

const API: (u64, u64) = (1, 10);
const ROOT: (u64, u64) = (1, 1);
const ELSEWHERE: (u64, u64) = (1, 99);
const TEMP: &str = "/tmp/go-build1/b001/exe/api";
const IMPORT: &str = "ex.com/shop/api";

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn folder(path: &str, id: (u64, u64), checkout: (u64, u64)) -> Folder {
    let module = Some((checkout, "ex.com/shop".to_owned()));
    Folder { path: path.into(), id, checkout: Some(checkout), module, above: vec![ROOT] }
}

/// The folder of the service.
fn api() -> Folder {
    folder("/w/shop/api", API, ROOT)
}

fn target() -> Target {
    Target {
        service: "api".into(),
        folder: api(),
        package: Some(api()),
        import_path: Some(IMPORT.into()),
        files: names(&["main.go", "util.go"]),
        ..Target::default()
    }
}

fn source(path: &str, id: (u64, u64), import_path: &str, files: &[&str]) -> SourceFolder {
    SourceFolder { path: path.into(), id: Some(id), import_path: Some(import_path.into()), files: names(files) }
}

fn program(path: &str, sources: Vec<SourceFolder>) -> Option<GoProgram> {
    Some(GoProgram { path: path.into(), sources, ..GoProgram::default() })
}

fn ours() -> Vec<SourceFolder> {
    vec![source("/w/shop/api", API, IMPORT, &["main.go"])]
}

/// `./api`, built in the service's folder.
fn stray() -> Process {
    Process {
        pid: 812,
        parent: 700,
        start_time: 5,
        is_zombie: false,
        users: vec![1000; 4],
        shares_pids: true,
        shares_files: true,
        tracer: None,
        exe: Exe { path: "/w/shop/api/api".into(), file: (1, 50), is_deleted: false, is_there: true },
        within: vec![API],
        cwd: Some(api()),
        argv: vec!["./api".into()],
        marker: Some(Marker::None),
        cgroup: Some("0::/user.slice/session-1.scope\n".into()),
        go: program(IMPORT, ours()),
        go_run: None,
    }
}

/// The program of a `go run .` that died.
fn orphan() -> Process {
    Process { exe: Exe { path: TEMP.into(), ..stray().exe }, within: vec![(1, 70)], parent: 1, ..stray() }
}

/// `go run .` itself, pid 700.
fn go() -> Process {
    Process {
        pid: 700,
        parent: 600,
        exe: Exe { path: "/usr/local/go/bin/go".into(), ..stray().exe },
        within: vec![(1, 71)],
        argv: vec!["go".into(), "run".into(), ".".into()],
        go: program("cmd/go", Vec::new()),
        go_run: Some(GoRun::Folder(API)),
        ..stray()
    }
}

fn kin(parent: u32, exe: &str, argv: &[&str], has_terminal: bool) -> Kin {
    Kin { parent, exe: Some(exe.into()), argv: argv.iter().map(Into::into).collect(), has_terminal }
}

fn world(processes: Vec<Process>) -> Snapshot {
    let mut world = Snapshot {
        bin: "/w/shop/.orchestra/bin".into(),
        dot: "/w/shop/.orchestra".into(),
        cgroup: "0::/user.slice/session-2.scope\n".into(),
        user: 1000,
        certain: true,
        spared: [1, 5].into(),
        ..Snapshot::default()
    };
    world.kin.insert(1, kin(0, "/sbin/init", &["init"], false));
    world.kin.insert(600, kin(1, "/bin/bash", &["-bash"], true));
    world.kin.insert(700, kin(600, "/bin/bash", &["bash"], true));
    world.processes = processes.into_iter().map(|process| (process.pid, process)).collect();
    world
}

fn verdicts(processes: Vec<Process>) -> Vec<Verdict> {
    judge(&[target()], &world(processes))
}

/// The rule and the veto of the one process there is.
fn of(process: Process) -> Option<(Rule, Option<Veto>)> {
    in_world(world(vec![process]))
}

fn in_world(world: Snapshot) -> Option<(Rule, Option<Veto>)> {
    judge(&[target()], &world).pop().map(|verdict| (verdict.rule, verdict.veto))
}

#[track_caller]
fn vetoed(process: Process, veto: Veto) {
    assert_eq!(of(process).and_then(|(_, veto)| veto), Some(veto));
}

#[test]
fn a_program_in_the_folder() {
    assert_eq!(of(stray()), Some((Rule::InFolder, None)));
    let deleted = Exe { is_deleted: true, is_there: false, ..stray().exe };
    assert_eq!(of(Process { exe: deleted, ..stray() }), Some((Rule::InFolder, None)));
    // Run from wherever it may be: its place tells whose it is.
    let home = Folder { path: "/w".into(), id: ROOT, ..Folder::default() };
    assert_eq!(of(Process { cwd: Some(home), ..stray() }), Some((Rule::InFolder, None)));
    // `go build -o api main.go`
    let files = program("command-line-arguments", ours());
    assert_eq!(of(Process { go: files, ..stray() }), Some((Rule::InFolder, None)));
}

#[test]
fn a_program_of_go_run() {
    assert_eq!(of(orphan()), Some((Rule::GoRunProgram, None)));
    let cached = format!("/c/4d/{}-d/api", "4d".repeat(32));
    let cached = Process { exe: Exe { path: cached.into(), ..stray().exe }, ..orphan() };
    assert_eq!(of(cached), Some((Rule::GoRunProgram, None)));
    assert_eq!(
        of(Process { go: program("command-line-arguments", ours()), ..orphan() }),
        Some((Rule::GoRunProgram, None))
    );
}

#[test]
fn a_go_run_with_its_program() {
    // `go run ./api` in the root: only `go`'s own words tie its program to the folder.
    let root = folder("/w/shop", ROOT, ROOT);
    let both =
        vec![Process { cwd: Some(root.clone()), ..go() }, Process { cwd: Some(root.clone()), parent: 700, ..orphan() }];
    let rules: Vec<_> = verdicts(both).into_iter().map(|v| (v.pid, v.rule, v.veto)).collect();
    assert_eq!(rules, [(700, Rule::GoRun, None), (812, Rule::GoRunProgram, None)]);
    assert_eq!(of(Process { cwd: Some(root), ..orphan() }), None);
    let imported = GoRun::Import { path: IMPORT.into(), module: Some(ROOT) };
    assert_eq!(of(Process { go_run: Some(imported), ..go() }), Some((Rule::GoRun, None)));
    let files = GoRun::Files { folder: API, files: names(&["main.go"]) };
    assert_eq!(of(Process { go_run: Some(files), ..go() }), Some((Rule::GoRun, None)));
}

#[test]
fn remains_of_a_copy() {
    let exe = Exe { path: "/w/shop/.orchestra/bin/api".into(), ..stray().exe };
    let marked = |service: &str, live| Some(Marker::Ours { service: service.into(), live });
    let remains = |marker| of(Process { exe: exe.clone(), within: vec![ROOT], marker, ..stray() });
    assert_eq!(remains(marked("api", false)), Some((Rule::Remains, None)));
    for innocent in [marked("api", true), marked("web", false), Some(Marker::None), Some(Marker::Unknown), None] {
        assert_eq!(remains(innocent), None);
    }
}

#[test]
fn what_is_no_proof() {
    // The folder, the name, the arguments, and nothing of the program.
    let bash = Exe { path: "/bin/bash".into(), ..stray().exe };
    assert_eq!(of(Process { exe: bash, within: vec![(1, 80)], go: None, ..stray() }), None);
    assert_eq!(of(Process { go: None, ..stray() }), None);
    // Another program built into the folder, or beside it.
    assert_eq!(of(Process { go: program("ex.com/shop/api/cmd/migrate", ours()), ..stray() }), None);
    assert_eq!(of(Process { within: vec![(1, 77)], ..stray() }), None);
    // What the path says is not there, as for a program of a sandbox.
    assert_eq!(of(Process { exe: Exe { is_there: false, ..stray().exe }, ..stray() }), None);
    // A generator beside the service, alone or with a file of the service.
    let generator = vec![source("/w/shop/api", API, IMPORT, &["gen.go", "util.go"])];
    for sources in [generator, Vec::new(), vec![source("/w/shop/api/tools", (1, 11), IMPORT, &["main.go"])]] {
        let go = program("command-line-arguments", sources);
        assert_eq!(of(Process { go: go.clone(), ..stray() }), None);
        assert_eq!(of(Process { go, ..orphan() }), None);
    }
    // A version of itself from the module cache, and what is not understood.
    let runs = [
        GoRun::Import { path: format!("{IMPORT}@v1.2.0"), module: Some(ROOT) },
        GoRun::Import { path: IMPORT.into(), module: Some(ELSEWHERE) },
        GoRun::Import { path: IMPORT.into(), module: None },
        GoRun::Folder((1, 11)),
        GoRun::Files { folder: API, files: names(&["main.go", "gen.go"]) },
        GoRun::Files { folder: (1, 11), files: names(&["main.go"]) },
        GoRun::Unknown,
    ];
    for run in runs {
        assert_eq!(of(Process { go_run: Some(run.clone()), ..go() }), None);
        let both = vec![Process { go_run: Some(run), ..go() }, Process { parent: 700, ..orphan() }];
        assert_eq!(verdicts(both), []);
    }
    // A script called `go`, and any other program of that name.
    for other in [None, program("ex.com/go", Vec::new())] {
        assert_eq!(of(Process { go: other, ..go() }), None);
    }
}

#[test]
fn who_is_never_asked() {
    let innocents = [
        Process { users: vec![1000, 0, 0, 0], ..stray() },
        Process { users: vec![1001; 4], ..stray() },
        Process { users: Vec::new(), ..stray() },
        Process { shares_pids: false, ..stray() },
        Process { is_zombie: true, ..stray() },
        Process { pid: 5, ..stray() },
        Process { pid: 1, ..stray() },
        Process { marker: Some(Marker::Ours { service: "web".into(), live: true }), ..stray() },
    ];
    for innocent in innocents {
        assert_eq!(of(innocent), None);
    }
    // Below one of our shims, whatever its environment says.
    let mut below = world(vec![stray()]);
    below.kin.insert(600, kin(1, "/proc/self/exe", &["orchestra", "__shim", "api.1"], false));
    assert_eq!(in_world(below), None);
}

#[test]
fn vetoes_of_the_process_itself() {
    vetoed(Process { tracer: Some(9), ..stray() }, Veto::Traced(9));
    let debug = Exe { path: "/w/shop/api/__debug_bin123".into(), ..stray().exe };
    vetoed(Process { exe: debug, ..stray() }, Veto::DebugBinary);
    let test = Exe { path: "/w/shop/api/api.test".into(), ..stray().exe };
    vetoed(Process { exe: test, ..stray() }, Veto::Test);
    vetoed(Process { argv: vec!["./t".into(), "-test.timeout=10m".into()], ..stray() }, Veto::Test);
    let tests = GoProgram { is_test: true, path: IMPORT.into(), sources: ours(), is_trimmed: false };
    vetoed(Process { go: Some(tests), ..stray() }, Veto::Test);
    vetoed(Process { marker: Some(Marker::Other { live: true }), ..stray() }, Veto::OtherProject { live: true });
    vetoed(Process { marker: Some(Marker::Other { live: false }), ..stray() }, Veto::OtherProject { live: false });
    vetoed(Process { marker: Some(Marker::Unknown), ..stray() }, Veto::StrangeMarker);
    vetoed(Process { marker: None, ..stray() }, Veto::Hidden("environment"));
    vetoed(Process { cwd: None, ..stray() }, Veto::Hidden("working directory"));
    vetoed(Process { cgroup: None, ..stray() }, Veto::Hidden("control group"));
    vetoed(Process { shares_files: false, ..stray() }, Veto::OtherFiles);
    let docker = Some("0::/system.slice/docker-ab.scope\n".into());
    vetoed(Process { cgroup: docker, ..stray() }, Veto::Container);
    let unit = Some("0::/system.slice/api.service\n".into());
    vetoed(Process { cgroup: unit.clone(), ..stray() }, Veto::Unit("api.service".into()));
    let mut with_us = world(vec![Process { cgroup: unit, ..stray() }]);
    with_us.cgroup = "0::/system.slice/api.service\n".into();
    assert_eq!(in_world(with_us), Some((Rule::InFolder, None)));
    let job = Target { is_job: true, ..target() };
    assert_eq!(judge(&[job], &world(vec![stray()]))[0].veto, Some(Veto::Job));
    let mut uncertain = world(vec![stray()]);
    uncertain.certain = false;
    assert_eq!(in_world(uncertain), Some((Rule::InFolder, Some(Veto::Uncertain))));
    let hidden = GoProgram { path: "command-line-arguments".into(), is_trimmed: true, ..GoProgram::default() };
    vetoed(Process { go: Some(hidden.clone()), ..orphan() }, Veto::Unclear);
    // A `go run` that lives says which files they were.
    let files = GoRun::Files { folder: API, files: names(&["main.go"]) };
    let both = vec![Process { go_run: Some(files), ..go() }, Process { go: Some(hidden), parent: 700, ..orphan() }];
    assert!(verdicts(both).iter().all(|verdict| verdict.veto.is_none()));
}

#[test]
fn another_checkout_is_another_world() {
    let other = || folder("/w/shop2/api", (1, 20), ELSEWHERE);
    vetoed(Process { cwd: Some(other()), ..stray() }, Veto::OtherCheckout("/w/shop2/api".into()));
    // The same without git: the module tells.
    let plain = Folder { checkout: None, ..other() };
    vetoed(Process { cwd: Some(plain), ..stray() }, Veto::OtherCheckout("/w/shop2/api".into()));
    // Its program shared between checkouts, or copied over by hand.
    assert_eq!(of(Process { cwd: Some(other()), ..orphan() }), None);
    let theirs = program(IMPORT, vec![source("/w/shop2/api", (1, 20), IMPORT, &["main.go"])]);
    vetoed(Process { go: theirs, ..stray() }, Veto::OtherCheckout("/w/shop2/api".into()));
    // A dependency with a file of the same name says nothing.
    let mut sources = ours();
    sources.push(source("/go/pkg/mod/ex.com/cli", (1, 30), "ex.com/cli", &["main.go"]));
    assert_eq!(of(Process { go: program(IMPORT, sources), ..stray() }), Some((Rule::InFolder, None)));
}

#[test]
fn vetoes_of_those_above() {
    let below = |exe: &str, argv: &[&str]| {
        let mut world = world(vec![stray()]);
        world.kin.insert(700, kin(500, "/bin/sh", &["sh", "-c", "./api"], false));
        world.kin.insert(500, kin(1, exe, argv, false));
        in_world(world).and_then(|(_, veto)| veto).map(|veto| veto.to_string()).unwrap_or_default()
    };
    assert_eq!(below("/go/bin/air", &["air"]), "`air` (pid 500) would start it again: end that first");
    assert_eq!(below("/go/bin/dlv", &["dlv", "exec", "./api"]), "the debugger `dlv` (pid 500) started it");
    assert_eq!(below("/usr/share/code/code", &["code"]), "`code` (pid 500) started it: stop it there");
    assert_eq!(below("/usr/bin/orchestra", &["orchestra", "run"]), "`orchestra` (pid 500) started it");
    assert_eq!(below("/usr/bin/make", &["make", "run"]), "");
}

#[test]
fn an_ides_terminal_is_a_persons() {
    let typed = |shell: Kin| {
        let mut world = world(vec![stray()]);
        world.kin.insert(700, Kin { parent: 500, ..shell });
        world.kin.insert(500, kin(1, "/usr/share/code/code", &["code"], false));
        in_world(world).map(|(_, veto)| veto.is_some())
    };
    assert_eq!(typed(kin(0, "/bin/bash", &["bash", "--init-file", "/x/shellIntegration-bash.sh"], true)), Some(false));
    assert_eq!(typed(kin(0, "/bin/bash", &["bash", "-c", "go run ."], true)), Some(true));
    // A shell does not take a watcher's hand away.
    let mut watched = world(vec![stray()]);
    watched.kin.insert(600, kin(1, "/go/bin/watchexec", &["watchexec"], false));
    watched.kin.insert(700, kin(600, "/bin/bash", &["bash"], true));
    assert!(in_world(watched).is_some_and(|(_, veto)| veto.is_some()));
}

#[test]
fn partners_are_spared_together() {
    let traced = Process { tracer: Some(9), parent: 700, ..orphan() };
    let both = verdicts(vec![go(), traced]);
    assert_eq!(both[0].veto, Some(Veto::Partner(812)));
    let both = verdicts(vec![Process { tracer: Some(9), ..go() }, Process { parent: 700, ..orphan() }]);
    assert_eq!(both[1].veto, Some(Veto::Partner(700)));
    let strange = Process { parent: 700, go: program("ex.com/other", Vec::new()), ..orphan() };
    assert_eq!(verdicts(vec![go(), strange])[0].veto, Some(Veto::Partner(812)));
}

#[test]
fn one_process_has_one_verdict() {
    let eu = Target { service: "api-eu".into(), ..target() };
    let all = judge(&[target(), eu], &world(vec![stray()]));
    assert_eq!(all.len(), 1);
}

fn id() -> impl Strategy<Value = (u64, u64)> {
    prop_oneof![Just(API), Just(ROOT), Just(ELSEWHERE), (0..3_u64, 0..100_u64)]
}

fn sources() -> impl Strategy<Value = Vec<SourceFolder>> {
    let file = prop_oneof![Just("main.go"), Just("gen.go"), Just("util.go")];
    let one = (id(), prop_oneof![Just(IMPORT), Just("ex.com/x")], proptest::collection::btree_set(file, 0..3));
    let make = |(id, import, files): (_, &str, BTreeSet<&str>)| SourceFolder {
        path: "/s".into(),
        id: Some(id),
        import_path: Some(import.into()),
        files: files.into_iter().map(Into::into).collect(),
    };
    proptest::collection::vec(one.prop_map(make), 0..3)
}

fn go_programs() -> impl Strategy<Value = Option<GoProgram>> {
    let path = prop_oneof![Just(IMPORT), Just("command-line-arguments"), Just("cmd/go"), Just("ex.com/x"), Just("")];
    let one = (path, any::<bool>(), any::<bool>(), sources());
    proptest::option::of(one.prop_map(|(path, is_trimmed, is_test, sources)| GoProgram {
        path: path.into(),
        is_trimmed,
        is_test,
        sources,
    }))
}

fn go_runs() -> impl Strategy<Value = Option<GoRun>> {
    prop_oneof![
        4 => Just(None),
        1 => id().prop_map(|id| Some(GoRun::Folder(id))),
        1 => Just(Some(GoRun::Unknown)),
        1 => proptest::option::of(id()).prop_map(|module| Some(GoRun::Import { path: IMPORT.into(), module })),
    ]
}

prop_compose! {
    fn processes()(
        exe in prop_oneof![Just("/w/shop/api/api"), Just(TEMP), Just("/usr/bin/go"), Just("/bin/bash"), Just("/w/shop/.orchestra/bin/api")],
        flags in any::<[bool; 6]>(),
        within in proptest::collection::vec(id(), 0..3),
        cwd in proptest::option::of(id()),
        marker in prop_oneof![Just(None), Just(Some(Marker::None)), any::<bool>().prop_map(|live| Some(Marker::Ours { service: "api".into(), live })), Just(Some(Marker::Unknown))],
        go in go_programs(),
        go_run in go_runs(),
    ) -> Process {
        let [is_deleted, is_there, is_zombie, shares_pids, shares_files, own] = flags;
        Process {
            exe: Exe { path: exe.into(), file: (1, 50), is_deleted, is_there },
            is_zombie, shares_pids, shares_files,
            users: vec![if own { 1000 } else { 0 }; 4],
            within, marker, go, go_run,
            cwd: cwd.map(|id| Folder { id, path: "/x".into(), ..Folder::default() }),
            ..stray()
        }
    }
}

proptest! {
    /// The definition of a proof, written a second time and the other way round.
    #[test]
    fn nobody_is_chosen_without_a_proof(process in processes()) {
        let found = verdicts(vec![process.clone()]);
        for verdict in found.iter().filter(|verdict| verdict.veto.is_none()) {
            prop_assert!(process.users.iter().all(|user| *user == 1000) && process.shares_pids && process.shares_files);
            prop_assert!(!process.is_zombie && process.marker.is_some());
            let go = process.go.as_ref().expect("a proof is a Go program's");
            prop_assert!(!go.is_test);
            let named = go.path == IMPORT;
            let from_here = go.path == "command-line-arguments"
                && go.sources.iter().any(|s| s.id == Some(API) && !s.files.is_empty())
                && go.sources.iter().filter(|s| s.id == Some(API)).all(|s| !s.files.contains("gen.go"));
            match verdict.rule {
                Rule::InFolder => prop_assert!(process.within.contains(&API) && (named || from_here)),
                Rule::Remains => prop_assert_eq!(&process.marker, &Some(Marker::Ours { service: "api".into(), live: false })),
                Rule::GoRunProgram => prop_assert!(process.cwd.as_ref().is_some_and(|cwd| cwd.id == API) && (named || from_here)),
                Rule::GoRun => prop_assert!(go.path == "cmd/go" && process.go_run.is_some() && process.go_run != Some(GoRun::Unknown)),
            }
        }
    }
}
