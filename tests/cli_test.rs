//! `test`: what is tested and for whom, every way to fail with its place, coverage, reports, Ctrl-C, and the tests of the running fleet.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::output::stable;
use crate::support::toy::go_env;
use crate::support::{Fleet, eventually};

const MAIN: &str = "package main\n\nimport _ \"ex.com/m/lib\"\n\nfunc main() { select {} }\n";

fn test(package: &str, body: &str) -> String {
    format!("package {package}\n\nimport \"testing\"\n\n{body}\n")
}

/// What differs between two runs on two machines: the widths of columns, too.
fn steady(text: &str) -> String {
    let text = stable(text, &[]);
    let text = Regex::new("goroutine [0-9]+").unwrap().replace_all(&text, "goroutine N").into_owned();
    Regex::new("(?m)([^ \n]) +").unwrap().replace_all(&text, "$1 ").into_owned()
}

/// The first `go test` compiles package `testing` and what it needs, which on a busy machine takes longer than any command of a test may.
fn warm() {
    static WARM: OnceLock<()> = OnceLock::new();
    WARM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("go.mod"), "module ex.com/warm\n\ngo 1.22\n").unwrap();
        let source = "package warm\n\nimport (\n\t_ \"os\"\n\t\"testing\"\n)\n\nfunc TestX(t *testing.T) {}\n";
        fs::write(dir.path().join("w_test.go"), source).unwrap();
        for more in [&[][..], &["-cover"]] {
            let mut go = Command::new("go");
            let done = go.args(["test"]).args(more).current_dir(dir.path()).envs(go_env()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        }
    });
}

/// One module: `api` and `web` import `lib`.
fn module() -> Fleet {
    warm();
    let fleet = Fleet::new();
    fleet.write("go.mod", "module ex.com/m\n\ngo 1.22\n");
    for name in ["api", "web"] {
        fleet.write(&format!("{name}/service.yml"), "");
        fleet.write(&format!("{name}/main.go"), MAIN);
    }
    fleet.write(
        "lib/lib.go",
        "package lib\n\nfunc Double(n int) int {\n\tif n < 0 {\n\t\treturn 0\n\t}\n\treturn 2 * n\n}\n",
    );
    let body = "func TestDouble(t *testing.T) {\n\tif Double(2) != 4 {\n\t\tt.Fatal(\"no\")\n\t}\n}";
    fleet.write("lib/lib_test.go", test("lib", body));
    fleet.write("api/main_test.go", test("main", "func TestApi(t *testing.T) { t.Log(\"hello from api\") }"));
    fleet
}

fn package<'a>(report: &'a Value, path: &str) -> &'a Value {
    let packages = report["packages"].as_array().unwrap();
    packages.iter().find(|package| package["path"] == path).unwrap_or_else(|| panic!("no {path} in {report:#}"))
}

#[test]
fn each_package_is_tested_once_and_told_in_a_table() {
    let fleet = module();
    let first = fleet.orchestra(&["test"]).ok();
    let table = steady(&first.stdout);
    insta::assert_snapshot!(table);
    let again = fleet.orchestra(&["test", "-o", "json"]).ok().json();
    let lib = package(&again, "ex.com/m/lib");
    assert_eq!((&lib["services"], &lib["cached"], &lib["dir"]), (&json!(["api", "web"]), &json!(true), &json!("lib")));
    assert_eq!((&again["ok"], &again["passed"], &again["failed"]), (&json!(true), &json!(2), &json!(0)));
    assert_eq!(fleet.service("api")["test"]["passed"], 2);
    assert_eq!(fleet.service("web")["test"]["state"], "passed");
    let log = fleet.orchestra(&["logs", "api", "-o", "json"]).ok().json_lines();
    assert!(
        log.iter().any(|line| line["stream"] == "test" && line["line"] == "    main_test.go:5: hello from api"),
        "{log:?}"
    );
}

