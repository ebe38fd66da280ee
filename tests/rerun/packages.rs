//! Which files are part of a service: what nobody imports and what is for others is not, what comes to be imported is.

use super::stage::{Stage, Web, source};
use super::{record, repeat};

/// A `main.go` that serves what package `path` says.
fn serving(path: &str, name: &str) -> String {
    format!("package main\n\nimport \"{path}\"\n\nfunc main() {{ serve({name}.Text) }}\n")
}

fn says(name: &str, text: &str) -> String {
    format!("package {name}\n\nconst Text = \"{text}\"\n")
}

#[test]
fn that_nobody_imports_or_that_are_for_others() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    api.write("unused/unused.go", &says("unused", "0"));
    api.write("other_windows.go", "package main\n");
    api.write("tagged.go", "//go:build never\n\npackage main\n");
    stage.start(&[]);
    let (past, pid) = (api.past(), api.pid());
    let times = repeat(1, |round| {
        api.write("unused/unused.go", &says("unused", &round.to_string()));
        api.write("unused/new.go", "package unused\n");
        api.write("fresh/fresh.go", &says("fresh", &round.to_string()));
        api.write("other_windows.go", &format!("package main\n\nvar n = {round}\n"));
        api.write("tagged.go", &format!("//go:build never\n\npackage main\n\nvar n = {round}\n"));
        api.write(&format!("more{round}_plan9.go"), "package main\n");
        api.write("testdata/x.go", &format!("package x // {round}\n"));
        api.write("notes.txt", &round.to_string());
        stage.rest();
    });
    api.did_nothing(&past);
    assert_eq!(api.pid(), pid);
    record(16, times.len(), "an unimported package, another GOOS, another tag, `testdata`, text: 0 builds");
}

/// A file for other systems that loses its constraint is part of the service.
#[test]
fn that_lose_their_constraint() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    api.write("main.go", "package main\n\nvar version = \"v1\"\n\nfunc main() { serve(version) }\n");
    let text = "package main\n\nfunc init() { version = \"tagged\" }\n";
    api.write("tagged.go", &format!("//go:build never\n\n{text}"));
    stage.start(&[]);
    let past = api.past();
    api.write("tagged.go", text);
    api.until_answered("tagged");
    stage.rest();
    api.did(&past, 1, &["tagged"]);
    record(16, 1, "a file that loses its constraint: 1 build, 1 restart");
}

#[test]
fn that_come_to_be_imported() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let times = repeat(1, |round| {
        let (name, path) = (format!("p{round}"), format!("p{round}/p.go"));
        let past = api.past();
        api.write(&path, &says(&name, "first"));
        stage.rest();
        api.did_nothing(&past);
        api.write("main.go", &serving(&format!("example.com/api/{name}"), &name));
        api.until_answered("first");
        api.write(&path, &says(&name, "second"));
        api.until_answered("second");
        stage.rest();
        api.did(&past, 2, &["first", "second"]);
        // And it is of no interest any more once nobody imports it.
        api.write("main.go", &source(&format!("v{round}")));
        api.until_answered(&format!("v{round}"));
        api.write(&path, &says(&name, "third"));
        stage.rest();
        api.did(&past, 3, &["first", "second", &format!("v{round}")]);
    });
    record(17, times.len(), "edits there count from the import on, and no longer once it is gone");
}

#[test]
fn in_folders_made_in_one_go() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let mut missed_first = 0;
    let times = repeat(3, |round| {
        let folder = format!("n{round}/a/b/c");
        let path = format!("{folder}/x.go");
        if round % 2 == 0 {
            // The file is there before anybody imports it.
            api.write(&path, &says("c", "first"));
            api.write("main.go", &serving(&format!("example.com/api/{folder}"), "c"));
        } else {
            // Its import fails first: only the new folder can mend it.
            api.write("main.go", &serving(&format!("example.com/api/{folder}"), "c"));
            until_failed(&api);
            api.write(&path, &says("c", &format!("first {round}")));
            missed_first += 1;
        }
        let first = if round % 2 == 0 { "first".to_owned() } else { format!("first {round}") };
        api.until_answered(&first);
        api.write(&path, &says("c", &format!("second {round}")));
        api.until_answered(&format!("second {round}"));
    });
    assert!(missed_first > 0 || times.len() < 2);
    record(
        18,
        times.len(),
        "`mkdir -p a/b/c` with a file in it, imported before or after: seen each time, and its next edit",
    );
}

fn until_failed(web: &Web<'_>) {
    crate::support::eventually("the import to fail", || (web.build()["state"] == "failed").then_some(()));
}
