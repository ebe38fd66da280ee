//! Text with variables in it: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`. Any other `$` is itself.

use super::problem::Problem;
use super::tree::Place;

/// The longest text a template may become: one string of a program's environment or arguments is not longer on Linux.
const MAX_LENGTH: usize = 128 << 10;
/// The deepest nesting of defaults within defaults.
const MAX_DEPTH: usize = 16;

/// A parsed text; it always parses, since what is no variable is itself.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, otherwise: Otherwise },
}

/// What stands for a variable that is not set or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Otherwise {
    Nothing,
    Default(Vec<Part>),
    Message(String),
}

/// Finds the value of a variable.
pub type Lookup<'a> = dyn FnMut(&str) -> Result<Option<Vec<u8>>, Problem> + 'a;

impl Template {
    /// Parses a text that stands at a place.
    pub fn parse(text: &str, place: Option<&Place>) -> Template {
        Template { parts: parse(text, 0), place: place.cloned() }
    }

    /// A text in which nothing is replaced.
    pub fn literal(text: &str) -> Template {
        Template { parts: vec![Part::Text(text.to_owned())], place: None }
    }

    /// Appends another template.
    pub fn append(&mut self, other: Template) {
        self.parts.extend(other.parts);
        self.place = self.place.take().or(other.place);
    }

    /// The text, where no variable is in it.
    pub fn constant(&self) -> Option<String> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable { .. } => None,
        });
        parts.collect()
    }

    /// Where it stands.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Puts the values in.
    pub fn fill(&self, lookup: &mut Lookup<'_>) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        self.fill_parts(&self.parts, lookup, &mut out)?;
        Ok(out)
    }

    /// Puts the values in, where the result must be text.
    pub fn fill_text(&self, lookup: &mut Lookup<'_>) -> Result<String, Problem> {
        String::from_utf8(self.fill(lookup)?).map_err(|_| self.problem("a variable in it is not UTF-8"))
    }

    fn fill_parts(&self, parts: &[Part], lookup: &mut Lookup<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable { name, otherwise } => match (lookup(name)?, otherwise) {
                    (value, Otherwise::Nothing) => out.extend_from_slice(&value.unwrap_or_default()),
                    (Some(value), _) if !value.is_empty() => out.extend_from_slice(&value),
                    (_, Otherwise::Default(parts)) => self.fill_parts(parts, lookup, out)?,
                    (_, Otherwise::Message(message)) => return Err(self.missing(name, message)),
                },
            }
            if out.len() > MAX_LENGTH {
                return Err(self.problem("the text becomes longer than 128 KiB"));
            }
        }
        Ok(())
    }

    fn missing(&self, name: &str, message: &str) -> Problem {
        let message = match message {
            "" => format!("`{name}` is not set"),
            message => format!("`{name}` is not set: {message}"),
        };
        self.problem(message).hint(format!("set it in your shell, in an env file or with `-e {name}=…`"))
    }

    /// A problem at the template's place.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        match &self.place {
            Some(place) => Problem::at(place, message),
            None => Problem::about(std::path::Path::new("command line"), message),
        }
    }
}

fn parse(text: &str, depth: usize) -> Vec<Part> {
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
        } else if let Some((part, after)) = variable(rest, depth) {
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
            rest = after;
        } else {
            plain.push('$');
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

/// A variable right after its `$`, and what follows it.
fn variable(text: &str, depth: usize) -> Option<(Part, &str)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let (name, rest) = inner.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || depth >= MAX_DEPTH {
        return None;
    }
    let part = |otherwise| Part::Variable { name: name.to_owned(), otherwise };
    if let Some(after) = rest.strip_prefix('}') {
        return Some((part(Otherwise::Nothing), after));
    }
    let body = rest.strip_prefix(":-").or_else(|| rest.strip_prefix(":?"))?;
    let close = closing(body)?;
    let otherwise = match rest.starts_with(":-") {
        true => Otherwise::Default(parse(&body[..close], depth + 1)),
        false => Otherwise::Message(body[..close].to_owned()),
    };
    Some((part(otherwise), &body[close + 1..]))
}

/// Where the brace that closes this body is, past those of variables inside.
fn closing(body: &str) -> Option<usize> {
    let (mut open, mut previous) = (0, '\0');
    for (at, c) in body.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> String {
        let mut lookup = |name: &str| {
            Ok(match name {
                "A" => Some(b"alpha".to_vec()),
                "EMPTY" => Some(Vec::new()),
                _ => None,
            })
        };
        match Template::parse(text, None).fill_text(&mut lookup) {
            Ok(text) => text,
            Err(problem) => format!("! {}", problem.message),
        }
    }

    #[test]
    fn variables_are_filled_in_and_any_other_dollar_is_itself() {
        let table = [
            ("${A}", "alpha"),
            ("x${A}y${NO}z", "xalphayz"),
            ("${NO:-d}${EMPTY:-e}${A:-f}", "dealpha"),
            ("${NO:-${A}/${EMPTY:-x}}", "alpha/x"),
            ("${NO:-}", ""),
            ("${NO:?say why}", "! `NO` is not set: say why"),
            ("${EMPTY:?}", "! `EMPTY` is not set"),
            ("$$A $A $ ${ ${} ${1} ${A-x} ${A", "$A $A $ ${ ${} ${1} ${A-x} ${A"),
            ("$${A}", "${A}"),
            ("price: 5$", "price: 5$"),
            ("$(pwd) `id`", "$(pwd) `id`"),
        ];
        for (text, expected) in table {
            assert_eq!(fill(text), expected, "{text}");
        }
    }

    #[test]
    fn a_deep_nest_neither_overflows_nor_hangs() {
        let text = format!("{}x{}", "${B:-".repeat(10_000), "}".repeat(10_000));
        assert!(fill(&text).starts_with("${B"));
    }
}
