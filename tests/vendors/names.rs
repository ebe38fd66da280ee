//! Two projects never meet, whatever they are called, and nobody's port is taken.

use std::net::TcpListener;

use crate::support::{Fleet, Vendors};

use super::POSTGRES;

#[test]
fn two_projects_of_one_name_do_not_collide() {
    let yaml = format!("vendors:\n{}", POSTGRES.replace("pgdata:", "/DATA:"));
    let Some(one) = Vendors::new("twin", "") else { return };
    let two = Vendors::of(Fleet::named(&one.project), one.engine.clone(), one.project.clone());
    // The volumes' names would be equal, which is an error of its own: see below.
    for (fleet, n) in [(&one, 1), (&two, 2)] {
        let data = fleet.path("data");
        std::fs::create_dir_all(&data).unwrap();
        fleet.write("orchestra.yml", yaml.replace("/DATA", data.to_str().unwrap()));
        fleet.orchestra(&["start"]).ok();
        fleet.sql(&format!("create table mine (n int); insert into mine values ({n})"));
    }
    assert_ne!(one.container("postgres.1"), two.container("postgres.1"));
    assert_eq!((one.sql("select n from mine"), two.sql("select n from mine")), ("1".into(), "2".into()));
    two.orchestra(&["stop"]).ok();
    two.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    assert!(two.containers().is_empty() && two.networks().is_empty());
    assert_eq!(one.sql("select n from mine"), "1", "the other one is as it was");
    assert_eq!(one.networks().len(), 1);
    one.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
}

#[test]
fn a_volume_of_another_living_project_is_not_taken() {
    let Some(one) = Vendors::new("volume", &format!("vendors:\n{POSTGRES}")) else { return };
    one.orchestra(&["start"]).ok();
    one.sql("create table mine (n int)");
    let two = Fleet::named(&one.project);
    two.set("DOCKER_HOST", &one.engine.host);
    two.write("orchestra.yml", format!("vendors:\n{POSTGRES}"));
    let failed = two.orchestra(&["start"]).exits(1);
    assert!(failed.stderr.contains(one.root().to_str().unwrap()), "it names the other one: {}", failed.stderr);
    two.orchestra(&["stop"]);
    two.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
    assert_eq!(one.sql("select count(*) from mine"), "0");
    one.orchestra(&["vendors", "down", "--volumes", "--yes"]).ok();
}

#[test]
fn a_taken_port_names_its_holder() {
    let Some(fleet) = Vendors::new("port", "") else { return };
    let port = fleet.port();
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    fleet.write("orchestra.yml", format!("vendors:\n  redis: {{image: \"redis:7\", ports: [\"{port}:6379\"]}}\n"));
    let failed = fleet.orchestra(&["start"]).exits(1);
    let me = std::process::id().to_string();
    assert!(failed.stderr.contains(&port.to_string()) && failed.stderr.contains(&me), "{}", failed.stderr);
    assert_eq!(fleet.until("redis.1", "failed")["last_exit"]["reason"], "port");
    drop(held);
    fleet.orchestra(&["start"]).ok();
}
