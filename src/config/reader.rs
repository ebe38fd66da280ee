//! Reads typed values out of a tree and gathers every problem on the way, so that one look shows them all.

use std::collections::HashSet;
use std::time::Duration;

use super::problem::Problem;
use super::suggest::nearest;
use super::template::Template;
use super::tree::{Entry, Node, Place, Value};
use super::{values, words};

/// More problems than this are not kept: nobody reads them.
const MAX_PROBLEMS: usize = 200;

/// Gathers problems. What cannot be read yields `None` and a problem.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was found so far.
    pub problems: Vec<Problem>,
    /// Unknown keys are warnings: the file is one of the original Orchestra.
    pub lenient: bool,
}

impl Reader {
    /// Keeps a problem.
    pub fn push(&mut self, problem: Problem) {
        if !self.is_full() {
            self.problems.push(problem);
        }
    }

    /// Whether further problems are dropped.
    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Keeps an error at a place.
    pub fn error(&mut self, place: &Place, message: impl Into<String>) {
        if !self.is_full() {
            self.push(Problem::at(place, message));
        }
    }

    fn wrong<T>(&mut self, node: &Node, key: &str, wanted: &str) -> Option<T> {
        self.error(&node.place, format!("`{key}` must be {wanted}, not {}", node.kind()));
        None
    }

