//! Makes what a service wrote safe to show: text, tabs and colours remain; nothing else of it reaches a terminal.
//!
//! Removed are C0 and C1 controls, all escape sequences but colours (SGR), commands to the terminal (OSC, DCS, APC, PM, SOS) with their content, and the
//! characters that turn the direction of text. Invalid UTF-8 becomes U+FFFD. A colour that is left open is closed at the end.

use super::escape::{Piece, Pieces};
use super::reader::is_plain;

/// Whether colours of the service are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Kept, closed at the end of the line.
    Keep,
    /// Removed like all other sequences.
    Remove,
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
const RESET: &[u8] = b"\x1b[0m";

/// Appends `payload`, made safe, to `out`.
#[inline]
pub fn clean(payload: &[u8], colours: Colours, out: &mut Vec<u8>) {
    if is_plain(payload) && memchr::memchr(b'\n', payload).is_none() {
        out.extend_from_slice(payload);
    } else {
        rewrite(payload, colours, out);
    }
}

/// Appends text of several lines, each made safe; the newlines between them stay.
pub fn clean_lines(text: &[u8], colours: Colours, out: &mut Vec<u8>) {
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
        }
        clean(line, colours, out);
    }
}

#[cold]
fn rewrite(payload: &[u8], colours: Colours, out: &mut Vec<u8>) {
    let end = payload.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    let mut coloured = false;
    let mut buffer = [0; 4];
    for piece in Pieces::new(&payload[..end]) {
        match piece {
            Piece::Ascii(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Wide(char) => out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes()),
            Piece::Tab => out.push(b'\t'),
            // What a terminal would have moved to another place stays apart.
            Piece::Return | Piece::Break => out.push(b' '),
            Piece::Invalid => out.extend_from_slice(REPLACEMENT),
            Piece::Sgr(look) if colours == Colours::Keep => {
                coloured = !matches!(look, b"" | b"0" | b"00");
                out.extend_from_slice(b"\x1b[");
                out.extend_from_slice(look);
                out.push(b'm');
            }
            Piece::Sgr(_) | Piece::Hidden => {}
        }
    }
    if coloured {
        out.extend_from_slice(RESET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::escape::is_hidden;
    use proptest::prelude::*;

    fn with(colours: Colours, payload: &[u8]) -> String {
        let mut out = Vec::new();
        clean(payload, colours, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_and_colours_remain() {
        assert_eq!(with(Colours::Keep, "plain\ttext, žluťoučký 🐎".as_bytes()), "plain\ttext, žluťoučký 🐎");
        assert_eq!(with(Colours::Keep, b"\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(with(Colours::Keep, b"\x1b[38:2::1:2:3mopen"), "\x1b[38:2::1:2:3mopen\x1b[0m");
        assert_eq!(with(Colours::Remove, b"\x1b[1;31mred\x1b[0m"), "red");
    }

    #[test]
    fn lines_stay_lines() {
        let mut out = Vec::new();
        clean_lines(b"one\x1b[2J\n\n\x1b[31mtwo\r\nthree\n", Colours::Keep, &mut out);
        assert_eq!(out, b"one\n\n\x1b[31mtwo\x1b[0m\nthree\n");
    }

    #[test]
    fn everything_else_goes() {
        let cases: [(&[u8], &str); 22] = [
            (b"a\x1b]52;c;ZXZpbA==\x07b", "ab"),
            (b"a\x1b]0;title\x1b\\b", "ab"),
            (b"a\x1b]0;never ended", "a0;never ended"),
            (b"a\x1bPq#0\x1b\\b", "ab"),
            (b"a\x1b_app\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd"),
            (b"a\x1b[6nb", "ab"),
            (b"a\x1b[2J\x1b[Hb", "ab"),
            (b"a\x1b[?1049hb", "ab"),
            (b"a\x1b[>4;1mb", "ab"),
            (b"a\x1bcb", "ab"),
            (b"a\x1b(0b", "ab"),
            (b"a\x1b", "a"),
            (b"a\x1b[", "a"),
            (b"a\x1b[31", "a"),
            (b"a\xc2\x9b6nb", "ab"),
            (b"a\xc2\x9d0;t\xc2\x9cb", "ab"),
            (b"a\x9b6nb", "a\u{fffd}6nb"),
            (b"a\xffb\xe2\x82", "a\u{fffd}b\u{fffd}"),
            (b"\x00\x08a\x07\x7fb\r\r", "ab"),
            (b"10%\r20%", "10% 20%"),
            ("a\u{202e}b\u{2066}c".as_bytes(), "abc"),
            (b"\x1b\x1b[31m\x1b]x", "x"),
        ];
        for (payload, expected) in cases {
            assert_eq!(with(Colours::Remove, payload), expected, "{payload:?}");
        }
    }

    /// Only text, tabs and colours.
    fn is_safe(mut text: &str) -> bool {
        while let Some(at) = text.find(|c: char| (c.is_control() && c != '\t') || is_hidden(c)) {
            let Some(rest) = text[at..].strip_prefix("\x1b[") else { return false };
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == ':');
            let Some(rest) = rest.strip_prefix('m') else { return false };
            text = rest;
        }
        true
    }

    fn nasty() -> impl Strategy<Value = Vec<u8>> {
        let bits: [&[u8]; 16] = [
            b"\x1b",
            b"[",
            b"]",
            b"31",
            b"m",
            b"\x07",
            b"\x1b\\",
            b"\xc2\x9b",
            b"\xc2",
            b"\x9b",
            b"P",
            b"\x1b[0m",
            b"text",
            b"\r",
            b"\n",
            "\u{202e}".as_bytes(),
        ];
        let bit = prop_oneof![
            prop::sample::select(bits.to_vec()).prop_map(<[u8]>::to_vec),
            any::<u8>().prop_map(|byte| vec![byte]),
        ];
        prop::collection::vec(bit, 0..40).prop_map(|bits| bits.concat())
    }

    proptest! {
        #[test]
        fn output_is_safe(payload in nasty()) {
            let kept = with(Colours::Keep, &payload);
            prop_assert!(is_safe(&kept), "{kept:?}");
            let removed = with(Colours::Remove, &payload);
            prop_assert!(is_safe(&removed) && !removed.contains('\x1b'), "{removed:?}");
            prop_assert_eq!(with(Colours::Remove, removed.as_bytes()), removed);
        }
    }
}
