//! Lines that Go's loggers printed, and any bytes.

use proptest::prelude::*;

use super::{Format, Ink, Link, Moment, Role, Row, Shape, Value, one_line, parse, trace_id, tree};
use crate::logs::ansi::{Span, text, width};
use crate::logs::level;

/// Printed by a program of Go 1.26 with zap 1.28, zerolog 1.35, logrus 1.10, klog 2.140, glog 1.2 and hclog 1.6; what stands behind `###` wrote the lines
/// below it.
const PRINTED: &str = include_str!("printed.txt");

/// The lines of one logger that are no part of a stack.
fn printed(logger: &str) -> Vec<&'static str> {
    let start = PRINTED.find(&format!("### {logger}\n")).unwrap();
    let lines = PRINTED[start..].lines().skip(1).take_while(|line| !line.starts_with("### "));
    lines.collect()
}

fn shown(line: &str) -> String {
    text(&one_line(&parse(line.as_bytes())))
}

#[test]
fn every_logger_in_one_line() {
    let mut out = String::new();
    for line in PRINTED.lines() {
        let shape = parse(line.as_bytes());
        let place = shape.caller.as_ref().map_or_else(String::new, |c| format!(" @{}:{}", c.file, c.line));
        match line.strip_prefix("### ") {
            Some(logger) => out.push_str(&format!("### {logger}\n")),
            None => out.push_str(&format!("{}{place} | {}\n", shape.format.name(), text(&one_line(&shape)))),
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn the_level_is_the_filters() {
    for line in PRINTED.lines() {
        assert_eq!(parse(line.as_bytes()).level, level::detect(line.as_bytes()), "{line}");
    }
}

#[test]
fn times() {
    let of = |line: &str| parse(line.as_bytes()).time.map(|time| (time.text, time.moment));
    let cases = [
        (printed("log")[0], "2026/11/21 23:11:45", Some(Moment::Local(1_795_302_705_000_000))),
        (printed("slog-json")[0], "2026-11-21T23:11:45.464900199Z", Some(Moment::Utc(1_795_302_705_464_900))),
        (printed("zap-prod")[0], "1795302705.465356", Some(Moment::Utc(1_795_302_705_465_356))),
        (printed("zerolog-json")[1], "1795302705466", Some(Moment::Utc(1_795_302_705_466_000))),
        (printed("zerolog-console")[0], "11:11PM", None),
        (printed("klog")[0], "1121 23:11:45.467816", None),
        (printed("logrus-tty")[0], "0000", None),
        (printed("hclog")[0], "2026-11-21T23:11:45.471Z", Some(Moment::Utc(1_795_302_705_471_000))),
    ];
    for (line, text, moment) in cases {
        assert_eq!(of(line), Some((text.to_owned(), moment)), "{line}");
    }
}

#[test]
fn stacks() {
    let frames = |line: &str| parse(line.as_bytes()).stack.len();
    assert_eq!(frames(printed("zap-prod")[0]), 2);
    assert_eq!(frames(printed("zap-prod")[1]), 8);
    let zerolog = r#"{"level":"error","stack":[{"func":"inner","line":"20","source":"errors.go"},{"func":"main","line":"15","source":"main.go"}],"error":"x"}"#;
    let stack = parse(zerolog.as_bytes()).stack;
    assert_eq!(stack.iter().map(|f| (f.function.as_str(), f.line)).collect::<Vec<_>>(), [("inner", 20), ("main", 15)]);
    let verbose = r#"{"level":"error","errorVerbose":"x\nmain.f\n\t/home/me/f.go:3"}"#;
    assert_eq!(frames(verbose), 1);
}

#[test]
fn formats_that_are_alike() {
    let cases = [
        (r#"{"level":30,"time":1795302705466,"pid":7,"msg":"pino"}"#, Format::Json),
        (r#"{"severity":"ERROR","message":"gcp","timestamp":"2026-11-21T00:58:53Z"}"#, Format::Json),
        ("t=2026-11-21T00:58:53+0100 lvl=eror msg=\"log 15\"", Format::Logfmt),
        ("level=info msg=hi", Format::Logfmt),
        ("a=b c=d", Format::Logfmt),
        ("{not json", Format::Plain),
        ("{} {}", Format::Plain),
        ("[]", Format::Plain),
        ("E1121 words", Format::Plain),
        ("2026-11-21 00:58:53 LOG:  database system is ready", Format::Plain),
        ("2026/11/21 [notice] 1#1: nginx/1.27", Format::Plain),
        ("INFO: something", Format::Plain),
        ("", Format::Plain),
        ("[GIN] 2026/11/21 - 00:58:53 | 200 | 1.2ms | GET \"/\"", Format::Plain),
        ("x\t2026-11-21T00:58:53Z\tINFO", Format::Plain),
    ];
    for (line, format) in cases {
        assert_eq!(parse(line.as_bytes()).format, format, "{line}");
    }
}

#[test]
fn plain_lines_stay_as_they_are() {
    for line in ["  indented: a=1  b", "INFO words", "žluť 日本", "usage: x=1"] {
        assert_eq!(shown(line), line);
    }
    assert_eq!(shown("a\tb\x1b[31mc\x07"), "a       bc");
}

#[test]
fn secrets_are_stars() {
    let cases = [
        (r#"{"msg":"x","password":"hunter2"}"#, "x password=********"),
        (r#"{"msg":"x","apiKey":12345}"#, "x apiKey=********"),
        (r#"{"msg":"x","h":{"Authorization":["Bearer abc"],"a":1}}"#, r#"x h={"Authorization":["********"],"a":1}"#),
        (r#"{"msg":"x","auth":{"user":"me","n":1,"ok":true}}"#, r#"x auth={"user":"********","n":********,"ok":true}"#),
        (r#"{"msg":"x","url":"postgres://me:pw@host/db"}"#, "x url=postgres://me:********@host/db"),
        (r#"{"msg":"x","token":""}"#, "x token=\"\""),
        ("connect postgres://me:pw@host/db: refused", "connect postgres://me:********@host/db: refused"),
        ("login password=hunter2 user=me", "login password=******** user=me"),
        ("login password=\"a b\" (token=abc)", "login password=******** (token=********)"),
        ("GET /x?api_key=abc&page=2", "GET /x?api_key=********&page=2"),
        ("level=info msg=\"pass=abc now\"", "INF pass=******** now"),
    ];
    for (line, expected) in cases {
        assert_eq!(shown(line), expected, "{line}");
        let secret = ["hunter2", "12345", "Bearer", ":pw@", "abc", "a b"].iter().find(|secret| line.contains(**secret));
        let rows = words(&tree(&parse(line.as_bytes())));
        let hidden = secret.is_none_or(|secret| !rows.concat().contains(secret));
        assert!(hidden, "{rows:?}");
    }
}

#[test]
fn values_are_harmless() {
    let line = r#"{"level":"info","msg":"a\u001b[31mred\u001b]0;t\u0007\nb","k\n":"c\td\u202e","e":"say \"x\""}"#;
    assert_eq!(shown(line), r#"INF ared\nb k\n="c\td" e="say \"x\"""#);
}

#[test]
fn ids() {
    let of = |line: &str| trace_id(&parse(line.as_bytes())).map(|id| format!("{}={}", id.key, id.value));
    let cases = [
        (r#"{"msg":"x","trace_id":"7f3a91c2"}"#, Some("trace_id=7f3a91c2")),
        (r#"{"msg":"x","span_id":"0011","traceId":"7f3a"}"#, Some("traceId=7f3a")),
        (r#"{"msg":"x","req":{"request_id":"abc-1"}}"#, Some("request_id=abc-1")),
        (r#"{"msg":"x","headers":{"X-Request-Id":["abc-1"]}}"#, Some("X-Request-Id=abc-1")),
        (
            r#"{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#,
            Some("traceparent=4bf92f3577b34da6a3ce929d0e0e4736"),
        ),
        (r#"{"dd.trace_id":"123456"}"#, Some("dd.trace_id=123456")),
        (r#"{"trace_id":123456}"#, Some("trace_id=123456")),
        (r#"{"trace_id":""}"#, None),
        (r#"{"trace_id":"00000000000000000000000000000000"}"#, None),
        (r#"{"trace":"enabled"}"#, None),
        ("POST /v1/orders 201 12ms trace=7f3a", Some("trace=7f3a")),
        ("[trace_id=7f3a91c2] hello span_id=0001", Some("trace_id=7f3a91c2")),
        ("time=2026-11-21T00:58:53Z level=INFO msg=x request_id=r-77", Some("request_id=r-77")),
        ("retrace=7f3a", None),
        ("trace=on", None),
    ];
    for (line, id) in cases {
        assert_eq!(of(line), id.map(str::to_owned), "{line}");
    }
}

fn words(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| format!("{}{}", "  ".repeat(row.depth), text(&row.spans))).collect()
}

#[test]
fn opened() {
    let rows = tree(&parse(printed("zap-prod")[1].as_bytes()));
    insta::assert_snapshot!(words(&rows).join("\n"));
    let places = rows.iter().filter(|row| matches!(row.link, Some(Link::Place { .. }))).count();
    assert_eq!(places, 1 + 8 + 2);
    let line = r#"{"time":"2026-11-21T00:58:53Z","level":"INFO+2","msg":"m","n":null,"ok":true,"list":[1,"two",{"a":1.50}],"ctx":{"trace_id":"7f3a91c2"},"long":{"first":"aaaaaaaaaaaaaaaaaaaaaaaaaaaa","second":"bbbbbbbbbbbbbbbbbbbbbbbbbbbb"},"source":{"function":"main.main","file":"/home/me/main.go","line":3}}"#;
    let rows = tree(&parse(line.as_bytes()));
    insta::assert_snapshot!(words(&rows).join("\n"));
    let links: Vec<&Link> = rows.iter().filter_map(|row| row.link.as_ref()).collect();
    let place = Link::Place { file: "/home/me/main.go".to_owned(), line: 3 };
    assert_eq!(links, [&Link::Id("7f3a91c2".to_owned()), &place]);
    let inks: Vec<Ink> = rows[6].spans.iter().map(|span| span.style).filter(|ink| *ink != Ink::Mark).collect();
    assert_eq!(inks, [Ink::Key, Ink::Number, Ink::String, Ink::Key, Ink::Number]);
}

#[test]
fn a_huge_line_has_bounded_rows() {
    let line = format!("{{\"msg\":\"x\",\"list\":[{}]}}", vec!["1"; 100_000].join(","));
    assert!(tree(&parse(line.as_bytes())).len() <= 5000);
}

fn is_harmless(spans: &[Span<Ink>]) -> bool {
    !text(spans).chars().any(|c| c.is_control() || crate::logs::escape::is_hidden(c))
}

fn check(shape: &Shape, line: &[u8]) -> Result<(), TestCaseError> {
    let row = one_line(shape);
    prop_assert!(is_harmless(&row), "{:?}", row);
    prop_assert!(width(&row) <= 16 * line.len() + 64, "{:?}", row);
    for row in tree(shape) {
        prop_assert!(is_harmless(&row.spans), "{:?}", row);
    }
    prop_assert!(trace_id(shape).is_none_or(|id| (4..=128).contains(&id.value.len())));
    Ok(())
}

proptest! {
    #[test]
    fn anything_is_read(line in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&parse(&line), &line)?;
    }

    #[test]
    fn broken_lines_are_read(at in 0..PRINTED.lines().count(), cut in 0_usize..400, junk in prop::collection::vec(any::<u8>(), 0..8)) {
        let line = PRINTED.lines().nth(at).unwrap_or_default().as_bytes();
        let cut = cut.min(line.len());
        let line = [&line[..cut], &junk, &line[cut..]].concat();
        let shape = parse(&line);
        prop_assert_eq!(shape.level, level::detect(&line));
        check(&shape, &line)?;
    }

    #[test]
    fn all_fields_of_json_are_kept_in_order(members in prop::collection::vec(("[a-zA-Z_.@]{1,8}", any::<i64>()), 0..10)) {
        let inner: Vec<String> = members.iter().map(|(key, n)| format!("{key:?}:{n}")).collect();
        let shape = parse(format!("{{{}}}", inner.join(",")).as_bytes());
        let read: Vec<(String, Value)> = shape.fields.iter().map(|f| (f.key.clone(), f.value.clone())).collect();
        let expected: Vec<(String, Value)> = members.iter().map(|(key, n)| (key.clone(), Value::Number(n.to_string()))).collect();
        prop_assert_eq!(read, expected);
        let roles = shape.fields.iter().filter(|f| f.role == Role::Time).count();
        prop_assert!(roles <= 1);
    }
}

/// How long a line takes: `cargo test --lib shape -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and judges nothing"]
fn measure() {
    let lines: Vec<&[u8]> = PRINTED.lines().filter(|line| !line.starts_with("###")).map(str::as_bytes).collect();
    let rounds = 2000;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        lines.iter().for_each(|line| drop(std::hint::black_box(one_line(&parse(line)))));
    }
    let each = start.elapsed().as_nanos() / (rounds * lines.len()) as u128;
    println!("{each} ns a line, parsed and laid out, {} lines", rounds * lines.len());
}
