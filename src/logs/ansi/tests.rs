//! Real lines, and any bytes.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::{Color, Effect, Effects, Span, Style, cut, spans, text, width, wrap};

fn colored(color: Color) -> Style {
    Style { foreground: color, ..Style::default() }
}

fn plain(line: &[u8]) -> String {
    text(&spans(line))
}

fn words(rows: &[Vec<Span<Style>>]) -> Vec<String> {
    rows.iter().map(|row| text(row)).collect()
}

#[test]
fn looks_are_kept() {
    let dim = Style { foreground: Color::Ansi(8), ..Style::default() };
    let zerolog = b"\x1b[90m12:58AM\x1b[0m \x1b[31mERR\x1b[0m \x1b[1mmain.go:47\x1b[0m\x1b[36m >\x1b[0m db unreachable";
    let bold = Style { effects: Effects::default().with(Effect::Bold), ..Style::default() };
    let span = |text: &str, style| Span { text: text.to_owned(), style };
    assert_eq!(
        spans(zerolog),
        [
            span("12:58AM", dim),
            span(" ", Style::default()),
            span("ERR", colored(Color::Ansi(1))),
            span(" ", Style::default()),
            span("main.go:47", bold),
            span(" >", colored(Color::Ansi(6))),
            span(" db unreachable", Style::default()),
        ]
    );
    assert_eq!(spans(b"\x1b[31m\x1b[0m\x1b[m"), []);
    assert_eq!(spans(b"a\x1b[31m\x1b[39mb"), [span("ab", Style::default())]);
}

#[test]
fn nothing_else_is() {
    let cases: [(&[u8], &str); 26] = [
        (b"", ""),
        (b"a\x1b]52;c;ZXZpbA==\x07b", "ab"),
        (b"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        (b"a\x1b]0;never ended", "a0;never ended"),
        (b"a\x1bPq#0\x1b\\b\x1b_app\x1b\\c\x1b^pm\x1b\\d\x1bXsos\x1b\\e", "abcde"),
        (b"a\x1b[2J\x1b[H\x1b[?1049h\x1b[>4;1m\x1b[6nb", "ab"),
        (b"a\x1bcb\x1b(0c\x1b", "abc"),
        (b"a\x1b[31", "a"),
        (b"\x1b[38;5", ""),
        (b"a\xc2\x9b31mb\xc2\x9d0;t\xc2\x9cc\xc2\x85d", "abcd"),
        (b"\x00a\x08\x07\x7fb", "ab"),
        (b"a\xffb\xe2\x82", "a\u{fffd}b\u{fffd}"),
        ("a\u{202e}b\u{2066}c\u{2028}d\u{200f}".as_bytes(), "abcd"),
        (b"done\r", "done"),
        (b"done\r\r", "done"),
        (b"10%\r20%\r100%", "100%"),
        (b"10%\r\x1b[K20%", "20%"),
        // Nothing came after it: what was there is still to be read.
        (b"10%\r\x1b[K", "10%"),
        (b"\rx", "x"),
        (b"a\nb\x0bc\x0cd", "a b c d"),
        (b"\tx", "        x"),
        (b"abc\tx", "abc     x"),
        (b"abcdefgh\tx", "abcdefgh        x"),
        (b"a\x1b[31mb\x1b[0mc\td\te", "abc     d       e"),
        ("日本\tx".as_bytes(), "日本    x"),
        (b"abcdef\rab\tx", "ab      x"),
    ];
    for (line, expected) in cases {
        assert_eq!(plain(line), expected, "{:?}", String::from_utf8_lossy(line));
    }
    assert_eq!(plain("e\u{301}\tx".as_bytes()), "e\u{301}       x");
    assert_eq!(plain(b"\r\tx"), "        x");
}

#[test]
fn an_overwritten_line_keeps_its_last_look() {
    assert_eq!(spans(b"\x1b[31mold\rnew"), [Span { text: "new".to_owned(), style: colored(Color::Ansi(1)) }]);
}

