//! What services, files and names may hold, and what of it reaches a terminal: text and colour, nothing else.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::report;
use crate::support::output::{Output, Running};
use crate::support::{Fleet, eventually};

/// Everything that commands a terminal or misleads its reader: clipboard, title, a question it would answer, another screen, reset, DCS, APC, PM, C1
/// in both forms, what is never ended, and the direction of text.
const NASTY: &str = "<\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]0;title\u{1b}\\\u{1b}[6n\u{1b}[?1049h\u{1b}[2J\u{1b}c\u{1b}P1$r\u{1b}\\\u{1b}_x\u{1b}\\\u{1b}^x\u{1b}\\\u{9b}6n\u{9d}0;t\u{9c}\u{85}\u{202e}\u{2066}\u{200f}\u{8}\u{7f}\r>";

/// A text that holds all of it, and a raw C1 that is no UTF-8, and ends in a command that is never finished.
fn nasty() -> Vec<u8> {
    [NASTY.as_bytes(), b"\x9b6n\x1b]0;never"].concat()
}

/// Runs a command on a terminal of its own and returns every byte that terminal got. `TERM` says what it can do.
fn on_terminal(fleet: &Fleet, args: &[&str], term: &str) -> Output {
    let mut command = Command::new("script");
    // The words pass no shell's quotes: `script` takes one string, and the shell it starts finds them in its environment.
    let words: Vec<String> = (0..args.len()).map(|n| format!("\"$WORD{n}\"")).collect();
    command.args(["-qec", &format!("exec \"$PROGRAM\" {}", words.join(" ")), "/dev/null"]);
    let template = fleet.command(&[]);
    command.current_dir(fleet.root()).env_clear().envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.env("PROGRAM", env!("CARGO_BIN_EXE_orchestra")).env("TERM", term).env("SHELL", "/bin/sh");
    for (n, word) in args.iter().enumerate() {
        command.env(format!("WORD{n}"), word);
    }
    Running::start(command).wait(Duration::from_secs(120))
}

/// Why these bytes are not only text, tabs, newlines and colours; `moves` are our own further sequences that may be there.
fn fault(bytes: &[u8], moves: &[&str]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return Some(format!("no UTF-8 at {}: {:?}", error.valid_up_to(), String::from_utf8_lossy(bytes)));
        }
    };
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| (c.is_control() && c != '\t' && c != '\n') || is_direction(c)) {
        let here = &rest[at..];
        rest = if let Some(after) = here.strip_prefix("\r\n").or(here.strip_prefix("\r\r\n")) {
            after
        } else if let Some(after) = colour(here).or(moves.iter().find_map(|m| here.strip_prefix(m))) {
            after
        } else {
            return Some(format!("{:?}", here.chars().take(40).collect::<String>()));
        };
    }
    None
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

fn colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\u{1b}[")?;
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == ':').strip_prefix('m')
}

