//! Services in containers (`run_in: docker`, `start --in docker`): real Go programs in a real engine.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Fleet, Vendors, eventually};

use super::REDIS;

const SOURCE: &str = include_str!("../fixtures/contained/main.go");

/// A Go service with these lines in its `service.yml`.
fn service(fleet: &Fleet, name: &str, yaml: &str) {
    fleet.go_service(name, SOURCE);
    fleet.write(&format!("{name}/service.yml"), yaml);
}

/// Names of the project's images.
fn images(fleet: &Vendors) -> Vec<String> {
    let label = format!("label=orchestra.project={}", fleet.root().display());
    fleet.engine.list(&["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "--filter", &label])
}

#[track_caller]
fn get(fleet: &Fleet, port: u16, path: &str) -> String {
    fleet.get(port, path).unwrap_or_else(|| panic!("no answer on port {port}"))
}

#[test]
fn a_service_finds_in_its_container_what_it_finds_as_a_process() {
    let Some(fleet) = Vendors::new("inside", &format!("vendors:\n{REDIS}")) else { return };
    let port = fleet.port();
    let yaml = format!(
        "run_in: docker\nports: {{http: {port}}}\nargs: [-p, '${{PORT}}']\nenv: {{WHERE: 'at ${{REDIS_ADDR}}'}}\ndepends_on: [redis]\n"
    );
    service(&fleet, "api", &yaml);
    fleet.write("api/notes.txt", "from the folder");
    fleet.set("FROM_CALLER", "yes");
    fleet.set("TZ", "Europe/Berlin");
    let started = fleet.orchestra(&["start"]).ok();
    assert!(started.stderr.contains("made the image") || started.stdout.contains("made the image"), "{started:?}");

    let (view, instance) = (fleet.service("api"), fleet.instance("api.1"));
    assert_eq!((view["kind"].as_str(), view["state"].as_str()), (Some("service"), Some("ready")), "{view}");
    assert_eq!((instance["worker"].as_str(), instance["ports"]["http"].as_u64()), (Some("docker"), Some(port.into())));
    assert_eq!(get(&fleet, port, "/"), "one");
    let env = |key: &str| get(&fleet, port, &format!("/env?{key}"));
    assert_eq!(env("WHERE"), "at redis:6379", "a container finds another one by its name and its own port");
    assert_eq!((env("PORT"), env("API_ADDR")), (port.to_string(), format!("api:{port}")));
    assert_eq!((env("FROM_CALLER").as_str(), env("HOME").as_str()), ("yes", "/"), "but no place of this machine");
    assert!(get(&fleet, port, "/redis").contains("+PONG"));
    assert_eq!(get(&fleet, port, "/file?notes.txt"), "from the folder");
    assert!(get(&fleet, port, "/write?new.txt").contains("read-only"));
    assert!(get(&fleet, port, "/file?/etc/ssl/certs/ca-certificates.crt").contains("BEGIN CERTIFICATE"));
    assert_eq!(get(&fleet, port, "/zone"), "Europe/Berlin <nil> 14");
    let who = get(&fleet, port, "/who");
    assert!(who.starts_with("/bin/api ") && !who.ends_with(" 0"), "{who}");
    assert_eq!(fleet.lines(&["api"]), [format!("up one 1 -p {port}")]);
    let why = fleet.orchestra(&["why", "api"]).ok().stdout;
    assert!(why.contains("ready"), "{why}");
    assert_eq!(fleet.orchestra(&["strays", "-o", "json"]).ok().json()["strays"].as_array().map(Vec::len), Some(0));

    // Unchanged: the same container. Stopped: it goes, its image stays, and nothing is made again.
    let container = fleet.container("api.1");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.container("api.1"), container);
    let made = images(&fleet);
    assert_eq!(made.len(), 1, "{made:?}");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.containers().len(), 1, "redis alone is kept");
    assert_eq!(fleet.lines(&["api"]).last().map(String::as_str), Some("bye"));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(images(&fleet), made);
    assert_eq!(get(&fleet, port, "/"), "one");
}

