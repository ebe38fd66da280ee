//! What was written stays, whatever is done to the containers.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Vendors, eventually};

use super::{POSTGRES, REDIS};

/// A fleet with one row in its database and one key in its cache.
fn filled(name: &str) -> Option<Vendors> {
    let fleet = Vendors::new(name, &format!("vendors:\n{POSTGRES}{REDIS}"))?;
    fleet.orchestra(&["start"]).ok();
    fleet.sql("create table kept (n int); insert into kept values (42)");
    assert_eq!(redis(&fleet, &["set", "kept", "43"]), "OK");
    Some(fleet)
}

fn redis(fleet: &Vendors, args: &[&str]) -> String {
    let container = fleet.container("redis.1");
    fleet.engine.docker(&[&["exec", container.as_str(), "redis-cli"], args].concat())
}

#[track_caller]
fn assert_kept(fleet: &Vendors) {
    assert_eq!(fleet.sql("select n from kept"), "42");
    assert_eq!(redis(fleet, &["get", "kept"]), "43");
}

#[test]
fn data_survive_stop_and_start_in_the_same_containers() {
    let Some(fleet) = filled("stop") else { return };
    let before = [fleet.container("postgres.1"), fleet.container("redis.1")];
    fleet.orchestra(&["stop"]).ok();
    fleet.orchestra(&["start"]).ok();
    assert_eq!([fleet.container("postgres.1"), fleet.container("redis.1")], before);
    assert_kept(&fleet);
    fleet.orchestra(&["restart", "postgres"]).ok();
    assert_kept(&fleet);
}

#[test]
fn a_killed_supervisor_takes_nothing_along() {
    let Some(fleet) = filled("killed") else { return };
    fleet.toy("api", &["-tick", "50ms"], "");
    fleet.orchestra(&["start"]).ok();
    let began = |instance: &str| fleet.inspect(&fleet.container(instance), "{{.Id}} {{.State.StartedAt}}");
    let before = [began("postgres.1"), began("redis.1")];
    let killed = fleet.supervisor();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    eventually("another supervisor", || (fleet.ps()["supervisor"]["pid"].as_i64()? != i64::from(killed)).then_some(()));
    fleet.until("postgres.1", "ready");
    fleet.until("redis.1", "ready");
    assert_eq!([began("postgres.1"), began("redis.1")], before, "they run on, and are not started again");
    assert_kept(&fleet);
    // What they say from now on is heard, once.
    fleet.sql("do $$ begin raise warning 'after the kill'; end $$");
    let lines = eventually("its words in the log", || {
        let lines: Vec<String> =
            fleet.lines(&["postgres"]).into_iter().filter(|l| l.contains("after the kill")).collect();
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let ready = fleet.lines(&["postgres"]).iter().filter(|l| l.contains("ready to accept connections")).count();
    assert_eq!(ready, 2, "the temporary server of the first start, and the one that runs");
}

#[test]
fn without_services_the_next_command_takes_over_what_runs_and_starts_what_ended() {
    let Some(fleet) = filled("alone") else { return };
    let began = |instance: &str| fleet.inspect(&fleet.container(instance), "{{.Id}} {{.State.StartedAt}}");
    let (postgres, redis) = (began("postgres.1"), fleet.container("redis.1"));
    let killed = fleet.supervisor();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    eventually("its end", || (fleet.ps()["supervisor"]["running"] == false).then_some(()));
    // Containers have no shim that would bring a supervisor back; the engine is asked what runs.
    fleet.engine.docker(&["kill", &redis]);
    assert_ne!(fleet.service("postgres")["state"], "idle");
    fleet.sql("do $$ begin raise warning 'nobody listens'; end $$");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(began("postgres.1"), postgres, "it ran on, and is not started again");
    assert_eq!(fleet.container("redis.1"), redis, "the same container, started again");
    assert_eq!(
        (&fleet.service("postgres")["state"], &fleet.service("redis")["state"]),
        (&"ready".into(), &"ready".into())
    );
    assert_kept(&fleet);
    let heard = fleet.lines(&["postgres"]).iter().filter(|line| line.contains("nobody listens")).count();
    assert_eq!(heard, 1, "what was said meanwhile is in the log, once");
}

#[test]
fn a_container_removed_by_hand_comes_back_with_its_data() {
    let Some(fleet) = filled("removed") else { return };
    let before = fleet.container("postgres.1");
    fleet.engine.docker(&["rm", "-f", &before]);
    eventually("another container", || {
        let there = fleet.containers().iter().all(|id| *id != before) && fleet.containers().len() == 2;
        // Asked last: the old one was ready, too, until its end was heard.
        let instance = fleet.instance("postgres.1");
        (there && instance["state"] == "ready" && instance["restarts"] == 1).then_some(())
    });
    assert_eq!(fleet.sql("select n from kept"), "42");
}

#[test]
fn another_tag_is_asked_for_first() {
    let Some(fleet) = filled("tag") else { return };
    let tag = format!("{}:15.1", fleet.project);
    fleet.engine.docker(&["tag", "postgres:15", &tag]);
    let before = fleet.container("postgres.1");
    let yaml = format!("vendors:\n{POSTGRES}{REDIS}");
    fleet.write("orchestra.yml", yaml.replace("postgres:15", &tag));
    for args in [&["start"][..], &["vendors", "up"], &["start", "-o", "json"], &["restart", "postgres"]] {
        let refused = fleet.orchestra(args).exits(2);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains(&format!("postgres: postgres:15 -> {tag}")) && said.contains("--yes"), "{said}");
    }
    assert_eq!(fleet.container("postgres.1"), before);
    assert_eq!(fleet.service("postgres")["state"], "ready", "nothing was done");
    fleet.orchestra(&["start", "--yes"]).ok();
    let after = fleet.container("postgres.1");
    assert_ne!(after, before);
    assert_eq!(fleet.inspect(&after, "{{.Config.Image}}"), tag);
    assert_kept(&fleet);
    // Asked once: it is what it shall be now.
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.container("postgres.1"), after);
    fleet.write("orchestra.yml", yaml);
    fleet.orchestra(&["restart", "--yes", "postgres"]).ok();
    assert_eq!(fleet.inspect(&fleet.container("postgres.1"), "{{.Config.Image}}"), "postgres:15");
    assert_kept(&fleet);
    fleet.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    fleet.engine.docker(&["rmi", &tag]);
}

#[test]
fn volumes_without_a_name_go_on_to_the_next_container() {
    let Some(fleet) = filled("anonymous") else { return };
    let before = fleet.container("redis.1");
    fleet.write("orchestra.yml", format!("vendors:\n{POSTGRES}{}", REDIS.replace("}\n", ", environment: {A: b}}\n")));
    fleet.orchestra(&["start"]).ok();
    assert_ne!(fleet.container("redis.1"), before, "other settings are another container");
    assert_kept(&fleet);
}
