//! What a field means by its name: the names Go's usual loggers give to time, level, message, place and stack, and to ids of traces and requests.

use super::{Field, Value, time};
use crate::logs::level::{self, Level};

/// What a field is to its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// When it was written.
    Time,
    /// How bad it is.
    Level,
    /// What it says.
    Message,
    /// Who of the program says it.
    Logger,
    /// Where in the code it was written.
    Caller,
    /// A stack.
    Stack,
    /// What went wrong.
    Error,
    /// Anything else.
    #[default]
    Other,
}

const TIME: &[&str] = &["time", "ts", "timestamp", "@timestamp", "T", "t"];
const MESSAGE: &[&str] = &["msg", "message", "@message", "M", "short_message"];
const LOGGER: &[&str] = &["logger", "@module", "N", "log.logger"];
const CALLER: &[&str] = &["caller", "source", "@caller", "C", "file", "logging.googleapis.com/sourceLocation"];
/// What `pkg/errors` knows of where an error began is a stack too.
const STACK: &[&str] = &["stacktrace", "errorVerbose", "stack", "S", "stack_trace", "error.stack_trace"];
const ERROR: &[&str] = &["error", "err", "@error", "exception"];

/// The names of ids by which lines of several services belong together, without `_`, `-` and `.`, the most telling first.
const IDS: &[&str] = &[
    "traceid",
    "trace",
    "ddtraceid",
    "traceparent",
    "requestid",
    "reqid",
    "xrequestid",
    "correlationid",
    "xcorrelationid",
    "spanid",
    "ddspanid",
];

/// What the field can be, by its name and its value.
fn candidate(key: &str, value: &Value) -> Role {
    let is = |names: &[&str]| names.contains(&key);
    match value {
        _ if is(TIME) && time::of_value(value).is_some() => Role::Time,
        Value::String(word) if level::is_key(key) && Level::from_word(word.as_bytes()).is_some() => Role::Level,
        Value::Number(_) if level::is_key(key) => Role::Level,
        Value::String(_) if is(MESSAGE) => Role::Message,
        Value::String(_) if is(LOGGER) => Role::Logger,
        _ if is(CALLER) && super::caller::of_value(value).is_some() => Role::Caller,
        Value::String(text) if is(STACK) && text.contains('\n') => Role::Stack,
        Value::List(_) if is(STACK) => Role::Stack,
        _ if is(ERROR) => Role::Error,
        _ => Role::Other,
    }
}

/// Fields with what they are; of two that could be the same the first one is it, but stacks there may be several.
pub(super) fn assign(members: Vec<(String, Value)>) -> Vec<Field> {
    let mut seen = Vec::new();
    let one = |(key, value): (String, Value)| {
        let mut role = candidate(&key, &value);
        if !matches!(role, Role::Other | Role::Error | Role::Stack) {
            if seen.contains(&role) {
                role = Role::Other;
            }
            seen.push(role);
        }
        Field { key, value, role }
    };
    members.into_iter().map(one).collect()
}

/// How telling the name of an id is, 0 the most; `None` for other names.
pub(super) fn id_rank(key: &str) -> Option<usize> {
    if key.len() > 24 {
        return None;
    }
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    IDS.iter().position(|name| *name == plain)
}
