//! `start --rerun`: saves are built and swapped, files of the configuration are taken over live, and all of it outlives the supervisor.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Fleet, eventually};

/// Answers `v1` and `$GREETING`.
const SERVE: &str = r#"package main

import (
	"fmt"
	"net/http"
	"os"
)

const version = "v1"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, version+os.Getenv("GREETING"))
	})
	http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
}
"#;

impl Fleet {
    /// A Go service that serves, and its port.
    fn serve(&self, name: &str) -> u16 {
        let port = self.port();
        self.write(&format!("{name}/service.yml"), format!("port: {port}\n"));
        self.go_service(name, SERVE);
        port
    }

    fn answers(&self, port: u16, body: &str) {
        let last = std::cell::RefCell::new(None);
        eventually(&format!("the answer {body}"), || {
            let answer = self.get(port, "/");
            last.replace(answer.clone());
            (answer.as_deref() == Some(body)).then_some(())
        });
    }

    fn trouble(&self, part: &str) -> String {
        eventually(&format!("the trouble {part}"), || {
            let trouble = self.ps()["supervisor"]["trouble"].as_str()?.to_owned();
            trouble.contains(part).then_some(trouble)
        })
    }

    /// Waits until an instance that may not be there yet is ready.
    fn ready(&self, id: &str) {
        eventually(&format!("{id} to be ready"), || {
            let ps = self.ps();
            let mut all = ps["services"].as_array().unwrap().iter().flat_map(|s| s["instances"].as_array().unwrap());
            all.any(|instance| instance["id"] == id && instance["state"] == "ready").then_some(())
        });
    }

