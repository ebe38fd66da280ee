//! A value as a log line holds it, and JSON: in the order it was written, numbers digit for digit, names that come twice kept twice.

use super::quoted;

/// Deeper JSON is no log line.
const DEEPEST: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`
    Bool(bool),
    /// As it was written.
    Number(String),
    /// Text, its escapes read. May hold any character.
    String(String),
    /// `[…]`
    List(Vec<Value>),
    /// `{…}`
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a name in an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// What stands without quotes in a text: a number, a truth, nothing, else a string.
    pub(super) fn bare(text: &str) -> Value {
        match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" | "nil" | "<nil>" => Value::Null,
            _ if number(text.as_bytes()) == text.len() && !text.is_empty() => Value::Number(text.to_owned()),
            _ => Value::String(text.to_owned()),
        }
    }
}

/// Reads one JSON value at the beginning of a text; returns it and its length.
pub(super) fn json(text: &str) -> Option<(Value, usize)> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    Some((value, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        let rest = &self.text[self.at..];
        match rest.as_bytes().first()? {
            b'"' => self.string().map(Value::String),
            b'{' if depth < DEEPEST => self.object(depth + 1).map(Value::Object),
            b'[' if depth < DEEPEST => self.list(depth + 1).map(Value::List),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => {
                let len = number(rest.as_bytes());
                let digits = rest[..len].to_owned();
                self.at += len;
                (len > 0).then_some(Value::Number(digits))
            }
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Vec<(String, Value)>> {
        let mut members = Vec::new();
        self.at += 1;
        if self.takes(b'}') {
            return Some(members);
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.takes(b':').then_some(())?;
            members.push((name, self.value(depth)?));
            if self.takes(b'}') {
                return Some(members);
            }
            self.takes(b',').then_some(())?;
        }
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        self.at += 1;
        if self.takes(b']') {
            return Some(items);
        }
        loop {
            items.push(self.value(depth)?);
            if self.takes(b']') {
                return Some(items);
            }
            self.takes(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<String> {
        let (text, len) = quoted::read(&self.text[self.at..])?;
        self.at += len;
        Some(text)
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())?;
        Some(value)
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        let takes = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(takes);
        takes
    }

    fn blanks(&mut self) {
        let rest = self.text.as_bytes().iter().skip(self.at);
        self.at += rest.take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    }
}

/// The length of a number as JSON writes it; 0 where there is none.
fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(sign);
    if whole == 0 || (whole > 1 && bytes[sign] == b'0') {
        return 0;
    }
    let mut len = sign + whole;
    if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let power = digits(len + 1 + sign);
        len += if power > 0 { 1 + sign + power } else { 0 };
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &str) -> Value {
        Value::String(value.to_owned())
    }

    #[test]
    fn order_digits_and_doubles_are_kept() {
        let (value, len) = json(r#" {"b":1.50,"a":[null,true,"x"],"b":12345678901234567890} rest"#).unwrap();
        let list = Value::List(vec![Value::Null, Value::Bool(true), text("x")]);
        let number = |digits: &str| Value::Number(digits.to_owned());
        let members = [("b", number("1.50")), ("a", list), ("b", number("12345678901234567890"))];
        assert_eq!(value, Value::Object(members.map(|(key, value)| (key.to_owned(), value)).to_vec()));
        assert_eq!(len, 56);
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "{", "{]", "{\"a\"}", "{\"a\":}", "[1,]", "tru", "-", "01", "{\"a\":1,}", "\"open"] {
            assert!(json(text).is_none_or(|(_, len)| len < text.len()), "{text}");
        }
        assert!(json(&"[".repeat(100_000)).is_none());
        assert!(json(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_some());
        assert!(json(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_none());
    }

    #[test]
    fn bare_words() {
        let cases = [
            ("3", Value::Number("3".to_owned())),
            ("-1.5e3", Value::Number("-1.5e3".to_owned())),
            ("true", Value::Bool(true)),
        ];
        for (word, value) in cases {
            assert_eq!(Value::bare(word), value);
        }
        for word in ["12ms", "", "1.", "07", "abc", "-"] {
            assert_eq!(Value::bare(word), text(word));
        }
        assert_eq!(Value::bare("<nil>"), Value::Null);
    }

    fn from_serde(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::Number(number) => Value::Number(number.to_string()),
            serde_json::Value::String(string) => text(string),
            serde_json::Value::Array(items) => Value::List(items.iter().map(from_serde).collect()),
            serde_json::Value::Object(all) => {
                Value::Object(all.iter().map(|(k, v)| (k.clone(), from_serde(v))).collect())
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            (-1e9..1e9_f64).prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::hash_map(".{0,6}", inner, 0..6)
                    .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_json_is_read_as_serde_reads_it(value in any_json()) {
            let compact = value.to_string();
            prop_assert_eq!(json(&compact), Some((from_serde(&value), compact.len())));
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(json(&pretty), Some((from_serde(&value), pretty.len())));
        }

        #[test]
        fn anything_is_read(text in "[{}\\[\\]\",:truefalsn0-9.eE+\\- \\\\]{0,60}") {
            let read = json(&text);
            prop_assert!(read.as_ref().is_none_or(|(_, len)| *len <= text.len()));
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text)
                && !text.contains(['.', 'e', 'E'])
                && !text.contains("-0")
            {
                prop_assert!(matches!(read, Some((_, len)) if text[len..].trim().is_empty()), "{}", value);
            }
        }
    }
}
