//! `keys.toml`: keys, theme and manners, as the user wishes. What is wrong in it is told with its place, and the rest holds.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::actions::{ACTIONS, Action, Scope};
use super::keymap::{Changes, Clash, Keymap};
use super::keys::Key;
use super::presets;
use super::theme::{AUTO, Theme};
use crate::config::suggest;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Where it is, or would be.
    pub file: Option<PathBuf>,
    /// Which key does what.
    pub keymap: Keymap,
    /// The name of a theme.
    pub theme: Option<String>,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// The mouse is left to the terminal.
    pub no_mouse: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What its keys hide in some pane: perhaps that is meant.
    pub notes: Vec<Problem>,
}

/// Something to say about a place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column, from 1; nothing where it is about the whole file.
    pub place: Option<(usize, usize)>,
    /// One sentence.
    pub text: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "keys.toml:{line}:{column}: {}", self.text),
            None => write!(f, "keys.toml: {}", self.text),
        }
    }
}

/// Where the file is: `$XDG_CONFIG_HOME/orchestra/keys.toml`, else below `~/.config`.
pub fn path(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let config = var("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| var("HOME").map(|home| home.join(".config")))?;
    Some(config.join("orchestra/keys.toml"))
}

/// Reads the file; one that is not there says nothing.
pub fn load(path: &Path) -> Settings {
    let settings = match std::fs::read_to_string(path) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settings::default(),
        Err(error) => {
            let text = format!("cannot read `{}`: {error}", path.display());
            Settings { problems: vec![Problem { place: None, text }], ..Settings::default() }
        }
    };
    Settings { file: Some(path.to_owned()), ..settings }
}

/// Understands the text of the file.
pub fn parse(text: &str) -> Settings {
    let mut reader = Reader {
        text,
        settings: Settings::default(),
        own: Changes::new(),
        commands: BTreeMap::new(),
        places: BTreeMap::new(),
        broken: false,
    };
    // What can be read holds, beside what cannot.
    let (table, errors) = DeTable::parse_recoverable(text);
    let broken = !errors.is_empty();
    for error in errors {
        let text = error.message().to_owned();
        reader.problem(error.span().unwrap_or(0..0), text);
    }
    reader.broken = broken;
    let preset = reader.top(table.get_ref());
    reader.keys(&preset);
    reader.settings.problems.sort_by_key(|problem| problem.place);
    reader.settings
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Action(Action),
    Command(String),
}

struct Reader<'a> {
    text: &'a str,
    settings: Settings,
    own: Changes,
    /// Keys of the project's own commands.
    commands: BTreeMap<String, Vec<Key>>,
    /// Where each key of an action, or of a command, stands.
    places: BTreeMap<(Owner, Key), Range<usize>>,
    /// A line could not be read, and was told.
    broken: bool,
}

