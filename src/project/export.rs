//! `export KEY='value'` lines that every POSIX shell takes, whatever the bytes; or, for a terminal, with what could command it escaped.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::env::{Origin, Variable, masked};
use crate::logs::escape::is_hidden;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Between single quotes, which every shell takes, byte for byte.
    Exact,
    /// The same, but a value with control characters as `$'\x1b…'`, which bash, zsh and ksh take: for a terminal.
    Visible,
}

/// The lines of all variables but the caller's own. Names that no shell takes are left out; the second value lists them.
pub fn lines(variables: &BTreeMap<OsString, Variable>, quoting: Quoting) -> (Vec<u8>, Vec<String>) {
    let (mut out, mut skipped) = (Vec::new(), Vec::new());
    for (key, variable) in variables.iter().filter(|(_, variable)| variable.origin != Origin::Caller) {
        if !is_name(key) {
            skipped.push(key.to_string_lossy().into_owned());
            continue;
        }
        out.extend_from_slice(b"export ");
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        match quoting {
            Quoting::Visible if !is_harmless(&variable.value) => {
                out.extend_from_slice(escape(&variable.value).as_bytes())
            }
            Quoting::Exact | Quoting::Visible => out.extend_from_slice(&quote(&variable.value)),
        }
        out.push(b'\n');
    }
    (out, skipped)
}

/// A variable as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub key: String,
    /// Its value; a secret is masked.
    pub value: String,
    /// Where it comes from, in a few words.
    pub from: &'static str,
}

/// What files and orchestra set, as it may be shown: without the caller's variables and the addresses of others, secrets masked.
pub fn shown(variables: &BTreeMap<OsString, Variable>) -> Vec<Shown> {
    let set = variables.iter().filter(|(_, variable)| !matches!(variable.origin, Origin::Caller | Origin::Found));
    let text = |text: &OsStr| text.to_string_lossy().into_owned();
    let value = |key: &OsStr, variable: &Variable| match variable.origin {
        // Ports, names and numbers, also those of a service called `auth`.
        Origin::Orchestra => text(&variable.value),
        _ => masked(&text(key), &text(&variable.value)),
    };
    set.map(|(key, variable)| Shown { key: text(key), value: value(key, variable), from: variable.origin.words() })
        .collect()
}

/// A text between single quotes, each of its own as `'\''`.
pub fn quote(text: &OsStr) -> Vec<u8> {
    let mut out = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => out.extend_from_slice(br"'\''"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\'');
    out
}

fn is_harmless(text: &OsStr) -> bool {
    text.to_str().is_some_and(|text| !text.chars().any(commands))
}

/// What a terminal would obey, or what would mislead its reader.
fn commands(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || is_hidden(c)
}

/// A text between `$'` and `'` with escapes for all that is not plain text.
fn escape(text: &OsStr) -> String {
    let mut out = "$'".to_owned();
    for chunk in text.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => out.extend(['\\', c]),
                c if commands(c) => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out += &format!("\\x{byte:02x}"))
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out += &format!("\\x{byte:02x}"));
    }
    out + "'"
}

fn is_name(key: &OsStr) -> bool {
    let bytes = key.as_bytes();
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    plain && bytes.first().is_some_and(|byte| !byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_safe_for_a_shell() {
        let variable = |origin, value: &str| Variable { origin, value: value.into() };
        let all = BTreeMap::from([
            ("HOME".into(), variable(Origin::Caller, "/root")),
            ("A".into(), variable(Origin::Project, "it's $(touch x) `y` \\ \n z")),
            ("B.C".into(), variable(Origin::Project, "1")),
            ("EMPTY".into(), variable(Origin::Orchestra, "")),
        ]);
        let (text, skipped) = lines(&all, Quoting::Exact);
        assert_eq!(String::from_utf8(text).unwrap(), "export A='it'\\''s $(touch x) `y` \\ \n z'\nexport EMPTY=''\n");
        assert_eq!(skipped, ["B.C"]);
        let bytes = <OsStr as OsStrExt>::from_bytes(b"it's \x1b]0;x\x07 \xc2\x9b\xff \\");
        let nasty = BTreeMap::from([("A".into(), Variable { origin: Origin::Project, value: bytes.into() })]);
        assert_eq!(lines(&nasty, Quoting::Exact).0, [b"export A='it'\\''s ", &bytes.as_bytes()[5..], b"'\n"].concat());
        let visible = String::from_utf8(lines(&nasty, Quoting::Visible).0).unwrap();
        assert_eq!(visible, "export A=$'it\\'s \\x1b]0;x\\x07 \\xc2\\x9b\\xff \\\\'\n");
        let secret = BTreeMap::from([
            ("API_KEY".into(), variable(Origin::Service, "x")),
            ("HOME".into(), variable(Origin::Caller, "y")),
            ("HELLO_ADDR".into(), variable(Origin::Found, "127.0.0.1:81")),
            ("PORT_AUTH".into(), variable(Origin::Orchestra, "80")),
        ]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let told = shown(&secret).into_iter().map(|var| (var.key, var.value));
        assert_eq!(told.collect::<Vec<_>>(), [pair("API_KEY", "********"), pair("PORT_AUTH", "80")]);
        assert_eq!(shown(&secret)[0].from, "env of the service");
    }
}
