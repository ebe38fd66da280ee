//! What `go test -json` of Go 1.26 said about a module with every kind of failure (`fixtures/events.json`), and forms of older ones.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Collector, Keep, News};
use crate::gotest::results::{PackageResult, State};
use crate::gotest::trace::{self, Ground};

fn ground() -> Ground {
    let names = [
        "pass", "panics", "bad", "vetbad", "maine", "initp", "timeo", "none", "exam", "outp", "fuzzy", "skips", "races",
    ];
    Ground {
        project: "/p".into(),
        dir: "/p/t".into(),
        packages: names.iter().map(|name| (format!("ex.com/t/{name}"), PathBuf::from("/p/t").join(name))).collect(),
        ours: vec!["/p/t".into()],
    }
}

fn collect(text: &str, keep: Keep) -> (Vec<PackageResult>, Collector) {
    let mut collector = Collector::new(ground(), keep);
    let mut packages = Vec::new();
    for line in text.split_inclusive('\n') {
        for news in collector.line(line.as_bytes()) {
            if let News::Package(package) = news {
                packages.push(*package);
            }
        }
    }
    packages.sort_by(|a, b| a.path.cmp(&b.path));
    (packages, collector)
}

fn shown(packages: &[PackageResult]) -> String {
    let mut out = String::new();
    for package in packages {
        let counts = package.counts();
        let cached = if package.cached { " cached" } else { "" };
        writeln!(
            out,
            "{} {}{cached} {}/{}/{}",
            package.path,
            package.state.word(),
            counts.passed,
            counts.failed,
            counts.skipped
        )
        .unwrap();
        if let Some(error) = &package.error {
            writeln!(out, "  error: {error}").unwrap();
        }
        package.output.iter().for_each(|line| writeln!(out, "  | {line}").unwrap());
        for test in &package.tests {
            let place =
                test.place.as_ref().map(|(file, line)| format!(" {}:{line}", file.display())).unwrap_or_default();
            writeln!(out, "  {} {}{place} {:?}", test.name, test.state.word(), test.message).unwrap();
            test.output.iter().for_each(|line| writeln!(out, "    | {}", line.escape_debug()).unwrap());
        }
    }
    out
}

#[test]
fn every_way_to_fail_is_told() {
    let (packages, _) = collect(include_str!("fixtures/events.json"), Keep::Failed);
    insta::assert_snapshot!(shown(&packages));
}

#[test]
fn old_settings_say_builds_as_text() {
    let text = "# ex.com/t/bad [ex.com/t/bad.test]\nbad/b_test.go:3:27: undefined: x\n# ex.com/t/vetbad\n# [ex.com/t/vetbad]\n\
                vetbad/b_test.go:3:39: fmt.Printf format %d has arg\n\
                {\"Action\":\"start\",\"Package\":\"ex.com/t/bad\"}\n\
                {\"Action\":\"output\",\"Package\":\"ex.com/t/bad\",\"Output\":\"FAIL\\tex.com/t/bad [build failed]\\n\"}\n\
                {\"Action\":\"fail\",\"Package\":\"ex.com/t/bad\",\"Elapsed\":0}\n\
                {\"Action\":\"output\",\"Package\":\"ex.com/t/vetbad\",\"Output\":\"FAIL\\tex.com/t/vetbad [build failed]\\n\"}\n\
                {\"Action\":\"fail\",\"Package\":\"ex.com/t/vetbad\",\"Elapsed\":0}\n";
    let (packages, _) = collect(text, Keep::Failed);
    let errors: Vec<_> = packages.iter().map(|package| package.error.as_deref().unwrap()).collect();
    assert_eq!(errors, ["t/bad/b_test.go:3:27: undefined: x", "t/vetbad/b_test.go:3:39: fmt.Printf format %d has arg"]);
    assert_eq!([packages[0].vet, packages[1].vet], [false, true]);
    assert_eq!((packages[0].problems[0].line, packages[0].problems[0].column), (3, 27));
}