#[test]
fn failures_are_told_with_their_place_and_words() {
    let fleet = module();
    fleet.write("api/main_test.go", test("main", "func TestApi(t *testing.T) {\n\tt.Run(\"sub one\", func(t *testing.T) { t.Errorf(\"got %d\\nwant %d\", 1, 2) })\n}\n\nfunc TestSkip(t *testing.T) { t.Skip(\"not today\") }"));
    fleet.write("web/main_test.go", test("main", "func TestWeb(t *testing.T) { undefinedThing() }"));
    fleet.write(
        "lib/lib_test.go",
        test("lib", "func TestDouble(t *testing.T) {\n\tvar m map[string]int\n\tm[\"a\"] = Double(1)\n}"),
    );
    let out = fleet.orchestra(&["test"]).exits(1);
    insta::assert_snapshot!(steady(&out.stdout));
    assert!(out.stderr.contains("error: 3 tests failed, of `api`, `web`"), "{}", out.stderr);
    let report = fleet.orchestra(&["test", "-o", "json"]).exits(1).json();
    let api = package(&report, "ex.com/m/api");
    let failed = api["tests"].as_array().unwrap().iter().find(|t| t["name"] == "TestApi/sub_one").unwrap();
    assert_eq!(
        (&failed["file"], &failed["line"], &failed["message"]),
        (&json!("api/main_test.go"), &json!(6), &json!("got 1"))
    );
    let problem = json!({"file": "web/main_test.go", "line": 5, "column": 30, "message": "undefined: undefinedThing"});
    assert_eq!(package(&report, "ex.com/m/web")["problems"], json!([problem]));
    assert_eq!(report["error"]["kind"], "failed");
    assert_eq!((&report["ok"], &report["skipped"]), (&json!(false), &json!(1)));
    assert_eq!(fleet.service("api")["test"]["state"], "failed");
}

