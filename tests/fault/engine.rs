//! Faults of a Docker engine and of what runs in it. Each test has an engine of its own, which it may kill.

use std::collections::BTreeMap;

use super::{oracle, report};
use crate::support::docker::{Engine, Private, skip_extra};
use crate::support::{Vendors, eventually};

/// Says a number ten times a second, and says so when it is told to end.
const CHAT: &str = r#"  chat:
    image: busybox:1
    command: [sh, -c, 'trap "echo over; exit 0" TERM; n=0; while :; do n=$$((n+1)); echo "L$$n"; sleep 0.1; done']
    restart: always
"#;

/// A private engine with these images; a machine that allows none skips the test aloud, unless it must not.
pub(crate) fn private(images: &[&str]) -> Option<Private> {
    let shared = Engine::shared()?;
    match Private::start(&shared, images) {
        Ok(private) => Some(private),
        Err(why) => {
            skip_extra(&format!("tests that kill an engine: {why}"));
            None
        }
    }
}

/// How many lines `chat` has in the log.
fn said(fleet: &Vendors) -> usize {
    fleet.lines(&["chat"]).len()
}

/// Waits until it says something new.
fn hears(fleet: &Vendors) {
    let before = said(fleet);
    eventually("more of its output", || (said(fleet) > before).then_some(()));
}

/// How often it was started again, as `ps` says.
fn restarts(fleet: &Vendors) -> u64 {
    fleet.instance("chat.1")["restarts"].as_u64().unwrap()
}

/// Waits until it was started again after `before` restarts, and runs in the one container there is.
fn comes_back(fleet: &Vendors, before: u64) {
    eventually("chat to be started again", || (restarts(fleet) > before).then_some(()));
    fleet.until("chat.1", "ready");
    assert_eq!(restarts(fleet), before + 1, "started again once");
    assert_eq!(fleet.containers().len(), 1, "one container");
    hears(fleet);
}

/// Every line that the engine keeps of the container is in the log once, in its order.
fn no_gap(fleet: &Vendors) -> usize {
    let container = fleet.container("chat.1");
    let kept = fleet.engine.list(&["logs", &container]);
    eventually("all that the engine keeps", || (said(fleet) >= kept.len()).then_some(()));
    let lines = fleet.lines(&["chat"]);
    assert_eq!(lines[..kept.len()], kept[..], "the log and the engine's own");
    kept.len()
}

#[test]
fn an_engine_killed_and_stopped_under_a_container() {
    let Some(mut private) = private(&["busybox:1"]) else { return };
    let fleet = Vendors::on(private.engine.clone(), "engine", &format!("vendors:\n{CHAT}"));
    fleet.toy("api", &[], "");
    fleet.orchestra(&["start"]).ok();
    let (api, container) = (fleet.pid("api.1"), fleet.container("chat.1"));
    let alive = || {
        fleet.instance("chat.1")["pid"]
            .as_i64()
            .is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
    };
    hears(&fleet);

    private.kill();
    unreachable(&fleet);
    assert!(alive(), "the container runs on");
    private.start_again();
    comes_back(&fleet, 0);
    let end = fleet.instance("chat.1")["last_exit"].clone();
    assert!(end["reason"] == "lost" || end["code"] == 137, "the next engine ends what it finds: {end}");

    private.stop();
    unreachable(&fleet);
    private.start_again();
    comes_back(&fleet, 1);
    assert_eq!(fleet.container("chat.1"), container, "still the first container");
    let kept = no_gap(&fleet);

    // `docker rm -f`: another one is made, and it is said why.
    fleet.engine.docker(&["rm", "-f", &container]);
    comes_back(&fleet, 2);
    assert_ne!(fleet.container("chat.1"), container);
    let notes = fleet.orchestra(&["why", "chat"]).ok().stdout;
    assert!(notes.contains("removed its container"), "{notes}");
    assert_eq!(fleet.pid("api.1"), api, "nobody touched the service");
    oracle::no_orphan(&fleet);
    oracle::no_zombie(&fleet);
    let counts = fleet.lines(&["chat"]).into_iter().fold(BTreeMap::new(), |mut counts: BTreeMap<String, u32>, line| {
        *counts.entry(line).or_default() += 1;
        counts
    });
    assert_eq!(counts.get("L1"), Some(&4), "four lives, each begins once");
    report::record(
        39,
        format!(
            "engine killed, stopped, and its container removed: each shown, then one container, started again once; {kept} lines, none lost or doubled; a service beside it untouched"
        ),
    );
}

/// Waits until `why` says that the engine is away, with a sentence that names it.
fn unreachable(fleet: &Vendors) {
    eventually("a word on the engine", || {
        let why = fleet.orchestra(&["why", "chat"]).ok().stdout;
        why.contains("Docker engine").then_some(())
    });
    fleet.until("api.1", "ready");
}

#[test]
fn a_container_that_takes_too_much_memory() {
    let Some(private) = private(&["busybox:1"]) else { return };
    let yaml = "vendors:\n  glutton:\n    image: busybox:1\n    mem_limit: 16m\n    restart: on-failure:2\n    \
        command: [sh, -c, 'echo eating; exec tail /dev/zero']\n";
    let fleet = Vendors::on(private.engine.clone(), "memory", yaml);
    fleet.orchestra(&["start", "--timeout", "60s"]).exits(1);
    let glutton = eventually("an end for want of memory", || {
        let glutton = fleet.instance("glutton.1");
        (glutton["last_exit"]["reason"] == "oom").then_some(glutton)
    });
    assert_eq!(glutton["last_exit"]["code"], 137, "{glutton}");
    let container = fleet.container("glutton.1");
    assert_eq!(fleet.inspect(&container, "{{.HostConfig.Memory}}"), "16777216");
    let why = fleet.orchestra(&["why", "glutton"]).ok().stdout;
    assert!(why.contains("memory"), "{why}");
    report::record(39, "16 MiB and more taken: exit code 137 shown as `oom`, with what helps");
}
