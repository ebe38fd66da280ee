//! `go.mod`, `go.sum`, `go.work`, vendored modules, and packages of other modules.

use std::fs;

use super::stage::{SERVE, Stage, Web, source, until_all_answer};
use super::{record, repeat, saved, spread};
use crate::support::eventually;

const READS_DEP: &str = "package main\n\nimport \"example.com/dep\"\n\nfunc main() { serve(dep.Text) }\n";

/// A module in a folder of the project whose package says this.
fn dep(stage: &Stage, folder: &str, text: &str) {
    stage.fleet.write(&format!("{folder}/go.mod"), "module example.com/dep\n\ngo 1.22\n");
    stage.fleet.write(&format!("{folder}/dep.go"), says(text));
}

fn says(text: &str) -> String {
    format!("package dep\n\nconst Text = \"{text}\"\n")
}

/// A service that answers with what package `dep` says.
fn reader<'a>(stage: &'a Stage, name: &str) -> Web<'a> {
    let web = stage.web(name, "");
    web.write("main.go", READS_DEP);
    web
}

/// `go.mod` of a service that finds `dep` in this folder.
fn replaced(name: &str, folder: &str) -> String {
    format!(
        "module example.com/{name}\n\ngo 1.22\n\nrequire example.com/dep v0.0.0\n\nreplace example.com/dep => {folder}\n"
    )
}

#[test]
fn go_mod() {
    let stage = Stage::new();
    let (api, other) = (reader(&stage, "api"), stage.web("other", ""));
    dep(&stage, "_one", "one");
    dep(&stage, "_two", "two");
    api.write("go.mod", &replaced("api", "../_one"));
    stage.start(&[]);
    let beside = other.past();
    let times = repeat(2, |round| {
        let (folder, text, left) = [("../_two", "two", "_one"), ("../_one", "one", "_two")][round % 2];
        let past = api.past();
        api.write("go.mod", &replaced("api", folder));
        api.until_answered(text);
        stage.rest();
        api.did(&past, 1, &[text]);
        // The folder it came from is watched no longer.
        dep(&stage, left, &format!("{text} {round}"));
        dep(&stage, left, left.trim_start_matches('_'));
        stage.rest();
        api.did(&past, 1, &[text]);
    });
    let past = api.past();
    let sum = "golang.org/x/text v0.3.0 h1:g61tztE5qeGQ89tm6NTjjM9VPIm088od1l6aSorWRWg=\n";
    api.write("go.sum", sum);
    stage.rest();
    api.did(&past, 1, &[]);
    other.did_nothing(&beside);
    record(
        14,
        times.len(),
        "`go.mod` (another `replace`): 1 build, 1 restart; `go.sum`: 1 build, the same code, 0 restarts; other modules: nothing",
    );
}

#[test]
fn go_work() {
    let stage = Stage::new();
    let (api, web) = (reader(&stage, "api"), stage.web("web", ""));
    dep(&stage, "_one", "one");
    dep(&stage, "_two", "two");
    let work = |used: &str| {
        stage.fleet.write("go.work", format!("go 1.22\n\nuse (\n\t./api\n\t./web\n\t./{used}\n\t./marker\n)\n"))
    };
    work("_one");
    stage.start(&[]);
    let times = repeat(2, |round| {
        let (used, text) = [("_two", "two"), ("_one", "one")][round % 2];
        let (past, beside) = (api.past(), web.past());
        work(used);
        api.until_answered(text);
        stage.rest();
        api.started(&past, &[text]);
        web.started(&beside, &[]);
    });
    record(14, times.len(), "`go.work` (another `use`): 1 restart of who reads it, 0 of others");
}

#[test]
fn vendored() {
    let stage = Stage::new();
    let (api, other) = (reader(&stage, "api"), stage.web("other", ""));
    api.write("go.mod", "module example.com/api\n\ngo 1.22\n\nrequire example.com/dep v1.0.0\n");
    let listed = "# example.com/dep v1.0.0\n## explicit; go 1.22\nexample.com/dep\n";
    api.write("vendor/modules.txt", listed);
    api.write("vendor/example.com/dep/dep.go", &says("one"));
    stage.start(&[]);
    let beside = other.past();
    let times = repeat(1, |round| {
        let (past, text) = (api.past(), format!("vendored {round}"));
        api.write("vendor/example.com/dep/dep.go", &says(&text));
        api.until_answered(&text);
        api.did(&past, 1, &[&text]);
        // Both files of a new version, as `go mod vendor` writes them.
        let again = format!("{text} again");
        api.write("vendor/modules.txt", "# example.com/dep v1.0.0\n## explicit\nexample.com/dep\n");
        api.write("vendor/example.com/dep/dep.go", &says(&again));
        api.until_answered(&again);
        stage.rest();
        let past = api.past();
        api.write("vendor/modules.txt", listed);
        stage.rest();
        assert_eq!(api.builds_since(&past).len(), 1, "`modules.txt` alone");
        api.started(&past, &[]);
    });
    other.did_nothing(&beside);
    record(14, times.len(), "vendored code: 1 build, 1 restart; `vendor/modules.txt`: 1 build");
}

