//! Results for people: what failed in full, then a table, then one line.

use std::io::IsTerminal;

use super::report::Report;
use crate::cli::output::Paint;
use crate::cli::table::{self, Cell, Row, Side};
use crate::cli::text;
use crate::gotest::cover::Statements;
use crate::gotest::plan::{Kind, Tested};
use crate::gotest::results::{PackageResult, State, TestResult};
use crate::logs::clean::{Colours, clean};
use crate::sys::terminal::columns;
use crate::task::id::ServiceName;

/// The columns of the terminal that the table must fit, where it is one.
pub(super) fn limit() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| columns(std::io::stdout()).filter(|n| *n >= 40).unwrap_or(80))
}

/// Under which name a package stands: that of the service in whose folder it lies, else `(shared)`.
pub(super) fn service_of(tested: &Tested) -> String {
    match (&tested.owner, tested.services.as_slice()) {
        (Some(owner), _) => owner.to_string(),
        (None, [only]) => only.to_string(),
        (None, _) => "(shared)".to_owned(),
    }
}

/// One line when a package has ended.
pub(super) fn progress(service: &str, result: &PackageResult, color: bool) -> String {
    let (word, paint) = word(result);
    let counts = result.counts();
    let mut out = format!("{}  {}  {}", text::clean(service), text::clean(&result.path), paint.on(word, color));
    match result.state {
        State::Passed | State::Failed if result.error.is_none() => {
            out.push_str(&format!("  {} passed", counts.passed));
            out.push_str(&if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() });
            out.push_str(&format!("  {}", text::time(result.elapsed)));
        }
        _ => out.push_str(&result.error.as_ref().map(|error| format!("  {}", text::clean(error))).unwrap_or_default()),
    }
    out
}

/// The word for how a package ended, and its look.
fn word(result: &PackageResult) -> (&'static str, Paint) {
    match result.state {
        State::Passed | State::Skipped if result.cached => ("ok (cached)", Paint::Green),
        State::Passed | State::Skipped => ("ok", Paint::Green),
        State::Failed => ("FAILED", Paint::Red),
        State::NoTests => ("no tests", Paint::Dim),
        State::NotRun => ("not run", Paint::Yellow),
    }
}

/// A test with its parts, as `-v` tells it.
pub(super) fn verbose(service: &str, tests: &[TestResult], color: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for test in tests {
        let depth = test.name.matches('/').count();
        let (word, paint) = match test.state {
            State::Passed => ("PASS", Paint::Green),
            State::Failed => ("FAIL", Paint::Red),
            State::Skipped => ("SKIP", Paint::Yellow),
            State::NoTests | State::NotRun => ("STOP", Paint::Yellow),
        };
        let head = format!(
            "{}--- {}: {} ({:.2}s)",
            "    ".repeat(depth),
            paint.on(word, color),
            text::clean(&test.name),
            test.elapsed.as_secs_f64()
        );
        out.extend_from_slice(format!("{} | {head}\n", text::clean(service)).as_bytes());
        for line in &test.output {
            out.extend_from_slice(format!("{} | ", text::clean(service)).as_bytes());
            put(&mut out, line, color);
        }
    }
    out
}

/// A line of a test or the compiler, made safe.
fn put(out: &mut Vec<u8>, line: &str, color: bool) {
    clean(line.as_bytes(), if color { Colours::Keep } else { Colours::Remove }, out);
    out.push(b'\n');
}

/// Everything, at the end.
pub(super) fn text(report: &Report<'_>, color: bool, limit: Option<usize>) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, tested, result) in report.rows.iter().filter(|(.., result)| result.state == State::Failed) {
        failure(&mut out, *kind, tested, result, color);
    }
    if report.rows.is_empty() {
        out.extend_from_slice(b"nothing to test: no Go packages in these services\n");
        return out;
    }
    out.extend_from_slice(self::table(report, color, limit).as_bytes());
    out.push(b'\n');
    out.extend_from_slice(measured(report, color).as_bytes());
    out.extend_from_slice(summary(report, color).as_bytes());
    out
}

/// What the tests of the fleet reached.
fn measured(report: &Report<'_>, color: bool) -> String {
    let Some(measured) = report.measured else { return String::new() };
    let row = |(name, found): (&ServiceName, &Result<Statements, String>)| {
        let (value, paint) = match found {
            Ok(statements) => (percent(statements.percent()), None),
            Err(why) => (format!("not measured: {}", text::clean(why)), Some(Paint::Yellow)),
        };
        Row::Cells(vec![Cell::plain(name.to_string()), Cell::painted(value, paint)])
    };
    let mut rows: Vec<Row> = measured.services.iter().map(row).collect();
    if let Some(file) = &measured.profile {
        let total = Cell::painted(percent(measured.total.percent()), Some(Paint::Bold));
        rows.push(Row::Cells(vec![Cell::painted("total", Some(Paint::Bold)), total]));
        rows.push(Row::Line(format!("profile: {}", text::clean(&file.to_string_lossy())), None));
    }
    let columns = [("SERVICE", Side::Left), ("COVERED BY ACCEPTANCE TESTS", Side::Left)];
    format!("{}\n", table::render(&columns, &rows, &[], None, color))
}

