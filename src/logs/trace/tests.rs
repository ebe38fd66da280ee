//! What programs of Go 1.26 printed when they ended, and any bytes.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{Frame, Goroutine, Ground, Group, Kind, Part, Trace};

const CUSTOM: &str = include_str!("printed/custom.txt");
const DEADLOCK: &str = include_str!("printed/deadlock.txt");
const ERROR: &str = include_str!("printed/error.txt");
const FATAL: &str = include_str!("printed/fatal.txt");
const GOROUTINE: &str = include_str!("printed/goroutine.txt");
const GORUN: &str = include_str!("printed/gorun.txt");
const HTTP: &str = include_str!("printed/http.txt");
const INDEX: &str = include_str!("printed/index.txt");
const NILMAP: &str = include_str!("printed/nilmap.txt");
const OVERFLOW: &str = include_str!("printed/overflow.txt");
const RACE: &str = include_str!("printed/race.txt");
const REPANIC: &str = include_str!("printed/repanic.txt");
const REPANIC_SAME: &str = include_str!("printed/repanicsame.txt");
const SEGV: &str = include_str!("printed/segv.txt");
const STACK: &str = include_str!("printed/stack.txt");

fn read(text: &str) -> Trace {
    Trace::read(text.lines().map(str::as_bytes))
}

/// The parts of lines, each read with the one behind it.
fn parts(text: &str) -> Vec<Part> {
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    let mut group = Group::default();
    (0..lines.len()).map(|at| group.take(lines[at], lines.get(at + 1).copied())).collect()
}

fn short(part: &Part) -> char {
    match part {
        Part::Alone => '.',
        Part::Begins => '>',
        Part::Continues => '|',
    }
}

#[test]
fn each_is_one_group() {
    let all = [
        CUSTOM,
        DEADLOCK,
        ERROR,
        FATAL,
        GOROUTINE,
        GORUN,
        HTTP,
        INDEX,
        NILMAP,
        OVERFLOW,
        RACE,
        REPANIC,
        REPANIC_SAME,
        SEGV,
        STACK,
    ];
    for text in all {
        let whole = format!("listening on :8080\n{text}2026/11/21 00:58:53 listening on :8080\n");
        let drawn: String = parts(&whole).iter().map(short).collect();
        let expected = format!(".>{}.", "|".repeat(text.lines().count() - 1));
        assert_eq!(drawn, expected, "{whole}");
    }
}

#[test]
fn what_they_say() {
    let said = |text| {
        let trace = read(text);
        let top = trace.target(&Ground::default()).map(|f| format!("{} {}:{}", f.function, f.file, f.line));
        (trace.kind, trace.message, top.unwrap_or_default(), trace.frames.len(), trace.n_others)
    };
    let cases = [
        (CUSTOM, Kind::Panic, "wrapped: context deadline exceeded", "main.main /home/me/shop/main.go:42", 1, 0),
        (DEADLOCK, Kind::Fatal, "all goroutines are asleep - deadlock!", "main.main /home/me/shop/main.go:52", 5, 0),
        (ERROR, Kind::Panic, "multi\nline", "main.main /home/me/shop/main.go:40", 1, 0),
        (FATAL, Kind::Fatal, "concurrent map writes", "main.main.func4 /home/me/shop/main.go:46", 2, 0),
        (
            GOROUTINE,
            Kind::Panic,
            "assignment to entry in nil map",
            "main.(*Charger).Refund /home/me/shop/main.go:14",
            2,
            0,
        ),
        (
            INDEX,
            Kind::Panic,
            "runtime error: index out of range [5] with length 1",
            "main.main /home/me/shop/main.go:64",
            1,
            0,
        ),
        (
            NILMAP,
            Kind::Panic,
            "assignment to entry in nil map",
            "main.(*Charger).Refund /home/me/shop/main.go:14",
            2,
            0,
        ),
        (REPANIC, Kind::Panic, "first", "main.main.func2 /home/me/shop/main.go:34", 3, 0),
        (REPANIC_SAME, Kind::Panic, "first", "main.main.func3 /home/me/shop/main.go:37", 3, 0),
        (
            SEGV,
            Kind::Panic,
            "runtime error: invalid memory address or nil pointer dereference",
            "main.(*Charger).Refund /home/me/shop/main.go:14",
            3,
            0,
        ),
        (STACK, Kind::Stack, "", "main.main /home/me/shop/main.go:58", 3, 0),
        (HTTP, Kind::Panic, "assignment to entry in nil map", "main.main.func1 example.com/shop/main.go:19", 6, 0),
        (RACE, Kind::Race, "WARNING: DATA RACE", "main.add /home/me/shop/main.go:13", 1, 2),
    ];
    for (text, kind, message, top, n_frames, n_others) in cases {
        assert_eq!(said(text), (kind, message.to_owned(), top.to_owned(), n_frames, n_others), "{text}");
    }
    let overflow = said(OVERFLOW);
    assert_eq!((overflow.0, overflow.1.as_str()), (Kind::Fatal, "stack overflow"));
}