#[test]
fn cached_coverage_and_what_go_itself_says() {
    let text = "{\"Action\":\"output\",\"Package\":\"a\",\"Output\":\"coverage: 81.5% of statements\\n\"}\n\
                {\"Action\":\"output\",\"Package\":\"a\",\"Output\":\"ok  \\ta\\t(cached)\\tcoverage: 81.5% of statements\\n\"}\n\
                {\"Action\":\"pass\",\"Package\":\"a\",\"Elapsed\":0.001}\n\
                {\"Action\":\"output\",\"Package\":\"b\",\"Output\":\"\\tb\\t\\tcoverage: 0.0% of statements\\n\"}\n\
                {\"Action\":\"pass\",\"Package\":\"b\",\"Elapsed\":0.001}\n\
                flag provided but not defined: -nosuch\n{\"half an event\n";
    let (packages, collector) = collect(text, Keep::Failed);
    assert_eq!((packages[0].cached, packages[0].coverage, packages[0].state), (true, Some(81.5), State::Passed));
    assert_eq!((packages[1].coverage, packages[1].state), (Some(0.0), State::NoTests));
    assert_eq!(collector.loose(), ["flag provided but not defined: -nosuch", "{\"half an event"]);
}

#[test]
fn what_never_ended_is_told_at_the_end() {
    let text = "{\"Action\":\"start\",\"Package\":\"a\"}\n{\"Action\":\"run\",\"Package\":\"a\",\"Test\":\"TestA\"}\n\
                {\"Action\":\"run\",\"Package\":\"a\",\"Test\":\"TestB\"}\n{\"Action\":\"pause\",\"Package\":\"a\",\"Test\":\"TestB\"}\n";
    let (_, mut collector) = collect(text, Keep::Failed);
    let [News::Package(package)] = &collector.end("interrupted")[..] else { panic!("one package") };
    assert_eq!((package.state, package.error.as_deref()), (State::NotRun, Some("interrupted")));
    let states: Vec<_> = package.tests.iter().map(|test| (test.name.as_str(), test.state)).collect();
    assert_eq!(states, [("TestA", State::Failed), ("TestB", State::NotRun)]);
    assert!(collector.end("again").is_empty());
}

#[test]
fn with_all_kept_a_test_is_told_with_its_parts_when_it_ends() {
    let event = |action: &str, test: &str, output: &str| {
        serde_json::json!({"Action": action, "Package": "a", "Test": test, "Output": output, "Elapsed": 0.5})
            .to_string()
    };
    let lines = [
        event("run", "T", ""),
        event("run", "T/x", ""),
        event("output", "T/x", "hel"),
        event("output", "T/x", "lo\n"),
        event("pass", "T/x", ""),
        event("pass", "T", ""),
    ];
    let mut collector = Collector::new(ground(), Keep::All);
    let news: Vec<News> = lines
        .iter()
        .flat_map(|line| collector.line(line.as_bytes()))
        .filter(|news| matches!(news, News::Test { .. }))
        .collect();
    let [News::Test { package, tests }] = &news[..] else { panic!("{news:?}") };
    assert_eq!((package.as_str(), tests.len(), tests[1].output.as_slice()), ("a", 2, &["hello".to_owned()][..]));
}

#[test]
fn assertions_of_testify_give_their_place() {
    let lines = [
        "    a_test.go:10: ",
        "        \tError Trace:\t/p/t/pass/a_test.go:10",
        "        \tError:      \tNot equal: ",
        "        \t            \texpected: 1",
    ];
    let cut = trace::cut(lines.map(str::to_owned).to_vec(), &ground(), "ex.com/t/pass");
    assert_eq!(trace::place(&cut), Some(("t/pass/a_test.go".to_owned(), 10, "Not equal:".to_owned())));
}

#[test]
fn a_race_keeps_the_frames_that_are_ours() {
    let text = "==================\nWARNING: DATA RACE\nWrite at 0x00c0 by goroutine 8:\n  ex.com/t/races.TestRace.func1()\n      /p/t/races/r_test.go:3 +0x33\n\n\
                Previous write at 0x00c0 by goroutine 7:\n  ex.com/t/races.TestRace()\n      /p/t/races/r_test.go:4 +0x104\n  testing.tRunner()\n      /go/src/testing/testing.go:2036 +0x21c\n\n\
                Goroutine 7 (running) created at:\n  testing.(*T).Run()\n      /go/src/testing/testing.go:2101 +0xb12\n==================\n    testing.go:1712: race detected during execution of test";
    let cut = trace::cut(text.lines().map(str::to_owned).collect(), &ground(), "ex.com/t/races");
    insta::assert_snapshot!(cut.join("\n"));
    assert_eq!(trace::place(&cut), Some(("t/races/r_test.go".to_owned(), 3, "WARNING: DATA RACE".to_owned())));
}