/// What failed in one package.
fn failure(out: &mut Vec<u8>, kind: Kind, tested: &Tested, result: &PackageResult, color: bool) {
    let head = |out: &mut Vec<u8>, rest: &str| {
        let word = Paint::Red.on("FAIL", color);
        let line = format!(
            "{word}  {}  {}{rest}\n",
            text::clean(&service_of(tested)),
            text::clean(&shown(kind, &result.path))
        );
        out.extend_from_slice(line.as_bytes());
    };
    let failed = |test: &&TestResult| test.state == State::Failed;
    for test in result.counted().filter(failed) {
        let place =
            test.place.as_ref().map(|(file, line)| format!("  {}:{line}", text::clean(&file.to_string_lossy())));
        head(out, &format!("  {}{}", text::clean(&test.name), place.unwrap_or_default()));
        if test.output.is_empty() && !test.message.is_empty() {
            indented(out, &test.message, color);
        }
        test.output.iter().for_each(|line| indented(out, line, color));
        out.push(b'\n');
    }
    if let Some(error) = &result.error {
        head(out, "");
        if !result.output.iter().any(|line| line == error) {
            indented(out, error, color);
        }
    } else if !result.output.is_empty() {
        head(out, "  printed beside its tests");
    }
    result.output.iter().for_each(|line| indented(out, line, color));
    if result.error.is_some() || !result.output.is_empty() {
        out.push(b'\n');
    }
}

fn indented(out: &mut Vec<u8>, line: &str, color: bool) {
    if !line.trim().is_empty() {
        out.extend_from_slice(b"    ");
    }
    // The four columns of go's own are ours already.
    put(out, line.strip_prefix("    ").unwrap_or(line), color);
}

fn shown(kind: Kind, path: &str) -> String {
    match kind {
        Kind::Unit => path.to_owned(),
        Kind::Acceptance => format!("{path} (acceptance)"),
    }
}

fn table(report: &Report<'_>, color: bool, limit: Option<usize>) -> String {
    let covers = report.rows.iter().any(|(.., result)| result.coverage.is_some()) || !report.covered.is_empty();
    let mut columns = vec![
        ("SERVICE", Side::Left),
        ("PACKAGE", Side::Left),
        ("RESULT", Side::Left),
        ("PASSED", Side::Right),
        ("FAILED", Side::Right),
        ("SKIPPED", Side::Right),
        ("TIME", Side::Right),
    ];
    columns.extend(covers.then_some(("COVERAGE", Side::Right)));
    let mut rows: Vec<Row> = Vec::new();
    for (kind, tested, result) in &report.rows {
        let (counts, (word, paint)) = (result.counts(), word(result));
        let number = |count: usize| Cell::plain(if count == 0 { "-".to_owned() } else { count.to_string() });
        let time = if matches!(result.state, State::NoTests | State::NotRun) {
            "-".to_owned()
        } else {
            text::time(result.elapsed)
        };
        let mut cells = vec![
            Cell::plain(service_of(tested)),
            Cell::plain(shown(*kind, &result.path)),
            Cell::painted(word, Some(paint)),
            number(counts.passed),
            number(counts.failed),
            number(counts.skipped),
            Cell::plain(time),
        ];
        cells.extend(covers.then(|| Cell::plain(percent(result.coverage))));
        rows.push(Row::Cells(cells));
    }
    for (service, statements) in &report.covered {
        let empty = || Cell::plain("");
        let total = Cell::painted(percent(statements.percent()), Some(Paint::Bold));
        rows.push(Row::Cells(vec![
            Cell::plain(service.to_string()),
            Cell::painted("total", Some(Paint::Bold)),
            empty(),
            empty(),
            empty(),
            empty(),
            empty(),
            total,
        ]));
    }
    table::render(&columns, &rows, &[1], limit, color)
}

fn percent(percent: Option<f64>) -> String {
    percent.map_or("-".to_owned(), |percent| format!("{percent:.1}%"))
}

fn summary(report: &Report<'_>, color: bool) -> String {
    let counts = report.counts();
    let of = |state: State| report.rows.iter().filter(|(.., result)| result.state == state).count();
    let mut parts = vec![format!("{} passed", counts.passed)];
    let failed = format!("{} failed", counts.failed);
    parts.extend((counts.failed > 0).then(|| Paint::Red.on(&failed, color)));
    parts.extend((counts.skipped > 0).then(|| format!("{} skipped", counts.skipped)));
    let cached = report.rows.iter().filter(|(.., result)| result.cached).count();
    let n_packages = report.rows.len() - of(State::NoTests);
    let noun = if n_packages == 1 { "package" } else { "packages" };
    let mut beside = vec![format!("{n_packages} {noun} with tests")];
    beside.extend((cached > 0).then(|| format!("{cached} cached")));
    beside.extend((of(State::NotRun) > 0).then(|| format!("{} not run", of(State::NotRun))));
    format!("{}; {} in {}\n", parts.join(", "), beside.join(", "), text::time(report.elapsed))
}
