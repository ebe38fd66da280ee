//! One line of text that is being typed: as in a shell, with history.

use super::keys::{Code, Key};

/// So many lines are kept.
const HISTORY: usize = 200;

/// A line and where its cursor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// In bytes, at the beginning of a character.
    at: usize,
}

impl Input {
    /// A line that holds this already.
    pub fn of(text: &str) -> Input {
        Input { text: text.to_owned(), at: text.len() }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.at]
    }

    /// Replaces it all.
    pub fn set(&mut self, text: &str) {
        *self = Input::of(text);
    }

    /// Adds what was pasted: one line, without what could command anything.
    pub fn paste(&mut self, text: &str) {
        let text: String = text.chars().filter(|char| !char.is_control()).collect();
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    /// True when the key was one for typing and moving.
    pub fn key(&mut self, key: Key) -> bool {
        if let Some(char) = key.typed() {
            self.text.insert(self.at, char);
            self.at += char.len_utf8();
            return true;
        }
        match (key.code, key.ctrl) {
            (Code::Backspace, false) | (Code::Char('h'), true) => self.delete_to(self.left()),
            (Code::Delete, _) | (Code::Char('d'), true) => self.delete_to(self.right()),
            (Code::Char('w'), true) | (Code::Backspace, true) => self.delete_to(self.word()),
            (Code::Char('u'), true) => self.delete_to(0),
            (Code::Char('k'), true) => self.delete_to(self.text.len()),
            (Code::Left, _) | (Code::Char('b'), true) => self.at = self.left(),
            (Code::Right, _) | (Code::Char('f'), true) => self.at = self.right(),
            (Code::Home, _) | (Code::Char('a'), true) => self.at = 0,
            (Code::End, _) | (Code::Char('e'), true) => self.at = self.text.len(),
            _ => return false,
        }
        true
    }

    fn left(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.text[self.at..].chars().next().map_or(self.at, |char| self.at + char.len_utf8())
    }

    /// Where the word before the cursor begins.
    fn word(&self) -> usize {
        let before = self.before().trim_end();
        before.char_indices().rev().find(|(_, char)| char.is_whitespace()).map_or(0, |(at, char)| at + char.len_utf8())
    }

    fn delete_to(&mut self, to: usize) {
        let (from, to) = (self.at.min(to), self.at.max(to));
        self.text.replace_range(from..to, "");
        self.at = from;
    }
}

/// Lines that were typed before.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<String>,
    /// Where one who goes through them stands, and what was typed before that.
    at: Option<(usize, String)>,
}

impl History {
    /// Keeps a line; the same one twice in a row is kept once.
    pub fn add(&mut self, line: &str) {
        self.at = None;
        if !line.is_empty() && self.lines.last().is_none_or(|last| last != line) {
            self.lines.push(line.to_owned());
            let extra = self.lines.len().saturating_sub(HISTORY);
            self.lines.drain(..extra);
        }
    }

    /// The line before, or after, the one that stands in the input.
    pub fn go(&mut self, back: bool, input: &mut Input) {
        let (at, typed) = self.at.take().unwrap_or_else(|| (self.lines.len(), input.text().to_owned()));
        let at = if back { at.checked_sub(1) } else { Some(at + 1) };
        match at.filter(|at| *at <= self.lines.len()) {
            None if back => self.at = Some((0, typed)),
            None => self.at = Some((self.lines.len(), typed)),
            Some(at) => {
                input.set(self.lines.get(at).unwrap_or(&typed));
                self.at = Some((at, typed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::keys;

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        for key in keys(text) {
            input.key(key);
        }
        input
    }

    #[test]
    fn lines_are_edited_as_in_a_shell() {
        assert_eq!(typed("scale äpi<left><left>X<end>3").text(), "scale äXpi3");
        assert_eq!(typed("one two  <ctrl-w>three").text(), "one three");
        assert_eq!(typed("one<home><delete>b<ctrl-e><backspace>").text(), "bn");
        assert_eq!(typed("one two<ctrl-u>x<ctrl-a><ctrl-k>").text(), "");
        let mut input = typed("a");
        input.paste("b\x1b[31m\nc");
        assert_eq!(input.text(), "ab[31mc");
    }

    #[test]
    fn history_comes_back_to_what_was_typed() {
        let mut history = History::default();
        for line in ["one", "two", "two"] {
            history.add(line);
        }
        let mut input = Input::of("new");
        let mut seen = Vec::new();
        for back in [true, true, true, false, false, false] {
            history.go(back, &mut input);
            seen.push(input.text().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", "new", "new"]);
    }
}
