//! Keys as people write them: `j`, `G`, `space`, `ctrl-d`, `alt-enter`, `f5`; in the keymap, in `keys.toml`, in the help and in tests.

use std::fmt::{self, Display};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What was pressed, without its modifiers. Shift is part of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// A character, as it is typed: `G` is shift and g.
    Char(char),
    /// The key of this number.
    F(u8),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// What was pressed.
    pub code: Code,
    /// With control.
    pub ctrl: bool,
    /// With alt.
    pub alt: bool,
}

/// Names beside single characters; the first of a code is how it is shown.
const NAMES: [(&str, Code); 21] = [
    ("space", Code::Char(' ')),
    ("enter", Code::Enter),
    ("return", Code::Enter),
    ("cr", Code::Enter),
    ("esc", Code::Esc),
    ("escape", Code::Esc),
    ("tab", Code::Tab),
    ("s-tab", Code::BackTab),
    ("backtab", Code::BackTab),
    ("backspace", Code::Backspace),
    ("bs", Code::Backspace),
    ("delete", Code::Delete),
    ("del", Code::Delete),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pgdn", Code::PageDown),
];

impl Key {
    /// A key without modifiers.
    pub const fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false }
    }

    /// A character.
    pub const fn char(char: char) -> Key {
        Key::plain(Code::Char(char))
    }

    /// Reads a key as people write it, in either case but for single characters; `None` for what is none.
    pub fn parse(text: &str) -> Option<Key> {
        let mut rest = text;
        let (mut ctrl, mut alt) = (false, false);
        loop {
            let lower = rest.get(..5.min(rest.len())).unwrap_or_default().to_ascii_lowercase();
            let modifier = ["ctrl-", "c-", "alt-", "a-"].into_iter().find(|word| lower.starts_with(word));
            let Some(modifier) = modifier.filter(|word| rest.len() > word.len()) else { break };
            *if modifier.starts_with('c') { &mut ctrl } else { &mut alt } = true;
            rest = &rest[modifier.len()..];
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(char), None) if !char.is_control() => {
                // Terminals send the same for ctrl-d and ctrl-D.
                Code::Char(if ctrl { char.to_ascii_lowercase() } else { char })
            }
            (Some(_), Some(_)) => named(&rest.to_ascii_lowercase())?,
            _ => return None,
        };
        Some(Key { code, ctrl, alt })
    }

    /// What the terminal sent; `None` for what no binding can name.
    pub fn from_event(event: &KeyEvent) -> Option<Key> {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let code = match event.code {
            KeyCode::Char(char) if ctrl => Code::Char(char.to_ascii_lowercase()),
            KeyCode::Char(char) => Code::Char(char),
            KeyCode::F(number) => Code::F(number),
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Code::BackTab,
            KeyCode::Tab => Code::Tab,
            KeyCode::BackTab => Code::BackTab,
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Delete => Code::Delete,
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            _ => return None,
        };
        Some(Key { code, ctrl, alt })
    }

    /// The character it types into a prompt.
    pub fn typed(self) -> Option<char> {
        match self {
            Key { code: Code::Char(char), ctrl: false, alt: false } => Some(char),
            _ => None,
        }
    }
}

fn named(word: &str) -> Option<Code> {
    let number = word.strip_prefix('f').and_then(|number| number.parse().ok());
    match number {
        Some(number @ 1..=12) => Some(Code::F(number)),
        _ => NAMES.into_iter().find(|(name, _)| *name == word).map(|(_, code)| code),
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ctrl { "ctrl-" } else { "" })?;
        f.write_str(if self.alt { "alt-" } else { "" })?;
        let name = NAMES.into_iter().find(|(_, code)| *code == self.code);
        match (self.code, name) {
            (_, Some((name, _))) => f.write_str(name),
            (Code::Char(char), None) => write!(f, "{char}"),
            (Code::F(number), None) => write!(f, "f{number}"),
            (_, None) => Ok(()),
        }
    }
}

/// The keys of a macro: characters as they are, the others in angle brackets: `jj<space>:scale api 3<enter>`. What is no key is left out.
#[cfg(test)]
pub(super) fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|inner| inner.split_once('>'));
        match named.and_then(|(name, after)| Some((Key::parse(name)?, after))) {
            Some((key, after)) => {
                keys.push(key);
                rest = after;
            }
            None => {
                keys.push(Key::char(char));
                rest = &rest[char.len_utf8()..];
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for text in [
            "j",
            "G",
            "space",
            "ctrl-d",
            "alt-enter",
            "ctrl-alt-x",
            "f12",
            "s-tab",
            "-",
            "+",
            "ctrl--",
            "ü",
            "<",
            "esc",
        ] {
            let key = Key::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(key.to_string(), text);
        }
        assert_eq!(Key::parse("C-D"), Key::parse("ctrl-d"));
        assert_eq!(Key::parse("Enter"), Key::parse("cr"));
        for text in ["", "ctrl-", "f13", "f0", "nokey", "\n"] {
            assert_eq!(Key::parse(text).map(|key| key.to_string()), None, "{text}");
        }
    }

    #[test]
    fn macros() {
        let shown: Vec<_> = keys("j<space>:a b<cr><<ctrl-c>").iter().map(Key::to_string).collect();
        assert_eq!(shown, ["j", "space", ":", "a", "space", "b", "enter", "<", "ctrl-c"]);
    }
}
