//! Every sequence at once, byte by byte, late and broken.

use proptest::prelude::*;

use super::*;
use crate::tui::keys::Key;

/// Inputs as people write them.
fn shown(inputs: &[Input]) -> Vec<String> {
    let one = |input: &Input| match input {
        Input::Event(Event::Key(event)) => Key::from_event(event).map_or("no key".to_owned(), |key| key.to_string()),
        Input::Event(Event::Mouse(mouse)) => format!("{:?} {},{}", mouse.kind, mouse.column, mouse.row),
        Input::Event(other) => format!("{other:?}"),
        Input::Background(background) => format!("{background:?}"),
    };
    inputs.iter().map(one).collect()
}

/// What these bytes are, all at once or one by one.
fn read(bytes: &[u8]) -> Vec<String> {
    let mut whole = Bytes::default();
    let mut at_once = whole.feed(bytes);
    at_once.extend(whole.flush());
    let mut pieces = Bytes::default();
    let mut one_by_one = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        // What comes with alt comes in one piece.
        let mut n = 1;
        while rest[n - 1] == 0x1b && rest.get(n).is_some_and(|byte| !INTRODUCERS.contains(byte)) {
            n += 1;
        }
        one_by_one.extend(pieces.feed(&rest[..n]));
        rest = &rest[n..];
    }
    one_by_one.extend(pieces.flush());
    assert_eq!(shown(&at_once), shown(&one_by_one), "{}", bytes.escape_ascii());
    shown(&at_once)
}

#[test]
fn keys_of_all_terminals() {
    let cases: [(&[u8], &[&str]); 24] = [
        (b"jG:", &["j", "G", ":"]),
        ("ü€😀".as_bytes(), &["ü", "€", "😀"]),
        (b"\r\t\x7f\x03\x1a", &["enter", "tab", "backspace", "ctrl-c", "ctrl-z"]),
        (b"\x1b", &["esc"]),
        (b"\x1b\x1b", &["esc", "esc"]),
        (b"\x1bx\x1b\r", &["alt-x", "alt-enter"]),
        (b"\x1b]", &["alt-]"]),
        (b"\x1b[", &["alt-["]),
        (b"\x1bO", &["alt-O"]),
        (b"\x1b[A\x1b[B\x1bOC\x1bOD", &["up", "down", "right", "left"]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH", &["home", "end", "home", "end", "home"]),
        (b"\x1b[5~\x1b[6~\x1b[3~", &["pgup", "pgdn", "delete"]),
        (b"\x1b[Z", &["s-tab"]),
        (b"\x1bOP\x1b[15~\x1b[24~\x1b[[A\x1b[[E", &["f1", "f5", "f12", "f1", "f5"]),
        (b"\x1b[1;5A\x1b[5;3~", &["ctrl-up", "alt-pgup"]),
        (b"\x1b[<64;10;20M\x1b[<65;1;1M", &["ScrollUp 9,19", "ScrollDown 0,0"]),
        (b"\x1b[<0;3;4M\x1b[<32;3;5M\x1b[<0;3;5m", &["Down(Left) 2,3", "Drag(Left) 2,4", "Up(Left) 2,4"]),
        (b"\x1b[M !\"", &["Down(Left) 0,1"]),
        (b"\x1b[200~a\x1b[A\nb\x1b[201~c", &["Paste(\"a\\u{1b}[A\\nb\")", "c"]),
        (b"\x1b[I\x1b[O", &["FocusGained", "FocusLost"]),
        // What other programs' questions are answered with is no key.
        (b"\x1b[?62;22c\x1b[24;80R\x1b[?997;1n\x1b[>1;2cx", &["x"]),
        (b"\x1bP>|term 1.0\x1b\\\x1b_any\x1b\\x", &["x"]),
        (b"\x1b[1\x03x", &["ctrl-c", "x"]),
        (b"\xff\xc3(x", &["(", "x"]),
    ];
    for (bytes, keys) in cases {
        assert_eq!(read(bytes), keys, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_answer_about_the_background_is_no_key() {
    for (answer, background) in [
        (&b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\"[..], "Dark"),
        (b"\x1b]11;rgb:ffff/ffff/ffff\x07", "Light"),
        (b"\x1b]11;rgb:fd/f6/e3\x07", "Light"),
        (b"\x1b]11;rgba:0000/2b2b/3636/ffff\x07", "Dark"),
        (b"\x1b]11;rgb:0/0/f\x07", "Dark"),
    ] {
        let text = [b"j", answer, b"k"].concat();
        assert_eq!(read(&text), ["j", background, "k"], "{}", text.escape_ascii());
    }
    for garbage in [
        &b"\x1b]11;rgb:zz/0/0\x07"[..],
        b"\x1b]11;rgb:12345678901234567890/0/0\x07",
        b"\x1b]11;rgb:///\x07",
        b"\x1b]11;rgb:ff\x07",
        b"\x1b]11;white\x1b\\",
        b"\x1b]10;rgb:ffff/ffff/ffff\x07",
        b"\x1b]\x07",
    ] {
        let text = [b"j", garbage, b"k"].concat();
        assert_eq!(read(&text), ["j", "k"], "{}", text.escape_ascii());
    }
}

#[test]
fn a_key_soon_after_escape_is_another_one() {
    let mut bytes = Bytes::default();
    assert_eq!(bytes.feed(b"\x1b"), []);
    assert_eq!(shown(&bytes.feed(b"q")), ["esc", "q"]);
}

#[test]
fn an_answer_in_pieces_is_waited_for_and_one_that_never_ends_is_dropped() {
    let mut bytes = Bytes::default();
    assert_eq!(bytes.feed(b"\x1b"), []);
    assert_eq!(bytes.patience(), Some(ESCAPE));
    assert_eq!(bytes.feed(b"]11;rgb:"), []);
    assert_eq!(bytes.patience(), Some(SEQUENCE));
    assert_eq!(bytes.feed(b"0/0/0\x1b\\"), [Input::Background(Background::Dark)]);
    assert_eq!(bytes.patience(), None);
    assert_eq!(bytes.feed(b"\x1b]11;rgb:"), []);
    assert_eq!(bytes.flush(), None);
    assert_eq!(shown(&bytes.feed(b"q")), ["q"]);
    assert_eq!(bytes.feed(&[b"\x1b]".as_slice(), &[b'x'; 2 * LONGEST]].concat()), []);
    assert_eq!(shown(&bytes.feed(b"q")), ["q"]);
}

proptest! {
    #[test]
    fn pieces_say_what_the_whole_says(bytes in proptest::collection::vec(
        prop_oneof![Just(0x1b_u8), Just(b'['), Just(b']'), Just(b'\\'), Just(b';'), Just(b'M'), Just(7), 0_u8..=255], 0..40
    )) {
        read(&bytes);
    }
}