impl Reader<'_> {
    fn place(&self, at: &Range<usize>) -> Option<(usize, usize)> {
        let before = self.text.get(..at.start.min(self.text.len()))?;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
        Some((before.matches('\n').count() + 1, column + 1))
    }

    fn problem(&mut self, at: Range<usize>, text: String) {
        // What such a line seems to say stands nowhere, and is no mistake of its own.
        if self.broken && at.is_empty() {
            return;
        }
        let place = self.place(&at);
        self.settings.problems.push(Problem { place, text });
    }

    /// Reads everything but clashes; the preset's keys.
    fn top(&mut self, table: &DeTable<'_>) -> Changes {
        let mut preset = Changes::new();
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let scope = Scope::ALL.into_iter().find(|scope| scope.word() == word);
            match (word, scope, value.get_ref()) {
                ("preset", _, DeValue::String(chosen)) if presets::named(chosen).is_some() => {
                    preset = presets::named(chosen).unwrap_or_default();
                }
                ("preset", ..) => self.problem(value.span(), among("preset", value, presets::names())),
                ("theme", _, DeValue::String(theme)) if themes().any(|name| name == theme) => {
                    self.settings.theme = Some(theme.to_string());
                }
                ("theme", ..) => self.problem(value.span(), among("theme", value, themes())),
                ("ascii", _, DeValue::Boolean(on)) => self.settings.ascii = *on,
                ("mouse", _, DeValue::Boolean(on)) => self.settings.no_mouse = !on,
                ("ascii" | "mouse", ..) => self.problem(value.span(), format!("`{word}` is true or false")),
                ("commands", _, DeValue::Table(table)) => {
                    for (name, value) in table {
                        let word = name.get_ref().to_string();
                        if let Some(keys) = self.list(&word, value, &Owner::Command(word.clone())) {
                            self.commands.insert(word, keys);
                        }
                    }
                }
                (_, Some(scope), DeValue::Table(keys)) => self.bindings(scope, keys),
                _ => {
                    let known = Scope::ALL.iter().map(|scope| scope.word());
                    let known = known.chain(["commands", "preset", "theme", "ascii", "mouse"]);
                    self.problem(name.span(), format!("there is no `{word}`{}", nearest(word, known)));
                }
            }
        }
        preset
    }

    fn bindings(&mut self, scope: Scope, table: &DeTable<'_>) {
        for (name, value) in table {
            let word = name.get_ref().as_ref();
            let of_scope = || ACTIONS.iter().filter(move |entry| entry.scope == scope);
            let Some(entry) = of_scope().find(|entry| entry.name == word) else {
                let elsewhere = ACTIONS.iter().find(|entry| entry.name == word);
                let near = elsewhere.map_or_else(
                    || nearest(word, of_scope().map(|entry| entry.name)),
                    |entry| format!("; it belongs to [{}]", entry.scope.word()),
                );
                self.problem(name.span(), format!("[{}] has no action `{word}`{near}", scope.word()));
                continue;
            };
            if let Some(keys) = self.list(word, value, &Owner::Action(entry.action)) {
                self.own.insert(entry.action, keys);
            }
        }
    }

    /// One key, or a list of them.
    fn list(&mut self, word: &str, value: &Spanned<DeValue<'_>>, owner: &Owner) -> Option<Vec<Key>> {
        let texts: Option<Vec<(&str, Range<usize>)>> = match value.get_ref() {
            DeValue::String(key) => Some(vec![(key, value.span())]),
            DeValue::Array(keys) => keys.iter().map(|key| Some((key.get_ref().as_str()?, key.span()))).collect(),
            _ => None,
        };
        let Some(texts) = texts else {
            self.problem(value.span(), format!("`{word}` takes a key, or a list of keys: [\"r\", \"f5\"]"));
            return None;
        };
        let mut keys = Vec::new();
        for (text, at) in texts {
            match Key::parse(text) {
                Some(key) => {
                    keys.push(key);
                    self.places.insert((owner.clone(), key), at);
                }
                None => {
                    self.problem(at, format!("`{text}` of `{word}` is no key: j, G, space, ctrl-d, alt-x, f5, pgdn"));
                }
            }
        }
        Some(keys)
    }

    /// Where one of these two got this key, if the file gave it.
    fn given(&self, key: Key, one: Action, other: Action) -> Option<Range<usize>> {
        let place = |action| self.places.get(&(Owner::Action(action), key));
        place(one).or_else(|| place(other)).cloned()
    }

    fn keys(&mut self, preset: &Changes) {
        let (keymap, clashes) = Keymap::with(preset, &self.own);
        for Clash { key, does, hides } in clashes {
            let text = format!("`{key}` means both {} and {}, and does the first", named(does), named(hides));
            self.problem(self.given(key, does, hides).unwrap_or(0..0), text);
        }
        // What presets and defaults hide is meant so.
        for Clash { key, does, hides } in keymap.hidden() {
            if let Some(at) = self.given(key, does, hides) {
                let text = format!("`{key}` is {} there, and not {}", named(does), named(hides));
                self.settings.notes.push(Problem { place: self.place(&at), text });
            }
        }
        let (keymap, clashes) = keymap.with_commands(std::mem::take(&mut self.commands));
        for (command, key, text) in clashes {
            let at = self.places.get(&(Owner::Command(command), key)).cloned();
            self.problem(at.unwrap_or(0..0), text);
        }
        self.settings.notes.sort_by_key(|note| note.place);
        self.settings.keymap = keymap;
    }
}

fn named(action: Action) -> String {
    let entry = action.entry();
    format!("`{}` [{}]", entry.name, entry.scope.word())
}

fn themes() -> impl Iterator<Item = &'static str> {
    [AUTO].into_iter().chain(Theme::names())
}