/// Go is asked for something it has not: the failure is told, and the next edit of `go.mod` mends it.
#[test]
fn a_broken_go_mod() {
    let stage = Stage::new();
    let api = stage.web("api", "");
    stage.start(&[]);
    let (pid, good) = (api.pid(), fs::read_to_string(api.path("go.mod")).unwrap());
    api.write("go.mod", "module example.com/api\n\ngo 1.22\n\nrequite example.com/dep\n");
    let build = eventually("the failure", || Some(api.build()).filter(|build| build["state"] == "failed"));
    assert!(build["error"].as_str().unwrap().contains("go.mod:5"), "{build}");
    assert_eq!(api.pid(), pid);
    api.write("go.mod", &good);
    eventually("its end", || (api.build()["state"] == "ok").then_some(()));
    api.swaps();
    record(14, 1, "a wrong `go.mod`: told with its line, the old copy serves; mended: goes on");
}

#[test]
fn a_package_of_another_module_by_replace() {
    let stage = Stage::new();
    let (one, two, other) = (reader(&stage, "one"), reader(&stage, "two"), stage.web("other", ""));
    // Beside the project: no folder that is watched because of something else.
    dep(&stage, "../dep", "first");
    for web in [&one, &two] {
        web.write("go.mod", &replaced(&web.name, "../../dep"));
    }
    stage.start(&[]);
    shared(&stage, &[one, two], &other, "../dep/dep.go", "`replace`");
}

#[test]
fn a_package_of_another_module_by_go_work() {
    let stage = Stage::new();
    let (one, two, other) = (reader(&stage, "one"), reader(&stage, "two"), stage.web("other", ""));
    dep(&stage, "../dep", "first");
    stage.fleet.write("go.work", "go 1.22\n\nuse (\n\t../dep\n\t./marker\n\t./one\n\t./other\n\t./two\n)\n");
    stage.start(&[]);
    shared(&stage, &[one, two], &other, "../dep/dep.go", "`go.work`");
}

/// An edit of what both share rebuilds both and nobody else.
fn shared(stage: &Stage, both: &[Web<'_>; 2], other: &Web<'_>, file: &str, by: &str) {
    let (beside, pid) = (other.past(), other.pid());
    let times = repeat(2, |_| {
        let (text, pasts) = (stage.next_version(), both.each_ref().map(Web::past));
        let began = std::time::Instant::now();
        stage.fleet.write(file, says(&text));
        until_all_answer(both, &text);
        let took = began.elapsed();
        both.iter().zip(&pasts).for_each(|(web, past)| web.did(past, 1, &[&text]));
        took
    });
    stage.rest();
    other.did_nothing(&beside);
    assert_eq!(other.pid(), pid);
    record(
        15,
        times.len(),
        &format!(
            "by {by}: 1 build, 1 restart of both dependents, others keep their pid; save → both serve {}",
            spread(times.clone())
        ),
    );
}

/// Where all is one module, an edit reaches those alone that import the package.
#[test]
fn a_package_of_the_same_module() {
    let stage = Stage::new();
    stage.fleet.write("go.mod", "module example.com/all\n\ngo 1.22\n");
    stage.fleet.write("dep/dep.go", says("first"));
    let (one, other) = (stage.bare("one", ""), stage.bare("other", ""));
    for web in [&one, &other] {
        web.write("serve.go", SERVE);
    }
    one.write("main.go", &READS_DEP.replace("example.com/dep", "example.com/all/dep"));
    other.write("main.go", &source("v1"));
    stage.start(&[]);
    let (past, beside) = (one.past(), other.past());
    stage.fleet.write("dep/dep.go", says("second"));
    one.until_answered("second");
    let swap = other.swaps();
    stage.rest();
    one.did(&past, 1, &["second"]);
    assert_eq!(other.builds_since(&beside).len(), 1);
    record(15, 1, &format!("in one module: dependents alone; {}", saved(&[swap])));
}
