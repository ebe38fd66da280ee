//! Variables in the tree of a section.

use crate::config::problem::Problem;
use crate::config::template::{Dollars, Lookup, Template};
use crate::config::tree::{Entry, Node, Value};

/// Keys whose values are templates of their own, filled in one by one: variables see each other, and a probe has dollars of its own.
pub const LAYERED: [&str; 5] = ["environment", "env", "env_file", "ready", "live"];

/// Whether a value depends on variables.
pub fn has_variables(node: &Node, dollars: Dollars) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Scalar { text, .. } => {
            text.contains('$') && Template::parse_with(dollars, text, None).constant().is_none()
        }
        Value::List(items) => items.iter().any(|item| has_variables(item, dollars)),
        Value::Map(entries) => entries.iter().any(|entry| has_variables(&entry.node, dollars)),
    }
}

/// Dollars in it that mean nothing, whatever the variables are.
pub fn mistakes(node: &Node, dollars: Dollars, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar { text, .. } => {
            problems.extend(Template::parse_with(dollars, text, Some(&node.place)).mistake());
        }
        Value::List(items) => items.iter().for_each(|item| mistakes(item, dollars, problems)),
        Value::Map(entries) => entries.iter().for_each(|entry| mistakes(&entry.node, dollars, problems)),
    }
}

/// Fills variables in.
pub struct Filler<'f, 'l> {
    /// Which dollars are variables.
    pub dollars: Dollars,
    /// Finds their values.
    pub lookup: &'f mut Lookup<'l>,
    /// What was wrong; such a text stays as written.
    pub problems: Vec<Problem>,
}

impl Filler<'_, '_> {
    /// A whole section, but for what are templates of their own.
    pub fn section(&mut self, node: &Node) -> Node {
        let mut out = Vec::new();
        for entry in node.entries() {
            out.push(if LAYERED.contains(&entry.key.as_str()) { entry.clone() } else { self.entry(entry) });
        }
        Node { place: node.place.clone(), value: Value::Map(out) }
    }

    /// What becomes empty counts as absent.
    fn entry(&mut self, entry: &Entry) -> Entry {
        let mut node = self.value(&entry.node);
        let is_empty = |node: &Node| matches!(&node.value, Value::Scalar { text, .. } if text.is_empty());
        if is_empty(&node) && !is_empty(&entry.node) {
            node.value = Value::Null;
        }
        Entry { node, ..entry.clone() }
    }

    fn value(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Scalar { text, .. } if text.contains('$') => self.scalar(node, text),
            Value::Null | Value::Scalar { .. } => node.value.clone(),
            Value::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Value::Map(entries) => Value::Map(entries.iter().map(|entry| self.entry(entry)).collect()),
        };
        Node { place: node.place.clone(), value }
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Value {
        let template = Template::parse_with(self.dollars, text, Some(&node.place));
        // `"${MEMORY}"` may stand for a number or a boolean.
        let plain = matches!(node.value, Value::Scalar { plain: true, .. }) || template.constant().is_none();
        match template.fill_text(self.lookup) {
            Ok(text) => Value::Scalar { text, plain },
            Err(problem) => {
                self.problems.push(problem);
                node.value.clone()
            }
        }
    }
}
