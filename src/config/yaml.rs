//! YAML text to a [`Node`] tree, with limits, so that no file can take more than a moment or a few megabytes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::problem::Problem;
use super::tree::{Entry, Node, Place, Source, Value};

/// The most values a file may stand for, aliases written out.
const MAX_NODES: usize = 100_000;
/// More problems than this are not kept.
const MAX_PROBLEMS: usize = 100;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;

/// What a merge key wants.
const MERGE: &str = "`<<` takes a mapping or a list of mappings";

/// What became of a text.
#[derive(Debug)]
pub struct Parsed {
    /// The tree; an empty text is `Null`. With a syntax error `None`: it hides the rest of the file.
    pub node: Option<Node>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Tabs where YAML wants spaces. The tree is what spaces would give; whether this is an error depends on the file.
    pub tab: Option<Problem>,
}

/// Parses one YAML document.
pub fn parse(source: &Arc<Source>) -> Parsed {
    let mut builder = Builder::new(source, &source.text);
    match builder.document() {
        Ok(node) => Parsed { node: Some(node), problems: builder.problems, tab: None },
        Err(Stop { problem, tab: false }) => Parsed { node: None, problems: vec![problem], tab: None },
        Err(Stop { problem, tab: true }) => {
            let spaced = without_tabs(&source.text);
            let mut builder = Builder::new(source, &spaced);
            let node = builder.document().ok();
            Parsed { node, problems: builder.problems, tab: Some(problem) }
        }
    }
}

/// Each tab of an indentation as two spaces.
fn without_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start_matches([' ', '\t']);
        out.push_str(&line[..line.len() - rest.len()].replace('\t', "  "));
        out.push_str(rest);
    }
    out
}

/// A syntax error or a limit: the rest of the file cannot be read.
#[derive(Debug)]
struct Stop {
    problem: Problem,
    tab: bool,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop { problem, tab: false }
    }
}

/// An anchored node and how many values it stands for.
struct Anchored {
    node: Node,
    size: usize,
}

