//! The place in the code that a line names.

use super::Value;

/// A place in a file. The file is as it was written: a whole path, the last two parts of one (zap), or only its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// `charge/charge.go:112`, and what may stand behind it: its length without the rest.
pub(super) fn read(text: &str) -> Option<(Caller, usize)> {
    let dot = text.find(".go:")?;
    let digits = text[dot + 4..].bytes().take_while(u8::is_ascii_digit).count();
    let len = dot + 4 + digits;
    let caller = Caller { file: text[..dot + 3].to_owned(), line: text[dot + 4..len].parse().ok()? };
    (!caller.file.contains(['\t', '"', ' ', '='])).then_some((caller, len))
}

/// A text that is a place and nothing else.
pub(super) fn whole(text: &str) -> Option<Caller> {
    let (caller, len) = read(text)?;
    (len == text.len()).then_some(caller)
}

/// What slog (`{"function":…,"file":…,"line":…}`), zap, zerolog, logrus or hclog write.
pub(super) fn of_value(value: &Value) -> Option<Caller> {
    match value {
        Value::String(text) => whole(text),
        Value::Object(_) => {
            let (Value::Number(line) | Value::String(line)) = value.get("line")? else { return None };
            Some(Caller { file: value.get("file")?.as_str()?.to_owned(), line: line.parse().ok()? })
        }
        _ => None,
    }
}
