//! `vendors exec`: standard input, arguments, exit code and both outputs are those of the command.

use std::io::Write;
use std::process::Stdio;

use crate::support::Vendors;

use super::{POSTGRES, REDIS};

#[test]
fn what_is_piped_in_reaches_the_client() {
    let Some(fleet) = Vendors::new("exec", &format!("vendors:\n{POSTGRES}")) else { return };
    fleet.orchestra(&["start"]).ok();
    let piped = |args: &[&str], input: &[u8]| {
        let mut command = fleet.command(&[&["vendors", "exec", "postgres"], args].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        (out.status.code(), out.stdout, String::from_utf8(out.stderr).unwrap())
    };
    let (code, out, _) = piped(&["psql", "-U", "postgres", "-At"], b"select 1;\nselect 'zwei';\n");
    assert_eq!((code, String::from_utf8(out).unwrap().as_str()), (Some(0), "1\nzwei\n"));
    // Every byte comes through, both ways.
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n * 7 % 256) as u8).collect();
    let (code, out, _) = piped(&["cat"], &bytes);
    assert_eq!((code, out.len()), (Some(0), bytes.len()));
    assert!(out == bytes);
    let (code, _, said) = piped(&["psql", "-U", "nobody", "-c", "select 1"], b"");
    assert!(code == Some(2) && said.contains("nobody"), "psql's own code and words: {code:?} {said}");
}

#[test]
fn code_arguments_user_folder_and_environment_are_passed() {
    let Some(fleet) = Vendors::new("args", &format!("vendors:\n{REDIS}")) else { return };
    fleet.orchestra(&["start"]).ok();
    for code in [0, 1, 7, 255] {
        fleet.orchestra(&["vendors", "exec", "redis", "sh", "-c", &format!("exit {code}")]).exits(code);
    }
    let script = "echo \"$1 $A $PWD $(id -u)\"; echo wrong >&2";
    let args = ["vendors", "exec", "-e", "A=b c", "-u", "999", "-w", "/tmp", "redis", "sh", "-c", script, "x", "-o  y"];
    let out = fleet.orchestra(&args).ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("-o  y b c /tmp 999\n", "wrong\n"));
    let lines = fleet.orchestra(&["-o", "json", "vendors", "exec", "redis", "sh", "-c", "printf 'a\\nb'; exit 3"]).exits(3);
    let lines: Vec<String> = lines.json_lines().iter().map(ToString::to_string).collect();
    assert_eq!(lines, [r#"{"stream":"stdout","line":"a"}"#, r#"{"stream":"stdout","line":"b"}"#, r#"{"code":3}"#]);
    let missing = fleet.orchestra(&["vendors", "exec", "redis", "no-such-program"]);
    assert!(matches!(missing.code, Some(126 | 127)), "{missing:?}");
}

#[test]
fn who_does_not_run_is_named_with_what_to_type() {
    let Some(fleet) = Vendors::new("idle", &format!("vendors:\n{REDIS}")) else { return };
    let out = fleet.orchestra(&["vendors", "exec", "redis", "true"]).exits(1);
    assert!(out.stderr.contains("orchestra vendors up redis"), "{}", out.stderr);
    fleet.orchestra(&["vendors", "exec", "redsi", "true"]).exits(2);
}
