//! Text with variables in it: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`; any other `$` is itself. In a Compose file all that Compose knows.

use super::problem::Problem;
use super::tree::Place;

/// The longest text a template may become: one string of a program's environment or arguments is not longer on Linux.
const MAX_LENGTH: usize = 128 << 10;
/// The deepest nesting of defaults within defaults.
const MAX_DEPTH: usize = 16;

/// Which dollars begin a variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dollars {
    /// `${VAR}`, `${VAR:-default}`, `${VAR:?message}`; `$$` is a dollar, and any other `$` is itself.
    #[default]
    Ours,
    /// Those of a Compose file: also `$VAR`, `${VAR-default}`, `${VAR?message}`, `${VAR:+other}` and `${VAR+other}`; any other `$` is wrong.
    Compose,
}

/// A parsed text; it always parses: what is no variable is itself, or is told when the text is filled in.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable {
        name: String,
        /// An empty one counts as one that is not set.
        empty_too: bool,
        otherwise: Otherwise,
    },
    /// A `$` that means nothing, with what follows it.
    Wrong(String),
}

/// What stands for a variable that is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Otherwise {
    Nothing,
    Default(Vec<Part>),
    Message(String),
    /// The other way round: this stands for one that is set.
    Instead(Vec<Part>),
}

/// Finds the value of a variable.
pub type Lookup<'a> = dyn FnMut(&str) -> Result<Option<Vec<u8>>, Problem> + 'a;

impl Template {
    /// Parses a text that stands at a place.
    pub fn parse(text: &str, place: Option<&Place>) -> Template {
        Template::parse_with(Dollars::Ours, text, place)
    }

    /// The same, by the rules of the file it stands in.
    pub fn parse_with(dollars: Dollars, text: &str, place: Option<&Place>) -> Template {
        Template { parts: parse(text, dollars, 0), place: place.cloned() }
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
            Part::Variable { .. } | Part::Wrong(_) => None,
        });
        parts.collect()
    }

    /// What is wrong with it whatever the variables are.
    pub fn mistake(&self) -> Option<Problem> {
        self.mistake_in(&self.parts)
    }

    fn mistake_in(&self, parts: &[Part]) -> Option<Problem> {
        parts.iter().find_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable { otherwise: Otherwise::Default(parts) | Otherwise::Instead(parts), .. } => {
                self.mistake_in(parts)
            }
            Part::Variable { .. } => None,
            Part::Wrong(text) => Some(self.wrong(text)),
        })
    }

    fn wrong(&self, text: &str) -> Problem {
        let shown: String = text.chars().take(20).collect();
        self.problem(format!("`{shown}` begins no variable"))
            .hint("write `$$` for a dollar sign, `${NAME}` for a variable")
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
                Part::Variable { name, empty_too, otherwise } => {
                    let value = lookup(name)?.filter(|value| !(*empty_too && value.is_empty()));
                    match (value, otherwise) {
                        (Some(_), Otherwise::Instead(parts)) | (None, Otherwise::Default(parts)) => {
                            self.fill_parts(parts, lookup, out)?
                        }
                        (Some(value), _) => out.extend_from_slice(&value),
                        (None, Otherwise::Nothing | Otherwise::Instead(_)) => {}
                        (None, Otherwise::Message(message)) => return Err(self.missing(name, message)),
                    }
                }
                Part::Wrong(text) => return Err(self.wrong(text)),
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

fn parse(text: &str, dollars: Dollars, depth: usize) -> Vec<Part> {
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let found = match variable(rest, dollars, depth) {
            None if dollars == Dollars::Compose => {
                let end = rest.char_indices().nth(12).map_or(rest.len(), |(at, _)| at);
                Some((Part::Wrong(format!("${}", &rest[..end])), rest))
            }
            found => found,
        };
        match found {
            Some((part, after)) => {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part);
                rest = after;
            }
            None => plain.push('$'),
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

/// A variable right after its `$`, and what follows it.
fn variable(text: &str, dollars: Dollars, depth: usize) -> Option<(Part, &str)> {
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner,
        None if dollars == Dollars::Compose => {
            let (name, after) = name(text)?;
            let part = Part::Variable { name: name.to_owned(), empty_too: false, otherwise: Otherwise::Nothing };
            return Some((part, after));
        }
        None => return None,
    };
    let (name, rest) = name(inner).filter(|_| depth < MAX_DEPTH)?;
    let part = |empty_too, otherwise| Part::Variable { name: name.to_owned(), empty_too, otherwise };
    if let Some(after) = rest.strip_prefix('}') {
        return Some((part(false, Otherwise::Nothing), after));
    }
    let (empty_too, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None if dollars == Dollars::Compose => (false, rest),
        None => return None,
    };
    let mut chars = rest.chars();
    let operator = chars.next()?;
    let body = chars.as_str();
    let close = closing(body)?;
    let otherwise = match operator {
        '-' => Otherwise::Default(parse(&body[..close], dollars, depth + 1)),
        '?' => Otherwise::Message(body[..close].to_owned()),
        '+' if dollars == Dollars::Compose => Otherwise::Instead(parse(&body[..close], dollars, depth + 1)),
        _ => return None,
    };
    Some((part(empty_too, otherwise), &body[close + 1..]))
}

/// The name at the beginning of a text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, rest))
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
        fill_with(Dollars::Ours, text)
    }

    fn fill_with(dollars: Dollars, text: &str) -> String {
        let mut lookup = |name: &str| {
            Ok(match name {
                "A" => Some(b"alpha".to_vec()),
                "EMPTY" => Some(Vec::new()),
                _ => None,
            })
        };
        match Template::parse_with(dollars, text, None).fill_text(&mut lookup) {
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
    fn a_compose_file_knows_more_forms_and_takes_no_other_dollar() {
        let table = [
            ("$A/${A}/$NO$EMPTY.", "alpha/alpha/."),
            ("${A:+x}${NO:+y}${EMPTY:+z}${EMPTY+set}${NO+y}", "xset"),
            ("${NO-d}${EMPTY-e}${A-f}|${EMPTY:-e}", "dalpha|e"),
            ("${NO-${A:+${EMPTY:-deep}}}", "deep"),
            ("${NO?say why}", "! `NO` is not set: say why"),
            ("${EMPTY?fine}", ""),
            ("$$A $${A} 5$$", "$A ${A} 5$"),
            ("a $(pwd) b", "! `$(pwd) b` begins no variable"),
            ("${A!}", "! `${A!}` begins no variable"),
            ("5$", "! `$` begins no variable"),
            ("$1", "! `$1` begins no variable"),
            ("${A:-${}}", "alpha"),
            ("${NO:-${}}", "! `${}` begins no variable"),
        ];
        for (text, expected) in table {
            assert_eq!(fill_with(Dollars::Compose, text), expected, "{text}");
        }
        let mistake = |text| Template::parse_with(Dollars::Compose, text, None).mistake().is_some();
        assert_eq!(["${A:-${}}", "${NO}", "$(x)", "$$"].map(mistake), [true, false, true, false]);
    }

    #[test]
    fn a_deep_nest_neither_overflows_nor_hangs() {
        let text = format!("{}x{}", "${B:-".repeat(10_000), "}".repeat(10_000));
        assert!(fill(&text).starts_with("${B"));
    }
}