    /// What happened to a service, as `why` tells it.
    fn events(&self, service: &str) -> Vec<String> {
        let why = self.orchestra(&["why", service, "-o", "json"]).ok().json();
        why["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }
}

fn version(text: &str) -> String {
    SERVE.replace("v1", text)
}

#[test]
fn a_save_is_built_and_swapped_and_nobody_else_is_touched() {
    let fleet = Fleet::new();
    let port = fleet.serve("api");
    fleet.serve("web");
    fleet.orchestra(&["start", "--rerun"]).ok();
    assert_eq!(fleet.get(port, "/").as_deref(), Some("v1"));
    assert_eq!(fleet.service("api")["rerun"], true);
    let (api, web) = (fleet.pid("api.1"), fleet.pid("web.1"));
    fleet.write("api/main.go", version("v2"));
    fleet.answers(port, "v2");
    assert_ne!(fleet.pid("api.1"), api);
    assert_eq!(fleet.pid("web.1"), web);
    assert_eq!(fleet.instance("api.1")["last_exit"]["reason"], "rerun");
    let text = fleet.orchestra(&["ps"]).ok().stdout;
    assert!(text.contains("edits are watched for: all"), "{text}");
    // A failed build leaves it serving, and the next good one is swapped in.
    let api = fleet.pid("api.1");
    fleet.write("api/main.go", version("v3").replace("func main() {", "func main() {\n\tnobody()"));
    eventually("the build to fail", || (fleet.service("api")["build"]["state"] == "failed").then_some(()));
    assert_eq!(fleet.service("api")["build"]["error"], "api/main.go:12:2: undefined: nobody");
    assert_eq!(fleet.pid("api.1"), api);
    fleet.write("api/main.go", version("v4"));
    fleet.answers(port, "v4");
}

#[test]
fn an_edit_while_it_starts_is_not_missed() {
    let fleet = Fleet::new();
    let port = fleet.serve("api");
    let start = fleet.background(&["start", "--rerun"]);
    eventually("the build", || (fleet.service("api")["build"]["state"] == "building").then_some(()));
    fleet.write("api/main.go", version("v2"));
    start.wait(crate::support::wait::PATIENCE * 2).ok();
    fleet.answers(port, "v2");
}

#[test]
fn files_of_the_configuration_restart_without_a_build_and_only_where_they_say_something_else() {
    let fleet = Fleet::new();
    let (api, web) = (fleet.serve("api"), fleet.serve("web"));
    fleet.orchestra(&["start", "--rerun"]).ok();
    let build = fleet.service("api")["build"]["id"].clone();
    // An env file that was not there.
    fleet.write("api/service.yml", format!("port: {api}\nenv_file: [{{path: own.env, required: false}}]\n"));
    let first = fleet.pid("api.1");
    fleet.write("api/own.env", "GREETING=-hello\n");
    fleet.answers(api, "v1-hello");
    assert_eq!(fleet.service("api")["build"]["id"], build);
    assert_ne!(fleet.pid("api.1"), first);
    assert_eq!(fleet.get(web, "/").as_deref(), Some("v1"));
    // What the project's says reaches everybody, but a service's own stands above it.
    let (kept, other) = (fleet.pid("api.1"), fleet.pid("web.1"));
    fleet.write(".env", "# for all\nGREETING=-all\n");
    fleet.answers(web, "v1-all");
    assert_ne!(fleet.pid("web.1"), other);
    assert_eq!(fleet.pid("api.1"), kept);
    // A comment says nothing, and what comes after it proves that it was read.
    let (api_pid, web_pid) = (fleet.pid("api.1"), fleet.pid("web.1"));
    fleet.write("web/service.yml", format!("# a comment\nport: {web}\n"));
    fleet.write("third/service.yml", "command: [sleep, '1000']\n");
    fleet.ready("third.1");
    assert_eq!((fleet.pid("api.1"), fleet.pid("web.1")), (api_pid, web_pid));
    assert!(!fleet.events("web").iter().any(|event| event.contains("web/service.yml")), "{:?}", fleet.events("web"));
}

#[test]
fn services_come_and_go_with_their_folders() {
    let fleet = Fleet::new();
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start", "--rerun"]).ok();
    let api = fleet.pid("api.1");
    let port = fleet.serve("web");
    fleet.answers(port, "v1");
    // A branch without it, and back with other code.
    std::fs::rename(fleet.path("web"), fleet.root().parent().unwrap().join("web")).unwrap();
    eventually("web to be gone", || fleet.get(port, "/").is_none().then_some(()));
    eventually("ps to forget it", || {
        let ps = fleet.ps();
        (!ps["services"].as_array().unwrap().iter().any(|s| s["name"] == "web")).then_some(())
    });
    std::fs::write(fleet.root().parent().unwrap().join("web/main.go"), version("v2")).unwrap();
    std::fs::rename(fleet.root().parent().unwrap().join("web"), fleet.path("web")).unwrap();
    fleet.answers(port, "v2");
    // Nothing was built of what was gone.
    assert!(!fleet.events("web").iter().any(|event| event.contains("failed")), "{:?}", fleet.events("web"));
    // Rerun goes on for it.
    fleet.write("web/main.go", version("v3"));
    fleet.answers(port, "v3");
    // The number of copies is the file's, once it is edited.
    fleet.orchestra(&["scale", "api=2"]).ok();
    let second = fleet.pid("api.2");
    let text = std::fs::read_to_string(fleet.path("api/service.yml")).unwrap();
    fleet.write("api/service.yml", format!("{text}scale: 3\n"));
    fleet.ready("api.3");
    assert_eq!((fleet.pid("api.1"), fleet.pid("api.2")), (api, second));
}

#[test]
fn a_broken_file_keeps_the_last_good_configuration() {
    let fleet = Fleet::new();
    let port = fleet.serve("api");
    let never = fleet.path("never");
    fleet.toy(
        "slow",
        &["-ready-file", never.to_str().unwrap()],
        &format!("port: {}\nready: {{http: /ready}}", fleet.port()),
    );
    let start = fleet.background(&["start", "--rerun"]);
    eventually("api to serve", || fleet.get(port, "/"));
    eventually("slow to run", || (fleet.instance("slow.1")["state"] == "running").then_some(()));
    let pid = fleet.pid("api.1");
    fleet.write("api/service.yml", format!("port: {port}\nscael: 3\n"));
    let trouble = fleet.trouble("api/service.yml:2:1: ");
    assert!(trouble.contains("scael") && trouble.contains("stays in force"), "{trouble}");
    // Whoever waits is told, with the line and what to do.
    eventually("start to say so", || start.said().contains("did you mean scale?").then_some(()));
    assert!(start.said().contains("api/service.yml:2:1: "), "{}", start.said());
    assert_eq!(fleet.pid("api.1"), pid);
    // Code goes on being built by what was good.
    fleet.write("api/main.go", version("v2"));
    fleet.answers(port, "v2");
    fleet.write("api/service.yml", format!("port: {port}\nenv: {{GREETING: -mended}}\n"));
    fleet.answers(port, "v2-mended");
    eventually("the trouble to be over", || fleet.ps()["supervisor"]["trouble"].is_null().then_some(()));
    eventually("start to say so", || start.said().contains("in order again").then_some(()));
    fleet.write("never", "");
    start.wait(crate::support::wait::PATIENCE).ok();
}

#[test]
fn rerun_and_all_it_knows_outlive_the_supervisor() {
    let fleet = Fleet::new();
    let (api, web) = (fleet.serve("api"), fleet.serve("web"));
    fleet.orchestra(&["start", "--rerun"]).ok();
    let old = fleet.supervisor();
    let pid = fleet.pid("web.1");
    // Nobody has the time to see these.
    kill(Pid::from_raw(old), Signal::SIGSTOP).unwrap();
    fleet.write("api/main.go", version("v2"));
    fleet.write("api/service.yml", format!("port: {api}\nenv: {{GREETING: -meanwhile}}\n"));
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    fleet.answers(api, "v2-meanwhile");
    assert_ne!(fleet.supervisor(), old);
    assert_eq!(fleet.pid("web.1"), pid, "what was not edited is kept");
    assert_eq!(fleet.service("web")["rerun"], true);
    fleet.write("web/main.go", version("v2"));
    fleet.answers(web, "v2");
    // A restart keeps the flag, a stop ends it.
    fleet.orchestra(&["restart"]).ok();
    fleet.write("api/main.go", version("v3"));
    fleet.answers(api, "v3-meanwhile");
    fleet.orchestra(&["stop", "api"]).ok();
    assert_eq!(fleet.service("api")["rerun"], json!(null));
    fleet.orchestra(&["start", "api"]).ok();
    assert_eq!(
        (fleet.service("api")["rerun"].clone(), fleet.service("web")["rerun"].clone()),
        (json!(null), json!(true))
    );
    fleet.orchestra(&["start", "--rerun=false"]).ok();
    assert_eq!(fleet.service("web")["rerun"], json!(null));
}

#[test]
fn tests_gate_the_swap_and_run_when_they_are_edited() {
    let test = |want: &str| {
        format!(
            "package main\n\nimport \"testing\"\n\nfunc TestVersion(t *testing.T) {{\n\tif version != {want:?} {{\n\t\tt.Fatal(\"it is \" + version)\n\t}}\n}}\n"
        )
    };
    let fleet = Fleet::new();
    let port = fleet.serve("api");
    fleet.write("api/main_test.go", test("v1"));
    fleet.orchestra(&["start", "--rerun", "--test"]).ok();
    let pid = fleet.pid("api.1");
    fleet.write("api/main.go", version("v2"));
    eventually("the tests to fail", || (fleet.service("api")["test"]["state"] == "failed").then_some(()));
    assert_eq!((fleet.pid("api.1"), fleet.get(port, "/").as_deref()), (pid, Some("v1")));
    // What was wrong was the test.
    fleet.write("api/main_test.go", test("v2"));
    fleet.answers(port, "v2");
}