    /// The entries of a mapping whose keys are all in `known`; unknown ones are problems, but for those that begin
    /// with `x-` (a place for anchors, as in Compose files); empty ones count as absent.
    pub fn known<'n>(&mut self, node: &'n Node, key: &str, known: &[&str]) -> Vec<&'n Entry> {
        let mut out = Vec::new();
        for entry in self.map(node, key) {
            if !known.contains(&entry.key.as_str()) {
                if self.is_full() || entry.key.starts_with("x-") {
                    continue;
                }
                let problem = unknown_key(entry, known);
                self.push(if self.lenient { problem.warning() } else { problem });
            } else if !entry.node.is_null() {
                out.push(entry);
            }
        }
        out
    }

    /// The entries of a mapping with free keys.
    pub fn map<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Scalar { .. } | Value::List(_) => {
                self.wrong::<()>(node, key, "a mapping (`key: value`)");
                &[]
            }
        }
    }

    /// Text; numbers and words count as written.
    pub fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if text.contains('\0') => {
                self.error(&node.place, format!("`{key}` contains a zero byte"));
                None
            }
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => self.wrong(node, key, "text"),
        }
    }

    /// Text that must not be empty.
    pub fn word(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        if text.trim().is_empty() {
            self.error(&node.place, format!("`{key}` must not be empty"));
            return None;
        }
        Some(text)
    }

    /// Text with variables.
    pub fn template(&mut self, node: &Node, key: &str) -> Option<Template> {
        Some(Template::parse(&self.text(node, key)?, Some(&node.place)))
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "True" | "TRUE") => Some(true),
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "false" | "False" | "FALSE") => Some(false),
            _ => self.wrong(node, key, "`true` or `false`"),
        }
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, node: &Node, key: &str, from: i64, to: i64) -> Option<i64> {
        let number = match &node.value {
            Value::Scalar { text, .. } => text.parse::<i64>().ok().filter(|n| (from..=to).contains(n)),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        number.or_else(|| self.wrong(node, key, &format!("a whole number from {from} to {to}")))
    }

    /// A number not below zero.
    pub fn number(&mut self, node: &Node, key: &str) -> Option<f64> {
        let number = match &node.value {
            Value::Scalar { text, .. } => text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        number.or_else(|| self.wrong(node, key, "a number"))
    }

    fn parsed<T>(&mut self, node: &Node, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(node, key)?;
        match parse(text.trim()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(&node.place, format!("`{key}`: {message}"));
                None
            }
        }
    }

    /// A duration.
    pub fn duration(&mut self, node: &Node, key: &str) -> Option<Duration> {
        self.parsed(node, key, values::duration)
    }

    /// A size in bytes.
    pub fn size(&mut self, node: &Node, key: &str) -> Option<u64> {
        self.parsed(node, key, values::size)
    }

    /// A signal.
    pub fn signal(&mut self, node: &Node, key: &str) -> Option<i32> {
        self.parsed(node, key, values::signal)
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, node: &Node, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let list = names.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let mut problem = Problem::at(&node.place, format!("`{key}` must be one of {list}, not `{text}`"));
        if let Some(near) = nearest(&text, names) {
            problem = problem.hint(format!("did you mean {near}?"));
        }
        self.push(problem);
        None
    }

    /// The items of a list; a single value counts as a list of one.
    pub fn items<'n>(&mut self, node: &'n Node, key: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            Value::Scalar { .. } => std::slice::from_ref(node),
            Value::Map(_) => {
                self.wrong::<()>(node, key, "a list");
                &[]
            }
        }
    }

    /// A list of texts; a single text counts as a list of one.
    pub fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        self.items(node, key).iter().filter_map(|item| self.text(item, key)).collect()
    }

    /// A command: a list of words, or one text that is split as a shell would do it.
    pub fn command(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        let words = match &node.value {
            Value::List(_) => self.texts(node, key),
            Value::Scalar { text, .. } => match words::split(text) {
                Ok(words) => {
                    self.warn_of_shell(node, &words);
                    words
                }
                Err(error) => {
                    self.error(&node.place, format!("`{key}`: {error}"));
                    return None;
                }
            },
            Value::Null | Value::Map(_) => return self.wrong(node, key, "a command (a list of words, or text)"),
        };
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            self.error(&node.place, format!("`{key}` names no program"));
            return None;
        }
        Some(words)
    }

    fn warn_of_shell(&mut self, node: &Node, words: &[String]) {
        if let Some(operator) = words::shell_operator(words) {
            let message = format!("`{operator}` is an ordinary word here: no shell runs the command");
            let hint = "for a shell write [sh, -c, \"…\"]";
            self.push(Problem::at(&node.place, message).hint(hint).warning());
        }
    }

    /// A list of commands, each a text or a list of words.
    pub fn commands(&mut self, node: &Node, key: &str) -> Vec<Vec<String>> {
        self.items(node, key).iter().filter_map(|item| self.command(item, key)).collect()
    }

    /// Variables: a mapping, or a list of `KEY=value`. A key without a value leaves the variable to the layers below.
    pub fn variables(&mut self, node: &Node, key: &str) -> Vec<(String, Template)> {
        let mut out = Vec::new();
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    if self.variable_name(&entry.key, &entry.place) && !entry.node.is_null() {
                        let value = self.template(&entry.node, &format!("{key}.{}", entry.key));
                        out.extend(value.map(|value| (entry.key.clone(), value)));
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    let Some(text) = self.text(item, key) else { continue };
                    let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(k, v)| (k, Some(v)));
                    if self.variable_name(name, &item.place) {
                        out.extend(value.map(|v| (name.to_owned(), Template::parse(v, Some(&item.place)))));
                    }
                }
            }
            Value::Null => {}
            Value::Scalar { .. } => {
                self.wrong::<()>(node, key, "a mapping (`KEY: value`) or a list of `KEY=value`");
            }
        }
        let mut seen = HashSet::new();
        out.reverse();
        out.retain(|(name, _)| seen.insert(name.clone()));
        out.reverse();
        out
    }

    fn variable_name(&mut self, name: &str, place: &Place) -> bool {
        let good = !name.is_empty() && !name.contains(['=', '\0', ' ', '\t', '\n']);
        if !good {
            self.error(place, format!("`{name}` is not a name of a variable"));
        }
        good
    }
}

/// The problem of a key that means nothing.
pub fn unknown_key(entry: &Entry, known: &[&str]) -> Problem {
    let problem = Problem::at(&entry.place, format!("unknown key `{}`", entry.key));
    match nearest(&entry.key, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None if known.len() <= 12 => problem.hint(format!("known keys are {}", known.join(", "))),
        None => problem.hint("`orchestra schema service` and `orchestra schema project` list every key"),
    }
}

/// Whether a file is one of the original Orchestra (2015): it has a key of that time, none that is newer, and none that looks like a newer one
/// with a spelling mistake.
pub fn is_old(node: &Node, old: &[&str], known: &[&str]) -> bool {
    let keys = || node.entries().iter().map(|entry| entry.key.as_str());
    let newer =
        |key: &str| !old.contains(&key) && nearest(key, known.iter().copied()).is_some_and(|near| !old.contains(&near));
    keys().any(|key| old.contains(&key)) && !keys().any(newer)
}