#[test]
fn details() {
    let trace = read(GOROUTINE);
    assert_eq!(trace.goroutine, Some(Goroutine { number: 19, state: "running".to_owned() }));
    let created = trace.created.unwrap();
    assert_eq!((created.function.as_str(), created.line, created.offset), ("main.main", 31, Some(0x316)));
    assert_eq!(trace.frames[0].offset, None);
    assert_eq!(trace.frames[1].offset, Some(0x66));
    assert_eq!(read(REPANIC).later, ["re-panic after first"]);
    assert_eq!(read(GORUN).exit, Some(2));
    let signal = read(SEGV).signal.unwrap();
    assert!(signal.starts_with("SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x"), "{signal}");
    let waits = b"goroutine 7 gp=0x909be800000 m=nil [chan receive, 2 minutes]:";
    assert_eq!(super::goroutine(waits), Some((7, "chan receive, 2 minutes")));
    assert_eq!(super::goroutine(b"goroutine pools are nice"), None);
}

#[test]
fn stacks_in_a_text() {
    let zap = "main.main\n\t/home/me/demo/main.go:53\nruntime.main\n\t/usr/local/go/src/runtime/proc.go:290";
    let trace = Trace::of_text(zap);
    assert_eq!((trace.message.as_str(), trace.frames.len()), ("", 2));
    let errors = "dial tcp 127.0.0.1:5432: refused\nmain.failing.do\n\t/home/me/demo/main.go:26\nopen db\nmain.main\n\t/home/me/demo/main.go:54";
    let trace = Trace::of_text(errors);
    assert_eq!((trace.message.as_str(), trace.frames.len()), ("dial tcp 127.0.0.1:5432: refused", 2));
    assert_eq!(Trace::of_text(NILMAP), read(NILMAP));
}

#[test]
fn a_stack_below_a_line_of_zap_belongs_to_it() {
    let lines = "2026-11-21T23:11:45.465Z\tWARN\tslow\nmain.main\n\t/home/me/demo/main.go:62\nruntime.main\n\t/usr/local/go/src/runtime/proc.go:290\n2026-11-21T23:11:45.465Z\tINFO\tlistening\nexample.com\n";
    assert_eq!(parts(lines).iter().map(short).collect::<String>(), ".||||..");
}

#[test]
fn words_are_no_stack() {
    let lines = "main.go\nconnected (ok)\nexample.com\nexit status 1\npanicked\nGET(x)\ngoroutine pools\n\n==================\n";
    assert!(parts(lines).iter().all(|part| *part == Part::Alone), "{:?}", parts(lines));
}

#[test]
fn two_panics_are_two_groups() {
    let drawn: String = parts(&format!("{NILMAP}{SEGV}")).iter().map(short).collect();
    assert_eq!(drawn.matches('>').count(), 2, "{drawn}");
}