#[test]
fn nothing_but_text_and_colour_reaches_a_terminal() {
    if Command::new("script").arg("--version").output().is_err() {
        return report::record(29, "not possible here: no `script`");
    }
    // Even the folder's name is against us; no path may hold a slash or NUL only.
    let fleet = Fleet::named(&format!("fleet{}", NASTY.replace('/', "")));
    let nasty = nasty();
    fs::write(fleet.path("bytes"), &nasty).unwrap();
    let escape = |c: char| {
        if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' {
            c.to_string()
        } else {
            format!("\\u{:04x}", u32::from(c))
        }
    };
    let yaml = |text: &str| format!("\"{}\"", text.chars().map(escape).collect::<String>());
    fleet.write(
        "orchestra.yml",
        format!("env: {{NASTY: {n}}}\nstart: {{before: [cat bytes, \"sh -c 'cat bytes >&2'\"]}}\n", n = yaml(NASTY)),
    );
    // On both streams, whole and in pieces that split sequences.
    let script = "cat ../bytes; echo; cat ../bytes >&2; echo >&2; printf '\\033]0;ti'; sleep 0.3; printf 'tle\\007\\033['; sleep 0.3; printf '6n\\302'; sleep 0.3; printf '\\2336n\\033[31mred\\n'; exec sleep 1000";
    fleet.write(
        "loud/service.yml",
        format!("description: {n}\ncommand: [sh, -c, {s}]\nlabels: {{a: {n}}}\n", n = yaml(NASTY), s = yaml(script)),
    );
    fleet.write(
        "dead/service.yml",
        format!("command: [sh, -c, 'cat ../bytes; cat ../bytes >&2; exit 3', {n}]\nrestart: no\n", n = yaml(NASTY)),
    );
    fleet.write("lost/service.yml", format!("command: [{n}]\nrestart: no\n", n = yaml(&NASTY.replace('/', ""))));
    fleet.go_service(
        "broken",
        &format!("package main\n\nfunc main() {{ undefined(`{}`) }}\n", NASTY.replace(['\r', '\u{8}'], "")),
    );
    let mut all = 0;
    let mut run = |args: &[&str]| {
        let output = on_terminal(&fleet, args, "dumb");
        assert_eq!(fault(&output.bytes, &[]), None, "{args:?} printed\n{}", output.stdout.escape_debug());
        all += output.bytes.len();
        output.stdout
    };
    let started = run(&["start", "--timeout", "20s"]);
    assert!(started.contains('<'), "the hook's words are shown: {started}");
    fleet.until("loud.1", "ready");
    eventually("its last line", || fleet.lines(&["loud"]).iter().any(|line| line.contains("red")).then_some(()));
    for args in [
        &["logs"][..],
        &["logs", "--color", "always", "--timestamps"],
        &["logs", "-o", "json"],
        &["ps"],
        &["ps", "--color", "always"],
        &["ps", "-o", "json"],
        &["why", "loud"],
        &["why", "dead"],
        &["why", "lost"],
        &["why", "broken"],
        &["why", "dead", "-o", "json"],
        &["why", "broken", "-o", "json"],
        &["export"],
        &["export", "loud"],
        &["export", "-o", "json"],
        &["doctor"],
        &["doctor", "-o", "json"],
        &["init"],
        &["start", NASTY],
        &["ps", NASTY, "--color", "always"],
        &[NASTY],
        &["logs", "--grep", NASTY],
        &["-C", NASTY, "ps"],
        &["restart", "loud"],
    ] {
        run(args);
    }
    assert!(run(&["logs", "--raw"]).contains("does not write to a terminal"));
    // Data that other programs read stays exact.
    let exact = fleet.orchestra(&["export"]).ok().bytes;
    assert!(memchr::memmem::find(&exact, NASTY.as_bytes()).is_some());
    // A configuration that is wrong is quoted.
    fleet.write(
        "loud/service.yml",
        format!("command: [sh]\nunknown: {n} # {plain}\n", n = yaml(NASTY), plain = "\u{202e}\u{2066}"),
    );
    assert!(run(&["start"]).contains("unknown"));
    fleet.write("loud/service.yml", [b"command: [sh]\nbad: ", &nasty[..], b"\n"].concat());
    run(&["start"]);
    run(&["ps"]);
    run(&["stop"]);
    report::record(29, format!("27 commands on a terminal, {all} bytes: text and colour only"));
}

#[test]
fn lines_that_move_add_only_our_own_moves() {
    if Command::new("script").arg("--version").output().is_err() {
        return report::record(29, "not possible here: no `script`");
    }
    let fleet = Fleet::new();
    fs::write(fleet.path("bytes"), nasty()).unwrap();
    fleet.write("orchestra.yml", "start: {before: [cat bytes]}\n");
    fleet.write("dead/service.yml", "command: [sh, -c, 'cat ../bytes >&2; exit 3']\nrestart: no\n");
    fleet.toy("good", &["-say", "hello"], "");
    let output = on_terminal(&fleet, &["start"], "xterm");
    // Up, to the begin of the line, clear it; the cursor hidden and shown.
    let moves = [
        "\u{1b}[1A",
        "\u{1b}[2A",
        "\u{1b}[1B",
        "\u{1b}[2B",
        "\u{1b}[2K",
        "\u{1b}[K",
        "\u{1b}[J",
        "\u{1b}[?25l",
        "\u{1b}[?25h",
        "\r",
    ];
    assert_eq!(fault(&output.bytes, &moves), None, "{}", output.stdout.escape_debug());
    assert!(output.stdout.contains("good"));
    fleet.orchestra(&["stop"]).ok();
    report::record(29, "progress on a terminal that moves: only our own cursor moves beside text and colour");
}

