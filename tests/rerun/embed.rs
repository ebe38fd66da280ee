//! What is embedded is part of a program like its code.

use std::fs;

use super::stage::{SERVE, Stage, Web, source};
use super::{record, repeat};

const MAIN: &str = r#"package main

import "embed"

//go:embed version.txt
var version string

//go:embed pages
var pages embed.FS

func main() {
	more, _ := pages.ReadFile("pages/more.html")
	serve(version + string(more))
}
"#;

/// A service that answers with what it embeds.
fn page<'a>(stage: &'a Stage, name: &str) -> Web<'a> {
    let page = stage.web(name, "");
    page.write("main.go", MAIN);
    page.write("version.txt", "t1");
    page.write("pages/index.html", "<p>");
    page
}

#[test]
fn files_and_folders() {
    let stage = Stage::new();
    let (page, plain) = (page(&stage, "page"), stage.web("plain", ""));
    stage.start(&[]);
    page.until_answered("t1");
    let (beside, pid) = (plain.past(), plain.pid());
    let times = repeat(1, |round| {
        let past = page.past();
        let text = format!("t{}", round + 2);
        page.write("version.txt", &text);
        page.until_answered(&text);
        page.did(&past, 1, &[&text]);
        let with_more = format!("{text}more");
        page.write("pages/more.html", "more");
        page.until_answered(&with_more);
        fs::remove_file(page.path("pages/more.html")).unwrap();
        page.until_answered(&text);
        // Neither is what no pattern names.
        page.write("README.md", &text);
        page.write("pages/.hidden", &text);
        stage.rest();
        page.did(&past, 3, &[&text, &with_more, &text]);
    });
    plain.did_nothing(&beside);
    assert_eq!(plain.pid(), pid);
    record(
        13,
        times.len(),
        "an edit, a new file and its removal: 1 build, 1 restart each, of the embedding service alone",
    );
}

#[test]
fn of_a_shared_package() {
    let stage = Stage::new();
    stage.fleet.write("go.mod", "module example.com/all\n\ngo 1.22\n");
    stage.fleet.write("text/text.go", "package text\n\nimport _ \"embed\"\n\n//go:embed text.txt\nvar Text string\n");
    stage.fleet.write("text/text.txt", "one");
    let (reader, other) = (stage.bare("reader", ""), stage.bare("other", ""));
    for one in [&reader, &other] {
        one.write("serve.go", SERVE);
    }
    other.write("main.go", &source("v1"));
    reader.write("main.go", "package main\n\nimport \"example.com/all/text\"\n\nfunc main() { serve(text.Text) }\n");
    stage.start(&[]);
    let (past, beside) = (reader.past(), other.past());
    stage.fleet.write("text/text.txt", "two");
    reader.until_answered("two");
    stage.rest();
    reader.did(&past, 1, &["two"]);
    other.did_nothing(&beside);
    record(13, 1, "in a shared package: who imports it alone");
}
