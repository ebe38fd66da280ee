//! Text for people: what came from a service or a file can hold anything, so it is made harmless before a terminal sees it.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::logs::escape::is_hidden;

/// The text without control characters and without what turns its direction, on one line; what was taken away is seen.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let one = |c: char| match c {
        '\t' | '\n' => ' ',
        c if c.is_control() || is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.trim_end().chars().map(one).collect())
}

/// JSON in which whatever could command a terminal is escaped; the values stay the same. JSON itself escapes C0 only.
pub fn escape_json(json: String) -> String {
    let commands = |c: char| c == '\u{7f}' || is_hidden(c);
    if !json.chars().any(commands) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of its strings JSON has none of them.
        if commands(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// Columns on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to `columns`, with `…` where something is missing.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        if width(&out) + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) + 1 > columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// `250ms`, `1.2s`, `3m05s`, `2h07m`, `5d03h`
pub fn time(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{:.1}s", (span.as_secs_f64() * 10.0).floor() / 10.0),
        _ => age(span),
    }
}

/// `12s`, `3m05s`, `2h07m`, `5d03h`
pub fn age(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// `12.0M`, with the unit that keeps it short.
pub fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["K", "M", "G", "T"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if value < 10.0 && unit != "B" { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(clean("plain ü"), "plain ü");
        assert_eq!(clean("a\x1b]52;x\x07\u{9b}b\nc\td"), "a\u{fffd}]52;x\u{fffd}\u{fffd}b c d");
        assert_eq!(clean("exe.\u{202e}gpj\u{2066}"), "exe.\u{fffd}gpj\u{fffd}");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = "a\u{9b}b\u{202e}c\x7f\x1b ü".to_owned();
        let json = escape_json(serde_json::to_string(&value).unwrap());
        assert_eq!(json, "\"a\\u009bb\\u202ec\\u007f\\u001b ü\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }

    #[test]
    fn spans_are_short() {
        let of = |ms| (time(Duration::from_millis(ms)), age(Duration::from_millis(ms)));
        assert_eq!(of(250), ("250ms".into(), "0s".into()));
        assert_eq!(of(1299), ("1.2s".into(), "1s".into()));
        assert_eq!(of(185_000), ("3m05s".into(), "3m05s".into()));
        assert_eq!(of(7_620_000).1, "2h07m");
        assert_eq!(of(442_800_000).1, "5d03h");
    }

    #[test]
    fn sizes_are_short() {
        let of: Vec<String> = [0, 999, 12_582_912, 3_000_000_000, 2 << 30].into_iter().map(size).collect();
        assert_eq!(of, ["0B", "999B", "12M", "2.8G", "2.0G"]);
    }
}