#[test]
fn processes_and_containers_find_each_other() {
    let Some(fleet) = Vendors::new("mixed", "") else { return };
    let port = fleet.ports(3);
    let web = port + 2;
    service(&fleet, "api", &format!("run_in: docker\nscale: 2\nports: {{http: {port}}}\ndepends_on: [web]\n"));
    let listen = format!("0.0.0.0:{web}");
    fleet.toy("web", &["-listen", &listen, "-env", "API_ADDR"], &format!("ports: {{http: {web}}}"));
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.instance("web.1")["worker"], "process");
    assert_eq!(fleet.lines(&["web"]), [format!("API_ADDR=127.0.0.1:{port}")]);
    assert_eq!((get(&fleet, port, "/"), get(&fleet, port + 1, "/")), ("one".to_owned(), "one".to_owned()));
    let peers = format!("api.1:{port},api.2:{}", port + 1);
    assert_eq!(get(&fleet, port, "/env?ORCHESTRA_PEERS_HTTP"), peers);
    assert!(get(&fleet, port, &format!("/ask?api.2:{}", port + 1)).ends_with("one"));
    let address = get(&fleet, port, "/env?WEB_ADDR");
    assert_eq!(address, format!("host.docker.internal:{web}"));
    assert!(get(&fleet, port, &format!("/ask?{address}")).ends_with(&fleet.pid("web.1").to_string()));

    fleet.orchestra(&["scale", "api=1"]).ok();
    eventually("one container", || (fleet.containers().len() == 1).then_some(()));
    assert_eq!(images(&fleet).len(), 1);
}

#[test]
fn a_save_swaps_the_container_and_the_old_image_goes() {
    let Some(fleet) = Vendors::new("swap", "") else { return };
    let port = fleet.port();
    service(&fleet, "api", &format!("run_in: docker\nports: {{http: {port}}}\n"));
    fleet.orchestra(&["start", "--rerun"]).ok();
    let (container, image) = (fleet.container("api.1"), images(&fleet));
    fleet.write("api/main.go", SOURCE.replace("\"one\"", "\"two\""));
    eventually("the new code", || (fleet.get(port, "/")? == "two").then_some(()));
    let instance = fleet.until("api.1", "ready");
    assert_eq!(instance["last_exit"]["reason"], "rerun", "{instance}");
    assert_ne!(fleet.container("api.1"), container);
    let now = eventually("the old image to go", || Some(images(&fleet)).filter(|images| images.len() == 1));
    assert_ne!(now, image);
    // What does not compile leaves it serving.
    fleet.write("api/main.go", "package main\nfunc main() {");
    eventually("the build to fail", || (fleet.service("api")["build"]["state"] == "failed").then_some(()));
    assert_eq!(get(&fleet, port, "/"), "two");
}

#[test]
fn the_command_line_says_where_it_runs_until_it_is_stopped() {
    let Some(fleet) = Vendors::new("flag", "") else { return };
    let port = fleet.port();
    service(&fleet, "api", &format!("ports: {{http: {port}}}\n"));
    fleet.toy("web", &[], "");
    let worker = |id: &str| fleet.instance(id)["worker"].as_str().map(str::to_owned).unwrap_or_default();
    fleet.orchestra(&["start"]).ok();
    assert_eq!(worker("api.1"), "process");
    let out = fleet.orchestra(&["start", "--in", "docker"]).ok();
    assert!(out.stderr.contains("`web` is a `command:`"), "{}", out.stderr);
    assert_eq!((worker("api.1"), worker("web.1")), ("docker".to_owned(), "process".to_owned()));
    assert_eq!(get(&fleet, port, "/"), "one");
    fleet.orchestra(&["restart", "api"]).ok();
    assert_eq!(worker("api.1"), "docker");
    fleet.orchestra(&["start", "web", "--in", "docker"]).exits(2);
    fleet.orchestra(&["stop", "api"]).ok();
    fleet.orchestra(&["start", "api"]).ok();
    assert_eq!(worker("api.1"), "process");
}

