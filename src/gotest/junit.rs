//! JUnit XML, in the form that GitLab, Jenkins and GitHub's actions read: a suite for each package, a case for each test.

use std::fmt::Write as _;
use std::time::Duration;

use crate::logs::clean::{Colours, clean};

use super::results::{PackageResult, State, TestResult};

/// One package with the services it was tested for.
#[derive(Clone, Debug)]
pub struct Suite<'a> {
    /// Names of services.
    pub services: Vec<String>,
    /// What it came to.
    pub result: &'a PackageResult,
}

/// Writes the document. `name` is the project's, `began` a time in RFC 3339.
pub fn document(name: &str, began: &str, took: Duration, suites: &[Suite<'_>]) -> String {
    let mut body = String::new();
    let mut all = Numbers::default();
    for suite in suites {
        all.add(self::suite(&mut body, suite, began));
    }
    let head = format!("<testsuites name=\"{}\" {} time=\"{}\">\n", escape(name), all.attributes(), seconds(took));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}{body}</testsuites>\n")
}

#[derive(Clone, Copy, Default)]
struct Numbers {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Numbers {
    fn add(&mut self, other: Numbers) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }

    fn attributes(self) -> String {
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
            self.tests, self.failures, self.errors, self.skipped
        )
    }
}

fn suite(out: &mut String, suite: &Suite<'_>, began: &str) -> Numbers {
    let package = suite.result;
    let (mut cases, mut numbers) = (String::new(), Numbers::default());
    for test in package.counted() {
        numbers.tests += 1;
        numbers.failures += usize::from(test.state == State::Failed);
        numbers.skipped += usize::from(matches!(test.state, State::Skipped | State::NotRun));
        case(&mut cases, package, test);
    }
    if let Some(error) = &package.error {
        // Nothing a test said: the compiler, `TestMain`, an `init`.
        numbers.tests += 1;
        let text = lines(&package.output);
        let name = escape(&package.path);
        if package.state == State::NotRun {
            numbers.skipped += 1;
            put(
                &mut cases,
                format_args!(
                    "    <testcase classname=\"{name}\" name=\"[package]\" time=\"0.000\"><skipped message=\"{}\"/></testcase>\n",
                    escape(error)
                ),
            );
        } else {
            numbers.errors += 1;
            put(
                &mut cases,
                format_args!(
                    "    <testcase classname=\"{name}\" name=\"[package]\" time=\"0.000\">\n      <error message=\"{}\" type=\"error\">{text}</error>\n    </testcase>\n",
                    escape(error)
                ),
            );
        }
    }
    put(
        out,
        format_args!(
            "  <testsuite name=\"{}\" {} time=\"{}\" timestamp=\"{}\">\n    <properties>\n      <property name=\"services\" value=\"{}\"/>\n    </properties>\n{cases}  </testsuite>\n",
            escape(&package.path),
            numbers.attributes(),
            seconds(package.elapsed),
            escape(began.split('.').next().unwrap_or_default().trim_end_matches('Z')),
            escape(&suite.services.join(" ")),
        ),
    );
    numbers
}

fn case(out: &mut String, package: &PackageResult, test: &TestResult) {
    let place = test
        .place
        .as_ref()
        .map(|(file, line)| format!(" file=\"{}\" line=\"{line}\"", escape(&file.to_string_lossy())));
    put(
        out,
        format_args!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"{}",
            escape(&package.path),
            escape(&test.name),
            seconds(test.elapsed),
            place.unwrap_or_default()
        ),
    );
    let (message, text) = (escape(&plain(&test.message)), lines(&test.output));
    match test.state {
        State::Failed => put(
            out,
            format_args!(
                ">\n      <failure message=\"{}\" type=\"failure\">{text}</failure>\n    </testcase>\n",
                if message.is_empty() { "failed" } else { &message }
            ),
        ),
        State::Skipped => put(out, format_args!("><skipped message=\"{message}\"/></testcase>\n")),
        State::NotRun => put(out, format_args!("><skipped message=\"did not run to its end\"/></testcase>\n")),
        State::Passed | State::NoTests if text.is_empty() => put(out, format_args!("/>\n")),
        State::Passed | State::NoTests => put(out, format_args!("><system-out>{text}</system-out></testcase>\n")),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or(());
}

fn seconds(span: Duration) -> String {
    format!("{:.3}", span.as_secs_f64())
}

fn lines(output: &[String]) -> String {
    output.iter().map(|line| escape(&plain(line))).collect::<Vec<_>>().join("\n")
}

/// Without colours and what else is meant for a terminal.
fn plain(line: &str) -> String {
    let mut out = Vec::new();
    clean(line.as_bytes(), Colours::Remove, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Text for an element or an attribute; what XML 1.0 cannot hold in any form becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_for_all() {
        let test = |name: &str, state, message: &str, output: &[&str]| TestResult {
            name: name.to_owned(),
            state,
            elapsed: Duration::from_millis(12),
            unfinished: false,
            place: (state == State::Failed).then(|| ("api/a_test.go".into(), 7)),
            message: message.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        let tests = vec![
            test("TestA", State::Passed, "", &[]),
            test(
                "TestB/<x>",
                State::Failed,
                "got \"1\" & \u{1b}[31m2\u{1b}[0m",
                &["api/a_test.go:7: got", "\u{0}\u{fffe}]]>"],
            ),
            test("TestC", State::Skipped, "not today", &[]),
            test("TestD", State::NotRun, "", &[]),
        ];
        let api = PackageResult {
            path: "ex.com/api".into(),
            state: State::Failed,
            tests,
            elapsed: Duration::from_secs(2),
            ..PackageResult::default()
        };
        let broken = PackageResult {
            path: "ex.com/b".into(),
            state: State::Failed,
            error: Some("b/b.go:1:2: undefined: x".into()),
            output: vec!["b/b.go:1:2: undefined: x".into()],
            ..PackageResult::default()
        };
        let suites = [
            Suite { services: vec!["api".into(), "web".into()], result: &api },
            Suite { services: vec!["b".into()], result: &broken },
        ];
        let text = document("shop", "2026-01-02T03:04:05.678Z", Duration::from_millis(3500), &suites);
        insta::assert_snapshot!(text);
    }
}
