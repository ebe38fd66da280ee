//! An engine of another machine, as far as one can be had: it is reached by TCP, and nothing of its processes counts as ours.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::spawn;

use crate::support::docker::{Engine, skip_extra};
use crate::support::{Vendors, eventually};

use super::REDIS;

/// A port that leads to the engine's socket, as long as the tests run.
fn relay(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(engine) = UnixStream::connect(&socket) {
                pass(client, engine);
            }
        }
    });
    port
}

/// Each way ends by itself; who has gone hears nothing more.
fn pass(client: TcpStream, engine: UnixStream) {
    let (mut asks, mut hears) = (client.try_clone().unwrap(), client);
    let (mut takes, mut says) = (engine.try_clone().unwrap(), engine);
    spawn(move || {
        let _gone = copy(&mut asks, &mut takes);
        let _gone = takes.shutdown(Shutdown::Write);
    });
    spawn(move || {
        let _gone = copy(&mut says, &mut hears);
        let _gone = hears.shutdown(Shutdown::Both);
    });
}

#[test]
fn what_it_uses_is_asked_and_its_pids_are_not_taken_for_ours() {
    let Some(engine) = Engine::shared() else { return };
    let Some(socket) = engine.host.strip_prefix("unix://").map(PathBuf::from) else {
        skip_extra("an engine behind TCP: the engine of the tests has no socket");
        return;
    };
    let fleet = Vendors::on(engine, "tcp", &format!("vendors:\n{REDIS}"));
    fleet.set("DOCKER_HOST", &format!("tcp://127.0.0.1:{}", relay(socket)));
    fleet.orchestra(&["start"]).ok();
    let redis = eventually("a word of the engine", || {
        let redis = fleet.instance("redis.1");
        redis["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000).then_some(redis)
    });
    assert!(redis["pid"].is_null() && redis["cpu_percent"].is_number(), "{redis}");
    assert_eq!(redis["state"], "ready", "{redis}");
    assert!(fleet.lines(&["redis"]).iter().any(|line| line.contains("Ready to accept connections")));
    let pong = fleet.orchestra(&["vendors", "exec", "redis", "redis-cli", "ping"]).ok();
    assert_eq!(pong.stdout.trim(), "PONG");
}
