//! `vendors down` takes containers and the network; data only when they are asked for by name.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Vendors;

use super::{POSTGRES, REDIS};

#[test]
fn data_stay_unless_they_are_asked_for() {
    let nats = "  nats: {image: \"nats:2\", ports: [\"4222\"]}\n";
    let Some(fleet) = Vendors::new("down", &format!("vendors:\n{POSTGRES}{nats}")) else { return };
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let api = fleet.pid("api.1");
    fleet.sql("create table kept (n int); insert into kept values (42)");
    let out = fleet.orchestra(&["vendors", "down"]).ok();
    let container = format!("removed container {}-postgres-1", fleet.project);
    assert!(out.stderr.contains(&container) && out.stderr.contains("removed network"), "{}", out.stderr);
    assert!(fleet.containers().is_empty() && fleet.networks().is_empty());
    assert!(fleet.volumes().contains(&format!("{}_pgdata", fleet.project)));
    assert_eq!(fleet.pid("api.1"), api, "services run on");
    assert_eq!(fleet.service("postgres")["state"], "idle");

    fleet.orchestra(&["vendors", "up"]).ok();
    assert_eq!(fleet.sql("select n from kept"), "42");

    let refused = fleet.orchestra(&["vendors", "down", "--volumes"]).exits(2);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(fleet.sql("select n from kept"), "42", "nothing was done");

    let removed = fleet.orchestra(&["vendors", "down", "--volumes", "--yes", "-o", "json"]).ok().json();
    assert_eq!(removed["containers"].as_array().map(Vec::len), Some(2), "{removed}");
    assert!(
        removed["volumes"].as_array().unwrap().iter().any(|v| *v == format!("{}_pgdata", fleet.project)),
        "{removed}"
    );
    assert!(fleet.volumes().is_empty());
    let none = fleet.orchestra(&["vendors", "down"]).ok();
    assert_eq!(none.stderr, "note: there was nothing to remove\n");
}

#[test]
fn one_that_the_files_do_not_know_any_more_goes_for_good() {
    let Some(fleet) = Vendors::new("forgotten", &format!("vendors:\n{POSTGRES}{REDIS}")) else { return };
    fleet.orchestra(&["start"]).ok();
    fleet.write("orchestra.yml", format!("vendors:\n{POSTGRES}"));
    let out = fleet.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    assert!(out.stderr.contains(&format!("removed container {}-redis-1", fleet.project)), "{}", out.stderr);
    // Whoever still wanted it would see that somebody removed its container, and make another.
    fleet.orchestra(&["vendors", "up"]).ok();
    let said = fleet.orchestra(&["logs", "redis"]).ok().stdout;
    assert!(!said.contains("somebody removed"), "{said}");
    assert_eq!(fleet.containers(), [fleet.container("postgres.1")]);
}

#[test]
fn one_vendor_goes_and_the_other_stays() {
    let Some(fleet) = Vendors::new("one", &format!("vendors:\n{POSTGRES}{REDIS}")) else { return };
    fleet.orchestra(&["start"]).ok();
    let redis = fleet.container("redis.1");
    fleet.orchestra(&["vendors", "down", "--volumes", "--yes", "postgres"]).ok();
    assert_eq!(fleet.containers(), [redis]);
    assert!(!fleet.volumes().contains(&format!("{}_pgdata", fleet.project)));
    assert_eq!(fleet.networks().len(), 1, "the other one needs it");
    assert_eq!(fleet.service("redis")["state"], "ready");
}

#[test]
fn volumes_go_although_their_containers_went_before() {
    let Some(fleet) = Vendors::new("before", &format!("vendors:\n{POSTGRES}{REDIS}")) else { return };
    fleet.orchestra(&["start", "postgres"]).ok();
    let volume = format!("{}_pgdata", fleet.project);
    fleet.orchestra(&["vendors", "down"]).ok();
    let of_redis = fleet.orchestra(&["vendors", "down", "--volumes", "--yes", "redis"]).ok();
    assert!(of_redis.stderr.contains("nothing to remove"), "{}", of_redis.stderr);
    assert_eq!(fleet.volumes(), [volume.as_str()]);
    let removed = fleet.orchestra(&["vendors", "down", "--volumes", "--yes", "postgres"]).ok();
    assert!(removed.stderr.contains(&format!("removed volume {volume}")), "{}", removed.stderr);
    assert!(fleet.volumes().is_empty());
}

