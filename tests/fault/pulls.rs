//! Faults while an image is fetched, from a registry in the network of a private engine, over a wire that can be made slow.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::dice::Dice;
use super::report;
use crate::support::docker::{Engine, Private, skip_extra};
use crate::support::{Vendors, eventually};

const KILLS: usize = if cfg!(feature = "faults") { 10 } else { 2 };
/// Bytes of the image that nothing can make smaller, in MB.
const FAT: usize = 24;
/// Where the registry listens, in a network of its own: the engine takes 127.0.0.0/8 without TLS.
const IMAGE: &str = "127.0.0.1:5000/fat:1";

/// An engine and a registry that has [`IMAGE`], which the engine has not.
fn served() -> Option<Private> {
    let shared = Engine::shared()?;
    let private = match Private::start_on(&shared, &["busybox:1", "registry:2"], Some("size=1g")) {
        Ok(private) => private,
        Err(why) => {
            skip_extra(&format!("faults while an image is fetched: {why}"));
            return None;
        }
    };
    let docker = |args: &[&str]| private.engine.docker(args);
    docker(&["run", "-d", "--name", "registry", "--network", "host", "registry:2"]);
    let fill = format!("dd if=/dev/urandom of=/fat bs=1M count={FAT}");
    docker(&["run", "--name", "fat", "--network", "none", "busybox:1", "sh", "-c", &fill]);
    docker(&["commit", "-c", "CMD [\"sh\", \"-c\", \"trap exit TERM; while :; do sleep 1; done\"]", "fat", IMAGE]);
    docker(&["rm", "-fv", "fat"]);
    eventually("the registry", || private.engine.try_docker(&["push", "-q", IMAGE]).ok());
    docker(&["rmi", IMAGE]);
    Some(private)
}

fn fleet(private: &Private, name: &str) -> Vendors {
    let yaml = format!("vendors:\n  fat: {{image: \"{IMAGE}\", init: true}}\n");
    Vendors::on(private.engine.clone(), name, &yaml)
}

/// Whether it is told that the image is being fetched.
fn is_fetching(fleet: &Vendors) -> bool {
    fleet.orchestra(&["why", "fat"]).ok().stdout.contains("pulling")
}

/// Containers of the engine that no label says whose they are.
fn unlabelled(private: &Private) -> Vec<String> {
    let all = private.engine.list(&["ps", "-a", "--format", "{{.Names}} {{.Label \"orchestra.instance\"}}"]);
    all.into_iter().filter(|line| line != "registry" && line != "registry " && !line.ends_with(" fat.1")).collect()
}

#[test]
fn killed_while_an_image_is_fetched() {
    let Some(private) = served() else { return };
    let (fleet, mut dice) = (fleet(&private, "fetch"), Dice::new());
    // Its shim brings a supervisor back.
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start", "api"]).ok();
    let api = fleet.pid("api.1");
    if let Err(why) = private.throttle("80mbit") {
        return skip_extra(&format!("a slow wire: {why}"));
    }
    let (mut fetching, mut slowest) = (0, Duration::ZERO);
    for _ in 0..KILLS {
        let old = fleet.supervisor();
        let start = fleet.background(&["start", "fat"]);
        eventually("the fetch to begin", || is_fetching(&fleet).then_some(()));
        dice.wait(Duration::from_secs(3));
        fetching += usize::from(private.engine.try_docker(&["image", "inspect", IMAGE]).is_err());
        kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
        let began = Instant::now();
        // How it ends depends on the moment.
        drop(start.wait(Duration::from_secs(120)));
        fleet.until("fat.1", "ready");
        slowest = slowest.max(began.elapsed());
        assert_eq!(fleet.containers().len(), 1, "one container");
        assert_eq!(unlabelled(&private), [""; 0]);
        assert_eq!(fleet.pid("api.1"), api, "nobody touched the service");
        fleet.orchestra(&["vendors", "down", "fat", "--yes"]).ok();
        private.engine.docker(&["rmi", IMAGE]);
    }
    assert!(fetching > 0, "no kill came while the image was fetched");
    report::record(
        5,
        format!(
            "{KILLS} kills within 3 s of the first byte, {fetching} before the image was there ({FAT} MB at 80 Mbit/s): fetched by the next supervisor without a word, ready after at most {:.1} s, one container each time, none without a label (seed {})",
            slowest.as_secs_f64(),
            dice.seed()
        ),
    );
}

#[test]
fn a_disk_that_is_full_and_a_tag_that_is_gone() {
    let Some(private) = served() else { return };
    let fleet = fleet(&private, "full");
    fleet.toy("api", &[], "");
    let megabyte = 1 << 20;
    private.resize(&format!("{}m", private.used() / megabyte + FAT as u64 / 2));
    let full = fleet.orchestra(&["start", "--timeout", "60s"]).exits(1);
    assert!(full.stderr.contains("no space left on device"), "{}", full.stderr);
    assert!(full.stderr.contains(IMAGE), "{}", full.stderr);
    fleet.until("api.1", "ready");
    assert_eq!(fleet.containers(), [""; 0]);
    private.resize("1g");
    fleet.orchestra(&["start"]).ok();
    assert_eq!(fleet.containers().len(), 1);

    // Somebody took the tag away while it runs: it runs on. What names one that is nowhere is told, and nothing else is touched.
    let container = fleet.container("fat.1");
    private.engine.docker(&["rmi", "-f", IMAGE]);
    fleet.orchestra(&["start"]).ok();
    let now = fleet.instance("fat.1");
    assert_eq!((now["state"].as_str(), fleet.container("fat.1")), (Some("ready"), container));
    let missing = IMAGE.replace(":1", ":2");
    fleet.write(
        "orchestra.yml",
        format!("vendors:\n  fat: {{image: \"{IMAGE}\", init: true}}\n  gone: {{image: \"{missing}\"}}\n"),
    );
    let gone = fleet.orchestra(&["start", "--timeout", "60s"]).exits(1);
    assert!(gone.stderr.contains(&missing), "{}", gone.stderr);
    assert_eq!(fleet.service("fat")["state"], "ready");
    assert_eq!(unlabelled(&private), [""; 0]);
    report::record(
        39,
        "disk full while an image is fetched: told with the image's name, exit code 1, nothing left half, fetched once there is room; a tag that is gone: what runs runs on, what is missing is told",
    );
}
