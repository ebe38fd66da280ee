//! One thing wrong in one place of one file, with the line it stands in and what to do about it.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthChar;

use super::tree::Place;
use crate::error::Error;

/// Whether anything may start in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing starts.
    Error,
    /// Said once, and on it goes.
    Warning,
}

/// One problem. Its `Display` is what a person sees: the place and the message, the source line with a caret, the hint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// Relative to the project where it lies inside.
    pub file: PathBuf,
    /// From 1; 0 where it is about something without lines.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence: lower case, no final period, names in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the file.
    pub source_line: Option<String>,
}

/// So many characters of a long source line are shown.
const SHOWN: usize = 160;

impl Problem {
    /// An error at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Problem {
        Problem {
            file: place.source.path.clone(),
            line: place.line,
            column: place.column,
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            source_line: place.source.line(place.line).map(str::to_owned),
        }
    }

    /// An error about a file as a whole: its beginning.
    pub fn in_file(file: &Path, message: impl Into<String>) -> Problem {
        Problem { line: 1, column: 1, ..Problem::about(file, message) }
    }

    /// An error about something that has no lines: a folder, the command line.
    pub fn about(what: &Path, message: impl Into<String>) -> Problem {
        Problem {
            file: what.to_owned(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            source_line: None,
        }
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Where it is, the message and the hint, for places that have one line for it and say themselves how bad it is.
    pub fn in_one_line(&self) -> String {
        let mut out = clean(&self.file.to_string_lossy()).to_string();
        if self.line > 0 {
            out.push_str(&format!(":{}:{}", self.line, self.column));
        }
        out.push_str(&format!(": {}", clean(&self.message)));
        if let Some(hint) = &self.hint {
            out.push_str(&format!("; {}", clean(hint)));
        }
        out
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Problem {
        self.severity = Severity::Warning;
        self
    }
}

/// Sorts by file and place and drops what was found twice (a fault in `defaults:` is met once per service).
pub fn sort(problems: &mut Vec<Problem>) {
    problems.sort();
    problems.dedup();
}

/// Turns problems into the one error a command ends with, exit code 2.
pub fn error(mut problems: Vec<Problem>) -> Error {
    sort(&mut problems);
    let count = problems.iter().filter(|p| p.severity == Severity::Error).count();
    let message = match count {
        1 => "the configuration has a problem".to_owned(),
        n => format!("the configuration has {n} problems"),
    };
    let mut out = Error::usage(message);
    for (index, problem) in problems.into_iter().enumerate() {
        if index > 0 {
            out.details.push(String::new());
        }
        out.details.extend(problem.to_string().lines().map(str::to_owned));
    }
    out
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean(&self.file.to_string_lossy()))?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        match self.severity {
            Severity::Error => write!(f, ": {}", clean(&self.message))?,
            Severity::Warning => write!(f, ": warning: {}", clean(&self.message))?,
        }
        if let Some(line) = self.source_line.as_deref().filter(|line| !line.trim().is_empty()) {
            let (line, caret) = excerpt(line, self.column.max(1) as usize - 1);
            write!(f, "\n  {line}\n  {:caret$}^", "")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", clean(hint))?;
        }
        Ok(())
    }
}

/// The part of a line around a column, safe for a terminal, and how many cells stand before the column.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let skip = if column > SHOWN - 20 { column - 40 } else { 0 };
    let (mut shown, mut caret) = (String::new(), 0);
    if skip > 0 {
        shown.push('…');
        caret += 1;
    }
    for (index, c) in line.chars().enumerate().skip(skip).take(SHOWN) {
        let c = if c == '\t' { ' ' } else { visible(c) };
        if index < column {
            caret += c.width().unwrap_or(0);
        }
        shown.push(c);
    }
    if line.chars().count() > skip + SHOWN {
        shown.push('…');
    }
    (shown.trim_end().to_owned(), caret)
}

/// Text without anything that could steer a terminal.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String cannot fail; its Result is that of every Write.
        match c {
            '\n' => out.push('\n'),
            c if visible(c) == c => out.push(c),
            c => drop(write!(out, "{}", c.escape_default())),
        }
    }
    out
}

/// The character, or a stand-in where it is a control or would turn the direction of writing.
fn visible(c: char) -> char {
    match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::Source;

    #[test]
    fn a_problem_shows_its_line_and_points_into_it() {
        let source = Source::new("api/service.yml", "name: api\n深い: \u{1b}[31m\n");
        let place = Place { source, line: 2, column: 5 };
        let problem = Problem::at(&place, "no such colour").hint("try `red`");
        assert_eq!(
            problem.to_string(),
            "api/service.yml:2:5: no such colour\n  深い: \u{fffd}[31m\n        ^\nhint: try `red`"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = Source::new("orchestra.yml", &"x".repeat(1000));
        let shown = Problem::at(&Place { source, line: 1, column: 501 }, "m").to_string();
        assert_eq!(shown.lines().map(|l| l.chars().count()).collect::<Vec<_>>(), [22, 164, 44]);
    }
}
