//! Folders that go and come back, and folders that lie elsewhere.

use std::fs;
use std::os::unix::fs::symlink;

use super::stage::{SERVE, Stage, source};
use super::{record, repeat};
use crate::support::eventually;

const READS_LIB: &str = "package main\n\nimport \"example.com/api/lib\"\n\nfunc main() { serve(lib.Text) }\n";

fn says(text: &str) -> String {
    format!("package lib\n\nconst Text = \"{text}\"\n")
}

#[test]
fn a_package_that_goes_and_comes_back() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    api.write("main.go", READS_LIB);
    api.write("lib/lib.go", &says("first"));
    stage.start(&[]);
    let pid = api.pid();
    fs::remove_dir_all(api.path("lib")).unwrap();
    eventually("the failure", || (api.build()["state"] == "failed").then_some(()));
    assert_eq!((api.pid(), api.answer().as_deref()), (pid, Some("first")));
    api.write("lib/lib.go", &says("first"));
    eventually("its end", || (api.build()["state"] == "ok").then_some(()));
    let times = repeat(2, |round| {
        let (text, past) = (format!("text {round}"), api.past());
        // At once: nobody may have seen that it was gone.
        fs::remove_dir_all(api.path("lib")).unwrap();
        api.write("lib/lib.go", &says(&text));
        api.until_answered(&text);
        stage.rest();
        api.started(&past, &[&text]);
        let (next, past) = (format!("{round} again"), api.past());
        api.write("lib/lib.go", &says(&next));
        api.until_answered(&next);
        // It answers before its log says that it began.
        api.started(&past, &[&next]);
    });
    record(19, times.len(), "a package's folder removed and made again: swapped once, its next edit seen");
}

/// As a change of branches does it: the whole service goes and comes back.
#[test]
fn a_service_that_goes_and_comes_back() {
    let stage = Stage::new();
    let (api, other) = (stage.web("api", ""), stage.web("other", ""));
    stage.start(&[]);
    let (pid, aside) = (other.pid(), stage.fleet.path("../aside"));
    let times = repeat(2, |round| {
        fs::rename(api.path(""), &aside).unwrap();
        if round % 2 == 1 {
            eventually("the service to end", || api.answer().is_none().then_some(()));
        }
        let version = stage.next_version();
        fs::write(aside.join("main.go"), source(&version)).unwrap();
        fs::rename(&aside, api.path("")).unwrap();
        api.until_answered(&version);
        api.swaps();
    });
    assert_eq!(other.pid(), pid);
    record(
        19,
        times.len(),
        "a whole service moved away and back, at once and after its end was seen: serves, its next edit seen",
    );
}

#[test]
fn a_package_behind_a_link() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    let real = stage.fleet.path("../real-lib");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("lib.go"), says("first")).unwrap();
    symlink(&real, api.path("lib")).unwrap();
    api.write("main.go", READS_LIB);
    stage.start(&[]);
    let past = api.past();
    let times = repeat(2, |round| {
        let (text, other) = (format!("real {round}"), format!("link {round}"));
        fs::write(real.join("lib.go"), says(&text)).unwrap();
        api.until_answered(&text);
        fs::write(api.path("lib/lib.go"), says(&other)).unwrap();
        api.until_answered(&other);
    });
    stage.rest();
    assert_eq!(api.ups_since(&past).len(), 2 * times.len());
    // The link itself leads elsewhere now.
    let other = stage.fleet.path("../other-lib");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("lib.go"), says("elsewhere")).unwrap();
    fs::remove_file(api.path("lib")).unwrap();
    symlink(&other, api.path("lib")).unwrap();
    api.until_answered("elsewhere");
    fs::write(other.join("lib.go"), says("there")).unwrap();
    api.until_answered("there");
    record(20, times.len(), "edits at the real path and through the link; the link led elsewhere");
}

/// The service's own folder is a link out of the project.
#[test]
fn a_service_behind_a_link() {
    let stage = Stage::new();
    let port = stage.fleet.port();
    let real = stage.fleet.path("../checkout/api");
    fs::create_dir_all(&real).unwrap();
    for (file, text) in
        [("go.mod", "module example.com/api\n\ngo 1.22\n"), ("serve.go", SERVE), ("main.go", &source("v1"))]
    {
        fs::write(real.join(file), text).unwrap();
    }
    fs::write(real.join("service.yml"), format!("port: {port}\n")).unwrap();
    symlink(&real, stage.fleet.path("api")).unwrap();
    stage.start(&[]);
    let times = repeat(1, |_| {
        let version = stage.next_version();
        fs::write(real.join("main.go"), source(&version)).unwrap();
        stage.until_answered(port, &version);
    });
    record(20, times.len(), "a service's folder that is a link");
}
