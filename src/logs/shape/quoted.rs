//! A text between double quotes as JSON and as Go write it.

/// Reads from the opening quote on: the text, and the length with both quotes. `None` without an end. Escapes of either kind are understood; one that
/// is none stays as it is, and half of a pair of surrogates becomes U+FFFD.
pub(super) fn read(text: &str) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut out = String::new();
    let mut at = 1;
    loop {
        let next = at + memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        out.push_str(&text[at..next]);
        if bytes[next] == b'"' {
            return Some((out, next + 1));
        }
        let len = escape(&text[next + 1..], &mut out)?;
        at = next + 1 + len;
    }
}

/// Reads what stands behind a backslash and returns its length.
fn escape(text: &str, out: &mut String) -> Option<usize> {
    let first = text.chars().next()?;
    let simple = match first {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'a' => '\u{7}',
        'v' => '\u{b}',
        '"' | '\\' | '/' | '\'' => first,
        'u' => return Some(unicode(text, out)),
        'U' => return Some(number(text, 1, 8, 16, out)),
        'x' => return Some(number(text, 1, 2, 16, out)),
        '0'..='3' => return Some(number(text, 0, 3, 8, out)),
        _ => {
            out.extend(['\\', first]);
            return Some(first.len_utf8());
        }
    };
    out.push(simple);
    Some(1)
}

/// `uD83D\uDE00`
fn unicode(text: &str, out: &mut String) -> usize {
    let Some(high) = digits(text, 1, 4, 16) else { return number(text, 1, 4, 16, out) };
    let low = text.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| digits(text, 7, 4, 16));
    match (high, low) {
        (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            11
        }
        _ => number(text, 1, 4, 16, out),
    }
}

/// A character by its number; where the digits are missing the text stays.
fn number(text: &str, from: usize, n: usize, radix: u32, out: &mut String) -> usize {
    match digits(text, from, n, radix) {
        // A byte of Go that is no character of its own is a piece of something that was none.
        Some(0x80..) if from + n == 3 => out.push(char::REPLACEMENT_CHARACTER),
        Some(code) => out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        None => {
            out.push('\\');
            out.push_str(&text[..1]);
            return 1;
        }
    }
    from + n
}

fn digits(text: &str, from: usize, n: usize, radix: u32) -> Option<u32> {
    let digits = text.get(from..from + n)?;
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(digits, radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes() {
        let cases = [
            (r#""plain" rest"#, Some(("plain", 7))),
            (r#""a\"b\\c\/d""#, Some(("a\"b\\c/d", 12))),
            (r#""\n\t\r\b\f""#, Some(("\n\t\r\u{8}\u{c}", 12))),
            (r#""\u017elu\u0165""#, Some(("žluť", 16))),
            (r#""\ud83d\ude00!""#, Some(("😀!", 15))),
            (r#""\ud83d!""#, Some(("\u{fffd}!", 9))),
            (r#""\x1b[31m\x7f\xff\101""#, Some(("\u{1b}[31m\u{7f}\u{fffd}A", 22))),
            (r#""\U0001F600""#, Some(("😀", 12))),
            (r#""\q \u12 \x""#, Some(("\\q \\u12 \\x", 12))),
            ("\"\\ž\"", Some(("\\ž", 5))),
            (r#""open"#, None),
            (r#""open\"#, None),
            (r#"none"#, None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected.map(|(text, len)| (text.to_owned(), len)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_rust_would_write_for_json_is_read(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json), Some((text, json.len())));
        }

        #[test]
        fn anything_is_read(text in "\"[\"\\\\uxU0-9a-fdn ž]{0,30}") {
            if let Some((read, len)) = read(&text) {
                prop_assert!(len <= text.len() && read.len() <= 3 * len);
            }
        }
    }
}