#[test]
fn the_json_has_one_shape() {
    let fleet = module();
    fleet.write("web/main_test.go", test("main", "func TestWeb(t *testing.T) { t.Fatal(\"no\") }"));
    let mut report = fleet.orchestra(&["test", "web", "-o", "json"]).exits(1).json();
    report["elapsed_ms"] = json!(0);
    for package in report["packages"].as_array_mut().unwrap() {
        package["elapsed_ms"] = json!(0);
        for test in package["tests"].as_array_mut().unwrap() {
            test["elapsed_ms"] = json!(0);
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn a_package_can_fail_without_a_failed_test() {
    let fleet = module();
    fleet.write("api/main_test.go", "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tprintln(\"bye\")\n\tos.Exit(1)\n}\n\nfunc TestApi(t *testing.T) {}\n");
    fleet.write(
        "web/main_test.go",
        "package main\n\nimport \"testing\"\n\nfunc init() { panic(\"no config\") }\n\nfunc TestWeb(t *testing.T) {}\n",
    );
    let report = fleet.orchestra(&["test", "-o", "json"]).exits(1).json();
    assert_eq!(package(&report, "ex.com/m/api")["error"], "no test failed, but the test program exited with an error");
    assert_eq!(package(&report, "ex.com/m/api")["output"], json!(["bye"]));
    assert_eq!(package(&report, "ex.com/m/web")["error"], "panic: no config");
    assert_eq!(report["failed"], 2);
}

#[test]
fn tests_have_the_environment_tags_and_flags_of_the_build_and_no_port() {
    let fleet = module();
    fleet.write("orchestra.yml", "env: {WORD: project}\n");
    let yaml = "port: 8123\nenv: {URL: \"http://${API_ADDR}\"}\nbuild: {tags: [special], env: {MADE: by-build}}\ntest: {flags: [-run, TestEnv, -count=1]}\n";
    fleet.write("api/service.yml", yaml);
    fleet.write("api/env_test.go", "//go:build special\n\npackage main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestEnv(t *testing.T) {\n\tfor key, want := range map[string]string{\"WORD\": \"project\", \"URL\": \"http://127.0.0.1:8123\", \"MADE\": \"by-build\", \"PORT\": \"\", \"CALLER\": \"yes\"} {\n\t\tif got := os.Getenv(key); got != want {\n\t\t\tt.Errorf(\"%s is %q\", key, got)\n\t\t}\n\t}\n}\n\nfunc TestOther(t *testing.T) { t.Fatal(\"not asked for\") }\n");
    let mut command = fleet.command(&["test", "api", "-o", "json"]);
    command.env("PORT", "3000").env("CALLER", "yes");
    let report = fleet.run(command).ok().json();
    assert_eq!(package(&report, "ex.com/m/api")["passed"], 1);
    assert_eq!(report["services"].as_array().unwrap().len(), 1);
}

#[test]
fn coverage_is_told_per_package_and_per_service() {
    let fleet = module();
    let out = fleet.orchestra(&["test", "--cover"]).ok();
    assert!(out.stdout.contains("66.7%"), "{}", out.stdout);
    let report = fleet.orchestra(&["test", "--cover", "-o", "json"]).ok().json();
    assert_eq!(package(&report, "ex.com/m/lib")["coverage"], 66.7);
    assert_eq!(report["services"][0]["coverage"], 50.0);
    let left: Vec<_> =
        fs::read_dir(fleet.path(".orchestra/state/tests")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().ends_with(".json")), "{left:?}");
}

#[test]
fn a_report_for_other_programs_is_written() {
    let fleet = module();
    fleet.write("web/main_test.go", test("main", "func TestWeb(t *testing.T) { t.Fatal(\"<&\\x1b[31m>\") }"));
    fleet.orchestra(&["test", "--junit", "out/report.xml"]).exits(1);
    let xml = fs::read_to_string(fleet.path("out/report.xml")).unwrap();
    assert!(xml.contains("<testsuites name=\"fleet\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{xml}");
    assert!(
        xml.contains("name=\"TestWeb\"")
            && xml.contains("file=\"web/main_test.go\" line=\"5\"")
            && xml.contains("&lt;&amp;&gt;"),
        "{xml}"
    );
    let refused = fleet.orchestra(&["test", "--junit", "go.mod/x.xml"]).exits(2);
    assert!(refused.stderr.contains("cannot write the report `go.mod/x.xml`"), "{}", refused.stderr);
}

#[test]
fn verbose_tells_every_test_and_wrong_flags_are_told_in_gos_words() {
    let fleet = module();
    let out = fleet.orchestra(&["test", "api", "-v"]).ok();
    assert!(
        out.stdout.contains("api | --- PASS: TestApi (")
            && out.stdout.contains("api | api/main_test.go:5: hello from api")
            || out.stdout.contains("api |     api/main_test.go:5: hello from api"),
        "{}",
        out.stdout
    );
    fleet.write("api/service.yml", "test: {flags: [-nosuchflag]}\n");
    let out = fleet.orchestra(&["test", "api"]).exits(1);
    assert!(out.stdout.contains("-nosuchflag"), "{}", out.stdout);
    fleet.write("go.mod", "modul x\n");
    let out = fleet.orchestra(&["test", "web"]).exits(1);
    assert!(out.stdout.contains("go.mod:1: unknown directive: modul"), "{}", out.stdout);
    fleet.orchestra(&["test", "nosuch"]).exits(2);
    fleet.orchestra(&["test", "--acceptance"]).exits(2);
}

#[test]
fn an_interrupt_ends_everything_at_once_and_says_what_was_not_run() {
    let fleet = module();
    let body = "func TestApi(t *testing.T) {\n\tos.WriteFile(\"begun\", nil, 0o644)\n\tselect {}\n}";
    fleet.write("api/main_test.go", format!("package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n{body}\n"));
    let running = fleet.background(&["test"]);
    eventually("the test to run", || fleet.path("api/begun").exists().then_some(()));
    running.signal(Signal::SIGINT);
    let out = running.wait(std::time::Duration::from_secs(60)).exits(130);
    assert!(
        out.stderr.contains("interrupted; not run to the end: ") && out.stderr.contains("`ex.com/m/api`"),
        "{}",
        out.stderr
    );
    eventually("all of it to be gone", || fleet.processes().is_empty().then_some(()));
}

#[test]
fn acceptance_tests_get_the_fleet_and_leave_what_was_up() {
    warm();
    let fleet = Fleet::new();
    let port = fleet.ports(2);
    fleet.toy("up", &[], &format!("port: {port}"));
    fleet.toy(
        "down",
        &["-listen", &format!("127.0.0.1:{}", port + 1)],
        &format!(
            "port: {}\ndepends_on: [up]\ntest: {{acceptance: {{package: ./acceptance, tags: [acceptance]}}}}",
            port + 1
        ),
    );
    fleet.write("down/go.mod", "module ex.com/down\n\ngo 1.22\n");
    let source = "//go:build acceptance\n\npackage acceptance\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestFleet(t *testing.T) {\n\tif os.Getenv(\"UP_ADDR\") != os.Getenv(\"WANT\") || os.Getenv(\"DOWN_ADDR\") == \"\" {\n\t\tt.Fatal(os.Environ())\n\t}\n}\n";
    fleet.write("down/acceptance/fleet_test.go", source);
    let run = || {
        let mut command = fleet.command(&["test", "down", "--acceptance", "-o", "json"]);
        command.env("WANT", format!("127.0.0.1:{port}"));
        fleet.run(command).ok().json()
    };
    let report = run();
    assert_eq!(package(&report, "ex.com/down/acceptance")["kind"], "acceptance");
    assert_eq!((&report["passed"], &report["failed"]), (&json!(1), &json!(0)));
    assert!(fleet.processes().is_empty(), "nothing ran before, so nothing runs now: {:?}", fleet.processes());

    fleet.orchestra(&["start", "up"]).ok();
    let pid = fleet.pid("up.1");
    assert_eq!(package(&run(), "ex.com/down/acceptance")["cached"], false);
    assert_eq!((fleet.pid("up.1"), fleet.service("down")["desired"].clone()), (pid, json!("down")));
    assert_eq!(fleet.instance("down.1")["pid"], Value::Null);
}

/// A service that answers with what `lib` makes of the path, and ends as `end` says when it is asked to.
fn counted(end: &str) -> String {
    format!(
        "package main\n\nimport (\n\t\"fmt\"\n\t\"net\"\n\t\"os\"\n\t\"os/signal\"\n\t\"syscall\"\n\n\t\"ex.com/m/lib\"\n)\n\n\
         func main() {{\n\tasked := make(chan os.Signal, 1)\n\t{end}\n\tgo func() {{\n\t\t<-asked\n\t\tos.Exit(0)\n\t}}()\n\
         \tlistener, err := net.Listen(\"tcp\", \"127.0.0.1:\"+os.Getenv(\"PORT\"))\n\tif err != nil {{\n\t\tpanic(err)\n\t}}\n\
         \tfor {{\n\t\tconn, err := listener.Accept()\n\t\tif err != nil {{\n\t\t\tpanic(err)\n\t\t}}\n\
         \t\tfmt.Fprint(conn, lib.Double(21))\n\t\tconn.Close()\n\t}}\n}}\n\nvar _ = signal.Notify\nvar _ = syscall.SIGTERM\n"
    )
}

#[test]
fn acceptance_tests_are_measured_in_the_services_they_reach() {
    let fleet = module();
    let ports = [fleet.port(), fleet.port()];
    let yaml = "test: {acceptance: {package: ./acceptance, tags: [acceptance]}}\n";
    for ((name, end), port) in
        [("api", "signal.Notify(asked, syscall.SIGTERM)"), ("web", "_ = asked")].into_iter().zip(ports)
    {
        fleet.write(&format!("{name}/main.go"), counted(end));
        fleet.write(&format!("{name}/service.yml"), format!("port: {port}\n{yaml}"));
        let source = "//go:build acceptance\n\npackage acceptance\n\nimport (\n\t\"io\"\n\t\"net\"\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestAnswer(t *testing.T) {\n\tconn, err := net.Dial(\"tcp\", \"127.0.0.1:\"+os.Getenv(\"PORT\"))\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n\tanswer, _ := io.ReadAll(conn)\n\tif string(answer) != \"42\" {\n\t\tt.Fatal(string(answer))\n\t}\n}\n";
        fleet.write(&format!("{name}/acceptance/fleet_test.go"), source);
    }
    let service = |report: &Value, name: &str| {
        let all = report["services"].as_array().unwrap();
        all.iter().find(|service| service["name"] == name).unwrap().clone()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let report = fleet.orchestra(&["test", "--acceptance", "--cover", "-o", "json"]).ok().json();
    let (api, web) = (service(&report, "api"), service(&report, "web"));
    // The branch of `lib` that a negative number takes, and what happens on errors, never run.
    let covered = api["acceptance_coverage"].as_f64().unwrap_or_else(|| panic!("{api}"));
    assert!(covered > 60.0 && covered < 100.0, "{api}");
    assert_eq!(report["acceptance_coverage"], api["acceptance_coverage"]);
    assert_eq!(
        (&web["acceptance_coverage"], text(&web["not_measured"]).contains("SIGTERM")),
        (&Value::Null, true),
        "{web}"
    );
    let profile = fs::read_to_string(fleet.path(&text(&report["acceptance_profile"]))).unwrap();
    let ran = |place: &str| {
        let lines: Vec<_> = profile.lines().filter(|line| line.starts_with(place)).collect();
        assert!(!lines.is_empty(), "{profile}");
        lines.iter().any(|line| !line.ends_with(" 0"))
    };
    assert!(ran("ex.com/m/lib/lib.go:7") && !ran("ex.com/m/lib/lib.go:4"), "{profile}");
    assert!(fleet.processes().is_empty(), "{:?}", fleet.processes());
    let left = fs::read_dir(fleet.path(".orchestra/state/tests")).unwrap().map(|entry| entry.unwrap().path());
    assert!(
        left.into_iter().all(|path| path.extension().is_some_and(|end| end == "json")),
        "what was measured is gone"
    );

    // What is up stays as it is, and is not measured; what people run is not what was measured.
    fleet.orchestra(&["start", "api"]).ok();
    let (pid, id) = (fleet.pid("api.1"), fleet.service("api")["build"]["id"].clone());
    let told = fleet.orchestra(&["test", "--acceptance", "--cover"]).ok().stdout;
    assert!(told.contains("COVERED BY ACCEPTANCE TESTS") && told.contains("orchestra stop api"), "{told}");
    assert_eq!((fleet.pid("api.1"), &fleet.service("api")["build"]["id"]), (pid, &id));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.pid("api.1"), pid);
    let web = fs::read_link(format!("/proc/{}/exe", fleet.pid("web.1")));
    assert!(web.map_or(cfg!(not(target_os = "linux")), |exe| exe == fleet.path(".orchestra/bin/web")));
}
