//! Docker away: one line with the next step, and what needs no vendor runs all the same. These need no engine.

use std::os::unix::net::UnixListener;

use crate::support::Fleet;

use super::REDIS;

fn without_engine() -> Fleet {
    let fleet = Fleet::named("away");
    fleet.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    fleet.write("orchestra.yml", format!("vendors:\n{REDIS}"));
    fleet
}

#[test]
fn services_without_vendors_run_and_the_exit_code_says_unreachable() {
    let fleet = without_engine();
    fleet.toy("api", &["-say", "here"], "");
    fleet.toy("needy", &[], "depends_on: [redis]");
    let out = fleet.orchestra(&["start", "--timeout", "30s"]).exits(3);
    assert!(out.stderr.contains("/nowhere/docker.sock"), "{}", out.stderr);
    assert_eq!(fleet.service("api")["state"], "ready");
    assert_ne!(fleet.service("needy")["state"], "ready");
    let why = fleet.orchestra(&["why", "redis"]).ok().stdout;
    assert!(why.contains("/nowhere/docker.sock"), "{why}");
}

#[test]
fn each_command_says_it_in_one_line() {
    let fleet = without_engine();
    for args in [
        &["vendors", "pull"][..],
        &["vendors", "down"],
        &["vendors", "down", "--volumes", "--yes"],
        &["vendors", "exec", "redis", "redis-cli", "ping"],
    ] {
        let out = fleet.orchestra(args).exits(3);
        let errors = out.stderr.lines().filter(|line| line.starts_with("error:")).count();
        assert!(errors == 1 && out.stderr.contains("hint:"), "{args:?}: {}", out.stderr);
    }
    let json = fleet.orchestra(&["vendors", "pull", "-o", "json"]).exits(3).json();
    assert_eq!(json["error"]["kind"], "no-engine");
}

#[test]
fn doctor_says_how_to_mend_each() {
    let fleet = without_engine();
    let docker = |fleet: &Fleet| {
        let answer = fleet.orchestra(&["doctor", "-o", "json"]);
        let checks = answer.json()["checks"].as_array().unwrap().clone();
        let found: Vec<_> = checks.into_iter().filter(|check| check["name"] == "docker").collect();
        assert!(!found.is_empty(), "{}", answer.stdout);
        found[0].clone()
    };
    let nobody = docker(&fleet);
    assert_eq!(nobody["status"], "failed");
    assert!(nobody["message"].as_str().unwrap().contains("/nowhere/docker.sock") && nobody["fix"].is_string(), "{nobody}");

    // A socket that somebody left behind: nobody listens.
    let socket = fleet.path("left.sock");
    drop(UnixListener::bind(&socket).unwrap());
    fleet.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    let left = docker(&fleet);
    assert!(left["status"] == "failed" && left["fix"].is_string(), "{left}");
}

#[test]
fn doctor_tells_of_an_engine_that_answers() {
    let Some(fleet) = crate::support::Vendors::new("doctor", &format!("vendors:\n{REDIS}")) else { return };
    let answer = fleet.orchestra(&["doctor", "-o", "json"]).json();
    let check = answer["checks"].as_array().unwrap().iter().find(|check| check["name"] == "docker").unwrap().clone();
    let version = fleet.engine.docker(&["version", "-f", "{{.Server.Version}}"]);
    assert_eq!(check["status"], "ok", "{check}");
    assert!(check["message"].as_str().unwrap().contains(&version), "{check}");
}
