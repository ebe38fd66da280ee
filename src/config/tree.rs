//! A tree of keys and values that all know their place. Scalars stay text as written: what they mean depends on who asks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The text of one file.
#[derive(Debug)]
pub struct Source {
    /// As a person in the project says it: relative to the project.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Where each line begins; made when the first problem asks.
    starts: OnceLock<Vec<usize>>,
}

impl Source {
    /// Makes a source of a path and a text.
    pub fn new(path: impl AsRef<Path>, text: &str) -> Arc<Source> {
        Arc::new(Source { path: path.as_ref().to_owned(), text: text.to_owned(), starts: OnceLock::new() })
    }

    /// One line, from 1, without its end.
    pub fn line(&self, number: u32) -> Option<&str> {
        let starts = self.starts.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
        });
        let start = *starts.get((number as usize).checked_sub(1)?)?;
        self.text.get(start..)?.lines().next()
    }
}

/// A place in a file; lines and columns (characters) from 1.
#[derive(Clone)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Place {
    /// The beginning of a file.
    pub fn start(source: &Arc<Source>) -> Place {
        Place { source: source.clone(), line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.path.display(), self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text as written, after YAML's own escapes.
    Scalar {
        /// The text.
        text: String,
        /// Without quotes: may stand for a number or a boolean.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, each key once.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// The value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// True for nothing, `~` and `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What it is, in the words of a message.
    pub fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } if text.chars().count() > 40 => {
                format!("`{}…`", text.chars().take(40).collect::<String>())
            }
            Value::Scalar { text, plain: false } => format!("the text `\"{text}\"`"),
            Value::Scalar { text, .. } => format!("`{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Lays `above` over `below`: mappings are merged key by key, everything else above wins. Keys of `below` come after.
pub fn merge(above: &Node, below: &Node) -> Node {
    let (Value::Map(upper), Value::Map(lower)) = (&above.value, &below.value) else {
        return if above.is_null() { below.clone() } else { above.clone() };
    };
    let mut entries: Vec<Entry> = upper
        .iter()
        .map(|entry| match below.get(&entry.key) {
            Some(node) => Entry { node: merge(&entry.node, node), ..entry.clone() },
            None => entry.clone(),
        })
        .collect();
    entries.extend(lower.iter().filter(|entry| above.get(&entry.key).is_none()).cloned());
    Node { place: above.place.clone(), value: Value::Map(entries) }
}
