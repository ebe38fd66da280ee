//! Env files: `KEY=VALUE` lines as Compose and most dotenv readers take them.
//!
//! `export` before a key, `#` comments, single quotes (everything is itself) and double quotes (`\n`, `\t`, `\"`, `\\`, `\$`) over several lines.
//! Variables in unquoted and double-quoted values are filled in later, with everything else.

use std::sync::Arc;

use super::problem::Problem;
use super::template::{Dollars, Template};
use super::tree::{Place, Source};

/// One setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value, variables not yet filled in.
    pub value: Template,
    /// Where the key stands.
    pub place: Place,
}

/// Reads a whole file; a wrong line is a problem and the next line goes on.
pub fn parse(source: &Arc<Source>) -> (Vec<Setting>, Vec<Problem>) {
    parse_with(Dollars::Ours, source)
}

/// The same for a file that a Compose file names, or lies beside it.
pub fn parse_with(dollars: Dollars, source: &Arc<Source>) -> (Vec<Setting>, Vec<Problem>) {
    let mut file = File { source, dollars, text: &source.text, at: 0, line: 1, line_start: 0 };
    let (mut settings, mut problems) = (Vec::new(), Vec::new());
    while file.at < file.text.len() {
        match file.setting() {
            Ok(setting) => settings.extend(setting),
            Err(problem) => {
                problems.push(problem);
                file.skip_line();
            }
        }
    }
    (settings, problems)
}

struct File<'a> {
    source: &'a Arc<Source>,
    dollars: Dollars,
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> File<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        Some(c)
    }

    fn place(&self) -> Place {
        let column = self.text[self.line_start..self.at].chars().count() as u32 + 1;
        Place { source: self.source.clone(), line: self.line, column }
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
            self.bump();
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
        &self.text[start..self.at]
    }

    fn skip_line(&mut self) {
        self.take_while(|c| c != '\n');
        self.bump();
    }

    /// One line, or several where a quoted value goes on; `None` for a comment or an empty line.
    fn setting(&mut self) -> Result<Option<Setting>, Problem> {
        self.skip_blanks();
        if matches!(self.peek(), None | Some('\n' | '\r' | '#')) {
            self.skip_line();
            return Ok(None);
        }
        let after = self.text[self.at..].strip_prefix("export");
        if after.is_some_and(|rest| rest.starts_with([' ', '\t'])) {
            self.take_while(|c| c.is_ascii_alphabetic());
            self.skip_blanks();
        }
        let place = self.place();
        let key = self.take_while(|c| !matches!(c, '=' | '\n' | '\r' | ' ' | '\t' | '#')).to_owned();
        if !is_key(&key) {
            let message = format!("`{key}` is not a name of a variable");
            return Err(Problem::at(&place, message).hint("write KEY=value, with letters, digits and _ in the key"));
        }
        self.skip_blanks();
        if self.peek() != Some('=') {
            return Err(
                Problem::at(&self.place(), format!("`=` is missing after `{key}`")).hint(format!("write {key}=value"))
            );
        }
        self.bump();
        self.skip_blanks();
        let value = self.value()?;
        Ok(Some(Setting { key, value, place }))
    }

    fn value(&mut self) -> Result<Template, Problem> {
        let place = self.place();
        let value = match self.peek() {
            Some('\'') => self.single(&place)?,
            Some('"') => self.double(&place)?,
            _ => {
                let raw = self.take_while(|c| c != '\n');
                let end = comment(raw).unwrap_or(raw.len());
                self.bump();
                return Ok(Template::parse_with(self.dollars, raw[..end].trim(), Some(&place)));
            }
        };
        self.skip_blanks();
        if !matches!(self.peek(), None | Some('\n' | '\r' | '#')) {
            let rest = self.place();
            return Err(Problem::at(&rest, "text after the closing quote").hint("quote the whole value"));
        }
        self.skip_line();
        Ok(value)
    }

    fn single(&mut self, place: &Place) -> Result<Template, Problem> {
        self.bump();
        let text = self.take_while(|c| c != '\'');
        self.bump().ok_or_else(|| unclosed(place))?;
        Ok(Template::literal(text))
    }

    fn double(&mut self, place: &Place) -> Result<Template, Problem> {
        self.bump();
        // A `\$` is a dollar that no variable begins with, so the text around it is parsed piece by piece.
        let dollars = self.dollars;
        let parse = |text: &str| Template::parse_with(dollars, text, Some(place));
        let (mut whole, mut piece) = (parse(""), String::new());
        loop {
            match self.bump().ok_or_else(|| unclosed(place))? {
                '"' => break,
                '\\' => match self.bump().ok_or_else(|| unclosed(place))? {
                    'n' => piece.push('\n'),
                    'r' => piece.push('\r'),
                    't' => piece.push('\t'),
                    '\n' => {}
                    '$' => {
                        whole.append(parse(&std::mem::take(&mut piece)));
                        whole.append(Template::literal("$"));
                    }
                    c @ ('"' | '\\' | '`' | '\'') => piece.push(c),
                    c => piece.extend(['\\', c]),
                },
                c => piece.push(c),
            }
        }
        whole.append(parse(&piece));
        Ok(whole)
    }
}

fn unclosed(place: &Place) -> Problem {
    Problem::at(place, "a quote is opened and never closed")
}

/// Where a comment begins: a `#` at the beginning or after a blank.
fn comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&at| bytes[at] == b'#' && (at == 0 || bytes[at - 1] == b' ' || bytes[at - 1] == b'\t'))
}

/// Letters, digits, `_`, `.` and `-`, not beginning with a digit.
fn is_key(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let (settings, problems) = parse(&Source::new(".env", text));
        let settings = settings.into_iter().map(|setting| {
            let value = setting.value.fill_text(&mut |name| Ok(Some(format!("<{name}>").into_bytes())));
            (setting.key, value.unwrap())
        });
        let problems = problems.iter().map(|p| (format!("{}:{}", p.line, p.column), p.message.clone()));
        settings.chain(problems).collect()
    }

    fn one(text: &str) -> String {
        let mut all = read(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0).1
    }

    #[test]
    fn every_way_to_write_a_value() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("export A = b # why\r\n"), "b");
        assert_eq!(one("A=b#c"), "b#c");
        assert_eq!(one("A="), "");
        assert_eq!(one("A=#c"), "");
        assert_eq!(one("A='x ${B} \\n # y' # z"), "x ${B} \\n # y");
        assert_eq!(one("A=\"x ${B} \\n \\${B} \\\"q\\\"\""), "x <B> \n ${B} \"q\"");
        assert_eq!(one("A=\"two\nlines\""), "two\nlines");
        assert_eq!(one("A=${B}/$$c"), "<B>/$c");
        assert_eq!(one("A=a=b"), "a=b");
        assert_eq!(one("# c\n\n  \nexport=x"), "x");
    }

    #[test]
    fn wrong_lines_have_places_and_the_rest_goes_on() {
        let found = read("A=1\nB\n1C=2\nD='x' y\nE=5\nF=\"open\n");
        let expected = [
            ("A", "1"),
            ("E", "5"),
            ("2:2", "`=` is missing after `B`"),
            ("3:1", "`1C` is not a name of a variable"),
            ("4:7", "text after the closing quote"),
            ("6:3", "a quote is opened and never closed"),
        ];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
