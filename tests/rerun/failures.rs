//! Code that does not compile: the old copy serves, the place is told, and mending it ends the matter.

use std::fs;

use serde_json::json;

use super::stage::{Stage, Web, source};
use super::{record, repeat, saved};
use crate::support::eventually;

const BROKEN: &str = "package main\n\nconst version = \"broken\"\n\nfunc main() { serve(missing) }\n";

/// Saves code that does not compile and waits until that is known.
#[track_caller]
fn breaks(web: &Web<'_>) {
    fs::write(web.path("main.go"), BROKEN).unwrap();
    eventually("the failure to be shown", || (web.build()["state"] == "failed").then_some(()));
}

#[test]
fn the_old_copy_serves_on() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let (pid, past) = (api.pid(), api.past());
    let times = repeat(2, |round| {
        breaks(&api);
        let service = stage.fleet.service("api");
        let problem = json!({"file": "api/main.go", "line": 5, "column": 21, "message": "undefined: missing"});
        assert_eq!(service["build"]["error"], "api/main.go:5:21: undefined: missing");
        assert_eq!(service["build"]["problems"], json!([problem]));
        assert_eq!(service["state"], "ready");
        let said = |stream: &str| {
            stage.log("api", stream).iter().filter(|line| line.contains("main.go:5:21: undefined: missing")).count()
        };
        eventually("the compiler's words in the log", || (said("build") == round + 1).then_some(()));
        assert_eq!(api.answer().as_deref(), Some("v1"));
        // Back to what runs, so that the next round fails anew.
        api.save("v1");
        eventually("the failure to be over", || (api.build()["state"] == "ok").then_some(()));
    });
    stage.rest();
    assert_eq!(api.pid(), pid);
    api.started(&past, &[]);
    record(9, times.len(), "same pid, place and words in `ps` and in the log, stream `build`");
}

#[test]
fn mended() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let swaps = repeat(2, |_| {
        breaks(&api);
        let swap = api.swaps();
        let build = api.build();
        assert_eq!((&build["state"], &build["error"], &build["problems"]), (&json!("ok"), &json!(null), &json!([])));
        swap
    });
    let (pid, past, text) = (api.pid(), api.past(), fs::read(api.path("main.go")).unwrap());
    let reverts = repeat(1, |_| {
        breaks(&api);
        fs::write(api.path("main.go"), &text).unwrap();
        eventually("the failure to be over", || (api.build()["state"] == "ok").then_some(()));
        assert_eq!(api.build()["error"], json!(null));
    });
    stage.rest();
    assert_eq!(api.pid(), pid);
    api.started(&past, &[]);
    record(
        10,
        swaps.len() + reverts.len(),
        &format!("1 build, 1 restart, error cleared; after a byte-revert 0 restarts; {}", saved(&swaps)),
    );
}

/// What runs is never replaced by what fails, and it is not started anew because of it either: not by an edit elsewhere.
#[test]
fn of_one_service_does_not_hold_another() {
    let stage = Stage::new();
    let (api, web) = (stage.web("api", ""), stage.web("web", ""));
    stage.start(&[]);
    let pid = api.pid();
    breaks(&api);
    web.swaps();
    web.swaps();
    assert_eq!((api.pid(), api.answer().as_deref()), (pid, Some("v1")));
    assert_eq!(api.build()["state"], "failed");
    assert_eq!(fs::read_to_string(web.path("main.go")).unwrap(), source(&web.ups().pop().unwrap()));
    record(9, 1, "other services are swapped meanwhile");
}