struct Builder<'a> {
    source: Arc<Source>,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn new(source: &Arc<Source>, text: &'a str) -> Builder<'a> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Builder { source: source.clone(), parser, anchors: HashMap::new(), nodes: 0, problems: Vec::new() }
    }

    fn complain(&mut self, place: &Place, message: impl Into<String>, hint: Option<&str>) {
        if self.problems.len() < MAX_PROBLEMS {
            let problem = Problem::at(place, message);
            self.problems.push(Problem { hint: hint.map(str::to_owned), ..problem });
        }
    }

    fn place(&self, mark: &Marker) -> Place {
        Place { source: self.source.clone(), line: mark.line() as u32, column: mark.col() as u32 + 1 }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(pair)) => Ok(pair),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(Problem::at(&Place::start(&self.source), "the file ends in the middle").into()),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = Node { place: Place::start(&self.source), value: Value::Null };
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    documents += 1;
                    let place = self.place(&span.start);
                    let node = self.node(event, &span, 0)?;
                    match documents {
                        1 => root = node,
                        2 => {
                            let message = "a second YAML document begins here, and only the first counts";
                            self.complain(&place, message, Some("remove the line `---`"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Stop> {
        let place = self.place(&span.start);
        self.count(1, &place)?;
        if depth > MAX_DEPTH {
            return Err(too_deep(&place).into());
        }
        let before = self.nodes;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, &place),
            Event::Scalar(text, style, anchor, tag) => (self.scalar(&text, style, tag.as_deref(), &place), anchor),
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", &place);
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", &place);
                (self.map(depth)?, anchor)
            }
            _ => return Err(Problem::at(&place, "the parser lost its way here").into()),
        };
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size: self.nodes - before + 1 });
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Problem::at(place, format!("the file stands for more than {MAX_NODES} values"))
            .hint("aliases (`*name`) that contain aliases multiply: write the values out")
            .into())
    }

    fn alias(&mut self, id: usize, place: &Place) -> Result<Node, Stop> {
        let Some(size) = self.anchors.get(&id).map(|anchored| anchored.size) else {
            return Err(Problem::at(place, "this alias stands inside the value it names").into());
        };
        self.count(size, place)?;
        match self.anchors.get(&id) {
            Some(anchored) => Ok(anchored.node.clone()),
            None => Err(Problem::at(place, "this alias names nothing").into()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: &Place) -> Value {
        let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str") || tag.suffix().is_empty());
        if let Some(tag) = tag.filter(|_| !forced)
            && !tag.is_yaml_core_schema()
        {
            self.complain(place, format!("the tag `{}` means nothing here", tag.original()), None);
        }
        let plain = style == ScalarStyle::Plain && !forced;
        match text {
            "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
            text => Value::Scalar { text: text.to_owned(), plain },
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, core: &str, place: &Place) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(core)) {
            self.complain(place, format!("the tag `{}` means nothing here", tag.original()), None);
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Stop> {
        let (mut entries, mut merges): (Vec<Entry>, Vec<Node>) = (Vec::new(), Vec::new());
        let mut seen: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            if merge {
                merges.push(node);
                continue;
            }
            let Some(name) = self.key(&key) else { continue };
            match seen.get(&name) {
                Some(first) => {
                    let hint = format!("it was first given in line {}: keep one of them", first.line);
                    self.complain(&key.place, format!("the key `{name}` is given twice"), Some(&hint));
                }
                None => {
                    seen.insert(name.clone(), key.place.clone());
                    entries.push(Entry { key: name, place: key.place, node });
                }
            }
        }
        for node in merges {
            self.merge(node, &mut entries);
        }
        Ok(Value::Map(entries))
    }

    fn key(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Null => {
                self.complain(&node.place, "a key is missing before `:`", None);
                None
            }
            Value::List(_) | Value::Map(_) => {
                let hint = "a value that begins with `{` or `[` must be quoted";
                self.complain(&node.place, format!("a key must be a word, not {}", node.kind()), Some(hint));
                None
            }
        }
    }

    /// Adds the entries of a merge key (`<<`) that the mapping does not have itself.
    fn merge(&mut self, node: Node, entries: &mut Vec<Entry>) {
        let maps = match node.value {
            Value::List(items) => items,
            Value::Map(_) => vec![node],
            Value::Null => Vec::new(),
            Value::Scalar { .. } => {
                self.complain(&node.place, MERGE, None);
                Vec::new()
            }
        };
        let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for map in maps {
            match map.value {
                Value::Map(more) => entries.extend(more.into_iter().filter(|entry| known.insert(entry.key.clone()))),
                _ => self.complain(&map.place, MERGE, None),
            }
        }
    }

    fn syntax(&self, error: &granit_parser::ScanError) -> Stop {
        let place = self.place(error.marker());
        if self.indented_by_tab(&place) {
            let line = self.source.line(place.line).unwrap_or("");
            let column = line.chars().position(|c| c == '\t').unwrap_or(0) as u32 + 1;
            let problem = Problem::at(&Place { column, ..place }, "a tab in the indentation, where YAML wants spaces");
            return Stop { problem: problem.hint("replace each tab by two spaces"), tab: true };
        }
        let (message, hint) = explain(error.kind());
        let problem = Problem::at(&place, message);
        hint.map_or(problem.clone(), |hint| problem.hint(hint)).into()
    }

    fn indented_by_tab(&self, place: &Place) -> bool {
        let line = self.source.line(place.line).unwrap_or("");
        line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
    }
}

fn too_deep(place: &Place) -> Problem {
    Problem::at(place, format!("nested more than {MAX_DEPTH} levels deep"))
}