#[test]
fn whose_code_it_is() {
    let ground = Ground { goroot: Some(PathBuf::from("/opt/go")), modules: Some(PathBuf::from("/cache/mods")) };
    let cases = [
        ("main.main", "/home/me/shop/main.go", true),
        ("example.com/shop/charge.(*T).F", "/home/me/shop/charge/t.go", true),
        ("shop/charge.F", "/home/me/shop/charge/t.go", true),
        ("main.main", "example.com/shop/main.go", true),
        // Not Go's own, though it is named alike.
        ("example.com/x/net/http.F", "/home/me/src/example.com/x/net/http/f.go", true),
        ("internal.F", "/home/me/shop/internal/f.go", true),
        ("net/http.(*conn).serve", "/usr/local/go/src/net/http/server.go", false),
        ("net/http.(*conn).serve", "net/http/server.go", false),
        ("panic", "/usr/lib/go-1.26/src/runtime/panic.go", false),
        ("panic", "runtime/panic.go", false),
        ("sync.runtime_notifyListWait", "/usr/local/go/src/runtime/sema.go", false),
        ("runtime.goexit", "/usr/local/go/src/runtime/asm_amd64.s", false),
        ("main.main", "/opt/go/src/cmd/x/main.go", false),
        ("github.com/a/b.F", "/root/go/pkg/mod/github.com/a/b@v1.2.3/b.go", false),
        ("github.com/a/b.F", "/cache/mods/github.com/a/b/b.go", false),
        ("github.com/a/b.F", "github.com/a/b@v1.2.3/b.go", false),
        ("github.com/a/b.F", "/home/me/shop/vendor/github.com/a/b/b.go", false),
        ("main.(*T).F", "<autogenerated>", false),
    ];
    for (function, file, ours) in cases {
        let frame = Frame { function: function.to_owned(), file: file.to_owned(), line: 1, offset: None };
        assert_eq!(ground.is_ours(&frame), ours, "{function} {file}");
    }
}

#[test]
fn equal_panics_have_equal_keys() {
    let ground = Ground::default();
    let key = |text: &str| read(text).key(&ground);
    assert_eq!(key(INDEX), key(&INDEX.replace("[5] with length 1", "[17] with length 12")));
    assert_eq!(key(SEGV), key(&SEGV.replace("0x4a2149", "0x77")));
    assert_eq!(key(NILMAP), key(GOROUTINE));
    assert_ne!(key(NILMAP), key(&NILMAP.replace("main.go:14", "main.go:15")));
    assert_ne!(key(NILMAP), key(&NILMAP.replace("nil map", "nil slice")));
    assert_ne!(key(NILMAP), key(SEGV));
}

/// Lines that mean something more often than chance would have it.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let all = [CUSTOM, DEADLOCK, RACE, REPANIC, SEGV, HTTP, OVERFLOW];
    let known: Vec<Vec<u8>> = all.iter().flat_map(|text| text.lines()).map(|line| line.as_bytes().to_vec()).collect();
    let line = prop_oneof![
        4 => prop::sample::select(known),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => "[a-z.(){}\\[\\]: \t+0-9]{0,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(line, 0..30)
}

proptest! {
    #[test]
    fn anything_is_read(lines in lines()) {
        let mut group = Group::default();
        let mut before = Part::Alone;
        for (at, line) in lines.iter().enumerate() {
            let part = group.take(line, lines.get(at + 1).map(Vec::as_slice));
            // Only an indented line or one with a place behind it may hang on to words.
            let next_is_place = lines.get(at + 1).is_some_and(|next| next.starts_with(b"\t") || next.starts_with(b" "));
            prop_assert!(part != Part::Continues || before != Part::Alone || line.starts_with(b"\t") || next_is_place);
            before = part;
        }
        let trace = Trace::read(lines.iter().map(Vec::as_slice));
        prop_assert!(trace.frames.len() <= 256);
        prop_assert!(trace.key(&Ground::default()).len() < 40_000);
    }
}
