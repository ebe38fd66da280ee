//! A line opened: one row for each of its values, texts of several lines and stacks line by line.

use super::line::{Ink, Spans, harmless, json, quoted, without_secrets};
use super::{Role, Shape, Value, caller, key};
use crate::config::env;
use crate::logs::ansi::{Span, width};
use crate::logs::trace::{Frame, Trace};

/// A list or an object that is no wider stands in one row.
const INLINE: usize = 60;
/// Nobody reads more rows of one line.
const MOST: usize = 5000;

/// Where a row leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To a place in the code.
    Place {
        /// As the line names it.
        file: String,
        /// From 1.
        line: u32,
    },
    /// To the lines with the same id.
    Id(String),
}

/// A row of an opened line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How deep it stands; the view decides how many columns that is.
    pub depth: usize,
    /// What stands in it. Holds no control character.
    pub spans: Vec<Span<Ink>>,
    /// Where it leads.
    pub link: Option<Link>,
}

/// The line as rows.
pub fn tree(shape: &Shape) -> Vec<Row> {
    let mut out = Rows::default();
    out.mark(0, "{");
    for (at, field) in shape.fields.iter().enumerate() {
        let frames = if field.role == Role::Stack { super::frames(&field.value) } else { Vec::new() };
        let end = if at + 1 < shape.fields.len() { "," } else { "" };
        out.member(Member {
            depth: 1,
            name: Some(&field.key),
            key: &field.key,
            value: &field.value,
            end,
            frames: &frames,
        });
    }
    out.mark(0, "}");
    out.rows
}

/// What is put into rows.
struct Member<'a> {
    depth: usize,
    /// What stands before it; an item of a list has none.
    name: Option<&'a str>,
    /// What decides whether it is secret.
    key: &'a str,
    value: &'a Value,
    end: &'static str,
    frames: &'a [Frame],
}

#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
}

impl Rows {
    fn push(&mut self, depth: usize, spans: Spans, link: Option<Link>) {
        match self.rows.len() {
            MOST.. => {}
            _ => self.rows.push(Row { depth, spans: spans.spans, link }),
        }
    }

    fn mark(&mut self, depth: usize, text: &str) {
        let mut spans = Spans::default();
        spans.push(Ink::Mark, text);
        self.push(depth, spans, None);
    }

    fn member(&mut self, member: Member<'_>) {
        let mut spans = Spans::default();
        if let Some(name) = member.name {
            spans.push(Ink::Key, &quoted(name));
            spans.push(Ink::Mark, ":");
        }
        match member.value {
            Value::Object(_) | Value::List(_) if !member.frames.is_empty() => self.stack(spans, &member),
            Value::Object(_) | Value::List(_) => self.container(spans, &member),
            Value::String(text) if text.trim_end().contains('\n') && !env::is_secret(member.key) => {
                self.lines(spans, text, &member);
            }
            _ => {
                spans.gap();
                json(&mut spans, member.key, member.value);
                spans.push(Ink::Mark, member.end);
                let link = link(member.name.unwrap_or_default(), member.value);
                self.push(member.depth, spans, link);
            }
        }
    }

    fn container(&mut self, mut spans: Spans, member: &Member<'_>) {
        let mut inline = Spans::default();
        json(&mut inline, member.key, member.value);
        let place = caller::of_value(member.value).map(|c| Link::Place { file: c.file, line: c.line });
        spans.gap();
        if width(&inline.spans) <= INLINE && !has_link(member.value) {
            inline.spans.into_iter().for_each(|span| spans.push(span.style, &span.text));
            spans.push(Ink::Mark, member.end);
            return self.push(member.depth, spans, place);
        }
        let (open, close) = if matches!(member.value, Value::Object(_)) { ("{", "}") } else { ("[", "]") };
        spans.push(Ink::Mark, open);
        self.push(member.depth, spans, place);
        let depth = member.depth + 1;
        let secret = env::is_secret(member.key);
        match member.value {
            Value::Object(members) => {
                for (at, (name, value)) in members.iter().enumerate() {
                    let end = if at + 1 < members.len() { "," } else { "" };
                    let key = if secret { member.key } else { name };
                    self.member(Member { depth, name: Some(name), key, value, end, frames: &[] });
                }
            }
            Value::List(items) => {
                for (at, value) in items.iter().enumerate() {
                    let end = if at + 1 < items.len() { "," } else { "" };
                    self.member(Member { depth, name: None, key: member.key, value, end, frames: &[] });
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.mark(member.depth, &format!("{close}{}", member.end));
    }

    /// A text of several lines; the frames of a stack in it lead to their places.
    fn lines(&mut self, spans: Spans, text: &str, member: &Member<'_>) {
        let read;
        let frames = if member.frames.is_empty() {
            read = Trace::of_text(text).frames;
            &read
        } else {
            member.frames
        };
        self.push(member.depth, spans, None);
        let mut frames = frames.iter().peekable();
        for line in text.trim_end().lines() {
            let mut spans = Spans::default();
            let shown = line.trim_start();
            let at_place = |frame: &&Frame| shown.starts_with(&format!("{}:{}", frame.file, frame.line));
            let frame = frames.next_if(at_place);
            spans.push(if frame.is_some() { Ink::Place } else { Ink::String }, &without_secrets(&harmless(shown)));
            let depth = member.depth + 1 + usize::from(shown.len() < line.len());
            self.push(depth, spans, frame.map(place));
        }
    }

    /// A stack that is a list of frames.
    fn stack(&mut self, spans: Spans, member: &Member<'_>) {
        self.push(member.depth, spans, None);
        for frame in member.frames {
            let mut spans = Spans::default();
            spans.push(Ink::String, &harmless(&frame.function));
            spans.push(Ink::Place, &harmless(&format!(" {}:{}", frame.file, frame.line)));
            self.push(member.depth + 1, spans, Some(place(frame)));
        }
    }
}

fn place(frame: &Frame) -> Link {
    Link::Place { file: frame.file.clone(), line: frame.line }
}

/// Where a single value leads.
fn link(name: &str, value: &Value) -> Option<Link> {
    let text = match value {
        Value::String(text) | Value::Number(text) => text,
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) => return None,
    };
    if let Some(caller) = caller::whole(text) {
        return Some(Link::Place { file: caller.file, line: caller.line });
    }
    key::id_rank(name)?;
    super::id::id(name, text).map(Link::Id)
}

/// Whether something in a list or an object leads somewhere: it then has a row of its own.
fn has_link(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| link(name, value).is_some() || has_link(value)),
        Value::List(items) => items.iter().any(has_link),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
