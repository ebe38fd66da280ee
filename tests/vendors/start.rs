//! Vendors come first, in order, are reached by name, and are seen like everything else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::Vendors;

use super::{POSTGRES, REDIS};

#[test]
fn vendors_come_before_services_and_in_order() {
    let redis = REDIS.replace("}\n", ", depends_on: {postgres: {condition: service_healthy}}}\n");
    let yaml = format!("vendors:\n{redis}{POSTGRES}");
    let Some(fleet) = Vendors::new("order", &yaml) else { return };
    fleet.toy(
        "api",
        &["-env", "POSTGRES_ADDR,POSTGRES_HOST,POSTGRES_PORT,REDIS_ADDR"],
        "depends_on: [redis, postgres]",
    );
    fleet.orchestra(&["start"]).ok();

    for (id, kind) in [("postgres.1", "vendor"), ("redis.1", "vendor"), ("api.1", "service")] {
        let service = fleet.service(id.split('.').next().unwrap());
        assert_eq!((service["state"].as_str(), service["kind"].as_str()), (Some("ready"), Some(kind)), "{service}");
    }
    let postgres = fleet.instance("postgres.1");
    assert_eq!(postgres["worker"], "docker");
    assert_eq!(postgres["health"], "ok");
    let port = postgres["ports"]["5432"].as_u64().unwrap_or_else(|| panic!("{postgres}"));
    let redis = fleet.instance("redis.1")["ports"]["6379"].as_u64().unwrap();
    let wanted = [
        format!("POSTGRES_ADDR=127.0.0.1:{port}"),
        "POSTGRES_HOST=127.0.0.1".into(),
        format!("POSTGRES_PORT={port}"),
        format!("REDIS_ADDR=127.0.0.1:{redis}"),
    ];
    assert_eq!(fleet.lines(&["api"]), wanted);

    let began = |instance: &str| fleet.inspect(&fleet.container(instance), "{{.State.StartedAt}}");
    let healthy = fleet.lines(&["postgres"]);
    assert!(healthy.iter().any(|line| line.contains("ready to accept connections")), "{healthy:?}");
    assert!(began("postgres.1") < began("redis.1"));
    assert!(began("redis.1").as_str() < fleet.instance("api.1")["started_at"].as_str().unwrap());

    // Real clients, from inside and through the port.
    assert_eq!(fleet.sql("select 6 * 7"), "42");
    let pong = fleet.orchestra(&["vendors", "exec", "redis", "redis-cli", "ping"]).ok();
    assert_eq!(pong.stdout.trim(), "PONG");
    let mut stream = TcpStream::connect(("127.0.0.1", redis as u16)).unwrap();
    stream.write_all(b"ECHO hello\r\n").unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().take(2).map(Result::unwrap).collect();
    assert_eq!(lines, ["$5", "hello"]);

    // Stopped last, and kept.
    let container = fleet.container("postgres.1");
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.inspect(&container, "{{.State.Status}}"), "exited");
}

#[test]
fn a_service_alone_brings_up_only_what_it_needs_and_without_vendors_none() {
    let Some(fleet) = Vendors::new("needs", &format!("vendors:\n{POSTGRES}{REDIS}")) else { return };
    fleet.toy("api", &[], "depends_on: [redis]");
    fleet.toy("web", &[], "");
    fleet.orchestra(&["start", "--no-vendors", "web"]).ok();
    assert!(fleet.containers().is_empty());
    fleet.orchestra(&["start", "api"]).ok();
    assert_eq!(fleet.service("redis")["state"], "ready");
    assert_eq!(fleet.service("postgres")["state"], "idle");
    assert_eq!(fleet.containers().len(), 1);
}

#[test]
fn messages_pass_through_nats() {
    let Some(fleet) = Vendors::new("nats", "vendors:\n  nats: {image: \"nats:2\", ports: [\"4222\"]}\n") else {
        return;
    };
    fleet.orchestra(&["vendors", "up"]).ok();
    let port = fleet.instance("nats.1")["ports"]["4222"].as_u64().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB a.> 1\r\nPUB a.b 5\r\nhello\r\nPING\r\n").unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().take(4).map(Result::unwrap).collect();
    assert!(lines[0].starts_with("INFO "), "{lines:?}");
    assert_eq!(lines[1..], ["MSG a.b 1 5", "hello", "PONG"]);
    // It exits with 1 when it is told to end: a wanted stop is no failure all the same.
    fleet.orchestra(&["stop"]).ok();
    assert_eq!(fleet.service("nats")["state"], "idle");
}

#[test]
fn vendors_are_seen_in_ps_logs_and_why() {
    let Some(fleet) = Vendors::new("seen", &format!("vendors:\n{REDIS}")) else { return };
    fleet.toy("api", &["-say", "hello"], "depends_on: [redis]");
    fleet.orchestra(&["start"]).ok();
    let names = |args: &[&str]| {
        let ps = fleet.orchestra(args).ok().json();
        ps["services"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["ps", "-o", "json"]), ["api", "redis"]);
    for args in [&["vendors", "-o", "json"][..], &["vendors", "ps", "-o", "json"], &["vendors", "redis", "-o", "json"]]
    {
        assert_eq!(names(args), ["redis"], "{args:?}");
    }
    let table = fleet.orchestra(&["vendors", "ps"]).ok().stdout;
    assert!(table.contains("redis") && table.contains("ready") && !table.contains("api"), "{table}");
    let logs = fleet.orchestra(&["vendors", "logs", "redis"]).ok().stdout;
    assert!(logs.contains("Ready to accept connections") && !logs.contains("hello"), "{logs}");
    let why = fleet.orchestra(&["why", "redis"]).ok().stdout;
    assert!(why.contains("redis:7") && why.contains("ready"), "{why}");
    let why = fleet.orchestra(&["why", "redis", "-o", "json"]).ok().json();
    assert_eq!(why["containers"][0]["id"], fleet.container("redis.1"), "{why}");
    assert!(fleet.orchestra(&["why", "api", "-o", "json"]).ok().json().get("containers").is_none());
    fleet.orchestra(&["vendors", "ps", "api"]).exits(2);
    let wrong = fleet.orchestra(&["vendors", "redis", "up"]).exits(2);
    assert!(wrong.stderr.contains("orchestra vendors up redis"), "{}", wrong.stderr);
    let wrong = fleet.orchestra(&["vendors", "up", "redsi"]).exits(2);
    assert!(wrong.stderr.contains("did you mean redis?"), "{}", wrong.stderr);
}

#[test]
fn out_of_memory_is_called_so() {
    let yaml = "vendors:\n  glutton:\n    image: busybox:1\n    mem_limit: 16m\n    restart: \"no\"\n    \
        command: [sh, -c, \"exec tail /dev/zero\"]\n";
    let Some(fleet) = Vendors::new("oom", yaml) else { return };
    fleet.orchestra(&["start", "--timeout", "60s"]).exits(1);
    let glutton = fleet.until("glutton.1", "failed");
    assert_eq!(glutton["last_exit"]["reason"], "oom", "{glutton}");
    let why = fleet.orchestra(&["why", "glutton"]).ok().stdout;
    assert!(why.contains("memory"), "{why}");
}
