//! A line in one row: `ERR provider declined code=card_declined order=88213`. Whatever a field's name says is secret is stars.

use super::{Field, Format, Role, Shape, Value};
use crate::config::env;
use crate::logs::ansi::{Span, spans, text};
use crate::logs::escape::{Piece, Pieces};
use crate::logs::level::Level;

/// What a part of a line is, for whoever gives it a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// The three letters of a level.
    Level(Level),
    /// Who of the program says it.
    Logger,
    /// What is said.
    #[default]
    Message,
    /// The name of a field.
    Key,
    /// What went wrong.
    Error,
    /// A text.
    String,
    /// A number.
    Number,
    /// `true`, `false`
    Bool,
    /// Nothing.
    Null,
    /// Instead of a secret.
    Secret,
    /// A place in the code.
    Place,
    /// What stands between other parts.
    Mark,
}

/// Instead of a secret.
const STARS: &str = "********";

/// The whole line in one row, without its time, place and stack, which have columns and rows of their own. Holds no control character.
pub fn one_line(shape: &Shape) -> Vec<Span<Ink>> {
    let mut out = Spans::default();
    if let Some(level) = shape.level.filter(|_| shape.format != Format::Plain) {
        out.word(Ink::Level(level), level.short());
    }
    let logger = shape.fields.iter().find(|field| field.role == Role::Logger);
    if let Some(name) = logger.and_then(|field| field.value.as_str()) {
        out.word(Ink::Logger, &harmless(name));
        out.push(Ink::Mark, ":");
    }
    if shape.format == Format::Plain {
        // As it stands, tabs as blanks.
        out.push(Ink::Message, &without_secrets(&text(&spans(shape.message.as_bytes()))));
    } else if !shape.message.is_empty() {
        out.gap();
        out.push(Ink::Message, &without_secrets(&harmless(&shape.message)));
    }
    for field in shape.fields.iter().filter(|field| matches!(field.role, Role::Error | Role::Other)) {
        pair(&mut out, field);
    }
    out.spans
}

/// A text in which `password=hunter2` is a secret too: names with `=` are judged as names of fields are, and passwords of URLs
/// are hidden. For plain lines that are drawn with their own looks.
pub fn without_secrets(text: &str) -> String {
    let text = env::hide_passwords(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('=') {
        let before = &rest[..at];
        let start = before.rfind([' ', '[', '(', '{', ',', ';', '?', '&']).map_or(0, |edge| edge + 1);
        let name = before[start..].trim_matches('"');
        let value = &rest[at + 1..];
        out.push_str(&rest[..=at]);
        rest = value;
        if !name.is_empty() && env::is_secret(name) {
            let len = match value.strip_prefix('"').and_then(|inner| inner.find('"')) {
                Some(len) => len + 2,
                None => value.find([' ', ']', ')', '}', ',', ';', '&']).unwrap_or(value.len()),
            };
            out.push_str(if len > 0 { STARS } else { "" });
            rest = &value[len..];
        }
    }
    out + rest
}

fn pair(out: &mut Spans, field: &Field) {
    out.gap();
    out.push(Ink::Key, &harmless(&field.key));
    out.push(Ink::Mark, "=");
    compact(out, &field.key, &field.value, field.role == Role::Error);
}

/// A value in the row: strings with quotes where they need them, JSON without blanks.
fn compact(out: &mut Spans, key: &str, value: &Value, is_error: bool) {
    match value {
        Value::Object(_) | Value::List(_) => json(out, key, value),
        _ => {
            let (mut ink, shown) = scalar(key, value);
            if is_error && ink == Ink::String {
                ink = Ink::Error;
            }
            let quoted = matches!(value, Value::String(_)) && ink != Ink::Secret && needs_quotes(&shown);
            out.push(ink, &if quoted { format!("\"{}\"", shown.replace('"', "\\\"")) } else { shown });
        }
    }
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '"', '=', '\\'])
}

/// JSON in one row; what is below a secret name is secret.
pub(super) fn json(out: &mut Spans, key: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            out.push(Ink::Mark, "{");
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(Ink::Mark, ",");
                }
                out.push(Ink::Key, &quoted(name));
                out.push(Ink::Mark, ":");
                json(out, if env::is_secret(key) { key } else { name }, value);
            }
            out.push(Ink::Mark, "}");
        }
        Value::List(items) => {
            out.push(Ink::Mark, "[");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(Ink::Mark, ",");
                }
                json(out, key, item);
            }
            out.push(Ink::Mark, "]");
        }
        _ => {
            let (ink, shown) = scalar(key, value);
            let is_text = matches!(value, Value::String(_));
            out.push(ink, &if is_text { format!("\"{}\"", shown.replace('"', "\\\"")) } else { shown });
        }
    }
}

/// A single value as it may be seen: harmless, and stars where it is secret.
fn scalar(key: &str, value: &Value) -> (Ink, String) {
    match value {
        Value::Null => (Ink::Null, "null".to_owned()),
        Value::Bool(truth) => (Ink::Bool, truth.to_string()),
        Value::Number(_) if env::is_secret(key) => (Ink::Secret, STARS.to_owned()),
        Value::Number(digits) => (Ink::Number, digits.clone()),
        Value::String(text) if env::is_secret(key) && !text.is_empty() => (Ink::Secret, STARS.to_owned()),
        Value::String(text) => (Ink::String, without_secrets(&harmless(text))),
        Value::Object(_) | Value::List(_) => (Ink::Mark, String::new()),
    }
}

/// A name as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", harmless(text).replace('"', "\\\""))
}

/// Text without commands to a terminal, newlines and tabs as one writes them in a program.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in Pieces::new(text.as_bytes()) {
        match piece {
            Piece::Ascii(text) => out.push_str(text),
            Piece::Wide(char) => out.push(char),
            Piece::Tab => out.push_str("\\t"),
            Piece::Return => out.push_str("\\r"),
            Piece::Break => out.push_str("\\n"),
            Piece::Invalid => out.push(char::REPLACEMENT_CHARACTER),
            Piece::Sgr(_) | Piece::Hidden => {}
        }
    }
    out
}

/// Spans as they grow.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) spans: Vec<Span<Ink>>,
}

impl Spans {
    pub(super) fn push(&mut self, ink: Ink, text: &str) {
        match self.spans.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.style == ink => last.text.push_str(text),
            _ => self.spans.push(Span { text: text.to_owned(), style: ink }),
        }
    }

    /// A blank, but not at the beginning.
    pub(super) fn gap(&mut self) {
        if !self.spans.is_empty() {
            self.push(Ink::Mark, " ");
        }
    }

    fn word(&mut self, ink: Ink, text: &str) {
        self.gap();
        self.push(ink, text);
    }
}