#[test]
fn rows() {
    let cases: [(&str, usize, &[&str]); 10] = [
        ("", 4, &[""]),
        ("abcd", 4, &["abcd"]),
        ("abcde", 4, &["abcd", "e"]),
        ("日本語", 4, &["日本", "語"]),
        ("日本語", 3, &["日", "本", "語"]),
        ("日本", 1, &["日", "本"]),
        ("abce\u{301}f", 4, &["abce\u{301}", "f"]),
        ("abc👩‍👩‍👧x", 4, &["abc", "👩‍👩‍👧x"]),
        ("ab🇨🇿🇨🇿", 4, &["ab🇨🇿", "🇨🇿"]),
        ("ab", 0, &["a", "b"]),
    ];
    for (line, width, expected) in cases {
        assert_eq!(words(&wrap(&spans(line.as_bytes()), width)), expected, "{line} in {width}");
    }
    let rows = wrap(&spans(b"ab\x1b[31mcdef\x1b[0mg"), 3);
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(rows[1][0].style, colored(Color::Ansi(1)));
}

#[test]
fn windows() {
    let cases: [(&str, usize, usize, &str); 12] = [
        ("abcdef", 0, 3, "abc"),
        ("abcdef", 2, 3, "cde"),
        ("abcdef", 4, 9, "ef"),
        ("abcdef", 9, 3, ""),
        ("abcdef", 2, 0, ""),
        ("日本語x", 0, 5, "日本"),
        ("日本語x", 1, 5, " 本語"),
        ("日本語x", 2, 9, "本語x"),
        ("日本語x", 6, usize::MAX, "x"),
        ("e\u{301}e\u{301}x", 0, 2, "e\u{301}e\u{301}"),
        ("e\u{301}e\u{301}x", 1, 2, "e\u{301}x"),
        ("日\x1b[31m本\x1b[0m語x", 3, 4, " 語x"),
    ];
    for (line, from, width, expected) in cases {
        assert_eq!(text(&cut(&spans(line.as_bytes()), from, width)), expected, "{line} from {from}, {width}");
    }
}

/// Bytes that mean something more often than chance would have it.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let bits: [&[u8]; 22] = [
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"31",
        b"m",
        b";",
        b":",
        b"38;5;",
        b"\x07",
        b"\x1b\\",
        b"\xc2\x9b",
        b"\x9b",
        b"\r",
        b"\n",
        b"\t",
        b"text",
        "日".as_bytes(),
        "e\u{301}".as_bytes(),
        "👩‍👩‍👧".as_bytes(),
        "\u{200d}".as_bytes(),
        "\u{202e}".as_bytes(),
        "🇨🇿".as_bytes(),
    ];
    let bit = prop_oneof![
        prop::sample::select(bits.to_vec()).prop_map(<[u8]>::to_vec),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(bit, 0..40).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn what_is_shown_is_harmless(line in lines()) {
        let spans = spans(&line);
        let shown = text(&spans);
        prop_assert!(!shown.chars().any(|c| c.is_control() || crate::logs::escape::is_hidden(c)), "{:?}", shown);
        prop_assert!(shown.len() <= 8 * line.len());
        prop_assert!(spans.iter().all(|span| !span.text.is_empty()), "{:?}", spans);
        prop_assert!(spans.windows(2).all(|two| two[0].style != two[1].style), "{:?}", spans);
        prop_assert_eq!(plain(shown.as_bytes()), shown);
    }

    #[test]
    fn rows_together_are_the_line(line in lines(), columns in 1_usize..20) {
        let spans = spans(&line);
        let rows = wrap(&spans, columns);
        prop_assert_eq!(words(&rows).concat(), text(&spans));
        prop_assert!(rows.len() <= 1 + text(&spans).len());
        for row in &rows {
            // What takes no column (a mark, a joiner) may stand beside it.
            let alone = text(row).graphemes(true).filter(|part| part.width() > 0).count() == 1;
            prop_assert!(width(row) <= columns || alone, "{:?} in {}", row, columns);
            // Nothing is cut through: the parts of a row are those of the line.
            let parts = |spans: &[Span<Style>]| spans.iter().map(|s| s.text.graphemes(true).count()).sum::<usize>();
            prop_assert!(parts(row) > 0 || rows.len() == 1);
        }
        let whole: usize = spans.iter().map(|s| s.text.graphemes(true).count()).sum();
        let broken: usize = rows.iter().flatten().map(|s| s.text.graphemes(true).count()).sum();
        prop_assert_eq!(whole, broken);
    }

    #[test]
    fn a_window_is_never_wider(line in lines(), from in 0_usize..30, columns in 0_usize..20) {
        let spans = spans(&line);
        prop_assert!(width(&cut(&spans, from, columns)) <= columns);
        prop_assert_eq!(text(&cut(&spans, 0, usize::MAX)), text(&spans));
    }
}