#[test]
fn a_killed_supervisor_finds_the_container_again() {
    let Some(fleet) = Vendors::new("adopted", "") else { return };
    let port = fleet.port();
    service(&fleet, "api", &format!("run_in: docker\nports: {{http: {port}}}\n"));
    fleet.orchestra(&["start"]).ok();
    let began = || fleet.inspect(&fleet.container("api.1"), "{{.Id}} {{.State.StartedAt}}");
    let before = began();
    kill(Pid::from_raw(fleet.supervisor()), Signal::SIGKILL).unwrap();
    assert_eq!(get(&fleet, port, "/"), "one");
    assert_eq!(fleet.instance("api.1")["worker"], "docker", "told from the files");
    fleet.orchestra(&["start"]).ok();
    fleet.until("api.1", "ready");
    assert_eq!(began(), before, "it is kept: its code and its settings are the same");
    assert_eq!(fleet.service("api")["kind"], "service");
    // Its policy goes on.
    fleet.engine.docker(&["kill", "--signal", "KILL", &fleet.container("api.1")]);
    eventually("a new start", || (fleet.instance("api.1")["restarts"].as_u64()? > 0).then_some(()));
    fleet.until("api.1", "ready");
    assert_eq!(get(&fleet, port, "/"), "one");
}

#[test]
fn what_it_may_use_is_held_to() {
    let Some(fleet) = Vendors::new("eats", "") else { return };
    let port = fleet.port();
    let yaml = format!("run_in: docker\nrestart: \"no\"\nresources: {{memory: 32MiB}}\nports: {{http: {port}}}\n");
    service(&fleet, "api", &yaml);
    fleet.orchestra(&["start"]).ok();
    let _cut_off = fleet.get(port, "/eat");
    let failed = fleet.until("api.1", "failed");
    assert_eq!(failed["last_exit"]["reason"], "oom", "{failed}");
}

#[test]
fn who_listens_on_the_loopback_is_told_so() {
    let Some(fleet) = Vendors::new("deaf", "") else { return };
    let port = fleet.port();
    let yaml = format!("run_in: docker\nports: {{http: {port}}}\nenv: {{LISTEN: '127.0.0.1:{port}'}}\n");
    service(&fleet, "api", &yaml);
    fleet.orchestra(&["start", "--timeout", "1s"]).exits(1);
    eventually("a word on where it listens", || {
        let why = fleet.orchestra(&["why", "api"]).ok().stdout;
        why.contains("must listen on all addresses").then_some(())
    });
}

#[test]
fn what_cannot_be_had_in_a_container_is_refused() {
    let fleet = Fleet::named("refused");
    fleet.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    fleet.write("orchestra.yml", "");
    service(&fleet, "api", "run_in: docker\nports: {http: 8080}\n");
    for flags in [&["--race"][..], &["--debug", "api"]] {
        let out = fleet.orchestra(&[&["start", "api"], flags].concat()).exits(2);
        assert!(out.stderr.contains("--in process"), "{flags:?}: {}", out.stderr);
    }
    fleet.toy("web", &[], "run_in: docker");
    let out = fleet.orchestra(&["start"]).exits(2);
    assert!(out.stderr.contains("web/service.yml") && out.stderr.contains("`command:`"), "{}", out.stderr);
}

#[test]
fn without_an_engine_the_others_run() {
    let fleet = Fleet::named("alone");
    fleet.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    fleet.write("orchestra.yml", "");
    service(&fleet, "api", "run_in: docker\n");
    fleet.toy("web", &[], "");
    let out = fleet.orchestra(&["start", "--timeout", "60s"]).exits(3);
    assert!(out.stderr.contains("/nowhere/docker.sock"), "{}", out.stderr);
    assert_eq!(fleet.service("web")["state"], "ready");
    assert_ne!(fleet.service("api")["state"], "ready");
}
