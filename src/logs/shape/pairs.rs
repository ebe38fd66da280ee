//! `key=value key="a value"`, as slog, logrus, klog and others write it.

use super::{Value, quoted, value};

/// A longer name is no name.
const LONGEST_KEY: usize = 100;

type Pairs = Vec<(String, Value)>;

/// A text that is nothing but pairs, two at least.
pub(super) fn all(text: &str) -> Option<Pairs> {
    let (message, pairs) = trailing(text);
    (message.is_empty() && pairs.len() >= 2).then_some(pairs)
}

/// What is said before the pairs at the end of a text, and the pairs. Each part of the text is looked at once.
pub(super) fn trailing(text: &str) -> (&str, Pairs) {
    let (mut pairs, mut begin) = (Pairs::new(), text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        if blanks > 0 {
            at += blanks;
            continue;
        }
        match pair(rest) {
            Some((pair, len)) => {
                begin = if pairs.is_empty() { at } else { begin };
                pairs.push(pair);
                at += len;
            }
            None => {
                pairs.clear();
                begin = text.len();
                at += rest.find(' ').unwrap_or(rest.len());
            }
        }
    }
    (text[..begin].trim_end(), pairs)
}

/// One pair at the beginning of a text, with a blank or nothing behind it.
fn pair(text: &str) -> Option<((String, Value), usize)> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b'@' | b':');
    let name = text.bytes().take(LONGEST_KEY).take_while(|b| is_name(b)).count();
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '@');
    if !starts || text.as_bytes().get(name) != Some(&b'=') {
        return None;
    }
    let rest = &text[name + 1..];
    let (value, len) = match rest.as_bytes().first() {
        Some(b'"') => quoted::read(rest).map(|(text, len)| (Value::String(text), len))?,
        Some(b'{' | b'[') => value::json(rest).filter(|(_, len)| ends(rest, *len)).unwrap_or_else(|| bare(rest)),
        _ => bare(rest),
    };
    ends(rest, len).then(|| ((text[..name].to_owned(), value), name + 1 + len))
}

fn bare(text: &str) -> (Value, usize) {
    let len = text.find(' ').unwrap_or(text.len());
    (Value::bare(&text[..len]), len)
}

fn ends(text: &str, len: usize) -> bool {
    matches!(text.as_bytes().get(len), None | Some(b' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> Value {
        Value::String(value.to_owned())
    }

    /// A line, its message, its pairs.
    type Case = (&'static str, &'static str, Vec<(&'static str, Value)>);

    #[test]
    fn messages_and_pairs() {
        let number = |digits: &str| Value::Number(digits.to_owned());
        let cases: [Case; 11] = [
            (
                "db unreachable err=\"a b\" attempt=3",
                "db unreachable",
                vec![("err", text("a b")), ("attempt", number("3"))],
            ),
            ("a=b words c=d", "a=b words", vec![("c", text("d"))]),
            ("a=b words", "a=b words", vec![]),
            ("", "", vec![]),
            ("empty= x=\"\"", "", vec![("empty", text("")), ("x", text(""))]),
            (
                "m={\"a\": 1} l=[1,2]",
                "",
                vec![
                    ("m", Value::Object(vec![("a".to_owned(), number("1"))])),
                    ("l", Value::List(vec![number("1"), number("2")])),
                ],
            ),
            ("m={a:1 b:2}", "m={a:1 b:2}", vec![]),
            ("l=[1 2] x=1", "l=[1 2]", vec![("x", number("1"))]),
            ("open=\"never x=1", "open=\"never", vec![("x", number("1"))]),
            ("a=b=c eq=\"x=y\"", "", vec![("a", text("b=c")), ("eq", text("x=y"))]),
            ("1=2 =3 é=4", "1=2 =3 é=4", vec![]),
        ];
        for (line, message, pairs) in cases {
            let pairs: Pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            assert_eq!(trailing(line), (message, pairs), "{line}");
        }
        assert!(all("level=info msg=hi").is_some());
        assert!(all("hi level=info msg=hi").is_none());
        assert!(all("one=1").is_none());
    }

    proptest! {
        #[test]
        fn anything_is_read(line in "[ab=\" {}\\[\\]\\\\ž1]{0,60}") {
            let (message, _) = trailing(&line);
            prop_assert!(line.starts_with(message));
        }
    }
}