/// Any bytes come back as they were, whatever they are.
fn binary(bytes: usize) {
    let fleet = Fleet::new();
    for (name, into) in [("out", ""), ("err", " >&2")] {
        let command = format!("command: [sh, -c, 'head -c {bytes} /dev/urandom | tee copy{into}']\ntype: job\n");
        fleet.write(&format!("{name}/service.yml"), command);
    }
    fleet.orchestra(&["start"]).ok();
    for name in ["out", "err"] {
        let copy = fs::read(fleet.path(&format!("{name}/copy"))).unwrap();
        let raw = fleet.orchestra(&["logs", name, "--raw"]).ok().bytes;
        assert_eq!((copy.len(), raw.len()), (bytes, bytes));
        assert!(raw == copy, "the bytes of `{name}` differ");
        let text = fleet.orchestra(&["logs", name, "--color", "always"]).ok();
        assert_eq!(fault(&text.bytes, &[]), None);
        fleet.orchestra(&["logs", name, "-o", "json"]).ok().json_lines();
    }
    fleet.orchestra(&["stop"]).ok();
    report::record(
        27,
        format!(
            "{} MB of random bytes on both streams: identical through `logs --raw`, text and JSON well formed",
            2 * bytes / 1_000_000
        ),
    );
}

#[test]
fn binary_output_comes_back_as_it_was() {
    binary(1_000_000);
}

#[cfg(feature = "faults")]
#[test]
fn much_binary_output_comes_back_as_it_was() {
    binary(50_000_000);
}

#[test]
fn a_line_of_100_mb() {
    const BYTES: usize = 100_000_000;
    let fleet = Fleet::new();
    fleet.toy("calm", &["-say", "calm"], "");
    fleet.write(
        "long/service.yml",
        format!("command: [sh, -c, \"head -c {BYTES} /dev/zero | tr '\\\\0' x; touch done; exec sleep 1000\"]\n"),
    );
    fleet.orchestra(&["start", "calm"]).ok();
    let supervisor = fleet.supervisor();
    let before = peak(supervisor);
    fleet.orchestra(&["start", "long"]).ok();
    let shim = parent(fleet.pid("long.1"));
    let mut own = 0;
    eventually("all of it to be written", || {
        own = own.max(private(shim));
        fleet.path("long/done").exists().then_some(())
    });
    let grown = peak(supervisor) - before;
    fleet.orchestra(&["stop", "long"]).ok();
    let raw = fleet.orchestra(&["logs", "long", "--raw"]).ok().bytes;
    assert_eq!(raw.len(), BYTES);
    assert!(raw.iter().all(|byte| *byte == b'x'));
    fleet.orchestra(&["stop"]).ok();
    assert!(own < 4 * 1024, "{own} KiB");
    assert!(grown < 20 * 1024, "{grown} KiB");
    let message =
        format!("one line of 100 MB: reassembled exactly; shim at most {own} KiB of its own, supervisor +{grown} KiB");
    report::record(28, message);
}

/// Kibibytes of a process that it shares with no other. Pages of the program itself are the kernel's to keep or to drop.
fn private(pid: i32) -> i64 {
    status(pid, "RssAnon:")
}

/// Kibibytes a process has had resident at most.
fn peak(pid: i32) -> i64 {
    status(pid, "VmHWM:")
}

fn parent(pid: i32) -> i32 {
    status(pid, "PPid:") as i32
}

fn status(pid: i32, field: &str) -> i64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