fn among<'a>(what: &str, value: &Spanned<DeValue<'_>>, known: impl Iterator<Item = &'a str>) -> String {
    let known = known.collect::<Vec<_>>().join(", ");
    let Some(value) = value.get_ref().as_str() else { return format!("`{what}` is one of {known}") };
    format!("there is no {what} `{value}`; there are {known}")
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    suggest::nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn keys_of_the_file_replace_those_of_the_preset() {
        let text = "preset = \"fkeys\"\ntheme = \"light\"\nmouse = false\n[services]\nrestart = [\"R\", \"ctrl-r\"]\nstop = []\n";
        let settings = parse(text);
        assert_eq!(told(&settings.problems), Vec::<String>::new());
        assert_eq!((settings.theme.as_deref(), settings.no_mouse), (Some("light"), true));
        let does = |key: &str| settings.keymap.action(Scope::Services, Key::parse(key).unwrap());
        assert_eq!((does("R"), does("r"), does("f5")), (Some(Action::Restart), None, None));
        assert_eq!((does("s"), does("f7")), (None, Some(Action::Start)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_rest_holds() {
        let text = "theme = \"drak\"\nascii = 1\n[services]\nrestrat = \"x\"\n  stop = [\"ä\", \"S\"]\nbuild = \"nokey\"\nhelp = \"h\"\n[logs]\n";
        assert_eq!(
            told(&parse(text).problems),
            [
                "keys.toml:1:9: there is no theme `drak`; there are auto, terminal, dark, light, high-contrast, colour-blind, mono",
                "keys.toml:2:9: `ascii` is true or false",
                "keys.toml:4:1: [services] has no action `restrat`; did you mean `restart`?",
                "keys.toml:5:16: `S` means both `stop` [services] and `start` [services], and does the first",
                "keys.toml:6:9: `nokey` of `build` is no key: j, G, space, ctrl-d, alt-x, f5, pgdn",
                "keys.toml:7:1: [services] has no action `help`; it belongs to [everywhere]",
                "keys.toml:8:2: there is no `logs`; did you mean `log`?",
            ]
        );
    }

    #[test]
    fn commands_of_the_project_have_keys_and_win() {
        let settings = parse("[commands]\nmigrate = \"f9\"\nseed = [\"ctrl-s\", \"R\"]\nbad = 1\nworse = \"f9\"\n");
        let command = |key: &str| settings.keymap.command(Key::parse(key).unwrap()).map(str::to_owned);
        assert_eq!([command("f9"), command("R"), command("r")], [Some("migrate".into()), Some("seed".into()), None]);
        assert_eq!(settings.keymap.keys_of_command("migrate"), [Key::parse("f9").unwrap()]);
        assert_eq!(
            told(&settings.problems),
            [
                "keys.toml:3:19: `R` means the command `seed`, and `raw` [problems] no more",
                "keys.toml:4:7: `bad` takes a key, or a list of keys: [\"r\", \"f5\"]",
                "keys.toml:5:9: `f9` means both the commands `migrate` and `worse`, and does the first",
            ]
        );
    }

    #[test]
    fn a_broken_line_is_named_and_the_rest_holds() {
        let settings = parse("theme = \"dark\"\nascii = = 2\n[services]\nstop = \"x\"\n");
        assert!(told(&settings.problems)[0].starts_with("keys.toml:2:9: "), "{:?}", settings.problems);
        assert_eq!(settings.theme.as_deref(), Some("dark"));
        assert_eq!(settings.keymap.action(Scope::Services, Key::char('x')), Some(Action::Stop));
        assert!(!parse("[services\n\u{0}").problems.is_empty());
    }

    #[test]
    fn what_a_key_hides_is_a_note() {
        let settings = parse("preset = \"less\"\n[services]\nbuild = \"j\"\n[everywhere]\nhelp = \"&\"\n");
        assert_eq!(told(&settings.problems), Vec::<String>::new());
        assert_eq!(
            told(&settings.notes),
            [
                "keys.toml:3:9: `j` is `build` [services] there, and not `down` [move]",
                "keys.toml:5:8: `&` is `filter` [log] there, and not `help` [everywhere]",
            ]
        );
    }

    #[test]
    fn the_file_is_where_configuration_is() {
        let of = |vars: &[(&str, &str)]| {
            path(|key| vars.iter().find(|(known, _)| *known == key).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.config/orchestra/keys.toml".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]), Some("/c/orchestra/keys.toml".into()));
        assert_eq!(of(&[]), None);
    }
}