#[test]
fn volumes_without_a_name_are_told_and_others_stay() {
    let yaml = format!("vendors:\n{}", REDIS.replace("}\n", ", volumes: [\"mine:/mine\"]}\n"));
    let Some(fleet) = Vendors::new("nameless", &yaml) else { return };
    let mine = format!("{}_mine", fleet.project);
    fleet.engine.docker(&["volume", "create", &mine]);
    fleet.orchestra(&["start"]).ok();
    let names = fleet.inspect(&fleet.container("redis.1"), "{{range .Mounts}}{{.Name}} {{end}}");
    let nameless = names.split_whitespace().find(|name| **name != mine).unwrap();
    let out = fleet.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    assert!(out.stderr.contains(&format!("removed volume {nameless}")), "{}", out.stderr);
    assert!(out.stderr.contains(&format!("`docker volume rm {mine}`")), "{}", out.stderr);
    assert!(fleet.engine.try_docker(&["volume", "inspect", nameless]).is_err());
    fleet.engine.docker(&["volume", "rm", &mine]);
}

#[test]
fn without_a_supervisor_it_works_too() {
    let Some(fleet) = Vendors::new("alone", &format!("vendors:\n{REDIS}")) else { return };
    fleet.orchestra(&["start"]).ok();
    fleet.orchestra(&["stop"]).ok();
    let mounted = fleet.inspect(&fleet.container("redis.1"), "{{range .Mounts}}{{.Name}}{{end}}");
    let down = fleet.orchestra(&["vendors", "down"]).ok();
    assert!(fleet.containers().is_empty());
    // Its volume has no name: it stays, and it says so.
    assert!(down.stderr.contains(&mounted), "{}", down.stderr);
    fleet.engine.docker(&["volume", "rm", &mounted]);
    assert!(!fleet.ps()["supervisor"]["running"].as_bool().unwrap(), "and starts none");
}

#[test]
fn what_was_taken_down_after_a_kill_is_not_wanted_any_more() {
    let Some(fleet) = Vendors::new("killed-down", &format!("vendors:\n{POSTGRES}")) else { return };
    fleet.toy("api", &[], "");
    fleet.orchestra(&["vendors", "up"]).ok();
    kill(Pid::from_raw(fleet.supervisor()), Signal::SIGKILL).unwrap();
    fleet.orchestra(&["vendors", "down"]).ok();
    assert!(fleet.containers().is_empty());
    fleet.orchestra(&["start", "api"]).ok();
    assert_eq!(fleet.service("postgres")["state"], "idle");
    assert!(fleet.containers().is_empty());
}

#[test]
fn a_project_without_vendors_is_told_how_to_have_one() {
    let Some(fleet) = Vendors::new("none", "") else { return };
    for args in [&["vendors"][..], &["vendors", "up"], &["vendors", "pull"], &["vendors", "logs"]] {
        let out = fleet.orchestra(args).ok();
        assert!(out.stderr.contains("image: postgres:16"), "{args:?}: {}", out.stderr);
    }
}

#[test]
fn hooks_run_around_what_changes_something() {
    let yaml = format!("vendors:\n  before: [\"sh -c 'echo before'\"]\n  after: [\"sh -c 'echo after'\"]\n{REDIS}");
    let Some(fleet) = Vendors::new("hooks", &yaml) else { return };
    let up = fleet.orchestra(&["vendors", "up"]).ok().stderr;
    assert!(up.starts_with("before\n") && up.ends_with("after\n"), "{up}");
    let ps = fleet.orchestra(&["vendors", "ps"]).ok().stderr;
    assert!(!ps.contains("before"), "{ps}");
}