/// The parser's words, made plainer where people often meet them.
fn explain(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let (message, hint) = match kind {
        ErrorKind::RecursionLimitExceeded => return (format!("nested more than {MAX_DEPTH} levels deep"), None),
        ErrorKind::UnknownAnchor => (
            "this alias names no anchor".to_owned(),
            Some("define it before with `&name`, or quote a value that begins with `*`"),
        ),
        ErrorKind::MappingValueNotAllowed => (
            "a `key: value` is not allowed here".to_owned(),
            Some("quote a value that contains `: `, and check the indentation"),
        ),
        ErrorKind::UnclosedQuotedScalar => ("a quote is opened and never closed".to_owned(), None),
        ErrorKind::InvalidQuotedScalarIndent => (
            "a quoted text goes on here, against the indentation".to_owned(),
            Some("is the quote closed in the lines above?"),
        ),
        ErrorKind::InvalidColonPlacement => {
            ("a `:` is not allowed here".to_owned(), Some("is a `[` or `{` in the lines above left open?"))
        }
        ErrorKind::UnclosedFlowCollection { open } => (format!("`{open}` is opened and never closed"), None),
        ErrorKind::UnexpectedCharacter { character } => {
            (format!("a value cannot begin with `{}`", character.escape_default()), Some("put the value in quotes"))
        }
        other => (other.to_string(), None),
    };
    (format!("not YAML: {message}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn tree(text: &str) -> Node {
        let parsed = parse(&Source::new("x.yml", text));
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        parsed.node.unwrap()
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".to_owned(),
            Value::Scalar { text, plain: true } => text.clone(),
            Value::Scalar { text, plain: false } => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries =
                    entries.iter().map(|e| format!("{}@{}:{}={}", e.key, e.place.line, e.place.column, shown(&e.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn keys_have_places_and_keep_their_order() {
        assert_eq!(shown(&tree("z: 1\na: {y: '2', x: [3, ~]}\n")), "{z@1:1=1 a@2:1={y@2:5=\"2\" x@2:13=[3 ~]}}");
        assert_eq!(shown(&tree("\u{00fc}: 1.10\r\nb:\r\n  - no\r\n")), "{\u{00fc}@1:1=1.10 b@2:1=[no]}");
        assert_eq!(shown(&tree("a: |\n  two\n  lines\nb: !!str 1\n")), "{a@1:1=\"two\\nlines\\n\" b@4:1=\"1\"}");
        for empty in ["", "\n", "# only words\n", "---\n", "~"] {
            assert_eq!(shown(&tree(empty)), "~", "{empty:?}");
        }
    }

    #[test]
    fn merge_keys_fill_in_what_is_missing() {
        let text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo:\n  <<: [*b, *m]\n  w: 0\n";
        let tree = tree(text);
        assert_eq!(shown(tree.get("one").unwrap()), "{x@3:15=9 y@1:17=2}");
        assert_eq!(shown(tree.get("two").unwrap()), "{w@6:3=0 x@1:11=1 y@1:17=2 z@2:17=4}");
    }

    fn fails(text: &str) -> String {
        let begun = Instant::now();
        let parsed = parse(&Source::new("x.yml", text));
        // A debug build on a busy machine: the point is that it does not grow with what the file claims.
        assert!(begun.elapsed() < Duration::from_secs(5));
        let problem = parsed.problems.into_iter().chain(parsed.tab).next().unwrap();
        format!("{}:{}: {}", problem.line, problem.column, problem.message)
    }

    #[test]
    fn bombs_and_depths_end_early() {
        assert_eq!(fails(&"[".repeat(100_000)), "1:65: nested more than 64 levels deep");
        assert_eq!(fails(&"{a: ".repeat(100_000)), "1:257: nested more than 64 levels deep");
        assert_eq!(fails(&"- ".repeat(100_000)), "1:129: nested more than 64 levels deep");
        let wide = format!("[{}]", "1,".repeat(200_000));
        assert_eq!(fails(&wide), "1:200000: the file stands for more than 100000 values");
        let keys: String = (0..50).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(tree(&keys).get("a").is_some());
    }

    #[test]
    fn thousands_of_problems_end_early() {
        let twice = "a: 1\n".repeat(20_000);
        assert!(fails(&twice).starts_with("2:1: the key `a` is given twice") || fails(&twice).contains("values"));
        let begun = Instant::now();
        let keys: String = (0..8_000).map(|n| format!("k{n}: {{x: [1}}]\n")).collect();
        assert!(!parse(&Source::new("x.yml", &keys)).problems.is_empty());
        let unknown: String = (0..8_000).map(|n| format!("k{n}: 1\n")).collect();
        let mut reader = crate::config::reader::Reader::default();
        assert!(reader.known(&tree(&unknown), "x", &["scale"]).is_empty());
        assert_eq!(reader.problems.len(), 200);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
