//! The id by which a line belongs together with lines of other services.

use super::{Role, Shape, Value, key};

/// An id of a trace, a request or a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId {
    /// As the line names it.
    pub key: String,
    /// What to look for in other lines.
    pub value: String,
}

/// A shorter value is found everywhere and tells nothing.
const SHORTEST: usize = 4;

/// The most telling id a line holds: of a trace before one of a request before one of a span; fields before words.
pub fn trace_id(shape: &Shape) -> Option<TraceId> {
    let mut best: Option<(usize, TraceId)> = None;
    let mut offer = |name: &str, value: &str| {
        let Some(rank) = key::id_rank(name) else { return };
        let Some(value) = id(name, value) else { return };
        if best.as_ref().is_none_or(|(other, _)| rank < *other) {
            best = Some((rank, TraceId { key: name.to_owned(), value }));
        }
    };
    for field in &shape.fields {
        if field.role == Role::Message {
            continue;
        }
        walk(&field.key, &field.value, &mut offer);
    }
    best.map(|(_, id)| id).or_else(|| in_words(&shape.message))
}

fn walk(key: &str, value: &Value, offer: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) | Value::Number(text) => offer(key, text),
        Value::Object(members) => members.iter().for_each(|(key, value)| walk(key, value, offer)),
        // A header is a list with one text.
        Value::List(items) => items.iter().take(1).for_each(|item| walk(key, item, offer)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// `trace=7f3a` in the midst of words.
fn in_words(message: &str) -> Option<TraceId> {
    let is_edge = |c: char| c.is_whitespace() || "[](){},;".contains(c);
    let named = message.split(is_edge).filter_map(|word| word.split_once('='));
    named
        .filter_map(|(name, value)| {
            let name = name.trim_matches('"');
            Some((key::id_rank(name)?, TraceId { key: name.to_owned(), value: id(name, value.trim_matches('"'))? }))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, id)| id)
}

/// The value, where it can be an id.
pub(super) fn id(name: &str, value: &str) -> Option<String> {
    let plain = name.to_ascii_lowercase();
    let value = match plain.as_str() {
        // `00-<trace>-<span>-01`
        "traceparent" => value.split('-').nth(1)?,
        _ => value.trim(),
    };
    let is_id = value.len() >= SHORTEST
        && value.len() <= 128
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
        && value.bytes().any(|b| b != b'0' && b != b'-');
    // Nothing but a number says that this one is an id: it may be `trace=enabled` as well.
    let sure = plain != "trace" || value.bytes().any(|b| b.is_ascii_digit());
    (is_id && sure).then(|| value.to_owned())
}
