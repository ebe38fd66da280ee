//! What one log line says: its time, level, message, fields, place and stack, as Go's loggers write them; and how that is shown, on one line or opened.
//!
//! Asked only of lines that are drawn. The level is what `level::detect` says, so that a line looks as the filter judges it. A line that is of no known
//! form is plain: its text is its message, and nothing is taken from it.

mod caller;
mod id;
mod key;
mod line;
mod pairs;
mod quoted;
mod text;
mod time;
mod tree;
mod value;

pub use caller::Caller;
pub use id::{TraceId, trace_id};
pub use key::Role;
pub use line::{Ink, one_line, without_secrets};
pub use time::{Moment, Time};
pub use tree::{Link, Row, tree};
pub use value::Value;

use super::clean::{Colours, clean};
use super::level::{self, Level};
use super::trace::{Frame, Trace};

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// In no form that is known.
    #[default]
    Plain,
    /// Go's `log`, with whatever flags, and `slog` before it is set up.
    Log,
    /// `key=value` and nothing else.
    Logfmt,
    /// slog's `TextHandler`.
    SlogText,
    /// logrus into a file or pipe.
    LogrusText,
    /// logrus for a terminal.
    LogrusConsole,
    /// klog and glog.
    Klog,
    /// hclog.
    Hclog,
    /// zap's console encoder.
    ZapConsole,
    /// zerolog's `ConsoleWriter`.
    ZerologConsole,
    /// JSON of another logger.
    Json,
    /// slog's `JSONHandler`.
    SlogJson,
    /// zap's JSON encoder.
    ZapJson,
    /// zerolog.
    ZerologJson,
    /// logrus' `JSONFormatter`.
    LogrusJson,
    /// hclog's JSON.
    HclogJson,
}

impl Format {
    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Plain => "plain",
            Format::Log => "log",
            Format::Logfmt => "logfmt",
            Format::SlogText => "slog text",
            Format::LogrusText => "logrus text",
            Format::LogrusConsole => "logrus console",
            Format::Klog => "klog",
            Format::Hclog => "hclog",
            Format::ZapConsole => "zap console",
            Format::ZerologConsole => "zerolog console",
            Format::Json => "json",
            Format::SlogJson => "slog json",
            Format::ZapJson => "zap json",
            Format::ZerologJson => "zerolog json",
            Format::LogrusJson => "logrus json",
            Format::HclogJson => "hclog json",
        }
    }
}

/// A named value of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; for what has none on the line, the name JSON loggers give it.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// What it is to the line.
    pub role: Role,
}

/// What a line says. Texts may hold any character; [`one_line`] and [`tree`] make them harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// How it is written.
    pub format: Format,
    /// When it says it was written.
    pub time: Option<Time>,
    /// How bad it is.
    pub level: Option<Level>,
    /// What it says.
    pub message: String,
    /// Everything it holds, in its order: time, level and message too.
    pub fields: Vec<Field>,
    /// Where in the code it was written.
    pub caller: Option<Caller>,
    /// The stack it brings along, the innermost frame first.
    pub stack: Vec<Frame>,
}

/// Reads one line, without its newline.
pub fn parse(line: &[u8]) -> Shape {
    let level = level::detect(line);
    let read = json_line(line).unwrap_or_else(|| {
        let mut bytes = Vec::with_capacity(line.len());
        clean(line, Colours::Remove, &mut bytes);
        text::read(&String::from_utf8_lossy(&bytes))
    });
    let mut shape = Shape { format: read.format, level, fields: read.fields, ..Shape::default() };
    for Field { role, value, .. } in &shape.fields {
        match role {
            Role::Time => shape.time = read.time.clone().or_else(|| time::of_value(value)),
            Role::Message => value.as_str().unwrap_or_default().clone_into(&mut shape.message),
            Role::Caller => shape.caller = caller::of_value(value),
            // The first one: with `pkg/errors` where the error began, before where it was logged.
            Role::Stack if shape.stack.is_empty() => shape.stack = frames(value),
            Role::Stack | Role::Level | Role::Logger | Role::Error | Role::Other => {}
        }
    }
    shape
}

/// What was read of a line.
#[derive(Debug, Default)]
struct Read {
    format: Format,
    fields: Vec<Field>,
    /// Where the field alone does not say it.
    time: Option<Time>,
}

/// A line that is one JSON object.
fn json_line(line: &[u8]) -> Option<Read> {
    line.trim_ascii_start().starts_with(b"{").then_some(())?;
    let text = String::from_utf8_lossy(line);
    let (value, len) = value::json(&text)?;
    let Value::Object(members) = value else { return None };
    text[len..].trim().is_empty().then_some(())?;
    let fields = key::assign(members);
    Some(Read { format: dialect(&fields), fields, time: None })
}

/// Whose JSON it is: each logger has names and an order of its own.
fn dialect(fields: &[Field]) -> Format {
    let of = |name: &str| fields.iter().find(|field| field.key == name).map(|field| &field.value);
    let word = of("level").and_then(Value::as_str).unwrap_or_default();
    let is_first = |name: &str| fields.first().is_some_and(|field| field.key == name);
    if of("@message").is_some() && of("@level").is_some() {
        Format::HclogJson
    } else if is_first("time") && of("msg").is_some() && word.starts_with(|c: char| c.is_ascii_uppercase()) {
        Format::SlogJson
    } else if of("msg").is_some() && of("ts").is_some() && !word.is_empty() {
        Format::ZapJson
    } else if of("msg").is_some() && of("time").is_some() && !word.is_empty() {
        Format::LogrusJson
    } else if of("message").is_some() && is_first("level") {
        Format::ZerologJson
    } else {
        Format::Json
    }
}

/// The frames of a stack: a text of several lines, or zerolog's list of `{"func":…,"line":…,"source":…}`.
fn frames(value: &Value) -> Vec<Frame> {
    let Value::List(items) = value else { return Trace::of_text(value.as_str().unwrap_or_default()).frames };
    let one = |item: &Value| {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(Value::String(line) | Value::Number(line)) = item.get("line") else { return None };
        Some(Frame { function: text("func"), file: text("source"), line: line.parse().ok()?, offset: None })
    };
    items.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests;
